/* local.c: values that each task has of its own (pintle_local_*).
 *
 * A pintle_local is a number and a function; a task has an array of values, indexed by that number, which grows when a
 * task sets a value beyond its end. Numbers are never used again, so a value cannot be taken for another's.
 * At the task's end each value that is not NULL is set to NULL and given to its function, in the order of the numbers;
 * what these functions set is looked at again, up to ROUNDS_MOST times, as POSIX does for threads.
 * Threads: new: any; values: the task's own. Locks: none. Order: locals[i] release by its maker, acquire at the end.
 * Invariants: records live as long as the process. Tests: tests/api/test_local.c. */
#include "local.h"

#include "error.h"
#include "memory.h"
#include "scheduler.h"

enum { LOCALS_MOST = 1024, ROUNDS_MOST = 4, GROWTH = 8 };

struct pintle_local {
    uint32_t number;
    pintle_fn *destroy;
};

struct local_values {
    uint32_t count;
    void *values[];
};

static _Atomic uint32_t local_count;
static _Atomic(struct pintle_local *) locals[LOCALS_MOST];

int pintle_local_new(pintle_local **out, pintle_fn *destroy) {
    if (out == NULL) return error_set(PINTLE_EINVAL, 0, "pintle_local_new: out is NULL");
    struct pintle_local *local = memory_alloc(sizeof *local);
    uint32_t number = atomic_load_relaxed(&local_count);
    if (local == NULL) return error_set(PINTLE_ENOMEM, 0, "pintle_local_new: no memory");
    do {
        if (number >= LOCALS_MOST) {
            memory_free(local);
            return error_set(PINTLE_ELIMIT, 0,
                             "pintle_local_new: %d have been made, and there are no more: make one for "
                             "each purpose, not for each task",
                             LOCALS_MOST);
        }
    } while (!atomic_cas_acq_rel(&local_count, &number, number + 1));
    *local = (struct pintle_local){.number = number, .destroy = destroy};
    atomic_store_release(&locals[number], local);
    *out = local;
    return 0;
}

static struct pintle_task *current_task(void) {
    const struct thread *thread = thread_self();
    return thread != NULL ? thread->task : NULL;
}

void *pintle_local_get(pintle_local *local) {
    const struct pintle_task *task = current_task();
    if (local == NULL || task == NULL || task->locals == NULL || local->number >= task->locals->count) return NULL;
    return task->locals->values[local->number];
}

/* Makes room for that number; false: no memory. */
static bool grow(struct pintle_task *task, uint32_t number) {
    uint32_t before = task->locals != NULL ? task->locals->count : 0, count = (number / GROWTH + 1) * GROWTH;
    struct local_values *larger = memory_resize(task->locals, sizeof *larger + count * sizeof larger->values[0]);
    if (larger == NULL) return false;
    memset(&larger->values[before], 0, (count - before) * sizeof larger->values[0]);
    larger->count = count;
    task->locals = larger;
    return true;
}

int pintle_local_set(pintle_local *local, void *value) {
    struct pintle_task *task = current_task();
    if (local == NULL) return error_set(PINTLE_EINVAL, 0, "pintle_local_set: local is NULL");
    if (task == NULL) {
        return error_set(PINTLE_EINVAL, 0,
                         "pintle_local_set: this thread runs no task, and only tasks have such values");
    }
    bool has_room = task->locals != NULL && local->number < task->locals->count;
    if (!has_room && value == NULL) return 0;
    if (!has_room && !grow(task, local->number)) {
        return error_set(PINTLE_ENOMEM, 0, "pintle_local_set: no memory for the values of task %llu",
                         (unsigned long long)task->id);
    }
    task->locals->values[local->number] = value;
    atomic_fetch_or_explicit(&task->flags, TASK_LOCALS, memory_order_relaxed);
    return 0;
}

/* Destroys the values that there are; false: there were none. The array may move while a function runs. */
static bool destroy_once(struct pintle_task *task) {
    bool any = false;
    for (uint32_t i = 0; task->locals != NULL && i < task->locals->count; i++) {
        void *value = task->locals->values[i];
        if (value == NULL) continue;
        const struct pintle_local *local = atomic_load_acquire(&locals[i]);
        task->locals->values[i] = NULL;
        if (local == NULL || local->destroy == NULL) continue;
        any = true;
        local->destroy(value);
    }
    return any;
}

void locals_end(struct pintle_task *task) {
    for (int round = 0; round < ROUNDS_MOST && destroy_once(task); round++) {}
    locals_free(task);
}

void locals_free(struct pintle_task *task) {
    memory_free(task->locals);
    task->locals = NULL;
}
