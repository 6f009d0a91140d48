/* test_select_handle.c: select over handles that others own; select_messages. */
#include "api/must.h"
#include "support/resources.h"

static HANDLE new_event(bool manual, bool set) {
    HANDLE event = CreateEventW(NULL, manual, set, NULL);
    if (event == NULL) abort();
    return event;
}
static bool take(HANDLE event) { return WaitForSingleObject(event, 0) == WAIT_OBJECT_0; }

static int ready_main(void *arg) {
    HANDLE a = new_event(false, false), b = new_event(false, false), set = new_event(true, true);
    int item = 0, five = 5;
    pintle_chan *c = NULL;
    (void)arg;
    MUST_BE(pintle_chan_new(&c, sizeof item, 1), 0);
    pintle_case cases[] = {pintle_case_handle(a), pintle_case_recv(c, &item), pintle_case_handle(b),
                           pintle_case_handle(NULL)};
    MUST_BE(pintle_select(cases, 4, PINTLE_NOWAIT), PINTLE_EAGAIN);
    MUST_BE(pintle_select(cases, 4, pintle_after(PINTLE_MS(5))), PINTLE_ETIMEDOUT);
    SetEvent(b);
    MUST_BE(pintle_select(cases, 4, PINTLE_FOREVER), 2);
    MUST_BE(cases[2].status, 0);
    MUST(!take(b)); /* the case has taken the signal */
    MUST_BE(pintle_chan_send(c, &five, PINTLE_NOWAIT), 0);
    MUST_BE(pintle_select(cases, 4, PINTLE_FOREVER), 1);
    MUST_BE(item, 5);
    cases[0] = pintle_case_handle(set);
    MUST_BE(pintle_select(cases, 4, PINTLE_NOWAIT), 0);
    CloseHandle(a);
    cases[0] = pintle_case_handle(a);
    MUST_BE(pintle_select(cases, 1, PINTLE_FOREVER), PINTLE_EINVAL);
    cases[0] = pintle_case_fd(3, 1);
    MUST(pintle_select(cases, 1, PINTLE_NOWAIT) < 0);
    CloseHandle(b);
    CloseHandle(set);
    pintle_chan_free(c);
    return 0;
}
CASE(select_of_handles_runs_what_is_signalled) {
    must_run(ready_main, NULL);
    ASSERT_ALL_MUST();
}

enum { PRODUCERS = 4, EACH = 60 };
static HANDLE semaphores[PRODUCERS];
static pintle_chan *chans[PRODUCERS];
static void produce(void *arg) {
    size_t i = (size_t)(uintptr_t)arg;
    int item = (int)i;
    for (int k = 0; k < EACH; k++) {
        ReleaseSemaphore(semaphores[i], 1, NULL);
        MUST_BE(pintle_chan_send(chans[i], &item, PINTLE_FOREVER), 0);
        if (k % 16 == 0) pintle_yield();
    }
}
static int many_main(void *arg) {
    pintle_task *tasks[PRODUCERS];
    pintle_case cases[2 * PRODUCERS + 4];
    unsigned signals = 0, items = 0;
    int item;
    (void)arg;
    for (size_t i = 0; i < PRODUCERS; i++) {
        semaphores[i] = CreateSemaphoreW(NULL, 0, 10000, NULL);
        MUST_BE(pintle_chan_new(&chans[i], sizeof(int), 0), 0);
        cases[2 * i] = pintle_case_handle(semaphores[i]);
        cases[2 * i + 1] = pintle_case_recv(chans[i], &item);
        MUST_BE(pintle_spawn(&tasks[i], produce, (void *)(uintptr_t)i), 0);
    }
    for (size_t i = 2 * PRODUCERS; i < 2 * PRODUCERS + 4; i++) cases[i] = pintle_case_handle(NULL);
    while (signals + items < 2 * PRODUCERS * EACH) {
        int ran = pintle_select(cases, 2 * PRODUCERS + 4, pintle_after(PINTLE_S(5)));
        MUST(ran >= 0);
        if (ran < 0) break;
        if (ran % 2 == 0) {
            signals++;
        } else {
            MUST_BE(item, ran / 2);
            items++;
        }
    }
    MUST_BE(signals, PRODUCERS * EACH); /* none lost with the selects that another case ended, none twice */
    MUST_BE(items, PRODUCERS * EACH);
    MUST_BE(helper_join_all(tasks, PRODUCERS), 0);
    for (size_t i = 0; i < PRODUCERS; i++) {
        MUST(!take(semaphores[i]));
        CloseHandle(semaphores[i]);
        pintle_chan_free(chans[i]);
    }
    return 0;
}
CASE(select_takes_each_signal_and_each_item_once) {
    must_run(many_main, NULL);
    ASSERT_ALL_MUST();
}
