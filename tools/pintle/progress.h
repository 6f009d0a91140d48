/* progress.h: one line on the terminal that says how far long work is. Nothing where standard error is no terminal, and
 * nothing for work that is over within half a second. */
#ifndef PINTLE_COMMAND_PROGRESS_H
#define PINTLE_COMMAND_PROGRESS_H

#include <pintle.h>

struct progress {
    const char *what; /* "calls" */
    uint64_t total;
    uint64_t (*done)(void *arg); /* how many so far; called by another task */
    void *arg;
    pintle_event over;
    pintle_task *task; /* NULL: not shown */
};

/* In a task. Each start needs its stop. */
void progress_start(struct progress *progress, const char *what, uint64_t total, uint64_t (*done)(void *arg),
                    void *arg);
void progress_stop(struct progress *progress);

#endif
