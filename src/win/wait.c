/* wait.c (Windows): waiting on a word: without a deadline by RtlWaitOnAddress; with one by a precise timer (sleeper.c),
 * or by RtlWaitOnAddress where its time-outs are as good.
 *
 * Threads: any. Locks: none. Order: the system compares the word again once it has queued the thread, ordered against
 * a wake of the same word; what the word guards is ordered by the caller's atomics. Invariants: a wait that nobody
 * wakes ends at its deadline, not before. Tests: tests/unit/test_os.c. */
#include "sleeper.h"

/* The system's clock for time-outs runs apart from os_now_ns()'s, and may be a little early by it: then once more. */
static void wait_until(const win_waits *waits, _Atomic uint32_t *word, uint32_t expected, int64_t deadline_ns) {
    enum { UNIT_NS = 100 };
    LONG status = WAIT_TIMED_OUT;
    for (int64_t now_ns = os_now_ns(); status == WAIT_TIMED_OUT && now_ns < deadline_ns; now_ns = os_now_ns()) {
        LARGE_INTEGER timeout = {.QuadPart = -((deadline_ns - now_ns - 1) / UNIT_NS + 1)};
        status = waits->wait((const volatile void *)word, &expected, sizeof expected, &timeout);
    }
}

void os_wait_word(_Atomic uint32_t *word, uint32_t expected, int64_t deadline_ns) {
    if (fail_now(FAIL_WAIT)) return;
    DWORD kept = GetLastError();
    const win_functions *system = win_functions_get();
    if (deadline_ns == INT64_MAX)
        system->waits.wait((const volatile void *)word, &expected, sizeof expected, NULL);
    else if (!system->coarse_waits || !timed_wait(word, expected, deadline_ns))
        wait_until(&system->waits, word, expected, deadline_ns);
    SetLastError(kept);
}

void os_wake_word_one(_Atomic uint32_t *word) {
    DWORD kept = GetLastError();
    if (timed_wake(word, false) == 0) win_functions_get()->waits.wake_one((const volatile void *)word);
    SetLastError(kept);
}

void os_wake_word_all(_Atomic uint32_t *word) {
    DWORD kept = GetLastError();
    timed_wake(word, true);
    win_functions_get()->waits.wake_all((const volatile void *)word);
    SetLastError(kept);
}

void os_yield_thread(void) { SwitchToThread(); }
