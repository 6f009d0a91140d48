/* task.c: making, joining and ending tasks.
 *
 * Joining: task->join goes 0 -> the joiner's word -> DONE, or 0 -> DETACHED -> DONE. Without a deadline it is a joining wait
 * (wait.h), else the joiner opens its claim, then CAS(0 -> word). The task at its end, already off its stack (arrived), swaps in
 * DONE and wakes whom it finds there; or takes a joiner that waits already, and goes straight there.
 * After DONE the record belongs to the joiner, who frees it.
 * Records of dead tasks stay with the processor that frees them, up to records_kept_most; then half goes to the pool.
 * Threads: any; caches: the processor's holder. Order: join CAS / swap acq_rel. Tests: tests/api/test_task.c. */
#include "clock.h"
#include "deadlock.h"
#include "error.h"
#include "local.h"
#include "memory.h"
#include "nursery.h"
#include "panic.h"
#include "pintle/panic.h"
#include "scheduler.h"
#include "record.h"
#include "stack.h"
#include "wait.h"

enum { PINNED_STACK_BYTES = 1 << 20 };

/* ---- Records ---- */

static COLD bool records_refill(struct processor *processor) {
    processor->free = records_take(&processor->free_count);
    return processor->free != NULL;
}

static COLD void records_spill(struct processor *processor) {
    struct pintle_task *first = processor->free, *last = first;
    if (atomic_load_relaxed(&records_kept_most) == 0) {
        for (; processor->free != NULL; processor->free_count--) {
            processor->free = first->next;
            record_give(first);
            first = processor->free;
        }
        return;
    }
    for (uint32_t i = 1; i < RECORDS_LOT; i++) last = last->next;
    processor->free = last->next;
    processor->free_count -= RECORDS_LOT;
    last->next = NULL;
    records_give(first);
}

/* Somebody was refused: what ends from now on is everybody's. */
static COLD void keep_none(void) {
    atomic_store_relaxed(&stack_promises_most, 0);
    atomic_store_relaxed(&records_kept_most, 0);
}

static inline __attribute__((always_inline)) int new_task(struct processor *processor, pintle_fn *fn, void *arg,
                                                          size_t stack_bytes, struct pintle_task **out) {
    struct pintle_task *task;
    int size_class = stack_class(stack_bytes), result;
    if (UNLIKELY(size_class < 0)) {
        return error_set(PINTLE_EINVAL, 0, "a stack of %zu bytes is too large", stack_bytes);
    }
    result = stack_promise(processor, size_class);
    if (UNLIKELY(result != 0)) {
        keep_none();
        return result;
    }
    if (LIKELY(processor != NULL) && (LIKELY(processor->free != NULL) || records_refill(processor))) {
        task = processor->free;
        processor->free = task->next;
        processor->free_count--;
        PREFETCH((void *)((uintptr_t)task->next +
                          offsetof(struct pintle_task, next))); /* the next spawn's, if there is one */
    } else if (processor != NULL || (task = record_take()) == NULL) {
        stack_unpromise(processor, size_class);
        keep_none();
        return error_set(PINTLE_ENOMEM, 0, "no memory for a task");
    }
    task_unpoison(task);
    task->size_class = (uint8_t)size_class;
    task->fn = fn;
    task->arg = arg;
    task->cancel_masks = 0;
    atomic_store_relaxed(&task->cancel_reason, 0);
    atomic_store_relaxed(&task->flags, 0);
    atomic_store_relaxed(&task->join, 0);
    *out = task;
    return 0;
}

int task_new(struct processor *processor, pintle_fn *fn, void *arg, size_t stack_bytes, struct pintle_task **out) {
    return new_task(processor, fn, arg, stack_bytes, out);
}

void task_begin(struct pintle_task *task, struct processor *processor) {
    struct stack *stack = stack_take(processor, task->size_class);
    stack->task = task;
    stack->base.pins_auto = 0;
#if defined(PINTLE_DEBUG_CHECKS)
    stack->held = NULL;
#endif
    task->scope = &stack->base;
    /* Pair with task_record_breach, which may look while they change. */
    atomic_store_release((_Atomic(void *) *)&task->stack_reserve, stack->reserve);
    atomic_store_release((_Atomic(void *) *)&task->stack_base, stack);
    task->stack_limit = stack->limit;
    task->stack_guarantee = stack->guarantee;
    arch_task_prepare(task);
}

