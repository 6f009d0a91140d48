/* rows_call.c: foreign calls through pintle_call. */
#include <stdatomic.h>
#include <stdlib.h>

#include "bench.h"
#include "noop.h"
#include "pintle.h"

static void call_loop(void *context, unsigned iterations) {
    (void)context;
    for (unsigned i = 0; i < iterations; i++) pintle_call(noop, NULL);
}

static void call(const struct plan *plan, double *out_ns) {
    bench_measure(plan, out_ns, plan->iterations, call_loop, NULL);
}

static void call_pinned(const struct plan *plan, double *out_ns) {
    pintle_pin();
    bench_measure(plan, out_ns, plan->iterations, call_loop, NULL);
    pintle_unpin();
}

/* The floor: the same function by an indirect call. */
static void call_plain_loop(void *context, unsigned iterations) {
    int (*fn)(void *) = *(int (**)(void *))context;
    for (unsigned i = 0; i < iterations; i++) fn(NULL);
}

static void call_plain(const struct plan *plan, double *out_ns) {
    int (*volatile fn)(void *) = noop; /* volatile: the compiler cannot know it and inline */
    int (*unknown)(void *) = fn;
    bench_measure(plan, out_ns, plan->iterations, call_plain_loop, &unknown);
}

/* ---- call_parallel: calls on every processor at once ----
 * Between slices the tasks meet at a barrier where they spin without yielding, so each has a processor of its own in
 * every slice. A slice lasts from the first task's start to the last one's end, divided by the calls of all. */
struct interval {
    int64_t start, end;
    char other_line[48];
};

struct parallel {
    const struct plan *plan;
    _Atomic unsigned long long arrived;
    struct interval *intervals; /* [worker][slice] */
};

struct worker {
    struct parallel *all;
    struct interval *intervals;
    pintle_task *task;
};

static void parallel_worker(void *arg) {
    struct worker *worker = arg;
    struct parallel *all = worker->all;
    const struct plan *plan = all->plan;
    for (unsigned slice = 0; slice < plan->warmup + plan->slices; slice++) {
        unsigned long long everyone = (unsigned long long)plan->processors * (slice + 1);
        atomic_fetch_add(&all->arrived, 1);
        while (atomic_load(&all->arrived) < everyone) {}
        worker->intervals[slice].start = pintle_now();
        call_loop(NULL, plan->iterations);
        worker->intervals[slice].end = pintle_now();
    }
}

static void call_parallel(const struct plan *plan, double *out_ns) {
    unsigned total = plan->warmup + plan->slices;
    struct parallel all = {.plan = plan};
    all.intervals = bench_alloc((unsigned long long)plan->processors * total * sizeof *all.intervals);
    struct worker *workers = bench_alloc(plan->processors * sizeof *workers);
    for (unsigned i = 0; i < plan->processors; i++) {
        workers[i].all = &all;
        workers[i].intervals = all.intervals + (size_t)i * total;
        bench_must(pintle_spawn(&workers[i].task, parallel_worker, &workers[i]), "pintle_spawn");
    }
    for (unsigned i = 0; i < plan->processors; i++) {
        bench_must(pintle_join(workers[i].task, PINTLE_FOREVER), "pintle_join");
    }
    for (unsigned slice = plan->warmup; slice < total; slice++) {
        struct interval of_all = workers[0].intervals[slice];
        for (unsigned i = 1; i < plan->processors; i++) {
            const struct interval *one = &workers[i].intervals[slice];
            if (one->start < of_all.start) of_all.start = one->start;
            if (one->end > of_all.end) of_all.end = one->end;
        }
        out_ns[slice - plan->warmup] = (double)(of_all.end - of_all.start) /
                                       ((double)plan->processors * plan->iterations);
    }
    free(workers);
    free(all.intervals);
}

const struct bench_row bench_rows_call[] = {
    {"call", "pintle_call of a function that does nothing", call},
    {"call_pinned", "the same by a pinned task", call_pinned},
    {"call_plain", "the same function by an indirect call: the floor", call_plain},
    {"call_parallel", "pintle_call on every processor at once, wall time divided by all calls", call_parallel},
    {NULL, NULL, NULL},
};
