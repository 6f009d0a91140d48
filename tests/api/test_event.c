/* test_event.c: events: set, wait, reset, deadlines, many waiters, and threads that are no tasks on either side. */
#include "api/api_helpers.h"

CASE(event_state_follows_set_and_reset) {
    pintle_event statically = PINTLE_EVENT_INIT, dynamically;
    memset(&dynamically, 0xA5, sizeof dynamically);
    pintle_event_init(&dynamically);
    pintle_event *events[2] = {&statically, &dynamically};
    for (int i = 0; i < 2; i++) {
        ck_assert(!pintle_event_is_set(events[i]));
        ck_assert_int_eq(pintle_event_wait(events[i], PINTLE_NOWAIT), PINTLE_EAGAIN);
        pintle_event_set(events[i]);
        pintle_event_set(events[i]);
        ck_assert(pintle_event_is_set(events[i]));
        ck_assert_int_eq(pintle_event_wait(events[i], PINTLE_NOWAIT), 0);
        ck_assert_int_eq(pintle_event_wait(events[i], PINTLE_FOREVER), 0);
        ck_assert(pintle_event_is_set(events[i])); /* waiting does not take it */
        pintle_event_reset(events[i]);
        ck_assert(!pintle_event_is_set(events[i]));
        ck_assert_int_eq(pintle_event_wait(events[i], PINTLE_NOWAIT), PINTLE_EAGAIN);
        pintle_event_destroy(events[i]);
    }
}

/* ---- Deadlines, in a task, in a call, on a foreign thread ---- */

typedef struct deadlines {
    pintle_event event;
    int nowait, timed_out, past, duration, minus_one, set_nowait, set_past, set_forever;
    int64_t waited_ns;
    pintle_error error;
} deadlines;

static void try_deadlines(deadlines *d) {
    d->nowait = pintle_event_wait(&d->event, PINTLE_NOWAIT);
    int64_t begin = pintle_now();
    d->timed_out = pintle_event_wait(&d->event, begin + PINTLE_MS(20));
    d->waited_ns = pintle_now() - begin;
    d->past = pintle_event_wait(&d->event, begin);
    d->duration = pintle_event_wait(&d->event, PINTLE_MS(20));
    pintle_error_get(&d->error);
    d->minus_one = pintle_event_wait(&d->event, -1);
    pintle_event_set(&d->event);
    d->set_nowait = pintle_event_wait(&d->event, PINTLE_NOWAIT);
    d->set_past = pintle_event_wait(&d->event, begin);
    d->set_forever = pintle_event_wait(&d->event, PINTLE_FOREVER);
}
static void assert_deadlines(deadlines *d) {
    ck_assert_int_eq(d->nowait, PINTLE_EAGAIN);
    ck_assert_int_eq(d->timed_out, PINTLE_ETIMEDOUT);
    ck_assert_int_ge(d->waited_ns, PINTLE_MS(20));
    ck_assert_int_lt(d->waited_ns, PINTLE_S(10));
    ck_assert_int_eq(d->past, PINTLE_ETIMEDOUT);
    ck_assert_int_eq(d->duration, PINTLE_EINVAL);
    ck_assert_int_eq(d->minus_one, PINTLE_EINVAL);
    ck_assert_msg(strstr(d->error.text, "pintle_after") != NULL, "%s", d->error.text);
    ck_assert_int_eq(d->set_nowait, 0);
    ck_assert_int_eq(d->set_past, 0);
    ck_assert_int_eq(d->set_forever, 0);
    pintle_event_destroy(&d->event);
}
static int deadlines_main(void *arg) {
    try_deadlines(arg);
    return 0;
}
static int deadlines_in_call_main(void *arg) { return pintle_call(deadlines_main, arg); }

