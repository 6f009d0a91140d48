/* callback.S (Windows, x86-64): the hot half of callbacks. The protocol is explained in src/callback.c, the record in
 * src/callback.h, the TEB in teb.inc.
 *
 *   task's stack                                     thread's stack
 *   high  [caller of the wrapper: a1 … aN]           high  [call block of that call] <- stack_top before
 *         [return address] <- block.sp - 8                 [foreign frames]
 *         [machine frame: RIP, …, RSP, …]                  [the words: args][return address] <- record.sp
 *         [xmm6 … r15][home, 32 bytes] <- rsp        low   [record, 64-aligned] <- stack_top, thread->callback
 *   low   the callback's user code
 *
 * The machine frame leads the unwinder from here to the foreign frames on the other stack. Up to the switch this is a
 * leaf: rsp stays, and the record is written below it, less than a page, where nothing runs meanwhile. The task's stack is
 * touched only with its fields in the TEB, since it may have to grow.
 * One locked step (LEAVE's), which is also the fence of the thunk's slot; entering the call again is a plain store.
 * Callee-saved registers are kept for panics that end here, only: else the user's function keeps them itself. The general
 * ones are stored; xmm6 to xmm15, ten stores, are found by unwinding when such a panic comes (dispatched.c). */
#include "registers.inc"
#include "teb.inc"

#define HOME 32
#define FRAME (HOME + SAVED_GPR + 64) /* up to the machine frame */
#define FRAME_BYTES (FRAME + 48)
#define RESULT (FRAME + 32) /* the last word of the machine frame, which nobody looks at */

    .text

/* int pintle_callback(fn = rcx, arg = rdx): a thunk that all share; fn and arg are its words. */
    .globl  pintle_callback
    .p2align 6
pintle_callback:
    testq   %rcx, %rcx
    jz      callback_of_null
    leaq    -CB_BYTES(%rsp), %r9
    movq    %rcx, 8(%rsp)
    andq    $-64, %r9
    movq    %rdx, 16(%rsp)
    leaq    callback_plain(%rip), %r11
    jmp     record_made

/* From a thunk's entry: its number in eax, the stack and the other registers as the foreign code left them. */
    .globl  thunk_common
    .p2align 6
thunk_common:
    movq    %rcx, 8(%rsp)           /* home: the words are one array now */
    movq    %rdx, 16(%rsp)
    movq    %r8, 24(%rsp)
    movq    %r9, 32(%rsp)
    shlq    $6, %rax
    leaq    thunk_table(%rip), %r11
    leaq    -CB_BYTES(%rsp), %r9
    addq    %rax, %r11
    andq    $-64, %r9
    cmpb    $0, THUNK_GATHERS(%r11)
    jne     gather
record_made:                        /* r9 = the record, r11 = the thunk */
    movq    %rsp, CB_SP(%r9)
    movq    %r11, CB_THUNK(%r9)
    movq    $0, CB_WAS_AWAY(%r9)    /* and has_found */
    load_self callback
    testq   %r10, %r10
    jz      elsewhere
    movq    THREAD_CALL(%r10), %rax
    movq    THREAD_TASK(%r10), %rdx
    movabsq $THREAD_ONE_DEEPER, %r8
    movl    %eax, %ecx
    addq    THREAD_PINS_AUTO(%r10), %r8
    andl    $CALL_FLAGS_MASK, %ecx
    cmpl    $CALL_IN, %ecx
    jne     not_in
enter:
    testl   $THUNK_PLAIN, THUNK_FLAGS(%r11)
    jnz     slot_set
    movq    %r8, %rcx
    shrq    $32, %rcx
    cmpl    $THREAD_THUNK_SLOTS, %ecx
    ja      deep
    movq    %r11, (THREAD_THUNKS_INSIDE - 8)(%r10,%rcx,8) /* ENTER_CB 1 */
slot_set:
    leaq    CALL_LEAVE_STEP(%rax), %rcx
    lock cmpxchgq %rcx, THREAD_CALL(%r10) /* ENTER_CB 3, as early as can be: what follows need not wait for it */
    jne     not_left
    cmpl    $0, THREAD_ATTENTION(%r10)
    jne     not_left
