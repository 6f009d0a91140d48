/* census.c (Windows): how many threads the process has. The snapshot is of the whole system: slow (64 ms under Wine).
 * Threads: any. Tests: tests/death/test_deadlock.c. */
#include <windows.h>

#include <tlhelp32.h>

#include "os.h"

unsigned os_thread_count(void) {
    HANDLE snapshot = CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0);
    THREADENTRY32 entry = {.dwSize = sizeof entry};
    DWORD process = GetCurrentProcessId();
    unsigned count = 0;
    if (snapshot == INVALID_HANDLE_VALUE) return 0;
    for (BOOL more = Thread32First(snapshot, &entry); more; more = Thread32Next(snapshot, &entry)) {
        count += entry.th32OwnerProcessID == process;
    }
    CloseHandle(snapshot);
    return count;
}
