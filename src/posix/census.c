/* census.c (POSIX): how many threads the process has. Threads: any. Tests: tests/death/test_deadlock.c. */
#include <dirent.h>

#include "os.h"

unsigned os_thread_count(void) {
    DIR *folder = opendir("/proc/self/task");
    unsigned count = 0;
    if (folder == NULL) return 0;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}