void task_leave_stack(struct pintle_task *task, struct processor *processor) {
    struct stack *stack = task_stack(task);
    stack->task = NULL;
    stack->limit = task->stack_limit;
    stack->guarantee = task->stack_guarantee;
    task->scope = NULL;
    task->pins_user = 0;
    task->saved_errno = 0;
    task->saved_last_error = 0;
    task_set_bound(task, NULL);
    atomic_store_relaxed((_Atomic(void *) *)&task->stack_base, NULL); /* pair with task_record_breach */
    atomic_store_relaxed((_Atomic(void *) *)&task->stack_reserve, NULL);
    stack_unpromise(processor, stack->size_class);
    task->size_class = STACK_NONE;
    stack_give(processor, stack);
}

void task_free(struct processor *processor, struct pintle_task *task) {
    SANITIZE_STACK_FREE(task);
    if (UNLIKELY(task->size_class != STACK_NONE)) stack_unpromise(processor, task->size_class); /* it never began */
    task->size_class = STACK_NONE;
    task_poison(task);
    if (UNLIKELY(task_is(task, TASK_UNCOMMON))) {
        memory_free(task->error);
        task->error = NULL;
        task->name[0] = '\0';
        task->nursery = NULL;
        locals_free(task); /* it ended by a panic */
        scope_forget(task);
    }
    task_set_state(task, (enum task_state)atomic_load_relaxed(&task->state), TASK_IDLE);
    if (UNLIKELY(processor == NULL)) {
        record_give(task);
        return;
    }
    task->next = processor->free;
    processor->free = task;
    if (UNLIKELY(++processor->free_count >= atomic_load_relaxed(&records_kept_most))) records_spill(processor);
}

/* The processor of the calling task; NULL outside of task code. */
static struct processor *own_processor(void) {
    struct thread *thread = arch_self_before_switch();
    if (thread == NULL || (atomic_load_relaxed(&thread->call) & CALL_FLAGS_MASK) != CALL_OUT) return NULL;
    return thread_processor(thread);
}

/* ---- Life ---- */

void task_only_refuse(const struct thread *thread, const char *function) {
    if (thread == NULL || thread->task == NULL) panic("%s was called on a thread that runs no task", function);
    panic("%s was called from inside a foreign call", function);
}

uint64_t sched_tasks(uint64_t *out_live) {
    uint64_t ended = atomic_load_acquire(&sched.outside_ended), spawned;
    for (uint32_t i = 0; i < sched.processors_all; i++) ended += atomic_load_acquire(&sched.processors[i].ended);
    spawned = atomic_load_acquire(&sched.outside_spawned);
    for (uint32_t i = 0; i < sched.processors_all; i++) spawned += atomic_load_acquire(&sched.processors[i].spawned);
    if (out_live != NULL) *out_live = spawned - ended;
    return spawned;
}

/* Leaves behind what the task has. */
static inline void end_of(struct pintle_task *task) {
    if (UNLIKELY(task_is(task, TASK_LOCALS)) && !task_is(task, TASK_PANICKED))
        locals_end(task); /* may wait, and go on on another thread */
    if (UNLIKELY(task_stack(task)->nurseries != NULL))
        nurseries_discard(task, task_base(task)); /* what they have left open */
}

void task_end(struct pintle_task *task) {
    end_of(task);
    struct thread *thread = thread_self();
    depart(thread, LEFT_EXIT);
    fatal("a task that has ended was resumed");
}

void task_main(struct pintle_task *task) {
    task->fn(task->arg);
    if (UNLIKELY(task_base(task)->deferred != NULL || task_stack(task)->nurseries != NULL))
        task_unwound(task_base(task));
    end_of(task);
}

void task_leave(void) { depart(arch_self_before_switch(), LEFT_EXIT); }

static COLD bool count_in_limit(void) {
    if (atomic_add_relaxed(&sched.tasks_counted, 1) < sched.options.max_tasks) return true;
    atomic_sub_relaxed(&sched.tasks_counted, 1);
    return false;
}

/* The nursery that a new task is to belong to; NULL: none. */
static inline struct pintle_scope *nursery_for(const struct thread *thread, const pintle_task_options *options) {
    struct pintle_scope *nursery = options != NULL ? options->scope : NULL;
    if (UNLIKELY(nursery != NULL)) return nursery != PINTLE_SCOPE_NONE ? nursery : NULL;
    return thread != NULL && thread->task != NULL ? thread->task->nursery : NULL;
}

