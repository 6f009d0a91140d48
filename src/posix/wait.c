/* wait.c (POSIX): waiting on a word, by futex.
 *
 * Threads: any. Locks: none. Order: the kernel compares the word under its own lock, ordered against a wake of the
 * same word; what the word guards is ordered by the caller's atomics. Invariants: a wait ends by itself at its
 * deadline, never before the clock has reached it.
 * Tests: tests/unit/test_os.c, tests/posix/test_os_posix.c (the timer slack). */
#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "fail.h"
#include "os.h"

/* The kernel may end a timed wait late by the thread's timer slack, 50 us unless set; a prctl is 0.1 us, once. */
static void slack_set_once(void) {
    static __thread bool slack_is_set;
    if (slack_is_set) return;
    slack_is_set = true;
    int kept = errno;
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); /* refused: the waits are only less precise */
    errno = kept;
}

/* The deadline is absolute, on os_now_ns()'s clock (FUTEX_WAIT_BITSET is the operation that takes one); NULL: none. */
static void futex_wait(_Atomic uint32_t *word, uint32_t expected, const struct timespec *deadline) {
    int kept = errno;
    syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, expected, deadline, NULL, FUTEX_BITSET_MATCH_ANY);
    errno = kept;
}

void os_wait_word(_Atomic uint32_t *word, uint32_t expected, int64_t deadline_ns) {
    if (fail_now(FAIL_WAIT)) return;
    if (deadline_ns == INT64_MAX) {
        futex_wait(word, expected, NULL);
        return;
    }
    if (deadline_ns < 0) return; /* before the clock's start; the kernel would refuse it */
    slack_set_once();
    struct timespec deadline = {.tv_sec = (time_t)(deadline_ns / 1000000000),
                                .tv_nsec = (long)(deadline_ns % 1000000000)};
    futex_wait(word, expected, &deadline);
}

static void futex_wake(_Atomic uint32_t *word, int count) {
    int kept = errno;
    syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, count, NULL, NULL, 0);
    errno = kept;
}

void os_wake_word_one(_Atomic uint32_t *word) { futex_wake(word, 1); }

void os_wake_word_all(_Atomic uint32_t *word) { futex_wake(word, INT_MAX); }

void os_yield_thread(void) { sched_yield(); }
