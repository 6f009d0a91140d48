/* wait.c: see wait.h, which explains both kinds of waiting, and task.h.
 *
 * Threads: any. Locks: guards; pool_lock (leaf). Order: claim and park acq_rel, the cancel flag seq_cst. */
#include "wait_here.h"

#include "clock.h"
#include "deadlock.h"
#include "error.h"
#include "lend.h"
#include "memory.h"

enum { JOIN_SEQ_BITS = 22, JOIN_SHIFT = JOIN_SEQ_BITS + 1 };
#define JOIN_SEQ_MASK ((UINT64_C(1) << JOIN_SEQ_BITS) - 1)
#define JOIN_JOINING (UINT64_C(1) << JOIN_SEQ_BITS)

static struct lock pool_lock = LOCK_INIT(RANK_LEAF);
static struct sleeper *pool;

/* Addresses have 47 bits and sleepers are 64-aligned: 41 bits, a bit for JOINING, and 22 of the seq. */
static inline uint64_t join_word(const struct sleeper *sleeper, uint64_t seq) {
    return (uint64_t)(uintptr_t)sleeper >> 6 << JOIN_SHIFT | (seq & JOIN_SEQ_MASK);
}
static inline struct sleeper *join_sleeper(uint64_t join) {
    return (struct sleeper *)(uintptr_t)(join >> JOIN_SHIFT << 6);
}

/* ---- Sleepers ---- */

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

/* The calling task's sleeper, or an external one. */
static inline int find_sleeper(struct wait *wait, const char *what) {
    struct thread *thread = arch_self_before_switch();
    if (LIKELY(runs_task_code(thread))) {
        wait->thread = thread;
        wait->sleeper = &thread->task->sleeper;
        return 0;
    }
    wait->thread = NULL;
    wait->sleeper = external_take();
    return wait->sleeper != NULL ? 0 : error_set(PINTLE_ENOMEM, 0, "no memory to wait (%s)", what);
}

static void deadline_fired(struct timer *timer, uint64_t seq) {
    struct pintle_task *task = CONTAINER_OF(timer, struct pintle_task, timer);
    sleeper_wake(&task->sleeper, seq, WAKE_DEADLINE);
}

/* False: no memory for it. */
static bool arm_deadline(struct wait *wait, struct pintle_task *task, int64_t deadline_ns) {
    struct processor *processor = thread_processor(wait->thread);
    task->timer.deadline_ns = clock_to_os(deadline_ns);
    task->timer.seq = wait->seq;
    task->timer.fire = deadline_fired;
    if (timer_start(processor_timers(processor), &task->timer) != 0) return false;
    if (UNLIKELY(processor_is_lent(processor))) lend_timer_armed(processor);
    return true;
}

static inline void disarm_deadline(struct pintle_task *task) {
    if (atomic_load_acquire(&task->timer.heap) != NULL) timer_stop(&task->timer);
}

/* The right to wake, for this reason: the claim as it was; 0: somebody else has it, or the sleeper waits for something else by
 * now. */
static uint64_t claim_try(struct sleeper *sleeper, uint64_t seq, enum wake_reason reason) {
    uint64_t claim = atomic_load_acquire(&sleeper->claim);
    while (claim_seq(claim) == seq && claim_reason(claim) == WAKE_OPEN) {
        if (claim & CLAIM_JOINING) { /* may be another wait by now: then its word is not there */
            uint64_t word = join_word(sleeper, seq) | JOIN_JOINING;
            if (!atomic_cas_acq_rel(atomic_load_relaxed(&sleeper->joins), &word, 0)) return 0;
            atomic_store_relaxed(&sleeper->claim, claim_word(seq, reason));
            return claim;
        }
        if (!(claim & CLAIM_GUARDED)) {
            if (atomic_cas_acq_rel(&sleeper->claim, &claim, claim_word(seq, reason))) return claim;
            continue;
        }
        struct guard *guard = atomic_load_acquire(&sleeper->guard); /* of this wait, unless it is over */
        guard_acquire(guard);
        bool won = atomic_load_relaxed(&sleeper->claim) == claim;
        if (won) atomic_store_relaxed(&sleeper->claim, claim_word(seq, reason));
        guard_release(guard);
        return won ? claim : 0;
    }
    return 0;
}

