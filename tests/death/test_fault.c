/* test_fault.c: faults that nobody handles: the process ends as the system ends one, with a report that names the fault, the
 * task, who spawned it and the calls it is inside; or, where they are to be panics, with status 2. */
#include "api/api_helpers.h"

#if defined(_WIN32)
enum { ACCESS = (int)0xC0000005, DIVIDE = (int)0xC0000094, ILLEGAL = (int)0xC000001D, STACK_ENDS = (int)0xC00000FD };
#else
#include <signal.h>
enum { ACCESS = SIGSEGV, DIVIDE = SIGFPE, ILLEGAL = SIGILL, STACK_ENDS = SIGSEGV };
#endif

/* The sanitizers would find the faults first. */
#define NOT_INLINED __attribute__((noinline, no_sanitize("address", "thread", "undefined")))

static void assert_words(const char *child, const char *text, const char *const *words, size_t count) {
    const char *at = text;
    for (size_t i = 0; i < count; i++) { /* in this order */
        const char *found = strstr(at, words[i]);
        ck_assert_msg(found != NULL, "%s: no \"%s\" (then) in:\n%s", child, words[i], text);
        at = found + strlen(words[i]);
    }
    ck_assert_msg(strstr(text, "survived") == NULL, "%s went on:\n%s", child, text);
}

/* The child ends by that fault, told once. */
static void assert_fault(const char *child, int code, const char *const *words, size_t count) {
    static char text[65536];
    int status = child_run(child, text, sizeof text);
#if defined(_WIN32)
    ck_assert_msg((status & 0xFF) == (code & 0xFF), "%s ended with %d:\n%s", child, status,
                  text); /* Wine: the low byte */
#elif defined(PINTLE_SANITIZE)
    (void)code;
    ck_assert_msg(status != 0 && status != 2, "%s ended with %d:\n%s", child, status,
                  text); /* it has a handler of its own */
    return;
#else
    ck_assert_msg(status == 128 + code, "%s ended with %d:\n%s", child, status, text);
#endif
    assert_words(child, text, words, count);
    const char *first = strstr(text, "pintle: fault");
    ck_assert_msg(strstr(first + 1, "pintle: fault") == NULL, "%s: told twice:\n%s", child, text);
}
#define ASSERT_FAULT(child, code, ...) \
    do { \
        const char *const expected_words[] = {__VA_ARGS__}; \
        assert_fault(child, code, expected_words, ELEMENTS(expected_words)); \
    } while (0)

static void assert_panic(const char *child, const char *const *words, size_t count) {
    static char text[65536];
    int status = child_run(child, text, sizeof text);
    ck_assert_msg(status == 2, "%s ended with %d:\n%s", child, status, text);
    assert_words(child, text, words, count);
}
#define ASSERT_PANIC(child, ...) \
    do { \
        const char *const expected_words[] = {__VA_ARGS__}; \
        assert_panic(child, expected_words, ELEMENTS(expected_words)); \
    } while (0)

/* ---- A task named "clumsy" that does it ---- */

struct run {
    pintle_fn *fn;
    unsigned flags;
    bool detached;
};
static int spawner(void *arg) {
    struct run *run = arg;
    pintle_task *task;
    pintle_task_options options = {.size = sizeof options, .name = "clumsy"};
    if (pintle_spawn_with(run->detached ? NULL : &task, run->fn, NULL, &options) != 0) return 90;
    if (!run->detached) pintle_join(task, PINTLE_FOREVER);
    while (run->detached && pintle_sleep(PINTLE_S(1)) == 0) {}
    printf("survived\n");
    return 91;
}
static void run_with(pintle_fn *fn, unsigned flags, bool detached) {
    struct run run = {fn, flags, detached};
    pintle_options options = helper_processors(1);
    options.flags = flags;
    exit(pintle_run(spawner, &run, &options));
}
static void run_plain(pintle_fn *fn) { run_with(fn, 0, false); }

