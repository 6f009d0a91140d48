/* test_check.c: what debug builds find by canaries and poison. */
#include "api/api_helpers.h"
#include "stack.h"

static int canary_main(void *arg) {
    (void)arg;
#if defined(PINTLE_DEBUG_CHECKS)
    uint64_t *canary = task_stack(pintle_self())->canary;
    if (canary == NULL) return 90; /* not on this platform */
    *canary = 1;
    pintle_sleep(PINTLE_MS(1));
#endif
    return 91;
}
CHILD(canary_dies) { exit(helper_run(canary_main, NULL, 1)); }

static void nothing(void *arg) { (void)arg; }
static int freed_main(void *arg) {
    pintle_task *task;
    (void)arg;
    if (pintle_spawn(&task, nothing, NULL) != 0 || pintle_join(task, PINTLE_FOREVER) != 0) return 90;
    task->spawned_at = &task; /* a write through a stale pointer */
    if (pintle_spawn(&task, nothing, NULL) != 0) return 91;
    return 92;
}
CHILD(freed_record_is_written) { exit(helper_run(freed_main, NULL, 1)); }

static int joined_twice_main(void *arg) {
    pintle_task *task;
    (void)arg;
    if (pintle_spawn(&task, nothing, NULL) != 0 || pintle_join(task, PINTLE_FOREVER) != 0) return 90;
    pintle_join(task, PINTLE_FOREVER);
    return 91;
}
CHILD(joined_twice) { exit(helper_run(joined_twice_main, NULL, 1)); }

static void assert_found(const char *child, const char *sentence) {
    static char text[65536];
    int status = child_run(child, text, sizeof text);
    if (status == 90 && strcmp(child, "canary_dies") == 0) return;
    ck_assert_msg(status != 91 && status != 92, "%s went on", child);
    ck_assert_msg(strstr(text, sentence) != NULL, "%s ended with %d:\n%s", child, status, text);
}

DEBUG_CASE(canary_that_dies_is_found_when_the_task_leaves) { assert_found("canary_dies", "used its stack to the end"); }
DEBUG_CASE(write_to_a_freed_record_is_found) {
    assert_found("freed_record_is_written", "broken invariant: task->fn ==");
}
DEBUG_CASE(task_joined_twice_is_found) { assert_found("joined_twice", "is freed twice"); }
