/* test_io.c: pintle_io: pipes, sockets, files. What ends early, and what is left then: test_io_end.c. */
#include "api/io_helpers.h"
#include "support/resources.h"

/* The calling thread's own: tests of several builds may run at the same time. */
static const char *unix_address(void) {
    static char address[64];
    snprintf(address, sizeof address, "unix:/tmp/pintle-test-io-%llu.sock", (unsigned long long)helper_thread_id());
    return address;
}

static int nothing_main(void *arg) {
    (void)arg;
    return 0;
}
/* What the first socket and the first run make the process keep is not counted. */
static unsigned handles_before(void) {
    pintle_io *io;
    ck_assert_int_eq(pintle_io_listen(&io, "127.0.0.1:0", 0), 0);
    pintle_io_close(io);
    must_run(nothing_main, NULL);
    return resources_handles();
}

/* ---- Pipes ---- */

static int pipe_main(void *arg) {
    pintle_io *in = NULL, *out = NULL;
    char text[16];
    (void)arg;
    MUST_BE(pintle_io_pipe(&in, &out), 0);
    MUST_BE(pintle_io_read(in, text, sizeof text, PINTLE_NOWAIT), PINTLE_EAGAIN);
    MUST_BE(pintle_io_read(in, text, sizeof text, PINTLE_MS(5)), PINTLE_EINVAL);
    int64_t begin = pintle_now();
    MUST_BE(pintle_io_read(in, text, sizeof text, begin + PINTLE_MS(5)), PINTLE_ETIMEDOUT);
    MUST(pintle_now() - begin >= PINTLE_MS(5));
    MUST_BE(pintle_io_write(out, "hello", 5, PINTLE_FOREVER), 5);
    MUST_BE(pintle_io_read(in, text, sizeof text, PINTLE_FOREVER), 5);
    MUST(memcmp(text, "hello", 5) == 0);
    MUST_BE(pintle_io_read(in, text, 0, PINTLE_NOWAIT), 0);
    MUST_BE(pintle_io_write(out, "x", 1, PINTLE_FOREVER), 1);
    pintle_io_close(out);
    MUST_BE(pintle_io_read(in, text, sizeof text, PINTLE_FOREVER), 1);
    MUST_BE(pintle_io_read(in, text, sizeof text, PINTLE_FOREVER), 0); /* the end, again and again */
    MUST_BE(pintle_io_read(in, text, sizeof text, PINTLE_FOREVER), 0);
    pintle_io_close(in);
    pintle_io_close(NULL);
    MUST_BE(pintle_io_read(NULL, text, 1, PINTLE_NOWAIT), PINTLE_EINVAL);
    /* Nobody reads: an error, no signal. */
    MUST_BE(pintle_io_pipe(&in, &out), 0);
    pintle_io_close(in);
    MUST_BE(pintle_io_write(out, "x", 1, PINTLE_FOREVER), PINTLE_ECLOSED);
    pintle_io_close(out);
    return 0;
}
CASE(pipe_carries_bytes_and_its_end) {
    unsigned before = handles_before();
    pipe_main(NULL); /* a thread that is no task, no runtime */
    must_run(pipe_main, NULL);
    ck_assert_uint_eq(resources_handles(), before);
    ASSERT_ALL_MUST();
}

enum { STREAM_BYTES = 3 << 20 };
static void stream_writer(void *arg) {
    static unsigned char data[STREAM_BYTES];
    for (size_t i = 0; i < STREAM_BYTES; i++) data[i] = pattern(i);
    MUST_BE(pintle_io_write(arg, data, STREAM_BYTES, PINTLE_FOREVER), STREAM_BYTES);
    pintle_io_close(arg);
}
static void read_all(pintle_io *io) { read_to_the_end(io, STREAM_BYTES); }
static int stream_main(void *arg) {
    pintle_io *in, *out;
    pintle_task *task;
    (void)arg;
    MUST_BE(pintle_io_pipe(&in, &out), 0);
    MUST_BE(pintle_spawn(&task, stream_writer, out), 0);
    read_all(in);
    MUST_BE(pintle_join(task, PINTLE_FOREVER), 0);
    pintle_io_close(in);
    return 0;
}
CASE(write_of_more_than_a_pipe_holds_is_whole) {
    must_run(stream_main, NULL);
    ASSERT_ALL_MUST();
}

/* ---- Close, cancel ---- */

