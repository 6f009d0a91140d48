/* test_panic.c: what is deferred, protects, recovering, panics and exits that replace each other, and who gets a panic that
 * nobody stopped. What crosses foreign frames: test_panic_foreign.c. */
#include "api/dll_helpers.h"

#include "fail.h"

/* ---- A trace of what ran, in letters ---- */

static char trace[256];
static void trace_clear(void) { trace[0] = '\0'; }
static void note(void *letter) { strncat(trace, letter, sizeof trace - strlen(trace) - 1); }
#define LETTER(text) ((void *)(uintptr_t)(text))
static bool traced(const char *expected) {
    if (strcmp(trace, expected) == 0) return true;
    printf("trace \"%s\", not \"%s\"\n", trace, expected);
    return false;
}

static void panic_with(void *text) { pintle_panic("%s", (const char *)text); }
static void recover_here(void *letter) {
    pintle_panic_info info = {.text = "?"};
    note(pintle_recover(&info) ? letter : LETTER("-"));
    EXPECT(info.text[0] != '\0');
    EXPECT(!pintle_recover(NULL));
}
/* Runs fn in a task; what pintle_join_info says. */
static int in_task(pintle_fn *fn, void *arg, pintle_panic_info *out) {
    pintle_task *task;
    EXPECT(pintle_spawn(&task, fn, arg) == 0);
    return pintle_join_info(task, PINTLE_FOREVER, out);
}

/* ---- Deferring ---- */

static void defers_three(void *arg) {
    (void)arg;
    pintle_defer(note, LETTER("a"));
    pintle_defer(note, LETTER("b"));
    pintle_defer(note, LETTER("c"));
    note(LETTER("."));
}
static void defers_and_panics(void *arg) {
    defers_three(arg);
    pintle_panic("three are deferred");
}
static void defers_and_exits(void *arg) {
    defers_three(arg);
    pintle_task_exit();
}
static int order_main(void *arg) {
    trace_clear();
    EXPECT(pintle_protect(defers_three, arg, NULL) == 0 && traced(".cba"));
    trace_clear();
    EXPECT(pintle_protect(defers_and_panics, arg, NULL) == PINTLE_EPANIC && traced(".cba"));
    trace_clear();
    EXPECT(in_task(defers_three, arg, NULL) == 0 && traced(".cba"));
    trace_clear();
    EXPECT(in_task(defers_and_panics, arg, NULL) == PINTLE_EPANIC && traced(".cba"));
    trace_clear();
    EXPECT(in_task(defers_and_exits, arg, NULL) == 0 && traced(".cba"));
    return 0;
}
CASE(deferred_functions_run_last_first_whichever_way_their_scope_ends) { run_tasks(order_main, 2); }

static void defers_more(void *arg) {
    note(LETTER("1"));
    if (arg == NULL) pintle_defer(note, LETTER("2"));
    pintle_yield();
    pintle_sleep(PINTLE_US(10));
    pintle_call(helper_return_at_once, NULL);
}
static void defers_in_deferred(void *arg) {
    (void)arg;
    pintle_defer(note, LETTER("3"));
    pintle_defer(defers_more, NULL);
    pintle_defer(note, LETTER("0"));
}
static void defers_in_deferred_and_panics(void *arg) {
    defers_in_deferred(arg);
    pintle_panic("now");
}
static int more_main(void *arg) {
    trace_clear();
    EXPECT(pintle_protect(defers_in_deferred, arg, NULL) == 0 && traced("0123"));
    trace_clear();
    EXPECT(in_task(defers_in_deferred_and_panics, arg, NULL) == PINTLE_EPANIC && traced("0123"));
    return 0;
}
CASE(deferred_functions_wait_call_and_defer_more) { run_tasks(more_main, 2); }

static void marks(void *arg) {
    (void)arg;
    pintle_defer(note, LETTER("a"));
    pintle_defer_mark mark = pintle_defer_here();
    pintle_defer(note, LETTER("b"));
    pintle_defer(note, LETTER("c"));
    pintle_defer_run(mark);
    note(LETTER("."));
    pintle_defer_run(mark);
    pintle_defer(note, LETTER("d"));
}
static int marks_main(void *arg) {
    trace_clear();
    EXPECT(pintle_protect(marks, arg, NULL) == 0 && traced("cb.da"));
    return 0;
}
CASE(defer_run_runs_what_was_deferred_since_the_mark) { run_tasks(marks_main, 1); }

static void runs_past_mark(void *arg) {
    pintle_defer_mark start = pintle_defer_here(), inner;
    pintle_defer(note, arg);
    inner = pintle_defer_here();
    pintle_defer_run(start);
    pintle_defer_run(inner);
}
static int past_mark_main(void *arg) {
    pintle_panic_info info;
    (void)arg;
    trace_clear();
    EXPECT(pintle_protect(runs_past_mark, LETTER("x"), &info) == PINTLE_EPANIC && traced("x"));
    EXPECT(strstr(info.text, "pintle_defer_run") != NULL);
    return 0;
}
CASE(defer_run_of_a_mark_that_has_run_panics) { run_tasks(past_mark_main, 1); }

