/* flag.c (POSIX): a flag for foreign loops: an eventfd.
 * Threads: any; who sets it holds a lock over it. Locks: none. Tests: tests/api/test_native.c. */
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fail.h"
#include "os.h"

int os_flag_make(intptr_t *out_flag) {
    int fd = fail_now(FAIL_MEMORY) ? (errno = EMFILE, -1) : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    *out_flag = fd;
    return fd >= 0 ? 0 : errno;
}

void os_flag_close(intptr_t flag) { close((int)flag); }

void os_flag_set(intptr_t flag, bool is_set) {
    int kept = errno;
    eventfd_t value;
    if (is_set) {
        (void)eventfd_write((int)flag, 1);
    } else {
        (void)eventfd_read((int)flag, &value); /* if somebody read it against the rule there is nothing to read */
    }
    errno = kept;
}
