/* switch.c (sanitizer builds): the seam of arch.h, each switch of stacks announced before it is done.
 *
 * CMake renames what the assembly exports to …_bare, and what it calls to sanitize_…; this file has the seam's names.
 *   ThreadSanitizer   every task is a fiber, and every thread's loop its own: the thread. A foreign call stays in its
 *                     task's fiber, whatever stack it uses. The switch synchronizes, as being on one thread does.
 *   AddressSanitizer  is told the bounds of the stack that is gone to, before, and that one is there, after.
 * The loop's frames are left behind, not returned from, whenever it resumes a task; a task's when it ends.
 *
 * Callbacks run in C here, and unwinding is setjmp and longjmp, which both sanitizers understand: the one takes the frames
 * off its shadow stack, the other their red zones. Those of the foreign frames are cleaned here.
 * Foreign code that is not instrumented may order what happens in callbacks on other threads: it is taken to, as if all of
 * it was under one lock (as Go's race detector does).
 *
 * Compiled without instrumentation: between the announcement and the switch, this code is on neither stack.
 * Threads: as arch.h says. Order: none of its own. */
#include "sanitize.h"

#include <setjmp.h>

#include "arch.h"
#include "callback.h"
#include "os.h"
#include "scheduler.h"
#include "stack.h"

#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#include <sanitizer/tsan_interface.h>

void arch_switch_bare(struct pintle_task *from, struct pintle_task *to, struct thread *thread);
void arch_switch_alike_bare(struct pintle_task *from, struct pintle_task *to, struct thread *thread);
void arch_switch_loop_bare(struct pintle_task *from, struct thread *thread);
NORETURN void arch_resume_bare(struct pintle_task *to, struct thread *thread);
NORETURN void arch_abandon_to_loop_bare(struct thread *thread);
void arch_task_prepare_bare(struct pintle_task *task);
int arch_call_on_thread_bare(int (*fn)(void *), void *arg, struct thread *thread);
void arch_thread_run_bare(struct thread *thread);
void sanitize_loop(struct thread *thread);
void sanitize_callback_leave(struct callback *callback);
uintptr_t sanitize_callback_run(struct callback *callback);
void callback_leave(struct callback *callback);
uintptr_t callback_refused(struct callback *callback);
uintptr_t sanitize_callback_elsewhere(struct callback *callback);
uintptr_t callback_elsewhere(struct callback *callback);
uintptr_t callback_landed(struct scope *scope);
uintptr_t callback_end_scope(struct callback *callback, uintptr_t result);
void sanitize_task_main(struct pintle_task *task);

/* ---- What differs between the two ---- */

#if defined(PINTLE_SANITIZE_THREAD)

extern void __tsan_func_exit(void);

uint32_t sanitize_omitted;
static char foreign_order;
static void order_release(uint32_t where) {
    if ((sanitize_omitted & where) == 0) __tsan_release(&foreign_order);
}
static void order_acquire(uint32_t where) {
    if ((sanitize_omitted & where) == 0) __tsan_acquire(&foreign_order);
}

static void go_to(struct sanitize_context *from, struct sanitize_context *to, const void *low, const void *high) {
    (void)from;
    (void)low;
    (void)high;
    to->arrives = true;
    sanitize_signals();
    if (to->fiber == NULL) to->fiber = __tsan_create_fiber(0);
    __tsan_switch_to_fiber(to->fiber, 0);
}
static void go_to_call(struct sanitize_context *from, struct sanitize_context *to, const void *low, const void *high) {
    (void)from;
    (void)to;
    (void)low;
    (void)high;
}
static void arrive(struct sanitize_context *self) { self->arrives = false; }
static void thread_begins(struct sanitize_context *self) { self->fiber = __tsan_get_current_fiber(); }
/* The caller's frame on the shadow stack is left without a return. */
static void frame_left(void) { __tsan_func_exit(); }
static void stack_clean(const void *low, const void *high) {
    (void)low;
    (void)high;
}
static void fiber_free(void *fiber) { __tsan_destroy_fiber(fiber); }
void sanitize_root_made(const void *low, size_t bytes) { (void)low, (void)bytes; }
void sanitize_root_gone(const void *low, size_t bytes) { (void)low, (void)bytes; }

