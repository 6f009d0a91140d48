/* rows_chan.c: channels, select and mutexes. A pair of tasks works against each other; the first is measured. */
#include "bench.h"
#include "pintle.h"

struct pair {
    const struct plan *plan;
    double *out_ns;
    pintle_chan *there, *back, *more[2];
    double operations; /* of a slice */
    bench_loop_fn *loop;
};

static void new_chan(pintle_chan **out, size_t capacity) {
    bench_must(pintle_chan_new(out, sizeof(uint64_t), capacity), "pintle_chan_new");
}

static void measured(void *arg) {
    struct pair *pair = arg;
    bench_measure(pair->plan, pair->out_ns, pair->operations, pair->loop, pair);
    pintle_chan_close(pair->there);
}

static void run_pair(struct pair *pair, pintle_fn *other) {
    pintle_task *first, *second;
    bench_must(pintle_spawn(&first, measured, pair), "pintle_spawn");
    bench_must(pintle_spawn(&second, other, pair), "pintle_spawn");
    bench_must(pintle_join(first, PINTLE_FOREVER), "pintle_join");
    bench_must(pintle_join(second, PINTLE_FOREVER), "pintle_join");
}

/* ---- chan_unbuffered: there and back ---- */

static void ping_loop(void *context, unsigned iterations) {
    struct pair *pair = context;
    uint64_t ball = 0;
    for (unsigned i = 0; i < iterations; i++) {
        bench_must(pintle_chan_send(pair->there, &ball, PINTLE_FOREVER), "pintle_chan_send");
        bench_must(pintle_chan_recv(pair->back, &ball, PINTLE_FOREVER), "pintle_chan_recv");
    }
}

static void pong(void *arg) {
    struct pair *pair = arg;
    uint64_t ball;
    while (pintle_chan_recv(pair->there, &ball, PINTLE_FOREVER) == 0) {
        ball++;
        bench_must(pintle_chan_send(pair->back, &ball, PINTLE_FOREVER), "pintle_chan_send");
    }
}

static void chan_unbuffered(const struct plan *plan, double *out_ns) {
    struct pair pair = {.plan = plan, .out_ns = out_ns, .operations = plan->iterations, .loop = ping_loop};
    new_chan(&pair.there, 0);
    new_chan(&pair.back, 0);
    run_pair(&pair, pong);
    pintle_chan_free(pair.there);
    pintle_chan_free(pair.back);
}

/* ---- chan_buffered: one sends, the other receives, 128 slots between them. A round is two operations. ---- */

static void send_loop(void *context, unsigned iterations) {
    struct pair *pair = context;
    for (uint64_t i = 0; i < iterations; i++) {
        bench_must(pintle_chan_send(pair->there, &i, PINTLE_FOREVER), "pintle_chan_send");
    }
}

static void receive_all(void *arg) {
    struct pair *pair = arg;
    uint64_t item;
    while (pintle_chan_recv(pair->there, &item, PINTLE_FOREVER) == 0) {}
}

static void chan_buffered(const struct plan *plan, double *out_ns) {
    struct pair pair = {.plan = plan, .out_ns = out_ns, .operations = 2.0 * plan->iterations, .loop = send_loop};
    new_chan(&pair.there, 128);
    run_pair(&pair, receive_all);
    pintle_chan_free(pair.there);
}

/* ---- select_4: ping-pong, where the first waits in a select of four receives ---- */

static void select_loop(void *context, unsigned iterations) {
    struct pair *pair = context;
    uint64_t ball = 0, others[2];
    for (unsigned i = 0; i < iterations; i++) {
        pintle_case cases[] = {
            pintle_case_recv(pair->more[0], &others[0]),
            pintle_case_recv(pair->back, &ball),
            pintle_case_recv(pair->more[1], &others[1]),
            pintle_case_recv(pair->more[1], &others[1]),
        };
        bench_must(pintle_chan_send(pair->there, &ball, PINTLE_FOREVER), "pintle_chan_send");
        int ran = pintle_select(cases, 4, PINTLE_FOREVER);
        if (ran != 1) bench_fail(ran, "pintle_select");
    }
}