enter_task:                         /* ENTER_CB 2 and 4. rax = 0: not left yet */
    movaps  THREAD_STACK_TOP(%r10), %xmm0
    movq    %r9, %xmm1
    movq    TASK_INSIDE(%rdx), %rcx
    punpcklqdq %xmm1, %xmm1
    movaps  %xmm0, CB_STACK_TOP(%r9)
    movq    %r10, BLOCK_THREAD(%r9)
    movq    %rcx, CB_INSIDE(%r9)
    movq    %r8, CB_PINS(%r9)
    movq    THREAD_STACK_TOP(%r10), %rcx
    movq    %r8, THREAD_PINS_AUTO(%r10)
    movaps  %xmm1, THREAD_STACK_TOP(%r10)
    movq    BLOCK_SP(%rcx), %r8
    movq    TEB_STACK_BASE, %rcx
    cmpq    %rcx, THREAD_STACK_BASE(%r10)
    jne     fiber
stack_known:
    teb_keep_thread %r10, %rcx, %ecx
    teb_put_task %rdx, %rcx, %ecx, %xmm0
    movq    (%rsp), %rcx
    subq    $8, %r8
    andq    $-16, %r8
    movq    %rcx, (FRAME - FRAME_BYTES)(%r8)
    leaq    8(%rsp), %rcx
    movq    %rcx, (FRAME - FRAME_BYTES + 24)(%r8)
    jmp     callback_frame

    /* Cold: before the switch. */
not_in:
    andl    $CALL_STATE_MASK, %ecx
    cmpl    $CALL_OUT, %ecx
    je      elsewhere
    xorl    %eax, %eax              /* what it cannot be now: the swap fails */
    cmpl    $CALL_AWAY, %ecx
    jne     enter
    cmpq    TASK_STACK_RESERVE(%rdx), %rsp /* a section: the foreign frames are on the task's stack */
    jb      away
    cmpq    TASK_STACK_BASE(%rdx), %rsp
    jb      elsewhere
away:
    movl    $1, CB_WAS_AWAY(%r9)
    jmp     enter
deep:
    lock incl THUNK_DEEP(%r11)
    jmp     slot_set
not_left:
    xorl    %eax, %eax
    jmp     enter_task
fiber:                              /* a stack of the DLL's own: the thread's until the callback returns */
    movl    $1, CB_HAS_FOUND(%r9)
    movq    THREAD_STACK_BASE(%r10), %rcx
    movq    %rcx, (CB_FOUND + 0)(%r9)
    movq    THREAD_STACK_LIMIT(%r10), %rcx
    movq    %rcx, (CB_FOUND + 8)(%r9)
    movq    THREAD_STACK_RESERVE(%r10), %rcx
    movq    %rcx, (CB_FOUND + 16)(%r9)
    movl    THREAD_STACK_GUARANTEE(%r10), %ecx
    movl    %ecx, (CB_FOUND + 24)(%r9)
    movq    TEB_STACK_BASE, %rcx
    movq    %rcx, THREAD_STACK_BASE(%r10)
    movq    TEB_DEALLOCATION_STACK, %rcx
    movq    %rcx, THREAD_STACK_RESERVE(%r10)
    jmp     stack_known
gather:                             /* floating-point words go to their homes too */
    movl    THUNK_FLAGS(%r11), %eax
    testb   $1, %al
    jz      1f
    movq    %xmm0, 8(%rsp)
1:  testb   $2, %al
    jz      1f
    movq    %xmm1, 16(%rsp)
1:  testb   $4, %al
    jz      1f
    movq    %xmm2, 24(%rsp)
1:  testb   $8, %al
    jz      record_made
    movq    %xmm3, 32(%rsp)
    jmp     record_made
    load_self_cold callback, elsewhere

/* No call of ours: r9 = the record, which lies in this frame. */
    .p2align 4
    .seh_proc elsewhere
