/* nursery.c: scopes of tasks: pintle_scope_*. See nursery.h for the word.
 *
 * A nursery has a list of its tasks, from before each is first queued until it is off its stack (arrived, scheduler.c), and
 * one of the nurseries that nest in it: those that its tasks have opened, and close before they end. So closing one waits for its
 * tasks only.
 *
 *   enter   (spawn) into the list; then `reason` is read: cancelled from the start
 *   cancel  CAS(reason, 0 -> why): the winner, and nobody else, goes over the list, and wins the children as well. Each nursery
 *           it has won is in a list of its own, with a reference, so that it takes one lock at a time. Who enters after the lock was
 *           taken sees the reason; who came before is in the list. The lock is let go every BATCH tasks; tasks that leave move the
 *           cursor.
 *   leave   off the list; the last wakes the closer, under the lock and the guard; the closer takes the lock once more before the record
 *           goes, so nobody is inside
 *
 * Records go to a queue and are used again, the oldest first, but are freed only when the runtime has stopped: a timer that fires
 * late, or a user with an old handle, finds a record that is closed, or in its next life (`opening`).
 *
 * Threads: any; closing: the opener. Locks: nursery.lock, one at a time, below it guards and the scheduler's; pool_lock (leaf).
 * Order: reason by CAS, and read under the lock; live written under the lock, read under the guard.
 * Invariants: live is the length of the list; a task's nursery is open. Tests: tests/api/test_cancel_scope.c, tests/stress/test_scope.c. */
#include "nursery.h"

#include "cancel.h"
#include "clock.h"
#include "error.h"
#include "lend.h"
#include "memory.h"
#include "owner.h"
#include "panic.h"
#include "stack.h"

enum { BATCH = 64, RESTING_LEAST = 64, LEFT_NAMED = 3 };

static struct lock pool_lock = LOCK_INIT(RANK_LEAF);
static struct pintle_scope *all, *resting_first, *resting_last;
static uint32_t resting;

/* ---- Records ---- */

/* The record that has rested for longest, or a new one: closed, of no use to old handles for as long as possible. */
static struct pintle_scope *record_take(void) {
    struct pintle_scope *nursery = NULL;
    lock_acquire(&pool_lock);
    if (resting >= RESTING_LEAST) {
        nursery = resting_first;
        resting_first = nursery->next;
        resting--;
    }
    lock_release(&pool_lock);
    if (nursery != NULL || (nursery = memory_alloc_zero(sizeof *nursery)) == NULL) return nursery;
    lock_init(&nursery->lock, RANK_NURSERY);
    lock_acquire(&pool_lock);
    nursery->all_next = all;
    all = nursery;
    lock_release(&pool_lock);
    return nursery;
}

static void release(struct pintle_scope *nursery) {
    if (atomic_fetch_sub_explicit(&nursery->references, 1, memory_order_acq_rel) != 1) return;
    nursery->next = NULL;
    lock_acquire(&pool_lock);
    if (resting == 0) {
        resting_first = nursery;
    } else {
        resting_last->next = nursery;
    }
    resting_last = nursery;
    resting++;
    lock_release(&pool_lock);
}

static void retain(struct pintle_scope *nursery) { atomic_add_relaxed(&nursery->references, 1); }

void nurseries_destroy(void) {
    while (all != NULL) {
        struct pintle_scope *nursery = all;
        all = nursery->all_next;
        memory_free(nursery);
    }
    resting_first = resting_last = NULL;
    resting = 0;
}

/* Locked, if it is open. */
static bool acquire_open(struct pintle_scope *nursery) {
    lock_acquire(&nursery->lock);
    if (LIKELY(atomic_load_relaxed(&nursery->is_open) != 0)) return true;
    lock_release(&nursery->lock);
    return false;
}

static COLD int closed_error(const char *function) {
    return error_set(PINTLE_ECLOSED, 0, "%s: the scope is closed", function);
}

/* ---- Failures ---- */

