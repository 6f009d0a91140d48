/* call.c: the protocol of foreign calls, and its cold half. The hot half is assembly (src/<os>/x64), pintle_call and the
 * Windows wrappers, all the same steps:
 *
 *   ENTER  1 the call block at stack_top: fn, the task's stack pointer, …
 *          2 call = n|IN, a plain store (release). Nothing read afterwards decides anything, so no fence
 *          3 SP = stack_top (Windows: with that stack's TEB fields); fn; results; SP back
 *   LEAVE  4 call = n+1|OUT, a plain store; where the system cannot fence all threads, CAS(call, n|IN -> n+1|OUT)
 *          5 attention == 0: the processor is still ours, untouched (TAKE, take.c). Else cold: was it taken? yield?
 *          else cold (call_leave): the processor was taken (TAKEN, by the monitor) or given (AWAY, by ourselves).
 *            a  an idle processor? take it, go on without a switch
 *            b  none: depart(QUEUE): the task is queued, the thread becomes spare (or waits, if the task is pinned)
 *   RETAKE (monitor.c, take.c): n|IN becomes n|TAKEN, unless it is left. No ABA: a stale w names an old tick.
 *
 * Blocking marks: a call that is known to block need not be found each time. A function whose calls lost their processor
 * and took 100 µs or more, twice within 100 ms, gets 8 credits; entering a function with credits hands the processor on at
 * once (AWAY). Only then the clock is read: a call under 50 µs costs two credits, another gives one, up to 15. The table
 * is by a hash of the address; what shares an entry with a blocking function by accident loses the mark by being quick.
 *
 * A call that does not end keeps nobody: stopping leaves its thread behind (LEFT_BEHIND), and when the call ends after all, its
 * thread ends without touching the scheduler, which may have started anew.
 *
 * An interruptible call (kick.c) may find KICK in its word: it is spent first.
 *
 * errno and the last error are saved first on the cold way, since taking locks disturbs them.
 * So a call costs two stores; without such a fence, a store and a locked instruction. Threads: the thread itself. Locks: sched.lock on the cold way.
 * Tests: tests/api/test_call.c, tests/stress/test_calls.c. */
#include "call.h"

#include "kick.h"
#include "lend.h"
#include "panic.h"
#include "scheduler.h"
#include "take.h"

static void errors_keep(struct thread *thread, struct pintle_task *task) {
    task->saved_errno = *thread->errno_slot;
    task->saved_last_error = *thread->last_error_slot;
}

static void errors_put_back(struct thread *thread, struct pintle_task *task) {
    *thread->errno_slot = task->saved_errno;
    *thread->last_error_slot = task->saved_last_error;
}

/* ---- Blocking marks ---- */

_Atomic uint8_t call_marks[CALL_MARK_MASK + 1];
static _Atomic int64_t suspected_ns[CALL_MARK_MASK + 1];

enum { SUSPECT_NS = 100000, TWICE_WITHIN_NS = 100000000, QUICK_NS = 50000, FIRST_CREDITS = 8, MOST_CREDITS = 15 };

static uint32_t mark_index(const void *fn) { return (uint32_t)((uintptr_t)fn >> CALL_MARK_SHIFT & CALL_MARK_MASK); }

/* A call whose processor was taken took this long: twice within a while, and the function is marked. */
static void mark_suspect(const void *fn, int64_t began_ns) {
    int64_t now = os_now_ns(), before;
    uint32_t index = mark_index(fn);
    if (now - began_ns < SUSPECT_NS) return;
    before = atomic_load_relaxed(&suspected_ns[index]);
    atomic_store_relaxed(&suspected_ns[index], now);
    if (before != 0 && now - before < TWICE_WITHIN_NS) atomic_store_relaxed(&call_marks[index], FIRST_CREDITS);
}

/* A marked function took this long: a credit more, or two less. Races between callers cost a credit at most. */
static void mark_learn(const void *fn, int64_t took_ns) {
    _Atomic uint8_t *mark = &call_marks[mark_index(fn)];
    int credits = atomic_load_relaxed(mark);
    if (credits == 0) return; /* not marked: the caller said that it blocks */
    credits = took_ns < QUICK_NS ? credits - 2 : credits + 1;
    atomic_store_relaxed(mark, (uint8_t)(credits < 0 ? 0 : credits > MOST_CREDITS ? MOST_CREDITS : credits));
}

/* ---- Leaving ---- */

/* LEAVE a, b: the thread is OUT and holds no processor. `old` is the one it had, if any. True: it was lent one. */
static bool regain(struct thread *thread, struct processor *old, bool urgent) {
    struct thread *waiter = NULL;
    struct processor *processor = NULL, *lent = NULL;
    atomic_add_relaxed(&sched.slow_leaves, 1);
    if (sched_phase() != PHASE_EXITING) {
        lock_acquire(&sched.lock);
        processor = idle_take_locked(old, &waiter);
        if (waiter != NULL) spare_put_locked(waiter);
        if (processor == NULL && urgent) processor = lent = lend_urgent_locked(thread, old);
        lock_release(&sched.lock);
    }
    if (processor != NULL) {
        thread_hold(thread, processor);
        errors_put_back(thread, thread->task);
        return lent != NULL;
    }
    errors_put_back(thread, thread->task); /* depart saves them */
    depart(thread, LEFT_QUEUE);
    return false;
}

