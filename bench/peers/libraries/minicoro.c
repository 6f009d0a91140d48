/* minicoro.c: minicoro's coroutines, which have no scheduler: a switch is a resume or a yield. */
#include "peer.h"

#define MINICORO_IMPL
#include <minicoro.h>

static void yield_for_ever(mco_coro *self) {
    for (;;) mco_yield(self);
}
static void resume_loop(void *context, unsigned iterations) {
    for (unsigned i = 0; i < iterations; i++) mco_resume(context);
}
static void switch_tasks(const struct plan *plan, double *out_ns) {
    mco_desc description = mco_desc_init(yield_for_ever, 0);
    mco_coro *task;
    peer_must(mco_create(&task, &description) == MCO_SUCCESS, "mco_create");
    peer_measure(plan, out_ns, 2.0 * plan->iterations, resume_loop, task);
    mco_destroy(task);
}

const struct row rows[] = {{"switch", switch_tasks}, {NULL, NULL}};

int main(int argc, char **argv) {
    peer_begin(argc, argv);
    peer_run();
    return peer_end();
}
