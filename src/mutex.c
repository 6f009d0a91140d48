/* mutex.c: mutexes, conditions, readers and writers.
 *
 * A mutex's word: its owner (owner.h) | WAITERS | WOKEN.
 *   lock     CAS(0 -> self)                             else: a look or two more, then into the queue, WAITERS set
 *   unlock   CAS(self -> 0)                             else, under the guard: the first waiter is woken, WOKEN set, and the
 *                                                       mutex is free: whoever comes first has it
 *   woken    CAS(WAITERS|WOKEN -> WAITERS|self)         else back to the head of the queue, marked as too late: the next
 *                                                       unlock hands the mutex to it, without setting it free
 * So a running task may lock again and again while the waiter is on its way (each hand-over costs a switch), but
 * a waiter is passed over for one turn at most. While WOKEN is set nobody else is woken.
 * WAITERS is set and taken away under the guard only. With it set, others change the owner's bits and WOKEN only.
 *
 * A lock for readers and writers: the count of readers, or WRITER | its owner; and WAITERS, under which all go to the queue.
 * Whoever leaves last hands the lock to the first in the queue, with all readers behind it up to the next writer.
 *
 * The last access to a lock is before its guard is released: who was let in may free it.
 * Threads: any. Locks: guards, one at a time. Order: words acquire, release. Tests: tests/api/test_mutex.c, test_sync.c,
 * tests/death/test_sync.c. */
#include "arch.h"
#include "clock.h"
#include "error.h"
#include "owner.h"
#include "stack.h"
#include "panic.h"
#include "pintle/sync.h"
#include "wait.h"

#define WAITERS ((uint64_t)1 << 63)
#define WOKEN ((uint64_t)1 << 62)
#define WRITER ((uint64_t)1 << 61)
_Static_assert((WAITERS | WOKEN | WRITER) == OWNER_FREE_BITS, "owners leave these bits free");

enum { SPIN_LIMIT = 40, DESCRIPTION_BYTES = 64 };

/* In waiter->index: what it waits as; in waiter->status: how it was served. */
enum { AS_READER, AS_WRITER, AS_LATE };
enum { SERVED_TRY, SERVED_OWNER };

static inline _Atomic uint64_t *mutex_word(const pintle_mutex *mutex) {
    return (_Atomic uint64_t *)(uintptr_t)&mutex->word;
}
static inline _Atomic uint64_t *rw_word(const pintle_rwlock *lock) {
    return (_Atomic uint64_t *)(uintptr_t)&lock->word;
}
static inline uint64_t owner_of(uint64_t word) { return word & ~OWNER_FREE_BITS; }

/* The error of a wait for what somebody else holds. */
static COLD int refuse(enum wake_reason reason, int64_t deadline_ns, const char *function, uint64_t owner) {
    char description[DESCRIPTION_BYTES];
    int code = wait_result(reason, deadline_ns, function);
    if (reason != WAKE_DEADLINE) return code;
    owner_describe(owner, description, sizeof description);
    return error_set(code, 0, "%s: %s: %s holds it", function,
                     code == PINTLE_EAGAIN ? "it would have to wait" : "the deadline passed", description);
}

static NORETURN COLD void misuse(const char *function, const char *what, uint64_t owner) {
    char description[DESCRIPTION_BYTES];
    owner_describe(owner, description, sizeof description);
    panic("%s: %s: %s holds it", function, what, description);
}

/* ---- Ranks, in debug builds: each task's list of the ranked mutexes that it holds, highest first ---- */

#if defined(PINTLE_DEBUG_CHECKS)
static pintle_mutex **held_list(void) {
    struct thread *thread = thread_self();
    return thread != NULL && thread->task != NULL ? &task_stack(thread->task)->held : NULL;
}

static void rank_check(const pintle_mutex *mutex) {
    pintle_mutex **held = held_list();
    if (mutex->rank == 0 || held == NULL || *held == NULL || (*held)->rank < mutex->rank) return;
    panic("pintle_mutex_lock: a mutex of rank %u is locked while one of rank %u is held: lock in rising rank",
          (unsigned)mutex->rank, (unsigned)(*held)->rank);
}

static void rank_locked(pintle_mutex *mutex) {
    pintle_mutex **held = held_list();
    if (mutex->rank == 0 || held == NULL) return;
    mutex->below = *held;
    *held = mutex;
}

