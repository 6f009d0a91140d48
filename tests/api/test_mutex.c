/* test_mutex.c: mutexes, conditions, readers and writers. Misuse: tests/death/test_sync.c. */
#include "api/must.h"

/* ---- Mutexes ---- */

typedef struct shared {
    pintle_mutex mutex;
    pintle_rwlock lock;
    unsigned rounds;
    volatile uint64_t plain, copy; /* differ only while somebody is inside */
    atomic_uint inside, arrived, over;
    unsigned order[64];
} shared;

static void count_inside(shared *s, bool yields) {
    MUST(atomic_fetch_add(&s->inside, 1) == 0);
    MUST(s->plain == s->copy);
    s->plain = s->plain + 1;
    if (yields) pintle_yield();
    s->copy = s->copy + 1;
    atomic_fetch_sub(&s->inside, 1);
}
static void lock_and_count(void *arg) {
    shared *s = arg;
    for (unsigned i = 0; i < s->rounds; i++) {
        MUST_BE(pintle_mutex_lock(&s->mutex, PINTLE_FOREVER), 0);
        count_inside(s, i % 8 == 0);
        pintle_mutex_unlock(&s->mutex);
    }
}
static void lock_and_count_thread(void *arg) {
    shared *s = arg;
    for (unsigned i = 0; i < s->rounds; i++) {
        MUST_BE(pintle_mutex_lock(&s->mutex, PINTLE_FOREVER), 0);
        count_inside(s, false);
        pintle_mutex_unlock(&s->mutex);
    }
}
static int exclude_main(void *arg) {
    pintle_task *tasks[20];
    MUST_BE(helper_spawn_all(tasks, 20, lock_and_count, arg), 0);
    MUST_BE(helper_join_all(tasks, 20), 0);
    return 0;
}
CASE(mutex_lets_one_in_at_a_time) {
    shared s = {.mutex = PINTLE_MUTEX_INIT, .rounds = 5000 / TEST_SLOWNESS};
    must_run(exclude_main, &s);
    ck_assert_uint_eq(s.plain, 40 * s.rounds);
    pintle_mutex_destroy(&s.mutex);
    ASSERT_ALL_MUST();
}
CASE(mutex_is_shared_by_tasks_and_threads) {
    shared s = {.mutex = PINTLE_MUTEX_INIT, .rounds = 2000};
    helper_thread threads[4];
    pintle_task *tasks[4];
    ck_assert_int_eq(pintle_start(NULL), 0);
    for (int i = 0; i < 4; i++) ck_assert(helper_thread_start(&threads[i], lock_and_count_thread, &s));
    ck_assert_uint_eq(helper_spawn_all(tasks, 4, lock_and_count, &s), 0);
    ck_assert_uint_eq(helper_join_all(tasks, 4), 0);
    for (int i = 0; i < 4; i++) helper_thread_join(&threads[i]);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    ck_assert_uint_eq(s.plain, 8 * s.rounds);
    pintle_mutex_destroy(&s.mutex);
    ASSERT_ALL_MUST();
}

