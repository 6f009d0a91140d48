/* Threads that the runtime did not make call in: the first time, again, many at once, many one after another, before the
 * start, while it stops, after it. */
#include "api_helpers.h"

static uint64_t attached_count(void) {
    pintle_stats stats;
    pintle_stats_get(&stats);
    return stats.attached;
}

static int join_thread(void *thread) {
    helper_thread_join(thread);
    return 0;
}

/* ---- One thread ---- */

typedef struct foreign {
    pintle_event event;
    pintle_local *local;
    pintle_thunk *thunk;
    unsigned rounds, done;
    uint64_t last_id, attached;
    uintptr_t answer;
    int code, wrong;
} foreign;
#define EXPECT(f, condition) ((condition) ? (void)0 : (void)((f)->wrong = __LINE__))

static void set_event(void *arg) { pintle_event_set(arg); }
static int add_one(void *arg) { return ++*(int *)arg; }
static void visit(void *arg) {
    foreign *f = arg;
    uint64_t thread = helper_thread_id();
    pintle_task *task;
    int number = 1;
    EXPECT(f, pintle_self() != NULL);
    EXPECT(f, pintle_task_id(pintle_self()) > f->last_id); /* a new task each time */
    EXPECT(f, strcmp(pintle_task_name(pintle_self()), "callback") == 0);
    f->last_id = pintle_task_id(pintle_self());
    EXPECT(f, pintle_local_get(f->local) == NULL);
    pintle_local_set(f->local, f);
    pintle_yield();
    EXPECT(f, pintle_sleep(PINTLE_US(50)) == 0);
    pintle_event_init(&f->event);
    EXPECT(f, pintle_spawn(&task, set_event, &f->event) == 0);
    EXPECT(f, pintle_event_wait(&f->event, PINTLE_FOREVER) == 0);
    EXPECT(f, pintle_join(task, PINTLE_FOREVER) == 0);
    pintle_event_destroy(&f->event);
    EXPECT(f, pintle_call(add_one, &number) == 2);
    EXPECT(f, pintle_call_blocking(add_one, &number) == 3);
    EXPECT(f, pintle_pinned());
    EXPECT(f, helper_thread_id() == thread);
    EXPECT(f, pintle_local_get(f->local) == f);
    f->done++;
}
static void visit_often(void *arg) {
    foreign *f = arg;
    helper_stack own = helper_own_stack();
    for (unsigned i = 0; i < f->rounds; i++) {
        EXPECT(f, pintle_callback(visit, f) == 0);
        EXPECT(f, pintle_self() == NULL);
        EXPECT(f, helper_own_stack().low == own.low && helper_own_stack().high == own.high);
    }
}
static int visit_main(void *arg) {
    foreign *f = arg;
    helper_thread thread;
    if (pintle_local_new(&f->local, NULL) != 0) return 1;
    if (!helper_thread_start(&thread, visit_often, f)) return 2;
    pintle_call_blocking(join_thread, &thread);
    return pintle_check();
}
static void assert_visits(unsigned rounds, unsigned processors) {
    foreign f = {.rounds = rounds};
    ck_assert_int_eq(helper_run(visit_main, &f, processors), 0);
    ck_assert_msg(f.wrong == 0, "line %d", f.wrong);
    ck_assert_uint_eq(f.done, rounds);
}
CASE(foreign_thread_calls_in_for_the_first_time) { assert_visits(1, 2); }
CASE(foreign_thread_calls_in_again_and_again) { assert_visits(300, 2); }
CASE(foreign_thread_calls_in_with_one_processor) { assert_visits(100, 1); }

/* ---- Many threads ---- */

