/* scope.c: what is deferred, panics on their way out (protocol UNWIND), and where they stop. scope.h has the drawing.
 *
 *   raise      the panic comes by the innermost scope: the stack pointer goes there, its deferred functions run
 *   stopped    by a deferred function (pintle_recover), or by pintle_protect, which stops all that come by
 *   goes on    to the next scope outwards; from the task's own: the task ends, and its joiner, or a report, has it
 * A panic in a deferred function comes by the same scope and replaces the one before, which is kept for the report.
 * pintle_task_exit goes the same way and is stopped by nobody: what stops a panic meanwhile lets the exit go on.
 *
 * A second way, where the frames between must not be discarded: the panic, or the exit, stays pending in the task,
 * further callbacks answer at once, and it goes on when the call that led to the callback has left (call.c). It comes by
 * the scope that made that call, which may be another such callback's.
 * Threads: the task's own. Locks: none. Order: none. Tests: tests/api/test_panic.c. */
#include "scope.h"

#include "callback.h"
#include "drain.h"
#include "error.h"
#include "memory.h"
#include "nursery.h"
#include "panic.h"
#include "pintle/panic.h"
#include "processor.h"
#include "scheduler.h"
#include "stack.h"

enum { DEFERRED_KEPT = 64 };

/* What is pending is an exit. */
static struct panic exit_pending;

/* ---- Records ---- */

static struct deferred *deferred_new(struct processor *processor) {
    struct deferred *deferred = processor->free_deferred;
    if (deferred == NULL) return memory_alloc(sizeof *deferred);
    processor->free_deferred = deferred->next;
    processor->free_deferred_count--;
    return deferred;
}

static void deferred_free(struct processor *processor, struct deferred *deferred) {
    if (processor == NULL || processor->free_deferred_count >= DEFERRED_KEPT) {
        memory_free(deferred);
        return;
    }
    deferred->next = processor->free_deferred;
    processor->free_deferred = deferred;
    processor->free_deferred_count++;
}

void deferred_pool_destroy(struct processor *processor) {
    while (processor->free_deferred != NULL) {
        struct deferred *deferred = processor->free_deferred;
        processor->free_deferred = deferred->next;
        memory_free(deferred);
    }
    processor->free_deferred_count = 0;
}

void scope_forget(struct pintle_task *task) {
    panic_free(task->panic);
    if (task->pending != &exit_pending) panic_free(task->pending);
    task->panic = task->pending = NULL;
    if (task->stack_base == NULL) return;
    struct scope *base = task_base(task);
    panic_free(base->panic);
    base->panic = NULL;
    while (base->deferred != NULL) {
        struct deferred *deferred = base->deferred;
        base->deferred = deferred->next;
        memory_free(deferred);
    }
}

/* The innermost scope of the task, which runs on the thread. */
static struct scope *innermost(struct thread *thread, struct pintle_task *task) {
    return LIKELY(task->scope->callback == thread->callback) ? task->scope : callback_scopes(thread, task);
}

struct scope *scope_innermost(struct pintle_task *task) {
    return innermost(thread_self(), task);
}

static void scope_begin(struct scope *scope, struct thread *thread, struct pintle_task *task) {
    *scope = (struct scope){.outer = innermost(thread, task),
                            .callback = thread->callback,
                            .inside = task->inside,
                            .pins_auto = thread->pins_auto};
    task->scope = scope;
}

/* Those that are open still. */
static COLD void end_nurseries(struct pintle_task *task, struct scope *scope) {
    if (scope->panic != NULL || scope->exits) {
        nurseries_discard(task, scope);
    } else if (scope->outer != NULL) {
        nurseries_keep(task, scope);
    } else {
        arch_protect(scope, nurseries_left_open, task);
    }
}

void scope_run_deferred(struct scope *scope) {
    void *sp = scope->sp, *pc = scope->pc;
    struct pintle_task *task = pintle_self();
    struct deferred *deferred;
    if (UNLIKELY(nurseries_opened_in(task, scope)) && (scope->panic != NULL || scope->exits)) {
        nurseries_discard(task, scope); /* its tasks may use what the deferred functions are to free */
    }
    while ((deferred = scope->deferred) != NULL) {
        pintle_fn *fn = deferred->fn;
        void *arg = deferred->arg;
        scope->deferred = deferred->next;
        deferred_free(thread_processor(thread_self()), deferred);
        arch_protect(scope, fn, arg);
    }
    if (UNLIKELY(task_stack(task)->nurseries != NULL)) end_nurseries(task, scope);
    scope->sp = sp;
    scope->pc = pc;
}

