/* census.c (POSIX): how many threads the process has, and what they have used. Threads: any. Tests:
 * tests/death/test_deadlock.c, tests/api/test_lend.c. */
#include <dirent.h>
#include <errno.h>
#include <time.h>

#include "os.h"

unsigned os_thread_count(void) {
    DIR *folder = opendir("/proc/self/task");
    unsigned count = 0;
    if (folder == NULL) return 0;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

/* Linux encodes a thread's CPU clock in the clock's number (clock_getcpuclockid's man page hides how). */
int64_t os_thread_cpu_ns(uint64_t id) {
    enum { PER_THREAD = 4, SCHEDULER_TIME = 2 };
    struct timespec used;
    int kept = errno;
    clockid_t clock = (clockid_t)((~(unsigned)id << 3) | PER_THREAD | SCHEDULER_TIME);
    int64_t result = clock_gettime(clock, &used) == 0 ? (int64_t)used.tv_sec * 1000000000 + used.tv_nsec : 0;
    errno = kept;
    return result;
}