static int try_locking(void *arg) {
    shared *s = arg;
    pintle_error error;
    int64_t begin = pintle_now();
    MUST_BE(pintle_mutex_lock(&s->mutex, PINTLE_NOWAIT), PINTLE_EAGAIN);
    pintle_error_get(&error);
    MUST(strstr(error.text, "'holder' holds it") != NULL);
    MUST_BE(pintle_mutex_lock(&s->mutex, begin + PINTLE_MS(5)), PINTLE_ETIMEDOUT);
    MUST(pintle_now() >= begin + PINTLE_MS(5));
    pintle_error_get(&error);
    MUST(strstr(error.text, "'holder' holds it") != NULL);
    MUST_BE(pintle_mutex_lock(&s->mutex, PINTLE_MS(5)), PINTLE_EINVAL);
    return 0;
}
static void try_locking_task(void *arg) { try_locking(arg); }
static void hold(void *arg) {
    shared *s = arg;
    pintle_task *task;
    MUST_BE(pintle_mutex_lock(&s->mutex, PINTLE_NOWAIT), 0);
    MUST_BE(pintle_mutex_lock(&s->mutex, PINTLE_NOWAIT), PINTLE_EAGAIN); /* its own: told, not waited for */
    MUST_BE(pintle_spawn(&task, try_locking_task, s), 0);
    MUST_BE(pintle_join(task, PINTLE_FOREVER), 0);
    pintle_mutex_unlock(&s->mutex);
    MUST_BE(pintle_mutex_lock(&s->mutex, PINTLE_NOWAIT), 0); /* those who gave up are forgotten */
    pintle_mutex_unlock(&s->mutex);
    pintle_mutex_destroy(&s->mutex);
}
static int hold_main(void *arg) {
    pintle_task_options options = {.size = sizeof options, .name = "holder"};
    pintle_task *task;
    MUST_BE(pintle_spawn_with(&task, hold, arg, &options), 0);
    return pintle_join(task, PINTLE_FOREVER);
}
CASE(mutex_that_is_not_free_names_its_owner) {
    shared s = {.mutex = PINTLE_MUTEX_INIT};
    must_run(hold_main, &s);
    ASSERT_ALL_MUST();
}

static int lock_in_call(void *arg) {
    MUST_BE(pintle_mutex_lock(&((shared *)arg)->mutex, PINTLE_FOREVER), 0);
    return 0;
}
static int across_call_main(void *arg) {
    pintle_call(lock_in_call, arg);
    pintle_yield();
    pintle_mutex_unlock(&((shared *)arg)->mutex);
    return 0;
}
CASE(mutex_locked_in_a_call_is_the_task_s) {
    shared s = {.mutex = PINTLE_MUTEX_INIT};
    must_run(across_call_main, &s);
    pintle_mutex_destroy(&s.mutex);
    ASSERT_ALL_MUST();
}

static void lock_in_turn(void *arg) {
    shared *s = arg;
    unsigned me = atomic_fetch_add(&s->arrived, 1);
    MUST_BE(pintle_mutex_lock(&s->mutex, PINTLE_FOREVER), 0);
    s->order[atomic_fetch_add(&s->over, 1)] = me;
    pintle_mutex_unlock(&s->mutex);
}
static int order_main(void *arg) {
    shared s = {.mutex = PINTLE_MUTEX_INIT};
    pintle_task *tasks[64];
    (void)arg;
    MUST_BE(pintle_mutex_lock(&s.mutex, PINTLE_FOREVER), 0);
    for (unsigned i = 0; i < 64; i++) {
        MUST_BE(pintle_spawn(&tasks[i], lock_in_turn, &s), 0);
        must_yield_until(&s.arrived, i + 1);
    }
    pintle_mutex_unlock(&s.mutex);
    MUST_BE(helper_join_all(tasks, 64), 0);
    for (unsigned i = 0; i < 64; i++) MUST_BE(s.order[i], i);
    pintle_mutex_destroy(&s.mutex);
    return 0;
}
CASE(mutex_waiters_are_served_in_order) {
    must_run_strict(order_main, NULL);
    ASSERT_ALL_MUST();
}

/* One task that always locks again before the woken waiter runs: it must not pass it over for ever. */
static int greedy_main(void *arg) {
    shared s = {.mutex = PINTLE_MUTEX_INIT};
    pintle_task *task;
    unsigned turns = 0;
    (void)arg;
    MUST_BE(pintle_mutex_lock(&s.mutex, PINTLE_FOREVER), 0);
    MUST_BE(pintle_spawn(&task, lock_in_turn, &s), 0);
    must_yield_until(&s.arrived, 1);
    for (; atomic_load(&s.over) == 0 && turns < 100; turns++) {
        pintle_mutex_unlock(&s.mutex);
        MUST_BE(pintle_mutex_lock(&s.mutex, PINTLE_FOREVER), 0);
        pintle_yield(); /* the waiter runs, and finds it locked */
    }
    MUST(turns <= 3);
    pintle_mutex_unlock(&s.mutex);
    return pintle_join(task, PINTLE_FOREVER);
}
CASE(mutex_waiter_is_not_passed_over_for_ever) {
    must_run_strict(greedy_main, NULL);
    ASSERT_ALL_MUST();
}

