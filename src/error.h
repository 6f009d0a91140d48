/* error.h: setting the calling task's (or thread's) last failure. Tests: tests/api/test_error.c. */
#ifndef PINTLE_SRC_ERROR_H
#define PINTLE_SRC_ERROR_H

#include "base.h"

/* Returns code. */
int error_set(int code, int64_t os_code, const char *format, ...) PINTLE_PRINTF(3, 4);
/* At the start: tasks are numbered anew. */
void error_forget_tasks(void);

#endif
