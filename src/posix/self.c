/* self.c (POSIX): the thread-local pointer that the call path reads.
 *
 * The variable is initial-exec: its offset from the thread pointer is fixed when the library is loaded, and the
 * assembly in src/posix/x64 reads it with one load. os_self() is a call that the compiler cannot look into or
 * merge with an earlier one: code that switched tasks may be on another thread now.
 * Threads: any; each sees its own. Locks: none. Order: none. Invariants: NULL until set.
 * Tests: tests/unit/test_os.c. */
#include "os.h"

#if defined(__clang__)
#define UNSEEN __attribute__((noinline))
#else
#define UNSEEN __attribute__((noinline, noipa))
#endif

extern __thread void *pintle_tls_self __attribute__((visibility("hidden"), tls_model("initial-exec")));
__thread void *pintle_tls_self __attribute__((visibility("hidden"), tls_model("initial-exec")));

int os_self_init(void) { return 0; /* the loader gave the slot */ }

void os_self_shutdown(void) {}

UNSEEN void *os_self(void) {
    __asm__ volatile("" ::: "memory"); /* not a pure function, whatever the optimizer can see */
    return pintle_tls_self;
}

UNSEEN void os_self_set(void *self) { pintle_tls_self = self; }
