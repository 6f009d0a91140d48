/* pintle/sync.h: waiting for each other: events, mutexes, conditions, readers and writers, semaphores, once, groups.
 *
 * What waits parks its task, not the thread; a thread that is no task, or is in a foreign call, blocks itself. All of them
 * are complete types, valid when zeroed (or by their …_INIT), need no destroy to be freed, and may be freed as soon as
 * nobody uses them any more: who was let in by an unlock, a set or a post may free the object at once.
 * Do not copy them, and do not look inside.
 *
 * Waiters are served first come, first served. Every wait takes a deadline and has these errors besides its own:
 *   ETIMEDOUT   the deadline passed           EINVAL   a duration was given for a deadline
 *   EAGAIN      NOWAIT, and it would wait     ECANCELED   the task was cancelled
 *   ENOMEM      no memory for the deadline's timer, or for a thread that is no task to wait
 * A lock that is waited for with PINTLE_FOREVER is no cancel point, so its caller need not look at the result. */
#ifndef PINTLE_SYNC_H
#define PINTLE_SYNC_H

#include "pintle/base.h"

#if defined(__cplusplus)
extern "C" {
#define PINTLE_SYNC_ZERO \
    {}
#else
#define PINTLE_SYNC_ZERO \
    { 0 }
#endif

/* ---- Events ---------------------------------------------------------------------------------------------- */

/* A manual-reset event: set wakes all waiters and lets later ones through until it is reset. */
typedef struct pintle_event {
    uint32_t set, reserved;
    void *waiters[2];
} pintle_event;
#define PINTLE_EVENT_INIT PINTLE_SYNC_ZERO

/* Blocks: no. From: any. Setting is for real-time threads too: it allocates nothing, and waits for nothing but a lock that is
 * held for some dozen instructions. Destroying an event that has waiters is a panic. */
PINTLE_API void pintle_event_init(pintle_event *event);
PINTLE_API void pintle_event_destroy(pintle_event *event);
PINTLE_API void pintle_event_set(pintle_event *event);
PINTLE_API void pintle_event_reset(pintle_event *event);
PINTLE_API bool pintle_event_is_set(const pintle_event *event);

/* Effect: waits until the event is set. Blocks: task. From: any. Errors: those of waits. */
PINTLE_API int pintle_event_wait(pintle_event *event, int64_t deadline_ns);

/* ---- Mutexes ---------------------------------------------------------------------------------------------- */

/* Belongs to the task that locked it, which may have changed threads meanwhile (in a foreign call: to the task that made the
 * call), or to the thread that is no task. */
typedef struct pintle_mutex {
    uint64_t word;
    void *waiters[2];
    uint32_t rank, reserved;
    struct pintle_mutex *below;
} pintle_mutex;
#define PINTLE_MUTEX_INIT PINTLE_SYNC_ZERO

/* Blocks: no. From: any. Destroying a mutex that is locked or waited for is a panic that names the owner. */
PINTLE_API void pintle_mutex_init(pintle_mutex *mutex);
PINTLE_API void pintle_mutex_destroy(pintle_mutex *mutex);

/* Effect: locks the mutex. Uncontended that is one atomic step. A running task may get it before one that waits; but
 * a waiter who was woken and came too late is served next.
 * Blocks: task. From: any. Errors: those of waits; ETIMEDOUT and EAGAIN name the owner. Locking what one has locked
 * already would wait for ever: a panic (with NOWAIT: EAGAIN). */
PINTLE_API int pintle_mutex_lock(pintle_mutex *mutex, int64_t deadline_ns);

/* Effect: unlocks it, and wakes the first waiter. Blocks: no. From: any. Unlocking what another has locked, or nobody, is a
 * panic that names the owner. */
PINTLE_API void pintle_mutex_unlock(pintle_mutex *mutex);

/* Effect: gives the mutex a rank, from 1; 0: none. Builds with PINTLE_DEBUG_CHECKS panic when a task locks one of
 * rank n while it holds one of rank n or above: so two tasks that lock in different orders are found even if they never
 * meet. Other builds ignore it. Blocks: no. From: any, while it is unlocked. Source: Go's runtime, lockrank. */
PINTLE_API void pintle_mutex_set_rank(pintle_mutex *mutex, uint32_t rank);

/* ---- Conditions ------------------------------------------------------------------------------------------- */

typedef struct pintle_cond {
    uint64_t reserved;
    void *waiters[2];
} pintle_cond;
#define PINTLE_COND_INIT PINTLE_SYNC_ZERO

/* Blocks: no. From: any. Destroying a condition that has waiters is a panic. */
PINTLE_API void pintle_cond_init(pintle_cond *cond);
PINTLE_API void pintle_cond_destroy(pintle_cond *cond);

/* Effect: unlocks the mutex and waits until the condition is signalled, in one step: who locks the mutex afterwards and
 * signals wakes the caller. Locks it again before it returns, whatever it returns. Does not return without a reason; what
 * was waited for may be gone again all the same, so look again. With NOWAIT: EAGAIN at once, the mutex stays locked.
 * Blocks: task. From: any; the mutex is the caller's, else a panic. Errors: those of waits. */
PINTLE_API int pintle_cond_wait(pintle_cond *cond, pintle_mutex *mutex, int64_t deadline_ns);

/* Effect: wakes the first waiter; all of them. Blocks: no. From: any, with or without the mutex. */
PINTLE_API void pintle_cond_signal(pintle_cond *cond);
PINTLE_API void pintle_cond_broadcast(pintle_cond *cond);

/* ---- Readers and writers ---------------------------------------------------------------------------------- */

/* Many readers, or one writer. In order of arrival: a reader that comes after a waiting writer waits too, so it
 * must not hold the lock for reading already. */
typedef struct pintle_rwlock {
    uint64_t word;
    void *waiters[2];
} pintle_rwlock;
#define PINTLE_RWLOCK_INIT PINTLE_SYNC_ZERO

/* Blocks: no. From: any. Destroying one that is locked or waited for is a panic. */
PINTLE_API void pintle_rwlock_init(pintle_rwlock *lock);
PINTLE_API void pintle_rwlock_destroy(pintle_rwlock *lock);

/* Effect: locks it for reading; for writing. Uncontended that is one atomic step. Blocks: task. From: any. Errors: those
 * of waits. Locking what one has locked for writing is a panic. */
PINTLE_API int pintle_rwlock_rdlock(pintle_rwlock *lock, int64_t deadline_ns);
PINTLE_API int pintle_rwlock_wrlock(pintle_rwlock *lock, int64_t deadline_ns);

/* Effect: gives it back, and lets in who waits first: a writer, or all readers up to the next writer. Blocks: no. From:
 * any. A lock that is not locked that way, or for writing by another, is a panic. */
PINTLE_API void pintle_rwlock_rdunlock(pintle_rwlock *lock);
PINTLE_API void pintle_rwlock_wrunlock(pintle_rwlock *lock);

/* ---- Semaphores ------------------------------------------------------------------------------------------- */

typedef struct pintle_sem {
    uint64_t word;
    void *waiters[2];
} pintle_sem;
#define PINTLE_SEM_INIT(count) \
    { \
        (count), { 0, 0 } \
    }

/* Blocks: no. From: any. Destroying one that has waiters is a panic. */
PINTLE_API void pintle_sem_init(pintle_sem *sem, uint32_t count);
PINTLE_API void pintle_sem_destroy(pintle_sem *sem);

/* Effect: waits until the count is above 0, and takes 1 from it. Blocks: task. From: any. Errors: those of waits. */
PINTLE_API int pintle_sem_wait(pintle_sem *sem, int64_t deadline_ns);

/* Effect: gives the first waiter what it waits for, or adds 1 to the count. Blocks: no; for real-time threads too, as
 * pintle_event_set. From: any. */
PINTLE_API void pintle_sem_post(pintle_sem *sem);

/* The count now: by the time it is read it may be another. Blocks: no. From: any. */
PINTLE_API uint32_t pintle_sem_count(const pintle_sem *sem);

/* ---- Once ------------------------------------------------------------------------------------------------- */

typedef struct pintle_once {
    uint32_t state, reserved;
    uint64_t runner;
    void *waiters[2];
} pintle_once;
#define PINTLE_ONCE_INIT PINTLE_SYNC_ZERO

/* Effect: the first caller runs fn(arg); all others return 0 when that is over. Afterwards a call is one load. In task code a
 * panic that leaves fn, or the task's exit, is its end too: the others go on, and fn is not run again.
 * Blocks: task. From: any. Errors: those of waits, for those that wait; ENOMEM (fn was not run). Calling it from inside fn
 * is a panic. Source: Go's sync.Once. */
PINTLE_API int pintle_once_do(pintle_once *once, pintle_fn *fn, void *arg, int64_t deadline_ns);

/* ---- Groups ----------------------------------------------------------------------------------------------- */

/* Counts what is under way; waiters wait until nothing is. Source: Go's sync.WaitGroup. */
typedef struct pintle_group {
    uint64_t word;
    void *waiters[2];
} pintle_group;
#define PINTLE_GROUP_INIT PINTLE_SYNC_ZERO

/* Blocks: no. From: any. Destroying one that has waiters is a panic. */
PINTLE_API void pintle_group_init(pintle_group *group);
PINTLE_API void pintle_group_destroy(pintle_group *group);

/* Effect: adds to the count (n may be negative); done takes 1. At 0 all waiters go on. Add before the task that calls
 * done is spawned. Blocks: no. From: any. A count below 0 is a panic. */
PINTLE_API void pintle_group_add(pintle_group *group, int n);
PINTLE_API void pintle_group_done(pintle_group *group);

/* Effect: waits until the count is 0. Blocks: task. From: any. Errors: those of waits. */
PINTLE_API int pintle_group_wait(pintle_group *group, int64_t deadline_ns);

#if defined(__cplusplus)
}
#endif

#endif
