/* watch.h: waiting for descriptors and handles that others own (os_watch in os.h). See watch.c.
 * Threads: any. Tests: tests/posix/test_wait_fd.c, tests/win/test_wait_handle.c. */
#ifndef PINTLE_SRC_WATCH_H
#define PINTLE_SRC_WATCH_H

#include "wait.h"

struct watch {
    struct waiters waiters; /* under guard_of(watch) */
    _Atomic uint32_t seen;  /* how often it was seen ready; under that guard */
    /* Under the table's lock. */
    struct watch *next;
    intptr_t object;
    uint32_t generation, references, epoch; /* epoch: of the poller that it counts in */
    uint32_t to_come;                       /* what was armed and not seen yet, where that counts */
    bool was_armed;
};

/* What a waiter's status is: the events, marked, so that none is 0 or a code. */
#define WATCH_EVENTS_MARK 0x40000000
/* The object's record, made if need be, with a reference. 0, or a code with the error set. */
int watch_take(intptr_t object, const char *function, struct watch **out);
void watch_give(struct watch *watch);
/* From now on events are told, also those that are there already. Who waits has read `seen` before; it waits only if that
 * is the same under the guard. 0, or a code with the error set. */
int watch_arm(struct watch *watch, uint32_t events, const char *function);
/* A code with the error set for what os_watch_look and the others returned. */
int watch_error(int os_code, intptr_t object, const char *function);
/* Waits: the events, or a code. */
int watch_wait(intptr_t object, uint32_t events, int64_t deadline_ns, const char *function);
/* Used up by one who had it and did not want it. */
void watch_give_back(struct watch *watch);

#endif
