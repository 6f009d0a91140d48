/* test_panic_win.c: panics and window procedures: frames of the system that called back are never discarded, whatever the
 * thunk says, and messages go on arriving. */
#include "api/dll_helpers.h"

enum { WM_OF_TEST = WM_USER + 5, WM_NESTED = WM_USER + 6 };

typedef struct window {
    HWND handle;
    pintle_thunk *thunk;
    unsigned handled, panicked, finished, nested_right;
    WNDCLASSA class;
} window;
static window the_window;

static uintptr_t window_procedure(void *user, const uintptr_t *args) {
    window *w = user;
    UINT message = (UINT)args[1];
    if (message == WM_OF_TEST && args[2] == 1) {
        w->panicked++;
        pintle_panic("message %u", message);
    }
    if (message == WM_OF_TEST) {
        w->handled++;
        return 42;
    }
    return (uintptr_t)pintle_syscall6((void *)(uintptr_t)DefWindowProcA, 4, args[0], message, args[2], args[3], 0, 0)
        .r1;
}

static int make_window(void *arg) {
    window *w = arg;
    w->class.lpfnWndProc = (WNDPROC)(uintptr_t)pintle_thunk_pointer(w->thunk);
    w->class.hInstance = GetModuleHandleA(NULL);
    w->class.lpszClassName = "pintle test window";
    if (RegisterClassA(&w->class) == 0) return 1;
    w->handle = CreateWindowExA(0, w->class.lpszClassName, "", 0, 0, 0, 10, 10, HWND_MESSAGE, NULL, w->class.hInstance,
                                NULL);
    return w->handle == NULL;
}
static int destroy_window(void *arg) {
    window *w = arg;
    return !DestroyWindow(w->handle) || !UnregisterClassA(w->class.lpszClassName, w->class.hInstance);
}
static bool window_begin(int on_panic) {
    pintle_thunk_options options = {.size = sizeof options, .nargs = 4, .on_panic = on_panic, .panic_result = 7};
    memset(&the_window, 0, sizeof the_window);
    EXPECT(pintle_thunk_new_with(&the_window.thunk, window_procedure, &the_window, &options) == 0);
    pintle_pin();
    EXPECT(pintle_call(make_window, &the_window) == 0);
    return the_window.handle != NULL;
}
static void window_end(void) {
    EXPECT(pintle_call(destroy_window, &the_window) == 0);
    EXPECT(pintle_thunk_free(the_window.thunk) == 0);
    pintle_unpin();
}

static uintptr_t send(uintptr_t panics) {
    return pintle_syscall6((void *)(uintptr_t)SendMessageA, 4, (uintptr_t)the_window.handle, WM_OF_TEST, panics, 0, 0,
                           0)
        .r1;
}
static void send_and_panic(void *arg) {
    (void)arg;
    send(1);
    EXPECT(!"the call raises it again");
}
static int send_and_finish(void *arg) {
    window *w = arg;
    if (SendMessageA(w->handle, WM_OF_TEST, 1, 0) == 7) w->nested_right++;
    if (SendMessageA(w->handle, WM_OF_TEST, 0, 0) == 7) w->nested_right++; /* not run: a panic is pending */
    w->finished++;
    return 0;
}
static void call_and_panic(void *arg) {
    pintle_call(send_and_finish, arg);
    EXPECT(!"the call raises it again");
}

enum { ROUNDS = 1000 };
static void rounds(void) {
    pintle_panic_info info;
    for (unsigned i = 0; i < ROUNDS; i++) {
        EXPECT(pintle_protect(send_and_panic, NULL, &info) == PINTLE_EPANIC && strstr(info.text, "message") != NULL);
        EXPECT(send(0) == 42);
    }
    EXPECT(the_window.panicked == ROUNDS && the_window.handled == ROUNDS);
    EXPECT(pintle_pinned());
}
static int returning_main(void *arg) {
    (void)arg;
    if (!window_begin(PINTLE_PANIC_RETURN)) return 1;
    rounds();
    for (unsigned i = 0; i < 100; i++) EXPECT(pintle_protect(call_and_panic, &the_window, NULL) == PINTLE_EPANIC);
    EXPECT(the_window.finished == 100 && the_window.nested_right == 200);
    EXPECT(send(0) == 42);
    window_end();
    return 0;
}
CASE_TIMEOUT(panics_through_sendmessage_1000_times_and_messages_still_arrive, 60) { run_tasks(returning_main, 2); }

static int crossing_main(void *arg) {
    (void)arg;
    if (!window_begin(PINTLE_PANIC_CROSS)) return 1;
    rounds();
    for (unsigned i = 0; i < 100; i++) EXPECT(pintle_protect(call_and_panic, &the_window, NULL) == PINTLE_EPANIC);
    EXPECT(the_window.finished == 100); /* it was let finish */
    EXPECT(send(0) == 42);
    window_end();
    return 0;
}
CASE_TIMEOUT(panics_of_a_crossing_thunk_wait_where_the_system_dispatched, 60) { run_tasks(crossing_main, 2); }

