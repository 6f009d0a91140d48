/* callback.c: foreign code runs code of a task, five ways in. The hot half is assembly (src/<os>/x64/callback.S).
 *
 *   thread      call word    stack pointer       what happens
 *   ours        IN           not the task's      ENTER_CB: the task goes on, on its own stack, under the call's frames
 *   ours        TAKEN, AWAY  not the task's      the same; leaving the call waits for a processor
 *   ours        AWAY         the task's          a section between blocking_begin and _end: left, run in place, entered again
 *   ours        OUT          the task's          the task called the DLL directly: in place
 *   ours        OUT          not the task's      the runtime's own loop: fatal, our waits are not alertable
 *   not ours    –            –                   ATTACH: a new task, on this thread
 *
 *   ENTER_CB  1 the thunk into thunks_inside
 *             2 record below the foreign frames, stack_top = record: calls in the callback, and the scheduler, go below
 *               it; pins_auto++, before the call is left: leaving may wait for a processor
 *             3 LEAVE, as a call does; slow: call_leave. The thunk's state is read after it: thunk.h tells what orders the two.
 *               On the fast way it is done before 2: the thread is its task's own until it waits, so nobody sees the order
 *             4 SP = the task's, below its call's frame (Windows: with its TEB fields)
 *             5 fn. A scope is made only if something is deferred or protected in it, or a panic comes by (callback_scopes)
 *             6 still the same thread and the innermost callback, else fatal; IN again (AWAY, if it was)
 *             7 all back from the record; return to the foreign code
 * The last error and errno are the foreign code's when fn begins, and fn's when the foreign code goes on: as in any
 * function of C. A stack that is not the thread's own (a DLL's fiber) becomes it until the callback returns.
 *
 *   ATTACH    A thread record, kept by the OS thread for its later callbacks, and a task that is bound to it: the thread
 *             enters the loop, which waits for a processor, runs the task and ends; then the thread goes back to its
 *             owner. It counts as a live thread meanwhile, so that a stop waits for it. What ends the task early (exit, a
 *             panic, the end of the runtime) lets the foreign code go on with closed_result.
 * Threads: the thread's own; records of attached ones: sched.lock. Tests: tests/api/test_callback.c, test_attach.c. */
#include "callback.h"

#include "call.h"
#include "deadlock.h"
#include "error.h"
#include "kick.h"
#include "lend.h"
#include "panic.h"
#include "pintle/errno.h"
#include "scheduler.h"
#include "stack.h"

uintptr_t callback_elsewhere(struct callback *callback);
void callback_leave(struct callback *callback);
void callback_enter_away(struct callback *callback);
uintptr_t callback_refused(struct callback *callback);
void callback_misplaced(struct callback *callback);
uintptr_t callback_landed(struct scope *scope);
uintptr_t callback_end_scope(struct callback *callback, uintptr_t result);
void callback_of_null(void);
int callback_failed(int code);

/* pintle_callback's: fn and arg are its words. On the hot way they are called by the assembly. */
static uintptr_t run_plain(void *user, const uintptr_t *args) {
    (void)user;
    ((pintle_fn *)args[0])((void *)args[1]);
    return 0;
}
struct pintle_thunk callback_plain = {.state = THUNK_OPEN,
                                      .flags = THUNK_PLAIN,
                                      .fn = run_plain,
                                      .panic_result = (uintptr_t)(intptr_t)PINTLE_EPANIC,
                                      .on_panic = PINTLE_PANIC_CROSS};

/* ---- Depths and slots ---- */

static void slot_set(struct thread *thread, struct pintle_thunk *thunk) {
    uint32_t depth = thread->callback_depth++;
    if (thunk->flags & THUNK_PLAIN) return; /* nobody frees it */
    if (depth < THREAD_THUNK_SLOTS) {
        atomic_store_relaxed(&thread->thunks_inside[depth], thunk);
        atomic_fence_full(); /* before its state is read: whoever frees it may have no fence for all */
    } else {
        atomic_add_seq_cst(&thunk->deep, 1);
    }
}

