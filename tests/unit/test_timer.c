/* test_timer.c: the heap of timers: order, stopping, growth, its earliest deadline, and threads that arm, stop and run
 * at once. */
#include "api/api_helpers.h"

#include "timer.h"

#define COUNT 3000

typedef struct noted {
    struct timer timer; /* first: a pointer to it is one to this */
    int64_t fired_as;   /* its place in the order of firing; -1: not */
    uint64_t fired_seq;
} noted;

static noted timers[COUNT];
static int64_t fired_count;

static void note_fired(struct timer *timer, uint64_t seq) {
    noted *n = (noted *)(void *)timer;
    n->fired_as = fired_count++;
    n->fired_seq = seq;
}
/* Runs all that are due; how many. */
static unsigned run_due(struct timer_heap *heap, int64_t now_ns) {
    unsigned fired = 0;
    while (timer_heap_run_one(heap, now_ns)) fired++;
    return fired;
}
static void timers_reset(void) {
    fired_count = 0;
    memset(timers, 0, sizeof timers);
    for (int i = 0; i < COUNT; i++) {
        timers[i].timer.fire = note_fired;
        timers[i].timer.seq = (uint64_t)i * 3;
        timers[i].fired_as = -1;
    }
}

CASE(heap_empty_has_no_deadline_and_runs_nothing) {
    struct timer_heap heap;
    timers_reset();
    timer_heap_init(&heap);
    ck_assert_int_eq(timer_heap_earliest(&heap), INT64_MAX);
    ck_assert(!timer_heap_run_one(&heap, INT64_MAX - 1));
    ck_assert(!timer_stop(&timers[0].timer));
    timer_heap_destroy(&heap);
}

CASE(heap_runs_one_timer_at_a_time) {
    struct timer_heap heap;
    timers_reset();
    timer_heap_init(&heap);
    for (int i = 0; i < 3; i++) {
        timers[i].timer.deadline_ns = 100 - i;
        ck_assert_int_eq(timer_start(&heap, &timers[i].timer), 0);
    }
    for (int i = 2; i >= 0; i--) {
        ck_assert(timer_heap_run_one(&heap, 100));
        ck_assert_int_eq(timers[i].fired_as, 2 - i);
        ck_assert_int_eq(fired_count, 3 - i);
    }
    ck_assert(!timer_heap_run_one(&heap, 100));
    timer_heap_destroy(&heap);
}

CASE(timers_fire_in_the_order_of_their_deadlines_and_not_before) {
    struct timer_heap heap;
    helper_random random = helper_random_from(test_seed());
    timers_reset();
    timer_heap_init(&heap);
    int64_t earliest = INT64_MAX;
    for (int i = 0; i < COUNT; i++) {
        timers[i].timer.deadline_ns = 1000 + helper_random_below(&random, 2000); /* some are equal */
        if (timers[i].timer.deadline_ns < earliest) earliest = timers[i].timer.deadline_ns;
        ck_assert_int_eq(timer_start(&heap, &timers[i].timer), 0);
        ck_assert_int_eq(timer_heap_earliest(&heap), earliest);
    }
    ck_assert_uint_eq(run_due(&heap, 999), 0);
    unsigned total = 0;
    for (int64_t now = 1000; now <= 3000; now += 7) {
        unsigned due = 0;
        for (int i = 0; i < COUNT; i++) due += timers[i].fired_as < 0 && timers[i].timer.deadline_ns <= now;
        ck_assert_uint_eq(run_due(&heap, now), due);
        total += due;
        ck_assert_int_gt(timer_heap_earliest(&heap), now);
    }
    total += run_due(&heap, 3000);
    ck_assert_uint_eq(total, COUNT);
    ck_assert_int_eq(timer_heap_earliest(&heap), INT64_MAX);
    static const noted *by_place[COUNT];
    for (int i = 0; i < COUNT; i++) {
        ck_assert_int_ge(timers[i].fired_as, 0);
        ck_assert_uint_eq(timers[i].fired_seq, (uint64_t)i * 3);
        by_place[timers[i].fired_as] = &timers[i];
    }
    for (int i = 1; i < COUNT; i++)
        ck_assert_int_le(by_place[i - 1]->timer.deadline_ns, by_place[i]->timer.deadline_ns);
    timer_heap_destroy(&heap);
}

