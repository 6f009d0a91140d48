/* test_trace_lines.c: PINTLE_TRACE: a line of figures each so often, also while all tasks wait. */
#include "api_helpers.h"

typedef struct lines {
    atomic_uint count;
    char last[512];
    pintle_event third;
} lines;

static void take_line(void *user, int kind, const char *text) {
    lines *l = user;
    /* Those before the main task waits are left out: on a busy machine it begins late. */
    if (kind != PINTLE_REPORT_TRACE || strstr(text, "1 tasks, 0 queued, 0 of 2 processors busy") == NULL) return;
    if (atomic_load(&l->count) < 3) snprintf(l->last, sizeof l->last, "%s", text);
    if (atomic_fetch_add(&l->count, 1) + 1 == 3) pintle_event_set(&l->third);
}

static int wait_for_lines(void *arg) { return pintle_event_wait(&((lines *)arg)->third, PINTLE_FOREVER); }

static int run_with(const char *period, lines *l) {
    pintle_options options = helper_processors(2);
    pintle_event_init(&l->third);
    options.on_report = take_line;
    options.user = l;
    helper_set_environment("PINTLE_TRACE", period);
    int result = pintle_run(wait_for_lines, l, &options);
    helper_set_environment("PINTLE_TRACE", NULL);
    return result;
}

CASE(trace_gives_lines_while_all_tasks_wait) {
    lines l = {0};
    ck_assert_int_eq(run_with("20", &l), 0);
    ck_assert_msg(strstr(l.last, "pintle: trace: ") == l.last, "%s", l.last);
    ck_assert_uint_ge(l.count, 3);
}

CASE(trace_of_what_is_no_period_is_refused) {
    const char *const wrong[] = {"0", "soon", "-5", "10ms"};
    for (size_t i = 0; i < ELEMENTS(wrong); i++) {
        lines l = {0};
        pintle_error error;
        ck_assert_int_eq(run_with(wrong[i], &l), PINTLE_EINVAL);
        pintle_error_get(&error);
        ck_assert_msg(strstr(error.text, wrong[i]) != NULL, "%s", error.text);
    }
}
