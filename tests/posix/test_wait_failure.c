/* test_wait_failure.c: what waits for descriptors of others', with the first resource refused, then the second, … (fail.h; debug builds). */
#include "api/must.h"
#include "support/resources.h"

#include <poll.h>
#include <sys/eventfd.h>

#include "fail.h"
#include "memory.h"

static bool is_fine(int64_t result) {
    return result >= 0 || result == PINTLE_ENOMEM || result == PINTLE_ELIMIT || result == PINTLE_ETIMEDOUT ||
           result == PINTLE_ECLOSED;
}
static void use_descriptor(void) {
    int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pintle_case cases[10];
    for (int i = 0; i < 10; i++) cases[i] = pintle_case_fd(event, POLLIN);
    MUST(is_fine(pintle_wait_fd(event, POLLIN, pintle_after(PINTLE_US(100)))));
    MUST(is_fine(pintle_select(cases, 10, pintle_after(PINTLE_US(100)))));
    eventfd_write(event, 1);
    MUST_BE(pintle_wait_fd(event, POLLIN, PINTLE_FOREVER), POLLIN);
    close(event);
}
static void use_native(void) {
    pintle_chan *c;
    intptr_t native;
    int code = pintle_chan_new(&c, 0, 1);
    MUST(is_fine(code));
    if (code != 0) return;
    MUST(is_fine(pintle_chan_native(c, &native)));
    pintle_chan_free(c);
}
static int load_main(void *arg) {
    fail_plan(FAIL_RESOURCES, *(uint64_t *)arg, 1);
    use_descriptor();
    use_native();
    return 0;
}
DEBUG_CASE_TIMEOUT(each_resource_of_a_wait_refused_once, 60) {
    unsigned handles = resources_handles();
    uint64_t blocks = 0, refused = 1, first = 1;
    for (; refused != 0 && first < 200; first++) {
        ck_assert_int_eq(helper_run(load_main, &first, 2), 0);
        refused = fail_refused();
        fail_plan(0, 0, 0);
        ck_assert_uint_eq(resources_handles(), handles);
        if (first > 1) ck_assert_uint_eq(memory_blocks(), blocks);
        blocks = memory_blocks();
        ck_assert_uint_eq(must_failures, 0);
    }
    ck_assert_uint_gt(first, 8); /* so many were refused, each once */
    ck_assert_uint_eq(refused, 0);
}
