/* resources.h: what a process holds of the system, to see that a library gives it back: memory, handles or descriptors,
 * thread-local slots. Threads are counted by helper_thread_count. Include api/api_helpers.h first. */
#ifndef PINTLE_TESTS_RESOURCES_H
#define PINTLE_TESTS_RESOURCES_H

#if defined(_WIN32)
#include <psapi.h>
#else
#include <malloc.h>
#endif

/* Before threads are made: one heap for all threads, so that the figures below repeat. */
HELPER void resources_quiet(void) {
#if defined(__GLIBC__)
    mallopt(M_ARENA_MAX, 1);
#endif
}

/* Committed memory (Windows), resident and of the heap (elsewhere), in KB. */
/* A sanitizer keeps what is freed for a while, and what it knows of threads that are gone. */
#if defined(PINTLE_SANITIZE)
#define RESOURCES_KEPT_KB 400000
#else
#define RESOURCES_KEPT_KB 0
#endif

HELPER size_t resources_memory_kb(void) {
#if defined(_WIN32)
    PROCESS_MEMORY_COUNTERS counters = {.cb = sizeof counters};
    if (!K32GetProcessMemoryInfo(GetCurrentProcess(), &counters, sizeof counters)) return 0;
    return counters.PagefileUsage >> 10;
#else
    unsigned long total = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL) return 0;
    if (fscanf(file, "%lu %lu", &total, &resident) != 2) resident = 0;
    fclose(file);
    return resident * (size_t)(sysconf(_SC_PAGESIZE) >> 10);
#endif
}

/* Address space in use, in KB. */
HELPER size_t resources_space_kb(void) {
#if defined(_WIN32)
    size_t bytes = 0;
    MEMORY_BASIC_INFORMATION info;
    for (char *at = NULL; VirtualQuery(at, &info, sizeof info) == sizeof info;) {
        if (info.State != MEM_FREE) bytes += info.RegionSize;
        at = (char *)info.BaseAddress + info.RegionSize;
    }
    return bytes >> 10;
#else
    unsigned long total = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL) return 0;
    if (fscanf(file, "%lu", &total) != 1) total = 0;
    fclose(file);
    return total * (size_t)(sysconf(_SC_PAGESIZE) >> 10);
#endif
}

/* Handles, or file descriptors. */
HELPER unsigned resources_handles(void) {
#if defined(_WIN32)
    DWORD count = 0;
    GetProcessHandleCount(GetCurrentProcess(), &count);
    return count;
#else
    DIR *folder = opendir("/proc/self/fd");
    unsigned count = 0;
    if (folder == NULL) return 0;
    while (readdir(folder) != NULL) count++;
    closedir(folder);
    return count;
#endif
}

/* How many thread-local slots, and places for callbacks at a thread's end, the process can still have. */
HELPER unsigned resources_slots_left(void) {
    static unsigned slots[2048];
    unsigned count = 0;
#if defined(_WIN32)
    unsigned callbacks = 0;
    while (count < ELEMENTS(slots) && (slots[count] = TlsAlloc()) != TLS_OUT_OF_INDEXES) count++;
    for (unsigned i = 0; i < count; i++) TlsFree(slots[i]);
    while (callbacks < ELEMENTS(slots) && (slots[callbacks] = FlsAlloc(NULL)) != FLS_OUT_OF_INDEXES) callbacks++;
    for (unsigned i = 0; i < callbacks; i++) FlsFree(slots[i]);
    return count + callbacks;
#else
    while (count < ELEMENTS(slots) && pthread_key_create(&slots[count], NULL) == 0) count++;
    for (unsigned i = 0; i < count; i++) pthread_key_delete(slots[i]);
    return count;
#endif
}

#endif
