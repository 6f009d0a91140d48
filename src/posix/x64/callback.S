/* callback.S (System V, x86-64): the hot half of callbacks. The protocol is explained in src/callback.c, the record in
 * src/callback.h, what the thunks' entries do in thunks.S.
 *
 *   task's stack                                   thread's stack
 *   high  [caller of pintle_call]                  high  [call block of that call] <- stack_top before
 *         [return address] <- block.sp                   [foreign frames]
 *         [8][r15 r14 r13 r12 rbp rbx]                   [return address] <- record.sp
 *   low   the callback's user code                 low   [record, 64-aligned] <- stack_top, thread->callback
 *
 * Leaving the call and entering it again are plain stores; leaving is a locked step where take_by_fence says so.
 * Callee-saved registers are kept for panics that end here, only: else the user's function keeps them itself. */
#include "linked.inc"

#define SAVED_BYTES 64

/* After the switch: rbx = the record. The caller's frame is on the other stack, at *(rbx + CB_SP); what was in the
 * callee-saved registers lies at rsp. In DWARF: def_cfa_expression breg3 152, deref, plus_uconst 8; expressions of rsp. */
.macro frame_linked
    .cfi_escape 0x0f, 6, 0x73, 0x98, 0x01, 0x06, 0x23, 0x08
    .cfi_escape 0x10, 3, 2, 0x77, 0
    .cfi_escape 0x10, 6, 2, 0x77, 8
    .cfi_escape 0x10, 12, 2, 0x77, 16
    .cfi_escape 0x10, 13, 2, 0x77, 24
    .cfi_escape 0x10, 14, 2, 0x77, 32
    .cfi_escape 0x10, 15, 2, 0x77, 40
.endm

/* ENTER_CB 2 and 4: pinned, and on the task's stack. T = r10, task = rdx, r9 = its pins and depth then. */
.macro enter_task
    movq    THREAD_STACK_TOP(%r10), %rdi
    movaps  THREAD_STACK_TOP(%r10), %xmm0
    movq    TASK_INSIDE(%rdx), %rax
    movq    %rsp, %xmm1
    movq    %rsp, %rsi
    punpcklqdq %xmm1, %xmm1
    movaps  %xmm0, CB_STACK_TOP(%rsp)
    movq    %r10, BLOCK_THREAD(%rsp)
    movq    %rax, CB_INSIDE(%rsp)
    movq    %r9, CB_PINS(%rsp)
    movaps  %xmm1, THREAD_STACK_TOP(%r10)
    movq    %r9, THREAD_PINS_AUTO(%r10)
    movq    BLOCK_SP(%rdi), %rcx
    andq    $-16, %rcx
    leaq    -SAVED_BYTES(%rcx), %rsp
    movq    %rbx, 0(%rsp)
    movq    %rbp, 8(%rsp)
    movq    %r12, 16(%rsp)
    movq    %r13, 24(%rsp)
    movq    %r14, 32(%rsp)
    movq    %r15, 40(%rsp)
    movq    %rsi, %rbx              /* the record */
    frame_linked
.endm

    .text

/* int pintle_callback(fn = rdi, arg = rsi): a thunk that all share; fn and arg are its words. */
    .globl  pintle_callback
    .type   pintle_callback, @function
    .p2align 6
pintle_callback:
    .cfi_startproc
    .cfi_personality 0x1b, arch_personality
    movq    %rsp, %r8
    .cfi_def_cfa r8, 8
    testq   %rdi, %rdi
    jz      .Lnull
    subq    $CB_BYTES, %rsp
    andq    $-64, %rsp
    leaq    callback_plain(%rip), %r11
    movq    %rdi, (CB_WORDS + 0)(%rsp)
    movq    %rsi, (CB_WORDS + 8)(%rsp)
    jmp     .Lrecord
.Lnull:
    jmp     callback_of_null
    .cfi_endproc
    .size   pintle_callback, . - pintle_callback

/* From a thunk's entry: its number in eax, the stack and the other registers as the foreign code left them. */
    .globl  thunk_common
    .hidden thunk_common
    .type   thunk_common, @function
    .p2align 6
