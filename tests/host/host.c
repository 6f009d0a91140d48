/* host.c: a library that a program loads, and that has a Pintle of its own inside: built twice, as host_a and host_b. */
#include <pintle.h>
#include <stdatomic.h>

#include "host.h"

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

EXPORT host_get_fn host_get;

enum { TASKS_MOST = 64 };

typedef struct work {
    pintle_event go;
    atomic_uint next, done, wrong;
} work;

static int compute(void *arg) { return *(int *)arg + 1; }

static void check(work *w, int good) {
    if (!good) atomic_fetch_add(&w->wrong, 1);
}

static void work_task(void *arg) {
    work *w = arg;
    unsigned number = atomic_fetch_add(&w->next, 1);
    int value = (int)number;
    if (number == 0) pintle_event_set(&w->go);
    check(w, pintle_event_wait(&w->go, PINTLE_FOREVER) == 0);
    pintle_yield();
    check(w, pintle_call(compute, &value) == value + 1);
    check(w, pintle_sleep(PINTLE_US(number % 7 * 100)) == 0);
    check(w, pintle_call_blocking(compute, &value) == value + 1);
    check(w, pintle_sleep_until(1) == PINTLE_EINVAL); /* leaves the task an error */
    if (number % 16 == 3) pintle_pin();               /* its thread goes with it */
    atomic_fetch_add(&w->done, 1);
}

static void nap(void *arg) {
    (void)arg;
    pintle_sleep(PINTLE_MS(2));
}

static unsigned host_work(unsigned tasks) {
    work w = {.go = PINTLE_EVENT_INIT};
    pintle_task *spawned[TASKS_MOST];
    if (tasks > TASKS_MOST) tasks = TASKS_MOST;
    for (unsigned i = 0; i < tasks; i++) check(&w, pintle_spawn(&spawned[i], work_task, &w) == 0);
    check(&w, pintle_spawn(NULL, nap, NULL) == 0); /* stopping waits for it */
    for (unsigned i = 0; i < tasks; i++) check(&w, pintle_join(spawned[i], PINTLE_FOREVER) == 0);
    check(&w, atomic_load(&w.done) == tasks);
    return atomic_load(&w.wrong);
}

static int host_start(unsigned processors) {
    pintle_options options = {.size = sizeof options, .processors = processors};
    return pintle_start(&options);
}
static int host_start_faulting(unsigned processors) {
    pintle_options options = {.size = sizeof options, .processors = processors, .flags = PINTLE_FAULTS_PANIC};
    return pintle_start(&options);
}
static int host_stop(int64_t wait_ns) {
    return pintle_stop(wait_ns == INT64_MAX ? PINTLE_FOREVER : pintle_after(wait_ns));
}
static uint64_t host_self(void) { return pintle_task_id(pintle_self()); }
static void host_complain(void) { pintle_sleep_until(1); }
static int host_has_error(int code) {
    pintle_error error;
    pintle_error_get(&error);
    return error.code == code && error.text[0] != '\0';
}
static unsigned host_threads(void) {
    pintle_stats stats;
    pintle_stats_get(&stats);
    return stats.threads;
}

__attribute__((no_sanitize("address", "thread", "undefined"))) static void write_nowhere(void *where) {
    *(volatile int *)where = 1;
}
static int write_in_callback(void *arg) { return pintle_callback(write_nowhere, arg); }
static void call_to_write(void *arg) { pintle_call(write_in_callback, arg); }

typedef struct fault_work {
    unsigned rounds, wrong;
} fault_work;

static void fault_task(void *arg) {
    fault_work *w = arg;
    pintle_panic_info info;
    for (unsigned i = 0; i < w->rounds; i++) {
        w->wrong += pintle_protect(write_nowhere, NULL, &info) != PINTLE_EPANIC || info.os_code == 0;
        w->wrong += pintle_protect(call_to_write, NULL, &info) != PINTLE_EPANIC || info.os_code == 0;
    }
}
static unsigned host_fault(unsigned rounds) {
    fault_work w = {rounds, 0};
    return pintle_enter(fault_task, &w) == 0 ? w.wrong : 1000;
}

const host *host_get(void) {
    static const host functions = {.start = host_start,
                                   .start_faulting = host_start_faulting,
                                   .stop = host_stop,
                                   .work = host_work,
                                   .enter = pintle_enter,
                                   .call_in = pintle_callback,
                                   .call = pintle_call,
                                   .self = host_self,
                                   .yield = pintle_yield,
                                   .complain = host_complain,
                                   .has_error = host_has_error,
                                   .threads = host_threads,
                                   .fault = host_fault};
    return &functions;
}
