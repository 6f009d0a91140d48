/* test_callback.c: foreign code runs code of a task: from a call, in place, nested, waiting, and leaving by a panic. */
#include "api/api_helpers.h"

/* ---- From a call ---- */

typedef struct visit {
    pintle_task *caller, *seen;
    uint64_t thread_before, thread_inside;
    unsigned depth, most, entered;
    bool pinned;
    int wrong;
} visit;

static void visit_task(void *arg) {
    visit *v = arg;
    v->seen = pintle_self();
    v->thread_inside = helper_thread_id();
    v->entered++;
}
static int visit_from_call(void *arg) {
    visit *v = arg;
    v->thread_before = helper_thread_id();
    return pintle_callback(visit_task, v) == 0 ? 17 : -1;
}
static int one_main(void *arg) {
    visit *v = arg;
    v->caller = pintle_self();
    return pintle_call(visit_from_call, v);
}
CASE(callback_from_a_call_is_the_same_task_on_the_same_thread) {
    visit v = {0};
    ck_assert_int_eq(helper_run(one_main, &v, 2), 17);
    ck_assert_ptr_eq(v.seen, v.caller);
    ck_assert_uint_eq(v.thread_inside, v.thread_before);
    ck_assert_uint_eq(v.entered, 1);
}

/* ---- Nested ---- */

static int nest_call(void *arg);
static void nest_task(void *arg) {
    visit *v = arg;
    uint64_t thread = helper_thread_id();
    unsigned depth = ++v->depth;
    v->entered++;
    if (depth % 7 == 0) pintle_yield();
    if (depth < v->most && pintle_call(nest_call, v) != (int)depth + 1) v->wrong++;
    if (depth % 5 == 0) pintle_sleep(PINTLE_US(10));
    if (helper_thread_id() != thread) v->wrong++;
    if (v->depth-- != depth) v->wrong++;
}
static int nest_call(void *arg) {
    visit *v = arg;
    int depth = (int)v->depth + 1;
    if (pintle_callback(nest_task, v) != 0) v->wrong++;
    return depth;
}
static int nest_main(void *arg) {
    visit *v = arg;
    for (int i = 0; i < 3; i++)
        if (pintle_call(nest_call, v) != 1) v->wrong++;
    return 0;
}
CASE(callbacks_nest_a_hundred_deep) {
    visit v = {.most = 120};
    ck_assert_int_eq(helper_run(nest_main, &v, 2), 0);
    ck_assert_int_eq(v.wrong, 0);
    ck_assert_uint_eq(v.entered, 360);
}

/* ---- In place ---- */

static int compare_count;
static uintptr_t compare(void *user, const uintptr_t *args) {
    int a = *(const int *)args[0], b = *(const int *)args[1];
    ++*(unsigned *)user;
    if (++compare_count % 100 == 0) pintle_yield();
    return (uintptr_t)(intptr_t)((a > b) - (a < b));
}
typedef int compare_fn(const void *, const void *);
enum { ITEMS = 1000, SEARCHES = 20 };
typedef struct sorting {
    int items[ITEMS];
    unsigned compared;
    pintle_thunk *thunk;
} sorting;
/* How many are not found. */
static int sort_in_call(void *arg) {
    sorting *s = arg;
    compare_fn *code = (compare_fn *)(uintptr_t)pintle_thunk_pointer(s->thunk);
    int beyond = 100000, missing;
    qsort(s->items, ITEMS, sizeof s->items[0], code);
    missing = bsearch(&beyond, s->items, ITEMS, sizeof s->items[0], code) != NULL;
    for (int i = 0; i < SEARCHES; i++) {
        const int *found = bsearch(&s->items[i * 40], s->items, ITEMS, sizeof s->items[0], code);
        missing += found == NULL || *found != s->items[i * 40];
    }
    return missing;
}
static int sort_main(void *arg) {
    sorting *s = arg;
    helper_random random = helper_random_from(42);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < ITEMS; i++) s->items[i] = (int)helper_random_below(&random, 100000);
        if ((round == 0 ? pintle_call(sort_in_call, s) : sort_in_call(s)) != 0) return 2;
        for (int i = 1; i < ITEMS; i++)
            if (s->items[i - 1] > s->items[i]) return 1;
    }
    return 0;
}
CASE(qsort_and_bsearch_work_through_a_thunk_in_a_call_and_directly) {
    static sorting s;
    ck_assert_int_eq(pintle_thunk_new(&s.thunk, compare, &s.compared, 2, 0), 0);
    ck_assert_int_eq(helper_run(sort_main, &s, 2), 0);
    ck_assert_uint_gt(s.compared, 2000);
    ck_assert_int_eq(pintle_thunk_free(s.thunk), 0);
}