/* Cancelling ends a wait with a deadline, not one with FOREVER. */
static shared canceled;
static atomic_int forever_result, deadline_result;
static void lock_forever(void *arg) {
    (void)arg;
    atomic_store(&forever_result, pintle_mutex_lock(&canceled.mutex, PINTLE_FOREVER) == 0 ? 1 : 2);
    pintle_mutex_unlock(&canceled.mutex);
}
static void lock_with_deadline(void *arg) {
    (void)arg;
    atomic_store(&deadline_result, pintle_mutex_lock(&canceled.mutex, pintle_after(PINTLE_S(1000))));
}
static void hold_until_canceled(void *arg) {
    (void)arg;
    MUST_BE(pintle_mutex_lock(&canceled.mutex, PINTLE_FOREVER), 0);
    MUST_BE(pintle_spawn(NULL, lock_forever, NULL), 0);
    MUST_BE(pintle_spawn(NULL, lock_with_deadline, NULL), 0);
    MUST_BE(pintle_sleep(PINTLE_S(1000)), PINTLE_ECANCELED);
    while (atomic_load(&deadline_result) == 0) pintle_yield();
    MUST_BE(forever_result, 0);
    pintle_mutex_unlock(&canceled.mutex);
}
static int canceled_main(void *arg) {
    (void)arg;
    MUST_BE(pintle_spawn(NULL, hold_until_canceled, NULL), 0);
    pintle_yield();
    pintle_yield();
    return 0;
}
CASE(mutex_waits_with_a_deadline_alone_are_cancelled) {
    must_run_strict(canceled_main, NULL);
    ck_assert_int_eq(forever_result, 1);
    ck_assert_int_eq(deadline_result, PINTLE_ECANCELED);
    pintle_mutex_destroy(&canceled.mutex);
    ASSERT_ALL_MUST();
}

static int ranks_main(void *arg) {
    pintle_mutex low, high, none = PINTLE_MUTEX_INIT;
    (void)arg;
    pintle_mutex_init(&low);
    pintle_mutex_init(&high);
    pintle_mutex_set_rank(&low, 1);
    pintle_mutex_set_rank(&high, 2);
    for (int order = 0; order < 2; order++) { /* unlocked in either order */
        MUST_BE(pintle_mutex_lock(&low, PINTLE_FOREVER), 0);
        MUST_BE(pintle_mutex_lock(&high, PINTLE_FOREVER), 0);
        MUST_BE(pintle_mutex_lock(&none, PINTLE_FOREVER), 0);
        pintle_mutex_unlock(order == 0 ? &low : &high);
        pintle_mutex_unlock(order == 0 ? &high : &low);
        pintle_mutex_unlock(&none);
    }
    return 0;
}
CASE(mutexes_may_be_locked_in_rising_rank) {
    must_run_strict(ranks_main, NULL);
    ASSERT_ALL_MUST();
}

/* An object may be freed as soon as its last user has come back from the unlock that let him in. */
typedef struct heap_lock {
    pintle_mutex mutex;
    atomic_uint references;
} heap_lock;
static void use_and_free(void *arg) {
    heap_lock *h = arg;
    MUST_BE(pintle_mutex_lock(&h->mutex, PINTLE_FOREVER), 0);
    bool last = --h->references == 0;
    pintle_mutex_unlock(&h->mutex);
    if (last) {
        memset(h, 0xDD, sizeof *h);
        free(h);
    }
}
static int free_main(void *arg) {
    (void)arg;
    for (unsigned i = 0; i < 5000 / TEST_SLOWNESS; i++) {
        heap_lock *h = calloc(1, sizeof *h);
        pintle_task *tasks[3];
        h->references = 3;
        MUST_BE(helper_spawn_all(tasks, 3, use_and_free, h), 0);
        MUST_BE(helper_join_all(tasks, 3), 0);
    }
    return 0;
}
CASE(mutex_may_be_freed_by_its_last_user) {
    must_run(free_main, NULL);
    ASSERT_ALL_MUST();
}

/* ---- Conditions: a bounded buffer ---- */

