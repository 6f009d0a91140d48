/* fault.S (System V, x86-64): a call whose faults are caught. src/posix/fault.c explains.
 *
 *   the thread's stack, high to low:  [return address][rbp rbx r12 r13 r14 r15][pad][MXCSR, x87 CW][catch] <- catch->sp
 *                                     [arch_invoke's frame][the function's frames]
 * A signal's handler goes on at fault_caught_here with rsp = catch->sp, fault_personality at fault_thrown_here. */
#include "../../layout.h"

    .text

/* bool arch_invoke_caught(fn = rdi, nargs = esi, args = rdx, float_flags = ecx, out = r8, catch = r9) */
    .globl  arch_invoke_caught
    .hidden arch_invoke_caught
    .type   arch_invoke_caught, @function
    .p2align 4
arch_invoke_caught:
    .cfi_startproc
    .cfi_personality 0x1b, fault_personality
    pushq   %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_offset rbp, -16
    pushq   %rbx
    .cfi_adjust_cfa_offset 8
    .cfi_offset rbx, -24
    pushq   %r12
    .cfi_adjust_cfa_offset 8
    .cfi_offset r12, -32
    pushq   %r13
    .cfi_adjust_cfa_offset 8
    .cfi_offset r13, -40
    pushq   %r14
    .cfi_adjust_cfa_offset 8
    .cfi_offset r14, -48
    pushq   %r15
    .cfi_adjust_cfa_offset 8
    .cfi_offset r15, -56
    subq    $24, %rsp
    .cfi_adjust_cfa_offset 24
    movq    %r9, 0(%rsp)
    stmxcsr 8(%rsp)
    fnstcw  12(%rsp)
    movq    %rsp, CATCH_SP(%r9)
    call    arch_invoke
    xorl    %eax, %eax
.Lend:
    addq    $24, %rsp
    .cfi_remember_state
    .cfi_adjust_cfa_offset -24
    popq    %r15
    .cfi_adjust_cfa_offset -8
    popq    %r14
    .cfi_adjust_cfa_offset -8
    popq    %r13
    .cfi_adjust_cfa_offset -8
    popq    %r12
    .cfi_adjust_cfa_offset -8
    popq    %rbx
    .cfi_adjust_cfa_offset -8
    popq    %rbp
    .cfi_adjust_cfa_offset -8
    ret
    .cfi_restore_state

    .globl  fault_thrown_here
    .hidden fault_thrown_here
fault_thrown_here:                  /* rax = the exception's record */
    movq    0(%rsp), %rdi
    movq    %rax, %rsi
    call    fault_thrown
    .globl  fault_caught_here
    .hidden fault_caught_here
fault_caught_here:                  /* the control words as they were; the x87 stack empty */
    fninit
    fldcw   12(%rsp)
    ldmxcsr 8(%rsp)
    movl    $1, %eax
    jmp     .Lend
    .cfi_endproc
    .size   arch_invoke_caught, . - arch_invoke_caught

    .section .note.GNU-stack, "", @progbits
