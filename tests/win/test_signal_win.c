/* test_signal_win.c: console events as items of channels: Ctrl-C through a console, the others by the handler itself, as the
 * system calls it: on a thread of its own. (Wine delivers Ctrl-C only: docs/windows.md.) */
#include "api/must.h"

BOOL WINAPI win_console_handler(DWORD event); /* src/win/signals.c */

static pintle_chan *open_for(unsigned which) {
    pintle_chan *c = NULL;
    MUST_BE(pintle_signal_open(&c, which), 0);
    return c;
}
static pintle_signal next_of(pintle_chan *c) {
    pintle_signal item = {0};
    MUST_BE(pintle_chan_recv(c, &item, PINTLE_FOREVER), 0);
    return item;
}

/* An event, as the system brings it. */
typedef struct event {
    DWORD number;
    BOOL answer;
    atomic_bool back;
    helper_thread thread;
} event;
static void bring(void *arg) {
    event *e = arg;
    e->answer = win_console_handler(e->number);
    atomic_store(&e->back, true);
}

static const struct {
    DWORD number;
    unsigned kind;
    bool holds;
} all[] = {
    {CTRL_C_EVENT, PINTLE_SIGNAL_INTERRUPT, false},      {CTRL_BREAK_EVENT, PINTLE_SIGNAL_BREAK, false},
    {CTRL_CLOSE_EVENT, PINTLE_SIGNAL_CLOSE, true},       {CTRL_LOGOFF_EVENT, PINTLE_SIGNAL_LOGOFF, true},
    {CTRL_SHUTDOWN_EVENT, PINTLE_SIGNAL_SHUTDOWN, true},
};

static int each_main(void *arg) {
    pintle_chan *c = open_for(PINTLE_SIGNAL_STOP), *interrupts = open_for(PINTLE_SIGNAL_INTERRUPT);
    (void)arg;
    for (size_t i = 0; i < ELEMENTS(all); i++) {
        event e = {.number = all[i].number};
        MUST(helper_thread_start(&e.thread, bring, &e));
        pintle_signal item = next_of(c);
        MUST_BE(item.kind, all[i].kind);
        MUST_BE(item.number, (int)all[i].number);
        if (all[i].holds) {
            pintle_sleep(PINTLE_MS(30));
            MUST(!atomic_load(&e.back)); /* else Windows would end the process now */
            pintle_signal_done();
        }
        helper_thread_join(&e.thread);
        MUST(e.answer);
    }
    MUST_BE(next_of(interrupts).kind, PINTLE_SIGNAL_INTERRUPT);
    MUST_BE(pintle_chan_count(interrupts), 0);
    pintle_chan_free(c);
    MUST(!win_console_handler(CTRL_BREAK_EVENT)); /* nobody asks: the next handler's */
    MUST(!win_console_handler(CTRL_CLOSE_EVENT));
    MUST(!win_console_handler(77));
    MUST(win_console_handler(CTRL_C_EVENT));
    pintle_chan_free(interrupts);
    MUST(!win_console_handler(CTRL_C_EVENT));
    return 0;
}

CASE(console_events_arrive_and_those_that_end_the_process_wait) {
    must_run(each_main, NULL);
    ASSERT_ALL_MUST();
}

/* pintle_stop lets the one that is held go, and returns when it has left: the library may be unloaded then. */
static void take_close(void *arg) {
    pintle_chan *c = open_for(PINTLE_SIGNAL_CLOSE);
    MUST(helper_thread_start(&((event *)arg)->thread, bring, arg));
    MUST_BE(next_of(c).kind, PINTLE_SIGNAL_CLOSE);
    pintle_chan_free(c);
}

CASE(stop_lets_a_held_event_go_and_waits_for_it) {
    for (int i = 0; i < 5; i++) {
        event e = {.number = CTRL_CLOSE_EVENT};
        ck_assert_int_eq(pintle_start(NULL), 0);
        ck_assert_int_eq(pintle_enter(take_close, &e), 0);
        ck_assert(!atomic_load(&e.back));
        ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
        helper_thread_join(&e.thread);
        ck_assert(e.answer);
    }
    ASSERT_ALL_MUST();
}

/* ---- A real Ctrl-C, in a process with a console of its own ---- */

static atomic_uint host_got;
static BOOL WINAPI host_handler(DWORD number) {
    if (number == CTRL_C_EVENT) atomic_fetch_add(&host_got, 1);
    return TRUE;
}
static int ctrl_c_main(void *arg) {
    pintle_chan *c = open_for(PINTLE_SIGNAL_STOP);
    (void)arg;
    for (int i = 0; i < 3; i++) {
        if (!GenerateConsoleCtrlEvent(CTRL_C_EVENT, 0)) return 11;
        if (next_of(c).kind != PINTLE_SIGNAL_INTERRUPT) return 12;
    }
    if (atomic_load(&host_got) != 0) return 13; /* it was set before: ours comes first, and answers */
    pintle_chan_free(c);
    if (!GenerateConsoleCtrlEvent(CTRL_C_EVENT, 0)) return 14;
    while (atomic_load(&host_got) == 0) pintle_yield(); /* now it is the host's */
    return 42;
}
CHILD(gets_ctrl_c) {
    SetConsoleCtrlHandler(host_handler, TRUE);
    exit(helper_run(ctrl_c_main, NULL, 2));
}

CASE(ctrl_c_arrives_and_is_the_hosts_when_nobody_asks) {
    char text[8192];
    int status = child_run_with_console("gets_ctrl_c", text, sizeof text);
    ck_assert_msg(status == 42, "status %d: %s", status, text);
}

/* Ends in order on Ctrl-C: the exit status is the program's. */
static int ends_main(void *arg) {
    pintle_chan *c = open_for(PINTLE_SIGNAL_STOP);
    (void)arg;
    GenerateConsoleCtrlEvent(CTRL_C_EVENT, 0);
    next_of(c);
    return 43;
}
CHILD(ends_on_ctrl_c) { exit(helper_run(ends_main, NULL, 1)); }

CASE(ctrl_c_ends_a_program_in_order) {
    char text[8192];
    int status = child_run_with_console("ends_on_ctrl_c", text, sizeof text);
    ck_assert_msg(status == 43, "status %d: %s", status, text);
}
