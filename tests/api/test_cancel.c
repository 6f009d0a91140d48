/* test_cancel.c: what cancelling a task ends, and what it leaves alone. Scopes: test_cancel_scope.c. */
#include "api_helpers.h"
#include "api/must.h"

/* Everything that a task can wait in; nothing of it ever happens, but by the test. */
typedef struct things {
    pintle_event event;
    pintle_sem sem;
    pintle_group group;
    pintle_cond cond;
    pintle_mutex mutex, held;
    pintle_rwlock rwlock;
    pintle_chan *empty, *full;
    pintle_task *other, *runner;
    pintle_once once;
    atomic_uint arrived;
} things;

typedef int way_fn(things *t, int64_t deadline_ns);

static int in_sleep(things *t, int64_t deadline_ns) {
    (void)t;
    return pintle_sleep_until(deadline_ns);
}
static int in_event(things *t, int64_t deadline_ns) { return pintle_event_wait(&t->event, deadline_ns); }
static int in_sem(things *t, int64_t deadline_ns) { return pintle_sem_wait(&t->sem, deadline_ns); }
static int in_group(things *t, int64_t deadline_ns) { return pintle_group_wait(&t->group, deadline_ns); }
static int in_join(things *t, int64_t deadline_ns) { return pintle_join(t->other, deadline_ns); }
static int in_recv(things *t, int64_t deadline_ns) {
    int item;
    return pintle_chan_recv(t->empty, &item, deadline_ns);
}
static int in_send(things *t, int64_t deadline_ns) {
    int item = 1;
    return pintle_chan_send(t->full, &item, deadline_ns);
}
static int in_null_recv(things *t, int64_t deadline_ns) {
    (void)t;
    return pintle_chan_recv(NULL, NULL, deadline_ns);
}
static int in_select(things *t, int64_t deadline_ns) {
    int in = 0, out = 1;
    pintle_case cases[] = {pintle_case_recv(t->empty, &in), pintle_case_send(t->full, &out),
                           pintle_case_event(&t->event)};
    return pintle_select(cases, ELEMENTS(cases), deadline_ns);
}
static int in_cond(things *t, int64_t deadline_ns) {
    int code;
    pintle_mutex_lock(&t->mutex, PINTLE_FOREVER);
    code = pintle_cond_wait(&t->cond, &t->mutex, deadline_ns);
    pintle_mutex_unlock(&t->mutex); /* it is locked, however the wait ended */
    return code;
}
static int in_once(things *t, int64_t deadline_ns) { return pintle_once_do(&t->once, NULL, NULL, deadline_ns); }
static int in_lock_for_long(things *t, int64_t deadline_ns) {
    return pintle_mutex_lock(&t->held, deadline_ns != PINTLE_FOREVER ? deadline_ns : pintle_after(PINTLE_S(1000)));
}
static int in_rdlock_for_long(things *t, int64_t deadline_ns) {
    return pintle_rwlock_rdlock(&t->rwlock, deadline_ns != PINTLE_FOREVER ? deadline_ns : pintle_after(PINTLE_S(1000)));
}
static int in_wrlock_for_long(things *t, int64_t deadline_ns) {
    return pintle_rwlock_wrlock(&t->rwlock, deadline_ns != PINTLE_FOREVER ? deadline_ns : pintle_after(PINTLE_S(1000)));
}
static void sleep_forever(void *arg) {
    (void)arg;
    pintle_sleep_until(PINTLE_FOREVER);
}
static int in_scope_wait(things *t, int64_t deadline_ns) {
    pintle_scope *scope;
    int code;
    (void)t;
    if (pintle_scope_open(&scope, PINTLE_FOREVER) != 0) return 1;
    pintle_scope_spawn(scope, sleep_forever, NULL);
    code = pintle_scope_wait(scope, deadline_ns);
    pintle_scope_cancel(scope);
    pintle_scope_close(scope);
    return code;
}
static way_fn *const ways[] = {in_sleep,
                               in_event,
                               in_sem,
                               in_group,
                               in_join,
                               in_recv,
                               in_send,
                               in_null_recv,
                               in_select,
                               in_cond,
                               in_once,
                               in_lock_for_long,
                               in_rdlock_for_long,
                               in_wrlock_for_long,
                               in_scope_wait};
