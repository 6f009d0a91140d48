/* io.c (Windows): pintle_io is not there yet: ENOTSUP. pintle_wait_handle is: own.c.
 * Threads: any. Locks: none. Tests: tests/win/test_wait_handle.c. */
#include "error.h"
#include "io_poll.h"
#include "pintle/io.h"

void io_ready(const os_ready *ready) { (void)ready; }
void io_stop(void) {}

static int refuse(const char *function) {
    return error_set(PINTLE_ENOTSUP, 0,
                     "%s: not on Windows in this version: use the system's functions in pintle_call, "
                     "or overlapped ones with pintle_wait_handle",
                     function);
}

int pintle_io_open(pintle_io **out, const char *path, unsigned flags) {
    (void)out, (void)path, (void)flags;
    return refuse("pintle_io_open");
}
int pintle_io_wrap(pintle_io **out, intptr_t native) {
    (void)out, (void)native;
    return refuse("pintle_io_wrap");
}
intptr_t pintle_io_native(const pintle_io *io) {
    (void)io;
    return -1;
}
int pintle_io_pipe(pintle_io **out_read, pintle_io **out_write) {
    (void)out_read, (void)out_write;
    return refuse("pintle_io_pipe");
}
int pintle_io_listen(pintle_io **out, const char *address, int backlog) {
    (void)out, (void)address, (void)backlog;
    return refuse("pintle_io_listen");
}
int pintle_io_accept(pintle_io *listener, pintle_io **out, int64_t deadline_ns) {
    (void)listener, (void)out, (void)deadline_ns;
    return refuse("pintle_io_accept");
}
int pintle_io_connect(pintle_io **out, const char *address, int64_t deadline_ns) {
    (void)out, (void)address, (void)deadline_ns;
    return refuse("pintle_io_connect");
}
int pintle_io_address(const pintle_io *io, char *out_text, size_t text_bytes) {
    (void)io, (void)out_text, (void)text_bytes;
    return refuse("pintle_io_address");
}
int64_t pintle_io_read(pintle_io *io, void *out_data, size_t bytes, int64_t deadline_ns) {
    (void)io, (void)out_data, (void)bytes, (void)deadline_ns;
    return refuse("pintle_io_read");
}
int64_t pintle_io_write(pintle_io *io, const void *data, size_t bytes, int64_t deadline_ns) {
    (void)io, (void)data, (void)bytes, (void)deadline_ns;
    return refuse("pintle_io_write");
}
int pintle_io_shutdown(pintle_io *io) {
    (void)io;
    return refuse("pintle_io_shutdown");
}
void pintle_io_close(pintle_io *io) { (void)io; }
int pintle_io_resolve(const char *host, char (*out_addresses)[PINTLE_IO_ADDRESS_BYTES], unsigned most,
                      int64_t deadline_ns) {
    (void)host, (void)out_addresses, (void)most, (void)deadline_ns;
    return refuse("pintle_io_resolve");
}
