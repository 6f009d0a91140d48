/* kick.c: see kick.h. KICK: a cancelled task's call is interrupted, again and again until it returns, and never another call.
 *
 *   task, on thread A                                       monitor, asked to look, and then after 1, 2, 4 … 100 ms
 *     A->kick_task = T, kick_tick = n                         w = A->call; not OUT, its tick is kick_tick; kick_task is cancelled
 *     flags |= INTERRUPTIBLE; CANCELED there already: asks    acquire A->kick_lock
 *     call = n|AWAY; fence; CANCELED now: asks                CAS(call, w -> w|KICK): fails if the call has ended
 *     fn                                                      interrupts A: a signal, CancelSynchronousIo
 *     LEAVE: KICK is set: the CAS fails, and it goes the      release A->kick_lock
 *       slow way: acquire kick_lock, take KICK away,
 *       release: no interrupt is under way any more. A
 *       system call of its own: none is pending either
 *   canceller: flags |= CANCELED; INTERRUPTIBLE was there: asks
 *
 * Without the lock an interrupt that is about to be sent could hit the call that comes after; without the system call a signal
 * that was sent could. An interrupt that comes when fn has not yet blocked is lost: hence again and again.
 * A callback ends the call for others: OUT, with another tick. Calls made in it are not meant, and have other ticks. When it returns,
 * the call is entered anew, and its new tick is written down first (kick_reenter): it was AWAY, as all of these calls are,
 * so that goes through C.
 *
 * Threads: the call's own; the monitor. Locks: kick_lock (leaf). Order: kick_task and kick_tick are published by the call word,
 * release, acquire; flags by seq_cst steps. Invariants: KICK is set under kick_lock, in AWAY words only, and taken away by the owner.
 * Tests: tests/api/test_interrupt.c, tests/stress/test_kick.c, tests/model/kick.pml. */
#include "kick.h"

#include "panic.h"
#include "pintle/call.h"
#include "scheduler.h"

enum { FIRST_PAUSE_NS = 1000000, LONGEST_PAUSE_NS = 100000000 };
#define NO_TICK UINT64_MAX

static _Atomic uint32_t asked;
static int64_t next_look_ns = INT64_MAX; /* the monitor's */

/* ---- The call ---- */

static inline uint64_t tick_of(uint64_t word) { return word / CALL_TICK; }

void kick_ask(void) {
    atomic_store_relaxed(&asked, 1); /* the monitor's word carries it */
    monitor_wake();
}

static void note_tick(struct thread *thread) {
    atomic_store_relaxed(&thread->kick_tick, tick_of(atomic_load_relaxed(&thread->call)));
}

static void ask_if_canceled(const struct pintle_task *task) {
    atomic_fence_full(); /* pairs with the canceller's step: it has seen INTERRUPTIBLE, or we see CANCELED */
    if (atomic_load_relaxed(&task->flags) & TASK_CANCELED) kick_ask();
}

static void begin(struct thread *thread, struct pintle_task *task, struct kick_frame *frame) {
    *frame = (struct kick_frame){thread->kick, thread->stack_top};
    thread->kick = frame;
    note_tick(thread);
    atomic_store_relaxed(&thread->kick_task, task);
    atomic_fetch_or_explicit(&task->flags, TASK_INTERRUPTIBLE, memory_order_seq_cst);
}

static void end(struct thread *thread, struct kick_frame *frame) {
    struct pintle_task *task = thread->task;
    thread->kick = frame->outer;
    atomic_store_relaxed(&thread->kick_tick, NO_TICK);
    if (frame->outer != NULL) return; /* it is entered again first */
    atomic_store_relaxed(&thread->kick_task, NULL);
    atomic_fetch_and_explicit(&task->flags, ~(uint32_t)TASK_INTERRUPTIBLE, memory_order_relaxed);
}

int pintle_call_interruptible(int (*fn)(void *), void *arg) {
    struct thread *thread = arch_self_before_switch();
    struct pintle_task *task = thread != NULL ? thread->task : NULL;
    struct kick_frame frame;
    int value;
    if (fn == NULL) panic("pintle_call_interruptible was given a NULL function");
    if (task == NULL || call_state(atomic_load_relaxed(&thread->call)) != CALL_OUT) return fn(arg);
    if (task->cancel_masks != 0) return pintle_call_blocking(fn, arg);
    begin(thread, task, &frame);
    call_enter_away(thread);
    ask_if_canceled(task);
    value = arch_call_on_thread(fn, arg, thread);
    end(thread, &frame); /* before the call is left: that may go on with a panic */
    call_leave(thread);
    return value;
}

void kick_reenter(struct thread *thread, const void *block) {
    if (thread->kick != NULL && thread->kick->block == block) note_tick(thread);
}

void kick_reentered(struct thread *thread, const void *block) {
    if (thread->kick != NULL && thread->kick->block == block) ask_if_canceled(thread->task);
}

void kick_unwound(struct thread *thread, const void *block) {
    while (thread->kick != NULL && thread->kick->block == block) end(thread, thread->kick);
}

void kick_spend(struct thread *thread) {
    lock_acquire(&thread->kick_lock);
    atomic_fetch_and_explicit(&thread->call, ~(uint64_t)CALL_KICK, memory_order_acq_rel);
    lock_release(&thread->kick_lock);
    os_interrupt_spend();
}

/* ---- The monitor ---- */

/* False: the call has ended. */
static bool kick(struct thread *thread, uint64_t word) {
    bool stands;
    lock_acquire(&thread->kick_lock);
    stands = atomic_cas_acq_rel(&thread->call, &word, word | CALL_KICK);
    if (stands) {
        atomic_add_relaxed(&sched.kicks, 1);
        os_interrupt_thread(atomic_load_relaxed(&thread->os_id));
    }
    lock_release(&thread->kick_lock);
    return stands;
}

/* When to look at the thread again; INT64_MAX: not before somebody asks. */
static int64_t look_at(struct thread *thread, int64_t now_ns) {
    uint64_t word = atomic_load_acquire(&thread->call); /* pairs with call_enter_away */
    struct pintle_task *task = atomic_load_relaxed(&thread->kick_task);
    if (call_state(word) != CALL_AWAY || tick_of(word) != atomic_load_relaxed(&thread->kick_tick) || task == NULL ||
        !task_is(task, TASK_CANCELED)) {
        return INT64_MAX;
    }
    if (thread->kicked_tick != tick_of(word)) {
        thread->kicked_tick = tick_of(word);
        thread->kick_pause_ns = FIRST_PAUSE_NS;
    } else if (now_ns < thread->kick_next_ns) {
        return thread->kick_next_ns;
    }
    if (!kick(thread, word)) return INT64_MAX;
    thread->kick_next_ns = now_ns + thread->kick_pause_ns;
    thread->kick_pause_ns *= 2;
    if (thread->kick_pause_ns > LONGEST_PAUSE_NS) thread->kick_pause_ns = LONGEST_PAUSE_NS;
    return thread->kick_next_ns;
}

int64_t kicks_look(int64_t now_ns) {
    if (atomic_load_relaxed(&asked) == 0 && now_ns < next_look_ns) return next_look_ns;
    atomic_store_relaxed(&asked, 0);
    atomic_fence_full(); /* pairs with ask_if_canceled and the canceller's step: who asks from here on is seen the next time */
    next_look_ns = INT64_MAX;
    for (struct thread *thread = thread_first(); thread != NULL; thread = thread->all_next) {
        int64_t next_ns = look_at(thread, now_ns);
        if (next_ns < next_look_ns) next_look_ns = next_ns;
    }
    return next_look_ns;
}
