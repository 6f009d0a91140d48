/* take.c: see take.h. TAKE: a call is left without a locked instruction, although its processor may be taken at any time.
 *
 *   owner, leaving call n                        taker (the monitor), for w = n|IN
 *     L1 call == n|IN                              T1 take = n|IN; attention |= TAKE
 *     L2 call = n+1|OUT, a plain store             T2 a full fence in every thread of the process
 *     L3 attention == 0: the processor is ours     T3 call == n|IN still? else it has ended: take = 0, TAKE off
 *     L4 cold: CAS(take, n|IN -> 0): ours;         T4 CAS(take, n|IN -> n|TAKEN): the processor is the taker's. It fails:
 *        fails: it was taken, take = 0, TAKE off      the owner was at L4: as in T3
 *                                                  T5 CAS(call, n|IN -> n|TAKEN), for others that look; L2 may undo it
 *
 * T2 falls before L2 or after it. Before: then L3 comes after T1, and sees TAKE. After: then T3 sees L2. So of the two one
 * knows of the other, and L4 and T4 decide. The price is the taker's, who comes at most every 20 µs and seldom succeeds: a
 * fence of all threads is a system call, 0.2 to 30 µs. The owner's locked instruction would be 10 of a call's 13 ns on an Intel
 * Xeon where this was measured.
 *
 * TAKE is set by the taker and taken off by whoever of the two ends the affair; another does not begin before: it needs a
 * later call, which the owner enters after L4. Where the system has no such fence, L2 is CAS(call, n|IN -> n+1|OUT), and
 * the taker's only step is CAS(call, n|IN -> n|TAKEN).
 *
 * A stop leaves threads in calls behind by take = LEFT_BEHIND, if the processor was taken, since L2 may overwrite `call`.
 * Threads: as take.h says. Locks: none. Order: T2 pairs with L2, L3, which are in program order (compilers keep it: assembly, or
 * a call between them); T4, L4 acq_rel: what the owner wrote before its call is the taker's by `call`, release, acquire.
 * Invariants: take is 0, n|IN (asked), n|TAKEN, or LEFT_BEHIND. Tests: tests/unit/test_take.c, tests/model/take.pml. */
#include "take.h"

#include "os.h"

uint8_t take_by_fence;

void take_init(bool may_fence) { take_by_fence = may_fence && os_fence_init(); }

bool take_fence(void) {
    if (take_by_fence) return os_fence_threads();
    atomic_fence_full();
    return true;
}

static uint64_t as_taken(uint64_t word) { return (word & ~(uint64_t)CALL_STATE_MASK) | CALL_TAKEN; }

static void attention_off(struct thread *thread) {
    atomic_fetch_and_explicit(&thread->attention, ~(uint32_t)ATTENTION_TAKE, memory_order_relaxed);
}

bool take_from(struct thread *thread, uint64_t word) {
    uint64_t asked = word;
    if (!take_by_fence) return atomic_cas_acq_rel(&thread->call, &word, as_taken(word));
    DCHECK(atomic_load_relaxed(&thread->take) == 0);
    atomic_store_relaxed(&thread->take, asked); /* T1; carried by the attention, and by T2 */
    atomic_fetch_or_explicit(&thread->attention, ATTENTION_TAKE, memory_order_release);
    if (take_fence() && atomic_load_acquire(&thread->call) == word &&   /* T2, T3 */
        atomic_cas_acq_rel(&thread->take, &asked, as_taken(word))) {    /* T4 */
        (void)atomic_cas_acq_rel(&thread->call, &word, as_taken(word)); /* T5 */
        return true;
    }
    atomic_store_release(&thread->take, 0);
    attention_off(thread);
    return false;
}

bool take_leave_behind(struct thread *thread, uint64_t word) {
    uint64_t taken = as_taken(word);
    if (!take_by_fence || call_state(word) == CALL_AWAY) {
        return atomic_cas_acq_rel(&thread->call, &word, CALL_LEFT_BEHIND);
    }
    if (call_state(word) == CALL_IN && !take_from(thread, word)) return false;
    if (!atomic_cas_acq_rel(&thread->take, &taken, CALL_LEFT_BEHIND)) return false; /* L4 was first */
    word = as_taken(word);
    (void)atomic_cas_acq_rel(&thread->call, &word, CALL_LEFT_BEHIND);
    return true;
}

bool take_happened(struct thread *thread, uint64_t word) {
    uint64_t call = call_state(word) == CALL_OUT ? word - CALL_LEAVE_STEP
                                                 : (word & ~(uint64_t)CALL_STATE_MASK) | CALL_IN;
    uint64_t take = call, taken = as_taken(call);
    if (!take_by_fence) return call_state(word) == CALL_TAKEN;
    if ((atomic_load_acquire(&thread->attention) & ATTENTION_TAKE) == 0) return false;
    if (atomic_cas_acq_rel(&thread->take, &take, 0)) return false; /* L4: the taker finds out, and ends it */
    if (take != taken && take != CALL_LEFT_BEHIND) return false;   /* it has ended already */
    if (take == taken && atomic_cas_acq_rel(&thread->take, &taken, 0)) {
        attention_off(thread);
        return true;
    }
    atomic_store_release(&thread->call, CALL_LEFT_BEHIND); /* L2 had overwritten it */
    arch_abandon_to_loop(thread);                          /* the loop returns, the thread ends */
}