static void rank_unlocked(pintle_mutex *mutex) {
    pintle_mutex **held = held_list();
    if (mutex->rank == 0 || held == NULL) return;
    while (*held != NULL && *held != mutex) held = &(*held)->below;
    if (*held == mutex) *held = mutex->below;
}
#else
static inline void rank_check(const pintle_mutex *mutex) { (void)mutex; }
static inline void rank_locked(pintle_mutex *mutex) { (void)mutex; }
static inline void rank_unlocked(pintle_mutex *mutex) { (void)mutex; }
#endif

/* ---- Mutexes ---- */

void pintle_mutex_init(pintle_mutex *mutex) { memset(mutex, 0, sizeof *mutex); }

void pintle_mutex_set_rank(pintle_mutex *mutex, uint32_t rank) { mutex->rank = rank; }

void pintle_mutex_destroy(pintle_mutex *mutex) {
    uint64_t word = atomic_load_acquire(mutex_word(mutex));
    if (owner_of(word) != 0) misuse("pintle_mutex_destroy", "the mutex is locked", owner_of(word));
    if (word != 0) panic("pintle_mutex_destroy: somebody waits for the mutex");
}

/* Takes the mutex if nobody has it, and `mark` away. False: *out_seen has the owner. */
static bool take(pintle_mutex *mutex, uint64_t self, uint64_t mark, uint64_t *out_seen) {
    uint64_t seen = atomic_load_relaxed(mutex_word(mutex));
    while (owner_of(seen) == 0) {
        if (atomic_cas_acq_rel(mutex_word(mutex), &seen, (seen & ~mark) | self)) return true;
    }
    *out_seen = seen;
    return false;
}

/* Under the guard: takes the mutex, or says that somebody waits. */
static bool take_or_mark(pintle_mutex *mutex, uint64_t self, uint64_t mark) {
    uint64_t seen = atomic_load_relaxed(mutex_word(mutex)), wanted;
    do {
        wanted = (seen & ~mark) | (owner_of(seen) == 0 ? self : WAITERS);
    } while (!atomic_cas_acq_rel(mutex_word(mutex), &seen, wanted));
    return owner_of(seen) == 0;
}

/* Wakes the first waiter, or hands the mutex to it. The caller is the owner, and WOKEN is not set. Under the guard, in which
 * nobody else changes the word: it has an owner, and WAITERS. */
static struct waiter *pass_on(pintle_mutex *mutex) {
    struct waiters *waiters = WAITERS_OF(mutex->waiters);
    struct waiter *first = waiters_claim_first(waiters);
    uint64_t word = waiters_any(waiters) ? WAITERS : 0;
    if (first != NULL) {
        bool late = first->index == AS_LATE;
        first->status = late ? SERVED_OWNER : SERVED_TRY;
        word |= late ? (uint64_t)(uintptr_t)first->item : WOKEN;
    }
    atomic_store_release(mutex_word(mutex), word);
    return first;
}

static COLD void unlock_slow(pintle_mutex *mutex, uint64_t self) {
    struct guard *guard = guard_of(mutex);
    struct waiter *first = NULL;
    uint64_t seen = atomic_load_relaxed(mutex_word(mutex));
    if (owner_of(seen) != self) misuse("pintle_mutex_unlock", "the mutex is not the caller's", owner_of(seen));
    while (!(seen & WAITERS) || (seen & WOKEN)) {
        if (atomic_cas_acq_rel(mutex_word(mutex), &seen, seen & OWNER_FREE_BITS)) return;
    }
    guard_acquire(guard);
    seen = atomic_load_relaxed(mutex_word(mutex));
    /* Since then, a waiter may have left, and taken WAITERS with it. */
    while (!(seen & WAITERS)) {
        if (atomic_cas_acq_rel(mutex_word(mutex), &seen, seen & OWNER_FREE_BITS)) break;
    }
    if (seen & WAITERS) first = pass_on(mutex);
    guard_release(guard);
    if (first != NULL) waiter_wake(first);
}

void pintle_mutex_unlock(pintle_mutex *mutex) {
    uint64_t self = owner_self(), expected = self;
    rank_unlocked(mutex);
    if (UNLIKELY(!atomic_cas_acq_rel(mutex_word(mutex), &expected, 0))) unlock_slow(mutex, self);
}

/* One who was woken cannot wait again: the mutex is for others. */
static COLD void decline(pintle_mutex *mutex, uint64_t self) {
    uint64_t seen;
    if (take(mutex, self, WOKEN, &seen)) {
        unlock_slow(mutex, self);
    } else {
        atomic_fetch_and_explicit(mutex_word(mutex), ~WOKEN, memory_order_relaxed);
    }
}

