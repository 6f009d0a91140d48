/* Tasks that hold their processor: computing, or blocking in plain code that announces nothing. Others go on. */
#include "api_helpers.h"
#include "support/pintle_test.h"

typedef struct hogs {
    atomic_bool stop;
    atomic_uint running;
    helper_sem held;
    unsigned count;
    int64_t latest_ns;
    unsigned ticks;
    pintle_stats stats;
} hogs;

static void compute_until_told(void *arg) {
    hogs *h = arg;
    atomic_fetch_add(&h->running, 1);
    while (!atomic_load_explicit(&h->stop, memory_order_relaxed)) continue;
}

/* Blocks its thread in plain code, on the task's own stack. */
static void block_until_told(void *arg) {
    hogs *h = arg;
    atomic_fetch_add(&h->running, 1);
    helper_sem_wait(&h->held);
}

static void tick(hogs *h, unsigned ticks) {
    for (unsigned i = 0; i < ticks; i++) {
        int64_t due = pintle_after(PINTLE_MS(5));
        if (pintle_sleep_until(due) != 0) return;
        int64_t late = pintle_now() - due;
        if (late > h->latest_ns) h->latest_ns = late;
        h->ticks++;
    }
}

static int hogs_main(hogs *h, pintle_fn *fn) {
    pintle_task *tasks[8];
    if (helper_spawn_all(tasks, h->count, fn, h) != 0) return 1;
    while (atomic_load(&h->running) < h->count) pintle_sleep(PINTLE_MS(1));
    tick(h, 40);
    pintle_stats_get(&h->stats);
    atomic_store(&h->stop, true);
    for (unsigned i = 0; i < h->count; i++) helper_sem_post(&h->held);
    return (int)helper_join_all(tasks, h->count);
}
static int computing_main(void *arg) { return hogs_main(arg, compute_until_told); }
static int blocking_main(void *arg) { return hogs_main(arg, block_until_told); }

static void assert_ticks(pintle_main_fn *fn, unsigned processors, unsigned count) {
    hogs h = {.count = count};
    helper_sem_init(&h.held);
    ck_assert_int_eq(helper_run(fn, &h, processors), 0);
    ck_assert_uint_eq(h.ticks, 40);
    ck_assert_uint_ge(h.stats.lent, 1);
}

CASE(task_that_computes_lets_others_run_with_one_processor) { assert_ticks(computing_main, 1, 1); }
CASE(tasks_that_compute_on_each_processor_let_others_run) { assert_ticks(computing_main, 2, 2); }
CASE(task_that_blocks_in_plain_code_lets_others_run_with_one_processor) { assert_ticks(blocking_main, 1, 1); }
CASE(tasks_that_block_in_plain_code_one_after_another_let_others_run) { assert_ticks(blocking_main, 1, 8); }

/* A loan ends: afterwards one processor is one again. */
typedef struct alone {
    hogs h;
    atomic_uint inside, most;
} alone;

static void count_inside(void *arg) {
    alone *a = arg;
    for (unsigned i = 0; i < 2000; i++) {
        unsigned inside = atomic_fetch_add(&a->inside, 1) + 1;
        if (inside > atomic_load(&a->most)) atomic_store(&a->most, inside);
        atomic_fetch_sub(&a->inside, 1);
        pintle_yield();
    }
}
static int alone_main(void *arg) {
    alone *a = arg;
    pintle_task *tasks[4];
    if (computing_main(&a->h) != 0) return 1;
    pintle_sleep(PINTLE_MS(100)); /* the loan is called back at the monitor's next rounds */
    if (helper_spawn_all(tasks, 4, count_inside, a) != 0) return 2;
    return (int)helper_join_all(tasks, 4);
}

CASE(loan_ends_when_the_task_returns) {
    alone a = {.h = {.count = 1}};
    helper_sem_init(&a.h.held);
    ck_assert_int_eq(helper_run(alone_main, &a, 1), 0);
    ck_assert_uint_eq(a.most, 1);
}

/* The one that runs on the loan lets the lender go on, and blocks: the loan cannot come back, and the lender, held again by
 * a third, needs another. */
