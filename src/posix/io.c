/* io.c (POSIX): pintle_io: the records, waiting, reading and writing. Sockets: socket.c.
 *
 * A descriptor is non-blocking and goes into the poller when somebody first has to wait for it, once, for all events, by edges.
 *
 *   who reads                                   io_ready, in the poller's thread
 *     seen = edges; read(); EAGAIN:               acquire the guard; edges + 1; all waiters claimed; release; woken
 *     acquire the guard; edges == seen: queued,
 *     waits; else, or woken: once more
 * So no change is lost, whoever else reads. A read of a stream that got less than it asked for has emptied it, and what comes is a
 * new edge: the next reader waits without trying (`dry`), unless the other side's end was told before (is_over).
 *
 * uses: IO_USE for each operation under way, and two bits: closed; ended (a listener). Who takes it to "closed and none" closes the descriptor.
 * Records are type-stable while the poller lives: a token that was under way finds the record, and another generation.
 * Files are always ready to the system: read and written by foreign calls.
 *
 * Threads: any. Locks: guards; pool_lock (leaf). Order: edges release under the guard, acquire before the read.
 * Drawn from Go's poll descriptors and nginx's events. Tests: tests/api/test_io.c, tests/api/test_io_failure.c. */
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "error.h"
#include "io_poll.h"
#include "memory.h"
#include "pintle/call.h"
#include "poller.h"

enum { GENERATION_BITS = 23 };

static struct lock pool_lock = LOCK_INIT(RANK_LEAF);
static pintle_io *pool;

/* ---- Errors ---- */

int io_code_of(int os_code) {
    switch (os_code) {
    case ENOENT:
    case ENOTDIR:
    case ECONNREFUSED: return PINTLE_ENOTFOUND;
    case EACCES:
    case EPERM:
    case EROFS: return PINTLE_EACCES;
    case EMFILE:
    case ENFILE: return PINTLE_ELIMIT;
    case ENOMEM:
    case ENOBUFS: return PINTLE_ENOMEM;
    case EADDRINUSE: return PINTLE_EBUSY;
    case EPIPE:
    case ECONNRESET:
    case ECONNABORTED: return PINTLE_ECLOSED;
    case EBADF:
    case EINVAL:
    case ENOTSOCK:
    case EISDIR: return PINTLE_EINVAL;
    case ETIMEDOUT: return PINTLE_ETIMEDOUT;
    default: return PINTLE_EOS;
    }
}

static bool is_closed(pintle_io *io) { return (atomic_load_acquire(&io->uses) & (IO_CLOSED | IO_ENDED)) != 0; }

int io_failed(pintle_io *io, int os_code, const char *function) {
    return is_closed(io) ? io_closed_error(function) : io_error(os_code, function);
}

/* ---- Records ---- */

static uint64_t token_of(const pintle_io *io) {
    return (uint64_t)(uintptr_t)io >> 6 << GENERATION_BITS |
           (atomic_load_relaxed(&io->generation) & ((1u << GENERATION_BITS) - 1));
}

int io_make(pintle_io **out, int fd, enum io_kind kind, bool is_stream, const char *function) {
    uint32_t generation = 0, named_in = 0;
    pintle_io *io;
    lock_acquire(&pool_lock);
    io = pool;
    if (io != NULL) pool = io->next;
    lock_release(&pool_lock);
    if (io == NULL) {
        io = memory_alloc_aligned(sizeof *io);
    } else {
        generation = atomic_load_relaxed(&io->generation);
        named_in = io->named_in;
    }
    if (io == NULL) return error_set(PINTLE_ENOMEM, 0, "%s: no memory for it", function);
    memset((char *)io, 0, offsetof(pintle_io, generation));
    memset((char *)&io->epoch, 0, sizeof *io - offsetof(pintle_io, epoch));
    atomic_store_relaxed(&io->generation, generation);
    io->named_in = named_in;
    io->fd = fd;
    io->kind = kind;
    io->is_stream = is_stream;
    *out = io;
    return 0;
}

