/* rows_scale.c: as many tasks as there are processors do the same at once, and crowds that are woken. Time is the wall's, from
 * the moment that all may go until the last is joined, divided by all operations. */
#include <stdatomic.h>
#include <stdlib.h>

#include "bench.h"
#include "noop.h"
#include "pintle.h"

struct crowd {
    pintle_event go;
    atomic_uint arrived;
    unsigned iterations;
};

static void arrive(struct crowd *crowd) {
    atomic_fetch_add(&crowd->arrived, 1);
    bench_must(pintle_event_wait(&crowd->go, PINTLE_FOREVER), "pintle_event_wait");
}

/* Spawns count tasks, lets them go when all wait, joins them. */
static void crowd_run(const struct plan *plan, double *out_ns, unsigned count, double operations, pintle_fn *fn) {
    pintle_task **tasks = bench_alloc((unsigned long long)count * sizeof *tasks);
    for (unsigned slice = 0; slice < plan->warmup + plan->slices; slice++) {
        struct crowd crowd = {.go = PINTLE_EVENT_INIT, .iterations = plan->iterations};
        for (unsigned i = 0; i < count; i++) bench_must(pintle_spawn(&tasks[i], fn, &crowd), "pintle_spawn");
        while (atomic_load(&crowd.arrived) < count) pintle_yield();
        pintle_yield(); /* the last one is on its way */
        int64_t start = pintle_now();
        pintle_event_set(&crowd.go);
        for (unsigned i = 0; i < count; i++) bench_must(pintle_join(tasks[i], PINTLE_FOREVER), "pintle_join");
        if (slice >= plan->warmup) out_ns[slice - plan->warmup] = (double)(pintle_now() - start) / operations;
    }
    free(tasks);
}

static void on_each_processor(const struct plan *plan, double *out_ns, pintle_fn *fn) {
    crowd_run(plan, out_ns, plan->processors, (double)plan->processors * plan->iterations, fn);
}

/* ---- Calls, spawns, channels ---- */

static void call_all(void *arg) {
    struct crowd *crowd = arg;
    arrive(crowd);
    for (unsigned i = 0; i < crowd->iterations; i++) pintle_call(noop, NULL);
}

static void do_nothing(void *arg) { (void)arg; }

static void spawn_all(void *arg) {
    struct crowd *crowd = arg;
    arrive(crowd);
    for (unsigned i = 0; i < crowd->iterations; i++) {
        pintle_task *task;
        bench_must(pintle_spawn(&task, do_nothing, NULL), "pintle_spawn");
        bench_must(pintle_join(task, PINTLE_FOREVER), "pintle_join");
    }
}

static void pong(void *arg) {
    pintle_chan **c = arg;
    uint64_t ball;
    while (pintle_chan_recv(c[0], &ball, PINTLE_FOREVER) == 0)
        bench_must(pintle_chan_send(c[1], &ball, PINTLE_FOREVER), "pintle_chan_send");
}

static void ping_all(void *arg) {
    struct crowd *crowd = arg;
    pintle_chan *c[2];
    pintle_task *other;
    uint64_t ball = 0;
    for (int i = 0; i < 2; i++) bench_must(pintle_chan_new(&c[i], sizeof ball, 0), "pintle_chan_new");
    bench_must(pintle_spawn(&other, pong, c), "pintle_spawn");
    arrive(crowd);
    for (unsigned i = 0; i < crowd->iterations; i++) {
        bench_must(pintle_chan_send(c[0], &ball, PINTLE_FOREVER), "pintle_chan_send");
        bench_must(pintle_chan_recv(c[1], &ball, PINTLE_FOREVER), "pintle_chan_recv");
    }
    pintle_chan_close(c[0]);
    bench_must(pintle_join(other, PINTLE_FOREVER), "pintle_join");
    for (int i = 0; i < 2; i++) pintle_chan_free(c[i]);
}

static void crowd_call(const struct plan *plan, double *out_ns) { on_each_processor(plan, out_ns, call_all); }
static void crowd_spawn(const struct plan *plan, double *out_ns) { on_each_processor(plan, out_ns, spawn_all); }
static void crowd_chan(const struct plan *plan, double *out_ns) { on_each_processor(plan, out_ns, ping_all); }

/* ---- wake_all: as many tasks as iterations say wait for one event ---- */

static void wait_only(void *arg) { arrive(arg); }

static void wake_all(const struct plan *plan, double *out_ns) {
    crowd_run(plan, out_ns, plan->iterations, plan->iterations, wait_only);
}

const struct bench_row bench_rows_scale[] = {
    {"crowd_call", "a task for each processor makes calls, wall time divided by all calls", crowd_call},
    {"crowd_spawn", "the same with spawns and joins", crowd_spawn},
    {"crowd_chan", "the same with round trips over two unbuffered channels, each with a partner of its own",
     crowd_chan},
    {"wake_all", "as many tasks as iterations say wait for one event: from its set to the last join, per task",
     wake_all},
    {NULL, NULL, NULL},
};
