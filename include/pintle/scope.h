/* pintle/scope.h: scopes, and cancelling. A scope is a group of tasks that end before it is closed: none is forgotten, the first
 * failure is kept, and all of them can be cancelled at once, by hand, by a failure, or by a deadline. Source: Trio's nurseries,
 * Go's errgroup and context.
 *
 *     pintle_scope *s;
 *     if ((code = pintle_scope_open(&s, pintle_after(PINTLE_S(5)))) != 0) return code;
 *     for (i = 0; i < n; i++) pintle_scope_go(s, fetch, &pages[i], NULL);
 *     return pintle_scope_close(s);    // waits for all; 0, or what the first that failed returned
 *
 * Which scope a task belongs to, from its first instruction to its last:
 *   spawned with pintle_scope_spawn, pintle_scope_go or pintle_task_options.scope   that one
 *   spawned otherwise (pintle_spawn, pintle_enter, …) by a task                     its spawner's, if that has one
 *   with pintle_task_options.scope = PINTLE_SCOPE_NONE                              none
 *   spawned by a foreign thread; a callback's on a foreign thread                   none
 * The task that opens a scope is no member of it, and belongs where it belonged before.
 *
 * Cancelling a task ends each of its waits, the one it is in and those to come, with PINTLE_ECANCELED: sleeps, joins, channels,
 * selects, events, semaphores, conditions, groups. What need not wait still succeeds. Not ended are locks taken with
 * PINTLE_FOREVER, waits between pintle_cancel_mask and _unmask, the waits of threads that are no tasks, and foreign calls, which are
 * reached only where the caller asked (pintle_call_interruptible, pintle_call_until). A cancelled task stays so until it ends: it is
 * to clean up and return. */
#ifndef PINTLE_SCOPE_H
#define PINTLE_SCOPE_H

#include "pintle/task.h"

#if defined(__cplusplus)
extern "C" {
#endif

/* For pintle_task_options.scope: the task belongs to no scope, whoever spawns it. For what is to live on: it is not waited for, and
 * not cancelled but by pintle_task_cancel and the end of pintle_run. */
#define PINTLE_SCOPE_NONE ((pintle_scope *)(uintptr_t)1)

/* Effect: opens a scope. At the deadline it is cancelled, with the reason ETIMEDOUT. It nests in the scope that the calling task
 * belongs to: it is cancelled with that one, and ends by its deadline, if that comes sooner. Opened by a task that has masked
 * cancelling, it does not nest: what cleans up after a cancel needs scopes too.
 * The opener closes it. Where a panic or pintle_task_exit discards the code that would have, its tasks are cancelled and waited for, and it is
 * closed, before deferred functions run. A task that returns with a scope open panics, after the same.
 * Blocks: no. From: any. Errors: ENOMEM, ESTOPPED, EINVAL (a duration, out is NULL). */
PINTLE_API int pintle_scope_open(pintle_scope **out, int64_t deadline_ns);

/* Effect: a new task of the scope runs fn(arg). It is detached: the scope waits for it. If it panics, and nobody stops the panic,
 * that is the scope's failure (EPANIC), and cancels the scope. Spawned in a cancelled scope it is cancelled from the
 * start, but does run: it may own what arg points to. Blocks: no. From: any.
 * Errors: ENOMEM, ELIMIT, ESTOPPED; ECLOSED (the scope is closed; noticed as long as its record is not in use again). */
PINTLE_API int pintle_scope_spawn(pintle_scope *scope, pintle_fn *fn, void *arg);

/* The same for a function with a result: one that is not 0 is the scope's failure, if it is the first, and cancels the scope.
 * Options (NULL: defaults) may give a name, a stack, a pin; their scope has to be NULL or this one. Errors: EINVAL too. */
PINTLE_API int pintle_scope_go_sized(pintle_scope *scope, pintle_main_fn *fn, void *arg,
                                     const pintle_task_options *options, size_t size);
static inline int pintle_scope_go(pintle_scope *scope, pintle_main_fn *fn, void *arg,
                                  const pintle_task_options *options) {
    return pintle_scope_go_sized(scope, fn, arg, options, sizeof(pintle_task_options));
}

/* Effect: cancels the scope: all of its tasks, and the scopes that nest in it, now and to come. A second time does nothing; nor
 * does it on a closed scope (as far as that is noticed). Blocks: no. From: any. */
PINTLE_API void pintle_scope_cancel(pintle_scope *scope);

/* Whether the scope has been cancelled, by whatever. Blocks: no. From: any. */
PINTLE_API bool pintle_scope_canceled(const pintle_scope *scope);

/* Effect: waits until the scope has no tasks, however they ended; it stays open. Blocks: task. From: any, but not its own tasks.
 * Errors: ETIMEDOUT, EAGAIN (the text names who is left), ECANCELED (the caller was), EDEADLK (the caller is in the scope),
 * ECLOSED, EINVAL, ENOMEM. */
PINTLE_API int pintle_scope_wait(pintle_scope *scope, int64_t deadline_ns);

/* Effect: waits until the scope has no tasks, and closes it; the handle is gone. It does not cancel them, unless the caller is or
 * gets cancelled meanwhile: then the scope is too, and waited for all the same. The result is the first failure: 0; what a function
 * given to pintle_scope_go returned; EPANIC (a task panicked: the text has its message); ETIMEDOUT (its
 * deadline, or that of one it nests in, passed before its tasks had ended). pintle_scope_cancel alone is no failure.
 * Blocks: task. From: any, but its opener only: another's is a panic. */
PINTLE_API int pintle_scope_close(pintle_scope *scope);

/* Effect: cancels that task alone, with scopes that it has open as soon as it waits for them. Nothing if it is over. The handle must
 * be valid: neither joined nor detached. Blocks: no. From: any. */
PINTLE_API void pintle_task_cancel(pintle_task *task);

/* Whether the calling task has been cancelled, masked or not; and why: PINTLE_ECANCELED, PINTLE_ETIMEDOUT (a scope's deadline),
 * PINTLE_ESTOPPED (the end of pintle_run), 0: it is not. The first reason stays. False and 0 on threads that are no tasks. For code that computes.
 * Blocks: no. From: any. */
PINTLE_API bool pintle_canceled(void);
PINTLE_API int pintle_cancel_reason(void);

/* Effect: between the two, which nest, cancelling does not end the calling task's waits: for what has to be finished. Unmasking does
 * not end anything by itself: the next wait does. Blocks: no. From: task. Unmasking too often is a panic. */
PINTLE_API void pintle_cancel_mask(void);
PINTLE_API void pintle_cancel_unmask(void);

#if defined(__cplusplus)
}
#endif

#endif