typedef struct buffer {
    pintle_mutex mutex;
    pintle_cond not_empty, not_full;
    unsigned items[4], count, rounds;
    atomic_uint sum, producers;
} buffer;

static void produce(void *arg) {
    buffer *b = arg;
    for (unsigned i = 1; i <= b->rounds; i++) {
        pintle_mutex_lock(&b->mutex, PINTLE_FOREVER);
        while (b->count == ELEMENTS(b->items)) MUST_BE(pintle_cond_wait(&b->not_full, &b->mutex, PINTLE_FOREVER), 0);
        b->items[b->count++] = i;
        pintle_cond_signal(&b->not_empty);
        pintle_mutex_unlock(&b->mutex);
    }
    pintle_mutex_lock(&b->mutex, PINTLE_FOREVER);
    b->producers--;
    pintle_cond_broadcast(&b->not_empty);
    pintle_mutex_unlock(&b->mutex);
}
static void consume(void *arg) {
    buffer *b = arg;
    pintle_mutex_lock(&b->mutex, PINTLE_FOREVER);
    for (;;) {
        while (b->count == 0 && b->producers != 0) {
            MUST_BE(pintle_cond_wait(&b->not_empty, &b->mutex, PINTLE_FOREVER), 0);
        }
        if (b->count == 0) break;
        atomic_fetch_add(&b->sum, b->items[--b->count]);
        pintle_cond_signal(&b->not_full);
    }
    pintle_mutex_unlock(&b->mutex);
}
static int buffer_main(void *arg) {
    buffer *b = arg;
    pintle_task *tasks[6];
    b->producers = 3;
    MUST_BE(helper_spawn_all(&tasks[0], 3, produce, b), 0);
    MUST_BE(helper_spawn_all(&tasks[3], 3, consume, b), 0);
    MUST_BE(helper_join_all(tasks, 6), 0);
    return 0;
}
CASE(cond_bounded_buffer_loses_nothing) {
    unsigned rounds = 5000 / TEST_SLOWNESS;
    buffer b = {.mutex = PINTLE_MUTEX_INIT, .rounds = rounds};
    must_run(buffer_main, &b);
    ck_assert_uint_eq(b.sum, 2 * 3 * (rounds * (rounds + 1) / 2));
    pintle_cond_destroy(&b.not_empty);
    pintle_cond_destroy(&b.not_full);
    pintle_mutex_destroy(&b.mutex);
    ASSERT_ALL_MUST();
}
CASE(cond_bounded_buffer_between_threads_and_tasks) {
    unsigned rounds = 500;
    buffer b = {.mutex = PINTLE_MUTEX_INIT, .rounds = rounds, .producers = 2};
    helper_thread threads[2];
    pintle_task *tasks[2];
    ck_assert_int_eq(pintle_start(NULL), 0);
    ck_assert(helper_thread_start(&threads[0], produce, &b));
    ck_assert(helper_thread_start(&threads[1], consume, &b));
    ck_assert_int_eq(pintle_spawn(&tasks[0], produce, &b), 0);
    ck_assert_int_eq(pintle_spawn(&tasks[1], consume, &b), 0);
    ck_assert_uint_eq(helper_join_all(tasks, 2), 0);
    for (int i = 0; i < 2; i++) helper_thread_join(&threads[i]);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    ck_assert_uint_eq(b.sum, 2 * (rounds * (rounds + 1) / 2));
    ASSERT_ALL_MUST();
}

static int cond_deadline_main(void *arg) {
    pintle_mutex mutex = PINTLE_MUTEX_INIT;
    pintle_cond cond = PINTLE_COND_INIT;
    int64_t begin = pintle_now();
    (void)arg;
    MUST_BE(pintle_mutex_lock(&mutex, PINTLE_FOREVER), 0);
    MUST_BE(pintle_cond_wait(&cond, &mutex, PINTLE_NOWAIT), PINTLE_EAGAIN);
    MUST_BE(pintle_cond_wait(&cond, &mutex, begin + PINTLE_MS(3)), PINTLE_ETIMEDOUT);
    MUST(pintle_now() >= begin + PINTLE_MS(3));
    MUST_BE(pintle_cond_wait(&cond, &mutex, 5), PINTLE_EINVAL);
    pintle_mutex_unlock(&mutex); /* it is ours, each time */
    pintle_cond_signal(&cond);   /* nobody: forgotten */
    pintle_cond_destroy(&cond);
    return 0;
}
CASE(cond_wait_comes_back_with_the_mutex_at_the_deadline) {
    cond_deadline_main(NULL);
    must_run(cond_deadline_main, NULL);
    ASSERT_ALL_MUST();
}