static volatile int zero;
NOT_INLINED static void writes(void *where) { *(volatile int *)where = 1; }
NOT_INLINED static void divides(void *arg) { *(volatile int *)&zero = 7 / zero + (arg != NULL); }
NOT_INLINED static void is_illegal(void *arg) {
    (void)arg;
    __builtin_trap();
}
NOT_INLINED static int writes_in_call(void *arg) {
    *(volatile int *)arg = 1;
    return 0;
}
static void in_task(void *arg) {
    pintle_yield();
    writes(arg);
    printf("survived\n");
}
CHILD(in_task) { run_plain(in_task); }
CASE(fault_in_a_task_is_told_and_ends_the_process) {
    ASSERT_FAULT("in_task", ACCESS, "fault: access violation writing 0x0 at ", "!writes+", "'clumsy'", "spawned from ",
                 "!spawner+", "!writes+", "!in_task+", "!task_main+");
}
CHILD(divide) { run_plain(divides); }
CASE(division_by_zero_is_told) { ASSERT_FAULT("divide", DIVIDE, "integer division by zero", "!divides+", "'clumsy'"); }
CHILD(illegal) { run_plain(is_illegal); }
CASE(illegal_instruction_is_told) {
    ASSERT_FAULT("illegal", ILLEGAL, "illegal instruction", "!is_illegal+", "'clumsy'");
}

NOT_INLINED static void jumps_nowhere(void *arg) {
    ((void (*)(void))arg)();
    printf("survived\n");
}
CHILD(jump) { run_plain(jumps_nowhere); }
CASE(call_of_null_is_told_with_the_caller) {
    ASSERT_FAULT("jump", ACCESS, "running 0x0", "'clumsy'", "!jumps_nowhere+");
}

/* ---- In calls ---- */

static void in_call(void *arg) {
    pintle_call(writes_in_call, arg);
    printf("survived\n");
}
CHILD(in_call) { run_plain(in_call); }
CASE(fault_in_a_call_is_told_as_such) {
    ASSERT_FAULT("in_call", ACCESS, "writing 0x0", "'clumsy'", "in a foreign call", "inside a call of ",
                 "!writes_in_call+0x0");
}
static void in_blocking_call(void *arg) {
    pintle_call_blocking(writes_in_call, arg);
    printf("survived\n");
}
CHILD(in_blocking_call) { run_plain(in_blocking_call); }
CASE(fault_in_a_blocking_call_is_told_as_such) {
    ASSERT_FAULT("in_blocking_call", ACCESS, "writing 0x0", "'clumsy'", "inside a call of ", "!writes_in_call+0x0");
}

static void call_of_dll(const char *name, uintptr_t word, unsigned flags) {
    pintle_dll *dll;
    pintle_proc *proc;
    if (pintle_dll_open(&dll, test_dll_path("faults"), flags) != 0 || pintle_dll_find(dll, name, &proc) != 0) exit(92);
    pintle_proc_call(proc, 1, &word);
    printf("survived\n");
}
static void in_dll(void *arg) { call_of_dll("faults_write", (uintptr_t)arg, 0); }
CHILD(in_dll) { run_plain(in_dll); }
CASE(fault_in_a_dll_names_dll_and_function) {
    ASSERT_FAULT("in_dll", ACCESS, "writing 0x0 at faults.", "!faults_write+", "'clumsy'", "inside a call of faults.",
                 "!faults_write+0x0");
}
CHILD(in_dll_panics) { run_with(in_dll, PINTLE_FAULTS_PANIC, false); }
CASE(fault_in_a_dll_is_no_panic_of_the_task) {
    ASSERT_FAULT("in_dll_panics", ACCESS, "fault: ", "writing 0x0 at faults.", "'clumsy'", "inside a call of faults.");
}

static void called_back(void *arg) {
    writes(arg);
    printf("survived\n");
}
static int calls_back(void *arg) { return pintle_callback(called_back, arg); }
static void in_callback(void *arg) { pintle_call(calls_back, arg); }
CHILD(in_callback) { run_plain(in_callback); }
CASE(fault_in_a_callback_names_the_call_it_is_inside) {
    ASSERT_FAULT("in_callback", ACCESS, "writing 0x0", "!writes+", "'clumsy'", "!called_back+", "inside a call of ",
                 "!calls_back+0x0");
}

