/* test_task.c: tasks: spawn, join, detach, yield, exit, names, limits, stacks, and threads that come from outside. */
#include "api/api_helpers.h"
#include "support/deep.h"

static void count_up(void *arg) { atomic_fetch_add((atomic_uint *)arg, 1); }

static void yield_then_count_up(void *arg) {
    pintle_yield();
    atomic_fetch_add((atomic_uint *)arg, 1);
}

/* ---- Spawn and join ---- */

static int spawn_join_main(void *arg) {
    atomic_uint *count = arg;
    for (unsigned i = 0; i < 1000; i++) {
        pintle_task *task = NULL;
        if (pintle_spawn(&task, i % 2 == 0 ? count_up : yield_then_count_up, count) != 0 || task == NULL) return 1;
        if (pintle_join(task, PINTLE_FOREVER) != 0) return 2;
        if (atomic_load(count) != i + 1) return 3;
    }
    return 0;
}

CASE(join_returns_when_the_task_is_over) {
    for (unsigned processors = 1; processors <= 2; processors++) {
        atomic_uint count = 0;
        ck_assert_int_eq(helper_run(spawn_join_main, &count, processors), 0);
        ck_assert_uint_eq(count, 1000);
    }
}

typedef struct herd {
    pintle_event go;
    atomic_uint arrived, done;
    unsigned failed;
    uint64_t live;
} herd;

static void herd_task(void *arg) {
    herd *h = arg;
    atomic_fetch_add(&h->arrived, 1);
    if (pintle_event_wait(&h->go, PINTLE_FOREVER) == 0) atomic_fetch_add(&h->done, 1);
}
static int herd_main(void *arg) {
    herd *h = arg;
    static pintle_task *tasks[10000];
    h->failed += helper_spawn_all(tasks, 10000, herd_task, h);
    while (atomic_load(&h->arrived) < 10000) pintle_yield();
    pintle_stats stats;
    pintle_stats_get(&stats);
    h->live = stats.tasks;
    pintle_event_set(&h->go);
    h->failed += helper_join_all(tasks, 10000);
    return 0;
}

CASE(tasks_10000_live_at_once_and_all_end) {
    herd h = {.go = PINTLE_EVENT_INIT};
    ck_assert_int_eq(pintle_run(herd_main, &h, NULL), 0);
    ck_assert_uint_eq(h.failed, 0);
    ck_assert_uint_eq(h.live, 10001);
    ck_assert_uint_eq(h.done, 10000);
    pintle_event_destroy(&h.go);
}

/* A tree: each task spawns two and joins them. */
typedef struct tree {
    unsigned depth;
    unsigned sum;
} tree;

static void tree_task(void *arg) {
    tree *t = arg;
    if (t->depth == 0) {
        t->sum = 1;
        return;
    }
    tree halves[2] = {{t->depth - 1, 0}, {t->depth - 1, 0}};
    pintle_task *tasks[2] = {NULL, NULL};
    for (int i = 0; i < 2; i++)
        if (pintle_spawn(&tasks[i], tree_task, &halves[i]) != 0) return;
    for (int i = 0; i < 2; i++)
        if (pintle_join(tasks[i], PINTLE_FOREVER) != 0) return;
    t->sum = 1 + halves[0].sum + halves[1].sum;
}
static int tree_main(void *arg) {
    tree_task(arg);
    return 0;
}

CASE(tasks_that_join_their_children_form_a_tree) {
    tree t = {12, 0};
    ck_assert_int_eq(helper_run(tree_main, &t, 2), 0);
    ck_assert_uint_eq(t.sum, (1u << 13) - 1);
}

/* ---- Detached tasks ---- */

typedef struct detached {
    pintle_event all_done;
    atomic_uint done;
    unsigned count;
    uint64_t spawned;
} detached;

static void detached_task(void *arg) {
    detached *d = arg;
    pintle_yield();
    if (atomic_fetch_add(&d->done, 1) + 1 == d->count) pintle_event_set(&d->all_done);
}
static int detached_main(void *arg) {
    detached *d = arg;
    for (unsigned i = 0; i < d->count; i++)
        if (pintle_spawn(NULL, detached_task, d) != 0) return 1;
    pintle_event_wait(&d->all_done, PINTLE_FOREVER);
    return 0;
}

CASE(spawn_without_handle_is_detached) {
    detached d = {.all_done = PINTLE_EVENT_INIT, .count = 1000};
    ck_assert_int_eq(pintle_run(detached_main, &d, NULL), 0);
    ck_assert_uint_eq(d.done, 1000);
    pintle_event_destroy(&d.all_done);
}

