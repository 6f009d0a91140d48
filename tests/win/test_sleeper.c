/* test_sleeper.c: waits with a precise deadline. Under Wine os_wait_word does not use them, so they are called here. */
#include "support/pintle_test.h"

#include "win/sleeper.h"

static void check_deadlines(void) {
    static const int64_t durations_ns[] = {-5, 0, 1, 100000, 999999, 3000001};
    _Atomic uint32_t word;
    atomic_init(&word, 5);
    for (size_t i = 0; i < 5 * COUNT_OF(durations_ns); i++) {
        int64_t deadline_ns = os_now_ns() + durations_ns[i % COUNT_OF(durations_ns)];
        ck_assert(timed_wait(&word, 5, deadline_ns));
        ck_assert_int_ge(os_now_ns(), deadline_ns);
    }
    ck_assert_uint_eq(timed_wake(&word, true), 0);
}

CASE(sleeper_not_woken_ends_at_deadline_not_before) { check_deadlines(); }

CASE(sleeper_other_value_returns_at_once) {
    _Atomic uint32_t word;
    atomic_init(&word, 5);
    ck_assert(timed_wait(&word, 4, os_now_ns() + PINTLE_S(3600)));
    ck_assert_uint_eq(timed_wake(&word, true), 0);
}

/* Two threads take turns. A lost wake would hang. */
typedef struct turns {
    _Atomic uint32_t word;
    uint32_t rounds;
    int64_t wait_ns;
} turns;

static void turn_wait(turns *t, uint32_t mine) {
    for (uint32_t now; (now = atomic_load_acquire(&t->word)) != mine;)
        timed_wait(&t->word, now, os_now_ns() + t->wait_ns);
}

static void turn_give(turns *t, uint32_t next) {
    atomic_store_release(&t->word, next);
    timed_wake(&t->word, false);
}

static void thread_take_turns(void *arg) {
    turns *t = arg;
    for (uint32_t i = 0; i < t->rounds; i++) {
        turn_wait(t, 2 * i + 1);
        turn_give(t, 2 * i + 2);
    }
}

static void take_turns(uint32_t rounds, int64_t wait_ns) {
    turns t = {.rounds = rounds, .wait_ns = wait_ns};
    os_thread thread;
    ck_assert_int_eq(os_thread_start(&thread, thread_take_turns, &t), 0);
    for (uint32_t i = 0; i < rounds; i++) {
        turn_give(&t, 2 * i + 1);
        turn_wait(&t, 2 * i + 2);
    }
    os_thread_join(&thread);
}

CASE(sleeper_woken_in_turns_loses_none) { take_turns(1000, PINTLE_S(3600)); }

/* A wake and a deadline at the same time must leave no event set, for the next wait with that record. */
CASE(sleeper_woken_near_deadlines_leaves_nothing_behind) {
    for (int i = 0; i < 10; i++) {
        take_turns(200, PINTLE_US(60));
        check_deadlines();
    }
}

enum { CROWD = 20 }; /* more than the pool keeps */
typedef struct crowd {
    _Atomic uint32_t gate, present, woken;
} crowd;

static void thread_wait_at_gate(void *arg) {
    crowd *c = arg;
    (void)atomic_add_seq_cst(&c->present, 1);
    os_wake_word_one(&c->present);
    while (atomic_load_acquire(&c->gate) == 0) timed_wait(&c->gate, 0, os_now_ns() + PINTLE_S(3600));
}

CASE(sleeper_wake_all_wakes_every_waiter) {
    crowd c = {.gate = 0};
    os_thread threads[CROWD];
    for (int i = 0; i < CROWD; i++) ck_assert_int_eq(os_thread_start(&threads[i], thread_wait_at_gate, &c), 0);
    for (uint32_t now; (now = atomic_load_acquire(&c.present)) != CROWD;) os_wait_word(&c.present, now, INT64_MAX);
    atomic_store_release(&c.gate, 1);
    ck_assert_uint_le(timed_wake(&c.gate, true), CROWD);
    for (int i = 0; i < CROWD; i++) os_thread_join(&threads[i]);
    ck_assert_uint_eq(timed_wake(&c.gate, true), 0);
    sleepers_release();
}

/* Without a record, its event or its timer there is no such wait; without a due time it ends early. */
DEBUG_CASE(sleeper_that_the_system_refuses_leaves_nothing_behind) {
    DWORD before, after;
    _Atomic uint32_t word;
    atomic_init(&word, 5);
    timed_wait(&word, 5, os_now_ns() + 1000);
    sleepers_release();
    ck_assert(GetProcessHandleCount(GetCurrentProcess(), &before));
    for (uint64_t first = 1; first <= 3; first++) {
        fail_plan(FAIL_MEMORY, first, 1);
        ck_assert(!timed_wait(&word, 5, os_now_ns() + PINTLE_S(3600)));
        ck_assert_uint_eq(fail_refused(), 1);
    }
    fail_plan(FAIL_WAIT, 1, 1);
    ck_assert(timed_wait(&word, 5, os_now_ns() + PINTLE_S(3600)));
    ck_assert_uint_eq(fail_refused(), 1);
    fail_plan(0, 0, 0);
    ck_assert_uint_eq(timed_wake(&word, true), 0);
    sleepers_release();
    ck_assert(GetProcessHandleCount(GetCurrentProcess(), &after));
    ck_assert_uint_eq(after, before);
    check_deadlines();
}

CASE(sleepers_release_gives_handles_back) {
    DWORD before, after;
    _Atomic uint32_t word;
    atomic_init(&word, 5);
    timed_wait(&word, 5, os_now_ns() + 1000); /* what the system opens at first use stays */
    sleepers_release();
    ck_assert(GetProcessHandleCount(GetCurrentProcess(), &before));
    timed_wait(&word, 5, os_now_ns() + 1000);
    sleepers_release();
    ck_assert(GetProcessHandleCount(GetCurrentProcess(), &after));
    ck_assert_uint_eq(after, before);
}
