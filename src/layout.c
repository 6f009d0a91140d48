/* layout.c: checks that layout.h says what the C structs are. No code. */
#include "layout.h"

#include "task.h"
#include "thread.h"

#define SAME(type, member, offset) \
    _Static_assert(offsetof(struct type, member) == (offset), #type "." #member " is not where layout.h says")

SAME(thread, call, THREAD_CALL);
SAME(thread, stack_top, THREAD_STACK_TOP);
SAME(thread, task, THREAD_TASK);
SAME(thread, stack_reserve, THREAD_STACK_RESERVE);
SAME(thread, stack_base, THREAD_STACK_BASE);
SAME(thread, stack_limit, THREAD_STACK_LIMIT);
SAME(thread, stack_guarantee, THREAD_STACK_GUARANTEE);
SAME(thread, pins_auto, THREAD_PINS_AUTO);
SAME(thread, loop_frame, THREAD_LOOP_FRAME);
SAME(thread, attention, THREAD_ATTENTION);
SAME(pintle_task, sp, TASK_SP);
SAME(pintle_task, stack_reserve, TASK_STACK_RESERVE);
SAME(pintle_task, stack_base, TASK_STACK_BASE);
SAME(pintle_task, stack_limit, TASK_STACK_LIMIT);
SAME(pintle_task, stack_guarantee, TASK_STACK_GUARANTEE);
SAME(call_block, return_address, BLOCK_RETURN);
SAME(call_block, fn, BLOCK_FN);
SAME(call_block, nargs, BLOCK_NARGS);
SAME(call_block, err, BLOCK_ERR);
SAME(call_block, sp, BLOCK_SP);
SAME(call_block, args, BLOCK_ARGS);
SAME(call_block, thread, BLOCK_THREAD);
SAME(call_block, result, BLOCK_RESULT);
_Static_assert(sizeof(struct call_block) == BLOCK_BYTES, "the call block is one line");
_Static_assert(CALL_LEAVE_STEP == CALL_TICK - CALL_IN, "leaving goes from n|IN to n+1|OUT");
