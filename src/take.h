/* take.h: taking a processor from a call that goes on (protocol TAKE, explained in take.c), and the fence that it and the
 * freeing of thunks rest on. Threads: see each function. Locks: none. Tests: tests/unit/test_take.c, tests/model/take.pml. */
#ifndef PINTLE_SRC_TAKE_H
#define PINTLE_SRC_TAKE_H

#include "thread.h"

/* Not 0: calls are left by a plain store, and who takes fences all threads. Set while nothing runs; read by the assembly. */
extern uint8_t take_by_fence;

/* At a start, before any call: chooses. may_fence: false: as if the system had no such fence. */
void take_init(bool may_fence);
/* Orders what the caller wrote before all it reads afterwards, and the same for every other thread, which need not fence:
 * either this one sees what they wrote, or they see what this one did. False: the system refuses (a sandbox that came later). */
bool take_fence(void);

/* The thread's call `word`, n|IN, loses its processor to the caller. False: it has just ended, nothing happened. One thread at
 * a time: the monitor, and after its end who stops the runtime. */
bool take_from(struct thread *thread, uint64_t word);
/* Who stops the runtime: the call has lost its processor, and now its thread is on its own. False: it has just ended. */
bool take_leave_behind(struct thread *thread, uint64_t word);

/* The call's thread has stored n+1|OUT, or reads n|TAKEN. Whether the processor was taken from call n. */
bool take_happened(struct thread *thread, uint64_t word);

#endif
