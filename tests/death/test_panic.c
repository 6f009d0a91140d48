/* test_panic.c: broken contracts end the process with exit status 2 and a report that names the call, the task and
 * the reason. Each CHILD is a process of its own. */
#include "api/api_helpers.h"

#define EXIT_PANIC 2

static void nothing(void *arg) { (void)arg; }

/* Runs the child; it must end as a panic whose report has all the given words. */
static void assert_panics(const char *child, const char *const *words, size_t count) {
    static char text[65536];
    int status = child_run(child, text, sizeof text);
    ck_assert_msg(status == EXIT_PANIC, "%s ended with %d, not %d:\n%s", child, status, EXIT_PANIC, text);
    for (size_t i = 0; i < count; i++)
        ck_assert_msg(strstr(text, words[i]) != NULL, "%s: no \"%s\" in:\n%s", child, words[i], text);
    ck_assert_msg(strstr(text, "survived") == NULL, "%s went on:\n%s", child, text);
}
#define ASSERT_PANICS(child, ...) \
    do { \
        const char *const expected_words[] = {__VA_ARGS__}; \
        assert_panics(child, expected_words, ELEMENTS(expected_words)); \
    } while (0)

static void survived(void) {
    printf("survived\n");
    fflush(stdout);
}
/* Runs a main task that must not get to its end. */
static void run_child(pintle_main_fn *main_task) {
    int result = helper_run(main_task, NULL, 1);
    survived();
    exit(result == 0 ? 90 : 91);
}

/* ---- pintle_panic itself ---- */

static int panic_main(void *arg) {
    (void)arg;
    pintle_panic("valve %d of %s is stuck", 7, "boiler");
}
CHILD(panic_of_main) { run_child(panic_main); }
CASE(panic_reports_its_text_and_exits_with_2) { ASSERT_PANICS("panic_of_main", "valve 7 of boiler is stuck"); }

static void panic_task(void *arg) {
    (void)arg;
    pintle_yield();
    pintle_panic("the furnace is out");
}
/* Its handle is given away before or after the panic: nobody is left to have it. */
static int panic_named_main(void *arg) {
    pintle_task_options options = {.size = sizeof options, .name = "stoker"};
    pintle_task *task;
    pintle_spawn_with(&task, panic_task, NULL, &options);
    if (arg != NULL) pintle_sleep(PINTLE_MS(20));
    pintle_task_detach(task);
    pintle_sleep(PINTLE_S(10));
    survived();
    return 0;
}
CHILD(panic_of_task_detached_before) { run_child(panic_named_main); }
CASE(panic_of_a_task_that_was_detached_before_ends_a_program_and_names_it) {
    ASSERT_PANICS("panic_of_task_detached_before", "the furnace is out", "stoker");
}
CHILD(panic_of_task_detached_after) { exit(helper_run(panic_named_main, stdout, 2)); }
CASE(panic_of_a_task_that_is_detached_after_ends_a_program_and_names_it) {
    ASSERT_PANICS("panic_of_task_detached_after", "the furnace is out", "stoker");
}

/* A call that was given up: nobody is told of its panic. */
static void panic_in_call(void *arg) {
    (void)arg;
    pintle_panic("too late anyway");
}
static int waits_and_panics(void *arg) {
    helper_sem_wait(arg);
    return pintle_callback(panic_in_call, NULL);
}
static void dropped_before(void *arg) {
    (void)arg;
    printf("dropped\n");
    fflush(stdout);
}
static int panic_until_main(void *arg) {
    static helper_sem gate;
    (void)arg;
    helper_sem_init(&gate);
    if (pintle_call_until(waits_and_panics, &gate, dropped_before, pintle_after(PINTLE_MS(1)), NULL) ==
        PINTLE_ETIMEDOUT)
        helper_sem_post(&gate);
    pintle_sleep(PINTLE_S(10));
    survived();
    return 0;
}
CHILD(panic_of_call_given_up) { run_child(panic_until_main); }
CASE(panic_of_a_call_that_was_given_up_drops_and_ends_a_program) {
    ASSERT_PANICS("panic_of_call_given_up", "dropped", "too late anyway", "inside a call of", "waits_and_panics");
}