static atomic_uint waiting, over;
static void reads_until_closed(void *arg) {
    char byte;
    atomic_fetch_add(&waiting, 1);
    MUST_BE(pintle_io_read(arg, &byte, 1, PINTLE_FOREVER), PINTLE_ECLOSED);
    atomic_fetch_add(&over, 1);
}
static int close_main(void *arg) {
    pintle_task *tasks[20];
    pintle_io *in, *out;
    (void)arg;
    atomic_store(&waiting, 0);
    atomic_store(&over, 0);
    MUST_BE(pintle_io_pipe(&in, &out), 0);
    MUST_BE(helper_spawn_all(tasks, 20, reads_until_closed, in), 0);
    must_yield_until(&waiting, 20);
    pintle_io_close(in);
    MUST_BE(helper_join_all(tasks, 20), 0);
    MUST_BE(over, 20);
    pintle_io_close(out);
    return 0;
}
CASE(close_ends_the_reads_that_wait) {
    unsigned before = handles_before();
    must_run_strict(close_main, NULL);
    ck_assert_uint_eq(resources_handles(), before);
    ASSERT_ALL_MUST();
}

static void reads_until_canceled(void *arg) {
    char byte = 7;
    atomic_fetch_add(&waiting, 1);
    MUST_BE(pintle_io_read(arg, &byte, 1, PINTLE_FOREVER), PINTLE_ECANCELED);
    MUST_BE(byte, 7);
    atomic_fetch_add(&over, 1);
}
static int cancel_main(void *arg) {
    pintle_task *tasks[20];
    pintle_io *in, *out;
    char byte = 0;
    (void)arg;
    atomic_store(&waiting, 0);
    atomic_store(&over, 0);
    MUST_BE(pintle_io_pipe(&in, &out), 0);
    MUST_BE(helper_spawn_all(tasks, 20, reads_until_canceled, in), 0);
    must_yield_until(&waiting, 20);
    for (int i = 0; i < 20; i++) pintle_task_cancel(tasks[i]);
    MUST_BE(helper_join_all(tasks, 20), 0);
    MUST_BE(over, 20);
    MUST_BE(pintle_io_write(out, "y", 1, PINTLE_NOWAIT), 1); /* nobody of them takes it any more */
    MUST_BE(pintle_io_read(in, &byte, 1, PINTLE_FOREVER), 1);
    MUST_BE(byte, 'y');
    pintle_io_close(in);
    pintle_io_close(out);
    return 0;
}
CASE(cancel_ends_a_read_and_leaves_nothing_under_way) {
    must_run_strict(cancel_main, NULL);
    must_run(cancel_main, NULL);
    ASSERT_ALL_MUST();
}

static int leave_main(void *arg) {
    pintle_io **ends = arg;
    atomic_store(&waiting, 0);
    atomic_store(&over, 0);
    MUST_BE(pintle_io_pipe(&ends[0], &ends[1]), 0);
    for (int i = 0; i < 20; i++) MUST_BE(pintle_spawn(NULL, reads_until_canceled, ends[0]), 0);
    must_yield_until(&waiting, 20);
    return 3;
}
static int again_main(void *arg) {
    pintle_io **ends = arg;
    pintle_task *task;
    (void)arg;
    MUST_BE(pintle_spawn(&task, stream_writer, ends[1]), 0);
    read_all(ends[0]);
    MUST_BE(pintle_join(task, PINTLE_FOREVER), 0);
    return 0;
}
CASE(pipe_outlives_the_runtime_and_serves_the_next) {
    unsigned before = handles_before();
    pintle_io *ends[2];
    ck_assert_int_eq(helper_run(leave_main, ends, 2), 3);
    ck_assert_uint_eq(over, 20);
    ck_assert_int_eq(helper_run(again_main, ends, 2), 0);
    pintle_io_close(ends[0]);
    ck_assert_uint_eq(resources_handles(), before);
    ASSERT_ALL_MUST();
}

/* ---- Sockets ---- */

static void echo_one(void *arg) {
    char data[1000];
    int64_t got;
    while ((got = pintle_io_read(arg, data, sizeof data, PINTLE_FOREVER)) > 0)
        MUST_BE(pintle_io_write(arg, data, (size_t)got, PINTLE_FOREVER), got);
    MUST(got == 0 || got == PINTLE_ECLOSED);
    pintle_io_close(arg);
}
static void echo_server(void *arg) {
    pintle_io *connection;
    int code;
    while ((code = pintle_io_accept(arg, &connection, PINTLE_FOREVER)) == 0)
        MUST_BE(pintle_spawn(NULL, echo_one, connection), 0);
    MUST_BE(code, PINTLE_ECLOSED);
}