typedef struct crowd {
    pintle_mutex mutex;
    pintle_cond cond;
    atomic_uint arrived, woken;
} crowd;
static void join_crowd(void *arg) {
    crowd *c = arg;
    pintle_mutex_lock(&c->mutex, PINTLE_FOREVER);
    atomic_fetch_add(&c->arrived, 1);
    MUST_BE(pintle_cond_wait(&c->cond, &c->mutex, PINTLE_FOREVER), 0);
    atomic_fetch_add(&c->woken, 1);
    pintle_mutex_unlock(&c->mutex);
}
static int crowd_main(void *arg) {
    crowd c = {.mutex = PINTLE_MUTEX_INIT};
    pintle_task *tasks[10];
    (void)arg;
    MUST_BE(helper_spawn_all(tasks, 10, join_crowd, &c), 0);
    must_yield_until(&c.arrived, 10);
    for (unsigned i = 1; i <= 3; i++) { /* one each */
        pintle_cond_signal(&c.cond);
        for (int turn = 0; turn < 30; turn++) pintle_yield();
        MUST_BE(c.woken, i);
    }
    pintle_cond_broadcast(&c.cond);
    MUST_BE(helper_join_all(tasks, 10), 0);
    MUST_BE(c.woken, 10);
    return 0;
}
CASE(cond_signal_wakes_one_and_broadcast_all) {
    must_run_strict(crowd_main, NULL);
    ASSERT_ALL_MUST();
}

/* ---- Readers and writers ---- */

static atomic_uint readers_together, readers_most;

static void read_and_look(void *arg) {
    shared *s = arg;
    for (unsigned i = 0; i < s->rounds; i++) {
        MUST_BE(pintle_rwlock_rdlock(&s->lock, PINTLE_FOREVER), 0);
        unsigned together = atomic_fetch_add(&readers_together, 1) + 1;
        if (together > atomic_load(&readers_most)) atomic_store(&readers_most, together);
        MUST(s->plain == s->copy);
        if (i % 8 == 0) pintle_yield();
        MUST(s->plain == s->copy);
        atomic_fetch_sub(&readers_together, 1);
        pintle_rwlock_rdunlock(&s->lock);
    }
}
static void write_and_count(void *arg) {
    shared *s = arg;
    for (unsigned i = 0; i < s->rounds; i++) {
        /* some give up now and then, with readers queued behind them */
        int result = pintle_rwlock_wrlock(&s->lock, i % 3 == 0 ? pintle_after(PINTLE_US(i % 50)) : PINTLE_FOREVER);
        if (result != 0) {
            MUST_BE(result, PINTLE_ETIMEDOUT);
            MUST_BE(pintle_rwlock_wrlock(&s->lock, PINTLE_FOREVER), 0);
        }
        MUST_BE(readers_together, 0);
        count_inside(s, i % 8 == 0);
        pintle_rwlock_wrunlock(&s->lock);
    }
}
static int readers_main(void *arg) {
    pintle_task *tasks[12];
    MUST_BE(helper_spawn_all(&tasks[0], 8, read_and_look, arg), 0);
    MUST_BE(helper_spawn_all(&tasks[8], 4, write_and_count, arg), 0);
    MUST_BE(helper_join_all(tasks, 12), 0);
    return 0;
}
CASE(rwlock_lets_readers_in_together_and_writers_alone) {
    shared s = {.lock = PINTLE_RWLOCK_INIT, .rounds = 2000 / TEST_SLOWNESS};
    must_run(readers_main, &s);
    ck_assert_uint_eq(s.plain, 2 * 4 * s.rounds);
    ck_assert_uint_gt(readers_most, 1);
    pintle_rwlock_destroy(&s.lock);
    ASSERT_ALL_MUST();
}