static int panic_detached_main(void *arg) {
    (void)arg;
    pintle_task_options options = {.size = sizeof options, .name = "stoker"};
    pintle_spawn_with(NULL, panic_task, NULL, &options);
    while (pintle_sleep(PINTLE_S(1)) == 0) {}
    return 0;
}
CHILD(panic_of_detached_task) { run_child(panic_detached_main); }
CASE(panic_of_a_detached_task_ends_a_program_and_names_the_task) {
    ASSERT_PANICS("panic_of_detached_task", "the furnace is out", "stoker");
}

static void panic_pinned_task(void *arg) {
    pintle_pin();
    panic_task(arg);
}
static int panic_pinned_main(void *arg) {
    (void)arg;
    pintle_spawn(NULL, panic_pinned_task, NULL);
    while (pintle_sleep(PINTLE_S(1)) == 0) {}
    return 0;
}
CHILD(panic_of_pinned_task) { run_child(panic_pinned_main); }
CASE(panic_of_a_pinned_task_ends_a_program) { ASSERT_PANICS("panic_of_pinned_task", "the furnace is out"); }

static void panic_on_thread(void *arg) {
    (void)arg;
    pintle_panic("thread without task gave up");
}
CHILD(panic_without_runtime) { panic_on_thread(NULL); }
CASE(panic_without_runtime_exits_with_2) { ASSERT_PANICS("panic_without_runtime", "thread without task gave up"); }

CHILD(panic_on_foreign_thread) {
    helper_thread thread;
    pintle_start(NULL);
    helper_thread_start(&thread, panic_on_thread, NULL);
    helper_thread_join(&thread);
    survived();
}
CASE(panic_on_a_foreign_thread_exits_with_2_in_library_mode_too) {
    ASSERT_PANICS("panic_on_foreign_thread", "thread without task gave up");
}

static int panic_in_call_fn(void *arg) {
    (void)arg;
    pintle_panic("no steam in the call");
}
static void panic_in_call_task(void *arg) {
    (void)arg;
    pintle_call(panic_in_call_fn, NULL);
    survived();
}
static int panic_in_call_main(void *arg) {
    (void)arg;
    pintle_task_options options = {.size = sizeof options, .name = "caller"};
    pintle_spawn_with(NULL, panic_in_call_task, NULL, &options);
    pintle_sleep(PINTLE_S(10));
    survived();
    return 0;
}
CHILD(panic_in_call) { run_child(panic_in_call_main); }
CASE(panic_in_a_call_exits_with_2) { ASSERT_PANICS("panic_in_call", "no steam in the call"); }

static void report_to_file(void *user, int kind, const char *text) {
    (void)user;
    printf("hook kind %d: %s\n", kind, text);
    fflush(stdout);
}
CHILD(panic_with_report_hook) {
    pintle_options options = helper_processors(1);
    options.on_report = report_to_file;
    pintle_run(panic_named_main, NULL, &options);
    survived();
}
CASE(panic_report_goes_to_the_hook_and_the_program_ends_with_2) {
    ASSERT_PANICS("panic_with_report_hook", "hook kind 1: ", "the furnace is out", "stoker");
}

/* ---- NULL functions and too many unpins ---- */

static int unpin_main(void *arg) {
    (void)arg;
    pintle_pin();
    pintle_unpin();
    pintle_unpin();
    survived();
    return 0;
}
CHILD(unpin_too_often) { run_child(unpin_main); }
CASE(unpin_too_often_panics) { ASSERT_PANICS("unpin_too_often", "pintle_unpin"); }