static void slot_clear(struct thread *thread, struct pintle_thunk *thunk) {
    uint32_t depth = --thread->callback_depth;
    if (thunk->flags & THUNK_PLAIN) return;
    if (depth < THREAD_THUNK_SLOTS) {
        atomic_store_release(&thread->thunks_inside[depth], NULL);
    } else {
        atomic_sub_seq_cst(&thunk->deep, 1);
    }
}

static void record_leave(struct thread *thread, struct callback *callback) {
    slot_clear(thread, callback->thunk);
    thread->callback = callback->outer;
    thread->stack_top = callback->stack_top;
    if (UNLIKELY(callback->has_found)) thread_set_stack(thread, &callback->found); /* it was a fiber's */
}

void callback_discard(struct thread *thread, const struct callback *to) {
    while (thread->callback != to) {
        CHECK(thread->callback != NULL);
        kick_unwound(thread, thread->callback->stack_top);
        record_leave(thread, thread->callback);
    }
}

/* ---- Scopes ---- */

struct scope *callback_scopes(struct thread *thread, struct pintle_task *task) {
    struct scope **at = &task->scope, *outer = task->scope;
    for (struct callback *callback = thread->callback; callback != outer->callback; callback = callback->outer) {
        CHECK(callback != NULL);
        callback->scope = (struct scope){.outer = outer,
                                         .sp = callback_frame(callback),
                                         .pc = (void *)(uintptr_t)arch_callback_landed,
                                         .callback = callback,
                                         .inside = callback->inside,
                                         .pins_auto = callback->pins_auto};
        *at = &callback->scope;
        at = &callback->scope.outer;
    }
    return task->scope;
}

bool callback_stops(const struct callback *callback) {
    return callback->thunk->on_panic == PINTLE_PANIC_RETURN || arch_is_dispatched(callback);
}

/* ---- What the assembly leaves to C ---- */

static bool is_urgent(const struct pintle_thunk *thunk) { return (thunk->flags & PINTLE_THUNK_URGENT) != 0; }

/* LEAVE, slowly: on the task's stack, which may be left and come back to. */
void callback_leave(struct callback *callback) {
    const void *fn = ((struct call_block *)callback->stack_top)->fn;
    if (call_leave_for(callback_thread(callback), fn, is_urgent(callback->thunk)))
        callback->was_away = 1; /* not kept: given back */
}

void callback_enter_away(struct callback *callback) {
    struct thread *thread = callback_thread(callback);
    lend_urgent_end(thread);
    kick_reenter(thread, callback->stack_top);
    call_enter_away(thread);
    kick_reentered(thread, callback->stack_top);
}

/* The thunk is not open, or a panic is pending. */
uintptr_t callback_refused(struct callback *callback) {
    struct pintle_thunk *thunk = callback->thunk;
    if (callback_thread(callback)->task->pending != NULL) return thunk->panic_result;
    while (atomic_load_acquire(&thunk->state) == THUNK_CLOSING) os_yield_thread(); /* a few instructions */
    if (atomic_load_acquire(&thunk->state) == THUNK_OPEN) return thunk->fn(thunk->user, callback_args(callback));
    return thunk->closed_result;
}

void callback_misplaced(struct callback *callback) {
    fatal("the callback of task %llu ends %s", (unsigned long long)callback_thread(callback)->task->id,
          thread_self() != callback_thread(callback) ? "on another thread than it began on"
                                                     : "before one that it led to: has a DLL switched fibers in it?");
}

/* What has come by the scope goes on, or waits until the foreign code has ended, which gets the result. */
static uintptr_t pend_or_go_on(struct callback *callback) {
    if (!callback_stops(callback)) scope_go_on(&callback->scope);
    scope_pend(&callback->scope, callback_thread(callback)->task);
    thread_ask(callback_thread(callback), ATTENTION_PANIC); /* the call's fast way out would not look */
    return callback->thunk->panic_result;
}

/* A scope was made, and the user's function has returned. */
uintptr_t callback_end_scope(struct callback *callback, uintptr_t result) {
    return scope_landed(&callback->scope) ? result : pend_or_go_on(callback);
}