static COLD void stop_waiting(pintle_mutex *mutex, struct waiter *waiter, struct guard *guard) {
    guard_acquire(guard);
    waiters_remove(WAITERS_OF(mutex->waiters), waiter);
    if (!waiters_any(WAITERS_OF(mutex->waiters))) {
        atomic_fetch_and_explicit(mutex_word(mutex), ~WAITERS, memory_order_relaxed);
    }
    guard_release(guard);
}

static COLD int lock_slow(pintle_mutex *mutex, uint64_t self, int64_t deadline_ns) {
    static const char function[] = "pintle_mutex_lock";
    enum wait_kind kind = deadline_ns == PINTLE_FOREVER ? WAIT_MASKED : WAIT_CANCELABLE;
    struct guard *guard = guard_of(mutex);
    struct waiter waiter;
    uint64_t seen, mark = 0; /* WOKEN, if it is ours */
    bool has_it = take(mutex, self, 0, &seen);
    if (has_it) return 0;
    if (deadline_ns == PINTLE_NOWAIT) return refuse(WAKE_DEADLINE, deadline_ns, function, owner_of(seen));
    if (owner_of(seen) == self) misuse(function, "locking again would wait for ever", self);
    for (int spin = 0; spin < SPIN_LIMIT && sched.processor_count > 1 && !(seen & WAITERS); spin++) {
        arch_pause();
        if (take(mutex, self, 0, &seen)) return 0;
    }
    for (;;) {
        enum wake_reason reason;
        int result = wait_prepare(&waiter.wait, guard, function);
        if (result != 0) {
            if (mark != 0) decline(mutex, self);
            return result;
        }
        guard_acquire(guard);
        if (take_or_mark(mutex, self, mark)) {
            guard_release(guard);
            wait_unprepare(&waiter.wait);
            return 0;
        }
        waiter.item = (void *)(uintptr_t)self;
        waiter.index = mark != 0 ? AS_LATE : AS_WRITER;
        if (mark != 0) {
            waiters_push_first(WAITERS_OF(mutex->waiters), &waiter);
        } else {
            waiters_push(WAITERS_OF(mutex->waiters), &waiter);
        }
        reason = wait_guarded(&waiter, guard, function, deadline_ns, kind);
        if (reason != WAKE_EVENT) {
            stop_waiting(mutex, &waiter, guard);
            return refuse(reason, deadline_ns, function, owner_of(atomic_load_relaxed(mutex_word(mutex))));
        }
        if (waiter.status == SERVED_OWNER) return 0;
        mark = WOKEN;
        if (take(mutex, self, mark, &seen)) return 0;
    }
}

int pintle_mutex_lock(pintle_mutex *mutex, int64_t deadline_ns) {
    uint64_t self, free = 0;
    int result = deadline_check(deadline_ns, "pintle_mutex_lock");
    if (UNLIKELY(result != 0)) return result;
    self = owner_self();
    if (deadline_ns != PINTLE_NOWAIT) rank_check(mutex);
    if (UNLIKELY(!atomic_cas_acq_rel(mutex_word(mutex), &free, self))) {
        result = lock_slow(mutex, self, deadline_ns);
        if (result != 0) return result;
    }
    rank_locked(mutex);
    return 0;
}

/* ---- Conditions ---- */

void pintle_cond_init(pintle_cond *cond) { memset(cond, 0, sizeof *cond); }

void pintle_cond_destroy(pintle_cond *cond) {
    if (waiters_any(WAITERS_OF(cond->waiters))) panic("pintle_cond_destroy: somebody waits for the condition");
}

int pintle_cond_wait(pintle_cond *cond, pintle_mutex *mutex, int64_t deadline_ns) {
    static const char function[] = "pintle_cond_wait";
    struct guard *guard = guard_of(cond);
    struct waiter waiter;
    enum wake_reason reason;
    uint64_t owner = owner_of(atomic_load_relaxed(mutex_word(mutex)));
    int result = deadline_check(deadline_ns, function);
    if (owner != owner_self()) misuse(function, "the mutex is not the caller's", owner);
    if (result != 0) return result;
    if (deadline_ns == PINTLE_NOWAIT) return wait_result(WAKE_DEADLINE, deadline_ns, function);
    if ((result = wait_begin(&waiter.wait, function)) != 0) return result;
    waiter.guarded = false;
    guard_acquire(guard);
    waiters_push(WAITERS_OF(cond->waiters), &waiter);
    guard_release(guard);
    pintle_mutex_unlock(mutex);
    reason = wait_finish(&waiter.wait, deadline_ns);
    if (reason != WAKE_EVENT) {
        guard_acquire(guard);
        waiters_remove(WAITERS_OF(cond->waiters), &waiter);
        guard_release(guard);
        result = wait_result(reason, deadline_ns, function);
    }
    while (pintle_mutex_lock(mutex, PINTLE_FOREVER) != 0) os_yield_thread(); /* a thread without memory to wait */
    return result;
}

