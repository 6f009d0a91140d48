/* test_limits.c: the limits of the options, and those of the system as far as every platform has them: threads that are
 * refused, memory that ends (by the debug builds' refusals: fail.h). Real limits of Linux: tests/posix/test_limits.c. */
#include "api/api_helpers.h"

#include "fail.h"

typedef struct reports {
    atomic_uint warnings, others;
    char text[512];
} reports;

static void keep_report(void *user, int kind, const char *text) {
    reports *r = user;
    if (kind != PINTLE_REPORT_WARNING) {
        atomic_fetch_add(&r->others, 1);
    } else if (atomic_fetch_add(&r->warnings, 1) == 0) {
        snprintf(r->text, sizeof r->text, "%s", text);
    }
}

typedef struct blocked {
    helper_gate gate;
    helper_sem inside;
    atomic_uint done;
} blocked;

static int blocked_call(void *arg) {
    blocked *b = arg;
    helper_sem_post(&b->inside);
    helper_gate_wait(&b->gate);
    return 0;
}
static void blocked_task(void *arg) {
    blocked *b = arg;
    pintle_call_blocking(blocked_call, b);
    atomic_fetch_add(&b->done, 1);
}
static void blocked_init(blocked *b) {
    helper_gate_init(&b->gate);
    helper_sem_init(&b->inside);
    atomic_init(&b->done, 0);
}
static void blocked_destroy(blocked *b) {
    helper_gate_destroy(&b->gate);
    helper_sem_destroy(&b->inside);
}

/* Until the figure is at least that; false after 20 s. */
static bool waits_at_least(uint64_t least, uint64_t (*figure)(const pintle_stats *)) {
    int64_t give_up = pintle_after(PINTLE_S(20));
    pintle_stats stats;
    do {
        pintle_stats_get(&stats);
        if (figure(&stats) >= least) return true;
        pintle_sleep(PINTLE_MS(1));
    } while (pintle_now() < give_up);
    return false;
}
static uint64_t waits_for_thread(const pintle_stats *stats) { return stats->waits_for_thread; }
static uint64_t threads_refused(const pintle_stats *stats) { return stats->threads_refused; }

/* ---- max_threads ---- */

CASE(max_threads_reached_is_reported_once_and_tasks_go_on_later) {
    blocked b;
    reports r = {.warnings = 0};
    pintle_task *tasks[12];
    pintle_stats stats;
    pintle_options options = helper_processors(2);
    options.max_threads = 3;
    options.on_report = keep_report;
    options.user = &r;
    blocked_init(&b);
    ck_assert_int_eq(pintle_start(&options), 0);
    ck_assert_uint_eq(helper_spawn_all(tasks, 12, blocked_task, &b), 0);
    for (int i = 0; i < 3; i++) helper_sem_wait(&b.inside); /* all three are inside */
    ck_assert(waits_at_least(1, waits_for_thread));
    pintle_stats_get(&stats);
    ck_assert_uint_eq(stats.threads, 3);
    ck_assert_uint_eq(stats.calls_in_flight, 3);
    ck_assert_uint_eq(b.done, 0);
    helper_gate_open(&b.gate);
    ck_assert_uint_eq(helper_join_all(tasks, 12), 0);
    ck_assert_uint_eq(b.done, 12);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    ck_assert_uint_eq(r.warnings, 1);
    ck_assert_uint_eq(r.others, 0);
    ck_assert_msg(strstr(r.text, "max_threads = 3 is reached: tasks wait for a thread") != NULL, "%s", r.text);
    blocked_destroy(&b);
}

static int one_thread_main(void *arg) {
    pintle_task *tasks[10];
    unsigned failed = helper_spawn_all(tasks, 10, blocked_task, arg);
    return (int)(failed + helper_join_all(tasks, 10));
}

/* The caller's own thread is main's: the others have the one that the option allows. */
CASE(max_threads_1_is_one_beside_the_caller_of_run) {
    blocked b;
    reports r = {.warnings = 0};
    pintle_options options = helper_processors(2);
    options.max_threads = 1;
    options.on_report = keep_report;
    options.user = &r;
    blocked_init(&b);
    helper_gate_open(&b.gate);
    ck_assert_int_eq(pintle_run(one_thread_main, &b, &options), 0);
    ck_assert_uint_eq(b.done, 10);
    blocked_destroy(&b);
}

/* All threads are in calls, and a processor is idle beside tasks that wait: whoever would make a thread sleeps until one comes
 * back. What the process uses meanwhile is the monitor's rounds. */
