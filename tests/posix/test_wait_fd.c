/* test_wait_fd.c: pintle_wait_fd: descriptors that others own. */
#include "api/must.h"
#include "support/resources.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>

static int new_event(unsigned count) {
    int fd = eventfd(count, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd < 0) abort();
    return fd;
}

/* ---- One task ---- */

static int ready_main(void *arg) {
    int ends[2], event = new_event(1), file = open("/proc/self/exe", O_RDONLY);
    (void)arg;
    MUST(pipe(ends) == 0);
    MUST_BE(pintle_wait_fd(event, POLLIN, PINTLE_FOREVER), POLLIN);
    MUST_BE(pintle_wait_fd(event, POLLIN, PINTLE_NOWAIT), POLLIN);
    MUST_BE(pintle_wait_fd(event, POLLIN | POLLOUT, PINTLE_FOREVER), POLLIN | POLLOUT);
    MUST_BE(pintle_wait_fd(ends[1], POLLOUT, PINTLE_FOREVER), POLLOUT);
    MUST_BE(pintle_wait_fd(ends[0], POLLIN, PINTLE_NOWAIT), PINTLE_EAGAIN);
    MUST_BE(pintle_wait_fd(file, POLLIN, PINTLE_FOREVER), POLLIN); /* what epoll refuses */
    close(ends[1]);
    MUST_BE(pintle_wait_fd(ends[0], POLLIN, PINTLE_FOREVER), POLLHUP);
    close(ends[0]);
    close(event);
    close(file);
    return 0;
}
CASE(wait_for_what_is_ready_returns_its_events) {
    ready_main(NULL); /* a thread that is no task */
    must_run(ready_main, NULL);
    ASSERT_ALL_MUST();
}

static int refuse_main(void *arg) {
    pintle_error error;
    int event = new_event(0);
    (void)arg;
    MUST_BE(pintle_wait_fd(-1, POLLIN, PINTLE_FOREVER), PINTLE_EINVAL);
    MUST_BE(pintle_wait_fd(event, POLLIN, PINTLE_MS(5)), PINTLE_EINVAL);
    MUST_BE(pintle_wait_fd(event, 1 << 20, PINTLE_NOWAIT), PINTLE_EINVAL);
    MUST_BE(pintle_wait_handle(&event, PINTLE_NOWAIT), PINTLE_ENOTSUP);
    close(event);
    MUST_BE(pintle_wait_fd(event, POLLIN, PINTLE_FOREVER), PINTLE_EINVAL);
    pintle_error_get(&error);
    MUST_BE(error.os_code, EBADF);
    MUST(strstr(error.text, "Bad file descriptor") != NULL);
    return 0;
}
CASE(wait_for_what_is_no_descriptor_is_refused) {
    refuse_main(NULL);
    must_run(refuse_main, NULL);
    ASSERT_ALL_MUST();
}

static int late_main(void *arg) {
    int event = new_event(0);
    (void)arg;
    for (int round = 0; round < 5; round++) {
        int64_t begin = pintle_now();
        MUST_BE(pintle_wait_fd(event, POLLIN, begin + PINTLE_MS(10)), PINTLE_ETIMEDOUT);
        MUST(pintle_now() - begin >= PINTLE_MS(10));
    }
    MUST_BE(pintle_wait_fd(event, POLLIN, pintle_now() - 1), PINTLE_ETIMEDOUT);
    close(event);
    return 0;
}
static void late_entry(void *arg) { late_main(arg); }
static int late_task_main(void *arg) {
    pintle_task *task;
    MUST_BE(pintle_spawn(&task, late_entry, arg), 0);
    MUST_BE(pintle_join(task, PINTLE_FOREVER), 0);
    return 0;
}
CASE(wait_ends_at_its_deadline) {
    late_main(NULL);
    must_run(late_main, NULL); /* pinned to the home thread */
    must_run(late_task_main, NULL);
    ASSERT_ALL_MUST();
}

/* ---- Several ---- */