void pintle_cond_signal(pintle_cond *cond) {
    struct guard *guard = guard_of(cond);
    struct waiter *first;
    if (!waiters_any(WAITERS_OF(cond->waiters))) return; /* who locked the mutex before us has queued before that */
    guard_acquire(guard);
    first = waiters_claim_first(WAITERS_OF(cond->waiters));
    guard_release(guard);
    if (first != NULL) waiter_wake(first);
}

void pintle_cond_broadcast(pintle_cond *cond) {
    struct guard *guard = guard_of(cond);
    struct waiter *first;
    if (!waiters_any(WAITERS_OF(cond->waiters))) return;
    guard_acquire(guard);
    first = waiters_claim_all(WAITERS_OF(cond->waiters), 0);
    guard_release(guard);
    waiters_wake_chain(first);
}

/* ---- Readers and writers ---- */

void pintle_rwlock_init(pintle_rwlock *lock) { memset(lock, 0, sizeof *lock); }

void pintle_rwlock_destroy(pintle_rwlock *lock) {
    uint64_t word = atomic_load_acquire(rw_word(lock));
    if (word & WRITER) misuse("pintle_rwlock_destroy", "the lock is locked for writing", owner_of(word));
    if (owner_of(word) != 0) {
        panic("pintle_rwlock_destroy: %llu readers hold the lock", (unsigned long long)owner_of(word));
    }
    if (word != 0) panic("pintle_rwlock_destroy: somebody waits for the lock");
}

/* Gives the lock to those at the head of the queue who can have it together. Under the guard. Returns whom to wake. */
static struct waiter *rw_grant(pintle_rwlock *lock) {
    struct waiters *waiters = WAITERS_OF(lock->waiters);
    struct waiter *first = NULL, *last = NULL, *waiter;
    uint64_t seen = atomic_load_relaxed(rw_word(lock)), granted = 0;
    while ((waiter = waiters_first(waiters)) != NULL) {
        /* Readers only leave meanwhile: at worst a writer is not let in here, but by the last of them. */
        if (seen & WRITER || (waiter->index == AS_WRITER && owner_of(seen) + granted != 0)) break;
        waiters_claim_first(waiters);
        waiter->next = NULL;
        if (first == NULL) {
            first = waiter;
        } else {
            last->next = waiter;
        }
        last = waiter;
        if (waiter->index == AS_WRITER) {
            granted = WRITER | (uint64_t)(uintptr_t)waiter->item;
            break;
        }
        granted++;
    }
    atomic_fetch_add_explicit(rw_word(lock), granted, memory_order_release);
    if (!waiters_any(waiters)) atomic_fetch_and_explicit(rw_word(lock), ~WAITERS, memory_order_release);
    return first;
}

/* Takes the lock, if it can be had now; *inout_seen is the word. With WAITERS set, the last to leave comes to the queue first.*/
static bool rw_take(pintle_rwlock *lock, uint32_t as, uint64_t self, uint64_t *inout_seen) {
    while ((*inout_seen & (WRITER | WAITERS)) == 0 && (as == AS_READER || *inout_seen == 0)) {
        uint64_t wanted = as == AS_READER ? *inout_seen + 1 : WRITER | self;
        if (atomic_cas_acq_rel(rw_word(lock), inout_seen, wanted)) return true;
    }
    return false;
}

static COLD int rw_refuse(enum wake_reason reason, int64_t deadline_ns, const char *function, uint64_t seen) {
    return seen & WRITER ? refuse(reason, deadline_ns, function, owner_of(seen))
                         : wait_result(reason, deadline_ns, function);
}

