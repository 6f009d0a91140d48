/* test_messages.c: pintle_select_messages: tasks with windows. */
#include "api/must.h"
#include "support/resources.h"

static DWORD window_thread;
static pintle_chan *numbers;

static unsigned pump(void) {
    MSG message;
    unsigned seen = 0;
    while (PeekMessageW(&message, NULL, 0, 0, PM_REMOVE)) {
        if (message.message == WM_APP) seen++;
        DispatchMessageW(&message);
    }
    return seen;
}

enum { MESSAGES = 50, ITEMS = 50 };
static void posts(void *arg) {
    (void)arg;
    for (int i = 0; i < MESSAGES; i++) {
        MUST(PostThreadMessageW(window_thread, WM_APP, 0, 0));
        if (i % 5 == 0) pintle_yield();
    }
}
static void sends(void *arg) {
    (void)arg;
    for (int i = 0; i < ITEMS; i++) MUST_BE(pintle_chan_send(numbers, &i, PINTLE_FOREVER), 0);
}
static int both_main(void *arg) {
    unsigned messages = 0;
    int items = 0, item = -1;
    pintle_task *tasks[2];
    (void)arg;
    pintle_pin();
    window_thread = GetCurrentThreadId();
    pump(); /* makes the queue */
    MUST_BE(pintle_chan_new(&numbers, sizeof(int), 0), 0);
    MUST_BE(pintle_spawn(&tasks[0], posts, NULL), 0);
    MUST_BE(pintle_spawn(&tasks[1], sends, NULL), 0);
    while (messages < MESSAGES || items < ITEMS) {
        pintle_case receive = pintle_case_recv(numbers, &item);
        int ran = pintle_select_messages(&receive, 1, pintle_after(PINTLE_S(10)), QS_ALLINPUT);
        MUST(ran == 0 || ran == 1);
        if (ran < 0) break;
        if (ran == 1) {
            messages += pump();
        } else {
            MUST_BE(item, items++);
        }
        MUST_BE(GetCurrentThreadId(), window_thread);
    }
    MUST_BE(messages, MESSAGES);
    MUST_BE(items, ITEMS);
    MUST_BE(helper_join_all(tasks, 2), 0);
    pintle_chan_free(numbers);
    pintle_unpin();
    return 0;
}
CASE(select_messages_sees_every_item_and_every_message) {
    must_run(both_main, NULL);
    unsigned before = resources_handles();
    must_run(both_main, NULL);
    ck_assert_uint_le(resources_handles(), before + 2);
    ASSERT_ALL_MUST();
}

/* It waits: others run meanwhile, and the thread takes no time. */
static int64_t cpu_100ns(void) {
    FILETIME made, ended, kernel, user;
    GetThreadTimes(GetCurrentThread(), &made, &ended, &kernel, &user);
    return ((int64_t)kernel.dwHighDateTime << 32 | kernel.dwLowDateTime) +
           ((int64_t)user.dwHighDateTime << 32 | user.dwLowDateTime);
}
static atomic_uint turns;
static void turn(void *arg) {
    (void)arg;
    for (int i = 0; i < 20; i++) {
        pintle_sleep(PINTLE_MS(5));
        atomic_fetch_add(&turns, 1);
    }
}
static int quiet_main(void *arg) {
    pintle_task *task;
    (void)arg;
    pintle_pin();
    pump();
    atomic_store(&turns, 0);
    MUST_BE(pintle_spawn(&task, turn, NULL), 0);
    int64_t before = cpu_100ns(), begin = pintle_now();
    MUST_BE(pintle_select_messages(NULL, 0, begin + PINTLE_MS(200), QS_ALLINPUT), PINTLE_ETIMEDOUT);
    MUST(pintle_now() - begin >= PINTLE_MS(200));
    MUST(cpu_100ns() - before < 500000); /* 50 ms of 200 */
    MUST_BE(turns, 20);
    MUST_BE(pintle_join(task, PINTLE_FOREVER), 0);
    MUST_BE(pintle_select_messages(NULL, 0, PINTLE_NOWAIT, QS_ALLINPUT), PINTLE_EAGAIN);
    MUST(PostThreadMessageW(GetCurrentThreadId(), WM_APP, 0, 0));
    MUST_BE(pintle_select_messages(NULL, 0, PINTLE_NOWAIT, QS_ALLINPUT), 0);
    MUST_BE(pintle_select_messages(NULL, 0, PINTLE_FOREVER, QS_ALLINPUT), 0); /* it is still there */
    MUST_BE(pump(), 1);
    MUST_BE(pintle_select_messages(NULL, 0, PINTLE_MS(5), QS_ALLINPUT), PINTLE_EINVAL);
    pintle_unpin();
    return 0;
}
CASE(select_messages_waits_without_a_busy_loop) {
    must_run(quiet_main, NULL);
    ASSERT_ALL_MUST();
}
