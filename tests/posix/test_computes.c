/* test_computes.c: a call that computes is told from one that waits by its thread's CPU clock, and keeps its processor for
 * 10 ms. (Windows' clock of a thread advances by whole ticks, and no such call can be told there.) */
#include "api/api_helpers.h"

enum { JUDGED = 20 };

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
    for (int64_t end = pintle_after(PINTLE_S(50)); m->judged < JUDGED && pintle_now() < end;) {
        unsigned retakes = retakes_of_call(m, compute);
        pintle_yield();
        /* A call that others kept from the CPU for half of the time that makes a call suspect cannot be told from one that
         * waits, and is not judged. */
        if (m->took_ns - m->used_ns > PINTLE_US(10)) continue;
        m->judged++;
        m->taken += retakes != 0;
    }
    for (int64_t end = pintle_after(PINTLE_S(30)); m->of_waiting == 0 && pintle_now() < end;) {
        m->of_waiting = retakes_of_call(m, wait_in_the_system);
        pintle_sleep(PINTLE_MS(110)); /* twice within 100 ms, and call.c hands the processor on before it is taken */
    }
    atomic_store(&m->over, true);
}

static int measure_main(void *arg) {
    pintle_task *tasks[2];
    unsigned failed = pintle_spawn(&tasks[0], be_there, arg) != 0;
    failed += pintle_spawn(&tasks[1], measure, arg) != 0;
    return (int)(failed + helper_join_all(tasks, 2));
}

CASE_TIMEOUT(call_that_computes_keeps_its_processor_and_one_that_waits_loses_it, 90) {
    measured m = {0};
    ck_assert_int_eq(helper_run(measure_main, &m, 1), 0);
    ck_assert_uint_eq(m.judged, JUDGED);
    ck_assert_msg(m.taken <= 1, "%u of %u calls that computed lost the processor", m.taken, m.judged);
    ck_assert_uint_ge(m.of_waiting, 1);
}
