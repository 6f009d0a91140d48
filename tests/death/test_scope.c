/* test_scope.c: misuse of scopes ends the process with a report that names the call, and who is meant. */
#include "api/api_helpers.h"

static pintle_scope *scope;

static void assert_panics(const char *child, const char *first, const char *second) {
    static char text[65536];
    int status = child_run(child, text, sizeof text);
    ck_assert_msg(status == 2, "%s ended with %d:\n%s", child, status, text);
    ck_assert_msg(strstr(text, first) != NULL, "%s: no \"%s\" in:\n%s", child, first, text);
    ck_assert_msg(strstr(text, second) != NULL, "%s: no \"%s\" in:\n%s", child, second, text);
}

static void close_it(void *arg) {
    (void)arg;
    pintle_scope_close(scope);
}
static int closed_by_another(void *arg) {
    pintle_task_options none = {.size = sizeof none, .scope = PINTLE_SCOPE_NONE};
    (void)arg;
    if (pintle_scope_open(&scope, PINTLE_FOREVER) != 0) return 1;
    if (pintle_spawn_with(NULL, close_it, NULL, &none) != 0) return 1;
    pintle_sleep(PINTLE_S(100));
    return 90;
}
CHILD(closed_by_another) { exit(helper_run_strict(closed_by_another, NULL)); }
CASE(scope_closed_by_another_panics) {
    assert_panics("closed_by_another", "pintle_scope_close: the scope is not the caller's",
                  "task 1 'main' has opened it");
}

static int closed_twice(void *arg) {
    (void)arg;
    if (pintle_scope_open(&scope, PINTLE_FOREVER) != 0) return 1;
    pintle_scope_close(scope);
    pintle_scope_close(scope);
    return 90;
}
CHILD(closed_twice) { exit(helper_run_strict(closed_twice, NULL)); }
CASE(scope_closed_twice_panics) {
    assert_panics("closed_twice", "pintle_scope_close: the scope is closed already", "task 1 'main'");
}

static void wait_forever(void *arg) {
    (void)arg;
    if (pintle_sleep_until(PINTLE_FOREVER) == PINTLE_ECANCELED) printf("told to end\n");
}
static int left_open(void *arg) {
    (void)arg;
    if (pintle_scope_open(&scope, PINTLE_FOREVER) != 0) return 1;
    return pintle_scope_spawn(scope, wait_forever, NULL);
}
CHILD(left_open) { exit(helper_run_strict(left_open, NULL)); }
CASE(scope_left_open_by_main_panics_when_its_tasks_have_ended) {
    assert_panics("left_open", "the task ends with 1 scope open: pintle_scope_close", "told to end");
}

static int unmasked(void *arg) {
    (void)arg;
    pintle_cancel_mask();
    pintle_cancel_unmask();
    pintle_cancel_unmask();
    return 90;
}
CHILD(unmasked) { exit(helper_run_strict(unmasked, NULL)); }
CASE(unmask_without_a_mask_panics) {
    assert_panics("unmasked", "pintle_cancel_unmask without a pintle_cancel_mask before it", "task 1 'main'");
}

static int given_none(void *arg) {
    (void)arg;
    pintle_scope_spawn(PINTLE_SCOPE_NONE, wait_forever, NULL);
    return 90;
}
CHILD(given_none) { exit(helper_run_strict(given_none, NULL)); }
CASE(spawn_in_no_scope_panics) {
    assert_panics("given_none", "pintle_scope_spawn was given no scope", "task 1 'main'");
}
