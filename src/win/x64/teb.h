/* teb.h: the fields of the TEB that describe the stack, and macros to put a task's or a thread's in. For .S files.
 *
 * What must be swapped and why (each failure was reproduced): StackBase, StackLimit: exception dispatch and
 * RtlCaptureStackBackTrace refuse frames outside; DeallocationStack: growth and overflow look there for the guard;
 * GuaranteedStackBytes: how much an overflow leaves for its handler. StackLimit moves as the stack grows, so the current
 * value is kept: compared first, since it rarely changed, and then no store is needed. FlsData is the thread's: not swapped.
 * The exception list gs:[0] is -1 on task stacks, else frame-based handlers of the thread's own base would be tried there. */
#include "../../layout.h"

#define TEB_EXCEPTION_LIST %gs:0x0
#define TEB_STACK_BASE %gs:0x8 /* and StackLimit behind it: one 16-byte move */
#define TEB_STACK_LIMIT %gs:0x10
#define TEB_LAST_ERROR %gs:0x68
#define TEB_DEALLOCATION_STACK %gs:0x1478
#define TEB_TLS_EXPANSION %gs:0x1780
#define TEB_GUARANTEED_BYTES %gs:0x1748

/* The thread's record into r10, 0 if it has none; disturbs rax. The slots from 64 on are in an array of their own, and
 * before the first start there is no slot: load_self_cold, at the function's end, with where to go then. */
.macro load_self function
    movl    pintle_tls_index(%rip), %eax
    cmpl    $64, %eax
    jae     .Lself_cold_\function
    movq    %gs:0x1480(,%rax,8), %r10
.Lself_\function:
.endm
.macro load_self_cold function, none
.Lself_cold_\function:
    cmpl    $0xffffffff, %eax
    je      \none
    movq    TEB_TLS_EXPANSION, %r10
    testq   %r10, %r10
    jz      \none
    movq    -512(%r10,%rax,8), %r10
    jmp     .Lself_\function
.endm

/* Keeps what the running stack's limit and guarantee have become in the record at \record, whose offsets are given. */
.macro teb_keep record, limit, guarantee, scratch, scratch32
    movq    TEB_STACK_LIMIT, \scratch
    cmpq    \limit(\record), \scratch
    je      7f
    movq    \scratch, \limit(\record)
7:  movl    TEB_GUARANTEED_BYTES, \scratch32
    cmpl    \guarantee(\record), \scratch32
    je      8f
    movl    \scratch32, \guarantee(\record)
8:
.endm

/* Puts the record's stack in. */
.macro teb_put record, reserve, base, guarantee, scratch, scratch32, vector
    movq    \reserve(\record), \scratch
    movq    \scratch, TEB_DEALLOCATION_STACK
    movups  \base(\record), \vector
    movups  \vector, TEB_STACK_BASE
    movl    \guarantee(\record), \scratch32
    cmpl    TEB_GUARANTEED_BYTES, \scratch32
    je      7f
    movl    \scratch32, TEB_GUARANTEED_BYTES
7:
.endm

.macro teb_keep_task task, scratch, scratch32
    teb_keep \task, TASK_STACK_LIMIT, TASK_STACK_GUARANTEE, \scratch, \scratch32
.endm
.macro teb_keep_thread thread, scratch, scratch32
    teb_keep \thread, THREAD_STACK_LIMIT, THREAD_STACK_GUARANTEE, \scratch, \scratch32
.endm
.macro teb_put_task task, scratch, scratch32, vector
    teb_put \task, TASK_STACK_RESERVE, TASK_STACK_BASE, TASK_STACK_GUARANTEE, \scratch, \scratch32, \vector
.endm
.macro teb_put_thread thread, scratch, scratch32, vector
    teb_put \thread, THREAD_STACK_RESERVE, THREAD_STACK_BASE, THREAD_STACK_GUARANTEE, \scratch, \scratch32, \vector
.endm