static int64_t cpu_ns(void) {
#if defined(_WIN32)
    FILETIME created, ended, kernel, user;
    GetProcessTimes(GetCurrentProcess(), &created, &ended, &kernel, &user);
    return 100 * ((int64_t)kernel.dwLowDateTime + (int64_t)user.dwLowDateTime); /* of a process that is seconds old */
#else
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
#endif
}
static void away_task(void *arg) {
    blocked *b = arg;
    pintle_blocking_begin();
    blocked_call(b);
    pintle_blocking_end();
    atomic_fetch_add(&b->done, 1);
}
static void uses_no_cpu_while_threads_are_missing(const pintle_options *options) {
    blocked b;
    pintle_task *tasks[8];
    int64_t used_ns, began_ns, took_ns;
    blocked_init(&b);
    ck_assert_int_eq(pintle_start(options), 0);
    ck_assert_uint_eq(helper_spawn_all(tasks, 8, away_task, &b), 0);
    for (int i = 0; i < 2; i++) helper_sem_wait(&b.inside);
    used_ns = cpu_ns();
    began_ns = pintle_now();
    pintle_sleep(PINTLE_MS(500)); /* a thread's, which is none of the runtime's */
    used_ns = cpu_ns() - used_ns;
    took_ns = pintle_now() - began_ns;
    helper_gate_open(&b.gate);
    ck_assert_uint_eq(helper_join_all(tasks, 8), 0);
    ck_assert_uint_eq(b.done, 8);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    blocked_destroy(&b);
    ck_assert_msg(used_ns < took_ns / 4, "%lld of %lld ns", (long long)used_ns, (long long)took_ns);
}
CASE(nobody_spins_while_max_threads_is_reached) {
    pintle_options options = helper_processors(2);
    options.max_threads = 2;
    options.on_report = keep_report;
    options.user = &(reports){.warnings = 0};
    uses_no_cpu_while_threads_are_missing(&options);
}

/* A pinned task has its thread: it needs no spare one to get on. */
typedef struct pinned_waiter {
    blocked others;
    helper_sem waits;
    pintle_event event;
} pinned_waiter;

static void pinned_waiter_task(void *arg) {
    pinned_waiter *p = arg;
    pintle_pin();
    helper_sem_post(&p->waits);
    pintle_event_wait(&p->event, PINTLE_FOREVER);
    pintle_unpin();
}
static void called_task(void *arg) { pintle_call(blocked_call, arg); }
static void plain_task(void *arg) { blocked_call(arg); }

static void pinned_gets_on_beside(pintle_fn *other) {
    pinned_waiter p = {.event = PINTLE_EVENT_INIT};
    pintle_task *pinned, *task;
    pintle_options options = helper_processors(1);
    options.max_threads = 2;
    options.on_report = keep_report;
    options.user = &(reports){.warnings = 0};
    blocked_init(&p.others);
    helper_sem_init(&p.waits);
    ck_assert_int_eq(pintle_start(&options), 0);
    ck_assert_int_eq(pintle_spawn(&pinned, pinned_waiter_task, &p), 0);
    helper_sem_wait(&p.waits);
    ck_assert_int_eq(pintle_spawn(&task, other, &p.others), 0);
    helper_sem_wait(&p.others.inside); /* on the second thread, which is the last, with the only processor */
    pintle_event_set(&p.event);
    ck_assert_int_eq(pintle_join(pinned, pintle_after(PINTLE_S(10))), 0);
    helper_gate_open(&p.others.gate);
    ck_assert_int_eq(pintle_join(task, PINTLE_FOREVER), 0);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    helper_sem_destroy(&p.waits);
    blocked_destroy(&p.others);
}
CASE(pinned_task_gets_on_though_the_last_thread_is_in_a_call) { pinned_gets_on_beside(called_task); }
CASE(pinned_task_gets_on_though_the_last_thread_blocks_in_plain_code) { pinned_gets_on_beside(plain_task); }

/* Both pinned, each on one of the two threads, with one processor: the first yields, the second then is in a call until
 * the first has had its turn. */
typedef struct yielders {
    blocked second;
    atomic_bool called;
} yielders;

