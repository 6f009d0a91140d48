/* test_dll.c: pintle/dll.h: opening, finding, calling, closing while calls are in flight, lazily bound procs.
 *
 * Tasks note what they find wrong with EXPECT; run_tasks, on the case's own stack, asserts that nothing was. */
#include "api/dll_helpers.h"

#if defined(_WIN32)
#define SYSTEM_DLL "kernel32.dll"
#define SYSTEM_PROC "GetCurrentProcessId"
#else
#define SYSTEM_DLL "libc.so.6"
#define SYSTEM_PROC "getpid"
#endif

/* ---- Visitors ---- */

/* A call of the plugin that stays inside until the gate is opened. */
typedef struct visitor {
    const plugin *p;
    helper_gate *gate;
    helper_sem *entered;
    pintle_task *task;
    _Atomic int left; /* 1: fn has returned */
} visitor;

static int stay(void *arg) {
    visitor *v = arg;
    helper_sem_post(v->entered);
    helper_gate_wait(v->gate);
    atomic_store(&v->left, 1);
    return 5;
}

static void visit(void *arg) {
    visitor *v = arg;
    const uintptr_t args[] = {(uintptr_t)(void *)stay, (uintptr_t)v};
    EXPECT(pintle_proc_call(v->p->run, 2, args).r1 == 5);
}

static int wait_entered(void *sem) {
    helper_sem_wait(sem);
    return 0;
}

static bool visitor_start(visitor *v, const plugin *p, helper_gate *gate, helper_sem *entered, const char *name) {
    pintle_task_options options = {.size = sizeof options, .name = name};
    *v = (visitor){.p = p, .gate = gate, .entered = entered};
    return pintle_spawn_with(&v->task, visit, v, &options) == 0 && pintle_call(wait_entered, entered) == 0;
}

/* ---- Opening ---- */

static int open_call_close(void *arg) {
    plugin p;
    (void)arg;
    if (!plugin_open(&p)) return 1;
    EXPECT(weighs_right(&p));
    EXPECT(pintle_dll_native(p.dll) != NULL);
    EXPECT(strcmp(pintle_dll_path(p.dll), test_dll_path("plugin_a")) == 0);
    EXPECT(pintle_dll_close(p.dll, PINTLE_FOREVER) == 0);
    return 0;
}
CASE(open_absolute_path_loads_and_calls) { run_tasks(open_call_close, 2); }
CASE(open_without_runtime_loads_and_calls) {
    ck_assert_int_eq(open_call_close(NULL), 0);
    assert_nothing_wrong();
}

static int open_wrong_names(void *arg) {
    char untouched;
    pintle_dll *dll = (void *)&untouched;
    (void)arg;
    EXPECT(pintle_dll_open(&dll, test_dll_path("nowhere_at_all"), 0) == PINTLE_ENOTFOUND &&
           error_has("nowhere_at_all"));
    EXPECT(last_code() == PINTLE_ENOTFOUND);
    EXPECT(pintle_dll_open(&dll, "plugin_a", 0) == PINTLE_EINVAL && error_has("'plugin_a'") && error_has("absolute"));
    EXPECT(pintle_dll_open(&dll, "", 0) == PINTLE_EINVAL);
    EXPECT(pintle_dll_open(&dll, NULL, 0) == PINTLE_EINVAL);
    EXPECT(pintle_dll_open(NULL, test_dll_path("plugin_a"), 0) == PINTLE_EINVAL);
    EXPECT(pintle_dll_open(&dll, test_dll_path("plugin_a"), 0x40) == PINTLE_ENOTSUP && error_has("0x40"));
    EXPECT(pintle_dll_open_system(&dll, "nowhere_at_all.dll") == PINTLE_ENOTFOUND && error_has("nowhere_at_all.dll"));
    EXPECT(pintle_dll_open_system(&dll, test_dll_path("plugin_a")) == PINTLE_EINVAL);
    EXPECT(pintle_dll_open_system(&dll, NULL) == PINTLE_EINVAL);
    EXPECT(dll == (void *)&untouched);
    return 0;
}
CASE(open_wrong_name_gives_error_that_names_it) { run_tasks(open_wrong_names, 1); }