CASE(timers_stopped_do_not_fire_and_the_others_keep_their_order) {
    struct timer_heap heap;
    helper_random random = helper_random_from(test_seed());
    timer_heap_init(&heap);
    for (int round = 0; round < 20; round++) {
        timers_reset();
        unsigned stopped = 0;
        bool is_stopped[COUNT] = {false};
        int64_t earliest = INT64_MAX;
        for (int i = 0; i < COUNT; i++) {
            timers[i].timer.deadline_ns = helper_random_below(&random, 1000000);
            ck_assert_int_eq(timer_start(&heap, &timers[i].timer), 0);
        }
        for (int k = 0; k < COUNT; k++) {
            unsigned i = helper_random_below(&random, COUNT);
            ck_assert_int_eq(timer_stop(&timers[i].timer), !is_stopped[i]); /* a second time: it was not armed */
            stopped += !is_stopped[i];
            is_stopped[i] = true;
        }
        for (int i = 0; i < COUNT; i++)
            if (!is_stopped[i] && timers[i].timer.deadline_ns < earliest) earliest = timers[i].timer.deadline_ns;
        ck_assert_int_eq(timer_heap_earliest(&heap), earliest);
        ck_assert_uint_eq(run_due(&heap, 1000000), COUNT - stopped);
        int64_t last = 0;
        static const noted *by_place[COUNT];
        for (int i = 0; i < COUNT; i++) {
            ck_assert_int_eq(timers[i].fired_as >= 0, !is_stopped[i]);
            if (!is_stopped[i]) by_place[timers[i].fired_as] = &timers[i];
            ck_assert(!timer_stop(&timers[i].timer));
        }
        for (unsigned i = 0; i < COUNT - stopped; i++) {
            ck_assert_int_ge(by_place[i]->timer.deadline_ns, last);
            last = by_place[i]->timer.deadline_ns;
        }
    }
    timer_heap_destroy(&heap);
}

/* A timer may be armed again by its own function. */
static struct timer_heap again_heap;
static unsigned again_count;

static void arm_again(struct timer *timer, uint64_t seq) {
    if (++again_count == 100) return;
    timer->deadline_ns += 10;
    timer->seq = seq + 1;
    timer_start(&again_heap, timer);
}

CASE(timer_armed_again_in_its_own_function_fires_again) {
    struct timer timer = {.deadline_ns = 10, .fire = arm_again};
    timer_heap_init(&again_heap);
    ck_assert_int_eq(timer_start(&again_heap, &timer), 0);
    ck_assert_uint_eq(run_due(&again_heap, 55), 5);
    ck_assert_int_eq(timer_heap_earliest(&again_heap), 60);
    ck_assert_uint_eq(run_due(&again_heap, 100000), 95);
    ck_assert_uint_eq(timer.seq, 99);
    ck_assert_int_eq(timer_heap_earliest(&again_heap), INT64_MAX);
    timer_heap_destroy(&again_heap);
}

/* ---- Owners arm and stop, another thread runs: each timer fires or is stopped, never both, never neither ---- */

typedef struct race {
    struct timer_heap heap;
    atomic_bool done;
    uint64_t seed;
} race;

typedef struct raced {
    struct timer timer;
    atomic_uint fired;
} raced;

static void count_fired(struct timer *timer, uint64_t seq) {
    (void)seq;
    atomic_fetch_add(&((raced *)(void *)timer)->fired, 1);
}
static void race_runner(void *arg) {
    race *r = arg;
    while (!atomic_load(&r->done)) run_due(&r->heap, 500);
}

CASE(timer_stopped_while_another_thread_runs_the_heap_fires_once_or_not) {
    static race r;
    helper_thread runner;
    helper_random random = helper_random_from(test_seed());
    unsigned stopped = 0, fired = 0;
    memset(&r, 0, sizeof r);
    timer_heap_init(&r.heap);
    ck_assert(helper_thread_start(&runner, race_runner, &r));
    for (unsigned i = 0; i < 200000; i++) {
        raced one = {.timer = {.deadline_ns = helper_random_below(&random, 1000), .fire = count_fired}};
        ck_assert_int_eq(timer_start(&r.heap, &one.timer), 0);
        for (unsigned k = helper_random_below(&random, 50); k > 0; k--) __asm__ volatile("");
        if (timer_stop(&one.timer)) {
            ck_assert_uint_eq(one.fired, 0);
            stopped++;
        } else {
            while (atomic_load(&one.fired) == 0) { /* its function is running just now */
            }
            ck_assert_uint_eq(one.fired, 1);
            ck_assert_int_le(one.timer.deadline_ns, 500);
            fired++;
        }
    }
    atomic_store(&r.done, true);
    helper_thread_join(&runner);
    ck_assert_uint_eq(stopped + fired, 200000);
    ck_assert_uint_gt(stopped, 0);
    ck_assert_int_eq(timer_heap_earliest(&r.heap), INT64_MAX);
    timer_heap_destroy(&r.heap);
}
