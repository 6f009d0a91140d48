/* test_spares.c: how many threads are kept ready for calls that block. That they end again: test_runtime.c. */
#include "api_helpers.h"

enum { BLOCKERS = 100, BYSTANDERS = 150, LONE = 200 }; /* a ring holds all: they run in order */

typedef struct storm {
    helper_gate gate;
    atomic_uint inside;
    unsigned spare, threads, failed;
} storm;

static int block_call(void *arg) {
    storm *s = arg;
    atomic_fetch_add(&s->inside, 1);
    helper_gate_wait(&s->gate);
    return 0;
}
static void blocker(void *arg) { pintle_call_blocking(block_call, arg); }
static void bystander(void *arg) { (void)arg; }

static int storm_main(void *arg) {
    storm *s = arg;
    static pintle_task *blockers[BLOCKERS], *bystanders[BYSTANDERS];
    pintle_stats stats;
    int64_t give_up = pintle_after(PINTLE_S(20));
    s->failed = helper_spawn_all(blockers, BLOCKERS, blocker, s);
    s->failed += helper_spawn_all(bystanders, BYSTANDERS, bystander, s);
    do {
        pintle_sleep(PINTLE_MS(1));
        pintle_stats_get(&stats);
    } while ((atomic_load(&s->inside) < BLOCKERS || stats.threads_spare < 8) && pintle_now() < give_up);
    s->spare = stats.threads_spare;
    s->threads = stats.threads;
    helper_gate_open(&s->gate);
    s->failed += helper_join_all(blockers, BLOCKERS) + helper_join_all(bystanders, BYSTANDERS);
    return 0;
}

/* Threads are slow to start, so that calls that block are sure to be faster. */
static void start_slowly(void *user) {
    (void)user;
    pintle_sleep(PINTLE_MS(2));
}

/* Many calls that block miss a thread while many more tasks are queued: from then on more are kept ready than one. */
CASE_TIMEOUT(spares_are_more_after_many_missed_one, 60) {
    storm s = {.failed = 0};
    pintle_options options = helper_processors(1);
    options.on_thread_start = start_slowly;
    helper_gate_init(&s.gate);
    ck_assert_int_eq(pintle_run(storm_main, &s, &options), 0);
    helper_gate_destroy(&s.gate);
    ck_assert_uint_eq(s.failed, 0);
    ck_assert_uint_eq(s.inside, BLOCKERS);
    ck_assert_msg(s.spare >= 8, "%u spare of %u threads", s.spare, s.threads);
    ck_assert_uint_le(s.spare, 300);
}

static int lone_main(void *arg) {
    storm *s = arg;
    pintle_stats stats;
    for (int i = 0; i < LONE; i++) {
        pintle_task *task;
        s->failed += pintle_spawn(&task, blocker, s) != 0 || pintle_join(task, PINTLE_FOREVER) != 0;
    }
    pintle_stats_get(&stats);
    s->threads = stats.threads;
    return 0;
}

CASE(spares_stay_few_for_calls_that_block_one_by_one) {
    storm s = {.failed = 0};
    helper_gate_init(&s.gate);
    helper_gate_open(&s.gate);
    ck_assert_int_eq(helper_run(lone_main, &s, 2), 0);
    helper_gate_destroy(&s.gate);
    ck_assert_uint_eq(s.failed, 0);
    ck_assert_uint_eq(s.inside, LONE);
    ck_assert_uint_le(s.threads, 8);
}