static int null_call_main(void *arg) {
    (void)arg;
    pintle_call(NULL, NULL);
    survived();
    return 0;
}
CHILD(null_call) { run_child(null_call_main); }
CASE(call_of_null_panics) { ASSERT_PANICS("null_call", "pintle_call", "NULL"); }

static int null_call_blocking_main(void *arg) {
    (void)arg;
    pintle_call_blocking(NULL, NULL);
    survived();
    return 0;
}
CHILD(null_call_blocking) { run_child(null_call_blocking_main); }
CASE(call_blocking_of_null_panics) { ASSERT_PANICS("null_call_blocking", "pintle_call_blocking", "NULL"); }

static int null_spawn_main(void *arg) {
    pintle_task *task;
    pintle_spawn(&task, NULL, arg);
    survived();
    return 0;
}
CHILD(null_spawn) { run_child(null_spawn_main); }
CASE(spawn_of_null_panics) { ASSERT_PANICS("null_spawn", "pintle_spawn", "NULL"); }

CHILD(null_enter) {
    pintle_start(NULL);
    pintle_enter(NULL, NULL);
    survived();
}
CASE(enter_of_null_panics) { ASSERT_PANICS("null_enter", "pintle_enter", "NULL"); }

/* ---- Functions that only tasks may call ---- */

enum { YIELD, PIN, UNPIN, EXIT, SECTION_BEGIN, SECTION_END };

static void task_only(int which) {
    switch (which) {
    case YIELD: pintle_yield(); break;
    case PIN: pintle_pin(); break;
    case UNPIN: pintle_unpin(); break;
    case EXIT: pintle_task_exit();
    case SECTION_BEGIN: pintle_blocking_begin(); break;
    case SECTION_END: pintle_blocking_end(); break;
    default: break;
    }
    survived();
    exit(92);
}
static int which_in_call;
static int in_call_fn(void *arg) {
    (void)arg;
    task_only(which_in_call);
    return 0;
}
static int in_call_main(void *arg) {
    (void)arg;
    pintle_call(in_call_fn, NULL);
    return 0;
}
static int in_blocking_call_main(void *arg) {
    (void)arg;
    pintle_call_blocking(in_call_fn, NULL);
    return 0;
}
static int in_section_main(void *arg) {
    (void)arg;
    pintle_blocking_begin();
    task_only(which_in_call);
    return 0;
}
static void in_call(int which) {
    which_in_call = which;
    run_child(in_call_main);
}
static void in_section(int which) {
    which_in_call = which;
    run_child(in_section_main);
}
static void on_thread(void *arg) { task_only(*(int *)arg); }
static void on_foreign_thread(int which) {
    helper_thread thread;
    pintle_start(NULL);
    helper_thread_start(&thread, on_thread, &which);
    helper_thread_join(&thread);
}

CHILD(yield_in_call) { in_call(YIELD); }
CASE(yield_in_a_call_panics) { ASSERT_PANICS("yield_in_call", "pintle_yield"); }
CHILD(yield_in_blocking_call) {
    which_in_call = YIELD;
    run_child(in_blocking_call_main);
}
CASE(yield_in_a_blocking_call_panics) { ASSERT_PANICS("yield_in_blocking_call", "pintle_yield"); }
CHILD(yield_in_section) { in_section(YIELD); }
CASE(yield_in_a_blocking_section_panics) { ASSERT_PANICS("yield_in_section", "pintle_yield"); }
CHILD(yield_on_foreign_thread) { on_foreign_thread(YIELD); }
CASE(yield_on_a_foreign_thread_panics) { ASSERT_PANICS("yield_on_foreign_thread", "pintle_yield"); }
CHILD(yield_without_runtime) { task_only(YIELD); }
CASE(yield_without_runtime_panics) { ASSERT_PANICS("yield_without_runtime", "pintle_yield"); }

