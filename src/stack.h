/* stack.h: stacks, each with its task's record at the top.
 *
 *   high  [struct pintle_task] <- stack_base, where unwinding and the TEB say the stack begins
 *         [the stack, committed as touched …]
 *   low   [guard]             <- stack_reserve
 * Record and first frames share a page, so a parked task that has run little costs about one page. Records are shifted
 * against each other by a few cache lines, else all would fall into the same cache sets.
 *
 * Sizes are powers of two from 64 KB (classes). Small ones are carved from slabs of 16 MB. Address space and the pages of
 * records are given back to the system when the runtime has stopped, not before (records are type-stable: task.h); the
 * lower pages of stacks that nobody uses for long, by stack_trim_idle.
 * Threads: any. Locks: one for each class (RANK_POOL).
 * Tests: tests/api/test_task.c, tests/api/test_many.c, tests/unit/test_stack.c. */
#ifndef PINTLE_SRC_STACK_H
#define PINTLE_SRC_STACK_H

#include "task.h"

/* The class for a stack of at least this many bytes; -1: too large. */
int stack_class(size_t stack_bytes);
/* A record whose stack is prepared, either used before or new. PINTLE_ENOMEM: error set. */
int stack_take(int size_class, struct pintle_task **out);
/* Gives a chain (through task->next) back. */
void stack_give(int size_class, struct pintle_task *first, struct pintle_task *last);
/* Gives back the lower pages of free stacks that were not used since the call before this one; of a hundred or two at most,
 * so that it takes a ms or two. True: there are more of those; call again soon. For the monitor. Threads: one at a time. */
bool stack_trim_idle(void);
/* Whether there are free stacks that stack_trim_idle would trim now or later. */
bool stack_trim_wanted(void);
void stack_each_task(void (*visit)(struct pintle_task *task));
/* The same with a context: for pintle_check. */
void stack_check_records(void (*visit)(struct pintle_task *task, void *context), void *context);
/* Address space held now. */
uint64_t stack_bytes_held(void);
/* Gives everything back to the system: no task may be left. */
void stack_destroy(void);

#endif
