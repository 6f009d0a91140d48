/* select.c: waiting for the first of several channels, events and timers.
 *
 *   1 Without guards: which cases look as if they could run? One of them, by chance, is tried under its own guard.
 *   2 All guards, in the order of their addresses: again, now for certain; none, and NOWAIT: EAGAIN.
 *   3 Still with all guards: the claim is opened, a waiter queued for each case. Guards released, the task waits (a free wait,
 *     wait.h). Whoever serves one of the waiters has to win the claim, so one case runs, and no other is used up.
 *   4 The other waiters are taken off their queues.
 * The waiter that was served is the one whose status was written.
 *
 * Threads: any. Locks: guards. Drawn from Go's select. Tests: tests/api/test_select.c, tests/stress/test_chan.c,
 * tests/model/select.pml. */
#include "chan.h"
#include "clock.h"
#include "error.h"
#include "memory.h"
#include "scheduler.h"
#include "select.h"
#include "user_timer.h"
#include "watch.h"

enum { CASES_ON_STACK = 16, NOT_SERVED = 1 };

struct place {
    struct guard *guard; /* sorted, not the case's */
    struct waiter waiter;
};

static const char function[] = "pintle_select";

/* ---- Chance ---- */

static _Atomic uint32_t outside_random = 2463534242u;

uint32_t select_chance(uint32_t limit) {
    struct processor *processor;
    uint32_t random;
    if (limit == 1) return 0;
    processor = thread_own_processor();
    if (processor != NULL) {
        random = processor_random(processor);
    } else {
        random = random_step(atomic_load_relaxed(&outside_random));
        atomic_store_relaxed(&outside_random, random);
    }
    return (uint32_t)((uint64_t)random * limit >> 32);
}

void pintle_select_seed(uint32_t seed) {
    struct processor *processor = thread_own_processor();
    if (seed == 0) seed = 2463534242u; /* a state of 0 would stay 0 */
    if (processor != NULL) {
        processor->random = seed;
    } else {
        atomic_store_relaxed(&outside_random, seed);
    }
}

/* ---- Cases ---- */

static _Atomic uint32_t *event_word(const pintle_event *event) { return (_Atomic uint32_t *)(uintptr_t)&event->set; }

/* Armed, and seen since. */
static bool watch_is_seen(const pintle_case *c) {
    return atomic_load_acquire(&((struct watch *)c->on)->seen) != (uint32_t)(uintptr_t)c->item;
}

/* True: it can run; without the guard, a hint. */
static inline bool may_run(const pintle_case *c) {
    if (c->on == NULL) return false;
    if (c->op == PINTLE_CASE_RECV) return chan_may_recv(c->on);
    if (c->op == PINTLE_CASE_SEND) return chan_may_send(c->on);
    if (c->op == PINTLE_CASE_TIMER) return user_timer_is_due(c->on);
    if (c->op == CASE_WATCH) return watch_is_seen(c);
    return atomic_load_acquire(event_word(c->on)) != 0;
}

static inline struct waiters *queue_of(const pintle_case *c) {
    if (c->op == PINTLE_CASE_EVENT) return WAITERS_OF(((pintle_event *)c->on)->waiters);
    if (c->op == PINTLE_CASE_TIMER) return &((struct pintle_timer *)c->on)->waiters;
    if (c->op == CASE_WATCH) return &((struct watch *)c->on)->waiters;
    struct pintle_chan *chan = c->on;
    return c->op == PINTLE_CASE_RECV ? &chan->receivers : &chan->senders;
}

static inline size_t item_bytes_of(const pintle_case *c) {
    return c->op <= PINTLE_CASE_RECV ? ((struct pintle_chan *)c->on)->item_bytes : 0;
}

/* Under the case's guard: false if it has to wait. */
static bool run_locked(pintle_case *c, struct chan_wake *out_wake) {
    int status = 0;
    out_wake->waiter = NULL;
    if (c->op == PINTLE_CASE_RECV) {
        status = chan_recv_locked(c->on, c->item, out_wake);
    } else if (c->op == PINTLE_CASE_SEND) {
        status = chan_send_locked(c->on, c->item, out_wake);
    } else if (c->op == PINTLE_CASE_TIMER) {
        if (!user_timer_receive_locked(c->on, c->item)) status = CHAN_WOULD_WAIT;
    } else if (c->op == CASE_WATCH) {
        if (!watch_is_seen(c)) status = CHAN_WOULD_WAIT;
    } else if (atomic_load_acquire(event_word(c->on)) == 0) {
        status = CHAN_WOULD_WAIT;
    }
    if (status == CHAN_WOULD_WAIT) return false;
    c->status = status;
    return true;
}

/* One of those that can run, each as likely; n: none. */
static size_t pick(const pintle_case *cases, size_t n) {
    uint32_t count = 0, chosen;
    size_t i;
    for (i = 0; i < n; i++) count += may_run(&cases[i]);
    if (count == 0) return n;
    chosen = select_chance(count);
    for (i = 0; i < n; i++) {
        if (may_run(&cases[i]) && chosen-- == 0) break;
    }
    return i; /* n: some have gone meanwhile */
}

/* *out_watched: there are descriptors or handles among them. */
static int check_cases(const pintle_case *cases, size_t n, bool *out_watched) {
    *out_watched = false;
    if (n > INT_MAX || (cases == NULL && n != 0))
        return error_set(PINTLE_EINVAL, 0, "%s: no cases, or too many", function);
    for (size_t i = 0; i < n; i++) {
        if (cases[i].op < PINTLE_CASE_SEND || cases[i].op > PINTLE_CASE_FD) {
            return error_set(PINTLE_EINVAL, 0,
                             "%s: case %zu has op %u: use pintle_case_send, _recv, _event, _timer, _handle or _fd",
                             function, i, cases[i].op);
        }
        *out_watched |= cases[i].op >= PINTLE_CASE_HANDLE && cases[i].on != NULL;
        if (cases[i].op == PINTLE_CASE_SEND && cases[i].on != NULL && cases[i].item == NULL &&
            item_bytes_of(&cases[i]) != 0) {
            return error_set(PINTLE_EINVAL, 0, "%s: case %zu sends a NULL item", function, i);
        }
    }
    return 0;
}

