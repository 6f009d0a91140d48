/* local.h: values that each task has of its own. local.c explains.
 * Threads: the task's. Locks: none. Tests: tests/api/test_local.c. */
#ifndef PINTLE_SRC_LOCAL_H
#define PINTLE_SRC_LOCAL_H

struct pintle_task;

/* Runs the destroy functions of the calling task's values and frees them. At its end, in task code. */
void locals_end(struct pintle_task *task);
/* Frees them without running anything: of a task that ended by a panic. */
void locals_free(struct pintle_task *task);

#endif
