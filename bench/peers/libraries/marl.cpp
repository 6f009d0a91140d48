// marl.cpp: marl's tasks. It has events, but no yield and no channels; a task is joined by an event.
#include "peer.h"

#include <marl/event.h>
#include <marl/scheduler.h>

static void spawn_join_loop(void *, unsigned iterations) {
    for (unsigned i = 0; i < iterations; i++) {
        marl::Event done(marl::Event::Mode::Auto);
        marl::schedule([done] { done.signal(); });
        done.wait();
    }
}
static void spawn_join(const struct plan *plan, double *out_ns) {
    marl::Event over(marl::Event::Mode::Manual);
    marl::schedule([=] { // in a task, as all rows
        peer_measure(plan, out_ns, plan->iterations, spawn_join_loop, nullptr);
        over.signal();
    });
    over.wait();
}

extern const struct row rows[] = {{"spawn_join", spawn_join}, {nullptr, nullptr}};

int main(int argc, char **argv) {
    peer_begin(argc, argv);
    marl::Scheduler::Config config;
    config.setWorkerThreadCount(static_cast<int>(peer_plan.processors));
    marl::Scheduler scheduler(config);
    scheduler.bind();
    peer_run();
    scheduler.unbind();
    return peer_end();
}
