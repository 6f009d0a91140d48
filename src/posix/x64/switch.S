/* switch.S (System V, x86-64): going from stack to stack. What each does is said in arch.h.
 *
 * Callee-saved on System V: rbx, rbp, r12 to r15, and the control words of the FPU (MXCSR, x87), which tasks that change
 * them have to put back before they wait: storing MXCSR alone costs 15 cycles.
 *
 * A task that is not running, high to low:      [return address][rbp][rbx][r15][r14][r13][r12] <- task->sp
 * arch_switch is tail-called and goes back by an indirect jump, which is predicted by where it is, not by a return stack
 * that belongs to another task. arch_switch_alike returns instead: where both tasks wait in the same functions, the return stack
 * of one fits the other; and where a task ends and its joiner goes on: what ends has returned from all it called (task_entry),
 * so the returns to come are those of the joiner, if it went to the task when it began to wait. */
#include "linked.inc"

    .text

/* Saves the callee-saved registers of the task in rdi, below its return address. */
.macro save_task
    subq    $48, %rsp
    .cfi_adjust_cfa_offset 48
    movq    %rbp, 40(%rsp)
    movq    %rbx, 32(%rsp)
    movq    %r15, 24(%rsp)
    movq    %r14, 16(%rsp)
    movq    %r13, 8(%rsp)
    movq    %r12, 0(%rsp)
    movq    %rsp, TASK_SP(%rdi)
.endm

.macro restore_registers
    movq    40(%rsp), %rbp
    movq    32(%rsp), %rbx
    movq    24(%rsp), %r15
    movq    16(%rsp), %r14
    movq    8(%rsp), %r13
    movq    0(%rsp), %r12
.endm

/* Resumes the task whose stack pointer has been loaded. */
.macro resume_task
    movq    48(%rsp), %rax
    restore_registers
    addq    $56, %rsp
    jmp     *%rax
.endm

/* void arch_switch(from = rdi, to = rsi, thread = rdx) */
    .globl  arch_switch
    .hidden arch_switch
    .type   arch_switch, @function
    .p2align 4
arch_switch:
    .cfi_startproc
    save_task
    movq    TASK_SP(%rsi), %rsp     /* aligned to 16 less 8: the call aligns it */
    movq    %rdx, %rdi
    subq    $8, %rsp
    call    arrived                 /* on the new task's stack; only now may others see `from` */
    addq    $8, %rsp
    resume_task
    .cfi_endproc
    .size   arch_switch, . - arch_switch

/* void arch_switch_alike(from = rdi, to = rsi, thread = rdx) */
    .globl  arch_switch_alike
    .hidden arch_switch_alike
    .type   arch_switch_alike, @function
    .p2align 4
arch_switch_alike:
    .cfi_startproc
    save_task
    movq    TASK_SP(%rsi), %rsp     /* aligned to 16 less 8: the call aligns it */
    movq    %rdx, %rdi
    subq    $8, %rsp
    call    arrived                 /* on the new task's stack; only now may others see `from` */
    addq    $8, %rsp
    restore_registers
    addq    $48, %rsp
    ret
    .cfi_endproc
    .size   arch_switch_alike, . - arch_switch_alike

/* void arch_switch_loop(from = rdi, thread = rsi) */
    .globl  arch_switch_loop
    .hidden arch_switch_loop
    .type   arch_switch_loop, @function
    .p2align 4
arch_switch_loop:
    .cfi_startproc
    save_task
    movq    %rsi, %rdi
    jmp     arch_abandon_to_loop
    .cfi_endproc
    .size   arch_switch_loop, . - arch_switch_loop

/* void arch_resume(to = rdi, thread = rsi), no return */
    .globl  arch_resume
    .hidden arch_resume
    .type   arch_resume, @function
    .p2align 4
arch_resume:
    .cfi_startproc
    .cfi_undefined rip
    movq    TASK_SP(%rdi), %rsp
    resume_task
    .cfi_endproc
    .size   arch_resume, . - arch_resume