typedef struct detach_findings {
    atomic_uint done;
    uint64_t tasks_left;
    uint64_t bytes_first, bytes_last;
} detach_findings;

static int detach_main(void *arg) {
    detach_findings *findings = arg;
    for (unsigned i = 0; i < 2000; i++) {
        pintle_task *early = NULL, *late = NULL;
        if (pintle_spawn(&early, count_up, &findings->done) != 0) return 1;
        pintle_task_detach(early);
        if (pintle_spawn(&late, count_up, &findings->done) != 0) return 2;
        while (atomic_load(&findings->done) < 2 * i + 2) pintle_yield();
        pintle_task_detach(late);
        pintle_stats stats;
        pintle_stats_get(&stats);
        if (i == 100) findings->bytes_first = stats.tasks_bytes;
        findings->bytes_last = stats.tasks_bytes;
    }
    pintle_stats stats;
    do {
        pintle_yield();
        pintle_stats_get(&stats);
        findings->tasks_left = stats.tasks;
    } while (findings->tasks_left > 1);
    return 0;
}

CASE(detach_before_or_after_the_end_frees_the_task) {
    detach_findings findings = {0};
    ck_assert_int_eq(helper_run(detach_main, &findings, 2), 0);
    ck_assert_uint_eq(findings.done, 4000);
    ck_assert_uint_eq(findings.tasks_left, 1);
    ck_assert_uint_gt(findings.bytes_first, 0);
    ck_assert_uint_le(findings.bytes_last, 2 * findings.bytes_first); /* 3,800 more tasks took no more room */
}

/* ---- Join: deadlines and mistakes ---- */

typedef struct join_findings {
    pintle_event go;
    int nowait, timed_out, again, nowait_done, itself, duration, minus_one, after_errors, null_task;
    int64_t waited_ns;
    pintle_error duration_error;
    bool late_result_seen;
} join_findings;

static void wait_for_go(void *arg) { pintle_event_wait(&((join_findings *)arg)->go, PINTLE_FOREVER); }
static void nothing(void *arg) { (void)arg; }

static int join_main(void *arg) {
    join_findings *f = arg;
    pintle_task *task = NULL;
    if (pintle_spawn(&task, wait_for_go, f) != 0) return 1;
    f->nowait = pintle_join(task, PINTLE_NOWAIT);
    int64_t begin = pintle_now();
    f->timed_out = pintle_join(task, pintle_after(PINTLE_MS(20)));
    f->waited_ns = pintle_now() - begin;
    f->duration = pintle_join(task, PINTLE_MS(20));
    pintle_error_get(&f->duration_error);
    f->minus_one = pintle_join(task, -1);
    f->itself = pintle_join(pintle_self(), PINTLE_FOREVER);
    f->null_task = pintle_join(NULL, PINTLE_FOREVER);
    pintle_event_set(&f->go);
    f->again = pintle_join(task, pintle_after(PINTLE_S(20)));
    if (pintle_spawn(&task, nothing, NULL) != 0) return 2;
    while ((f->nowait_done = pintle_join(task, PINTLE_NOWAIT)) == PINTLE_EAGAIN) pintle_yield();
    return 0;
}

CASE(join_with_deadline_times_out_and_can_be_repeated) {
    join_findings f = {.go = PINTLE_EVENT_INIT};
    ck_assert_int_eq(pintle_run(join_main, &f, NULL), 0);
    ck_assert_int_eq(f.nowait, PINTLE_EAGAIN);
    ck_assert_int_eq(f.timed_out, PINTLE_ETIMEDOUT);
    ck_assert_int_ge(f.waited_ns, PINTLE_MS(20));
    ck_assert_int_eq(f.again, 0);
    ck_assert_int_eq(f.nowait_done, 0);
    pintle_event_destroy(&f.go);
}

CASE(join_mistakes_are_named) {
    join_findings f = {.go = PINTLE_EVENT_INIT};
    ck_assert_int_eq(pintle_run(join_main, &f, NULL), 0);
    ck_assert_int_eq(f.duration, PINTLE_EINVAL);
    ck_assert_int_eq(f.minus_one, PINTLE_EINVAL);
    ck_assert_int_eq(f.duration_error.code, PINTLE_EINVAL);
    ck_assert_msg(strstr(f.duration_error.text, "pintle_after") != NULL, "%s", f.duration_error.text);
    ck_assert_int_eq(f.itself, PINTLE_EDEADLK);
    ck_assert_int_eq(f.null_task, PINTLE_EINVAL);
    pintle_event_destroy(&f.go);
}

