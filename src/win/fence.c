/* fence.c (Windows): a fence in every thread of the process at once: none that can be relied upon. FlushProcessWriteBuffers
 * is one by its documentation, but Wine 8's does nothing (a store-buffer test broke 24 to 48 times in 200,000), and on
 * Windows itself it has not been tried.
 * Threads: any. Locks: none. Order: none. Invariants: none. Tests: tests/unit/test_take.c. */
#include "os.h"

bool os_fence_init(void) { return false; }

bool os_fence_threads(void) { return false; }
