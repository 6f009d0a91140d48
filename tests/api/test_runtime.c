/* test_runtime.c: starting and stopping, options, limits, figures. */
#include "api/api_helpers.h"

#if !defined(_WIN32)
#include <sys/wait.h>
#endif

static void nothing(void *arg) { (void)arg; }
static void count_up(void *arg) { atomic_fetch_add((atomic_uint *)arg, 1); }

/* ---- pintle_run ---- */

static int give_back(void *arg) { return *(int *)arg; }

CASE(run_returns_the_value_of_main) {
    int values[] = {0, 1, 42, -1, INT32_MIN, PINTLE_EBUSY};
    for (size_t i = 0; i < ELEMENTS(values); i++) ck_assert_int_eq(pintle_run(give_back, &values[i], NULL), values[i]);
}

typedef struct place {
    uint64_t thread, id;
    bool self;
} place;

static int note_place(void *arg) {
    place *p = arg;
    p->thread = helper_thread_id();
    p->self = pintle_self() != NULL;
    p->id = pintle_task_id(pintle_self());
    return 0;
}

CASE(run_starts_main_on_the_calling_thread) {
    place p = {0};
    ck_assert_int_eq(helper_run(note_place, &p, 2), 0);
    ck_assert_uint_eq(p.thread, helper_thread_id());
    ck_assert(p.self);
    ck_assert_uint_ne(p.id, 0);
}

static void run_on_thread(void *arg) { pintle_run(note_place, arg, NULL); }

CASE(run_may_be_called_on_another_thread_than_main) {
    place p = {0};
    helper_thread thread;
    ck_assert(helper_thread_start(&thread, run_on_thread, &p));
    helper_thread_join(&thread);
    ck_assert(p.self);
    ck_assert_uint_ne(p.thread, 0);
    ck_assert_uint_ne(p.thread, helper_thread_id());
}

static int small_main(void *arg) {
    atomic_uint *count = arg;
    pintle_task *tasks[20];
    if (helper_spawn_all(tasks, 20, count_up, count) != 0) return 1;
    pintle_call_blocking(helper_return_at_once, NULL);
    pintle_sleep(PINTLE_US(100));
    return (int)helper_join_all(tasks, 20);
}

CASE(run_50_times_in_sequence_leaves_no_thread) {
    unsigned threads = helper_thread_count();
    atomic_uint count = 0;
    for (unsigned i = 0; i < 50; i++) {
        ck_assert_int_eq(helper_run(small_main, &count, 1 + i % 3), 0);
        ck_assert_uint_eq(count, (i + 1) * 20);
    }
    ck_assert(helper_threads_at_most(threads));
}

/* ---- When main returns before the others ---- */

typedef struct leftover {
    pintle_event never;
    helper_gate gate;
    atomic_uint begun, ended;
    int event_result, sleep_result, until_result, join_result;
    pintle_task *waited_for;
    bool unpinned_end;
    helper_sem inside;
} leftover;

static void leftover_event(void *arg) {
    leftover *l = arg;
    atomic_fetch_add(&l->begun, 1);
    l->event_result = pintle_event_wait(&l->never, PINTLE_FOREVER);
    atomic_fetch_add(&l->ended, 1);
}
static void leftover_sleep(void *arg) {
    leftover *l = arg;
    atomic_fetch_add(&l->begun, 1);
    l->sleep_result = pintle_sleep(PINTLE_S(3600));
    atomic_fetch_add(&l->ended, 1);
}
static void leftover_until(void *arg) {
    leftover *l = arg;
    pintle_pin();
    atomic_fetch_add(&l->begun, 1);
    l->until_result = pintle_event_wait(&l->never, pintle_after(PINTLE_S(3600)));
    atomic_fetch_add(&l->ended, 1);
    pintle_unpin();
}
static int leftover_main(void *arg) {
    leftover *l = arg;
    if (pintle_spawn(NULL, leftover_event, l) != 0) return 1;
    if (pintle_spawn(NULL, leftover_sleep, l) != 0) return 2;
    if (pintle_spawn(NULL, leftover_until, l) != 0) return 3;
    while (atomic_load(&l->begun) < 3) pintle_yield();
    pintle_yield();
    return 77;
}

