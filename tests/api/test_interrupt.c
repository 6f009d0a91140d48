/* test_interrupt.c: pintle_call_interruptible: what a cancel does to a foreign call, and to which one. */
#include "api_helpers.h"
#include "api/must.h"

#if defined(_WIN32)
enum { INTERRUPTED = ERROR_OPERATION_ABORTED };
#else
enum { INTERRUPTED = EINTR };
#include <signal.h>
#endif

/* A pipe that nobody writes to but the test. Reading blocks the OS thread; 0, or the system's error. */
typedef struct blocker {
#if defined(_WIN32)
    HANDLE reader, writer;
#else
    int ends[2];
#endif
    pintle_sem inside; /* posted by who is about to read */
    pintle_scope *scope;
    pintle_event go;
    atomic_uint steps;
    int codes[6];
    uint64_t kicks[2];
} blocker;

static bool blocker_init(blocker *b) {
    memset(b, 0, sizeof *b);
#if defined(_WIN32)
    return CreatePipe(&b->reader, &b->writer, NULL, 0);
#else
    return pipe(b->ends) == 0;
#endif
}
static void blocker_destroy(blocker *b) {
#if defined(_WIN32)
    CloseHandle(b->reader);
    CloseHandle(b->writer);
#else
    close(b->ends[0]);
    close(b->ends[1]);
#endif
}
static int read_one(void *arg) {
    blocker *b = arg;
    char byte;
    atomic_fetch_add(&b->steps, 1);
#if defined(_WIN32)
    DWORD got;
    return ReadFile(b->reader, &byte, 1, &got, NULL) ? 0 : (int)GetLastError();
#else
    return read(b->ends[0], &byte, 1) >= 0 ? 0 : errno;
#endif
}
static void write_one(blocker *b) {
#if defined(_WIN32)
    DWORD put;
    MUST(WriteFile(b->writer, "x", 1, &put, NULL));
#else
    MUST(write(b->ends[1], "x", 1) == 1);
#endif
}

static void interrupted_task(void *arg) {
    blocker *b = arg;
    b->codes[0] = pintle_call_interruptible(read_one, b);
    b->codes[1] = pintle_call_interruptible(read_one, b); /* cancelled before: interrupted all the same */
}
static int interrupt_main(void *arg) {
    blocker *b = arg;
    pintle_stats stats;
    MUST(pintle_scope_open(&b->scope, PINTLE_FOREVER) == 0);
    MUST(pintle_scope_spawn(b->scope, interrupted_task, b) == 0);
    while (atomic_load(&b->steps) == 0) pintle_yield();
    pintle_scope_cancel(b->scope);
    MUST(pintle_scope_close(b->scope) == 0);
    pintle_stats_get(&stats);
    b->kicks[0] = stats.kicks;
    MUST(stats.calls_in_flight == 0);
    return 0;
}
static void assert_interrupted(pintle_main_fn *main_task) {
    for (unsigned processors = 1; processors <= 2; processors++) {
        blocker b;
        ck_assert(blocker_init(&b));
        ck_assert_int_eq(helper_run(main_task, &b, processors), 0);
        ck_assert_int_eq(b.codes[0], INTERRUPTED);
        ck_assert_int_eq(b.codes[1], INTERRUPTED);
        ck_assert_uint_ge(b.kicks[0], 2);
        blocker_destroy(&b);
    }
    ASSERT_ALL_MUST();
}
CASE(interruptible_call_ends_when_its_scope_is_canceled) { assert_interrupted(interrupt_main); }

static int interrupt_deadline_main(void *arg) {
    blocker *b = arg;
    pintle_stats stats;
    MUST(pintle_scope_open(&b->scope, pintle_after(PINTLE_MS(5))) == 0);
    MUST(pintle_scope_spawn(b->scope, interrupted_task, b) == 0);
    MUST(pintle_scope_close(b->scope) == PINTLE_ETIMEDOUT);
    pintle_stats_get(&stats);
    b->kicks[0] = stats.kicks;
    return 0;
}
CASE(interruptible_call_ends_at_its_scopes_deadline) { assert_interrupted(interrupt_deadline_main); }

static int interrupt_one_main(void *arg) {
    blocker *b = arg;
    pintle_task *task;
    pintle_stats stats;
    pintle_task_options options = {.size = sizeof options, .pinned = true};
    MUST(pintle_spawn_with(&task, interrupted_task, b, &options) == 0);
    while (atomic_load(&b->steps) == 0) pintle_yield();
    pintle_task_cancel(task);
    MUST(pintle_join(task, PINTLE_FOREVER) == 0);
    pintle_stats_get(&stats);
    b->kicks[0] = stats.kicks;
    return 0;
}
CASE(interruptible_call_of_a_pinned_task_ends_when_that_is_canceled) { assert_interrupted(interrupt_one_main); }

static int left_at_the_end(void *arg) {
    blocker *b = arg;
    MUST(pintle_spawn(NULL, interrupted_task, b) == 0);
    while (atomic_load(&b->steps) == 0) pintle_yield();
    b->kicks[0] = 2;
    return 0;
}
CASE(interruptible_call_ends_with_the_run) { assert_interrupted(left_at_the_end); }

/* ---- What is not interrupted ---- */