static void io_free(pintle_io *io) {
    struct guard *guard = guard_of(io);
    bool is_registered, is_kept;
    guard_acquire(guard); /* io_ready reads it there */
    atomic_store_relaxed(&io->generation, atomic_load_relaxed(&io->generation) + 1);
    guard_release(guard);
    close(io->fd);
    if (io->path != NULL) unlink(io->path);
    memory_free(io->path);
    io->path = NULL;
    lock_acquire(&pool_lock);
    is_registered = atomic_load_relaxed(&io->is_registered) && io->epoch == poll_epoch();
    is_kept = is_registered || io->named_in == poll_epoch() + 1; /* in a life before this one */
    if (is_registered) poll_unuse(io->epoch);
    if (is_kept) {
        io->named_in = poll_epoch() + 1;
        io->next = pool;
        pool = io;
    }
    lock_release(&pool_lock);
    if (!is_kept) memory_free_aligned(io);
}

void io_drain(void) {} /* nothing is under way in the system while a task waits */

void io_stop(void) {
    lock_acquire(&pool_lock);
    while (pool != NULL) {
        pintle_io *io = pool;
        pool = io->next;
        memory_free_aligned(io);
    }
    lock_release(&pool_lock);
}

int io_enter(pintle_io *io, const char *function) {
    if (UNLIKELY(io == NULL)) return error_set(PINTLE_EINVAL, 0, "%s: io is NULL", function);
    if (LIKELY((atomic_fetch_add_explicit(&io->uses, IO_USE, memory_order_acq_rel) & IO_CLOSED) == 0)) return 0;
    io_leave(io);
    return io_closed_error(function);
}

void io_leave(pintle_io *io) {
    uint32_t before = atomic_fetch_sub_explicit(&io->uses, IO_USE, memory_order_acq_rel);
    if (UNLIKELY((before & IO_CLOSED) != 0 && before < 2 * IO_USE)) io_free(io);
}

static struct waiter *claim_all_guarded(struct io_side *side, int status) {
    side->waiting = 0;
    return waiters_claim_all(&side->waiters, status);
}

/* Tasks that a runtime has left behind waiting went with their stacks, and will not leave by themselves. The caller has entered. */
static void forget_left_behind_guarded(pintle_io *io) {
    uint32_t waiting = io->reading.waiting + io->writing.waiting;
    if (io->epoch == poll_epoch() || waiting == 0) return;
    atomic_store_relaxed(&io->reading.waiters.first, NULL);
    atomic_store_relaxed(&io->writing.waiters.first, NULL);
    io->reading.waiting = io->writing.waiting = 0;
    atomic_fetch_sub_explicit(&io->uses, waiting * IO_USE, memory_order_acq_rel);
}

void io_wake_all(pintle_io *io) {
    struct guard *guard = guard_of(io);
    struct waiter *readers, *writers;
    guard_acquire(guard);
    forget_left_behind_guarded(io);
    readers = claim_all_guarded(&io->reading, PINTLE_ECLOSED);
    writers = claim_all_guarded(&io->writing, PINTLE_ECLOSED);
    guard_release(guard);
    waiters_wake_chain(readers);
    waiters_wake_chain(writers);
}

void pintle_io_close(pintle_io *io) {
    if (io == NULL) return;
    atomic_add_relaxed(&io->uses, IO_USE);
    atomic_or_acq_rel(&io->uses, IO_CLOSED);
    if (io->kind == IO_SOCKET) shutdown(io->fd, SHUT_RDWR); /* threads that are no tasks wait in the system */
    io_wake_all(io);
    io_leave(io);
}

intptr_t pintle_io_native(const pintle_io *io) { return io->fd; }

/* ---- Waiting ---- */