typedef struct many {
    foreign each[10];
    pintle_local *local;
    uint64_t attached_most;
} many;
static int many_main(void *arg) {
    many *m = arg;
    helper_thread threads[10];
    if (pintle_local_new(&m->local, NULL) != 0) return 1;
    for (int i = 0; i < 10; i++) {
        m->each[i].rounds = 6;
        m->each[i].local = m->local;
        if (!helper_thread_start(&threads[i], visit_often, &m->each[i])) return 2;
    }
    for (int i = 0; i < 10; i++) pintle_call_blocking(join_thread, &threads[i]);
    return pintle_check();
}
static void assert_ten_threads(unsigned processors) {
    many m = {0};
    ck_assert_int_eq(helper_run(many_main, &m, processors), 0);
    for (int i = 0; i < 10; i++) {
        ck_assert_msg(m.each[i].wrong == 0, "thread %d: line %d", i, m.each[i].wrong);
        ck_assert_uint_eq(m.each[i].done, 6);
    }
}
CASE(ten_foreign_threads_call_in_six_times_each) { assert_ten_threads(2); }
CASE(ten_foreign_threads_call_in_with_one_processor) { assert_ten_threads(1); }

static void count_visit(void *arg) { ++*(unsigned *)arg; }
static void call_in_and_end(void *arg) {
    if (pintle_callback(count_visit, arg) != 0) *(unsigned *)arg += 1000000;
}
#if defined(_WIN32)
static unsigned system_handles(void) {
    DWORD count = 0;
    GetProcessHandleCount(GetCurrentProcess(), &count);
    return count;
}
#else
static unsigned system_handles(void) { return 0; }
#endif
enum { SHORT_LIVED = 10000 / TEST_SLOWNESS };
typedef struct short_lived {
    unsigned visits, handles_before, handles_after;
    uint64_t attached;
} short_lived;
static int short_lived_main(void *arg) {
    short_lived *s = arg;
    for (unsigned i = 0; i < SHORT_LIVED; i++) {
        helper_thread thread;
        if (!helper_thread_start(&thread, call_in_and_end, &s->visits)) return 1;
        pintle_call_blocking(join_thread, &thread);
        if (i == 100) s->handles_before = system_handles();
        if (attached_count() > s->attached) s->attached = attached_count();
    }
    s->handles_after = system_handles();
    return pintle_check();
}
CASE_TIMEOUT(threads_that_end_at_once_leave_nothing_10000_times, 120) {
    short_lived s = {0};
    ck_assert_int_eq(helper_run(short_lived_main, &s, 2), 0);
    ck_assert_uint_eq(s.visits, SHORT_LIVED);
    ck_assert_uint_le(s.attached, 8);
    ck_assert_uint_le(s.handles_after, s.handles_before + 40);
}

/* Hundreds at a time, ended before the next hundreds come. */
static int waves_main(void *arg) {
    static helper_thread threads[100];
    static unsigned visits[100];
    uint64_t *most = arg;
    for (int wave = 0; wave < 10; wave++) {
        for (int i = 0; i < 100; i++)
            if (!helper_thread_start(&threads[i], call_in_and_end, &visits[i])) return 1;
        for (int i = 0; i < 100; i++) pintle_call_blocking(join_thread, &threads[i]);
        if (attached_count() > *most) *most = attached_count();
    }
    for (int i = 0; i < 100; i++)
        if (visits[i] != 10) return 2;
    return pintle_check();
}
CASE_TIMEOUT(waves_of_foreign_threads_do_not_add_up, 60) {
    uint64_t most = 0;
    ck_assert_int_eq(helper_run(waves_main, &most, 2), 0);
    ck_assert_uint_le(most, 220);
}

/* ---- By name ---- */