/* A deadline that passes while the task ends: whatever wins, the join that gave 0 was the only one. */
typedef struct race_findings {
    unsigned in_time, late, other;
} race_findings;

static void compute_20_us(void *arg) {
    (void)arg;
    pintle_sleep(PINTLE_US(20));
}
static int join_race_main(void *arg) {
    race_findings *f = arg;
    for (unsigned i = 0; i < 1000; i++) {
        pintle_task *task;
        if (pintle_spawn(&task, compute_20_us, NULL) != 0) return 1;
        int result = pintle_join(task, pintle_after(PINTLE_US(i % 100)));
        if (result == 0) {
            f->in_time++;
        } else if (result == PINTLE_ETIMEDOUT) {
            f->late++;
            if (pintle_join(task, PINTLE_FOREVER) != 0) f->other++;
        } else {
            f->other++;
        }
    }
    return 0;
}

CASE(join_deadline_racing_the_end_loses_nothing) {
    for (unsigned processors = 1; processors <= 2; processors++) {
        race_findings f = {0};
        ck_assert_int_eq(helper_run(join_race_main, &f, processors), 0);
        ck_assert_uint_eq(f.other, 0);
        ck_assert_uint_eq(f.in_time + f.late, 1000);
        ck_assert_uint_gt(f.late, 0);
    }
}

/* ---- Ids and names ---- */

typedef struct name_findings {
    uint64_t ids[100];
    char long_name[64], plain_name[64], inside_name[64], main_name[64];
    uint64_t null_id;
    char null_name[8];
    bool self_matches;
} name_findings;

static void note_own_name(void *arg) {
    name_findings *f = arg;
    snprintf(f->inside_name, sizeof f->inside_name, "%s", pintle_task_name(pintle_self()));
}
static void note_self_matches(void *arg) { *(pintle_task **)arg = pintle_self(); }

static int name_main(void *arg) {
    name_findings *f = arg;
    char name[] = "0123456789012345678901234567890123456789";
    pintle_task_options options = {.size = sizeof options, .name = name};
    pintle_task *task;
    if (pintle_spawn_with(&task, note_own_name, f, &options) != 0) return 1;
    name[0] = 'X'; /* the task has its own copy */
    snprintf(f->long_name, sizeof f->long_name, "%s", pintle_task_name(task));
    if (pintle_join(task, PINTLE_FOREVER) != 0) return 2;
    if (pintle_spawn(&task, nothing, NULL) != 0) return 3;
    snprintf(f->plain_name, sizeof f->plain_name, "<%s>", pintle_task_name(task));
    pintle_join(task, PINTLE_FOREVER);
    pintle_task *seen = NULL;
    if (pintle_spawn(&task, note_self_matches, &seen) != 0) return 4;
    pintle_task *handle = task;
    pintle_join(task, PINTLE_FOREVER);
    f->self_matches = seen == handle;
    f->ids[0] = pintle_task_id(pintle_self());
    for (unsigned i = 1; i < 100; i++) {
        if (pintle_spawn(&task, nothing, NULL) != 0) return 5;
        f->ids[i] = pintle_task_id(task);
        pintle_join(task, PINTLE_FOREVER);
    }
    f->null_id = pintle_task_id(NULL);
    snprintf(f->null_name, sizeof f->null_name, "<%s>", pintle_task_name(NULL));
    return 0;
}

CASE(task_names_are_copied_and_cut_and_ids_are_unique) {
    name_findings f = {.null_id = 1};
    ck_assert_ptr_null(pintle_self());
    ck_assert_int_eq(pintle_run(name_main, &f, NULL), 0);
    ck_assert_str_eq(f.long_name, "0123456789012345678901234567890");
    ck_assert_str_eq(f.inside_name, "0123456789012345678901234567890");
    ck_assert_str_eq(f.plain_name, "<>");
    ck_assert_str_eq(f.null_name, "<>");
    ck_assert_uint_eq(f.null_id, 0);
    ck_assert(f.self_matches);
    for (unsigned i = 0; i < 100; i++) {
        ck_assert_uint_ne(f.ids[i], 0);
        for (unsigned j = 0; j < i; j++) ck_assert_uint_ne(f.ids[i], f.ids[j]);
    }
    ck_assert_ptr_null(pintle_self());
}

/* ---- Yield and fairness ---- */

typedef struct turns {
    unsigned order[64];
    unsigned count;
    unsigned ran_before_yield, ran_after_yield;
} turns;

