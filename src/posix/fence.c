/* fence.c (POSIX): a fence in every thread of the process at once: Linux's membarrier (4.14 and later).
 * Threads: any. Locks: none. Order: as os.h says. Invariants: none. Tests: tests/unit/test_take.c. */
#include "os.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

bool os_fence_init(void) { return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0; }

bool os_fence_threads(void) { return syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0; }
