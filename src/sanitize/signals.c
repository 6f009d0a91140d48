/* signals.c (ThreadSanitizer's builds): signals that it keeps back are handled where our threads sleep and switch.
 *
 * ThreadSanitizer runs a handler only in functions that it knows: at once where it knows that they wait, else when the next of
 * them is called. Until then it keeps the signal with the fiber that ran on the thread. Our waits on words are system calls that
 * it does not know, and a fiber that is switched away from may not run again for long. So
 *   - a wait on a word ends when a signal comes (the kernel restarts only waits without a deadline: so each has one), and then
 *     calls such a function
 *   - a switch of fibers calls one first
 * A signal that comes right between that and the system call, or the switch, is handled when that wait's deadline, or that task's
 * next turn, comes.
 * Compiled without instrumentation. Threads: any. Tests: tests/posix/test_signal_posix.c, test_service_posix.c,
 * test_service_wrap.c. */
#include "sanitize.h"

#include "os.h"

#define LOOK_NS INT64_C(200000000)

void os_wait_word_bare(_Atomic uint32_t *word, uint32_t expected, int64_t deadline_ns);

void sanitize_signals(void) {
    static const char *volatile empty = "";
    (void)strlen(empty); /* it knows this one; volatile: the compiler does not */
}

void os_wait_word(_Atomic uint32_t *word, uint32_t expected, int64_t deadline_ns) {
    int64_t look_ns = os_now_ns() + LOOK_NS;
    os_wait_word_bare(word, expected, deadline_ns < look_ns ? deadline_ns : look_ns); /* may end spuriously: os.h */
    sanitize_signals();
}
