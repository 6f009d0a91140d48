/* rows_callback.c: foreign code that calls back, on our threads and on others', and panics that cross it. */
#include <stdio.h>

#include "bench.h"
#include "noop.h"
#include "pintle.h"

/* ---- One call that calls back once, both together ---- */

static void nothing(void *arg) { (void)arg; }

static int calls_back(void *arg) { return pintle_callback(nothing, arg); }

static void callback_loop(void *context, unsigned iterations) {
    (void)context;
    for (unsigned i = 0; i < iterations; i++) pintle_call(calls_back, NULL);
}

static void callback(const struct plan *plan, double *out_ns) {
    bench_measure(plan, out_ns, plan->iterations, callback_loop, NULL);
}

static uintptr_t thunk_nothing(void *user, const uintptr_t *args) {
    (void)user;
    (void)args;
    return 0;
}

static void thunk_loop(void *code, unsigned iterations) {
    for (unsigned i = 0; i < iterations; i++) bench_call_back(code);
}

static void callback_thunk(const struct plan *plan, double *out_ns) {
    pintle_thunk *thunk;
    bench_must(pintle_thunk_new(&thunk, thunk_nothing, NULL, 1, 0), "pintle_thunk_new");
    bench_measure(plan, out_ns, plan->iterations, thunk_loop, pintle_thunk_pointer(thunk));
    bench_must(pintle_thunk_free(thunk), "pintle_thunk_free");
}

/* ---- A thread that the runtime did not make ---- */

struct outsider {
    const struct plan *plan;
    double *out_ns;
    int64_t spent_ns;
};

static void first_time(void *arg) {
    struct outsider *outsider = arg;
    int64_t start = pintle_now();
    bench_must(pintle_callback(nothing, NULL), "pintle_callback");
    outsider->spent_ns += pintle_now() - start;
}

/* Each on a thread of its own, which is made and ends outside of what is timed. */
static void attached_first(const struct plan *plan, double *out_ns) {
    for (unsigned slice = 0; slice < plan->warmup + plan->slices; slice++) {
        struct outsider outsider = {.plan = plan};
        for (unsigned i = 0; i < plan->iterations; i++) bench_on_new_thread(first_time, &outsider);
        if (slice >= plan->warmup) out_ns[slice - plan->warmup] = (double)outsider.spent_ns / plan->iterations;
    }
}

static void outsider_loop(void *context, unsigned iterations) {
    (void)context;
    for (unsigned i = 0; i < iterations; i++) bench_must(pintle_callback(nothing, NULL), "pintle_callback");
}

static void later_times(void *arg) {
    struct outsider *outsider = arg;
    bench_measure(outsider->plan, outsider->out_ns, outsider->plan->iterations, outsider_loop, NULL);
}

static void attached_later(const struct plan *plan, double *out_ns) {
    struct outsider outsider = {.plan = plan, .out_ns = out_ns};
    bench_on_new_thread(later_times, &outsider);
}

/* ---- A panic in a callback, stopped outside the call ---- */

static void panics(void *arg) {
    (void)arg;
    pintle_panic("crosses");
}

static int calls_a_panic(void *arg) { return pintle_callback(panics, arg); }

static void makes_the_call(void *arg) { pintle_call(calls_a_panic, arg); }

static void panic_loop(void *context, unsigned iterations) {
    (void)context;
    for (unsigned i = 0; i < iterations; i++) {
        if (pintle_protect(makes_the_call, NULL, NULL) != PINTLE_EPANIC) bench_fail(PINTLE_EINVAL, "no panic");
    }
}

/* No growth: what the process has after the warm-up is what it has at the end, but for what the system does. */
static void without_growth(const struct plan *plan, double *out_ns, bench_loop_fn *loop) {
    enum { ALLOWED_BYTES = 512 << 10 };
    struct plan first = *plan, rest = *plan;
    unsigned long long before, after;
    first.slices = 1;
    rest.warmup = 0;
    bench_measure(&first, out_ns, plan->iterations, loop, NULL);
    before = bench_resident_bytes();
    bench_measure(&rest, out_ns, plan->iterations, loop, NULL);
    after = bench_resident_bytes();
    if (plan->stats) {
        fprintf(stderr, "resident: %llu KB after %u rounds, %llu KB after %llu more\n", before >> 10,
                (plan->warmup + 1) * plan->iterations, after >> 10,
                (unsigned long long)plan->slices * plan->iterations);
    }
    if (after > before + ALLOWED_BYTES) bench_fail(PINTLE_ENOMEM, "the process has grown");
}

static void panic_rounds(const struct plan *plan, double *out_ns) { without_growth(plan, out_ns, panic_loop); }

/* ---- A task that ends in a callback ---- */

static void ends(void *arg) {
    (void)arg;
    pintle_task_exit();
}

static int calls_an_end(void *arg) { return pintle_callback(ends, arg); }

static void ends_in_a_callback(void *arg) { pintle_call(calls_an_end, arg); }

static void exit_loop(void *context, unsigned iterations) {
    (void)context;
    for (unsigned i = 0; i < iterations; i++) {
        pintle_task *task;
        bench_must(pintle_spawn(&task, ends_in_a_callback, NULL), "pintle_spawn");
        bench_must(pintle_join(task, PINTLE_FOREVER), "pintle_join");
    }
}

static void exit_rounds(const struct plan *plan, double *out_ns) { without_growth(plan, out_ns, exit_loop); }

const struct bench_row bench_rows_callback[] = {
    {"callback", "pintle_call of a function that calls back once: both together", callback},
    {"callback_thunk", "the same through a thunk, on Windows from a DLL", callback_thunk},
    {"attached_first", "a foreign thread's first callback; the thread itself is not timed", attached_first},
    {"attached_later", "its later callbacks", attached_later},
    {"panic_rounds", "a panic in a callback, stopped outside the call; fails if memory grows", panic_rounds},
    {"exit_rounds", "a task that ends by pintle_task_exit in a callback, joined; fails if memory grows", exit_rounds},
    {NULL, NULL, NULL},
};