static void yielding_first(void *arg) {
    yielders *y = arg;
    pintle_pin();
    while (!y->called) pintle_yield();
    helper_gate_open(&y->second.gate);
    pintle_unpin();
}
static void yielding_second(void *arg) {
    yielders *y = arg;
    pintle_pin();
    for (int i = 0; i < 10; i++) pintle_yield();
    y->called = true;
    pintle_call(blocked_call, &y->second);
    pintle_unpin();
}
static void spawns_yielders(void *arg) {
    pintle_task *second;
    if (pintle_spawn(&second, yielding_second, arg) != 0) return;
    yielding_first(arg);
    pintle_join(second, PINTLE_FOREVER);
}
CASE(pinned_task_that_yielded_gets_on_though_the_last_thread_is_in_a_call) {
    yielders y = {.called = false};
    pintle_task *first;
    int joined;
    pintle_options options = helper_processors(1);
    options.max_threads = 2;
    options.on_report = keep_report;
    options.user = &(reports){.warnings = 0};
    blocked_init(&y.second);
    ck_assert_int_eq(pintle_start(&options), 0);
    ck_assert_int_eq(pintle_spawn(&first, spawns_yielders, &y), 0);
    helper_sem_wait(&y.second.inside);
    joined = pintle_join(first, pintle_after(PINTLE_S(10)));
    helper_gate_open(&y.second.gate);
    ck_assert_int_eq(joined, 0);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    blocked_destroy(&y.second);
}

CASE(max_threads_not_reached_is_not_reported) {
    atomic_uint count = 0;
    blocked b;
    reports r = {.warnings = 0};
    pintle_options options = helper_processors(2);
    options.on_report = keep_report;
    options.user = &r;
    blocked_init(&b);
    helper_gate_open(&b.gate);
    for (int i = 0; i < 5; i++) {
        pintle_task *tasks[10];
        ck_assert_int_eq(pintle_start(&options), 0);
        ck_assert_uint_eq(helper_spawn_all(tasks, 10, blocked_task, &b), 0);
        ck_assert_uint_eq(helper_join_all(tasks, 10), 0);
        ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    }
    (void)count;
    ck_assert_uint_eq(r.warnings, 0);
    blocked_destroy(&b);
}

/* ---- Threads that the system refuses ---- */

static int give_9(void *arg) {
    (void)arg;
    return 9;
}

/* The maker, the monitor, the first for tasks: without any of them nothing runs. */
DEBUG_CASE(start_without_any_thread_is_refused) {
    unsigned threads = helper_thread_count();
    for (uint64_t first = 1; first <= 3; first++) {
        pintle_error error;
        fail_plan(FAIL_THREAD, first, UINT64_MAX);
        ck_assert_int_eq(pintle_start(NULL), PINTLE_ELIMIT);
        pintle_error_get(&error);
        ck_assert_int_eq(error.code, PINTLE_ELIMIT);
        ck_assert_int_ne(error.os_code, 0);
        ck_assert_msg(strstr(error.text, "the system makes no thread") != NULL, "%s", error.text);
        fail_plan(FAIL_THREAD, first, UINT64_MAX);
        ck_assert_int_eq(pintle_run(give_9, NULL, NULL), PINTLE_ELIMIT);
        ck_assert(helper_threads_at_most(threads));
        fail_plan(0, 0, 0);
        ck_assert_int_eq(pintle_run(give_9, NULL, NULL), 9);
    }
}

/* Refused a few times in between: the maker tries again. */
DEBUG_CASE(start_with_a_thread_refused_for_a_moment_succeeds) {
    pintle_stats stats;
    fail_plan(FAIL_THREAD, 3, 3);
    ck_assert_int_eq(pintle_start(NULL), 0);
    pintle_stats_get(&stats);
    fail_plan(0, 0, 0);
    ck_assert_uint_eq(stats.threads_refused, 3);
    ck_assert_uint_ge(stats.threads, 1);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
}

/* Later refusals: tasks wait, are counted, and go on as soon as the system gives in. */
DEBUG_CASE(threads_refused_later_make_tasks_wait_and_lose_none) {
    blocked b;
    pintle_task *tasks[10];
    pintle_options options = helper_processors(2);
    blocked_init(&b);
    ck_assert_int_eq(pintle_start(&options), 0);
    fail_plan(FAIL_THREAD, 1, UINT64_MAX);
    ck_assert_uint_eq(helper_spawn_all(tasks, 10, blocked_task, &b), 0);
    ck_assert(waits_at_least(3, threads_refused));
    ck_assert_uint_eq(b.done, 0);
    fail_plan(0, 0, 0);
    for (int i = 0; i < 10; i++) helper_sem_wait(&b.inside); /* each has a thread of its own now */
    helper_gate_open(&b.gate);
    ck_assert_uint_eq(helper_join_all(tasks, 10), 0);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    blocked_destroy(&b);
}

