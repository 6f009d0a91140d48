/* guard.c: see guard.h. */
#include "guard.h"

#include "arch.h"
#include "os.h"

enum { SPIN_LIMIT = 100, YIELD_LIMIT = 4, FIRST_NAP_NS = 20000, LONGEST_NAP_NS = 1000000 };

struct guard guard_table[1 << GUARD_BITS];

static bool try_acquire(struct guard *guard) {
    uint32_t expected = 0;
    return atomic_load_relaxed(&guard->word) == 0 && atomic_cas_seq_cst(&guard->word, &expected, 1);
}

/* The holder is about to leave, unless the system has taken its CPU away: then only time helps. */
void guard_acquire_slow(struct guard *guard) {
    for (int spin = 0; spin < SPIN_LIMIT; spin++) {
        if (try_acquire(guard)) return;
        arch_pause();
    }
    for (int i = 0; i < YIELD_LIMIT; i++) {
        os_yield_thread();
        if (try_acquire(guard)) return;
    }
    for (int64_t nap_ns = FIRST_NAP_NS; !try_acquire(guard);) {
        os_wait_word(&guard->word, 1, os_now_ns() + nap_ns);
        if (nap_ns < LONGEST_NAP_NS) nap_ns *= 2;
    }
}
