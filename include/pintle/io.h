/* pintle/io.h: waiting for descriptors and handles, and input and output that park the task, not a thread. */
#ifndef PINTLE_IO_H
#define PINTLE_IO_H

#include "pintle/base.h"

#if defined(__cplusplus)
extern "C" {
#endif

/* ---- What others own ---------------------------------------------------------------------------------------
 * Sockets of a C library, an eventfd, an inotify descriptor; processes, events, semaphores. They stay as they are: nothing
 * is set to non-blocking, nothing is left registered when the wait is over. No thread is taken for a wait (Windows: one for
 * 63 handles). */

/* Effect: waits until the descriptor is ready for one of the events (poll()'s: POLLIN, POLLOUT, POLLPRI, POLLRDHUP; POLLERR and POLLHUP
 * always count), and returns those that it is ready for. A file is always ready. Several may wait for one descriptor: all are
 * woken. Closing it wakes nobody, as with poll(): wake them first, or give them a deadline.
 * Blocks: task (a thread that is no task, or in a call, blocks itself). From: any.
 * Errors: ETIMEDOUT, EAGAIN, ECANCELED; EINVAL (no open descriptor; a duration for a deadline); ENOMEM, ELIMIT (the system
 * makes no poller, or watches no more); ESTOPPED; ENOTSUP (Windows). */
PINTLE_API int pintle_wait_fd(int fd, unsigned events, int64_t deadline_ns);

/* Effect: waits until the handle is signalled, and takes the signal as WaitForSingleObject does: of an auto-reset event, a
 * semaphore, a timer, one waiter is woken for each signal. A mutex must not be waited for like this: another thread would own it.
 * Until 0 is returned no signal is lost: one that comes at the deadline is given back to an auto-reset event or a semaphore.
 * The handle needs SYNCHRONIZE, and may be closed meanwhile; the wait goes on for the object.
 * Blocks: task (a thread that is no task, or in a call, blocks itself). From: any.
 * Errors: ETIMEDOUT, EAGAIN, ECANCELED; EINVAL (no handle, or none that can be waited for; a duration for a deadline); ENOMEM,
 * ELIMIT; ESTOPPED; ENOTSUP (POSIX). */
PINTLE_API int pintle_wait_handle(void *handle, int64_t deadline_ns);

#if defined(__cplusplus)
}
#endif

#endif
