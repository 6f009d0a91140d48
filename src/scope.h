/* scope.h: where what is deferred waits for its turn, and where a panic, or the exit of a task, comes by on its way out.
 *
 * A task has a chain of scopes: its own (task_base), and one for each pintle_protect and each callback it is inside.
 *
 *   task's stack, high to low:  [base] user … [protect's scope] user … [call] … [callback's scope] user … <- task->scope
 *   thread's stack:                                               [foreign frames]
 *
 * Unwinding (protocol UNWIND) goes scope by scope, innermost first: what lies between, foreign frames too, is discarded
 * by moving the stack pointer to the scope's frame, and the thread's record is put back to what it was there; only then
 * the scope's deferred functions run, so that a stack that overflowed has room. The owner of the scope goes on at `pc`.
 * Threads: the task's own. Locks: none. Tests: tests/api/test_panic.c, tests/api/test_callback.c. */
#ifndef PINTLE_SRC_SCOPE_H
#define PINTLE_SRC_SCOPE_H

#include "base.h"
#include "layout.h"
#include "pintle/task.h"

struct callback;
struct drain;
struct fault_catch;
struct drain_slot;
struct panic;
struct pintle_task;
struct thread;

struct deferred {
    struct deferred *next;
    pintle_fn *fn;
    void *arg;
};

/* Being inside a DLL (drain.h), to be left when the frames are discarded. */
struct inside {
    struct inside *outer;
    struct drain *drain;
    struct drain_slot *slot;
    struct fault_catch *catch; /* of what the DLL raises; NULL: nothing is caught (fault.h) */
};

struct scope {
    struct scope *outer;
    struct deferred *deferred;
    void *sp, *pc;             /* where unwinding goes on, with the scope as the argument */
    struct callback *callback; /* the innermost that the scope lies in; NULL: none */
    struct inside *inside;
    struct panic *panic; /* that came by, while the deferred functions run */
    uint32_t pins_auto;
    bool exits; /* pintle_task_exit came by, and goes on whatever stops the panics of deferred functions */
    bool keeps; /* a panic that it stops may be reported all the same: scope_catch */
};

/* The innermost scope of the calling task. */
struct scope *scope_innermost(struct pintle_task *task);
/* pintle_defer, for task code; false: no memory. */
bool scope_defer(pintle_fn *fn, void *arg);
/* Runs what is deferred in the scope, the last first. A panic in one of them comes by the scope as well. */
void scope_run_deferred(struct scope *scope);
/* pintle_protect for the runtime's own code, by a task: PINTLE_EPANIC: *out_panic is the caller's, to pass on or to free; NULL:
 * it was pintle_task_exit that came by, and it goes no further. */
int scope_catch(pintle_fn *fn, void *arg, struct panic **out_panic);
/* The callback's scope was unwound to: runs what is deferred there. True: the panic was stopped there; else it is still
 * scope->panic, and is to go on. */
bool scope_landed(struct scope *scope);
/* Unwinds to the next scope outwards with what came by this one, which is left. */
NORETURN void scope_go_on(struct scope *scope);
/* Stops unwinding for now, and leaves the scope: what came by it waits in the task until the call that led there leaves. */
void scope_pend(struct scope *scope, struct pintle_task *task);
/* A panic comes before that call has left: it takes the place of what is pending. */
COLD void scope_take_pending(struct pintle_task *task);
/* What is pending goes on. */
NORETURN COLD void panic_resume(struct pintle_task *task);
/* The runtime has ended, or the task is freed: frees what is left of its panic and its deferred calls. */
void scope_forget(struct pintle_task *task);
/* Nobody joins a task that ended by a panic: reports it; ends the process unless in library mode. */
COLD void panic_unowned(struct pintle_task *task);

#endif
