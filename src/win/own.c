/* own.c (Windows): waiting for what the program owns itself: handles. Descriptors are POSIX's. See watch.c (both).
 * Threads: any. Locks: none of its own. Tests: tests/win/test_wait_handle.c. */
#include "error.h"
#include "pintle/io.h"
#include "watch.h"

int pintle_wait_fd(int fd, unsigned events, int64_t deadline_ns) {
    (void)fd, (void)events, (void)deadline_ns;
    return error_set(PINTLE_ENOTSUP, 0, "pintle_wait_fd: descriptors are POSIX's: use pintle_wait_handle");
}

int pintle_wait_handle(void *handle, int64_t deadline_ns) {
    int result;
    if (handle == NULL) return error_set(PINTLE_EINVAL, 0, "pintle_wait_handle: the handle is NULL");
    result = watch_wait((intptr_t)handle, 1, deadline_ns, "pintle_wait_handle");
    return result > 0 ? 0 : result;
}