static void attach_and_detach(void *arg) {
    foreign *f = arg;
    uint64_t before = attached_count();
    for (int i = 0; i < 50; i++) {
        EXPECT(f, pintle_thread_attach() == 0);
        EXPECT(f, pintle_thread_attach() == 0);
        EXPECT(f, attached_count() == before + 1);
        EXPECT(f, pintle_self() == NULL);
        EXPECT(f, pintle_callback(visit, f) == 0);
        EXPECT(f, attached_count() == before + 1);
        pintle_thread_detach();
        pintle_thread_detach();
        EXPECT(f, attached_count() == before);
        EXPECT(f, pintle_callback(visit, f) == 0); /* and attached by itself again */
        EXPECT(f, attached_count() == before + 1);
        pintle_thread_detach();
    }
}
static int attach_main(void *arg) {
    foreign *f = arg;
    helper_thread thread;
    if (pintle_local_new(&f->local, NULL) != 0) return 1;
    EXPECT(f, pintle_thread_attach() == 0); /* our own threads: nothing */
    pintle_thread_detach();
    EXPECT(f, attached_count() == 0);
    helper_thread_start(&thread, attach_and_detach, f);
    pintle_call_blocking(join_thread, &thread);
    return pintle_check();
}
CASE(threads_attach_and_detach_by_name) {
    foreign f = {0};
    ck_assert_int_eq(helper_run(attach_main, &f, 2), 0);
    ck_assert_msg(f.wrong == 0, "line %d", f.wrong);
    ck_assert_uint_eq(f.done, 100);
    ck_assert_int_eq(pintle_thread_attach(), PINTLE_ESTOPPED);
    pintle_thread_detach();
}

/* ---- Before, after, while it stops ---- */

static int do_nothing_main(void *arg) {
    (void)arg;
    return 0;
}
static void visit_none(void *arg) { ++*(unsigned *)arg; }
CASE(callback_where_nothing_runs_is_an_error) {
    unsigned visits = 0;
    pintle_error error;
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(pintle_callback(visit_none, &visits), PINTLE_ESTOPPED);
        pintle_error_get(&error);
        ck_assert_int_eq(error.code, PINTLE_ESTOPPED);
        ck_assert_int_eq(helper_run(do_nothing_main, NULL, 1), 0);
    }
    ck_assert_uint_eq(visits, 0);
}

/* Threads that call in all the time while the runtime starts and stops: each call runs or says why not. */
typedef struct stopping {
    pintle_thunk *thunk;
    atomic_bool end;
    atomic_uint ran, refused, began, wrong;
} stopping;
static uintptr_t stopping_fn(void *user, const uintptr_t *args) {
    stopping *s = user;
    atomic_fetch_add(&s->began, 1);
    if (args[0] % 4 == 0) pintle_yield();
    if (args[0] % 16 == 0) pintle_sleep(PINTLE_US(20));
    return args[0] * 2;
}
typedef uintptr_t one_word_fn(uintptr_t);
static void call_in_all_the_time(void *arg) {
    stopping *s = arg;
    for (uintptr_t i = 1; !atomic_load(&s->end); i++) {
        uintptr_t answer = ((one_word_fn *)(uintptr_t)pintle_thunk_pointer(s->thunk))(i);
        if (answer == i * 2)
            atomic_fetch_add(&s->ran, 1);
        else if (answer == 404404404)
            atomic_fetch_add(&s->refused, 1);
        else
            atomic_fetch_add(&s->wrong, 1);
        if (i % 50 == 0) pintle_thread_detach();
    }
}
static int stopping_main(void *arg) {
    stopping *s = arg;
    unsigned before = atomic_load(&s->ran);
    while (atomic_load(&s->ran) < before + 20) pintle_sleep(PINTLE_US(100));
    return 0;
}
CASE_TIMEOUT(runtime_starts_and_stops_while_foreign_threads_call_in, 60) {
    static stopping s;
    pintle_thunk_options options = {.size = sizeof options, .nargs = 1, .closed_result = 404404404};
    helper_thread threads[4];
    ck_assert_int_eq(pintle_thunk_new_with(&s.thunk, stopping_fn, &s, &options), 0);
    for (int i = 0; i < 4; i++) ck_assert(helper_thread_start(&threads[i], call_in_all_the_time, &s));
    for (int i = 0; i < 50 / (TEST_SLOWNESS > 1 ? 5 : 1); i++)
        ck_assert_int_eq(helper_run(stopping_main, &s, 1 + (unsigned)i % 2), 0);
    atomic_store(&s.end, true);
    for (int i = 0; i < 4; i++) helper_thread_join(&threads[i]);
    ck_assert_uint_eq(atomic_load(&s.wrong), 0);
    ck_assert_uint_gt(atomic_load(&s.ran), 0);
    ck_assert_int_eq(pintle_thunk_free(s.thunk), 0);
}