/* Nested: the inner callback's frames are ordinary ones and crossed; those of the message are not. */
static void panics_plainly(void *arg) { pintle_panic("%s", (const char *)arg); }
static int calls_back(void *arg) { return pintle_callback(panics_plainly, arg); }
static uintptr_t nested_procedure(void *user, const uintptr_t *args) {
    window *w = user;
    if (args[1] != WM_NESTED) return window_procedure(user, args);
    w->panicked++;
    pintle_call(calls_back, (void *)(uintptr_t) "from below the message");
    w->handled += 1000;
    return 0;
}
static int send_nested(void *arg) {
    window *w = arg;
    SendMessageA(w->handle, WM_NESTED, 0, 0);
    w->finished++;
    return 0;
}
static void nests(void *arg) { pintle_call(send_nested, arg); }
static int nested_main(void *arg) {
    pintle_thunk *thunk;
    pintle_panic_info info;
    (void)arg;
    if (!window_begin(PINTLE_PANIC_CROSS)) return 1;
    EXPECT(pintle_thunk_new(&thunk, nested_procedure, &the_window, 4, 0) == 0);
    SetWindowLongPtrA(the_window.handle, GWLP_WNDPROC, (LONG_PTR)pintle_thunk_pointer(thunk));
    for (unsigned i = 0; i < 200; i++) {
        EXPECT(pintle_protect(nests, &the_window, &info) == PINTLE_EPANIC);
        EXPECT(strcmp(info.text, "from below the message") == 0);
    }
    EXPECT(the_window.finished == 200 && the_window.panicked == 200 && the_window.handled == 0);
    EXPECT(send(0) == 42);
    window_end();
    EXPECT(pintle_thunk_free(thunk) == 0);
    return 0;
}
CASE_TIMEOUT(panic_crosses_to_the_message_and_waits_there, 60) { run_tasks(nested_main, 2); }

/* The kernel calls back. */
static unsigned enumerated;
static uintptr_t panics_enumerating(void *user, const uintptr_t *args) {
    (void)args;
    enumerated++;
    if (user == NULL) return TRUE;
    pintle_panic("enumerated");
}
static int enumerate(void *arg) {
    MONITORENUMPROC code = (MONITORENUMPROC)(uintptr_t)pintle_thunk_pointer(arg);
    EnumDisplayMonitors(NULL, NULL, code, 0);
    enumerated += 1000;
    return 0;
}
static void enumerates(void *arg) { pintle_call(enumerate, arg); }
static int monitors_main(void *arg) {
    pintle_thunk *thunk, *counting;
    (void)arg;
    EXPECT(pintle_thunk_new(&thunk, panics_enumerating, &enumerated, 4, 0) == 0);
    EXPECT(pintle_thunk_new(&counting, panics_enumerating, NULL, 4, 0) == 0);
    for (unsigned i = 0; i < 700; i++) {
        enumerated = 0;
        EXPECT(pintle_protect(enumerates, thunk, NULL) == PINTLE_EPANIC && enumerated == 1001);
    }
    enumerated = 0;
    enumerates(counting);
    EXPECT(enumerated > 1000);
    EXPECT(pintle_thunk_free(thunk) == 0 && pintle_thunk_free(counting) == 0);
    return 0;
}
CASE_TIMEOUT(panic_in_what_the_kernel_has_called_waits, 60) { run_tasks(monitors_main, 2); }

/* User mode only: nothing was dispatched, so it crosses. */
static unsigned compared;
static uintptr_t panics_comparing(void *user, const uintptr_t *args) {
    (void)args;
    if (++*(unsigned *)user == 3) pintle_panic("compared");
    return 0;
}
static int sort_in_call(void *arg) {
    int items[16] = {0};
    qsort(items, 16, sizeof items[0], (int (*)(const void *, const void *))(uintptr_t)pintle_thunk_pointer(arg));
    compared = 1000;
    return 0;
}
static void sorts(void *arg) { pintle_call(sort_in_call, arg); }
static int plain_main(void *arg) {
    pintle_thunk *thunk;
    (void)arg;
    EXPECT(pintle_thunk_new(&thunk, panics_comparing, &compared, 2, 0) == 0);
    for (unsigned i = 0; i < 100; i++) {
        compared = 0;
        EXPECT(pintle_protect(sorts, thunk, NULL) == PINTLE_EPANIC && compared == 3);
    }
    EXPECT(pintle_thunk_free(thunk) == 0);
    return 0;
}
CASE(panic_through_frames_of_user_mode_crosses) { run_tasks(plain_main, 2); }