static enum wake_reason sleep_external(struct wait *wait, int64_t deadline_ns) {
    struct sleeper *sleeper = wait->sleeper;
    int64_t os_deadline = clock_to_os(deadline_ns);
    enum wake_reason reason;
    for (;;) {
        uint32_t park = atomic_load_acquire(&sleeper->park);
        if (park & PARK_WOKEN) break;
        if (deadline_ns != PINTLE_FOREVER && os_now_ns() >= os_deadline) {
            if (claim_try(sleeper, wait->seq, WAKE_DEADLINE) != 0) break;
            deadline_ns = PINTLE_FOREVER; /* somebody won: wait for WOKEN */
            os_deadline = INT64_MAX;
        }
        os_wait_word(&sleeper->park, park, os_deadline);
    }
    reason = claim_reason(atomic_load_acquire(&sleeper->claim));
    external_give(sleeper);
    return reason;
}

/* ---- Guarded ---- */

int wait_prepare(struct wait *wait, struct guard *guard, const char *what) {
    int result = find_sleeper(wait, what);
    if (UNLIKELY(result != 0)) return result;
    atomic_store_release(&wait->sleeper->guard, guard); /* CANCEL: before the guard is taken */
    wait->seq = claim_seq(atomic_load_relaxed(&wait->sleeper->claim)) + 1;
    return 0;
}

void wait_unprepare(struct wait *wait) {
    if (wait->thread == NULL) external_give(wait->sleeper);
}

/* The task is queued, under the guard. */
static inline enum wake_reason task_waits_guarded(struct wait *wait, struct pintle_task *task, struct guard *guard,
                                                  const char *what, int64_t deadline_ns, enum wait_kind kind) {
    uint64_t open = claim_word(wait->seq, WAKE_OPEN | CLAIM_GUARDED);
    if (kind == WAIT_MASKED || UNLIKELY(task->cancel_masks != 0)) {
        open |= CLAIM_MASKED;
    } else if (UNLIKELY((atomic_load_seq_cst(&task->flags) & TASK_CANCELED) != 0)) {
        guard_release(guard);
        return WAKE_CANCEL;
    }
    atomic_store_release(&task->sleeper.claim, open); /* pairs with claim_try */
    if (UNLIKELY(deadline_ns != PINTLE_FOREVER) && UNLIKELY(!arm_deadline(wait, task, deadline_ns))) {
        atomic_store_relaxed(&task->sleeper.claim, claim_word(wait->seq, WAKE_SELF));
        guard_release(guard);
        return WAKE_SELF;
    }
    atomic_store_relaxed(&task->waits_for, what);
    wait->thread->left_guard = guard;
    depart_guarded(wait->thread);
    atomic_store_relaxed(&task->waits_for, NULL);
    if (UNLIKELY(deadline_ns != PINTLE_FOREVER)) disarm_deadline(task);
    return claim_reason(atomic_load_acquire(&task->sleeper.claim));
}

enum wake_reason wait_guarded(struct waiter *waiter, struct guard *guard, const char *what, int64_t deadline_ns,
                              enum wait_kind kind) {
    struct wait *wait = &waiter->wait;
    waiter->guarded = true;
    if (LIKELY(wait->thread != NULL)) {
        return task_waits_guarded(wait, task_of_sleeper(wait->sleeper), guard, what, deadline_ns, kind);
    }
    atomic_store_relaxed(&wait->sleeper->park, 0);
    atomic_store_release(&wait->sleeper->claim, claim_word(wait->seq, WAKE_OPEN | CLAIM_GUARDED));
    guard_release(guard);
    return sleep_external(wait, deadline_ns);
}

/* ---- Free ---- */

static inline bool is_masked(const struct wait *wait) {
    return wait->thread != NULL && task_of_sleeper(wait->sleeper)->cancel_masks != 0;
}

static inline uint64_t open_word(const struct wait *wait) {
    return claim_word(wait->seq, WAKE_OPEN | (is_masked(wait) ? CLAIM_MASKED : 0));
}