static void cancels(void *arg) {
    (void)arg;
    pintle_defer(note, LETTER("a"));
    pintle_defer(note, LETTER("b"));
    pintle_defer(note, LETTER("a"));
    pintle_defer_cancel(note, LETTER("a"));
    pintle_defer_cancel(note, LETTER("z"));
    pintle_defer(note, LETTER("c"));
}
static void cancels_nothing_of_outer(void *arg) { pintle_defer_cancel(note, arg); }
static void cancels_inside(void *letter) {
    pintle_defer(note, letter);
    EXPECT(pintle_protect(cancels_nothing_of_outer, letter, NULL) == 0);
}
static int cancel_main(void *arg) {
    trace_clear();
    EXPECT(pintle_protect(cancels, arg, NULL) == 0 && traced("cba"));
    trace_clear();
    EXPECT(pintle_protect(cancels_inside, LETTER("o"), NULL) == 0 && traced("o"));
    return 0;
}
CASE(defer_cancel_forgets_the_last_such_pair_of_its_own_scope) { run_tasks(cancel_main, 1); }

/* ---- Recovering ---- */

static void recovers(void *arg) {
    (void)arg;
    pintle_defer(note, LETTER("a"));
    pintle_defer(recover_here, LETTER("R"));
    pintle_defer(note, LETTER("b"));
    pintle_panic("to be recovered");
}
static void recovers_without_panic(void *arg) {
    (void)arg;
    EXPECT(!pintle_recover(NULL));
    pintle_defer(recover_here, LETTER("R"));
}
static int recover_main(void *arg) {
    trace_clear();
    EXPECT(pintle_protect(recovers, arg, NULL) == 0 && traced("bRa"));
    trace_clear();
    EXPECT(in_task(recovers, arg, NULL) == 0 && traced("bRa"));
    trace_clear();
    EXPECT(pintle_protect(recovers_without_panic, arg, NULL) == 0 && traced("-"));
    return 0;
}
CASE(recover_in_a_deferred_function_stops_the_panic) { run_tasks(recover_main, 2); }

static void protects_a_recover(void *arg) {
    EXPECT(pintle_protect(recover_here, arg, NULL) == 0); /* there is no panic in there */
}
static void recovers_in_protect(void *arg) {
    (void)arg;
    pintle_defer(protects_a_recover, LETTER("R"));
    pintle_panic("not to be seen in there");
}
static int recover_nested_main(void *arg) {
    trace_clear();
    EXPECT(pintle_protect(recovers_in_protect, arg, NULL) == PINTLE_EPANIC && traced("-"));
    return 0;
}
CASE(recover_in_a_protect_of_a_deferred_function_says_false) { run_tasks(recover_nested_main, 1); }

static void recovers_then_panics(void *arg) {
    (void)arg;
    pintle_defer(panic_with, LETTER("another"));
    pintle_defer(recover_here, LETTER("R"));
    pintle_panic("the first");
}
static int recover_again_main(void *arg) {
    pintle_panic_info info;
    trace_clear();
    EXPECT(pintle_protect(recovers_then_panics, arg, &info) == PINTLE_EPANIC && traced("R"));
    EXPECT(strcmp(info.text, "another") == 0);
    return 0;
}
CASE(panic_after_a_recover_is_a_new_one) { run_tasks(recover_again_main, 1); }

/* ---- Protects ---- */

static void protects_inner(void *arg) {
    pintle_panic_info info;
    pintle_defer(note, LETTER("o"));
    EXPECT(pintle_protect(defers_and_panics, arg, &info) == PINTLE_EPANIC);
    EXPECT(strcmp(info.text, "three are deferred") == 0);
    note(LETTER("i"));
    pintle_panic("the outer one");
}
static void protects_in_deferred(void *arg) {
    pintle_panic_info info;
    (void)arg;
    EXPECT(pintle_protect(panic_with, LETTER("stopped in there"), &info) == PINTLE_EPANIC);
    EXPECT(strcmp(info.text, "stopped in there") == 0);
    note(LETTER("p"));
}
static void panics_with_protect_deferred(void *arg) {
    pintle_defer(protects_in_deferred, arg);
    pintle_panic("goes on");
}
static int nested_main(void *arg) {
    pintle_panic_info info;
    trace_clear();
    EXPECT(pintle_protect(protects_inner, arg, &info) == PINTLE_EPANIC && traced(".cbaio"));
    EXPECT(strcmp(info.text, "the outer one") == 0);
    trace_clear();
    EXPECT(pintle_protect(panics_with_protect_deferred, arg, &info) == PINTLE_EPANIC && traced("p"));
    EXPECT(strcmp(info.text, "goes on") == 0);
    return 0;
}
CASE(protects_nest_and_work_in_deferred_functions) { run_tasks(nested_main, 1); }

