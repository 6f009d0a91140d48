/* must.h: assertions for code that runs in tasks and threads, where Check's may not be used: what is found wrong is printed
 * and counted, and the case asserts at its end that nothing was. */
#ifndef PINTLE_TESTS_MUST_H
#define PINTLE_TESTS_MUST_H

#include "api/api_helpers.h"

__attribute__((unused)) static atomic_uint must_failures;

#define MUST(condition) ((condition) ? (void)0 : must_failed(#condition, __FILE__, __LINE__))
#define MUST_BE(expression, expected) must_be(expression, expected, #expression, __FILE__, __LINE__)

HELPER void must_failed(const char *what, const char *file, int line) {
    if (atomic_fetch_add(&must_failures, 1) < 20) printf("%s:%d: not so: %s\n", file, line, what);
}
HELPER void must_be(long long value, long long expected, const char *what, const char *file, int line) {
    if (value == expected) return;
    if (atomic_fetch_add(&must_failures, 1) < 20)
        printf("%s:%d: %s is %lld, not %lld\n", file, line, what, value, expected);
}
/* In the case, at its end. */
#define ASSERT_ALL_MUST() ck_assert_uint_eq(must_failures, 0)

/* Runs main_task: strictly one after the other, with 1 processor, with 2. */
HELPER void must_run_strict(pintle_main_fn *main_task, void *arg) {
    ck_assert_int_eq(helper_run_strict(main_task, arg), 0);
}
HELPER void must_run(pintle_main_fn *main_task, void *arg) {
    for (unsigned processors = 1; processors <= 2; processors++)
        ck_assert_int_eq(helper_run(main_task, arg, processors), 0);
}

/* In a strict run: yields until *count is `wanted`. Whoever counted and then parked has parked. */
HELPER void must_yield_until(atomic_uint *count, unsigned wanted) {
    while (atomic_load(count) != wanted) pintle_yield();
}

#endif
