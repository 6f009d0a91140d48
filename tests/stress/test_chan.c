/* test_chan.c: seeded storms over channels, selects, events and locks: tasks and threads, deadlines, closing. What must hold
 * is counted exactly at the end: nothing that was sent is lost, nothing arrives twice.
 * A run takes a second or two. For long runs: ctest -L stress --repeat until-fail:200 */
#include "api/must.h"

#define CHANS 8
#define TASKS 24
#define THREADS 2

typedef struct world {
    uint64_t seed;
    unsigned steps;
    pintle_chan *chans[CHANS];
    pintle_event event;
    pintle_mutex mutex;
    uint64_t guarded;
    atomic_uint next, over;
    atomic_ullong sent, received, sent_sum, received_sum;
} world;

static int64_t random_deadline(helper_random *random) {
    switch (helper_random_below(random, 4)) {
    case 0: return PINTLE_NOWAIT;
    case 1: return pintle_after(PINTLE_US(helper_random_below(random, 100)));
    default: return pintle_after(PINTLE_MS(2)); /* not for ever: all may want the same */
    }
}
static void count_sent(world *w, uint64_t item) {
    atomic_fetch_add(&w->sent, 1);
    atomic_fetch_add(&w->sent_sum, item);
}
static void count_received(world *w, uint64_t item) {
    atomic_fetch_add(&w->received, 1);
    atomic_fetch_add(&w->received_sum, item);
}

static void select_some(world *w, helper_random *random) {
    pintle_case cases[20];
    uint64_t items[20];
    unsigned n = 1 + helper_random_below(random, helper_random_below(random, 8) == 0 ? 20 : 5);
    for (unsigned i = 0; i < n; i++) {
        pintle_chan *c = helper_random_below(random, 10) == 0 ? NULL : w->chans[helper_random_below(random, CHANS)];
        items[i] = 1 + helper_random_below(random, 1000000);
        switch (helper_random_below(random, 8)) {
        case 0: cases[i] = pintle_case_event(&w->event); break;
        case 1:
        case 2:
        case 3: cases[i] = pintle_case_send(c, &items[i]); break;
        default: cases[i] = pintle_case_recv(c, &items[i]); break;
        }
    }
    int ran = pintle_select(cases, n, random_deadline(random));
    if (ran < 0) {
        MUST(ran == PINTLE_EAGAIN || ran == PINTLE_ETIMEDOUT);
        return;
    }
    MUST(ran < (int)n && cases[ran].on != NULL && cases[ran].status == 0);
    if (cases[ran].op == PINTLE_CASE_SEND) count_sent(w, items[ran]);
    if (cases[ran].op == PINTLE_CASE_RECV) count_received(w, items[ran]);
}

static void live(void *arg) {
    world *w = arg;
    helper_random random = helper_random_from(w->seed + atomic_fetch_add(&w->next, 1) * 7919);
    for (unsigned step = 0; step < w->steps; step++) {
        pintle_chan *c = w->chans[helper_random_below(&random, CHANS)];
        uint64_t item = 1 + helper_random_below(&random, 1000000);
        int result = 0;
        switch (helper_random_below(&random, 8)) {
        case 0:
        case 1:
            if ((result = pintle_chan_send(c, &item, random_deadline(&random))) == 0) count_sent(w, item);
            break;
        case 2:
        case 3:
            if ((result = pintle_chan_recv(c, &item, random_deadline(&random))) == 0) count_received(w, item);
            break;
        case 4:
            if (helper_random_below(&random, 2) == 0)
                pintle_event_set(&w->event);
            else
                pintle_event_reset(&w->event);
            break;
        case 5:
            if ((result = pintle_mutex_lock(&w->mutex, random_deadline(&random))) == 0) {
                uint64_t before = w->guarded++;
                if (helper_random_below(&random, 4) == 0) pintle_sleep(0);
                MUST_BE((long long)w->guarded, (long long)before + 1);
                pintle_mutex_unlock(&w->mutex);
            }
            break;
        default: select_some(w, &random); break;
        }
        MUST(result == 0 || result == PINTLE_EAGAIN || result == PINTLE_ETIMEDOUT);
    }
    atomic_fetch_add(&w->over, 1);
}
static void live_pinned(void *arg) {
    pintle_pin();
    live(arg);
    pintle_unpin();
}
static int live_in_call(void *arg) {
    live(arg);
    return 0;
}
static void live_calling(void *arg) { pintle_call(live_in_call, arg); }