/* Faults of a DLL are caught, but not what its callback calls: that is no call of the DLL's. */
static uintptr_t calls_in_thunk(void *user, const uintptr_t *args) {
    (void)args;
    pintle_call(writes_in_call, user);
    printf("survived\n");
    return 0;
}
static void in_callback_of_caught_dll(void *arg) {
    pintle_dll *dll;
    pintle_proc *apply;
    pintle_thunk *thunk;
    uintptr_t words[2] = {0, 0};
    if (pintle_dll_open(&dll, test_dll_path("faults"), PINTLE_DLL_FAULTS_PANIC) != 0 ||
        pintle_dll_find(dll, "faults_apply", &apply) != 0 || pintle_thunk_new(&thunk, calls_in_thunk, arg, 1, 0) != 0)
        exit(92);
    words[0] = (uintptr_t)pintle_thunk_pointer(thunk);
    pintle_proc_try_call(apply, 2, words, NULL);
    printf("survived\n");
}
CHILD(in_callback_of_caught_dll) { run_plain(in_callback_of_caught_dll); }
CASE(fault_in_a_call_of_a_callback_is_not_caught_with_the_dll) {
    ASSERT_FAULT("in_callback_of_caught_dll", ACCESS, "fault: access violation writing 0x0", "'clumsy'",
                 "inside a call of ", "!writes_in_call+0x0", "inside a call of faults.", "!faults_apply+0x0");
}

/* ---- The stack ends ---- */

NOT_INLINED static unsigned recurse_for_ever(unsigned depth) {
    volatile unsigned char frame[512];
    frame[0] = (unsigned char)depth;
    if (depth == 0) return 0;
    return recurse_for_ever(depth + 1) + frame[0];
}
static void overflows(void *arg) {
    (void)arg;
    printf("%u\n", recurse_for_ever(1));
    printf("survived\n");
}
CHILD(overflow) { run_plain(overflows); }
CASE(stack_overflow_of_a_task_names_it_and_who_spawned_it) {
    ASSERT_FAULT("overflow", STACK_ENDS, "fault: stack overflow", "'clumsy'", "spawned from ", "!spawner+",
                 "!recurse_for_ever+", " times more");
}
CHILD(overflow_panics) { run_with(overflows, PINTLE_FAULTS_PANIC, false); }
CASE(stack_overflow_of_a_task_is_no_panic) {
    ASSERT_FAULT("overflow_panics", STACK_ENDS, "fault: stack overflow", "'clumsy'");
}

static int overflow_among_neighbours(void *arg) {
    pintle_task *neighbours[4], *task;
    (void)arg;
    helper_spawn_all(neighbours, 4, overflows, NULL); /* so that there is memory of others below */
    if (pintle_spawn(&task, overflows, NULL) != 0) return 90;
    pintle_join(task, PINTLE_FOREVER);
    return 91;
}
CHILD(overflow_among_neighbours) { exit(helper_run(overflow_among_neighbours, NULL, 1)); }
CASE(stack_overflow_among_neighbours_is_told) {
    ASSERT_FAULT("overflow_among_neighbours", STACK_ENDS, "fault: stack overflow", "task ", "spawned from ");
}

static void overflows_in_callback(void *arg) { overflows(arg); }
static int calls_back_to_overflow(void *arg) { return pintle_callback(overflows_in_callback, arg); }
static void overflow_in_callback(void *arg) { pintle_call(calls_back_to_overflow, arg); }
CHILD(overflow_in_callback) { run_plain(overflow_in_callback); }
CASE(stack_overflow_in_a_callback_is_told) {
    ASSERT_FAULT("overflow_in_callback", STACK_ENDS, "fault: stack overflow", "'clumsy'", "inside a call of ",
                 "!calls_back_to_overflow+0x0");
}

