/* clock.h: between pintle_now()'s clock, which starts at 2^62, and the system's. clock.c has the checks of deadlines.
 * Threads: any. Tests: tests/api/test_sleep.c. */
#ifndef PINTLE_SRC_CLOCK_H
#define PINTLE_SRC_CLOCK_H

#include "base.h"

#define CLOCK_START ((int64_t)1 << 62)

/* Sets the error: deadline_ns is a duration. PINTLE_EINVAL. */
COLD int deadline_refuse(int64_t deadline_ns, const char *function);
static inline bool deadline_is_good(int64_t deadline_ns) {
    return deadline_ns >= CLOCK_START || deadline_ns == PINTLE_NOWAIT;
}
/* 0, or PINTLE_EINVAL with a sentence. */
static inline int deadline_check(int64_t deadline_ns, const char *function) {
    if (LIKELY(deadline_is_good(deadline_ns))) return 0;
    return deadline_refuse(deadline_ns, function);
}

/* A checked deadline on the system's clock; FOREVER stays, NOWAIT is long past. */
static inline int64_t clock_to_os(int64_t deadline_ns) {
    if (deadline_ns == PINTLE_FOREVER) return INT64_MAX;
    return deadline_ns == PINTLE_NOWAIT ? 0 : deadline_ns - CLOCK_START;
}

#endif