/* Unwinding came by the callback's scope: what to give to the foreign code, if it ends here. */
uintptr_t callback_landed(struct scope *scope) {
    struct callback *callback = CONTAINER_OF(scope, struct callback, scope);
    if (!callback->keeps_registers) fatal("a frame between a panic and its callback has no unwind data");
    return scope_landed(scope) ? 0 : pend_or_go_on(callback);
}

/* ---- In place: the foreign frames are on the task's stack ---- */

struct in_place {
    struct callback *callback;
    uintptr_t result;
};

static void in_place_run(void *arg) {
    struct in_place *in = arg;
    struct pintle_thunk *thunk = in->callback->thunk;
    in->result = thunk->fn(thunk->user, callback_args(in->callback));
}

static uintptr_t callback_in_place(struct callback *callback, struct thread *thread) {
    struct pintle_task *task = thread->task;
    struct pintle_thunk *thunk = callback->thunk;
    struct in_place in = {callback, 0};
    bool in_section = call_state(atomic_load_relaxed(&thread->call)) != CALL_OUT;
    callback_scopes(thread, task);
    callback->block.thread = thread;
    callback->outer = thread->callback;
    callback->stack_top = thread->stack_top;
    slot_set(thread, thunk);
    thread->callback = callback;
    thread->pins_auto++;
    if (in_section) callback_leave(callback);
    if (task->pending != NULL || atomic_load_acquire(&thunk->state) != THUNK_OPEN) {
        in.result = callback_refused(callback);
    } else {
        callback->scope = (struct scope){
            .outer = task->scope, .callback = callback, .inside = task->inside, .pins_auto = thread->pins_auto};
        task->scope = &callback->scope;
        arch_protect(&callback->scope, in_place_run, &in);
        if (UNLIKELY(!scope_landed(&callback->scope))) {
            /* Without a section it crosses, whatever the thunk says: nobody would raise it again. */
            if (!in_section || thunk->on_panic != PINTLE_PANIC_RETURN) scope_go_on(&callback->scope);
            scope_pend(&callback->scope, task);
            in.result = thunk->panic_result;
        }
    }
    if (thread_self() != thread || thread->callback != callback) callback_misplaced(callback);
    if (in_section) callback_enter_away(callback);
    thread->pins_auto--;
    record_leave(thread, callback);
    return in.result;
}

/* ---- ATTACH ---- */

struct attached {
    struct callback *callback;
    uintptr_t result;
    int code; /* why there is no result; 0: there is one */
    int error_number;
    uint32_t last_error;
};

static void attached_main(void *arg) {
    struct attached *attached = arg;
    struct callback *callback = attached->callback;
    struct pintle_thunk *thunk = callback->thunk;
    attached->code = PINTLE_ECANCELED;
    while (atomic_load_acquire(&thunk->state) == THUNK_CLOSING) os_yield_thread();
    if (atomic_load_acquire(&thunk->state) == THUNK_OPEN) {
        attached->result = thunk->fn(thunk->user, callback_args(callback));
        attached->code = 0;
    }
    attached->error_number = *pintle_errno_address();
    attached->last_error = pintle_last_error();
    if (is_urgent(thunk)) lend_urgent_end(callback_thread(callback));
}

void callback_task_panicked(const struct pintle_task *task) {
    if (task->fn == attached_main) ((struct attached *)task->arg)->code = PINTLE_EPANIC;
}

/* The OS thread of the record has ended; the runtime may have stopped meanwhile, and the record is no more. */
static void attached_gone(void *record) {
    lock_acquire(&sched.lock);
    for (struct thread *thread = sched.attached; thread != NULL; thread = thread->next) {
        if (thread == record) atomic_store_release(&thread->owner_ended, 1);
    }
    lock_release(&sched.lock);
}

static void attached_free_locked(struct thread *thread) {
    os_attached_close(&thread->os);
    thread->is_attached = false;
    sched.attached_count--;
    thread_record_free_locked(thread);
}

