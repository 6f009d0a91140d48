/* rows_task.c: switching between tasks, spawning and joining them. */
#include <stdlib.h>

#include "bench.h"
#include "pintle.h"

/* ---- switch: two tasks that do nothing but yield to each other. A round of the loop is two switches. ---- */
struct two {
    const struct plan *plan;
    double *out_ns;
    bool pinned;
    bool ready, over; /* plain: the tasks run by turns (one processor) */
};

static void yield_loop(void *context, unsigned iterations) {
    (void)context;
    for (unsigned i = 0; i < iterations; i++) pintle_yield();
}

static void first_of_two(void *arg) {
    struct two *two = arg;
    if (two->pinned) pintle_pin();
    while (!two->ready) pintle_yield(); /* a thread for the second may have to be made first */
    bench_measure(two->plan, two->out_ns, 2.0 * two->plan->iterations, yield_loop, NULL);
    two->over = true;
    if (two->pinned) pintle_unpin();
}

static void second_of_two(void *arg) {
    struct two *two = arg;
    if (two->pinned) pintle_pin();
    two->ready = true;
    while (!two->over) pintle_yield();
    if (two->pinned) pintle_unpin();
}

static void yield_between_two(struct two *two) {
    pintle_task *first, *second;
    bench_must(pintle_spawn(&first, first_of_two, two), "pintle_spawn");
    bench_must(pintle_spawn(&second, second_of_two, two), "pintle_spawn");
    bench_must(pintle_join(first, PINTLE_FOREVER), "pintle_join");
    bench_must(pintle_join(second, PINTLE_FOREVER), "pintle_join");
}

static void switch_tasks(const struct plan *plan, double *out_ns) {
    struct two two = {.plan = plan, .out_ns = out_ns};
    yield_between_two(&two);
}

static void pinned_switch(const struct plan *plan, double *out_ns) {
    struct two two = {.plan = plan, .out_ns = out_ns, .pinned = true};
    yield_between_two(&two);
}

/* ---- Spawning ---- */
static void do_nothing(void *arg) { (void)arg; }

static void spawn_join_loop(void *context, unsigned iterations) {
    (void)context;
    for (unsigned i = 0; i < iterations; i++) {
        pintle_task *task;
        bench_must(pintle_spawn(&task, do_nothing, NULL), "pintle_spawn");
        bench_must(pintle_join(task, PINTLE_FOREVER), "pintle_join");
    }
}

static void spawn_join(const struct plan *plan, double *out_ns) {
    bench_measure(plan, out_ns, plan->iterations, spawn_join_loop, NULL);
}

static void spawn_batch_loop(void *context, unsigned iterations) {
    pintle_task **tasks = context;
    for (unsigned i = 0; i < iterations; i++) {
        bench_must(pintle_spawn(&tasks[i], do_nothing, NULL), "pintle_spawn");
    }
    for (unsigned i = 0; i < iterations; i++) bench_must(pintle_join(tasks[i], PINTLE_FOREVER), "pintle_join");
}

static void spawn_batch(const struct plan *plan, double *out_ns) {
    pintle_task **tasks = bench_alloc((unsigned long long)plan->iterations * sizeof *tasks);
    bench_measure(plan, out_ns, plan->iterations, spawn_batch_loop, tasks);
    free(tasks);
}

const struct bench_row bench_rows_task[] = {
    {"switch", "two tasks that yield to each other, per switch", switch_tasks},
    {"pinned_switch", "the same, each pinned to a thread of its own", pinned_switch},
    {"spawn_join", "spawn a task that does nothing, join it", spawn_join},
    {"spawn_batch", "spawn as many as iterations say, then join all, per task", spawn_batch},
    {NULL, NULL, NULL},
};
