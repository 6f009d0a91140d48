/* test_sync.c: semaphores, once, groups. Events: test_event.c; locks: test_mutex.c. */
#include "api/must.h"

/* ---- Semaphores ---- */

typedef struct sems {
    pintle_sem sem, back;
    unsigned rounds;
    atomic_uint inside, most, number, arrived, over;
    unsigned order[64];
} sems;

static int sem_basics(void *arg) {
    pintle_sem statically = PINTLE_SEM_INIT(2), sem;
    int64_t begin = pintle_now();
    (void)arg;
    memset(&sem, 0xA5, sizeof sem);
    pintle_sem_init(&sem, 2);
    pintle_sem *both[] = {&statically, &sem};
    for (int i = 0; i < 2; i++) {
        MUST_BE(pintle_sem_count(both[i]), 2);
        MUST_BE(pintle_sem_wait(both[i], PINTLE_NOWAIT), 0);
        MUST_BE(pintle_sem_wait(both[i], PINTLE_FOREVER), 0);
        MUST_BE(pintle_sem_wait(both[i], PINTLE_NOWAIT), PINTLE_EAGAIN);
        MUST_BE(pintle_sem_wait(both[i], pintle_after(PINTLE_MS(2))), PINTLE_ETIMEDOUT);
        MUST_BE(pintle_sem_wait(both[i], begin), PINTLE_ETIMEDOUT);
        MUST_BE(pintle_sem_wait(both[i], 7), PINTLE_EINVAL);
        MUST_BE(pintle_sem_count(both[i]), 0);
        pintle_sem_post(both[i]);
        MUST_BE(pintle_sem_count(both[i]), 1);
        MUST_BE(pintle_sem_wait(both[i], begin), 0);
        pintle_sem_destroy(both[i]);
    }
    MUST(pintle_now() >= begin + PINTLE_MS(4));
    return 0;
}
CASE(sem_counts) {
    sem_basics(NULL);
    must_run(sem_basics, NULL);
    ASSERT_ALL_MUST();
}

static void enter_three_at_most(void *arg) {
    sems *s = arg;
    for (unsigned i = 0; i < s->rounds; i++) {
        MUST_BE(pintle_sem_wait(&s->sem, PINTLE_FOREVER), 0);
        unsigned inside = atomic_fetch_add(&s->inside, 1) + 1;
        if (inside > atomic_load(&s->most)) atomic_store(&s->most, inside);
        pintle_yield();
        atomic_fetch_sub(&s->inside, 1);
        pintle_sem_post(&s->sem);
    }
}
static int three_main(void *arg) {
    pintle_task *tasks[10];
    MUST_BE(helper_spawn_all(tasks, 10, enter_three_at_most, arg), 0);
    MUST_BE(helper_join_all(tasks, 10), 0);
    return 0;
}
CASE(sem_lets_no_more_in_than_its_count) {
    sems s = {.sem = PINTLE_SEM_INIT(3), .rounds = 2000 / TEST_SLOWNESS};
    must_run(three_main, &s);
    ck_assert_uint_eq(s.most, 3);
    ck_assert_uint_eq(pintle_sem_count(&s.sem), 3);
    pintle_sem_destroy(&s.sem);
    ASSERT_ALL_MUST();
}

static void wait_in_turn(void *arg) {
    sems *s = arg;
    unsigned me = atomic_fetch_add(&s->arrived, 1);
    MUST_BE(pintle_sem_wait(&s->sem, PINTLE_FOREVER), 0);
    s->order[atomic_fetch_add(&s->over, 1)] = me;
}
static int sem_order_main(void *arg) {
    sems s = {.sem = PINTLE_SEM_INIT(0)};
    pintle_task *tasks[64];
    (void)arg;
    for (unsigned i = 0; i < 64; i++) {
        MUST_BE(pintle_spawn(&tasks[i], wait_in_turn, &s), 0);
        must_yield_until(&s.arrived, i + 1);
    }
    for (unsigned i = 0; i < 64; i++) {
        pintle_sem_post(&s.sem);
        MUST_BE(pintle_sem_wait(&s.sem, PINTLE_NOWAIT), PINTLE_EAGAIN); /* it is the waiter's already */
        must_yield_until(&s.over, i + 1);
        MUST_BE(s.order[i], i);
    }
    MUST_BE(helper_join_all(tasks, 64), 0);
    pintle_sem_destroy(&s.sem);
    return 0;
}
CASE(sem_waiters_are_served_in_order) {
    must_run_strict(sem_order_main, NULL);
    ASSERT_ALL_MUST();
}

