/* test_wait_handle.c: pintle_wait_handle: events, semaphores, processes that others own. */
#include "api/must.h"
#include "support/resources.h"

static HANDLE new_event(bool manual, bool set) {
    HANDLE event = CreateEventW(NULL, manual, set, NULL);
    if (event == NULL) abort();
    return event;
}
static bool is_set(HANDLE event) { return WaitForSingleObject(event, 0) == WAIT_OBJECT_0; }

/* ---- One task ---- */

static int ready_main(void *arg) {
    HANDLE manual = new_event(true, true), automatic = new_event(false, true);
    HANDLE semaphore = CreateSemaphoreW(NULL, 2, 5, NULL);
    (void)arg;
    MUST_BE(pintle_wait_handle(manual, PINTLE_FOREVER), 0);
    MUST_BE(pintle_wait_handle(manual, PINTLE_NOWAIT), 0);
    MUST_BE(pintle_wait_handle(automatic, PINTLE_FOREVER), 0);
    MUST_BE(pintle_wait_handle(automatic, PINTLE_NOWAIT), PINTLE_EAGAIN);
    MUST_BE(pintle_wait_handle(semaphore, PINTLE_FOREVER), 0);
    MUST_BE(pintle_wait_handle(semaphore, PINTLE_FOREVER), 0);
    MUST_BE(pintle_wait_handle(semaphore, PINTLE_NOWAIT), PINTLE_EAGAIN);
    CloseHandle(manual);
    CloseHandle(automatic);
    CloseHandle(semaphore);
    return 0;
}
CASE(wait_for_what_is_signalled_returns_at_once) {
    ready_main(NULL); /* a thread that is no task */
    must_run(ready_main, NULL);
    ASSERT_ALL_MUST();
}

static int refuse_main(void *arg) {
    HANDLE event = new_event(false, false);
    pintle_error error;
    (void)arg;
    MUST_BE(pintle_wait_handle(NULL, PINTLE_FOREVER), PINTLE_EINVAL);
    MUST_BE(pintle_wait_handle(event, PINTLE_MS(5)), PINTLE_EINVAL);
    MUST_BE(pintle_wait_fd(1, 1, PINTLE_NOWAIT), PINTLE_ENOTSUP);
    CloseHandle(event);
    MUST_BE(pintle_wait_handle(event, PINTLE_FOREVER), PINTLE_EINVAL);
    pintle_error_get(&error);
    MUST_BE(error.os_code, ERROR_INVALID_HANDLE);
    return 0;
}
CASE(wait_for_what_is_no_handle_is_refused) {
    refuse_main(NULL);
    must_run(refuse_main, NULL);
    ASSERT_ALL_MUST();
}

static int late_main(void *arg) {
    HANDLE event = new_event(false, false);
    (void)arg;
    for (int round = 0; round < 5; round++) {
        int64_t begin = pintle_now();
        MUST_BE(pintle_wait_handle(event, begin + PINTLE_MS(10)), PINTLE_ETIMEDOUT);
        MUST(pintle_now() - begin >= PINTLE_MS(10));
    }
    SetEvent(event); /* nobody takes it any more */
    MUST(is_set(event));
    CloseHandle(event);
    return 0;
}
CASE(wait_ends_at_its_deadline) {
    late_main(NULL);
    must_run(late_main, NULL);
    ASSERT_ALL_MUST();
}

/* ---- Several ---- */

enum { ROUNDS = 300 };
struct pair {
    HANDLE there, back;
};
static void pong(void *arg) {
    struct pair *pair = arg;
    for (int i = 0; i < ROUNDS; i++) {
        MUST_BE(pintle_wait_handle(pair->there, PINTLE_FOREVER), 0);
        SetEvent(pair->back);
    }
}
static void ping(void *arg) {
    struct pair *pair = arg;
    for (int i = 0; i < ROUNDS; i++) {
        SetEvent(pair->there);
        MUST_BE(pintle_wait_handle(pair->back, PINTLE_FOREVER), 0);
    }
}
static int ping_pong_main(void *arg) {
    struct pair pair = {new_event(false, false), new_event(false, false)};
    pintle_task *task;
    (void)arg;
    MUST_BE(pintle_spawn(&task, pong, &pair), 0);
    ping(&pair);
    MUST_BE(pintle_join(task, PINTLE_FOREVER), 0);
    CloseHandle(pair.there);
    CloseHandle(pair.back);
    return 0;
}
CASE(two_that_wake_each_other_by_handles_go_on) {
    must_run(ping_pong_main, NULL);
    ASSERT_ALL_MUST();
}

static int outside_main(void *arg) {
    struct pair pair = {new_event(false, false), new_event(false, false)};
    helper_thread thread;
    (void)arg;
    MUST(helper_thread_start(&thread, pong, &pair));
    ping(&pair);
    helper_thread_join(&thread);
    CloseHandle(pair.there);
    CloseHandle(pair.back);
    return 0;
}
CASE(threads_that_are_no_tasks_wait_too) {
    must_run(outside_main, NULL);
    ASSERT_ALL_MUST();
}