CASE(run_cancels_the_waits_of_tasks_left_when_main_returns) {
    unsigned threads = helper_thread_count();
    leftover l = {.never = PINTLE_EVENT_INIT};
    int64_t begin = pintle_now();
    ck_assert_int_eq(helper_run(leftover_main, &l, 2), 77);
    ck_assert_int_lt(pintle_now() - begin, PINTLE_S(10));
    ck_assert_uint_eq(l.ended, 3);
    ck_assert_int_eq(l.event_result, PINTLE_ECANCELED);
    ck_assert_int_eq(l.sleep_result, PINTLE_ECANCELED);
    ck_assert_int_eq(l.until_result, PINTLE_ECANCELED);
    ck_assert(helper_threads_at_most(threads));
    pintle_event_destroy(&l.never);
}

static int leftover_block(void *arg) {
    leftover *l = arg;
    helper_sem_post(&l->inside);
    helper_gate_wait(&l->gate);
    atomic_fetch_add(&l->begun, 1);
    helper_sem_post(&l->inside);
    return 0;
}
static void leftover_in_call(void *arg) {
    leftover *l = arg;
    pintle_call(leftover_block, l);
    atomic_fetch_add(&l->ended, 1);
}
static int wait_inside(void *arg) {
    helper_sem_wait(&((leftover *)arg)->inside);
    return 0;
}
static int leftover_in_call_main(void *arg) {
    leftover *l = arg;
    if (pintle_spawn(NULL, leftover_in_call, l) != 0) return 1;
    pintle_call(wait_inside, l);
    return 78;
}

CASE(run_returns_though_a_task_is_inside_a_call_that_does_not_end) {
    static leftover l; /* the task that is left behind looks at it after this */
    helper_gate_init(&l.gate);
    helper_sem_init(&l.inside);
    int64_t begin = pintle_now();
    ck_assert_int_eq(helper_run(leftover_in_call_main, &l, 2), 78);
    ck_assert_int_lt(pintle_now() - begin, PINTLE_S(10));
    ck_assert_uint_eq(l.begun, 0);
    /* The thread is still in there: it is on its own, and the library is of use again. */
    atomic_uint count = 0;
    ck_assert_int_eq(helper_run(small_main, &count, 2), 0);
    ck_assert_uint_eq(l.begun, 0);
    /* Once the call is back its thread runs no task any more, and disturbs no later run. */
    helper_gate_open(&l.gate);
    helper_sem_wait(&l.inside);
    ck_assert_uint_eq(l.begun, 1);
    for (unsigned i = 0; i < 10; i++) ck_assert_int_eq(helper_run(small_main, &count, 2), 0);
    ck_assert_uint_eq(count, 11 * 20);
    ck_assert_uint_eq(l.ended, 0);
}

/* ---- pintle_start and pintle_stop ---- */

CASE(start_and_stop_50_times_leaves_no_thread) {
    unsigned threads = helper_thread_count();
    for (unsigned i = 0; i < 50; i++) {
        atomic_uint count = 0;
        pintle_options options = helper_processors(1 + i % 3);
        ck_assert_int_eq(pintle_start(&options), 0);
        ck_assert_int_eq(pintle_enter(count_up, &count), 0);
        ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
        ck_assert_uint_eq(count, 1);
    }
    ck_assert(helper_threads_at_most(threads));
}

CASE(start_and_stop_at_once_leaves_no_thread) {
    unsigned threads = helper_thread_count();
    for (unsigned i = 0; i < 50; i++) {
        ck_assert_int_eq(pintle_start(NULL), 0);
        ck_assert_int_eq(pintle_stop(pintle_after(PINTLE_S(20))), 0);
    }
    ck_assert(helper_threads_at_most(threads));
}

