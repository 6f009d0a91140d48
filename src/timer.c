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

static void settle(struct timer_heap *heap, uint32_t index, struct timer *timer) {
    if (index > 0 && heap->timers[(index - 1) / FANOUT]->deadline_ns > timer->deadline_ns) {
        sift_up(heap, index, timer);
    } else {
        sift_down(heap, index, timer);
    }
    publish_earliest(heap);
}

static void remove_locked(struct timer_heap *heap, struct timer *timer) {
    uint32_t index = timer->index;
    struct timer *last = heap->timers[--heap->count];
    atomic_store_release(&timer->heap, NULL); /* pairs with its owner's acquire: he may arm it anew, without the lock */
    if (last != timer) {
        settle(heap, index, last);
    } else {
        publish_earliest(heap);
    }
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

/* The heap that the timer is in, locked; NULL: it is in none. */
static struct timer_heap *lock_heap_of(struct timer *timer) {
    struct timer_heap *heap = atomic_load_acquire(&timer->heap); /* pairs with remove_locked */
    if (heap == NULL) return NULL;
    lock_acquire(&heap->lock);
    if (atomic_load_relaxed(&timer->heap) == heap) return heap;
    lock_release(&heap->lock);
    return NULL;
}

bool timer_move(struct timer *timer, int64_t deadline_ns) {
    struct timer_heap *heap = lock_heap_of(timer);
    if (heap == NULL) return false;
    timer->deadline_ns = deadline_ns;
    settle(heap, timer->index, timer);
    lock_release(&heap->lock);
    return true;
}

bool timer_rearm(struct timer *timer, int64_t deadline_ns, int64_t period_ns, uint64_t seq) {
    struct timer_heap *heap = lock_heap_of(timer);
    if (heap == NULL) return false;
    timer->deadline_ns = deadline_ns;
    timer->period_ns = period_ns;
    timer->seq = seq;
    settle(heap, timer->index, timer);
    lock_release(&heap->lock);
    return true;
}

bool timer_stop(struct timer *timer) {
    struct timer_heap *heap = lock_heap_of(timer);
    if (heap == NULL) return false;
    remove_locked(heap, timer);
    lock_release(&heap->lock);
    return true;
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
    if (timer->period_ns == 0) {
        remove_locked(heap, timer);
    } else {
        atomic_add_relaxed(&timer->references, 1); /* its owner holds one as long as it is in the heap */
        timer->deadline_ns = timer->period_ns == TIMER_HELD
                                 ? TIMER_LAST_NS
                                 : timer_advance(timer->deadline_ns, timer->period_ns, now_ns);
        settle(heap, 0, timer);
    }
    lock_release(&heap->lock);
    fire(timer, seq); /* which may be armed for another wait by now */
    return true;
}