static PINTLE_PRINTF(4, 5) void fail_locked(struct pintle_scope *nursery, int code, int64_t os_code, const char *format,
                                            ...) {
    va_list arguments;
    if (nursery->failure.code != 0) return;
    nursery->failure.code = code;
    nursery->failure.os_code = os_code;
    va_start(arguments, format);
    vsnprintf(nursery->failure.text, sizeof nursery->failure.text, format, arguments);
    va_end(arguments);
}

/* The nursery is cancelled for that reason while it has tasks. */
static void fail_by_deadline_locked(struct pintle_scope *nursery, int reason) {
    uint32_t live = atomic_load_relaxed(&nursery->live);
    if (reason != PINTLE_ETIMEDOUT) return;
    fail_locked(nursery, reason, 0, "the scope's deadline passed while it had %u task%s", live, live == 1 ? "" : "s");
}

/* "task 7 'name'" */
enum { TASK_TEXT_BYTES = TASK_NAME_BYTES + 32 };
static const char *task_label(const struct pintle_task *task, char out_text[TASK_TEXT_BYTES]) {
    char name[TASK_NAME_BYTES];
    task_name_of_other(task, name);
    snprintf(out_text, TASK_TEXT_BYTES, "task %llu%s%s%s", (unsigned long long)task_id_of_other(task),
             name[0] != '\0' ? " '" : "", name, name[0] != '\0' ? "'" : "");
    return out_text;
}

/* ---- Cancelling ---- */

/* Those that may be about to wait, with one fence for all. */
static void cancel_late(struct pintle_task *const *late, uint32_t count) {
    if (count != 0) task_cancel_fence();
    for (uint32_t i = 0; i < count; i++) task_cancel_end(late[i]);
}

/* The tasks, and what nests in it, which goes to the front of the list. */
static struct pintle_scope *cancel_one(struct pintle_scope *nursery, int reason, struct pintle_scope *list) {
    struct pintle_task *task, *late[BATCH];
    uint32_t count = 0, late_count = 0;
    lock_acquire(&nursery->lock);
    if (nursery->members != NULL) fail_by_deadline_locked(nursery, reason);
    nursery->cursor = nursery->members;
    while ((task = nursery->cursor) != NULL) {
        nursery->cursor = task->member_next;
        if (task_cancel_begin(task, reason)) late[late_count++] = task; /* it cannot leave meanwhile */
        if (++count % BATCH != 0) continue;
        cancel_late(late, late_count);
        late_count = 0;
        lock_release(&nursery->lock);
        lock_acquire(&nursery->lock);
    }
    cancel_late(late, late_count);
    for (struct pintle_scope *child = nursery->children; child != NULL; child = child->sibling) {
        int none = 0;
        if (!atomic_cas_seq_cst(&child->reason, &none, reason)) continue;
        retain(child);
        child->next = list;
        list = child;
    }
    lock_release(&nursery->lock);
    return list;
}

/* The caller has a reference. */
static void cancel(struct pintle_scope *nursery, int reason) {
    struct pintle_scope *list;
    int none = 0;
    if (!atomic_cas_seq_cst(&nursery->reason, &none, reason)) return;
    retain(nursery);
    nursery->next = NULL;
    for (list = nursery; (nursery = list) != NULL; release(nursery)) {
        list = cancel_one(nursery, reason, nursery->next);
    }
}

void pintle_scope_cancel(pintle_scope *scope) {
    if (scope == NULL || scope == PINTLE_SCOPE_NONE) panic("pintle_scope_cancel was given no scope");
    if (!acquire_open(scope)) return;
    retain(scope);
    lock_release(&scope->lock);
    cancel(scope, PINTLE_ECANCELED);
    release(scope);
}

bool pintle_scope_canceled(const pintle_scope *scope) { return atomic_load_acquire(&scope->reason) != 0; }

