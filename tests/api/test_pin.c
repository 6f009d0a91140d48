/* test_pin.c: pins: the task stays on its OS thread and nothing else runs there. */
#include "api/api_helpers.h"

static void nothing(void *arg) { (void)arg; }

/* ---- The thread stays ---- */

typedef struct stay {
    uint64_t main_thread;
    pintle_event event;
    atomic_bool stop;
    atomic_uint wrong, rounds, intruders;
    _Atomic uint64_t pinned_thread;
    bool first_on_main_thread;
    unsigned failed;
} stay;

static int compute_30_us(void *arg) {
    (void)arg;
    helper_compute(PINTLE_US(30));
    return 0;
}
static void set_event(void *arg) { pintle_event_set(&((stay *)arg)->event); }

static void stay_rounds(stay *s, unsigned rounds) {
    uint64_t thread = helper_thread_id();
    for (unsigned i = 0; i < rounds; i++) {
        switch (i % 7) {
        case 0: pintle_yield(); break;
        case 1: pintle_call(compute_30_us, NULL); break;
        case 2: pintle_sleep(PINTLE_US(20)); break;
        case 3:
            pintle_event_reset(&s->event);
            if (pintle_spawn(NULL, set_event, s) != 0) s->failed++;
            pintle_event_wait(&s->event, PINTLE_FOREVER);
            break;
        case 4: pintle_call_blocking(helper_return_at_once, NULL); break;
        case 5:
            pintle_blocking_begin();
            helper_compute(PINTLE_US(30));
            pintle_blocking_end();
            break;
        default: {
            pintle_task *task;
            if (pintle_spawn(&task, nothing, NULL) != 0 || pintle_join(task, PINTLE_FOREVER) != 0) s->failed++;
        }
        }
        if (helper_thread_id() != thread) atomic_fetch_add(&s->wrong, 1);
        atomic_fetch_add(&s->rounds, 1);
    }
}

/* Others keep every processor busy, and look whether they ever run on the pinned task's thread. */
static void stay_other(void *arg) {
    stay *s = arg;
    while (!atomic_load(&s->stop)) {
        uint64_t pinned = atomic_load(&s->pinned_thread);
        if (pinned != 0 && helper_thread_id() == pinned && atomic_load(&s->pinned_thread) == pinned)
            atomic_fetch_add(&s->intruders, 1);
        helper_compute(PINTLE_US(20));
        pintle_yield();
    }
}
static int stay_main(void *arg) {
    stay *s = arg;
    pintle_task *others[4];
    pintle_pin();
    s->first_on_main_thread = helper_thread_id() == s->main_thread;
    atomic_store(&s->pinned_thread, helper_thread_id());
    s->failed += helper_spawn_all(others, 4, stay_other, s);
    stay_rounds(s, 1000);
    if (helper_thread_id() != s->main_thread) atomic_fetch_add(&s->wrong, 1);
    atomic_store(&s->pinned_thread, 0);
    atomic_store(&s->stop, true);
    pintle_unpin();
    s->failed += helper_join_all(others, 4);
    return 0;
}

static void stay_with(unsigned processors) {
    stay s = {.main_thread = helper_thread_id(), .event = PINTLE_EVENT_INIT};
    ck_assert_int_eq(helper_run(stay_main, &s, processors), 0);
    ck_assert(s.first_on_main_thread);
    ck_assert_uint_eq(s.failed, 0);
    ck_assert_uint_eq(s.rounds, 1000);
    ck_assert_uint_eq(s.wrong, 0);
    ck_assert_uint_eq(s.intruders, 0);
}

CASE(pinned_main_stays_on_main_thread_1000_times_with_one_processor) { stay_with(1); }
CASE(pinned_main_stays_on_main_thread_1000_times_with_two_processors) { stay_with(2); }

static void stay_task(void *arg) {
    stay *s = arg;
    pintle_pin();
    stay_rounds(s, 300);
    pintle_unpin();
}
static int stay_tasks_main(void *arg) {
    stay *all = arg;
    pintle_task *tasks[6];
    unsigned failed = 0;
    for (int i = 0; i < 6; i++) failed += helper_spawn_all(&tasks[i], 1, stay_task, &all[i]);
    return (int)(failed + helper_join_all(tasks, 6));
}

CASE(pinned_tasks_stay_on_their_threads_beside_each_other) {
    for (unsigned processors = 1; processors <= 2; processors++) {
        stay all[6];
        memset(all, 0, sizeof all);
        for (int i = 0; i < 6; i++) pintle_event_init(&all[i].event);
        ck_assert_int_eq(helper_run(stay_tasks_main, all, processors), 0);
        for (int i = 0; i < 6; i++) {
            ck_assert_uint_eq(all[i].failed, 0);
            ck_assert_uint_eq(all[i].rounds, 300);
            ck_assert_uint_eq(all[i].wrong, 0);
        }
    }
}

