/* attached.c (Windows): the record that a thread of others keeps between its callbacks: a TLS slot. No callback tells of
 * the thread's end, since it could outlive us in a DLL that is unloaded: a handle of the thread is kept and asked.
 * Threads: any. Locks: none. Order: the slot's. Invariants: the slot is taken from init to shutdown.
 * Tests: tests/api/test_attach.c. */
#include "win.h"

static DWORD slot = TLS_OUT_OF_INDEXES;

int os_attached_init(void (*gone)(void *record)) {
    (void)gone;
    slot = TlsAlloc();
    return slot != TLS_OUT_OF_INDEXES ? 0 : ERROR_NO_MORE_ITEMS;
}

void os_attached_shutdown(void) {
    if (slot != TLS_OUT_OF_INDEXES) TlsFree(slot);
    slot = TLS_OUT_OF_INDEXES;
}

/* Keeps the last error: it is foreign code's, which has just called back. */
void *os_attached(void) {
    DWORD last_error = GetLastError();
    void *record = TlsGetValue(slot);
    SetLastError(last_error);
    return record;
}

int os_attached_set(void *record, os_thread *out_thread) {
    HANDLE process = GetCurrentProcess(), thread = NULL;
    if (!TlsSetValue(slot, record)) return (int)GetLastError();
    if (!DuplicateHandle(process, GetCurrentThread(), process, &thread, SYNCHRONIZE, FALSE, 0)) {
        DWORD error = GetLastError();
        TlsSetValue(slot, NULL);
        return (int)error;
    }
    out_thread->handle = (uintptr_t)thread;
    return 0;
}

void os_attached_forget(void) { TlsSetValue(slot, NULL); }

bool os_attached_has_ended(const os_thread *thread) {
    return WaitForSingleObject((HANDLE)thread->handle, 0) == WAIT_OBJECT_0;
}

void os_attached_close(os_thread *thread) {
    CloseHandle((HANDLE)thread->handle);
    thread->handle = 0;
}

bool os_thread_stack_again(os_stack_bounds *inout_bounds) {
    os_thread_stack(inout_bounds);
    return true;
}
