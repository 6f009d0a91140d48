/* test_panic_foreign.c: panics and exits that meet foreign frames: they cross them, or wait for them to end; what is left
 * of the thread, the pins, the DLLs and the counters afterwards; and foreign threads. */
#include "api/dll_helpers.h"
#include "support/resources.h"

static atomic_uint deferred_ran, returned;
static void count_deferred(void *arg) {
    (void)arg;
    atomic_fetch_add(&deferred_ran, 1);
}
static int add_one(void *arg) { return *(int *)arg + 1; }

/* The next calls work as if nothing had happened, on the thread's own stack. */
static void still_works(void) {
    int value = 5;
    EXPECT(pintle_call(add_one, &value) == 6);
    EXPECT(pintle_call_blocking(add_one, &value) == 6);
    pintle_yield();
    EXPECT(pintle_call(add_one, &value) == 6);
    pintle_stats stats;
    pintle_stats_get(&stats);
    EXPECT(stats.calls_in_flight == 0);
}

/* ---- Crossing ---- */

static void panics(void *arg) {
    pintle_defer(count_deferred, NULL);
    pintle_panic("%s", arg != NULL ? (const char *)arg : "crosses");
}
/* Runs fn(arg) as a callback below `frames` foreign frames. */
typedef struct below {
    pintle_fn *fn;
    void *arg;
    unsigned frames;
} below;
static volatile unsigned keeps_frames;
HELPER_NOINLINE int foreign_frames(void *arg) {
    below *b = arg;
    volatile uint64_t room[8] = {1};
    int result;
    if (b->frames-- > 0)
        result = foreign_frames(b);
    else
        result = pintle_callback(b->fn, b->arg);
    keeps_frames += (unsigned)room[0];
    atomic_fetch_add(&returned, 1);
    return result;
}
static void calls_below(void *arg) {
    pintle_call(foreign_frames, arg);
    atomic_fetch_add(&returned, 1);
}
static int run_below(pintle_fn *fn, void *arg, unsigned frames, pintle_panic_info *out) {
    below b = {fn, arg, frames};
    atomic_store(&returned, 0);
    int result = pintle_protect(calls_below, &b, out);
    EXPECT(atomic_load(&returned) == (result == 0 ? frames + 2 : 0));
    return result;
}
static int frames_main(void *arg) {
    pintle_panic_info info;
    (void)arg;
    atomic_store(&deferred_ran, 0);
    for (unsigned frames = 0; frames < 20; frames++) {
        uint64_t thread = helper_thread_id();
        EXPECT(run_below(panics, NULL, frames, &info) == PINTLE_EPANIC && strcmp(info.text, "crosses") == 0);
        (void)thread;
        still_works();
    }
    EXPECT(atomic_load(&deferred_ran) == 20);
    return 0;
}
CASE(panic_crosses_any_number_of_foreign_frames) { run_tasks(frames_main, 2); }

static uintptr_t panics_when_compared(void *user, const uintptr_t *args) {
    unsigned *left = user;
    if ((*left)-- == 0) pintle_panic("cannot compare");
    return (uintptr_t)(intptr_t)(*(const int *)args[0] - *(const int *)args[1]);
}
typedef int compare_fn(const void *, const void *);
typedef struct sorting {
    pintle_thunk *thunk;
    int items[200];
} sorting;
static int sort_in_call(void *arg) {
    sorting *s = arg;
    qsort(s->items, ELEMENTS(s->items), sizeof s->items[0], (compare_fn *)(uintptr_t)pintle_thunk_pointer(s->thunk));
    return 0;
}
static void sorts_in_call(void *arg) { pintle_call(sort_in_call, arg); }
static void sorts_in_place(void *arg) { sort_in_call(arg); }
static void sorts_in_section(void *arg) {
    pintle_blocking_begin();
    sort_in_call(arg);
    pintle_blocking_end();
}
static void sorts_blocking(void *arg) { pintle_call_blocking(sort_in_call, arg); }
static int qsort_main(void *arg) {
    static pintle_fn *const ways[] = {sorts_in_call, sorts_in_place, sorts_in_section, sorts_blocking};
    unsigned left = 0;
    sorting s = {.thunk = NULL};
    (void)arg;
    EXPECT(pintle_thunk_new(&s.thunk, panics_when_compared, &left, 2, 0) == 0);
    for (size_t way = 0; way < ELEMENTS(ways); way++) {
        pintle_panic_info info;
        for (size_t i = 0; i < ELEMENTS(s.items); i++) s.items[i] = (int)(i * 7919 % 1000);
        left = 50;
        EXPECT(pintle_protect(ways[way], &s, &info) == PINTLE_EPANIC && strcmp(info.text, "cannot compare") == 0);
        still_works();
        left = 100000;
        EXPECT(pintle_protect(ways[way], &s, &info) == 0);
        for (size_t i = 1; i < ELEMENTS(s.items); i++) EXPECT(s.items[i - 1] <= s.items[i]);
    }
    EXPECT(pintle_thunk_free(s.thunk) == 0);
    return 0;
}
CASE(panic_crosses_qsort_in_a_call_in_place_and_in_a_section) { run_tasks(qsort_main, 2); }

