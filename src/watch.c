/* watch.c: waiting for descriptors and handles that others own.
 *
 * A record for each object that anybody waits for now, found by the object; it has the waiters. Nothing of it is left with
 * the system when the last has gone: what others own they may close.
 *
 *   who waits                                       the poller: watch_ready
 *     look: is it ready? then no wait                 record found by the token, the object and a number of its own
 *     seen, read; armed                               acquire the guard; seen + 1; waiters claimed: all of them, or, where a
 *     acquire the guard; seen as before: queued,       signal is for one, the first
 *     waits; else, or woken for other events:         release; woken. Used up and nobody there: given back.
 *     once more                                         Others still there: armed again
 *
 * An object that the system cannot watch and poll says is always ready (a file) is found ready by the look.
 * Threads: any; one that is no task looks by the system's own way of waiting. Locks: `table` (leaf), over records, and arming;
 * guards. Order: locks. Tests: tests/posix/test_wait_fd.c, tests/win/test_wait_handle.c. */
#include "watch.h"

#include "clock.h"
#include "error.h"
#include "io_poll.h"
#include "memory.h"

enum { BUCKETS = 256 };

static struct lock table = LOCK_INIT(RANK_LEAF);
static struct watch *buckets[BUCKETS];
static uint32_t generations;

static struct watch **bucket_of(intptr_t object) { return &buckets[(uint64_t)object * 0x9E3779B97F4A7C15u >> 56]; }

static uint64_t token_of(const struct watch *watch) {
    return (uint64_t)watch->generation << 32 | (uint32_t)watch->object;
}

static struct watch *find_locked(intptr_t object) {
    struct watch *watch = *bucket_of(object);
    while (watch != NULL && watch->object != object) watch = watch->next;
    return watch;
}

static struct watch *find_token_locked(uint64_t token) {
    /* Handles and descriptors have 32 bits (on Windows too: sign-extended). */
    struct watch *watch = find_locked((intptr_t)(int32_t)(uint32_t)token);
    return watch != NULL && token_of(watch) == token ? watch : NULL;
}

int watch_take(intptr_t object, const char *function, struct watch **out) {
    struct watch *watch, *made;
    uint32_t epoch;
    int result;
    bool counts = false;
    if (object != (intptr_t)(int32_t)object)
        return error_set(PINTLE_EINVAL, 0, "%s: %p is no %s", function, (void *)object, os_watch_name);
    if ((result = poll_use(function, &epoch)) != 0) return result;
    made = memory_alloc_zero(sizeof *made);
    lock_acquire(&table);
    watch = find_locked(object);
    if (watch == NULL && made != NULL) {
        watch = made;
        made = NULL;
        watch->object = object;
        watch->generation = ++generations;
        watch->epoch = epoch - 1;
        watch->next = *bucket_of(object);
        *bucket_of(object) = watch;
    }
    if (watch != NULL) {
        watch->references++;
        counts = watch->epoch != epoch;
        watch->epoch = epoch;
    }
    lock_release(&table);
    if (!counts) poll_unuse(epoch); /* it is counted already */
    memory_free(made);
    *out = watch;
    return watch != NULL ? 0 : error_set(PINTLE_ENOMEM, 0, "%s: no memory to wait for a %s", function, os_watch_name);
}

void watch_give(struct watch *watch) {
    bool is_last;
    lock_acquire(&table);
    is_last = --watch->references == 0;
    if (is_last) {
        struct watch **link = bucket_of(watch->object);
        while (*link != watch) link = &(*link)->next;
        *link = watch->next;
        if (watch->was_armed && atomic_load_relaxed(&poller.is_made)) {
            watch->to_come -= os_watch_disarm(watch->object, token_of(watch));
            poll_use_more(watch->epoch, watch->to_come); /* until it has come, and was given back */
        }
    }
    lock_release(&table);
    if (!is_last) return;
    poll_unuse(watch->epoch);
    memory_free(watch);
}

int watch_error(int os_code, intptr_t object, const char *function) {
    char message[128];
    os_error_text(os_code, message, sizeof message);
    return error_set(PINTLE_EINVAL, os_code, "%s: %s %lld: %s", function, os_watch_name, (long long)object, message);
}

/* The object itself was good when it was looked at. */
static int arm_error(int os_code, const char *function) {
    char message[128];
    os_error_text(os_code, message, sizeof message);
    return error_set(PINTLE_ELIMIT, os_code, "%s: the system watches no more: %s", function, message);
}

int watch_arm(struct watch *watch, uint32_t events, const char *function) {
    int os_code;
    lock_acquire(&table);
    if (!atomic_load_relaxed(&poller.is_made)) {
        lock_release(&table);
        return error_set(PINTLE_ESTOPPED, 0, "%s: the runtime has stopped", function);
    }
    bool counts = false;
    os_code = os_watch_arm(watch->object, events, token_of(watch), watch->was_armed, &counts);
    if (os_code == 0) watch->was_armed = true;
    watch->to_come += counts;
    lock_release(&table);
    if (os_code == 0) return 0;
    return arm_error(os_code, function);
}

