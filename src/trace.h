/* trace.h: PINTLE_TRACE=MILLISECONDS: a line about the whole runtime each so often. The monitor writes it, through on_report or to
 * standard error. Threads: start: the starter; the rest: the monitor. Tests: tests/api/test_trace_lines.c. */
#ifndef PINTLE_SRC_TRACE_H
#define PINTLE_SRC_TRACE_H

#include "base.h"

/* Reads the environment. 0 or PINTLE_EINVAL. */
int trace_start(void);
/* When the next line is due (os_now_ns's clock); INT64_MAX: never. */
int64_t trace_deadline(void);
void trace_look(int64_t now_ns);

#endif
