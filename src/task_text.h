/* task_text.h: what a task is doing, in words, for reports and the dump. Reads records that others change; takes no lock.
 * Threads: any. Tests: tests/api/test_dump.c, tests/death/test_deadlock.c. */
#ifndef PINTLE_SRC_TASK_TEXT_H
#define PINTLE_SRC_TASK_TEXT_H

#include "task.h"

/* "waits in pintle_join (pinned)" */
void task_text_state(uint32_t state, const char *waits_for, bool is_bound, char *out_text, size_t text_bytes);
/* "task 12 'worker' waits in pintle_join, spawned at host!main+0x12" */
void task_text(struct pintle_task *task, char *out_text, size_t text_bytes);

#endif
