/* sync.c: events, semaphores, once, groups, conditions. Mutexes are in mutex.c.
 *
 * Each is a word and a queue of waiters; the queue is the guard's (guard.h), the word is atomic. Where a word has WAITERS set,
 * it changes under the guard only, so that the fast ways need not look at the queue. The last access to an object is before
 * its guard is released: who was let in may free it.
 * Threads: any. Locks: guards. Order: words acquire, release. Tests: tests/api/test_event.c, tests/api/test_sync.c. */
#include "pintle/sync.h"

#include "clock.h"
#include "error.h"
#include "owner.h"
#include "panic.h"
#include "pintle/panic.h"
#include "scope.h"
#include "wait.h"

#define WAITERS ((uint64_t)1 << 63)

/* Waits in the queue, prepared and under the guard. */
static int wait_in(struct waiters *waiters, struct waiter *waiter, struct guard *guard, _Atomic uint64_t *word,
                   const char *function, int64_t deadline_ns) {
    enum wake_reason reason;
    if (waiters_any(waiters)) waiter_joins_crowd(waiter);
    waiters_push(waiters, waiter);
    reason = wait_guarded(waiter, guard, function, deadline_ns, WAIT_CANCELABLE);
    if (reason == WAKE_EVENT) return 0;
    guard_acquire(guard);
    waiters_remove(waiters, waiter);
    if (word != NULL && !waiters_any(waiters)) atomic_fetch_and_explicit(word, ~WAITERS, memory_order_relaxed);
    guard_release(guard);
    return wait_result(reason, deadline_ns, function);
}

/* Marks the word; false: no need to wait, it is free by now (at 0, or above). Under the guard. */
static bool mark_waiters(_Atomic uint64_t *word, bool free_at_zero) {
    uint64_t seen = atomic_load_acquire(word);
    do {
        if (((seen & ~WAITERS) == 0) == free_at_zero) return false;
    } while (!atomic_cas_acq_rel(word, &seen, seen | WAITERS));
    return true;
}

static void destroy(const char *function, const void *object, struct waiters *waiters) {
    struct guard *guard = guard_of(object);
    bool waited_for;
    guard_acquire(guard);
    waited_for = waiters_any(waiters);
    guard_release(guard);
    if (waited_for) panic("%s: somebody waits for it", function);
}

/* ---- Events ---- */

static _Atomic uint32_t *event_word(const pintle_event *event) { return (_Atomic uint32_t *)(uintptr_t)&event->set; }

void pintle_event_init(pintle_event *event) { memset(event, 0, sizeof *event); }

void pintle_event_destroy(pintle_event *event) { destroy("pintle_event_destroy", event, WAITERS_OF(event->waiters)); }

void pintle_event_set(pintle_event *event) {
    struct guard *guard = guard_of(event);
    struct crowd crowd;
    guard_acquire(guard);
    waiters_claim_crowd(WAITERS_OF(event->waiters), &crowd);
    atomic_store_release(event_word(event), 1); /* pairs with is_set; from here on the event may be gone */
    guard_release(guard);
    crowd_wake(&crowd);
}

void pintle_event_reset(pintle_event *event) {
    struct guard *guard = guard_of(event);
    guard_acquire(guard);
    atomic_store_relaxed(event_word(event), 0);
    guard_release(guard);
}

bool pintle_event_is_set(const pintle_event *event) { return atomic_load_acquire(event_word(event)) != 0; }

int pintle_event_wait(pintle_event *event, int64_t deadline_ns) {
    static const char function[] = "pintle_event_wait";
    struct guard *guard = guard_of(event);
    struct waiter waiter;
    int result = deadline_check(deadline_ns, function);
    if (result != 0) return result;
    if (pintle_event_is_set(event)) return 0;
    if (deadline_ns == PINTLE_NOWAIT) return wait_result(WAKE_DEADLINE, deadline_ns, function);
    if ((result = wait_prepare(&waiter.wait, guard, function)) != 0) return result;
    guard_acquire(guard);
    if (!pintle_event_is_set(event)) {
        return wait_in(WAITERS_OF(event->waiters), &waiter, guard, NULL, function, deadline_ns);
    }
    guard_release(guard);
    wait_unprepare(&waiter.wait);
    return 0;
}

