/* kick.h: interrupting foreign calls that asked for it: pintle_call_interruptible. The protocol is explained in kick.c.
 * Threads: see each function. Locks: thread->kick_lock (leaf). Tests: tests/api/test_interrupt.c, tests/model/kick.pml. */
#ifndef PINTLE_SRC_KICK_H
#define PINTLE_SRC_KICK_H

#include "thread.h"

/* An interruptible call in flight, on its task's stack. */
struct kick_frame {
    struct kick_frame *outer;
    const void *block; /* its call block: where the thread's stack_top was */
};

/* A task whose calls may be kicked was cancelled: the monitor looks. Any thread. */
void kick_ask(void);
/* The monitor, each round: kicks what is due; when there is more to do, on os_now_ns's clock; INT64_MAX: nothing. */
int64_t kicks_look(int64_t now_ns);
/* LEAVE has found KICK in the call word: nothing is under way or pending any more. The call's thread. */
COLD void kick_spend(struct thread *thread);
/* A callback ends, and goes back to the call with that block, which is entered again: before and after. The call's thread. */
void kick_reenter(struct thread *thread, const void *block);
void kick_reentered(struct thread *thread, const void *block);
/* The call with that block is unwound. Its thread. */
void kick_unwound(struct thread *thread, const void *block);

#endif