enum { WAYS = sizeof ways / sizeof ways[0] };

static void stay(void *arg) { pintle_event_wait(arg, PINTLE_FOREVER); }
static void stay_masked(void *arg) {
    pintle_cancel_mask();
    stay(arg);
}
static void run_once(void *arg) {
    things *t = arg;
    pintle_once_do(&t->once, stay_masked, &t->event, PINTLE_FOREVER);
}

static int begin(things *t) {
    int item = 0;
    memset(t, 0, sizeof *t);
    pintle_group_add(&t->group, 1);
    pintle_mutex_lock(&t->held, PINTLE_FOREVER);
    pintle_rwlock_wrlock(&t->rwlock, PINTLE_FOREVER);
    MUST(pintle_chan_new(&t->empty, sizeof(int), 0) == 0);
    MUST(pintle_chan_new(&t->full, sizeof(int), 1) == 0);
    MUST(pintle_chan_send(t->full, &item, PINTLE_NOWAIT) == 0);
    MUST(pintle_spawn(&t->other, stay, &t->event) == 0);
    MUST(pintle_spawn(&t->runner, run_once, t) == 0);
    while (t->once.state == 0) pintle_yield();
    return 0;
}
static void end(things *t) {
    pintle_event_set(&t->event);
    MUST(pintle_join(t->other, PINTLE_FOREVER) == 0);
    MUST(pintle_join(t->runner, PINTLE_FOREVER) == 0);
    pintle_mutex_unlock(&t->held);
    pintle_rwlock_wrunlock(&t->rwlock);
    pintle_chan_free(t->empty);
    pintle_chan_free(t->full);
}

typedef struct waiting {
    things *things;
    way_fn *way;
    int codes[4], reason;
    bool canceled;
    pintle_error error;
} waiting;

static void wait_in(void *arg) {
    waiting *w = arg;
    atomic_fetch_add(&w->things->arrived, 1);
    w->codes[0] = w->way(w->things, PINTLE_FOREVER);
    pintle_error_get(&w->error);
    w->codes[1] = w->way(w->things, PINTLE_FOREVER); /* at once */
    w->canceled = pintle_canceled();
    w->reason = pintle_cancel_reason();
    pintle_cancel_mask();
    w->codes[2] = w->way(w->things, pintle_after(PINTLE_MS(1))); /* like everybody's */
    pintle_cancel_unmask();
    w->codes[3] = w->way(w->things, PINTLE_NOWAIT);
}
static void assert_waited(const waiting *w, unsigned i) {
    ck_assert_msg(w->codes[0] == PINTLE_ECANCELED, "way %u: %d", i, w->codes[0]);
    ck_assert_msg(w->codes[1] == PINTLE_ECANCELED, "way %u: again: %d", i, w->codes[1]);
    ck_assert_msg(w->codes[2] == (w->way == in_sleep ? 0 : PINTLE_ETIMEDOUT), "way %u: masked: %d", i, w->codes[2]);
    ck_assert_msg(w->way == in_sleep || w->codes[3] == PINTLE_EAGAIN, "way %u: not waiting: %d", i, w->codes[3]);
    ck_assert_msg(strstr(w->error.text, "cancelled") != NULL, "way %u: %s", i, w->error.text);
    ck_assert(w->canceled);
    ck_assert_int_eq(w->reason, PINTLE_ECANCELED);
}

typedef struct all_ways {
    waiting waiting[WAYS];
    bool early; /* cancelled before they wait */
} all_ways;