static void deadline_passed(struct timer *timer, uint64_t opening) {
    struct pintle_scope *nursery = CONTAINER_OF(timer, struct pintle_scope, timer);
    bool is_due;
    if (!acquire_open(nursery)) return;
    is_due = nursery->opening == opening;
    if (is_due) retain(nursery);
    lock_release(&nursery->lock);
    if (!is_due) return;
    cancel(nursery, PINTLE_ETIMEDOUT);
    release(nursery);
}

/* ---- Members ---- */

bool nursery_enter(struct pintle_scope *nursery, struct pintle_task *task) {
    int reason;
    if (UNLIKELY(!acquire_open(nursery))) {
        closed_error("spawning in a scope");
        return false;
    }
    task->nursery = nursery;
    task_prepare_flags(task, TASK_MEMBER);
    task->member_next = nursery->members;
    task->member_previous = NULL;
    if (nursery->members != NULL) nursery->members->member_previous = task;
    nursery->members = task;
    atomic_store_relaxed(&nursery->live, atomic_load_relaxed(&nursery->live) + 1);
    reason = atomic_load_relaxed(&nursery->reason);
    if (UNLIKELY(reason != 0)) fail_by_deadline_locked(nursery, reason);
    lock_release(&nursery->lock);
    if (UNLIKELY(reason != 0)) (void)task_cancel_begin(task, reason); /* it has not run yet: it does not wait */
    return true;
}

void nursery_leave(struct pintle_task *task) {
    struct pintle_scope *nursery = task->nursery;
    struct waiter *first = NULL;
    uint32_t live;
    lock_acquire(&nursery->lock);
    if (nursery->cursor == task) nursery->cursor = task->member_next;
    if (task->member_next != NULL) task->member_next->member_previous = task->member_previous;
    if (task->member_previous != NULL) {
        task->member_previous->member_next = task->member_next;
    } else {
        nursery->members = task->member_next;
    }
    task->nursery = NULL;
    live = atomic_load_relaxed(&nursery->live) - 1;
    atomic_store_relaxed(&nursery->live, live);
    if (live == 0) {
        struct guard *guard = guard_of(nursery);
        guard_acquire(guard); /* pairs with the closer's, who looks at `live` under it */
        first = waiters_claim_all(&nursery->waiters, 0);
        guard_release(guard);
    }
    lock_release(&nursery->lock);
    waiters_wake_chain(first);
}

void nursery_panicked(struct pintle_task *task) {
    struct pintle_scope *nursery = task->nursery;
    char label[TASK_TEXT_BYTES];
    lock_acquire(&nursery->lock);
    fail_locked(nursery, PINTLE_EPANIC, 0, "%s of the scope ended by a panic: %s", task_label(task, label),
                task->panic->info.text);
    lock_release(&nursery->lock);
    cancel(nursery, PINTLE_ECANCELED); /* open, as long as the task is in it */
}

/* What a task that pintle_scope_go made runs; its own text, if it has set one for that code. */
static void go_main(void *arg) {
    struct pintle_task *task = pintle_self();
    int code = task->go_fn(arg);
    struct pintle_scope *nursery = task->nursery;
    char label[TASK_TEXT_BYTES];
    if (code == 0) return;
    bool is_known = code <= PINTLE_EINVAL && code >= PINTLE_ECORRUPT;
    bool is_told = task->error != NULL && task->error->code == code;
    const char *name = pintle_error_name(code);
    lock_acquire(&nursery->lock);
    fail_locked(nursery, code, is_told ? task->error->os_code : 0, "%s of the scope returned %s%s%d%s%s%s",
                task_label(task, label), is_known ? name : "", is_known ? " (" : "", code, is_known ? ")" : "",
                is_told ? ": " : "", is_told ? task->error->text : "");
    lock_release(&nursery->lock);
    cancel(nursery, PINTLE_ECANCELED);
}

int pintle_scope_spawn(pintle_scope *scope, pintle_fn *fn, void *arg) {
    pintle_task_options options = {.scope = scope};
    if (scope == NULL || scope == PINTLE_SCOPE_NONE) panic("pintle_scope_spawn was given no scope");
    return task_spawn(NULL, fn, arg, &options, NULL, "pintle_scope_spawn", __builtin_return_address(0));
}

