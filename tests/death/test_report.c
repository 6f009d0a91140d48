/* test_report.c: what a report of a panic that nobody stopped tells: the text, the task, who spawned it, where it was, its
 * pins, the calls it is inside, the panics before it. */
#include "api/api_helpers.h"

#define NOT_INLINED __attribute__((noinline))

static void assert_reported(const char *child, const char *const *words, size_t count) {
    static char text[65536];
    const char *at = text;
    int status = child_run(child, text, sizeof text);
    ck_assert_msg(status == 2, "%s ended with %d:\n%s", child, status, text);
    for (size_t i = 0; i < count; i++) { /* in this order */
        const char *found = strstr(at, words[i]);
        ck_assert_msg(found != NULL, "%s: no \"%s\" (then) in:\n%s", child, words[i], text);
        at = found + strlen(words[i]);
    }
    ck_assert_ptr_null(strstr(text, "survived"));
}
#define ASSERT_REPORTED(child, ...) \
    do { \
        const char *const expected_words[] = {__VA_ARGS__}; \
        assert_reported(child, expected_words, ELEMENTS(expected_words)); \
    } while (0)

/* A detached task named "smith", which the main task waits for in vain. */
static int spawner(void *arg) {
    pintle_task_options options = {.size = sizeof options, .name = "smith"};
    if (pintle_spawn_with(NULL, *(pintle_fn **)arg, NULL, &options) != 0) return 90;
    while (pintle_sleep(PINTLE_S(1)) == 0) {}
    return 91;
}
static void run_child(pintle_fn *fn) { exit(helper_run(spawner, &fn, 1)); }

static volatile bool is_broken = true;
static NOT_INLINED void breaks_inner(int depth) {
    if (depth == 0 && is_broken) pintle_panic("the anvil broke");
    if (depth > 0) breaks_inner(depth - 1);
    __asm__ volatile("" ::: "memory"); /* no tail call */
}
static void breaks(void *arg) {
    (void)arg;
    pintle_yield();
    breaks_inner(2);
    printf("survived\n");
}
CHILD(plain) { run_child(breaks); }
CASE(report_names_text_task_spawner_and_the_callers_in_order) {
    ASSERT_REPORTED("plain", "panic: the anvil broke\n", "task ", "'smith'", "spawned from ", "!spawner+0x",
                    "!breaks_inner+0x", "!breaks_inner+0x", "!breaks_inner+0x", "!breaks+0x", "!task_main+0x");
}

static void breaks_pinned(void *arg) {
    pintle_pin();
    pintle_pin();
    breaks(arg);
}
CHILD(pinned) { run_child(breaks_pinned); }
CASE(report_counts_the_pins) { ASSERT_REPORTED("pinned", "the anvil broke", "'smith'", "pinned 2 times"); }

static NOT_INLINED int foreign(void *arg) {
    breaks(arg);
    return 0;
}
static void called_back(void *arg) {
    (void)arg;
    pintle_call(foreign, NULL);
}
static NOT_INLINED int foreign_that_calls_back(void *arg) { return pintle_callback(called_back, arg); }
static void breaks_in_calls(void *arg) {
    pintle_call(foreign_that_calls_back, arg);
    printf("survived\n");
}
static int in_call_yields(void *arg) { /* not breaks: a call may not yield */
    (void)arg;
    breaks_inner(1);
    return 0;
}
static void calls_in_call(void *arg) { pintle_call(in_call_yields, arg); }
static int calls_back_in_call(void *arg) { return pintle_callback(calls_in_call, arg); }
static void breaks_in_a_call_in_a_callback_in_a_call(void *arg) {
    pintle_call(calls_back_in_call, arg);
    printf("survived\n");
}
CHILD(nested) { run_child(breaks_in_a_call_in_a_callback_in_a_call); }
CASE(report_lists_the_calls_from_the_innermost_on) {
    ASSERT_REPORTED("nested", "the anvil broke", "in a foreign call", "inside a call of ", "!in_call_yields+0x0",
                    "inside a call of ", "!calls_back_in_call+0x0");
}

CHILD(contract) { run_child(breaks_in_calls); }
CASE(report_of_a_broken_contract_names_the_call_and_where) {
    ASSERT_REPORTED("contract", "pintle_yield", "'smith'", "!foreign+0x", "inside a call of ", "!foreign+0x0",
                    "inside a call of ", "!foreign_that_calls_back+0x0");
}

static void breaks_again(void *arg) {
    (void)arg;
    pintle_panic("the tongs fell");
}
static void breaks_once_more(void *arg) {
    (void)arg;
    pintle_panic("the roof came down");
}
static void breaks_thrice(void *arg) {
    pintle_defer(breaks_once_more, NULL);
    pintle_defer(breaks_again, NULL);
    breaks(arg);
}
CHILD(chain) { run_child(breaks_thrice); }
CASE(report_has_the_chain_of_panics_the_last_first) {
    ASSERT_REPORTED("chain", "panic: the roof came down", "!breaks_once_more+0x", "after the panic: the tongs fell",
                    "after the panic: the anvil broke");
}
