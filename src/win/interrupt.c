/* interrupt.c (Windows): interrupting a thread's system call, by CancelSynchronousIo.
 *
 * It ends reads, writes, connects and opens that the thread is in at that moment, and leaves nothing pending: a later one is not
 * touched. Waits (Sleep, WaitForSingleObject) are no I/O and go on.
 * Threads: any. Locks: none. Order: none. Tests: tests/api/test_interrupt.c. */
#include "win.h"

int os_interrupt_default(void) { return 0; }
int os_interrupts_init(int number) { return (void)number, 0; }
void os_interrupts_shutdown(void) {}

void os_interrupt_thread(uint64_t id) {
    HANDLE thread = OpenThread(THREAD_TERMINATE, FALSE, (DWORD)id); /* the right that CancelSynchronousIo asks for */
    if (thread == NULL) return;
    CancelSynchronousIo(thread); /* fails if it is in no such call: then it is tried again */
    CloseHandle(thread);
}

void os_interrupt_spend(void) {}
