/* wait.c: see wait.h and task.h.
 *
 *   sleeper                                   waker
 *   1 park = 0; seq + 1; claim = OPEN         a CAS(claim, {seq, OPEN} -> {seq, reason}): one wins
 *   2 queued; timer armed; cancel looked at   b old = fetch_or(park, WOKEN)
 *   3 leaves; arrived: fetch_or(park, SAVED)  c old has SAVED: makes it runnable
 *     WOKEN was there: runnable at once
 * Cancelling: the canceller writes the flag, then reads the claim; the sleeper opens the claim, then reads the flag; both
 * seq_cst, so one of the two sees the other.
 *
 * A thread that is no task waits with an external sleeper, on the word `park` itself.
 * Threads: any. Locks: pool_lock (leaf). Order: claim and park acq_rel, the cancel flag seq_cst. */
#include "wait.h"

#include "clock.h"
#include "deadlock.h"
#include "error.h"
#include "lend.h"
#include "memory.h"
#include "scheduler.h"
#include "stack.h"

enum { REASON_BITS = 8, JOIN_SEQ_BITS = 23 };

static struct lock pool_lock = LOCK_INIT(RANK_LEAF);
static struct sleeper *pool;

static inline uint64_t claim_word(uint64_t seq, enum wake_reason reason) { return seq << REASON_BITS | reason; }
static inline enum wake_reason claim_reason(uint64_t claim) {
    return (enum wake_reason)(claim & ((1u << REASON_BITS) - 1));
}

static struct sleeper *external_take(void) {
    struct sleeper *sleeper;
    if (thread_self() == NULL) deadlock_outsider();
    lock_acquire(&pool_lock);
    sleeper = pool;
    if (sleeper != NULL) pool = sleeper->next_free;
    lock_release(&pool_lock);
    if (sleeper != NULL) return sleeper;
    sleeper = memory_alloc_aligned(sizeof *sleeper);
    if (sleeper != NULL) {
        memset(sleeper, 0, sizeof *sleeper);
        sleeper->external = true;
    }
    return sleeper;
}

static void external_give(struct sleeper *sleeper) {
    lock_acquire(&pool_lock);
    sleeper->next_free = pool;
    pool = sleeper;
    lock_release(&pool_lock);
}

void wait_destroy(void) {
    lock_acquire(&pool_lock);
    while (pool != NULL) {
        struct sleeper *sleeper = pool;
        pool = sleeper->next_free;
        memory_free_aligned(sleeper);
    }
    lock_release(&pool_lock);
}

int wait_begin(struct wait *wait, const char *what) {
    struct thread *thread = thread_self();
    struct sleeper *sleeper;
    bool in_task = thread != NULL && thread->task != NULL &&
                   (atomic_load_relaxed(&thread->call) & CALL_FLAGS_MASK) == CALL_OUT;
    wait->thread = in_task ? thread : NULL;
    wait->sleeper = sleeper = in_task ? &thread->task->sleeper : external_take();
    if (sleeper == NULL) return error_set(PINTLE_ENOMEM, 0, "no memory to wait (%s)", what);
    if (in_task) atomic_store_relaxed(&thread->task->waits_for, what);
    atomic_store_relaxed(&sleeper->park, 0);
    wait->seq = (atomic_load_relaxed(&sleeper->claim) >> REASON_BITS) + 1;
    atomic_store_seq_cst(&sleeper->claim, claim_word(wait->seq, WAKE_OPEN)); /* then the cancel flag, in wait_finish */
    return 0;
}

static void deadline_fired(struct timer *timer, uint64_t seq) {
    struct pintle_task *task = CONTAINER_OF(timer, struct pintle_task, timer);
    sleeper_wake(&task->sleeper, seq, WAKE_DEADLINE);
}

static void sleep_external(struct wait *wait, int64_t deadline_ns) {
    struct sleeper *sleeper = wait->sleeper;
    int64_t os_deadline = clock_to_os(deadline_ns);
    for (;;) {
        uint32_t park = atomic_load_acquire(&sleeper->park);
        if (park & PARK_WOKEN) return;
        if (deadline_ns != PINTLE_FOREVER && os_now_ns() >= os_deadline) {
            uint64_t open = claim_word(wait->seq, WAKE_OPEN);
            if (atomic_cas_acq_rel(&sleeper->claim, &open, claim_word(wait->seq, WAKE_DEADLINE))) return;
            deadline_ns = PINTLE_FOREVER; /* somebody won: wait for WOKEN */
            os_deadline = INT64_MAX;
        }
        os_wait_word(&sleeper->park, park, os_deadline);
    }
}