static int open_system(void *arg) {
    pintle_dll *dll = NULL;
    pintle_proc *proc = NULL;
    (void)arg;
    EXPECT(pintle_dll_open_system(&dll, SYSTEM_DLL) == 0);
    EXPECT(pintle_dll_find(dll, SYSTEM_PROC, &proc) == 0);
    EXPECT(pintle_proc_call(proc, 0, NULL).r1 != 0);
    EXPECT(pintle_dll_close(dll, PINTLE_FOREVER) == 0);
    return 0;
}
CASE(open_system_finds_by_bare_name) { run_tasks(open_system, 1); }

static int call_count(pintle_dll *dll) {
    pintle_proc *count = NULL;
    EXPECT(pintle_dll_find(dll, "plugin_count", &count) == 0);
    return pintle_result_int(pintle_proc_call(count, 0, NULL));
}
static int open_twice(void *arg) {
    pintle_dll *one = NULL, *two = NULL;
    (void)arg;
    EXPECT(pintle_dll_open(&one, test_dll_path("plugin_a"), 0) == 0);
    EXPECT(pintle_dll_open(&two, test_dll_path("plugin_a"), 0) == 0);
    EXPECT(one != two);
    EXPECT(call_count(one) == 1);
    EXPECT(call_count(two) == 2);
    EXPECT(pintle_dll_close(one, PINTLE_FOREVER) == 0);
    EXPECT(call_count(two) == 3);
    EXPECT(pintle_dll_close(two, PINTLE_FOREVER) == 0);
    EXPECT(pintle_dll_open(&one, test_dll_path("plugin_a"), 0) == 0);
    EXPECT(call_count(one) == 1); /* it was really unloaded */
    EXPECT(pintle_dll_close(one, PINTLE_NOWAIT) == 0);
    return 0;
}
CASE(open_twice_gives_handles_that_close_independently) { run_tasks(open_twice, 2); }

/* ---- Finding ---- */

static int find_wrong_names(void *arg) {
    plugin p;
    char untouched;
    pintle_proc *proc = (void *)&untouched;
    (void)arg;
    if (!plugin_open(&p)) return 1;
    EXPECT(pintle_dll_find(p.dll, "plugin_nothing", &proc) == PINTLE_ENOTFOUND);
    EXPECT(error_has("plugin_nothing") && error_has("plugin_a"));
    EXPECT(pintle_dll_find(p.dll, "", &proc) == PINTLE_EINVAL);
    EXPECT(pintle_dll_find(p.dll, NULL, &proc) == PINTLE_EINVAL);
    EXPECT(pintle_dll_find(NULL, "plugin_weigh", &proc) == PINTLE_EINVAL);
    EXPECT(pintle_dll_find(p.dll, "plugin_weigh", NULL) == PINTLE_EINVAL);
    EXPECT(pintle_dll_find_with(p.dll, "plugin_weigh", 0x80000000u, &proc) == PINTLE_EINVAL && error_has("0x80000000"));
    EXPECT(proc == (void *)&untouched);
    EXPECT(weighs_right(&p));
    EXPECT(pintle_dll_close(p.dll, PINTLE_FOREVER) == 0);
    return 0;
}
CASE(find_wrong_name_gives_error_that_names_it) { run_tasks(find_wrong_names, 1); }

enum { FINDERS = 2, FIND_ROUNDS = 2000 };
static plugin shared;
static _Atomic unsigned finders_ready;
static pintle_proc *found[FINDERS][FIND_ROUNDS];