CASE(event_deadlines_in_a_task) {
    deadlines d = {.event = PINTLE_EVENT_INIT};
    ck_assert_int_eq(helper_run(deadlines_main, &d, 1), 0);
    assert_deadlines(&d);
}
CASE(event_deadlines_in_a_call) {
    deadlines d = {.event = PINTLE_EVENT_INIT};
    ck_assert_int_eq(helper_run(deadlines_in_call_main, &d, 1), 0);
    assert_deadlines(&d);
}
CASE(event_deadlines_on_a_foreign_thread) {
    deadlines d = {.event = PINTLE_EVENT_INIT};
    ck_assert_int_eq(pintle_start(NULL), 0);
    try_deadlines(&d);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    assert_deadlines(&d);
}

/* ---- Waiters ---- */

typedef struct waiters {
    pintle_event event;
    unsigned count;
    atomic_uint arrived, passed, wrong;
    atomic_bool open;
    helper_sem all_arrived;
} waiters;

static void wait_once(void *arg) {
    waiters *w = arg;
    if (atomic_fetch_add(&w->arrived, 1) + 1 == w->count) helper_sem_post(&w->all_arrived);
    if (pintle_event_wait(&w->event, PINTLE_FOREVER) != 0 || !atomic_load(&w->open)) atomic_fetch_add(&w->wrong, 1);
    atomic_fetch_add(&w->passed, 1);
}
static int wait_for_all_arrived(void *arg) {
    helper_sem_wait(&((waiters *)arg)->all_arrived);
    return 0;
}
static int waiters_main(void *arg) {
    waiters *w = arg;
    static pintle_task *tasks[1000];
    unsigned failed = helper_spawn_all(tasks, w->count, wait_once, w);
    pintle_call(wait_for_all_arrived, w);
    unsigned passed_early = atomic_load(&w->passed);
    atomic_store(&w->open, true);
    pintle_event_set(&w->event);
    failed += helper_join_all(tasks, w->count);
    return (int)(failed + passed_early);
}

CASE(event_set_wakes_1000_waiters) {
    for (unsigned processors = 1; processors <= 2; processors++) {
        waiters w = {.event = PINTLE_EVENT_INIT, .count = 1000};
        helper_sem_init(&w.all_arrived);
        ck_assert_int_eq(helper_run(waiters_main, &w, processors), 0);
        helper_sem_destroy(&w.all_arrived);
        ck_assert_uint_eq(w.passed, 1000);
        ck_assert_uint_eq(w.wrong, 0);
        pintle_event_destroy(&w.event); /* nobody waits any more */
    }
}

/* ---- A crowd, some of it pinned. Who comes from the shared queue at its turn may overtake who was taken from there before,
 * and the pinned ones do not count ---- */

enum { CROWD = 600, PINNED_EACH = 60, OVERTAKEN_MOST = 100 };

typedef struct crowd {
    pintle_event event;
    atomic_uint arrived, passed, failed;
    unsigned order[CROWD];
} crowd;

static void wait_in_crowd(void *arg) {
    crowd *c = arg;
    unsigned number = atomic_fetch_add(&c->arrived, 1);
    bool pinned = number % PINNED_EACH == 0;
    if (pinned) pintle_pin();
    if (pintle_event_wait(&c->event, PINTLE_FOREVER) != 0) atomic_fetch_add(&c->failed, 1);
    if (pinned) {
        pintle_unpin();
    } else {
        c->order[atomic_fetch_add(&c->passed, 1)] = number;
    }
}

static int crowd_main(void *arg) {
    crowd *c = arg;
    pintle_task *tasks[CROWD];
    unsigned failed = helper_spawn_all(tasks, CROWD, wait_in_crowd, c);
    while (atomic_load(&c->arrived) < CROWD) pintle_yield();
    pintle_event_set(&c->event);
    return (int)(failed + helper_join_all(tasks, CROWD));
}

