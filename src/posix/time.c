/* time.c (POSIX): the monotonic clock.
 *
 * CLOCK_MONOTONIC, read through the vDSO: no system call. It is also the clock that futex deadlines are on (wait.c).
 * Threads: any. Locks: none. Order: none. Invariants: never goes back, within a thread or from one to another.
 * Tests: tests/unit/test_os.c. */
#include <time.h>

#include "os.h"

int64_t os_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail: the clock exists and the pointer is good */
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}