int pintle_scope_go_sized(pintle_scope *scope, pintle_main_fn *fn, void *arg, const pintle_task_options *options,
                          size_t size) {
    pintle_task_options known;
    int result;
    if (scope == NULL || scope == PINTLE_SCOPE_NONE) panic("pintle_scope_go was given no scope");
    if (fn == NULL) panic("pintle_scope_go was given a NULL function");
    if ((result = task_options_read(&known, options, size)) != 0) return result;
    if (known.scope != NULL && known.scope != scope) {
        return error_set(PINTLE_EINVAL, 0, "pintle_scope_go: options.scope is another scope: leave it NULL");
    }
    known.scope = scope;
    return task_spawn(NULL, go_main, arg, &known, fn, "pintle_scope_go", __builtin_return_address(0));
}

/* ---- Opening ---- */

/* In the heap of the calling thread's processor, or of one that looks at it soon. */
static int arm(struct pintle_scope *nursery) {
    struct thread *thread = arch_self_before_switch();
    bool holds_one = thread != NULL && call_state(atomic_load_relaxed(&thread->call)) == CALL_OUT;
    struct processor *processor = holds_one ? thread_processor(thread) : &sched.processors[0];
    int result;
    nursery->timer.deadline_ns = nursery->os_deadline_ns;
    nursery->timer.seq = nursery->opening;
    nursery->timer.fire = deadline_passed;
    if ((result = timer_start(processor_timers(processor), &nursery->timer)) != 0) return result;
    if (UNLIKELY(!holds_one || processor_is_lent(processor))) lend_timer_armed(processor);
    return 0;
}

static void link_to_parent(struct pintle_scope *nursery, struct pintle_scope *parent) {
    lock_acquire(&parent->lock);
    nursery->sibling = parent->children;
    nursery->previous_sibling = NULL;
    if (parent->children != NULL) parent->children->previous_sibling = nursery;
    parent->children = nursery;
    atomic_store_relaxed(&nursery->reason, atomic_load_relaxed(&parent->reason));
    lock_release(&parent->lock);
}

static void unlink_from_parent(struct pintle_scope *nursery, struct pintle_scope *parent) {
    lock_acquire(&parent->lock);
    if (nursery->sibling != NULL) nursery->sibling->previous_sibling = nursery->previous_sibling;
    if (nursery->previous_sibling != NULL) {
        nursery->previous_sibling->sibling = nursery->sibling;
    } else {
        parent->children = nursery->sibling;
    }
    lock_release(&parent->lock);
}

int pintle_scope_open(pintle_scope **out, int64_t deadline_ns) {
    struct pintle_task *task = pintle_self();
    struct pintle_scope *parent = task != NULL && task->cancel_masks == 0 ? task->nursery : NULL, *nursery;
    int64_t os_deadline_ns = clock_to_os(deadline_ns);
    bool needs_timer;
    int result = deadline_check(deadline_ns, "pintle_scope_open");
    if (result != 0) return result;
    if (out == NULL) return error_set(PINTLE_EINVAL, 0, "pintle_scope_open: out is NULL");
    if (task == NULL && sched_phase() != PHASE_RUNNING) {
        return error_set(PINTLE_ESTOPPED, 0, "pintle_scope_open: the runtime does not run");
    }
    if ((nursery = record_take()) == NULL)
        return error_set(PINTLE_ENOMEM, 0, "pintle_scope_open: no memory for a scope");
    lock_acquire(&nursery->lock);
    nursery->opening++;
    nursery->failure.code = 0;
    atomic_store_relaxed(&nursery->reason, 0);
    atomic_store_relaxed(&nursery->references, 1);
    nursery->parent = parent;
    nursery->opener = owner_self();
    needs_timer = os_deadline_ns != INT64_MAX && (parent == NULL || os_deadline_ns < parent->os_deadline_ns);
    nursery->os_deadline_ns = parent != NULL && !needs_timer ? parent->os_deadline_ns : os_deadline_ns;
    lock_release(&nursery->lock);
    if (needs_timer && (result = arm(nursery)) != 0) {
        release(nursery);
        return result;
    }
    if (parent != NULL) link_to_parent(nursery, parent);
    if (task != NULL) {
        nursery->opened_in = scope_innermost(task);
        nursery->opened_before = task_stack(task)->nurseries;
        task_stack(task)->nurseries = nursery;
    }
    lock_acquire(&nursery->lock);
    atomic_store_relaxed(&nursery->is_open, 1);
    lock_release(&nursery->lock);
    if (needs_timer && os_now_ns() >= os_deadline_ns)
        cancel(nursery, PINTLE_ETIMEDOUT); /* the timer may have been too early */
    *out = nursery;
    return 0;
}

