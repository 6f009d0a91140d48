/* test_fault_dll.c: what a DLL that was opened with PINTLE_DLL_FAULTS_PANIC raises and does not handle: EFAULT, or a panic
 * of the caller; at any depth, on any thread; and everything is as before afterwards. */
#include "api/fault_helpers.h"

/* ---- Kinds ---- */

static int kinds_main(void *arg) {
    faulty f;
    pintle_result result = {1, 2, 3};
    uintptr_t words[2] = {0, 0};
    (void)arg;
    if (!faulty_open(&f, PINTLE_DLL_FAULTS_PANIC)) return 1;
    EXPECT(is_fault(pintle_proc_try_call(f.write, 1, words, &result), CODE_ACCESS, "writing 0x0", "!faults_write+"));
    EXPECT(result.r1 == 1 && result.r2 == 2 && result.err == 3);
    still_works(&f);
    EXPECT(is_fault(try_call(f.divide, 7, 0), CODE_DIVIDE, "integer division", "!faults_divide+"));
    still_works(&f);
    EXPECT(is_fault(try_call(f.illegal, 0, 0), CODE_ILLEGAL, "illegal instruction", "!faults_illegal+"));
    still_works(&f);
    EXPECT(try_call(f.write, (uintptr_t)&words[0], 0) == 0 && (int)words[0] == 1);
    faulty_close(&f);
    return 0;
}
CASE(faults_of_a_dll_are_efault_from_try_call) { run_tasks(kinds_main, 1); }

static void calls_write(void *arg) {
    uintptr_t nowhere = 0;
    pintle_proc_call(((faulty *)arg)->write, 1, &nowhere);
    EXPECT(!"it faults");
}
static int panic_main(void *arg) {
    faulty f;
    pintle_panic_info info;
    (void)arg;
    if (!faulty_open(&f, PINTLE_DLL_FAULTS_PANIC)) return 1;
    for (unsigned i = 0; i < 20; i++) {
        EXPECT(pintle_protect(calls_write, &f, &info) == PINTLE_EPANIC);
        EXPECT(tells_of(&info, CODE_ACCESS, "access violation writing 0x0", "!faults_write+"));
        EXPECT(strstr(info.text, "'faults_write' of DLL") != NULL);
        still_works(&f);
    }
    faulty_close(&f);
    return 0;
}
CASE(fault_of_a_dll_is_a_panic_of_proc_calls_caller) { run_tasks(panic_main, 2); }

static int overflow_main(void *arg) {
    faulty f;
    (void)arg;
    if (!faulty_open(&f, PINTLE_DLL_FAULTS_PANIC)) return 1;
    for (unsigned i = 0; i < 10; i++) {
        pintle_error error;
        EXPECT(try_call(f.recurse, 1u << 30, 0) == PINTLE_EFAULT);
        pintle_error_get(&error);
        EXPECT(strstr(error.text, "stack overflow") != NULL);
        still_works(&f); /* as deep as before; and the guard is there again, else the next round ends otherwise */
    }
    faulty_close(&f);
    return 0;
}
static void overflow_task(void *arg) { *(int *)arg = overflow_main(NULL); }
static int overflow_spawn_main(void *arg) {
    pintle_task *task;
    int result = 1;
    (void)arg;
    /* On a thread of the runtime: the first one's stack may be without end. */
    EXPECT(pintle_spawn(&task, overflow_task, &result) == 0);
    EXPECT(pintle_join(task, PINTLE_FOREVER) == 0);
    return result;
}
CASE(stack_overflow_of_a_dll_is_efault_again_and_again) { run_tasks(overflow_spawn_main, 1); }

