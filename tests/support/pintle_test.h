/* pintle_test.h: what every test includes. Check's assertions (ck_assert_…), the same tests natively and under Wine.
 *
 *     CASE(ring_push_full_refuses) { … ck_assert_int_eq(…); }
 *     CASE_TIMEOUT(pins_storm_loses_none, 60) { … }
 *     DEBUG_CASE(lock_ranks_are_checked) { … }
 *
 * A case registers itself; CMake finds it in the file and makes it a CTest test of its own, so these forms stand at
 * the beginning of a line, with the limit (seconds) as a plain number. Builds without debug checks have no DEBUG_CASE. By hand: `test_unit_runq` runs all cases of the
 * program, `test_unit_runq CASE` one.
 *
 * Assert only on the thread and the stack that the case was called on: a failed assertion longjmps out of the case, and
 * from a task or another thread that would continue the test program in the wrong place. Tasks record what they
 * find, and the case asserts on it at its end. */
#ifndef PINTLE_TEST_H
#define PINTLE_TEST_H

#include <check.h>
#include <pintle.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* By how much a sanitizer slows a test down, roughly: limits of time are multiplied by it, rounds that only take time
 * may be divided. */
#if defined(PINTLE_SANITIZE)
#define TEST_SLOWNESS 10
#else
#define TEST_SLOWNESS 1
#endif

#define CASE(name) CASE_TIMEOUT(name, 30)

/* Check's START_TEST with a limit and a registration. The limit is kept by a watchdog thread, which ends the process
 * with status 70, since Check's own limits need fork. */
#define CASE_TIMEOUT(case_name, case_limit_s) \
    static void case_name##_case(void); \
    __attribute__((constructor)) static void case_name##_register(void) { \
        static test_case self = {{#case_name, NULL, __FILE__, __LINE__}, case_name##_case, case_limit_s, NULL}; \
        test_register_case(&self); \
    } \
    static void case_name##_case(void)

/* What only debug builds check. Elsewhere it is compiled, and no test. */
#define DEBUG_CASE(name) DEBUG_CASE_TIMEOUT(name, 30)
#if defined(PINTLE_DEBUG_CHECKS)
#define DEBUG_CASE_TIMEOUT(case_name, case_limit_s) CASE_TIMEOUT(case_name, case_limit_s)
#else
#define DEBUG_CASE_TIMEOUT(case_name, case_limit_s) __attribute__((unused)) static void case_name##_case(void)
#endif

/* Death tests. CHILD(name) { … } is a body that the case runs in another process of this program, where it may crash,
 * panic or exit; if it returns, that process exits with 0. No exception filter of the tests is installed there. */
#define CHILD(child_name) \
    static void child_name##_child(void); \
    __attribute__((constructor)) static void child_name##_register_child(void) { \
        static test_child self = {#child_name, child_name##_child, NULL}; \
        test_register_child(&self); \
    } \
    static void child_name##_child(void)

/* Runs CHILD(name) and returns the exit status as the system shows it; on POSIX 128 + n after signal n. What it wrote to
 * standard output and error, in order, is in out_text, ended by NUL and cut to what fits. */
int child_run(const char *name, char *out_text, size_t text_bytes);
/* The same, with a console of its own on Windows, whose events reach no other process. */
int child_run_with_console(const char *name, char *out_text, size_t text_bytes);

/* In a child: ends the watchdog's thread, for what looks at the process's threads. CTest's own limit stays. */
void child_without_watchdog(void);

/* Absolute path, as the system under test writes it, of the DLL or shared object built from tests/dll/<name>.c.
 * The last few results stay valid. */
const char *test_dll_path(const char *name);

/* The seed of this run: PINTLE_TEST_SEED from the environment, or the time; printed, so that a failure can be run again. */
uint64_t test_seed(void);

/* ---- What the macros need ---- */

typedef struct test_case {
    TTest test;
    void (*body)(void);
    unsigned limit_s;
    struct test_case *next;
} test_case;

typedef struct test_child {
    const char *name;
    void (*body)(void);
    struct test_child *next;
} test_child;

void test_register_case(test_case *new_case);
void test_register_child(test_child *new_child);

#endif