elsewhere:
    pushq   %rbp
    .seh_pushreg %rbp
    subq    $(CB_BYTES + 128), %rsp
    .seh_stackalloc (CB_BYTES + 128)
    .seh_endprologue
    movq    %r9, %rcx
    movq    CB_THUNK(%r9), %rbp
    call    callback_elsewhere
    testl   $THUNK_PLAIN, THUNK_FLAGS(%rbp)
    jz      1f
    testl   %eax, %eax
    jz      1f
    movl    %eax, %ecx
    call    callback_failed         /* gives the code back */
1:  movq    %rax, %xmm0
    addq    $(CB_BYTES + 128), %rsp
    popq    %rbp
    ret
    .seh_endproc

/* On the task's stack from the first instruction on. r8 = where the frame ends, r9 = the record, r10 = the thread,
 * r11 = the thunk, rdx = the task, rax = 0: the call is not left yet. */
    .p2align 4
    .seh_proc callback_frame
    .seh_handler fault_unhandled, @except
callback_frame:
    leaq    -FRAME_BYTES(%r8), %rsp
    .seh_pushframe
    .seh_stackalloc FRAME
    save_general_at HOME
    .seh_endprologue
    movq    %r9, %rbx               /* the record */
    testl   %eax, %eax
    jz      .Lleave_cold
.Lleft:
    cmpl    $THUNK_STATE_OPEN, THUNK_STATE(%r11)
    jne     .Lrefused
    cmpq    $0, TASK_PENDING(%rdx)
    jne     .Lrefused
    movq    CB_SP(%rbx), %rdx       /* ENTER_CB 5 */
    testl   $THUNK_PLAIN, THUNK_FLAGS(%r11)
    jnz     .Lplain
    movq    THUNK_USER(%r11), %rcx
    addq    $8, %rdx
    call    *THUNK_FN(%r11)
.Lreturned:
    movq    BLOCK_THREAD(%rbx), %r10
    movq    %rax, %r9
    movq    THREAD_TASK(%r10), %rdx
    movq    TASK_SCOPE(%rdx), %rcx
    cmpq    %rbx, SCOPE_CALLBACK(%rcx)
    je      .Lscope_made
.Lreturn:                           /* r9 = the result; ENTER_CB 6 */
    load_self callback_back
    cmpq    BLOCK_THREAD(%rbx), %r10
    jne     .Lmisplaced
    cmpq    THREAD_CALLBACK(%r10), %rbx
    jne     .Lmisplaced
    cmpl    $0, CB_WAS_AWAY(%rbx)
    jne     .Lenter_away
    incq    THREAD_CALL(%r10)       /* OUT to IN: nobody else writes it while it says OUT */
.Lentered:                          /* ENTER_CB 7 */
    movabsq $-THREAD_ONE_DEEPER, %r8
    movq    CB_PINS(%rbx), %rcx
    movaps  CB_STACK_TOP(%rbx), %xmm0
    movq    CB_THUNK(%rbx), %r11
    addq    %rcx, %r8
    movq    THREAD_TASK(%r10), %rdx
    movq    %r8, THREAD_PINS_AUTO(%r10)
    movaps  %xmm0, THREAD_STACK_TOP(%r10)
    testl   $THUNK_PLAIN, THUNK_FLAGS(%r11)
    jnz     .Lslot_clear
    shrq    $32, %rcx
    cmpl    $THREAD_THUNK_SLOTS, %ecx
    ja      .Ldeep_leave
    movq    $0, (THREAD_THUNKS_INSIDE - 8)(%r10,%rcx,8)
.Lslot_clear:
    teb_keep_task %rdx, %rax, %eax
    teb_put_thread %r10, %rax, %eax, %xmm1
    cmpl    $0, CB_HAS_FOUND(%rbx)
    jne     .Lfiber_back
.Lstack_known:
    movq    CB_SP(%rbx), %rcx
    movq    (HOME + SAVED_GPR)(%rsp), %rbx
    movq    %r9, %rax
    movq    %r9, %xmm0
    testl   $THUNK_PLAIN, THUNK_FLAGS(%r11)
    jnz     .Lplain_end
    movq    %rcx, %rsp
    ret