/* void arch_thread_run(thread = rdi)
 *
 *   high  [return address][rbp] <- rbp   [rbx][r12 … r15]   [call block, aligned to 64] <- stack_top
 *   low   sched_loop's frames, or a foreign call's */
    .globl  arch_thread_run
    .hidden arch_thread_run
    .type   arch_thread_run, @function
    .p2align 4
arch_thread_run:
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
    .cfi_offset rbx, -24
    .cfi_offset r12, -32
    .cfi_offset r13, -40
    .cfi_offset r14, -48
    .cfi_offset r15, -56
    subq    $(BLOCK_BYTES + 64), %rsp
    andq    $-64, %rsp
    movq    %rsp, THREAD_STACK_TOP(%rdi)
    movq    %rdi, BLOCK_THREAD(%rsp)
    movq    %rbp, THREAD_LOOP_FRAME(%rdi)

/* void arch_abandon_to_loop(thread = rdi), no return: what is on the stack now is left behind. */
    .globl  arch_abandon_to_loop
    .hidden arch_abandon_to_loop
    .type   arch_abandon_to_loop, @function
arch_abandon_to_loop:
    movq    THREAD_STACK_TOP(%rdi), %rsp
    movq    THREAD_LOOP_FRAME(%rdi), %rbp
    call    sched_loop
    leaq    -40(%rbp), %rsp         /* the thread ends: back to who called arch_thread_run */
    popq    %r15
    popq    %r14
    popq    %r13
    popq    %r12
    popq    %rbx
    popq    %rbp
    .cfi_def_cfa rsp, 8
    ret
    .cfi_endproc
    .size   arch_abandon_to_loop, . - arch_abandon_to_loop
    .size   arch_thread_run, . - arch_thread_run

/* int arch_call_on_thread(fn = rdi, arg = rsi, thread = rdx) */
    .globl  arch_call_on_thread
    .hidden arch_call_on_thread
    .type   arch_call_on_thread, @function
    .p2align 4
arch_call_on_thread:
    .cfi_startproc
    .cfi_personality 0x1b, arch_personality
    movq    THREAD_STACK_TOP(%rdx), %rcx
    movq    %rdi, BLOCK_FN(%rcx)
    movq    %rsp, BLOCK_SP(%rcx)
    movq    %rcx, %rsp
    frame_linked_at_block
    stack_goes_elsewhere
    movq    %rdi, %rax
    movq    %rsi, %rdi
    call    *%rax
    stack_is_here_again
    movq    BLOCK_SP(%rsp), %rsp
    .cfi_def_cfa rsp, 8
    ret
    .cfi_endproc
    .size   arch_call_on_thread, . - arch_call_on_thread

/* void arch_task_prepare(task = rdi): the frame that resume_task takes for a saved one.
 *   high  [0: where unwinding stops][0][entry][rbp = 0][rbx = task][…] <- sp */
    .globl  arch_task_prepare
    .hidden arch_task_prepare
    .type   arch_task_prepare, @function
    .p2align 4
arch_task_prepare:
    .cfi_startproc
    movq    TASK_STACK_BASE(%rdi), %rax
    leaq    task_entry(%rip), %rcx
    leaq    -72(%rax), %rdx
    movq    $0, -8(%rax)
    movq    %rcx, 48(%rdx)
    movq    $0, 40(%rdx)
    movq    %rdi, 32(%rdx)
    movq    %rdx, TASK_SP(%rdi)
    ret
    .cfi_endproc
    .size   arch_task_prepare, . - arch_task_prepare

/* The first frame of a task: rsp = base - 16, so the call below leaves it as a function expects it. */
    .type   task_entry, @function
    .p2align 4
task_entry:
    .cfi_startproc
    .cfi_undefined rip
    movq    %rbx, %rdi
    call    task_main
    addq    $8, %rsp                /* what task_leave returns to is the 0 where unwinding stops */
    jmp     task_leave
    .cfi_endproc
    .size   task_entry, . - task_entry

    .section .note.GNU-stack, "", @progbits