/* Inlined into pintle_spawn, where most of it is nothing. */
static inline __attribute__((always_inline)) int spawn(pintle_task **out_task, pintle_fn *fn, void *arg,
                                                       const pintle_task_options *options, pintle_main_fn *go_fn,
                                                       const char *function, void *caller) {
    struct thread *thread = arch_self_before_switch();
    struct processor *processor = own_processor();
    struct pintle_scope *nursery = nursery_for(thread, options);
    bool pinned = options != NULL && options->pinned;
    size_t stack_bytes = options != NULL ? options->stack_bytes : 0;
    struct pintle_task *task;
    int result;
    if (UNLIKELY(fn == NULL)) panic("%s was given a NULL function", function);
    if (UNLIKELY(sched_phase() != PHASE_RUNNING)) {
        return error_set(PINTLE_ESTOPPED, 0, "%s: the runtime is not running: use pintle_run or pintle_start",
                         function);
    }
    if (UNLIKELY(processor == NULL) && thread == NULL) deadlock_outsider();
    if (stack_bytes == 0 && pinned) stack_bytes = PINNED_STACK_BYTES;
    if (UNLIKELY(sched.options.max_tasks != 0 && !count_in_limit())) {
        return error_set(PINTLE_ELIMIT, 0, "%s: max_tasks = %u tasks are live", function, sched.options.max_tasks);
    }
    result = new_task(processor, fn, arg, stack_bytes, &task);
    if (UNLIKELY(result != 0)) {
        if (sched.options.max_tasks != 0) atomic_sub_relaxed(&sched.tasks_counted, 1);
        return result;
    }
    if (go_fn != NULL) task->go_fn = go_fn;
    task_set_id(task, sched_count_spawned(processor));
    task->spawned_at = caller;
    if (UNLIKELY(options != NULL && options->name != NULL)) task_set_name(task, options->name);
    if (out_task == NULL) {
        task_prepare_flags(task, TASK_DETACHED);
        atomic_store_relaxed(&task->join, JOIN_DETACHED);
    }
    if (UNLIKELY(nursery != NULL) && UNLIKELY(!nursery_enter(nursery, task))) {
        task_free(processor, task);
        sched_count_ended(processor);
        return PINTLE_ECLOSED;
    }
    if (pinned) task->pins_user = 1;
    if (out_task != NULL) *out_task = task;
    task_set_state(task, TASK_IDLE, TASK_RUNNABLE);
    sched_ready_new(task);
    return 0;
}

int task_spawn(struct pintle_task **out_task, pintle_fn *fn, void *arg, const pintle_task_options *options,
               pintle_main_fn *go_fn, const char *function, void *caller) {
    return spawn(out_task, fn, arg, options, go_fn, function, caller);
}

int pintle_spawn(pintle_task **out_task, pintle_fn *fn, void *arg) {
    return spawn(out_task, fn, arg, NULL, NULL, "pintle_spawn", __builtin_return_address(0));
}

int task_options_read(pintle_task_options *out, const pintle_task_options *options, size_t size) {
    *out = (pintle_task_options){0};
    if (options != NULL) {
        if (options->size != 0 && options->size < size) size = options->size;
        if (size <= sizeof options->size) {
            return error_set(PINTLE_EINVAL, 0, "options.size is %zu: set it to sizeof(pintle_task_options), or 0",
                             size);
        }
        memcpy(out, options, size < sizeof *out ? size : sizeof *out);
    }
    return 0;
}

int pintle_spawn_with_sized(pintle_task **out_task, pintle_fn *fn, void *arg, const pintle_task_options *options,
                            size_t size) {
    pintle_task_options known;
    int result = task_options_read(&known, options, size);
    if (result != 0) return result;
    return task_spawn(out_task, fn, arg, &known, NULL, "pintle_spawn_with", __builtin_return_address(0));
}

static NORETURN COLD void join_refused(const struct pintle_task *task) {
    panic("pintle_join: task %llu is detached or joined by another", (unsigned long long)task->id);
}

static int join_with_deadline(struct pintle_task *task, int64_t deadline_ns) {
    struct wait wait;
    uint64_t join = 0, word;
    enum wake_reason reason;
    int result;
    if (deadline_ns == PINTLE_NOWAIT) return wait_result(WAKE_DEADLINE, deadline_ns, "pintle_join");
    if ((result = wait_begin(&wait, "pintle_join")) != 0) return result;
    word = sleeper_join_word(&wait);
    if (!atomic_cas_acq_rel(&task->join, &join, word)) {
        wait_abandon(&wait); /* nobody knew of it */
        if (join != JOIN_DONE) join_refused(task);
        return 0;
    }
    reason = wait_finish(&wait, deadline_ns);
    /* Not woken by the end of the task: take the word back, unless it ends just now. */
    if (reason == WAKE_EVENT || !atomic_cas_acq_rel(&task->join, &word, 0)) return 0;
    return wait_result(reason, deadline_ns, "pintle_join");
}