/* ---- Nesting ---- */

typedef struct nesting {
    bool before, once, twice, after_first_unpin, after_second_unpin;
    unsigned moved_while_pinned;
} nesting;

static int nesting_main(void *arg) {
    nesting *n = arg;
    n->before = pintle_pinned();
    pintle_pin();
    n->once = pintle_pinned();
    pintle_pin();
    n->twice = pintle_pinned();
    pintle_unpin();
    n->after_first_unpin = pintle_pinned();
    uint64_t thread = helper_thread_id();
    for (int i = 0; i < 100; i++) {
        pintle_call(compute_30_us, NULL);
        pintle_yield();
        if (helper_thread_id() != thread) n->moved_while_pinned++;
    }
    pintle_unpin();
    n->after_second_unpin = pintle_pinned();
    for (int i = 0; i < 1000; i++) pintle_pin();
    for (int i = 0; i < 999; i++) pintle_unpin();
    if (!pintle_pinned()) return 1;
    pintle_unpin();
    return pintle_pinned() ? 2 : 0;
}

CASE(pins_nest) {
    nesting n = {0};
    ck_assert_int_eq(helper_run(nesting_main, &n, 2), 0);
    ck_assert(!n.before);
    ck_assert(n.once);
    ck_assert(n.twice);
    ck_assert(n.after_first_unpin);
    ck_assert(!n.after_second_unpin);
    ck_assert_uint_eq(n.moved_while_pinned, 0);
}

/* ---- Spawned pinned ---- */

typedef struct born_pinned {
    bool pinned_at_start, pinned_after_unpin;
    unsigned moved;
} born_pinned;

static void born_pinned_task(void *arg) {
    born_pinned *b = arg;
    b->pinned_at_start = pintle_pinned();
    uint64_t thread = helper_thread_id();
    for (int i = 0; i < 50; i++) {
        pintle_sleep(PINTLE_US(10));
        pintle_yield();
        if (helper_thread_id() != thread) b->moved++;
    }
    pintle_unpin();
    b->pinned_after_unpin = pintle_pinned();
}
static int born_pinned_main(void *arg) {
    born_pinned *all = arg;
    pintle_task *tasks[10];
    pintle_task_options options = {.size = sizeof options, .pinned = true};
    for (int i = 0; i < 10; i++)
        if (pintle_spawn_with(&tasks[i], born_pinned_task, &all[i], &options) != 0) return 1;
    return (int)helper_join_all(tasks, 10);
}

CASE(task_spawned_pinned_is_pinned_until_it_unpins) {
    born_pinned all[10] = {{0}};
    ck_assert_int_eq(helper_run(born_pinned_main, all, 2), 0);
    for (int i = 0; i < 10; i++) {
        ck_assert(all[i].pinned_at_start);
        ck_assert(!all[i].pinned_after_unpin);
        ck_assert_uint_eq(all[i].moved, 0);
    }
}

/* ---- Pinned tasks that wait for each other ---- */

typedef struct duet {
    pintle_event ping, pong;
    unsigned rounds;
    atomic_uint turns, moved;
    bool pin_pong;
} duet;

static void duet_ping(void *arg) {
    duet *d = arg;
    pintle_pin();
    uint64_t thread = helper_thread_id();
    for (unsigned i = 0; i < d->rounds; i++) {
        pintle_event_set(&d->ping);
        pintle_event_wait(&d->pong, PINTLE_FOREVER);
        pintle_event_reset(&d->pong);
        if (helper_thread_id() != thread) atomic_fetch_add(&d->moved, 1);
        atomic_fetch_add(&d->turns, 1);
    }
    pintle_unpin();
}
static void duet_pong(void *arg) {
    duet *d = arg;
    if (d->pin_pong) pintle_pin();
    uint64_t thread = helper_thread_id();
    for (unsigned i = 0; i < d->rounds; i++) {
        pintle_event_wait(&d->ping, PINTLE_FOREVER);
        pintle_event_reset(&d->ping);
        if (d->pin_pong && helper_thread_id() != thread) atomic_fetch_add(&d->moved, 1);
        pintle_event_set(&d->pong);
    }
    if (d->pin_pong) pintle_unpin();
}
static int duet_main(void *arg) {
    pintle_task *tasks[2];
    unsigned failed = helper_spawn_all(&tasks[0], 1, duet_ping, arg);
    failed += helper_spawn_all(&tasks[1], 1, duet_pong, arg);
    return (int)(failed + helper_join_all(tasks, 2));
}
static void duet_with(bool pin_pong, unsigned processors) {
    duet d = {.ping = PINTLE_EVENT_INIT, .pong = PINTLE_EVENT_INIT, .rounds = 1000, .pin_pong = pin_pong};
    ck_assert_int_eq(helper_run(duet_main, &d, processors), 0);
    ck_assert_uint_eq(d.turns, 1000);
    ck_assert_uint_eq(d.moved, 0);
}