static int disordered_main(void *arg) {
    faulty f;
    unsigned before, after;
    unsigned short x87_before, x87_after;
    (void)arg;
    if (!faulty_open(&f, PINTLE_DLL_FAULTS_PANIC)) return 1;
    __asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(before), "=m"(x87_before));
    EXPECT(try_call(f.disordered, 0, 0) == PINTLE_EFAULT);
    __asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(after), "=m"(x87_after));
    EXPECT((before & 0xffc0) == (after & 0xffc0) && x87_before == x87_after);
    long double sum = 0; /* the x87 stack is empty: else these are not numbers */
    for (volatile int i = 1; i <= 10; i++) sum += (long double)i;
    EXPECT(sum == 55.0L);
    char text[40];
    memset(text, 7, sizeof text);
    memmove(text + 1, text, 39); /* by the direction flag */
    EXPECT(text[39] == 7);
    faulty_close(&f);
    return 0;
}
CASE(registers_that_a_dll_left_in_disorder_are_as_before) { run_tasks(disordered_main, 1); }

/* ---- Its own handlers ---- */

static int own_handler_main(void *arg) {
    faulty f;
    pintle_result result;
    (void)arg;
    if (!faulty_open(&f, PINTLE_DLL_FAULTS_PANIC)) return 1;
    for (unsigned i = 0; i < 100; i++) {
        EXPECT(pintle_proc_try_call(f.handles, 0, NULL, &result) == 0 && result.r1 == 77);
    }
    still_works(&f);
    faulty_close(&f);
    return 0;
}
CASE(dll_that_handles_its_own_faults_never_sees_ours) { run_tasks(own_handler_main, 2); }
static int own_handler_plain_main(void *arg) {
    faulty f;
    pintle_result result;
    (void)arg;
    if (!faulty_open(&f, 0)) return 1;
    for (unsigned i = 0; i < 100; i++) {
        EXPECT(pintle_proc_try_call(f.handles, 0, NULL, &result) == 0 && result.r1 == 77);
    }
    faulty_close(&f);
    return 0;
}
CASE(dll_opened_without_the_flag_handles_its_own_faults) { run_faulting(own_handler_plain_main, 2); }

/* The end of the thread's stack, in a DLL's code: the DLL's handler is asked first, and goes on. */
static void own_overflow_task(void *arg) {
    faulty f;
    pintle_result result;
    if (!faulty_open(&f, *(unsigned *)arg)) return;
    for (unsigned i = 0; i < 10; i++) {
        EXPECT(pintle_proc_try_call(f.handles_overflow, 0, NULL, &result) == 0 && result.r1 == 77);
        still_works(&f);
    }
    faulty_close(&f);
}
static int own_overflow_main(void *arg) {
    static unsigned flags[] = {0, PINTLE_DLL_FAULTS_PANIC};
    (void)arg;
    for (int i = 0; i < 2; i++) {
        pintle_task *task; /* as in overflow_spawn_main */
        EXPECT(pintle_spawn(&task, own_overflow_task, &flags[i]) == 0);
        EXPECT(pintle_join(task, PINTLE_FOREVER) == 0);
    }
    return 0;
}
CASE(dll_handles_the_end_of_its_stack_itself) { run_tasks(own_overflow_main, 1); }

/* ---- Callbacks ---- */

static faulty *the_faulty, *the_other;
static unsigned inner_faults, callbacks;

static uintptr_t faults_within(void *user, const uintptr_t *args) {
    (void)user;
    callbacks++;
    if (args[0] > 0 && try_call(the_faulty->write, 0, 0) == PINTLE_EFAULT) inner_faults++;
    pintle_yield();
    return 3;
}
static int nested_main(void *arg) {
    faulty f;
    pintle_thunk *thunk;
    pintle_result result;
    uintptr_t words[2];
    (void)arg;
    if (!faulty_open(&f, PINTLE_DLL_FAULTS_PANIC)) return 1;
    the_faulty = &f;
    EXPECT(pintle_thunk_new(&thunk, faults_within, NULL, 1, 0) == 0);
    words[0] = (uintptr_t)pintle_thunk_pointer(thunk);
    for (unsigned i = 0; i < 100; i++) {
        words[1] = 1;
        EXPECT(pintle_proc_try_call(f.apply, 2, words, &result) == 0 && result.r1 == 4); /* the inner one only */
        EXPECT(is_fault(pintle_proc_try_call(f.after, 2, words, NULL), CODE_ACCESS, "writing 0x0", "!faults_write+"));
        words[1] = 0;
        EXPECT(pintle_proc_try_call(f.after, 2, words, NULL) == PINTLE_EFAULT);
    }
    EXPECT(inner_faults == 200 && callbacks == 300);
    still_works(&f);
    EXPECT(pintle_thunk_free(thunk) == 0);
    faulty_close(&f);
    return 0;
}
CASE(faults_inside_callbacks_end_the_innermost_call_only) { run_tasks(nested_main, 2); }

