/* call.S (System V, x86-64): the hot half of foreign calls. The protocol is explained in src/call.c.
 *
 * pintle_call: 1 plain store to enter, 1 to leave, which is a locked step where take_by_fence says so; touched lines: the thread's record (call, stack_top,
 * attention) and the call block. No callee-saved register is used, so nothing is saved but SP.
 * Unwinding goes on from the thread's stack to the task's: backtraces see all. What would unwind for good, an exception or
 * the end of the thread, is stopped by the personality: it must not leave a call that still says IN. */
#include "linked.inc"

    .text

/* int pintle_call(fn = rdi, arg = rsi) */
    .globl  pintle_call
    .type   pintle_call, @function
    .p2align 6
pintle_call:
    .cfi_startproc
    .cfi_personality 0x1b, arch_personality
    movq    pintle_tls_self@gottpoff(%rip), %rax
    movq    %fs:(%rax), %rdx
    testq   %rdx, %rdx
    jz      .Ldirect
    testq   %rdi, %rdi
    jz      .Ldirect                /* which reports it */
    movq    THREAD_CALL(%rdx), %rax
    movq    THREAD_STACK_TOP(%rdx), %rcx
    testb   $CALL_FLAGS_MASK, %al
    jnz     .Ldirect
    movq    %rdi, %r8
    shrq    $CALL_MARK_SHIFT, %r8
    andl    $CALL_MARK_MASK, %r8d
    leaq    call_marks(%rip), %r9
    cmpb    $0, (%r9,%r8)           /* a function that is known to block */
    jne     .Lmarked
    incq    %rax                    /* OUT to IN */
    movq    %rdi, BLOCK_FN(%rcx)
    movq    %rsp, BLOCK_SP(%rcx)
    movq    %rax, THREAD_CALL(%rdx) /* ENTER 2 */
    movq    %rcx, %rsp
    frame_linked_at_block
    stack_goes_elsewhere
    movq    %rdi, %rax
    movq    %rsi, %rdi
    call    *%rax
    stack_is_here_again
    movq    BLOCK_THREAD(%rsp), %rdx
    movq    BLOCK_SP(%rsp), %rsp
    .cfi_def_cfa rsp, 8
    movl    %eax, %esi
    movq    THREAD_CALL(%rdx), %rax /* read again: a callback has moved the tick */
    movl    %eax, %ecx
    andl    $CALL_FLAGS_MASK, %ecx
    cmpl    $CALL_IN, %ecx
    jne     .Lcold
    leaq    CALL_LEAVE_STEP(%rax), %rcx
    cmpb    $0, take_by_fence(%rip)
    je      .Llocked
    movq    %rcx, THREAD_CALL(%rdx) /* LEAVE 4: TAKE's L2, then L3 */
.Lleft:
    cmpl    $0, THREAD_ATTENTION(%rdx)
    jne     .Lcold
    movl    %esi, %eax
    ret
.Llocked:
    lock cmpxchgq %rcx, THREAD_CALL(%rdx)
    je      .Lleft
.Lcold:
    movq    %rdx, %rdi
    jmp     call_leave_cold
.Lmarked:
    jmp     call_marked
.Ldirect:
    jmp     call_direct
    .cfi_endproc
    .size   pintle_call, . - pintle_call

/* void arch_invoke(fn = rdi, nargs = esi, args = rdx, float_flags = ecx, out = r8)
 *
 * Words go to rdi, rsi, rdx, rcx, r8, r9, or, where the mask says floating point, to xmm0 to xmm7; what finds no register
 * goes to the stack in order. rbx = out, r12 = args, r13 = nargs, r14 = mask. First pass: how many go to the stack. */
    .globl  arch_invoke
    .hidden arch_invoke
    .type   arch_invoke, @function
    .p2align 4
arch_invoke:
    .cfi_startproc
    pushq   %rbp
    .cfi_def_cfa_offset 16
    .cfi_offset rbp, -16
    movq    %rsp, %rbp
    .cfi_def_cfa_register rbp
    pushq   %rbx
    pushq   %r12
    pushq   %r13
    pushq   %r14
    pushq   %r15
    subq    $136, %rsp              /* 6 integer words at -176(%rbp), 8 floating ones at -128(%rbp) */
    .cfi_offset rbx, -24
    .cfi_offset r12, -32
    .cfi_offset r13, -40
    .cfi_offset r14, -48
    .cfi_offset r15, -56
    movq    %rdi, %r15
    movl    %esi, %r13d
    movq    %rdx, %r12
    movl    %ecx, %r14d
    andl    $0x00ffffff, %r14d
    movq    %r8, %rbx
    /* Room for all words on the stack: more than needed, never less. */
    leaq    1(%r13), %rax
    andq    $-2, %rax
    shlq    $3, %rax
    subq    %rax, %rsp
    andq    $-16, %rsp
    xorl    %ecx, %ecx              /* word */
    xorl    %esi, %esi              /* integer registers used */
    xorl    %edi, %edi              /* floating ones */
    xorl    %r8d, %r8d              /* stack words */
.Lword:
    cmpl    %r13d, %ecx
    jae     .Lload
    movq    (%r12,%rcx,8), %rax
    movl    %r14d, %edx
    shrl    $1, %r14d
    incl    %ecx
    testl   $1, %edx
    jnz     .Lfloat
    cmpl    $6, %esi
    jae     .Lstack
    movq    %rax, -176(%rbp,%rsi,8)
    incl    %esi
    jmp     .Lword
.Lfloat:
    cmpl    $8, %edi
    jae     .Lstack
    movq    %rax, -128(%rbp,%rdi,8)
    incl    %edi
    jmp     .Lword
.Lstack:
    movq    %rax, (%rsp,%r8,8)
    incl    %r8d
    jmp     .Lword
.Lload:
    movl    %edi, %eax              /* vector registers used: what variadic functions want to know */
    movsd   -128(%rbp), %xmm0
    movsd   -120(%rbp), %xmm1
    movsd   -112(%rbp), %xmm2
    movsd   -104(%rbp), %xmm3
    movsd   -96(%rbp), %xmm4
    movsd   -88(%rbp), %xmm5
    movsd   -80(%rbp), %xmm6
    movsd   -72(%rbp), %xmm7
    movq    -176(%rbp), %rdi
    movq    -168(%rbp), %rsi
    movq    -160(%rbp), %rdx
    movq    -152(%rbp), %rcx
    movq    -144(%rbp), %r8
    movq    -136(%rbp), %r9
    call    *%r15
    movq    %rax, 0(%rbx)
    movq    %xmm0, 8(%rbx)
    leaq    -40(%rbp), %rsp
    popq    %r15
    popq    %r14
    popq    %r13
    popq    %r12
    popq    %rbx
    popq    %rbp
    .cfi_def_cfa rsp, 8
    ret
    .cfi_endproc
    .size   arch_invoke, . - arch_invoke

    .section .note.GNU-stack, "", @progbits
