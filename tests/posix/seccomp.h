/* seccomp.h: a sandbox that comes late, for tests of what Linux may refuse at any time. */
#ifndef PINTLE_TESTS_SECCOMP_H
#define PINTLE_TESTS_SECCOMP_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { STATUS_NO_FILTER = 98, CALLS_MOST = 4 };

/* From now on, for all threads, these system calls fail with the error. Where no sandbox can be had the process ends, with
 * STATUS_NO_FILTER. */
static inline void refuse_calls(const unsigned *calls, unsigned count, unsigned error) {
    struct sock_filter filter[CALLS_MOST + 3] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))};
    struct sock_fprog program = {.len = (unsigned short)(count + 3), .filter = filter};
    if (count > CALLS_MOST) _exit(STATUS_NO_FILTER);
    for (unsigned i = 0; i < count; i++) {
        filter[1 + i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[i], (unsigned char)(count - i),
                                                     0);
    }
    filter[1 + count] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    filter[2 + count] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) != 0) {
        _exit(STATUS_NO_FILTER);
    }
}

#endif