/* On the thread's own stack, by a DLL: on a thread of the runtime's, the first one's stack may have no end. */
static void overflows_in_dll(void *arg) {
    (void)arg;
    call_of_dll("faults_recurse", 1u << 30, 0);
}
CHILD(overflow_in_dll) { run_plain(overflows_in_dll); }
CASE(stack_overflow_in_a_dll_is_told_as_inside_its_call) {
    ASSERT_FAULT("overflow_in_dll", STACK_ENDS, "fault: stack overflow", "at faults.", "'clumsy'", "in a foreign call",
                 "inside a call of faults.", "!faults_recurse+0x0");
}

/* ---- As panics that nobody stops ---- */

CHILD(panic) { run_with(in_task, PINTLE_FAULTS_PANIC, true); }
CASE(fault_that_is_a_panic_nobody_stops_ends_with_2) {
    ASSERT_PANIC("panic", "panic: access violation writing 0x0", "!writes+", "'clumsy'", "!writes+", "!in_task+");
}
static void fault_in_deferred(void *arg) { writes(arg); }
static void panics_and_faults(void *arg) {
    pintle_defer(fault_in_deferred, arg);
    pintle_panic("first of all");
}
CHILD(panic_chain) { run_with(panics_and_faults, PINTLE_FAULTS_PANIC, true); }
CASE(fault_in_a_deferred_function_is_told_with_the_panic_before) {
    ASSERT_PANIC("panic_chain", "panic: access violation writing 0x0", "after the panic: first of all");
}
static void in_caught_dll(void *arg) { call_of_dll("faults_write", (uintptr_t)arg, PINTLE_DLL_FAULTS_PANIC); }
CHILD(panic_of_dll) { run_with(in_caught_dll, 0, true); }
CASE(fault_of_a_dll_that_is_a_panic_nobody_stops_ends_with_2) {
    ASSERT_PANIC("panic_of_dll", "panic: 'faults_write' of DLL", "writing 0x0 at faults.", "'clumsy'",
                 "!faults_write+");
}
static void on_foreign_thread(void *arg) { in_caught_dll(arg); }
CHILD(panic_on_thread) {
    helper_thread thread;
    pintle_start(NULL);
    helper_thread_start(&thread, on_foreign_thread, NULL);
    helper_thread_join(&thread);
    printf("survived\n");
}
CASE(fault_of_a_dll_called_by_proc_call_on_a_foreign_thread_ends_with_2) {
    ASSERT_PANIC("panic_on_thread", "panic: 'faults_write' of DLL", "writing 0x0 at faults.");
}

/* ---- Where reports go; library mode ---- */

static void to_standard_output(void *user, int kind, const char *text) {
    (void)user;
    printf("hook kind %d: %s\n", kind, text);
    fflush(stdout);
}
CHILD(hook) {
    struct run run = {in_task, 0, false};
    pintle_options options = helper_processors(1);
    options.on_report = to_standard_output;
    exit(pintle_run(spawner, &run, &options));
}
CASE(report_of_a_fault_goes_to_the_hook) {
    ASSERT_FAULT("hook", ACCESS, "hook kind 5: pintle: fault: access violation", "'clumsy'");
}

static void library(pintle_fn *fn, unsigned flags) {
    pintle_options options = helper_processors(1);
    pintle_task_options named = {.size = sizeof named, .name = "clumsy"};
    pintle_task *task;
    options.flags = flags;
    if (pintle_start(&options) != 0 || pintle_spawn_with(&task, fn, NULL, &named) != 0) exit(90);
    pintle_join(task, PINTLE_FOREVER);
    printf("survived\n");
}
CHILD(library) { library(in_task, PINTLE_FAULTS_REPORT); }
CASE(fault_in_library_mode_is_told_where_that_was_asked_for) {
    ASSERT_FAULT("library", ACCESS, "fault: access violation", "'clumsy'");
}
CHILD(library_overflow) { library(overflows, PINTLE_FAULTS_REPORT); }
CASE(stack_overflow_in_library_mode_is_told_where_that_was_asked_for) {
    ASSERT_FAULT("library_overflow", STACK_ENDS, "fault: stack overflow", "'clumsy'");
}
