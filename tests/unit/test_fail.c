/* test_fail.c: refusing operations by number (fail.h), and the heap that counts (memory.h). Debug builds only: elsewhere
 * there is nothing to see. */
#include "support/pintle_test.h"

#include "fail.h"
#include "memory.h"
#include "os.h"

#if defined(PINTLE_DEBUG_CHECKS)
static const bool available = true;
#else
static const bool available = false;
#endif

CASE(fail_plan_refuses_those_numbers_and_kinds) {
    if (!available) return;
    fail_plan(FAIL_THREAD | FAIL_MEMORY, 3, 2);
    for (int number = 1; number <= 6; number++) {
        ck_assert(!fail_now(FAIL_WAIT)); /* not counted */
        ck_assert_int_eq(fail_now(number % 2 != 0 ? FAIL_THREAD : FAIL_MEMORY), number == 3 || number == 4);
    }
    ck_assert_uint_eq(fail_refused(), 2);
    fail_plan(0, 0, 0);
    ck_assert(!fail_now(FAIL_MEMORY));
    ck_assert_uint_eq(fail_refused(), 0);
}

CASE(fail_parse_reads_numbers_kinds_and_the_plus) {
    if (!available) return;
    static const char *const wrong[] = {"",        "x",        "1x",         ":1", "threads:1",
                                        "thread:", "thread:x", "thread:1++", "-1", " 1"};
    for (size_t i = 0; i < COUNT_OF(wrong); i++) ck_assert_msg(!fail_parse(wrong[i]), "%s", wrong[i]);
    ck_assert(fail_parse("2"));
    ck_assert(!fail_now(FAIL_THREAD) && fail_now(FAIL_LIBRARY) && !fail_now(FAIL_RESERVE) && !fail_now(FAIL_WAIT));
    ck_assert(fail_parse("reserve:1+"));
    ck_assert(!fail_now(FAIL_THREAD) && fail_now(FAIL_RESERVE) && fail_now(FAIL_RESERVE));
    ck_assert(fail_parse("wait:1"));
    ck_assert(fail_now(FAIL_WAIT) && !fail_now(FAIL_WAIT) && !fail_now(FAIL_RESERVE));
    ck_assert(fail_parse("0"));
    ck_assert(!fail_now(FAIL_MEMORY));
}

static void never(void *arg) { (void)arg; }

CASE(fail_now_is_asked_by_each_kind) {
    if (!available) return;
    void *address;
    os_thread thread;
    int code;
    char text[256];
    _Atomic uint32_t word;
    atomic_init(&word, 0);
    fail_plan(FAIL_RESOURCES | FAIL_WAIT, 1, UINT64_MAX);
    ck_assert_ptr_null(memory_alloc(10));
    ck_assert_ptr_null(memory_alloc_zero(10));
    ck_assert_ptr_null(memory_alloc_aligned(10));
    ck_assert_ptr_null(os_reserve(1 << 16));
    ck_assert_int_ne(os_thread_start(&thread, never, NULL), 0);
    ck_assert_int_ne(os_dll_open(test_dll_path("os_sample"), false, &address, &code, text, sizeof text), 0);
    ck_assert_int_ne(text[0], 0);
    os_wait_word(&word, 0, INT64_MAX); /* comes back */
    ck_assert_uint_ge(fail_refused(), 7);
    fail_plan(FAIL_MEMORY, 2, UINT64_MAX); /* the record of the thread's start, then the thread */
    ck_assert_int_eq(os_thread_start(&thread, never, NULL), 0);
    os_thread_join(&thread);
    fail_plan(0, 0, 0);
}

CASE(memory_counts_what_is_in_use) {
    uint64_t before = memory_blocks();
    char *a = memory_alloc(10), *b = memory_alloc_zero(1000), *c = memory_resize(NULL, 5),
         *d = memory_alloc_aligned(100);
    ck_assert(a != NULL && b != NULL && c != NULL && d != NULL);
    ck_assert_uint_eq((uintptr_t)d % CACHE_LINE, 0);
    for (int i = 0; i < 1000; i++) ck_assert_int_eq(b[i], 0);
    memset(d, 1, 100);
    c = memory_resize(c, 5000);
    ck_assert_ptr_nonnull(c);
    fail_plan(FAIL_MEMORY, 1, 1);
    if (available) ck_assert_ptr_null(memory_resize(c, 10000));
    fail_plan(0, 0, 0);
    c[4999] = 1; /* the old block stays */
    if (available) ck_assert_uint_eq(memory_blocks(), before + 4);
    memory_free(a);
    memory_free(b);
    memory_free(c);
    memory_free_aligned(d);
    memory_free(NULL);
    memory_free_aligned(NULL);
    ck_assert_uint_eq(memory_blocks(), before);
}