thunk_common:
    .cfi_startproc
    .cfi_personality 0x1b, arch_personality
    movq    %rsp, %r10
    .cfi_def_cfa r10, 8
    subq    $CB_BYTES, %rsp
    andq    $-64, %rsp
    shlq    $6, %rax
    leaq    thunk_table(%rip), %r11
    addq    %rax, %r11
    movq    %rdi, (CB_WORDS + 0)(%rsp)
    movq    %rsi, (CB_WORDS + 8)(%rsp)
    movq    %rdx, (CB_WORDS + 16)(%rsp)
    movq    %rcx, (CB_WORDS + 24)(%rsp)
    movq    %r8, (CB_WORDS + 32)(%rsp)
    movq    %r9, (CB_WORDS + 40)(%rsp)
    movq    %r10, %r8
    .cfi_def_cfa r8, 8
    cmpb    $0, THUNK_GATHERS(%r11)
    jne     gather

/* rsp = the record, r11 = the thunk, r8 = the foreign stack pointer. */
.Lrecord:
    movq    pintle_tls_self@gottpoff(%rip), %rax
    movq    %fs:(%rax), %r10
    movq    %r8, CB_SP(%rsp)
    movq    %r11, CB_THUNK(%rsp)
    movq    $0, CB_WAS_AWAY(%rsp)   /* and has_found */
    testq   %r10, %r10
    jz      elsewhere
    movq    THREAD_CALL(%r10), %rax
    movq    THREAD_TASK(%r10), %rdx
    movabsq $THREAD_ONE_DEEPER, %r9
    movl    %eax, %ecx
    addq    THREAD_PINS_AUTO(%r10), %r9
    andl    $CALL_FLAGS_MASK, %ecx
    cmpl    $CALL_IN, %ecx
    jne     .Lnot_in
.Lenter:
    testl   $THUNK_PLAIN, THUNK_FLAGS(%r11)
    jnz     .Lslot
    movq    %r9, %rcx
    shrq    $32, %rcx
    cmpl    $THREAD_THUNK_SLOTS, %ecx
    ja      .Ldeep
    movq    %r11, (THREAD_THUNKS_INSIDE - 8)(%r10,%rcx,8) /* ENTER_CB 1 */
.Lslot:
#if defined(PINTLE_SANITIZE)
    jmp     .Lenter_cold            /* all in C: src/sanitize/switch.c */
#endif
    leaq    CALL_LEAVE_STEP(%rax), %rcx
    testb   $CALL_IN, %al           /* or 0, from .Lnot_in */
    jz      .Lenter_cold
    cmpb    $0, take_by_fence(%rip)
    je      .Llocked
    movq    %rcx, THREAD_CALL(%r10) /* ENTER_CB 3: TAKE's L2, then L3 */
.Lleft_call:
    cmpl    $0, THREAD_ATTENTION(%r10)
    jne     .Lenter_cold
    enter_task
.Lleft:
#if defined(PINTLE_SANITIZE)
    jmp     .Lrefused
#endif
    cmpl    $THUNK_STATE_OPEN, THUNK_STATE(%r11)
    jne     .Lrefused
    cmpq    $0, TASK_PENDING(%rdx)
    jne     .Lrefused
    testl   $THUNK_PLAIN, THUNK_FLAGS(%r11) /* ENTER_CB 5 */
    jnz     .Lplain
    stack_goes_elsewhere            /* up to .Lplain */
    movq    THUNK_USER(%r11), %rdi
    leaq    CB_WORDS(%rbx), %rsi
    call    *THUNK_FN(%r11)
.Lreturned:
    movq    BLOCK_THREAD(%rbx), %r10
    movq    THREAD_TASK(%r10), %rdx
    movq    TASK_SCOPE(%rdx), %rcx
    cmpq    %rbx, SCOPE_CALLBACK(%rcx)
    je      .Lscope_made
.Lreturn:                           /* rax = the result; ENTER_CB 6 */
    movq    pintle_tls_self@gottpoff(%rip), %rcx
    movq    %fs:(%rcx), %r10
    cmpq    BLOCK_THREAD(%rbx), %r10
    jne     .Lmisplaced
    cmpq    THREAD_CALLBACK(%r10), %rbx
    jne     .Lmisplaced
    cmpl    $0, CB_WAS_AWAY(%rbx)
    jne     .Lenter_away
    incq    THREAD_CALL(%r10)       /* OUT to IN: nobody else writes it while it says OUT */
.Lentered:                          /* ENTER_CB 7 */
    movabsq $-THREAD_ONE_DEEPER, %rsi
    movq    CB_PINS(%rbx), %rcx
    movq    CB_THUNK(%rbx), %r11
    movaps  CB_STACK_TOP(%rbx), %xmm1
    addq    %rcx, %rsi
    movq    CB_SP(%rbx), %rdx
    movq    %rsi, THREAD_PINS_AUTO(%r10)
    movaps  %xmm1, THREAD_STACK_TOP(%r10)
    testl   $THUNK_PLAIN, THUNK_FLAGS(%r11)
    jnz     .Lplain_end
    shrq    $32, %rcx
    cmpl    $THREAD_THUNK_SLOTS, %ecx
    ja      .Ldeep_leave
    movq    $0, (THREAD_THUNKS_INSIDE - 8)(%r10,%rcx,8)
