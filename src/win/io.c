/* io.c (Windows): pintle_io: the records, overlapped operations, reading and writing. Files: file.c. Sockets: socket.c.
 *
 * An operation lies on the stack of the task that waits for it, and its OVERLAPPED's address is what the port tells:
 *
 *   the task                                        io_ready, in the poller's thread
 *     begun: ended at once: no port (`skips`)         acquire the guard; over; waiter claimed; release; woken
 *     acquire the guard; over? else queued, waits
 *     deadline, cancel: CancelIoEx, and waits once more, for the end, which nothing can prevent
 * So a record never goes before its completion has come, and an operation that was faster than its cancel counts as done.
 * What somebody else has ended (another's CancelIoEx, the end of the thread that began it) is begun again.
 *
 * A thread that is no task waits for an event of its own, whose low bit keeps the completion out of the port.
 *
 * uses: IO_USE for each operation under way, and two bits: closed; ended (a listener). Who takes it to "closed and none" closes the
 * handle. Closing: the bit, then CancelIoEx; an operation begins, then reads the bit: one of the two sees the other.
 * A handle belongs to the port for its life, which therefore outlives runtimes (poller.c). If a runtime ends with tasks that
 * still wait here, io_drain ends their operations before their stacks go.
 *
 * Threads: any. Locks: guards; list_lock (leaf). Order: uses seq_cst; results by the guard.
 * Drawn from Go's and libuv's use of completion ports. Tests: tests/api/test_io.c, tests/win/test_io_win.c. */
#include "io.h"

#include "clock.h"
#include "error.h"
#include "io_poll.h"
#include "poller.h"

typedef ULONG(NTAPI *dos_error_fn)(LONG status);

static struct lock list_lock = LOCK_INIT(RANK_LEAF);
static pintle_io *registered;

/* ---- Errors ---- */

int io_code_of(int os_code) {
    switch (os_code) {
    case ERROR_FILE_NOT_FOUND:
    case ERROR_PATH_NOT_FOUND:
    case ERROR_BAD_NETPATH:
    case ERROR_CONNECTION_REFUSED:
    case WSAECONNREFUSED: return PINTLE_ENOTFOUND;
    case ERROR_ACCESS_DENIED:
    case ERROR_SHARING_VIOLATION:
    case ERROR_WRITE_PROTECT:
    case WSAEACCES: return PINTLE_EACCES;
    case ERROR_TOO_MANY_OPEN_FILES:
    case ERROR_NO_SYSTEM_RESOURCES:
    case WSAEMFILE: return PINTLE_ELIMIT;
    case ERROR_NOT_ENOUGH_MEMORY:
    case ERROR_OUTOFMEMORY:
    case WSAENOBUFS: return PINTLE_ENOMEM;
    case ERROR_PIPE_BUSY:
    case WSAEADDRINUSE: return PINTLE_EBUSY;
    case ERROR_BROKEN_PIPE:
    case ERROR_NO_DATA:
    case ERROR_PIPE_NOT_CONNECTED:
    case ERROR_NETNAME_DELETED:
    case ERROR_CONNECTION_ABORTED:
    case WSAECONNRESET:
    case WSAECONNABORTED:
    case WSAENETRESET:
    case WSAESHUTDOWN: return PINTLE_ECLOSED;
    case ERROR_INVALID_HANDLE:
    case ERROR_INVALID_PARAMETER:
    case ERROR_INVALID_FUNCTION:
    case WSAEBADF:
    case WSAEINVAL:
    case WSAENOTSOCK: return PINTLE_EINVAL;
    case ERROR_SEM_TIMEOUT:
    case WSAETIMEDOUT: return PINTLE_ETIMEDOUT;
    default: return PINTLE_EOS;
    }
}

static bool is_closed(pintle_io *io) { return (atomic_load_seq_cst(&io->uses) & (IO_CLOSED | IO_ENDED)) != 0; }