CASE(pinned_pair_that_ping_pongs_makes_progress_with_one_processor) { duet_with(true, 1); }
CASE(pinned_pair_that_ping_pongs_makes_progress_with_two_processors) { duet_with(true, 2); }
CASE(pinned_and_unpinned_task_ping_pong_with_one_processor) { duet_with(false, 1); }
CASE(pinned_and_unpinned_task_ping_pong_with_two_processors) { duet_with(false, 2); }

/* Pinned tasks that only yield: each gets its turns. */
typedef struct circle {
    atomic_uint turns[5];
    atomic_uint next;
    atomic_bool stop;
} circle;

static void circle_task(void *arg) {
    circle *c = arg;
    unsigned me = atomic_fetch_add(&c->next, 1);
    pintle_pin();
    while (!atomic_load(&c->stop)) {
        pintle_yield();
        atomic_fetch_add(&c->turns[me], 1);
        bool all = true;
        for (int i = 0; i < 5; i++) all = all && atomic_load(&c->turns[i]) >= 50;
        if (all) atomic_store(&c->stop, true);
    }
    pintle_unpin();
}
static int circle_main(void *arg) {
    pintle_task *tasks[5];
    unsigned failed = helper_spawn_all(tasks, 5, circle_task, arg);
    return (int)(failed + helper_join_all(tasks, 5));
}

CASE(pinned_tasks_that_yield_all_get_turns) {
    for (unsigned processors = 1; processors <= 2; processors++) {
        circle c = {0};
        ck_assert_int_eq(helper_run(circle_main, &c, processors), 0);
        for (int i = 0; i < 5; i++) ck_assert_uint_ge(c.turns[i], 50);
    }
}

/* ---- Readied from elsewhere ---- */

typedef struct elsewhere {
    pintle_event event, back;
    uint64_t thread;
    unsigned moved, rounds;
} elsewhere;

static void elsewhere_task(void *arg) {
    elsewhere *e = arg;
    pintle_pin();
    e->thread = helper_thread_id();
    for (unsigned i = 0; i < 500; i++) {
        pintle_event_wait(&e->event, PINTLE_FOREVER);
        pintle_event_reset(&e->event);
        if (helper_thread_id() != e->thread) e->moved++;
        e->rounds++;
        pintle_event_set(&e->back);
    }
    pintle_unpin();
}

CASE(pinned_task_readied_by_a_foreign_thread_wakes_on_its_own) {
    for (unsigned processors = 1; processors <= 2; processors++) {
        elsewhere e = {.event = PINTLE_EVENT_INIT, .back = PINTLE_EVENT_INIT};
        pintle_options options = helper_processors(processors);
        pintle_task *task;
        ck_assert_int_eq(pintle_start(&options), 0);
        ck_assert_int_eq(pintle_spawn(&task, elsewhere_task, &e), 0);
        for (unsigned i = 0; i < 500; i++) {
            pintle_event_set(&e.event);
            ck_assert_int_eq(pintle_event_wait(&e.back, PINTLE_FOREVER), 0);
            pintle_event_reset(&e.back);
        }
        ck_assert_int_eq(pintle_join(task, PINTLE_FOREVER), 0);
        ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
        ck_assert_uint_eq(e.rounds, 500);
        ck_assert_uint_eq(e.moved, 0);
        ck_assert_uint_ne(e.thread, helper_thread_id());
    }
}

/* ---- A parked pinned task costs nobody a processor ---- */

typedef struct parked {
    pintle_event go;
    atomic_uint waiting, passed, ticks;
} parked;

