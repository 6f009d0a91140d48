/* arch.h: the seam to the CPU and its calling convention. Implemented in the .S files of src/<os>/x64, and the layout that the
 * assembly relies on is in layout.h.
 *
 * Stacks. Every task has its own; every OS thread that runs tasks has its own too, used by the scheduler's loop and by
 * foreign calls (never both at a time):
 *
 *   thread's stack, high to low:  [system's frames][arch_thread_run][call block, 64 bytes] <- stack_top
 *                                 then either: sched_loop's frames     (no task is running)
 *                                 or:          a foreign call's frames (the task is in a call)
 *   task's stack, high to low:    [struct stack] <- base [0: unwinding stops][arch_task_entry][task_main][user code …]
 *
 * The loop has no saved context: going to it is always "SP = stack_top; sched_loop(thread)".
 * Tests: tests/api (all of it runs on these), tests/win/test_unwind_win.c. */
#ifndef PINTLE_SRC_ARCH_H
#define PINTLE_SRC_ARCH_H

#include "base.h"

struct pintle_task;
struct thread;

/* Makes the calling OS thread a runner: sets thread->stack_top and the call block, calls sched_loop(thread) and, when
 * that returns, puts the thread back as it was and returns. */
void arch_thread_run(struct thread *thread);

/* Saves `from`, goes to `to`'s stack, calls arrived(thread) there, and resumes `to`. Returns when somebody resumes
 * `from`, maybe on another OS thread. Written to be tail-called: it returns to its caller's caller by a jump. */
void arch_switch(struct pintle_task *from, struct pintle_task *to, struct thread *thread);
/* The same, and faster where `to` waits in the same functions as `from`, or `from` is in task_leave and began when `to` began
 * to wait: its returns are predicted by those of `from`. */
void arch_switch_alike(struct pintle_task *from, struct pintle_task *to, struct thread *thread);
/* The same to the thread's loop (which calls arrived itself). */
void arch_switch_loop(struct pintle_task *from, struct thread *thread);
/* Leaves the current frames behind and resumes `to`, without arrived. */
NORETURN void arch_resume(struct pintle_task *to, struct thread *thread);
/* Leaves the current frames behind and goes to the loop: for a task that ends. */
NORETURN void arch_abandon_to_loop(struct thread *thread);
/* Writes the frame that makes the first resume of the task call task_main(task), then go to task_leave() by a jump. */
void arch_task_prepare(struct pintle_task *task);

/* fn(arg) on the thread's own stack, without the protocol of calls: for calls that have handed their processor on. */
int arch_call_on_thread(int (*fn)(void *), void *arg, struct thread *thread);
/* fn(args…) here, on the current stack: the argument words, float_flags as in pintle/dll.h (ignored where the convention
 * needs none). r1, r2 and the error number are stored. */
struct pintle_result;
void arch_invoke(void *fn, unsigned nargs, const uintptr_t *args, uint32_t float_flags, struct pintle_result *out);

/* The same, and false. True: what the function has raised was caught (fault.h), and *out is left alone. */
struct fault_catch;
bool arch_invoke_caught(void *fn, unsigned nargs, const uintptr_t *args, uint32_t float_flags,
                        struct pintle_result *out, struct fault_catch *catch);

/* Unwinding (scope.h). arch_protect calls fn(arg) and returns when it does, or when the scope is unwound to, which it makes
 * itself the place for. arch_unwind leaves the current frames behind. arch_base_unwound: the pc of a task's own scope. */
struct scope;
void arch_protect(struct scope *scope, void (*fn)(void *), void *arg);
NORETURN void arch_unwind(struct scope *scope);
void arch_base_unwound(void);
/* Whether the system itself called some of the foreign frames that led to the callback, from its call on, and has to be
 * returned to: these must not be discarded. Where unwinding has landed in the callback's scope. */
struct callback;
bool arch_is_dispatched(const struct callback *callback);
/* Where unwinding goes on in a callback's scope, with the stack pointer at callback_frame(). The frame
 * has the registers of the foreign code that its own instructions change; the others have to be found before the frames
 * below are left behind (callback->keeps_registers says whether they were). */
void arch_callback_landed(void);
void arch_keep_registers(struct callback *callback);

/* arch_pause(), a hint in a spin loop; arch_self_before_switch(), arch_self_now(): os_self() inlined. */
#include "arch_local.h"

#endif
