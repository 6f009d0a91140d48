/* test_scheduler.c: seeded storms of everything that the scheduler does: spawns, yields, sleeps, pins, events, joins with
 * and without deadlines, calls. What must hold is checked inside, and counted exactly at the end.
 * A run takes a second or two. For long runs: ctest -L stress --repeat until-fail:200 */
#include "api/api_helpers.h"

/* ---- A tree of tasks, each of which does a few random things ---- */

#define ROOMS 16

typedef struct room { /* a rendezvous of changing guests: set and reset at random */
    pintle_event event;
} room;

typedef struct world {
    uint64_t seed;
    unsigned steps;
    room rooms[ROOMS];
    atomic_uint next, spawned, begun, ended, joined, detached, wrong;
    atomic_uint waited, woken, timed_out;
    atomic_uint stop_setting;
    unsigned failed;
    pintle_stats after;
} world;

typedef struct life {
    world *w;
    unsigned depth;
} life;

static int short_call(void *arg) {
    helper_compute(PINTLE_US(*(uint32_t *)arg));
    return (int)*(uint32_t *)arg;
}

static void live(void *arg);

/* Spawns a child; detached, joined at once, or joined with a deadline and then for good. */
static void bear_child(world *w, helper_random *random, unsigned depth) {
    life *child = malloc(sizeof *child);
    pintle_task *task = NULL;
    if (child == NULL) return;
    *child = (life){w, depth};
    atomic_fetch_add(&w->spawned, 1);
    pintle_task_options options = {.size = sizeof options, .pinned = helper_random_below(random, 10) == 0};
    unsigned fate = helper_random_below(random, 4);
    if (pintle_spawn_with(fate == 0 ? NULL : &task, live, child, &options) != 0) {
        atomic_fetch_add(&w->wrong, 1);
        free(child);
        return;
    }
    switch (fate) {
    case 0: atomic_fetch_add(&w->detached, 1); break;
    case 1:
        if (helper_random_below(random, 2) == 0) pintle_yield();
        pintle_task_detach(task);
        atomic_fetch_add(&w->detached, 1);
        break;
    case 2: {
        int result = pintle_join(task, pintle_after(PINTLE_US(helper_random_below(random, 200))));
        if (result == PINTLE_ETIMEDOUT) result = pintle_join(task, PINTLE_FOREVER);
        if (result != 0) atomic_fetch_add(&w->wrong, 1);
        atomic_fetch_add(&w->joined, 1);
        break;
    }
    default:
        if (pintle_join(task, PINTLE_FOREVER) != 0) atomic_fetch_add(&w->wrong, 1);
        atomic_fetch_add(&w->joined, 1);
        break;
    }
}

static void live(void *arg) {
    life *l = arg;
    world *w = l->w;
    unsigned depth = l->depth;
    helper_random random = helper_random_from(w->seed + atomic_fetch_add(&w->next, 1) * 7919);
    uint64_t id = pintle_task_id(pintle_self());
    volatile uint64_t kept[4] = {id, id * 3, id * 5, id * 7};
    unsigned pins = pintle_pinned() ? 1 : 0; /* those born pinned */
    uint64_t pinned_thread = helper_thread_id();
    free(l);
    atomic_fetch_add(&w->begun, 1);
    for (unsigned i = 0; i < w->steps; i++) {
        uint32_t duration_us = helper_random_below(&random, 50);
        room *r = &w->rooms[helper_random_below(&random, ROOMS)];
        switch (helper_random_below(&random, 12)) {
        case 0:
        case 1:
        case 2: pintle_yield(); break;
        case 3:
            if (pintle_sleep(PINTLE_US(duration_us)) != 0) atomic_fetch_add(&w->wrong, 1);
            break;
        case 4:
            if (pins++ == 0) pinned_thread = helper_thread_id();
            pintle_pin();
            break;
        case 5:
            if (pins > 0) {
                pintle_unpin();
                pins--;
            }
            break;
        case 6: {
            atomic_fetch_add(&w->waited, 1);
            int result = pintle_event_wait(&r->event, pintle_after(PINTLE_US(duration_us * 4)));
            if (result == 0)
                atomic_fetch_add(&w->woken, 1);
            else if (result == PINTLE_ETIMEDOUT)
                atomic_fetch_add(&w->timed_out, 1);
            else
                atomic_fetch_add(&w->wrong, 1);
            break;
        }
        case 7: pintle_event_set(&r->event); break;
        case 8: pintle_event_reset(&r->event); break;
        case 9:
            if (pintle_call(short_call, &duration_us) != (int)duration_us) atomic_fetch_add(&w->wrong, 1);
            break;
        case 10:
            if (pintle_call_blocking(short_call, &duration_us) != (int)duration_us) atomic_fetch_add(&w->wrong, 1);
            break;
        default:
            if (depth > 0) bear_child(w, &random, depth - 1);
            break;
        }
        if (pintle_task_id(pintle_self()) != id || kept[0] != id || kept[1] != id * 3 || kept[2] != id * 5 ||
            kept[3] != id * 7)
            atomic_fetch_add(&w->wrong, 1);
        if (pins > 0 && helper_thread_id() != pinned_thread) atomic_fetch_add(&w->wrong, 1);
        if (pintle_pinned() != (pins > 0)) atomic_fetch_add(&w->wrong, 1);
    }
    /* One in eight of the pinned ones ends so. */
    if (pins > 0 && helper_random_below(&random, 8) != 0)
        for (; pins > 0; pins--) pintle_unpin();
    atomic_fetch_add(&w->ended, 1);
}