static void post_back(void *arg) {
    sems *s = arg;
    for (unsigned i = 0; i < s->rounds; i++) {
        MUST_BE(pintle_sem_wait(&s->sem, PINTLE_FOREVER), 0);
        pintle_sem_post(&s->back);
    }
}
CASE(sem_ping_pong_of_a_task_and_a_thread) {
    sems s = {.sem = PINTLE_SEM_INIT(0), .back = PINTLE_SEM_INIT(0), .rounds = 2000};
    pintle_task *task;
    ck_assert_int_eq(pintle_start(NULL), 0);
    ck_assert_int_eq(pintle_spawn(&task, post_back, &s), 0);
    for (unsigned i = 0; i < s.rounds; i++) {
        pintle_sem_post(&s.sem);
        ck_assert_int_eq(pintle_sem_wait(&s.back, PINTLE_FOREVER), 0);
    }
    ck_assert_int_eq(pintle_join(task, PINTLE_FOREVER), 0);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    ASSERT_ALL_MUST();
}

/* Posts that race deadlines: each is taken by one waiter, or is still there. */
static void wait_briefly(void *arg) {
    sems *s = arg;
    helper_random random = helper_random_from(atomic_fetch_add(&s->number, 1));
    for (unsigned i = 0; i < s->rounds; i++) {
        int result = pintle_sem_wait(&s->sem, pintle_after(PINTLE_US(helper_random_below(&random, 30))));
        if (result == 0)
            atomic_fetch_add(&s->over, 1);
        else
            MUST_BE(result, PINTLE_ETIMEDOUT);
    }
    atomic_fetch_add(&s->arrived, 1);
}
static int sem_race_main(void *arg) {
    sems *s = arg;
    pintle_task *tasks[4];
    unsigned posted = 0;
    s->over = s->arrived = 0;
    MUST_BE(helper_spawn_all(tasks, 4, wait_briefly, s), 0);
    while (atomic_load(&s->arrived) != 4) {
        pintle_sem_post(&s->sem);
        posted++;
        pintle_sleep(PINTLE_US(5));
    }
    MUST_BE(helper_join_all(tasks, 4), 0);
    MUST_BE(s->over + pintle_sem_count(&s->sem), posted);
    while (pintle_sem_wait(&s->sem, PINTLE_NOWAIT) == 0) continue;
    pintle_sem_destroy(&s->sem);
    return 0;
}
CASE(sem_posts_that_race_deadlines_are_not_lost) {
    sems s = {.sem = PINTLE_SEM_INIT(0), .rounds = 1000 / TEST_SLOWNESS};
    must_run(sem_race_main, &s);
    ASSERT_ALL_MUST();
}

/* ---- Once ---- */

static pintle_once once = PINTLE_ONCE_INIT;
static atomic_uint once_runs, once_late;
static atomic_bool once_over;
static pintle_event once_goes_on = PINTLE_EVENT_INIT;
static void run_once(void *arg) {
    (void)arg;
    atomic_fetch_add(&once_runs, 1);
    MUST_BE(pintle_event_wait(&once_goes_on, PINTLE_FOREVER), 0);
    atomic_store(&once_over, true);
}
static void do_once(void *arg) {
    MUST_BE(pintle_once_do(&once, run_once, arg, PINTLE_FOREVER), 0);
    MUST(atomic_load(&once_over));
}
static void do_once_impatiently(void *arg) {
    int result = pintle_once_do(&once, run_once, arg, PINTLE_NOWAIT);
    MUST(result == PINTLE_EAGAIN && !atomic_load(&once_over));
    result = pintle_once_do(&once, run_once, arg, pintle_after(PINTLE_US(10)));
    MUST_BE(result, PINTLE_ETIMEDOUT);
    atomic_fetch_add(&once_late, 1);
}
static void run_nothing(void *arg) { (void)arg; }
static int once_main(void *arg) {
    pintle_task *tasks[101];
    pintle_once_do(&(pintle_once)PINTLE_ONCE_INIT, run_nothing, arg, PINTLE_FOREVER);
    once = (pintle_once)PINTLE_ONCE_INIT;
    once_runs = once_late = 0;
    once_over = false;
    pintle_event_reset(&once_goes_on);
    MUST_BE(pintle_spawn(&tasks[100], do_once, arg), 0);
    while (atomic_load(&once_runs) == 0) pintle_yield();
    do_once_impatiently(arg);
    MUST_BE(helper_spawn_all(tasks, 100, do_once, arg), 0);
    pintle_yield();
    pintle_event_set(&once_goes_on);
    MUST_BE(helper_join_all(tasks, 101), 0);
    MUST_BE(once_runs, 1);
    MUST_BE(once_late, 1);
    MUST_BE(pintle_once_do(&once, run_once, arg, PINTLE_NOWAIT), 0); /* over */
    return 0;
}
CASE(once_runs_once_and_all_wait_for_it) {
    must_run(once_main, NULL);
    ASSERT_ALL_MUST();
}

