/* messages.c (Windows): pintle_select_messages: for tasks with windows.
 *
 * Messages are the thread's, so the thread waits for them in the system, in an interruptible call: its processor is handed on.
 * The cases are waited for by a task of its own meanwhile, which sets an event that the thread waits for too. When messages
 * come first, or a cancel, which sets another event (interrupt.c), that task is stopped by one case more; it may have run one of
 * ours by then, which is the result in that case.
 *
 *   the task: select(cases, stop), masked; result; event set, its last act. The caller never leaves before that event.
 * Threads: tasks that are pinned. Locks: none. Order: the event carries the result. Tests: tests/win/test_messages.c. */
#include "clock.h"
#include "error.h"
#include "memory.h"
#include "panic.h"
#include "pintle/call.h"
#include "pintle/chan.h"
#include "pintle/scope.h"
#include "win.h"

typedef DWORD(WINAPI *wait_fn)(DWORD count, const HANDLE *handles, DWORD ms, DWORD wake_mask, DWORD flags);

static const char function[] = "pintle_select_messages";

struct selecting {
    pintle_case *cases; /* n of the caller's, copied, and the one that stops it */
    size_t n;
    int64_t deadline_ns;
    pintle_event stop;
    HANDLE over, canceled;
    wait_fn wait;
    DWORD wake_mask;
    int result;
    pintle_error error;
};
enum { SEEN_OVER = WAIT_OBJECT_0, SEEN_CANCEL, SEEN_MESSAGES };

static void select_entry(void *arg) {
    struct selecting *selecting = arg;
    HANDLE over = selecting->over;
    pintle_cancel_mask(); /* only the caller's cancel counts, which stops us */
    selecting->result = pintle_select(selecting->cases, selecting->n + 1, selecting->deadline_ns);
    if (selecting->result < 0) pintle_error_get(&selecting->error);
    SetEvent(over); /* from here on the caller may go, with all of it */
}

static wait_fn wait_find(void) {
    HMODULE user32 = GetModuleHandleW(L"user32.dll");
    if (user32 == NULL) user32 = LoadLibraryW(L"user32.dll"); /* of the system: a known DLL */
    return user32 == NULL ? NULL : (wait_fn)(void (*)(void))GetProcAddress(user32, "MsgWaitForMultipleObjectsEx");
}

static int wait_in_call(void *arg) {
    struct selecting *selecting = arg;
    HANDLE handles[] = {selecting->over, selecting->canceled};
    win_interruptible self;
    win_interruptible_begin(&self, selecting->canceled);
    DWORD seen = selecting->wait(COUNT_OF(handles), handles, INFINITE, selecting->wake_mask, MWMO_INPUTAVAILABLE);
    win_interruptible_end(&self);
    return (int)seen;
}

static int wait_both(struct selecting *selecting) {
    pintle_task_options none = {.size = sizeof none, .scope = PINTLE_SCOPE_NONE};
    int seen, result = pintle_spawn_with(NULL, select_entry, selecting, &none);
    if (result != 0) return result;
    seen = pintle_call_interruptible(wait_in_call, selecting);
    if (seen != SEEN_OVER) {
        pintle_event_set(&selecting->stop);
        pintle_blocking_begin(); /* no cancel ends it: the task has our cases */
        WaitForSingleObject(selecting->over, INFINITE);
        pintle_blocking_end();
    }
    if (selecting->result < 0)
        return error_set(selecting->result, selecting->error.os_code, "%s", selecting->error.text);
    if (seen == SEEN_CANCEL && selecting->result == (int)selecting->n)
        return error_set(PINTLE_ECANCELED, 0, "%s: the task was cancelled", function);
    return selecting->result; /* n: stopped, for messages */
}

int pintle_select_messages(pintle_case *cases, size_t n, int64_t deadline_ns, unsigned wake_mask) {
    struct selecting selecting = {.n = n, .deadline_ns = deadline_ns};
    int result = deadline_check(deadline_ns, function);
    if (result != 0) return result;
    if (!pintle_pinned()) panic("%s was called by a task that is not pinned: pintle_pin first", function);
    wait_fn wait = wait_find();
    if (wait == NULL) return error_set(PINTLE_EOS, GetLastError(), "%s: user32.dll cannot be loaded", function);
    result = pintle_select(cases, n, PINTLE_NOWAIT);
    if (result != PINTLE_EAGAIN) return result;
    if (wait(0, NULL, 0, wake_mask, MWMO_INPUTAVAILABLE) == WAIT_OBJECT_0) return (int)n;
    if (deadline_ns == PINTLE_NOWAIT) return result;
    selecting.cases = memory_alloc((n + 1) * sizeof *selecting.cases);
    selecting.over = fail_now(FAIL_MEMORY) ? NULL : CreateEventW(NULL, FALSE, FALSE, NULL);
    selecting.canceled = fail_now(FAIL_MEMORY) ? NULL : CreateEventW(NULL, FALSE, FALSE, NULL);
    selecting.wait = wait;
    selecting.wake_mask = wake_mask;
    if (selecting.cases == NULL || selecting.over == NULL || selecting.canceled == NULL) {
        result = error_set(PINTLE_ENOMEM, 0, "%s: no memory to wait", function);
    } else {
        if (n != 0) memcpy(selecting.cases, cases, n * sizeof *cases);
        pintle_event_init(&selecting.stop);
        selecting.cases[n] = pintle_case_event(&selecting.stop);
        result = wait_both(&selecting);
        if (n != 0) memcpy(cases, selecting.cases, n * sizeof *cases);
    }
    if (selecting.over != NULL) CloseHandle(selecting.over);
    if (selecting.canceled != NULL) CloseHandle(selecting.canceled);
    memory_free(selecting.cases);
    return result;
}