static int cancel_each(void *arg) {
    all_ways *a = arg;
    things t;
    pintle_task *tasks[WAYS];
    begin(&t);
    for (size_t i = 0; i < WAYS; i++) {
        a->waiting[i] = (waiting){.things = &t, .way = ways[i]};
        MUST(pintle_spawn(&tasks[i], wait_in, &a->waiting[i]) == 0);
        if (a->early) pintle_task_cancel(tasks[i]);
    }
    while (!a->early && atomic_load(&t.arrived) < WAYS) pintle_yield();
    for (size_t i = 0; i < WAYS; i++) {
        pintle_task_cancel(tasks[i]);
        pintle_task_cancel(tasks[i]);
    }
    for (size_t i = 0; i < WAYS; i++) MUST(pintle_join(tasks[i], PINTLE_FOREVER) == 0);
    end(&t);
    return 0;
}
static void assert_each_canceled(bool early) {
    for (unsigned processors = 1; processors <= 2; processors++) {
        all_ways a = {.early = early};
        ck_assert_int_eq(helper_run(cancel_each, &a, processors), 0);
        for (unsigned i = 0; i < WAYS; i++) assert_waited(&a.waiting[i], i);
    }
    ASSERT_ALL_MUST();
}
CASE(cancel_ends_every_kind_of_wait_and_those_that_follow) { assert_each_canceled(false); }
CASE(cancel_before_the_wait_ends_it_at_once) { assert_each_canceled(true); }

/* ---- What is not ended ---- */

typedef struct locked {
    pintle_mutex mutex;
    pintle_rwlock rwlock;
    atomic_uint waits;
    int codes[3];
} locked;
static void lock_forever(void *arg) {
    locked *l = arg;
    atomic_fetch_add(&l->waits, 1);
    l->codes[0] = pintle_mutex_lock(&l->mutex, PINTLE_FOREVER);
    if (l->codes[0] == 0) pintle_mutex_unlock(&l->mutex);
    l->codes[1] = pintle_rwlock_wrlock(&l->rwlock, PINTLE_FOREVER);
    if (l->codes[1] == 0) pintle_rwlock_wrunlock(&l->rwlock);
    l->codes[2] = pintle_sleep(1);
}
static int locks_main(void *arg) {
    locked *l = arg;
    pintle_task *task;
    pintle_mutex_lock(&l->mutex, PINTLE_FOREVER);
    pintle_rwlock_rdlock(&l->rwlock, PINTLE_FOREVER);
    MUST(pintle_spawn(&task, lock_forever, l) == 0);
    while (atomic_load(&l->waits) == 0) pintle_yield();
    pintle_task_cancel(task);
    for (int i = 0; i < 20; i++) pintle_yield();
    MUST(pintle_join(task, PINTLE_NOWAIT) == PINTLE_EAGAIN);
    pintle_mutex_unlock(&l->mutex);
    for (int i = 0; i < 20; i++) pintle_yield();
    pintle_rwlock_rdunlock(&l->rwlock);
    MUST(pintle_join(task, PINTLE_FOREVER) == 0);
    return 0;
}
CASE(cancel_leaves_locks_without_a_deadline_alone) {
    for (unsigned processors = 1; processors <= 2; processors++) {
        locked l = {.waits = 0};
        ck_assert_int_eq(helper_run(locks_main, &l, processors), 0);
        ck_assert_int_eq(l.codes[0], 0);
        ck_assert_int_eq(l.codes[1], 0);
        ck_assert_int_eq(l.codes[2], PINTLE_ECANCELED);
    }
    ASSERT_ALL_MUST();
}