CASE(start_is_counted) {
    pintle_options first = helper_processors(2), second = helper_processors(5);
    pintle_stats stats;
    atomic_uint count = 0;
    ck_assert_int_eq(pintle_start(&first), 0);
    ck_assert_int_eq(pintle_start(&second), 0);
    pintle_stats_get(&stats);
    ck_assert_uint_eq(stats.processors, 2); /* options count for the first only */
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    ck_assert_int_eq(pintle_enter(count_up, &count), 0);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    ck_assert_int_eq(pintle_enter(count_up, &count), PINTLE_ESTOPPED);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), PINTLE_ESTOPPED);
    ck_assert_uint_eq(count, 1);
}

CASE(stop_with_a_duration_is_refused) {
    ck_assert_int_eq(pintle_start(NULL), 0);
    pintle_error error;
    ck_assert_int_eq(pintle_stop(PINTLE_MS(100)), PINTLE_EINVAL);
    pintle_error_get(&error);
    ck_assert_msg(strstr(error.text, "pintle_after") != NULL, "%s", error.text);
    atomic_uint count = 0;
    ck_assert_int_eq(pintle_enter(count_up, &count), 0); /* it still runs */
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
}

typedef struct staying {
    pintle_event go, begun;
    int result;
} staying;

static void staying_task(void *arg) {
    staying *s = arg;
    pintle_event_set(&s->begun);
    s->result = pintle_event_wait(&s->go, PINTLE_FOREVER);
}

CASE(stop_with_a_task_left_names_it_and_can_be_repeated) {
    unsigned threads = helper_thread_count();
    for (int round = 0; round < 3; round++) {
        staying s = {.go = PINTLE_EVENT_INIT, .begun = PINTLE_EVENT_INIT, .result = 1};
        pintle_task_options named = {.size = sizeof named, .name = "stubborn"};
        pintle_task *task = NULL;
        pintle_error error;
        ck_assert_int_eq(pintle_start(NULL), 0);
        if (round == 0)
            ck_assert_int_eq(pintle_spawn_with(NULL, staying_task, &s, &named), 0);
        else
            ck_assert_int_eq(pintle_spawn_with(&task, staying_task, &s, &named), 0);
        ck_assert_int_eq(pintle_event_wait(&s.begun, PINTLE_FOREVER), 0);
        for (int i = 0; i < 2; i++) {
            ck_assert_int_eq(pintle_stop(i == 0 ? PINTLE_NOWAIT : pintle_after(PINTLE_MS(20))), PINTLE_EBUSY);
            pintle_error_get(&error);
            ck_assert_int_eq(error.code, PINTLE_EBUSY);
            ck_assert_msg(strstr(error.text, "stubborn") != NULL, "%s", error.text);
            pintle_task *late = NULL;
            ck_assert_int_eq(pintle_spawn(&late, nothing, NULL), PINTLE_ESTOPPED);
            ck_assert_ptr_null(late);
            ck_assert_int_eq(pintle_enter(nothing, NULL), PINTLE_ESTOPPED);
        }
        pintle_event_set(&s.go);
        if (task != NULL && round == 1) ck_assert_int_eq(pintle_join(task, PINTLE_FOREVER), 0);
        if (task != NULL && round == 2) pintle_task_detach(task);
        ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
        ck_assert_int_eq(s.result, 0); /* stopping a library does not cancel its tasks */
        ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), PINTLE_ESTOPPED);
    }
    ck_assert(helper_threads_at_most(threads));
}

CASE(stop_waits_for_tasks_that_still_work) {
    atomic_uint count = 0;
    ck_assert_int_eq(pintle_start(NULL), 0);
    for (int i = 0; i < 100; i++) ck_assert_int_eq(pintle_spawn(NULL, count_up, &count), 0);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    ck_assert_uint_eq(count, 100);
}

