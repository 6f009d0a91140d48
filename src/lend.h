/* lend.h: see lend.c. */
#ifndef PINTLE_SRC_LEND_H
#define PINTLE_SRC_LEND_H

#include "scheduler.h"

/* Monitor, each round, for each processor that is held: has its task kept it for too long? */
void lend_look(struct processor *processor, struct thread *thread, int64_t now_ns, bool work);
/* The monitor's decision: takes a processor from the pool for the one that is held, by a task that computes or one that
 * blocks, and a thread for it; NULL: a bound is reached, or no thread. Under sched.lock. */
struct processor *lend_locked(struct processor *lender, bool computes, struct thread **out_thread);
/* For an urgent callback on the calling thread, or one that waits for it: a processor from the pool, without a spare or
 * 10 ms. `old`: the one it had; NULL: none. NULL: all are lent. Under sched.lock. */
struct processor *lend_urgent_locked(struct thread *thread, struct processor *old);
/* The urgent callback has ended: what it holds on loan goes to the pool when the thread gives it on. */
void lend_urgent_end(struct thread *thread);
/* Ends the loan of a lent processor that nobody runs any more and whose queue is empty. Under sched.lock. */
void lend_end_locked(struct processor *lent);
/* The loop: the thread's processor is called back: gives all that it has to the others, and it to the pool. */
void lend_return(struct thread *thread, struct processor *lent);
/* A timer was armed through a lent processor, in the heap of one that may be idle meanwhile. */
void lend_timer_armed(struct processor *lent);
static inline bool processor_is_lent(const struct processor *processor) { return processor->lender != NULL; }

#endif
