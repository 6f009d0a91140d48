/* wait.h: waiting with a reason, for tasks and for threads that are none. The sleeper and its claim: task.h.
 *
 * A guarded wait, in one object's queue, under the object's guard: channels, locks, events.
 *
 *   sleeper                                      waker
 *   wait_prepare: sleeper->guard = G             acquire G; waiters_claim_first: off the queue, claim = reason
 *   acquire G; look: nothing to be had           release G; write what there is to say
 *   waiters_push; wait_guarded:                  waiter_wake: runnable
 *     claim = OPEN|GUARDED; timer armed
 *     departs; arrived: release G                A timer or a canceller: reads sleeper->guard, acquires it, and claims if
 *                                                the claim is what it was.
 * G is held until the registers are saved, so who finds the sleeper may run it. No atomic step but that of taking G.
 *
 * A free wait, for many objects (select) or none (sleep, join):
 *
 *   1 wait_begin: park = 0; seq + 1; claim = OPEN    a CAS(claim, {seq, OPEN} -> {seq, reason}): one wins
 *   2 queued; timer armed; cancel looked at          b old = fetch_or(park, WOKEN)
 *   3 leaves; arrived: fetch_or(park, SAVED)         c old has SAVED: makes it runnable
 *     WOKEN was there: runnable at once
 *
 * A joining wait, without a deadline, for a task's end:
 *
 *   joiner                                       the task that ends, or a canceller
 *   1 departs                                    a takes word out of join, by a compare-and-swap (a task at its end: or by the
 *   2 arrived: claim = OPEN|JOINING                swap to DONE): one has it, the joiner has left its stack
 *   3 CAS(join, 0 -> word); then cancel looked   b claim = reason
 *     at: a. The other was DONE: runnable at     c makes it runnable
 *     once
 * One atomic step for each side.
 *
 * CANCEL: the canceller writes the flag, then looks for the sleeper; the sleeper shows itself, then reads the flag; so one
 * of the two sees the other. Showing itself: a free wait by its claim (seq_cst); a joining one by its claim, before its
 * word is in `join` (a full fence); a guarded one by naming its guard, before it takes that. Taking it may be no fence (BIAS,
 * guard.h): a canceller that sees no open claim fences all threads. If it sees the guard then, and still no open claim, it takes
 * the guard, and looks again.
 *
 * A thread that is no task waits with an external sleeper, on the word `park` itself.
 * Threads: any. Tests: tests/api/test_event.c, test_sleep.c, test_chan.c, test_mutex.c; tests/model/guarded.pml, saved.pml. */
#ifndef PINTLE_SRC_WAIT_H
#define PINTLE_SRC_WAIT_H

#include "guard.h"
#include "runq.h"
#include "task.h"

struct wait {
    struct sleeper *sleeper;
    uint64_t seq;
    struct thread *thread; /* NULL: external */
};

/* ---- A waiter in an object's queue: it lies on the stack of the one who waits ---- */

struct waiter {
    struct waiter *next, *previous;
    struct wait wait;
    bool queued, guarded;
    int status;     /* what the waker has to say: 0 or PINTLE_E… */
    uint32_t index; /* of a select's case */
    void *item;     /* a channel's */
};

/* First come, first served. In public objects it is two words. Under the object's guard, but for waiters_any. */
struct waiters {
    _Atomic(struct waiter *) first;
    struct waiter *last;
};
#define WAITERS_OF(public_words) ((struct waiters *)(void *)(public_words))