static void nests(void *arg) {
    uintptr_t depth = (uintptr_t)arg;
    pintle_defer(count_deferred, NULL);
    if (depth % 3 == 0) pintle_sleep(PINTLE_US(20));
    if (depth == 0) pintle_panic("from the innermost");
    if (depth == 5) {
        EXPECT(run_below(nests, (void *)(depth - 1), 1, NULL) == PINTLE_EPANIC);
        still_works();
        pintle_panic("and another");
    }
    below b = {nests, (void *)(depth - 1), 1};
    calls_below(&b);
}
static int nested_main(void *arg) {
    pintle_panic_info info;
    (void)arg;
    atomic_store(&deferred_ran, 0);
    EXPECT(run_below(nests, (void *)30, 1, &info) == PINTLE_EPANIC && strcmp(info.text, "and another") == 0);
    EXPECT(atomic_load(&deferred_ran) == 31);
    still_works();
    return 0;
}
CASE(panic_in_a_callback_of_callbacks_crosses_all_of_them) { run_tasks(nested_main, 2); }

static void recover_it(void *arg) { EXPECT(pintle_recover(arg)); }
static void recovers(void *arg) {
    pintle_defer(recover_it, NULL);
    panics(arg);
}
static int recover_main(void *arg) {
    (void)arg;
    EXPECT(run_below(recovers, NULL, 3, NULL) == 0); /* the foreign code went on */
    still_works();
    return 0;
}
CASE(panic_recovered_in_the_callback_lets_the_foreign_code_go_on) { run_tasks(recover_main, 2); }

static int panics_in_call(void *arg) { pintle_panic("%s", (const char *)arg); }
static void calls_a_panic(void *arg) { pintle_call(panics_in_call, arg); }
static int in_call_main(void *arg) {
    pintle_panic_info info;
    (void)arg;
    EXPECT(pintle_protect(calls_a_panic, (void *)(uintptr_t) "no callback", &info) == PINTLE_EPANIC);
    EXPECT(strcmp(info.text, "no callback") == 0);
    still_works();
    EXPECT(run_below(calls_a_panic, (void *)(uintptr_t) "call in a callback", 2, &info) == PINTLE_EPANIC);
    EXPECT(strcmp(info.text, "call in a callback") == 0);
    still_works();
    return 0;
}
CASE(panic_in_a_call_without_a_callback_crosses_it) { run_tasks(in_call_main, 2); }

/* ---- Exits ---- */

static void exits(void *arg) {
    (void)arg;
    pintle_defer(count_deferred, NULL);
    pintle_task_exit();
}
static void exits_below(void *arg) {
    pintle_defer(count_deferred, NULL);
    (void)run_below(exits, arg, 3, NULL);
    EXPECT(!"the exit goes on");
}
static int exit_main(void *arg) {
    pintle_task *task;
    atomic_store(&deferred_ran, 0);
    for (int i = 0; i < 10; i++) {
        EXPECT(pintle_spawn(&task, exits_below, arg) == 0 && pintle_join(task, PINTLE_FOREVER) == 0);
        still_works();
    }
    EXPECT(atomic_load(&deferred_ran) == 20);
    return 0;
}
CASE(exit_in_a_callback_ends_the_task) { run_tasks(exit_main, 2); }

/* ---- Pins, DLLs ---- */