/* Each round looks the name up anew (other flags, so another proc), at the same moment in all threads. */
static void find_shared(void *arg) {
    pintle_proc **mine = arg;
    for (unsigned round = 0, spins = 0; round < FIND_ROUNDS; round++) {
        atomic_fetch_add(&finders_ready, 1);
        while (atomic_load(&finders_ready) < FINDERS * (round + 1))
            if (++spins % 1000 == 0) pintle_sleep(0);
        EXPECT(pintle_dll_find_with(shared.dll, "plugin_count", round, &mine[round]) == 0);
    }
}
static int find_from_many(void *arg) {
    helper_thread threads[FINDERS];
    (void)arg;
    if (!plugin_open(&shared)) return 1;
    atomic_store(&finders_ready, 0);
    for (size_t i = 0; i < FINDERS; i++) EXPECT(helper_thread_start(&threads[i], find_shared, found[i]));
    for (size_t i = 0; i < FINDERS; i++) helper_thread_join(&threads[i]);
    for (size_t round = 0; round < FIND_ROUNDS; round++) EXPECT(found[0][round] == found[1][round]);
    EXPECT(found[0][0] != found[0][1]);
    EXPECT(pintle_dll_close(shared.dll, PINTLE_FOREVER) == 0);
    return 0;
}
CASE(find_same_name_from_many_threads_gives_same_proc) { run_tasks(find_from_many, 1); }

static int find_ordinals(void *arg) {
    plugin p;
    pintle_proc *fifth = NULL, *again = NULL;
    (void)arg;
    if (!plugin_open(&p)) return 1;
#if defined(_WIN32)
    EXPECT(pintle_dll_find_ordinal(p.dll, 5, &fifth) == 0);
    EXPECT(pintle_dll_find_ordinal(p.dll, 5, &again) == 0 && again == fifth);
    EXPECT(pintle_proc_call(fifth, 3, one_two_three).r1 == 321);
    EXPECT(pintle_dll_find_ordinal(p.dll, 4321, &again) == PINTLE_ENOTFOUND && error_has("4321"));
    EXPECT(pintle_dll_find_ordinal(p.dll, 0, &again) == PINTLE_EINVAL);
    EXPECT(pintle_dll_find_ordinal(p.dll, 65536, &again) == PINTLE_EINVAL && error_has("65536"));
#else
    (void)again;
    EXPECT(pintle_dll_find_ordinal(p.dll, 5, &fifth) == PINTLE_ENOTSUP && error_has("#5"));
#endif
    EXPECT(pintle_dll_close(p.dll, PINTLE_FOREVER) == 0);
    return 0;
}
CASE(find_ordinal_works_where_there_are_ordinals) { run_tasks(find_ordinals, 1); }

static int find_data(void *arg) {
    plugin p;
    void *data = NULL;
    (void)arg;
    if (!plugin_open(&p)) return 1;
    EXPECT(pintle_dll_find_data(p.dll, "plugin_data", &data) == 0);
    EXPECT(data != NULL && *(int *)data == 4711);
    EXPECT(pintle_dll_find_data(p.dll, "plugin_no_data", &data) == PINTLE_ENOTFOUND && error_has("plugin_no_data"));
    EXPECT(pintle_dll_close(p.dll, PINTLE_FOREVER) == 0);
    return 0;
}
CASE(find_data_gives_its_address) { run_tasks(find_data, 1); }

/* ---- Calling ---- */

static int call_with_everything(void *arg) {
    plugin p;
    pintle_proc *scale = NULL, *fail = NULL;
    pintle_result result;
    const uintptr_t doubles[] = {pintle_word_double(1.5), pintle_word_double(-4)}, code[] = {33};
    uintptr_t many[256] = {1, 2, 3};
    (void)arg;
    if (!plugin_open(&p)) return 1;
    EXPECT(pintle_dll_find_with(p.dll, "plugin_scale", PINTLE_FLOATS(3) | PINTLE_FLOAT_RESULT, &scale) == 0);
    EXPECT(pintle_result_double(pintle_proc_call(scale, 2, doubles)) == -6);
    EXPECT(pintle_dll_find(p.dll, "plugin_fail", &fail) == 0);
    EXPECT(pintle_proc_call(fail, 1, code).err == 33);
    EXPECT(pintle_proc_call(p.weigh, 3, one_two_three).err == 0); /* cleared before each call */
    EXPECT(pintle_proc_try_call(p.weigh, 3, one_two_three, &result) == 0 && result.r1 == 321);
    EXPECT(pintle_proc_try_call(p.weigh, 3, one_two_three, NULL) == 0);
    EXPECT(pintle_proc_try_call(p.weigh, 255, many, &result) == 0 && result.r1 == 321);
    EXPECT(pintle_proc_try_call(p.weigh, 256, many, &result) == PINTLE_EINVAL && error_has("256") &&
           error_has("plugin_weigh"));
    EXPECT(pintle_proc_try_call(p.weigh, 1, NULL, &result) == PINTLE_EINVAL);
    EXPECT(pintle_proc_try_call(NULL, 0, NULL, &result) == PINTLE_EINVAL);
    EXPECT(((uintptr_t(*)(uintptr_t, uintptr_t, uintptr_t))pintle_proc_code(p.weigh))(1, 2, 3) == 321);
    EXPECT(pintle_dll_close(p.dll, PINTLE_FOREVER) == 0);
    return 0;
}
CASE(call_carries_words_floats_and_error_numbers) { run_tasks(call_with_everything, 1); }