static void turns_task(void *arg) {
    turns *t = arg;
    t->order[t->count++] = (unsigned)pintle_task_id(pintle_self());
    pintle_yield();
    t->order[t->count++] = (unsigned)pintle_task_id(pintle_self());
}
static int turns_main(void *arg) {
    turns *t = arg;
    pintle_task *tasks[5];
    if (helper_spawn_all(tasks, 5, turns_task, t) != 0) return 1;
    t->ran_before_yield = t->count;
    pintle_yield();
    t->ran_after_yield = t->count;
    return (int)helper_join_all(tasks, 5);
}

CASE(yield_lets_each_runnable_task_go_first) {
    turns t = {0};
    ck_assert_int_eq(helper_run_strict(turns_main, &t), 0);
    ck_assert_uint_eq(t.ran_before_yield, 0);
    ck_assert_uint_ge(t.ran_after_yield, 5);
    ck_assert_uint_eq(t.count, 10);
    for (unsigned i = 0; i < 5; i++)
        for (unsigned j = 0; j < i; j++) ck_assert_uint_ne(t.order[i], t.order[j]);
}

typedef struct ping_pong {
    pintle_event ping, pong;
    atomic_bool stop;
    unsigned rounds, rounds_at_spawn, rounds_at_stop, failed;
} ping_pong;

static void stop_ping_pong(void *arg) {
    ping_pong *p = arg;
    p->rounds_at_stop = p->rounds;
    atomic_store(&p->stop, true);
}
/* The third comes into being in the middle of the game, and is behind the pair from then on. */
static void ping_task(void *arg) {
    ping_pong *p = arg;
    while (!atomic_load(&p->stop)) {
        if (++p->rounds == 10) {
            p->rounds_at_spawn = p->rounds;
            if (pintle_spawn(NULL, stop_ping_pong, p) != 0) p->failed++;
        }
        pintle_event_set(&p->ping);
        pintle_event_wait(&p->pong, PINTLE_FOREVER);
        pintle_event_reset(&p->pong);
    }
    pintle_event_set(&p->ping);
}
static void pong_task(void *arg) {
    ping_pong *p = arg;
    while (!atomic_load(&p->stop)) {
        pintle_event_wait(&p->ping, PINTLE_FOREVER);
        pintle_event_reset(&p->ping);
        pintle_event_set(&p->pong);
    }
    pintle_event_set(&p->pong);
}
static int ping_pong_main(void *arg) {
    ping_pong *p = arg;
    pintle_task *tasks[2];
    p->failed += helper_spawn_all(&tasks[0], 1, ping_task, p);
    p->failed += helper_spawn_all(&tasks[1], 1, pong_task, p);
    p->failed += helper_join_all(tasks, 2);
    return 0;
}

CASE(pair_that_ping_pongs_does_not_starve_a_third) {
    ping_pong p = {.ping = PINTLE_EVENT_INIT, .pong = PINTLE_EVENT_INIT};
    ck_assert_int_eq(helper_run_strict(ping_pong_main, &p), 0);
    ck_assert_uint_eq(p.failed, 0);
    ck_assert_uint_eq(p.rounds_at_spawn, 10);
    ck_assert_uint_ge(p.rounds_at_stop, 10);
}

typedef struct yielders {
    atomic_bool stop;
    unsigned failed;
} yielders;

static void yield_until_stopped(void *arg) {
    while (!atomic_load(&((yielders *)arg)->stop)) pintle_yield();
}
static void stop_yielders(void *arg) { atomic_store(&((yielders *)arg)->stop, true); }
static int stop_in_call(void *arg) {
    pintle_task *task;
    if (pintle_spawn(&task, stop_yielders, arg) != 0) return 1;
    return pintle_join(task, PINTLE_FOREVER);
}
static int yielders_main(void *arg) {
    yielders *y = arg;
    pintle_task *tasks[5];
    y->failed += helper_spawn_all(tasks, 5, yield_until_stopped, y);
    /* The stopper comes from outside, through the global queue. */
    if (pintle_call(stop_in_call, y) != 0) y->failed++;
    y->failed += helper_join_all(tasks, 5);
    return 0;
}

CASE(task_spawned_from_outside_gets_its_turn_among_yielders) {
    yielders y = {0};
    ck_assert_int_eq(helper_run_strict(yielders_main, &y), 0);
    ck_assert_uint_eq(y.failed, 0);
    ck_assert(y.stop);
}

/* ---- Exit ---- */

typedef struct exit_findings {
    bool before, after, after_nested;
    int joined[2];
} exit_findings;