static void panics_pinned(void *arg) {
    (void)arg;
    pintle_pin();
    EXPECT(pintle_pinned());
    pintle_panic("pinned twice");
}
static int pins_main(void *arg) {
    (void)arg;
    pintle_pin();
    uint64_t thread = helper_thread_id();
    EXPECT(run_below(panics, NULL, 3, NULL) == PINTLE_EPANIC && pintle_pinned());
    EXPECT(run_below(panics_pinned, NULL, 3, NULL) == PINTLE_EPANIC && pintle_pinned());
    still_works();
    EXPECT(helper_thread_id() == thread);
    pintle_unpin();
    EXPECT(pintle_pinned());
    pintle_unpin();
    EXPECT(!pintle_pinned());
    EXPECT(run_below(panics, NULL, 3, NULL) == PINTLE_EPANIC && !pintle_pinned());
    return 0;
}
CASE(pins_of_the_user_stay_and_those_of_callbacks_go) { run_tasks(pins_main, 2); }

static int calls_back_panics(void *arg) { return pintle_callback(panics, arg); }
static void runs_in_dll(void *arg) {
    const plugin *p = arg;
    const uintptr_t words[] = {(uintptr_t)calls_back_panics, 0};
    pintle_proc_call(p->run, 2, words);
    EXPECT(!"panics");
}
static void runs_twice(void *arg) {
    const plugin *p = arg;
    EXPECT(pintle_protect(runs_in_dll, arg, NULL) == PINTLE_EPANIC);
    EXPECT(pintle_dll_close(p->dll, PINTLE_NOWAIT) == PINTLE_EBUSY); /* the outer call is still inside */
    EXPECT(pintle_dll_reopen(p->dll) == 0);
    runs_in_dll(arg);
}
static int calls_back_twice(void *arg) { return pintle_callback(runs_twice, arg); }
static void runs_nested(void *arg) {
    const plugin *p = arg;
    const uintptr_t words[] = {(uintptr_t)calls_back_twice, (uintptr_t)arg};
    pintle_proc_call(p->run, 2, words);
}
static int dll_main(void *arg) {
    plugin p;
    (void)arg;
    if (!plugin_open(&p)) return 1;
    for (int i = 0; i < 5; i++) EXPECT(pintle_protect(runs_in_dll, &p, NULL) == PINTLE_EPANIC);
    EXPECT(pintle_protect(runs_nested, &p, NULL) == PINTLE_EPANIC);
    EXPECT(weighs_right(&p));
    still_works();
    EXPECT(pintle_dll_close(p.dll, PINTLE_NOWAIT) == 0);
    return 0;
}
CASE(dll_that_a_panic_crossed_can_be_closed) { run_tasks(dll_main, 2); }

/* ---- PINTLE_PANIC_RETURN ---- */

enum { ANSWER = 77, CALLS_AFTER = 4 };
typedef struct staying {
    pintle_thunk *thunk, *crossing;
    unsigned run;     /* how often the callback's code ran */
    unsigned answers; /* right answers that the foreign code got */
    int code_inside;  /* of pintle_callback, after the panic */
    bool finished, exits, sleeps, panics_too;
    int (*way)(int (*fn)(void *), void *arg);
} staying;
typedef uintptr_t thunk_fn(uintptr_t);

