/* base.h: what every file of the library includes: C11's headers, attributes, assertions.
 * Threads: any. Locks: none. Tests: tests/unit/test_base.c. */
#ifndef PINTLE_SRC_BASE_H
#define PINTLE_SRC_BASE_H

#include <assert.h>
#include <limits.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pintle/base.h"

#define LIKELY(condition) __builtin_expect(!!(condition), 1)
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)
/* The line will be wanted soon. Any address: a hint. */
#define PREFETCH(pointer) __builtin_prefetch(pointer, 1)
#define NORETURN __attribute__((noreturn))
#define COLD __attribute__((cold, noinline))
#define CACHE_LINE 64
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define CONTAINER_OF(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* CHECK: an invariant whose breach would corrupt; compiled into every build. A breach is fatal: a report, then abort.
 * DCHECK: one that costs something; debug builds only (PINTLE_DEBUG_CHECKS). */
NORETURN COLD void fatal(const char *format, ...) PINTLE_PRINTF(1, 2);
#define CHECK(condition) \
    (LIKELY(condition) ? (void)0 : fatal("broken invariant: %s (%s:%d)", #condition, __FILE__, __LINE__))
#if defined(PINTLE_DEBUG_CHECKS)
#define DCHECK(condition) CHECK(condition)
#else
#define DCHECK(condition) ((void)sizeof((condition) ? 1 : 0))
#endif

#endif
