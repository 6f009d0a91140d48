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

/* ---- What we own -------------------------------------------------------------------------------------------
 * Sockets, pipes and files whose reads and writes park the task. Of one pintle_io one task may read and another write at the
 * same time, and several may do the same: what each gets is whole, in no order that is promised. After a deadline or a cancel
 * nothing is left under way, and the buffer is the caller's again; what had been read or written by then is told, not lost. */
typedef struct pintle_io pintle_io;

enum {
    PINTLE_IO_READ = 1,
    PINTLE_IO_WRITE = 2,
    PINTLE_IO_CREATE = 4,   /* makes the file if there is none */
    PINTLE_IO_TRUNCATE = 8, /* empties it */
    PINTLE_IO_APPEND = 16   /* each write goes to the end */
};
enum { PINTLE_IO_ADDRESS_BYTES = 128 };

/* Effect: opens a file. Reads and writes go on from where the last ended. Its reads and writes are foreign calls: what the
 * system has in memory is fast, a slow disk keeps a thread and no processor. Deadlines do not interrupt them. The path is UTF-8;
 * on Windows \\.\pipe\name is a named pipe's client end, whose reads and writes park.
 * Blocks: task. From: any. Errors: ENOTFOUND, EACCES, ELIMIT, ENOMEM, EINVAL, EOS. */
PINTLE_API int pintle_io_open(pintle_io **out, const char *path, unsigned flags);

/* Effect: takes over a descriptor (made non-blocking, which who shares it sees too), on Windows a handle or SOCKET; pintle_io_close
 * closes it. Windows: sockets, and handles of pipes and devices opened with FILE_FLAG_OVERLAPPED, park tasks, and belong to our
 * completion port from then on: not to the program's. What else is opened without that flag is read and written by foreign calls, as
 * files are, which a cancel or a close ends, and no deadline. Overlapped files, and sockets that are not overlapped: EINVAL.
 * Blocks: no. From: any. Errors: EINVAL, ENOMEM. The caller keeps it then. */
PINTLE_API int pintle_io_wrap(pintle_io **out, intptr_t native);
/* The descriptor, handle or SOCKET; it stays io's. Blocks: no. From: any. */
PINTLE_API intptr_t pintle_io_native(const pintle_io *io);

/* Effect: two ends of a pipe. Blocks: no. From: any. Errors: ELIMIT, ENOMEM, EOS. */
PINTLE_API int pintle_io_pipe(pintle_io **out_read, pintle_io **out_write);

/* Addresses are text: "127.0.0.1:80", "[::1]:80" (numbers only: see pintle_io_resolve; port 0: the system chooses), and
 * "unix:/path" on POSIX.
 *
 * Effect: listens (backlog 0: 1,024); accepts the next connection; connects. TCP connections are made without delay of small
 * writes (TCP_NODELAY). Blocks: no; task; task. From: any. Errors: EINVAL (no address), EBUSY (it is in use; a local
 * listener's queue is full), EACCES, ELIMIT, ENOMEM, ENOTFOUND (nobody listens there), ECLOSED (the listener was closed),
 * ETIMEDOUT, EAGAIN, ECANCELED, EOS. */
PINTLE_API int pintle_io_listen(pintle_io **out, const char *address, int backlog);
PINTLE_API int pintle_io_accept(pintle_io *listener, pintle_io **out, int64_t deadline_ns);
PINTLE_API int pintle_io_connect(pintle_io **out, const char *address, int64_t deadline_ns);
/* Effect: a socket's own address, as text that pintle_io_connect takes. Blocks: no. From: any. Errors: EINVAL, EOS. */
PINTLE_API int pintle_io_address(const pintle_io *io, char *out_text, size_t text_bytes);

/* Effect: reads what there is, at most `bytes`, and waits only if there is nothing; returns how many, 0 at the end.
 * Blocks: task (a thread that is no task, or in a call, blocks itself). From: any.
 * Errors: ETIMEDOUT, EAGAIN, ECANCELED, ECLOSED (by pintle_io_close, or the other side broke it off), EINVAL, ENOMEM, EOS. */
PINTLE_API int64_t pintle_io_read(pintle_io *io, void *out_data, size_t bytes, int64_t deadline_ns);
/* Effect: writes all; returns how many bytes were written. Fewer than `bytes` only if a deadline, a cancel or a failure came
 * after some: the next write tells it. Blocks, From, Errors: as pintle_io_read. No signal is raised for a pipe or socket that
 * nobody reads. */
PINTLE_API int64_t pintle_io_write(pintle_io *io, const void *data, size_t bytes, int64_t deadline_ns);

/* Effect: ends the sending side of a connection: the other reads to the end. Of a listener: who waits for a connection, and whoever
 * asks for one later, gets ECLOSED; so a loop that accepts can be ended, and joined, before the close (until which Windows goes on
 * taking connections into its queue). Blocks: no. From: any. Errors: EINVAL (no socket), ECLOSED. */
PINTLE_API int pintle_io_shutdown(pintle_io *io);
/* Effect: operations that are under way get ECLOSED, and the system's object is closed when the last of them has left. None may
 * begin any more: io is gone. NULL is fine. Blocks: no. From: any. */
PINTLE_API void pintle_io_close(pintle_io *io);

/* Effect: the addresses of a host ("localhost", "127.0.0.1"), each as text that only lacks ":port"; returns how many, at most
 * `most`. The system's look-up is a foreign call that is left to itself at the deadline. Blocks: task. From: task.
 * Errors: ENOTFOUND, ETIMEDOUT, EAGAIN, ECANCELED, EINVAL, ENOMEM, ELIMIT, EOS. */
PINTLE_API int pintle_io_resolve(const char *host, char (*out_addresses)[PINTLE_IO_ADDRESS_BYTES], unsigned most,
                                 int64_t deadline_ns);

#if defined(__cplusplus)
}
#endif

#endif