static int world_main(void *arg) {
    world *w = arg;
    helper_random random = helper_random_from(w->seed);
    for (int i = 0; i < 30; i++) bear_child(w, &random, 4);
    /* Those nobody joins end too; nobody waits without a deadline. */
    do {
        pintle_sleep(PINTLE_US(100));
        pintle_stats_get(&w->after);
    } while (w->after.tasks > 1);
    pintle_stats_get(&w->after); /* its other figures were from before the last tasks' ends */
    return 0;
}

static void world_run(unsigned processors, unsigned steps) {
    unsigned threads = helper_thread_count();
    world *w = calloc(1, sizeof *w);
    ck_assert_ptr_nonnull(w);
    w->seed = test_seed();
    w->steps = steps;
    for (int i = 0; i < ROOMS; i++) pintle_event_init(&w->rooms[i].event);
    ck_assert_int_eq(helper_run(world_main, w, processors), 0);
    ck_assert_uint_eq(w->wrong, 0);
    ck_assert_uint_eq(w->begun, w->spawned);
    ck_assert_uint_eq(w->ended, w->spawned);
    ck_assert_uint_eq(w->joined + w->detached, w->spawned);
    ck_assert_uint_eq(w->woken + w->timed_out, w->waited);
    ck_assert_uint_eq(w->after.calls_in_flight, 0);
    ck_assert_uint_eq(w->after.timers, 0);
    for (int i = 0; i < ROOMS; i++) pintle_event_destroy(&w->rooms[i].event); /* nobody waits there */
    ck_assert(helper_threads_at_most(threads));
    free(w);
}

CASE_TIMEOUT(mix_of_everything_with_one_processor, 60) { world_run(1, 24); }
CASE_TIMEOUT(mix_of_everything_with_two_processors, 60) { world_run(2, 24); }
CASE_TIMEOUT(mix_of_everything_with_four_processors, 60) { world_run(4, 24); }

/* ---- Rings: bursts of spawns that overflow, while others steal ---- */

typedef struct burst {
    uint64_t seed;
    atomic_uint ran;
    atomic_uint *each;
    unsigned count, failed;
} burst;

typedef struct burst_item {
    burst *b;
    unsigned index;
} burst_item;

static void burst_task(void *arg) {
    burst_item *item = arg;
    atomic_fetch_add(&item->b->each[item->index], 1);
    atomic_fetch_add(&item->b->ran, 1);
    if (item->index % 7 == 0) pintle_yield();
}
static int burst_main(void *arg) {
    burst *b = arg;
    helper_random random = helper_random_from(b->seed);
    burst_item *items = calloc(b->count, sizeof *items);
    pintle_task **tasks = calloc(b->count, sizeof *tasks);
    if (items == NULL || tasks == NULL) return 1;
    for (int round = 0; round < 10; round++) {
        unsigned n = 1 + helper_random_below(&random, b->count);
        for (unsigned i = 0; i < n; i++) {
            items[i] = (burst_item){b, i};
            if (pintle_spawn(&tasks[i], burst_task, &items[i]) != 0) b->failed++;
            if (helper_random_below(&random, 100) == 0) pintle_yield();
        }
        b->failed += helper_join_all(tasks, n);
        for (unsigned i = 0; i < n; i++)
            if (atomic_exchange(&b->each[i], 0) != 1) b->failed++;
    }
    free(items);
    free(tasks);
    return 0;
}

CASE_TIMEOUT(bursts_of_spawns_run_each_task_once, 60) {
    for (unsigned processors = 1; processors <= 4; processors++) {
        burst b = {.seed = test_seed() + processors, .count = 3000};
        b.each = calloc(b.count, sizeof *b.each);
        ck_assert_ptr_nonnull(b.each);
        ck_assert_int_eq(helper_run(burst_main, &b, processors), 0);
        ck_assert_uint_eq(b.failed, 0);
        free(b.each);
    }
}

/* ---- Wake-ups: everything falls asleep again and again, and one outside thread wakes it ---- */

typedef struct wakes {
    pintle_event ping[8], pong[8];
    atomic_uint next;
    unsigned rounds;
} wakes;

static void wakes_task(void *arg) {
    wakes *w = arg;
    unsigned me = atomic_fetch_add(&w->next, 1);
    if (me % 3 == 2) pintle_pin();
    for (unsigned i = 0; i < w->rounds; i++) {
        pintle_event_wait(&w->ping[me], PINTLE_FOREVER);
        pintle_event_reset(&w->ping[me]);
        pintle_event_set(&w->pong[me]);
    }
    if (me % 3 == 2) pintle_unpin();
}