/* True: the wait is over already, nobody else will end it. */
static bool is_over_before_sleep(struct wait *wait, struct pintle_task *task, int64_t deadline_ns) {
    enum wake_reason reason = WAKE_NONE;
    uint64_t open = claim_word(wait->seq, WAKE_OPEN);
    if (atomic_load_seq_cst(&task->flags) & TASK_CANCELED) {
        reason = WAKE_CANCEL;
    } else if (deadline_ns != PINTLE_FOREVER) {
        task->timer.deadline_ns = clock_to_os(deadline_ns);
        task->timer.seq = wait->seq;
        task->timer.fire = deadline_fired;
        struct processor *processor = thread_processor(wait->thread);
        if (timer_start(processor_timers(processor), &task->timer) == 0) {
            if (UNLIKELY(processor_is_lent(processor))) lend_timer_armed(processor);
            return false;
        }
        reason = WAKE_SELF; /* no memory for the timer */
    }
    return reason != WAKE_NONE && atomic_cas_acq_rel(&wait->sleeper->claim, &open, claim_word(wait->seq, reason));
}

enum wake_reason wait_finish(struct wait *wait, int64_t deadline_ns) {
    enum wake_reason reason;
    if (wait->thread == NULL) {
        sleep_external(wait, deadline_ns);
        reason = claim_reason(atomic_load_acquire(&wait->sleeper->claim));
        external_give(wait->sleeper);
        return reason;
    }
    struct pintle_task *task = task_of_sleeper(wait->sleeper);
    if (!is_over_before_sleep(wait, task, deadline_ns)) {
        depart(wait->thread, LEFT_PARK);
        if (atomic_load_acquire(&task->timer.heap) != NULL) timer_stop(&task->timer);
    }
    atomic_store_relaxed(&task->waits_for, NULL);
    return claim_reason(atomic_load_acquire(&wait->sleeper->claim));
}

void wait_abandon(struct wait *wait) {
    uint64_t open = claim_word(wait->seq, WAKE_OPEN);
    if (!atomic_cas_acq_rel(&wait->sleeper->claim, &open, claim_word(wait->seq, WAKE_SELF))) {
        (void)wait_finish(wait, PINTLE_FOREVER); /* the winner is still at it */
    } else if (wait->thread == NULL) {
        external_give(wait->sleeper);
    }
}

/* ---- Wakers ---- */

static void make_runnable(struct sleeper *sleeper) {
    struct pintle_task *task = task_of_sleeper(sleeper);
    task_set_state(task, TASK_WAITING, TASK_RUNNABLE);
    sched_ready(task);
}

static void wake_claimed(struct sleeper *sleeper) {
    bool external = sleeper->external;
    uint32_t park = atomic_or_acq_rel(&sleeper->park, PARK_WOKEN);
    if (external) {
        os_wake_word_one(&sleeper->park); /* the record may be in the pool by now: it is never unmapped while we run */
    } else if (park & PARK_SAVED) {
        make_runnable(sleeper);
    }
}

bool sleeper_wake(struct sleeper *sleeper, uint64_t seq, enum wake_reason reason) {
    uint64_t open = claim_word(seq, WAKE_OPEN);
    if (!atomic_cas_acq_rel(&sleeper->claim, &open, claim_word(seq, reason))) return false;
    wake_claimed(sleeper);
    return true;
}

void sleeper_saved(struct sleeper *sleeper) {
    if (atomic_or_acq_rel(&sleeper->park, PARK_SAVED) & PARK_WOKEN) make_runnable(sleeper);
}

/* Addresses have 47 bits and sleepers are 64-aligned: 41 bits, and 23 of the seq. */
uint64_t sleeper_join_word(const struct wait *wait) {
    return (uint64_t)(uintptr_t)wait->sleeper >> 6 << JOIN_SEQ_BITS | (wait->seq & ((1u << JOIN_SEQ_BITS) - 1));
}

void sleeper_wake_joiner(uint64_t join) {
    struct sleeper *sleeper = (struct sleeper *)(uintptr_t)(join >> JOIN_SEQ_BITS << 6);
    uint64_t claim = atomic_load_acquire(&sleeper->claim), seq = claim >> REASON_BITS;
    /* The seq from the word, never the sleeper's current one: it may wait for something else by now. */
    if (((seq ^ join) & ((1u << JOIN_SEQ_BITS) - 1)) != 0) return;
    sleeper_wake(sleeper, seq, WAKE_EVENT);
}

static void cancel_one(struct pintle_task *task) {
    uint64_t claim;
    atomic_fetch_or_explicit(&task->flags, TASK_CANCELED, memory_order_seq_cst);
    claim = atomic_load_seq_cst(&task->sleeper.claim);
    if (claim_reason(claim) == WAKE_OPEN) sleeper_wake(&task->sleeper, claim >> REASON_BITS, WAKE_CANCEL);
}

void wait_cancel_all(void) { stack_each_task(cancel_one); }

int wait_result(enum wake_reason reason, int64_t deadline_ns, const char *function) {
    switch (reason) {
    case WAKE_EVENT: return 0;
    case WAKE_DEADLINE:
        if (deadline_ns == PINTLE_NOWAIT) return error_set(PINTLE_EAGAIN, 0, "%s: it would have to wait", function);
        return error_set(PINTLE_ETIMEDOUT, 0, "%s: the deadline passed", function);
    case WAKE_CANCEL: return error_set(PINTLE_ECANCELED, 0, "%s: the task was cancelled", function);
    default: return error_set(PINTLE_ENOMEM, 0, "%s: no memory for the deadline's timer", function);
    }
}
