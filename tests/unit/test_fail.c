/* test_fail.c: refusing operations by number (fail.h), and the heap that counts (memory.h). Debug builds only: elsewhere
 * there is nothing to see. */
#include "support/pintle_test.h"

#include "drain.h"
#include "fail.h"
#include "memory.h"
#include "os.h"

DEBUG_CASE(fail_plan_refuses_those_numbers_and_kinds) {
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

DEBUG_CASE(fail_parse_reads_numbers_kinds_and_the_plus) {
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

DEBUG_CASE(fail_now_is_asked_by_each_kind) {
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
    pintle_local *local = NULL;
    ck_assert_int_eq(pintle_local_new(&local, NULL), PINTLE_ENOMEM);
    ck_assert_ptr_null(local);
    fail_plan(FAIL_MEMORY, 2, UINT64_MAX); /* the record of the thread's start, then the thread */
    ck_assert_int_eq(os_thread_start(&thread, never, NULL), 0);
    os_thread_join(&thread);
    fail_plan(0, 0, 0);
}

/* Loading a private copy: each thing it takes, refused in its turn, ends in a sentence. */
DEBUG_CASE(fail_now_is_asked_by_each_step_of_a_private_copy) {
    void *library, *copy;
    int code;
    char text[256];
    uint64_t blocks = memory_blocks(), refused = 1, first;
    for (first = 1; refused != 0; first++) {
        fail_plan(FAIL_RESOURCES, first, 1);
        int64_t error = os_dll_open_copy(test_dll_path("os_sample"), &library, &copy, &code, text, sizeof text);
        refused = fail_refused();
        fail_plan(0, 0, 0);
        ck_assert_int_eq(error != 0, refused != 0);
        if (error != 0) {
            ck_assert(code != 0 && strstr(text, "os_sample") != NULL);
            ck_assert(library == NULL && copy == NULL);
        } else {
            os_dll_close(library);
            os_dll_copy_remove(copy);
        }
        ck_assert_uint_eq(memory_blocks(), blocks);
    }
    ck_assert_uint_ge(first, 4); /* the names, the library itself, and none */
}

/* Stacks: prepared alone and together (as the many-thousandth is), trimmed: refused, they are as before. */
DEBUG_CASE(fail_now_is_asked_when_stacks_are_prepared_and_trimmed) {
    enum { BYTES = 256 << 10, TOP = 8 << 10, MANY = 1000000 };
    char *base = os_reserve(8 * BYTES);
    uint32_t count = 8;
    void *limit;
    ck_assert_ptr_nonnull(base);
    fail_plan(FAIL_RESERVE, 1, 2);
    ck_assert_int_ne(os_stacks_prepare(base, BYTES, TOP, 0, &count, &limit), 0);
    count = 8;
    ck_assert_int_ne(os_stacks_prepare(base, BYTES, TOP, MANY, &count, &limit), 0);
    count = 8;
    ck_assert_int_eq(os_stacks_prepare(base, BYTES, TOP, MANY, &count, &limit), 0);
    void *before = limit;
    fail_plan(FAIL_RESERVE, 1, 1);
    int code = os_stack_trim(base, BYTES, TOP, &limit);
    ck_assert_ptr_eq(limit, before);
    ck_assert(code != 0 || fail_refused() == 0); /* there may be nothing to give back */
    fail_plan(0, 0, 0);
    memset(base + BYTES - TOP, 1, TOP); /* what is to be usable at once is so */
    os_release(base, 8 * BYTES);
}

/* Callers beyond a table that cannot grow are counted without a name. */
DEBUG_CASE(drain_without_memory_counts_callers_without_a_name) {
    enum { CALLERS = 200 };
    static struct drain drain;
    static struct drain_slot *slots[CALLERS];
    char text[256];
    bool self;
    for (uint64_t first = 1; first <= 2; first++) { /* the table, its lines */
        fail_plan(FAIL_MEMORY, first, 1);
        ck_assert_int_eq(drain_init(&drain), PINTLE_ENOMEM);
        fail_plan(0, 0, 0);
    }
    uint64_t blocks = memory_blocks();
    ck_assert_int_eq(drain_init(&drain), 0);
    fail_plan(FAIL_MEMORY, 1, UINT64_MAX);
    for (int i = 0; i < CALLERS; i++) ck_assert_ptr_nonnull(slots[i] = drain_enter(&drain, "f"));
    ck_assert_uint_gt(fail_refused(), 0);
    fail_plan(0, 0, 0);
    drain_close(&drain);
    ck_assert_uint_eq(drain_count(&drain, &self), CALLERS);
    ck_assert(self);
    drain_describe(&drain, text, sizeof text);
    ck_assert_msg(strstr(text, "more") != NULL, "%s", text);
    for (int i = 0; i < CALLERS; i++) drain_leave(&drain, slots[i]);
    ck_assert_uint_eq(drain_count(&drain, &self), 0);
    drain_destroy(&drain);
    ck_assert_uint_eq(memory_blocks(), blocks);
}

DEBUG_CASE(memory_counts_what_is_in_use) {
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
    ck_assert_ptr_null(memory_resize(c, 10000));
    fail_plan(0, 0, 0);
    c[4999] = 1; /* the old block stays */
    ck_assert_uint_eq(memory_blocks(), before + 4);
    memory_free(a);
    memory_free(b);
    memory_free(c);
    memory_free_aligned(d);
    memory_free(NULL);
    memory_free_aligned(NULL);
    ck_assert_uint_eq(memory_blocks(), before);
}
