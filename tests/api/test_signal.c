/* test_signal.c: asking for signals and console events, as far as it is the same everywhere. What comes, and what the system
 * does with it: tests/posix/test_signal_posix.c, tests/win/test_signal_win.c. */
#include "api/must.h"

static int refusals_main(void *arg) {
    pintle_chan *c = (pintle_chan *)arg;
    pintle_error error;
    MUST_BE(pintle_signal_open(NULL, PINTLE_SIGNAL_STOP), PINTLE_EINVAL);
    MUST_BE(pintle_signal_open(&c, 0), PINTLE_EINVAL);
    MUST(c == NULL);
    MUST_BE(pintle_signal_open(&c, 0x80000000u | PINTLE_SIGNAL_STOP), PINTLE_EINVAL);
    pintle_error_get(&error);
    MUST(strstr(error.text, "0x8000003f") != NULL);
    MUST(c == NULL);
    return 0;
}

CASE(signal_open_refuses_no_kind_and_unknown_kinds) {
    must_run(refusals_main, NULL);
    ASSERT_ALL_MUST();
}

CASE(signal_open_without_the_runtime_says_so) {
    pintle_chan *c = (pintle_chan *)&c;
    pintle_error error;
    ck_assert_int_eq(pintle_signal_open(&c, PINTLE_SIGNAL_STOP), PINTLE_ESTOPPED);
    ck_assert_ptr_null(c);
    pintle_error_get(&error);
    ck_assert_msg(strstr(error.text, "pintle_signal_open") != NULL, "%s", error.text);
    pintle_signal_done(); /* nobody waits: nothing */
}

/* Again and again, in tasks and threads; the stop ends what is left open. */
static void open_and_free(void *arg) {
    (void)arg;
    for (int i = 0; i < 50; i++) {
        pintle_chan *c[3];
        pintle_signal item;
        for (int k = 0; k < 3; k++) MUST_BE(pintle_signal_open(&c[k], PINTLE_SIGNAL_USER1 << k % 2), 0);
        MUST_BE(pintle_chan_recv(c[0], &item, PINTLE_NOWAIT), PINTLE_EAGAIN);
        MUST_BE(pintle_chan_capacity(c[1]), 64);
        pintle_chan_retain(c[1]);
        pintle_chan_free(c[1]);
        MUST(!pintle_chan_is_closed(c[1]));
        for (int k = 0; k < 3; k++) pintle_chan_free(c[(k + i) % 3]);
    }
}
static int open_and_free_main(void *arg) {
    helper_thread thread;
    pintle_task *tasks[3];
    MUST(helper_thread_start(&thread, open_and_free, arg));
    MUST_BE(helper_spawn_all(tasks, 3, open_and_free, NULL), 0);
    MUST_BE(helper_join_all(tasks, 3), 0);
    helper_thread_join(&thread);
    return 0;
}

CASE(signal_channels_open_and_end_in_tasks_and_threads) {
    must_run(open_and_free_main, NULL);
    ASSERT_ALL_MUST();
}

static int leave_open_main(void *arg) {
    pintle_chan **c = arg;
    MUST_BE(pintle_signal_open(&c[0], PINTLE_SIGNAL_USER1), 0);
    MUST_BE(pintle_signal_open(&c[1], PINTLE_SIGNAL_STOP), 0);
    return 0;
}

CASE(signal_channels_are_closed_by_the_end_of_the_runtime) {
    pintle_chan *c[2];
    pintle_signal item = {.kind = 7};
    for (int round = 0; round < 4; round++) {
        if (round % 2 == 0) {
            ck_assert_int_eq(helper_run(leave_open_main, c, 2), 0);
        } else {
            ck_assert_int_eq(pintle_start(NULL), 0);
            leave_open_main(c);
            ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
        }
        for (int i = 0; i < 2; i++) {
            ck_assert_int_eq(pintle_chan_recv(c[i], &item, PINTLE_FOREVER), PINTLE_ECLOSED);
            ck_assert_uint_eq(item.kind, 0);
            pintle_chan_free(c[i]);
        }
    }
    ASSERT_ALL_MUST();
}

/* When the channel has gone, nobody will come: a deadlock as before. That there is none while it is open: test_signal_posix.c. */
static int wait_for_ever_main(void *arg) {
    pintle_event never = PINTLE_EVENT_INIT;
    pintle_chan *c;
    (void)arg;
    if (pintle_signal_open(&c, PINTLE_SIGNAL_STOP) != 0) return 99;
    pintle_chan_free(c);
    return pintle_event_wait(&never, PINTLE_FOREVER);
}
CHILD(deadlock_after_a_signal_channel) {
    child_without_watchdog();
    exit(helper_run_strict(wait_for_ever_main, NULL));
}

CASE(signal_channel_that_was_freed_hides_no_deadlock) {
    char text[8192];
    int status = child_run("deadlock_after_a_signal_channel", text, sizeof text);
    ck_assert_msg(status == 2 && strstr(text, "deadlock") != NULL, "status %d: %s", status, text);
}