__attribute__((noinline)) static void exit_nested(exit_findings *f) {
    f->before = true;
    pintle_task_exit();
}
static void exit_task(void *arg) {
    exit_findings *f = arg;
    exit_nested(f);
    f->after = true;
}
static void exit_pinned_task(void *arg) {
    (void)arg;
    pintle_pin();
    pintle_task_exit();
}
static int exit_main(void *arg) {
    exit_findings *f = arg;
    pintle_task *task;
    if (pintle_spawn(&task, exit_task, f) != 0) return 1;
    f->joined[0] = pintle_join(task, PINTLE_FOREVER);
    if (pintle_spawn(&task, exit_pinned_task, f) != 0) return 2;
    f->joined[1] = pintle_join(task, PINTLE_FOREVER);
    return 0;
}

CASE(task_exit_ends_the_task_from_any_depth) {
    exit_findings f = {.joined = {1, 1}};
    ck_assert_int_eq(pintle_run(exit_main, &f, NULL), 0);
    ck_assert(f.before);
    ck_assert(!f.after);
    ck_assert_int_eq(f.joined[0], 0);
    ck_assert_int_eq(f.joined[1], 0);
}

/* ---- From outside ---- */

typedef struct outside {
    atomic_uint done, wrong;
    pintle_task *caller_task;
} outside;

static void outside_task(void *arg) {
    outside *o = arg;
    uint64_t id = pintle_task_id(pintle_self());
    pintle_yield();
    pintle_sleep(PINTLE_US(10));
    pintle_call(helper_return_at_once, NULL);
    if (id == 0 || pintle_task_id(pintle_self()) != id) atomic_fetch_add(&o->wrong, 1);
    atomic_fetch_add(&o->done, 1);
}
static void outside_spawner(void *arg) {
    outside *o = arg;
    for (unsigned i = 0; i < 100; i++) {
        pintle_task *task;
        if (pintle_spawn(&task, outside_task, o) != 0 || pintle_join(task, PINTLE_FOREVER) != 0)
            atomic_fetch_add(&o->wrong, 1);
    }
    if (pintle_self() != NULL) atomic_fetch_add(&o->wrong, 1);
}
static void outside_enterer(void *arg) {
    outside *o = arg;
    for (unsigned i = 0; i < 100; i++)
        if (pintle_enter(outside_task, o) != 0) atomic_fetch_add(&o->wrong, 1);
    if (pintle_self() != NULL) atomic_fetch_add(&o->wrong, 1);
}

static void outside_with(void (*fn)(void *), unsigned processors) {
    outside o = {0};
    helper_thread threads[4];
    pintle_options options = helper_processors(processors);
    ck_assert_int_eq(pintle_start(&options), 0);
    for (int i = 0; i < 4; i++) ck_assert(helper_thread_start(&threads[i], fn, &o));
    for (int i = 0; i < 4; i++) helper_thread_join(&threads[i]);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    ck_assert_uint_eq(o.wrong, 0);
    ck_assert_uint_eq(o.done, 400);
}

CASE(spawn_and_join_from_foreign_threads) {
    outside_with(outside_spawner, 1);
    outside_with(outside_spawner, 3);
}

CASE(enter_from_foreign_threads_runs_as_new_tasks) {
    outside_with(outside_enterer, 1);
    outside_with(outside_enterer, 3);
}

static void note_other_task(void *arg) {
    outside *o = arg;
    if (pintle_self() == NULL || pintle_self() == o->caller_task) atomic_fetch_add(&o->wrong, 1);
    atomic_fetch_add(&o->done, 1);
}
static int enter_main(void *arg) {
    outside *o = arg;
    o->caller_task = pintle_self();
    for (unsigned i = 0; i < 100; i++)
        if (pintle_enter(note_other_task, o) != 0) return 1;
    return pintle_self() == o->caller_task ? 0 : 2;
}

CASE(enter_from_a_task_runs_as_new_task) {
    outside o = {0};
    ck_assert_int_eq(helper_run(enter_main, &o, 1), 0);
    ck_assert_uint_eq(o.wrong, 0);
    ck_assert_uint_eq(o.done, 100);
}

CASE(enter_and_spawn_without_runtime_say_stopped) {
    atomic_uint count = 0;
    pintle_task *task = NULL;
    ck_assert_int_eq(pintle_enter(count_up, &count), PINTLE_ESTOPPED);
    ck_assert_int_eq(pintle_spawn(&task, count_up, &count), PINTLE_ESTOPPED);
    ck_assert_int_eq(pintle_spawn(NULL, count_up, &count), PINTLE_ESTOPPED);
    ck_assert_ptr_null(task);
    ck_assert_uint_eq(count, 0);
}

/* ---- Work is stolen ---- */

typedef struct gathering {
    atomic_uint arrived;
    atomic_bool gave_up;
    uint64_t threads[4];
    unsigned failed;
} gathering;

