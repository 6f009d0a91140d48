/* guard.c: see guard.h: the slow ways, and when a guard is biased. */
#include "guard.h"

#include "arch.h"
#include "os.h"
#include "take.h"

enum { SPIN_LIMIT = 100, YIELD_LIMIT = 4, FIRST_NAP_NS = 20000, LONGEST_NAP_NS = 1000000 };
/* A bias that is lost costs some hundred to some thousand times what an acquisition by the word costs more. With the longest streak
 * that is 4 ns of each acquisition at worst; one much longer would keep from a bias who is moved to another processor now and then. */
enum { FIRST_STREAK = 256, MOST_LOSSES = 5 };
enum { REFUSED_NS = 1000000 };

struct guard guard_table[1 << GUARD_BITS];
_Atomic bool guards_may_bias;

static _Atomic bool refused; /* the fence, by a sandbox that came later: no guard is biased any more */

/* Until `is` says so. The holder is about to leave, unless the system has taken its CPU away: then only time helps. */
static void wait_until(bool (*is)(struct guard *guard, struct processor *processor), struct guard *guard,
                       struct processor *processor) {
    for (int spin = 0; spin < SPIN_LIMIT; spin++) {
        if (is(guard, processor)) return;
        arch_pause();
    }
    for (int i = 0; i < YIELD_LIMIT; i++) {
        os_yield_thread();
        if (is(guard, processor)) return;
    }
    for (int64_t nap_ns = FIRST_NAP_NS; !is(guard, processor);) {
        os_wait_word(&guard->word, 1, os_now_ns() + nap_ns);
        if (nap_ns < LONGEST_NAP_NS) nap_ns *= 2;
    }
}

static bool try_acquire(struct guard *guard, struct processor *processor) {
    uint32_t expected = 0;
    (void)processor;
    return atomic_load_relaxed(&guard->word) == 0 && atomic_cas_seq_cst(&guard->word, &expected, 1);
}

void guard_acquire_slow(struct guard *guard) { wait_until(try_acquire, guard, NULL); }

/* ---- BIAS ---- */

static bool is_outside(struct guard *guard, struct processor *processor) {
    for (unsigned i = 0; i < PROCESSOR_INSIDE; i++) {
        if (atomic_load_acquire(&processor->inside[i]) == guard) return false;
    }
    return true;
}

void guards_fence(void) {
    _Atomic uint32_t word;
    if (!atomic_load_relaxed(&guards_may_bias) || take_fence()) return;
    /* No CPU keeps a store back for longer than some µs, and none that runs something else keeps any. */
    atomic_store_relaxed(&refused, true);
    atomic_init(&word, 0);
    for (int64_t end_ns = os_now_ns() + REFUSED_NS; os_now_ns() < end_ns;) os_wait_word(&word, 0, end_ns);
    atomic_fence_full();
}

static COLD void revoke(struct guard *guard, struct processor *bias) {
    atomic_store_relaxed(&guard->bias, NULL); /* R1 */
    if (guard->losses < MOST_LOSSES) guard->losses++;
    guards_fence();                      /* R2 */
    wait_until(is_outside, guard, bias); /* R3 */
}

void guard_learn(struct guard *guard) {
    struct processor *mine = thread_own_processor(), *bias = atomic_load_relaxed(&guard->bias);
    if (UNLIKELY(bias != NULL)) {
        if (bias == mine) return; /* it is inside too many others; nobody else can come meanwhile */
        revoke(guard, bias);
    } else if (mine == guard->last && mine != NULL) {
        if (LIKELY(++guard->streak < (uint32_t)FIRST_STREAK << guard->losses)) return;
        if (!atomic_load_relaxed(&refused)) atomic_store_relaxed(&guard->bias, mine);
    }
    guard->last = mine;
    guard->streak = 0;
}

bool guard_enter_more(struct guard *guard) {
    struct processor *processor = thread_own_processor();
    if (processor == NULL || atomic_load_relaxed(&guard->bias) != processor) return false;
    for (unsigned i = 0; i < PROCESSOR_INSIDE; i++) {
        if (atomic_load_relaxed(&processor->inside[i]) != NULL) continue;
        atomic_store_release(&processor->inside[i], guard); /* B1 */
        atomic_signal_fence(memory_order_seq_cst);
        if (LIKELY(atomic_load_acquire(&guard->bias) == processor)) { /* B2 */
            lock_rank_enter(RANK_OBJECT);
            return true;
        }
        atomic_store_release(&processor->inside[i], NULL);
        break;
    }
    return false;
}

void guard_leave_more(struct guard *guard, struct processor *processor) {
    unsigned i = 0;
    while (atomic_load_relaxed(&processor->inside[i]) != guard) {
        i++;
        CHECK(i < PROCESSOR_INSIDE);
    }
    atomic_store_release(&processor->inside[i], NULL);
}

void guards_begin(bool may_bias) {
    atomic_store_relaxed(&refused, false);
    atomic_store_relaxed(&guards_may_bias, ARCH_BIASES_GUARDS && may_bias);
}

/* No thread holds a processor any more, so nobody is inside by a bias. Others may take guards: under the word they may look at
 * the processor that had the bias. */
void guards_end(void) {
    if (!atomic_load_relaxed(&guards_may_bias)) return;
    for (size_t i = 0; i < COUNT_OF(guard_table); i++) {
        struct guard *guard = &guard_table[i];
        if (!try_acquire(guard, NULL)) guard_acquire_slow(guard);
        atomic_store_relaxed(&guard->bias, NULL);
        guard->last = NULL;
        guard->streak = 0;
        atomic_store_release(&guard->word, 0);
    }
    atomic_store_relaxed(&guards_may_bias, false);
}