/* Main returns while the callback waits: its wait is cancelled, as any task's. */
typedef struct left {
    helper_sem entered;
    pintle_event never;
    int wait_result, code;
    helper_thread thread;
} left;
static void wait_for_ever(void *arg) {
    left *l = arg;
    helper_sem_post(&l->entered);
    l->wait_result = pintle_event_wait(&l->never, PINTLE_FOREVER);
}
static void call_wait_for_ever(void *arg) {
    left *l = arg;
    l->code = pintle_callback(wait_for_ever, l);
}
static int wait_for_entry(void *arg) {
    helper_sem_wait(&((left *)arg)->entered);
    return 0;
}
static int left_main(void *arg) {
    left *l = arg;
    pintle_event_init(&l->never);
    if (!helper_thread_start(&l->thread, call_wait_for_ever, l)) return 1;
    return pintle_call_blocking(wait_for_entry, l);
}
CASE(callback_that_waits_while_main_returns_is_cancelled) {
    left l = {.code = 1};
    helper_sem_init(&l.entered);
    ck_assert_int_eq(helper_run(left_main, &l, 2), 0);
    helper_thread_join(&l.thread);
    ck_assert_int_eq(l.wait_result, PINTLE_ECANCELED);
    ck_assert_int_eq(l.code, 0);
    helper_sem_destroy(&l.entered);
}

/* ---- What ends the task ---- */

static void exit_inside(void *arg) {
    ++*(unsigned *)arg;
    pintle_task_exit();
}
static void exit_often(void *arg) {
    foreign *f = arg;
    for (int i = 0; i < 100; i++) EXPECT(f, pintle_callback(exit_inside, &f->done) == PINTLE_ECANCELED);
    EXPECT(f, pintle_callback(visit, f) == 0);
}
static int exit_main(void *arg) {
    foreign *f = arg;
    helper_thread thread;
    if (pintle_local_new(&f->local, NULL) != 0) return 1;
    helper_thread_start(&thread, exit_often, f);
    pintle_call_blocking(join_thread, &thread);
    return pintle_check();
}
CASE(task_exit_on_a_foreign_thread_lets_the_foreign_code_go_on) {
    foreign f = {0};
    ck_assert_int_eq(helper_run(exit_main, &f, 2), 0);
    ck_assert_msg(f.wrong == 0, "line %d", f.wrong);
    ck_assert_uint_eq(f.done, 101);
}

/* ---- Threads of a DLL ---- */

typedef struct in_dll {
    pintle_dll *dll;
    pintle_proc *on_thread;
    pintle_thunk *thunk;
    unsigned calls;
} in_dll;
static uintptr_t from_dll(void *user, const uintptr_t *args) {
    in_dll *d = user;
    d->calls++;
    pintle_sleep(PINTLE_US(50));
    return args[0] + 1;
}
static int in_dll_main(void *arg) {
    in_dll *d = arg;
    uintptr_t words[3] = {(uintptr_t)pintle_thunk_pointer(d->thunk), 10, 5};
    for (int load = 0; load < 5; load++) {
        if (pintle_dll_open(&d->dll, test_dll_path("threads"), 0) != 0) return 1;
        if (pintle_dll_find(d->dll, "threads_call", &d->on_thread) != 0) return 2;
        for (int i = 0; i < 5; i++)
            if (pintle_proc_call(d->on_thread, 3, words).r1 != 15) return 3;
        if (pintle_dll_close(d->dll, PINTLE_FOREVER) != 0) return 4;
    }
    return pintle_check();
}
CASE(threads_that_a_dll_makes_call_in_and_the_dll_is_unloaded) {
    in_dll d = {0};
    ck_assert_int_eq(pintle_thunk_new(&d.thunk, from_dll, &d, 1, 0), 0);
    ck_assert_int_eq(helper_run(in_dll_main, &d, 2), 0);
    ck_assert_uint_eq(d.calls, 125);
    ck_assert_int_eq(pintle_thunk_free(d.thunk), 0);
}