static pintle_proc system_proc = PINTLE_PROC(SYSTEM_DLL, SYSTEM_PROC);
static pintle_proc missing_proc = PINTLE_PROC(SYSTEM_DLL, "NothingOfThatName");
static pintle_proc missing_dll_proc = PINTLE_PROC("nowhere_at_all.dll", "f");
static _Atomic(uintptr_t) system_answer;

static void call_system_proc(void *arg) {
    (void)arg;
    uintptr_t answer = (uint32_t)pintle_proc_call(&system_proc, 0, NULL).r1, other = 0;
    if (!atomic_compare_exchange_strong(&system_answer, &other, answer)) EXPECT(other == answer);
}
static int bind_from_many(void *arg) {
    pintle_task *tasks[64];
    pintle_result result;
    (void)arg;
    EXPECT(pintle_proc_code(&system_proc) == NULL);
    EXPECT(helper_spawn_all(tasks, ELEMENTS(tasks), call_system_proc, NULL) == 0);
    EXPECT(helper_join_all(tasks, ELEMENTS(tasks)) == 0);
    EXPECT(atomic_load(&system_answer) != 0);
    EXPECT(pintle_proc_bind(&system_proc) == 0 && pintle_proc_code(&system_proc) != NULL);
    EXPECT(pintle_proc_bind(&missing_proc) == PINTLE_ENOTFOUND && error_has("NothingOfThatName") &&
           error_has(SYSTEM_DLL));
    EXPECT(pintle_proc_bind(&missing_dll_proc) == PINTLE_ENOTFOUND && error_has("nowhere_at_all.dll"));
    EXPECT(pintle_proc_try_call(&missing_proc, 0, NULL, &result) == PINTLE_ENOTFOUND);
    EXPECT(pintle_proc_bind(NULL) == PINTLE_EINVAL);
    return 0;
}
CASE(static_proc_is_bound_at_first_call_by_many_tasks) { run_tasks(bind_from_many, 4); }

/* ---- Closing ---- */

static int unloaded;
static helper_gate gate;
static helper_sem entered;

/* A DLL with a visitor inside, who leaves when the gate opens. */
static bool begin_visited(plugin *p, visitor *v) {
    pintle_proc *tell = NULL;
    const uintptr_t args[] = {(uintptr_t)&unloaded};
    unloaded = 0;
    helper_gate_init(&gate);
    helper_sem_init(&entered);
    if (!plugin_open(p)) return false;
    EXPECT(pintle_dll_find(p->dll, "plugin_tell_unload", &tell) == 0);
    pintle_proc_call(tell, 1, args);
    return visitor_start(v, p, &gate, &entered, "worker");
}
static void end_visited(void) {
    helper_gate_destroy(&gate);
    helper_sem_destroy(&entered);
}

typedef struct closer {
    pintle_dll *dll;
    const visitor *v;
    int code, visitor_had_left;
} closer;

static void close_for_ever(void *arg) {
    closer *c = arg;
    c->code = pintle_dll_close(c->dll, PINTLE_FOREVER);
    c->visitor_had_left = atomic_load(&c->v->left);
}

