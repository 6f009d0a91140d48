/* own.c (POSIX): waiting for what the program owns itself: descriptors. Handles are Windows'. See watch.c.
 * Threads: any. Locks: none of its own. Tests: tests/posix/test_wait_fd.c. */
#include "error.h"
#include "pintle/chan.h"
#include "pintle/io.h"
#include "watch.h"

int pintle_wait_fd(int fd, unsigned events, int64_t deadline_ns) {
    if (fd < 0) return error_set(PINTLE_EINVAL, 0, "pintle_wait_fd: %d is no descriptor", fd);
    if (events > 0xFFFF) return error_set(PINTLE_EINVAL, 0, "pintle_wait_fd: 0x%x are no events of poll()", events);
    return watch_wait(fd, events, deadline_ns, "pintle_wait_fd");
}

int pintle_wait_handle(void *handle, int64_t deadline_ns) {
    (void)handle, (void)deadline_ns;
    return error_set(PINTLE_ENOTSUP, 0, "pintle_wait_handle: handles are Windows': use pintle_wait_fd");
}

int pintle_select_messages(pintle_case *cases, size_t n, int64_t deadline_ns, unsigned wake_mask) {
    (void)cases, (void)n, (void)deadline_ns, (void)wake_mask;
    return error_set(PINTLE_ENOTSUP, 0, "pintle_select_messages: messages are Windows': use pintle_select");
}
