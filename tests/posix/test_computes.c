/* test_computes.c: a call that computes is told from one that waits by its thread's CPU clock, and keeps its processor for
 * 10 ms. (Windows' clock of a thread advances by whole ticks, and no such call can be told there.) */
#include "api/api_helpers.h"

enum { CALLS = 400 };

typedef struct measured {
    atomic_bool over;
    int64_t used_ns, took_ns; /* by the call itself */
    unsigned judged, taken, of_waiting;
} measured;

static int64_t cpu_ns(void) {
    struct timespec used;
    return clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used) == 0 ? (int64_t)used.tv_sec * 1000000000 + used.tv_nsec : 0;
}

static int compute(void *arg) {
    measured *m = arg;
    int64_t began_ns = pintle_now(), used_ns = cpu_ns();
    helper_compute(PINTLE_US(400));
    m->used_ns = cpu_ns() - used_ns;
    m->took_ns = pintle_now() - began_ns;
    return 0;
}
static int wait_in_the_system(void *arg) {
    (void)arg;
    usleep(2000);
    return 0;
}

static void be_there(void *arg) {
    while (!atomic_load(&((measured *)arg)->over)) pintle_yield(); /* there is work all the time */
}

static unsigned retakes_of_call(measured *m, int (*fn)(void *)) {
    pintle_stats before, after;
    pintle_stats_get(&before);
    pintle_call(fn, m);
    pintle_stats_get(&after);
    return (unsigned)(after.retakes - before.retakes);
}

static void measure(void *arg) {
    measured *m = arg;
    for (unsigned i = 0; i < CALLS; i++) {
        unsigned retakes = retakes_of_call(m, compute);
        pintle_yield();
        /* Where others have the CPU for a while, a call cannot be told from one that waits, and is not judged. */
        if (m->took_ns > PINTLE_US(500) || m->used_ns < m->took_ns * 9 / 10) continue;
        m->judged++;
        m->taken += retakes != 0;
    }
    /* The marks of call.c would hand the processor on before it can be taken: so not twice within 100 ms. */
    m->of_waiting = retakes_of_call(m, wait_in_the_system);
    atomic_store(&m->over, true);
}

static int measure_main(void *arg) {
    pintle_task *tasks[2];
    unsigned failed = pintle_spawn(&tasks[0], be_there, arg) != 0;
    failed += pintle_spawn(&tasks[1], measure, arg) != 0;
    return (int)(failed + helper_join_all(tasks, 2));
}

CASE_TIMEOUT(call_that_computes_keeps_its_processor_and_one_that_waits_loses_it, 60) {
    measured m = {0};
    ck_assert_int_eq(helper_run(measure_main, &m, 1), 0);
    ck_assert_msg(m.judged >= 10, "of %u calls of 0.4 ms only %u had a CPU to themselves", CALLS, m.judged);
    ck_assert_msg(m.taken * 20 <= m.judged, "%u of %u calls that computed lost the processor", m.taken, m.judged);
    ck_assert_uint_ge(m.of_waiting, 1);
}