typedef struct masked {
    pintle_event go, begun;
    pintle_chan *chan;
    int codes[4];
    bool told[2];
} masked;
static void wait_masked(void *arg) {
    masked *m = arg;
    int item;
    pintle_cancel_mask();
    pintle_cancel_mask();
    pintle_event_set(&m->begun);
    m->codes[0] = pintle_event_wait(&m->go, PINTLE_FOREVER);
    pintle_cancel_unmask();
    m->told[0] = pintle_canceled();
    m->codes[1] = pintle_chan_recv(m->chan, &item, PINTLE_FOREVER); /* still masked: a free wait too */
    pintle_case cases[] = {pintle_case_recv(m->chan, &item)};
    m->codes[2] = pintle_select(cases, 1, PINTLE_FOREVER);
    pintle_cancel_unmask();
    m->told[1] = pintle_canceled();
    m->codes[3] = pintle_sleep(1);
}
static int masked_main(void *arg) {
    masked *m = arg;
    pintle_task *task;
    MUST(pintle_chan_new(&m->chan, sizeof(int), 0) == 0);
    MUST(pintle_spawn(&task, wait_masked, m) == 0);
    MUST(pintle_event_wait(&m->begun, PINTLE_FOREVER) == 0);
    pintle_task_cancel(task);
    for (int i = 0; i < 20; i++) pintle_yield();
    pintle_event_set(&m->go);
    for (int i = 0; i < 2; i++) MUST(pintle_chan_send(m->chan, &i, PINTLE_FOREVER) == 0);
    MUST(pintle_join(task, PINTLE_FOREVER) == 0);
    pintle_chan_free(m->chan);
    return 0;
}
CASE(cancel_waits_for_the_end_of_nested_masks) {
    for (unsigned processors = 1; processors <= 2; processors++) {
        masked m = {.chan = NULL};
        pintle_event_init(&m.go);
        pintle_event_init(&m.begun);
        ck_assert_int_eq(helper_run(masked_main, &m, processors), 0);
        for (int i = 0; i < 3; i++) ck_assert_int_eq(m.codes[i], 0);
        ck_assert_int_eq(m.codes[3], PINTLE_ECANCELED);
        ck_assert(m.told[0] && m.told[1]);
    }
    ASSERT_ALL_MUST();
}

typedef struct foreign {
    pintle_event event;
    pintle_scope *scope;
    helper_sem begun;
    int codes[3];
} foreign;
static void wait_on_thread(void *arg) {
    foreign *f = arg;
    helper_sem_post(&f->begun);
    f->codes[0] = pintle_event_wait(&f->event, PINTLE_FOREVER);
}
static int wait_in_call(void *arg) { /* the thread waits, not the task */
    foreign *f = arg;
    helper_sem_post(&f->begun);
    return pintle_event_wait(&f->event, PINTLE_FOREVER);
}
static void wait_as_member(void *arg) {
    foreign *f = arg;
    f->codes[1] = pintle_call_blocking(wait_in_call, f);
    f->codes[2] = pintle_sleep(1);
}
CASE(cancel_leaves_waits_of_threads_and_in_calls_alone) {
    foreign f = {.scope = NULL};
    helper_thread thread;
    pintle_event_init(&f.event);
    helper_sem_init(&f.begun);
    ck_assert_int_eq(pintle_start(NULL), 0);
    ck_assert_int_eq(pintle_scope_open(&f.scope, PINTLE_FOREVER), 0);
    ck_assert_int_eq(pintle_scope_spawn(f.scope, wait_as_member, &f), 0);
    ck_assert(helper_thread_start(&thread, wait_on_thread, &f));
    for (int i = 0; i < 2; i++) helper_sem_wait(&f.begun);
    pintle_scope_cancel(f.scope);
    ck_assert_int_eq(pintle_scope_wait(f.scope, pintle_after(PINTLE_MS(5))), PINTLE_ETIMEDOUT);
    pintle_event_set(&f.event);
    helper_thread_join(&thread);
    ck_assert_int_eq(pintle_scope_close(f.scope), 0);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    helper_sem_destroy(&f.begun);
    ck_assert_int_eq(f.codes[0], 0);
    ck_assert_int_eq(f.codes[1], 0);
    ck_assert_int_eq(f.codes[2], PINTLE_ECANCELED);
}

/* ---- Joining, while the other ends: the join that gave 0 was the only one, else the task is there to be joined ---- */

