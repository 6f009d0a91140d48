/* interrupt.c (POSIX): interrupting a thread's system call, by a signal whose handler does nothing.
 *
 * The handler is there so that the call ends with EINTR, hence without SA_RESTART; on the alternate stack where the thread has
 * one, since foreign code may run on a small stack. Ours carry a mark: a signal of the same number from elsewhere
 * goes on to the handler that was there before.
 * Threads: any. Locks: none. Order: the handler is there before the first signal, and stays until after the last.
 * Invariants: signal_number is 0 where there is none of ours. Tests: tests/api/test_interrupt.c. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os.h"

static int signal_number;
static struct sigaction before;
static char mark; /* its address */

static void handle(int number, siginfo_t *info, void *context) {
    if (info->si_code == SI_QUEUE && info->si_value.sival_ptr == &mark) return;
    if (before.sa_flags & SA_SIGINFO) {
        before.sa_sigaction(number, info, context);
    } else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
        before.sa_handler(number);
    }
}

int os_interrupt_default(void) { return SIGURG; }

int os_interrupts_init(int number) {
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    signal_number = 0;
    if (number == 0) return 0;
    if (sigaction(number, &action, &before) != 0) return errno;
    signal_number = number;
    return 0;
}

void os_interrupts_shutdown(void) {
    struct sigaction now;
    if (signal_number == 0) return;
    if (sigaction(signal_number, NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) && now.sa_sigaction == handle) {
        sigaction(signal_number, &before, NULL);
    } /* else somebody has taken it since */
    signal_number = 0;
}

void os_interrupt_thread(uint64_t id) {
    siginfo_t info = {.si_signo = signal_number, .si_code = SI_QUEUE};
    int kept = errno;
    if (signal_number == 0) return;
    info.si_pid = getpid();
    info.si_uid = getuid();
    info.si_value.sival_ptr = &mark;
    syscall(SYS_rt_tgsigqueueinfo, getpid(), (pid_t)id, signal_number, &info);
    errno = kept;
}

/* Any system call: a signal is delivered at its end at the latest. */
void os_interrupt_spend(void) { (void)getppid(); }
