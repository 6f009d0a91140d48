/* processor.h: the right to run tasks, with a run queue, a timer heap and caches.
 *
 * State is who holds it: `thread` (running, or in that thread's call), or the idle list (under sched.lock), or nobody (in
 * transit between two steps of one hand-over). IN_CALL is derived from the thread's call word.
 * The owner's fields are plain: a hand-over carries them with its release and acquire.
 * Threads: the owner, but for `runq` (thieves), `timers` (locked), `thread`, counters (read by anyone).
 * Tests: tests/unit/test_runq.c, tests/stress. */
#ifndef PINTLE_SRC_PROCESSOR_H
#define PINTLE_SRC_PROCESSOR_H

#include "runq.h"
#include "task.h"
#include "timer.h"

struct thread;
struct pintle_task;
struct stack;
struct guard;

enum { PROCESSOR_INSIDE = 4 };

struct processor {
    struct runq runq;
    /* The owner's. */
    alignas(
        CACHE_LINE) _Atomic uint32_t tick; /* scheduling decisions: each 61st looks at the global queue and timers */
    uint32_t random;
    _Atomic(struct guard *) inside[PROCESSOR_INSIDE]; /* guards that it has by their bias: guard.h; others look */
    uint32_t id;
    uint32_t free_count;
    _Atomic(struct timer_heap *) timers; /* its own, or of its lender: processor_timers */
    struct deferred *free_deferred;      /* scope.c */
    uint32_t free_deferred_count;
    struct pintle_task *free; /* records of dead tasks, newest first */
    struct stack *stacks;     /* free ones of the default size, newest first, */
    uint32_t stack_count, stacks_most;
    uint32_t promises;       /* and how many stacks it may promise: stack.h */
    _Atomic uint64_t slices; /* tasks started with a time slice of their own; the monitor compares it */
    _Atomic uint64_t switches, steals, spawned, ended, handoffs;
    uint64_t next_id; /* and ids_left more: numbers for tasks */
    uint32_t ids_left;
    _Atomic(struct thread *) thread;
    struct pintle_task *crowd[AHEAD]; /* who waited last where others wait already: for their `ahead` */
    uint32_t crowd_at;
    _Atomic uint32_t recall; /* a lent processor is to come back */
    /* NEXT (scheduler.c): how many pushes go by until it wakes a thief again, and how many did the last time. Thieves write 0. */
    _Atomic uint32_t next_quiet, next_patience;
    /* Under sched.lock. */
    alignas(CACHE_LINE) struct processor *idle_next, *idle_previous;
    bool is_idle;
    bool for_computing;       /* lent for a task that computes, not for one that blocks */
    struct processor *lender; /* lend.c: of a lent processor; NULL: not lent */
    struct processor *loan;   /* the one lent for this one */
    struct processor *next_lent;
    _Atomic(struct thread *) borrower; /* of one lent for an urgent callback: who may keep it; the monitor looks */
    struct thread *waiter;             /* parked on the heap's first deadline while the processor is idle */
    struct timer_heap own_timers;
    /* The monitor's. */
    alignas(CACHE_LINE) uint64_t seen_call;
    int64_t seen_call_ns;
    uint64_t seen_slices;
    int64_t seen_slices_ns;
    uint64_t seen_beat;
    int64_t seen_beat_ns, seen_cpu_ns, seen_cpu_at_ns;
    int64_t seen_call_cpu_ns;
    struct thread *seen_thread;
};

/* Thieves may still see the one before: any is a heap with a lock. */
static inline struct timer_heap *processor_timers(struct processor *processor) {
    return atomic_load_relaxed(&processor->timers);
}

/* For its owner. */
static inline uint32_t random_step(uint32_t state) {
    state ^= state << 13; /* Marsaglia's xorshift */
    state ^= state >> 17;
    return state ^ state << 5;
}
static inline uint32_t processor_random(struct processor *processor) {
    return processor->random = random_step(processor->random);
}

#endif
