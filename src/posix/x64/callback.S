/* callback.S (System V, x86-64): the hot half of callbacks. The protocol is explained in src/callback.c, the record in
 * src/callback.h, what the thunks' entries do in thunks.S.
 *
 *   task's stack                                   thread's stack
 *   high  [caller of pintle_call]                  high  [call block of that call] <- stack_top before
 *         [return address] <- block.sp                   [foreign frames]
 *         [8][r15 r14 r13 r12 rbp rbx]                   [return address] <- record.sp
 *   low   the callback's user code                 low   [record, 64-aligned] <- stack_top, thread->callback
 *
 * One locked step (LEAVE's), which is also the fence of the thunk's slot; entering the call again is a plain store.
 * Callee-saved registers are kept for unwinding only: on the straight way the user's function has kept them itself. */
#include "../../layout.h"

#define SAVED_BYTES 64

/* After the switch: rbx = the record. The caller's frame is on the other stack, at *(rbx + CB_SP); what was in the
 * callee-saved registers lies at rsp. In DWARF: def_cfa_expression breg3 160, deref, plus_uconst 8; expressions of rsp. */
.macro frame_linked
    .cfi_escape 0x0f, 6, 0x73, 0xa0, 0x01, 0x06, 0x23, 0x08
    .cfi_escape 0x10, 3, 2, 0x77, 0
    .cfi_escape 0x10, 6, 2, 0x77, 8
    .cfi_escape 0x10, 12, 2, 0x77, 16
    .cfi_escape 0x10, 13, 2, 0x77, 24
    .cfi_escape 0x10, 14, 2, 0x77, 32
    .cfi_escape 0x10, 15, 2, 0x77, 40
.endm

    .text

/* uintptr_t arch_callback(fn = rdi, arg = rsi): the record's own thunk. Returns 0 or a code. */
    .globl  arch_callback
    .hidden arch_callback
    .type   arch_callback, @function
    .p2align 6
arch_callback:
    .cfi_startproc
    movq    %rsp, %r8
    .cfi_def_cfa r8, 8
    subq    $CB_BYTES, %rsp
    andq    $-64, %rsp
    movl    $THUNK_STATE_OPEN, (CB_OWN + THUNK_STATE)(%rsp)
    movl    $THUNK_PLAIN, (CB_OWN + THUNK_FLAGS)(%rsp)
    movq    %rdi, (CB_OWN + THUNK_FN)(%rsp)
    movq    %rsi, (CB_OWN + THUNK_USER)(%rsp)
    movq    $0, (CB_OWN + THUNK_PANIC_RESULT)(%rsp)
    movq    $0, (CB_OWN + THUNK_DEEP)(%rsp) /* and what lies behind: crosses, does not gather */
    leaq    CB_OWN(%rsp), %r11
    jmp     .Lrecord
    .cfi_endproc
    .size   arch_callback, . - arch_callback

/* From a thunk's entry: its number in eax, the stack and the other registers as the foreign code left them. */
    .globl  thunk_common
    .hidden thunk_common
    .type   thunk_common, @function
    .p2align 6
thunk_common:
    .cfi_startproc
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
    leaq    CB_WORDS(%rsp), %rax
    movq    %rax, CB_ARGS(%rsp)
    movq    %r8, CB_SP(%rsp)
    movq    %r11, CB_THUNK(%rsp)
    movq    $0, CB_FOUND(%rsp)
    movl    $0, CB_WAS_AWAY(%rsp)
    movq    pintle_tls_self@gottpoff(%rip), %rax
    movq    %fs:(%rax), %r10
    testq   %r10, %r10
    jz      elsewhere
    movq    THREAD_CALL(%r10), %rax
    movq    THREAD_TASK(%r10), %rdx
    movl    %eax, %ecx
    andl    $CALL_STATE_MASK, %ecx
    cmpl    $CALL_IN, %ecx
    jne     .Lnot_in