int wait_begin(struct wait *wait, const char *what) {
    int result = find_sleeper(wait, what);
    if (result != 0) return result;
    if (wait->thread != NULL) atomic_store_relaxed(&task_of_sleeper(wait->sleeper)->waits_for, what);
    atomic_store_relaxed(&wait->sleeper->park, 0);
    wait->seq = claim_seq(atomic_load_relaxed(&wait->sleeper->claim)) + 1;
    atomic_store_seq_cst(&wait->sleeper->claim, open_word(wait)); /* CANCEL: then the flag */
    return 0;
}

/* True: the wait is over already, nobody else will end it. */
static bool is_over_before_sleep(struct wait *wait, struct pintle_task *task, int64_t deadline_ns) {
    enum wake_reason reason;
    uint64_t open = open_word(wait);
    if (!(open & CLAIM_MASKED) && (atomic_load_seq_cst(&task->flags) & TASK_CANCELED) != 0) {
        reason = WAKE_CANCEL;
    } else if (deadline_ns == PINTLE_FOREVER || arm_deadline(wait, task, deadline_ns)) {
        return false;
    } else {
        reason = WAKE_SELF; /* no memory for the timer */
    }
    return atomic_cas_acq_rel(&wait->sleeper->claim, &open, claim_word(wait->seq, reason));
}

enum wake_reason wait_finish(struct wait *wait, int64_t deadline_ns) {
    if (wait->thread == NULL) return sleep_external(wait, deadline_ns);
    struct pintle_task *task = task_of_sleeper(wait->sleeper);
    if (!is_over_before_sleep(wait, task, deadline_ns)) {
        depart(wait->thread, LEFT_PARK);
        disarm_deadline(task);
    }
    atomic_store_relaxed(&task->waits_for, NULL);
    return claim_reason(atomic_load_acquire(&wait->sleeper->claim));
}

enum wake_reason wait_join(struct thread *thread, _Atomic uint64_t *join, const char *what) {
    struct pintle_task *task = thread->task;
    atomic_store_relaxed(&task->waits_for, what);
    thread->left_join = join;
    depart(thread, LEFT_JOIN);
    atomic_store_relaxed(&task->waits_for, NULL);
    return claim_reason(atomic_load_acquire(&task->sleeper.claim));
}

void wait_abandon(struct wait *wait) {
    if (claim_try(wait->sleeper, wait->seq, WAKE_SELF) == 0) {
        (void)wait_finish(wait, PINTLE_FOREVER); /* the winner is still at it */
    } else if (wait->thread == NULL) {
        external_give(wait->sleeper);
    }
}

/* ---- Queues ---- */

void waiters_push(struct waiters *waiters, struct waiter *waiter) { waiters_push_last(waiters, waiter); }

void waiters_push_first(struct waiters *waiters, struct waiter *waiter) {
    struct waiter *first = waiters_peek(waiters);
    waiter->next = first;
    waiter->previous = NULL;
    waiter->queued = true;
    if (first != NULL) {
        first->previous = waiter;
    } else {
        waiters->last = waiter;
    }
    waiters_set_first(waiters, waiter);
}

void waiters_remove(struct waiters *waiters, struct waiter *waiter) {
    if (!waiter->queued) return;
    if (waiter->previous == NULL) {
        waiters_take_first(waiters, waiter);
        return;
    }
    waiter->queued = false;
    waiter->previous->next = waiter->next;
    if (waiter->next != NULL) {
        waiter->next->previous = waiter->previous;
    } else {
        waiters->last = waiter->previous;
    }
}

struct waiter *waiters_first(struct waiters *waiters) {
    struct waiter *waiter;
    while ((waiter = waiters_peek(waiters)) != NULL && !waiter_is_open(waiter)) waiters_take_first(waiters, waiter);
    return waiter;
}

static __attribute__((noinline)) struct waiter *claim_first_of_any(struct waiters *waiters) {
    struct waiter *waiter;
    while ((waiter = waiters_peek(waiters)) != NULL) {
        struct sleeper *sleeper = waiter->wait.sleeper;
        waiters_take_first(waiters, waiter);
        if (!waiter->guarded) {
            if (claim_try(sleeper, waiter->wait.seq, WAKE_EVENT) != 0) return waiter;
        } else if (waiter_is_open(waiter)) {
            waiter_claim_open(waiter);
            return waiter;
        }
    }
    return NULL;
}