/* Records whose threads are no more, back to the free list: a few at a time. */
static void attached_sweep_locked(void) {
    struct thread **at = &sched.attached;
    for (int looked = 0; *at != NULL && looked < 8; looked++) {
        struct thread *thread = *at;
        if (atomic_load_acquire(&thread->owner_ended) == 0 && !os_attached_has_ended(&thread->os)) {
            at = &thread->next;
            continue;
        }
        *at = thread->next;
        attached_free_locked(thread);
    }
    /* Those looked at go to the end: the next sweep looks at others. */
    if (*at != NULL && at != &sched.attached) {
        struct thread *first = sched.attached, *last = *at;
        sched.attached = *at;
        *at = NULL;
        while (last->next != NULL) last = last->next;
        last->next = first;
    }
}

static struct thread *attached_new_locked(void) {
    struct thread *thread;
    attached_sweep_locked();
    thread = thread_record_new_locked();
    if (thread == NULL) return NULL;
    thread->is_attached = true;
    atomic_store_relaxed(&thread->owner_ended, 0);
    if (os_attached_set(thread, &thread->os) != 0) {
        thread->is_attached = false;
        thread_record_free_locked(thread);
        return NULL;
    }
    thread_read_system(thread);
    thread->next = sched.attached;
    sched.attached = thread;
    sched.attached_count++;
    return thread;
}

/* The calling thread's record; NULL: no memory. */
static struct thread *attached_self(void) {
    struct thread *thread = os_attached();
    if (thread != NULL) {
        os_stack_bounds bounds = {thread->stack_base, thread->stack_limit, thread->stack_reserve,
                                  thread->stack_guarantee};
        if (os_thread_stack_again(&bounds)) thread_set_stack(thread, &bounds);
        return thread;
    }
    lock_acquire(&sched.lock);
    thread = attached_new_locked();
    lock_release(&sched.lock);
    return thread;
}

/* The thread and its task begin. A processor is taken if one is idle; else the task waits for one in the global queue. */
static void attached_begin(struct thread *thread, struct pintle_task *task, bool urgent) {
    struct thread *waiter = NULL;
    struct processor *processor;
    thread->reserved = task;
    task_begin(task, NULL);
    thread->pins_auto = task_base(task)->pins_auto =
        1; /* so that the thread's loop runs nothing else, and ends with it */
    task_set_bound(task, thread);
    task_set_state(task, TASK_IDLE, TASK_RUNNABLE);
    if (sched.handles_faults) os_fault_stack_begin(&thread->fault_stack); /* two system calls, 0.3 µs */
    os_self_set(thread);
    lock_acquire(&sched.lock);
    processor = idle_take_locked(NULL, &waiter);
    if (waiter != NULL) spare_put_locked(waiter);
    if (processor == NULL && urgent) processor = lend_urgent_locked(thread, NULL);
    if (processor == NULL) global_push_locked(task);
    lock_release(&sched.lock);
    if (processor != NULL) {
        atomic_store_release(&thread->handed, processor);
    } else {
        sched_wake_if_idle();
    }
}

static void attached_end(struct thread *thread) {
    os_self_set(NULL);
    os_fault_stack_end(&thread->fault_stack);
    thread->ends = thread->is_searching = thread->is_listed = false;
    thread->reserved = NULL;
    thread_set_task(thread, NULL);
    thread->callback = NULL;
    atomic_store_release(&thread->thunks_inside[0], NULL);
    thread->callback_depth = 0;
    thread->pins_auto = 0;
    attached_count_end();
}

/* Whether the runtime runs, and the caller counts among those that a stop waits for. */
static bool attached_count_begin(void) {
    bool runs = false;
    if (sched_phase() != PHASE_RUNNING) return false;
    lock_acquire(&sched.lock);
    if (sched_phase() == PHASE_RUNNING) {
        runs = true;
        sched.live_count++;
    }
    lock_release(&sched.lock);
    return runs;
}

