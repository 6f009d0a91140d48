/* test_select_fd.c: select over descriptors that others own, with channels and events. */
#include "api/must.h"
#include "support/resources.h"

#include <poll.h>
#include <sys/eventfd.h>

static int new_event(unsigned count) {
    int fd = eventfd(count, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd < 0) abort();
    return fd;
}
static uint64_t take(int fd) {
    uint64_t value = 0;
    return read(fd, &value, sizeof value) == sizeof value ? value : 0;
}

static int ready_main(void *arg) {
    int a = new_event(0), b = new_event(0), item = 0, five = 5;
    pintle_chan *c = NULL;
    (void)arg;
    MUST_BE(pintle_chan_new(&c, sizeof item, 1), 0);
    pintle_case cases[] = {pintle_case_fd(a, POLLIN), pintle_case_recv(c, &item), pintle_case_fd(b, POLLIN),
                           pintle_case_fd(-1, POLLIN)};
    MUST_BE(pintle_select(cases, 4, PINTLE_NOWAIT), PINTLE_EAGAIN);
    MUST_BE(pintle_select(cases, 4, pintle_after(PINTLE_MS(5))), PINTLE_ETIMEDOUT);
    eventfd_write(b, 1);
    MUST_BE(pintle_select(cases, 4, PINTLE_FOREVER), 2);
    MUST_BE(cases[2].status, POLLIN);
    MUST_BE(take(b), 1);
    MUST_BE(pintle_chan_send(c, &five, PINTLE_NOWAIT), 0);
    MUST_BE(pintle_select(cases, 4, PINTLE_FOREVER), 1);
    MUST_BE(item, 5);
    MUST_BE(cases[1].status, 0);
    cases[0] = pintle_case_fd(a, POLLIN | POLLOUT);
    MUST_BE(pintle_select(cases, 4, PINTLE_NOWAIT), 0);
    MUST_BE(cases[0].status, POLLOUT);
    close(a);
    MUST_BE(pintle_select(cases, 1, PINTLE_FOREVER), PINTLE_EINVAL);
    close(b);
    pintle_chan_free(c);
    return 0;
}
CASE(select_of_descriptors_runs_what_is_ready) {
    must_run(ready_main, NULL);
    ASSERT_ALL_MUST();
}

/* Each as likely as the others. */
static int fair_main(void *arg) {
    int a = new_event(1), b = new_event(1), item = 1;
    unsigned counts[3] = {0};
    pintle_chan *c = NULL;
    (void)arg;
    MUST_BE(pintle_chan_new(&c, sizeof item, 1), 0);
    pintle_case cases[] = {pintle_case_fd(a, POLLIN), pintle_case_recv(c, NULL), pintle_case_fd(b, POLLIN)};
    for (int i = 0; i < 6000; i++) {
        if (pintle_chan_count(c) == 0) MUST_BE(pintle_chan_send(c, &item, PINTLE_NOWAIT), 0);
        int ran = pintle_select(cases, 3, PINTLE_NOWAIT);
        MUST(ran >= 0 && ran < 3);
        if (ran >= 0) counts[ran]++;
    }
    for (int i = 0; i < 3; i++) MUST(counts[i] > 1700 && counts[i] < 2300); /* 8 standard deviations */
    close(a);
    close(b);
    pintle_chan_free(c);
    return 0;
}
CASE(select_with_descriptors_chooses_fairly) {
    must_run(fair_main, NULL);
    ASSERT_ALL_MUST();
}

/* ---- Waiting ---- */

enum { PRODUCERS = 4, EACH = 500 };
static int fds[PRODUCERS];
static pintle_chan *chans[PRODUCERS];
static void produce(void *arg) {
    size_t i = (size_t)(uintptr_t)arg;
    int item = (int)i;
    for (int k = 0; k < EACH; k++) {
        eventfd_write(fds[i], 1);
        MUST_BE(pintle_chan_send(chans[i], &item, PINTLE_FOREVER), 0);
        if (k % 16 == 0) pintle_yield();
    }
}
static int many_main(void *arg) {
    pintle_task *tasks[PRODUCERS];
    pintle_case cases[2 * PRODUCERS + 4]; /* more than lie on the stack */
    uint64_t signals = 0, items = 0;
    int item;
    (void)arg;
    for (size_t i = 0; i < PRODUCERS; i++) {
        fds[i] = new_event(0);
        MUST_BE(pintle_chan_new(&chans[i], sizeof(int), 0), 0);
        cases[2 * i] = pintle_case_fd(fds[i], POLLIN);
        cases[2 * i + 1] = pintle_case_recv(chans[i], &item);
        MUST_BE(pintle_spawn(&tasks[i], produce, (void *)(uintptr_t)i), 0);
    }
    for (size_t i = 2 * PRODUCERS; i < 2 * PRODUCERS + 4; i++) cases[i] = pintle_case_fd(-1, POLLIN);
    while (signals + items < 2 * PRODUCERS * EACH) {
        int ran = pintle_select(cases, 2 * PRODUCERS + 4, pintle_after(PINTLE_S(10)));
        MUST(ran >= 0);
        if (ran < 0) break;
        if (ran % 2 == 0) {
            uint64_t got = take(fds[ran / 2]);
            MUST(got != 0);
            signals += got;
        } else {
            MUST_BE(item, ran / 2);
            items++;
        }
    }
    MUST_BE(signals, PRODUCERS * EACH);
    MUST_BE(items, PRODUCERS * EACH);
    MUST_BE(helper_join_all(tasks, PRODUCERS), 0);
    for (size_t i = 0; i < PRODUCERS; i++) {
        close(fds[i]);
        pintle_chan_free(chans[i]);
    }
    return 0;
}
static void many_thread(void *arg) { many_main(arg); }
static int outside_main(void *arg) {
    helper_thread thread;
    MUST(helper_thread_start(&thread, many_thread, arg));
    pintle_sleep(PINTLE_MS(1));
    pintle_call_blocking((int (*)(void *))helper_return_at_once, NULL);
    helper_thread_join(&thread);
    return 0;
}
CASE(select_takes_each_signal_and_each_item_once) {
    unsigned before = resources_handles();
    must_run(many_main, NULL);
    ck_assert_uint_eq(resources_handles(), before);
    ASSERT_ALL_MUST();
}
CASE(select_by_a_thread_that_is_no_task_waits_for_descriptors) {
    must_run(outside_main, NULL);
    ASSERT_ALL_MUST();
}

/* One that waits for the same descriptor for something else, and one that gives up, disturb nobody. */
static void wait_out(void *arg) {
    pintle_case cases[] = {pintle_case_fd(*(int *)arg, POLLOUT), pintle_case_fd(*(int *)arg, POLLIN)};
    MUST_BE(pintle_select(cases, 1, pintle_after(PINTLE_MS(20))), PINTLE_ETIMEDOUT);
}
static int shared_main(void *arg) {
    uint64_t full = UINT64_MAX - 1;
    int event = new_event(0);
    pintle_task *task;
    (void)arg;
    MUST_BE(write(event, &full, sizeof full), sizeof full);
    MUST_BE(pintle_spawn(&task, wait_out, &event), 0);
    MUST_BE(pintle_join(task, PINTLE_FOREVER), 0);
    MUST_BE(pintle_wait_fd(event, POLLIN, PINTLE_FOREVER), POLLIN);
    close(event);
    return 0;
}
CASE(select_for_another_event_waits_on) {
    must_run(shared_main, NULL);
    ASSERT_ALL_MUST();
}
