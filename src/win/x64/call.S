/* call.S (Windows, x86-64): the hot half of foreign calls. The protocol is explained in src/call.c, the wrappers in
 * pintle/syscall.h; windows-x64's rules for the TEB in teb.inc.
 *
 * The call block at the thread's stack_top is the thread's argument block (fn, n, args; where r1, r2, err go), and at the
 * same time the machine frame through which the unwinder gets from the thread's stack back to the task's:
 *
 *   task's stack                          thread's stack
 *   high  [caller's frame: a1 … aN]       high  [stack_top: block = RIP, fn, nargs+err, RSP, args, thread, result]
 *         [return address] <- rsp               [argument words from the fifth on][home, 32 bytes] <- rsp
 *                                         low   foreign frames
 *
 * The first argument goes to its home slot, so that a1 … aN are one array in the caller's frame. Results go straight into
 * the caller's struct, which is also the copy that lets the automatic pin end before a slow way out.
 * One plain store to enter, one atomic step to leave, no callee-saved register. rsp comes back right before `ret` or the
 * tail jump to cold code: the unwinder knows these two as the function's end. */
#include "teb.inc"

    .text

/* Steps that all share. T = r10, block = r11; rax holds the call word. */

/* Fills the block: the function in \fn, rsp still at the task's return address. Disturbs rax. */
.macro enter fn
    movq    \fn, BLOCK_FN(%r11)
    incq    %rax                    /* OUT to IN */
    movq    %rax, THREAD_CALL(%r10) /* ENTER 2 */
    movq    (%rsp), %rax
    movq    %rax, BLOCK_RETURN(%r11)
    leaq    8(%rsp), %rax
    movq    %rax, BLOCK_SP(%r11)
.endm

/* Keeps the task's TEB fields; \task is disturbed. */
.macro enter_teb task
    movq    THREAD_TASK(%r10), \task
    teb_keep_task \task, %rax, %eax
.endm

/* The switch, known to the unwinder from this instruction on: a machine frame, below it \frame bytes. */
.macro enter_stack frame
    leaq    -(\frame)(%r11), %rsp
    .seh_pushframe
    .seh_stackalloc \frame
    .seh_endprologue
    teb_put_thread %r10, %rax, %eax, %xmm0
.endm

/* After the call: T = r10 again, TEB back, LEAVE. Falls through on the fast way, goes to \cold on the other; rsp is still
 * the thread's. Disturbs rax, r8, r9, r11, xmm1. */
.macro leave cold
    movq    THREAD_TASK(%r10), %r8
    teb_keep_thread %r10, %rax, %eax
    teb_put_task %r8, %rax, %eax, %xmm1
    movq    THREAD_CALL(%r10), %rax /* read again: a callback has moved the tick */
    movl    %eax, %r9d
    andl    $CALL_FLAGS_MASK, %r9d
    cmpl    $CALL_IN, %r9d
    jne     \cold
    leaq    CALL_LEAVE_STEP(%rax), %r11
    lock cmpxchgq %r11, THREAD_CALL(%r10) /* LEAVE 4 */
    jne     \cold
    cmpl    $0, THREAD_ATTENTION(%r10)
    jne     \cold
.endm

/* The same for wrappers, which have stored the results: the locked step waits for all stores before it, so the TEB's come
 * after it. */
.macro leave_first cold
    movq    THREAD_CALL(%r10), %rax
    movq    THREAD_TASK(%r10), %r8
    movl    %eax, %r9d
    andl    $CALL_FLAGS_MASK, %r9d
    cmpl    $CALL_IN, %r9d
    jne     .Lleft\@
    leaq    CALL_LEAVE_STEP(%rax), %r11
    lock cmpxchgq %r11, THREAD_CALL(%r10) /* LEAVE 4 */
    sete    %r9b                    /* r9d: 1, or anything else */
.Lleft\@:
    teb_keep_thread %r10, %rax, %eax
    teb_put_task %r8, %rax, %eax, %xmm1
    cmpl    $1, %r9d
    jne     \cold
    cmpl    $0, THREAD_ATTENTION(%r10)
    jne     \cold
.endm

/* Is the function in \fn known to block? Disturbs the two others. */
.macro look_at_mark fn, index, index32, table, marked
    movq    \fn, \index
    shrq    $CALL_MARK_SHIFT, \index
    andl    $CALL_MARK_MASK, \index32
    leaq    call_marks(%rip), \table
    cmpb    $0, (\table,\index)
    jne     \marked
.endm

/* int pintle_call(fn = rcx, arg = rdx) */
    .globl  pintle_call
    .p2align 6
    .seh_proc pintle_call
    .seh_handler fault_unhandled, @except