/* A panic, or the task's exit, ends the function as its return does. */
static pintle_event once_leaves = PINTLE_EVENT_INIT;
static void leave_once(void *arg) {
    atomic_fetch_add(&once_runs, 1);
    MUST_BE(pintle_event_wait(&once_leaves, PINTLE_FOREVER), 0);
    if (*(bool *)arg) pintle_panic("out of a once");
    pintle_task_exit();
}
static void do_once_protected(void *arg) { pintle_once_do(&once, leave_once, arg, PINTLE_FOREVER); }
static void run_leaving(void *arg) {
    pintle_panic_info info;
    MUST_BE(pintle_protect(do_once_protected, arg, &info), PINTLE_EPANIC);
    MUST(*(bool *)arg && strcmp(info.text, "out of a once") == 0);
}
static void wait_for_left(void *arg) { MUST_BE(pintle_once_do(&once, leave_once, arg, PINTLE_FOREVER), 0); }
static int leaving_main(void *arg) {
    for (int i = 0; i < 2; i++) {
        bool panics = i == 0;
        pintle_task *tasks[21];
        once = (pintle_once)PINTLE_ONCE_INIT;
        once_runs = 0;
        pintle_event_reset(&once_leaves);
        MUST_BE(pintle_spawn(&tasks[20], run_leaving, &panics), 0);
        while (atomic_load(&once_runs) == 0) pintle_yield();
        MUST_BE(helper_spawn_all(tasks, 20, wait_for_left, arg), 0);
        pintle_yield();
        pintle_event_set(&once_leaves);
        MUST_BE(helper_join_all(tasks, 21), 0);
        MUST_BE(once_runs, 1);
    }
    return 0;
}
CASE(once_whose_function_panics_or_exits_is_over) {
    must_run(leaving_main, NULL);
    ASSERT_ALL_MUST();
}

/* ---- Groups ---- */

static atomic_uint done_count;
static void work(void *arg) {
    pintle_yield();
    atomic_fetch_add(&done_count, 1);
    pintle_group_done(arg);
}
static void wait_for_group(void *arg) {
    MUST_BE(pintle_group_wait(arg, PINTLE_FOREVER), 0);
    MUST_BE(atomic_load(&done_count) % 100, 0);
}
static int group_main(void *arg) {
    pintle_group group = PINTLE_GROUP_INIT;
    pintle_task *waiters[5];
    (void)arg;
    MUST_BE(pintle_group_wait(&group, PINTLE_NOWAIT), 0); /* nothing is under way */
    for (int round = 0; round < 50; round++) {
        pintle_group_add(&group, 100);
        MUST_BE(pintle_group_wait(&group, PINTLE_NOWAIT), PINTLE_EAGAIN);
        MUST_BE(pintle_group_wait(&group, pintle_after(PINTLE_US(10))), PINTLE_ETIMEDOUT);
        MUST_BE(helper_spawn_all(waiters, 5, wait_for_group, &group), 0);
        for (int i = 0; i < 100; i++) MUST_BE(pintle_spawn(NULL, work, &group), 0);
        MUST_BE(pintle_group_wait(&group, PINTLE_FOREVER), 0);
        MUST_BE(done_count % 100, 0);
        MUST_BE(helper_join_all(waiters, 5), 0);
    }
    pintle_group_destroy(&group);
    return 0;
}
CASE(group_waits_for_all_again_and_again) {
    must_run(group_main, NULL);
    ck_assert_uint_eq(done_count, 2 * 50 * 100);
    ASSERT_ALL_MUST();
}

/* The group lies on the stack of the one who waits, who leaves as soon as he may. */
static int short_lived_main(void *arg) {
    (void)arg;
    for (unsigned i = 0; i < 5000 / TEST_SLOWNESS; i++) {
        pintle_group *group = calloc(1, sizeof *group);
        pintle_group_add(group, 2);
        for (int k = 0; k < 2; k++) MUST_BE(pintle_spawn(NULL, work, group), 0);
        MUST_BE(pintle_group_wait(group, PINTLE_FOREVER), 0);
        memset(group, 0xDD, sizeof *group);
        free(group);
    }
    return 0;
}
CASE(group_may_be_freed_after_the_wait) {
    must_run(short_lived_main, NULL);
    ASSERT_ALL_MUST();
}
static void group_done_thread(void *arg) { pintle_group_done(arg); }
CASE(group_of_threads) {
    pintle_group group = PINTLE_GROUP_INIT;
    helper_thread threads[4];
    pintle_group_add(&group, 4);
    for (int i = 0; i < 4; i++) ck_assert(helper_thread_start(&threads[i], group_done_thread, &group));
    ck_assert_int_eq(pintle_group_wait(&group, PINTLE_FOREVER), 0);
    for (int i = 0; i < 4; i++) helper_thread_join(&threads[i]);
}