static COLD int rw_wait(pintle_rwlock *lock, uint32_t as, uint64_t self, int64_t deadline_ns, const char *function) {
    enum wait_kind kind = deadline_ns == PINTLE_FOREVER ? WAIT_MASKED : WAIT_CANCELABLE;
    struct guard *guard = guard_of(lock);
    struct waiter waiter, *first;
    enum wake_reason reason;
    uint64_t seen = atomic_load_relaxed(rw_word(lock));
    int result;
    if (deadline_ns == PINTLE_NOWAIT) {
        return rw_take(lock, as, self, &seen) ? 0 : rw_refuse(WAKE_DEADLINE, deadline_ns, function, seen);
    }
    if ((seen & ~WAITERS) == (WRITER | self)) misuse(function, "locking again would wait for ever", self);
    if ((result = wait_prepare(&waiter.wait, guard, function)) != 0) return result;
    guard_acquire(guard);
    do {
        if (!rw_take(lock, as, self, &seen)) continue;
        guard_release(guard);
        wait_unprepare(&waiter.wait);
        return 0;
    } while (!atomic_cas_acq_rel(rw_word(lock), &seen, seen | WAITERS));
    waiter.index = as;
    waiter.item = (void *)(uintptr_t)self;
    waiters_push(WAITERS_OF(lock->waiters), &waiter);
    reason = wait_guarded(&waiter, guard, function, deadline_ns, kind);
    if (reason == WAKE_EVENT) return 0;
    guard_acquire(guard);
    waiters_remove(WAITERS_OF(lock->waiters), &waiter);
    seen = atomic_load_relaxed(rw_word(lock));
    first = seen & WAITERS ? rw_grant(lock) : NULL; /* those who waited behind a writer that goes */
    guard_release(guard);
    waiters_wake_chain(first);
    return rw_refuse(reason, deadline_ns, function, seen);
}

int pintle_rwlock_rdlock(pintle_rwlock *lock, int64_t deadline_ns) {
    uint64_t seen = atomic_load_relaxed(rw_word(lock));
    int result = deadline_check(deadline_ns, "pintle_rwlock_rdlock");
    if (UNLIKELY(result != 0)) return result;
    while (LIKELY((seen & (WRITER | WAITERS)) == 0)) {
        if (LIKELY(atomic_cas_acq_rel(rw_word(lock), &seen, seen + 1))) return 0;
    }
    return rw_wait(lock, AS_READER, owner_self(), deadline_ns, "pintle_rwlock_rdlock");
}

int pintle_rwlock_wrlock(pintle_rwlock *lock, int64_t deadline_ns) {
    uint64_t free = 0, self = owner_self();
    int result = deadline_check(deadline_ns, "pintle_rwlock_wrlock");
    if (UNLIKELY(result != 0)) return result;
    if (LIKELY(atomic_cas_acq_rel(rw_word(lock), &free, WRITER | self))) return 0;
    return rw_wait(lock, AS_WRITER, self, deadline_ns, "pintle_rwlock_wrlock");
}

/* Takes `held` from the word, and lets others in. */
static COLD void rw_leave_slow(pintle_rwlock *lock, uint64_t held) {
    struct guard *guard = guard_of(lock);
    struct waiter *first = NULL;
    guard_acquire(guard);
    /* What is left besides WAITERS keeps them out. Without it, somebody may free the lock at once. */
    if (atomic_fetch_sub_explicit(rw_word(lock), held, memory_order_acq_rel) - held == WAITERS) first = rw_grant(lock);
    guard_release(guard);
    waiters_wake_chain(first);
}

void pintle_rwlock_rdunlock(pintle_rwlock *lock) {
    uint64_t seen = atomic_load_relaxed(rw_word(lock));
    do {
        if (UNLIKELY(seen & WRITER)) {
            misuse("pintle_rwlock_rdunlock", "the lock is not locked for reading", owner_of(seen));
        }
        if (UNLIKELY(owner_of(seen) == 0)) panic("pintle_rwlock_rdunlock: the lock is not locked");
        if (UNLIKELY(seen == (WAITERS | 1))) {
            rw_leave_slow(lock, 1);
            return;
        }
    } while (!atomic_cas_acq_rel(rw_word(lock), &seen, seen - 1));
}

void pintle_rwlock_wrunlock(pintle_rwlock *lock) {
    uint64_t held = WRITER | owner_self(), seen = held;
    if (LIKELY(atomic_cas_acq_rel(rw_word(lock), &seen, 0))) return;
    if ((seen & ~WAITERS) != held) {
        misuse("pintle_rwlock_wrunlock", "the lock is not the caller's", seen & WRITER ? owner_of(seen) : 0);
    }
    rw_leave_slow(lock, held);
}
