/* user_timer.c: pintle_timer: functions and selects at a time.
 *
 * A set timer is in a processor's heap (timer.h): its setter's, or where it was before. Whoever finds it due, in the loop or as a
 * thief, calls `expired`, on no task's stack, with no lock; all that follows is decided under the timer's guard:
 *
 *   expired   a late one (another seq): nothing. Else the first select that waits has it, or it is counted; and with a function:
 *             pending; unless its task is coming or running, that is made: coming
 *   run       (the function's task) coming ends; pending -> running, the function is called
 *   run_over  (deferred there, so that panics and exits come by too) running ends; pending again: the next task
 *   stop, set pending ends, so a task that comes finds nothing to do; another seq
 *
 * No expiry is lost for want of memory. A timer stays in the heap when it is due, whose slot it keeps: at its next period, or, set
 * for once, held far away, as long as the function is pending. Where its task cannot be made, it is moved to a millisecond from
 * now, and is then tried again, which is no new expiry (`retries`).
 *
 * References: the user's; one for each `expired` under way, taken under the heap's lock (timer.c); one of the function's task.
 * The list of all timers is there for the end of the runtime, which leaves tasks behind and takes the heaps away.
 * Threads: any. Locks: guards; the heap's; list_lock (leaf). Order: references acq_rel. Drawn from Go's timers.
 * Tests: tests/api/test_timer.c, tests/stress/test_timer.c. */
#include "user_timer.h"

#include "clock.h"
#include "error.h"
#include "lend.h"
#include "memory.h"
#include "panic.h"
#include "scheduler.h"

#define RETRY_NS INT64_C(1000000)

static struct lock list_lock = LOCK_INIT(RANK_LEAF);
static struct pintle_timer *all;

static void run(void *arg);

/* ---- Records ---- */

int pintle_timer_new(pintle_timer **out, pintle_fn *fn, void *arg) {
    struct pintle_timer *t;
    if (out == NULL) return error_set(PINTLE_EINVAL, 0, "pintle_timer_new: out is NULL");
    *out = NULL;
    t = memory_alloc_zero(sizeof *t);
    if (t == NULL) return error_set(PINTLE_ENOMEM, 0, "pintle_timer_new: no memory for a timer");
    t->fn = fn;
    t->arg = arg;
    atomic_store_relaxed(&t->timer.references, 1);
    lock_acquire(&list_lock);
    t->next = all;
    if (all != NULL) all->previous = t;
    all = t;
    lock_release(&list_lock);
    *out = t;
    return 0;
}

static void release(struct pintle_timer *t) {
    if (atomic_fetch_sub_explicit(&t->timer.references, 1, memory_order_acq_rel) != 1) return;
    lock_acquire(&list_lock);
    if (t->next != NULL) t->next->previous = t->previous;
    if (t->previous != NULL) {
        t->previous->next = t->next;
    } else {
        all = t->next;
    }
    lock_release(&list_lock);
    memory_free(t);
}

/* ---- The function ---- */

/* The first of the timer's deadlines that is after now. */
static int64_t next_period(const struct pintle_timer *t, int64_t now_ns) {
    if (t->first_ns > now_ns) return t->first_ns;
    return timer_advance(t->first_ns, t->period_ns, now_ns);
}

/* Its task cannot be made now. */
static void try_later_locked(struct pintle_timer *t) {
    t->retries = true;
    timer_move(&t->timer, os_now_ns() + RETRY_NS); /* it is in the heap while the function is pending */
}

/* The function has begun: the heap holds what is to come. */
static void begun_locked(struct pintle_timer *t) {
    if (!t->is_set) {
        timer_stop(&t->timer);
    } else if (t->retries) {
        timer_move(&t->timer, next_period(t, os_now_ns()));
    }
    t->retries = false;
}

/* `coming` is set, and a reference taken for the task. */
static void start(struct pintle_timer *t) {
    struct guard *guard = guard_of(t);
    pintle_task_options options = {.size = sizeof options, .name = "timer"};
    int result = pintle_spawn_with(NULL, run, t, &options);
    if (LIKELY(result == 0)) return;
    guard_acquire(guard);
    t->coming = false;
    if (t->pending && result == PINTLE_ESTOPPED) {
        t->pending = t->is_set = false;
        timer_stop(&t->timer);
    } else if (t->pending) {
        try_later_locked(t);
    }
    guard_release(guard);
    release(t);
}

