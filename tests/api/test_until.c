/* pintle_call_until, and functions that are learnt to block. */
#include "api_helpers.h"
#include "support/pintle_test.h"

typedef struct until {
    helper_sem gate;
    pintle_event dropped;
    atomic_uint drops;
    int results[4], value;
    uint64_t abandoned;
} until;

static int quick(void *arg) {
    (void)arg;
    return 42;
}
static int blocked(void *arg) {
    helper_sem_wait(&((until *)arg)->gate);
    return 43;
}
static void dropped(void *arg) {
    until *u = arg;
    atomic_fetch_add(&u->drops, 1);
    pintle_event_set(&u->dropped);
}

static int until_main(void *arg) {
    until *u = arg;
    pintle_stats stats;
    u->results[0] = pintle_call_until(quick, u, dropped, PINTLE_FOREVER, &u->value);
    u->results[1] = pintle_call_until(blocked, u, dropped, pintle_after(PINTLE_MS(5)), NULL);
    u->results[2] = pintle_call_until(quick, u, dropped, 5, NULL);
    pintle_stats_get(&stats);
    u->abandoned = stats.calls_abandoned;
    if (atomic_load(&u->drops) != 0) return 1; /* the call still runs */
    helper_sem_post(&u->gate);
    u->results[3] = pintle_event_wait(&u->dropped, PINTLE_FOREVER);
    return 0;
}

CASE(call_until_abandons_at_the_deadline_and_drops_later) {
    until u = {.value = 0};
    helper_sem_init(&u.gate);
    pintle_event_init(&u.dropped);
    ck_assert_int_eq(helper_run(until_main, &u, 1), 0);
    ck_assert_int_eq(u.results[0], 0);
    ck_assert_int_eq(u.value, 42);
    ck_assert_int_eq(u.results[1], PINTLE_ETIMEDOUT);
    ck_assert_int_eq(u.results[2], PINTLE_EINVAL);
    ck_assert_int_eq(u.results[3], 0);
    ck_assert_uint_eq(u.abandoned, 1);
    ck_assert_uint_eq(u.drops, 1);
}

/* Calls that end about when the deadline comes: each is either taken or dropped, never both, never neither. */
static int nap(void *arg) {
    (void)arg;
    helper_compute(PINTLE_US(200));
    return 1;
}
typedef struct race {
    atomic_uint drops;
    unsigned taken, abandoned, wrong;
} race;
static void race_drop(void *arg) { atomic_fetch_add(&((race *)arg)->drops, 1); }
static int race_main(void *arg) {
    race *r = arg;
    for (int i = 0; i < 300; i++) {
        int value = 0, result = pintle_call_until(nap, r, race_drop, pintle_after(PINTLE_US(100 + i)), &value);
        if (result == 0 && value == 1) {
            r->taken++;
        } else if (result == PINTLE_ETIMEDOUT) {
            r->abandoned++;
        } else {
            r->wrong++;
        }
    }
    for (int i = 0; i < 2000 && atomic_load(&r->drops) < r->abandoned; i++) pintle_sleep(PINTLE_MS(1));
    return 0;
}

CASE(call_until_that_ends_at_the_deadline_is_taken_or_dropped) {
    race r = {.wrong = 0};
    ck_assert_int_eq(helper_run(race_main, &r, 2), 0);
    ck_assert_uint_eq(r.wrong, 0);
    ck_assert_uint_eq(r.taken + r.abandoned, 300);
    ck_assert_uint_eq(r.drops, r.abandoned);
}

/* A function that blocks again and again is handed on at once: the monitor does not have to find it each time. */
static int sleep_1ms(void *arg) {
#ifdef _WIN32
    Sleep(1);
#else
    usleep(1000);
#endif
    (void)arg;
    return 0;
}
static void sleeper(void *arg) {
    (void)arg;
    for (int i = 0; i < 10; i++) pintle_call(sleep_1ms, NULL);
}
typedef struct learnt {
    pintle_stats before, after;
} learnt;
static int learnt_main(void *arg) {
    learnt *l = arg;
    pintle_task *tasks[20];
    if (helper_spawn_all(tasks, 20, sleeper, NULL) != 0 || helper_join_all(tasks, 20) != 0) return 1;
    pintle_stats_get(&l->before);
    if (helper_spawn_all(tasks, 20, sleeper, NULL) != 0 || helper_join_all(tasks, 20) != 0) return 2;
    pintle_stats_get(&l->after);
    return 0;
}

CASE(function_that_blocks_is_learnt_and_handed_on_at_once) {
    learnt l;
    ck_assert_int_eq(helper_run(learnt_main, &l, 1), 0);
    ck_assert_uint_ge(l.after.handoffs - l.before.handoffs, 100);
    ck_assert_uint_lt(l.after.retakes - l.before.retakes, 100);
}
