/* runq.c: see runq.h. */
#include "runq.h"

#include "arch.h"
#include "os.h"
#include "task.h"

enum { TAKING_SPINS = 100 };

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
    *from = (struct task_list){0};
}

bool runq_overflow(struct runq *queue, struct pintle_task *task, struct task_list *out_overflow) {
    struct pintle_task *batch[RUNQ_SLOTS / 2];
    uint32_t head = atomic_load_acquire(&queue->head);
    /* Full when the push looked, but thieves may have come since, more than once: then half a ring is not there to take. */
    if (atomic_load_relaxed(&queue->tail) - head != RUNQ_SLOTS) return false;
    for (uint32_t i = 0; i < RUNQ_SLOTS / 2; i++) batch[i] = atomic_load_relaxed(runq_slot(queue, head + i));
    if (!atomic_cas_acq_rel(&queue->head, &head, head + RUNQ_SLOTS / 2)) return false;
    for (uint32_t i = 0; i < RUNQ_SLOTS / 2; i++) {
        task_set_ahead(batch[i], i + AHEAD < RUNQ_SLOTS / 2 ? batch[i + AHEAD] : task);
        task_list_push(out_overflow, batch[i]);
    }
    task_list_push(out_overflow, task);
    return true;
}

bool runq_push(struct runq *queue, struct pintle_task *task, struct task_list *out_overflow) {
    while (!runq_try_push(queue, task)) {
        if (runq_overflow(queue, task, out_overflow)) return false;
    }
    return true;
}

static struct pintle_task *steal_shared(struct runq *into, struct runq *from, uint32_t *out_count) {
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
            atomic_store_relaxed(runq_slot(into, into_tail + i), atomic_load_relaxed(runq_slot(from, head + i)));
        }
        if (!atomic_cas_acq_rel(&from->head, &head, head + count)) continue;
        *out_count = count;
        struct pintle_task *task = atomic_load_relaxed(runq_slot(into, into_tail + count - 1));
        atomic_store_release(&into->tail, into_tail + count - 1);
        return task;
    }
}

/* T3. An owner whose CPU was taken away at the wrong moment: better luck next time. */
static bool owner_takes(struct runq *queue) {
    for (int spin = 0; atomic_load_acquire(&queue->taking) != 0; spin++) {
        if (spin == TAKING_SPINS) return true;
        arch_pause();
    }
    return false;
}

struct pintle_task *runq_steal(struct runq *into, struct runq *from, uint32_t *out_count) {
    struct pintle_task *task = NULL;
    uint32_t alone = 1;
    if (!from->fences) return steal_shared(into, from, out_count);
    if (runq_is_empty(from) || !atomic_cas_acq_rel(&from->alone, &alone, 0)) return NULL; /* T1 */
    if (os_fence_threads() && !owner_takes(from)) task = steal_shared(into, from, out_count);
    atomic_store_release(&from->alone, 1);
    return task;
}

void runq_drain(struct runq *queue, struct task_list *out_list) {
    struct pintle_task *task = runq_pop_next(queue);
    if (task != NULL) task_list_push(out_list, task);
    while ((task = runq_pop(queue)) != NULL) task_list_push(out_list, task);
}