#else

/* from NULL: what is left is not come back to. */
static void go_to(struct sanitize_context *from, struct sanitize_context *to, const void *low, const void *high) {
    to->arrives = true;
    __sanitizer_start_switch_fiber(from != NULL ? &from->fake_stack : NULL, low,
                                   (size_t)((const char *)high - (const char *)low));
}
static void go_to_call(struct sanitize_context *from, struct sanitize_context *to, const void *low, const void *high) {
    go_to(from, to, low, high);
}
static void arrive(struct sanitize_context *self) {
    self->arrives = false;
    __sanitizer_finish_switch_fiber(self->fake_stack, NULL, NULL);
}
static void thread_begins(struct sanitize_context *self) { self->fake_stack = NULL; }
static void frame_left(void) {}
static void order_release(uint32_t where) { (void)where; }
static void order_acquire(uint32_t where) { (void)where; }
/* Frames that were left behind have their red zones still. */
static void stack_clean(const void *low, const void *high) {
    __asan_unpoison_memory_region(low, (size_t)((const char *)high - (const char *)low));
}
static void fiber_free(void *fiber) { (void)fiber; }
void sanitize_root_made(const void *low, size_t bytes) { __lsan_register_root_region(low, bytes); }
void sanitize_root_gone(const void *low, size_t bytes) { __lsan_unregister_root_region(low, bytes); }

#endif

static void go_to_task(struct sanitize_context *from, struct pintle_task *task) {
    go_to(from, &task->sanitize, task->stack_reserve, task->stack_base);
}
static void go_to_loop(struct sanitize_context *from, struct thread *thread) {
    go_to(from, &thread->sanitize, thread->stack_limit, thread->stack_base);
}
static struct sanitize_context *left_by(struct pintle_task *task, const struct thread *thread) {
    bool ends = thread->left_kind == LEFT_EXIT || thread->left_kind == LEFT_EXIT_JOINED;
    return ends ? NULL : &task->sanitize;
}

/* ---- The seam ---- */

void arch_switch(struct pintle_task *from, struct pintle_task *to, struct thread *thread) {
    go_to_task(left_by(from, thread), to);
    arch_switch_bare(from, to, thread);
    arrive(&from->sanitize);
}

void arch_switch_alike(struct pintle_task *from, struct pintle_task *to, struct thread *thread) {
    go_to_task(left_by(from, thread), to);
    arch_switch_alike_bare(from, to, thread);
    arrive(&from->sanitize);
}

void arch_switch_loop(struct pintle_task *from, struct thread *thread) {
    go_to_loop(left_by(from, thread), thread);
    arch_switch_loop_bare(from, thread);
    arrive(&from->sanitize);
}

void arch_resume(struct pintle_task *to, struct thread *thread) {
    frame_left();
    go_to_task(&thread->sanitize, to);
    arch_resume_bare(to, thread);
}

void arch_abandon_to_loop(struct thread *thread) {
    go_to_loop(NULL, thread);
    arch_abandon_to_loop_bare(thread);
}

void sanitize_loop(struct thread *thread) {
    if (thread->sanitize.arrives) {
        arrive(&thread->sanitize);
    } else {
        thread_begins(&thread->sanitize); /* called by arch_thread_run */
    }
    sched_loop(thread);
}

void sanitize_task_main(struct pintle_task *task) {
    jmp_buf unwound;
    arrive(&task->sanitize);
    task_base(task)->sp = &unwound;
    if (_setjmp(unwound) != 0) task_unwound(task_base(task));
    task_main(task);
}

/* A thread that is not ours goes on where the loop's frames were left behind. */
void arch_thread_run(struct thread *thread) {
    enum { FRAMES_BYTES = 64 << 10 };
    char *here = __builtin_frame_address(0);
    arch_thread_run_bare(thread);
    stack_clean(here - FRAMES_BYTES, here - 512);
}

void sanitize_stack_free(struct sanitize_context *context) {
    if (context->fiber != NULL) fiber_free(context->fiber);
    *context = (struct sanitize_context){0};
}

void sanitize_memory_fresh(const void *low, size_t bytes) { stack_clean(low, (const char *)low + bytes); }