void io_ready(const os_ready *ready) {
    pintle_io *io = (pintle_io *)(uintptr_t)(ready->token >> GENERATION_BITS << 6);
    struct guard *guard = guard_of(io);
    struct waiter *readers = NULL, *writers = NULL;
    uint32_t events = ready->events;
    guard_acquire(guard);
    if (LIKELY(token_of(io) == ready->token)) {
        if (events & (EPOLLHUP | EPOLLRDHUP | EPOLLERR)) atomic_store_relaxed(&io->is_over, true);
        if (events & (EPOLLIN | EPOLLHUP | EPOLLRDHUP | EPOLLERR)) {
            atomic_store_release(&io->reading.edges, atomic_load_relaxed(&io->reading.edges) + 1);
            readers = claim_all_guarded(&io->reading, 0);
        }
        if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) {
            atomic_store_release(&io->writing.edges, atomic_load_relaxed(&io->writing.edges) + 1);
            writers = claim_all_guarded(&io->writing, 0);
        }
    }
    guard_release(guard);
    waiters_wake_chain(readers);
    waiters_wake_chain(writers);
}

static int register_once(pintle_io *io, const char *function) {
    struct guard *guard;
    uint32_t epoch;
    int result = 0, os_code = 0;
    if (LIKELY(atomic_load_acquire(&io->is_registered) && io->epoch == poll_epoch())) return 0;
    if ((result = poll_use(function, &epoch)) != 0) return result;
    guard = guard_of(io);
    guard_acquire(guard);
    if (atomic_load_relaxed(&io->is_registered) && io->epoch == epoch) {
        os_code = -1; /* another was faster */
    } else if ((os_code = poller_add(io->fd, token_of(io))) == 0) {
        forget_left_behind_guarded(io);
        io->epoch = epoch;
        atomic_store_release(&io->is_registered, true);
    }
    guard_release(guard);
    if (os_code != 0) poll_unuse(epoch);
    return os_code > 0 ? io_error(os_code, function) : 0;
}

static int block_thread(pintle_io *io, struct io_side *side, int64_t deadline_ns, const char *function) {
    uint32_t seen;
    int os_code = os_watch_block(io->fd, side == &io->reading ? POLLIN : POLLOUT, clock_to_os(deadline_ns), &seen);
    if (os_code != 0) return io_failed(io, os_code, function);
    if (is_closed(io)) return io_closed_error(function);
    return seen != 0 ? 0 : wait_result(WAKE_DEADLINE, deadline_ns, function);
}

int io_wait(pintle_io *io, struct io_side *side, uint32_t seen, int64_t deadline_ns, const char *function) {
    struct guard *guard = guard_of(io);
    struct waiter waiter;
    enum wake_reason reason;
    int result;
    if (deadline_ns == PINTLE_NOWAIT) return wait_result(WAKE_DEADLINE, deadline_ns, function);
    if (UNLIKELY(!runs_task_code(thread_self()))) return block_thread(io, side, deadline_ns, function);
    if (UNLIKELY((result = register_once(io, function)) != 0)) return result;
    if ((result = wait_prepare(&waiter.wait, guard, function)) != 0) return result;
    poll_call_for(waiter.wait.thread);
    guard_acquire(guard);
    if (atomic_load_relaxed(&side->edges) != seen || is_closed(io)) {
        guard_release(guard);
        wait_unprepare(&waiter.wait);
        return is_closed(io) ? io_closed_error(function) : 0;
    }
    waiter.status = 0;
    waiters_push(&side->waiters, &waiter);
    side->waiting++;
    reason = wait_guarded(&waiter, guard, function, deadline_ns, WAIT_CANCELABLE);
    if (LIKELY(reason == WAKE_EVENT)) return LIKELY(waiter.status == 0) ? 0 : io_closed_error(function);
    guard_acquire(guard);
    if (waiter.queued) side->waiting--;
    waiters_remove(&side->waiters, &waiter);
    guard_release(guard);
    return wait_result(reason, deadline_ns, function);
}

/* ---- Files ---- */

struct transfer {
    int fd;
    void *data;
    size_t bytes;
    ssize_t done;
    int os_code;
};

static int file_read(void *arg) {
    struct transfer *transfer = arg;
    do {
        transfer->done = read(transfer->fd, transfer->data, transfer->bytes);
    } while (transfer->done < 0 && errno == EINTR);
    return errno;
}

