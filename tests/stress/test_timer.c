/* test_timer.c: timers set, stopped, set again and freed at random times, by tasks and by threads that are none: each setting
 * ends in one run of the function, or in a stop that said that it prevented it, never both. */
#include "api/must.h"

enum { OWNERS = 12, ROUNDS = 400 / TEST_SLOWNESS };

typedef struct owner {
    atomic_uint ran, inside;
    uint64_t seed;
    pintle_event done;
} owner;

static void run(void *arg) {
    owner *o = arg;
    MUST_BE(atomic_fetch_add(&o->inside, 1), 0); /* never twice at once */
    atomic_fetch_add(&o->ran, 1);
    if (atomic_load(&o->ran) % 5 == 0) pintle_yield();
    atomic_fetch_sub(&o->inside, 1);
}

static void await_runs(owner *o, unsigned wanted) {
    while (atomic_load(&o->ran) < wanted) pintle_sleep(PINTLE_US(20));
}

/* By deadlines before, at and after the stop; waiting by sleeping, computing, not at all. */
static void own(void *arg) {
    owner *o = arg;
    helper_random random = helper_random_from(o->seed);
    pintle_timer *timer = NULL;
    unsigned expected = 0;
    for (int round = 0; round < ROUNDS; round++) {
        if (timer == NULL) MUST_BE(pintle_timer_new(&timer, run, o), 0);
        MUST_BE(pintle_timer_set(timer, pintle_after(PINTLE_US(helper_random_below(&random, 120))), 0), 0);
        switch (helper_random_below(&random, 4)) {
        case 0: pintle_sleep(PINTLE_US(helper_random_below(&random, 150))); break;
        case 1: helper_compute(PINTLE_US(helper_random_below(&random, 100))); break;
        case 2: pintle_sleep(0); break;
        default: break;
        }
        if (!pintle_timer_stop(timer)) expected++;
        await_runs(o, expected);
        if (helper_random_below(&random, 8) == 0) { /* with a run that may not have ended */
            pintle_timer_free(timer);
            timer = NULL;
            while (atomic_load(&o->inside) != 0) pintle_sleep(PINTLE_US(20)); /* the next is another timer */
        }
    }
    pintle_timer_free(timer);
    pintle_sleep(PINTLE_US(500)); /* one too many would come */
    while (atomic_load(&o->inside) != 0) pintle_sleep(PINTLE_US(20));
    MUST_BE(o->ran, expected);
    pintle_event_set(&o->done);
}

static int storm_main(void *arg) {
    static owner owners[OWNERS];
    helper_thread threads[2];
    pintle_task *tasks[OWNERS];
    memset(owners, 0, sizeof owners);
    for (unsigned i = 0; i < OWNERS; i++) owners[i].seed = *(uint64_t *)arg * 31 + i;
    for (unsigned i = 0; i < 2; i++) MUST(helper_thread_start(&threads[i], own, &owners[i]));
    for (unsigned i = 2; i < OWNERS; i++) MUST_BE(pintle_spawn(&tasks[i], own, &owners[i]), 0);
    for (unsigned i = 0; i < OWNERS; i++) MUST_BE(pintle_event_wait(&owners[i].done, PINTLE_FOREVER), 0);
    for (unsigned i = 0; i < 2; i++) helper_thread_join(&threads[i]);
    for (unsigned i = 2; i < OWNERS; i++) MUST_BE(pintle_join(tasks[i], PINTLE_FOREVER), 0);
    MUST_BE(pintle_check(), 0);
    return 0;
}

CASE_TIMEOUT(timers_set_and_stopped_at_random_run_once_or_are_prevented, 60) {
    uint64_t seed = test_seed();
    must_run(storm_main, &seed);
    ck_assert_int_eq(helper_run(storm_main, &seed, 4), 0);
    ASSERT_ALL_MUST();
}
