/* sleeper.h (Windows): waiting on a word with a precise deadline. The promises are sleeper.c's.
 * Threads: any. Tests: tests/win/test_sleeper.c. */
#ifndef PINTLE_SRC_WIN_SLEEPER_H
#define PINTLE_SRC_WIN_SLEEPER_H

#include "win.h"

/* As os_wait_word, with a deadline. False if the system gives no timer: nothing was done then. */
bool timed_wait(_Atomic uint32_t *word, uint32_t expected, int64_t deadline_ns);
/* Wakes one, or all, that wait on the word in timed_wait; how many. */
unsigned timed_wake(_Atomic uint32_t *word, bool all);
/* Closes the handles that are kept for later waits. */
void sleepers_release(void);

#endif