static uintptr_t panics_staying(void *user, const uintptr_t *args) {
    staying *s = user;
    s->run++;
    (void)args;
    pintle_defer(count_deferred, NULL);
    if (s->exits) pintle_task_exit();
    pintle_panic("stays inside");
}
static void never_run(void *arg) { ((staying *)arg)->run += 100; }
static int foreign_stays(void *arg) {
    staying *s = arg;
    thunk_fn *call_back = (thunk_fn *)(uintptr_t)pintle_thunk_pointer(s->thunk);
    if (call_back(1) == ANSWER) s->answers++;
    if (s->sleeps) helper_compute(PINTLE_MS(2)); /* the processor is taken, and others ask for attention */
    for (uintptr_t i = 1; i < CALLS_AFTER; i++)
        if (call_back(i) == ANSWER) s->answers++;
    if (s->crossing != NULL && ((thunk_fn *)(uintptr_t)pintle_thunk_pointer(s->crossing))(0) == ANSWER + 1)
        s->answers++;
    s->code_inside = pintle_callback(never_run, s);
    if (s->panics_too) pintle_panic("from the call itself");
    s->finished = true;
    return 0;
}
static int way_call(int (*fn)(void *), void *arg) { return pintle_call(fn, arg); }
static int way_blocking(int (*fn)(void *), void *arg) { return pintle_call_blocking(fn, arg); }
static int way_section(int (*fn)(void *), void *arg) {
    pintle_blocking_begin();
    int result = fn(arg);
    EXPECT(((staying *)arg)->finished || ((staying *)arg)->panics_too);
    pintle_blocking_end();
    return result;
}
#if defined(_WIN32)
static int way_syscall(int (*fn)(void *), void *arg) {
    return (int)pintle_syscall((void *)(uintptr_t)fn, 1, (uintptr_t)arg, 0, 0).r1;
}
static int way_syscalln(int (*fn)(void *), void *arg) {
    return (int)pintle_syscalln((void *)(uintptr_t)fn, 1, (const uintptr_t[]){(uintptr_t)arg}).r1;
}
#endif
static int (*const ways[])(int (*fn)(void *), void *arg) = {
    way_call,    way_blocking, way_section,
#if defined(_WIN32)
    way_syscall, way_syscalln,
#endif
};
static void stays(void *arg) {
    staying *s = arg;
    s->way(foreign_stays, s);
    EXPECT(!"the call raises it again");
}
static void staying_begin(staying *s) {
    pintle_thunk_options options = {
        .size = sizeof options, .nargs = 1, .on_panic = PINTLE_PANIC_RETURN, .panic_result = ANSWER};
    memset(s, 0, sizeof *s);
    s->way = way_call;
    EXPECT(pintle_thunk_new_with(&s->thunk, panics_staying, s, &options) == 0);
}
static void staying_end(staying *s) { EXPECT(pintle_thunk_free(s->thunk) == 0); }
static void stays_once(staying *s) {
    pintle_panic_info info;
    s->run = s->answers = 0;
    s->finished = false;
    s->code_inside = 0;
    EXPECT(pintle_protect(stays, s, &info) == PINTLE_EPANIC);
    EXPECT(strcmp(info.text, s->panics_too ? "from the call itself" : "stays inside") == 0);
    EXPECT(s->run == 1);
    EXPECT(s->answers == CALLS_AFTER);
    EXPECT(s->code_inside == PINTLE_EPANIC);
    EXPECT(s->finished == !s->panics_too);
    still_works();
}
static int return_main(void *arg) {
    staying s;
    (void)arg;
    staying_begin(&s);
    for (size_t way = 0; way < ELEMENTS(ways); way++) {
        s.way = ways[way];
        for (int i = 0; i < 3; i++) {
            s.sleeps = s.panics_too = false;
            stays_once(&s);
            s.sleeps = true;
            stays_once(&s);
            s.panics_too = true;
            stays_once(&s);
        }
    }
    staying_end(&s);
    return 0;
}
CASE(panic_return_lets_the_foreign_code_finish_and_goes_on_when_its_call_ends) { run_tasks(return_main, 2); }

static void yields(void *arg) {
    while (!atomic_load((atomic_bool *)arg)) pintle_yield();
}
static int return_busy_main(void *arg) {
    atomic_bool over = false;
    pintle_task *tasks[4];
    EXPECT(helper_spawn_all(tasks, 4, yields, &over) == 0);
    return_main(arg);
    atomic_store(&over, true);
    EXPECT(helper_join_all(tasks, 4) == 0);
    return 0;
}
CASE(panic_return_when_the_processor_was_taken_meanwhile) {
    run_tasks(return_busy_main, 1);
    run_tasks(return_busy_main, 2);
}

static void stays_in_callback(void *arg) {
    staying *s = arg;
    pintle_defer(count_deferred, NULL);
    s->way(foreign_stays, s);
    EXPECT(!"raised in the callback that made the call");
}
static void protects_inside(void *arg) { stays_once(arg); }
static int return_nested_main(void *arg) {
    pintle_panic_info info;
    staying s;
    (void)arg;
    staying_begin(&s);
    /* It comes by the callback that made the call: that one crosses, or protects. */
    EXPECT(run_below(stays_in_callback, &s, 2, &info) == PINTLE_EPANIC && strcmp(info.text, "stays inside") == 0);
    EXPECT(s.finished && s.run == 1);
    EXPECT(run_below(protects_inside, &s, 2, &info) == 0);
    still_works();
    staying_end(&s);
    return 0;
}
CASE(panic_return_in_nested_calls_is_raised_where_the_inner_call_was_made) { run_tasks(return_nested_main, 2); }