/* ---- What callbacks may do ---- */

typedef struct doing {
    pintle_event event;
    pintle_task *server;
    uint64_t thread;
    unsigned steps;
    atomic_uint spawned;
    int wrong;
} doing;
#define EXPECT(d, condition) ((condition) ? (void)0 : (void)((d)->wrong = __LINE__))

static void count_spawned(void *arg) { atomic_fetch_add(&((doing *)arg)->spawned, 1); }
static void set_event(void *arg) {
    doing *d = arg;
    EXPECT(d, helper_thread_id() != d->thread); /* that one waits with its task */
    pintle_event_set(&d->event);
}
static int add_one(void *arg) { return ++*(int *)arg; }
static void do_all(void *arg) {
    doing *d = arg;
    pintle_task *tasks[10];
    int number = 0;
    uint64_t thread = helper_thread_id();
    d->thread = thread;
    EXPECT(d, pintle_pinned());
    for (int i = 0; i < 10; i++) pintle_yield();
    EXPECT(d, pintle_sleep(PINTLE_US(200)) == 0);
    EXPECT(d, helper_spawn_all(tasks, 10, count_spawned, d) == 0);
    EXPECT(d, helper_join_all(tasks, 10) == 0 && d->spawned == 10);
    pintle_event_init(&d->event);
    EXPECT(d, pintle_spawn(&tasks[0], set_event, d) == 0);
    EXPECT(d, pintle_event_wait(&d->event, PINTLE_FOREVER) == 0);
    EXPECT(d, pintle_join(tasks[0], PINTLE_FOREVER) == 0);
    pintle_event_destroy(&d->event);
    for (int i = 0; i < 100; i++) EXPECT(d, pintle_call(add_one, &number) == i + 1);
    EXPECT(d, pintle_call_blocking(add_one, &number) == 101);
    pintle_blocking_begin();
    add_one(&number);
    pintle_blocking_end();
    EXPECT(d, number == 102);
    pintle_pin();
    pintle_yield();
    EXPECT(d, pintle_pinned());
    pintle_unpin();
    EXPECT(d, pintle_pinned()); /* the callback's own */
    EXPECT(d, helper_thread_id() == thread);
    d->steps++;
}
static int do_all_call(void *arg) {
    doing *d = arg;
    uint64_t thread = helper_thread_id();
    d->spawned = 0;
    EXPECT(d, pintle_callback(do_all, d) == 0);
    EXPECT(d, helper_thread_id() == thread);
    return 0;
}
static int do_all_main(void *arg) {
    doing *d = arg;
    for (int i = 0; i < 5; i++) {
        pintle_call(do_all_call, d);
        EXPECT(d, !pintle_pinned());
        pintle_call_blocking(do_all_call, d);
        EXPECT(d, !pintle_pinned());
        do_all_call(d); /* in place */
        EXPECT(d, !pintle_pinned());
        pintle_blocking_begin(); /* in place, in a section: left and entered again */
        do_all_call(d);
        pintle_blocking_end();
        EXPECT(d, !pintle_pinned());
    }
    return pintle_check();
}
static void assert_all_works(unsigned processors) {
    doing d = {0};
    ck_assert_int_eq(helper_run(do_all_main, &d, processors), 0);
    ck_assert_msg(d.wrong == 0, "line %d", d.wrong);
    ck_assert_uint_eq(d.steps, 20);
}
CASE(callbacks_do_all_that_tasks_do_however_they_are_entered) { assert_all_works(2); }
CASE(callbacks_do_all_that_tasks_do_with_one_processor) { assert_all_works(1); }

/* ---- Pins ---- */

static void pin_more(void *arg) {
    *(uint64_t *)arg = helper_thread_id();
    pintle_pin();
    pintle_pin();
    pintle_unpin();
}
static int pin_call(void *arg) { return pintle_callback(pin_more, arg); }
static int pin_main(void *arg) {
    doing *d = arg;
    for (int i = 0; i < 1000; i++) {
        uint64_t inside = 0;
        pintle_call(pin_call, &inside);
        EXPECT(d, pintle_pinned()); /* by the user, in the callback */
        pintle_yield();
        EXPECT(d, helper_thread_id() == inside);
        pintle_unpin();
        EXPECT(d, !pintle_pinned());
    }
    return 0;
}
CASE(pin_taken_in_a_callback_stays_until_it_is_given_back) {
    doing d = {0};
    ck_assert_int_eq(helper_run(pin_main, &d, 2), 0);
    ck_assert_msg(d.wrong == 0, "line %d", d.wrong);
}