/* ---- Unwinding ---- */

/* `panic` takes the place of the one that came by the scope before. */
static void replace(struct scope *scope, struct panic *panic) {
    struct panic *first = panic;
    while (first->replaced != NULL) first = first->replaced;
    first->replaced = scope->panic;
    scope->panic = panic;
}

/* What has come by the scope, which is left, comes by the next one. */
static struct scope *pass_on(struct scope *scope, struct pintle_task *task) {
    struct scope *outer = scope->outer;
    task->scope = outer;
    outer->exits |= scope->exits;
    if (scope->panic != NULL) replace(outer, scope->panic);
    return outer;
}

/* A callback's scope where nothing is to be done is passed by. */
static NORETURN void unwind_to(struct scope *scope, struct pintle_task *task) {
    struct thread *thread = thread_self();
    while (scope->pc == (void *)(uintptr_t)arch_callback_landed) {
        if (scope->deferred != NULL || nurseries_opened_in(task, scope) || callback_stops(scope->callback)) {
            arch_keep_registers(scope->callback);
            break;
        }
        scope = pass_on(scope, task);
    }
    callback_discard(thread, scope->callback);
    while (task->inside != scope->inside) {
        drain_leave(task->inside->drain, task->inside->slot);
        task->inside = task->inside->outer;
    }
    thread->pins_auto = scope->pins_auto;
    arch_unwind(scope);
}

void panic_raise(struct panic *panic) {
    struct thread *thread = thread_self();
    struct pintle_task *task = thread->task;
    struct scope *scope = innermost(thread, task);
    replace(scope, panic);
    unwind_to(scope, task);
}

void scope_go_on(struct scope *scope) {
    struct pintle_task *task = thread_self()->task;
    unwind_to(pass_on(scope, task), task);
}

void scope_pend(struct scope *scope, struct pintle_task *task) {
    DCHECK(task->pending == NULL);
    task->scope = scope->outer;
    if (scope->exits) panic_free(scope->panic);
    task->pending = scope->exits ? &exit_pending : scope->panic;
    scope->panic = NULL;
}

/* What was pending comes by the scope now. */
static void pending_to(struct scope *scope, struct pintle_task *task) {
    struct panic *pending = task->pending;
    task->pending = NULL;
    if (pending == &exit_pending) {
        scope->exits = true;
    } else if (pending != NULL) {
        replace(scope, pending);
    }
}

void scope_take_pending(struct pintle_task *task) {
    struct thread *thread = thread_self();
    atomic_fetch_and_explicit(&thread->attention, ~(uint32_t)ATTENTION_PANIC, memory_order_relaxed);
    pending_to(innermost(thread, task), task);
}

void panic_resume(struct pintle_task *task) {
    struct scope *scope = innermost(thread_self(), task);
    pending_to(scope, task);
    unwind_to(scope, task);
}

/* ---- The ends of a scope ---- */

bool scope_landed(struct scope *scope) {
    scope_run_deferred(scope);
    if (scope->panic != NULL || scope->exits) return false;
    pintle_self()->scope = scope->outer;
    return true;
}

/* Runs fn in the scope, and then what is deferred there. The scope is still the innermost. */
static inline void protect(struct scope *scope, struct pintle_task *task, pintle_fn *fn, void *arg) {
    arch_protect(scope, fn, arg);
    if (UNLIKELY(scope->deferred != NULL || nurseries_opened_in(task, scope))) scope_run_deferred(scope);
}

int pintle_protect(pintle_fn *fn, void *arg, pintle_panic_info *out) {
    struct thread *thread = task_only("pintle_protect");
    struct pintle_task *task = thread->task;
    struct scope scope;
    if (fn == NULL) panic("pintle_protect was given a NULL function");
    scope_begin(&scope, thread, task);
    protect(&scope, task, fn, arg);
    if (UNLIKELY(scope.exits)) {
        panic_free(scope.panic);
        scope.panic = NULL;
        scope_go_on(&scope);
    }
    task->scope = scope.outer;
    if (LIKELY(scope.panic == NULL)) return 0;
    if (out != NULL) *out = scope.panic->info;
    panic_free(scope.panic);
    return PINTLE_EPANIC;
}