void watch_give_back(struct watch *watch) { os_watch_give_back(watch->object); }

/* ---- What the poller tells ---- */

/* False: nobody was there. */
static bool wake_with(struct watch *watch, int status, bool all) {
    struct guard *guard = guard_of(watch);
    struct waiter *first;
    bool more;
    guard_acquire(guard);
    atomic_store_release(&watch->seen, atomic_load_relaxed(&watch->seen) + 1);
    if (all) {
        first = waiters_claim_all(&watch->waiters, status);
    } else if ((first = waiters_claim_first(&watch->waiters)) != NULL) {
        first->status = status;
        first->next = NULL;
    }
    more = waiters_any(&watch->waiters);
    guard_release(guard);
    if (more) watch_arm(watch, 0, "");
    waiters_wake_chain(first);
    return first != NULL;
}

void watch_ready(const os_ready *ready) {
    struct watch *watch;
    lock_acquire(&table);
    watch = find_token_locked(ready->token);
    if (watch != NULL) {
        watch->references++; /* the last waiter may go any moment */
        if (os_watch_is_used_up()) watch->to_come--;
    }
    lock_release(&table);
    if (watch == NULL) {
        if (!os_watch_is_used_up()) return;
        os_watch_give_back((intptr_t)(int32_t)(uint32_t)ready->token);
        poll_unuse(poll_epoch());
        return;
    }
    if (!wake_with(watch, (int)(ready->events | WATCH_EVENTS_MARK), !os_watch_is_used_up())) watch_give_back(watch);
    watch_give(watch);
}

void watch_stop(void) {
    for (unsigned i = 0; i < BUCKETS; i++) {
        struct watch *watch;
        lock_acquire(&table);
        for (watch = buckets[i]; watch != NULL; watch = watch->next) watch->references++;
        watch = buckets[i];
        lock_release(&table);
        while (watch != NULL) {
            struct watch *next = watch->next; /* who comes now is put in front */
            wake_with(watch, PINTLE_ESTOPPED, true);
            watch_give(watch);
            watch = next;
        }
    }
}

/* ---- Waiting for one ---- */

static int wait_once(struct watch *watch, uint32_t events, int64_t deadline_ns, const char *function) {
    struct guard *guard = guard_of(watch);
    struct waiter waiter;
    enum wake_reason reason;
    uint32_t seen = atomic_load_acquire(&watch->seen);
    int result = watch_arm(watch, events, function);
    if (result != 0 || (result = wait_prepare(&waiter.wait, guard, function)) != 0) return result;
    if (waiter.wait.thread != NULL) poll_call_for(waiter.wait.thread);
    guard_acquire(guard);
    if (atomic_load_relaxed(&watch->seen) != seen) {
        guard_release(guard);
        wait_unprepare(&waiter.wait);
        return WATCH_EVENTS_MARK;
    }
    waiter.status = 0;
    waiters_push(&watch->waiters, &waiter);
    reason = wait_guarded(&waiter, guard, function, deadline_ns, WAIT_CANCELABLE);
    if (reason == WAKE_EVENT) {
        return waiter.status > 0 ? waiter.status : error_set(waiter.status, 0, "%s: the runtime has stopped", function);
    }
    guard_acquire(guard);
    waiters_remove(&watch->waiters, &waiter);
    guard_release(guard);
    return wait_result(reason, deadline_ns, function);
}

static int blocks_thread(intptr_t object, uint32_t events, int64_t deadline_ns, const char *function) {
    uint32_t seen;
    int os_code = os_watch_block(object, events, clock_to_os(deadline_ns), &seen);
    if (os_code != 0) return watch_error(os_code, object, function);
    return seen != 0 ? (int)seen : wait_result(WAKE_DEADLINE, deadline_ns, function);
}

int watch_wait(intptr_t object, uint32_t events, int64_t deadline_ns, const char *function) {
    struct watch *watch = NULL;
    uint32_t seen;
    int os_code, result = deadline_check(deadline_ns, function);
    if (result != 0) return result;
    if (deadline_ns != PINTLE_NOWAIT && !runs_task_code(thread_self()))
        return blocks_thread(object, events, deadline_ns, function);
    for (;;) {
        os_code = os_watch_look(object, events, &seen);
        if (os_code != 0 || seen != 0 || deadline_ns == PINTLE_NOWAIT) break;
        if (watch == NULL && (result = watch_take(object, function, &watch)) != 0) break;
        result = wait_once(watch, events, deadline_ns, function);
        if (result < 0) break;
        seen = (uint32_t)(result & ~WATCH_EVENTS_MARK);
        if (seen != 0 && os_watch_is_used_up()) break;
    }
    if (watch != NULL) watch_give(watch);
    if (os_code != 0) return watch_error(os_code, object, function);
    if (result < 0) return result;
    return seen != 0 ? (int)seen : wait_result(WAKE_DEADLINE, deadline_ns, function);
}
