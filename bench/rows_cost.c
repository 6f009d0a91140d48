/* rows_cost.c: what the library costs where it is not busy: starting, stopping, idling. These rows start the runtime themselves. */
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "pintle.h"

static pintle_options options_of(const struct plan *plan) {
    return (pintle_options){.size = sizeof(pintle_options), .processors = plan->processors};
}

/* ---- start_stop: pintle_run of a main task that returns at once ---- */

static int return_at_once(void *arg) {
    (void)arg;
    return 0;
}

static void start_stop_loop(void *context, unsigned iterations) {
    const pintle_options *options = context;
    for (unsigned i = 0; i < iterations; i++) bench_must(pintle_run(return_at_once, NULL, options), "pintle_run");
}

static void start_stop(const struct plan *plan, double *out_ns) {
    pintle_options options = options_of(plan);
    bench_measure(plan, out_ns, plan->iterations, start_stop_loop, &options);
}

/* ---- idle: 100 tasks wait for an event, a thread of the system's looks ---- */

enum { WAITING = 100, SETTLE_S = 13, WINDOW_S = 2 }; /* what the runtime tidies up after work is done by then */

struct idle {
    const struct plan *plan;
    double *out;
    double (*look)(void); /* a figure that grows, or (NULL) resident bytes */
    pintle_event over;
};

static void look_on(void *arg) {
    struct idle *idle = arg;
    bench_pause_thread(SETTLE_S);
    for (unsigned i = 0; i < idle->plan->slices; i++) {
        if (idle->look == NULL) {
            idle->out[i] = (double)bench_resident_bytes();
        } else {
            double before = idle->look();
            bench_pause_thread(WINDOW_S);
            idle->out[i] = (idle->look() - before) / WINDOW_S;
        }
    }
    pintle_event_set(&idle->over);
}

static void wait_for_end(void *event) { bench_must(pintle_event_wait(event, PINTLE_FOREVER), "pintle_event_wait"); }

static int idle_main(void *arg) {
    struct idle *idle = arg;
    pintle_task *tasks[WAITING];
    for (int i = 0; i < WAITING; i++) bench_must(pintle_spawn(&tasks[i], wait_for_end, &idle->over), "pintle_spawn");
    for (int i = 0; i < WAITING; i++) bench_must(pintle_join(tasks[i], PINTLE_FOREVER), "pintle_join");
    return 0;
}

static void idle_run(const struct plan *plan, double *out, double (*look)(void)) {
    struct idle idle = {plan, out, look, PINTLE_EVENT_INIT};
    pintle_options options = options_of(plan);
    pintle_hold(); /* the thread that looks ends it */
    void *thread = bench_thread_start(look_on, &idle);
    bench_must(pintle_run(idle_main, &idle, &options), "pintle_run");
    bench_thread_join(thread);
    pintle_unhold();
}

static void idle_bytes(const struct plan *plan, double *out_bytes) { idle_run(plan, out_bytes, NULL); }
static void idle_wakeups(const struct plan *plan, double *out_count) { idle_run(plan, out_count, bench_wakeups); }

const struct bench_row bench_rows_cost[] = {
    {"start_stop", "pintle_run of a main task that returns at once", start_stop},
    {"idle_bytes", "resident bytes of the process while 100 tasks wait", idle_bytes},
    {"idle_wakeups", "how often its threads wake up meanwhile, each second; Linux", idle_wakeups},
    {NULL, NULL, NULL},
};
