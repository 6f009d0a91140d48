// boost_fiber.cpp: Boost.Fiber with its default scheduler: round robin on one thread.
#include "peer.h"

#include <boost/fiber/all.hpp>

static bool over;

static void yield_loop(void *, unsigned iterations) {
    for (unsigned i = 0; i < iterations; i++) boost::this_fiber::yield();
}
static void switch_tasks(const struct plan *plan, double *out_ns) {
    boost::fibers::fiber other([] {
        while (!over) boost::this_fiber::yield();
    });
    peer_measure(plan, out_ns, 2.0 * plan->iterations, yield_loop, nullptr);
    over = true;
    other.join();
}

static void spawn_join_loop(void *, unsigned iterations) {
    for (unsigned i = 0; i < iterations; i++) boost::fibers::fiber([] {}).join();
}
static void spawn_join(const struct plan *plan, double *out_ns) {
    peer_measure(plan, out_ns, plan->iterations, spawn_join_loop, nullptr);
}

typedef boost::fibers::unbuffered_channel<uint64_t> unbuffered;
struct two {
    unbuffered there, back;
};
static void ping_loop(void *context, unsigned iterations) {
    two *c = static_cast<two *>(context);
    uint64_t ball = 0;
    for (unsigned i = 0; i < iterations; i++) {
        c->there.push(ball);
        c->back.pop(ball);
    }
}
static void chan_unbuffered(const struct plan *plan, double *out_ns) {
    two c;
    boost::fibers::fiber other([&c] {
        uint64_t ball;
        while (c.there.pop(ball) == boost::fibers::channel_op_status::success) c.back.push(ball);
    });
    peer_measure(plan, out_ns, plan->iterations, ping_loop, &c);
    c.there.close();
    other.join();
}

typedef boost::fibers::buffered_channel<uint64_t> buffered;
static void send_loop(void *context, unsigned iterations) {
    buffered *c = static_cast<buffered *>(context);
    for (unsigned i = 0; i < iterations; i++) c->push(i);
}
static void chan_buffered(const struct plan *plan, double *out_ns) {
    buffered c(128);
    boost::fibers::fiber other([&c] {
        uint64_t item;
        while (c.pop(item) == boost::fibers::channel_op_status::success) {}
    });
    peer_measure(plan, out_ns, 2.0 * plan->iterations, send_loop, &c);
    c.close();
    other.join();
}

static void lock_loop(void *context, unsigned iterations) {
    boost::fibers::mutex *mutex = static_cast<boost::fibers::mutex *>(context);
    for (unsigned i = 0; i < iterations; i++) {
        mutex->lock();
        mutex->unlock();
    }
}
static void mutex_uncontended(const struct plan *plan, double *out_ns) {
    boost::fibers::mutex mutex;
    peer_measure(plan, out_ns, plan->iterations, lock_loop, &mutex);
}

extern const struct row rows[] = {{"switch", switch_tasks},
                                  {"spawn_join", spawn_join},
                                  {"chan_unbuffered", chan_unbuffered},
                                  {"chan_buffered", chan_buffered},
                                  {"mutex_uncontended", mutex_uncontended},
                                  {nullptr, nullptr}};

int main(int argc, char **argv) {
    peer_begin(argc, argv);
    boost::fibers::fiber([] { peer_run(); }).join(); // in a task, as all rows
    return peer_end();
}
