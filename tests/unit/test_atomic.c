/* test_atomic.c: the full fence and the counters of atomic.h. */
#include "api/api_helpers.h"

#include "atomic.h"
#include "os.h"

/* The store-buffer test: each thread stores its own word, fences, reads the other's. Without a full fence both would
 * sometimes read the old value; with one, never. */
#define ROUNDS (100000 / TEST_SLOWNESS)
#define OVER \
    0xFFFFFFFFu /* instead of a round: time is over. Where others use the CPUs, a round takes their time slices */

typedef struct litmus {
    alignas(64) _Atomic uint32_t mine;
    alignas(64) _Atomic uint32_t theirs;
    alignas(64) atomic_uint round, ready;
    uint32_t seen_by_other;
} litmus;

/* The next value but `old`; where the other thread has no CPU it gets ours. */
static unsigned next_value(const atomic_uint *word, unsigned old) {
    unsigned value;
    for (unsigned spins = 1; (value = atomic_load(word)) == old; spins++)
        if (spins % 10000 == 0) os_yield_thread();
    return value;
}

static void litmus_other(void *arg) {
    litmus *l = arg;
    for (unsigned i = 1; i <= ROUNDS; i++) {
        if (next_value(&l->round, i - 1) == OVER) return;
        atomic_store_relaxed(&l->theirs, i);
        atomic_fence_full();
        l->seen_by_other = atomic_load_relaxed(&l->mine);
        atomic_store(&l->ready, i);
    }
}

CASE(fence_full_orders_a_store_before_a_load) {
    static litmus l;
    helper_thread other;
    unsigned both_missed = 0;
    int64_t end = pintle_after(PINTLE_S(10));
    memset(&l, 0, sizeof l);
    ck_assert(helper_thread_start(&other, litmus_other, &l));
    for (unsigned i = 1; i <= ROUNDS && pintle_now() < end; i++) {
        atomic_store(&l.round, i);
        for (unsigned k = i % 64; k > 0; k--) __asm__ volatile("");
        atomic_store_relaxed(&l.mine, i);
        atomic_fence_full();
        uint32_t seen = atomic_load_relaxed(&l.theirs);
        next_value(&l.ready, i - 1);
        if (seen != i && l.seen_by_other != i) both_missed++;
    }
    if (l.ready != ROUNDS) atomic_store(&l.round, OVER);
    helper_thread_join(&other);
    ck_assert_uint_ge(l.ready, 10);
    ck_assert_uint_eq(both_missed, 0);
}

CASE(cas_reloads_what_it_expected) {
    _Atomic uint64_t word = 5;
    uint64_t expected = 4;
    ck_assert(!atomic_cas_acq_rel(&word, &expected, 6));
    ck_assert_uint_eq(expected, 5);
    ck_assert(atomic_cas_acq_rel(&word, &expected, 6));
    ck_assert_uint_eq(word, 6);
    expected = 1;
    ck_assert(!atomic_cas_seq_cst(&word, &expected, 2));
    ck_assert_uint_eq(expected, 6);
}

CASE(operations_return_the_value_before) {
    _Atomic uint32_t word = 1;
    ck_assert_uint_eq(atomic_add_relaxed(&word, 4), 1);
    ck_assert_uint_eq(atomic_sub_relaxed(&word, 2), 5);
    ck_assert_uint_eq(atomic_or_acq_rel(&word, 8), 3);
    ck_assert_uint_eq(atomic_swap_acq_rel(&word, 77), 11);
    ck_assert_uint_eq(atomic_load_relaxed(&word), 77);
    _Atomic uint64_t counter = UINT64_C(0xFFFFFFFF);
    counter_add(&counter, 2);
    ck_assert_uint_eq(atomic_load_relaxed(&counter), UINT64_C(0x100000001));
}
