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
enum { ITEMS = 1000 };
typedef struct sorting {
    int items[ITEMS];
    unsigned compared;
    pintle_thunk *thunk;
} sorting;
static int sort_in_call(void *arg) {
    sorting *s = arg;
    qsort(s->items, ITEMS, sizeof s->items[0], (compare_fn *)(uintptr_t)pintle_thunk_pointer(s->thunk));
    return 0;
}
static int sort_main(void *arg) {
    sorting *s = arg;
    helper_random random = helper_random_from(42);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < ITEMS; i++) s->items[i] = (int)helper_random_below(&random, 100000);
        if (round == 0)
            pintle_call(sort_in_call, s);
        else
            sort_in_call(s);
        for (int i = 1; i < ITEMS; i++)
            if (s->items[i - 1] > s->items[i]) return 1;
    }
    return 0;
}
CASE(qsort_sorts_through_a_thunk_in_a_call_and_directly) {
    static sorting s;
    ck_assert_int_eq(pintle_thunk_new(&s.thunk, compare, &s.compared, 2, 0), 0);
    ck_assert_int_eq(helper_run(sort_main, &s, 2), 0);
    ck_assert_uint_gt(s.compared, 2000);
    ck_assert_int_eq(pintle_thunk_free(s.thunk), 0);
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

/* ---- Foreign threads ---- */

typedef struct foreign {
    _Atomic uint64_t thread_inside;
    pintle_task *_Atomic task;
    atomic_int code;
    unsigned rounds;
} foreign;
static void foreign_task(void *arg) {
    foreign *f = arg;
    uint64_t thread = helper_thread_id();
    f->task = pintle_self();
    pintle_yield();
    pintle_sleep(PINTLE_US(50));
    if (helper_thread_id() == thread) f->thread_inside = thread;
}
static void foreign_thread(void *arg) {
    foreign *f = arg;
    for (unsigned i = 0; i < f->rounds && f->code == 0; i++) f->code = pintle_callback(foreign_task, f);
    if (f->thread_inside != helper_thread_id()) f->code = 99;
}
static int foreign_main(void *arg) {
    foreign *f = arg;
    helper_thread thread;
    helper_thread_start(&thread, foreign_thread, f);
    while (pintle_call_blocking(helper_return_at_once, NULL) == 0 && f->thread_inside == 0 && f->code == 0)
        pintle_sleep(PINTLE_MS(1));
    helper_thread_join(&thread);
    return f->code;
}
CASE(callback_on_a_foreign_thread_is_a_task_on_that_thread) {
    foreign f = {.rounds = 100};
    ck_assert_int_eq(helper_run(foreign_main, &f, 2), 0);
    ck_assert_ptr_nonnull(f.task);
}
