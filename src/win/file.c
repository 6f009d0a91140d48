/* file.c (Windows): pintle_io: files, pipes, handles taken over. The operations: io.c.
 *
 * A file is opened for synchronous use, and read and written by foreign calls: overlapped ones of files are synchronous as
 * often as not. What else was opened without FILE_FLAG_OVERLAPPED (another program's standard pipes, consoles) is served
 * likewise, by calls that a cancel or a close interrupts.
 * Threads: any. Locks: none. Tests: tests/api/test_io.c, tests/win/test_io_win.c. */
#include "error.h"
#include "io.h"
#include "pintle/call.h"

#define PIPE_PREFIX "\\\\.\\pipe\\"

/* ---- By foreign calls ---- */

struct transfer {
    pintle_io *io;
    void *data;
    DWORD bytes, done;
    bool writes;
};

static int transfer_run(void *arg) {
    struct transfer *transfer = arg;
    pintle_io *io = transfer->io;
    OVERLAPPED at_end = {.Offset = MAXDWORD, .OffsetHigh = MAXDWORD};
    BOOL done = transfer->writes ? WriteFile(io->handle, transfer->data, transfer->bytes, &transfer->done,
                                             io->appends ? &at_end : NULL)
                                 : ReadFile(io->handle, transfer->data, transfer->bytes, &transfer->done, NULL);
    return io_last_error(done);
}

int64_t io_call(pintle_io *io, bool writes, void *data, size_t bytes, const char *function) {
    struct transfer transfer = {
        .io = io, .data = data, .bytes = (DWORD)(bytes < INT32_MAX ? bytes : INT32_MAX), .writes = writes};
    int os_code = io->is_file ? pintle_call(transfer_run, &transfer) /* marks learn whether it blocks */
                              : pintle_call_interruptible(transfer_run, &transfer);
    switch (os_code) {
    case 0:
    case ERROR_MORE_DATA: return transfer.done;
    case ERROR_HANDLE_EOF: return 0;
    case ERROR_BROKEN_PIPE: return writes ? io_failed(io, os_code, function) : 0;
    case ERROR_ACCESS_DENIED: return error_set(PINTLE_EINVAL, os_code, "%s: it was not opened for that", function);
    case ERROR_OPERATION_ABORTED:
        if ((atomic_load_acquire(&io->uses) & IO_CLOSED) == 0)
            return wait_result(WAKE_CANCEL, PINTLE_FOREVER, function);
        return io_failed(io, os_code, function);
    default: return io_failed(io, os_code, function);
    }
}

/* ---- Opening ---- */

struct opening {
    const wchar_t *path;
    unsigned flags;
    bool overlapped;
    HANDLE handle;
};

static int open_run(void *arg) {
    struct opening *opening = arg;
    DWORD access = ((opening->flags & PINTLE_IO_READ) ? GENERIC_READ : 0) |
                   ((opening->flags & PINTLE_IO_WRITE) ? GENERIC_WRITE : 0);
    int os_code;
    opening->handle = CreateFileW(opening->path, access, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL,
                                  (opening->flags & PINTLE_IO_CREATE) ? OPEN_ALWAYS : OPEN_EXISTING,
                                  opening->overlapped ? FILE_FLAG_OVERLAPPED : FILE_ATTRIBUTE_NORMAL, NULL);
    if (opening->handle == INVALID_HANDLE_VALUE) return (int)GetLastError();
    if ((opening->flags & PINTLE_IO_TRUNCATE) == 0 || GetFileType(opening->handle) != FILE_TYPE_DISK) return 0;
    if ((os_code = io_last_error(SetEndOfFile(opening->handle))) != 0) CloseHandle(opening->handle);
    return os_code;
}

int pintle_io_open(pintle_io **out, const char *path, unsigned flags) {
    static const char function[] = "pintle_io_open";
    struct opening opening = {.flags = flags};
    wchar_t *wide;
    int os_code, result;
    if (out == NULL || path == NULL) return error_set(PINTLE_EINVAL, 0, "%s: NULL was given", function);
    *out = NULL;
    if ((flags & (PINTLE_IO_READ | PINTLE_IO_WRITE)) == 0 || (flags & ~31u) != 0)
        return error_set(PINTLE_EINVAL, 0, "%s: flags are 0x%x: PINTLE_IO_READ, _WRITE or both are needed", function,
                         flags);
    if ((opening.path = wide = win_utf16(path)) == NULL) {
        os_code = (int)GetLastError();
    } else {
        opening.overlapped = _strnicmp(path, PIPE_PREFIX, sizeof PIPE_PREFIX - 1) == 0;
        os_code = pintle_call(open_run, &opening);
        memory_free(wide);
    }
    if (os_code != 0) return io_path_error(os_code, path, function);
    result = pintle_io_wrap(out, (intptr_t)opening.handle);
    if (result != 0) {
        CloseHandle(opening.handle);
    } else {
        (*out)->appends = (flags & PINTLE_IO_APPEND) != 0;
    }
    return result;
}

/* ---- Handles taken over ---- */