CASE(run_while_the_runtime_runs_is_busy) {
    int value = 3;
    pintle_error error;
    ck_assert_int_eq(pintle_start(NULL), 0);
    ck_assert_int_eq(pintle_run(give_back, &value, NULL), PINTLE_EBUSY);
    pintle_error_get(&error);
    ck_assert_int_eq(error.code, PINTLE_EBUSY);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    ck_assert_int_eq(pintle_run(give_back, &value, NULL), 3);
}

static void run_inside(void *arg) {
    int value = 3;
    *(int *)arg = pintle_run(give_back, &value, NULL);
}
static int run_inside_main(void *arg) {
    helper_thread thread;
    if (!helper_thread_start(&thread, run_inside, arg)) return 1;
    pintle_blocking_begin();
    helper_thread_join(&thread);
    pintle_blocking_end();
    return 0;
}

CASE(run_on_a_foreign_thread_while_another_runs_is_busy) {
    int result = 0;
    ck_assert_int_eq(pintle_run(run_inside_main, &result, NULL), 0);
    ck_assert_int_eq(result, PINTLE_EBUSY);
}

/* ---- Options ---- */

static int note_stats(void *arg) {
    pintle_stats_get(arg);
    return 0;
}
static unsigned processors_with(const pintle_options *options) {
    pintle_stats stats;
    ck_assert_int_eq(pintle_run(note_stats, &stats, options), 0);
    return stats.processors;
}

CASE(processors_are_as_many_as_asked_for) {
    helper_set_environment("PINTLE_PROCESSORS", NULL);
    for (unsigned processors = 1; processors <= 7; processors += 2) {
        pintle_options options = helper_processors(processors);
        ck_assert_uint_eq(processors_with(&options), processors);
    }
}

CASE(processors_of_environment_are_the_default) {
    pintle_options options = helper_processors(2);
    helper_set_environment("PINTLE_PROCESSORS", "3");
    ck_assert_uint_eq(processors_with(NULL), 3);
    ck_assert_uint_eq(processors_with(&options), 2);
    helper_set_environment("PINTLE_PROCESSORS", "5");
    ck_assert_uint_eq(processors_with(NULL), 5);
    helper_set_environment("PINTLE_PROCESSORS", NULL);
}

CASE(processors_default_to_those_the_process_may_use) {
    helper_set_environment("PINTLE_PROCESSORS", NULL);
    unsigned all = processors_with(NULL);
    ck_assert_uint_ge(all, 1);
#if defined(_WIN32)
    DWORD_PTR process = 0, system = 0;
    ck_assert(GetProcessAffinityMask(GetCurrentProcess(), &process, &system));
    unsigned allowed = (unsigned)__builtin_popcountll(process);
    ck_assert_uint_le(all, allowed);
    ck_assert(SetProcessAffinityMask(GetCurrentProcess(), process & (~process + 1)));
    ck_assert_uint_eq(processors_with(NULL), 1);
    ck_assert(SetProcessAffinityMask(GetCurrentProcess(), process));
#else
    cpu_set_t allowed, one;
    ck_assert_int_eq(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    ck_assert_uint_le(all, (unsigned)CPU_COUNT(&allowed));
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &allowed)) {
            CPU_SET(cpu, &one);
            break;
        }
    ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
    ck_assert_uint_eq(processors_with(NULL), 1);
    ck_assert_int_eq(sched_setaffinity(0, sizeof allowed, &allowed), 0);
#endif
    ck_assert_uint_eq(processors_with(NULL), all);
}

