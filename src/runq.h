/* runq.h: a processor's bounded run queue (protocol RING), and intrusive lists of tasks.
 *
 *   next    the task just made ready; runs before the ring and inherits the time slice. Taken by compare-and-swap, since
 *           thieves may take it too (from a processor that is busy for long).
 *   ring    one producer, the owner, at `tail`; consumers, the owner and thieves, take from `head` by compare-and-swap;
 *           thieves take half. Full: half goes to the global queue.
 * Drawn from Go's runtime (runqput, runqget, runqgrab), whose proof of the ring it shares: a slot is read before the
 * head moves, and the producer never writes a slot that the head has not passed.
 * Threads: push and pop: the owner; steal: any. Order: tail store release / load acquire publishes the slots; head CAS.
 * Invariants: tail - head <= RUNQ_SLOTS. Tests: tests/unit/test_runq.c. */
#ifndef PINTLE_SRC_RUNQ_H
#define PINTLE_SRC_RUNQ_H

#include "atomic.h"

struct pintle_task;

enum { RUNQ_SLOTS = 256 };

struct runq {
    alignas(CACHE_LINE) _Atomic uint32_t head;
    _Atomic uint32_t tail;
    _Atomic(struct pintle_task *) next;
    alignas(CACHE_LINE) _Atomic(struct pintle_task *) slots[RUNQ_SLOTS];
};

/* A FIFO of tasks through task->next; guarded by its owner's lock. */
struct task_list {
    struct pintle_task *first, *last;
    uint32_t count;
};

void task_list_push(struct task_list *list, struct pintle_task *task);
struct pintle_task *task_list_pop(struct task_list *list);
void task_list_append(struct task_list *list, struct task_list *from); /* empties from */

static inline _Atomic(struct pintle_task *) *runq_slot(struct runq *queue, uint32_t index) {
    return &queue->slots[index % RUNQ_SLOTS];
}

/* The owner's operations, inlined: they are each switch's. */

/* False: the ring is full. */
static inline bool runq_try_push(struct runq *queue, struct pintle_task *task) {
    uint32_t head = atomic_load_acquire(&queue->head); /* acquire: the consumers have read the slots we reuse */
    uint32_t tail = atomic_load_relaxed(&queue->tail);
    if (UNLIKELY(tail - head >= RUNQ_SLOTS)) return false;
    atomic_store_relaxed(runq_slot(queue, tail), task);
    atomic_store_release(&queue->tail, tail + 1); /* pairs with the acquire in steal */
    return true;
}

/* The ring's head; NULL: empty. */
static inline struct pintle_task *runq_pop(struct runq *queue) {
    uint32_t head = atomic_load_acquire(&queue->head);
    for (;;) {
        struct pintle_task *task;
        if (head == atomic_load_relaxed(&queue->tail)) return NULL; /* the owner's own store */
        task = atomic_load_relaxed(runq_slot(queue, head));
        if (LIKELY(atomic_cas_acq_rel(&queue->head, &head, head + 1))) return task;
    }
}

/* Puts the task in `next` and returns what was there (NULL: nothing), which the caller pushes. */
static inline struct pintle_task *runq_push_next(struct runq *queue, struct pintle_task *task) {
    if (LIKELY(atomic_load_relaxed(&queue->next) == NULL)) { /* and stays so: only the owner fills it */
        atomic_store_release(&queue->next, task);
        return NULL;
    }
    return atomic_swap_acq_rel(&queue->next, task);
}

/* The next slot; NULL: empty. */
static inline struct pintle_task *runq_pop_next(struct runq *queue) {
    struct pintle_task *task = atomic_load_relaxed(&queue->next);
    /* On failure a thief took it; only the owner fills it, so it stays empty. */
    if (task == NULL || !atomic_cas_acq_rel(&queue->next, &task, NULL)) return NULL;
    return task;
}

/* From any thread; a push between the reads makes it look full, never empty. */
static inline bool runq_is_empty(struct runq *queue) {
    uint32_t head = atomic_load_acquire(&queue->head);
    if (atomic_load_relaxed(&queue->next) != NULL) return false;
    return head == atomic_load_acquire(&queue->tail);
}

/* From any thread; a hint. */
static inline uint32_t runq_count(struct runq *queue) {
    uint32_t head = atomic_load_acquire(&queue->head);
    return atomic_load_acquire(&queue->tail) - head + (atomic_load_relaxed(&queue->next) != NULL);
}

/* Nothing in the ring; in the slot there may be one. From any thread: a hint. */
static inline bool runq_ring_is_empty(struct runq *queue) {
    return atomic_load_relaxed(&queue->head) == atomic_load_relaxed(&queue->tail);
}

/* True: queued. False: the ring was full; then half of it and the task are in *out_overflow, for the global queue. */
bool runq_push(struct runq *queue, struct pintle_task *task, struct task_list *out_overflow);
/* The full ring's part of it: moves half of the ring, then the task, to the list. False: it is not full any more. */
COLD bool runq_overflow(struct runq *queue, struct pintle_task *task, struct task_list *out_overflow);
/* Takes half of `from`'s ring (its `next` if the ring is empty) into `into`, which the caller owns, and returns one of
 * them to run; NULL: nothing there. *out_count: how many were taken. */
struct pintle_task *runq_steal(struct runq *into, struct runq *from, uint32_t *out_count);
/* Everything, in order, next first. */
void runq_drain(struct runq *queue, struct task_list *out_list);

#endif
