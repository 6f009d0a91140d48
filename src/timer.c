/* timer.c: see timer.h. */
#include "timer.h"

#include "error.h"
#include "memory.h"

enum { FANOUT = TIMER_FANOUT, FIRST_CAPACITY = 64 };

static void put(struct timer_heap *heap, uint32_t index, struct timer *timer) {
    heap->timers[index] = timer;
    timer->index = index;
}

static void sift_up(struct timer_heap *heap, uint32_t index, struct timer *timer) {
    while (index > 0) {
        uint32_t parent = (index - 1) / FANOUT;
        if (heap->timers[parent]->deadline_ns <= timer->deadline_ns) break;
        put(heap, index, heap->timers[parent]);
        index = parent;
    }
    put(heap, index, timer);
}

static void sift_down(struct timer_heap *heap, uint32_t index, struct timer *timer) {
    for (;;) {
        uint32_t first = index * FANOUT + 1, least = first;
        if (first >= heap->count) break;
        for (uint32_t child = first + 1; child < first + FANOUT && child < heap->count; child++) {
            if (heap->timers[child]->deadline_ns < heap->timers[least]->deadline_ns) least = child;
        }
        if (heap->timers[least]->deadline_ns >= timer->deadline_ns) break;
        put(heap, index, heap->timers[least]);
        index = least;
    }
    put(heap, index, timer);
}

static void publish_earliest(struct timer_heap *heap) {
    atomic_store_relaxed(&heap->earliest_ns, heap->count > 0 ? heap->timers[0]->deadline_ns : INT64_MAX);
}

static void remove_locked(struct timer_heap *heap, struct timer *timer) {
    uint32_t index = timer->index;
    struct timer *last = heap->timers[--heap->count];
    atomic_store_release(&timer->heap, NULL); /* pairs with its owner's acquire: he may arm it anew, without the lock */
    if (last != timer) {
        if (index > 0 && heap->timers[(index - 1) / FANOUT]->deadline_ns > last->deadline_ns) {
            sift_up(heap, index, last);
        } else {
            sift_down(heap, index, last);
        }
    }
    publish_earliest(heap);
}

void timer_heap_init(struct timer_heap *heap) {
    lock_init(&heap->lock, RANK_TIMERS);
    heap->count = heap->capacity = 0;
    heap->timers = NULL;
    atomic_store_relaxed(&heap->earliest_ns, INT64_MAX);
}

void timer_heap_destroy(struct timer_heap *heap) {
    memory_free(heap->timers);
    heap->timers = NULL;
    heap->count = heap->capacity = 0;
}

int timer_start(struct timer_heap *heap, struct timer *timer) {
    lock_acquire(&heap->lock);
    if (heap->count == heap->capacity) {
        uint32_t capacity = heap->capacity == 0 ? FIRST_CAPACITY : heap->capacity * 2;
        struct timer **timers = memory_resize(heap->timers, capacity * sizeof *timers);
        if (timers == NULL) {
            lock_release(&heap->lock);
            return error_set(PINTLE_ENOMEM, 0, "no memory for a timer: %u are armed", (unsigned)heap->count);
        }
        heap->timers = timers;
        heap->capacity = capacity;
    }
    atomic_store_relaxed(&timer->heap, heap);
    sift_up(heap, heap->count++, timer);
    publish_earliest(heap);
    lock_release(&heap->lock);
    return 0;
}

bool timer_stop(struct timer *timer) {
    struct timer_heap *heap = atomic_load_acquire(&timer->heap); /* pairs with remove_locked */
    bool armed;
    if (heap == NULL) return false;
    lock_acquire(&heap->lock);
    armed = atomic_load_relaxed(&timer->heap) == heap;
    if (armed) remove_locked(heap, timer);
    lock_release(&heap->lock);
    return armed;
}

bool timer_heap_run_one(struct timer_heap *heap, int64_t now_ns) {
    struct timer *timer;
    void (*fire)(struct timer *, uint64_t);
    uint64_t seq;
    if (timer_heap_earliest(heap) > now_ns) return false;
    lock_acquire(&heap->lock);
    if (heap->count == 0 || heap->timers[0]->deadline_ns > now_ns) {
        lock_release(&heap->lock);
        return false;
    }
    timer = heap->timers[0];
    seq = timer->seq;
    fire = timer->fire;
    remove_locked(heap, timer);
    lock_release(&heap->lock);
    fire(timer, seq); /* which may be armed for another wait by now */
    return true;
}