static int close_waits(void *arg) {
    plugin p;
    visitor v;
    closer c;
    pintle_task *closing;
    pintle_proc *proc;
    (void)arg;
    if (!begin_visited(&p, &v)) return 1;
    c = (closer){.dll = p.dll, .v = &v, .code = 1};
    EXPECT(pintle_spawn(&closing, close_for_ever, &c) == 0);
    while (!is_refused(&p)) pintle_yield();
    EXPECT(error_has("plugin_a") && error_has("closing"));
    EXPECT(pintle_dll_find(p.dll, "plugin_count", &proc) == PINTLE_ECLOSED); /* new */
    EXPECT(pintle_dll_find(p.dll, "plugin_weigh", &proc) == PINTLE_ECLOSED); /* known */
    EXPECT(pintle_dll_acquire(p.dll) == PINTLE_ECLOSED);
    EXPECT(pintle_dll_close(p.dll, PINTLE_FOREVER) == PINTLE_EBUSY && error_has("somebody else"));
    EXPECT(pintle_dll_reopen(p.dll) == PINTLE_EBUSY);
    EXPECT(unloaded == 0);
    helper_gate_open(&gate);
    EXPECT(pintle_join(v.task, PINTLE_FOREVER) == 0);
    EXPECT(pintle_join(closing, PINTLE_FOREVER) == 0);
    EXPECT(c.code == 0 && c.visitor_had_left == 1 && unloaded == 1);
    end_visited();
    return 0;
}
CASE(close_refuses_new_calls_and_waits_for_those_in_flight) { run_tasks(close_waits, 2); }
CASE(close_waits_with_one_processor_too) { run_tasks(close_waits, 1); }

/* The one that is inside, as data. */
static bool callers_are(const plugin *p, uint64_t task_id, const char *task_name, const char *function) {
    pintle_dll_caller callers[2], all_set;
    size_t count = 99, count_only = 99;
    memset(&all_set, 255, sizeof all_set);
    callers[0] = callers[1] = all_set;
    return pintle_dll_callers(p->dll, callers, 2, &count) == 0 && count == 1 && callers[0].task_id == task_id &&
           (callers[0].thread_id != 0) == (task_id == 0) && strcmp(callers[0].task_name, task_name) == 0 &&
           strcmp(callers[0].function, function) == 0 && callers[1].task_id == 0 && callers[1].function[0] == 0 &&
           pintle_dll_callers(p->dll, NULL, 0, &count_only) == 0 && count_only == 1 &&
           pintle_dll_callers(p->dll, NULL, 1, &count) == PINTLE_EINVAL &&
           pintle_dll_callers(p->dll, callers, 2, NULL) == PINTLE_EINVAL &&
           pintle_dll_callers(NULL, callers, 2, &count) == PINTLE_EINVAL;
}

static int close_times_out(void *arg) {
    plugin p;
    visitor v;
    (void)arg;
    if (!begin_visited(&p, &v)) return 1;
    char task[64];
    snprintf(task, sizeof task, "task %llu 'worker' in plugin_run", (unsigned long long)pintle_task_id(v.task));
    EXPECT(pintle_dll_close(p.dll, PINTLE_NOWAIT) == PINTLE_EBUSY && error_has(task) && error_has("plugin_a"));
    int64_t deadline_ns = pintle_after(PINTLE_MS(20));
    EXPECT(pintle_dll_close(p.dll, deadline_ns) == PINTLE_EBUSY && error_has(task));
    EXPECT(pintle_now() >= deadline_ns);
    EXPECT(is_refused(&p)); /* it goes on refusing */
    EXPECT(callers_are(&p, pintle_task_id(v.task), "worker", "plugin_run"));
    EXPECT(pintle_dll_reopen(p.dll) == 0);
    EXPECT(weighs_right(&p));
    EXPECT(pintle_dll_reopen(p.dll) == PINTLE_EINVAL && error_has("plugin_a"));
    EXPECT(weighs_right(&p));
    EXPECT(pintle_dll_close(p.dll, PINTLE_MS(5)) == PINTLE_EINVAL); /* a duration */
    EXPECT(pintle_dll_close(NULL, PINTLE_FOREVER) == PINTLE_EINVAL);
    EXPECT(weighs_right(&p));
    EXPECT(unloaded == 0);
    helper_gate_open(&gate);
    EXPECT(pintle_dll_close(p.dll, PINTLE_FOREVER) == 0); /* closed again after EBUSY */
    EXPECT(unloaded == 1);
    EXPECT(pintle_join(v.task, PINTLE_FOREVER) == 0);
    end_visited();
    return 0;
}
CASE(close_at_deadline_says_busy_and_names_who_is_inside) { run_tasks(close_times_out, 2); }