typedef struct swap {
    helper_sem first, others;
    atomic_uint blocked;
} swap;

static void block_first(void *arg) {
    swap *s = arg;
    atomic_fetch_add(&s->blocked, 1);
    helper_sem_wait(&s->first);
}
static void free_first_and_block(void *arg) {
    swap *s = arg;
    atomic_fetch_add(&s->blocked, 1);
    helper_sem_post(&s->first);
    helper_sem_wait(&s->others);
}
static void block_too(void *arg) {
    swap *s = arg;
    atomic_fetch_add(&s->blocked, 1);
    helper_sem_wait(&s->others);
}
static int swap_main(void *arg) {
    static pintle_fn *const fns[] = {block_first, free_first_and_block, block_too};
    swap *s = arg;
    pintle_task *tasks[ELEMENTS(fns)];
    for (unsigned i = 0; i < ELEMENTS(fns); i++) {
        if (pintle_spawn(&tasks[i], fns[i], s) != 0) return 1;
        while (atomic_load(&s->blocked) <= i) pintle_sleep(PINTLE_MS(1));
        if (i == 1 && pintle_join(tasks[0], PINTLE_FOREVER) != 0) return 2;
        pintle_sleep(PINTLE_MS(30));
    }
    for (unsigned i = 1; i < ELEMENTS(fns); i++) helper_sem_post(&s->others);
    return (int)helper_join_all(tasks + 1, ELEMENTS(fns) - 1);
}

CASE(loan_that_cannot_come_back_is_followed_by_another) {
    swap s = {.blocked = 0};
    helper_sem_init(&s.first);
    helper_sem_init(&s.others);
    ck_assert_int_eq(helper_run(swap_main, &s, 1), 0);
    helper_sem_destroy(&s.first);
    helper_sem_destroy(&s.others);
}

/* max_lent = none: nobody else runs until the hog returns. */
typedef struct strict {
    atomic_bool ran;
    bool ran_before;
} strict;
static void note_strict(void *arg) { atomic_store(&((strict *)arg)->ran, true); }
static int strict_main(void *arg) {
    strict *s = arg;
    pintle_task *task;
    pintle_sleep(PINTLE_MS(1)); /* off the main thread */
    if (pintle_spawn(&task, note_strict, s) != 0) return 1;
    helper_compute(PINTLE_MS(100));
    s->ran_before = atomic_load(&s->ran);
    return pintle_join(task, PINTLE_FOREVER);
}

CASE(no_loans_means_no_other_task_runs) {
    strict s = {.ran_before = true};
    pintle_options options = helper_processors(1);
    options.max_lent = PINTLE_LENT_NONE;
    ck_assert_int_eq(pintle_run(strict_main, &s, &options), 0);
    ck_assert(!s.ran_before);
    ck_assert(s.ran);
}

/* max_lent = 2: with one processor, three that block in plain code are inside at once, and never a fourth. A thread of the
 * system looks on, since no task could. */
typedef struct bounded {
    helper_sem entered, go_on;
    atomic_uint inside, most;
    pintle_stats stats;
    unsigned inside_then;
} bounded;

enum { BLOCKED = 8, MOST_LENT = 2 };

static void block_and_count(void *arg) {
    bounded *b = arg;
    unsigned inside = atomic_fetch_add(&b->inside, 1) + 1, most = atomic_load(&b->most);
    while (inside > most && !atomic_compare_exchange_weak(&b->most, &most, inside)) continue;
    helper_sem_post(&b->entered);
    helper_sem_wait(&b->go_on);
    atomic_fetch_sub(&b->inside, 1);
}
static void look_on(void *arg) {
    bounded *b = arg;
    for (unsigned i = 0; i < 1 + MOST_LENT; i++) helper_sem_wait(&b->entered);
    pintle_sleep(PINTLE_MS(100)); /* time enough for a loan too many */
    b->inside_then = atomic_load(&b->inside);
    pintle_stats_get(&b->stats);
    for (unsigned i = 0; i < BLOCKED; i++) helper_sem_post(&b->go_on);
}
static int bounded_main(void *arg) {
    pintle_task *tasks[BLOCKED];
    return (int)(helper_spawn_all(tasks, BLOCKED, block_and_count, arg) + helper_join_all(tasks, BLOCKED));
}