CHILD(pin_in_call) { in_call(PIN); }
CASE(pin_in_a_call_panics) { ASSERT_PANICS("pin_in_call", "pintle_pin"); }
CHILD(pin_on_foreign_thread) { on_foreign_thread(PIN); }
CASE(pin_on_a_foreign_thread_panics) { ASSERT_PANICS("pin_on_foreign_thread", "pintle_pin"); }
CHILD(unpin_in_call) { in_call(UNPIN); }
CASE(unpin_in_a_call_panics) { ASSERT_PANICS("unpin_in_call", "pintle_unpin"); }
CHILD(unpin_on_foreign_thread) { on_foreign_thread(UNPIN); }
CASE(unpin_on_a_foreign_thread_panics) { ASSERT_PANICS("unpin_on_foreign_thread", "pintle_unpin"); }
CHILD(exit_in_call) { in_call(EXIT); }
CASE(task_exit_in_a_call_panics) { ASSERT_PANICS("exit_in_call", "pintle_task_exit"); }
CHILD(exit_on_foreign_thread) { on_foreign_thread(EXIT); }
CASE(task_exit_on_a_foreign_thread_panics) { ASSERT_PANICS("exit_on_foreign_thread", "pintle_task_exit"); }
CHILD(section_in_call) { in_call(SECTION_BEGIN); }
CASE(blocking_begin_in_a_call_panics) { ASSERT_PANICS("section_in_call", "pintle_blocking_begin"); }
CHILD(section_in_section) { in_section(SECTION_BEGIN); }
CASE(blocking_begin_in_a_section_panics) { ASSERT_PANICS("section_in_section", "pintle_blocking_begin"); }
CHILD(section_on_foreign_thread) { on_foreign_thread(SECTION_BEGIN); }
CASE(blocking_begin_on_a_foreign_thread_panics) { ASSERT_PANICS("section_on_foreign_thread", "pintle_blocking_begin"); }
CHILD(section_end_in_call) { in_call(SECTION_END); }
CASE(blocking_end_in_a_call_panics) { ASSERT_PANICS("section_end_in_call", "pintle_blocking_end"); }
CHILD(section_end_on_foreign_thread) { on_foreign_thread(SECTION_END); }
CASE(blocking_end_on_a_foreign_thread_panics) { ASSERT_PANICS("section_end_on_foreign_thread", "pintle_blocking_end"); }

static int section_end_main(void *arg) {
    (void)arg;
    task_only(SECTION_END);
    return 0;
}
CHILD(section_end_alone) { run_child(section_end_main); }
CASE(blocking_end_without_begin_panics) { ASSERT_PANICS("section_end_alone", "pintle_blocking_end"); }

/* ---- Objects that are in use ---- */

static pintle_event waited_for = PINTLE_EVENT_INIT;

static void wait_for_event(void *arg) {
    (void)arg;
    pintle_event_wait(&waited_for, PINTLE_FOREVER);
}
static int destroy_main(void *arg) {
    (void)arg;
    pintle_spawn(NULL, wait_for_event, NULL);
    pintle_yield();
    pintle_event_destroy(&waited_for);
    survived();
    return 0;
}
CHILD(destroy_event) { run_child(destroy_main); }
CASE(event_destroy_with_a_waiter_panics) { ASSERT_PANICS("destroy_event", "pintle_event_destroy"); }

/* ---- A program that ends as it should is no panic ---- */

static int quiet_main(void *arg) {
    pintle_task *task;
    pintle_pin();
    if (pintle_spawn(&task, nothing, arg) != 0 || pintle_join(task, PINTLE_FOREVER) != 0) return 1;
    pintle_unpin();
    return 17;
}
CHILD(quiet) { exit(helper_run(quiet_main, NULL, 2)); }
CASE(program_without_mistake_exits_with_its_own_status_and_says_nothing) {
    static char text[4096];
    ck_assert_int_eq(child_run("quiet", text, sizeof text), 17);
    ck_assert_str_eq(text, "");
}
