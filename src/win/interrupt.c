/* interrupt.c (Windows): interrupting a thread's system call, by CancelSynchronousIo.
 *
 * It ends reads, writes, connects and opens that the thread is in at that moment, and leaves nothing pending: a later one is not
 * touched. Waits (Sleep, WaitForSingleObject) are no I/O and go on; a wait of our own lists an event that it also waits for.
 * Threads: any. Locks: listed_lock. Order: the lock. Tests: tests/api/test_interrupt.c, tests/win/test_messages.c. */
#include "win.h"

static SRWLOCK listed_lock = SRWLOCK_INIT;
static win_interruptible *listed;

void win_interruptible_begin(win_interruptible *wait, HANDLE event) {
    wait->thread_id = GetCurrentThreadId();
    wait->event = event;
    AcquireSRWLockExclusive(&listed_lock);
    wait->next = listed;
    listed = wait;
    ReleaseSRWLockExclusive(&listed_lock);
}

void win_interruptible_end(win_interruptible *wait) {
    win_interruptible **link = &listed;
    AcquireSRWLockExclusive(&listed_lock);
    while (*link != wait) link = &(*link)->next;
    *link = wait->next;
    ReleaseSRWLockExclusive(&listed_lock);
}

int os_interrupt_default(void) { return 0; }
int os_interrupts_init(int number) { return (void)number, 0; }
void os_interrupts_shutdown(void) {}

void os_interrupt_thread(uint64_t id) {
    AcquireSRWLockExclusive(&listed_lock);
    for (win_interruptible *wait = listed; wait != NULL; wait = wait->next) {
        if (wait->thread_id == id) SetEvent(wait->event);
    }
    ReleaseSRWLockExclusive(&listed_lock);
    HANDLE thread = OpenThread(THREAD_TERMINATE, FALSE, (DWORD)id); /* the right that CancelSynchronousIo asks for */
    if (thread == NULL) return;
    CancelSynchronousIo(thread); /* fails if it is in no such call: then it is tried again */
    CloseHandle(thread);
}

void os_interrupt_spend(void) {}