pintle_call:
    load_self pintle_call
    testq   %r10, %r10
    jz      .Lcall_direct
    testq   %rcx, %rcx
    jz      .Lcall_direct           /* which reports it */
    movq    THREAD_CALL(%r10), %rax
    movq    THREAD_STACK_TOP(%r10), %r11
    testb   $CALL_FLAGS_MASK, %al
    jnz     .Lcall_direct
    look_at_mark %rcx, %r8, %r8d, %r9, .Lcall_marked
    enter   %rcx
    enter_teb %r8
    enter_stack 32
    movq    %rcx, %rax
    movq    %rdx, %rcx
    call    *%rax
    movq    (32 + BLOCK_THREAD)(%rsp), %r10
    movl    %eax, %edx
    leave   .Lcall_cold
    movl    %edx, %eax
    movq    (32 + BLOCK_SP)(%rsp), %r11
    leaq    -8(%r11), %rsp
    ret
.Lcall_cold:
    movq    %r10, %rcx
    movq    (32 + BLOCK_SP)(%rsp), %r11
    leaq    -8(%r11), %rsp
    jmp     call_leave_cold
.Lcall_marked:
    jmp     call_marked
.Lcall_direct:
    jmp     call_direct
    load_self_cold pintle_call, .Lcall_direct
    .seh_endproc

/* int arch_call_on_thread(fn = rcx, arg = rdx, thread = r8) */
    .globl  arch_call_on_thread
    .p2align 4
    .seh_proc arch_call_on_thread
    .seh_handler fault_unhandled, @except
arch_call_on_thread:
    movq    %r8, %r10
    movq    THREAD_STACK_TOP(%r10), %r11
    movq    %rcx, BLOCK_FN(%r11)
    movq    (%rsp), %rax
    movq    %rax, BLOCK_RETURN(%r11)
    leaq    8(%rsp), %rax
    movq    %rax, BLOCK_SP(%r11)
    enter_teb %r9
    enter_stack 32
    movq    %rcx, %rax
    movq    %rdx, %rcx
    call    *%rax
    movl    %eax, %edx
    movq    (32 + BLOCK_THREAD)(%rsp), %r10
    movq    THREAD_TASK(%r10), %r8
    teb_keep_thread %r10, %rax, %eax
    teb_put_task %r8, %rax, %eax, %xmm1
    movl    %edx, %eax
    movq    (32 + BLOCK_SP)(%rsp), %r11
    leaq    -8(%r11), %rsp
    ret
    .seh_endproc

/* After a wrapper's call: results into the caller's struct, the pin given back, LEAVE, return the struct. */
.macro wrapper_end frame
    movq    (\frame + BLOCK_THREAD)(%rsp), %r10
    movq    (\frame + BLOCK_RESULT)(%rsp), %rdx
    movl    TEB_LAST_ERROR, %r11d
    movq    %rax, 0(%rdx)
    movq    %xmm0, 8(%rdx)
    movl    %r11d, 16(%rdx)
    decl    THREAD_PINS_AUTO(%r10)
    leave_first 9f
    movq    %rdx, %rax
    movq    (\frame + BLOCK_SP)(%rsp), %r11
    leaq    -8(%r11), %rsp
    ret
9:  movq    %r10, %rcx
    movq    (\frame + BLOCK_SP)(%rsp), %r11
    leaq    -8(%r11), %rsp
    jmp     call_leave_cold         /* returns rdx, the struct */
.endm

/* pintle_result *NAME(result = rcx, fn = rdx, nargs = r8d, a1 = r9, a2 … on the stack) */
.macro wrapper name, words, frame
    .globl  \name
    .p2align 6
    .seh_proc \name
    .seh_handler fault_unhandled, @except
\name:
    load_self \name
    cmpl    $\words, %r8d
    ja      6f
    testq   %rdx, %rdx
    jz      6f
    testq   %r10, %r10
    jz      syscall_outside
    look_at_mark %rdx, %rax, %eax, %r11, syscall_outside
    movq    THREAD_CALL(%r10), %rax
    movq    THREAD_STACK_TOP(%r10), %r11
    testb   $CALL_FLAGS_MASK, %al
    jnz     syscall_outside
    movq    %r9, 32(%rsp)           /* a1 home: a1 … aN are an array now */
    enter   %rdx
    movl    %r8d, %r8d
    movq    %r8, BLOCK_NARGS(%r11)
    leaq    32(%rsp), %r9
    movq    %r9, BLOCK_ARGS(%r11)
    movq    %rcx, BLOCK_RESULT(%r11)
    incl    THREAD_PINS_AUTO(%r10)
    enter_teb %r8
    enter_stack \frame
    movl    $0, TEB_LAST_ERROR
    .if     \words > 4
    .set    offset, 32
    .rept   \words - 4
    movq    offset(%r9), %rax
    movq    %rax, offset(%rsp)
    .set    offset, offset + 8
    .endr
    .endif
    movq    %rdx, %rax
    movq    0(%r9), %rcx
    movq    8(%r9), %rdx
    movq    16(%r9), %r8
    movq    %rcx, %xmm0
    movq    %rdx, %xmm1
    movq    %r8, %xmm2
    .if     \words > 3
    movq    24(%r9), %r9
    movq    %r9, %xmm3
    .endif
    call    *%rax
    wrapper_end \frame
