/* test_callbacks.c: calls, callbacks, panics, exits, foreign threads, pins, thunks that come and go, spawns and events,
 * mixed at random; at the end nothing is pinned, in a call, or alive. Seeded. For long runs:
 * ctest -R stress.callbacks --repeat until-fail:200 */
#include "api/dll_helpers.h"

typedef struct storm storm;
typedef struct player {
    storm *storm;
    helper_random random;
    unsigned depth, pins;
} player;
struct storm {
    uint64_t seed;
    unsigned tasks, rounds;
    int64_t end; /* where others use the CPUs too: fewer rounds */
    pintle_thunk *crossing, *staying;
    atomic_uint next, steps, callbacks, panics, exits, foreign, deferred, ran;
};

enum { DEPTH_MOST = 5, ANSWER = 4711 };
typedef uintptr_t word_fn(uintptr_t);
static void play(player *p);
static word_fn *code_of(pintle_thunk *thunk) { return (word_fn *)(uintptr_t)pintle_thunk_pointer(thunk); }

static void count_deferred(void *arg) { atomic_fetch_add(&((storm *)arg)->ran, 1); }
static void defer(player *p) {
    atomic_fetch_add(&p->storm->deferred, 1);
    pintle_defer(count_deferred, p->storm);
}
/* What runs in a callback, however it was entered. */
static void in_callback(void *arg) {
    player *p = arg;
    uint64_t thread = helper_thread_id();
    atomic_fetch_add(&p->storm->callbacks, 1);
    EXPECT(pintle_pinned());
    if (helper_random_below(&p->random, 4) == 0) defer(p);
    p->depth++;
    for (unsigned i = helper_random_below(&p->random, 3); i > 0; i--) play(p);
    p->depth--;
    EXPECT(helper_thread_id() == thread);
    if (helper_random_below(&p->random, 6) == 0) {
        atomic_fetch_add(&p->storm->panics, 1);
        pintle_panic("at depth %u", p->depth);
    }
}
static uintptr_t thunk_callback(void *user, const uintptr_t *args) {
    (void)user;
    in_callback((player *)args[0]);
    return ANSWER;
}
static int call_plain(void *arg) {
    helper_compute(PINTLE_US(helper_random_below(&((player *)arg)->random, 30)));
    return pintle_callback(in_callback, arg);
}
static int call_crossing(void *arg) {
    player *p = arg;
    EXPECT(code_of(p->storm->crossing)((uintptr_t)p) == ANSWER);
    return 0;
}
static int call_staying(void *arg) {
    player *p = arg;
    for (int i = 0; i < 2; i++) {
        uintptr_t answer = code_of(p->storm->staying)((uintptr_t)p);
        EXPECT(answer == ANSWER || answer == 1);
    }
    return 0;
}
static void makes_a_call(void *arg) {
    player *p = arg;
    static int (*const calls[])(void *) = {call_plain, call_crossing, call_staying};
    int (*fn)(void *) = calls[helper_random_below(&p->random, 3)];
    switch (helper_random_below(&p->random, 8)) {
    case 0: pintle_call_blocking(fn, p); break;
    case 1:
        pintle_blocking_begin();
        fn(p);
        pintle_blocking_end();
        break;
    case 2:
        if (fn != call_staying) fn(p); /* in place, where what stays would cross */
        break;
    default: pintle_call(fn, p); break;
    }
}

static void exits_deep(void *arg) {
    player *p = arg;
    defer(p);
    p->depth = DEPTH_MOST;
    pintle_task_exit();
}
static int exits_in_callback(void *arg) { return pintle_callback(exits_deep, arg); }
static void exiting_task(void *arg) {
    player p = {.storm = arg, .random = helper_random_from(1)};
    if (atomic_fetch_add(&p.storm->exits, 1) % 3 == 0) pintle_pin();
    pintle_call(exits_in_callback, &p);
    EXPECT(!"the exit goes on");
}
/* A foreign thread: nobody stops its panics, so it makes none. */
static uintptr_t from_outside(void *user, const uintptr_t *args) {
    storm *s = user;
    atomic_fetch_add(&s->foreign, 1);
    if (args[0] % 2 == 0) pintle_yield();
    if (args[0] % 5 == 0) pintle_task_exit();
    return args[0] + 1;
}
static void outsider(void *arg) {
    pintle_thunk *thunk = arg;
    for (uintptr_t i = 1; i <= 6; i++) EXPECT(code_of(thunk)(i) == (i % 5 == 0 ? 404 : i + 1));
}
static int run_outsider(void *arg) {
    helper_thread thread;
    if (!helper_thread_start(&thread, outsider, arg)) return 1;
    helper_thread_join(&thread);
    return 0;
}
static void set_event(void *arg) { pintle_event_set(arg); }