/* The maker tries again after 1, 2, 4 … 100 ms, however often it is asked; the monitor asks all the time. */
DEBUG_CASE(threads_refused_are_not_tried_again_and_again) {
    pintle_stats before, after;
    pintle_options options = helper_processors(2);
    options.on_report = keep_report;
    options.user = &(reports){.warnings = 0};
    ck_assert_int_eq(pintle_start(&options), 0);
    blocked b;
    pintle_task *tasks[10];
    blocked_init(&b);
    fail_plan(FAIL_THREAD, 1, UINT64_MAX);
    ck_assert_uint_eq(helper_spawn_all(tasks, 10, blocked_task, &b), 0);
    ck_assert(waits_at_least(6, threads_refused)); /* 32 ms from now to the next */
    int64_t began_ns = pintle_now();
    pintle_stats_get(&before);
    pintle_sleep(PINTLE_MS(500));
    pintle_stats_get(&after);
    uint64_t most = (uint64_t)((pintle_now() - began_ns) / PINTLE_MS(32)) + 2;
    fail_plan(0, 0, 0);
    helper_gate_open(&b.gate);
    ck_assert_uint_eq(helper_join_all(tasks, 10), 0);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    blocked_destroy(&b);
    ck_assert_uint_ge(after.threads_refused, before.threads_refused + 1);
    ck_assert_uint_le(after.threads_refused - before.threads_refused, most);
}

/* ---- Memory ---- */

static void wait_for_event(void *arg) { pintle_event_wait(arg, PINTLE_FOREVER); }

/* Stacks cannot be had: nothing is left behind, and what exists goes on. */
DEBUG_CASE(spawn_without_memory_leaves_nothing) {
    pintle_event go = PINTLE_EVENT_INIT;
    pintle_task *tasks[2000], *none = NULL;
    pintle_stats before, after;
    pintle_error error;
    unsigned spawned = 0;
    int code = 0;
    pintle_options options = helper_processors(2);
    ck_assert_int_eq(pintle_start(&options), 0);
    fail_plan(FAIL_RESERVE, 10, UINT64_MAX); /* one may be for a slab of 64 */
    while (spawned < ELEMENTS(tasks) && (code = pintle_spawn(&tasks[spawned], wait_for_event, &go)) == 0) spawned++;
    ck_assert_int_eq(code, PINTLE_ENOMEM);
    pintle_error_get(&error);
    ck_assert_int_eq(error.code, PINTLE_ENOMEM);
    ck_assert_msg(strstr(error.text, "for a task") != NULL, "%s", error.text); /* its stack, its record */
    pintle_stats_get(&before);
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(pintle_spawn(&none, wait_for_event, &go), PINTLE_ENOMEM);
        ck_assert_int_eq(pintle_enter(wait_for_event, &go), PINTLE_ENOMEM);
    }
    ck_assert_ptr_null(none);
    pintle_stats_get(&after);
    ck_assert_uint_eq(after.tasks, before.tasks);
    ck_assert_uint_eq(after.tasks, spawned);
    ck_assert_uint_eq(after.tasks_bytes, before.tasks_bytes);
    /* What ends makes room. */
    pintle_event_set(&go);
    ck_assert_uint_eq(helper_join_all(tasks, spawned), 0);
    ck_assert_uint_eq(helper_spawn_all(tasks, spawned, wait_for_event, &go), 0);
    ck_assert_uint_eq(helper_join_all(tasks, spawned), 0);
    fail_plan(0, 0, 0);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
}

/* ---- max_tasks ---- */

static void spawn_beyond(void *arg) {
    pintle_event *go = arg;
    if (pintle_spawn(NULL, wait_for_event, go) == PINTLE_ELIMIT) pintle_event_set(go);
}

CASE(max_tasks_counts_the_tasks_of_all_threads) {
    pintle_event go = PINTLE_EVENT_INIT;
    pintle_task *tasks[10];
    pintle_error error;
    pintle_stats stats;
    pintle_options options = helper_processors(2);
    options.max_tasks = 10;
    ck_assert_int_eq(pintle_start(&options), 0);
    ck_assert_uint_eq(helper_spawn_all(tasks, 9, wait_for_event, &go), 0);
    ck_assert_int_eq(pintle_spawn(&tasks[9], spawn_beyond, &go), 0); /* is the tenth itself */
    ck_assert_uint_eq(helper_join_all(tasks, 10), 0);
    pintle_event_reset(&go);
    ck_assert_uint_eq(helper_spawn_all(tasks, 10, wait_for_event, &go), 0);
    ck_assert_int_eq(pintle_enter(wait_for_event, &go), PINTLE_ELIMIT);
    pintle_error_get(&error);
    ck_assert_msg(strstr(error.text, "max_tasks = 10") != NULL, "%s", error.text);
    pintle_stats_get(&stats);
    ck_assert_uint_eq(stats.tasks, 10);
    pintle_event_set(&go);
    ck_assert_uint_eq(helper_join_all(tasks, 10), 0);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
}