static void deep(void *arg) {
    uintptr_t depth = (uintptr_t)arg;
    volatile char room[100];
    room[0] = 1;
    if (depth == 0) pintle_panic("at the bottom");
    if (depth % 10 == 0)
        EXPECT(pintle_protect(deep, (void *)(depth - 1), NULL) == (depth == 10 ? PINTLE_EPANIC : 0));
    else
        deep((void *)(depth - 1));
    (void)room[0];
}
static int deep_main(void *arg) {
    (void)arg;
    EXPECT(pintle_protect(deep, (void *)100, NULL) == 0);
    return 0;
}
CASE(protects_stop_what_comes_from_far_below) { run_tasks(deep_main, 1); }

static int the_value;
static void panics_with_value(void *arg) { pintle_panic_value(arg); }
static int value_main(void *arg) {
    pintle_panic_info info = {.value = NULL};
    (void)arg;
    EXPECT(pintle_protect(panics_with_value, &the_value, &info) == PINTLE_EPANIC);
    EXPECT(info.value == &the_value && info.text[0] != '\0');
    EXPECT(info.task_id == pintle_task_id(pintle_self()));
    EXPECT(info.os_code == 0 && info.address == NULL && info.symbol[0] == '\0');
    EXPECT(pintle_protect(panic_with, LETTER("text"), &info) == PINTLE_EPANIC && info.value == NULL);
    return 0;
}
CASE(panic_value_comes_to_who_stops_it) { run_tasks(value_main, 1); }

/* ---- Panics in deferred functions ---- */

static void panics_three_times(void *arg) {
    (void)arg;
    pintle_defer(panic_with, LETTER("third"));
    pintle_defer(note, LETTER("x"));
    pintle_defer(panic_with, LETTER("second"));
    pintle_panic("first");
}
static int replaced_main(void *arg) {
    pintle_panic_info info;
    trace_clear();
    EXPECT(pintle_protect(panics_three_times, arg, &info) == PINTLE_EPANIC && traced("x"));
    EXPECT(strcmp(info.text, "third") == 0);
    EXPECT(in_task(panics_three_times, arg, &info) == PINTLE_EPANIC && strcmp(info.text, "third") == 0);
    return 0;
}
CASE(panic_in_a_deferred_function_replaces_the_one_before) { run_tasks(replaced_main, 2); }

/* ---- Exits ---- */

static void exits_and_recovers(void *arg) {
    (void)arg;
    pintle_defer(note, LETTER("a"));
    pintle_defer(recover_here, LETTER("R"));
    pintle_defer(panic_with, LETTER("on the way out"));
    pintle_defer(recover_here, LETTER("R"));
    pintle_task_exit();
}
static void exits_through_protects(void *arg) {
    pintle_defer(note, LETTER("o"));
    (void)pintle_protect(exits_and_recovers, arg, NULL);
    note(LETTER("!"));
}
static void exits_in_deferred(void *arg) {
    (void)arg;
    pintle_defer(note, LETTER("z"));
    pintle_defer(exits_through_protects, NULL);
    pintle_panic("the exit wins");
}
static void panics_unstopped_in_exit(void *arg) {
    (void)arg;
    pintle_defer(panic_with, LETTER("the exit wins here too"));
    pintle_task_exit();
}
static int exit_main(void *arg) {
    trace_clear();
    EXPECT(in_task(exits_through_protects, arg, NULL) == 0 && traced("-Rao"));
    trace_clear();
    EXPECT(in_task(exits_in_deferred, arg, NULL) == 0 && traced("-Raoz"));
    EXPECT(in_task(panics_unstopped_in_exit, arg, NULL) == 0);
    return 0;
}
CASE(exit_goes_on_through_protects_and_recovers) { run_tasks(exit_main, 2); }

/* ---- Who has it ---- */

static void panics_named(void *arg) {
    pintle_pin();
    pintle_panic("%s", (const char *)arg);
}
static int join_main(void *arg) {
    pintle_task_options options = {.size = sizeof options, .name = "doomed"};
    pintle_panic_info info = {.task_id = 0};
    pintle_task *task;
    (void)arg;
    EXPECT(pintle_spawn_with(&task, panics_named, LETTER("why not"), &options) == 0);
    uint64_t id = pintle_task_id(task);
    EXPECT(pintle_join_info(task, PINTLE_FOREVER, &info) == PINTLE_EPANIC);
    EXPECT(strcmp(info.text, "why not") == 0 && strcmp(info.task_name, "doomed") == 0 && info.task_id == id);
    EXPECT(last_code() == PINTLE_EPANIC && error_has("why not") && error_has("doomed"));
    EXPECT(pintle_spawn(&task, panic_with, LETTER("again")) == 0);
    EXPECT(pintle_join(task, PINTLE_FOREVER) == PINTLE_EPANIC);
    EXPECT(pintle_spawn(&task, defers_three, NULL) == 0);
    EXPECT(pintle_join_info(task, PINTLE_FOREVER, &info) == 0 && strcmp(info.text, "why not") == 0);
    return 0;
}
CASE(joiner_gets_the_panic) { run_tasks(join_main, 2); }

