/* lend.c: extra processors for tasks that keep theirs (LEND, RECALL).
 *
 * C cannot be preempted, and code that never heard of us blocks without an announcement. So a task that holds its
 * processor P for more than 10 ms, computing or blocked in plain code, while others wait, is compensated: the monitor
 * lends an extra processor E, whose thread takes work from everywhere, P's own queue too.
 *
 *   LEND    (monitor) P runs a task (call OUT), its beat has not moved for 10 ms, work waits, no processor is idle, P has no
 *           loan yet, fewer than max_lent are lent, and its thread does not compute, or fewer computing ones than CPUs have
 *           a loan; a thread is reserved, as in RETAKE. beat(P) = decisions and switches + the thread's ticks of calls
 *   RECALL  (monitor) the beat of E's lender has moved. E in a call: RETAKE's CAS, to the pool.  E running: E->recall = 1 and
 *           its thread's attention; the loop tests it, gives ring and `next` to the global queue, and E to the pool; WAKE
 *           E's task may hold E by then: E does not come back, and counts as P's loan no more: P, held again, gets another
 *   URGENT  a thunk says that its callback does not wait (PINTLE_THUNK_URGENT): where no processor is idle, the thread takes
 *           E itself, at once. The callback's end gives it back; RECALL if it came to another thread before: the callback
 *           has waited, or a call of its took long
 *   E with nothing to do goes to the pool by itself: idle and pool are the same for it (idle_put_locked).
 *
 * E shares the timer heap of the processor at the end of its chain of lenders, so nothing has to be merged when it goes.
 * The hog pays nothing when it comes back. A wrong loan costs one tick of one extra thread.
 * With one processor tasks are no longer mutually exclusive by accident: documented in options.max_lent.
 *
 * Threads: the monitor; lend_return: the holder of E. Locks: sched.lock. Order: `recall` relaxed, repeated every round; the
 * ring's own orders. Invariants: lent_now processors have a lender; of those of one lender all but its `loan` are recalled.
 * Tests: tests/unit/test_lend.c, tests/api/test_lend.c, tests/model/lend.pml. */
#include "lend.h"
#include "take.h"

enum { HELD_NS = 10000000 };

static uint64_t beat_of(const struct processor *processor, struct thread *thread) {
    return atomic_load_relaxed(&processor->switches) + atomic_load_relaxed(&processor->tick) +
           (atomic_load_relaxed(&thread->call) / CALL_TICK);
}

/* ---- To the pool ---- */

/* Of a processor that is lent: in the pool nothing is asked. */
static void ask_back_locked(struct processor *lent) {
    struct thread *thread = atomic_load_relaxed(&lent->thread);
    CHECK(lent->lender != NULL);
    atomic_store_relaxed(&lent->recall, 1);
    if (thread != NULL) thread_ask(thread, ATTENTION_YIELD);
}

void lend_end_locked(struct processor *lent) {
    struct processor *lender = lent->lender;
    if (lender->loan == lent) lender->loan = NULL;
    if (lent->loan != NULL) ask_back_locked(lent->loan); /* a lender that goes to the pool ends its own loan */
    lent->loan = NULL;
    lent->lender = NULL;
    atomic_store_relaxed(&lent->borrower, NULL);
    sched.lent_computing -= lent->for_computing;
    sched.lent_now--;
    atomic_store_relaxed(&lent->recall, 0);
    atomic_store_relaxed(&lent->thread, NULL);
    lent->next_lent = sched.lent_pool;
    sched.lent_pool = lent;
}

void lend_return(struct thread *thread, struct processor *lent) {
    struct task_list list = {0};
    runq_drain(&lent->runq, &list);
    atomic_store_relaxed(&thread->processor, NULL);
    lock_acquire(&sched.lock);
    global_append_locked(&list);
    lend_end_locked(lent);
    lock_release(&sched.lock);
    atomic_fence_full(); /* WAKE */
    if (sched_has_work()) sched_wake();
}

/* ---- The monitor ---- */

/* Out of the pool, for `lender`, whose timers it shares. */
static void lend_first_locked(struct processor *lent, struct processor *lender, bool computes) {
    sched.lent_pool = lent->next_lent;
    lent->lender = lender;
    lent->for_computing = computes;
    atomic_store_relaxed(&lent->timers, processor_timers(lender));
    sched.lent_computing += computes;
    sched.lent_now++;
    atomic_store_relaxed(&sched.lent_ever, atomic_load_relaxed(&sched.lent_ever) + 1);
    if (lent->id >= atomic_load_relaxed(&sched.processors_used)) {
        atomic_store_release(&sched.processors_used, lent->id + 1);
    }
}