int io_failed(pintle_io *io, int os_code, const char *function) {
    return is_closed(io) ? io_closed_error(function) : io_error(os_code, function);
}

int io_last_error(BOOL done) { return done ? 0 : (int)GetLastError(); }

static int error_of_status(LONG status) {
    static dos_error_fn dos_error;
    if (dos_error == NULL) {
        dos_error = (dos_error_fn)(void (*)(void))GetProcAddress(GetModuleHandleW(L"ntdll.dll"),
                                                                 "RtlNtStatusToDosError");
    }
    return status == 0 ? 0 : (int)dos_error(status);
}

/* ---- Records ---- */

int io_make(pintle_io **out, HANDLE handle, enum io_kind kind, const char *function) {
    pintle_io *io = memory_alloc_aligned(sizeof *io);
    if (io == NULL) return error_set(PINTLE_ENOMEM, 0, "%s: no memory for it", function);
    memset(io, 0, sizeof *io);
    io->handle = handle;
    io->kind = kind;
    io->most_bytes = INT32_MAX;
    *out = io;
    return 0;
}

static void list_remove(pintle_io *io) {
    lock_acquire(&list_lock);
    if (io->next != NULL) io->next->previous = io->previous;
    if (io->previous != NULL) {
        io->previous->next = io->next;
    } else {
        registered = io->next;
    }
    lock_release(&list_lock);
}

