/* test_os.c: the seam to the system, where the process must die: guard pages, os_abort. */
#include "support/pintle_test.h"

#include "os.h"

#if defined(_WIN32)
enum { STATUS_FAULT = (int)0xC0000005, STATUS_ABORTED = (int)0xC0000409 };
static void no_handlers(void) {}
#else
#include <signal.h>
enum { STATUS_FAULT = 128 + SIGSEGV, STATUS_ABORTED = 128 + SIGABRT };
static void no_handlers(void) { signal(SIGSEGV, SIG_DFL); } /* a sanitizer's */
#endif

enum { STACK_BYTES = 128 << 10, SLAB_BYTES = 3 * STACK_BYTES };

/* Writes to the stack in the middle of three: its neighbours are prepared too. */
static void touch_stack(size_t offset) {
    no_handlers();
    char *slab = os_reserve(SLAB_BYTES);
    for (int i = 0; slab != NULL && i < 3; i++) {
        void *limit = NULL;
        if (os_stack_prepare(slab + i * STACK_BYTES, STACK_BYTES, 4096, &limit) != 0) os_exit(99);
    }
    os_write_error("before", 6);
    ((volatile char *)slab)[STACK_BYTES + offset] = 1;
    os_write_error(" after", 6);
}

CHILD(touch_lowest_byte) { touch_stack(0); }
CHILD(touch_lowest_page_end) { touch_stack(os_page_bytes() - 1); }
CHILD(touch_top) { touch_stack(STACK_BYTES - 1); }
CHILD(touch_top_below) { touch_stack((size_t)-1); }

CASE(stack_lowest_page_touched_is_a_fault) {
    char text[64];
    ck_assert_int_eq(child_run("touch_lowest_byte", text, sizeof text), STATUS_FAULT);
    ck_assert_str_eq(text, "before");
    ck_assert_int_eq(child_run("touch_lowest_page_end", text, sizeof text), STATUS_FAULT);
    ck_assert_str_eq(text, "before");
}

CASE(stack_tops_beside_guard_are_usable) {
    char text[64];
    ck_assert_int_eq(child_run("touch_top", text, sizeof text), 0);
    ck_assert_str_eq(text, "before after");
    ck_assert_int_eq(child_run("touch_top_below", text, sizeof text), 0);
    ck_assert_str_eq(text, "before after");
}

static void never_said(void) { os_write_error("a handler ran", 13); }

CHILD(abort_with_handler) {
    atexit(never_said);
    os_write_error("last words", 10);
    os_abort();
}

CASE(abort_is_a_crash_after_whole_report) {
    char text[64];
    ck_assert_int_eq(child_run("abort_with_handler", text, sizeof text), STATUS_ABORTED);
    ck_assert_str_eq(text, "last words");
}
