/* memory.c (Windows): address space for slabs of stacks, and stacks that grow by guard pages.
 *
 * A stack in a slab, from its lowest address: reserved pages, where access is a fault; one PAGE_GUARD page; committed
 * pages up to the top. The system moves the guard page down when it is touched, if the TEB's stack fields describe
 * this stack while code runs on it; the lowest page it never commits. A slab is one reservation, because each takes
 * a multiple of 64 KB of address space and a record of the system.
 * Threads: any. Locks: none. Order: none. Invariants: os_stack_prepare is for a stack that was never prepared.
 * Tests: tests/unit/test_os.c, tests/win/test_os_win.c. */
#include "win.h"

size_t os_page_bytes(void) {
    SYSTEM_INFO info;
    GetSystemInfo(&info);
    return info.dwPageSize;
}

void *os_reserve(size_t bytes) {
    return fail_now(FAIL_RESERVE) ? NULL : VirtualAlloc(NULL, bytes, MEM_RESERVE, PAGE_READWRITE);
}

void os_release(void *base, size_t bytes) {
    (void)bytes; /* a reservation is released whole */
    VirtualFree(base, 0, MEM_RELEASE);
}

int os_stack_prepare(void *base, size_t bytes, size_t top_bytes, void **out_limit) {
    size_t page_bytes = os_page_bytes();
    size_t committed_bytes = (top_bytes + page_bytes - 1) / page_bytes * page_bytes;
    if (committed_bytes == 0) committed_bytes = page_bytes;
    if (bytes < 3 * page_bytes || committed_bytes > bytes - 2 * page_bytes) return ERROR_INVALID_PARAMETER;
    char *limit = (char *)base + bytes - committed_bytes, *guard = limit - page_bytes;
    if (fail_now(FAIL_RESERVE)) return ERROR_COMMITMENT_LIMIT;
    if (VirtualAlloc(guard, page_bytes + committed_bytes, MEM_COMMIT, PAGE_READWRITE) == NULL)
        return (int)GetLastError();
    DWORD before;
    if (!VirtualProtect(guard, page_bytes, PAGE_READWRITE | PAGE_GUARD, &before)) return (int)GetLastError();
    *out_limit = limit;
    return 0;
}
