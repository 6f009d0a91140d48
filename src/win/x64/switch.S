/* switch.S (Windows, x86-64): going from stack to stack. What each does is said in arch.h, the TEB in teb.inc.
 *
 * Callee-saved on Windows: rbx, rbp, rdi, rsi, r12 to r15, xmm6 to xmm15, and the control words of the FPU, which tasks
 * that change them have to put back before they wait (Windows' fibers do not save them by default either).
 *
 * A task that is not running, high to low:
 *   [return address][8 unused][r15 r14 r13 r12 rsi rdi rbp rbx][xmm15 … xmm6] <- task->sp, aligned to 16
 * arch_switch is tail-called and goes back by an indirect jump, arch_switch_alike by a return: see the POSIX one. */
#include "registers.inc"
#include "teb.inc"


    .text

/* Resumes the task whose stack pointer has been loaded. */
.macro resume_task
    movq    SAVED_BYTES(%rsp), %rax
    restore_registers 0
    addq    $(SAVED_BYTES + 8), %rsp
    jmp     *%rax
.endm

/* void arch_switch(from = rcx, to = rdx, thread = r8) */
    .globl  arch_switch
    .p2align 4
    .seh_proc arch_switch
arch_switch:
    save_registers SAVED_BYTES, 0
    movq    %rsp, TASK_SP(%rcx)
    teb_keep_task %rcx, %rax, %eax
    teb_put_task %rdx, %rax, %eax, %xmm0
    movq    TASK_SP(%rdx), %rsp
    movq    %r8, %rcx
    subq    $32, %rsp
    call    arrived                 /* on the new task's stack; only now may others see `from` */
    addq    $32, %rsp
    resume_task
    .seh_endproc

/* void arch_switch_alike(from = rcx, to = rdx, thread = r8) */
    .globl  arch_switch_alike
    .p2align 4
    .seh_proc arch_switch_alike
arch_switch_alike:
    save_registers SAVED_BYTES, 0
    movq    %rsp, TASK_SP(%rcx)
    teb_keep_task %rcx, %rax, %eax
    teb_put_task %rdx, %rax, %eax, %xmm0
    movq    TASK_SP(%rdx), %rsp
    movq    %r8, %rcx
    subq    $32, %rsp
    call    arrived                 /* on the new task's stack; only now may others see `from` */
    addq    $32, %rsp
    restore_registers 0
    addq    $SAVED_BYTES, %rsp
    ret
    .seh_endproc

/* void arch_switch_loop(from = rcx, thread = rdx) */
    .globl  arch_switch_loop
    .p2align 4
    .seh_proc arch_switch_loop
arch_switch_loop:
    save_registers SAVED_BYTES, 0
    movq    %rsp, TASK_SP(%rcx)
    teb_keep_task %rcx, %rax, %eax
    movq    %rdx, %rcx
    jmp     to_loop
    .seh_endproc

/* void arch_resume(to = rcx, thread = rdx), no return */
    .globl  arch_resume
    .p2align 4
    .seh_proc arch_resume
arch_resume:
    .seh_endprologue
    teb_keep_thread %rdx, %rax, %eax
    teb_put_task %rcx, %rax, %eax, %xmm0
    movq    TASK_SP(%rcx), %rsp
    resume_task
    .seh_endproc

/* void arch_thread_run(thread = rcx)
 *
 *   high  [return address][rbp][registers as above, rbp + 104 down] … [call block, aligned to 64] <- stack_top
 *   low   sched_loop's frames, or a foreign call's */
    .globl  arch_thread_run
    .p2align 4
    .seh_proc arch_thread_run
