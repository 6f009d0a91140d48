/* time.c (Windows): the monotonic clock, QueryPerformanceCounter.
 *
 * 10 MHz on every Windows 10 and under Wine: a step is 100 ns. Other frequencies are converted without overflow.
 * Threads: any. Locks: none. Order: frequency is written with the same value by whoever comes first, relaxed.
 * Invariants: never goes back, within a thread or from one to another. Tests: tests/unit/test_os.c. */
#include "win.h"

static _Atomic int64_t frequency;

static int64_t frequency_get(void) {
    int64_t hz = atomic_load_relaxed(&frequency);
    if (LIKELY(hz != 0)) return hz;
    LARGE_INTEGER value;
    QueryPerformanceFrequency(&value); /* cannot fail since Windows XP */
    atomic_store_relaxed(&frequency, value.QuadPart);
    return value.QuadPart;
}

int64_t os_now_ns(void) {
    LARGE_INTEGER count;
    QueryPerformanceCounter(&count);
    uint64_t hz = (uint64_t)frequency_get(), ticks = (uint64_t)count.QuadPart;
    if (LIKELY(hz == 10000000)) return (int64_t)(ticks * 100);
    /* whole seconds and the rest apart: the rest is below hz, and hz * 1e9 fits for any hz up to 18 GHz */
    return (int64_t)(ticks / hz * 1000000000 + ticks % hz * 1000000000 / hz);
}
