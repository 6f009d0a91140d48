/* test_fault_posix.c: C++ exceptions without a C++ compiler; signals, and the handlers and the signal stacks of a host. */
#include "api/fault_helpers.h"

#include <setjmp.h>

static int thrown_main(void *arg) {
    faulty f;
    pintle_proc *throw_it, *in_flight;
    (void)arg;
    if (!faulty_open(&f, PINTLE_DLL_FAULTS_PANIC)) return 1;
    EXPECT(pintle_dll_find(f.dll, "faults_throw", &throw_it) == 0);
    EXPECT(pintle_dll_find(f.dll, "faults_in_flight", &in_flight) == 0);
    for (unsigned i = 0; i < 100; i++) {
        EXPECT(is_fault(try_call(throw_it, 5, 0), SIGABRT, "C++ exception", "!faults_throw+"));
        EXPECT(pintle_proc_call(in_flight, 0, NULL).r1 == 0);
        still_works(&f);
    }
    faulty_close(&f);
    return 0;
}
CASE(cxx_exception_that_a_dll_throws_is_efault) { run_tasks(thrown_main, 2); }

/* ---- Handlers ---- */

static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};

static void get_all(struct sigaction out[4]) {
    for (int i = 0; i < 4; i++) sigaction(signals[i], NULL, &out[i]);
}
static bool are_same(const struct sigaction a[4], const struct sigaction b[4]) {
    for (int i = 0; i < 4; i++) {
        if (a[i].sa_sigaction != b[i].sa_sigaction || (a[i].sa_flags & SA_SIGINFO) != (b[i].sa_flags & SA_SIGINFO))
            return false;
    }
    return true;
}

static struct sigaction before[4], during[4], after[4];
static int look_main(void *arg) {
    (void)arg;
    get_all(during);
    return 0;
}
CASE(handlers_are_there_while_pintle_run_runs_and_given_back) {
    get_all(before);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(helper_run(look_main, NULL, 1), 0);
        ck_assert(!are_same(before, during));
        get_all(after);
        ck_assert(are_same(before, after));
    }
}

static void look_task(void *arg) { look_main(arg); }
CASE(library_leaves_the_hosts_signals_alone_unless_asked) {
    pintle_options options = helper_processors(1);
    get_all(before);
    ck_assert_int_eq(pintle_start(&options), 0);
    ck_assert_int_eq(pintle_enter(look_task, NULL), 0);
    ck_assert(are_same(before, during));
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    const unsigned flags[] = {PINTLE_FAULTS_PANIC, PINTLE_FAULTS_REPORT};
    for (int i = 0; i < 2; i++) {
        options.flags = flags[i];
        ck_assert_int_eq(pintle_start(&options), 0);
        ck_assert_int_eq(pintle_enter(look_task, NULL), 0);
        ck_assert(!are_same(before, during));
        ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
        get_all(after);
        ck_assert(are_same(before, after));
    }
}

CASE(dll_whose_faults_are_caught_has_handlers_as_long_as_it_is_open) {
    faulty one, two;
    get_all(before);
    ck_assert(faulty_open(&one, PINTLE_DLL_FAULTS_PANIC));
    ck_assert(faulty_open(&two, PINTLE_DLL_FAULTS_PANIC));
    ck_assert_int_eq(helper_run(look_main, NULL, 1), 0);
    faulty_close(&one);
    ck_assert_int_eq(try_call(two.write, 0, 0), PINTLE_EFAULT);
    get_all(during);
    ck_assert(!are_same(before, during));
    faulty_close(&two);
    get_all(after);
    ck_assert(are_same(before, after));
    assert_nothing_wrong();
}

/* ---- A host's own handler, registered before us or after ---- */

