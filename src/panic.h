/* panic.h: what happens when a contract is broken (panic) or the runtime is (fatal, in base.h). Tests: tests/death. */
#ifndef PINTLE_SRC_PANIC_H
#define PINTLE_SRC_PANIC_H

#include "base.h"

/* The message names the call. A report; then the process ends with status 2, or in library mode the task alone. */
NORETURN COLD void panic(const char *format, ...) PINTLE_PRINTF(1, 2);
/* A report of kind PINTLE_REPORT_…, then the process ends with status 2. */
NORETURN COLD void report_and_exit(int kind, const char *text);
/* A report of kind PINTLE_REPORT_WARNING. Not under a lock: it may run the user's code. */
COLD void report_warning(const char *format, ...) PINTLE_PRINTF(1, 2);

#endif
