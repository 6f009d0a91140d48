/* deadlock.h: see deadlock.c. Threads: the monitor, but for deadlock_outsider. */
#ifndef PINTLE_SRC_DEADLOCK_H
#define PINTLE_SRC_DEADLOCK_H

#include "base.h"

/* A thread that is not ours uses the library: it may come again. Any thread. */
void deadlock_outsider(void);
/* Looks, before the monitor sleeps without limit; reports and ends the process if it is sure. Returns when to look again
 * (INT64_MAX: not suspicious). */
int64_t deadlock_look(int64_t now_ns);
/* At the start. */
void deadlock_reset(void);

#endif
