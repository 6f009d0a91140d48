/* test_base.c: the macros of base.h, and what a broken invariant does. */
#include "api/api_helpers.h"

#include "base.h"

typedef struct outer {
    int before;
    struct inner {
        int value;
    } inner;
} outer;

CASE(container_of_finds_the_whole_from_a_part) {
    outer o = {1, {2}};
    struct inner *part = &o.inner;
    ck_assert_ptr_eq(CONTAINER_OF(part, outer, inner), &o);
    int numbers[7];
    ck_assert_uint_eq(COUNT_OF(numbers), 7);
}

static int evaluated;
static bool evaluate(bool result) {
    evaluated++;
    return result;
}

CASE(check_that_holds_goes_on_and_is_evaluated_once) {
    evaluated = 0;
    CHECK(evaluate(true));
    ck_assert_int_eq(evaluated, 1);
    DCHECK(evaluate(true));
#if defined(PINTLE_DEBUG_CHECKS)
    ck_assert_int_eq(evaluated, 2);
#else
    ck_assert_int_eq(evaluated, 1); /* release builds do not look at it */
#endif
}

CHILD(check_breaks) {
    int wheels = 3;
    CHECK(wheels == 4);
    printf("survived\n");
}
CHILD(dcheck_breaks) {
    int wheels = 3;
    DCHECK(wheels == 4);
    printf("survived\n");
}

CASE(check_that_fails_ends_the_process_and_shows_the_condition) {
    char text[4096];
    ck_assert_int_ne(child_run("check_breaks", text, sizeof text), 0);
    ck_assert_msg(strstr(text, "wheels == 4") != NULL, "%s", text);
    ck_assert_msg(strstr(text, "test_base.c") != NULL, "%s", text);
    ck_assert_msg(strstr(text, "survived") == NULL, "%s", text);
}

CASE(dcheck_that_fails_ends_the_process_in_debug_builds_only) {
    char text[4096];
    int status = child_run("dcheck_breaks", text, sizeof text);
#if defined(PINTLE_DEBUG_CHECKS)
    ck_assert_int_ne(status, 0);
    ck_assert_msg(strstr(text, "survived") == NULL, "%s", text);
#else
    ck_assert_int_eq(status, 0);
    ck_assert_msg(strstr(text, "survived") != NULL, "%s", text);
#endif
}