static int file_write(void *arg) {
    struct transfer *transfer = arg;
    do {
        transfer->done = write(transfer->fd, transfer->data, transfer->bytes);
    } while (transfer->done < 0 && errno == EINTR);
    return errno;
}

static int64_t file_transfer(pintle_io *io, int (*fn)(void *), void *data, size_t bytes, const char *function) {
    struct transfer transfer = {.fd = io->fd, .data = data, .bytes = bytes};
    int os_code = pintle_call(fn, &transfer); /* marks learn whether it blocks */
    return transfer.done >= 0 ? transfer.done : io_error(os_code, function);
}

/* ---- Reading and writing ---- */

static int64_t read_some(pintle_io *io, void *out_data, size_t bytes, int64_t deadline_ns, const char *function) {
    for (;;) {
        uint32_t seen = atomic_load_acquire(&io->reading.edges);
        bool is_dry = atomic_load_relaxed(&io->reading.dry) == (uint64_t)seen + 1 && !atomic_load_relaxed(&io->is_over);
        int result;
        if (!is_dry) {
            ssize_t done = read(io->fd, out_data, bytes);
            if (done >= 0) {
                if (io->is_stream && (size_t)done < bytes && atomic_load_relaxed(&io->is_registered))
                    atomic_store_relaxed(&io->reading.dry, (uint64_t)seen + 1);
                return done == 0 && is_closed(io) ? io_closed_error(function) : done;
            }
            if (errno == EINTR) continue;
            if (errno != EAGAIN) return io_failed(io, errno, function);
        }
        if ((result = io_wait(io, &io->reading, seen, deadline_ns, function)) != 0) return result;
        if (is_dry && !runs_task_code(thread_self())) atomic_store_relaxed(&io->reading.dry, 0);
    }
}

int64_t pintle_io_read(pintle_io *io, void *out_data, size_t bytes, int64_t deadline_ns) {
    static const char function[] = "pintle_io_read";
    int64_t done = deadline_check(deadline_ns, function);
    if (UNLIKELY(done != 0) || UNLIKELY((done = io_enter(io, function)) != 0)) return done;
    if (bytes > INT32_MAX) bytes = INT32_MAX;
    if (UNLIKELY(bytes == 0)) {
        done = 0;
    } else if (io->kind == IO_FILE) {
        done = file_transfer(io, file_read, out_data, bytes, function);
    } else {
        done = read_some(io, out_data, bytes, deadline_ns, function);
    }
    io_leave(io);
    return done;
}

/* A write to a pipe that nobody reads raises SIGPIPE in the thread: held back, and taken away. */
static ssize_t write_pipe(int fd, const void *data, size_t bytes) {
    sigset_t pipe_only, before, pending;
    struct timespec none = {0};
    ssize_t done;
    int os_code;
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
    sigpending(&pending);
    done = write(fd, data, bytes);
    os_code = errno;
    if (done < 0 && os_code == EPIPE && !sigismember(&pending, SIGPIPE)) sigtimedwait(&pipe_only, NULL, &none);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = os_code;
    return done;
}

static int64_t write_all(pintle_io *io, const char *data, size_t bytes, int64_t deadline_ns, const char *function) {
    size_t done = 0;
    while (done < bytes) {
        uint32_t seen = atomic_load_acquire(&io->writing.edges);
        ssize_t some = io->kind == IO_SOCKET ? send(io->fd, data + done, bytes - done, MSG_NOSIGNAL)
                                             : write_pipe(io->fd, data + done, bytes - done);
        int result = 0;
        if (some >= 0) {
            done += (size_t)some;
            continue;
        }
        if (errno == EINTR) continue;
        if (errno != EAGAIN) {
            result = io_failed(io, errno, function);
        } else {
            result = io_wait(io, &io->writing, seen, deadline_ns, function);
        }
        if (result != 0) return done != 0 ? (int64_t)done : result;
    }
    return (int64_t)done;
}

