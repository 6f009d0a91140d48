/* timer.h: a heap of timers, one for each processor.
 *
 * A 4-ary heap by deadline, guarded by its lock; `earliest` mirrors the first deadline so that others can look without
 * the lock. A timer knows its heap and its place in it, so stopping is O(log n). Its function runs with no lock held.
 * A timer is armed by its owner only; whoever finds it due takes it out under the lock, then runs it: a sleeper's timer
 * carries the seq of the wait it belongs to, so a late one wakes nobody. One with a period stays, at its next deadline, or held
 * in its place (TIMER_HELD) until its owner moves or stops it; running it takes a reference, so that its owner may free it.
 * Threads: any. Locks: heap->lock (RANK_TIMERS). Order: `earliest` relaxed; scheduler.c says which fences make it enough.
 * Invariants: heap order; timer->heap != NULL exactly while it is in one. Tests: tests/unit/test_timer.c. */
#ifndef PINTLE_SRC_TIMER_H
#define PINTLE_SRC_TIMER_H

#include "lock.h"

struct timer_heap;

struct timer {
    int64_t deadline_ns; /* os_now_ns()'s clock */
    uint64_t seq;
    _Atomic(struct timer_heap *) heap; /* NULL: not armed. Written under the heap's lock */
    uint32_t index;
    _Atomic uint32_t references; /* of those that have a period: `fire` gives one back */
    void (*fire)(struct timer *timer, uint64_t seq);
    int64_t period_ns; /* 0: it is taken out when it is due; TIMER_HELD */
};

enum { TIMER_FANOUT = 4, TIMER_HELD = -1 };
#define TIMER_LAST_NS (INT64_MAX - 1) /* a deadline that does not come; INT64_MAX: none */

struct timer_heap {
    struct lock lock;
    uint32_t count, capacity;
    struct timer **timers;
    _Atomic int64_t earliest_ns; /* INT64_MAX: none */
};

void timer_heap_init(struct timer_heap *heap);
void timer_heap_destroy(struct timer_heap *heap);
/* Arms; PINTLE_ENOMEM if the heap cannot grow (the timer is not armed then). */
int timer_start(struct timer_heap *heap, struct timer *timer);
/* An armed timer's new deadline; false: it is not armed. */
bool timer_move(struct timer *timer, int64_t deadline_ns);
/* The same, with all that belongs to it. */
bool timer_rearm(struct timer *timer, int64_t deadline_ns, int64_t period_ns, uint64_t seq);
/* The first deadline after now_ns of those that follow one each period. */
static inline int64_t timer_advance(int64_t deadline_ns, int64_t period_ns, int64_t now_ns) {
    if (period_ns >= TIMER_LAST_NS - now_ns) return TIMER_LAST_NS;
    return deadline_ns + ((now_ns - deadline_ns) / period_ns + 1) * period_ns;
}
/* True: it was armed and will not fire. */
bool timer_stop(struct timer *timer);
/* Runs the first timer if it is due at now_ns; false: none is. */
bool timer_heap_run_one(struct timer_heap *heap, int64_t now_ns);
static inline int64_t timer_heap_earliest(struct timer_heap *heap) { return atomic_load_relaxed(&heap->earliest_ns); }

#endif