static int close_own(void *dll) { return pintle_dll_close(dll, PINTLE_FOREVER); }
static int close_from_inside(void *arg) {
    plugin p;
    pintle_dll *other = NULL;
    (void)arg;
    if (!plugin_open(&p)) return 1;
    EXPECT(pintle_dll_open(&other, test_dll_path("words"), 0) == 0);
    const uintptr_t itself[] = {(uintptr_t)(void *)close_own, (uintptr_t)p.dll};
    const uintptr_t another[] = {(uintptr_t)(void *)close_own, (uintptr_t)other};
    EXPECT(pintle_result_int(pintle_proc_call(p.run, 2, itself)) == PINTLE_EBUSY);
    EXPECT(error_has("plugin_run"));
    EXPECT(is_refused(&p));
    EXPECT(pintle_dll_reopen(p.dll) == 0);
    EXPECT(pintle_result_int(pintle_proc_call(p.run, 2, another)) == 0);
    EXPECT(pintle_dll_close(p.dll, PINTLE_NOWAIT) == 0);
    return 0;
}
CASE(close_from_inside_own_call_is_busy_at_once) { run_tasks(close_from_inside, 1); }

static void foreign_visit(void *arg) { visit(arg); }
static int close_with_foreign_visitor(void *arg) {
    plugin p;
    visitor v;
    helper_thread thread;
    (void)arg;
    helper_gate_init(&gate);
    helper_sem_init(&entered);
    if (!plugin_open(&p)) return 1;
    v = (visitor){.p = &p, .gate = &gate, .entered = &entered};
    EXPECT(helper_thread_start(&thread, foreign_visit, &v));
    pintle_call(wait_entered, &entered);
    EXPECT(pintle_dll_close(p.dll, PINTLE_NOWAIT) == PINTLE_EBUSY && error_has("thread ") && error_has("plugin_run"));
    EXPECT(callers_are(&p, 0, "", "plugin_run"));
    helper_gate_open(&gate);
    EXPECT(pintle_dll_close(p.dll, PINTLE_FOREVER) == 0);
    helper_thread_join(&thread);
    end_visited();
    return 0;
}
CASE(close_waits_for_foreign_threads_too) { run_tasks(close_with_foreign_visitor, 1); }

enum { CROWD = 200 };
static visitor crowd[CROWD];
/* Each of the crowd once. */
static bool crowd_is_told(const plugin *p) {
    static pintle_dll_caller callers[CROWD + 1];
    size_t count, told = 0;
    if (pintle_dll_callers(p->dll, callers, CROWD + 1, &count) != 0 || count != CROWD) return false;
    for (size_t i = 0; i < CROWD; i++)
        for (size_t k = 0; k < CROWD; k++) told += callers[k].task_id == pintle_task_id(crowd[i].task);
    return told == CROWD && callers[CROWD].task_id == 0 && pintle_dll_callers(p->dll, callers, 3, &count) == 0 &&
           count == CROWD;
}
static int close_with_crowd(void *arg) {
    plugin p;
    (void)arg;
    helper_gate_init(&gate);
    helper_sem_init(&entered);
    if (!plugin_open(&p)) return 1;
    for (size_t i = 0; i < CROWD; i++) EXPECT(visitor_start(&crowd[i], &p, &gate, &entered, NULL));
    EXPECT(weighs_right(&p)); /* in a crowded table */
    EXPECT(pintle_dll_close(p.dll, PINTLE_NOWAIT) == PINTLE_EBUSY && error_has("197 more"));
    EXPECT(crowd_is_told(&p));
    EXPECT(pintle_dll_reopen(p.dll) == 0);
    EXPECT(weighs_right(&p));
    helper_gate_open(&gate);
    EXPECT(pintle_dll_close(p.dll, PINTLE_FOREVER) == 0);
    for (size_t i = 0; i < CROWD; i++) EXPECT(pintle_join(crowd[i].task, PINTLE_FOREVER) == 0);
    end_visited();
    return 0;
}
CASE(close_counts_each_of_200_calls_in_flight) { run_tasks(close_with_crowd, 2); }

