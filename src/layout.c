/* layout.c: checks that layout.h says what the C structs are. No code. */
#include "layout.h"

#include "callback.h"
#include "fault.h"
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
SAME(thread, callback, THREAD_CALLBACK);
SAME(thread, callback_depth, THREAD_CALLBACK_DEPTH);
SAME(thread, thunks_inside, THREAD_THUNKS_INSIDE);
SAME(pintle_task, scope, TASK_SCOPE);
SAME(pintle_task, inside, TASK_INSIDE);
SAME(pintle_task, pending, TASK_PENDING);
SAME(scope, sp, SCOPE_SP);
SAME(scope, pc, SCOPE_PC);
SAME(scope, callback, SCOPE_CALLBACK);
SAME(pintle_thunk, state, THUNK_STATE);
SAME(pintle_thunk, flags, THUNK_FLAGS);
SAME(pintle_thunk, fn, THUNK_FN);
SAME(pintle_thunk, user, THUNK_USER);
SAME(pintle_thunk, panic_result, THUNK_PANIC_RESULT);
SAME(pintle_thunk, deep, THUNK_DEEP);
SAME(pintle_thunk, gathers, THUNK_GATHERS);
SAME(fault_catch, sp, CATCH_SP);
SAME(callback, scope, CB_SCOPE);
SAME(callback, outer, CB_OUTER);
SAME(callback, stack_top, CB_STACK_TOP);
SAME(callback, thunk, CB_THUNK);
SAME(callback, sp, CB_SP);
SAME(callback, was_away, CB_WAS_AWAY);
SAME(callback, pins_auto, CB_PINS);
SAME(callback, inside, CB_INSIDE);
SAME(callback, depth, CB_PINS + 4);
SAME(callback, has_found, CB_HAS_FOUND);
SAME(callback, found, CB_FOUND);
SAME(callback, keeps_registers, CB_KEEPS);
SAME(callback, words, CB_WORDS);
_Static_assert(sizeof(struct callback) == CB_BYTES, "layout.h says how large a callback is");
_Static_assert(sizeof(struct pintle_thunk) == THUNK_BYTES, "the assembly counts thunks by this");
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
