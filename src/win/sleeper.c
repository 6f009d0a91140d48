/* sleeper.c (Windows): waiting on a word with a precise deadline.
 *
 * The time-outs of RtlWaitOnAddress end at the system's ticks: 15.6 ms apart, if nobody in the process asked for more.
 * A high-resolution timer is precise to 0.5 ms, but must be waited for as a handle. So a timed wait is a record in a
 * hash table, with an event and such a timer; a wake looks in the table first.
 *
 * Threads: any. Locks: one for each bucket, over its list and the records in it; pool_lock, over the pool. Never two.
 * Order: a waiter counts itself, full fence, compares the word; a waker has changed the word, full fence, reads the
 * count: one of the two sees the other.
 * Invariants: a record is on a list exactly while it waits and nobody has woken it; who takes it off has set its event
 * by the time the bucket's lock is free again. Tests: tests/win/test_sleeper.c. */
#include "sleeper.h"

enum { BUCKETS = 64, POOL_MAX = 16 };

typedef struct sleeper {
    struct sleeper *next;
    _Atomic uint32_t *word;
    bool listed;
    HANDLE event, timer; /* in this order for WaitForMultipleObjects: a wake goes before the deadline */
} sleeper;

typedef struct bucket {
    alignas(CACHE_LINE) SRWLOCK lock; /* zero is SRWLOCK_INIT */
    sleeper *first;
    _Atomic uint32_t count;
} bucket;

static bucket buckets[BUCKETS];
static SRWLOCK pool_lock = SRWLOCK_INIT;
static sleeper *pool;
static unsigned pool_count;

/* ---- Records ---- */

static void sleeper_destroy(sleeper *s) {
    if (s->event != NULL) CloseHandle(s->event);
    if (s->timer != NULL) CloseHandle(s->timer);
    memory_free(s);
}

static sleeper *sleeper_create(void) {
    sleeper *s = memory_alloc_zero(sizeof *s);
    if (s == NULL) return NULL;
    s->event = fail_now(FAIL_MEMORY) ? NULL : CreateEventW(NULL, FALSE, FALSE, NULL);
    s->timer = fail_now(FAIL_MEMORY) ? NULL : win_timer_create();
    if (s->event != NULL && s->timer != NULL) return s;
    sleeper_destroy(s);
    return NULL;
}

static sleeper *sleeper_take(void) {
    AcquireSRWLockExclusive(&pool_lock);
    sleeper *s = pool;
    if (s != NULL) {
        pool = s->next;
        pool_count--;
    }
    ReleaseSRWLockExclusive(&pool_lock);
    return s != NULL ? s : sleeper_create();
}

static void sleeper_give(sleeper *s) {
    AcquireSRWLockExclusive(&pool_lock);
    bool kept = pool_count < POOL_MAX;
    if (kept) {
        s->next = pool;
        pool = s;
        pool_count++;
    }
    ReleaseSRWLockExclusive(&pool_lock);
    if (!kept) sleeper_destroy(s);
}

void sleepers_release(void) {
    AcquireSRWLockExclusive(&pool_lock);
    sleeper *s = pool;
    pool = NULL;
    pool_count = 0;
    ReleaseSRWLockExclusive(&pool_lock);
    while (s != NULL) {
        sleeper *next = s->next;
        sleeper_destroy(s);
        s = next;
    }
}

/* ---- The table ---- */

static bucket *bucket_of(const _Atomic uint32_t *word) {
    uint64_t hash = (uint64_t)(uintptr_t)word * 0x9E3779B97F4A7C15u;
    return &buckets[hash >> 58];
}

static void list_add_locked(bucket *b, sleeper *s, _Atomic uint32_t *word) {
    s->word = word;
    s->listed = true;
    s->next = b->first;
    b->first = s;
    (void)atomic_add_relaxed(&b->count, 1);
}

static void list_remove_locked(bucket *b, sleeper **link) {
    sleeper *s = *link;
    *link = s->next;
    s->listed = false;
    (void)atomic_sub_relaxed(&b->count, 1);
}

static void list_withdraw_locked(bucket *b, const sleeper *s) {
    sleeper **link = &b->first;
    while (*link != s) link = &(*link)->next;
    list_remove_locked(b, link);
}

/* False if the word has another value already. */
static bool sleeper_announce(bucket *b, sleeper *s, _Atomic uint32_t *word, uint32_t expected) {
    AcquireSRWLockExclusive(&b->lock);
    list_add_locked(b, s, word);
    atomic_fence_full(); /* pairs with timed_wake */
    bool waits = atomic_load_relaxed(word) == expected;
    if (!waits) list_withdraw_locked(b, s);
    ReleaseSRWLockExclusive(&b->lock);
    return waits;
}

/* After a time-out: off the list; or, if a waker was faster, takes the event that it has set. */
static void sleeper_withdraw(bucket *b, sleeper *s) {
    AcquireSRWLockExclusive(&b->lock);
    bool listed = s->listed;
    if (listed) list_withdraw_locked(b, s);
    ReleaseSRWLockExclusive(&b->lock);
    if (!listed) WaitForSingleObject(s->event, INFINITE);
}

/* Until a wake (true) or the deadline. */
static bool sleeper_sleep(const sleeper *s, int64_t deadline_ns) {
    enum { UNIT_NS = 100 };
    const HANDLE handles[2] = {s->event, s->timer};
    for (int64_t now_ns = os_now_ns(); now_ns < deadline_ns; now_ns = os_now_ns()) {
        LARGE_INTEGER due = {.QuadPart = -((deadline_ns - now_ns - 1) / UNIT_NS + 1)};
        if (fail_now(FAIL_WAIT) || !SetWaitableTimer(s->timer, &due, 0, NULL, NULL, FALSE)) return false;
        if (WaitForMultipleObjects(2, handles, FALSE, INFINITE) == WAIT_OBJECT_0) return true;
    }
    return false;
}

bool timed_wait(_Atomic uint32_t *word, uint32_t expected, int64_t deadline_ns) {
    sleeper *s = sleeper_take();
    if (s == NULL) return false;
    bucket *b = bucket_of(word);
    if (sleeper_announce(b, s, word, expected) && !sleeper_sleep(s, deadline_ns)) sleeper_withdraw(b, s);
    sleeper_give(s);
    return true;
}

/* The oldest of a word is the last of its records in the list. */
static sleeper **oldest_locked(bucket *b, const _Atomic uint32_t *word) {
    sleeper **oldest = NULL;
    for (sleeper **link = &b->first; *link != NULL; link = &(*link)->next)
        if ((*link)->word == word) oldest = link;
    return oldest;
}

unsigned timed_wake(_Atomic uint32_t *word, bool all) {
    bucket *b = bucket_of(word);
    atomic_fence_full(); /* pairs with sleeper_announce */
    if (LIKELY(atomic_load_relaxed(&b->count) == 0)) return 0;
    unsigned woken = 0;
    sleeper **link;
    AcquireSRWLockExclusive(&b->lock);
    while ((all || woken == 0) && (link = oldest_locked(b, word)) != NULL) {
        HANDLE event = (*link)->event;
        list_remove_locked(b, link);
        SetEvent(event);
        woken++;
    }
    ReleaseSRWLockExclusive(&b->lock);
    return woken;
}