static void read_in_turn(void *arg) {
    shared *s = arg;
    unsigned me = atomic_fetch_add(&s->arrived, 1);
    MUST_BE(pintle_rwlock_rdlock(&s->lock, PINTLE_FOREVER), 0);
    s->order[atomic_fetch_add(&s->over, 1)] = me;
    atomic_fetch_add(&readers_together, 1);
    pintle_yield();
    atomic_fetch_sub(&readers_together, 1);
    pintle_rwlock_rdunlock(&s->lock);
}
static void write_in_turn(void *arg) {
    shared *s = arg;
    unsigned me = atomic_fetch_add(&s->arrived, 1);
    MUST_BE(pintle_rwlock_wrlock(&s->lock, PINTLE_FOREVER), 0);
    MUST_BE(readers_together, 0);
    s->order[atomic_fetch_add(&s->over, 1)] = me;
    pintle_yield();
    pintle_rwlock_wrunlock(&s->lock);
}
static int rw_order_main(void *arg) {
    shared s = {.lock = PINTLE_RWLOCK_INIT};
    pintle_fn *fns[] = {write_in_turn, read_in_turn, read_in_turn, write_in_turn, read_in_turn};
    pintle_task *tasks[5];
    (void)arg;
    MUST_BE(pintle_rwlock_rdlock(&s.lock, PINTLE_FOREVER), 0);
    MUST_BE(pintle_rwlock_rdlock(&s.lock, PINTLE_NOWAIT), 0); /* nobody waits yet */
    MUST_BE(pintle_rwlock_wrlock(&s.lock, PINTLE_NOWAIT), PINTLE_EAGAIN);
    for (unsigned i = 0; i < 5; i++) {
        MUST_BE(pintle_spawn(&tasks[i], fns[i], &s), 0);
        must_yield_until(&s.arrived, i + 1);
    }
    MUST_BE(s.over, 0); /* readers wait behind the writer */
    MUST_BE(pintle_rwlock_rdlock(&s.lock, PINTLE_NOWAIT), PINTLE_EAGAIN);
    pintle_rwlock_rdunlock(&s.lock);
    MUST_BE(pintle_rwlock_wrlock(&s.lock, pintle_after(PINTLE_MS(1))), PINTLE_ETIMEDOUT);
    MUST_BE(s.over, 0);
    pintle_rwlock_rdunlock(&s.lock);
    MUST_BE(helper_join_all(tasks, 5), 0);
    MUST_BE(s.order[0], 0);
    MUST(s.order[1] + s.order[2] == 3 && s.order[3] == 3 && s.order[4] == 4);
    pintle_rwlock_destroy(&s.lock);
    return 0;
}
CASE(rwlock_serves_in_order) {
    must_run_strict(rw_order_main, NULL);
    ASSERT_ALL_MUST();
}

/* A writer that gives up lets the readers behind it in. */
static void write_until_soon(void *arg) {
    shared *s = arg;
    atomic_fetch_add(&s->arrived, 1);
    MUST_BE(pintle_rwlock_wrlock(&s->lock, pintle_after(PINTLE_MS(2))), PINTLE_ETIMEDOUT);
}
static int rw_give_up_main(void *arg) {
    shared s = {.lock = PINTLE_RWLOCK_INIT};
    pintle_task *tasks[2];
    (void)arg;
    MUST_BE(pintle_rwlock_rdlock(&s.lock, PINTLE_FOREVER), 0);
    MUST_BE(pintle_spawn(&tasks[0], write_until_soon, &s), 0);
    must_yield_until(&s.arrived, 1);
    MUST_BE(pintle_spawn(&tasks[1], read_in_turn, &s), 0);
    MUST_BE(helper_join_all(tasks, 2), 0); /* though we still read */
    pintle_rwlock_rdunlock(&s.lock);
    pintle_rwlock_destroy(&s.lock);
    return 0;
}
CASE(rwlock_writer_that_gives_up_lets_readers_in) {
    must_run_strict(rw_give_up_main, NULL);
    ASSERT_ALL_MUST();
}