CASE(no_more_is_lent_than_max_lent) {
    bounded b = {.inside = 0};
    helper_thread thread;
    pintle_options options = helper_processors(1);
    options.max_lent = MOST_LENT;
    helper_sem_init(&b.entered);
    helper_sem_init(&b.go_on);
    ck_assert(helper_thread_start(&thread, look_on, &b));
    ck_assert_int_eq(pintle_run(bounded_main, &b, &options), 0);
    helper_thread_join(&thread);
    helper_sem_destroy(&b.entered);
    helper_sem_destroy(&b.go_on);
    ck_assert_uint_eq(b.inside_then, 1 + MOST_LENT);
    ck_assert_uint_eq(b.most, 1 + MOST_LENT);
    ck_assert_uint_eq(b.stats.lent_now, MOST_LENT);
}

/* Loans under a storm: hogs of random length among sleepers, events and pins; everything ends. */
static void storm_task(void *arg) {
    unsigned me = (unsigned)(uintptr_t)arg;
    for (unsigned i = 0; i < 6; i++) {
        if ((me + i) % 3 == 0) helper_compute(PINTLE_MS(12 + (me * 7 + i) % 20));
        if ((me + i) % 5 == 0) pintle_pin();
        pintle_sleep(PINTLE_US(100 * ((me + i) % 30)));
        pintle_yield();
        if ((me + i) % 5 == 0) pintle_unpin();
    }
}
static int storm_main(void *arg) {
    pintle_task *tasks[40];
    pintle_stats stats;
    (void)arg;
    for (uintptr_t i = 0; i < 40; i++)
        if (pintle_spawn(&tasks[i], storm_task, (void *)i) != 0) return 1;
    for (unsigned i = 0; i < 40; i++)
        if (pintle_join(tasks[i], PINTLE_FOREVER) != 0) return 2;
    pintle_stats_get(&stats);
    return stats.tasks == 1 && stats.lent > 0 ? 0 : 3;
}
CASE_TIMEOUT(storm_of_hogs_ends, 60) {
    for (unsigned processors = 1; processors <= 3; processors++)
        ck_assert_int_eq(helper_run(storm_main, NULL, processors), 0);
}

/* Two pinned tasks that hand a lent processor to each other give it back too. */
typedef struct pair {
    hogs h;
    atomic_bool stop;
    atomic_uint turns;
    bool returned;
} pair;
static void pinned_turns(void *arg) {
    pair *p = arg;
    pintle_pin();
    while (!atomic_load(&p->stop)) {
        atomic_fetch_add(&p->turns, 1);
        pintle_yield();
    }
    pintle_unpin();
}
static void hog_until_turns(void *arg) {
    pair *p = arg;
    while (atomic_load(&p->turns) < 1000) continue; /* only a loan lets them have their turns */
}
static int pair_main(void *arg) {
    pair *p = arg;
    pintle_task *pinned[2], *hog;
    pintle_sleep(PINTLE_MS(1));
    if (pintle_spawn(&pinned[0], pinned_turns, p) != 0 || pintle_spawn(&pinned[1], pinned_turns, p) != 0) return 1;
    if (pintle_spawn(&hog, hog_until_turns, p) != 0 || pintle_join(hog, PINTLE_FOREVER) != 0) return 2;
    /* Nobody holds a processor for long any more, and the two still have their turns. */
    for (int i = 0; i < 1000; i++) {
        pintle_stats stats;
        pintle_stats_get(&stats);
        if ((p->returned = stats.lent_now == 0)) break;
        pintle_sleep(PINTLE_MS(10));
    }
    atomic_store(&p->stop, true);
    return (int)helper_join_all(pinned, 2);
}
CASE(loan_ends_though_pinned_tasks_hand_it_to_each_other) {
    pair p = {.returned = false};
    ck_assert_int_eq(helper_run(pair_main, &p, 1), 0);
    ck_assert(p.returned);
}
