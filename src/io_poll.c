/* io_poll.c: see io_poll.h. How descriptors and handles wake tasks without a thread of their own.
 *
 * POLL: of the threads that are idle one, the owner, waits in the poller instead of on its parker. What it finds it runs
 * itself, with an idle processor that it takes first: from the kernel to the task there is no other thread. While it is away,
 *   - a processor that has run out of work looks, without waiting, before it steals, and its thread becomes the owner when
 *     it parks
 *   - one that never runs out looks at every 61st scheduling decision, if nobody did for 50 µs
 *   - the monitor is the backstop: if nobody did for a while it tells a spare thread to be the owner, or looks itself
 *
 *   parker: EMPTY -> POLLS by the owner before it waits; who then puts a TOKEN there ends the wait (os_poller_wake) instead of
 *           waking the word.
 *   owner:  NULL -> thread (CAS) -> NULL. Leaving, full fence, monitor_asleep read: asleep, it is woken. The monitor, before it
 *           sleeps without limit: asleep = FOREVER, full fence, owner read. So there always is an owner, or somebody awake.
 *   A thread parks without being the owner only if nothing is registered, or another is the owner, who looks again when it
 *   leaves; or if it is bound to a task: then it calls a spare one (poll_call_for, poll_call).
 *
 * While nothing is registered all this costs a load and a branch where a thread is idle anyway.
 * Where the poller's deadlines are coarse, a thread that keeps timers is not the owner.
 *
 * Threads: any. Locks: sched.lock; making the poller: its own (leaf). Order: as said.
 * Tests: tests/posix/test_wait_fd.c, tests/api/test_io.c, tests/api/test_io_failure.c. */
#include "io_poll.h"

#include "error.h"
#include "sanitize.h"

enum { RESCUE_NS = 200000 };

struct poller poller;
static struct lock making = LOCK_INIT(RANK_LEAF);

/* ---- Making ---- */

static int make_locked(const char *function) {
    char message[128];
    int os_code;
    if (atomic_load_relaxed(&poller.is_made)) return 0;
    os_code = os_poller_init();
    if (os_code != 0) {
        os_error_text(os_code, message, sizeof message);
        return error_set(PINTLE_ELIMIT, os_code, "%s: the system makes no poller: %s", function, message);
    }
    atomic_store_release(&poller.is_made, true);
    return 0;
}

int poll_use(const char *function, uint32_t *out_epoch) {
    int result = 0;
    if (UNLIKELY(!atomic_load_acquire(&poller.is_made))) {
        lock_acquire(&making);
        result = sched_phase() == PHASE_STOPPED || sched.processors == NULL
                     ? error_set(PINTLE_ESTOPPED, 0, "%s: the runtime is not running", function)
                     : make_locked(function);
        lock_release(&making);
        if (result != 0) return result;
    }
    *out_epoch = (uint32_t)(atomic_add_seq_cst(&poller.registered, 1) >> 32); /* POLL: then the owner is looked for */
    return 0;
}

static void add(uint32_t epoch, uint64_t count) {
    uint64_t before = atomic_load_relaxed(&poller.registered);
    while (before >> 32 == epoch && !atomic_cas_acq_rel(&poller.registered, &before, before + count)) {}
}

void poll_use_more(uint32_t epoch, uint32_t count) { add(epoch, count); }
void poll_unuse(uint32_t epoch) { add(epoch, UINT64_MAX); }

void poll_shutdown(void) {
    if (!atomic_load_acquire(&poller.is_made)) return;
    watch_stop();
    io_drain();
    lock_acquire(&making);
    atomic_store_relaxed(&poller.is_made, false);
    atomic_store_relaxed(&poller.registered, (uint64_t)(poll_epoch() + 1) << 32);
    atomic_store_relaxed(&poller.owner, NULL);
    os_poller_shutdown();
    lock_release(&making);
    io_stop();
}

/* ---- Who waits ---- */

/* A spare thread looks again, and becomes the owner. False: there is none. */
static bool call_spare(const struct thread *but) {
    struct thread *spare;
    lock_acquire(&sched.lock);
    for (spare = sched.spares; spare == but && spare != NULL;) spare = spare->next;
    lock_release(&sched.lock);
    if (spare == NULL) return false;
    thread_unpark(spare); /* taken meanwhile: a token too many is harmless */
    return true;
}

void poll_call_for(const struct thread *thread) {
    if (poll_is_unwatched() &&
        (thread->is_home || thread->is_attached || (thread->task->pins_user | thread->pins_auto) != 0)) {
        call_spare(NULL);
    }
}

void poll_call(void) {
    if (poll_is_unwatched()) call_spare(NULL);
}

bool poll_begin(struct thread *thread, bool has_deadline) {
    struct thread *none = NULL;
    if (!poll_is_unwatched()) return false;
    if (has_deadline && !os_poller_is_precise()) {
        call_spare(thread);
        return false;
    }
    return atomic_cas_seq_cst(&poller.owner, &none, thread);
}

bool poll_wait(struct thread *thread, int64_t deadline_ns, os_ready *out_ready, unsigned *out_count) {
    uint32_t empty = PARKER_EMPTY;
    bool token;
    *out_count = 0;
    if (atomic_cas_acq_rel(&thread->parker, &empty, PARKER_POLLS)) {
        *out_count = os_poller_wait(out_ready, POLL_BATCH, deadline_ns);
        atomic_store_relaxed(&poller.polled_ns, os_now_ns());
    }
    token = atomic_swap_acq_rel(&thread->parker, PARKER_EMPTY) == PARKER_TOKEN;
    atomic_store_seq_cst(&poller.owner, NULL);
    atomic_fence_full(); /* POLL: pairs with the monitor's */
    if (UNLIKELY(atomic_load_relaxed(&sched.monitor_asleep) != MONITOR_AWAKE)) monitor_wake();
    return token;
}

/* ---- What was seen ---- */

void poll_publish(const os_ready *ready, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        if (ready[i].kind == OS_READY_IO) {
            io_ready(&ready[i]);
        } else {
            watch_ready(&ready[i]);
        }
    }
}

void poll_look(int64_t since_ns) {
    os_ready ready[POLL_BATCH];
    int64_t now;
    if (!poll_is_unwatched()) return;
    if (since_ns != 0) {
        now = os_now_ns();
        if (now - atomic_load_relaxed(&poller.polled_ns) < since_ns) return;
        atomic_store_relaxed(&poller.polled_ns, now);
    }
    poll_publish(ready, os_poller_wait(ready, POLL_BATCH, 0));
}

void poll_rescue(void) {
    if (!poll_is_unwatched() || os_now_ns() - atomic_load_relaxed(&poller.polled_ns) < RESCUE_NS) return;
    if (atomic_load_relaxed(&sched.idle_count) != 0 && call_spare(NULL)) return;
    poll_look(RESCUE_NS);
}
