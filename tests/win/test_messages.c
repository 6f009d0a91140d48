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

/* ---- Cancelling ---- */

enum { BEFORE, DURING, BY_SCOPE, MASKED, WAYS };
typedef struct canceled {
    int way;
    pintle_chan *items;
    pintle_event pumped;
    atomic_uint waits;
    int result, after, item;
} canceled;

static void waits_with_window(void *arg) {
    canceled *c = arg;
    pintle_case receive = pintle_case_recv(c->items, &c->item);
    pintle_pin();
    pump();
    if (c->way == MASKED) pintle_cancel_mask();
    if (c->way == BEFORE) pintle_task_cancel(pintle_self());
    atomic_fetch_add(&c->waits, 1);
    c->result = pintle_select_messages(&receive, 1, PINTLE_FOREVER, QS_ALLINPUT);
    if (c->way == MASKED) pintle_cancel_unmask();
    c->after = pintle_select_messages(&receive, 1, PINTLE_FOREVER, QS_ALLINPUT); /* it stays cancelled */
    pintle_unpin();
}
static int cancel_main(void *arg) {
    canceled c = {.way = *(int *)arg, .item = -1};
    pintle_scope *scope;
    pintle_task *task = NULL;
    int seven = 7;
    MUST_BE(pintle_chan_new(&c.items, sizeof(int), 0), 0);
    MUST_BE(pintle_scope_open(&scope, PINTLE_FOREVER), 0);
    if (c.way == BY_SCOPE) {
        MUST_BE(pintle_scope_spawn(scope, waits_with_window, &c), 0);
    } else {
        MUST_BE(pintle_spawn(&task, waits_with_window, &c), 0);
    }
    while (c.waits == 0) pintle_yield();
    for (int i = 0; i < 50; i++) pintle_yield(); /* mostly it is in the system by now; it need not be */
    if (c.way == BY_SCOPE) pintle_scope_cancel(scope);
    if (c.way == DURING || c.way == MASKED) pintle_task_cancel(task);
    if (c.way == MASKED) MUST_BE(pintle_chan_send(c.items, &seven, PINTLE_FOREVER), 0);
    MUST_BE(pintle_scope_close(scope), 0);
    if (task != NULL) MUST_BE(pintle_join(task, PINTLE_FOREVER), 0);
    MUST_BE(c.result, c.way == MASKED ? 0 : PINTLE_ECANCELED);
    MUST_BE(c.item, c.way == MASKED ? 7 : -1);
    MUST_BE(c.after, PINTLE_ECANCELED);
    pintle_chan_free(c.items);
    return 0;
}
CASE(select_messages_ends_by_a_cancel_of_its_task_or_scope) {
    for (int way = 0; way < WAYS; way++) {
        must_run(cancel_main, &way);
        unsigned before = resources_handles();
        must_run(cancel_main, &way);
        ck_assert_uint_le(resources_handles(), before + 2);
    }
    ASSERT_ALL_MUST();
}

/* An item that comes with the cancel is either received, or still there. */
static void races(void *arg) {
    canceled *c = arg;
    pintle_case receive = pintle_case_recv(c->items, &c->item);
    pintle_pin();
    c->result = pintle_select_messages(&receive, 1, PINTLE_FOREVER, QS_ALLINPUT);
    pintle_unpin();
}
static int race_main(void *arg) {
    helper_random random = helper_random_from(11);
    (void)arg;
    for (int i = 0; i < 100; i++) {
        canceled c = {.item = -1};
        pintle_task *task;
        int item = -1, code;
        MUST_BE(pintle_chan_new(&c.items, sizeof(int), 1), 0);
        MUST_BE(pintle_spawn(&task, races, &c), 0);
        for (uint32_t n = helper_random_below(&random, 40); n > 0; n--) pintle_yield();
        MUST_BE(pintle_chan_send(c.items, &i, PINTLE_FOREVER), 0);
        for (uint32_t n = helper_random_below(&random, 3); n > 0; n--) pintle_yield();
        pintle_task_cancel(task);
        MUST_BE(pintle_join(task, PINTLE_FOREVER), 0);
        code = pintle_chan_recv(c.items, &item, PINTLE_NOWAIT);
        MUST(c.result == 0 || c.result == PINTLE_ECANCELED);
        MUST_BE(code, c.result == 0 ? PINTLE_EAGAIN : 0);
        MUST_BE(c.result == 0 ? c.item : item, i);
        pintle_chan_free(c.items);
    }
    return 0;
}
CASE(select_messages_loses_no_item_to_a_cancel) {
    must_run(race_main, NULL);
    ASSERT_ALL_MUST();
}
