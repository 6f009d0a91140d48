/* pintle/call.h: foreign calls. */
#ifndef PINTLE_CALL_H
#define PINTLE_CALL_H

#include "pintle/base.h"

#if defined(__cplusplus)
extern "C" {
#endif

/* Effect: runs fn(arg) on the OS thread's own stack and returns its value; never fails itself. If fn blocks, the
 * processor goes to somebody else, and the task waits for one when fn returns, maybe on another thread (unless
 * pinned). errno and the Windows last error come along. In fn no function whose From is "task" may be called.
 * Called in a call or on a foreign thread, it just calls fn.
 * Blocks: task, as long as fn does. From: any. */
PINTLE_API int pintle_call(int (*fn)(void *), void *arg);

/* The same for a function known to block: the processor is handed on first. */
PINTLE_API int pintle_call_blocking(int (*fn)(void *), void *arg);

/* Effect: the same as pintle_call_blocking, for a function that is to end early when the calling task is cancelled (pintle/scope.h): its
 * thread is then interrupted, at once and again after 1, 2, 4 … 100 ms, until fn returns. On POSIX by a signal
 * (pintle_options.cancel_signal): the system call that fn is in ends with EINTR, unless it is one that starts again by itself; fn has to
 * return then, and must not try again, as libraries like to. On Windows by CancelSynchronousIo: synchronous I/O ends with
 * ERROR_OPERATION_ABORTED; waits (Sleep, WaitForSingleObject) are not touched. The result is fn's in any case. No other call is ever
 * interrupted: not those that follow, nor those made in a callback of fn. What was cancelled before is
 * interrupted all the same; called between pintle_cancel_mask and _unmask it is pintle_call_blocking. */
PINTLE_API int pintle_call_interruptible(int (*fn)(void *), void *arg);

/* Effect: runs fn(arg) as a blocking foreign call and waits for it until the deadline: 0, and *out_value (NULL: not wanted)
 * is fn's value. A task of its own makes the call: that is who callbacks of fn run as. EPANIC: one of them ended the call by a panic
 * (whose text is in pintle_error_get), or by pintle_task_exit; fn did not return. After any other value the call goes on
 * alone; when it ends, drop(arg) runs (NULL: nothing), in a task, and then a panic that it ended by is as that of a task which
 * nobody joins. So arg belongs to the caller again after 0 and EPANIC, and to the call after everything else but EINVAL,
 * ENOMEM, ELIMIT and ESTOPPED (the call was not made). At most 500 such calls, and no more than half of max_threads, are in flight
 * at a time, abandoned ones too; others wait for their turn, and if that does not come, are not made: drop(arg) runs before
 * this returns. No scope waits for an abandoned call. Blocks: task. From: any.
 * Errors: ETIMEDOUT (at once where there is no memory for the deadline's timer); EAGAIN (PINTLE_NOWAIT); ECANCELED; EINVAL
 * (a duration for a deadline); EPANIC; ENOMEM, ELIMIT, ESTOPPED. */
PINTLE_API int pintle_call_until(int (*fn)(void *), void *arg, pintle_fn *drop, int64_t deadline_ns, int *out_value);

/* Effect: the code between the two may block; the processor is handed on, the code stays on the task's stack. No
 * function whose From is "task" may be called between. Does not nest. Blocks: end waits for a processor.
 * From: task. */
PINTLE_API void pintle_blocking_begin(void);
PINTLE_API void pintle_blocking_end(void);

#if defined(__cplusplus)
}
#endif

#endif
