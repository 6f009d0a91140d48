/* atomic.h: atomic operations, named by their order. A caller's comment says which operation it pairs with.
 *
 * The full fence is a locked read-modify-write of a word on the caller's stack: as strong as mfence for ordinary memory
 * and several times cheaper (clang would emit mfence for a seq_cst fence). On other CPUs the compiler's own fence.
 * Threads: any. Tests: tests/unit/test_atomic.c, and the models in tests/model. */
#ifndef PINTLE_SRC_ATOMIC_H
#define PINTLE_SRC_ATOMIC_H

#include <stdatomic.h>

#include "base.h"

#define atomic_load_relaxed(p) atomic_load_explicit(p, memory_order_relaxed)
#define atomic_load_acquire(p) atomic_load_explicit(p, memory_order_acquire)
#define atomic_load_seq_cst(p) atomic_load_explicit(p, memory_order_seq_cst)
#define atomic_store_relaxed(p, v) atomic_store_explicit(p, v, memory_order_relaxed)
#define atomic_store_release(p, v) atomic_store_explicit(p, v, memory_order_release)
#define atomic_store_seq_cst(p, v) atomic_store_explicit(p, v, memory_order_seq_cst)
#define atomic_add_relaxed(p, v) atomic_fetch_add_explicit(p, v, memory_order_relaxed)
#define atomic_add_seq_cst(p, v) atomic_fetch_add_explicit(p, v, memory_order_seq_cst)
#define atomic_sub_relaxed(p, v) atomic_fetch_sub_explicit(p, v, memory_order_relaxed)
#define atomic_sub_seq_cst(p, v) atomic_fetch_sub_explicit(p, v, memory_order_seq_cst)
#define atomic_or_acq_rel(p, v) atomic_fetch_or_explicit(p, v, memory_order_acq_rel)
#define atomic_swap_acq_rel(p, v) atomic_exchange_explicit(p, v, memory_order_acq_rel)
#define atomic_swap_seq_cst(p, v) atomic_exchange_explicit(p, v, memory_order_seq_cst)
/* On failure *expected is reloaded, with acquire. */
#define atomic_cas_acq_rel(p, expected, desired) \
    atomic_compare_exchange_strong_explicit(p, expected, desired, memory_order_acq_rel, memory_order_acquire)
#define atomic_cas_seq_cst(p, expected, desired) \
    atomic_compare_exchange_strong_explicit(p, expected, desired, memory_order_seq_cst, memory_order_seq_cst)

static inline void atomic_fence_full(void) {
    _Atomic uint32_t word;
    atomic_init(&word, 0);
    (void)atomic_fetch_or_explicit(&word, 0, memory_order_seq_cst);
#if !defined(PINTLE_SANITIZE_THREAD) /* which knows no fences; there all atomic operations are calls, kept in order */
    atomic_thread_fence(memory_order_acq_rel); /* orders the compiler; no instruction on strongly ordered CPUs */
#endif
}

/* A counter with one writer and many readers: a plain increment, no locked instruction. */
static inline void counter_add(_Atomic uint64_t *counter, uint64_t n) {
    atomic_store_relaxed(counter, atomic_load_relaxed(counter) + n);
}

#endif
