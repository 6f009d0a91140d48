/* flag.c (Windows): a flag for foreign loops: a manual-reset event.
 * Threads: any; who sets it holds a lock over it. Locks: none. Tests: tests/api/test_native.c. */
#include "win.h"

int os_flag_make(intptr_t *out_flag) {
    HANDLE event = fail_now(FAIL_MEMORY) ? NULL : CreateEventW(NULL, TRUE, FALSE, NULL);
    *out_flag = (intptr_t)event;
    return event != NULL ? 0 : ERROR_NOT_ENOUGH_MEMORY;
}

void os_flag_close(intptr_t flag) { CloseHandle((HANDLE)flag); }

void os_flag_set(intptr_t flag, bool is_set) {
    DWORD kept = GetLastError();
    if (is_set) {
        SetEvent((HANDLE)flag);
    } else {
        ResetEvent((HANDLE)flag);
    }
    SetLastError(kept);
}
