/* thread.c (Windows): OS threads.
 *
 * CreateThread, not the C library's: nothing here needs what that adds. No thread starts or ends while a DllMain runs;
 * callers keep a spare one for that.
 * Threads: any. Locks: none of ours. Order: what the starter wrote before os_thread_start is visible to the thread, and
 * what the thread wrote to its joiner. Invariants: every thread started here has OS_STACK_GUARANTEE_BYTES.
 * Tests: tests/unit/test_os.c, tests/win/test_os_win.c. */
#include <errno.h>

#include "win.h"

/* Address space; the system commits pages as they are touched. Foreign code runs on it and expects the usual 1 MB. */
enum { THREAD_STACK_BYTES = 1024 * 1024 };

typedef struct thread_start {
    os_thread_fn *fn;
    void *arg;
} thread_start;

/* Wine commits a thread's stack whole, and has its guard page so low that what the guarantee keeps is below the stack's
 * end: after an overflow not even an exception can be told, and the thread ends without a word. So a guard page is put
 * above what is to be kept. Elsewhere there is one higher up, which moves down as the stack grows. */
static void stack_guard_whole(void) {
    os_stack_bounds bounds;
    DWORD before;
    os_thread_stack(&bounds);
    char *guard = (char *)bounds.reserve + OS_STACK_GUARANTEE_BYTES + 2 * os_page_bytes();
    if ((char *)bounds.limit < guard) VirtualProtect(guard, os_page_bytes(), PAGE_READWRITE | PAGE_GUARD, &before);
}

static DWORD WINAPI thread_main(void *arg) {
    thread_start start = *(thread_start *)arg;
    memory_free(arg);
    ULONG guarantee_bytes = OS_STACK_GUARANTEE_BYTES;
    SetThreadStackGuarantee(&guarantee_bytes); /* refused: an overflow is then reported less well */
    stack_guard_whole();
    start.fn(start.arg);
    return 0;
}

int os_thread_start(os_thread *out_thread, os_thread_fn *fn, void *arg) {
    thread_start *start = memory_alloc(sizeof *start);
    if (start == NULL) return ERROR_NOT_ENOUGH_MEMORY;
    *start = (thread_start){.fn = fn, .arg = arg};
    HANDLE thread = NULL;
    if (fail_now(FAIL_THREAD))
        SetLastError(ERROR_NOT_ENOUGH_MEMORY);
    else
        thread = CreateThread(NULL, THREAD_STACK_BYTES, thread_main, start, STACK_SIZE_PARAM_IS_A_RESERVATION, NULL);
    if (thread == NULL) {
        DWORD error = GetLastError();
        memory_free(start);
        return (int)error;
    }
    out_thread->handle = (uintptr_t)thread;
    return 0;
}

void os_thread_join(os_thread *thread) {
    WaitForSingleObject((HANDLE)thread->handle, INFINITE);
    os_thread_detach(thread);
}

void os_thread_detach(os_thread *thread) {
    CloseHandle((HANDLE)thread->handle);
    thread->handle = 0;
}

uint64_t os_thread_id(void) { return GetCurrentThreadId(); }

/* The system frees the stack that the TEB describes, so this must be called on the thread's own stack, with the
 * thread's own values in the TEB. DllMains hear of the end on it. */
void os_thread_exit(void) { ExitThread(0); }

void os_thread_stack(os_stack_bounds *out_bounds) {
    *out_bounds = (os_stack_bounds){
        .base = *(void **)teb_field(TEB_STACK_BASE),
        .limit = *(void **)teb_field(TEB_STACK_LIMIT),
        .reserve = *(void **)teb_field(TEB_DEALLOCATION_STACK),
        .guarantee_bytes = *(uint32_t *)teb_field(TEB_GUARANTEED_STACK_BYTES),
    };
}

void os_thread_error_slots(int **out_errno, uint32_t **out_last_error) {
    *out_errno = &errno;
    *out_last_error = teb_field(TEB_LAST_ERROR);
}