/* A panic of the callback's crosses the DLL, which is caught again at its next call, and only there. */
static uintptr_t panics(void *user, const uintptr_t *args) {
    (void)user;
    (void)args;
    pintle_panic("from the callback");
}
static uintptr_t writes_itself(void *user, const uintptr_t *args) {
    (void)args;
    writes(user);
    return 0;
}
static pintle_thunk *the_thunk;
static void applies(void *arg) {
    uintptr_t words[2] = {(uintptr_t)pintle_thunk_pointer(the_thunk), 0};
    pintle_proc_call(((faulty *)arg)->apply, 2, words);
}
static int crossing_main(void *arg) {
    faulty f;
    pintle_panic_info info;
    (void)arg;
    if (!faulty_open(&f, PINTLE_DLL_FAULTS_PANIC)) return 1;
    EXPECT(pintle_thunk_new(&the_thunk, panics, NULL, 1, 0) == 0);
    for (unsigned i = 0; i < 100; i++) {
        EXPECT(pintle_protect(applies, &f, &info) == PINTLE_EPANIC && strcmp(info.text, "from the callback") == 0);
        EXPECT(try_call(f.write, 0, 0) == PINTLE_EFAULT);
    }
    EXPECT(pintle_thunk_free(the_thunk) == 0);
    /* A fault of the callback's code is the task's. */
    EXPECT(pintle_thunk_new(&the_thunk, writes_itself, NULL, 1, 0) == 0);
    for (unsigned i = 0; i < 100; i++) {
        EXPECT(pintle_protect(applies, &f, &info) == PINTLE_EPANIC);
        EXPECT(tells_of(&info, CODE_ACCESS, "writing 0x0", "writes"));
        EXPECT(strstr(info.text, "of DLL") == NULL);
        EXPECT(try_call(f.write, 0, 0) == PINTLE_EFAULT);
    }
    EXPECT(pintle_thunk_free(the_thunk) == 0);
    still_works(&f);
    faulty_close(&f);
    return 0;
}
CASE(panics_and_faults_of_a_callback_cross_the_dll) { run_faulting(crossing_main, 2); }

/* The DLL calls, through Pintle, another one, whose faults are not caught: they are part of its own call. */
static uintptr_t calls_other(uintptr_t word) {
    try_call(the_other->write, word, 0);
    return 0;
}
static int through_main(void *arg) {
    faulty f, other;
    (void)arg;
    if (!faulty_open(&f, PINTLE_DLL_FAULTS_PANIC)) return 1;
    if (!faulty_open(&other, PINTLE_DLL_PRIVATE_COPY)) return 1;
    the_other = &other;
    for (unsigned i = 0; i < 20; i++) {
        EXPECT(try_call(f.apply, (uintptr_t)calls_other, 0) == PINTLE_EFAULT);
        EXPECT(!pintle_pinned() && calls_in_flight() == 0);
    }
    faulty_close(&other); /* nobody is inside */
    still_works(&f);
    faulty_close(&f);
    return 0;
}
CASE(fault_of_a_dll_called_by_a_dll_ends_both_calls) { run_tasks(through_main, 2); }

/* ---- Pins, processors, threads ---- */

