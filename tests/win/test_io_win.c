/* test_io_win.c: pintle_io on Windows: named pipes, handles that are not overlapped, ports of the program's own. */
#include "api/must.h"

#define PIPE_NAME "\\\\.\\pipe\\pintle-test-io-win"

static atomic_uint waiting;

/* ---- Named pipes ---- */

static HANDLE server_make(DWORD type, DWORD flags) {
    HANDLE server = CreateNamedPipeA(PIPE_NAME, PIPE_ACCESS_DUPLEX | flags, type, 1, 4096, 4096, 0, NULL);
    MUST(server != INVALID_HANDLE_VALUE);
    return server;
}
static int messages_main(void *arg) {
    pintle_io *server, *client;
    char data[64];
    (void)arg;
    MUST_BE(pintle_io_open(&client, PIPE_NAME, PINTLE_IO_READ | PINTLE_IO_WRITE), PINTLE_ENOTFOUND);
    MUST_BE(
        pintle_io_wrap(&server, (intptr_t)server_make(PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE, FILE_FLAG_OVERLAPPED)),
        0);
    MUST_BE(pintle_io_open(&client, PIPE_NAME, PINTLE_IO_READ | PINTLE_IO_WRITE), 0);
    MUST_BE(pintle_io_read(server, data, sizeof data, PINTLE_NOWAIT), PINTLE_EAGAIN);
    MUST_BE(pintle_io_read(client, data, sizeof data, pintle_after(PINTLE_MS(2))), PINTLE_ETIMEDOUT);
    MUST_BE(pintle_io_write(client, "one", 3, PINTLE_FOREVER), 3);
    MUST_BE(pintle_io_write(client, "second", 6, PINTLE_FOREVER), 6);
    MUST_BE(pintle_io_read(server, data, sizeof data, PINTLE_FOREVER), 3); /* messages stay apart */
    MUST_BE(pintle_io_read(server, data, 4, PINTLE_FOREVER), 4);
    MUST_BE(pintle_io_read(server, data + 4, 60, PINTLE_FOREVER), 2);
    MUST(memcmp(data, "second", 6) == 0);
    MUST_BE(pintle_io_write(server, "back", 4, PINTLE_FOREVER), 4);
    MUST_BE(pintle_io_read(client, data, sizeof data, PINTLE_FOREVER), 4);
    MUST_BE(pintle_io_shutdown(client), PINTLE_EINVAL);
    MUST_BE(pintle_io_address(client, data, sizeof data), PINTLE_EINVAL);
    pintle_io_close(client);
    MUST_BE(pintle_io_read(server, data, sizeof data, PINTLE_FOREVER), 0);
    pintle_io_close(server);
    return 0;
}
CASE(named_pipe_carries_messages_both_ways) {
    messages_main(NULL);
    must_run(messages_main, NULL);
    ck_assert_ptr_eq(GetModuleHandleW(L"ws2_32.dll"), NULL); /* nobody needed a socket */
    ASSERT_ALL_MUST();
}

/* ---- Others have ended what we began ---- */

static void reads_one(void *arg) {
    char byte = 0;
    atomic_fetch_add(&waiting, 1);
    MUST_BE(pintle_io_read(arg, &byte, 1, PINTLE_FOREVER), 1);
    MUST_BE(byte, '!');
}
static int meddled_main(void *arg) {
    pintle_io *in, *out;
    pintle_task *task;
    helper_thread thread;
    (void)arg;
    MUST_BE(pintle_io_pipe(&in, &out), 0);
    waiting = 0;
    MUST_BE(pintle_spawn(&task, reads_one, in), 0);
    MUST(helper_thread_start(&thread, reads_one, in));
    while (waiting != 2) pintle_yield();
    for (int i = 0; i < 100; i++) {
        CancelIoEx((HANDLE)pintle_io_native(in), NULL);
        pintle_yield();
    }
    MUST_BE(pintle_io_write(out, "!!", 2, PINTLE_FOREVER), 2);
    MUST_BE(pintle_join(task, PINTLE_FOREVER), 0);
    helper_thread_join(&thread);
    pintle_io_close(in);
    pintle_io_close(out);
    return 0;
}
CASE(read_that_others_end_goes_on) {
    must_run(meddled_main, NULL);
    ASSERT_ALL_MUST();
}

/* ---- Synchronous handles ---- */

