/* test_io_failure.c: pintle_io with the first resource refused, then the second, … (fail.h; debug builds): each function gives a
 * clear error or succeeds, nothing hangs, and all is given back. */
#include "api/must.h"
#include "support/resources.h"

#include "fail.h"
#include "memory.h"

/* What a process keeps from its first socket on is there. */
static atomic_bool has_sockets;

static bool is_fine(int64_t result) {
    return result >= 0 || result == PINTLE_ENOMEM || result == PINTLE_ELIMIT || result == PINTLE_EOS ||
           result == PINTLE_ENOTFOUND || result == PINTLE_ETIMEDOUT || result == PINTLE_ECLOSED;
}
static void writes(void *arg) {
    MUST(is_fine(pintle_io_write(arg, "abc", 3, PINTLE_FOREVER)));
    pintle_io_close(arg);
}
static void use_stream(pintle_io *in, pintle_io *out) {
    char text[8];
    int64_t got;
    MUST(is_fine(pintle_io_read(in, text, sizeof text, pintle_after(PINTLE_US(100)))));
    int code = pintle_spawn(NULL, writes, out);
    MUST(is_fine(code));
    if (code != 0) pintle_io_close(out);
    while ((got = pintle_io_read(in, text, sizeof text, PINTLE_FOREVER)) > 0) MUST_BE(got, 3);
    MUST(is_fine(got));
    pintle_io_close(in);
}
static void use_pipe(void) {
    pintle_io *in, *out;
    int code = pintle_io_pipe(&in, &out);
    MUST(is_fine(code));
    if (code == 0) use_stream(in, out);
}
static void use_connection(void) {
    char address[PINTLE_IO_ADDRESS_BYTES];
    pintle_io *listener, *in = NULL, *out = NULL;
    int code = pintle_io_listen(&listener, "127.0.0.1:0", 0);
    MUST(is_fine(code));
    if (code != 0) return;
    has_sockets = true;
    MUST(is_fine(pintle_io_accept(listener, &in, pintle_after(PINTLE_US(100)))));
    MUST_BE(pintle_io_address(listener, address, sizeof address), 0);
    code = pintle_io_connect(&out, address, PINTLE_FOREVER);
    MUST(is_fine(code));
    if (code == 0) {
        code = pintle_io_accept(listener, &in, PINTLE_FOREVER);
        MUST(is_fine(code));
    }
    if (code == 0) {
        use_stream(in, out);
    } else {
        pintle_io_close(out);
    }
    pintle_io_close(listener);
}
static void use_thread_waits(void *arg) {
    pintle_io *in, *out;
    char byte;
    int code = pintle_io_pipe(&in, &out);
    (void)arg;
    MUST(is_fine(code));
    if (code != 0) return;
    MUST(is_fine(pintle_io_read(in, &byte, 1, pintle_after(PINTLE_US(100)))));
    pintle_io_close(in);
    pintle_io_close(out);
}
static void use_file(void) {
    char found[2][PINTLE_IO_ADDRESS_BYTES];
    pintle_io *io;
    int code = pintle_io_open(&io, test_dll_path("os_sample"), PINTLE_IO_READ);
    MUST(is_fine(code));
    if (code == 0) pintle_io_close(io);
    MUST(is_fine(pintle_io_resolve("127.0.0.1", found, 2, PINTLE_FOREVER)));
}
static int load_main(void *arg) {
    helper_thread thread;
    fail_plan(FAIL_RESOURCES, *(uint64_t *)arg, 1);
    use_pipe();
    use_connection();
    use_file();
    MUST(helper_thread_start(&thread, use_thread_waits, NULL));
    helper_thread_join(&thread);
    return 0;
}
DEBUG_CASE_TIMEOUT(each_resource_of_io_refused_once, 60) {
    unsigned handles = 0;
    uint64_t blocks = 0, refused = 1, first = 1;
    for (; refused != 0 && first < 200; first++) {
        bool is_settled = has_sockets && first > 1;
        ck_assert_int_eq(helper_run(load_main, &first, 2), 0);
        refused = fail_refused();
        fail_plan(0, 0, 0);
        ck_assert_uint_eq(must_failures, 0);
        if (is_settled) ck_assert_uint_eq(resources_handles(), handles);
        if (is_settled) ck_assert_uint_eq(memory_blocks(), blocks);
        handles = resources_handles();
        blocks = memory_blocks();
    }
    ck_assert_uint_gt(first, 15); /* so many were refused, each once */
    ck_assert_uint_eq(refused, 0);
    printf("%llu refused\n", (unsigned long long)first - 2);
}