/* Both callbacks return: one after the other, outwards. */
typedef struct twice {
    staying inner;
    pintle_thunk *outer;
    unsigned finished, answers;
} twice;
static uintptr_t outer_callback(void *user, const uintptr_t *args) {
    twice *t = user;
    (void)args;
    t->inner.way(foreign_stays, &t->inner);
    t->finished += 100;
    return 0;
}
static int outer_foreign(void *arg) {
    twice *t = arg;
    t->answers += ((thunk_fn *)(uintptr_t)pintle_thunk_pointer(t->outer))(0) == ANSWER;
    t->answers += ((thunk_fn *)(uintptr_t)pintle_thunk_pointer(t->outer))(0) == ANSWER;
    t->finished++;
    return 0;
}
static void stays_twice(void *arg) { pintle_call(outer_foreign, arg); }
static int twice_main(void *arg) {
    pintle_thunk_options options = {.size = sizeof options, .on_panic = PINTLE_PANIC_RETURN, .panic_result = ANSWER};
    twice t = {.outer = NULL};
    (void)arg;
    staying_begin(&t.inner);
    EXPECT(pintle_thunk_new_with(&t.outer, outer_callback, &t, &options) == 0);
    EXPECT(pintle_protect(stays_twice, &t, NULL) == PINTLE_EPANIC);
    EXPECT(t.inner.finished && t.inner.run == 1 && t.finished == 1 && t.answers == 2);
    still_works();
    EXPECT(pintle_thunk_free(t.outer) == 0);
    staying_end(&t.inner);
    return 0;
}
CASE(panic_return_of_both_callbacks_goes_outwards_call_by_call) { run_tasks(twice_main, 2); }

static void stays_in_place(void *arg) { foreign_stays(arg); }
static int in_place_main(void *arg) {
    staying s;
    (void)arg;
    staying_begin(&s);
    EXPECT(pintle_protect(stays_in_place, &s, NULL) == PINTLE_EPANIC);
    EXPECT(s.run == 1 && s.answers == 0 && !s.finished); /* nobody would raise it again: it crosses */
    still_works();
    staying_end(&s);
    return 0;
}
CASE(panic_return_in_place_crosses) { run_tasks(in_place_main, 2); }

static int return_exit_main(void *arg) {
    staying s;
    pintle_task *task;
    (void)arg;
    staying_begin(&s);
    s.exits = true;
    for (size_t way = 0; way < ELEMENTS(ways); way++) {
        s.way = ways[way];
        s.finished = false;
        s.answers = 0;
        EXPECT(pintle_spawn(&task, stays, &s) == 0 && pintle_join(task, PINTLE_FOREVER) == 0);
        EXPECT(s.finished && s.answers == CALLS_AFTER && s.code_inside == PINTLE_EPANIC);
    }
    staying_end(&s);
    return 0;
}
CASE(exit_in_a_callback_that_returns_waits_for_the_call_too) { run_tasks(return_exit_main, 2); }

/* ---- No growth ---- */

static void crosses_by_words(void *arg) { runs_in_dll(arg); }
static int growth_main(void *arg) {
    enum { ROUNDS = 100000 / TEST_SLOWNESS };
    static pintle_fn *const scenes[] = {calls_below, crosses_by_words, stays};
    pintle_stats before, after;
    staying s;
    plugin p;
    size_t memory = 0;
    (void)arg;
    if (!plugin_open(&p)) return 1;
    staying_begin(&s);
    for (unsigned i = 0; i < ROUNDS; i++) {
        below b = {panics, NULL, 3};
        void *const contexts[] = {&b, &p, &s};
        if (i == ROUNDS / 10) {
            memory = resources_memory_kb();
            pintle_stats_get(&before);
        }
        EXPECT(pintle_protect(scenes[i % 3], contexts[i % 3], NULL) == PINTLE_EPANIC);
        if (i % 1000 == 0) EXPECT(!pintle_pinned());
    }
    size_t memory_after = resources_memory_kb();
    pintle_stats_get(&after);
    if (memory_after > memory + 2000 + RESOURCES_KEPT_KB) {
        printf("%zu KB before, %zu KB after\n", memory, memory_after);
        EXPECT(!"it has grown");
    }
    EXPECT(after.calls_in_flight == 0 && after.tasks == before.tasks && after.thunks == before.thunks);
    EXPECT(after.threads <= before.threads + 2);
    EXPECT(pintle_check() == 0);
    still_works();
    staying_end(&s);
    EXPECT(pintle_dll_close(p.dll, PINTLE_NOWAIT) == 0);
    return 0;
}
CASE_TIMEOUT(panics_across_foreign_frames_100000_times_leave_nothing_behind, 120) { run_tasks(growth_main, 2); }

