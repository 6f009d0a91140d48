/* fault.S (Windows, x86-64): a call whose faults are caught, and the stack that reports are made on. src/win/fault.c
 * explains. */
#include "teb.inc"

    .text

#define FRAME 64 /* 32 home, the fifth and sixth word of arch_invoke, MXCSR and x87 CW */
#define CONTROL 48
#define PAST_FRAME (FRAME + 8 + 8) /* rbp, the return address: the words of the caller */

/* bool arch_invoke_caught(fn = rcx, nargs = edx, args = r8, float_flags = r9d, out = 40(%rsp), catch = 48(%rsp)) */
    .globl  arch_invoke_caught
    .p2align 4
    .seh_proc arch_invoke_caught
    .seh_handler fault_caught, @except
arch_invoke_caught:
    pushq   %rbp
    .seh_pushreg %rbp
    subq    $FRAME, %rsp
    .seh_stackalloc FRAME
    .seh_endprologue
    movq    (PAST_FRAME + 32)(%rsp), %rax
    movq    %rax, 32(%rsp)
    stmxcsr CONTROL(%rsp)
    fnstcw  (CONTROL + 4)(%rsp)
    call    arch_invoke
    xorl    %eax, %eax
.Lend:
    addq    $FRAME, %rsp
    popq    %rbp
    ret
    .globl  fault_caught_here
fault_caught_here:                  /* the control words as they were; the x87 stack empty */
    fninit
    fldcw   (CONTROL + 4)(%rsp)
    ldmxcsr CONTROL(%rsp)
    cld
    movl    $1, %eax
    jmp     .Lend
    .seh_endproc

/* struct fault_catch *fault_catch_of(frame = rcx): of that function's frame */
    .globl  fault_catch_of
    .p2align 4
    .seh_proc fault_catch_of
fault_catch_of:
    .seh_endprologue
    movq    (PAST_FRAME + 40)(%rcx), %rax
    ret
    .seh_endproc

/* int fault_call_on(base = rcx, limit = rdx, fn = r8, arg = r9): fn(arg) on another stack
 *   this stack:   [return address][rbp][DeallocationStack, StackLimit, StackBase][home] <- rbp
 *   the other:    [home] <- rsp */
    .globl  fault_call_on
    .p2align 4
    .seh_proc fault_call_on
fault_call_on:
    pushq   %rbp
    .seh_pushreg %rbp
    subq    $64, %rsp
    .seh_stackalloc 64
    movq    %rsp, %rbp
    .seh_setframe %rbp, 0
    .seh_endprologue
    movq    TEB_STACK_BASE, %rax
    movq    %rax, 32(%rbp)
    movq    TEB_STACK_LIMIT, %rax
    movq    %rax, 40(%rbp)
    movq    TEB_DEALLOCATION_STACK, %rax
    movq    %rax, 48(%rbp)
    movq    %rcx, TEB_STACK_BASE
    movq    %rdx, TEB_STACK_LIMIT
    movq    %rdx, TEB_DEALLOCATION_STACK
    leaq    -32(%rcx), %rsp
    movq    %r9, %rcx
    call    *%r8
    movq    32(%rbp), %rcx
    movq    %rcx, TEB_STACK_BASE
    movq    40(%rbp), %rcx
    movq    %rcx, TEB_STACK_LIMIT
    movq    48(%rbp), %rcx
    movq    %rcx, TEB_DEALLOCATION_STACK
    leaq    64(%rbp), %rsp
    popq    %rbp
    ret
    .seh_endproc