.Lenter:                            /* ENTER_CB 1, 2 */
    movq    THREAD_STACK_TOP(%r10), %rdi
    movq    THREAD_CALLBACK(%r10), %rsi
    movl    THREAD_CALLBACK_DEPTH(%r10), %ecx
    movq    %rdi, CB_STACK_TOP(%rsp)
    movq    %rsi, CB_OUTER(%rsp)
    movq    %r10, CB_THREAD(%rsp)
    movq    %rdx, CB_TASK(%rsp)
    cmpl    $THREAD_THUNK_SLOTS, %ecx
    jae     .Ldeep
    movq    %r11, THREAD_THUNKS_INSIDE(%r10,%rcx,8)
.Lslot:
    incl    %ecx
    movl    %ecx, THREAD_CALLBACK_DEPTH(%r10)
    incl    THREAD_PINS_AUTO(%r10)
    movq    %rsp, THREAD_CALLBACK(%r10)
    movq    %rsp, THREAD_STACK_TOP(%r10)
    movq    BLOCK_SP(%rdi), %rcx
    movq    %rsp, %rsi
    andq    $-16, %rcx
    leaq    -SAVED_BYTES(%rcx), %rsp /* ENTER_CB 3 */
    movq    %rbx, 0(%rsp)
    movq    %rbp, 8(%rsp)
    movq    %r12, 16(%rsp)
    movq    %r13, 24(%rsp)
    movq    %r14, 32(%rsp)
    movq    %r15, 40(%rsp)
    movq    %rsi, %rbx              /* the record */
    frame_linked
#if defined(PINTLE_SANITIZE)
    jmp     .Lleave_cold            /* all in C: src/sanitize/switch.c */
#endif
    leaq    CALL_LEAVE_STEP(%rax), %rcx
    movl    %eax, %edi
    andl    $CALL_FLAGS_MASK, %edi
    cmpl    $CALL_IN, %edi
    jne     .Lleave_cold
    lock cmpxchgq %rcx, THREAD_CALL(%r10) /* ENTER_CB 4 */
    jne     .Lleave_cold
    cmpl    $0, THREAD_ATTENTION(%r10)
    jne     .Lleave_cold
.Lleft:
#if defined(PINTLE_SANITIZE)
    jmp     .Lrefused
#endif
    cmpl    $THUNK_STATE_OPEN, THUNK_STATE(%r11)
    jne     .Lrefused
    cmpq    $0, TASK_PENDING(%rdx)
    jne     .Lrefused
    movq    TASK_SCOPE(%rdx), %rax  /* ENTER_CB 5 */
    movq    TASK_INSIDE(%rdx), %rcx
    movl    THREAD_PINS_AUTO(%r10), %esi
    leaq    .Llanded(%rip), %rdi
    movq    %rax, (CB_SCOPE + SCOPE_OUTER)(%rbx)
    movq    $0, (CB_SCOPE + SCOPE_DEFERRED)(%rbx)
    movq    %rsp, (CB_SCOPE + SCOPE_SP)(%rbx)
    movq    %rdi, (CB_SCOPE + SCOPE_PC)(%rbx)
    movq    %rbx, (CB_SCOPE + SCOPE_CALLBACK)(%rbx)
    movq    %rcx, (CB_SCOPE + SCOPE_INSIDE)(%rbx)
    movq    $0, (CB_SCOPE + SCOPE_PANIC)(%rbx)
    movq    %rsi, (CB_SCOPE + SCOPE_PINS)(%rbx) /* and exits = false */
    leaq    CB_SCOPE(%rbx), %rax
    movq    CB_ARGS(%rbx), %rsi
    movq    %rax, TASK_SCOPE(%rdx)
    movq    THUNK_USER(%r11), %rdi
    call    *THUNK_FN(%r11)
    cmpq    $0, (CB_SCOPE + SCOPE_DEFERRED)(%rbx)
    jne     .Lrun_deferred
    movq    CB_TASK(%rbx), %rdx
    movq    (CB_SCOPE + SCOPE_OUTER)(%rbx), %rcx
    movq    %rcx, TASK_SCOPE(%rdx)
