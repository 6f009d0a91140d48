/* signals.c (Windows): console events. The system calls our handler on a thread that it makes for it.
 *
 * After CTRL_CLOSE_EVENT and its like the system ends the process when the handler returns, or when its patience ends. So the
 * handler stays, until somebody says that it is done, or the process ends.
 * The system may hold a lock of its own while it calls handlers, which SetConsoleCtrlHandler takes too: so that is never called
 * with a lock held that `tell` takes, nor while a handler is inside that waits for us.
 * Threads: watch, start, stop under their callers' locks; the handler on the system's threads. Locks: none.
 * Order: `inside` seq_cst, before the handler looks at `watched`. Tests: tests/win/test_signal_win.c. */
#include "win.h"

#include "pintle/signal.h"

static const struct {
    uint32_t kind;
    DWORD event;
    bool ends_process;
} events[] = {
    {PINTLE_SIGNAL_INTERRUPT, CTRL_C_EVENT, false},      {PINTLE_SIGNAL_BREAK, CTRL_BREAK_EVENT, false},
    {PINTLE_SIGNAL_CLOSE, CTRL_CLOSE_EVENT, true},       {PINTLE_SIGNAL_LOGOFF, CTRL_LOGOFF_EVENT, true},
    {PINTLE_SIGNAL_SHUTDOWN, CTRL_SHUTDOWN_EVENT, true},
};

static _Atomic uint32_t watched; /* kinds */
static _Atomic uint32_t inside;  /* threads in our handler */
static _Atomic uint32_t done;    /* raised by 1: those that are held may go */
static bool installed;
static void (*tell)(uint32_t kind, int number);

static void hold(uint32_t seen) {
    while (atomic_load_acquire(&done) == seen) os_wait_word(&done, seen, INT64_MAX);
}

BOOL WINAPI win_console_handler(DWORD event) {
    size_t i = 0;
    bool wanted;
    while (i < COUNT_OF(events) && events[i].event != event) i++;
    if (i == COUNT_OF(events)) return FALSE;
    (void)atomic_add_seq_cst(&inside, 1);
    wanted = (atomic_load_seq_cst(&watched) & events[i].kind) != 0;
    if (wanted) {
        uint32_t seen = atomic_load_acquire(&done);
        tell(events[i].kind, (int)event);
        if (events[i].ends_process) hold(seen);
    }
    if (atomic_sub_seq_cst(&inside, 1) == 1) os_wake_word_all(&inside);
    return wanted;
}

int os_signals_start(void (*arrived)(uint32_t kind, int number)) {
    tell = arrived;
    if (installed) return 0;
    if (fail_now(FAIL_MEMORY)) return ERROR_NOT_ENOUGH_MEMORY;
    if (!SetConsoleCtrlHandler(win_console_handler, TRUE)) return (int)GetLastError();
    installed = true;
    return 0;
}

void os_signals_stop(bool leave_nothing) {
    uint32_t count;
    if (leave_nothing) {
        os_signals_done();
        while ((count = atomic_load_seq_cst(&inside)) != 0) os_wait_word(&inside, count, INT64_MAX);
    }
    if (atomic_load_seq_cst(&inside) != 0) return; /* it is held: the process is about to end */
    SetConsoleCtrlHandler(win_console_handler, FALSE);
    installed = false;
}

unsigned os_signals_threads(void) { return 0; }

int os_signals_watch(uint32_t kinds) {
    atomic_store_seq_cst(&watched, kinds);
    return 0;
}

void os_signals_done(void) {
    (void)atomic_add_seq_cst(&done, 1);
    os_wake_word_all(&done);
}