/* ---- Semaphores: the word is the count, which is 0 while there are WAITERS ---- */

static _Atomic uint64_t *sem_word(const pintle_sem *sem) { return (_Atomic uint64_t *)(uintptr_t)&sem->word; }

void pintle_sem_init(pintle_sem *sem, uint32_t count) {
    memset(sem, 0, sizeof *sem);
    sem->word = count;
}

void pintle_sem_destroy(pintle_sem *sem) { destroy("pintle_sem_destroy", sem, WAITERS_OF(sem->waiters)); }

uint32_t pintle_sem_count(const pintle_sem *sem) { return (uint32_t)(atomic_load_relaxed(sem_word(sem)) & ~WAITERS); }

static bool sem_take(pintle_sem *sem) {
    uint64_t seen = atomic_load_relaxed(sem_word(sem));
    while ((seen & ~WAITERS) != 0) {
        if (atomic_cas_acq_rel(sem_word(sem), &seen, seen - 1)) return true;
    }
    return false;
}

int pintle_sem_wait(pintle_sem *sem, int64_t deadline_ns) {
    static const char function[] = "pintle_sem_wait";
    struct guard *guard = guard_of(sem);
    struct waiter waiter;
    int result = deadline_check(deadline_ns, function);
    if (UNLIKELY(result != 0)) return result;
    while (!sem_take(sem)) {
        if (deadline_ns == PINTLE_NOWAIT) return wait_result(WAKE_DEADLINE, deadline_ns, function);
        if ((result = wait_prepare(&waiter.wait, guard, function)) != 0) return result;
        guard_acquire(guard);
        if (mark_waiters(sem_word(sem), false)) {
            return wait_in(WAITERS_OF(sem->waiters), &waiter, guard, sem_word(sem), function, deadline_ns);
        }
        guard_release(guard); /* it was posted just now */
        wait_unprepare(&waiter.wait);
    }
    return 0;
}

void pintle_sem_post(pintle_sem *sem) {
    _Atomic uint64_t *word = sem_word(sem);
    struct guard *guard = guard_of(sem);
    struct waiter *first;
    uint64_t seen = atomic_load_relaxed(word);
    while (!(seen & WAITERS)) {
        if (atomic_cas_acq_rel(word, &seen, seen + 1)) return;
    }
    guard_acquire(guard);
    first = waiters_claim_first(WAITERS_OF(sem->waiters));
    seen = waiters_any(WAITERS_OF(sem->waiters)) ? WAITERS : 0;
    /* Others may add and take, if WAITERS has gone meanwhile. */
    if (first == NULL) {
        atomic_fetch_and_explicit(word, ~WAITERS, memory_order_relaxed);
        atomic_fetch_add_explicit(word, 1, memory_order_release);
    } else if (seen == 0) {
        atomic_fetch_and_explicit(word, ~WAITERS, memory_order_relaxed);
    }
    guard_release(guard);
    if (first != NULL) waiter_wake(first);
}

/* ---- Once ---- */

enum { ONCE_NEW, ONCE_RUNNING, ONCE_DONE };

static int once_wait(pintle_once *once, int64_t deadline_ns) {
    static const char function[] = "pintle_once_do";
    _Atomic uint32_t *state = (_Atomic uint32_t *)&once->state;
    struct guard *guard = guard_of(once);
    struct waiter waiter;
    int result;
    if (atomic_load_relaxed((_Atomic uint64_t *)&once->runner) == owner_self()) {
        panic("pintle_once_do was called from inside its own function");
    }
    if (deadline_ns == PINTLE_NOWAIT) return wait_result(WAKE_DEADLINE, deadline_ns, function);
    if ((result = wait_prepare(&waiter.wait, guard, function)) != 0) return result;
    guard_acquire(guard);
    if (atomic_load_acquire(state) != ONCE_DONE) {
        return wait_in(WAITERS_OF(once->waiters), &waiter, guard, NULL, function, deadline_ns);
    }
    guard_release(guard);
    wait_unprepare(&waiter.wait);
    return 0;
}