/* An older program's structs are shorter: what lies behind them is not looked at. */
CASE(options_of_an_older_program_are_read_only_as_far_as_they_go) {
    pintle_options options;
    pintle_stats stats;
    memset(&options, 0xFF, sizeof options); /* max_tasks, hooks: all of it would be fatal */
    options.size = offsetof(pintle_options, max_threads);
    options.processors = 3;
    ck_assert_int_eq(pintle_run_sized(note_stats, &stats, &options, options.size), 0);
    ck_assert_uint_eq(stats.processors, 3);
    ck_assert_int_eq(pintle_start_sized(&options, options.size), 0);
    pintle_stats_get(&stats);
    ck_assert_uint_eq(stats.processors, 3);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    /* The size in the struct alone decides as well, and zero stands for the header's. */
    ck_assert_int_eq(pintle_run(note_stats, &stats, &options), 0);
    ck_assert_uint_eq(stats.processors, 3);
    memset(&options, 0, sizeof options);
    options.processors = 2;
    ck_assert_int_eq(pintle_run(note_stats, &stats, &options), 0);
    ck_assert_uint_eq(stats.processors, 2);
}

typedef struct hooks {
    atomic_uint started, stopped, wrong;
    uint64_t main_thread;
} hooks;

static void hook_start(void *user) {
    hooks *h = user;
    atomic_fetch_add(&h->started, 1);
    if (helper_thread_id() == h->main_thread || helper_mark() != 0) atomic_fetch_add(&h->wrong, 1);
    helper_set_mark(1);
}
static void hook_stop(void *user) {
    hooks *h = user;
    atomic_fetch_add(&h->stopped, 1);
    if (helper_thread_id() == h->main_thread || helper_mark() != 1) atomic_fetch_add(&h->wrong, 1);
    helper_set_mark(2);
}
static void hook_task(void *arg) {
    hooks *h = arg;
    pintle_call_blocking(helper_return_at_once, NULL);
    if (helper_thread_id() != h->main_thread && helper_mark() != 1) atomic_fetch_add(&h->wrong, 1);
}
static int hooks_main(void *arg) {
    pintle_task *tasks[100];
    unsigned failed = helper_spawn_all(tasks, 100, hook_task, arg);
    return (int)(failed + helper_join_all(tasks, 100));
}

static void hook_calls(void *user) {
    if (pintle_call(helper_return_at_once, NULL) != 0 || pintle_self() != NULL) return;
    atomic_fetch_add((atomic_uint *)user, 1);
}
static int hook_calls_main(void *arg) {
    while (atomic_load((atomic_uint *)arg) == 0)
        pintle_yield(); /* else the run may end before its first thread begins */
    return 0;
}

CASE(thread_hooks_may_make_calls) {
    for (unsigned i = 0; i < 20; i++) {
        atomic_uint good = 0;
        pintle_options options = helper_processors(2);
        options.on_thread_start = hook_calls;
        options.on_thread_stop = hook_calls;
        options.user = &good;
        ck_assert_int_eq(pintle_run(hook_calls_main, &good, &options), 0);
        ck_assert_uint_ge(good, 2);
        ck_assert_uint_eq(good % 2, 0);
    }
}

CASE(thread_hooks_run_on_each_thread_of_the_runtime) {
    hooks h = {.main_thread = helper_thread_id()};
    pintle_options options = helper_processors(3);
    options.on_thread_start = hook_start;
    options.on_thread_stop = hook_stop;
    options.user = &h;
    ck_assert_int_eq(pintle_run(hooks_main, &h, &options), 0);
    ck_assert_uint_eq(h.wrong, 0);
    ck_assert_uint_ge(h.started, 1);
    ck_assert_uint_eq(h.stopped, h.started);
    ck_assert_int_eq(pintle_start(&options), 0);
    ck_assert_int_eq(pintle_enter(hook_task, &h), 0);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    ck_assert_uint_eq(h.wrong, 0);
    ck_assert_uint_eq(h.stopped, h.started);
}

/* ---- max_threads ---- */

typedef struct narrow {
    helper_gate gate;
    helper_sem inside;
    atomic_uint done;
} narrow;

static int narrow_block(void *arg) {
    narrow *n = arg;
    helper_sem_post(&n->inside);
    helper_gate_wait(&n->gate);
    return 0;
}
static void narrow_task(void *arg) {
    narrow *n = arg;
    pintle_call(narrow_block, n);
    atomic_fetch_add(&n->done, 1);
}