enum { ROUNDS = 2000 };
struct pair {
    int there, back;
};
static void pong(void *arg) {
    struct pair *pair = arg;
    uint64_t value;
    for (int i = 0; i < ROUNDS; i++) {
        MUST_BE(pintle_wait_fd(pair->there, POLLIN, PINTLE_FOREVER), POLLIN);
        MUST_BE(read(pair->there, &value, sizeof value), sizeof value);
        MUST_BE(eventfd_write(pair->back, 1), 0);
    }
}
static void ping(void *arg) {
    struct pair *pair = arg;
    uint64_t value;
    for (int i = 0; i < ROUNDS; i++) {
        MUST_BE(eventfd_write(pair->there, 1), 0);
        MUST_BE(pintle_wait_fd(pair->back, POLLIN, PINTLE_FOREVER), POLLIN);
        MUST_BE(read(pair->back, &value, sizeof value), sizeof value);
    }
}
static int ping_pong_main(void *arg) {
    struct pair pair = {new_event(0), new_event(0)};
    pintle_task *task;
    MUST_BE(pintle_spawn(&task, pong, &pair), 0);
    ping(&pair);
    MUST_BE(pintle_join(task, PINTLE_FOREVER), 0);
    close(pair.there);
    close(pair.back);
    (void)arg;
    return 0;
}
static int ping_pong_tasks_main(void *arg) {
    struct pair pair = {new_event(0), new_event(0)};
    pintle_task *tasks[2];
    MUST_BE(pintle_spawn(&tasks[0], pong, &pair), 0);
    MUST_BE(pintle_spawn(&tasks[1], ping, &pair), 0);
    MUST_BE(helper_join_all(tasks, 2), 0);
    close(pair.there);
    close(pair.back);
    (void)arg;
    return 0;
}
CASE(two_that_wake_each_other_by_descriptors_go_on) {
    must_run(ping_pong_main, NULL);
    must_run(ping_pong_tasks_main, NULL);
    ASSERT_ALL_MUST();
}

static atomic_uint waiting, woken;
static void wait_one(void *arg) {
    atomic_fetch_add(&waiting, 1);
    MUST_BE(pintle_wait_fd(*(int *)arg, POLLIN, PINTLE_FOREVER), POLLIN);
    atomic_fetch_add(&woken, 1);
}
static void wait_out(void *arg) {
    atomic_fetch_add(&waiting, 1);
    MUST_BE(pintle_wait_fd(*(int *)arg, POLLOUT, PINTLE_FOREVER), POLLOUT);
    atomic_fetch_add(&woken, 100);
}
static int many_of_one_main(void *arg) {
    pintle_task *tasks[101];
    uint64_t full = UINT64_MAX - 1;
    int event = new_event(0);
    MUST_BE(write(event, &full, sizeof full), sizeof full); /* neither: not to be written any more, and … */
    MUST_BE(read(event, &full, sizeof full), sizeof full);
    (void)arg;
    atomic_store(&waiting, 0);
    atomic_store(&woken, 0);
    MUST_BE(helper_spawn_all(tasks, 100, wait_one, &event), 0);
    must_yield_until(&waiting, 100);
    MUST_BE(woken, 0);
    MUST_BE(eventfd_write(event, 1), 0);
    MUST_BE(helper_join_all(tasks, 100), 0);
    MUST_BE(woken, 100);
    /* Those that wait for another event of it go on waiting. */
    full = UINT64_MAX - 1;
    MUST_BE(read(event, &full, sizeof full), sizeof full);
    full = UINT64_MAX - 1;
    MUST_BE(write(event, &full, sizeof full), sizeof full);
    atomic_store(&waiting, 0);
    atomic_store(&woken, 0);
    MUST_BE(pintle_spawn(&tasks[0], wait_out, &event), 0);
    must_yield_until(&waiting, 1);
    MUST_BE(pintle_wait_fd(event, POLLIN, PINTLE_FOREVER), POLLIN);
    MUST_BE(pintle_wait_fd(event, POLLOUT, pintle_after(PINTLE_MS(5))), PINTLE_ETIMEDOUT);
    MUST_BE(woken, 0);
    MUST_BE(read(event, &full, sizeof full), sizeof full);
    MUST_BE(helper_join_all(tasks, 1), 0);
    MUST_BE(woken, 100);
    close(event);
    return 0;
}
CASE(many_wait_for_one_descriptor_and_all_are_woken) {
    must_run_strict(many_of_one_main, NULL);
    ASSERT_ALL_MUST();
}

enum { MANY = 3000 };
static int many_fds[MANY];
static pintle_task *many_tasks[MANY];
static int many_main(void *arg) {
    (void)arg;
    atomic_store(&waiting, 0);
    atomic_store(&woken, 0);
    for (int i = 0; i < MANY; i++) {
        many_fds[i] = new_event(0);
        MUST_BE(pintle_spawn(&many_tasks[i], wait_one, &many_fds[i]), 0);
    }
    must_yield_until(&waiting, MANY);
    for (int i = 0; i < MANY; i++) MUST_BE(eventfd_write(many_fds[i * 7 % MANY], 1), 0);
    MUST_BE(helper_join_all(many_tasks, MANY), 0);
    for (int i = 0; i < MANY; i++) close(many_fds[i]);
    MUST_BE(woken, MANY);
    return 0;
}
CASE(thousands_wait_each_for_its_own) {
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur < MANY + 100) limit.rlim_cur = MANY + 100;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    unsigned before = resources_handles();
    must_run(many_main, NULL);
    ASSERT_ALL_MUST();
    ck_assert_uint_eq(resources_handles(), before);
}