#if defined(_WIN32)
enum { CLIENTS = 50, REQUESTS = 10 }; /* each operation goes by Wine's server several times */
#else
enum { CLIENTS = 200, REQUESTS = 30 };
#endif
static char server_address[PINTLE_IO_ADDRESS_BYTES];
static void client(void *arg) {
    helper_random random = helper_random_from((uint64_t)(uintptr_t)arg);
    char out[3000], in[3000];
    pintle_io *io = NULL;
    MUST_BE(pintle_io_connect(&io, server_address, PINTLE_FOREVER), 0);
    for (int i = 0; i < REQUESTS && io != NULL; i++) {
        size_t bytes = 1 + helper_random_below(&random, sizeof out), got = 0;
        memset(out, i + 1, bytes);
        MUST_BE(pintle_io_write(io, out, bytes, PINTLE_FOREVER), bytes);
        while (got < bytes) {
            int64_t some = pintle_io_read(io, in + got, bytes - got, pintle_after(PINTLE_S(50)));
            MUST(some > 0);
            if (some <= 0) break;
            got += (size_t)some;
        }
        MUST(memcmp(out, in, bytes) == 0);
    }
    MUST_BE(pintle_io_shutdown(io), 0);
    MUST_BE(pintle_io_read(io, in, sizeof in, PINTLE_FOREVER), 0);
    pintle_io_close(io);
}
static int echo_main(void *arg) {
    static pintle_task *tasks[CLIENTS];
    pintle_io *listener = NULL;
    pintle_task *server;
    MUST_BE(pintle_io_listen(&listener, arg, 0), 0);
    if (listener == NULL) return 1;
    MUST_BE(pintle_io_address(listener, server_address, sizeof server_address), 0);
    MUST_BE(pintle_io_address(listener, server_address, 3), PINTLE_EINVAL);
    MUST_BE(pintle_io_address(listener, server_address, sizeof server_address), 0);
    MUST_BE(pintle_spawn(&server, echo_server, listener), 0);
    for (size_t i = 0; i < CLIENTS; i++) MUST_BE(pintle_spawn(&tasks[i], client, (void *)(uintptr_t)(i + 1)), 0);
    MUST_BE(helper_join_all(tasks, CLIENTS), 0);
    MUST_BE(pintle_io_shutdown(listener), 0);
    MUST_BE(pintle_join(server, PINTLE_FOREVER), 0);
    MUST_BE(pintle_io_accept(listener, &(pintle_io *){NULL}, PINTLE_FOREVER), PINTLE_ECLOSED);
    pintle_io_close(listener);
    return 0;
}
CASE_TIMEOUT(sockets_echo_for_many_clients, 60) {
    unsigned before = handles_before();
    must_run(echo_main, (void *)(uintptr_t) "127.0.0.1:0");
    must_run(echo_main, (void *)(uintptr_t) "[::1]:0");
#if !defined(_WIN32)
    must_run(echo_main, (void *)(uintptr_t)unix_address());
    ck_assert_int_ne(access(unix_address() + 5, F_OK), 0);
#endif
    ck_assert_uint_eq(resources_handles(), before);
    ASSERT_ALL_MUST();
}

static int refuse_main(void *arg) {
    static const char *const bad[] = {"",      "127.0.0.1", "127.0.0.1:", ":80", "localhost:80", "1.2.3.4.5:6",
                                      "unix:", "[::1]"};
    char text[PINTLE_IO_ADDRESS_BYTES];
    pintle_io *io = NULL, *other = NULL;
    (void)arg;
    for (size_t i = 0; i < ELEMENTS(bad); i++) MUST_BE(pintle_io_connect(&io, bad[i], PINTLE_FOREVER), PINTLE_EINVAL);
    MUST_BE(pintle_io_listen(&io, "127.0.0.1:0", 0), 0);
    MUST_BE(pintle_io_address(io, text, sizeof text), 0);
    MUST_BE(pintle_io_listen(&other, text, 0), PINTLE_EBUSY);
    MUST(other == NULL);
    MUST_BE(pintle_io_accept(io, &other, pintle_after(PINTLE_MS(3))), PINTLE_ETIMEDOUT);
    pintle_io_close(io);
    MUST_BE(pintle_io_connect(&io, text, PINTLE_FOREVER), PINTLE_ENOTFOUND); /* nobody listens any more */
    MUST(io == NULL);
#if defined(_WIN32)
    MUST_BE(pintle_io_connect(&io, unix_address(), PINTLE_FOREVER), PINTLE_EINVAL);
    MUST_BE(pintle_io_wrap(&io, 0x7FFF0000), PINTLE_EINVAL);
#else
    MUST_BE(pintle_io_connect(&io, "unix:/nowhere/at/all", PINTLE_FOREVER), PINTLE_ENOTFOUND);
#endif
    MUST_BE(pintle_io_open(&io, "/nowhere/at/all", PINTLE_IO_READ), PINTLE_ENOTFOUND);
    MUST_BE(pintle_io_open(&io, "/tmp", 0), PINTLE_EINVAL);
    MUST_BE(pintle_io_wrap(&io, -1), PINTLE_EINVAL);
    return 0;
}
CASE(what_cannot_be_is_refused) {
    unsigned before = handles_before();
    refuse_main(NULL);
    must_run(refuse_main, NULL);
    ck_assert_uint_eq(resources_handles(), before);
    ASSERT_ALL_MUST();
}

