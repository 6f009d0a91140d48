/* test_console_handler.c: a console control handler that is a thunk: code of a task, on the thread that the system makes for it. */
#include "api/must.h"

static pintle_chan *events;
static atomic_uint on_task;

static uintptr_t handler(void *user, const uintptr_t *args) {
    DWORD event = (DWORD)args[0];
    (void)user;
    if (pintle_self() != NULL) atomic_fetch_add(&on_task, 1);
    pintle_yield();
    return pintle_chan_send(events, &event, PINTLE_FOREVER) == 0; /* TRUE: it is dealt with */
}

/* What the system does when such an event comes: a thread in this function. Wine 8 sends no Ctrl-Break by itself. */
static HANDLE console_event(DWORD code) {
    LPTHREAD_START_ROUTINE routine = (LPTHREAD_START_ROUTINE)(void *)GetProcAddress(GetModuleHandleA("kernelbase.dll"),
                                                                                    "CtrlRoutine");
    return routine == NULL ? NULL : CreateThread(NULL, 0, routine, (void *)(uintptr_t)code, 0, NULL);
}

static int handler_main(void *arg) {
    static const DWORD codes[] = {CTRL_BREAK_EVENT, CTRL_C_EVENT, CTRL_BREAK_EVENT};
    pintle_thunk *thunk;
    (void)arg;
    MUST_BE(pintle_chan_new(&events, sizeof(DWORD), 0), 0);
    MUST_BE(pintle_thunk_new(&thunk, handler, NULL, 1, PINTLE_STDCALL), 0);
    MUST(SetConsoleCtrlHandler((PHANDLER_ROUTINE)pintle_thunk_code(thunk), TRUE));
    for (size_t i = 0; i < ELEMENTS(codes); i++) {
        DWORD got = 99;
        HANDLE thread = console_event(codes[i]);
        MUST(thread != NULL);
        MUST_BE(pintle_chan_recv(events, &got, pintle_after(PINTLE_S(20))), 0);
        MUST_BE(got, codes[i]);
        MUST_BE(pintle_wait_handle(thread, pintle_after(PINTLE_S(20))), 0);
        CloseHandle(thread);
    }
    MUST_BE(atomic_exchange(&on_task, 0), ELEMENTS(codes));
    MUST(SetConsoleCtrlHandler((PHANDLER_ROUTINE)pintle_thunk_code(thunk), FALSE));
    MUST_BE(pintle_thunk_free(thunk), 0);
    pintle_chan_free(events);
    return 0;
}

CASE(console_handler_is_a_thunk) {
    must_run(handler_main, NULL);
    ASSERT_ALL_MUST();
}