static void new_world(world *w, uint64_t seed, unsigned steps) {
    memset(w, 0, sizeof *w);
    w->seed = seed;
    w->steps = steps;
    for (int i = 0; i < CHANS; i++) MUST_BE(pintle_chan_new(&w->chans[i], sizeof(uint64_t), (size_t)(i / 2)), 0);
}
static void end_world(world *w) {
    uint64_t item;
    for (int i = 0; i < CHANS; i++) {
        while (pintle_chan_recv(w->chans[i], &item, PINTLE_NOWAIT) == 0) count_received(w, item);
        MUST_BE(pintle_chan_count(w->chans[i]), 0);
        pintle_chan_free(w->chans[i]);
    }
    pintle_event_destroy(&w->event);
    pintle_mutex_destroy(&w->mutex);
    MUST_BE((long long)w->received, (long long)w->sent);
    MUST_BE((long long)w->received_sum, (long long)w->sent_sum);
    MUST(w->sent > w->steps);
}
static void storm(unsigned processors) {
    uint64_t seed = test_seed() + processors;
    pintle_options options = helper_processors(processors);
    pintle_task *tasks[TASKS];
    helper_thread threads[THREADS];
    world w;
    new_world(&w, seed, 6000 / TEST_SLOWNESS);
    ck_assert_int_eq(pintle_start(&options), 0);
    for (unsigned i = 0; i < TASKS; i++)
        ck_assert_int_eq(pintle_spawn(&tasks[i], i % 8 == 1 ? live_pinned : i % 8 == 2 ? live_calling : live, &w), 0);
    for (int i = 0; i < THREADS; i++) ck_assert(helper_thread_start(&threads[i], live, &w));
    ck_assert_uint_eq(helper_join_all(tasks, TASKS), 0);
    for (int i = 0; i < THREADS; i++) helper_thread_join(&threads[i]);
    ck_assert_int_eq(pintle_check(), 0);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    ck_assert_uint_eq(w.over, TASKS + THREADS);
    end_world(&w);
    ASSERT_ALL_MUST();
}

CASE_TIMEOUT(chan_storm_on_one_processor_loses_nothing, 120) { storm(1); }
CASE_TIMEOUT(chan_storm_on_two_processors_loses_nothing, 120) { storm(2); }
CASE_TIMEOUT(chan_storm_on_four_processors_loses_nothing, 120) { storm(4); }

/* ---- Cancelling pairs that play, while they are about to wait or to be woken ---- */

typedef struct game {
    pintle_chan *there, *back;
    atomic_uint rounds;
} game;

static void play(game *g, pintle_chan *out, pintle_chan *in) {
    uint64_t ball = 0;
    int result;
    do {
        if ((result = pintle_chan_send(out, &ball, PINTLE_FOREVER)) == 0)
            result = pintle_chan_recv(in, &ball, PINTLE_FOREVER);
        atomic_fetch_add_explicit(&g->rounds, 1, memory_order_relaxed);
    } while (result == 0);
    MUST_BE(result, PINTLE_ECANCELED);
}
static void serve(void *arg) { play(arg, ((game *)arg)->there, ((game *)arg)->back); }
static void answer(void *arg) {
    uint64_t ball;
    int result = pintle_chan_recv(((game *)arg)->there, &ball, PINTLE_FOREVER);
    if (result != 0)
        MUST_BE(result, PINTLE_ECANCELED);
    else
        play(arg, ((game *)arg)->back, ((game *)arg)->there);
}

