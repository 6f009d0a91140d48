/* lock.c: see lock.h. A waiter spins briefly (the holder is about to leave), then sleeps on the word with the word at 2,
 * so that the holder knows to wake. Drawn from Ulrich Drepper's "Futexes are tricky", mutex 2.
 * Threads: any. Order: CAS acquire / exchange release on the word. Tests: tests/unit/test_lock.c. */
#include "lock.h"

#include "arch.h"
#include "os.h"

enum { SPIN_LIMIT = 100 };

#if defined(PINTLE_DEBUG_CHECKS)
static _Thread_local uint8_t held[RANK_LEAF + 1];

void lock_rank_enter(uint32_t rank) {
    for (uint32_t higher = rank + (rank == RANK_OBJECT); higher <= RANK_LEAF; higher++) {
        if (held[higher] != 0) fatal("lock of rank %u taken while one of rank %u is held", rank, higher);
    }
    held[rank]++;
}
void lock_rank_leave(uint32_t rank) {
    if (held[rank] == 0) fatal("lock of rank %u released by a thread that does not hold it", rank);
    held[rank]--;
}
#endif

static COLD void acquire_slow(_Atomic uint32_t *word) {
    for (int spin = 0; spin < SPIN_LIMIT; spin++) {
        uint32_t expected = 0;
        if (atomic_load_relaxed(word) == 0 && atomic_cas_acq_rel(word, &expected, 1)) return;
        arch_pause();
    }
    while (atomic_swap_acq_rel(word, 2) != 0) os_wait_word(word, 2, INT64_MAX);
}

static inline void word_acquire(_Atomic uint32_t *word) {
    uint32_t expected = 0;
    if (LIKELY(atomic_cas_acq_rel(word, &expected, 1))) return;
    acquire_slow(word);
}
static inline void word_release(_Atomic uint32_t *word) {
    if (UNLIKELY(atomic_swap_acq_rel(word, 0) == 2)) os_wake_word_one(word);
}

void lock_init(struct lock *lock, enum lock_rank rank) {
    atomic_store_relaxed(&lock->word, 0);
    lock->rank = rank;
}
void lock_acquire(struct lock *lock) {
    lock_rank_enter(lock->rank);
    word_acquire(&lock->word);
}
void lock_release(struct lock *lock) {
    word_release(&lock->word);
    lock_rank_leave(lock->rank);
}