CASE(event_set_wakes_a_crowd_about_in_the_order_of_waiting_and_pinned_tasks_too) {
    crowd c = {.event = PINTLE_EVENT_INIT};
    pintle_options options = helper_processors(1);
    options.max_lent = PINTLE_LENT_NONE;
    ck_assert_int_eq(pintle_run(crowd_main, &c, &options), 0);
    ck_assert_uint_eq(c.failed, 0);
    ck_assert_uint_eq(c.passed, CROWD - CROWD / PINNED_EACH);
    for (unsigned i = 0; i < c.passed; i++) {
        ck_assert_uint_le(c.order[i], i + OVERTAKEN_MOST);
        ck_assert_uint_le(i, c.order[i] + OVERTAKEN_MOST);
    }
    pintle_event_destroy(&c.event);
}

CASE(event_set_by_a_foreign_thread_wakes_tasks_and_threads) {
    waiters w = {.event = PINTLE_EVENT_INIT, .count = 60};
    helper_thread threads[10];
    pintle_task *tasks[50];
    helper_sem_init(&w.all_arrived);
    ck_assert_int_eq(pintle_start(NULL), 0);
    ck_assert_uint_eq(helper_spawn_all(tasks, 50, wait_once, &w), 0);
    for (int i = 0; i < 10; i++) ck_assert(helper_thread_start(&threads[i], wait_once, &w));
    helper_sem_wait(&w.all_arrived);
    ck_assert_uint_eq(w.passed, 0);
    atomic_store(&w.open, true);
    pintle_event_set(&w.event);
    for (int i = 0; i < 10; i++) helper_thread_join(&threads[i]);
    ck_assert_uint_eq(helper_join_all(tasks, 50), 0);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    helper_sem_destroy(&w.all_arrived);
    ck_assert_uint_eq(w.passed, 60);
    ck_assert_uint_eq(w.wrong, 0);
    pintle_event_destroy(&w.event);
}

static int set_by_task_main(void *arg) {
    waiters *w = arg;
    helper_thread threads[4];
    for (int i = 0; i < 4; i++)
        if (!helper_thread_start(&threads[i], wait_once, w)) return 1;
    pintle_call(wait_for_all_arrived, w);
    atomic_store(&w->open, true);
    pintle_event_set(&w->event);
    pintle_blocking_begin();
    for (int i = 0; i < 4; i++) helper_thread_join(&threads[i]);
    pintle_blocking_end();
    return 0;
}

CASE(event_set_by_a_task_wakes_foreign_threads) {
    waiters w = {.event = PINTLE_EVENT_INIT, .count = 4};
    helper_sem_init(&w.all_arrived);
    ck_assert_int_eq(pintle_run(set_by_task_main, &w, NULL), 0);
    helper_sem_destroy(&w.all_arrived);
    ck_assert_uint_eq(w.passed, 4);
    ck_assert_uint_eq(w.wrong, 0);
    pintle_event_destroy(&w.event);
}

CASE(event_works_without_runtime_between_threads) {
    waiters w = {.event = PINTLE_EVENT_INIT, .count = 4};
    helper_thread threads[4];
    helper_sem_init(&w.all_arrived);
    for (int i = 0; i < 4; i++) ck_assert(helper_thread_start(&threads[i], wait_once, &w));
    helper_sem_wait(&w.all_arrived);
    atomic_store(&w.open, true);
    pintle_event_set(&w.event);
    for (int i = 0; i < 4; i++) helper_thread_join(&threads[i]);
    helper_sem_destroy(&w.all_arrived);
    ck_assert_uint_eq(w.passed, 4);
    ck_assert_uint_eq(w.wrong, 0);
}

/* ---- Rounds: no wake-up is lost between tasks, threads and calls ---- */

typedef struct relay {
    pintle_event ping, pong;
    unsigned rounds;
    atomic_uint pinged, ponged, wrong;
} relay;

