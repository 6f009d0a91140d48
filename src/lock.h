/* lock.h: a short lock for OS threads, and the table of ranks.
 *
 * The word: 0 free, 1 held, 2 held and somebody may sleep. Uncontended it costs one compare-and-swap and one exchange.
 * Held only for a few dozen instructions: never across a foreign call, a park or an allocation of stacks.
 * Ranks: a thread takes locks in rising rank only (equal ranks: by address, guards alone). Debug builds check.
 * Threads: any. Order: acquire on lock, release on unlock. Tests: tests/unit/test_lock.c. */
#ifndef PINTLE_SRC_LOCK_H
#define PINTLE_SRC_LOCK_H

#include "atomic.h"

enum lock_rank {
    RANK_RUNTIME = 1, /* starting and stopping */
    RANK_NURSERY = 2, /* a cancellation scope: its tasks and the scopes that nest in it */
    RANK_SIGNALS = 3, /* who asks for signals */
    RANK_OBJECT = 4,  /* guards: channels and other objects that users wait on */
    RANK_DLL = 5,     /* a DLL's list of procs */
    RANK_TIMERS = 6,  /* a processor's timer heap */
    RANK_SCHED = 7,   /* idle processors, global queue, spare threads */
    RANK_POOL = 8,    /* free stacks and task records */
    RANK_LEAF = 9     /* takes nothing below it */
};

struct lock {
    _Atomic uint32_t word;
    uint32_t rank;
};
#define LOCK_INIT(lock_rank) \
    { 0, lock_rank }

void lock_init(struct lock *lock, enum lock_rank rank);
void lock_acquire(struct lock *lock);
void lock_release(struct lock *lock);

/* The ranks that the calling thread holds: debug builds only. */
#if defined(PINTLE_DEBUG_CHECKS)
void lock_rank_enter(uint32_t rank);
void lock_rank_leave(uint32_t rank);
#else
static inline void lock_rank_enter(uint32_t rank) { (void)rank; }
static inline void lock_rank_leave(uint32_t rank) { (void)rank; }
#endif

#endif