static void cancel_games(unsigned processors, bool scoped) {
    helper_random random = helper_random_from(test_seed() + processors);
    pintle_options options = helper_processors(processors);
    ck_assert_int_eq(pintle_start(&options), 0);
    for (unsigned round = 0; round < 1000 / TEST_SLOWNESS; round++) {
        game g = {0};
        pintle_scope *scope = NULL;
        pintle_task *players[2];
        unsigned wanted = helper_random_below(&random, 2000), gap = helper_random_below(&random, 300);
        ck_assert_int_eq(pintle_chan_new(&g.there, sizeof(uint64_t), helper_random_below(&random, 2)), 0);
        ck_assert_int_eq(pintle_chan_new(&g.back, sizeof(uint64_t), 0), 0);
        if (scoped) {
            ck_assert_int_eq(pintle_scope_open(&scope, PINTLE_FOREVER), 0);
            ck_assert_int_eq(pintle_scope_spawn(scope, serve, &g), 0);
            ck_assert_int_eq(pintle_scope_spawn(scope, answer, &g), 0);
        } else {
            ck_assert_int_eq(pintle_spawn(&players[0], serve, &g), 0);
            ck_assert_int_eq(pintle_spawn(&players[1], answer, &g), 0);
        }
        while (atomic_load_explicit(&g.rounds, memory_order_relaxed) < wanted) pintle_sleep(PINTLE_US(10));
        for (volatile unsigned spin = 0; spin < gap;) spin = spin + 1;
        if (scoped) {
            pintle_scope_cancel(scope);
            ck_assert_int_eq(pintle_scope_wait(scope, pintle_after(PINTLE_S(60))), 0);
            MUST_BE(pintle_scope_close(scope), 0);
        } else {
            for (int i = 0; i < 2; i++) pintle_task_cancel(players[i]);
            for (int i = 0; i < 2; i++) ck_assert_int_eq(pintle_join(players[i], pintle_after(PINTLE_S(60))), 0);
        }
        pintle_chan_free(g.there);
        pintle_chan_free(g.back);
    }
    ck_assert_int_eq(pintle_check(), 0);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    ASSERT_ALL_MUST();
}

CASE_TIMEOUT(cancel_reaches_tasks_that_are_about_to_wait, 120) {
    cancel_games(1, false);
    cancel_games(2, false);
}
CASE_TIMEOUT(cancel_of_a_scope_reaches_tasks_that_are_about_to_wait, 120) { cancel_games(2, true); }

/* ---- Closing while others send, receive and select ---- */

typedef struct closing {
    pintle_chan *c;
    atomic_uint sent, received, next;
    unsigned closes_after; /* so many sends: main itself would get a turn only every time slice */
} closing;

static void send_until_closed(void *arg) {
    closing *k = arg;
    int item = 1;
    unsigned me = atomic_fetch_add(&k->next, 1);
    for (;;) {
        pintle_case one = pintle_case_send(k->c, &item);
        int result = me % 2 == 0 ? pintle_chan_send(k->c, &item, PINTLE_FOREVER)
                                 : pintle_select(&one, 1, PINTLE_FOREVER);
        if (result == 0 && me % 2 != 0) result = one.status;
        if (result != 0) {
            MUST_BE(result, PINTLE_ECLOSED);
            return;
        }
        if (atomic_fetch_add(&k->sent, 1) + 1 == k->closes_after) MUST_BE(pintle_chan_close(k->c), 0);
    }
}
static void receive_until_closed(void *arg) {
    closing *k = arg;
    unsigned me = atomic_fetch_add(&k->next, 1);
    for (;;) {
        int item = -1;
        pintle_case one = pintle_case_recv(k->c, &item);
        int result = me % 2 == 0 ? pintle_chan_recv(k->c, &item, PINTLE_FOREVER)
                                 : pintle_select(&one, 1, PINTLE_FOREVER);
        if (result == 0 && me % 2 != 0) result = one.status;
        if (result != 0) {
            MUST_BE(result, PINTLE_ECLOSED);
            MUST_BE(item, 0);
            return;
        }
        MUST_BE(item, 1);
        atomic_fetch_add(&k->received, 1);
    }
}
static int closing_main(void *arg) {
    helper_random random = helper_random_from(*(uint64_t *)arg);
    for (unsigned round = 0; round < 3000 / TEST_SLOWNESS; round++) {
        closing k = {.closes_after = 1 + helper_random_below(&random, 50)};
        pintle_task *tasks[8];
        MUST_BE(pintle_chan_new(&k.c, sizeof(int), helper_random_below(&random, 3)), 0);
        MUST_BE(helper_spawn_all(&tasks[0], 4, send_until_closed, &k), 0);
        MUST_BE(helper_spawn_all(&tasks[4], 4, receive_until_closed, &k), 0);
        MUST_BE(helper_join_all(tasks, 8), 0);
        MUST_BE(k.received, k.sent);
        pintle_chan_free(k.c);
    }
    return 0;
}
CASE_TIMEOUT(chan_closed_in_a_storm_loses_nothing, 60) {
    uint64_t seed = test_seed();
    must_run(closing_main, &seed);
    ASSERT_ALL_MUST();
}
