/* cancel.h: cancelling a task: what its scope, others, or the end of the runtime do to it. How a wait is ended: wait.h, CANCEL.
 * Threads: any. Locks: guards. Order: cancel_reason before TASK_CANCELED, a seq_cst step. Tests: tests/api/test_cancel.c. */
#ifndef PINTLE_SRC_CANCEL_H
#define PINTLE_SRC_CANCEL_H

#include "task.h"

/* Ends the task's waits, now and from now on. The record may be of a task that is over, but not another's by now. */
void task_cancel(struct pintle_task *task, int reason);
/* The same for many at a time: each begins; then, for those where it says true, one task_cancel_fence, and each ends. */
bool task_cancel_begin(struct pintle_task *task, int reason);
void task_cancel_fence(void);
void task_cancel_end(struct pintle_task *task);
/* 0: it is not cancelled. */
static inline int task_cancel_reason(struct pintle_task *task) {
    if (!(atomic_load_acquire(&task->flags) & TASK_CANCELED)) return 0;
    return atomic_load_relaxed(&task->cancel_reason);
}
/* Every task: the runtime ends. */
void cancel_all(void);

#endif