/* The call of fn has lost its processor: the one that it was. */
static struct processor *lost(struct thread *thread, const void *fn, bool taken) {
    struct processor *processor = thread_processor(thread);
    errors_keep(thread, thread->task);
    if (taken) mark_suspect(fn, atomic_load_relaxed(&thread->seen_call_ns));
    atomic_store_relaxed(&thread->processor, NULL);
    return processor;
}

bool call_leave_for(struct thread *thread, const void *fn, bool urgent) {
    for (;;) {
        uint64_t word = atomic_load_acquire(&thread->call);
        struct processor *processor;
        bool taken;
        if (UNLIKELY(word == CALL_LEFT_BEHIND)) arch_abandon_to_loop(thread); /* the loop returns, the thread ends */
        if (call_state(word) == CALL_OUT) {
            if (LIKELY(!take_happened(thread, word))) break;
            return regain(thread, lost(thread, fn, true), urgent);
        }
        if (UNLIKELY(word & CALL_KICK)) {
            errors_keep(thread, thread->task);
            kick_spend(thread);
            errors_put_back(thread, thread->task);
            continue;
        }
        if (call_state(word) == CALL_IN) {
            if (take_by_fence) {
                atomic_store_release(&thread->call, word + CALL_LEAVE_STEP);
                atomic_signal_fence(memory_order_seq_cst); /* TAKE: the attention is read after it */
            } else {
                atomic_cas_acq_rel(&thread->call, &word, word + CALL_LEAVE_STEP);
            }
            continue;
        }
        taken = call_state(word) == CALL_TAKEN;
        if (taken) {
            bool happened = take_happened(thread, word);
            CHECK(happened);
        }
        processor = lost(thread, fn, taken);
        if (!atomic_cas_acq_rel(&thread->call, &word, (word | CALL_FLAGS_MASK) + 1)) continue;
        return regain(thread, processor, urgent);
    }
    if (!urgent && (atomic_load_relaxed(&thread->attention) & ATTENTION_YIELD) != 0) depart(thread, LEFT_YIELD);
    return false;
}

void call_leave(struct thread *thread) {
    struct pintle_task *task = thread->task;
    /* While the thread is this task's; whose record is not to be looked at yet: a stop may have left it behind. */
    if (UNLIKELY((atomic_load_relaxed(&thread->attention) & ATTENTION_PANIC) != 0)) {
        atomic_fetch_and_explicit(&thread->attention, ~(uint32_t)ATTENTION_PANIC, memory_order_relaxed);
    }
    call_leave_for(thread, ((const struct call_block *)thread->stack_top)->fn, false);
    if (UNLIKELY(task->pending != NULL)) panic_resume(task);
}

uintptr_t call_leave_cold(struct thread *thread, uintptr_t value) {
    call_leave(thread);
    return value;
}

int call_direct(int (*fn)(void *), void *arg) {
    if (fn == NULL) panic("pintle_call was given a NULL function");
    return fn(arg);
}

void call_enter_away(struct thread *thread) {
    struct processor *processor = thread_processor(thread);
    uint64_t word = atomic_load_relaxed(&thread->call);
    errors_keep(thread, thread->task);
    atomic_store_relaxed(&thread->processor, NULL);
    counter_add(&processor->handoffs, 1);
    processor_pass_on(processor);
    /* Last: from here on a stop may leave the thread behind, and it must not touch the scheduler any more. */
    atomic_store_release(&thread->call, word | CALL_AWAY);
    errors_put_back(thread, thread->task);
}

/* With nobody to hand the processor to it is kept, as in any call, until the monitor finds a thread for it. */
static void call_enter_blocking(struct thread *thread) {
    uint64_t word = atomic_load_relaxed(&thread->call);
    if (atomic_load_relaxed(&sched.spare_hint) != 0 || !sched_has_work()) {
        call_enter_away(thread);
    } else {
        errors_keep(thread, thread->task);
        maker_missed();
        errors_put_back(thread, thread->task);
        atomic_store_release(&thread->call, word | CALL_IN);
    }
}

int call_away(const void *identity, int (*fn)(void *), void *arg) {
    struct thread *thread = arch_self_before_switch();
    int64_t began_ns;
    int value;
    if (thread == NULL || thread->task == NULL || call_state(atomic_load_relaxed(&thread->call)) != CALL_OUT) {
        return fn(arg);
    }
    call_enter_blocking(thread);
    began_ns = os_now_ns();
    value = arch_call_on_thread(fn, arg, thread);
    mark_learn(identity, os_now_ns() - began_ns);
    call_leave(thread);
    return value;
}

int call_marked(int (*fn)(void *), void *arg) { return call_away((const void *)(uintptr_t)fn, fn, arg); }

int pintle_call_blocking(int (*fn)(void *), void *arg) {
    if (fn == NULL) panic("pintle_call_blocking was given a NULL function");
    return call_marked(fn, arg);
}

void pintle_blocking_begin(void) { call_enter_away(task_only("pintle_blocking_begin")); }

void pintle_blocking_end(void) {
    struct thread *thread = thread_self();
    if (thread == NULL || call_state(atomic_load_relaxed(&thread->call)) != CALL_AWAY) {
        panic("pintle_blocking_end without a pintle_blocking_begin before it");
    }
    call_leave(thread);
}
