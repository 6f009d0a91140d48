/* guard.h: the locks of the objects that users wait on: channels, mutexes, events.
 *
 * A fixed table: an object's guard is found by its address, so objects need no lock of their own, and a guard's memory never
 * goes away. Whoever wants to wake a sleeper may lock the guard that the sleeper named, even if the object is gone by then
 * (wait.h). And an object may be freed as soon as its last user has come back, though the one who woke him is still
 * inside the guard.
 *
 * Taken by one compare-and-swap, given back by a plain store: who has to wait for it spins, then sleeps by the clock, so that
 * nobody needs to be told. Held for a few dozen instructions; a parking task holds one across its switch (wait.h).
 * Ranks: RANK_OBJECT; several at a time in the order of their addresses.
 * Threads: any. Order: acquire, release; taking one is also a full fence (a locked instruction): CANCEL in wait.c needs it.
 * Drawn from WebKit's ParkingLot, whose table of queues serves locks of one byte. Tests: tests/unit/test_lock.c. */
#ifndef PINTLE_SRC_GUARD_H
#define PINTLE_SRC_GUARD_H

#include "lock.h"

enum { GUARD_BITS = 10 };

struct guard {
    alignas(CACHE_LINE) _Atomic uint32_t word; /* 1: held */
};

extern struct guard guard_table[1 << GUARD_BITS];

/* Fibonacci hashing: neighbours in memory have different guards. */
static inline struct guard *guard_of(const void *object) {
    return &guard_table[((uint64_t)(uintptr_t)object >> 3) * 0x9E3779B97F4A7C15u >> (64 - GUARD_BITS)];
}

COLD void guard_acquire_slow(struct guard *guard);

static inline void guard_acquire(struct guard *guard) {
    uint32_t expected = 0;
    lock_rank_enter(RANK_OBJECT);
    if (UNLIKELY(!atomic_cas_seq_cst(&guard->word, &expected, 1))) guard_acquire_slow(guard);
}
static inline void guard_release(struct guard *guard) {
    atomic_store_release(&guard->word, 0);
    lock_rank_leave(RANK_OBJECT);
}

#endif