static void parked_task(void *arg) {
    parked *p = arg;
    pintle_pin();
    atomic_fetch_add(&p->waiting, 1);
    pintle_event_wait(&p->go, PINTLE_FOREVER);
    atomic_fetch_add(&p->passed, 1);
    pintle_unpin();
}
static void parked_ticker(void *arg) {
    for (int i = 0; i < 100; i++) {
        atomic_fetch_add(&((parked *)arg)->ticks, 1);
        pintle_yield();
    }
}
static int parked_main(void *arg) {
    parked *p = arg;
    pintle_task *tasks[50], *tickers[10];
    unsigned failed = helper_spawn_all(tasks, 50, parked_task, p);
    while (atomic_load(&p->waiting) < 50) pintle_yield();
    failed += helper_spawn_all(tickers, 10, parked_ticker, p);
    failed += helper_join_all(tickers, 10);
    if (atomic_load(&p->passed) != 0) failed++;
    pintle_event_set(&p->go);
    return (int)(failed + helper_join_all(tasks, 50));
}

CASE(parked_pinned_tasks_hold_no_processor) {
    parked p = {.go = PINTLE_EVENT_INIT};
    ck_assert_int_eq(helper_run(parked_main, &p, 1), 0);
    ck_assert_uint_eq(p.ticks, 1000);
    ck_assert_uint_eq(p.passed, 50);
}

/* ---- Ending pinned ---- */

typedef struct ending {
    atomic_uint marked_seen, looked, moved_off_main;
    unsigned failed;
    uint64_t main_thread;
    uint64_t threads_started_after;
    bool main_thread_marked;
} ending;

static void mark_and_end_pinned(void *arg) {
    (void)arg;
    pintle_pin();
    helper_set_mark(1);
}
static int look_for_mark(void *arg) {
    helper_compute(PINTLE_US(50)); /* long enough to need many threads */
    if (helper_mark() != 0) atomic_fetch_add(&((ending *)arg)->marked_seen, 1);
    return 0;
}
static void look_for_mark_task(void *arg) {
    ending *e = arg;
    for (int i = 0; i < 5; i++) {
        if (helper_mark() != 0) atomic_fetch_add(&e->marked_seen, 1);
        pintle_call_blocking(look_for_mark, e);
        pintle_yield();
        atomic_fetch_add(&e->looked, 1);
    }
}
static int ending_main(void *arg) {
    ending *e = arg;
    pintle_stats stats;
    pintle_pin(); /* else the marked thread could be the main thread, which never ends */
    for (int round = 0; round < 10; round++) {
        pintle_task *tasks[20];
        e->failed += helper_spawn_all(tasks, 3, mark_and_end_pinned, e);
        e->failed += helper_join_all(tasks, 3);
        e->failed += helper_spawn_all(tasks, 20, look_for_mark_task, e);
        e->failed += helper_join_all(tasks, 20);
    }
    pintle_stats_get(&stats);
    e->threads_started_after = stats.threads_started;
    pintle_unpin();
    return 0;
}

CASE(task_that_ends_pinned_takes_its_thread_away) {
    for (unsigned processors = 1; processors <= 2; processors++) {
        ending e = {0};
        ck_assert_int_eq(helper_run(ending_main, &e, processors), 0);
        ck_assert_uint_eq(e.failed, 0);
        ck_assert_uint_eq(e.looked, 10 * 20 * 5);
        ck_assert_uint_eq(e.marked_seen, 0);
        ck_assert_uint_ge(e.threads_started_after, 30); /* each of the 30 took another one away */
    }
}

/* On the main thread the same: the thread is given back, and pintle_run still returns there. */
static void end_on_main_thread(void *arg) { (void)arg; }
static int ending_pinned_main(void *arg) {
    pintle_pin();
    helper_set_mark(1);
    end_on_main_thread(arg);
    return 9;
}

CASE(main_task_may_return_pinned) {
    uint64_t thread = helper_thread_id();
    ck_assert_int_eq(helper_run(ending_pinned_main, NULL, 2), 9);
    ck_assert_uint_eq(helper_thread_id(), thread);
    ck_assert_int_eq(helper_mark(), 1);
    ck_assert_int_eq(helper_run(ending_pinned_main, NULL, 1), 9);
}

/* Main may have moved to another thread by then, which its end takes away. */
static int ending_elsewhere_main(void *arg) {
    uint64_t *thread = arg;
    for (int i = 0; i < 20; i++) pintle_sleep(PINTLE_US(50));
    pintle_pin();
    pintle_pin();
    *thread = helper_thread_id();
    return 4;
}

CASE(main_task_may_return_pinned_on_another_thread) {
    unsigned threads = helper_thread_count();
    for (unsigned i = 0; i < 10; i++) {
        uint64_t thread = 0;
        ck_assert_int_eq(helper_run(ending_elsewhere_main, &thread, 1 + i % 2), 4);
        ck_assert_uint_ne(thread, 0);
    }
    ck_assert(helper_threads_at_most(threads));
}
