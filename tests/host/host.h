/* host.h: what a host library offers: plain C functions, so that two copies can call each other. */
#ifndef PINTLE_TESTS_HOST_H
#define PINTLE_TESTS_HOST_H

#include <stdint.h>

/* Each gives 0 or what Pintle gave. */
typedef struct host {
    int (*start)(unsigned processors);
    /* With PINTLE_FAULTS_PANIC. */
    int (*start_faulting)(unsigned processors);
    int (*stop)(int64_t wait_ns);
    /* Runs tasks that yield, sleep, wait for each other, call and end pinned; how many things went wrong. */
    unsigned (*work)(unsigned tasks);
    /* Runs fn(arg) as a new task and waits for it. */
    int (*enter)(void (*fn)(void *), void *arg);
    /* fn(arg) called back, on any thread. */
    int (*call_in)(void (*fn)(void *), void *arg);
    /* fn(arg) in a foreign call of the calling task. */
    int (*call)(int (*fn)(void *), void *arg);
    /* The calling task's number; 0: this copy runs no task here. */
    uint64_t (*self)(void);
    void (*yield)(void);
    /* Leaves the calling thread an error: PINTLE_EINVAL. */
    void (*complain)(void);
    /* Whether the last failure of the calling thread has this code and a text. */
    int (*has_error)(int code);
    unsigned (*threads)(void);
    /* Tasks that write to nowhere, in their own code and in callbacks, and stop the panic; how many things went wrong. */
    unsigned (*fault)(unsigned rounds);
} host;

/* Exported as host_get. */
typedef const host *host_get_fn(void);

#endif