void arch_task_prepare(struct pintle_task *task) {
    stack_clean(task->stack_reserve, task->stack_base);
    arch_task_prepare_bare(task);
}

/* ---- Calls on the thread's own stack ---- */

struct on_thread {
    int (*fn)(void *);
    void *arg;
    struct thread *thread;
    struct pintle_task *task;
};

static int run_on_thread(void *arg) {
    struct on_thread *call = arg;
    int value;
    arrive(&call->thread->sanitize);
    ((struct call_block *)call->thread->stack_top)->fn = (void *)(uintptr_t)call->fn;
    value = call->fn(call->arg);
    go_to_call(&call->thread->sanitize, &call->task->sanitize, call->task->stack_reserve, call->task->stack_base);
    return value;
}

int arch_call_on_thread(int (*fn)(void *), void *arg, struct thread *thread) {
    struct on_thread call = {fn, arg, thread, thread->task};
    int value;
    order_release(SANITIZE_CALL_RELEASE);
    go_to_call(&call.task->sanitize, &thread->sanitize, thread->stack_limit, thread->stack_base);
    value = arch_call_on_thread_bare(run_on_thread, &call, thread);
    arrive(&call.task->sanitize);
    order_acquire(SANITIZE_CALL_ACQUIRE);
    return value;
}

/* ---- Callbacks and unwinding ---- */

/* On the task's stack already, which has not been announced. */
void sanitize_callback_leave(struct callback *callback) {
    struct sanitize_context *below = &callback_thread(callback)->sanitize;
    struct pintle_task *task = callback_thread(callback)->task;
    if (below->lowest == NULL || (void *)callback < below->lowest) below->lowest = callback;
    go_to_call(below, &task->sanitize, task->stack_reserve, task->stack_base);
    arrive(&task->sanitize);
    callback_leave(callback);
}

struct run {
    struct callback *callback;
    uintptr_t result;
    bool has_returned;
};

static void run(void *arg) {
    struct run *in = arg;
    const struct pintle_thunk *thunk = in->callback->thunk;
    in->result = thunk->fn(thunk->user, callback_args(in->callback));
    in->has_returned = true;
}

static uintptr_t run_open(struct callback *callback) {
    struct pintle_task *task = callback_thread(callback)->task;
    struct run in = {.callback = callback};
    callback->scope = (struct scope){.outer = task->scope,
                                     .callback = callback,
                                     .inside = task->inside,
                                     .pins_auto = callback_thread(callback)->pins_auto};
    callback->keeps_registers = true; /* setjmp's business */
    task->scope = &callback->scope;
    arch_protect(&callback->scope, run, &in);
    if (!in.has_returned) return callback_landed(&callback->scope);
    return callback_end_scope(callback, in.result);
}

uintptr_t sanitize_callback_run(struct callback *callback) {
    struct thread *thread = callback_thread(callback);
    bool open = thread->task->pending == NULL && atomic_load_acquire(&callback->thunk->state) == THUNK_OPEN;
    uintptr_t result;
    order_acquire(SANITIZE_CALLBACK_ACQUIRE);
    result = open ? run_open(callback) : callback_refused(callback);
    order_release(SANITIZE_CALLBACK_RELEASE);
    go_to_call(&thread->task->sanitize, &thread->sanitize, thread->stack_limit, thread->stack_base);
    arrive(&thread->sanitize);
    return result;
}

uintptr_t sanitize_callback_elsewhere(struct callback *callback) {
    uintptr_t result;
    order_acquire(SANITIZE_IN_PLACE_ACQUIRE);
    result = callback_elsewhere(callback);
    order_release(SANITIZE_IN_PLACE_RELEASE);
    return result;
}

void arch_protect(struct scope *scope, void (*fn)(void *), void *arg) {
    jmp_buf unwound;
    scope->sp = &unwound;
    scope->pc = NULL;
    if (_setjmp(unwound) == 0) fn(arg);
}

void arch_unwind(struct scope *scope) {
    struct thread *thread = os_self();
    struct sanitize_context *below = &thread->sanitize;
    if (below->lowest != NULL && below->lowest < thread->stack_top) {
        stack_clean(below->lowest, thread->stack_top);
        below->lowest = thread->stack_top;
    }
    longjmp(*(jmp_buf *)scope->sp, 1);
}