static void reads_until(void *arg, int wanted) {
    char byte;
    atomic_fetch_add(&waiting, 1);
    MUST_BE(pintle_io_read(arg, &byte, 1, PINTLE_FOREVER), wanted);
}
static void reads_until_canceled(void *arg) { reads_until(arg, PINTLE_ECANCELED); }
static int synchronous_main(void *arg) {
    HANDLE reader, writer;
    pintle_io *in, *out;
    pintle_task *task;
    char data[8];
    (void)arg;
    MUST(CreatePipe(&reader, &writer, NULL, 0));
    MUST_BE(pintle_io_wrap(&in, (intptr_t)reader), 0);
    MUST_BE(pintle_io_wrap(&out, (intptr_t)writer), 0);
    MUST_BE(pintle_io_write(out, "abc", 3, PINTLE_FOREVER), 3);
    MUST_BE(pintle_io_read(in, data, sizeof data, PINTLE_FOREVER), 3);
    waiting = 0;
    MUST_BE(pintle_spawn(&task, reads_until_canceled, in), 0);
    while (waiting != 1) pintle_yield();
    pintle_task_cancel(task);
    MUST_BE(pintle_join(task, PINTLE_FOREVER), 0);
    pintle_io_close(out);
    MUST_BE(pintle_io_read(in, data, sizeof data, PINTLE_FOREVER), 0);
    pintle_io_close(in);
    return 0;
}
CASE(synchronous_pipe_is_read_by_calls_that_a_cancel_ends) {
    must_run(synchronous_main, NULL);
    ASSERT_ALL_MUST();
}

/* ---- What is refused ---- */

static int others_port_main(void *arg) {
    HANDLE port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0), server;
    OVERLAPPED_ENTRY entry;
    ULONG count = 0;
    pintle_io *io, *client;
    char data[8];
    MUST(port != NULL);
    server = server_make(PIPE_TYPE_BYTE, FILE_FLAG_OVERLAPPED);
    MUST(CreateIoCompletionPort(server, port, 5, 0) == port);
    MUST_BE(pintle_io_wrap(&io, (intptr_t)server), 0);
    MUST_BE(pintle_io_open(&client, PIPE_NAME, PINTLE_IO_READ | PINTLE_IO_WRITE), 0);
    MUST_BE(pintle_io_write(client, "x", 1, PINTLE_FOREVER), 1);
    if (arg != NULL) { /* a task, which would have to wait at our port */
        MUST_BE(pintle_io_read(io, data, 1, PINTLE_FOREVER), PINTLE_EINVAL);
    } else {
        MUST_BE(pintle_io_read(io, data, 1, PINTLE_FOREVER), 1);
        MUST_BE(pintle_io_read(io, data, 1, pintle_after(PINTLE_MS(2))), PINTLE_ETIMEDOUT);
    }
    MUST(!GetQueuedCompletionStatusEx(port, &entry, 1, &count, 0, FALSE)); /* nothing of ours comes there */
    pintle_io_close(io);
    pintle_io_close(client);
    CloseHandle(port);
    return 0;
}
CASE(handle_of_another_port_serves_threads_only) {
    others_port_main(NULL);
    must_run(others_port_main, &waiting);
    ASSERT_ALL_MUST();
}

CASE(overlapped_file_is_refused) {
    wchar_t folder[MAX_PATH], path[MAX_PATH];
    char data[4], utf8[3 * MAX_PATH];
    pintle_io *io = NULL;
    GetTempPathW(MAX_PATH, folder);
    swprintf(path, MAX_PATH, L"%lspintle-\u00e9\u20ac-%lu.txt", folder, GetCurrentProcessId());
    ck_assert_int_gt(WideCharToMultiByte(CP_UTF8, 0, path, -1, utf8, sizeof utf8, NULL, NULL), 0);
    HANDLE file = CreateFileW(path, GENERIC_READ | GENERIC_WRITE,
                              FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL, CREATE_ALWAYS,
                              FILE_FLAG_OVERLAPPED, NULL);
    ck_assert_ptr_ne(file, INVALID_HANDLE_VALUE);
    ck_assert_int_eq(pintle_io_wrap(&io, (intptr_t)file), PINTLE_EINVAL);
    ck_assert_ptr_eq(io, NULL);
    ck_assert(CloseHandle(file)); /* it stayed the caller's */
    ck_assert_int_eq(pintle_io_open(&io, utf8, PINTLE_IO_READ | PINTLE_IO_WRITE), 0);
    ck_assert_int_eq(pintle_io_write(io, "text", 4, PINTLE_NOWAIT), 4);
    ck_assert_int_eq(pintle_io_read(io, data, 4, PINTLE_NOWAIT), 0);
    pintle_io_close(io);
    ck_assert(DeleteFileW(path));
}