static sigjmp_buf host_back;
static _Atomic unsigned host_faults;
static void host_handler(int number, siginfo_t *info, void *context) {
    (void)info;
    (void)context;
    atomic_fetch_add(&host_faults, 1);
    siglongjmp(host_back, number);
}
static void host_install(struct sigaction *out_before) {
    struct sigaction ours = {.sa_sigaction = host_handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    for (int i = 0; i < 4; i++) sigaction(signals[i], &ours, &out_before[i]);
}
static void host_remove(const struct sigaction *to) {
    for (int i = 0; i < 4; i++) sigaction(signals[i], &to[i], NULL);
}
/* On a thread of the host's. */
static bool host_survives(void) {
    unsigned faults = atomic_load(&host_faults);
    if (sigsetjmp(host_back, 1) == 0) writes(NULL);
    return atomic_load(&host_faults) == faults + 1;
}
static void host_thread(void *arg) { *(bool *)arg = host_survives(); }

static void protects(void *arg) {
    pintle_panic_info info;
    (void)arg;
    for (int i = 0; i < 10; i++) {
        EXPECT(pintle_protect(writes, NULL, &info) == PINTLE_EPANIC);
        EXPECT(tells_of(&info, CODE_ACCESS, "writing 0x0", "writes"));
    }
}
CASE(host_that_registered_before_gets_its_own_faults_and_no_task_s) {
    pintle_options options = faults_panic_options(1);
    bool survived = false;
    helper_thread thread;
    host_install(before);
    ck_assert_int_eq(pintle_start(&options), 0);
    ck_assert(host_survives());
    ck_assert(helper_thread_start(&thread, host_thread, &survived));
    helper_thread_join(&thread);
    ck_assert(survived);
    ck_assert_int_eq(pintle_enter(protects, NULL), 0);
    ck_assert_uint_eq(atomic_load(&host_faults), 2);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    ck_assert(host_survives());
    get_all(after);
    ck_assert_ptr_eq((void *)after[0].sa_sigaction, (void *)host_handler);
    host_remove(before);
    assert_nothing_wrong();
}

CASE(host_that_registered_after_gets_its_faults_and_keeps_its_handler) {
    pintle_options options = faults_panic_options(1);
    get_all(before);
    ck_assert_int_eq(pintle_start(&options), 0);
    host_install(during); /* ours */
    ck_assert(host_survives());
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    ck_assert(host_survives());
    get_all(after);
    ck_assert_ptr_eq((void *)after[0].sa_sigaction, (void *)host_handler); /* not taken away with ours */
    /* A second start does not go above one that may pass on to ours: that would be a circle. */
    ck_assert_int_eq(pintle_start(&options), 0);
    ck_assert(host_survives());
    host_remove(during);
    ck_assert_int_eq(pintle_enter(protects, NULL), 0); /* ours are first again */
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    get_all(after);
    ck_assert(are_same(before, after));
    assert_nothing_wrong();
}

/* One that passes on to who was there before, as a crash reporter does. */
static struct sigaction passed_to[4];
static _Atomic unsigned passed;
static void passes_on(int number, siginfo_t *info, void *context) {
    atomic_fetch_add(&passed, 1);
    for (int i = 0; i < 4; i++) {
        if (signals[i] == number) passed_to[i].sa_sigaction(number, info, context);
    }
}
CASE(host_that_passes_on_to_ours_lets_a_task_s_fault_be_a_panic) {
    pintle_options options = faults_panic_options(1);
    struct sigaction passing = {.sa_sigaction = passes_on, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    ck_assert_int_eq(pintle_start(&options), 0);
    for (int i = 0; i < 4; i++) sigaction(signals[i], &passing, &passed_to[i]);
    ck_assert_int_eq(pintle_enter(protects, NULL), 0);
    ck_assert_uint_eq(atomic_load(&passed), 10);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    ck_assert_int_eq(pintle_start(&options), 0);
    ck_assert_int_eq(pintle_enter(protects, NULL), 0);
    ck_assert_uint_eq(atomic_load(&passed), 20);
    host_remove(passed_to);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    assert_nothing_wrong();
}

/* A signal that somebody sends is no fault. */
static int sent_main(void *arg) {
    (void)arg;
    for (int i = 0; i < 4; i++) {
        if (sigsetjmp(host_back, 1) == 0) raise(signals[i]);
    }
    return 0;
}
CASE(signals_that_are_sent_go_to_the_hosts_handler) {
    host_install(before);
    atomic_store(&host_faults, 0);
    run_faulting(sent_main, 1);
    ck_assert_uint_eq(atomic_load(&host_faults), 4);
    host_remove(before);
}

/* A fault of foreign code, in a call, that the host's handler knows what to do with. */
static int faults_in_call(void *arg) {
    (void)arg;
    return host_survives() ? 7 : 0;
}
static int foreign_main(void *arg) {
    for (int i = 0; i < 10; i++) EXPECT(pintle_call(faults_in_call, arg) == 7);
    return 0;
}
CASE(fault_of_foreign_code_goes_to_the_handler_that_was_there_before) {
    host_install(before);
    run_tasks(foreign_main, 1);
    host_remove(before);
}

/* ---- Children: what ends the process ---- */

/* As crash reporters do: note it, put the default back, return. */
static void reporter(int number) {
    write(STDOUT_FILENO, "reporter\n", 9);
    signal(number, SIG_DFL);
}
static int crash_main(void *arg) {
    (void)arg;
    writes(NULL);
    return 0;
}
static int crash_in_call(void *arg) {
    (void)arg;
    writes(NULL);
    return 0;
}
static int crash_in_call_main(void *arg) { return pintle_call(crash_in_call, arg); }
CHILD(reporter_task) {
    signal(SIGSEGV, reporter);
    exit(helper_run(crash_main, NULL, 1));
}
CHILD(reporter_call) {
    signal(SIGSEGV, reporter);
    exit(helper_run(crash_in_call_main, NULL, 1));
}
static void assert_killed(const char *child, int number, const char *first, const char *second) {
    static char text[65536];
    int status = child_run(child, text, sizeof text);
    ck_assert_msg(status == 128 + number, "%s ended with %d:\n%s", child, status, text);
    const char *at = strstr(text, first);
    ck_assert_msg(at != NULL && (second == NULL || strstr(at, second) != NULL), "%s: no %s, %s in:\n%s", child, first,
                  second, text);
}
CASE(crash_reporter_of_the_host_is_asked_first_then_we_tell) {
    assert_killed("reporter_task", SIGSEGV, "reporter\n", "pintle: fault: access violation");
    assert_killed("reporter_call", SIGSEGV, "reporter\n", "inside a call of ");
}

CHILD(sent) {
    pintle_options options = faults_panic_options(1);
    pintle_start(&options);
    raise(SIGFPE);
    exit(3);
}
static void faults_on_thread(void *arg) { writes(arg); }
CHILD(on_host_thread) {
    pintle_options options = faults_panic_options(1);
    helper_thread thread;
    pintle_start(&options);
    helper_thread_start(&thread, faults_on_thread, NULL);
    helper_thread_join(&thread);
    exit(3);
}
CASE(what_is_not_ours_ends_the_process_without_a_word) {
    static char text[65536];
#if defined(PINTLE_SANITIZE)
    const bool tells_itself = true;
#else
    const bool tells_itself = false;
#endif
    int status = child_run("sent", text, sizeof text);
    ck_assert(tells_itself ? status != 3 : status == 128 + SIGFPE && text[0] == '\0');
    ck_assert_ptr_null(strstr(text, "pintle: fault"));
    status = child_run("on_host_thread", text, sizeof text);
    ck_assert(tells_itself ? status != 3 : status == 128 + SIGSEGV && text[0] == '\0');
    ck_assert_ptr_null(strstr(text, "pintle: fault"));
}

/* ---- The stacks of signals ---- */

static stack_t stack_of_signals(void) {
    stack_t stack;
    sigaltstack(NULL, &stack);
    return stack;
}
static bool has_stack(void) { return (stack_of_signals().ss_flags & SS_DISABLE) == 0; }
static bool is_stack(const stack_t *other) {
    stack_t now = stack_of_signals();
    return now.ss_flags == other->ss_flags && ((now.ss_flags & SS_DISABLE) != 0 || now.ss_sp == other->ss_sp);
}

static int inside_main(void *arg) {
    (void)arg;
    EXPECT(has_stack());
    return 0;
}
static void in_callback(void *arg) {
    if (has_stack()) atomic_fetch_add((atomic_uint *)arg, 1);
}
static void attached(void *arg) {
    stack_t stack = stack_of_signals();
    for (int i = 0; i < 3; i++) {
        if (pintle_callback(in_callback, arg) == 0 && is_stack(&stack)) atomic_fetch_add((atomic_uint *)arg, 10);
    }
}
/* With a small one of its own, on which no report could be made, and a large one. */
static void faults_in_callback(void *arg) {
    in_callback(arg);
    writes(NULL);
}
static void attached_with_own(void *arg) {
    static char own[1 << 18];
    stack_t stack = stack_of_signals();
    const size_t sizes[] = {8192, sizeof own};
    for (int i = 0; i < 2; i++) {
        stack_t mine = {.ss_sp = own + sizeof own - sizes[i], .ss_size = sizes[i]}, now;
        memset(own, 7, sizeof own);
        sigaltstack(&mine, NULL);
        int code = pintle_callback(faults_in_callback, arg);
        now = stack_of_signals();
        if (code == PINTLE_EPANIC && now.ss_sp == mine.ss_sp && now.ss_size == mine.ss_size)
            atomic_fetch_add((atomic_uint *)arg, 10);
        if (own[sizeof own - 8192 - 1] == 7 || i == 1)
            atomic_fetch_add((atomic_uint *)arg, 100); /* nothing ran below it */
    }
    sigaltstack(&stack, NULL);
}
static void ignore_report(void *user, int kind, const char *text) {
    (void)user;
    (void)kind;
    (void)text;
}
CASE(threads_of_others_get_their_signal_stack_back) {
    helper_thread thread;
    atomic_uint count = 0;
    stack_t stack = stack_of_signals();
    run_tasks(inside_main, 1);
    ck_assert(is_stack(&stack));
    pintle_options options = faults_panic_options(1);
    options.on_report = ignore_report;
    ck_assert_int_eq(pintle_start(&options), 0);
    ck_assert(helper_thread_start(&thread, attached, &count));
    helper_thread_join(&thread);
    ck_assert_uint_eq(count, 33);
    ck_assert(helper_thread_start(&thread, attached_with_own, &count));
    helper_thread_join(&thread);
    ck_assert_uint_eq(count, 33 + 222);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
}