int64_t pintle_io_write(pintle_io *io, const void *data, size_t bytes, int64_t deadline_ns) {
    static const char function[] = "pintle_io_write";
    int64_t done = deadline_check(deadline_ns, function);
    if (UNLIKELY(done != 0) || UNLIKELY((done = io_enter(io, function)) != 0)) return done;
    if (io->kind == IO_FILE) {
        done = bytes == 0 ? 0 : file_transfer(io, file_write, (void *)(uintptr_t)data, bytes, function);
    } else {
        done = write_all(io, data, bytes, deadline_ns, function);
    }
    io_leave(io);
    return done;
}

/* ---- Making ---- */

int pintle_io_wrap(pintle_io **out, intptr_t native) {
    static const char function[] = "pintle_io_wrap";
    enum io_kind kind = IO_OTHER;
    int type = 0, fd = (int)native, flags;
    socklen_t type_bytes = sizeof type;
    struct stat status;
    if (out == NULL) return error_set(PINTLE_EINVAL, 0, "%s: out is NULL", function);
    *out = NULL;
    if (fstat(fd, &status) != 0 || (flags = fcntl(fd, F_GETFL)) < 0) return io_error(errno, function);
    if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)) kind = IO_FILE;
    if (S_ISFIFO(status.st_mode)) kind = IO_PIPE;
    if (S_ISSOCK(status.st_mode)) {
        kind = IO_SOCKET;
        if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_bytes) != 0) return io_error(errno, function);
    }
    if (kind != IO_FILE && (flags & O_NONBLOCK) == 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
        return io_error(errno, function);
    return io_make(out, fd, kind, kind == IO_PIPE || (kind == IO_SOCKET && type == SOCK_STREAM), function);
}

struct opening {
    const char *path;
    int flags;
};

static int file_open(void *arg) {
    struct opening *opening = arg;
    int fd = open(opening->path, opening->flags, 0666);
    return fd >= 0 ? fd : -errno;
}

int pintle_io_open(pintle_io **out, const char *path, unsigned flags) {
    static const char function[] = "pintle_io_open";
    enum { BOTH = PINTLE_IO_READ | PINTLE_IO_WRITE };
    struct opening opening = {.path = path, .flags = O_CLOEXEC | O_NONBLOCK};
    int fd, result;
    if (out == NULL || path == NULL) return error_set(PINTLE_EINVAL, 0, "%s: NULL was given", function);
    *out = NULL;
    if ((flags & BOTH) == 0 || (flags & ~31u) != 0)
        return error_set(PINTLE_EINVAL, 0, "%s: flags are 0x%x: PINTLE_IO_READ, _WRITE or both are needed", function,
                         flags);
    opening.flags |= (flags & BOTH) == BOTH ? O_RDWR : flags & PINTLE_IO_WRITE ? O_WRONLY : O_RDONLY;
    if (flags & PINTLE_IO_CREATE) opening.flags |= O_CREAT;
    if (flags & PINTLE_IO_TRUNCATE) opening.flags |= O_TRUNC;
    if (flags & PINTLE_IO_APPEND) opening.flags |= O_APPEND;
    fd = pintle_call(file_open, &opening);
    if (fd < 0) return io_path_error(-fd, path, function);
    result = pintle_io_wrap(out, fd);
    if (result != 0) close(fd);
    return result;
}

int pintle_io_pipe(pintle_io **out_read, pintle_io **out_write) {
    static const char function[] = "pintle_io_pipe";
    int ends[2], result;
    if (out_read == NULL || out_write == NULL) return error_set(PINTLE_EINVAL, 0, "%s: NULL was given", function);
    *out_read = *out_write = NULL;
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return io_error(errno, function);
    if ((result = io_make(out_read, ends[0], IO_PIPE, true, function)) != 0) {
        close(ends[0]);
        close(ends[1]);
    } else if ((result = io_make(out_write, ends[1], IO_PIPE, true, function)) != 0) {
        close(ends[1]);
        pintle_io_close(*out_read);
        *out_read = NULL;
    }
    return result;
}