static void relay_ping(void *arg) {
    relay *r = arg;
    for (unsigned i = 0; i < r->rounds; i++) {
        atomic_store(&r->pinged, i + 1);
        pintle_event_set(&r->ping);
        if (pintle_event_wait(&r->pong, PINTLE_FOREVER) != 0) atomic_fetch_add(&r->wrong, 1);
        pintle_event_reset(&r->pong);
        if (atomic_load(&r->ponged) != i + 1) atomic_fetch_add(&r->wrong, 1);
    }
}
static void relay_pong(void *arg) {
    relay *r = arg;
    for (unsigned i = 0; i < r->rounds; i++) {
        if (pintle_event_wait(&r->ping, PINTLE_FOREVER) != 0) atomic_fetch_add(&r->wrong, 1);
        pintle_event_reset(&r->ping);
        if (atomic_load(&r->pinged) != i + 1) atomic_fetch_add(&r->wrong, 1);
        atomic_store(&r->ponged, i + 1);
        pintle_event_set(&r->pong);
    }
}
static int relay_tasks_main(void *arg) {
    pintle_task *tasks[2];
    unsigned failed = helper_spawn_all(&tasks[0], 1, relay_ping, arg);
    failed += helper_spawn_all(&tasks[1], 1, relay_pong, arg);
    return (int)(failed + helper_join_all(tasks, 2));
}
static relay relay_of(unsigned rounds) {
    return (relay){.ping = PINTLE_EVENT_INIT, .pong = PINTLE_EVENT_INIT, .rounds = rounds};
}
static void assert_relay(relay *r) {
    ck_assert_uint_eq(r->wrong, 0);
    ck_assert_uint_eq(r->ponged, r->rounds);
}

CASE(event_ping_pong_of_tasks_loses_no_round) {
    for (unsigned processors = 1; processors <= 2; processors++) {
        relay r = relay_of(20000);
        ck_assert_int_eq(helper_run(relay_tasks_main, &r, processors), 0);
        assert_relay(&r);
    }
}

CASE(event_ping_pong_of_task_and_foreign_thread_loses_no_round) {
    for (unsigned processors = 1; processors <= 2; processors++) {
        relay r = relay_of(2000);
        pintle_options options = helper_processors(processors);
        pintle_task *task;
        ck_assert_int_eq(pintle_start(&options), 0);
        ck_assert_int_eq(pintle_spawn(&task, relay_pong, &r), 0);
        relay_ping(&r);
        ck_assert_int_eq(pintle_join(task, PINTLE_FOREVER), 0);
        ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
        assert_relay(&r);
    }
}

/* ---- A deadline that races the set ---- */

typedef struct event_race {
    pintle_event event;
    unsigned in_time, late, other;
} event_race;

static void set_after_20_us(void *arg) {
    pintle_sleep(PINTLE_US(20));
    pintle_event_set(&((event_race *)arg)->event);
}
static int event_race_main(void *arg) {
    event_race *r = arg;
    for (unsigned i = 0; i < 1000; i++) {
        pintle_task *task;
        pintle_event_reset(&r->event);
        if (pintle_spawn(&task, set_after_20_us, r) != 0) return 1;
        int result = pintle_event_wait(&r->event, pintle_after(PINTLE_US(i % 100)));
        if (result == 0)
            r->in_time++;
        else if (result == PINTLE_ETIMEDOUT)
            r->late++;
        else
            r->other++;
        if (pintle_join(task, PINTLE_FOREVER) != 0) return 2;
        if (!pintle_event_is_set(&r->event)) return 3;
    }
    return 0;
}

CASE(event_deadline_racing_the_set_gives_one_of_both) {
    for (unsigned processors = 1; processors <= 2; processors++) {
        event_race r = {.event = PINTLE_EVENT_INIT};
        ck_assert_int_eq(helper_run(event_race_main, &r, processors), 0);
        ck_assert_uint_eq(r.other, 0);
        ck_assert_uint_eq(r.in_time + r.late, 1000);
        ck_assert_uint_gt(r.late, 0);
        pintle_event_destroy(&r.event); /* those that timed out are no waiters any more */
    }
}