/* Each of four waits, without letting go of its processor, until all four are there: only four processors that run
 * at the same time can get them past this. */
static void gathering_task(void *arg) {
    gathering *g = arg;
    unsigned place = atomic_fetch_add(&g->arrived, 1);
    g->threads[place] = helper_thread_id();
    int64_t give_up = pintle_after(PINTLE_S(20));
    while (atomic_load(&g->arrived) < 4)
        if (pintle_now() > give_up) {
            atomic_store(&g->gave_up, true);
            return;
        }
}
static int gathering_main(void *arg) {
    gathering *g = arg;
    pintle_task *tasks[4];
    g->failed += helper_spawn_all(tasks, 4, gathering_task, g);
    g->failed += helper_join_all(tasks, 4);
    return 0;
}

CASE(tasks_spawned_on_one_processor_run_on_all) {
    gathering g = {0};
    ck_assert_int_eq(helper_run(gathering_main, &g, 4), 0);
    ck_assert_uint_eq(g.failed, 0);
    ck_assert(!g.gave_up);
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < i; j++) ck_assert_uint_ne(g.threads[i], g.threads[j]);
}

/* They all fit in one ring, so the second processor gets its share by stealing, unless the ring went to the global queue
 * because there was no thread yet when its owner parked: hence the rounds. */
typedef struct spread {
    atomic_uint done;
    unsigned failed;
} spread;

static void spread_task(void *arg) {
    helper_compute(PINTLE_US(200));
    atomic_fetch_add(&((spread *)arg)->done, 1);
}
static void spreader_task(void *arg) {
    spread *s = arg;
    pintle_task *tasks[200];
    s->failed += helper_spawn_all(tasks, 200, spread_task, s);
    s->failed += helper_join_all(tasks, 200);
}
static int spread_main(void *arg) {
    spread *s = arg;
    pintle_stats stats;
    unsigned rounds = 0;
    do {
        pintle_task *task;
        s->failed += helper_spawn_all(&task, 1, spreader_task, s);
        s->failed += helper_join_all(&task, 1);
        rounds++;
        pintle_stats_get(&stats);
    } while (stats.steals == 0 && rounds < 30);
    if (atomic_load(&s->done) != rounds * 200) return -1;
    return stats.steals > 0 ? 1 : 0;
}

CASE(tasks_in_a_ring_are_stolen) {
    spread s = {0};
    ck_assert_int_eq(helper_run(spread_main, &s, 2), 1);
    ck_assert_uint_eq(s.failed, 0);
}

/* ---- Stacks ---- */

typedef struct burn {
    unsigned kilobytes, result, rounds;
} burn;

static void burn_task(void *arg) {
    burn *b = arg;
    for (unsigned i = 0; i < b->rounds; i++) {
        b->result += deep_recurse(b->kilobytes);
        pintle_yield();
    }
}
static int burn_many_main(void *arg) {
    burn *burns = arg;
    pintle_task *tasks[20];
    for (int i = 0; i < 20; i++)
        if (pintle_spawn(&tasks[i], burn_task, &burns[i]) != 0) return 1;
    return (int)helper_join_all(tasks, 20);
}

CASE(stack_of_default_size_holds_200_kb) {
    burn burns[20];
    for (int i = 0; i < 20; i++) burns[i] = (burn){.kilobytes = i % 2 == 0 ? 200 : 10, .rounds = 5};
    ck_assert_int_eq(helper_run(burn_many_main, burns, 2), 0);
    for (int i = 0; i < 20; i++) ck_assert_uint_eq(burns[i].result, burns[i].kilobytes * 5);
}

static int burn_main(void *arg) {
    burn_task(arg);
    return 0;
}
static int burn_with_main(void *arg) {
    burn *b = arg;
    pintle_task_options options = {.size = sizeof options, .stack_bytes = 4 * 1024 * 1024};
    pintle_task *task;
    if (pintle_spawn_with(&task, burn_task, b, &options) != 0) return 1;
    return pintle_join(task, PINTLE_FOREVER);
}
static int burn_pinned_main(void *arg) {
    burn *b = arg;
    pintle_task_options options = {.size = sizeof options, .pinned = true};
    pintle_task *task;
    if (pintle_spawn_with(&task, burn_task, b, &options) != 0) return 1;
    return pintle_join(task, PINTLE_FOREVER);
}

CASE(stack_bytes_of_the_runtime_counts_for_every_task) {
    burn b = {.kilobytes = 1800, .rounds = 2};
    pintle_options options = helper_processors(1);
    options.stack_bytes = 2 * 1024 * 1024;
    ck_assert_int_eq(pintle_run(burn_main, &b, &options), 0);
    ck_assert_uint_eq(b.result, 3600);
}