/* ---- Waiting and closing ---- */

/* Until it has no tasks. *out_code: PINTLE_ENOMEM, if a thread that is no task has no memory to wait; else 0. */
static enum wake_reason wait_until_empty(struct pintle_scope *nursery, const char *function, int64_t deadline_ns,
                                         enum wait_kind kind, int *out_code) {
    struct guard *guard = guard_of(nursery);
    struct waiter waiter;
    enum wake_reason reason;
    *out_code = 0;
    if (atomic_load_acquire(&nursery->live) == 0) return WAKE_EVENT;
    if (deadline_ns == PINTLE_NOWAIT) return WAKE_DEADLINE;
    if ((*out_code = wait_prepare(&waiter.wait, guard, function)) != 0) return WAKE_SELF;
    guard_acquire(guard);
    if (atomic_load_relaxed(&nursery->live) == 0) {
        guard_release(guard);
        wait_unprepare(&waiter.wait);
        return WAKE_EVENT;
    }
    waiters_push(&nursery->waiters, &waiter);
    reason = wait_guarded(&waiter, guard, function, deadline_ns, kind);
    if (reason == WAKE_EVENT) return reason;
    guard_acquire(guard);
    waiters_remove(&nursery->waiters, &waiter);
    guard_release(guard);
    return reason;
}

/* The error of a wait, with the names of the first that are left. */
static COLD int name_left(struct pintle_scope *nursery, int code, const char *function) {
    char text[256], more[32] = "", label[TASK_TEXT_BYTES];
    size_t length = 0, named = 0;
    uint32_t live;
    lock_acquire(&nursery->lock);
    live = atomic_load_relaxed(&nursery->live);
    text[0] = '\0';
    for (struct pintle_task *task = nursery->members; task != NULL && named < LEFT_NAMED;
         task = task->member_next, named++) {
        length += (size_t)snprintf(text + length, sizeof text - length, "%s%s", named > 0 ? ", " : "",
                                   task_label(task, label));
    }
    lock_release(&nursery->lock);
    if (live > named) snprintf(more, sizeof more, " and %u more", live - (uint32_t)named);
    return error_set(code, 0, "%s: %s: %u task%s left in the scope: %s%s", function,
                     code == PINTLE_EAGAIN ? "it would have to wait" : "the deadline passed", live,
                     live == 1 ? " is" : "s are", text, more);
}

int pintle_scope_wait(pintle_scope *scope, int64_t deadline_ns) {
    static const char function[] = "pintle_scope_wait";
    struct pintle_task *task = pintle_self();
    enum wake_reason reason;
    int result = deadline_check(deadline_ns, function), code;
    if (scope == NULL || scope == PINTLE_SCOPE_NONE) panic("%s was given no scope", function);
    if (result != 0) return result;
    for (struct pintle_scope *in = task != NULL ? task->nursery : NULL; in != NULL; in = in->parent) {
        if (in == scope)
            return error_set(PINTLE_EDEADLK, 0, "%s: a task cannot wait for the end of its own scope", function);
    }
    if (!acquire_open(scope)) return closed_error(function);
    retain(scope);
    lock_release(&scope->lock);
    reason = wait_until_empty(scope, function, deadline_ns, WAIT_CANCELABLE, &code);
    if (code != 0) {
        result = code;
    } else if (reason == WAKE_DEADLINE) {
        result = name_left(scope, deadline_ns == PINTLE_NOWAIT ? PINTLE_EAGAIN : PINTLE_ETIMEDOUT, function);
    } else {
        result = wait_result(reason, deadline_ns, function);
    }
    release(scope);
    return result;
}