static void select_4(const struct plan *plan, double *out_ns) {
    struct pair pair = {.plan = plan, .out_ns = out_ns, .operations = plan->iterations, .loop = select_loop};
    new_chan(&pair.there, 0);
    new_chan(&pair.back, 0);
    for (int i = 0; i < 2; i++) new_chan(&pair.more[i], 0);
    run_pair(&pair, pong);
    pintle_chan_free(pair.there);
    pintle_chan_free(pair.back);
    for (int i = 0; i < 2; i++) pintle_chan_free(pair.more[i]);
}

/* ---- select_4_ready: four channels that all have room and items: a send and a receive by turns ---- */

static void select_ready_loop(void *context, unsigned iterations) {
    struct pair *pair = context;
    uint64_t item = 0;
    pintle_chan *four[] = {pair->there, pair->back, pair->more[0], pair->more[1]};
    for (unsigned i = 0; i < iterations; i++) {
        pintle_case cases[4];
        for (unsigned k = 0; k < 4; k++) {
            cases[k] = i % 2 == 0 ? pintle_case_send(four[k], &item) : pintle_case_recv(four[k], &item);
        }
        int ran = pintle_select(cases, 4, PINTLE_FOREVER);
        if (ran < 0) bench_fail(ran, "pintle_select");
    }
}

static void select_4_ready(const struct plan *plan, double *out_ns) {
    struct pair pair = {.plan = plan, .out_ns = out_ns};
    new_chan(&pair.there, 128);
    new_chan(&pair.back, 128);
    for (int i = 0; i < 2; i++) new_chan(&pair.more[i], 128);
    bench_measure(plan, out_ns, plan->iterations, select_ready_loop, &pair);
    pintle_chan_free(pair.there);
    pintle_chan_free(pair.back);
    for (int i = 0; i < 2; i++) pintle_chan_free(pair.more[i]);
}

/* ---- Mutexes: lock and unlock together are one operation ---- */

static struct {
    pintle_mutex mutex;
    unsigned long long count;
} counter;

static void lock_loop(void *context, unsigned iterations) {
    (void)context;
    for (unsigned i = 0; i < iterations; i++) {
        bench_must(pintle_mutex_lock(&counter.mutex, PINTLE_FOREVER), "pintle_mutex_lock");
        counter.count++;
        pintle_mutex_unlock(&counter.mutex);
    }
}

static void mutex_uncontended(const struct plan *plan, double *out_ns) {
    bench_measure(plan, out_ns, plan->iterations, lock_loop, NULL);
}

/* Eight tasks share the mutex; each yields now and then while it holds it, so that others come upon it locked. A slice is
 * plan->iterations of all of them together. */
enum { RIVALS = 8, YIELD_EVERY = 16 };

static void rival(void *arg) {
    unsigned rounds = *(const unsigned *)arg / RIVALS;
    for (unsigned i = 0; i < rounds; i++) {
        bench_must(pintle_mutex_lock(&counter.mutex, PINTLE_FOREVER), "pintle_mutex_lock");
        counter.count++;
        if (i % YIELD_EVERY == 0) pintle_yield();
        pintle_mutex_unlock(&counter.mutex);
    }
}

static void rivals_loop(void *context, unsigned iterations) {
    pintle_task *tasks[RIVALS];
    (void)context;
    for (int i = 0; i < RIVALS; i++) bench_must(pintle_spawn(&tasks[i], rival, &iterations), "pintle_spawn");
    for (int i = 0; i < RIVALS; i++) bench_must(pintle_join(tasks[i], PINTLE_FOREVER), "pintle_join");
}

static void mutex_contended(const struct plan *plan, double *out_ns) {
    bench_measure(plan, out_ns, plan->iterations, rivals_loop, NULL);
}

const struct bench_row bench_rows_chan[] = {
    {"chan_unbuffered", "ping-pong over two unbuffered channels, per round trip", chan_unbuffered},
    {"chan_buffered", "one task sends, one receives, 128 slots between them, per operation", chan_buffered},
    {"select_4", "ping-pong, received by a select of four, per round trip", select_4},
    {"select_4_ready", "select of four that can all run", select_4_ready},
    {"mutex_uncontended", "lock and unlock", mutex_uncontended},
    {"mutex_contended", "the same by 8 tasks, of which each yields under it every 16th time", mutex_contended},
    {NULL, NULL, NULL},
};
