/* memory.c (Windows): address space for slabs of stacks, and stacks that grow by guard pages.
 *
 * A stack in a slab, from its lowest address: reserved pages, where access is a fault; one PAGE_GUARD page; committed
 * pages up to the top. The system moves the guard page down when it is touched, if the TEB's stack fields describe
 * this stack while code runs on it; the lowest page it never commits. A slab is one reservation, because each takes
 * a multiple of 64 KB of address space and a record of the system.
 *
 * Under Wine each change of protection is the border of a mapping of the Linux kernel, which allows a process 65,530
 * (vm.max_map_count): a stack's guard and reserved pages are one, its committed pages another. Nothing less can guard
 * every stack, so after GUARDED_MOST Wine's stacks come in groups of 2 MB, committed as a whole (which costs nothing
 * there until it is touched) but for the lowest page: two mappings a group, and none that holds an aligned 2 MB, which
 * the kernel would fill with one huge page at the first touch. Windows has no such limit, and counts what is committed.
 * Threads: any. Locks: none. Order: none. Invariants: os_stack_prepare is for a stack that was never prepared.
 * Tests: tests/unit/test_os.c, tests/win/test_os_win.c. */
#include "win.h"

enum { GUARDED_MOST = 10000, GROUP_BYTES = 2 << 20 };

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

void *os_pages_new(size_t bytes) {
    return fail_now(FAIL_RESERVE) ? NULL : VirtualAlloc(NULL, bytes, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
}

void *os_pages_new_present(size_t bytes) { return os_pages_new(bytes); }

void os_pages_free(void *pages, size_t bytes) { os_release(pages, bytes); }

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

/* The lowest page stays reserved; above it there are no borders. */
static int group_commit(char *base, size_t bytes, uint32_t count, void **out_limit) {
    size_t page_bytes = os_page_bytes();
    if (fail_now(FAIL_RESERVE)) return ERROR_COMMITMENT_LIMIT;
    if (VirtualAlloc(base + page_bytes, count * bytes - page_bytes, MEM_COMMIT, PAGE_READWRITE) == NULL)
        return (int)GetLastError();
    *out_limit = base + page_bytes;
    return 0;
}

int os_stacks_prepare(void *base, size_t bytes, size_t top_bytes, uint32_t already, uint32_t *inout_count,
                      void **out_limit) {
    if (already >= GUARDED_MOST && win_functions_get()->mappings_are_few && bytes <= GROUP_BYTES / 2) {
        if (*inout_count > GROUP_BYTES / bytes) *inout_count = (uint32_t)(GROUP_BYTES / bytes);
        return group_commit(base, bytes, *inout_count, out_limit);
    }
    *inout_count = 1;
    return os_stack_prepare(base, bytes, top_bytes, out_limit);
}

void os_stack_first_use(void *base, size_t bytes) {
    (void)base;
    (void)bytes;
}

/* The new guard first: with an old one below it the stack is still whole if that was all that worked. */
int os_stack_trim(void *base, size_t bytes, size_t top_bytes, void **inout_limit) {
    size_t page_bytes = os_page_bytes();
    size_t committed_bytes = (top_bytes + page_bytes - 1) / page_bytes * page_bytes;
    char *fresh = (char *)base + bytes - committed_bytes, *guard = fresh - page_bytes;
    if ((char *)*inout_limit >= fresh) return 0;
    if (fail_now(FAIL_RESERVE)) return ERROR_COMMITMENT_LIMIT;
    if ((char *)*inout_limit == (char *)base + page_bytes) { /* of a group, or used to its end: stays committed */
        void *reset = VirtualAlloc(*inout_limit, (size_t)(fresh - (char *)*inout_limit), MEM_RESET, PAGE_READWRITE);
        return reset != NULL ? 0 : (int)GetLastError();
    }
    DWORD before;
    if (!VirtualProtect(guard, page_bytes, PAGE_READWRITE | PAGE_GUARD, &before)) return (int)GetLastError();
    *inout_limit = fresh;
    if (fail_now(FAIL_RESERVE)) return ERROR_COMMITMENT_LIMIT;
    return VirtualFree(base, (size_t)(guard - (char *)base), MEM_DECOMMIT) ? 0 : (int)GetLastError();
}

bool os_peek(const void *address, void *out_copy, size_t bytes) {
    SIZE_T copied = 0;
    return ReadProcessMemory(GetCurrentProcess(), address, out_copy, bytes, &copied) && copied == bytes;
}