static int attached_run(struct attached *attached) {
    struct thread *thread;
    struct pintle_task *task;
    int result;
    if (!attached_count_begin()) return PINTLE_ESTOPPED;
    deadlock_outsider();
    thread = attached_self();
    result = thread != NULL ? task_new(NULL, attached_main, attached, 0, &task) : PINTLE_ENOMEM;
    if (result != 0) {
        attached_count_end();
        return PINTLE_ENOMEM;
    }
    if (sched.options.max_tasks != 0) atomic_add_relaxed(&sched.tasks_counted, 1); /* not refused, but counted */
    task_set_id(task, sched_count_spawned(NULL));
    task->spawned_at = NULL;
    task->saved_errno = attached->error_number;
    task->saved_last_error = attached->last_error;
    task_set_name(task, "callback");
    task_prepare_flags(task, TASK_DETACHED);
    atomic_store_relaxed(&task->join, JOIN_DETACHED);
    slot_set(thread, attached->callback->thunk);
    attached->callback->block.thread = thread;
    attached_begin(thread, task, is_urgent(attached->callback->thunk));
    arch_thread_run(thread);
    if (thread_is_left_behind(thread)) return PINTLE_ECANCELED; /* nothing is ours any more */
    attached_end(thread);
    return attached->code;
}

static uintptr_t callback_attached(struct callback *callback) {
    struct attached attached = {.callback = callback,
                                .code = PINTLE_ECANCELED,
                                .error_number = *pintle_errno_address(),
                                .last_error = pintle_last_error()};
    int code = attached_run(&attached);
    pintle_last_error_set(attached.last_error); /* first: where there is none it is errno */
    *pintle_errno_address() = attached.error_number;
    if (callback->thunk->flags & THUNK_PLAIN) return (uintptr_t)(intptr_t)code;
    return code == 0 ? attached.result : callback->thunk->closed_result;
}

/* ---- Every way but into a call that says IN ---- */

uintptr_t callback_elsewhere(struct callback *callback) {
    struct thread *thread = thread_self();
    if (thread == NULL) return callback_attached(callback);
    if (thread->task == NULL || !task_owns_address(thread->task, callback)) {
        fatal("a callback came to a thread of the runtime that runs no foreign code: is one of our waits alertable?");
    }
    return callback_in_place(callback, thread);
}

/* ---- Public ---- */

/* pintle_callback itself is assembly. */
void callback_of_null(void) { panic("pintle_callback was given a NULL function"); }

int callback_failed(int code) {
    switch (code) {
    case PINTLE_ESTOPPED:
        return error_set(PINTLE_ESTOPPED, 0, "pintle_callback on a foreign thread: the runtime does not run");
    case PINTLE_ENOMEM: return error_set(PINTLE_ENOMEM, 0, "pintle_callback: no memory for a task on a foreign thread");
    case PINTLE_EPANIC:
        return error_set(PINTLE_EPANIC, 0,
                         "pintle_callback: its task has panicked, or a panic waits for this call to end");
    default: return error_set(code, 0, "pintle_callback: the task of the callback has ended before it returned");
    }
}

int pintle_thread_attach(void) {
    struct thread *thread;
    if (thread_self() != NULL) return 0;
    if (!attached_count_begin()) {
        return error_set(PINTLE_ESTOPPED, 0, "pintle_thread_attach: the runtime does not run");
    }
    thread = attached_self();
    attached_count_end();
    return thread != NULL ? 0 : error_set(PINTLE_ENOMEM, 0, "pintle_thread_attach: no memory for the thread's record");
}

void pintle_thread_detach(void) {
    struct thread *thread;
    if (thread_self() != NULL || !attached_count_begin()) return;
    thread = os_attached();
    if (thread != NULL) {
        struct thread **at = &sched.attached;
        os_attached_forget();
        lock_acquire(&sched.lock);
        while (*at != thread) at = &(*at)->next;
        *at = thread->next;
        attached_free_locked(thread);
        lock_release(&sched.lock);
    }
    attached_count_end();
}

int callbacks_init(void) { return os_attached_init(attached_gone); }

void callbacks_shutdown(void) {
    lock_acquire(&sched.lock);
    while (sched.attached != NULL) {
        struct thread *thread = sched.attached;
        sched.attached = thread->next;
        if (!thread_is_left_behind(thread)) attached_free_locked(thread);
    }
    lock_release(&sched.lock);
    os_attached_shutdown();
}
