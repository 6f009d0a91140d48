/* test_calls.c: calls whose durations lie around the point where a processor is taken from them, mixed at random, so
 * that many return just as it happens. Seeded; a run takes a second or two. For long runs:
 * ctest -L stress --repeat until-fail:200 */
#include "api/api_helpers.h"

typedef struct storm {
    uint64_t seed;
    unsigned tasks, rounds;
    uint32_t longest_us; /* durations are 0 to this */
    int64_t end;         /* where others use the CPUs too: fewer rounds */
    atomic_uint next, begun, made, wrong_value, wrong_local, wrong_errno, wrong_thread;
    unsigned failed;
    pintle_stats before, after;
} storm;

typedef struct storm_call {
    uint32_t duration_us;
    int value;
} storm_call;

/* Half of them compute, half of them wait in the system. */
static int storm_fn(void *arg) {
    const storm_call *c = arg;
    if (c->duration_us % 2 == 0) {
        helper_compute(PINTLE_US(c->duration_us));
    } else {
#if defined(_WIN32)
        SwitchToThread();
        helper_compute(PINTLE_US(c->duration_us / 2));
        SwitchToThread();
#else
        struct timespec time = {0, (long)c->duration_us * 1000};
        nanosleep(&time, NULL);
#endif
    }
    helper_set_errno(c->value + 1);
    return c->value;
}

static void storm_task(void *arg) {
    storm *s = arg;
    unsigned me = atomic_fetch_add(&s->next, 1);
    helper_random random = helper_random_from(s->seed + me);
    volatile uint64_t kept[4];
    for (unsigned i = 0; i < s->rounds && pintle_now() < s->end; i++) {
        atomic_fetch_add(&s->begun, 1);
        storm_call call = {helper_random_below(&random, s->longest_us + 1), (int)helper_random_below(&random, 1000000)};
        for (unsigned k = 0; k < 4; k++) kept[k] = (uint64_t)me * 1000003 + i * 7 + k;
        bool pinned = helper_random_below(&random, 8) == 0;
        if (pinned) pintle_pin();
        uint64_t thread = helper_thread_id();
        int value;
        switch (helper_random_below(&random, 8)) {
        case 0: value = pintle_call_blocking(storm_fn, &call); break;
        case 1:
            pintle_blocking_begin();
            value = storm_fn(&call);
            pintle_blocking_end();
            break;
        default: value = pintle_call(storm_fn, &call); break;
        }
        if (helper_errno() != call.value + 1) atomic_fetch_add(&s->wrong_errno, 1);
        if (value != call.value) atomic_fetch_add(&s->wrong_value, 1);
        if (pinned && helper_thread_id() != thread) atomic_fetch_add(&s->wrong_thread, 1);
        if (pinned) pintle_unpin();
        for (unsigned k = 0; k < 4; k++)
            if (kept[k] != (uint64_t)me * 1000003 + i * 7 + k) atomic_fetch_add(&s->wrong_local, 1);
        atomic_fetch_add(&s->made, 1);
        if (helper_random_below(&random, 4) == 0) pintle_yield();
    }
}
static int storm_main(void *arg) {
    storm *s = arg;
    static pintle_task *tasks[200];
    pintle_stats_get(&s->before);
    s->failed += helper_spawn_all(tasks, s->tasks, storm_task, s);
    s->failed += helper_join_all(tasks, s->tasks);
    pintle_stats_get(&s->after);
    return 0;
}

static void storm_run(unsigned processors, unsigned tasks, unsigned rounds, uint32_t longest_us) {
    storm s = {.seed = test_seed(), .tasks = tasks, .rounds = rounds, .longest_us = longest_us};
    s.end = pintle_after(PINTLE_S(20));
    ck_assert_int_eq(helper_run(storm_main, &s, processors), 0);
    ck_assert_uint_eq(s.failed, 0);
    ck_assert_uint_eq(s.made, s.begun);
    ck_assert_uint_ge(s.made, tasks);
    ck_assert_uint_eq(s.wrong_value, 0);
    ck_assert_uint_eq(s.wrong_local, 0);
    ck_assert_uint_eq(s.wrong_errno, 0);
    ck_assert_uint_eq(s.wrong_thread, 0);
    ck_assert_uint_eq(s.after.calls_in_flight, 0);
    ck_assert_uint_eq(s.after.tasks, 1);
}

CASE_TIMEOUT(calls_that_return_as_their_processor_is_taken_one_processor, 60) { storm_run(1, 20, 500, 60); }
CASE_TIMEOUT(calls_that_return_as_their_processor_is_taken_two_processors, 60) { storm_run(2, 20, 1000, 60); }
CASE_TIMEOUT(calls_that_return_as_their_processor_is_taken_four_processors, 60) { storm_run(4, 40, 300, 60); }
/* As where the system cannot fence all threads at once. */
CASE_TIMEOUT(calls_that_return_as_their_processor_is_taken_by_a_swap, 60) {
    helper_set_environment("PINTLE_DEBUG", "fence=0");
    storm_run(2, 20, 1000, 60);
    helper_set_environment("PINTLE_DEBUG", NULL);
}
CASE_TIMEOUT(calls_of_no_length_by_many_tasks, 60) { storm_run(2, 100, 2000, 1); }
CASE_TIMEOUT(calls_that_last_longer_than_a_slice, 60) { storm_run(2, 10, 15, 15000); }

/* Each call is counted once, whichever way it left. */
typedef struct tally {
    uint64_t seed;
    atomic_uint next;
    uint64_t counted;
} tally;

static int tally_fn(void *arg) {
    helper_compute(PINTLE_US(*(uint32_t *)arg));
    return 1;
}
static void tally_task(void *arg) {
    tally *t = arg;
    helper_random random = helper_random_from(t->seed + atomic_fetch_add(&t->next, 1));
    for (int i = 0; i < 500; i++) {
        uint32_t duration_us = helper_random_below(&random, 40);
        pintle_call(tally_fn, &duration_us);
    }
}
static int tally_main(void *arg) {
    tally *t = arg;
    pintle_task *tasks[10];
    pintle_stats before, after;
    pintle_stats_get(&before);
    unsigned failed = helper_spawn_all(tasks, 10, tally_task, t);
    failed += helper_join_all(tasks, 10);
    pintle_stats_get(&after);
    t->counted = after.calls - before.calls;
    return (int)failed;
}

CASE_TIMEOUT(calls_are_each_counted_once, 60) {
    for (unsigned processors = 1; processors <= 3; processors++) {
        tally t = {.seed = test_seed()};
        ck_assert_int_eq(helper_run(tally_main, &t, processors), 0);
        ck_assert_uint_eq(t.counted, 5000);
    }
}

/* Starting and stopping while calls come back: many short runs. */
static void brief_task(void *arg) {
    uint32_t duration_us = 30;
    (void)arg;
    for (int i = 0; i < 3; i++) {
        pintle_call(tally_fn, &duration_us);
        pintle_call_blocking(tally_fn, &duration_us);
    }
}
static int brief_main(void *arg) {
    (void)arg;
    for (int i = 0; i < 8; i++)
        if (pintle_spawn(NULL, brief_task, NULL) != 0) return 1;
    brief_task(NULL);
    return 6; /* the others are somewhere in their calls */
}

CASE_TIMEOUT(runs_that_end_while_calls_come_back, 60) {
    unsigned threads = helper_thread_count();
    for (unsigned i = 0; i < 60; i++) ck_assert_int_eq(helper_run(brief_main, NULL, 1 + i % 3), 6);
    ck_assert(helper_threads_at_most(threads));
}
