/* until.c: pintle_call_until: a call that its caller does not wait for longer than it wants.
 *
 * Nothing can interrupt foreign code that was not written for it. So the call is made by a task of its own, on whatever
 * thread it takes; the caller waits for it until the deadline, and then leaves it to itself:
 *
 *   RUNNING -> DONE       by the call's task: the caller takes the value, or the panic that the call ended by
 *           -> ABANDONED  by the caller: the call's task, when the call ends after all, runs drop(arg); a panic is nobody's then, as
 *                         that of any task which is not joined
 * Both hold a reference to the record. The task belongs to no scope: closing one does not wait for a call that was given up.
 * Calls in flight, abandoned ones too, are bounded by slots (sched.until_slots): each blocks a thread, and if all threads were in
 * such calls, nobody would see the deadlines. Who gets no slot until the deadline has not begun.
 *
 * Threads: tasks. Order: state CAS acq_rel carries the value and the panic.
 * Tests: tests/api/test_until.c. */
#include "clock.h"
#include "error.h"
#include "memory.h"
#include "panic.h"
#include "pintle/call.h"
#include "pintle/scope.h"
#include "pintle/sync.h"
#include "scheduler.h"

enum until_state { RUNNING, DONE, ABANDONED };

struct until {
    _Atomic uint32_t state, references;
    int (*fn)(void *);
    void *arg;
    pintle_fn *drop;
    int value;
    int result; /* PINTLE_EPANIC: fn did not return */
    struct panic *panic;
    pintle_event over;
};

static void release(struct until *until) {
    if (atomic_fetch_sub_explicit(&until->references, 1, memory_order_acq_rel) == 1) memory_free(until);
}

static void make_call(void *arg) {
    struct until *until = arg;
    until->value = pintle_call_blocking(until->fn, until->arg);
}

static void until_main(void *arg) {
    struct until *until = arg;
    uint32_t running = RUNNING;
    until->result = scope_catch(make_call, until, &until->panic);
    pintle_sem_post(&sched.until_slots);
    if (atomic_cas_acq_rel(&until->state, &running, DONE)) {
        pintle_event_set(&until->over);
        release(until);
        return;
    }
    struct panic *panic = until->panic;
    pintle_fn *drop = until->drop;
    void *dropped = until->arg;
    release(until);
    if (panic == NULL) {
        if (drop != NULL) drop(dropped);
    } else {
        if (drop != NULL && !scope_defer(drop, dropped)) drop(dropped);
        panic_go(panic, thread_self(), pintle_self());
    }
}

/* What the caller gets of a call that is over. */
static int take(struct until *until, int *out_value) {
    int result = until->result;
    if (LIKELY(result == 0)) {
        if (out_value != NULL) *out_value = until->value;
    } else if (until->panic == NULL) {
        error_set(result, 0, "pintle_call_until: a callback of the function ended the call by pintle_task_exit");
    } else {
        error_set(result, 0, "pintle_call_until: the call ended by a panic: %s", until->panic->info.text);
        panic_free(until->panic);
    }
    return result;
}

int pintle_call_until(int (*fn)(void *), void *arg, pintle_fn *drop, int64_t deadline_ns, int *out_value) {
    struct until *until;
    pintle_task_options none = {.size = sizeof none, .scope = PINTLE_SCOPE_NONE};
    uint32_t running = RUNNING;
    int result;
    if (fn == NULL) panic("pintle_call_until was given a NULL function");
    if ((result = deadline_check(deadline_ns, "pintle_call_until")) != 0) return result;
    if (sched_phase() != PHASE_RUNNING) {
        return error_set(PINTLE_ESTOPPED, 0,
                         "pintle_call_until: the runtime is not running: use pintle_run or pintle_start");
    }
    if ((until = memory_alloc_zero(sizeof *until)) == NULL) return error_set(PINTLE_ENOMEM, 0, "no memory for a call");
    if ((result = pintle_sem_wait(&sched.until_slots, deadline_ns)) != 0) {
        memory_free(until);
        if (result != PINTLE_ENOMEM && drop != NULL) drop(arg); /* it has not begun, and never will */
        return result;
    }
    until->fn = fn;
    until->arg = arg;
    until->drop = drop;
    pintle_event_init(&until->over);
    atomic_store_relaxed(&until->references, 2);
    if ((result = pintle_spawn_with(NULL, until_main, until, &none)) != 0) {
        pintle_sem_post(&sched.until_slots);
        memory_free(until);
        return result;
    }
    result = pintle_event_wait(&until->over, deadline_ns);
    if (result != 0 && atomic_cas_acq_rel(&until->state, &running, ABANDONED)) {
        atomic_add_relaxed(&sched.calls_abandoned, 1);
        if (result == PINTLE_ENOMEM) { /* for the wait: the call was made, and must not look as if it was not */
            result = error_set(PINTLE_ETIMEDOUT, 0,
                               "pintle_call_until: no memory for its deadline's timer: given up at once");
        }
    } else {
        result = take(until, out_value);
    }
    release(until);
    return result;
}
