/* pintle.h: all of Pintle's public headers.
 *
 * Pintle runs very many light tasks on few OS threads and makes calls into foreign code (DLLs, C libraries,
 * system calls) cheap, safe and unable to stall the other tasks. See README.md for a first program.
 *
 * How each function is documented:
 *   Effect   what it does, in a sentence or two
 *   Blocks   no | task (parks the calling task; a thread that is no task blocks itself) | thread
 *   From     task | in a call | foreign thread | any
 *   Errors   the codes it returns; pintle_error_get() has the sentence
 */
#ifndef PINTLE_H
#define PINTLE_H

#include "pintle/base.h"
#include "pintle/errno.h"
#include "pintle/io.h"
#include "pintle/runtime.h"
#include "pintle/service.h"
#include "pintle/task.h"
#include "pintle/call.h"
#include "pintle/chan.h"
#include "pintle/dll.h"
#include "pintle/callback.h"
#include "pintle/panic.h"
#include "pintle/scope.h"
#include "pintle/signal.h"
#include "pintle/sync.h"
#include "pintle/trace.h"
#include "pintle/timer.h"
#if defined(_WIN32)
#include "pintle/syscall.h"
#endif

#endif