typedef struct reports {
    atomic_uint count;
    char text[4096];
} reports;
static void take_report(void *user, int kind, const char *text) {
    reports *r = user;
    if (kind != PINTLE_REPORT_PANIC) return;
    if (atomic_fetch_add(&r->count, 1) == 0) snprintf(r->text, sizeof r->text, "%s", text);
}
static pintle_event over = PINTLE_EVENT_INIT;
static void set_over(void *arg) {
    (void)arg;
    pintle_event_set(&over);
}
static void dies_alone(void *arg) {
    pintle_defer(set_over, NULL);
    pintle_defer(panic_with, LETTER("boiling over"));
    panics_named(arg);
}
CASE(detached_task_in_library_mode_dies_and_is_reported) {
    static reports r;
    pintle_task_options task_options = {.size = sizeof task_options, .name = "stoker"};
    pintle_options options = helper_processors(2);
    options.on_report = take_report;
    options.user = &r;
    ck_assert_int_eq(pintle_start(&options), 0);
    ck_assert_int_eq(pintle_spawn_with(NULL, dies_alone, LETTER("no coal"), &task_options), 0);
    ck_assert_int_eq(pintle_event_wait(&over, PINTLE_FOREVER), 0);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    ck_assert_uint_eq(r.count, 1);
    static const char *const words[] = {"panic: boiling over",      "'stoker'",      "spawned from", ", pinned",
                                        "after the panic: no coal", "test_api_panic"};
    for (size_t i = 0; i < ELEMENTS(words); i++)
        ck_assert_msg(strstr(r.text, words[i]) != NULL, "no \"%s\" in:\n%s", words[i], r.text);
}

/* ---- Without memory ---- */

static void defers_a_lot(void *arg) {
    atomic_uint *ran = arg;
    for (int i = 0; i < 200; i++) pintle_defer(set_over, ran);
    pintle_panic("all are deferred");
}
static void count_up(void *arg) { atomic_fetch_add((atomic_uint *)arg, 1); }
static void defers_until_refused(void *arg) {
    for (int i = 0; i < 300; i++) pintle_defer(count_up, arg);
    defers_a_lot(arg);
}
static int no_memory_main(void *arg) {
    pintle_panic_info info;
    (void)arg;
    for (uint64_t n = 1; n < 700; n++) {
        atomic_uint ran = 0;
        fail_plan(FAIL_MEMORY, n, 1);
        EXPECT(pintle_protect(defers_until_refused, &ran, &info) == PINTLE_EPANIC);
        bool refused = fail_refused() != 0;
        fail_plan(0, 0, 0);
        EXPECT(strcmp(info.text, "all are deferred") == 0 || strcmp(info.text, "no memory for a deferred call") == 0);
        EXPECT(refused || atomic_load(&ran) == 300);
        if (!refused) return 0;
    }
    EXPECT(!"it ends");
    return 0;
}
static void panics_twice_without_memory(void *arg) {
    pintle_defer(panic_with, arg);
    fail_plan(FAIL_MEMORY, 1, 1000);
    pintle_panic("the last of it");
}
static int panics_twice_main(void *arg) {
    panics_twice_without_memory(arg);
    return 0;
}
CHILD(no_memory_for_two_panics) { exit(helper_run(panics_twice_main, LETTER("and one more"), 1)); }
static int one_without_memory_main(void *arg) {
    pintle_panic_info info;
    (void)arg;
    for (int i = 0; i < 3; i++) {
        fail_plan(FAIL_MEMORY, 1, 1000);
        EXPECT(pintle_protect(panic_with, LETTER("without memory"), &info) == PINTLE_EPANIC);
        fail_plan(0, 0, 0);
        EXPECT(strcmp(info.text, "without memory") == 0);
    }
    return 0;
}
DEBUG_CASE(memory_that_ends_while_deferring_or_panicking_loses_nothing) {
    run_tasks(no_memory_main, 1);
    run_tasks(one_without_memory_main, 1);
    static char text[8192];
    ck_assert_int_eq(child_run("no_memory_for_two_panics", text, sizeof text), 2);
    ck_assert_msg(strstr(text, "and one more") != NULL, "%s", text);
}
