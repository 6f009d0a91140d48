/* owner.h: who holds a lock, in a word: the task, or the thread that is none.
 * Threads: any. Tests: tests/death/test_sync.c. */
#ifndef PINTLE_SRC_OWNER_H
#define PINTLE_SRC_OWNER_H

#include "scheduler.h"

/* Bits that an owner leaves free for the lock. */
#define OWNER_FREE_BITS ((uint64_t)7 << 61)
#define OWNER_IS_THREAD ((uint64_t)1 << 60)

COLD uint64_t owner_thread(void);
/* The caller; not 0. A task in a call is still the task. */
static inline uint64_t owner_self(void) {
    struct thread *thread = arch_self_before_switch();
    return LIKELY(thread != NULL && thread->task != NULL) ? thread->task->id : owner_thread();
}
/* "task 7 'name'", "thread 12", "nobody". */
COLD void owner_describe(uint64_t owner, char *out_text, size_t text_bytes);

#endif