static uintptr_t blocks(uintptr_t word) {
    (void)word;
#if defined(_WIN32)
    Sleep(2);
#else
    usleep(2000);
#endif
    return 0;
}
static int pinned_main(void *arg) {
    faulty f;
    (void)arg;
    if (!faulty_open(&f, PINTLE_DLL_FAULTS_PANIC)) return 1;
    pintle_pin();
    EXPECT(try_call(f.write, 0, 0) == PINTLE_EFAULT);
    EXPECT(pintle_pinned());
    pintle_unpin();
    EXPECT(!pintle_pinned());
    /* The processor is gone when it faults; after some the function is known to block, and is called otherwise. */
    for (unsigned i = 0; i < 20; i++) EXPECT(try_call(f.after, (uintptr_t)blocks, 0) == PINTLE_EFAULT);
    still_works(&f);
    faulty_close(&f);
    return 0;
}
static _Atomic bool hustle;
static void hustler(void *arg) {
    (void)arg;
    while (atomic_load(&hustle)) pintle_yield();
}
static int taken_main(void *arg) {
    pintle_task *task;
    atomic_store(&hustle, true);
    EXPECT(pintle_spawn(&task, hustler, NULL) == 0);
    int result = pinned_main(arg);
    atomic_store(&hustle, false);
    EXPECT(pintle_join(task, PINTLE_FOREVER) == 0);
    return result;
}
CASE(faults_keep_user_pins_and_calls_that_lost_their_processor) { run_tasks(taken_main, 1); }

static int in_call(void *arg) {
    faulty *f = arg;
    for (unsigned i = 0; i < 10; i++) {
        if (try_call(f->write, 0, 0) != PINTLE_EFAULT ||
            !is_fault(PINTLE_EFAULT, CODE_ACCESS, "writing", "faults_write"))
            return 1;
    }
    return try_call(f->divide, 7, 7);
}
static void on_thread(void *arg) { EXPECT(in_call(arg) == 0); }
static int elsewhere_main(void *arg) {
    faulty f;
    helper_thread threads[4];
    (void)arg;
    if (!faulty_open(&f, PINTLE_DLL_FAULTS_PANIC)) return 1;
    EXPECT(pintle_call(in_call, &f) == 0);
    EXPECT(pintle_call_blocking(in_call, &f) == 0);
    for (unsigned i = 0; i < 4; i++) EXPECT(helper_thread_start(&threads[i], on_thread, &f));
    for (unsigned i = 0; i < 4; i++) helper_thread_join(&threads[i]);
    faulty_close(&f);
    return 0;
}
CASE(faults_in_calls_and_on_foreign_threads_are_efault) { run_tasks(elsewhere_main, 2); }

CASE(faults_without_a_runtime_are_efault) {
    faulty f;
    ck_assert(faulty_open(&f, PINTLE_DLL_FAULTS_PANIC));
    on_thread(&f);
    faulty_close(&f);
    assert_nothing_wrong();
}

/* ---- Many ---- */

static void many_task(void *arg) {
    faulty *f = arg;
    size_t before = 0;
    for (unsigned i = 0; i < FAULT_ROUNDS / 2; i++) {
        if (i == FAULT_ROUNDS / 20) before = resources_memory_kb();
        EXPECT(try_call(f->write, 0, 0) == PINTLE_EFAULT);
        if (i % 64 == 0) pintle_yield();
    }
    EXPECT(resources_memory_kb() <= before + 2048 + RESOURCES_KEPT_KB);
}
static int many_main(void *arg) {
    faulty f;
    pintle_task *tasks[2];
    (void)arg;
    if (!faulty_open(&f, PINTLE_DLL_FAULTS_PANIC)) return 1;
    EXPECT(helper_spawn_all(tasks, 2, many_task, &f) == 0);
    EXPECT(helper_join_all(tasks, 2) == 0);
    still_works(&f);
    faulty_close(&f);
    return 0;
}
CASE_TIMEOUT(faults_of_a_dll_100000_times_leave_nothing, 120) {
    resources_quiet();
    run_tasks(many_main, 2);
}