/* ---- Error numbers ---- */

static void errors_inside(void *arg) {
    doing *d = arg;
    EXPECT(d, helper_errno() == 11);
    EXPECT(d, helper_last_error() == (d->steps != 0 ? 1234u : 12u));
    pintle_yield();
    EXPECT(d, helper_errno() == 11);
    helper_set_last_error(4322);
    helper_set_errno(21);
    pintle_sleep(PINTLE_US(50));
}
static int errors_outside(void *arg) {
    doing *d = arg;
    helper_set_last_error(1234);
    helper_set_errno(11);
    EXPECT(d, pintle_callback(errors_inside, d) == 0);
    EXPECT(d, helper_errno() == 21);
    EXPECT(d, helper_last_error() == (d->steps != 0 ? 4322u : 22u));
    return 0;
}
static void errors_foreign(void *arg) {
    for (int i = 0; i < 20; i++) errors_outside(arg);
}
static int join_foreign(void *thread) {
    helper_thread_join(thread);
    return 0;
}
static int errors_main(void *arg) {
    helper_thread thread;
    for (int i = 0; i < 20; i++) {
        pintle_call(errors_outside, arg);
        pintle_call_blocking(errors_outside, arg);
        errors_outside(arg);
        pintle_blocking_begin();
        errors_outside(arg);
        pintle_blocking_end();
    }
    helper_thread_start(&thread, errors_foreign, arg);
    return pintle_call_blocking(join_foreign, &thread);
}
CASE(error_numbers_go_into_callbacks_and_out_of_them) {
    doing d = {0};
#if defined(_WIN32)
    d.steps = 1; /* there is a last error beside errno */
#endif
    ck_assert_int_eq(helper_run(errors_main, &d, 2), 0);
    ck_assert_msg(d.wrong == 0, "line %d", d.wrong);
}

/* ---- Many at once ---- */

typedef struct ring {
    pintle_event go[10], gone[10];
    atomic_uint inside, most, next, wrong;
} ring;
static void ring_callback(void *arg) {
    ring *r = arg;
    unsigned me = atomic_fetch_add(&r->next, 1), inside = atomic_fetch_add(&r->inside, 1) + 1;
    if (inside == 10) atomic_store(&r->most, 10);
    for (int i = 0; i < 20; i++) {
        if (pintle_event_wait(&r->go[me], PINTLE_FOREVER) != 0) atomic_fetch_add(&r->wrong, 1);
        pintle_event_reset(&r->go[me]);
        pintle_event_set(&r->gone[me]);
    }
    atomic_fetch_sub(&r->inside, 1);
}
static int ring_call(void *arg) { return pintle_callback(ring_callback, arg); }
static void ring_task(void *arg) {
    if (pintle_call(ring_call, arg) != 0) atomic_fetch_add(&((ring *)arg)->wrong, 1);
}
static int ring_main(void *arg) {
    ring *r = arg;
    pintle_task *tasks[10];
    for (int i = 0; i < 10; i++) {
        pintle_event_init(&r->go[i]);
        pintle_event_init(&r->gone[i]);
    }
    if (helper_spawn_all(tasks, 10, ring_task, r) != 0) return 1;
    while (atomic_load(&r->inside) < 10) pintle_sleep(PINTLE_US(100));
    for (int round = 0; round < 20; round++)
        for (int i = 9; i >= 0; i--) {
            pintle_event_set(&r->go[i]);
            if (pintle_event_wait(&r->gone[i], PINTLE_FOREVER) != 0) return 2;
            pintle_event_reset(&r->gone[i]);
        }
    return (int)helper_join_all(tasks, 10);
}
static void assert_ten_at_once(unsigned processors) {
    static ring r;
    memset(&r, 0, sizeof r);
    ck_assert_int_eq(helper_run(ring_main, &r, processors), 0);
    ck_assert_uint_eq(atomic_load(&r.most), 10);
    ck_assert_uint_eq(atomic_load(&r.wrong), 0);
}
CASE(ten_callbacks_wait_at_once) { assert_ten_at_once(2); }
CASE(ten_callbacks_wait_at_once_with_one_processor) { assert_ten_at_once(1); }

/* ---- The processor was taken meanwhile ---- */