static void once_over(void *arg) {
    pintle_once *once = arg;
    struct guard *guard = guard_of(once);
    struct waiter *first;
    atomic_store_relaxed((_Atomic uint64_t *)&once->runner, 0);
    guard_acquire(guard);
    first = waiters_claim_all(WAITERS_OF(once->waiters), 0);
    atomic_store_release((_Atomic uint32_t *)&once->state, ONCE_DONE);
    guard_release(guard);
    waiters_wake_chain(first);
}

/* In task code the function may panic, or end the task: what is deferred then lets the others go on. */
static COLD int once_run(pintle_once *once, pintle_fn *fn, void *arg, int64_t deadline_ns) {
    uint32_t new = ONCE_NEW;
    bool may_unwind = runs_task_code(arch_self_before_switch());
    if (may_unwind && !scope_defer(once_over, once))
        return error_set(PINTLE_ENOMEM, 0, "pintle_once_do: no memory for a deferred call; the function was not run");
    if (!atomic_cas_acq_rel((_Atomic uint32_t *)&once->state, &new, ONCE_RUNNING)) {
        if (may_unwind) pintle_defer_cancel(once_over, once);
        return new == ONCE_DONE ? 0 : once_wait(once, deadline_ns);
    }
    atomic_store_relaxed((_Atomic uint64_t *)&once->runner, owner_self());
    fn(arg);
    if (may_unwind) pintle_defer_cancel(once_over, once);
    once_over(once);
    return 0;
}

int pintle_once_do(pintle_once *once, pintle_fn *fn, void *arg, int64_t deadline_ns) {
    int result = deadline_check(deadline_ns, "pintle_once_do");
    if (UNLIKELY(result != 0)) return result;
    if (LIKELY(atomic_load_acquire((_Atomic uint32_t *)&once->state) == ONCE_DONE)) return 0;
    return once_run(once, fn, arg, deadline_ns);
}

/* ---- Groups: the word is the count ---- */

static _Atomic uint64_t *group_word(const pintle_group *group) { return (_Atomic uint64_t *)(uintptr_t)&group->word; }

void pintle_group_init(pintle_group *group) { memset(group, 0, sizeof *group); }

void pintle_group_destroy(pintle_group *group) { destroy("pintle_group_destroy", group, WAITERS_OF(group->waiters)); }

/* The count is 0 and WAITERS is set, which keeps everybody out until it is taken away, the last thing done here. */
static COLD void group_let_go(pintle_group *group) {
    struct guard *guard = guard_of(group);
    struct waiter *first = NULL;
    guard_acquire(guard);
    if (atomic_load_acquire(group_word(group)) == WAITERS) { /* else somebody added anew */
        first = waiters_claim_all(WAITERS_OF(group->waiters), 0);
        atomic_fetch_and_explicit(group_word(group), ~WAITERS, memory_order_release);
    }
    guard_release(guard);
    waiters_wake_chain(first);
}

void pintle_group_add(pintle_group *group, int n) {
    uint64_t seen = atomic_load_relaxed(group_word(group)), now;
    do {
        int64_t count = (int64_t)(seen & ~WAITERS) + n;
        if (count < 0) panic("pintle_group_add: the count went below 0 (%lld)", (long long)count);
        now = (uint64_t)count | (seen & WAITERS);
    } while (!atomic_cas_acq_rel(group_word(group), &seen, now));
    if (UNLIKELY(now == WAITERS)) group_let_go(group);
}

void pintle_group_done(pintle_group *group) { pintle_group_add(group, -1); }

int pintle_group_wait(pintle_group *group, int64_t deadline_ns) {
    static const char function[] = "pintle_group_wait";
    struct guard *guard = guard_of(group);
    struct waiter waiter;
    int result = deadline_check(deadline_ns, function);
    if (result != 0) return result;
    if (atomic_load_acquire(group_word(group)) == 0) return 0;
    if (deadline_ns == PINTLE_NOWAIT) return wait_result(WAKE_DEADLINE, deadline_ns, function);
    if ((result = wait_prepare(&waiter.wait, guard, function)) != 0) return result;
    guard_acquire(guard);
    if (mark_waiters(group_word(group), true)) {
        return wait_in(WAITERS_OF(group->waiters), &waiter, guard, group_word(group), function, deadline_ns);
    }
    guard_release(guard);
    wait_unprepare(&waiter.wait);
    return 0;
}
