/* user_timer.h: the record of a pintle_timer, and what select needs of it. The protocol is explained in user_timer.c.
 * Threads: any. Locks: the timer's guard. Tests: tests/api/test_timer.c. */
#ifndef PINTLE_SRC_USER_TIMER_H
#define PINTLE_SRC_USER_TIMER_H

#include "pintle/timer.h"
#include "wait.h"

struct pintle_timer {
    struct timer timer;
    pintle_fn *fn;
    void *arg;
    /* Under the guard. */
    struct waiters waiters;    /* selects */
    _Atomic uint64_t expiries; /* that nobody has received; read without the guard as a hint */
    uint64_t seq;              /* of the setting that holds; an expiry with another is of one that was forgotten */
    int64_t first_ns, period_ns;
    bool is_set;  /* there is an expiry to come */
    bool pending; /* the function is to begin */
    bool coming;  /* its task is on its way */
    bool running;
    bool retries;                         /* the heap's deadline is that of the next try to make the task */
    struct pintle_timer *next, *previous; /* all timers, under their list's lock */
};

/* Without the guard: a hint. */
static inline bool user_timer_is_due(const struct pintle_timer *t) { return atomic_load_relaxed(&t->expiries) != 0; }
/* Under the guard: takes the expiries and writes their number to *out_count (NULL: not); false: there are none. */
bool user_timer_receive_locked(struct pintle_timer *t, uint64_t *out_count);
/* The runtime's threads have ended, its heaps are about to go: no timer is set any more. */
void user_timers_shutdown(void);

#endif