CASE_TIMEOUT(wake_ups_from_outside_are_never_lost, 60) {
    for (unsigned processors = 1; processors <= 4; processors *= 2) {
        wakes w = {.rounds = 300};
        pintle_task *tasks[8];
        helper_random random = helper_random_from(test_seed());
        pintle_options options = helper_processors(processors);
        for (int i = 0; i < 8; i++) {
            pintle_event_init(&w.ping[i]);
            pintle_event_init(&w.pong[i]);
        }
        ck_assert_int_eq(pintle_start(&options), 0);
        ck_assert_uint_eq(helper_spawn_all(tasks, 8, wakes_task, &w), 0);
        for (unsigned round = 0; round < w.rounds; round++) {
            unsigned first = helper_random_below(&random, 8), together = 1 + helper_random_below(&random, 8);
            for (unsigned k = 0; k < 8; k++) {
                pintle_event_set(&w.ping[(first + k) % 8]);
                if ((k + 1) % together == 0) {
                    ck_assert_int_eq(pintle_event_wait(&w.pong[(first + k) % 8], PINTLE_FOREVER), 0);
                    helper_compute(PINTLE_US(helper_random_below(&random, 30))); /* let them fall asleep, or nearly */
                }
            }
            for (unsigned k = 0; k < 8; k++) {
                ck_assert_int_eq(pintle_event_wait(&w.pong[k], PINTLE_FOREVER), 0);
                pintle_event_reset(&w.pong[k]);
            }
        }
        ck_assert_uint_eq(helper_join_all(tasks, 8), 0);
        ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    }
}

/* ---- Pins: a crowd of pinned and unpinned tasks on few processors, none starves, none moves ---- */

typedef struct pins {
    uint64_t seed;
    atomic_uint next, moved, turns[24];
} pins;

static void pins_task(void *arg) {
    pins *p = arg;
    unsigned me = atomic_fetch_add(&p->next, 1);
    helper_random random = helper_random_from(p->seed + me);
    for (int i = 0; i < 100; i++) {
        unsigned depth = helper_random_below(&random, 3);
        for (unsigned k = 0; k < depth; k++) pintle_pin();
        uint64_t thread = helper_thread_id();
        for (int k = 0; k < 3; k++) {
            uint32_t duration_us = helper_random_below(&random, 40);
            switch (helper_random_below(&random, 3)) {
            case 0: pintle_yield(); break;
            case 1: pintle_sleep(PINTLE_US(duration_us)); break;
            default: pintle_call(short_call, &duration_us); break;
            }
            if (depth > 0 && helper_thread_id() != thread) atomic_fetch_add(&p->moved, 1);
        }
        for (unsigned k = 0; k < depth; k++) pintle_unpin();
        atomic_fetch_add(&p->turns[me], 1);
    }
}
static int pins_main(void *arg) {
    pintle_task *tasks[24];
    unsigned failed = helper_spawn_all(tasks, 24, pins_task, arg);
    return (int)(failed + helper_join_all(tasks, 24));
}

CASE_TIMEOUT(pins_of_a_crowd_hold_and_nobody_starves, 60) {
    for (unsigned processors = 1; processors <= 3; processors++) {
        pins p = {.seed = test_seed()};
        ck_assert_int_eq(helper_run(pins_main, &p, processors), 0);
        ck_assert_uint_eq(p.moved, 0);
        for (int i = 0; i < 24; i++) ck_assert_uint_eq(p.turns[i], 100);
    }
}

/* ---- Foreign threads that spawn, join and enter while tasks do ---- */

typedef struct siege {
    uint64_t seed;
    atomic_uint next, entered, wrong;
} siege;

static void siege_task(void *arg) {
    siege *s = arg;
    pintle_yield();
    atomic_fetch_add(&s->entered, 1);
}
static void siege_thread(void *arg) {
    siege *s = arg;
    helper_random random = helper_random_from(s->seed + atomic_fetch_add(&s->next, 1));
    for (int i = 0; i < 200; i++) {
        pintle_task *task;
        switch (helper_random_below(&random, 3)) {
        case 0:
            if (pintle_enter(siege_task, s) != 0) atomic_fetch_add(&s->wrong, 1);
            break;
        case 1:
            if (pintle_spawn(&task, siege_task, s) != 0 || pintle_join(task, PINTLE_FOREVER) != 0)
                atomic_fetch_add(&s->wrong, 1);
            break;
        default:
            if (pintle_spawn(NULL, siege_task, s) != 0) atomic_fetch_add(&s->wrong, 1);
            break;
        }
    }
}

CASE_TIMEOUT(foreign_threads_enter_spawn_and_join_at_once, 60) {
    for (unsigned processors = 1; processors <= 3; processors++) {
        siege s = {.seed = test_seed()};
        helper_thread threads[6];
        pintle_options options = helper_processors(processors);
        ck_assert_int_eq(pintle_start(&options), 0);
        for (int i = 0; i < 6; i++) ck_assert(helper_thread_start(&threads[i], siege_thread, &s));
        for (int i = 0; i < 6; i++) helper_thread_join(&threads[i]);
        ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
        ck_assert_uint_eq(s.wrong, 0);
        ck_assert_uint_eq(s.entered, 6 * 200);
    }
}
