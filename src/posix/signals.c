/* signals.c (POSIX): signals, taken up by a handler, told by a thread of our own.
 *
 * The handler may run on any thread, in the middle of anything: it sets the signal's bit in `pending`, wakes the thread, and
 * calls the handler that was there before. The thread takes the bits and tells. The same signal twice before that is one: as with
 * the kernel itself.
 * Threads: watch under its caller's lock; handlers anywhere. Locks: none. Order: `pending` seq_cst, a wake after it.
 * Invariants: `before` of a signal is written before its handler is installed, and stays: somebody may have kept our handler's
 * address as the one to call after his own. Tests: tests/posix/test_signal_posix.c. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <signal.h>

#include "os.h"
#include "pintle/signal.h"

enum { STOP = 1u << 31 };

static const struct {
    uint32_t kind;
    int number;
} signals[] = {
    {PINTLE_SIGNAL_INTERRUPT, SIGINT}, {PINTLE_SIGNAL_BREAK, SIGQUIT}, {PINTLE_SIGNAL_TERMINATE, SIGTERM},
    {PINTLE_SIGNAL_CLOSE, SIGHUP},     {PINTLE_SIGNAL_USER1, SIGUSR1}, {PINTLE_SIGNAL_USER2, SIGUSR2},
};

static struct sigaction before[COUNT_OF(signals)];
static bool installed[COUNT_OF(signals)];
static _Atomic uint32_t watched, pending; /* kinds */
static os_thread teller;
static void (*tell)(uint32_t kind, int number);
static _Atomic uint32_t threads;

/* ---- In the middle of anything ---- */

static void call_the_one_before(size_t i, int number, siginfo_t *info, void *context) {
    if (before[i].sa_flags & SA_SIGINFO) {
        before[i].sa_sigaction(number, info, context);
    } else if (before[i].sa_handler != SIG_DFL && before[i].sa_handler != SIG_IGN) {
        before[i].sa_handler(number);
    }
}

static void handle(int number, siginfo_t *info, void *context) {
    int kept = errno;
    size_t i = 0;
    while (i < COUNT_OF(signals) && signals[i].number != number) i++;
    if (i == COUNT_OF(signals)) return;
    if (atomic_load_relaxed(&watched) & signals[i].kind) {
        atomic_fetch_or_explicit(&pending, signals[i].kind, memory_order_seq_cst); /* pairs with the swap in tell_all */
        os_wake_word_one(&pending);
    }
    errno = kept;
    call_the_one_before(i, number, info, context);
}

/* ---- The thread ---- */

static void tell_all(void *arg) {
    uint32_t taken = 0;
    (void)arg;
    while ((taken & STOP) == 0) {
        os_wait_word(&pending, 0, INT64_MAX);
        taken = atomic_swap_seq_cst(&pending, 0);
        for (size_t i = 0; i < COUNT_OF(signals); i++) {
            if (taken & signals[i].kind) tell(signals[i].kind, signals[i].number);
        }
    }
}

int os_signals_start(void (*arrived)(uint32_t kind, int number)) {
    tell = arrived;
    atomic_store_relaxed(&pending, 0);
    int error = os_thread_start(&teller, tell_all, NULL);
    if (error == 0) atomic_store_relaxed(&threads, 1);
    return error;
}

void os_signals_stop(bool leave_nothing) {
    (void)leave_nothing;
    atomic_fetch_or_explicit(&pending, (uint32_t)STOP, memory_order_seq_cst);
    os_wake_word_one(&pending);
    os_thread_join(&teller);
    atomic_store_relaxed(&threads, 0);
}

unsigned os_signals_threads(void) { return atomic_load_relaxed(&threads); }

/* ---- Handlers ---- */

static bool is_ours(const struct sigaction *action) {
    return (action->sa_flags & SA_SIGINFO) != 0 && action->sa_sigaction == handle;
}

static int install(size_t i) {
    struct sigaction ours = {.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK}, now;
    if (sigaction(signals[i].number, NULL, &now) != 0) return errno;
    if (!is_ours(&now)) { /* else somebody has put it back */
        before[i] = now;
        ours.sa_sigaction = handle;
        sigemptyset(&ours.sa_mask);
        if (sigaction(signals[i].number, &ours, NULL) != 0) return errno;
    }
    installed[i] = true;
    return 0;
}

/* Only if it is still ours: who came later calls us as the one before. */
static void give_back(size_t i) {
    struct sigaction now;
    if (sigaction(signals[i].number, NULL, &now) != 0 || !is_ours(&now)) return;
    (void)sigaction(signals[i].number, &before[i], NULL);
    installed[i] = false;
}

int os_signals_watch(uint32_t kinds) {
    int kept = errno, error = 0;
    atomic_store_relaxed(&watched, kinds);
    for (size_t i = 0; i < COUNT_OF(signals); i++) {
        if ((kinds & signals[i].kind) != 0 && !installed[i] && error == 0) {
            error = install(i);
        } else if ((kinds & signals[i].kind) == 0 && installed[i]) {
            give_back(i);
        }
    }
    errno = kept;
    return error;
}

void os_signals_done(void) {}