CASE(max_threads_reached_makes_tasks_wait_and_loses_none) {
    narrow n = {.done = 0};
    pintle_options options = helper_processors(1);
    pintle_task *tasks[20];
    pintle_stats stats;
    options.max_threads = 4;
    helper_gate_init(&n.gate);
    helper_sem_init(&n.inside);
    ck_assert_int_eq(pintle_start(&options), 0);
    ck_assert_uint_eq(helper_spawn_all(tasks, 20, narrow_task, &n), 0);
    helper_sem_wait(&n.inside);
    pintle_sleep(PINTLE_MS(100)); /* time for too many threads to come */
    pintle_stats_get(&stats);
    ck_assert_uint_le(stats.threads, 4);
    ck_assert_uint_ge(stats.calls_in_flight, 1);
    ck_assert_uint_lt(stats.calls_in_flight, 5);
    ck_assert_uint_ge(stats.waits_for_thread, 1);
    ck_assert_uint_eq(n.done, 0);
    helper_gate_open(&n.gate);
    ck_assert_uint_eq(helper_join_all(tasks, 20), 0);
    ck_assert_uint_eq(n.done, 20);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    helper_gate_destroy(&n.gate);
    helper_sem_destroy(&n.inside);
}

/* ---- Figures ---- */

typedef struct figures {
    pintle_stats before, during, after;
    pintle_event go;
    atomic_uint arrived;
} figures;

static void figures_task(void *arg) {
    figures *f = arg;
    atomic_fetch_add(&f->arrived, 1);
    pintle_event_wait(&f->go, PINTLE_FOREVER);
}
static int figures_main(void *arg) {
    figures *f = arg;
    pintle_task *tasks[50];
    pintle_stats_get(&f->before);
    if (helper_spawn_all(tasks, 50, figures_task, f) != 0) return 1;
    while (atomic_load(&f->arrived) < 50) pintle_yield();
    pintle_stats_get(&f->during);
    pintle_event_set(&f->go);
    if (helper_join_all(tasks, 50) != 0) return 2;
    pintle_stats_get(&f->after);
    return 0;
}

CASE(stats_follow_tasks_and_threads_and_are_zero_when_stopped) {
    figures f = {.go = PINTLE_EVENT_INIT};
    ck_assert_int_eq(helper_run(figures_main, &f, 2), 0);
    ck_assert_uint_eq(f.before.size, sizeof f.before);
    ck_assert_uint_eq(f.before.tasks, 1);
    ck_assert_uint_eq(f.during.tasks, 51);
    ck_assert_uint_eq(f.after.tasks, 1);
    ck_assert_uint_eq(f.during.tasks_spawned - f.before.tasks_spawned, 50);
    ck_assert_uint_eq(f.after.tasks_spawned, f.during.tasks_spawned);
    ck_assert_uint_ge(f.during.tasks_bytes, 50 * 4096);
    ck_assert_uint_eq(f.during.processors, 2);
    ck_assert_uint_le(f.during.processors_idle, 2);
    ck_assert_uint_ge(f.during.switches - f.before.switches, 50);
    ck_assert_uint_ge(f.after.threads_started + 1, f.after.threads); /* and the main thread */
    ck_assert_uint_eq(f.after.calls_in_flight, 0);
    ck_assert_uint_eq(f.after.timers, 0);
    pintle_stats stopped, zero;
    memset(&stopped, 0xA5, sizeof stopped);
    memset(&zero, 0, sizeof zero);
    pintle_stats_get(&stopped);
    stopped.size = 0;
    ck_assert_mem_eq(&stopped, &zero, sizeof zero);
}

