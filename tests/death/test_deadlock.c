/* The report of a deadlock, and what must not be taken for one. */
#include "pintle.h"
#include "support/pintle_test.h"

static pintle_event never = PINTLE_EVENT_INIT;

static void wait_for_ever(void *arg) {
    (void)arg;
    pintle_event_wait(&never, PINTLE_FOREVER);
}

static int two_wait(void *arg) {
    pintle_task *task;
    pintle_task_options options = {.name = "sleeping beauty"};
    if (arg != NULL) pintle_pin();
    if (pintle_spawn_with(&task, wait_for_ever, NULL, &options) != 0) return 3;
    return pintle_join(task, PINTLE_FOREVER);
}

CHILD(all_tasks_wait) {
    child_without_watchdog();
    exit(pintle_run(two_wait, NULL, NULL));
}
CHILD(all_tasks_wait_main_pinned) {
    child_without_watchdog();
    exit(pintle_run(two_wait, &never, NULL));
}

static void assert_report(const char *child) {
    char text[8192];
    int status = child_run(child, text, sizeof text);
    ck_assert_msg(status == 2, "status %d: %s", status, text);
    ck_assert_msg(strstr(text, "deadlock") != NULL, "%s", text);
    ck_assert_msg(strstr(text, "'main' waits in pintle_join") != NULL, "%s", text);
    ck_assert_msg(strstr(text, "'sleeping beauty' waits in pintle_event_wait") != NULL, "%s", text);
}

CASE(all_tasks_wait_is_reported_with_each_task) { assert_report("all_tasks_wait"); }
CASE(pinned_main_that_waits_is_reported) { assert_report("all_tasks_wait_main_pinned"); }

/* Waits that end, later than the detector's patience. */
static int nap(void *arg) {
    (void)arg;
    return pintle_sleep(PINTLE_MS(400)) == 0 ? 5 : 6;
}
CASE(sleep_is_no_deadlock) { ck_assert_int_eq(pintle_run(nap, NULL, NULL), 5); }

static int held(void *arg) {
    pintle_hold();
    int result = pintle_event_wait(&never, pintle_after(PINTLE_MS(300)));
    pintle_unhold();
    (void)arg;
    return result;
}
CASE(wait_with_a_deadline_is_no_deadlock) { ck_assert_int_eq(pintle_run(held, NULL, NULL), PINTLE_ETIMEDOUT); }

static int slow_call(void *arg) {
    (void)arg;
    for (int64_t end = pintle_now() + PINTLE_MS(400); pintle_now() < end;) continue;
    return 0;
}
static void set_after_call(void *arg) {
    pintle_call_blocking(slow_call, NULL);
    pintle_event_set(arg);
}
static int wait_for_call(void *arg) {
    pintle_event event = PINTLE_EVENT_INIT;
    if (pintle_spawn(NULL, set_after_call, &event) != 0) return 1;
    (void)arg;
    return pintle_event_wait(&event, PINTLE_FOREVER);
}
CASE(foreign_call_in_flight_is_no_deadlock) { ck_assert_int_eq(pintle_run(wait_for_call, NULL, NULL), 0); }
