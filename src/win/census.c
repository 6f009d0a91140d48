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

int64_t os_thread_cpu_ns(uint64_t id) {
    HANDLE thread = OpenThread(THREAD_QUERY_LIMITED_INFORMATION, FALSE, (DWORD)id);
    FILETIME made, ended, kernel, user;
    int64_t result = 0;
    if (thread == NULL) return 0;
    if (GetThreadTimes(thread, &made, &ended, &kernel, &user)) {
        int64_t units = ((int64_t)kernel.dwHighDateTime << 32 | kernel.dwLowDateTime) +
                        ((int64_t)user.dwHighDateTime << 32 | user.dwLowDateTime);
        result = units * 100; /* advances by whole ticks of the system: 1 to 16 ms */
    }
    CloseHandle(thread);
    return result;
}