.Lend:
    movq    0(%rsp), %rbx
    movq    %rdx, %rsp
    .cfi_remember_state
    .cfi_def_cfa rsp, 8
    .cfi_restore rbx
    movq    %rax, %xmm0
    ret
    .cfi_restore_state
.Lplain_end:
    movq    0(%rsp), %rbx
    movq    %rdx, %rsp
    .cfi_remember_state
    .cfi_def_cfa rsp, 8
    .cfi_restore rbx
    testl   %eax, %eax
    jnz     .Lfailed
    ret
.Lfailed:
    movl    %eax, %edi
    jmp     callback_failed
    .cfi_restore_state
.Lplain:
    movq    (CB_WORDS + 8)(%rbx), %rdi
    call    *CB_WORDS(%rbx)
    stack_is_here_again
    xorl    %eax, %eax
    jmp     .Lreturned

    /* Cold: after the switch. */
.Ldeep_leave:
    lock decl THUNK_DEEP(%r11)
    jmp     .Lend
.Lrefused:
    movq    %rbx, %rdi
    call    callback_refused
    jmp     .Lreturn
.Lscope_made:
    movq    %rbx, %rdi
    movq    %rax, %rsi
    call    callback_end_scope
    jmp     .Lreturn
    .globl  arch_callback_landed
    .hidden arch_callback_landed
arch_callback_landed:               /* rdi = the scope; the stack pointer is the scope's */
    leaq    -CB_SCOPE(%rdi), %rbx
    call    callback_landed
    movq    8(%rsp), %rbp
    movq    16(%rsp), %r12
    movq    24(%rsp), %r13
    movq    32(%rsp), %r14
    movq    40(%rsp), %r15
    jmp     .Lreturn
.Lenter_away:
    movq    %rax, 48(%rsp)
    movq    %rbx, %rdi
    call    callback_enter_away
    movq    BLOCK_THREAD(%rbx), %r10
    movq    48(%rsp), %rax
    jmp     .Lentered
.Lmisplaced:
    movq    %rbx, %rdi
    call    callback_misplaced
    ud2

    /* Cold: before it. */
    .cfi_restore rbx
    .cfi_restore rbp
    .cfi_restore r12
    .cfi_restore r13
    .cfi_restore r14
    .cfi_restore r15
    .cfi_def_cfa r8, 8
.Lnot_in:
    andl    $CALL_STATE_MASK, %ecx
    cmpl    $CALL_OUT, %ecx
    je      elsewhere
    xorl    %eax, %eax              /* not to be left here */
    cmpl    $CALL_AWAY, %ecx
    jne     .Lenter
    cmpq    TASK_STACK_RESERVE(%rdx), %rsp /* a section: the foreign frames are on the task's stack */
    jb      .Laway
    cmpq    TASK_STACK_BASE(%rdx), %rsp
    jb      elsewhere
.Laway:
    movl    $1, CB_WAS_AWAY(%rsp)
    jmp     .Lenter
.Ldeep:
    lock incl THUNK_DEEP(%r11)
    jmp     .Lslot
.Llocked:
    lock cmpxchgq %rcx, THREAD_CALL(%r10)
    je      .Lleft_call
.Lenter_cold:
    enter_task
    movq    %rbx, %rdi
    call    callback_leave
    movq    BLOCK_THREAD(%rbx), %r10
    movq    CB_THUNK(%rbx), %r11
    movq    THREAD_TASK(%r10), %rdx
    jmp     .Lleft
    .cfi_endproc
    .size   thunk_common, . - thunk_common

    .type   elsewhere, @function
elsewhere:                          /* rsp is the record still */
    .cfi_startproc
    .cfi_personality 0x1b, arch_personality
    .cfi_def_cfa r8, 8
    movq    %rsp, %rdi
    pushq   %rbp
    movq    %r8, %rbp
    .cfi_def_cfa rbp, 8
    pushq   %rbp
    .cfi_escape 0x10, 6, 2, 0x77, 8
    call    callback_elsewhere
    movq    (CB_THUNK + 16)(%rsp), %rsi
    movq    8(%rsp), %rcx
    movq    %rbp, %rsp
    .cfi_def_cfa rsp, 8
    movq    %rcx, %rbp
    testl   $THUNK_PLAIN, THUNK_FLAGS(%rsi)
    jnz     1f
    movq    %rax, %xmm0
    ret
