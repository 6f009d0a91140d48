/* io_poll.h: who waits in the poller (os.h), when, and what becomes of what it tells. The protocol POLL: io_poll.c.
 * Threads: any, unless said. Tests: tests/posix/test_wait_fd.c, tests/api/test_io.c, tests/api/test_io_failure.c. */
#ifndef PINTLE_SRC_IO_POLL_H
#define PINTLE_SRC_IO_POLL_H

#include "scheduler.h"

struct poller {
    /* What the poller can tell of: descriptors, handles, watches; and in the upper half which poller that is. */
    alignas(CACHE_LINE) _Atomic uint64_t registered;
    _Atomic(struct thread *) owner; /* the thread that waits in it; NULL: none */
    _Atomic int64_t polled_ns;      /* when somebody last looked */
    _Atomic bool is_made;
};
extern struct poller poller;

/* Acquire: who sees that something is registered also sees the poller, made before. Pairs with poll_use. */
static inline bool poll_is_used(void) { return (uint32_t)atomic_load_acquire(&poller.registered) != 0; }
static inline bool poll_is_unwatched(void) {
    return UNLIKELY(poll_is_used()) && atomic_load_relaxed(&poller.owner) == NULL;
}

/* ---- For what is polled ---- */

/* Before something is registered: makes the poller, if need be, and counts. *out_epoch: which poller it is. 0, or a code with
 * the error set. */
int poll_use(const char *function, uint32_t *out_epoch);
void poll_use_more(uint32_t epoch, uint32_t count);
/* Nothing, if that poller is no more. */
void poll_unuse(uint32_t epoch);
static inline uint32_t poll_epoch(void) { return (uint32_t)(atomic_load_relaxed(&poller.registered) >> 32); }
/* The calling task is about to wait for what the poller tells, and its thread cannot be the one that waits there. */
void poll_call_for(const struct thread *thread);
/* The calling thread parks and cannot be the one that waits there. */
void poll_call(void);
/* Implemented above: what was seen. Without guards. watch_stop, io_drain: the poller is about to end; what tasks still have under
 * way there ends now, if the system writes to their memory. */
void io_ready(const os_ready *ready);
void watch_ready(const os_ready *ready);
void watch_stop(void);
void io_drain(void);
void io_stop(void); /* after the poller's end */

/* ---- For the scheduler ---- */

/* Whether a thread that is on the lists of idle ones is to wait in the poller: it is its owner now. */
bool poll_begin(struct thread *thread, bool has_deadline);
/* Waits there instead of thread_park, then is owner no more: true for a token. *out_count of out_ready are to be published. */
enum { POLL_BATCH = 128 };
bool poll_wait(struct thread *thread, int64_t deadline_ns, os_ready *out_ready, unsigned *out_count);
void poll_publish(const os_ready *ready, unsigned count);
/* Looks, without waiting, unless somebody waits there or looked less than since_ns ago; publishes. */
void poll_look(int64_t since_ns);
/* The monitor's: nobody has looked for a while. */
void poll_rescue(void);
/* After the last thread has ended. */
void poll_shutdown(void);

#endif