/* Waits until the task has ended. */
static inline int join_wait(struct thread *thread, struct pintle_task *task, int64_t deadline_ns) {
    if (atomic_load_acquire(&task->join) == JOIN_DONE) return 0;
    if (UNLIKELY(deadline_ns != PINTLE_FOREVER || !runs_task_code(thread)))
        return join_with_deadline(task, deadline_ns);
    enum wake_reason reason = wait_join(thread, &task->join, "pintle_join");
    if (UNLIKELY(reason != WAKE_EVENT)) return wait_result(reason, deadline_ns, "pintle_join");
    if (UNLIKELY(atomic_load_acquire(&task->join) != JOIN_DONE)) join_refused(task);
    return 0;
}

int pintle_join(pintle_task *task, int64_t deadline_ns) { return pintle_join_info(task, deadline_ns, NULL); }

int pintle_join_info(pintle_task *task, int64_t deadline_ns, pintle_panic_info *out) {
    struct thread *thread = arch_self_before_switch();
    int result = deadline_check(deadline_ns, "pintle_join");
    if (result != 0) return result;
    if (task == NULL) return error_set(PINTLE_EINVAL, 0, "pintle_join: the task is NULL");
    if (UNLIKELY(thread != NULL && task == thread->task)) {
        return error_set(PINTLE_EDEADLK, 0, "pintle_join: a task cannot wait for its own end");
    }
    result = join_wait(thread, task, deadline_ns);
    if (UNLIKELY(result != 0)) return result;
    bool panicked = task_is(task, TASK_PANICKED);
    if (panicked) {
        const pintle_panic_info *info = &task->panic->info;
        if (out != NULL) *out = *info;
        error_set(PINTLE_EPANIC, 0, "task %llu '%s' ended by a panic: %s", (unsigned long long)task->id, task->name,
                  info->text);
    }
    task_free(own_processor(), task);
    return panicked ? PINTLE_EPANIC : 0;
}

void pintle_task_detach(pintle_task *task) {
    uint64_t join = 0;
    if (task == NULL) panic("pintle_task_detach was given a NULL task");
    atomic_fetch_or_explicit(&task->flags, TASK_DETACHED, memory_order_relaxed);
    if (atomic_cas_acq_rel(&task->join, &join, JOIN_DETACHED)) return;
    if (join != JOIN_DONE)
        panic("pintle_task_detach: task %llu is detached or joined already", (unsigned long long)task->id);
    if (task_is(task, TASK_PANICKED)) panic_unowned(task);
    task_free(own_processor(), task);
}

pintle_task *pintle_self(void) {
    struct thread *thread = arch_self_before_switch();
    return thread != NULL ? thread->task : NULL;
}
uint64_t pintle_task_id(const pintle_task *task) { return task != NULL ? task->id : 0; }
const char *pintle_task_name(const pintle_task *task) { return task != NULL ? task->name : ""; }

/* ---- Sleeping and pins ---- */

int pintle_sleep_until(int64_t deadline_ns) {
    struct wait wait;
    enum wake_reason reason;
    int result = deadline_check(deadline_ns, "pintle_sleep_until");
    if (result != 0) return result;
    if ((result = wait_begin(&wait, "pintle_sleep")) != 0) return result;
    reason = wait_finish(&wait, deadline_ns);
    return reason == WAKE_DEADLINE ? 0 : wait_result(reason, deadline_ns, "pintle_sleep");
}

int pintle_sleep(int64_t duration_ns) {
    struct thread *thread = arch_self_before_switch();
    if (duration_ns > 0) return pintle_sleep_until(pintle_after(duration_ns));
    if (runs_task_code(thread)) {
        pintle_yield();
    } else {
        os_yield_thread();
    }
    return 0;
}

void pintle_pin(void) {
    struct thread *thread = task_only("pintle_pin");
    thread->task->pins_user++;
}

void pintle_unpin(void) {
    struct thread *thread = task_only("pintle_unpin");
    if (thread->task->pins_user == 0) panic("pintle_unpin without a pintle_pin before it");
    thread->task->pins_user--;
}

bool pintle_pinned(void) {
    struct thread *thread = arch_self_before_switch();
    return thread != NULL && thread->task != NULL && (thread->task->pins_user | thread->pins_auto) != 0;
}
