/* rows_block.c: many foreign calls that block at once, a ticker beside them, and what a parked task costs.
 *
 * The storms: a round spawns plan->iterations tasks, each makes one foreign call that sleeps, and ends when all are
 * joined. What comes before each round, warm-up rounds too, decides how often a monitor looks: computing without a
 * call makes it look seldom (Go's: every 10 ms), a pause in which nothing runs makes it look often.
 * The tickers give one number a tick: by how much the task that wanted to go on every 5 ms was late for it. After a long
 * delay it is late for every tick that passed meanwhile, so that one stall of a second counts for 200 ticks. */
#include <stdatomic.h>
#include <stdlib.h>

#include "bench.h"
#include "pintle.h"

enum { BEFORE_MS = 200, STORM_SLEEP_MS = 1, FANOUT_SLEEP_MS = 10, TICKER_SLEEP_MS = 100, TICK_MS = 5 };

static pintle_task **spawn_all(unsigned count, pintle_fn *fn, void *arg) {
    pintle_task **tasks = bench_alloc((unsigned long long)count * sizeof *tasks);
    for (unsigned i = 0; i < count; i++) bench_must(pintle_spawn(&tasks[i], fn, arg), "pintle_spawn");
    return tasks;
}

static void join_all(pintle_task **tasks, unsigned count) {
    for (unsigned i = 0; i < count; i++) bench_must(pintle_join(tasks[i], PINTLE_FOREVER), "pintle_join");
    free(tasks);
}

/* ---- Storms ---- */

static void compute(unsigned milliseconds) {
    int64_t end = pintle_after(PINTLE_MS(milliseconds));
    while (pintle_now() < end) {}
}

static void pause(unsigned milliseconds) { bench_must(pintle_sleep(PINTLE_MS(milliseconds)), "pintle_sleep"); }

static void block_once(void *milliseconds) { bench_block(*(const unsigned *)milliseconds); }

static void storm(const struct plan *plan, double *out_ns, unsigned sleep_ms, void (*before)(unsigned milliseconds)) {
    for (unsigned round = 0; round < plan->warmup + plan->slices; round++) {
        before(BEFORE_MS);
        int64_t start = pintle_now();
        join_all(spawn_all(plan->iterations, block_once, &sleep_ms), plan->iterations);
        int64_t elapsed = pintle_now() - start;
        if (round >= plan->warmup) out_ns[round - plan->warmup] = (double)elapsed;
    }
}

static void blocking_storm(const struct plan *plan, double *out_ns) { storm(plan, out_ns, STORM_SLEEP_MS, compute); }

static void blocking_storm_idle(const struct plan *plan, double *out_ns) { storm(plan, out_ns, STORM_SLEEP_MS, pause); }

static void fanout_sleep(const struct plan *plan, double *out_ns) { storm(plan, out_ns, FANOUT_SLEEP_MS, pause); }

/* ---- Tickers ---- */

static atomic_bool over;

static void tick(const struct plan *plan, double *out_ns) {
    int64_t due = pintle_now();
    for (unsigned i = 0; i < plan->warmup + plan->slices; i++) {
        due += PINTLE_MS(TICK_MS);
        if (pintle_now() < due) bench_must(pintle_sleep_until(due), "pintle_sleep_until");
        if (i >= plan->warmup) out_ns[i - plan->warmup] = (double)(pintle_now() - due);
    }
}

static void tick_beside(const struct plan *plan, double *out_ns, unsigned count, pintle_fn *fn) {
    atomic_store(&over, false);
    pintle_task **tasks = spawn_all(count, fn, NULL);
    tick(plan, out_ns);
    atomic_store(&over, true);
    join_all(tasks, count);
}

static void block_until_over(void *arg) {
    (void)arg;
    while (!atomic_load(&over)) bench_block(TICKER_SLEEP_MS);
}

/* Calls nothing of the runtime but its clock, which is the system's; and ends some time even if nobody else gets to run. */
static void compute_until_over(void *arg) {
    (void)arg;
    int64_t limit = pintle_after(PINTLE_S(10));
    while (!atomic_load(&over) && pintle_now() < limit)
        for (volatile int i = 0; i < 1000; i++) {}
}

static void ticker_blocked(const struct plan *plan, double *out_ns) {
    tick_beside(plan, out_ns, plan->iterations, block_until_over);
}

static void ticker_busy(const struct plan *plan, double *out_ns) {
    tick_beside(plan, out_ns, plan->processors, compute_until_over);
}

static void ticker_alone(const struct plan *plan, double *out_ns) { tick(plan, out_ns); }

/* ---- parked_bytes: the memory of this process after all are parked, less that before the first was spawned ---- */

struct parked {
    pintle_event open;
    atomic_uint arrived;
};

static void park(void *arg) {
    struct parked *parked = arg;
    atomic_fetch_add(&parked->arrived, 1);
    bench_must(pintle_event_wait(&parked->open, PINTLE_FOREVER), "pintle_event_wait");
}

static void parked_bytes(const struct plan *plan, double *out_bytes) {
    unsigned count = plan->iterations;
    struct parked parked = {.open = PINTLE_EVENT_INIT};
    pintle_task **tasks = bench_alloc((unsigned long long)count * sizeof *tasks);
    for (unsigned i = 0; i < count; i++) tasks[i] = (pintle_task *)tasks; /* the list itself is not counted */
    double before = (double)bench_resident_bytes();
    for (unsigned i = 0; i < count; i++) bench_must(pintle_spawn(&tasks[i], park, &parked), "pintle_spawn");
    while (atomic_load(&parked.arrived) < count) pintle_yield();
    pintle_yield(); /* the last one is on its way */
    *out_bytes = ((double)bench_resident_bytes() - before) / count;
    pintle_event_set(&parked.open);
    join_all(tasks, count);
    for (unsigned slice = 1; slice < plan->slices; slice++) out_bytes[slice] = out_bytes[0];
}

const struct bench_row bench_rows_block[] = {
    {"blocking_storm", "as many tasks as iterations say, each in a call that sleeps 1 ms, after computing: wall of all",
     blocking_storm},
    {"blocking_storm_idle", "the same after a pause in which nothing ran", blocking_storm_idle},
    {"fanout_sleep", "the same with calls that sleep 10 ms", fanout_sleep},
    {"ticker_blocked", "delay of each tick of 5 ms, while as many calls as iterations say block", ticker_blocked},
    {"ticker_busy", "the same while a task on every processor computes", ticker_busy},
    {"ticker_alone", "the same while nothing else runs: the system's own delay", ticker_alone},
    {"parked_bytes", "resident bytes for each of as many parked tasks as iterations say; give 1 slice, no warmup",
     parked_bytes},
    {NULL, NULL, NULL},
};
