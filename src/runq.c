/* runq.c: see runq.h. */
#include "runq.h"

#include "task.h"

#define SLOT(queue, index) (&(queue)->slots[(index) % RUNQ_SLOTS])

void task_list_push(struct task_list *list, struct pintle_task *task) {
    task->next = NULL;
    if (list->last == NULL) {
        list->first = task;
    } else {
        list->last->next = task;
    }
    list->last = task;
    list->count++;
}

struct pintle_task *task_list_pop(struct task_list *list) {
    struct pintle_task *task = list->first;
    if (task == NULL) return NULL;
    list->first = task->next;
    if (list->first == NULL) list->last = NULL;
    list->count--;
    return task;
}

void task_list_append(struct task_list *list, struct task_list *from) {
    if (from->first == NULL) return;
    if (list->last == NULL) {
        list->first = from->first;
    } else {
        list->last->next = from->first;
    }
    list->last = from->last;
    list->count += from->count;
    *from = (struct task_list){ 0 };
}

/* Moves half of a full ring, then the task, to the list. False: thieves made room meanwhile. */
static COLD bool overflow(struct runq *queue, struct pintle_task *task, uint32_t head, struct task_list *out_overflow) {
    struct pintle_task *batch[RUNQ_SLOTS / 2];
    for (uint32_t i = 0; i < RUNQ_SLOTS / 2; i++) batch[i] = atomic_load_relaxed(SLOT(queue, head + i));
    if (!atomic_cas_acq_rel(&queue->head, &head, head + RUNQ_SLOTS / 2)) return false;
    for (uint32_t i = 0; i < RUNQ_SLOTS / 2; i++) task_list_push(out_overflow, batch[i]);
    task_list_push(out_overflow, task);
    return true;
}

bool runq_push(struct runq *queue, struct pintle_task *task, struct task_list *out_overflow) {
    for (;;) {
        uint32_t head = atomic_load_acquire(&queue->head); /* acquire: the consumers have read the slots we reuse */
        uint32_t tail = atomic_load_relaxed(&queue->tail);
        if (LIKELY(tail - head < RUNQ_SLOTS)) {
            atomic_store_relaxed(SLOT(queue, tail), task);
            atomic_store_release(&queue->tail, tail + 1); /* pairs with the acquire in pop and steal */
            return true;
        }
        if (overflow(queue, task, head, out_overflow)) return false;
    }
}

struct pintle_task *runq_push_next(struct runq *queue, struct pintle_task *task) {
    return atomic_swap_acq_rel(&queue->next, task);
}

struct pintle_task *runq_pop_next(struct runq *queue) {
    struct pintle_task *task = atomic_load_relaxed(&queue->next);
    /* On failure a thief took it; only the owner fills it, so it stays empty. */
    if (task == NULL || !atomic_cas_acq_rel(&queue->next, &task, NULL)) return NULL;
    return task;
}

struct pintle_task *runq_pop(struct runq *queue) {
    uint32_t head = atomic_load_acquire(&queue->head);
    for (;;) {
        struct pintle_task *task;
        if (head == atomic_load_relaxed(&queue->tail)) return NULL; /* the owner's own store */
        task = atomic_load_relaxed(SLOT(queue, head));
        if (atomic_cas_acq_rel(&queue->head, &head, head + 1)) return task;
    }
}

struct pintle_task *runq_steal(struct runq *into, struct runq *from, uint32_t *out_count) {
    uint32_t into_tail = atomic_load_relaxed(&into->tail), head = atomic_load_acquire(&from->head);
    for (;;) {
        uint32_t tail = atomic_load_acquire(&from->tail), count = tail - head;
        count -= count / 2;
        if (count > RUNQ_SLOTS / 2) { /* head and tail were not read at one time */
            head = atomic_load_acquire(&from->head);
            continue;
        }
        if (count == 0) {
            struct pintle_task *task = atomic_load_relaxed(&from->next);
            if (task == NULL || !atomic_cas_acq_rel(&from->next, &task, NULL)) return NULL;
            *out_count = 1;
            return task;
        }
        /* `into` is empty (its owner looks elsewhere only then), so half a ring fits. */
        for (uint32_t i = 0; i < count; i++) {
            atomic_store_relaxed(SLOT(into, into_tail + i), atomic_load_relaxed(SLOT(from, head + i)));
        }
        if (!atomic_cas_acq_rel(&from->head, &head, head + count)) continue;
        *out_count = count;
        struct pintle_task *task = atomic_load_relaxed(SLOT(into, into_tail + count - 1));
        atomic_store_release(&into->tail, into_tail + count - 1);
        return task;
    }
}

void runq_drain(struct runq *queue, struct task_list *out_list) {
    struct pintle_task *task = runq_pop_next(queue);
    if (task != NULL) task_list_push(out_list, task);
    while ((task = runq_pop(queue)) != NULL) task_list_push(out_list, task);
}

bool runq_is_empty(struct runq *queue) {
    /* The tail is read last: a push between the two reads makes it look full, never empty. */
    uint32_t head = atomic_load_acquire(&queue->head);
    if (atomic_load_relaxed(&queue->next) != NULL) return false;
    return head == atomic_load_acquire(&queue->tail);
}