CASE(stack_bytes_of_a_task_counts_for_it) {
    burn b = {.kilobytes = 3800, .rounds = 2};
    ck_assert_int_eq(helper_run(burn_with_main, &b, 1), 0);
    ck_assert_uint_eq(b.result, 7600);
}

CASE(stack_of_a_task_spawned_pinned_holds_900_kb) {
    burn b = {.kilobytes = 900, .rounds = 2};
    ck_assert_int_eq(helper_run(burn_pinned_main, &b, 1), 0);
    ck_assert_uint_eq(b.result, 1800);
}

typedef struct reuse {
    uint64_t bytes_early, bytes_late, spawned;
    atomic_uint done;
} reuse;

static int reuse_main(void *arg) {
    reuse *r = arg;
    pintle_stats stats;
    for (unsigned round = 0; round < 500; round++) {
        pintle_task *tasks[100];
        if (helper_spawn_all(tasks, 100, count_up, &r->done) != 0) return 1;
        if (helper_join_all(tasks, 100) != 0) return 2;
        pintle_stats_get(&stats);
        if (round == 9) r->bytes_early = stats.tasks_bytes;
    }
    r->bytes_late = stats.tasks_bytes;
    r->spawned = stats.tasks_spawned;
    return 0;
}

CASE(stacks_are_used_again) {
    reuse r = {0};
    ck_assert_int_eq(helper_run(reuse_main, &r, 2), 0);
    ck_assert_uint_eq(r.done, 50000);
    ck_assert_uint_ge(r.spawned, 50000);
    ck_assert_uint_ge(r.bytes_early, 100);
    ck_assert_uint_le(r.bytes_late, 4 * r.bytes_early);
}

/* What a task left on its stack, another may find; what it left in its record, none may. */
typedef struct fresh {
    int first_error, first_errno;
    bool pinned;
    char name[32];
} fresh;

static void dirty_task(void *arg) {
    (void)arg;
    pintle_error_set(PINTLE_EBUSY, 99, "left behind");
    helper_set_errno(4321);
    pintle_task_exit();
}
static void fresh_task(void *arg) {
    fresh *f = arg;
    f->first_errno = helper_errno();
    pintle_error error;
    pintle_error_get(&error);
    f->first_error = error.code;
    f->pinned = pintle_pinned();
    snprintf(f->name, sizeof f->name, "<%s>", pintle_task_name(pintle_self()));
}
static int fresh_main(void *arg) {
    fresh *f = arg;
    pintle_task_options options = {.size = sizeof options, .name = "dirty"};
    for (int i = 0; i < 20; i++) {
        pintle_task *task;
        if (pintle_spawn_with(&task, dirty_task, NULL, &options) != 0 || pintle_join(task, PINTLE_FOREVER) != 0)
            return 1;
        if (pintle_spawn(&task, fresh_task, f) != 0 || pintle_join(task, PINTLE_FOREVER) != 0) return 2;
        if (f->first_error != 0 || f->first_errno != 0 || f->pinned || strcmp(f->name, "<>") != 0) return 3;
    }
    return 0;
}

CASE(task_finds_nothing_of_the_one_before_it) {
    fresh f = {0};
    ck_assert_int_eq(helper_run(fresh_main, &f, 1), 0);
}

/* ---- Limits ---- */

typedef struct limit {
    pintle_event go;
    unsigned rounds[2];
    int refused[2];
    bool handle_touched;
    uint64_t live[2], bytes[2];
    pintle_error error;
    unsigned failed;
} limit;

static void limit_task(void *arg) { pintle_event_wait(&((limit *)arg)->go, PINTLE_FOREVER); }
static int limit_main(void *arg) {
    limit *l = arg;
    for (int round = 0; round < 2; round++) {
        pintle_task *tasks[64] = {NULL};
        unsigned n = 0;
        pintle_event_reset(&l->go);
        while (n < 64 && (l->refused[round] = pintle_spawn(&tasks[n], limit_task, l)) == 0) n++;
        pintle_error_get(&l->error);
        if (n < 64 && tasks[n] != NULL) l->handle_touched = true;
        for (unsigned i = 0; i < 100; i++) /* a refusal costs nothing, so it can be repeated */
            if (pintle_spawn(NULL, limit_task, l) != PINTLE_ELIMIT) l->failed++;
        pintle_stats stats;
        pintle_stats_get(&stats);
        l->rounds[round] = n;
        l->live[round] = stats.tasks;
        l->bytes[round] = stats.tasks_bytes;
        pintle_event_set(&l->go);
        l->failed += helper_join_all(tasks, n);
    }
    return 0;
}

