/* rows_timer.c: timers and many sleepers. */
#include <stdlib.h>

#include "bench.h"
#include "pintle.h"

/* ---- timer_set_stop: set a timer an hour ahead, and stop it ---- */
static void no_expiry(void *arg) { (void)arg; }

static void timer_loop(void *context, unsigned iterations) {
    int64_t deadline = pintle_after(PINTLE_S(3600));
    for (unsigned i = 0; i < iterations; i++) {
        bench_must(pintle_timer_set(context, deadline, 0), "pintle_timer_set");
        pintle_timer_stop(context);
    }
}

static void timer_set_stop(const struct plan *plan, double *out_ns) {
    pintle_timer *timer;
    bench_must(pintle_timer_new(&timer, no_expiry, NULL), "pintle_timer_new");
    bench_measure(plan, out_ns, plan->iterations, timer_loop, timer);
    pintle_timer_free(timer);
}

/* ---- sleepers: tasks that sleep until deadlines a microsecond apart, from half a second on; how late the last has woken ---- */
enum { BEFORE_NS = 500000000, STEP_NS = 1000 };

static void sleeper(void *arg) { pintle_sleep_until(*(int64_t *)arg); }

static void sleepers(const struct plan *plan, double *out_ns) {
    pintle_task **tasks = bench_alloc((unsigned long long)plan->iterations * sizeof *tasks);
    int64_t *deadlines = bench_alloc((unsigned long long)plan->iterations * sizeof *deadlines);
    for (unsigned slice = 0; slice < plan->warmup + plan->slices; slice++) {
        int64_t first = pintle_after(BEFORE_NS);
        for (unsigned i = 0; i < plan->iterations; i++) {
            deadlines[i] = first + (int64_t)i * STEP_NS;
            bench_must(pintle_spawn(&tasks[i], sleeper, &deadlines[i]), "pintle_spawn");
        }
        for (unsigned i = 0; i < plan->iterations; i++)
            bench_must(pintle_join(tasks[i], PINTLE_FOREVER), "pintle_join");
        if (slice >= plan->warmup)
            out_ns[slice - plan->warmup] = (double)(pintle_now() - deadlines[plan->iterations - 1]);
    }
    free(deadlines);
    free(tasks);
}

const struct bench_row bench_rows_timer[] = {
    {"timer_set_stop", "set a timer an hour ahead, and stop it", timer_set_stop},
    {"sleepers", "as many tasks as iterations say sleep to deadlines 1 us apart: how late the last has woken",
     sleepers},
    {NULL, NULL, NULL},
};