static void io_free(pintle_io *io) {
    CHECK(atomic_load_relaxed(&io->pending) == 0);
    if (atomic_load_relaxed(&io->is_registered)) {
        list_remove(io);
        poll_unuse(io->epoch);
    }
    if (io->kind == IO_SOCKET) {
        winsock.close((SOCKET)io->handle);
    } else {
        CloseHandle(io->handle);
    }
    if (io->is_associated) poller_dissociate();
    memory_free_aligned(io);
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

void io_end_all(pintle_io *io) { CancelIoEx(io->handle, NULL); }

void pintle_io_close(pintle_io *io) {
    if (io == NULL) return;
    atomic_add_relaxed(&io->uses, IO_USE);
    if (atomic_fetch_or_explicit(&io->uses, IO_CLOSED, memory_order_seq_cst) >= 2 * IO_USE) io_end_all(io);
    io_leave(io);
}

intptr_t pintle_io_native(const pintle_io *io) { return (intptr_t)io->handle; }

/* ---- The port ---- */

static int associate_guarded(pintle_io *io) {
    UCHAR modes = FILE_SKIP_COMPLETION_PORT_ON_SUCCESS | FILE_SKIP_SET_EVENT_ON_HANDLE;
    int os_code;
    if (io->is_associated) return 0;
    if ((os_code = (int)poller_associate(io->handle)) != 0) return os_code;
    io->is_associated = true;
    io->skips = io->may_skip && SetFileCompletionNotificationModes(io->handle, modes);
    return 0;
}

static int register_once(pintle_io *io, const char *function) {
    struct guard *guard;
    uint32_t epoch;
    int result = 0, os_code = 0;
    bool is_new = false, counts = false;
    if (LIKELY(atomic_load_acquire(&io->is_registered) && io->epoch == poll_epoch())) return 0;
    if ((result = poll_use(function, &epoch)) != 0) return result;
    guard = guard_of(io);
    guard_acquire(guard);
    if (!atomic_load_relaxed(&io->is_registered) || io->epoch != epoch) { /* else another was faster */
        os_code = associate_guarded(io);
        counts = os_code == 0;
    }
    if (counts) {
        is_new = !atomic_load_relaxed(&io->is_registered);
        io->epoch = epoch;
        if (is_new) {
            lock_acquire(&list_lock);
            io->previous = NULL;
            io->next = registered;
            if (registered != NULL) registered->previous = io;
            registered = io;
            lock_release(&list_lock);
        }
        atomic_store_release(&io->is_registered, true);
    }
    guard_release(guard);
    if (!counts) poll_unuse(epoch);
    if (os_code == ERROR_INVALID_PARAMETER) {
        return error_set(PINTLE_EINVAL, os_code,
                         "%s: the handle belongs to a completion port of the program's: tasks cannot wait for it here",
                         function);
    }
    return os_code != 0 ? io_error(os_code, function) : 0;
}

void io_ready(const os_ready *ready) {
    struct operation *operation = (struct operation *)(uintptr_t)ready->token;
    struct guard *guard = guard_of(operation);
    struct waiter *waiter;
    guard_acquire(guard);
    atomic_fetch_sub_explicit(&operation->io->pending, 1, memory_order_relaxed);
    operation->is_over = true;
    waiter = waiters_claim_all(&operation->waiters, 0);
    guard_release(guard); /* not claimed, its owner may have it back by now */
    waiters_wake_chain(waiter);
}

/* Ends what is under way; how much that is. Operations of threads that are no tasks begin again. */
static int32_t end_pending(void) {
    int32_t pending = 0;
    lock_acquire(&list_lock);
    for (pintle_io *io = registered; io != NULL; io = io->next) {
        int32_t its = atomic_load_relaxed(&io->pending);
        if (its != 0) CancelIoEx(io->handle, NULL);
        pending += its;
    }
    lock_release(&list_lock);
    return pending;
}

void io_drain(void) {
    os_ready ready[POLL_BATCH];
    while (end_pending() > 0) {
        unsigned count = os_poller_wait(ready, POLL_BATCH, os_now_ns() + PINTLE_MS(10));
        for (unsigned i = 0; i < count; i++) {
            struct operation *operation = (struct operation *)(uintptr_t)ready[i].token;
            pintle_io *io = ready[i].kind == OS_READY_IO ? operation->io : NULL;
            poll_publish(&ready[i], 1);
            if (io != NULL) io_leave(io); /* its task will not */
        }
    }
}

void io_stop(void) {}

/* ---- Operations ---- */

/* Until it is over. Anything but EVENT: not yet. */
static enum wake_reason wait_for(struct operation *operation, int64_t deadline_ns, enum wait_kind kind,
                                 const char *function) {
    struct guard *guard = guard_of(operation);
    struct waiter waiter;
    enum wake_reason reason;
    (void)wait_prepare(&waiter.wait, guard, function); /* a task has its sleeper */
    poll_call_for(waiter.wait.thread);
    guard_acquire(guard);
    if (operation->is_over) {
        guard_release(guard);
        wait_unprepare(&waiter.wait);
        return WAKE_EVENT;
    }
    waiter.status = 0;
    waiters_push(&operation->waiters, &waiter);
    reason = wait_guarded(&waiter, guard, function, deadline_ns, kind);
    if (LIKELY(reason == WAKE_EVENT)) return reason;
    guard_acquire(guard);
    waiters_remove(&operation->waiters, &waiter);
    guard_release(guard);
    return reason;
}

static enum wake_reason wait_for_event(HANDLE event, int64_t os_deadline_ns) {
    uint32_t seen;
    if (os_watch_block((intptr_t)event, 1, os_deadline_ns, &seen) != 0)
        os_abort(); /* its memory is in the system's hands */
    return seen != 0 ? WAKE_EVENT : WAKE_DEADLINE;
}

static enum wake_reason wait_to_the_end(struct operation *operation, HANDLE event, int64_t deadline_ns,
                                        const char *function) {
    pintle_io *io = operation->io;
    enum wake_reason reason;
    if (is_closed(io)) CancelIoEx(io->handle, &operation->overlapped); /* pintle_io_close may have been too early */
    reason = event != NULL ? wait_for_event(event, clock_to_os(deadline_ns))
                           : wait_for(operation, deadline_ns, WAIT_CANCELABLE, function);
    if (LIKELY(reason == WAKE_EVENT)) return reason;
    CancelIoEx(io->handle, &operation->overlapped);
    if (event != NULL) {
        wait_for_event(event, INT64_MAX);
    } else {
        wait_for(operation, PINTLE_FOREVER, WAIT_MASKED, function);
    }
    return reason;
}

static int event_for(struct operation *operation, HANDLE *out_event, const char *function) {
    *out_event = fail_now(FAIL_MEMORY) ? NULL : CreateEventW(NULL, TRUE, FALSE, NULL);
    if (*out_event == NULL) return error_set(PINTLE_ENOMEM, 0, "%s: the system has no event for it", function);
    operation->overlapped.hEvent = (HANDLE)((uintptr_t)*out_event | 1); /* the bit: nothing goes to a port */
    return 0;
}

static int begin_read(struct operation *operation) {
    return io_last_error(
        ReadFile(operation->io->handle, operation->data, operation->bytes, NULL, &operation->overlapped));
}

static int begin_write(struct operation *operation) {
    return io_last_error(
        WriteFile(operation->io->handle, operation->data, operation->bytes, NULL, &operation->overlapped));
}

/* What does not fit of a datagram goes where nobody looks: of those that end at once with WSAEMSGSIZE it is not promised
 * whether the port tells. */
static int begin_receive(struct operation *operation) {
    static char beyond[64 << 10];
    WSABUF buffers[] = {{operation->bytes, operation->data}, {sizeof beyond, beyond}};
    DWORD flags = 0;
    if (winsock.receive((SOCKET)operation->io->handle, buffers, operation->io->is_datagram ? 2 : 1, NULL, &flags,
                        &operation->overlapped, NULL) == 0)
        return 0;
    return winsock.last_error();
}

static int begin_send(struct operation *operation) {
    WSABUF buffer = {operation->bytes, operation->data};
    if (winsock.send((SOCKET)operation->io->handle, &buffer, 1, NULL, 0, &operation->overlapped, NULL) == 0) return 0;
    return winsock.last_error();
}

/* Once. *out_reason: why the wait ended; *out_os_code: how the operation did. 0, or a code with the error set. */
static int perform_once(struct operation *operation, begin_fn *begin, int64_t deadline_ns, const char *function,
                        enum wake_reason *out_reason, int *out_os_code) {
    pintle_io *io = operation->io;
    bool by_port = deadline_ns != PINTLE_NOWAIT && runs_task_code(thread_self());
    HANDLE event = NULL;
    int os_code, result = by_port ? register_once(io, function) : event_for(operation, &event, function);
    if (UNLIKELY(result != 0)) return result;
    *out_reason = WAKE_EVENT;
    os_code = begin(operation);
    if (os_code == ERROR_IO_PENDING || (by_port && (os_code == ERROR_MORE_DATA || (os_code == 0 && !io->skips)))) {
        if (by_port) atomic_fetch_add_explicit(&io->pending, 1, memory_order_relaxed);
        *out_reason = wait_to_the_end(operation, event, deadline_ns, function);
        os_code = error_of_status((LONG)operation->overlapped.Internal);
    }
    if (event != NULL) CloseHandle(event);
    *out_os_code = os_code;
    return 0;
}

int64_t io_perform(pintle_io *io, struct operation *operation, begin_fn *begin, int64_t deadline_ns,
                   const char *function) {
    for (;;) {
        enum wake_reason reason;
        int os_code, result;
        memset(&operation->overlapped, 0, sizeof operation->overlapped);
        memset(&operation->waiters, 0, sizeof operation->waiters);
        operation->io = io;
        operation->is_over = false;
        result = perform_once(operation, begin, deadline_ns, function, &reason, &os_code);
        if (result != 0) return result;
        switch (os_code) {
        case 0:
        case ERROR_MORE_DATA: /* a message longer than the buffer: only where the port tells all (may_skip) */
            return (int64_t)operation->overlapped.InternalHigh;
        case ERROR_BROKEN_PIPE:
            if (begin == begin_read) return 0; /* nobody writes any more: the stream's end */
            return io_failed(io, os_code, function);
        case ERROR_OPERATION_ABORTED: break;
        default: return io_failed(io, os_code, function);
        }
        if (operation->overlapped.InternalHigh != 0) return (int64_t)operation->overlapped.InternalHigh;
        if (is_closed(io)) return io_closed_error(function);
        if (reason != WAKE_EVENT) return wait_result(reason, deadline_ns, function);
    }
}

/* ---- Reading and writing ---- */

/* Without waiting: the socket is non-blocking. */
static int64_t socket_now(pintle_io *io, bool writes, void *data, DWORD bytes, const char *function) {
    SOCKET socket = (SOCKET)io->handle;
    int done = writes ? winsock.send_now(socket, data, (int)bytes, 0)
                      : winsock.receive_now(socket, data, (int)bytes, 0);
    int os_code = done >= 0 ? 0 : winsock.last_error();
    if (done >= 0) return done == 0 && is_closed(io) ? io_closed_error(function) : done;
    if (os_code == WSAEMSGSIZE) return bytes;
    if (os_code == WSAEWOULDBLOCK && !is_closed(io)) return wait_result(WAKE_DEADLINE, PINTLE_NOWAIT, function);
    return io_failed(io, os_code, function);
}

static int64_t read_some(pintle_io *io, void *out_data, DWORD bytes, int64_t deadline_ns, const char *function) {
    struct operation operation = {.data = out_data, .bytes = bytes};
    int64_t done;
    if (io->kind == IO_SOCKET && deadline_ns == PINTLE_NOWAIT) return socket_now(io, false, out_data, bytes, function);
    done = io_perform(io, &operation, io->kind == IO_SOCKET ? begin_receive : begin_read, deadline_ns, function);
    if (UNLIKELY(done > bytes)) return bytes;
    return UNLIKELY(done == 0) && is_closed(io) ? io_closed_error(function) : done;
}

int64_t pintle_io_read(pintle_io *io, void *out_data, size_t bytes, int64_t deadline_ns) {
    static const char function[] = "pintle_io_read";
    int64_t done = deadline_check(deadline_ns, function);
    if (UNLIKELY(done != 0) || UNLIKELY((done = io_enter(io, function)) != 0)) return done;
    if (bytes > INT32_MAX) bytes = INT32_MAX;
    if (UNLIKELY(bytes == 0)) {
        done = 0;
    } else if (io->kind == IO_SYNCHRONOUS) {
        done = io_call(io, false, out_data, bytes, function);
    } else {
        done = read_some(io, out_data, (DWORD)bytes, deadline_ns, function);
    }
    io_leave(io);
    return done;
}

static int64_t write_all(pintle_io *io, char *data, size_t bytes, int64_t deadline_ns, const char *function) {
    size_t done = 0;
    while (done < bytes) {
        struct operation operation = {.data = data + done,
                                      .bytes = (DWORD)(bytes - done < io->most_bytes ? bytes - done : io->most_bytes)};
        int64_t some;
        if (io->kind != IO_SOCKET) {
            some = io_perform(io, &operation, begin_write, deadline_ns, function);
        } else if (deadline_ns == PINTLE_NOWAIT) {
            some = socket_now(io, true, operation.data, operation.bytes, function);
        } else {
            some = io_perform(io, &operation, begin_send, deadline_ns, function);
        }
        if (some < 0) return done != 0 ? (int64_t)done : some;
        done += (size_t)some;
    }
    return (int64_t)done;
}

int64_t pintle_io_write(pintle_io *io, const void *data, size_t bytes, int64_t deadline_ns) {
    static const char function[] = "pintle_io_write";
    void *from = (void *)(uintptr_t)data;
    int64_t done = deadline_check(deadline_ns, function);
    if (UNLIKELY(done != 0) || UNLIKELY((done = io_enter(io, function)) != 0)) return done;
    if (io->kind == IO_SYNCHRONOUS) {
        done = bytes == 0 ? 0 : io_call(io, true, from, bytes, function);
    } else {
        done = write_all(io, from, bytes, deadline_ns, function);
    }
    io_leave(io);
    return done;
}
