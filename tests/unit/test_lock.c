/* test_lock.c: the short lock and the guards: exclusion, also when its holders are long and its waiters sleep; ranks in debug builds. */
#include "api/api_helpers.h"

#include "guard.h"

typedef struct shared {
    struct lock lock;
    uint32_t word;
    bool guarded;
    unsigned threads, rounds;
    int64_t hold_ns;
    volatile uint64_t plain; /* two words that only the holder may see differ */
    volatile uint64_t copy;
    atomic_uint torn, inside, crowded;
} shared;

static void take(shared *s) {
    if (s->guarded)
        guard_acquire(guard_of(&s->word));
    else
        lock_acquire(&s->lock);
}
static void give(shared *s) {
    if (s->guarded)
        guard_release(guard_of(&s->word));
    else
        lock_release(&s->lock);
}
static void shared_thread(void *arg) {
    shared *s = arg;
    for (unsigned i = 0; i < s->rounds; i++) {
        take(s);
        if (atomic_fetch_add(&s->inside, 1) != 0) atomic_fetch_add(&s->crowded, 1);
        if (s->plain != s->copy) atomic_fetch_add(&s->torn, 1);
        s->plain = s->plain + 1;
        if (s->hold_ns > 0) helper_compute(s->hold_ns);
        s->copy = s->copy + 1;
        atomic_fetch_sub(&s->inside, 1);
        give(s);
    }
}
static void share(bool guarded, unsigned threads, unsigned rounds, int64_t hold_ns) {
    shared s = {.guarded = guarded, .threads = threads, .rounds = rounds, .hold_ns = hold_ns};
    helper_thread handles[8];
    lock_init(&s.lock, RANK_LEAF);
    for (unsigned i = 0; i < threads; i++) ck_assert(helper_thread_start(&handles[i], shared_thread, &s));
    for (unsigned i = 0; i < threads; i++) helper_thread_join(&handles[i]);
    ck_assert_uint_eq(s.plain, threads * rounds);
    ck_assert_uint_eq(s.copy, threads * rounds);
    ck_assert_uint_eq(s.torn, 0);
    ck_assert_uint_eq(s.crowded, 0);
    ck_assert_uint_eq(s.lock.word, 0);
    ck_assert_uint_eq(guard_of(&s.word)->word, 0);
}

CASE(lock_keeps_eight_threads_apart) {
    share(false, 8, 20000, 0);
    share(true, 8, 20000, 0);
}

/* Held for longer than waiters spin: they sleep, and each release must wake one. */
CASE(lock_held_long_wakes_its_waiters) {
    share(false, 4, 500, PINTLE_US(50));
    share(true, 4, 500, PINTLE_US(50));
}

CASE(lock_initialised_statically_is_free) {
    static struct lock lock = LOCK_INIT(RANK_POOL);
    lock_acquire(&lock);
    ck_assert_uint_ne(lock.word, 0);
    lock_release(&lock);
    ck_assert_uint_eq(lock.word, 0);
}

CASE(guards_of_neighbours_differ) {
    uint64_t neighbours[8];
    for (int i = 1; i < 8; i++) ck_assert(guard_of(&neighbours[i]) != guard_of(&neighbours[i - 1]));
    ck_assert(guard_of(&neighbours[0]) == guard_of(&neighbours[0]));
}

CASE(locks_in_rising_rank_may_be_held_together) {
    struct lock low, high;
    struct guard *object = &guard_table[1], *second = &guard_table[2];
    lock_init(&low, RANK_RUNTIME);
    lock_init(&high, RANK_SCHED);
    lock_acquire(&low);
    guard_acquire(object);
    guard_acquire(second); /* guards alone may be equal in rank */
    lock_acquire(&high);
    lock_release(&high);
    guard_release(object);
    guard_release(second);
    lock_release(&low);
    ck_assert_uint_eq(low.word | high.word | object->word | second->word, 0);
}

CHILD(rank_falls) {
    struct lock low, high;
    lock_init(&low, RANK_TIMERS);
    lock_init(&high, RANK_SCHED);
    lock_acquire(&high);
    lock_acquire(&low);
    printf("survived\n");
}
CHILD(rank_not_held) {
    struct lock lock;
    lock_init(&lock, RANK_SCHED);
    lock_release(&lock);
    printf("survived\n");
}

DEBUG_CASE(lock_ranks_are_checked) {
    const char *const children[] = {"rank_falls", "rank_not_held"};
    for (int i = 0; i < 2; i++) {
        char text[4096];
        ck_assert_int_ne(child_run(children[i], text, sizeof text), 0);
        ck_assert_msg(strstr(text, "rank") != NULL, "%s", text);
        ck_assert_msg(strstr(text, "survived") == NULL, "%s", text);
    }
}