static void plain_task(void *arg) {
    blocker *b = arg;
    b->codes[0] = pintle_call_interruptible(helper_return_at_once, NULL);
    b->codes[1] = pintle_call(read_one, b);
    b->codes[2] = pintle_call_blocking(read_one, b);
    pintle_cancel_mask();
    b->codes[3] = pintle_call_interruptible(read_one, b);
    pintle_cancel_unmask();
    atomic_fetch_add(&b->steps, 1);
}
static int plain_main(void *arg) {
    blocker *b = arg;
    pintle_task *task;
    MUST(pintle_spawn(&task, plain_task, b) == 0);
    for (unsigned i = 1; i <= 3; i++) {
        while (atomic_load(&b->steps) < i) pintle_yield();
        pintle_task_cancel(task);
        MUST(pintle_join(task, pintle_after(PINTLE_MS(20))) == PINTLE_ETIMEDOUT);
        write_one(b);
    }
    MUST(pintle_join(task, PINTLE_FOREVER) == 0);
    return 0;
}
CASE(interrupts_reach_only_calls_that_asked_for_it) {
    for (unsigned processors = 1; processors <= 2; processors++) {
        blocker b;
        ck_assert(blocker_init(&b));
        ck_assert_int_eq(helper_run(plain_main, &b, processors), 0);
        for (int i = 1; i <= 3; i++) ck_assert_int_eq(b.codes[i], 0);
        blocker_destroy(&b);
    }
    ASSERT_ALL_MUST();
}

/* A callback of an interruptible call: what it calls is not meant, and afterwards the call is again. */
static void in_callback(void *arg) {
    blocker *b = arg;
    b->codes[1] = pintle_call(read_one, b);
    b->codes[2] = pintle_sleep(PINTLE_MS(1)); /* but waits end: the task is cancelled */
}
static int calls_back(void *arg) {
    blocker *b = arg;
    MUST(pintle_callback(in_callback, b) == 0);
    return read_one(b);
}
static void callback_task(void *arg) {
    blocker *b = arg;
    b->codes[0] = pintle_call_interruptible(calls_back, b);
}
static int callback_main(void *arg) {
    blocker *b = arg;
    pintle_task *task;
    MUST(pintle_spawn(&task, callback_task, b) == 0);
    while (atomic_load(&b->steps) < 1) pintle_yield();
    pintle_task_cancel(task);
    MUST(pintle_join(task, pintle_after(PINTLE_MS(20))) == PINTLE_ETIMEDOUT);
    write_one(b);
    MUST(pintle_join(task, PINTLE_FOREVER) == 0);
    return 0;
}
/* The same with an interruptible one inside, and a panic that discards both, and the calls that come after it. */
static void nested_callback(void *arg) {
    blocker *b = arg;
    b->codes[5] = pintle_call_interruptible(read_one, b);
    b->codes[2] = pintle_call_interruptible(calls_back, b);
    pintle_panic("enough");
}
static int calls_back_nested(void *arg) {
    MUST(pintle_callback(nested_callback, arg) == 0);
    return -1;
}
static void do_nothing(void *arg) { (void)arg; }
static int calls_back_after(void *arg) {
    MUST(pintle_callback(do_nothing, arg) == 0);
    return read_one(arg);
}
static void nested_body(void *arg) { pintle_call_interruptible(calls_back_nested, arg); }
static void nested_task(void *arg) {
    blocker *b = arg;
    b->codes[0] = pintle_protect(nested_body, b, NULL);
    b->codes[3] = pintle_call_blocking(calls_back_after, b); /* at the depth of the one that was discarded */
    b->codes[4] = pintle_call_interruptible(calls_back_after, b);
}
static int nested_main(void *arg) {
    blocker *b = arg;
    pintle_task *task;
    MUST(pintle_spawn(&task, nested_task, b) == 0);
    while (atomic_load(&b->steps) < 1) pintle_yield();
    pintle_task_cancel(task);
    for (unsigned step = 2; step <= 4; step += 2) { /* in_callback's read, and the one after the panic */
        while (atomic_load(&b->steps) < step) pintle_yield();
        MUST(pintle_join(task, pintle_after(PINTLE_MS(20))) == PINTLE_ETIMEDOUT);
        write_one(b);
    }
    MUST(pintle_join(task, PINTLE_FOREVER) == 0);
    return 0;
}
static void assert_callbacks(pintle_main_fn *main_task, const int codes[6]) {
    for (unsigned processors = 1; processors <= 2; processors++) {
        blocker b;
        ck_assert(blocker_init(&b));
        ck_assert_int_eq(helper_run(main_task, &b, processors), 0);
        for (int i = 0; i < 6; i++) ck_assert_msg(b.codes[i] == codes[i], "code %d is %d", i, b.codes[i]);
        blocker_destroy(&b);
    }
    ASSERT_ALL_MUST();
}
CASE(interrupts_spare_the_calls_in_a_callback_and_reach_the_call_again) {
    assert_callbacks(callback_main, (const int[]){INTERRUPTED, 0, PINTLE_ECANCELED, 0, 0, 0});
}
CASE(interrupts_know_nested_calls_and_those_that_a_panic_has_discarded) {
    assert_callbacks(nested_main, (const int[]){PINTLE_EPANIC, 0, INTERRUPTED, 0, INTERRUPTED, INTERRUPTED});
}

static void direct_thread(void *arg) { *(int *)arg = pintle_call_interruptible(helper_return_at_once, NULL); }
CASE(interruptible_call_without_a_task_just_calls) {
    helper_thread thread;
    int value = -1, here = pintle_call_interruptible(helper_return_at_once, NULL);
    ck_assert(helper_thread_start(&thread, direct_thread, &value));
    helper_thread_join(&thread);
    ck_assert_int_eq(here, 0);
    ck_assert_int_eq(value, 0);
}