static atomic_uint waiting, woken;
static void wait_one(void *arg) {
    atomic_fetch_add(&waiting, 1);
    MUST_BE(pintle_wait_handle(*(HANDLE *)arg, PINTLE_FOREVER), 0);
    atomic_fetch_add(&woken, 1);
}
static int manual_main(void *arg) {
    pintle_task *tasks[100];
    HANDLE event = new_event(true, false);
    (void)arg;
    atomic_store(&waiting, 0);
    atomic_store(&woken, 0);
    MUST_BE(helper_spawn_all(tasks, 100, wait_one, &event), 0);
    must_yield_until(&waiting, 100);
    MUST_BE(woken, 0);
    SetEvent(event);
    MUST_BE(helper_join_all(tasks, 100), 0);
    CloseHandle(event);
    return 0;
}
CASE(manual_event_wakes_all) {
    must_run_strict(manual_main, NULL);
    ASSERT_ALL_MUST();
}

/* As many as were signalled, and no signal is lost with those that give up. */
static void wait_some(void *arg) {
    int code = pintle_wait_handle(*(HANDLE *)arg, pintle_after(PINTLE_MS(50)));
    MUST(code == 0 || code == PINTLE_ETIMEDOUT);
    if (code == 0) atomic_fetch_add(&woken, 1);
}
static int semaphore_main(void *arg) {
    pintle_task *tasks[40];
    HANDLE semaphore = CreateSemaphoreW(NULL, 0, 1000, NULL);
    unsigned left = 0;
    (void)arg;
    atomic_store(&woken, 0);
    MUST_BE(helper_spawn_all(tasks, 40, wait_some, &semaphore), 0);
    for (int i = 0; i < 30; i++) {
        ReleaseSemaphore(semaphore, 1, NULL);
        pintle_sleep(PINTLE_MS(2)); /* some come in the middle of the deadlines */
    }
    MUST_BE(helper_join_all(tasks, 40), 0);
    pintle_sleep(PINTLE_MS(20)); /* for what is on its way back */
    while (WaitForSingleObject(semaphore, 0) == WAIT_OBJECT_0) left++;
    MUST_BE(woken + left, 30);
    CloseHandle(semaphore);
    return 0;
}
CASE(semaphore_wakes_as_many_as_were_released) {
    must_run(semaphore_main, NULL);
    ASSERT_ALL_MUST();
}

enum { MANY = 500 };
static HANDLE many[MANY];
static pintle_task *many_tasks[MANY];
/* Threads that are not the runtime's workers, of which a busy machine has more. */
static unsigned threads_apart(void) {
    pintle_stats stats;
    pintle_stats_get(&stats);
    return helper_thread_count() - stats.threads;
}
static int many_main(void *arg) {
    unsigned threads = threads_apart();
    (void)arg;
    atomic_store(&waiting, 0);
    atomic_store(&woken, 0);
    for (int i = 0; i < MANY; i++) {
        many[i] = new_event(i % 2 != 0, false);
        MUST_BE(pintle_spawn(&many_tasks[i], wait_one, &many[i]), 0);
    }
    must_yield_until(&waiting, MANY);
    MUST(threads_apart() <= threads + MANY / 63 + 1 + 2); /* two: one that starts or ends just now */
    for (int i = 0; i < MANY; i++) SetEvent(many[i * 7 % MANY]);
    MUST_BE(helper_join_all(many_tasks, MANY), 0);
    for (int i = 0; i < MANY; i++) CloseHandle(many[i]);
    MUST_BE(woken, MANY);
    return 0;
}
CASE(hundreds_wait_each_for_its_own) {
    must_run(many_main, NULL); /* what the system makes at the first use */
    unsigned before = resources_handles();
    for (int i = 0; i < 3; i++) must_run(many_main, NULL);
    ck_assert_uint_le(resources_handles(), before + 2);
    ASSERT_ALL_MUST();
}

static int process_main(void *arg) {
    STARTUPINFOA startup = {.cb = sizeof startup};
    PROCESS_INFORMATION process;
    char command[] = "cmd.exe /c exit 3";
    DWORD code = 0;
    (void)arg;
    MUST(CreateProcessA(NULL, command, NULL, NULL, FALSE, CREATE_NO_WINDOW, NULL, NULL, &startup, &process));
    MUST_BE(pintle_wait_handle(process.hProcess, PINTLE_FOREVER), 0);
    MUST(GetExitCodeProcess(process.hProcess, &code));
    MUST_BE(code, 3);
    CloseHandle(process.hProcess);
    CloseHandle(process.hThread);
    return 0;
}
CASE(end_of_a_process_is_waited_for) {
    must_run(process_main, NULL);
    ASSERT_ALL_MUST();
}

static void wait_canceled(void *arg) {
    atomic_fetch_add(&waiting, 1);
    MUST_BE(pintle_wait_handle(*(HANDLE *)arg, PINTLE_FOREVER), PINTLE_ECANCELED);
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
    HANDLE event = new_event(false, false);
    for (unsigned processors = 1; processors <= 2; processors++) {
        ck_assert_int_eq(helper_run(leave_main, &event, processors), 7);
        ck_assert_uint_eq(woken, 50);
    }
    SetEvent(event);
    ck_assert(is_set(event));
    CloseHandle(event);
    ASSERT_ALL_MUST();
}
