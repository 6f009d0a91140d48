/* pintle/task.h: tasks, pins, sleeping, panics. */
#ifndef PINTLE_TASK_H
#define PINTLE_TASK_H

#include "pintle/base.h"

#if defined(__cplusplus)
extern "C" {
#endif

typedef struct pintle_task pintle_task;
typedef struct pintle_scope pintle_scope;

typedef struct pintle_task_options {
    size_t size;         /* sizeof(pintle_task_options), or 0 */
    const char *name;    /* copied, cut at 31 bytes; NULL: none */
    size_t stack_bytes;  /* 0: the runtime's, 1 MB if pinned */
    bool pinned;         /* starts pinned to the thread that first runs it */
    pintle_scope *scope; /* the scope it belongs to; NULL: its spawner's; PINTLE_SCOPE_NONE: none (pintle/scope.h) */
} pintle_task_options;

/* Effect: makes a task that runs fn(arg). With out_task the caller must join or detach it; with NULL it is
 * detached. Blocks: no. From: any. Errors: ENOMEM, ELIMIT (max_tasks), ESTOPPED; nothing is left behind. */
PINTLE_API int pintle_spawn(pintle_task **out_task, pintle_fn *fn, void *arg);
PINTLE_API int pintle_spawn_with_sized(pintle_task **out_task, pintle_fn *fn, void *arg,
                                       const pintle_task_options *options, size_t size);
PINTLE_INLINE int pintle_spawn_with(pintle_task **out_task, pintle_fn *fn, void *arg,
                                    const pintle_task_options *options) {
    return pintle_spawn_with_sized(out_task, fn, arg, options, sizeof(pintle_task_options));
}

/* Effect: waits until the task is over, then frees it. After 0 or EPANIC the handle is gone; after any other
 * value it still is the caller's. Only one may join a task. Blocks: task. From: any.
 * Errors: EPANIC (it ended by a panic), ETIMEDOUT, EAGAIN, ECANCELED, EINVAL (deadline, NULL), EDEADLK (itself). */
PINTLE_API int pintle_join(pintle_task *task, int64_t deadline_ns);

/* Effect: nobody will join the task; it frees itself at its end. The handle is gone. Blocks: no. From: any. */
PINTLE_API void pintle_task_detach(pintle_task *task);

/* The calling task; NULL outside of tasks. In a call: the task that made it. Blocks: no. From: any. */
PINTLE_API pintle_task *pintle_self(void);

/* A number that no other task of this process run has, and the name given ("" if none). A NULL task: 0 and "".
 * Blocks: no. From: any, while the handle is valid. */
PINTLE_API uint64_t pintle_task_id(const pintle_task *task);
PINTLE_API const char *pintle_task_name(const pintle_task *task);

/* Effect: lets other runnable tasks go first. Blocks: task, until its turn comes. From: task. */
PINTLE_API void pintle_yield(void);

/* Effect: ends the calling task as if its function had returned. From: task. Does not return. */
PINTLE_API PINTLE_NORETURN void pintle_task_exit(void);

/* Effect: from now on the task runs on this OS thread only, and nothing else runs on it, until as many unpins.
 * For what is bound to a thread: COM, windows, thread-local state, CRITICAL_SECTION. A task that ends pinned takes
 * its thread with it. Blocks: no. From: task. Unpinning too often is a panic. Source: Go's LockOSThread. */
PINTLE_API void pintle_pin(void);
PINTLE_API void pintle_unpin(void);

/* Whether the calling task is pinned, by itself or by a callback; false where there is no task.
 * Blocks: no. From: any. */
PINTLE_API bool pintle_pinned(void);

/* Effect: waits; a sleep of 0 or less yields. Blocks: task. From: any.
 * Errors: ECANCELED; EINVAL (pintle_sleep_until with a duration). */
PINTLE_API int pintle_sleep(int64_t duration_ns);
PINTLE_API int pintle_sleep_until(int64_t deadline_ns);

/* A value that each task has of its own, as thread-local variables are for threads. */
typedef struct pintle_local pintle_local;

/* Effect: makes one, NULL in every task at first. Made once for each purpose, up to 1,024 in a process; never freed.
 * destroy (may be NULL) gets each value that is not NULL when its task ends, also by pintle_task_exit; it runs as the
 * last of the task's code and may wait, call and set values, which are destroyed too (up to four rounds). A task that
 * ends by a panic runs no destroy functions. Blocks: no. From: any. Errors: ELIMIT, ENOMEM, EINVAL. */
PINTLE_API int pintle_local_new(pintle_local **out, pintle_fn *destroy);

/* Effect: the calling task's value; in a call: that of the task that made the call. get: NULL where none was set, and on
 * a foreign thread. set does not destroy the value that was there. Blocks: no. From: task, in a call.
 * Errors (set): EINVAL (NULL, or on a foreign thread, which has no values), ENOMEM. */
PINTLE_API void *pintle_local_get(pintle_local *local);
PINTLE_API int pintle_local_set(pintle_local *local, void *value);

#if defined(__cplusplus)
}
#endif

#endif
