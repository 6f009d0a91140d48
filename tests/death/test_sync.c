/* test_sync.c: misuse of locks and channels ends the process with a report that names the call and the owner. */
#include "api/api_helpers.h"

static pintle_mutex mutex = PINTLE_MUTEX_INIT;
static pintle_rwlock rwlock = PINTLE_RWLOCK_INIT;

static void assert_panics(const char *child, const char *first, const char *second) {
    static char text[65536];
    int status = child_run(child, text, sizeof text);
    ck_assert_msg(status == 2, "%s ended with %d:\n%s", child, status, text);
    ck_assert_msg(strstr(text, first) != NULL, "%s: no \"%s\" in:\n%s", child, first, text);
    ck_assert_msg(strstr(text, second) != NULL, "%s: no \"%s\" in:\n%s", child, second, text);
}

/* A child runs body as the main task, after one named 'owner' has run before() and, if it parks, while it is parked. */
typedef struct scene {
    pintle_fn *before, *body;
} scene;
static int scene_main(void *arg) {
    scene *s = arg;
    pintle_task_options options = {.size = sizeof options, .name = "owner"};
    if (s->before != NULL && pintle_spawn_with(NULL, s->before, NULL, &options) == 0) pintle_yield();
    s->body(NULL);
    printf("survived\n");
    return 90;
}
static void play(pintle_fn *before, pintle_fn *body) {
    scene s = {before, body};
    exit(helper_run_strict(scene_main, &s));
}

static void lock_and_park(void *arg) {
    (void)arg;
    pintle_mutex_lock(&mutex, PINTLE_FOREVER);
    pintle_sleep(PINTLE_S(100));
}
static void write_and_park(void *arg) {
    (void)arg;
    pintle_rwlock_wrlock(&rwlock, PINTLE_FOREVER);
    pintle_sleep(PINTLE_S(100));
}
static void read_and_park(void *arg) {
    (void)arg;
    pintle_rwlock_rdlock(&rwlock, PINTLE_FOREVER);
    pintle_sleep(PINTLE_S(100));
}

/* ---- Mutexes ---- */

static void unlock(void *arg) {
    (void)arg;
    pintle_mutex_unlock(&mutex);
}
static void lock_twice(void *arg) {
    (void)arg;
    pintle_mutex_lock(&mutex, PINTLE_FOREVER);
    pintle_mutex_lock(&mutex, PINTLE_FOREVER);
}
static void destroy(void *arg) {
    (void)arg;
    pintle_mutex_destroy(&mutex);
}
static void wait_without(void *arg) {
    pintle_cond cond = PINTLE_COND_INIT;
    (void)arg;
    pintle_cond_wait(&cond, &mutex, PINTLE_FOREVER);
}
CHILD(unlock_of_another) { play(lock_and_park, unlock); }
CHILD(unlock_of_nobody) { play(NULL, unlock); }
CHILD(lock_again) { play(NULL, lock_twice); }
CHILD(destroy_locked) { play(lock_and_park, destroy); }
CHILD(wait_without_mutex) { play(lock_and_park, wait_without); }
CHILD(unlock_on_a_thread) {
    pintle_mutex_unlock(&mutex);
    exit(90);
}
CASE(mutex_unlocked_by_another_panics) {
    assert_panics("unlock_of_another", "pintle_mutex_unlock", "'owner' holds it");
}
CASE(mutex_unlocked_by_nobody_panics) { assert_panics("unlock_of_nobody", "pintle_mutex_unlock", "nobody holds it"); }
CASE(mutex_locked_again_panics) { assert_panics("lock_again", "pintle_mutex_lock", "'main' holds it"); }
CASE(mutex_destroyed_while_locked_panics) {
    assert_panics("destroy_locked", "pintle_mutex_destroy", "'owner' holds it");
}
CASE(mutex_unlocked_on_a_thread_panics) {
    assert_panics("unlock_on_a_thread", "pintle_mutex_unlock", "nobody holds it");
}
CASE(cond_wait_without_the_mutex_panics) {
    assert_panics("wait_without_mutex", "pintle_cond_wait", "'owner' holds it");
}

static void lock_in_falling_rank(void *arg) {
    pintle_mutex low = PINTLE_MUTEX_INIT, high = PINTLE_MUTEX_INIT;
    (void)arg;
    pintle_mutex_set_rank(&low, 3);
    pintle_mutex_set_rank(&high, 4);
    pintle_mutex_lock(&high, PINTLE_FOREVER);
    pintle_mutex_lock(&low, PINTLE_FOREVER);
}
static void lock_equal_ranks(void *arg) {
    pintle_mutex one = PINTLE_MUTEX_INIT, other = PINTLE_MUTEX_INIT;
    (void)arg;
    pintle_mutex_set_rank(&one, 3);
    pintle_mutex_set_rank(&other, 3);
    pintle_mutex_lock(&one, PINTLE_FOREVER);
    pintle_mutex_lock(&other, PINTLE_FOREVER);
}
CHILD(rank_falls) { play(NULL, lock_in_falling_rank); }
CHILD(rank_stays) { play(NULL, lock_equal_ranks); }
DEBUG_CASE(mutex_ranks_are_checked) {
    assert_panics("rank_falls", "rank 3 is locked", "rank 4 is held");
    assert_panics("rank_stays", "rank 3 is locked", "rank 3 is held");
}