arch_thread_run:
    pushq   %rbp
    .seh_pushreg %rbp
    subq    $240, %rsp
    .seh_stackalloc 240
    leaq    128(%rsp), %rbp
    .seh_setframe %rbp, 128
    movaps  %xmm6, 0(%rsp)
    .seh_savexmm %xmm6, 0
    movaps  %xmm7, 16(%rsp)
    .seh_savexmm %xmm7, 16
    movaps  %xmm8, 32(%rsp)
    .seh_savexmm %xmm8, 32
    movaps  %xmm9, 48(%rsp)
    .seh_savexmm %xmm9, 48
    movaps  %xmm10, 64(%rsp)
    .seh_savexmm %xmm10, 64
    movaps  %xmm11, 80(%rsp)
    .seh_savexmm %xmm11, 80
    movaps  %xmm12, 96(%rsp)
    .seh_savexmm %xmm12, 96
    movaps  %xmm13, 112(%rsp)
    .seh_savexmm %xmm13, 112
    movaps  %xmm14, 128(%rsp)
    .seh_savexmm %xmm14, 128
    movaps  %xmm15, 144(%rsp)
    .seh_savexmm %xmm15, 144
    movq    %rbx, 160(%rsp)
    .seh_savereg %rbx, 160
    movq    %rdi, 176(%rsp)
    .seh_savereg %rdi, 176
    movq    %rsi, 184(%rsp)
    .seh_savereg %rsi, 184
    movq    %r12, 192(%rsp)
    .seh_savereg %r12, 192
    movq    %r13, 200(%rsp)
    .seh_savereg %r13, 200
    movq    %r14, 208(%rsp)
    .seh_savereg %r14, 208
    movq    %r15, 216(%rsp)
    .seh_savereg %r15, 216
    .seh_endprologue
    movq    TEB_EXCEPTION_LIST, %rax
    movq    %rax, 224(%rsp)
    movq    $-1, TEB_EXCEPTION_LIST
    leaq    -BLOCK_BYTES(%rsp), %rax
    andq    $-64, %rax
    movq    %rax, THREAD_STACK_TOP(%rcx)
    movq    %rcx, BLOCK_THREAD(%rax)
    movq    %rbp, THREAD_LOOP_FRAME(%rcx)
to_loop:                            /* thread = rcx: what is on the stack now is left behind */
    teb_put_thread %rcx, %rax, %eax, %xmm0
    movq    THREAD_LOOP_FRAME(%rcx), %rbp
    movq    THREAD_STACK_TOP(%rcx), %rsp
    subq    $32, %rsp
    call    sched_loop
    movq    96(%rbp), %rax          /* the thread ends: back to who called arch_thread_run */
    movq    %rax, TEB_EXCEPTION_LIST
    leaq    -128(%rbp), %rsp
    movaps  0(%rsp), %xmm6
    movaps  16(%rsp), %xmm7
    movaps  32(%rsp), %xmm8
    movaps  48(%rsp), %xmm9
    movaps  64(%rsp), %xmm10
    movaps  80(%rsp), %xmm11
    movaps  96(%rsp), %xmm12
    movaps  112(%rsp), %xmm13
    movaps  128(%rsp), %xmm14
    movaps  144(%rsp), %xmm15
    movq    160(%rsp), %rbx
    movq    176(%rsp), %rdi
    movq    184(%rsp), %rsi
    movq    192(%rsp), %r12
    movq    200(%rsp), %r13
    movq    208(%rsp), %r14
    movq    216(%rsp), %r15
    addq    $240, %rsp
    popq    %rbp
    ret
    .seh_endproc

/* void arch_abandon_to_loop(thread = rcx), no return */
    .globl  arch_abandon_to_loop
    .p2align 4
    .seh_proc arch_abandon_to_loop
arch_abandon_to_loop:
    .seh_endprologue
    jmp     to_loop
    .seh_endproc

/* void arch_task_prepare(task = rcx): the frame that resume_task takes for a saved one. The first frame's return address,
 * 0, lies in the top slot of the stack, where unwinding stops.
 *   high  [0][8 unused][task_start] … [rbx = task, rbp = 0] … <- sp */
    .globl  arch_task_prepare
    .p2align 4
    .seh_proc arch_task_prepare
arch_task_prepare:
    .seh_endprologue
    movq    TASK_STACK_BASE(%rcx), %rax
    leaq    task_start(%rip), %rdx
    movq    $0, -8(%rax)
    subq    $(16 + SAVED_BYTES + 8), %rax
    movq    %rdx, SAVED_BYTES(%rax)
    movq    %rcx, SAVED_GPR(%rax)
    movq    $0, SAVED_GPR+8(%rax)
    movq    %rax, TASK_SP(%rcx)
    ret
    .seh_endproc

task_start:
    addq    $8, %rsp                /* past the padding that kept the frame aligned */
    jmp     task_entry

/* The first frame of a task: entered by a jump with rsp = base - 8, where the 0 lies, so it looks as if it had been
 * called from address 0. An exception that reaches it is nobody's: fault_unhandled reports it. */
    .p2align 4
    .seh_proc task_entry
    .seh_handler fault_unhandled, @except
task_entry:
    subq    $40, %rsp
    .seh_stackalloc 40
    .seh_endprologue
    movq    %rbx, %rcx
    call    task_main
    addq    $40, %rsp
    jmp     task_leave              /* as if called from address 0, too; see the POSIX one */
    .seh_endproc