/* ---- Guards ---- */

static int compare_guards(const void *left, const void *right) {
    uintptr_t a = (uintptr_t)((const struct place *)left)->guard, b = (uintptr_t)((const struct place *)right)->guard;
    return a < b ? -1 : a > b;
}

/* Few are sorted here; the others' sort may allocate. */
static void sort_guards(struct place *places, size_t n) {
    if (n > CASES_ON_STACK) {
        qsort(places, n, sizeof *places, compare_guards);
        return;
    }
    for (size_t i = 1; i < n; i++) {
        struct guard *guard = places[i].guard;
        size_t at = i;
        for (; at > 0 && (uintptr_t)places[at - 1].guard > (uintptr_t)guard; at--)
            places[at].guard = places[at - 1].guard;
        places[at].guard = guard;
    }
}

/* NULL guards, of disabled cases, come first. Objects may share one. */
static void acquire_all(const struct place *places, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (places[i].guard != NULL && (i == 0 || places[i].guard != places[i - 1].guard))
            guard_acquire(places[i].guard);
    }
}

static void release_all(const struct place *places, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (places[i].guard != NULL && (i == 0 || places[i].guard != places[i - 1].guard))
            guard_release(places[i].guard);
    }
}

/* ---- Waiting ---- */

static int nothing_ran(enum wake_reason reason, int64_t deadline_ns) {
    return wait_result(reason, deadline_ns, function);
}

/* Steps 3 and 4. The guards are held, and released. */
static int wait_for_one(pintle_case *cases, struct place *places, size_t n, int64_t deadline_ns) {
    struct wait wait;
    enum wake_reason reason;
    int result = wait_begin(&wait, function);
    size_t served = n;
    for (size_t i = 0; i < n && result == 0; i++) {
        struct waiter *waiter = &places[i].waiter;
        waiter->status = NOT_SERVED;
        if (cases[i].on == NULL) continue;
        waiter->wait = wait;
        waiter->guarded = false;
        waiter->item = cases[i].item;
        waiters_push(queue_of(&cases[i]), waiter);
        if (cases[i].op == PINTLE_CASE_SEND) chan_tell(cases[i].on);
    }
    release_all(places, n);
    if (result != 0) return result;
    reason = wait_finish(&wait, deadline_ns);
    if (reason == WAKE_EVENT) {
        for (served = 0; places[served].waiter.status == NOT_SERVED;) served++;
        cases[served].status = places[served].waiter.status;
    }
    for (size_t i = 0; i < n; i++) {
        if (cases[i].on == NULL || i == served) continue;
        struct guard *guard = guard_of(cases[i].on);
        guard_acquire(guard);
        waiters_remove(queue_of(&cases[i]), &places[i].waiter);
        if (cases[i].op == PINTLE_CASE_SEND) chan_tell(cases[i].on);
        guard_release(guard);
    }
    return reason == WAKE_EVENT ? (int)served : nothing_ran(reason, deadline_ns);
}

static int select_locked(pintle_case *cases, struct place *places, size_t n, int64_t deadline_ns) {
    size_t i;
    for (i = 0; i < n; i++) places[i].guard = cases[i].on != NULL ? guard_of(cases[i].on) : NULL;
    sort_guards(places, n);
    acquire_all(places, n);
    while ((i = pick(cases, n)) < n) {
        struct chan_wake wake;
        if (!run_locked(&cases[i], &wake)) continue; /* those who waited there are gone; it does not look so any more */
        size_t item_bytes = item_bytes_of(&cases[i]);
        release_all(places, n);
        chan_deliver(&wake, item_bytes);
        return (int)i;
    }
    if (deadline_ns != PINTLE_NOWAIT) return wait_for_one(cases, places, n, deadline_ns);
    release_all(places, n);
    return nothing_ran(WAKE_DEADLINE, deadline_ns);
}

bool select_try(pintle_case *c) {
    struct guard *guard = guard_of(c->on);
    size_t item_bytes = item_bytes_of(c);
    struct chan_wake wake;
    if (!may_run(c)) return false;
    guard_acquire(guard);
    bool ran = run_locked(c, &wake);
    guard_release(guard);
    if (LIKELY(ran)) chan_deliver(&wake, item_bytes);
    return ran;
}

int select_cases(pintle_case *cases, size_t n, int64_t deadline_ns) {
    struct place few[CASES_ON_STACK], *places = few;
    size_t i = pick(cases, n);
    int result;
    if (LIKELY(i < n) && LIKELY(select_try(&cases[i]))) return (int)i;
    if (n > CASES_ON_STACK && (places = memory_alloc(n * sizeof *places)) == NULL) {
        return error_set(PINTLE_ENOMEM, 0, "%s: no memory for %zu cases", function, n);
    }
    result = select_locked(cases, places, n, deadline_ns);
    if (places != few) memory_free(places);
    return result;
}

int pintle_select(pintle_case *cases, size_t n, int64_t deadline_ns) {
    bool is_watched;
    int result = deadline_check(deadline_ns, function);
    if (UNLIKELY(result != 0) || UNLIKELY((result = check_cases(cases, n, &is_watched)) != 0)) return result;
    return UNLIKELY(is_watched) ? select_watched(cases, n, deadline_ns) : select_cases(cases, n, deadline_ns);
}