typedef struct join_race {
    pintle_event go;
    pintle_task *other;
    bool masks;
    int code;
    unsigned outcomes[2]; /* joined, cancelled */
} join_race;
static void end_after_go(void *arg) { MUST(pintle_event_wait(&((join_race *)arg)->go, PINTLE_FOREVER) == 0); }
static void join_other(void *arg) {
    join_race *r = arg;
    if (r->masks) pintle_cancel_mask();
    r->code = pintle_join(r->other, PINTLE_FOREVER);
    if (r->masks) pintle_cancel_unmask();
}
static int join_race_main(void *arg) {
    join_race *r = arg;
    for (unsigned i = 0; i < 3000; i++) {
        pintle_task *joiner;
        pintle_event_init(&r->go);
        r->code = -1;
        MUST(pintle_spawn(&r->other, end_after_go, r) == 0);
        MUST(pintle_spawn(&joiner, join_other, r) == 0);
        for (unsigned yields = i % 4; yields > 0; yields--) pintle_yield();
        if (i % 2 == 0) pintle_event_set(&r->go);
        if (i % 3 == 0) pintle_yield();
        pintle_task_cancel(joiner);
        if (i % 2 == 1) pintle_event_set(&r->go);
        MUST(pintle_join(joiner, PINTLE_FOREVER) == 0);
        MUST(r->code == 0 || (r->code == PINTLE_ECANCELED && !r->masks));
        if (r->code != 0) MUST(pintle_join(r->other, PINTLE_FOREVER) == 0);
        r->outcomes[r->code != 0]++;
    }
    return 0;
}
CASE(cancel_of_a_join_that_races_with_the_end_loses_nothing) {
    for (unsigned processors = 1; processors <= 2; processors++) {
        join_race r = {.masks = false};
        ck_assert_int_eq(helper_run(join_race_main, &r, processors), 0);
        ck_assert_uint_gt(r.outcomes[0], 0);
        ck_assert_uint_gt(r.outcomes[1], 0);
    }
    ASSERT_ALL_MUST();
}
CASE(cancel_leaves_a_masked_join_alone) {
    for (unsigned processors = 1; processors <= 2; processors++) {
        join_race r = {.masks = true};
        ck_assert_int_eq(helper_run(join_race_main, &r, processors), 0);
        ck_assert_uint_eq(r.outcomes[1], 0);
    }
    ASSERT_ALL_MUST();
}

/* ---- Ends ---- */

static void do_nothing(void *arg) { (void)arg; }
static int cancel_at_the_end(void *arg) {
    unsigned rounds = *(unsigned *)arg;
    for (unsigned i = 0; i < rounds; i++) {
        pintle_task *task;
        MUST(pintle_spawn(&task, do_nothing, NULL) == 0);
        if (i % 3 == 0) pintle_yield();
        pintle_task_cancel(task);
        MUST(pintle_join(task, PINTLE_FOREVER) == 0);
    }
    return pintle_canceled();
}
CASE(cancel_of_a_task_that_ends_meanwhile_reaches_nobody_else) {
    unsigned rounds = 20000 / TEST_SLOWNESS;
    for (unsigned processors = 1; processors <= 2; processors++)
        ck_assert_int_eq(helper_run(cancel_at_the_end, &rounds, processors), 0);
    ASSERT_ALL_MUST();
}

typedef struct late {
    atomic_uint ended, told, stopped;
} late;
static void wait_for_the_end(void *arg) {
    late *l = arg;
    if (pintle_sleep_until(PINTLE_FOREVER) == PINTLE_ECANCELED) atomic_fetch_add(&l->told, 1);
    if (pintle_cancel_reason() == PINTLE_ESTOPPED) atomic_fetch_add(&l->stopped, 1);
    pintle_cancel_mask();
    if (pintle_sleep(PINTLE_MS(1)) == 0) atomic_fetch_add(&l->ended, 1); /* time to finish something */
    pintle_cancel_unmask();
}
static void scope_at_the_end(void *arg) {
    pintle_scope *scope;
    if (pintle_scope_open(&scope, PINTLE_FOREVER) != 0) return;
    for (int i = 0; i < 10; i++) pintle_scope_spawn(scope, wait_for_the_end, arg);
    pintle_scope_close(scope);
}
static int leave_at_once(void *arg) {
    for (int i = 0; i < 10; i++) MUST(pintle_spawn(NULL, scope_at_the_end, arg) == 0);
    for (int i = 0; i < 5; i++) pintle_yield();
    return 0;
}
CASE(run_ends_by_cancelling_what_is_left_with_its_own_reason) {
    for (unsigned processors = 1; processors <= 2; processors++) {
        late l = {.ended = 0};
        ck_assert_int_eq(helper_run(leave_at_once, &l, processors), 0);
        ck_assert_uint_eq(l.told, l.ended);
        ck_assert_uint_eq(l.stopped, l.ended);
    }
    ASSERT_ALL_MUST();
}
