/* lend.h: see lend.c. */
#ifndef PINTLE_SRC_LEND_H
#define PINTLE_SRC_LEND_H

#include "scheduler.h"

/* Monitor, each round, for each processor that is held: has its task kept it for too long? */
void lend_look(struct processor *processor, struct thread *thread, int64_t now_ns, bool work);
/* Ends the loan of a lent processor that nobody runs any more and whose queue is empty. Under sched.lock. */
void lend_end_locked(struct processor *lent);
/* The loop: the thread's processor is called back: gives all that it has to the others, and it to the pool. */
void lend_return(struct thread *thread, struct processor *lent);
/* A timer was armed through a lent processor, in the heap of one that may be idle meanwhile. */
void lend_timer_armed(struct processor *lent);
static inline bool processor_is_lent(const struct processor *processor) { return processor->lender != NULL; }

#endif