static void run_over(void *arg) {
    struct pintle_timer *t = arg;
    struct guard *guard = guard_of(t);
    guard_acquire(guard);
    bool again = t->pending;
    t->running = false;
    t->coming = again;
    guard_release(guard);
    if (again) {
        start(t); /* with this task's reference */
    } else {
        release(t);
    }
}

static void run(void *arg) {
    struct pintle_timer *t = arg;
    struct guard *guard = guard_of(t);
    bool begins, fails;
    guard_acquire(guard);
    t->coming = false;
    begins = t->pending;
    fails = begins && !scope_defer(run_over, t);
    if (UNLIKELY(fails)) {
        try_later_locked(t);
    } else if (begins) {
        t->pending = false;
        t->running = true;
        begun_locked(t);
    }
    guard_release(guard);
    if (begins && !fails) {
        t->fn(t->arg);
    } else {
        release(t);
    }
}

/* ---- Expiring ---- */

/* For the select that waits first, or for the next to come. The one to be woken, without the guard; NULL: none. */
static struct waiter *count_locked(struct pintle_timer *t) {
    struct waiter *waiter = NULL;
    atomic_store_relaxed(&t->expiries, atomic_load_relaxed(&t->expiries) + 1);
    if (waiters_any(&t->waiters) && (waiter = waiters_claim_first(&t->waiters)) != NULL) {
        waiter->status = 0;
        user_timer_receive_locked(t, waiter->item);
    }
    return waiter;
}

/* Called by timer_heap_run_one, which has taken a reference. */
static void expired(struct timer *timer, uint64_t seq) {
    struct pintle_timer *t = CONTAINER_OF(timer, struct pintle_timer, timer);
    struct guard *guard = guard_of(t);
    struct waiter *waiter = NULL;
    bool starts = false;
    guard_acquire(guard);
    if (t->seq == seq && (t->is_set || t->pending)) {
        if (t->is_set && !t->retries) {
            waiter = count_locked(t);
            t->pending = t->fn != NULL;
        }
        if (t->period_ns == 0) t->is_set = false;
        if (t->fn == NULL) {
            if (t->period_ns == 0) timer_stop(&t->timer);
        } else if (!t->coming && !t->running) {
            t->coming = starts = true;
        }
    }
    guard_release(guard);
    if (waiter != NULL) waiter_wake(waiter);
    if (starts) {
        start(t);
    } else {
        release(t);
    }
}

bool user_timer_receive_locked(struct pintle_timer *t, uint64_t *out_count) {
    uint64_t count = atomic_load_relaxed(&t->expiries);
    if (count == 0) return false;
    atomic_store_relaxed(&t->expiries, 0);
    if (out_count != NULL) *out_count = count;
    return true;
}

/* ---- Setting and stopping ---- */

/* The processor whose heap a timer goes into, and whether the calling task holds it. */
static struct processor *choose_processor(void) {
    static _Atomic uint32_t turn;
    struct thread *thread = arch_self_before_switch();
    struct processor *processor = NULL;
    if (thread != NULL && call_state(atomic_load_relaxed(&thread->call)) == CALL_OUT)
        processor = thread_processor(thread);
    if (LIKELY(processor != NULL)) return processor;
    lock_acquire(&sched.lock);
    processor = sched.idle;
    lock_release(&sched.lock);
    if (processor != NULL) return processor;
    return &sched.processors[atomic_add_relaxed(&turn, 1) % sched.processor_count];
}

static bool is_own(const struct processor *processor) {
    const struct thread *thread = arch_self_before_switch();
    return thread != NULL && call_state(atomic_load_relaxed(&thread->call)) == CALL_OUT &&
           atomic_load_relaxed(&thread->processor) == processor;
}