/* ---- Foreign threads ---- */

typedef struct visitor {
    pintle_thunk *thunk;
    int code;
    uintptr_t result;
    bool exits;
} visitor;
static void visit(void *arg) {
    visitor *v = arg;
    pintle_defer(count_deferred, NULL);
    below b = {exits, NULL, 2};
    if (v->exits) calls_below(&b);
    pintle_panic("on a foreign thread");
}
static uintptr_t visit_by_thunk(void *user, const uintptr_t *args) {
    (void)args;
    visit(user);
    return 1;
}
static void visiting_thread(void *arg) {
    visitor *v = arg;
    for (int i = 0; i < 20; i++) {
        v->code = pintle_callback(visit, v);
        v->result = ((thunk_fn *)(uintptr_t)pintle_thunk_pointer(v->thunk))(0);
    }
}
static void visit_all(visitor *v) {
    pintle_thunk_options options = {.size = sizeof options, .nargs = 1, .closed_result = 99};
    helper_thread thread;
    ck_assert_int_eq(pintle_thunk_new_with(&v->thunk, visit_by_thunk, v, &options), 0);
    ck_assert(helper_thread_start(&thread, visiting_thread, v));
    helper_thread_join(&thread);
    ck_assert_uint_eq(v->result, 99);
    ck_assert_int_eq(pintle_thunk_free(v->thunk), 0);
}
static void count_panics(void *user, int kind, const char *text) {
    (void)text;
    if (kind == PINTLE_REPORT_PANIC) atomic_fetch_add((atomic_uint *)user, 1);
}
static void start_with_reports(atomic_uint *reports) {
    pintle_options options = helper_processors(2);
    options.on_report = count_panics;
    options.user = reports;
    ck_assert_int_eq(pintle_start(&options), 0);
}
CASE(exit_on_a_foreign_thread_gives_its_code_closed_result_or_ecanceled) {
    atomic_uint reports = 0;
    visitor v = {.exits = true};
    start_with_reports(&reports);
    visit_all(&v);
    ck_assert_int_eq(v.code, PINTLE_ECANCELED);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    ck_assert_uint_eq(reports, 0);
    ck_assert_uint_eq(deferred_ran, 80);
}
CASE(panic_on_a_foreign_thread_in_library_mode_is_reported_and_gives_closed_result_or_epanic) {
    atomic_uint reports = 0;
    visitor v = {.exits = false};
    start_with_reports(&reports);
    visit_all(&v);
    ck_assert_int_eq(v.code, PINTLE_EPANIC);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    ck_assert_uint_eq(reports, 40);
    ck_assert_uint_eq(deferred_ran, 40);
}

static int visited_main(void *arg) {
    helper_thread thread;
    static visitor v;
    (void)arg;
    (void)pintle_thunk_new(&v.thunk, visit_by_thunk, &v, 1, 0);
    helper_thread_start(&thread, visiting_thread, &v);
    while (pintle_sleep(PINTLE_S(1)) == 0) {}
    return 0;
}
CHILD(panic_on_a_visitor) { exit(helper_run(visited_main, NULL, 2)); }
static void inside_calls(void *arg) {
    below b = {panics, (void *)(uintptr_t) "deep inside", 2};
    (void)arg;
    calls_below(&b);
}
static int inside_main(void *arg) {
    (void)arg;
    below b = {inside_calls, NULL, 1};
    calls_below(&b);
    return 0;
}
CHILD(panic_deep_inside) { exit(helper_run(inside_main, NULL, 1)); }
static void child_panics(const char *child, const char *text_in_it) {
    static char text[65536];
    ck_assert_int_eq(child_run(child, text, sizeof text), 2);
    ck_assert_msg(strstr(text, text_in_it) != NULL, "no \"%s\" in:\n%s", text_in_it, text);
}
CASE(panic_on_a_foreign_thread_that_nobody_stops_exits_with_2) {
    child_panics("panic_on_a_visitor", "on a foreign thread");
}
CASE(panic_report_names_the_calls_it_is_inside) {
    child_panics("panic_deep_inside", "panic: deep inside");
    child_panics("panic_deep_inside", "inside a call of test_api_panic_foreign");
}