static bool is_overlapped(HANDLE handle) {
    typedef LONG(NTAPI * query_fn)(HANDLE file, void *status, void *out, ULONG bytes, int what);
    enum { FILE_MODE_INFORMATION = 16, SYNCHRONOUS = 0x10 | 0x20 /* FILE_SYNCHRONOUS_IO_ALERT, _NONALERT */ };
    uintptr_t status[2];
    ULONG mode = SYNCHRONOUS;
    query_fn query = (query_fn)(void (*)(void))GetProcAddress(GetModuleHandleW(L"ntdll.dll"), "NtQueryInformationFile");
    return query != NULL && query(handle, status, &mode, sizeof mode, FILE_MODE_INFORMATION) == 0 &&
           (mode & SYNCHRONOUS) == 0;
}

int pintle_io_wrap(pintle_io **out, intptr_t native) {
    static const char function[] = "pintle_io_wrap";
    HANDLE handle = (HANDLE)native;
    struct io_socket socket = {0};
    int is_socket = 0, result;
    if (out == NULL) return error_set(PINTLE_EINVAL, 0, "%s: out is NULL", function);
    *out = NULL;
    SetLastError(0);
    DWORD file_type = native == 0 || native == -1 ? FILE_TYPE_UNKNOWN : GetFileType(handle);
    if (file_type == FILE_TYPE_UNKNOWN)
        return error_set(PINTLE_EINVAL, GetLastError(), "%s: %p is no handle of a file, pipe or socket", function,
                         handle);
    bool overlapped = is_overlapped(handle);
    if (file_type == FILE_TYPE_PIPE && (is_socket = io_socket_look(handle, &socket, function)) < 0) return is_socket;
    if ((is_socket && !overlapped) || (file_type == FILE_TYPE_DISK && overlapped))
        return error_set(PINTLE_EINVAL, 0, "%s: %p: sockets have to be overlapped, files must not be", function,
                         handle);
    enum io_kind kind = is_socket ? IO_SOCKET : overlapped ? IO_PIPE : IO_SYNCHRONOUS;
    if ((result = io_make(out, handle, kind, function)) != 0) return result;
    (*out)->is_file = file_type == FILE_TYPE_DISK;
    (*out)->is_listener = socket.listens;
    (*out)->is_datagram = socket.is_datagram;
    (*out)->family = socket.family;
    (*out)->may_skip = socket.may_skip;
    return 0;
}

/* ---- Pipes ---- */

enum {
    BUFFER_BYTES = 64 << 10,
    /* A write that does not fit into the buffer waits as a whole, and ended early it has written nothing. */
    PIECE_BYTES = BUFFER_BYTES / 4
};

static int make_pipe(HANDLE *out_read, HANDLE *out_write) {
    static _Atomic uint32_t made;
    wchar_t name[80];
    int os_code;
    swprintf(name, COUNT_OF(name), L"" PIPE_PREFIX "pintle-%lu-%lu-%llx", (unsigned long)GetCurrentProcessId(),
             (unsigned long)atomic_add_relaxed(&made, 1), (unsigned long long)os_now_ns());
    if (fail_now(FAIL_MEMORY)) return ERROR_NOT_ENOUGH_MEMORY;
    *out_read = CreateNamedPipeW(name, PIPE_ACCESS_INBOUND | FILE_FLAG_OVERLAPPED | FILE_FLAG_FIRST_PIPE_INSTANCE,
                                 PIPE_TYPE_BYTE | PIPE_READMODE_BYTE | PIPE_REJECT_REMOTE_CLIENTS, 1, BUFFER_BYTES,
                                 BUFFER_BYTES, 0, NULL);
    if (*out_read == INVALID_HANDLE_VALUE) return (int)GetLastError();
    *out_write = CreateFileW(name, GENERIC_WRITE, 0, NULL, OPEN_EXISTING,
                             FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT | SECURITY_ANONYMOUS, NULL);
    if (*out_write != INVALID_HANDLE_VALUE) return 0;
    os_code = (int)GetLastError();
    CloseHandle(*out_read);
    return os_code;
}

int pintle_io_pipe(pintle_io **out_read, pintle_io **out_write) {
    static const char function[] = "pintle_io_pipe";
    HANDLE read_end, write_end;
    int os_code, result;
    if (out_read == NULL || out_write == NULL) return error_set(PINTLE_EINVAL, 0, "%s: NULL was given", function);
    *out_read = *out_write = NULL;
    if ((os_code = make_pipe(&read_end, &write_end)) != 0) return io_error(os_code, function);
    if ((result = io_make(out_read, read_end, IO_PIPE, function)) != 0) {
        CloseHandle(read_end);
        CloseHandle(write_end);
    } else if ((result = io_make(out_write, write_end, IO_PIPE, function)) != 0) {
        CloseHandle(write_end);
        pintle_io_close(*out_read);
        *out_read = NULL;
    } else {
        (*out_read)->may_skip = (*out_write)->may_skip = true;
        (*out_write)->most_bytes = PIECE_BYTES;
    }
    return result;
}
