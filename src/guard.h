/* guard.h: the locks of the objects that users wait on: channels, mutexes, events.
 *
 * A fixed table: an object's guard is found by its address, so objects need no lock of their own, and a guard's memory never
 * goes away. Whoever wants to wake a sleeper may lock the guard that the sleeper named, even if the object is gone by then
 * (wait.h). And an object may be freed as soon as its last user has come back, though the one who woke him is still
 * inside the guard.
 *
 * Taken by one compare-and-swap of the word, given back by a plain store: who has to wait for it spins, then sleeps by the
 * clock, so that nobody needs to be told. Held for a few dozen instructions; a parking task holds one across its switch (wait.h).
 *
 * BIAS: where one thread can fence all others (take.h), a guard that the same processor took by the word a few hundred times in
 * a row is biased to it, and whoever holds that processor takes it by plain stores:
 *
 *   who holds processor P, bias == P              anybody else
 *     B1 P->inside = guard, a plain store           takes the word, by compare-and-swap
 *     B2 bias == P still? has it.                   bias == 0: has it. Else
 *        else inside = 0, and by the word             R1 bias = 0
 *     …                                               R2 a full fence in every thread of the process
 *     releases it: inside = 0                         R3 waits until P->inside is not the guard: has it
 *                                                   releases it: word = 0
 * R2 falls before B1, then B2 sees that the bias is gone; or after it, then R3 sees who is inside. Only who has the word sets
 * a bias, to its own processor. `inside` is the processor's, not the guard's: one that finds its bias gone after B1 clears it
 * at some time, maybe when the guard is biased to another already.
 *
 * R2 is a system call, 0.2 to 30 µs: each time a bias is lost, the streak that leads to the next has to be twice as
 * long, up to some thousands, so guards that processors share soon cost what they would without. A processor's next thread
 * goes on where the one before it was: nobody holds a guard in a foreign call. A thread in a call, or without a processor, takes
 * the word.
 *
 * Taking a guard by its bias is no fence, unlike the word. CANCEL in wait.c would need one: the canceller calls guards_fence.
 *
 * Ranks: RANK_OBJECT; several at a time in the order of their addresses.
 * Threads: any. Order: acquire, release: word, inside; R2 pairs with B1 and B2, in program order. Invariants: the bias is set under
 * the word, while a runtime runs that can fence. Drawn from WebKit's ParkingLot, whose table of queues serves locks of one
 * byte, and from the biased locks of Dice, Huang and Yang. Tests: tests/unit/test_guard.c, test_lock.c, tests/model/bias.pml. */
#ifndef PINTLE_SRC_GUARD_H
#define PINTLE_SRC_GUARD_H

#include "processor.h"
#include "thread.h"

enum { GUARD_BITS = 10 };

struct guard {
    alignas(CACHE_LINE) _Atomic uint32_t word; /* 1: taken */
    bool by_word;                              /* the one who has it: how it is to be released */
    _Atomic(struct processor *) bias;
    /* Under the word: which processor took it last, how often in a row, and how often a bias was lost. */
    struct processor *last;
    uint32_t streak, losses;
};

extern struct guard guard_table[1 << GUARD_BITS];
/* A runtime runs and the system can fence: guards may become biased. */
extern _Atomic bool guards_may_bias;

/* Fibonacci hashing: neighbours in memory have different guards. */
static inline struct guard *guard_of(const void *object) {
    return &guard_table[((uint64_t)(uintptr_t)object >> 3) * 0x9E3779B97F4A7C15u >> (64 - GUARD_BITS)];
}

/* At the start of a runtime, and at its end, after its last thread and before its processors' memory goes. */
void guards_begin(bool may_bias);
void guards_end(void);

/* Orders what the caller wrote (by a locked instruction) before all it reads afterwards; and the same for everybody who takes a
 * guard: what he wrote before that comes before what he reads inside. One of the two sees the other. */
void guards_fence(void);

COLD void guard_acquire_slow(struct guard *guard);
/* Whoever has just taken the word: off with others' bias; the streak. */
void guard_learn(struct guard *guard);
/* By the bias, while the processor is inside other guards. */
COLD bool guard_enter_more(struct guard *guard);
COLD void guard_leave_more(struct guard *guard, struct processor *processor);

/* By the bias, for a processor that is inside no other guard: the calling thread, which holds the processor. Given back by
 * guard_leave, or as any. NULL: not taken, take it as any. */
static inline struct thread *guard_enter(struct guard *guard) {
    struct processor *bias = atomic_load_relaxed(&guard->bias);
    struct thread *thread;
    if (!ARCH_BIASES_GUARDS || UNLIKELY(bias == NULL)) return NULL;
    thread = arch_self_now();
    if (UNLIKELY(thread == NULL) || UNLIKELY(!thread_is_out(thread)) ||
        UNLIKELY(atomic_load_relaxed(&thread->processor) != bias) ||
        UNLIKELY(atomic_load_relaxed(&bias->inside[0]) != NULL)) {
        return NULL;
    }
    lock_rank_enter(RANK_OBJECT);
    atomic_store_release(&bias->inside[0], guard);                        /* B1 */
    atomic_signal_fence(memory_order_seq_cst);                            /* for the compiler; R2 makes it enough */
    if (LIKELY(atomic_load_acquire(&guard->bias) == bias)) return thread; /* B2 */
    atomic_store_release(&bias->inside[0], NULL);
    lock_rank_leave(RANK_OBJECT);
    return NULL;
}
static inline void guard_leave(struct guard *guard, struct processor *processor) {
    DCHECK(atomic_load_relaxed(&processor->inside[0]) == guard && !guard->by_word);
    (void)guard;
    atomic_store_release(&processor->inside[0], NULL);
    lock_rank_leave(RANK_OBJECT);
}

static inline void guard_acquire(struct guard *guard) {
    uint32_t expected = 0;
    if (ARCH_BIASES_GUARDS && atomic_load_relaxed(&guard->bias) != NULL &&
        (guard_enter(guard) != NULL || guard_enter_more(guard)))
        return;
    lock_rank_enter(RANK_OBJECT);
    if (UNLIKELY(!atomic_cas_seq_cst(&guard->word, &expected, 1))) guard_acquire_slow(guard);
    if (ARCH_BIASES_GUARDS && atomic_load_relaxed(&guards_may_bias)) guard_learn(guard);
    if (ARCH_BIASES_GUARDS) guard->by_word = true;
}
/* The processor is the one that the calling thread holds, if any. */
static inline void guard_release_on(struct guard *guard, struct processor *processor) {
    if (!ARCH_BIASES_GUARDS || guard->by_word) {
        if (ARCH_BIASES_GUARDS) guard->by_word = false;
        atomic_store_release(&guard->word, 0);
    } else if (LIKELY(atomic_load_relaxed(&processor->inside[0]) == guard)) {
        atomic_store_release(&processor->inside[0], NULL);
    } else {
        guard_leave_more(guard, processor);
    }
    lock_rank_leave(RANK_OBJECT);
}
static inline void guard_release(struct guard *guard) {
    struct thread *thread = !ARCH_BIASES_GUARDS || guard->by_word ? NULL : arch_self_now();
    guard_release_on(guard, thread != NULL ? atomic_load_relaxed(&thread->processor) : NULL);
}

#endif