.Lplain_end:
    testl   %eax, %eax
    jnz     .Lfailed
    movq    %rcx, %rsp
    ret
.Lfailed:
    movq    %rcx, %rsp
    movl    %eax, %ecx
    jmp     callback_failed
.Lplain:
    movq    8(%rdx), %rax
    movq    16(%rdx), %rcx
    call    *%rax
    xorl    %eax, %eax
    jmp     .Lreturned

    /* Cold. */
.Ldeep_leave:
    lock decl THUNK_DEEP(%r11)
    jmp     .Lslot_clear
.Lfiber_back:
    movq    (CB_FOUND + 0)(%rbx), %rax
    movq    %rax, THREAD_STACK_BASE(%r10)
    movq    (CB_FOUND + 8)(%rbx), %rax
    movq    %rax, THREAD_STACK_LIMIT(%r10)
    movq    (CB_FOUND + 16)(%rbx), %rax
    movq    %rax, THREAD_STACK_RESERVE(%r10)
    movl    (CB_FOUND + 24)(%rbx), %eax
    movl    %eax, THREAD_STACK_GUARANTEE(%r10)
    jmp     .Lstack_known
.Lleave_cold:
    movq    %rbx, %rcx
    call    callback_leave
    movq    BLOCK_THREAD(%rbx), %r10
    movq    CB_THUNK(%rbx), %r11
    movq    THREAD_TASK(%r10), %rdx
    jmp     .Lleft
.Lrefused:
    movq    %rbx, %rcx
    call    callback_refused
    movq    %rax, %r9
    jmp     .Lreturn
.Lscope_made:
    movq    %rbx, %rcx
    movq    %r9, %rdx
    call    callback_end_scope
    movq    %rax, %r9
    jmp     .Lreturn
    .globl  arch_callback_landed
arch_callback_landed:               /* rcx = the scope; the stack pointer is the scope's */
    leaq    -CB_SCOPE(%rcx), %rbx
    call    callback_landed
    movq    %rax, %r9
    movq    %rbx, RESULT(%rsp)
    restore_registers HOME
    movq    RESULT(%rsp), %rbx
    jmp     .Lreturn
.Lenter_away:
    movq    %r9, RESULT(%rsp)
    movq    %rbx, %rcx
    call    callback_enter_away
    movq    BLOCK_THREAD(%rbx), %r10
    movq    RESULT(%rsp), %r9
    jmp     .Lentered
.Lmisplaced:
    movq    %rbx, %rcx
    call    callback_misplaced
    int3
    load_self_cold callback_back, .Lmisplaced
    .seh_endproc

/* void arch_protect(scope = rcx, fn = rdx, arg = r8): fn(arg); returns when it does, or when the scope is unwound to. */
    .globl  arch_protect
    .p2align 4
    .seh_proc arch_protect
arch_protect:
    save_registers (SAVED_BYTES + HOME), HOME
    leaq    .Lprotect_end(%rip), %rax
    movq    %rsp, SCOPE_SP(%rcx)
    movq    %rax, SCOPE_PC(%rcx)
    movq    %r8, %rcx
    call    *%rdx
    addq    $(SAVED_BYTES + HOME), %rsp /* the function has kept the registers itself */
    ret
.Lprotect_end:
    restore_registers HOME
    addq    $(SAVED_BYTES + HOME), %rsp
    ret
    .seh_endproc

/* void arch_unwind(scope = rcx), no return */
    .globl  arch_unwind
    .p2align 4
    .seh_proc arch_unwind
arch_unwind:
    .seh_endprologue
    movq    SCOPE_SP(%rcx), %rsp
    jmp     *SCOPE_PC(%rcx)
    .seh_endproc

/* Where unwinding goes on in a task's own scope: rsp = base - 8, as at task_entry. */
    .globl  arch_base_unwound
    .p2align 4
    .seh_proc arch_base_unwound
    .seh_handler fault_unhandled, @except
arch_base_unwound:
    subq    $40, %rsp
    .seh_stackalloc 40
    .seh_endprologue
    call    task_unwound
    int3
    .seh_endproc