typedef struct taking {
    atomic_uint turns;
    unsigned before, after, rounds;
    int wrong;
} taking;
static void taking_inside(void *arg) {
    taking *t = arg;
    if (t->before == atomic_load(&t->turns)) t->wrong = __LINE__;
}
/* Foreign code that blocks until another task has had a turn: with one processor, that is ours. */
static int taking_call(void *arg) {
    taking *t = arg;
    unsigned seen = atomic_load(&t->turns);
    t->before = seen;
    while (atomic_load(&t->turns) == seen) helper_compute(PINTLE_US(10));
    if (pintle_callback(taking_inside, t) != 0) t->wrong = __LINE__;
    seen = atomic_load(&t->turns);
    while (atomic_load(&t->turns) == seen) helper_compute(PINTLE_US(10));
    return 0;
}
static void take_turns(void *arg) {
    taking *t = arg;
    while (t->rounds != 0) {
        atomic_fetch_add(&t->turns, 1);
        pintle_yield();
    }
}
static int taking_main(void *arg) {
    taking *t = arg;
    pintle_task *task;
    pintle_stats before, after;
    pintle_stats_get(&before);
    if (pintle_spawn(&task, take_turns, t) != 0) return 1;
    for (; t->rounds > 0; t->rounds--) pintle_call(taking_call, t);
    pintle_stats_get(&after);
    if (pintle_join(task, PINTLE_FOREVER) != 0) return 2;
    return after.slow_leaves > before.slow_leaves ? 0 : 3;
}
CASE(callback_waits_for_a_processor_where_the_calls_was_taken) {
    taking t = {.rounds = 20};
    ck_assert_int_eq(helper_run_strict(taking_main, &t), 0);
    ck_assert_msg(t.wrong == 0, "line %d", t.wrong);
}

/* ---- Through DLLs ---- */

typedef struct through {
    pintle_dll *dll;
    pintle_proc *apply;
    pintle_thunk *thunk;
    unsigned depth;
    int wrong;
} through;
static uintptr_t apply_again(void *user, const uintptr_t *args) {
    through *t = user;
    uintptr_t n = args[0];
    if (n == 0) return 0;
    uintptr_t words[] = {(uintptr_t)pintle_thunk_pointer(t->thunk), n - 1};
    if (n % 9 == 0) pintle_yield();
    return 1 + pintle_proc_call(t->apply, 2, words).r1;
}
static int through_main(void *arg) {
    through *t = arg;
    if (pintle_dll_open(&t->dll, test_dll_path("words"), 0) != 0) return 1;
    if (pintle_dll_find(t->dll, "words_apply", &t->apply) != 0) return 2;
    if (pintle_thunk_new(&t->thunk, apply_again, t, 1, 0) != 0) return 3;
    uintptr_t words[] = {(uintptr_t)pintle_thunk_pointer(t->thunk), 100};
    for (int i = 0; i < 20; i++)
        if (pintle_proc_call(t->apply, 2, words).r1 != 100) return 4;
    if (pintle_thunk_free(t->thunk) != 0) return 5;
    return pintle_dll_close(t->dll, PINTLE_FOREVER);
}
CASE(dll_calls_back_and_is_called_again_a_hundred_deep) {
    through t = {0};
    ck_assert_int_eq(helper_run(through_main, &t, 2), 0);
}

/* ---- Panics across foreign frames ---- */

typedef struct crossing {
    unsigned landed, deferred, rounds;
    int wrong;
} crossing;
static void note_deferred(void *arg) { ((crossing *)arg)->deferred++; }
static void cross_task(void *arg) {
    pintle_defer(note_deferred, arg);
    pintle_panic("out of here, %d", 5);
}
static int cross_call(void *arg) {
    pintle_callback(cross_task, arg);
    ((crossing *)arg)->wrong++;
    return 0;
}
static void cross_protected(void *arg) {
    pintle_call(cross_call, arg);
    ((crossing *)arg)->wrong++;
}
static int cross_main(void *arg) {
    crossing *c = arg;
    pintle_panic_info info;
    for (unsigned i = 0; i < c->rounds; i++) {
        if (pintle_protect(cross_protected, c, &info) != PINTLE_EPANIC || strcmp(info.text, "out of here, 5") != 0)
            c->wrong++;
        c->landed++;
        if (pintle_pinned()) c->wrong++;
    }
    pintle_yield();
    return 0;
}
CASE_TIMEOUT(panic_in_a_callback_is_stopped_outside_the_call_100000_times, 60) {
    crossing c = {.rounds = 100000 / TEST_SLOWNESS};
    ck_assert_int_eq(helper_run(cross_main, &c, 2), 0);
    ck_assert_int_eq(c.wrong, 0);
    ck_assert_uint_eq(c.landed, c.rounds);
    ck_assert_uint_eq(c.deferred, c.rounds);
}
