/* global.c: the queue that all processors share, for what rings have no room for, for pinned tasks, and for whoever has no
 * processor. And whether there is work in any queue.
 * Threads: any. Locks: sched.lock. Order: global_count relaxed, a hint. Tests: tests/api/test_task.c, tests/stress. */
#include "scheduler.h"

void global_push_locked(struct pintle_task *task) {
    sched.global_bound += task->bound != NULL;
    task_list_push(&sched.global, task);
    atomic_store_relaxed(&sched.global_count, sched.global.count);
}

void global_append_locked(struct task_list *list) {
    task_list_append(&sched.global, list);
    atomic_store_relaxed(&sched.global_count, sched.global.count);
}

void global_push_list(struct task_list *list) {
    lock_acquire(&sched.lock);
    global_append_locked(list);
    lock_release(&sched.lock);
}

struct pintle_task *global_take_locked(struct processor *processor, uint32_t most) {
    uint32_t count = sched.global.count / sched.processor_count + 1;
    struct pintle_task *first = task_list_pop(&sched.global);
    if (first == NULL) return NULL;
    if (first->bound != NULL) sched.global_bound--;
    if (count > most) count = most;
    while (--count > 0 && sched.global.first != NULL && sched.global.first->bound == NULL) {
        struct task_list overflow = {0};
        struct pintle_task *task = task_list_pop(&sched.global);
        task_prefetch(task_ahead(task));
        if (!runq_push(&processor->runq, task, &overflow)) {
            task_list_append(&sched.global, &overflow);
            break;
        }
    }
    atomic_store_relaxed(&sched.global_count, sched.global.count);
    return first;
}

struct pintle_task *global_take(struct processor *processor, uint32_t most) {
    struct pintle_task *task;
    if (atomic_load_relaxed(&sched.global_count) == 0) return NULL;
    lock_acquire(&sched.lock);
    task = global_take_locked(processor, most);
    lock_release(&sched.lock);
    return task;
}

void sched_ready_list(struct task_list *list) {
    struct processor *processor = thread_own_processor();
    if (processor == NULL || runq_count(&processor->runq) + list->count > RUNQ_SLOTS) {
        global_push_list(list);
    } else {
        while (list->first != NULL) CHECK(runq_try_push(&processor->runq, task_list_pop(list)));
    }
    sched_wake_if_idle();
}

bool sched_has_work(void) {
    if (atomic_load_relaxed(&sched.global_count) != 0) return true;
    uint32_t used = atomic_load_relaxed(&sched.processors_used);
    for (uint32_t i = 0; i < used; i++) {
        if (!runq_is_empty(&sched.processors[i].runq)) return true;
    }
    return false;
}

uint32_t sched_work_count(void) {
    uint32_t count = atomic_load_relaxed(&sched.global_count), used = atomic_load_relaxed(&sched.processors_used);
    for (uint32_t i = 0; i < used; i++) count += runq_count(&sched.processors[i].runq);
    return count;
}
