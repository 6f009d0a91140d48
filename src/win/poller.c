/* poller.c (Windows): the poller: an I/O completion port.
 *
 * A handle belongs to one port for its life, and the program's handles outlive its runtimes: so does the port, as long as it has
 * any. It is counted: by the poller from init to shutdown, and by each handle.
 * Threads: any. Locks: port_lock, over the count. Order: the system's. Invariants: the port is open while the count is not 0.
 * Tests: tests/win/test_wait_handle.c, tests/win/test_select_handle.c, tests/api/test_io.c. */
#include "poller.h"

enum { BATCH = 128 };

typedef LONG(NTAPI *remove_fn)(HANDLE port, OVERLAPPED_ENTRY *entries, ULONG most, ULONG *out_count,
                               const LARGE_INTEGER *timeout, BOOLEAN alertable);

static SRWLOCK port_lock = SRWLOCK_INIT;
static HANDLE port;
static size_t port_uses;
static remove_fn remove_entries; /* the function under GetQueuedCompletionStatusEx, which has only milliseconds */

const char os_watch_name[] = "handle";

static DWORD port_use(void) {
    DWORD error = 0;
    AcquireSRWLockExclusive(&port_lock);
    if (port == NULL) {
        port = fail_now(FAIL_MEMORY) ? NULL : CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
        if (port == NULL) error = ERROR_NOT_ENOUGH_MEMORY;
    }
    port_uses += error == 0;
    ReleaseSRWLockExclusive(&port_lock);
    return error;
}

static void port_unuse(void) {
    AcquireSRWLockExclusive(&port_lock);
    if (--port_uses == 0) {
        CloseHandle(port);
        port = NULL;
    }
    ReleaseSRWLockExclusive(&port_lock);
}

int os_poller_init(void) {
    remove_entries = (remove_fn)(void (*)(void))GetProcAddress(GetModuleHandleW(L"ntdll.dll"),
                                                               "NtRemoveIoCompletionEx");
    if (remove_entries == NULL) return ERROR_PROC_NOT_FOUND;
    return (int)port_use();
}

void os_poller_shutdown(void) {
    OVERLAPPED_ENTRY entry;
    ULONG count;
    watches_end();
    /* Signals that were used up for waiters who had gone. */
    for (LARGE_INTEGER none = {0}; remove_entries(port, &entry, 1, &count, &none, FALSE) == 0 && count == 1;) {
        if (entry.lpCompletionKey == POLLER_KEY_WATCH)
            os_watch_give_back((intptr_t)(int32_t)(uint32_t)(uintptr_t)entry.lpOverlapped);
    }
    port_unuse();
}

bool os_poller_is_precise(void) { return !win_functions_get()->coarse_waits; }

/* Relative, negative, in units of 100 ns; 0 only looks. */
static LARGE_INTEGER timeout_until(int64_t deadline_ns) {
    enum { UNIT_NS = 100 };
    int64_t left_ns = deadline_ns <= 0 ? 0 : deadline_ns - os_now_ns();
    return (LARGE_INTEGER){.QuadPart = left_ns <= 0 ? 0 : -((left_ns - 1) / UNIT_NS + 1)};
}

unsigned os_poller_wait(os_ready *out_ready, unsigned most, int64_t deadline_ns) {
    OVERLAPPED_ENTRY entries[BATCH];
    ULONG count = 0;
    unsigned taken = 0;
    if (fail_now(FAIL_WAIT)) return 0;
    LARGE_INTEGER timeout = timeout_until(deadline_ns);
    LONG status = remove_entries(port, entries, most < BATCH ? most : BATCH, &count,
                                 deadline_ns == INT64_MAX ? NULL : &timeout, FALSE);
    if (status != 0) return 0; /* STATUS_TIMEOUT */
    for (ULONG i = 0; i < count; i++) {
        uint64_t token = (uint64_t)(uintptr_t)entries[i].lpOverlapped;
        if (entries[i].lpCompletionKey == POLLER_KEY_IO) {
            out_ready[taken++] = (os_ready){OS_READY_IO, 0, token};
        } else if (entries[i].lpCompletionKey == POLLER_KEY_WATCH) {
            out_ready[taken++] = (os_ready){OS_READY_WATCH, 1, token};
        }
    }
    return taken;
}

/* Refused for lack of memory, a wake-up or a completion would be lost for ever. */
static void post(ULONG_PTR key, void *token) {
    while (!PostQueuedCompletionStatus(port, 0, key, token)) Sleep(1);
}

void os_poller_wake(void) {
    DWORD kept = GetLastError();
    post(POLLER_KEY_WAKE, NULL);
    SetLastError(kept);
}

void poller_post(uint64_t token) { post(POLLER_KEY_WATCH, (void *)(uintptr_t)token); }

DWORD poller_associate(HANDLE handle) {
    DWORD error = fail_now(FAIL_MEMORY) ? ERROR_NOT_ENOUGH_MEMORY : port_use();
    if (error != 0) return error;
    if (CreateIoCompletionPort(handle, port, POLLER_KEY_IO, 0) != NULL) return 0;
    error = GetLastError();
    port_unuse();
    return error;
}

void poller_dissociate(void) { port_unuse(); }
