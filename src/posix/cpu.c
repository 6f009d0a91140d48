/* cpu.c (POSIX): how many processors this process may use.
 *
 * The lesser of the CPU affinity (of the calling thread, which is the process's unless somebody changed it) and the
 * control group's quota. Asked at the runtime's start; later changes are not seen.
 * Threads: any. Locks: none. Order: none. Invariants: at least 1.
 * Tests: tests/unit/test_os.c, tests/posix/test_os_posix.c. */
#define _GNU_SOURCE 1 /* sched_getaffinity */
#include <errno.h>
#include <sched.h>
#include <unistd.h>

#include "cgroup.h"
#include "os.h"

enum { CPUS_TRIED_FIRST = 1024, CPUS_TRIED_LAST = 1024 * 1024 };

/* The count in a set of that many CPUs; 0 with errno EINVAL if the system's own set is larger. */
static unsigned affinity_count_in(int cpus) {
    cpu_set_t *set = CPU_ALLOC((size_t)cpus);
    if (set == NULL) return 0;
    size_t bytes = CPU_ALLOC_SIZE((size_t)cpus);
    CPU_ZERO_S(bytes, set);
    int count = sched_getaffinity(0, bytes, set) == 0 ? CPU_COUNT_S(bytes, set) : 0;
    int error = errno;
    CPU_FREE(set);
    errno = error;
    return (unsigned)count;
}

static unsigned affinity_count(void) {
    for (int cpus = CPUS_TRIED_FIRST; cpus <= CPUS_TRIED_LAST; cpus *= 2) {
        errno = 0;
        unsigned count = affinity_count_in(cpus);
        if (count != 0) return count;
        if (errno != EINVAL) break;
    }
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (unsigned)online : 1;
}

unsigned os_processor_count(void) {
    unsigned count = affinity_count();
    unsigned quota = cgroup_processors("/proc/self/cgroup", "/proc/self/mountinfo");
    return quota != 0 && quota < count ? quota : count;
}