static int resolve_main(void *arg) {
    char found[4][PINTLE_IO_ADDRESS_BYTES];
    (void)arg;
    MUST_BE(pintle_io_resolve("127.0.0.1", found, 4, PINTLE_FOREVER), 1);
    MUST(strcmp(found[0], "127.0.0.1") == 0);
    MUST_BE(pintle_io_resolve("::1", found, 4, PINTLE_FOREVER), 1);
    MUST(strcmp(found[0], "[::1]") == 0);
    MUST(pintle_io_resolve("localhost", found, 4, pintle_after(PINTLE_S(20))) >= 1);
    MUST_BE(pintle_io_resolve(NULL, found, 4, PINTLE_FOREVER), PINTLE_EINVAL);
    MUST_BE(pintle_io_resolve("not a name", found, 4, PINTLE_MS(1)), PINTLE_EINVAL);
    return 0;
}
CASE(look_up_gives_addresses) {
    must_run(resolve_main, NULL);
    ASSERT_ALL_MUST();
}

/* ---- Files ---- */

static int file_main(void *arg) {
    const char *path = arg;
    char text[32] = "";
    pintle_io *io = NULL;
    remove(path);
    MUST_BE(pintle_io_open(&io, path, PINTLE_IO_READ), PINTLE_ENOTFOUND);
    MUST_BE(pintle_io_open(&io, path, PINTLE_IO_WRITE | PINTLE_IO_CREATE | PINTLE_IO_TRUNCATE), 0);
    MUST_BE(pintle_io_write(io, "one ", 4, PINTLE_FOREVER), 4);
    MUST_BE(pintle_io_write(io, "two", 3, PINTLE_FOREVER), 3);
    pintle_io_close(io);
    MUST_BE(pintle_io_open(&io, path, PINTLE_IO_WRITE | PINTLE_IO_APPEND), 0);
    MUST_BE(pintle_io_write(io, "!", 1, PINTLE_FOREVER), 1);
    pintle_io_close(io);
    MUST_BE(pintle_io_open(&io, path, PINTLE_IO_READ), 0);
    MUST_BE(pintle_io_read(io, text, 4, PINTLE_FOREVER), 4);
    MUST_BE(pintle_io_read(io, text + 4, 20, PINTLE_FOREVER), 4);
    MUST(strcmp(text, "one two!") == 0);
    MUST_BE(pintle_io_read(io, text, 4, PINTLE_FOREVER), 0);
    MUST_BE(pintle_io_write(io, "x", 1, PINTLE_FOREVER), PINTLE_EINVAL);
    pintle_io_close(io);
    MUST_BE(pintle_io_open(&io, path, PINTLE_IO_READ | PINTLE_IO_WRITE | PINTLE_IO_TRUNCATE | PINTLE_IO_APPEND), 0);
    MUST_BE(pintle_io_read(io, text, 4, PINTLE_FOREVER), 0);
    MUST_BE(pintle_io_write(io, "more", 4, PINTLE_FOREVER), 4);
    pintle_io_close(io);
    MUST_BE(pintle_io_open(&io, path, PINTLE_IO_READ), 0);
    MUST_BE(pintle_io_read(io, text, sizeof text, PINTLE_NOWAIT), 4);
    pintle_io_close(io);
    MUST_BE(remove(path), 0); /* nobody has it open */
    return 0;
}
CASE(file_is_written_and_read) {
    char path[300];
    const char *folder = getenv(getenv("TEMP") != NULL ? "TEMP" : "TMPDIR");
    snprintf(path, sizeof path, "%s/pintle-test-io-%llu.file", folder != NULL ? folder : "/tmp",
             (unsigned long long)helper_thread_id());
    file_main(path);
    must_run(file_main, path);
    ASSERT_ALL_MUST();
}