struct waiter *waiters_claim_first(struct waiters *waiters) {
    struct waiter *waiter = waiters_peek(waiters);
    if (UNLIKELY(waiter == NULL || !waiter->guarded || !waiter_is_open(waiter))) return claim_first_of_any(waiters);
    waiters_take_first(waiters, waiter);
    waiter_claim_open(waiter);
    return waiter;
}

struct waiter *waiters_claim_all(struct waiters *waiters, int status) {
    struct waiter *first = NULL, *last = NULL, *waiter;
    while ((waiter = waiters_claim_first(waiters)) != NULL) {
        waiter->status = status;
        waiter->next = NULL;
        if (first == NULL) {
            first = waiter;
        } else {
            last->next = waiter;
        }
        last = waiter;
    }
    return first;
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

void waiter_wake(struct waiter *waiter) {
    struct sleeper *sleeper = waiter->wait.sleeper;
    if (LIKELY(waiter->guarded && !sleeper->external)) {
        make_runnable(sleeper); /* it has released the guard after it had left */
    } else {
        wake_claimed(sleeper);
    }
}

void waiters_wake_chain(struct waiter *first) {
    while (first != NULL) {
        struct waiter *next = first->next; /* woken, its frame may go */
        waiter_wake(first);
        first = next;
    }
}

void waiter_joins_crowd(struct waiter *waiter) {
    if (waiter->wait.thread == NULL) return;
    struct pintle_task *task = task_of_sleeper(waiter->wait.sleeper);
    struct processor *processor = thread_processor(waiter->wait.thread);
    struct pintle_task **before = &processor->crowd[processor->crowd_at++ % AHEAD];
    if (*before != NULL) task_set_ahead(*before, task);
    *before = task;
}

void waiters_claim_crowd(struct waiters *waiters, struct crowd *out_crowd) {
    struct pintle_task *coming[AHEAD / 2] = {NULL}; /* their records are on the way */
    struct waiter *waiter, *last = NULL;
    *out_crowd = (struct crowd){0};
    while ((waiter = waiters_claim_first(waiters)) != NULL) {
        struct sleeper *sleeper = waiter->wait.sleeper;
        struct pintle_task *task = task_of_sleeper(sleeper), **near = &coming[out_crowd->tasks.count % (AHEAD / 2)];
        if (*near != NULL) task_prefetch_stack(*near);
        *near = NULL;
        waiter->status = 0;
        if (LIKELY(waiter->guarded && !sleeper->external) && LIKELY(task->bound == NULL)) {
            task_set_state(task, TASK_WAITING, TASK_RUNNABLE);
            *near = task_ahead(task);
            task_prefetch(*near);
            PREFETCH(&(*near)->sleeper);
            task_list_push(&out_crowd->tasks, task);
            continue;
        }
        waiter->next = NULL;
        if (last == NULL) {
            out_crowd->others = waiter;
        } else {
            last->next = waiter;
        }
        last = waiter;
    }
}

void crowd_wake(struct crowd *crowd) {
    if (crowd->tasks.count == 1) {
        sched_ready(crowd->tasks.first);
    } else if (crowd->tasks.count > 1) {
        sched_ready_list(&crowd->tasks);
    }
    waiters_wake_chain(crowd->others);
}

bool sleeper_wake(struct sleeper *sleeper, uint64_t seq, enum wake_reason reason) {
    uint64_t claim = claim_try(sleeper, seq, reason);
    if (claim == 0) return false;
    if (claim & (CLAIM_GUARDED | CLAIM_JOINING)) {
        make_runnable(sleeper); /* external ones claim for themselves */
    } else {
        wake_claimed(sleeper);
    }
    return true;
}

void sleeper_saved(struct sleeper *sleeper) {
    if (atomic_or_acq_rel(&sleeper->park, PARK_SAVED) & PARK_WOKEN) make_runnable(sleeper);
}

void sleeper_joins(struct sleeper *sleeper, _Atomic uint64_t *join) {
    struct pintle_task *task = task_of_sleeper(sleeper);
    uint64_t seq = claim_seq(atomic_load_relaxed(&sleeper->claim)) + 1, nothing = 0;
    uint64_t word = join_word(sleeper, seq) | JOIN_JOINING;
    bool masked = task->cancel_masks != 0; /* once its word is there, the task may run */
    atomic_store_relaxed(&sleeper->joins, join);
    atomic_store_release(&sleeper->claim, claim_word(seq, WAKE_OPEN | CLAIM_JOINING | (masked ? CLAIM_MASKED : 0)));
    if (!atomic_cas_seq_cst(join, &nothing, word)) { /* a full fence: CANCEL */
        atomic_store_relaxed(&sleeper->claim, claim_word(seq, WAKE_EVENT));
    } else if (!masked && UNLIKELY((atomic_load_seq_cst(&task->flags) & TASK_CANCELED) != 0) &&
               atomic_cas_acq_rel(join, &word, 0)) {
        atomic_store_relaxed(&sleeper->claim, claim_word(seq, WAKE_CANCEL));
    } else {
        return;
    }
    make_runnable(sleeper);
}

uint64_t sleeper_join_word(const struct wait *wait) { return join_word(wait->sleeper, wait->seq); }

void sleeper_wake_joiner(uint64_t join) {
    struct sleeper *sleeper = join_sleeper(join);
    uint64_t seq = claim_seq(atomic_load_acquire(&sleeper->claim));
    if (join & JOIN_JOINING) { /* who has the word has the claim */
        atomic_store_relaxed(&sleeper->claim, claim_word(seq, WAKE_EVENT));
        make_runnable(sleeper);
        return;
    }
    /* The seq from the word, never the sleeper's current one: it may wait for something else by now. */
    if (((seq ^ join) & JOIN_SEQ_MASK) != 0) return;
    sleeper_wake(sleeper, seq, WAKE_EVENT);
}

struct pintle_task *sleeper_take_joiner(_Atomic uint64_t *join_at, uint64_t join) {
    struct sleeper *sleeper = join_sleeper(join);
    struct pintle_task *task = task_of_sleeper(sleeper);
    if (LIKELY(join & JOIN_JOINING)) {
        if (UNLIKELY(task_is_bound(task)) || !atomic_cas_acq_rel(join_at, &join, 0)) return NULL;
        uint64_t open = atomic_load_relaxed(&sleeper->claim);
        atomic_store_relaxed(&sleeper->claim, claim_word(claim_seq(open), WAKE_EVENT));
        task_set_state(task, TASK_WAITING, TASK_RUNNABLE);
        return task;
    }
    /* It reset `park` before the word that we have was there, so this is of that wait. */
    if (sleeper->external || !(atomic_load_acquire(&sleeper->park) & PARK_SAVED) || task_is_bound(task)) return NULL;
    uint64_t claim = atomic_load_acquire(&sleeper->claim);
    if (((claim_seq(claim) ^ join) & JOIN_SEQ_MASK) != 0 || claim_reason(claim) != WAKE_OPEN ||
        !atomic_cas_acq_rel(&sleeper->claim, &claim, claim_word(claim_seq(claim), WAKE_EVENT))) {
        return NULL;
    }
    task_set_state(task, TASK_WAITING, TASK_RUNNABLE);
    return task;
}

static bool cancel_wait(struct sleeper *sleeper) {
    uint64_t claim = atomic_load_seq_cst(&sleeper->claim);
    if (claim_reason(claim) != WAKE_OPEN) return false;
    if (!(claim & CLAIM_MASKED)) sleeper_wake(sleeper, claim_seq(claim), WAKE_CANCEL);
    return true;
}

bool wait_cancel_begin(struct pintle_task *task) {
    atomic_fetch_or_explicit(&task->flags, TASK_CANCELED, memory_order_seq_cst);
    return !cancel_wait(&task->sleeper);
}

void wait_cancel_end(struct pintle_task *task) {
    struct sleeper *sleeper = &task->sleeper;
    struct guard *guard;
    if (cancel_wait(sleeper) || (guard = atomic_load_seq_cst(&sleeper->guard)) == NULL) return;
    guard_acquire(guard);
    guard_release(guard);
    cancel_wait(sleeper);
}

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