CASE(stats_for_an_older_program_stay_within_its_struct) {
    pintle_stats stats;
    unsigned char *bytes = (unsigned char *)&stats;
    size_t size = offsetof(pintle_stats, processors);
    ck_assert_int_eq(pintle_start(NULL), 0);
    ck_assert_int_eq(pintle_enter(nothing, NULL), 0);
    memset(&stats, 0xA5, sizeof stats);
    pintle_stats_get_sized(&stats, size);
    ck_assert_uint_ge(stats.tasks_spawned, 1);
    ck_assert_uint_lt(stats.tasks_spawned, 100);
    for (size_t i = size; i < sizeof stats; i++) ck_assert_uint_eq(bytes[i], 0xA5);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
}

CASE(stats_count_idle_processors_of_a_resting_runtime) {
    pintle_options options = helper_processors(3);
    pintle_stats stats;
    ck_assert_int_eq(pintle_start(&options), 0);
    ck_assert_int_eq(pintle_enter(nothing, NULL), 0);
    int64_t give_up = pintle_after(PINTLE_S(10));
    do pintle_stats_get(&stats);
    while (stats.processors_idle < 3 && pintle_now() < give_up);
    ck_assert_uint_eq(stats.processors_idle, 3);
    ck_assert_uint_eq(stats.tasks, 0);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
}

/* A resting runtime burns no CPU time. */
static int64_t process_cpu_ns(void) {
#if defined(_WIN32)
    FILETIME created, ended, kernel, user;
    if (!GetProcessTimes(GetCurrentProcess(), &created, &ended, &kernel, &user)) return 0;
    uint64_t ticks = ((uint64_t)kernel.dwHighDateTime << 32) + kernel.dwLowDateTime;
    ticks += ((uint64_t)user.dwHighDateTime << 32) + user.dwLowDateTime;
    return (int64_t)ticks * 100;
#else
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
#endif
}

CASE(runtime_at_rest_uses_no_cpu_time) {
    pintle_options options = helper_processors(4);
    atomic_uint count = 0;
    ck_assert_int_eq(pintle_start(&options), 0);
    for (int i = 0; i < 100; i++) ck_assert_int_eq(pintle_enter(count_up, &count), 0);
    pintle_sleep(PINTLE_MS(100)); /* idle threads may look around for a moment */
    int64_t before = process_cpu_ns();
    pintle_sleep(PINTLE_MS(500));
    int64_t used = process_cpu_ns() - before;
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    ck_assert_int_lt(used, PINTLE_MS(100)); /* one thread that spins would use 500 ms */
}

CASE(hold_and_unhold_are_counted_and_harmless) {
    ck_assert_int_eq(pintle_start(NULL), 0);
    for (int i = 0; i < 10; i++) pintle_hold();
    for (int i = 0; i < 10; i++) pintle_unhold();
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
}

/* Threads that blocked calls needed are let go once they have been idle for 10 s; 20 s at the latest. */
typedef struct crowd {
    unsigned crowded, left;
} crowd;
static int crowd_block(void *arg) {
    helper_gate_wait(arg);
    return 0;
}
static void crowd_task(void *arg) { pintle_call_blocking(crowd_block, arg); }
static int crowd_main(void *arg) {
    crowd *c = arg;
    helper_gate gate;
    pintle_task *tasks[40];
    pintle_stats stats;
    helper_gate_init(&gate);
    if (helper_spawn_all(tasks, 40, crowd_task, &gate) != 0) return 1;
    do {
        pintle_sleep(PINTLE_MS(5));
        pintle_stats_get(&stats);
    } while (stats.calls_in_flight < 40);
    c->crowded = stats.threads;
    helper_gate_open(&gate);
    if (helper_join_all(tasks, 40) != 0) return 2;
    for (int i = 0; i < 400 && (i == 0 || stats.threads > 8); i++) {
        pintle_sleep(PINTLE_MS(100));
        pintle_stats_get(&stats);
    }
    c->left = stats.threads;
    return 0;
}

CASE_TIMEOUT(idle_threads_end_after_a_while, 60) {
    crowd c = {0};
    ck_assert_int_eq(helper_run(crowd_main, &c, 2), 0);
    ck_assert_uint_ge(c.crowded, 40);
    ck_assert_uint_le(c.left, 8);
}
