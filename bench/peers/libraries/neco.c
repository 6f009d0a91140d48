/* neco.c: neco's coroutines and channels. One thread. */
#include "peer.h"

#include <neco.h>

static bool over;

static void yield_loop(void *context, unsigned iterations) {
    (void)context;
    for (unsigned i = 0; i < iterations; i++) neco_yield();
}
static void yield_until_over(int argc, void **argv) {
    (void)argc, (void)argv;
    while (!over) neco_yield();
}
static void switch_tasks(const struct plan *plan, double *out_ns) {
    peer_must(neco_start(yield_until_over, 0) == NECO_OK, "neco_start");
    peer_measure(plan, out_ns, 2.0 * plan->iterations, yield_loop, NULL);
    over = true;
}

static void do_nothing(int argc, void **argv) { (void)argc, (void)argv; }
static void spawn_join_loop(void *context, unsigned iterations) {
    (void)context;
    for (unsigned i = 0; i < iterations; i++) {
        peer_must(neco_start(do_nothing, 0) == NECO_OK, "neco_start");
        neco_join(neco_lastid());
    }
}
static void spawn_join(const struct plan *plan, double *out_ns) {
    peer_measure(plan, out_ns, plan->iterations, spawn_join_loop, NULL);
}

static neco_chan *chans[2];
static void pong(int argc, void **argv) {
    uint64_t ball;
    (void)argc, (void)argv;
    while (neco_chan_recv(chans[0], &ball) == NECO_OK) neco_chan_send(chans[1], &ball);
}
static void ping_loop(void *context, unsigned iterations) {
    uint64_t ball = 0;
    (void)context;
    for (unsigned i = 0; i < iterations; i++) {
        peer_must(neco_chan_send(chans[0], &ball) == NECO_OK, "neco_chan_send");
        peer_must(neco_chan_recv(chans[1], &ball) == NECO_OK, "neco_chan_recv");
    }
}
static void chan_unbuffered(const struct plan *plan, double *out_ns) {
    for (int i = 0; i < 2; i++) peer_must(neco_chan_make(&chans[i], sizeof(uint64_t), 0) == NECO_OK, "neco_chan_make");
    peer_must(neco_start(pong, 0) == NECO_OK, "neco_start");
    peer_measure(plan, out_ns, plan->iterations, ping_loop, NULL);
    neco_chan_close(chans[0]);
}

static void receive_all(int argc, void **argv) {
    uint64_t item;
    (void)argc, (void)argv;
    while (neco_chan_recv(chans[0], &item) == NECO_OK) {}
}
static void send_loop(void *context, unsigned iterations) {
    uint64_t item = 0;
    (void)context;
    for (unsigned i = 0; i < iterations; i++) peer_must(neco_chan_send(chans[0], &item) == NECO_OK, "neco_chan_send");
}
static void chan_buffered(const struct plan *plan, double *out_ns) {
    peer_must(neco_chan_make(&chans[0], sizeof(uint64_t), 128) == NECO_OK, "neco_chan_make");
    peer_must(neco_start(receive_all, 0) == NECO_OK, "neco_start");
    peer_measure(plan, out_ns, 2.0 * plan->iterations, send_loop, NULL);
    neco_chan_close(chans[0]);
}

const struct row rows[] = {{"switch", switch_tasks},
                           {"spawn_join", spawn_join},
                           {"chan_unbuffered", chan_unbuffered},
                           {"chan_buffered", chan_buffered},
                           {NULL, NULL}};

static void main_task(int argc, void **argv) {
    (void)argc, (void)argv;
    peer_run();
}
int main(int argc, char **argv) {
    peer_begin(argc, argv);
    neco_env_setpaniconerror(true);
    peer_must(neco_start(main_task, 0) == NECO_OK, "neco_start");
    return peer_end();
}
