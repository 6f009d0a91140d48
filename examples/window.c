/* window.c: a window among tasks (Windows).
 *
 * A window belongs to the thread that made it, so its task is pinned: pintle_select_messages waits for messages and for a
 * channel at the same time, and nobody else is held up. Other tasks send to the window (SendMessage, a foreign call that blocks
 * until the window answers), post to it, and give it work by the channel. The window procedure is a thunk with
 * PINTLE_PANIC_RETURN: a panic in it does not discard the system's frames; it goes on when the call that led to it has ended.
 * So messages are pumped by calls, not directly. The window is a message-only one, so the program runs without a desktop. It
 * checks itself: exit status 0. */
#include <pintle.h>
#include <stdio.h>
#include <windows.h>

enum { TASKS = 20, ROUNDS = 50, ADD = WM_APP + 1, NOTE = WM_APP + 2, FAIL = WM_APP + 3, PANIC_ANSWER = 4711 };

static pintle_proc peek_ = PINTLE_PROC("user32.dll", "PeekMessageW");
static pintle_proc dispatch_ = PINTLE_PROC("user32.dll", "DispatchMessageW");
static pintle_proc send_ = PINTLE_PROC("user32.dll", "SendMessageW");
static pintle_proc default_ = PINTLE_PROC("user32.dll", "DefWindowProcW");

static HWND window;
static pintle_event made = PINTLE_EVENT_INIT;
static pintle_chan *work;          /* of int */
static long sum, notes, work_done; /* the window task's */
static unsigned panics, wrong;

static void bad(const char *what) {
    pintle_error error;
    pintle_error_get(&error);
    fprintf(stderr, "%s: %s\n", what, error.text);
    wrong++;
}

/* args: window, message, wparam, lparam. Task code: it may wait, call, panic. */
static uintptr_t window_proc(void *user, const uintptr_t *args) {
    (void)user;
    switch ((UINT)args[1]) {
    case ADD:
        sum += (long)args[2];
        if (sum % 7 == 0) pintle_yield(); /* others run meanwhile; the sender waits for its answer */
        return (uintptr_t)sum;
    case NOTE: notes++; return 0;
    case FAIL: pintle_panic("the window cannot do that"); return 0;
    default: return pintle_proc_call(&default_, 4, args).r1;
    }
}

/* PeekMessage calls the window procedure too, for what was sent by other threads; a message that it took is there even if that
 * panicked. */
static void peek(void *message) {
    uintptr_t args[] = {(uintptr_t)message, 0, 0, 0, PM_REMOVE};
    pintle_proc_call(&peek_, 5, args);
}
static void dispatch(void *message) {
    uintptr_t args[] = {(uintptr_t)message};
    pintle_proc_call(&dispatch_, 1, args);
}

static bool stopped(pintle_fn *fn, void *message) {
    pintle_panic_info info;
    if (pintle_protect(fn, message, &info) == 0) return false;
    printf("stopped outside the call that led to it: %s\n", info.text);
    panics++;
    return true;
}

static void pump(void) {
    for (;;) {
        MSG message = {0};
        bool again = stopped(peek, &message);
        if (message.hwnd != NULL) {
            stopped(dispatch, &message);
        } else if (!again) {
            return;
        }
    }
}

static void window_task(void *thunk) {
    WNDCLASSW class = {.lpfnWndProc = (WNDPROC)pintle_thunk_code(thunk),
                       .hInstance = GetModuleHandleW(NULL),
                       .lpszClassName = L"pintle example"};
    int item = 0;
    if (RegisterClassW(&class) != 0) {
        window = CreateWindowExW(0, class.lpszClassName, L"", 0, 0, 0, 0, 0, HWND_MESSAGE, NULL, class.hInstance, NULL);
    }
    pintle_event_set(&made);
    if (window == NULL) return;
    for (;;) {
        pintle_case receive = pintle_case_recv(work, &item);
        int ran = pintle_select_messages(&receive, 1, PINTLE_FOREVER, QS_ALLINPUT);
        if (ran == 1) {
            pump();
        } else if (ran == 0 && receive.status == 0) {
            work_done += item;
        } else {
            if (ran < 0) bad("pintle_select_messages");
            break; /* the channel is closed: no more work */
        }
    }
    pump();
    DestroyWindow(window);
    UnregisterClassW(class.lpszClassName, class.hInstance);
}

static void sender(void *arg) {
    unsigned *failed = arg;
    for (int i = 0; i < ROUNDS; i++) {
        uintptr_t add[] = {(uintptr_t)window, ADD, 1, 0};
        int one = 1;
        while (pintle_proc_call(&send_, 4, add).r1 == PANIC_ANSWER)
            continue; /* a panic is on its way there: once more */
        if (!PostMessageW(window, NOTE, 0, 0)) ++*failed;
        if (pintle_chan_send(work, &one, PINTLE_FOREVER) != 0) ++*failed;
    }
}

static int app(void *arg) {
    pintle_thunk_options options = {
        .size = sizeof options, .nargs = 4, .on_panic = PINTLE_PANIC_RETURN, .panic_result = PANIC_ANSWER};
    pintle_task_options pinned = {.size = sizeof pinned, .name = "window", .pinned = true};
    pintle_task *owner, *senders[TASKS];
    pintle_thunk *thunk;
    unsigned failed[TASKS] = {0}, failures = 0;
    uintptr_t fail[4];
    (void)arg;
    if (pintle_thunk_new_with(&thunk, window_proc, NULL, &options) != 0 ||
        pintle_chan_new(&work, sizeof(int), 0) != 0 || pintle_spawn_with(&owner, window_task, thunk, &pinned) != 0) {
        return 1;
    }
    pintle_event_wait(&made, PINTLE_FOREVER);
    if (window == NULL) {
        fprintf(stderr, "no window: error %lu\n", GetLastError());
        return 1;
    }
    for (int i = 0; i < TASKS; i++) failures += pintle_spawn(&senders[i], sender, &failed[i]) != 0;
    fail[0] = (uintptr_t)window;
    fail[1] = FAIL;
    fail[2] = fail[3] = 0;
    failures += pintle_proc_call(&send_, 4, fail).r1 != PANIC_ANSWER;
    for (int i = 0; i < TASKS; i++) failures += (pintle_join(senders[i], PINTLE_FOREVER) != 0) + failed[i];
    pintle_chan_close(work);
    failures += pintle_join(owner, PINTLE_FOREVER) != 0;
    pintle_chan_free(work);
    failures += pintle_thunk_free(thunk) != 0;
    failures += panics != 1;
    printf("%ld sent, %ld posted, %ld by the channel, %u panics\n", sum, notes, work_done, panics);
    return failures + wrong != 0 || sum != TASKS * ROUNDS || notes != TASKS * ROUNDS || work_done != TASKS * ROUNDS;
}

int main(void) { return pintle_run(app, NULL, NULL); }