int scope_catch(pintle_fn *fn, void *arg, struct panic **out_panic) {
    struct thread *thread = thread_self();
    struct pintle_task *task = thread->task;
    struct scope scope;
    scope_begin(&scope, thread, task);
    scope.keeps = true;
    protect(&scope, task, fn, arg);
    task->scope = scope.outer;
    *out_panic = scope.panic;
    if (LIKELY(scope.panic == NULL && !scope.exits)) return 0;
    if (scope.exits) {
        panic_free(scope.panic);
        *out_panic = NULL;
    }
    return PINTLE_EPANIC;
}

/* The task's own scope was unwound to; its stack is as empty as at its first function. */
void task_unwound(struct scope *scope) {
    struct pintle_task *task = pintle_self();
    scope_run_deferred(scope);
    if (scope->panic != NULL && !scope->exits) {
        task->panic = scope->panic;
        atomic_fetch_or_explicit(&task->flags, TASK_PANICKED, memory_order_relaxed);
        callback_task_panicked(task);
    } else {
        panic_free(scope->panic); /* the exit won */
    }
    scope->panic = NULL;
    scope->exits = false;
    task_end(task);
}

void pintle_task_exit(void) {
    struct thread *thread = task_only("pintle_task_exit");
    struct pintle_task *task = thread->task;
    struct scope *scope = innermost(thread, task);
    scope->exits = true;
    unwind_to(scope, task);
}

/* ---- Deferring and recovering ---- */

static bool defer(struct thread *thread, pintle_fn *fn, void *arg) {
    struct scope *scope = innermost(thread, thread->task);
    struct deferred *deferred = deferred_new(thread_processor(thread));
    if (UNLIKELY(deferred == NULL)) return false;
    *deferred = (struct deferred){scope->deferred, fn, arg};
    scope->deferred = deferred;
    return true;
}

bool scope_defer(pintle_fn *fn, void *arg) { return defer(thread_self(), fn, arg); }

void pintle_defer(pintle_fn *fn, void *arg) {
    struct thread *thread = task_only("pintle_defer");
    if (fn == NULL) panic("pintle_defer was given a NULL function");
    if (LIKELY(defer(thread, fn, arg))) return;
    fn(arg);
    panic("no memory for a deferred call");
}

pintle_defer_mark pintle_defer_here(void) {
    struct thread *thread = task_only("pintle_defer_here");
    return (pintle_defer_mark){innermost(thread, thread->task)->deferred};
}

void pintle_defer_run(pintle_defer_mark to) {
    struct thread *thread = task_only("pintle_defer_run");
    struct scope *scope = innermost(thread, thread->task);
    struct deferred *deferred = scope->deferred;
    while (deferred != NULL && deferred != to.last) deferred = deferred->next;
    if (deferred != to.last) panic("pintle_defer_run: what the mark stands for has run already");
    while ((deferred = scope->deferred) != to.last) {
        pintle_fn *fn = deferred->fn;
        void *arg = deferred->arg;
        scope->deferred = deferred->next;
        deferred_free(thread_processor(thread_self()), deferred);
        fn(arg);
    }
}

void pintle_defer_cancel(pintle_fn *fn, void *arg) {
    struct thread *thread = task_only("pintle_defer_cancel");
    struct deferred **at = &innermost(thread, thread->task)->deferred;
    while (*at != NULL && ((*at)->fn != fn || (*at)->arg != arg)) at = &(*at)->next;
    if (*at == NULL) return;
    struct deferred *deferred = *at;
    *at = deferred->next;
    deferred_free(thread_processor(thread), deferred);
}

bool pintle_recover(pintle_panic_info *out) {
    struct thread *thread = task_only("pintle_recover");
    struct scope *scope = innermost(thread, thread->task);
    if (scope->panic == NULL) return false;
    if (out != NULL) *out = scope->panic->info;
    panic_free(scope->panic);
    scope->panic = NULL;
    return true;
}