struct processor *lend_locked(struct processor *lender, bool computes, struct thread **out_thread) {
    struct processor *lent = sched.lent_pool;
    struct pintle_task *bound;
    if (lent == NULL || atomic_load_relaxed(&sched.idle_count) != 0) return NULL;
    if (lender->loan != NULL && atomic_load_relaxed(&lender->loan->recall) == 0) return NULL;
    if (computes && sched.lent_computing >= sched.cpu_count) return NULL;
    if ((*out_thread = thread_reserve_locked(&bound)) == NULL) return NULL;
    lend_first_locked(lent, lender, computes);
    lender->loan = lent;
    return lent;
}

/* E is in a call, or in task code: take it back. */
static void recall(struct processor *lent, struct thread *thread) {
    uint64_t word = thread != NULL ? atomic_load_acquire(&thread->call) : CALL_OUT;
    lock_acquire(&sched.lock);
    if (lent->lender != NULL) ask_back_locked(lent); /* else it has just gone back by itself */
    lock_release(&sched.lock);
    if (call_state(word) != CALL_IN || thread_processor(thread) != lent) return;
    atomic_store_relaxed(&thread->seen_call_ns, os_now_ns()); /* not for having blocked */
    if (!take_from(thread, word)) return;
    atomic_add_relaxed(&sched.retakes, 1);
    processor_pass_on(lent); /* which gives its queue away, and it to the pool */
}

/* Lent for an urgent callback, and held by somebody else. */
static bool has_strayed(struct processor *processor, const struct thread *thread) {
    const struct thread *borrower = atomic_load_relaxed(&processor->borrower);
    return borrower != NULL && borrower != thread;
}

void lend_look(struct processor *processor, struct thread *thread, int64_t now_ns, bool work) {
    uint64_t beat = beat_of(processor, thread);
    struct processor *loan, *lent = NULL;
    struct thread *reserved;
    bool computes;
    if (has_strayed(processor, thread)) {
        recall(processor, thread);
        return;
    }
    if (beat != processor->seen_beat || thread != processor->seen_thread) {
        processor->seen_beat = beat;
        processor->seen_thread = thread;
        processor->seen_beat_ns = now_ns;
        processor->seen_cpu_ns = -1;
        lock_acquire(&sched.lock);
        loan = processor->loan;
        lock_release(&sched.lock);
        if (loan != NULL) recall(loan, atomic_load_relaxed(&loan->thread));
        return;
    }
    if (atomic_load_relaxed(&processor->recall) != 0) { /* until it is back */
        recall(processor, thread);
        return;
    }
    if (!work || now_ns - processor->seen_beat_ns < HELD_NS / 2 ||
        call_state(atomic_load_relaxed(&thread->call)) != CALL_OUT) {
        return;
    }
    if (processor->seen_cpu_ns < 0) { /* half-way: from here on the CPU's clock is compared */
        processor->seen_cpu_ns = thread_cpu_ns(thread);
        processor->seen_cpu_at_ns = now_ns;
        return;
    }
    if (now_ns - processor->seen_beat_ns < HELD_NS) return;
    computes = (thread_cpu_ns(thread) - processor->seen_cpu_ns) * 2 > now_ns - processor->seen_cpu_at_ns;
    lock_acquire(&sched.lock);
    lent = lend_locked(processor, computes, &reserved);
    lock_release(&sched.lock);
    if (lent != NULL) hand_over(lent, reserved);
}

/* ---- Urgent callbacks ---- */

struct processor *lend_urgent_locked(struct thread *thread, struct processor *old) {
    struct processor *lent = sched.lent_pool;
    struct timer_heap *timers = processor_timers(old != NULL ? old : &sched.processors[0]);
    if (lent == NULL) return NULL;
    lend_first_locked(lent, CONTAINER_OF(timers, struct processor, own_timers), false);
    atomic_store_relaxed(&lent->borrower, thread);
    return lent;
}

void lend_urgent_end(struct thread *thread) {
    struct processor *processor = thread_processor(thread);
    if (processor != NULL && atomic_load_relaxed(&processor->borrower) == thread)
        atomic_store_relaxed(&processor->recall, 1);
}

/* ---- Timers ---- */

void lend_timer_armed(struct processor *lent) {
    struct processor *base = CONTAINER_OF(processor_timers(lent), struct processor, own_timers);
    struct thread *waiter = NULL;
    bool unwatched;
    lock_acquire(&sched.lock);
    unwatched = base->is_idle;
    if (unwatched) waiter = base->waiter;
    lock_release(&sched.lock);
    if (waiter != NULL) {
        thread_unpark(waiter); /* it reads the deadline again */
    } else if (unwatched) {
        monitor_wake();
    }
}
