/* wait.h: waiting with a reason, for tasks and for threads that are none. The mechanism is explained in task.h.
 *
 *   struct wait wait;
 *   wait_begin(&wait, "event");        claim OPEN: from now on others may wake it
 *   … queue wait.sleeper with wait.seq where wakers find it …
 *   reason = wait_finish(&wait, deadline_ns);
 *   … withdraw from the queue, under its lock …
 * Threads: any. Tests: tests/api/test_event.c, tests/api/test_sleep.c. */
#ifndef PINTLE_SRC_WAIT_H
#define PINTLE_SRC_WAIT_H

#include "task.h"

struct wait {
    struct sleeper *sleeper;
    uint64_t seq;
    struct thread *thread; /* NULL: external */
};

/* 0, or PINTLE_ENOMEM: no sleeper for a thread that is no task. */
int wait_begin(struct wait *wait, const char *what);
/* Sleeps until woken, cancelled, or deadline_ns on pintle_now()'s clock. */
enum wake_reason wait_finish(struct wait *wait, int64_t deadline_ns);
/* The other way out, when there is nothing to wait for after all. Waits only for a waker that was faster. */
void wait_abandon(struct wait *wait);

/* Wakes the sleeper if it still waits with this seq: true for the one who wins. */
bool sleeper_wake(struct sleeper *sleeper, uint64_t seq, enum wake_reason reason);
/* A joiner's word (task.h) names its sleeper and the low bits of its seq. */
uint64_t sleeper_join_word(const struct wait *wait);
void sleeper_wake_joiner(uint64_t join);
/* Called by arrived: the sleeper's task has left its stack. */
void sleeper_saved(struct sleeper *sleeper);
/* Ends every task's wait, and those to come, with ECANCELED. */
void wait_cancel_all(void);

/* The code for a wait that ended with this reason (0 for EVENT); the error is set. */
int wait_result(enum wake_reason reason, int64_t deadline_ns, const char *function);
/* Frees the pool of external sleepers. */
void wait_destroy(void);

#endif