/* Into the heap it is in, or that of a processor. Who keeps the heap's processor while it is idle is told. */
static int arm_locked(struct pintle_timer *t, int64_t first_ns, int64_t period_ns, uint64_t seq) {
    struct processor *processor;
    struct timer_heap *heap = atomic_load_acquire(&t->timer.heap); /* out of it only under our guard */
    if (heap != NULL) {
        timer_rearm(&t->timer, first_ns, period_ns, seq);
        processor = CONTAINER_OF(heap, struct processor, own_timers);
    } else {
        processor = choose_processor();
        heap = processor_timers(processor);
        t->timer.deadline_ns = first_ns;
        t->timer.period_ns = period_ns;
        t->timer.seq = seq;
        t->timer.fire = expired;
        int result = timer_start(heap, &t->timer);
        if (result != 0) return result;
    }
    if (UNLIKELY(!is_own(processor) || processor_is_lent(processor)) && timer_heap_earliest(heap) == first_ns)
        lend_timer_armed(processor);
    return 0;
}

static void forget_locked(struct pintle_timer *t) {
    t->seq++;
    t->is_set = t->pending = t->retries = false;
    atomic_store_relaxed(&t->expiries, 0);
}

int pintle_timer_set(pintle_timer *t, int64_t deadline_ns, int64_t period_ns) {
    static const char function[] = "pintle_timer_set";
    struct guard *guard = guard_of(t);
    int64_t first_ns;
    int result = deadline_check(deadline_ns, function);
    if (UNLIKELY(t == NULL)) panic("%s was given a NULL timer", function);
    if (UNLIKELY(result != 0)) return result;
    if (UNLIKELY(period_ns < 0)) {
        return error_set(PINTLE_EINVAL, 0, "%s: the period is %lld: use 0 for once, or nanoseconds", function,
                         (long long)period_ns);
    }
    if (deadline_ns == PINTLE_FOREVER) {
        pintle_timer_stop(t);
        return 0;
    }
    first_ns = deadline_ns == PINTLE_NOWAIT ? os_now_ns() : clock_to_os(deadline_ns);
    guard_acquire(guard);
    if (UNLIKELY(sched_phase() != PHASE_RUNNING)) { /* or user_timers_shutdown waits for the guard */
        guard_release(guard);
        return error_set(PINTLE_ESTOPPED, 0, "%s: the runtime is not running", function);
    }
    result = arm_locked(t, first_ns, period_ns != 0 ? period_ns : TIMER_HELD, t->seq + 1);
    if (LIKELY(result == 0)) {
        forget_locked(t);
        t->is_set = true;
        t->first_ns = first_ns;
        t->period_ns = period_ns;
    }
    guard_release(guard);
    return result;
}

bool pintle_timer_stop(pintle_timer *t) {
    struct guard *guard = guard_of(t);
    bool prevented;
    if (UNLIKELY(t == NULL)) panic("pintle_timer_stop was given a NULL timer");
    guard_acquire(guard);
    prevented = t->is_set || t->pending || (t->fn == NULL && atomic_load_relaxed(&t->expiries) != 0);
    forget_locked(t);
    timer_stop(&t->timer);
    guard_release(guard);
    return prevented;
}

void pintle_timer_free(pintle_timer *t) {
    if (t == NULL) return;
    pintle_timer_stop(t);
    if (waiters_any(&t->waiters)) panic("pintle_timer_free: somebody selects on the timer");
    release(t);
}

/* ---- The end of the runtime ---- */

static void hold(struct pintle_timer *t) {
    if (t != NULL) atomic_add_relaxed(&t->timer.references, 1);
}

void user_timers_shutdown(void) {
    struct pintle_timer *t, *next;
    lock_acquire(&list_lock);
    hold(t = all);
    lock_release(&list_lock);
    for (; t != NULL; t = next) {
        struct guard *guard = guard_of(t);
        guard_acquire(guard);
        bool left_behind = t->coming || t->running; /* its task, which had a reference */
        forget_locked(t);
        timer_stop(&t->timer);
        t->coming = t->running = false;
        guard_release(guard);
        lock_acquire(&list_lock);
        hold(next = t->next);
        lock_release(&list_lock);
        if (left_behind) release(t);
        release(t);
    }
}
