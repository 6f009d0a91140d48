/* libdill.c: libdill's coroutines and channels. One thread; its scheduler looks at the poller from time to time. */
#define DILL_DISABLE_RAW_NAMES
#include "peer.h"

#include <libdill.h>

static bool over;

static void yield_loop(void *context, unsigned iterations) {
    (void)context;
    for (unsigned i = 0; i < iterations; i++) dill_yield();
}
static dill_coroutine void yield_until_over(void) {
    while (!over) dill_yield();
}
static void switch_tasks(const struct plan *plan, double *out_ns) {
    int task = dill_go(yield_until_over());
    peer_must(task >= 0, "go");
    peer_measure(plan, out_ns, 2.0 * plan->iterations, yield_loop, NULL);
    over = true;
    dill_yield();
    dill_hclose(task);
}

/* Nothing joins a single coroutine but a bundle. */
static dill_coroutine void do_nothing(void) {}
static void spawn_join_loop(void *context, unsigned iterations) {
    int bundle = *(int *)context;
    for (unsigned i = 0; i < iterations; i++) {
        peer_must(dill_bundle_go(bundle, do_nothing()) == 0, "bundle_go");
        peer_must(dill_bundle_wait(bundle, -1) == 0, "bundle_wait");
    }
}
static void spawn_join(const struct plan *plan, double *out_ns) {
    int bundle = dill_bundle();
    peer_measure(plan, out_ns, plan->iterations, spawn_join_loop, &bundle);
    dill_hclose(bundle);
}

static dill_coroutine void pong(int there, int back) {
    uint64_t ball;
    while (dill_chrecv(there, &ball, sizeof ball, -1) == 0) dill_chsend(back, &ball, sizeof ball, -1);
}
static void ping_loop(void *context, unsigned iterations) {
    const int *ends = context;
    uint64_t ball = 0;
    for (unsigned i = 0; i < iterations; i++) {
        peer_must(dill_chsend(ends[0], &ball, sizeof ball, -1) == 0, "chsend");
        peer_must(dill_chrecv(ends[1], &ball, sizeof ball, -1) == 0, "chrecv");
    }
}
static void chan_unbuffered(const struct plan *plan, double *out_ns) {
    int there[2], back[2];
    peer_must(dill_chmake(there) == 0 && dill_chmake(back) == 0, "chmake");
    int task = dill_go(pong(there[1], back[1]));
    int ends[2] = {there[0], back[0]};
    peer_must(task >= 0, "go");
    peer_measure(plan, out_ns, plan->iterations, ping_loop, ends);
    dill_hclose(task);
}

const struct row rows[] = {
    {"switch", switch_tasks}, {"spawn_join", spawn_join}, {"chan_unbuffered", chan_unbuffered}, {NULL, NULL}};

int main(int argc, char **argv) {
    peer_begin(argc, argv);
    peer_run();
    return peer_end();
}