enum { NESTING = 200 };
typedef struct nest {
    const plugin *p;
    int depth;
} nest;
static int go_deeper(void *arg) {
    nest *n = arg;
    const uintptr_t args[] = {(uintptr_t)(void *)go_deeper, (uintptr_t)n};
    if (n->depth++ < NESTING) return pintle_result_int(pintle_proc_call(n->p->run, 2, args));
    EXPECT(pintle_dll_close(n->p->dll, PINTLE_FOREVER) == PINTLE_EBUSY && error_has("197 more"));
    EXPECT(pintle_dll_reopen(n->p->dll) == 0);
    return 77;
}
static int close_nested(void *arg) {
    plugin p;
    (void)arg;
    if (!plugin_open(&p)) return 1;
    nest n = {.p = &p};
    EXPECT(pintle_call(go_deeper, &n) == 77);
    EXPECT(pintle_dll_close(p.dll, PINTLE_NOWAIT) == 0);
    return 0;
}
CASE(close_counts_each_of_200_nested_calls) { run_tasks(close_nested, 1); }

static int acquire_and_close(void *arg) {
    plugin p;
    pintle_dll_caller caller;
    size_t count;
    (void)arg;
    if (!plugin_open(&p)) return 1;
    EXPECT(pintle_dll_acquire(p.dll) == 0);
    EXPECT(pintle_dll_acquire(p.dll) == 0);
    EXPECT(pintle_dll_close(p.dll, PINTLE_NOWAIT) == PINTLE_EBUSY && error_has("2 not yet released"));
    EXPECT(pintle_dll_callers(p.dll, &caller, 1, &count) == 0 && count == 2 && caller.function[0] == 0);
    pintle_dll_release(p.dll);
    EXPECT(pintle_dll_close(p.dll, PINTLE_NOWAIT) == PINTLE_EBUSY && error_has("1 not yet released"));
    EXPECT(pintle_dll_acquire(p.dll) == PINTLE_ECLOSED);
    EXPECT(pintle_dll_acquire(NULL) == PINTLE_EINVAL);
    pintle_dll_release(p.dll);
    EXPECT(pintle_dll_close(p.dll, PINTLE_NOWAIT) == 0);
    return 0;
}
CASE(acquired_dll_is_busy_until_released) { run_tasks(acquire_and_close, 1); }

/* ---- Calls that race with closing ---- */

enum { ROUNDS = 40, RACERS = 16 };
static plugin raced;
static _Atomic unsigned raced_calls;

static void race(void *arg) {
    unsigned calls = 0;
    pintle_result result;
    (void)arg;
    while (pintle_proc_try_call(raced.weigh, 3, one_two_three, &result) == 0) {
        EXPECT(result.r1 == 321); /* code that is gone would crash */
        if (++calls % 8 == 0) pintle_yield();
    }
    EXPECT(last_code() == PINTLE_ECLOSED);
    atomic_fetch_add(&raced_calls, calls);
}
static int close_under_fire(void *arg) {
    (void)arg;
    for (int round = 0; round < ROUNDS; round++) {
        pintle_task *tasks[RACERS];
        if (!plugin_open(&raced)) return 1;
        EXPECT(helper_spawn_all(tasks, RACERS, race, NULL) == 0);
        for (int i = 0; i < round; i++) pintle_yield();
        /* Refused for good, but not unloaded before the racers have seen it: the handle itself is gone with the close. */
        EXPECT(pintle_dll_acquire(raced.dll) == 0);
        int code = pintle_dll_close(raced.dll, PINTLE_NOWAIT);
        EXPECT(code == PINTLE_EBUSY);
        EXPECT(helper_join_all(tasks, RACERS) == 0);
        pintle_dll_release(raced.dll);
        EXPECT(pintle_dll_close(raced.dll, PINTLE_NOWAIT) == 0); /* nobody is left inside, or miscounted */
    }
    return 0;
}
CASE(close_under_fire_loses_no_call) { run_tasks(close_under_fire, 4); }