CASE(spawn_beyond_max_tasks_is_refused_and_leaves_nothing) {
    limit l = {.go = PINTLE_EVENT_INIT};
    pintle_options options = helper_processors(1);
    options.max_tasks = 20;
    ck_assert_int_eq(pintle_run(limit_main, &l, &options), 0);
    ck_assert_uint_eq(l.failed, 0);
    ck_assert_int_eq(l.refused[0], PINTLE_ELIMIT);
    ck_assert_int_eq(l.refused[1], PINTLE_ELIMIT);
    ck_assert_uint_eq(l.rounds[0], 19); /* main is the twentieth */
    ck_assert_uint_eq(l.rounds[1], 19);
    ck_assert_uint_eq(l.live[0], 20);
    ck_assert_uint_eq(l.live[1], 20);
    ck_assert_uint_eq(l.bytes[1], l.bytes[0]);
    ck_assert(!l.handle_touched);
    ck_assert_int_eq(l.error.code, PINTLE_ELIMIT);
    pintle_event_destroy(&l.go);
}

/* ---- Panics in library mode end the task only ---- */

static void panic_task(void *arg) { pintle_panic("the %s broke", (const char *)arg); }

typedef struct reports {
    atomic_uint count;
    int kind;
    char text[2048];
} reports;

static void keep_report(void *user, int kind, const char *text) {
    reports *r = user;
    r->kind = kind;
    snprintf(r->text, sizeof r->text, "%s", text);
    atomic_fetch_add(&r->count, 1);
}

CASE(panic_in_library_mode_ends_only_the_task) {
    reports r = {0};
    pintle_options options = helper_processors(1);
    options.on_report = keep_report;
    options.user = &r;
    ck_assert_int_eq(pintle_start(&options), 0);
    pintle_task_options named = {.size = sizeof named, .name = "lathe"};
    pintle_task *task;
    ck_assert_int_eq(pintle_spawn_with(&task, panic_task, (void *)"spindle", &named), 0);
    ck_assert_int_eq(pintle_join(task, PINTLE_FOREVER), PINTLE_EPANIC);
    pintle_error error;
    pintle_error_get(&error);
    ck_assert_int_eq(error.code, PINTLE_EPANIC);
    ck_assert_int_eq(pintle_enter(panic_task, (void *)"gear"), PINTLE_EPANIC);
    /* The runtime goes on. */
    atomic_uint count = 0;
    ck_assert_int_eq(pintle_enter(count_up, &count), 0);
    ck_assert_uint_eq(count, 1);
    /* Nobody joins a detached one: it is reported. */
    unsigned before = atomic_load(&r.count);
    ck_assert_int_eq(pintle_spawn_with(NULL, panic_task, (void *)"chuck", &named), 0);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    ck_assert_uint_eq(atomic_load(&r.count), before + 1);
    ck_assert_int_eq(r.kind, PINTLE_REPORT_PANIC);
    ck_assert_msg(strstr(r.text, "the chuck broke") != NULL, "%s", r.text);
    ck_assert_msg(strstr(r.text, "lathe") != NULL, "%s", r.text);
}

static int panic_in_call(void *arg) { pintle_panic("the %s broke inside a call", (const char *)arg); }
static void panic_in_call_task(void *arg) {
    if (strcmp(arg, "belt") == 0)
        pintle_call(panic_in_call, arg);
    else if (strcmp(arg, "crank") == 0)
        pintle_call_blocking(panic_in_call, arg);
    else {
        pintle_blocking_begin();
        panic_in_call(arg);
    }
}

CASE(panic_in_a_call_in_library_mode_ends_only_the_task) {
    reports r = {0};
    unsigned threads = helper_thread_count();
    pintle_options options = helper_processors(1);
    options.on_report = keep_report;
    options.user = &r;
    ck_assert_int_eq(pintle_start(&options), 0);
    const char *const parts[] = {"belt", "crank", "shaft"};
    for (unsigned i = 0; i < 30; i++) {
        pintle_task *task;
        atomic_uint count = 0;
        ck_assert_int_eq(pintle_spawn(&task, panic_in_call_task, (void *)parts[i % 3]), 0);
        ck_assert_int_eq(pintle_join(task, PINTLE_FOREVER), PINTLE_EPANIC);
        ck_assert_int_eq(pintle_enter(count_up, &count), 0);
        ck_assert_uint_eq(count, 1);
    }
    pintle_stats stats;
    pintle_stats_get(&stats);
    ck_assert_uint_eq(stats.tasks, 0);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    ck_assert(helper_threads_at_most(threads));
}
