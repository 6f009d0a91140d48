/* test_errno.c: pintle/errno.h: an error number set before a wait is read after it, in one function, wherever the task is. */
#include "api/api_helpers.h"

enum { TASKS = 200, ROUNDS = 200 };

static _Atomic unsigned wrong, moved;

/* All in one function: what a compiler could keep of errno, it would keep here. */
static void keep_errno(void *arg) {
    int mine = 1 + (int)(intptr_t)arg;
    uint64_t thread = helper_thread_id();
    for (int i = 0; i < ROUNDS; i++) {
        errno = mine + i;
        if (i % 16 == 0)
            pintle_sleep(PINTLE_US(20));
        else if (i % 16 == 8)
            pintle_call_blocking(helper_return_at_once, NULL);
        else
            pintle_yield();
        if (errno != mine + i) atomic_fetch_add(&wrong, 1);
        pintle_last_error_set((uint32_t)(mine + i + 1));
        pintle_yield();
        if (pintle_last_error() != (uint32_t)(mine + i + 1)) atomic_fetch_add(&wrong, 1);
        if (helper_thread_id() != thread) atomic_fetch_add(&moved, 1);
    }
}

static int keep_many(void *arg) {
    pintle_task *tasks[TASKS];
    unsigned failed = 0;
    (void)arg;
    for (int i = 0; i < TASKS; i++) failed += pintle_spawn(&tasks[i], keep_errno, (void *)(intptr_t)(i * ROUNDS)) != 0;
    return (int)(failed + helper_join_all(tasks, TASKS));
}
CASE(errno_in_one_function_is_the_tasks_across_waits) {
    do {
        ck_assert_int_eq(helper_run(keep_many, NULL, 4), 0);
        ck_assert_uint_eq(wrong, 0);
    } while (moved == 0); /* on a busy machine one thread may do it all */
}

CASE(errno_is_the_threads_own_errno) {
    int *before = pintle_errno_address();
    helper_set_errno(33);
    int seen = errno;
    errno = 34;
    int set = helper_errno();
    ck_assert_int_eq(seen, 33);
    ck_assert_int_eq(set, 34);
    ck_assert_ptr_eq(pintle_errno_address(), before);
}

CASE(last_error_is_the_systems) {
#if defined(_WIN32)
    SetLastError(4711);
    uint32_t seen = pintle_last_error();
    pintle_last_error_set(4712);
    uint32_t set = GetLastError();
#else
    errno = 4711;
    uint32_t seen = pintle_last_error();
    pintle_last_error_set(4712);
    uint32_t set = (uint32_t)helper_errno();
#endif
    ck_assert_uint_eq(seen, 4711);
    ck_assert_uint_eq(set, 4712);
}
