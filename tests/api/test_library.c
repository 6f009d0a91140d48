/* test_library.c: library mode in a host that lives long: nothing grows from start to start, and a stop that cannot end
 * says who is left and in what. */
#include "api/api_helpers.h"
#include "support/resources.h"

static void count_up(void *arg) { atomic_fetch_add((atomic_uint *)arg, 1); }

static void leave_error(void *arg) {
    pintle_sleep_until(1); /* EINVAL */
    pintle_sleep(PINTLE_US(10));
    atomic_fetch_add((atomic_uint *)arg, 1);
}

/* Some tasks are joined, some detached, some are neither: stopping frees those too. */
static void start_use_stop(unsigned round) {
    atomic_uint count = 0;
    pintle_options options = helper_processors(1 + round % 3);
    pintle_task *joined, *forgotten;
    ck_assert_int_eq(pintle_start(&options), 0);
    ck_assert_int_eq(pintle_enter(count_up, &count), 0);
    ck_assert_int_eq(pintle_spawn(&joined, leave_error, &count), 0);
    ck_assert_int_eq(pintle_spawn(&forgotten, leave_error, &count), 0);
    ck_assert_int_eq(pintle_spawn(NULL, leave_error, &count), 0);
    ck_assert_int_eq(pintle_join(joined, PINTLE_FOREVER), 0);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    ck_assert_uint_eq(count, 4);
}

CASE_TIMEOUT(start_and_stop_1000_times_grow_nothing, 120) {
    unsigned threads = 0, handles = 0, slots = 0;
    size_t memory_kb = 0, space_kb = 0;
    resources_quiet();
    for (unsigned i = 0; i < 1000; i++) {
        if (i == 100) {
            threads = helper_thread_count();
            handles = resources_handles();
            slots = resources_slots_left();
            memory_kb = resources_memory_kb();
            space_kb = resources_space_kb();
        }
        start_use_stop(i);
    }
    printf("memory %zu -> %zu KB, address space %zu -> %zu KB\n", memory_kb, resources_memory_kb(), space_kb,
           resources_space_kb());
    ck_assert(helper_threads_at_most(threads));
    ck_assert_uint_le(resources_handles(), handles);
    ck_assert_uint_ge(resources_slots_left(), slots);
    ck_assert_uint_le(resources_memory_kb(), memory_kb + 512 + RESOURCES_KEPT_KB);
    ck_assert_uint_le(resources_space_kb(), space_kb + 1024 + RESOURCES_KEPT_KB);
}

/* ---- Who is left ---- */

typedef struct stuck {
    helper_gate gate;
    helper_sem inside;
    pintle_event go;
} stuck;

static int stuck_block(void *arg) {
    stuck *s = arg;
    helper_sem_post(&s->inside);
    helper_gate_wait(&s->gate);
    return 0;
}
static void stuck_in_call(void *arg) { pintle_call(stuck_block, arg); }
static void stuck_in_blocking(void *arg) { pintle_call_blocking(stuck_block, arg); }
static void stuck_in_event(void *arg) {
    stuck *s = arg;
    helper_sem_post(&s->inside);
    pintle_event_wait(&s->go, PINTLE_FOREVER);
}

static void stuck_spawn(stuck *s, pintle_fn *fn, const char *name) {
    pintle_task_options named = {.size = sizeof named, .name = name};
    ck_assert_int_eq(pintle_spawn_with(NULL, fn, s, &named), 0);
    helper_sem_wait(&s->inside);
}

static void stuck_begin(stuck *s) {
    pintle_options options = helper_processors(2);
    helper_gate_init(&s->gate);
    helper_sem_init(&s->inside);
    pintle_event_init(&s->go);
    ck_assert_int_eq(pintle_start(&options), 0);
}

static void stuck_end(stuck *s) {
    helper_gate_open(&s->gate);
    pintle_event_set(&s->go);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    helper_gate_destroy(&s->gate);
    helper_sem_destroy(&s->inside);
}

static void stop_is_refused(const char *text1, const char *text2) {
    pintle_error error;
    ck_assert_int_eq(pintle_stop(pintle_after(PINTLE_MS(30))), PINTLE_EBUSY);
    pintle_error_get(&error);
    ck_assert_int_eq(error.code, PINTLE_EBUSY);
    ck_assert_msg(strstr(error.text, text1) != NULL, "%s", error.text);
    ck_assert_msg(strstr(error.text, text2) != NULL, "%s", error.text);
}

CASE(stop_names_the_task_inside_a_foreign_call) {
    unsigned threads = helper_thread_count();
    static pintle_fn *const ways[] = {stuck_in_call, stuck_in_blocking};
    for (size_t i = 0; i < ELEMENTS(ways); i++) {
        stuck s;
        stuck_begin(&s);
        stuck_spawn(&s, ways[i], "reader");
        stop_is_refused("1 task is left", "'reader' inside a foreign call");
        stop_is_refused("1 task is left", "'reader' inside a foreign call");
        stuck_end(&s);
    }
    ck_assert(helper_threads_at_most(threads));
}

CASE(stop_names_several_tasks_and_counts_the_rest) {
    stuck s;
    stuck_begin(&s);
    stuck_spawn(&s, stuck_in_event, "waiter");
    stop_is_refused("1 task is left", "'waiter' waiting in pintle_event_wait");
    pintle_event_set(&s.go);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    helper_gate_destroy(&s.gate);
    helper_sem_destroy(&s.inside);

    stuck_begin(&s);
    stuck_spawn(&s, stuck_in_event, "waiter");
    for (int i = 0; i < 4; i++) stuck_spawn(&s, stuck_in_call, "reader");
    stop_is_refused("5 tasks are left", "and 2 more");
    stop_is_refused("'reader' inside a foreign call, ", "can be called again");
    stuck_end(&s);
}

static void stop_from_task(void *arg) { *(int *)arg = pintle_stop(PINTLE_NOWAIT); }

CASE(stop_from_a_task_is_refused) {
    int result = 0;
    ck_assert_int_eq(pintle_start(NULL), 0);
    ck_assert_int_eq(pintle_enter(stop_from_task, &result), 0);
    ck_assert_int_eq(result, PINTLE_EDEADLK);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
}