.Lreturn:                           /* rax = the result; ENTER_CB 6 */
    movq    pintle_tls_self@gottpoff(%rip), %rcx
    movq    %fs:(%rcx), %r10
    cmpq    CB_THREAD(%rbx), %r10
    jne     .Lmisplaced
    cmpq    THREAD_CALLBACK(%r10), %rbx
    jne     .Lmisplaced
    cmpl    $0, CB_WAS_AWAY(%rbx)
    jne     .Lenter_away
    incq    THREAD_CALL(%r10)       /* OUT to IN: nobody else writes it while it says OUT */
.Lentered:                          /* ENTER_CB 7 */
    movl    THREAD_CALLBACK_DEPTH(%r10), %ecx
    movq    CB_OUTER(%rbx), %rsi
    movq    CB_STACK_TOP(%rbx), %rdi
    decl    %ecx
    decl    THREAD_PINS_AUTO(%r10)
    movl    %ecx, THREAD_CALLBACK_DEPTH(%r10)
    cmpl    $THREAD_THUNK_SLOTS, %ecx
    jae     .Ldeep_leave
    movq    $0, THREAD_THUNKS_INSIDE(%r10,%rcx,8)
.Lslot_clear:
    movq    %rsi, THREAD_CALLBACK(%r10)
    movq    %rdi, THREAD_STACK_TOP(%r10)
    movq    CB_THUNK(%rbx), %r11
    movq    CB_SP(%rbx), %rcx
    movq    0(%rsp), %rbx
    testl   $THUNK_PLAIN, THUNK_FLAGS(%r11)
    jnz     .Lplain
    movq    %rcx, %rsp
    .cfi_remember_state
    .cfi_def_cfa rsp, 8
    movq    %rax, %xmm0
    ret
.Lplain:
    .cfi_restore_state
    movl    THUNK_PANIC_RESULT(%r11), %eax
    movq    %rcx, %rsp
    .cfi_def_cfa rsp, 8
    ret

    /* Cold: before the switch. */
    .cfi_restore rbx
    .cfi_restore rbp
    .cfi_restore r12
    .cfi_restore r13
    .cfi_restore r14
    .cfi_restore r15
    .cfi_def_cfa r8, 8
.Lnot_in:
    cmpl    $CALL_OUT, %ecx
    je      elsewhere
    movl    $0, CB_WAS_AWAY(%rsp)
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
    /* Cold: after it. */
    frame_linked
.Ldeep_leave:
    movq    CB_THUNK(%rbx), %r11
    lock decl THUNK_DEEP(%r11)
    jmp     .Lslot_clear
.Lleave_cold:
    movq    %rbx, %rdi
    call    callback_leave
    movq    CB_THREAD(%rbx), %r10
    movq    CB_TASK(%rbx), %rdx
    movq    CB_THUNK(%rbx), %r11
    jmp     .Lleft
.Lrefused:
    movq    %rbx, %rdi
    call    callback_refused
    jmp     .Lreturn
.Lrun_deferred:
    movq    %rax, 48(%rsp)
    movq    %rbx, %rdi
    call    callback_run_deferred
    movq    48(%rsp), %rax
    jmp     .Lreturn
.Llanded:                           /* rdi = the scope; the stack pointer is the scope's */
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
    movq    CB_THREAD(%rbx), %r10
    movq    48(%rsp), %rax
    jmp     .Lentered
.Lmisplaced:
    movq    %rbx, %rdi
    call    callback_misplaced
    ud2
    .cfi_endproc
    .size   thunk_common, . - thunk_common

    .type   elsewhere, @function
elsewhere:                          /* rsp is the record still, which is known by rbx */
    .cfi_startproc
    .cfi_def_cfa r8, 8
    movq    %rsp, %rdi
    pushq   %rbp
    movq    %r8, %rbp
    .cfi_def_cfa rbp, 8
    pushq   %rbp
    .cfi_escape 0x10, 6, 2, 0x77, 8
    call    callback_elsewhere
    movq    8(%rsp), %rcx
    movq    %rbp, %rsp
    .cfi_def_cfa rsp, 8
    movq    %rcx, %rbp
    movq    %rax, %xmm0
    ret
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
