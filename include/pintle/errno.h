/* pintle/errno.h: an errno, and a last error, that are the calling task's own across waits.
 *
 * They travel with the task from thread to thread. But compilers may take the address of errno once in a function and
 * go on using it after a wait, when the task is on another thread. Here each use asks for the address anew. For code that
 * uses errno on both sides of a wait (pintle_sleep, pintle_join, a call, …) in one function; pintle.h includes it. */
#ifndef PINTLE_ERRNO_H
#define PINTLE_ERRNO_H

#include <errno.h>

#include "pintle/base.h"

#if defined(__cplusplus)
extern "C" {
#endif

/* Where errno is now: good until the next wait. Blocks: no. From: any. */
PINTLE_API int *pintle_errno_address(void);

/* The system's error number: on Windows the last error, elsewhere errno. Blocks: no. From: any. */
PINTLE_API uint32_t pintle_last_error(void);
PINTLE_API void pintle_last_error_set(uint32_t error);

#undef errno
#define errno (*pintle_errno_address())

#if defined(__cplusplus)
}
#endif

#endif