1:  testl   %eax, %eax
    jz      2f
    movl    %eax, %edi
    jmp     callback_failed
2:  ret
    .cfi_endproc
    .size   elsewhere, . - elsewhere

    .type   gather, @function
gather:                             /* floating words, or words on the stack */
    .cfi_startproc
    .cfi_def_cfa r8, 8
    pushq   %rbp
    movq    %r8, %rbp
    .cfi_def_cfa rbp, 8
    subq    $88, %rsp
    .cfi_escape 0x10, 6, 3, 0x77, 0xd8, 0
    movsd   %xmm0, 0(%rsp)
    movsd   %xmm1, 8(%rsp)
    movsd   %xmm2, 16(%rsp)
    movsd   %xmm3, 24(%rsp)
    movsd   %xmm4, 32(%rsp)
    movsd   %xmm5, 40(%rsp)
    movsd   %xmm6, 48(%rsp)
    movsd   %xmm7, 56(%rsp)
    movq    %r11, 72(%rsp)
    leaq    96(%rsp), %rdi          /* the record */
    movq    %r11, CB_THUNK(%rdi)
    movq    %rsp, %rsi
    leaq    8(%r8), %rdx            /* the words on the stack */
    call    callback_gather
    movq    %rbp, %r8
    .cfi_def_cfa r8, 8
    movq    72(%rsp), %r11
    addq    $88, %rsp
    popq    %rbp
    jmp     .Lrecord
    .cfi_endproc
    .size   gather, . - gather

/* void arch_protect(scope = rdi, fn = rsi, arg = rdx): fn(arg); returns when it does, or when the scope is unwound to. */
    .globl  arch_protect
    .hidden arch_protect
    .type   arch_protect, @function
    .p2align 4
arch_protect:
    .cfi_startproc
    .cfi_personality 0x1b, arch_personality
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
    subq    $8, %rsp
    .cfi_adjust_cfa_offset 8
    leaq    .Lprotect_end(%rip), %rax
    movq    %rsp, SCOPE_SP(%rdi)
    movq    %rax, SCOPE_PC(%rdi)
    movq    %rsi, %rax
    movq    %rdx, %rdi
    call    *%rax
    addq    $56, %rsp
    .cfi_adjust_cfa_offset -56
    ret                             /* the function has kept the registers itself */
.Lprotect_end:
    .cfi_adjust_cfa_offset 56
    movq    8(%rsp), %r15
    movq    16(%rsp), %r14
    movq    24(%rsp), %r13
    movq    32(%rsp), %r12
    movq    40(%rsp), %rbx
    movq    48(%rsp), %rbp
    addq    $56, %rsp
    .cfi_adjust_cfa_offset -56
    ret
    .cfi_endproc
    .size   arch_protect, . - arch_protect

/* void arch_unwind(scope = rdi), no return */
    .globl  arch_unwind
    .hidden arch_unwind
    .type   arch_unwind, @function
    .p2align 4
arch_unwind:
    .cfi_startproc
    .cfi_undefined rip
    movq    SCOPE_SP(%rdi), %rsp
    jmp     *SCOPE_PC(%rdi)
    .cfi_endproc
    .size   arch_unwind, . - arch_unwind

/* void arch_keep_registers(callback = rdi): all are in the callback's frame. */
    .globl  arch_keep_registers
    .hidden arch_keep_registers
    .type   arch_keep_registers, @function
    .p2align 4
arch_keep_registers:
    .cfi_startproc
    movb    $1, CB_KEEPS(%rdi)
    ret
    .cfi_endproc
    .size   arch_keep_registers, . - arch_keep_registers

/* bool arch_is_dispatched(callback = rdi): the system calls nobody back, but by signals. */
    .globl  arch_is_dispatched
    .hidden arch_is_dispatched
    .type   arch_is_dispatched, @function
    .p2align 4
arch_is_dispatched:
    .cfi_startproc
    xorl    %eax, %eax
    ret
    .cfi_endproc
    .size   arch_is_dispatched, . - arch_is_dispatched

/* Where unwinding goes on in a task's own scope: rsp = base - 16, as at task_entry. */
    .globl  arch_base_unwound
    .hidden arch_base_unwound
    .type   arch_base_unwound, @function
    .p2align 4
arch_base_unwound:
    .cfi_startproc
    .cfi_undefined rip
    call    task_unwound
    ud2
    .cfi_endproc
    .size   arch_base_unwound, . - arch_base_unwound

    .section .note.GNU-stack, "", @progbits
