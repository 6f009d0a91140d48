/* fail.h: failures on demand, in debug builds: each operation that the system may refuse asks fail_now first.
 *
 * Operations are counted from fail_plan on; those from number `first` on, `count` of them, are refused. So a driver that
 * refuses the first, the second, … until nothing was refused has seen every way out of a failure
 * (tests/stress/test_failure.c). A wait that is refused returns at once, as a spurious wake-up does.
 * In other builds all of it compiles to nothing.
 * Threads: any. Locks: none. Order: relaxed; a plan is made while nothing runs. Tests: tests/unit/test_fail.c. */
#ifndef PINTLE_SRC_FAIL_H
#define PINTLE_SRC_FAIL_H

#include "base.h"

enum fail_kind {
    FAIL_MEMORY = 1,  /* the C library's heap; a thread-local slot, an event, a timer */
    FAIL_RESERVE = 2, /* address space, the first pages of a stack, giving pages back */
    FAIL_THREAD = 4,
    FAIL_LIBRARY = 8, /* loading one, looking an export up */
    FAIL_WAIT = 16,
    FAIL_RESOURCES = FAIL_MEMORY | FAIL_RESERVE | FAIL_THREAD | FAIL_LIBRARY
};

#if defined(PINTLE_DEBUG_CHECKS)
/* Whether this operation is to be refused. */
bool fail_now(enum fail_kind kind);
/* From now on counts operations of these kinds (flags) and refuses those numbered first to first + count - 1, from 1.
 * count 0: none. */
void fail_plan(unsigned kinds, uint64_t first, uint64_t count);
/* How many were refused since fail_plan. */
uint64_t fail_refused(void);
/* Reads a plan as in PINTLE_DEBUG=fail=…: "N" one of FAIL_RESOURCES, "thread:N" one of a kind, "thread:N+" all from there
 * on. False: not understood. */
bool fail_parse(const char *text);
#else
static inline bool fail_now(enum fail_kind kind) { return (void)kind, false; }
static inline void fail_plan(unsigned kinds, uint64_t first, uint64_t count) { (void)kinds, (void)first, (void)count; }
static inline uint64_t fail_refused(void) { return 0; }
static inline bool fail_parse(const char *text) { return (void)text, true; }
#endif

#endif