static void play(player *p) {
    storm *s = p->storm;
    atomic_fetch_add(&s->steps, 1);
    switch (helper_random_below(&p->random, 12)) {
    case 0: pintle_yield(); break;
    case 1: pintle_sleep(PINTLE_US(helper_random_below(&p->random, 50))); break;
    case 2: {
        pintle_event event;
        pintle_task *task;
        pintle_event_init(&event);
        if (pintle_spawn(&task, set_event, &event) == 0) {
            EXPECT(pintle_event_wait(&event, PINTLE_FOREVER) == 0);
            EXPECT(pintle_join(task, PINTLE_FOREVER) == 0);
        }
        pintle_event_destroy(&event);
        break;
    }
    case 3: {
        pintle_task *task;
        if (pintle_spawn(&task, exiting_task, s) == 0) EXPECT(pintle_join(task, PINTLE_FOREVER) == 0);
        break;
    }
    case 4: {
        pintle_thunk *thunk;
        pintle_thunk_options options = {.size = sizeof options, .nargs = 1, .closed_result = 404};
        if (helper_random_below(&p->random, 4) != 0) break;
        if (pintle_thunk_new_with(&thunk, from_outside, s, &options) != 0) break;
        EXPECT(pintle_call_blocking(run_outsider, thunk) == 0);
        EXPECT((helper_random_below(&p->random, 2) ? pintle_thunk_free : pintle_thunk_retire)(thunk) == 0);
        break;
    }
    case 5: {
        uint64_t thread;
        pintle_pin();
        thread = helper_thread_id();
        if (p->depth < DEPTH_MOST) {
            unsigned depth = p->depth;
            pintle_protect(makes_a_call, p, NULL);
            p->depth = depth;
        }
        EXPECT(pintle_pinned() && helper_thread_id() == thread);
        pintle_unpin();
        break;
    }
    default:
        if (p->depth < DEPTH_MOST) {
            unsigned depth = p->depth;
            bool pinned = pintle_pinned();
            pintle_protect(makes_a_call, p, NULL);
            p->depth = depth;
            EXPECT(pintle_pinned() == pinned);
        }
        break;
    }
}
static void storm_task(void *arg) {
    storm *s = arg;
    player p = {.storm = s, .random = helper_random_from(s->seed + atomic_fetch_add(&s->next, 1))};
    for (unsigned i = 0; i < s->rounds && pintle_now() < s->end; i++) {
        play(&p);
        EXPECT(p.depth == 0 && !pintle_pinned());
    }
}
static int storm_main(void *arg) {
    storm *s = arg;
    static pintle_task *tasks[100];
    pintle_thunk_options options = {
        .size = sizeof options, .nargs = 1, .on_panic = PINTLE_PANIC_RETURN, .panic_result = 1};
    pintle_stats stats;
    EXPECT(pintle_thunk_new(&s->crossing, thunk_callback, NULL, 1, 0) == 0);
    EXPECT(pintle_thunk_new_with(&s->staying, thunk_callback, NULL, &options) == 0);
    EXPECT(helper_spawn_all(tasks, s->tasks, storm_task, s) == 0);
    EXPECT(helper_join_all(tasks, s->tasks) == 0);
    EXPECT(pintle_thunk_free(s->crossing) == 0);
    EXPECT(pintle_thunk_free(s->staying) == 0);
    pintle_stats_get(&stats);
    EXPECT(stats.tasks == 1);
    EXPECT(stats.calls_in_flight == 0);
    EXPECT(stats.thunks == 0);
    EXPECT(!pintle_pinned());
    EXPECT(atomic_load(&s->deferred) == atomic_load(&s->ran));
    return pintle_check();
}
static void storm_run(unsigned processors, unsigned tasks, unsigned rounds) {
    static storm s;
    memset(&s, 0, sizeof s);
    s.seed = test_seed();
    s.tasks = tasks;
    s.rounds = rounds / TEST_SLOWNESS;
    s.end = pintle_after(PINTLE_S(20));
    int status = helper_run(storm_main, &s, processors);
    printf("steps %u, callbacks %u, panics %u, exits %u, from outside %u\n", s.steps, s.callbacks, s.panics, s.exits,
           s.foreign);
    assert_nothing_wrong();
    ck_assert_int_eq(status, 0);
    ck_assert_uint_gt(s.callbacks, 0);
    ck_assert_uint_gt(s.panics, 0);
}

CASE_TIMEOUT(callbacks_panics_exits_and_outsiders_one_processor, 60) { storm_run(1, 10, 300); }
CASE_TIMEOUT(callbacks_panics_exits_and_outsiders_two_processors, 60) { storm_run(2, 20, 300); }
CASE_TIMEOUT(callbacks_panics_exits_and_outsiders_four_processors, 60) { storm_run(4, 40, 150); }
/* As where the system cannot fence all threads at once. */
CASE_TIMEOUT(callbacks_panics_exits_and_outsiders_where_calls_are_left_by_a_swap, 60) {
    helper_set_environment("PINTLE_DEBUG", "fence=0");
    storm_run(2, 20, 300);
    helper_set_environment("PINTLE_DEBUG", NULL);
}