/* While the other processor computes and never looks. */
static atomic_bool stops;
static void computes(void *arg) {
    (void)arg;
    while (!atomic_load(&stops)) helper_compute(PINTLE_US(100));
}
static void write_later(void *arg) {
    helper_compute(PINTLE_MS(20));
    eventfd_write(*(int *)arg, 1);
}
static int busy_main(void *arg) {
    pintle_task *tasks[2];
    helper_thread thread;
    int event = new_event(0);
    (void)arg;
    atomic_store(&stops, false);
    MUST_BE(helper_spawn_all(tasks, 2, computes, NULL), 0);
    pintle_task *waits;
    MUST_BE(pintle_spawn(&waits, wait_one, &event), 0);
    MUST(helper_thread_start(&thread, write_later, &event));
    MUST_BE(pintle_join(waits, pintle_after(PINTLE_S(10))), 0); /* by a loan */
    atomic_store(&stops, true);
    MUST_BE(helper_join_all(tasks, 2), 0);
    helper_thread_join(&thread);
    close(event);
    return 0;
}
CASE(wait_ends_while_all_processors_compute) {
    must_run(busy_main, NULL);
    ASSERT_ALL_MUST();
}

/* ---- A number that is closed and used again ---- */

static int reuse_main(void *arg) {
    int first[2], second[2], kept;
    uint64_t value;
    (void)arg;
    for (int i = 0; i < 100; i++) {
        MUST_BE(pipe(first), 0);
        kept = dup(first[0]); /* so that the system goes on watching what was closed */
        MUST_BE(pintle_wait_fd(first[0], POLLIN, pintle_after(PINTLE_US(200))), PINTLE_ETIMEDOUT);
        close(first[0]);
        second[0] = new_event(0);
        MUST_BE(second[0], first[0]);
        MUST_BE(write(first[1], "x", 1), 1); /* not what is waited for below */
        MUST_BE(pintle_wait_fd(second[0], POLLIN, pintle_after(PINTLE_US(200))), PINTLE_ETIMEDOUT);
        MUST_BE(eventfd_write(second[0], 1), 0);
        MUST_BE(pintle_wait_fd(second[0], POLLIN, PINTLE_FOREVER), POLLIN);
        MUST_BE(read(second[0], &value, sizeof value), sizeof value);
        close(second[0]);
        close(kept);
        close(first[1]);
    }
    return 0;
}
CASE(number_used_again_is_another_descriptor) {
    must_run(reuse_main, NULL);
    ASSERT_ALL_MUST();
}

/* ---- The end ---- */

static void wait_canceled(void *arg) {
    atomic_fetch_add(&waiting, 1);
    MUST_BE(pintle_wait_fd(*(int *)arg, POLLIN, PINTLE_FOREVER), PINTLE_ECANCELED);
    atomic_fetch_add(&woken, 1);
}
static int leave_main(void *arg) {
    atomic_store(&waiting, 0);
    atomic_store(&woken, 0);
    for (int i = 0; i < 50; i++) MUST_BE(pintle_spawn(NULL, wait_canceled, arg), 0);
    must_yield_until(&waiting, 50);
    return 7;
}
CASE(end_of_main_cancels_waits) {
    int event = new_event(0);
    unsigned before = resources_handles();
    for (unsigned processors = 1; processors <= 2; processors++) {
        ck_assert_int_eq(helper_run(leave_main, &event, processors), 7);
        ck_assert_uint_eq(woken, 50);
        ck_assert_uint_eq(resources_handles(), before);
    }
    close(event);
    ASSERT_ALL_MUST();
}

/* Threads that are no tasks, and pinned tasks, wait as well. */
static void pinned_pong(void *arg) {
    pintle_pin();
    pong(arg);
    pintle_unpin();
}
static int pinned_main(void *arg) {
    struct pair pair = {new_event(0), new_event(0)};
    pintle_task *task;
    (void)arg;
    pintle_pin();
    MUST_BE(pintle_spawn(&task, pinned_pong, &pair), 0);
    ping(&pair);
    MUST_BE(pintle_join(task, PINTLE_FOREVER), 0);
    pintle_unpin();
    close(pair.there);
    close(pair.back);
    return 0;
}
CASE(pinned_tasks_wait_for_descriptors) {
    must_run(pinned_main, NULL);
    ASSERT_ALL_MUST();
}

static int outside_main(void *arg) {
    struct pair pair = {new_event(0), new_event(0)};
    helper_thread thread;
    (void)arg;
    MUST(helper_thread_start(&thread, pong, &pair));
    ping(&pair);
    helper_thread_join(&thread);
    close(pair.there);
    close(pair.back);
    return 0;
}
CASE(threads_that_are_no_tasks_wait_too) {
    must_run(outside_main, NULL);
    ASSERT_ALL_MUST();
}
