/* layout.h: the offsets that assembly uses, each checked against its C struct (layout.c). Included by .S files too, so:
 * only #defines. */
#ifndef PINTLE_SRC_LAYOUT_H
#define PINTLE_SRC_LAYOUT_H

/* struct thread */
#define THREAD_CALL 0
#define THREAD_TASK 8
#define THREAD_STACK_TOP 16 /* and callback: one 16-byte pair */
#define THREAD_CALLBACK 24
#define THREAD_STACK_BASE 32 /* base and limit move as one 16-byte pair */
#define THREAD_STACK_LIMIT 40
#define THREAD_STACK_RESERVE 48
#define THREAD_PINS_AUTO 56 /* and callback_depth: one 8-byte pair */
#define THREAD_CALLBACK_DEPTH 60
#define THREAD_ONE_DEEPER 0x100000001
#define THREAD_ATTENTION 128

/* struct task */
#define TASK_SP 0
#define TASK_STACK_RESERVE 8
#define TASK_STACK_BASE 16
#define TASK_STACK_LIMIT 24
#define TASK_STACK_GUARANTEE 32

/* struct call_block, at the thread's stack_top. On Windows the first five words are laid out as the machine frame that
 * the unwinder understands: RIP, CS, EFLAGS, RSP, SS. */
#define BLOCK_RETURN 0
#define BLOCK_FN 8
#define BLOCK_NARGS 16
#define BLOCK_ERR 20
#define BLOCK_SP 24
#define BLOCK_ARGS 32
#define BLOCK_THREAD 40
#define BLOCK_RESULT 48
#define BLOCK_SPARE 56
#define BLOCK_BYTES 64

/* struct thread, its third line */
#define THREAD_LOOP_FRAME 192
#define THREAD_STACK_GUARANTEE 200
#define THREAD_THUNKS_INSIDE 208
#define THREAD_THUNK_SLOTS 14
/* struct task, for callbacks */
#define TASK_SCOPE 56
#define TASK_INSIDE 160
#define TASK_PENDING 168

/* struct pintle_thunk */
#define THUNK_STATE 0
#define THUNK_FLAGS 4
#define THUNK_FN 8
#define THUNK_USER 16
#define THUNK_PANIC_RESULT 24
#define THUNK_DEEP 40
#define THUNK_GATHERS 46
#define THUNK_BYTES 64
#define THUNKS_MOST 2048
#define THUNK_ENTRY_BYTES 16
#define THUNK_STATE_OPEN 1
/* A function that returns nothing: pintle_callback's. A flag that users cannot give. */
#define THUNK_PLAIN 0x40000000

/* struct callback */
#define CB_SCOPE 64
#define CB_STACK_TOP 128 /* and outer, as in the thread */
#define CB_OUTER 136
#define CB_THUNK 144
#define CB_SP 152
#define CB_INSIDE 160
#define CB_PINS 168     /* and depth, as in the thread */
#define CB_WAS_AWAY 176 /* and whether the stack was not the thread's: one 8-byte pair */
#define CB_HAS_FOUND 180
#define CB_FOUND 184
#define CB_KEEPS 216
#define CB_WORDS 256
#define CB_BYTES 768

/* struct scope */
#define SCOPE_SP 16
#define SCOPE_PC 24
#define SCOPE_CALLBACK 32

/* struct fault_catch */
#define CATCH_SP 0

/* take_by_fence (take.c): a byte, not 0: LEAVE is a plain store */

/* call_marks (call.c): a byte for each hash of a function's address */
#define CALL_MARK_SHIFT 4
#define CALL_MARK_MASK 1023

/* thread->call: tick << 3 | KICK | state */
#define CALL_OUT 0
#define CALL_IN 1
#define CALL_TAKEN 2
#define CALL_AWAY 3
#define CALL_STATE_MASK 3
#define CALL_KICK 4
#define CALL_FLAGS_MASK 7
#define CALL_TICK 8
/* the whole word: the runtime has stopped without this call's thread */
#define CALL_LEFT_BEHIND 0xffffffffffffffff
/* from n|IN to n+1|OUT */
#define CALL_LEAVE_STEP 7

#endif
