/* pintle/trace.h: what the runtime is doing. */
#ifndef PINTLE_TRACE_H
#define PINTLE_TRACE_H

#include "pintle/base.h"

#if defined(__cplusplus)
extern "C" {
#endif

/* Takes text as it comes, in pieces that are not terminated. */
typedef void pintle_write_fn(void *user, const char *text, size_t text_bytes);

/* Effect: writes what every processor, thread and task is doing (what it waits for, which call it is in, where it was spawned)
 * through `write`, or to standard error (NULL). For a program that hangs: it takes no lock and allocates nothing, so it
 * works whatever the runtime is stuck in; from a debugger too: `call (int)pintle_dump(0, 0)` in gdb. The state is read while
 * it changes: lines need not fit together. Tasks beyond the first hundred are counted, by what they do and where they were
 * spawned. Not while another thread ends the runtime. Blocks: as `write` does. From: any.
 * Errors: EBUSY (another dump is being written). Source of the idea: Go's SIGQUIT. */
PINTLE_API int pintle_dump(pintle_write_fn *write, void *user);

#if defined(__cplusplus)
}
#endif

#endif
