/* wait_here.h: guarded waits and wake-ups by a thread that took the guard by guard_enter, inlined: the hot path of channels. It
 * knows its task, and its processor is its own; wait.h explains the rest. Also what wait.c shares with it.
 * Threads: those with a processor, in no call. Locks: the caller's guard. Tests: tests/api/test_chan.c. */
#ifndef PINTLE_SRC_WAIT_HERE_H
#define PINTLE_SRC_WAIT_HERE_H

#include "scheduler.h"
#include "wait.h"

/* ---- Claims ---- */

enum { CLAIM_SEQ_SHIFT = 8 };

static inline uint64_t claim_word(uint64_t seq, unsigned bits) { return seq << CLAIM_SEQ_SHIFT | bits; }
static inline enum wake_reason claim_reason(uint64_t claim) { return (enum wake_reason)(claim & CLAIM_REASON_MASK); }
static inline uint64_t claim_seq(uint64_t claim) { return claim >> CLAIM_SEQ_SHIFT; }

/* Of a guarded wait, under its guard: nobody else can claim it then. */
static inline bool waiter_is_open(const struct waiter *waiter) {
    uint64_t claim = atomic_load_relaxed(&waiter->wait.sleeper->claim);
    return claim_seq(claim) == waiter->wait.seq && claim_reason(claim) == WAKE_OPEN;
}
static inline void waiter_claim_open(struct waiter *waiter) {
    atomic_store_relaxed(&waiter->wait.sleeper->claim, claim_word(waiter->wait.seq, WAKE_EVENT));
}

/* ---- A queue's ends ---- */

static inline struct waiter *waiters_peek(const struct waiters *waiters) {
    return atomic_load_relaxed(&waiters->first);
}
static inline void waiters_set_first(struct waiters *waiters, struct waiter *waiter) {
    atomic_store_relaxed(&waiters->first, waiter);
}
static inline void waiters_take_first(struct waiters *waiters, struct waiter *first) {
    waiters_set_first(waiters, first->next);
    if (first->next != NULL) first->next->previous = NULL;
    first->queued = false;
}
static inline void waiters_push_last(struct waiters *waiters, struct waiter *waiter) {
    waiter->next = NULL;
    waiter->queued = true;
    if (LIKELY(waiters_peek(waiters) == NULL)) {
        waiter->previous = NULL;
        waiters_set_first(waiters, waiter);
    } else {
        waiter->previous = waiters->last;
        waiters->last->next = waiter;
    }
    waiters->last = waiter;
}

/* ---- Waiting and waking ---- */

/* As waiters_claim_first, if the first is a task that waits guarded. NULL: nothing has happened. */
static inline struct waiter *waiters_claim_task(struct waiters *waiters) {
    struct waiter *first = waiters_peek(waiters);
    if (UNLIKELY(!first->guarded) || UNLIKELY(first->wait.sleeper->external) || UNLIKELY(!waiter_is_open(first)))
        return NULL;
    waiters_take_first(waiters, first);
    waiter_claim_open(first);
    return first;
}

/* Wakes what that one has claimed. */
static inline void waiter_wake_task(struct waiter *waiter, struct processor *processor) {
    struct pintle_task *task = task_of_sleeper(waiter->wait.sleeper);
    task_set_state(task, TASK_WAITING, TASK_RUNNABLE);
    sched_ready_on(processor, task);
}

/* wait_prepare, waiters_push and wait_guarded for the thread's task. */
static inline enum wake_reason wait_guarded_here(struct waiters *waiters, struct waiter *waiter, struct guard *guard,
                                                 struct thread *thread, const char *what, int64_t deadline_ns) {
    struct pintle_task *task = thread->task;
    uint64_t seq = claim_seq(atomic_load_relaxed(&task->sleeper.claim)) + 1;
    waiter->wait.sleeper = &task->sleeper;
    waiter->wait.seq = seq;
    waiter->wait.thread = thread;
    waiter->guarded = true;
    waiters_push_last(waiters, waiter);
    atomic_store_release(&task->sleeper.guard, guard);
    atomic_signal_fence(
        memory_order_seq_cst); /* CANCEL: then the flag is read; the canceller's fence makes it enough */
    if (UNLIKELY(deadline_ns != PINTLE_FOREVER) || UNLIKELY(task->cancel_masks != 0) ||
        UNLIKELY((atomic_load_seq_cst(&task->flags) & TASK_CANCELED) != 0)) {
        return wait_guarded(waiter, guard, what, deadline_ns, WAIT_CANCELABLE);
    }
    atomic_store_release(&task->sleeper.claim, claim_word(seq, WAKE_OPEN | CLAIM_GUARDED)); /* pairs with claim_try */
    atomic_store_relaxed(&task->waits_for, what);
    thread->left_guard = guard;
    depart_guarded(thread);
    atomic_store_relaxed(&task->waits_for, NULL);
    return claim_reason(atomic_load_acquire(&task->sleeper.claim));
}

#endif