6:  movl    $\words, %r9d
    jmp     syscall_refused
    load_self_cold \name, syscall_outside
    .seh_endproc
.endm

    wrapper pintle_syscall, 3, 32
    wrapper pintle_syscall6, 6, 48
    wrapper pintle_syscall9, 9, 80
    wrapper pintle_syscall12, 12, 96
    wrapper pintle_syscall15, 15, 128

/* A wrapper called in a call or on a foreign thread, or whose function is known to block: the stack as at the wrapper's entry. */
    .p2align 4
    .seh_proc syscall_outside
syscall_outside:
    subq    $40, %rsp
    .seh_stackalloc 40
    .seh_endprologue
    movq    %r9, 72(%rsp)
    leaq    72(%rsp), %r9
    call    syscall_cold
    addq    $40, %rsp
    ret
    .seh_endproc

/* pintle_result *pintle_syscalln(result = rcx, fn = rdx, nargs = r8d, args = r9): a small frame for the usual, a large
 * one for up to 255 words, so that the frame's size is fixed for the unwinder. */
.macro wrapper_n name, most, frame, larger
    .p2align 6
    .seh_proc \name
    .seh_handler fault_unhandled, @except
\name:
    load_self \name
    cmpl    $\most, %r8d
    ja      \larger
    testq   %r10, %r10
    jz      syscall_cold
    look_at_mark %rdx, %rax, %eax, %r11, syscall_cold
    movq    THREAD_CALL(%r10), %rax
    movq    THREAD_STACK_TOP(%r10), %r11
    testb   $CALL_FLAGS_MASK, %al
    jnz     syscall_cold
    testq   %rdx, %rdx
    jz      syscall_cold            /* which reports it */
    enter   %rdx
    movl    %r8d, %r8d
    movq    %r8, BLOCK_NARGS(%r11)
    movq    %r9, BLOCK_ARGS(%r11)
    movq    %rcx, BLOCK_RESULT(%r11)
    incl    THREAD_PINS_AUTO(%r10)
    enter_teb %rcx
    enter_stack \frame
    movl    $0, TEB_LAST_ERROR
    movq    %rdx, %r10
    movl    %r8d, %r11d
    cmpl    $4, %r11d
    jb      3f
2:  cmpl    $4, %r11d               /* the words on the stack, last first */
    je      1f
    movq    -8(%r9,%r11,8), %rax
    movq    %rax, -8(%rsp,%r11,8)
    decl    %r11d
    jmp     2b
1:  movq    0(%r9), %rcx
    movq    8(%r9), %rdx
    movq    16(%r9), %r8
    movq    24(%r9), %r9
    movq    %r9, %xmm3
    jmp     5f
3:  testl   %r11d, %r11d            /* fewer than four: never read past the array */
    jz      4f
    movq    0(%r9), %rcx
    cmpl    $2, %r11d
    jb      5f
    movq    8(%r9), %rdx
    je      5f
    movq    16(%r9), %r8
5:  movq    %rcx, %xmm0
    movq    %rdx, %xmm1
    movq    %r8, %xmm2
4:  call    *%r10
    wrapper_end \frame
    load_self_cold \name, syscall_cold
    .seh_endproc
.endm

    .globl  pintle_syscalln
    wrapper_n pintle_syscalln, 16, 128, syscalln_large
    wrapper_n syscalln_large, 255, 2048, syscall_cold

/* void arch_invoke(fn = rcx, nargs = edx, args = r8, float_flags = r9d, out = 48(%rsp)) */
    .globl  arch_invoke
    .p2align 4
    .seh_proc arch_invoke
arch_invoke:
    pushq   %rbp
    .seh_pushreg %rbp
    movq    %rsp, %rbp
    .seh_setframe %rbp, 0
    subq    $2048, %rsp             /* 255 words and the home space */
    .seh_stackalloc 2048
    .seh_endprologue
    movq    %rcx, %r10
    movl    %edx, %r11d
2:  testl   %r11d, %r11d
    jz      1f
    movq    -8(%r8,%r11,8), %rax
    movq    %rax, -8(%rsp,%r11,8)
    decl    %r11d
    jmp     2b
1:  movl    $0, TEB_LAST_ERROR
    movq    0(%rsp), %rcx
    movq    8(%rsp), %rdx
    movq    16(%rsp), %r8
    movq    24(%rsp), %r9
    movq    %rcx, %xmm0
    movq    %rdx, %xmm1
    movq    %r8, %xmm2
    movq    %r9, %xmm3
    call    *%r10
    movl    TEB_LAST_ERROR, %ecx
    movq    48(%rbp), %rdx
    movq    %rax, 0(%rdx)
    movq    %xmm0, 8(%rdx)
    movl    %ecx, 16(%rdx)
    addq    $2048, %rsp
    popq    %rbp
    ret
    .seh_endproc