static inline bool waiters_any(const struct waiters *waiters) { return atomic_load_relaxed(&waiters->first) != NULL; }
void waiters_push(struct waiters *waiters, struct waiter *waiter);
/* In front of all others: for one that was served and came too late. */
void waiters_push_first(struct waiters *waiters, struct waiter *waiter);
/* Nothing, if it is in no queue any more. */
void waiters_remove(struct waiters *waiters, struct waiter *waiter);
/* The first that still waits: it is off the queue, and the caller's to wake. NULL: none. */
struct waiter *waiters_claim_first(struct waiters *waiters);
/* The one that waiters_claim_first would give, if all of them are guarded. */
struct waiter *waiters_first(struct waiters *waiters);
/* The last thing that the waker does with it. Better without the guard. */
void waiter_wake(struct waiter *waiter);
/* Claims all, sets their status; a chain through `next`, for waiters_wake_chain after the guard was released. */
struct waiter *waiters_claim_all(struct waiters *waiters, int status);
void waiters_wake_chain(struct waiter *first);

/* The same for a crowd of tasks, in one pass over what lies on their stacks: they become runnable together. Claimed with
 * the status 0; woken after the guard was released. */
struct crowd {
    struct task_list tasks; /* RUNNABLE, in order */
    struct waiter *others;
};
/* Before it is queued behind others: for task_ahead. */
void waiter_joins_crowd(struct waiter *waiter);
void waiters_claim_crowd(struct waiters *waiters, struct crowd *out_crowd);
void crowd_wake(struct crowd *crowd);

/* ---- Guarded ---- */

/* Before the guard is taken. 0, or PINTLE_ENOMEM: no sleeper for a thread that is no task. */
int wait_prepare(struct wait *wait, struct guard *guard, const char *what);
/* The wait is not needed after all. */
void wait_unprepare(struct wait *wait);
enum wait_kind { WAIT_CANCELABLE = 0, WAIT_MASKED = 1 };
/* The waiter was prepared and queued, under the guard, which is released. Sleeps until woken, cancelled, or deadline_ns. If
 * not EVENT, the caller takes the waiter out of the queue, under the guard. */
enum wake_reason wait_guarded(struct waiter *waiter, struct guard *guard, const char *what, int64_t deadline_ns,
                              enum wait_kind kind);

/* ---- Free ---- */

/* 0, or PINTLE_ENOMEM. From now on others may wake it. */
int wait_begin(struct wait *wait, const char *what);
/* Sleeps until woken, cancelled, or deadline_ns on pintle_now()'s clock. Then the caller takes its waiters out. */
enum wake_reason wait_finish(struct wait *wait, int64_t deadline_ns);
/* Waits without a deadline, in a task, for `join` of another one: EVENT, once it is DONE (or else it is not this task's to
 * join), or CANCEL. */
enum wake_reason wait_join(struct thread *thread, _Atomic uint64_t *join, const char *what);
/* The other way out, when there is nothing to wait for after all. Waits only for a waker that was faster. */
void wait_abandon(struct wait *wait);

/* ---- Wakers ---- */

/* Wakes the sleeper if it still waits with this seq: true for the one who wins. */
bool sleeper_wake(struct sleeper *sleeper, uint64_t seq, enum wake_reason reason);
/* A joiner's word (task.h) names its sleeper and the low bits of its seq. */
uint64_t sleeper_join_word(const struct wait *wait);
void sleeper_wake_joiner(uint64_t join);
/* The same without a queue: the joiner, RUNNABLE and the caller's, if it has left its stack and may run on any thread; else
 * NULL, and nothing has happened. */
struct pintle_task *sleeper_take_joiner(_Atomic uint64_t *join_at, uint64_t join);
/* Called by arrived: the sleeper's task has left its stack. */
void sleeper_saved(struct sleeper *sleeper);
/* The same, for LEFT_JOIN. */
void sleeper_joins(struct sleeper *sleeper, _Atomic uint64_t *join);
/* CANCEL: ends the task's wait, and those to come, with ECANCELED. True: after a guards_fence it has to end, too: the task may be
 * on its way into a guarded wait. */
bool wait_cancel_begin(struct pintle_task *task);
void wait_cancel_end(struct pintle_task *task);

/* The code for a wait that ended with this reason (0 for EVENT); the error is set. */
int wait_result(enum wake_reason reason, int64_t deadline_ns, const char *function);
/* Frees the pool of external sleepers. */
void wait_destroy(void);

#endif