/* Waits for all tasks, whatever happens to the caller, and closes it. */
static void close_nursery(struct pintle_scope *nursery, const char *function) {
    struct pintle_task *task = pintle_self();
    enum wait_kind kind = WAIT_CANCELABLE;
    for (;;) {
        int code;
        enum wake_reason reason = wait_until_empty(nursery, function, PINTLE_FOREVER, kind, &code);
        if (code != 0) os_yield_thread(); /* a thread without memory to wait */
        if (reason == WAKE_CANCEL) {
            cancel(nursery, task_cancel_reason(task));
            kind = WAIT_MASKED;
        }
        if (reason != WAKE_EVENT) continue;
        lock_acquire(&nursery->lock);
        if (nursery->members == NULL) break; /* the last has left; nobody came meanwhile */
        lock_release(&nursery->lock);
    }
    atomic_store_relaxed(&nursery->is_open, 0);
    lock_release(&nursery->lock);
    timer_stop(&nursery->timer);
    if (nursery->parent != NULL) unlink_from_parent(nursery, nursery->parent);
}

int pintle_scope_close(pintle_scope *scope) {
    struct pintle_task *task = pintle_self();
    pintle_error failure;
    if (scope == NULL || scope == PINTLE_SCOPE_NONE) panic("pintle_scope_close was given no scope");
    if (atomic_load_acquire(&scope->is_open) == 0) panic("pintle_scope_close: the scope is closed already");
    if (scope->opener != owner_self()) {
        char description[64];
        owner_describe(scope->opener, description, sizeof description);
        panic("pintle_scope_close: the scope is not the caller's: %s has opened it", description);
    }
    close_nursery(scope, "pintle_scope_close");
    if (task != NULL) {
        struct pintle_scope **at = &task_stack(task)->nurseries;
        while (*at != scope) at = &(*at)->opened_before;
        *at = scope->opened_before;
    }
    failure = scope->failure;
    release(scope);
    return failure.code == 0 ? 0 : error_set(failure.code, failure.os_code, "%s", failure.text);
}

/* ---- What openers leave behind ---- */

void nurseries_discard(struct pintle_task *task, const struct scope *scope) {
    /* All are told before the first is waited for: they may wait for each other. */
    for (struct pintle_scope *nursery = task_stack(task)->nurseries; nursery != NULL && nursery->opened_in == scope;
         nursery = nursery->opened_before)
        cancel(nursery, PINTLE_ECANCELED);
    while (nurseries_opened_in(task, scope)) {
        struct pintle_scope *nursery = task_stack(task)->nurseries;
        close_nursery(nursery, "pintle_scope_close");
        task_stack(task)->nurseries = nursery->opened_before;
        release(nursery);
    }
}

void nurseries_keep(struct pintle_task *task, const struct scope *scope) {
    for (struct pintle_scope *nursery = task_stack(task)->nurseries; nursery != NULL && nursery->opened_in == scope;
         nursery = nursery->opened_before)
        nursery->opened_in = scope->outer;
}

void nurseries_left_open(void *arg) {
    struct pintle_task *task = arg;
    unsigned count = 0;
    for (struct pintle_scope *nursery = task_stack(task)->nurseries; nursery != NULL;
         nursery = nursery->opened_before) {
        nursery->opened_in = task_base(task);
        count++;
    }
    nurseries_discard(task, task_base(task));
    panic("the task ends with %u scope%s open: pintle_scope_close has to be called by who called pintle_scope_open",
          count, count == 1 ? "" : "s");
}
