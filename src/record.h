/* record.h: the records of tasks. They lie close together in chunks, apart from the stacks (stack.h), and are type-stable: a
 * record is a record until the runtime has stopped (task.h). Free ones are in a pool, behind the processors' own (task.c).
 * Threads: any. Locks: one (RANK_POOL). Order: `made` release / acquire: who walks the chunks sees records that are ready.
 * Tests: tests/api/test_task.c, tests/api/test_many.c. */
#ifndef PINTLE_SRC_RECORD_H
#define PINTLE_SRC_RECORD_H

#include "task.h"

enum { RECORDS_LOT = 32 };                 /* so many come and go at a time */
extern _Atomic uint32_t records_kept_most; /* that a processor may keep; 0: none since memory was refused */

/* A record in state IDLE; a fresh one is all zeros. NULL: no memory. */
struct pintle_task *record_take(void);
/* A chain (through task->next) of RECORDS_LOT or fewer; how many. NULL: no memory. */
struct pintle_task *records_take(uint32_t *out_count);
void record_give(struct pintle_task *task);
/* Gives a chain of RECORDS_LOT back. */
void records_give(struct pintle_task *first);
/* All records there are, of free and dead tasks too. */
void record_each_task(void (*visit)(struct pintle_task *task));
/* The same with a context. */
void record_each(void (*visit)(struct pintle_task *task, void *context), void *context);
/* Memory held now. */
uint64_t record_bytes_held(void);
/* Frees all, but for those of tasks that were left behind in a call. */
void records_destroy(void);

#endif
