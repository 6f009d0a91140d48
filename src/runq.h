/* runq.h: a processor's bounded run queue (protocol RING), and intrusive lists of tasks.
 *
 *   next    the task just made ready; runs before the ring and inherits the time slice. Thieves may take it too (from a
 *           processor that is busy for long).
 *   ring    one producer, the owner, at `tail`; consumers, the owner and thieves, take from `head`;
 *           thieves take half. Full: half goes to the global queue.
 * Drawn from Go's runtime (runqput, runqget, runqgrab), whose proof of the ring it shares: a slot is read before the
 * head moves, and the producer never writes a slot that the head has not passed.
 *
 * Who takes does so by compare-and-swap. But where one thread can fence all others (take.h), the owner needs none, as long as it
 * is alone, which is nearly always:
 *
 *   owner                                   thief
 *     O1 taking = 1, a plain store            T1 CAS(alone, 1 -> 0): one thief at a time
 *     O2 alone == 1? takes by plain stores    T2 a full fence in every thread of the process
 *        else by compare-and-swap             T3 taking == 0? takes by compare-and-swap, else gives up
 *     O3 taking = 0                           T4 alone = 1
 * T2 falls before O1, then O2 sees that it is not alone; or after it, then T3 sees that the owner is at it, or what it has taken.
 *
 * Threads: push and pop: the owner; steal: any. Order: tail store release / load acquire publishes the slots; head CAS, or head
 * store release / load acquire; O1 to O3 in program order, T2 makes it enough; T4 release / O2 acquire.
 * Invariants: tail - head <= RUNQ_SLOTS. Tests: tests/unit/test_runq.c, tests/model/ring.pml. */
#ifndef PINTLE_SRC_RUNQ_H
#define PINTLE_SRC_RUNQ_H

#include "atomic.h"

struct pintle_task;

enum { RUNQ_SLOTS = 256 };

struct runq {
    alignas(CACHE_LINE) _Atomic uint32_t head;
    _Atomic uint32_t tail;
    _Atomic(struct pintle_task *) next;
    _Atomic uint32_t taking; /* the owner's */
    _Atomic uint32_t
        alone;   /* 1: no thief is at it; 0: one is, or the owner takes by compare-and-swap as thieves do, always */
    bool fences; /* constant: which of these */
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

/* Empty. fences: os_fence_threads can be relied on. */
static inline void runq_init(struct runq *queue, bool fences) {
    queue->fences = fences;
    atomic_store_relaxed(&queue->alone, fences);
}

/* O1, O2, O3. */
static inline bool runq_take_begin(struct runq *queue) {
    atomic_store_relaxed(&queue->taking, 1);
    atomic_signal_fence(memory_order_seq_cst); /* for the compiler */
    return LIKELY(atomic_load_acquire(&queue->alone) != 0);
}
static inline void runq_take_end(struct runq *queue) { atomic_store_release(&queue->taking, 0); }

static inline struct pintle_task *runq_pop_shared(struct runq *queue) {
    uint32_t head = atomic_load_acquire(&queue->head);
    for (;;) {
        struct pintle_task *task;
        if (head == atomic_load_relaxed(&queue->tail)) return NULL; /* the owner's own store */
        task = atomic_load_relaxed(runq_slot(queue, head));
        if (LIKELY(atomic_cas_acq_rel(&queue->head, &head, head + 1))) return task;
    }
}

/* The ring's head; NULL: empty. */
static inline struct pintle_task *runq_pop(struct runq *queue) {
    struct pintle_task *task = NULL;
    if (runq_take_begin(queue)) {
        uint32_t head = atomic_load_relaxed(&queue->head);
        if (head != atomic_load_relaxed(&queue->tail)) { /* the owner's own stores */
            task = atomic_load_relaxed(runq_slot(queue, head));
            atomic_store_release(&queue->head, head + 1);
        }
    } else {
        task = runq_pop_shared(queue);
    }
    runq_take_end(queue);
    return task;
}

/* Puts the task in `next` and returns what was there (NULL: nothing), which the caller pushes. */
static inline struct pintle_task *runq_push_next(struct runq *queue, struct pintle_task *task) {
    if (LIKELY(atomic_load_relaxed(&queue->next) == NULL)) { /* and stays so: only the owner fills it */
        atomic_store_release(&queue->next, task);
        return NULL;
    }
    struct pintle_task *kicked;
    if (runq_take_begin(queue)) {
        kicked = atomic_load_relaxed(&queue->next);
        atomic_store_release(&queue->next, task);
    } else {
        kicked = atomic_swap_acq_rel(&queue->next, task);
    }
    runq_take_end(queue);
    return kicked;
}

/* The next slot; NULL: empty. */
static inline struct pintle_task *runq_pop_next(struct runq *queue) {
    struct pintle_task *task = atomic_load_relaxed(&queue->next);
    if (task == NULL) return NULL; /* only the owner fills it, so it stays empty */
    if (runq_take_begin(queue)) {
        task = atomic_load_relaxed(&queue->next); /* a thief may have been there before */
        atomic_store_relaxed(&queue->next, NULL);
    } else if (!atomic_cas_acq_rel(&queue->next, &task, NULL)) {
        task = NULL; /* a thief took it */
    }
    runq_take_end(queue);
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
 * them to run; NULL: nothing there, or another is at it. *out_count: how many were taken. */
struct pintle_task *runq_steal(struct runq *into, struct runq *from, uint32_t *out_count);
/* Everything, in order, next first. */
void runq_drain(struct runq *queue, struct task_list *out_list);

#endif