/* ---- Readers and writers ---- */

static void rdunlock(void *arg) {
    (void)arg;
    pintle_rwlock_rdunlock(&rwlock);
}
static void wrunlock(void *arg) {
    (void)arg;
    pintle_rwlock_wrunlock(&rwlock);
}
static void rw_destroy(void *arg) {
    (void)arg;
    pintle_rwlock_destroy(&rwlock);
}
static void write_then_read(void *arg) {
    (void)arg;
    pintle_rwlock_wrlock(&rwlock, PINTLE_FOREVER);
    pintle_rwlock_rdlock(&rwlock, PINTLE_FOREVER);
}
CHILD(rdunlock_of_writer) { play(write_and_park, rdunlock); }
CHILD(rdunlock_of_nobody) { play(NULL, rdunlock); }
CHILD(wrunlock_of_another) { play(write_and_park, wrunlock); }
CHILD(wrunlock_of_reader) { play(read_and_park, wrunlock); }
CHILD(rw_destroy_written) { play(write_and_park, rw_destroy); }
CHILD(rw_destroy_read) { play(read_and_park, rw_destroy); }
CHILD(rw_again) { play(NULL, write_then_read); }
CASE(rwlock_misuse_panics) {
    assert_panics("rdunlock_of_writer", "pintle_rwlock_rdunlock", "'owner' holds it");
    assert_panics("rdunlock_of_nobody", "pintle_rwlock_rdunlock", "not locked");
    assert_panics("wrunlock_of_another", "pintle_rwlock_wrunlock", "'owner' holds it");
    assert_panics("wrunlock_of_reader", "pintle_rwlock_wrunlock", "not the caller's");
    assert_panics("rw_destroy_written", "pintle_rwlock_destroy", "'owner' holds it");
    assert_panics("rw_destroy_read", "pintle_rwlock_destroy", "1 readers");
    assert_panics("rw_again", "pintle_rwlock_rdlock", "'main' holds it");
}

/* ---- Others ---- */

static void done_too_often(void *arg) {
    pintle_group group = PINTLE_GROUP_INIT;
    (void)arg;
    pintle_group_add(&group, 1);
    pintle_group_done(&group);
    pintle_group_done(&group);
}
static pintle_once once = PINTLE_ONCE_INIT;
static void once_in_once(void *arg) { pintle_once_do(&once, once_in_once, arg, PINTLE_FOREVER); }
static pintle_sem sem = PINTLE_SEM_INIT(0);
static void wait_for_sem(void *arg) {
    (void)arg;
    pintle_sem_wait(&sem, PINTLE_FOREVER);
}
static void destroy_sem(void *arg) {
    (void)arg;
    pintle_sem_destroy(&sem);
}
static pintle_chan *c;
static void wait_in_chan(void *arg) {
    pintle_chan_new(&c, 1, 0);
    pintle_chan_recv(c, arg, PINTLE_FOREVER);
}
static void free_chan(void *arg) {
    (void)arg;
    pintle_chan_free(c);
}
static void close_null(void *arg) {
    (void)arg;
    pintle_chan_close(NULL);
}
CHILD(group_below_zero) { play(NULL, done_too_often); }
CHILD(once_again) { play(NULL, once_in_once); }
CHILD(sem_waited_for) { play(wait_for_sem, destroy_sem); }
CHILD(chan_waited_for) { play(wait_in_chan, free_chan); }
CHILD(chan_null) { play(NULL, close_null); }
CASE(group_count_below_zero_panics) { assert_panics("group_below_zero", "pintle_group_add", "below 0"); }
CASE(once_in_its_own_function_panics) { assert_panics("once_again", "pintle_once_do", "its own function"); }
CASE(sem_destroyed_while_waited_for_panics) { assert_panics("sem_waited_for", "pintle_sem_destroy", "waits"); }
CASE(chan_freed_while_waited_for_panics) { assert_panics("chan_waited_for", "pintle_chan_free", "waits"); }
CASE(chan_close_of_null_panics) { assert_panics("chan_null", "pintle_chan_close", "NULL"); }

/* ---- A deadlock is reported with what each waits in ---- */

static int deadlocked_main(void *arg) {
    pintle_task *task;
    pintle_task_options options = {.size = sizeof options, .name = "owner"};
    pintle_spawn_with(&task, wait_in_chan, arg, &options);
    pintle_yield();
    pintle_case cases[] = {pintle_case_send(NULL, &task)};
    return pintle_select(cases, 1, PINTLE_FOREVER);
}
CHILD(deadlock) {
    child_without_watchdog();
    exit(pintle_run(deadlocked_main, NULL, NULL));
}
CASE(deadlock_of_channels_is_reported) {
    assert_panics("deadlock", "'owner' waits in pintle_chan_recv", "'main' waits in pintle_select");
}
