/* test_lend.c: how many are lent, and for whom. No runtime is started, so there is no monitor: the case asks for loans
 * itself, for processors and spare threads that it made. */
#include "lend.h"

#include "support/pintle_test.h"

enum { CPUS = 2, LENDERS = 5 };

static struct processor processors[2 * LENDERS]; /* the lenders, and behind them as many to lend */
static struct thread threads[LENDERS];

static void set_up(void) {
    memset(&sched, 0, sizeof sched);
    memset(processors, 0, sizeof processors);
    memset(threads, 0, sizeof threads);
    lock_init(&sched.lock, RANK_SCHED);
    sched.processors = processors;
    sched.processor_count = LENDERS;
    sched.processors_all = 2 * LENDERS;
    sched.cpu_count = CPUS;
    for (uint32_t i = 0; i < 2 * LENDERS; i++) {
        processors[i].id = i;
        atomic_store_relaxed(&processors[i].timers, &processors[i].own_timers);
    }
    lock_acquire(&sched.lock);
    for (uint32_t i = 0; i < LENDERS; i++) {
        processors[LENDERS + i].next_lent = sched.lent_pool;
        sched.lent_pool = &processors[LENDERS + i];
        atomic_store_relaxed(&threads[i].state, THREAD_ACTIVE);
        spare_put_locked(&threads[i]);
    }
    lock_release(&sched.lock);
}

/* The loan's thread is not run: the thread is spare again at once, so that never one is missing. */
static struct processor *lend(unsigned lender, bool computes) {
    struct thread *thread = NULL;
    struct processor *lent;
    lock_acquire(&sched.lock);
    lent = lend_locked(&processors[lender], computes, &thread);
    if (lent != NULL) spare_put_locked(thread);
    lock_release(&sched.lock);
    return lent;
}

static void end(struct processor *lent) {
    lock_acquire(&sched.lock);
    lend_end_locked(lent);
    lock_release(&sched.lock);
}

CASE(lend_for_computing_tasks_stops_at_the_number_of_cpus) {
    set_up();
    ck_assert_ptr_nonnull(lend(0, true));
    ck_assert_ptr_nonnull(lend(1, true));
    ck_assert_uint_eq(sched.lent_computing, CPUS);
    ck_assert_ptr_null(lend(2, true));
    ck_assert_uint_eq(sched.lent_now, CPUS);
    ck_assert_uint_eq(sched.lent_computing, CPUS);
    ck_assert_uint_eq(sched.spare_count, LENDERS); /* what is refused takes no thread */
    ck_assert_ptr_null(processors[2].loan);
}

CASE(lend_for_blocked_tasks_goes_on_where_computing_ones_get_none) {
    set_up();
    for (unsigned i = 0; i < CPUS; i++) ck_assert_ptr_nonnull(lend(i, true));
    for (unsigned i = CPUS; i < LENDERS; i++) {
        ck_assert_ptr_null(lend(i, true));
        ck_assert_ptr_nonnull(lend(i, false));
    }
    ck_assert_uint_eq(sched.lent_now, LENDERS);
    ck_assert_uint_eq(sched.lent_computing, CPUS);
}

CASE(lend_for_computing_tasks_does_not_count_blocked_ones) {
    set_up();
    for (unsigned i = 0; i < LENDERS - CPUS; i++) ck_assert_ptr_nonnull(lend(i, false));
    ck_assert_uint_eq(sched.lent_computing, 0);
    for (unsigned i = LENDERS - CPUS; i < LENDERS; i++) ck_assert_ptr_nonnull(lend(i, true));
    ck_assert_uint_eq(sched.lent_computing, CPUS);
}

CASE(lend_ended_for_a_computing_task_makes_room_for_one_more) {
    struct processor *computing, *blocked;
    set_up();
    computing = lend(0, true);
    ck_assert_ptr_nonnull(computing);
    ck_assert_ptr_nonnull(lend(1, true));
    blocked = lend(2, false);
    ck_assert_ptr_nonnull(blocked);
    end(blocked); /* gives back none of those for computing tasks */
    ck_assert_uint_eq(sched.lent_computing, CPUS);
    ck_assert_ptr_null(lend(3, true));
    end(computing);
    ck_assert_uint_eq(sched.lent_computing, CPUS - 1);
    ck_assert_ptr_nonnull(lend(3, true));
    ck_assert_ptr_null(lend(4, true));
    ck_assert_uint_eq(sched.lent_computing, CPUS);
}
