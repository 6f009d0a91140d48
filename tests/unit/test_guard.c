/* test_guard.c: BIAS: guards that one processor takes without the word, and how others get them. No runtime is started: threads
 * play with records and processors that the cases made. Where the system cannot fence all threads no guard is ever biased, and
 * the cases see just that. Exclusion by the word alone: test_lock.c. */
#include "guard.h"
#include "take.h"

#include "api/api_helpers.h"

enum { MANY = 1 << 16, PLAYERS = 3 };

static struct processor processors[2];
static struct thread records[PLAYERS];
static bool biases; /* whether guards can be biased here */

static void begin(bool may_fence) {
    ck_assert_int_eq(os_self_init(), 0);
    take_init(may_fence);
    biases = take_by_fence != 0;
    guards_begin(biases);
}
static void end(void) {
    os_self_set(NULL);
    guards_end();
    for (size_t i = 0; i < ELEMENTS(guard_table); i++) {
        ck_assert_ptr_null(atomic_load(&guard_table[i].bias));
        ck_assert_uint_eq(atomic_load(&guard_table[i].word), 0);
    }
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < PROCESSOR_INSIDE; k++) ck_assert_ptr_null(atomic_load(&processors[i].inside[k]));
    os_self_shutdown();
}

/* The calling thread is this one from now on, with that processor (NULL: none). */
static void play(int record, struct processor *processor) {
    atomic_store(&records[record].processor, processor);
    os_self_set(&records[record]);
}

static void take(struct guard *guard) {
    guard_acquire(guard);
    guard_release(guard);
}
/* How often the player has to take the guard until it is biased; MANY: it is not by then. */
static unsigned takes_until_biased(struct guard *guard) {
    unsigned n = 0;
    while (n < MANY && atomic_load(&guard->bias) == NULL) {
        take(guard);
        n++;
    }
    return n;
}
static void make_biased(struct guard *guard) { takes_until_biased(guard); }

static struct processor *expected(struct processor *processor) { return biases ? processor : NULL; }

/* ---- Step by step ---- */

CASE(guard_taken_often_by_one_processor_is_taken_without_its_word) {
    struct guard *guard = &guard_table[7];
    begin(true);
    play(0, &processors[0]);
    make_biased(guard);
    ck_assert_ptr_eq(atomic_load(&guard->bias), expected(&processors[0]));
    guard_acquire(guard);
    ck_assert_uint_eq(atomic_load(&guard->word), biases ? 0 : 1);
    ck_assert_ptr_eq(atomic_load(&processors[0].inside[0]), biases ? guard : NULL);
    guard_release(guard);
    ck_assert_ptr_null(atomic_load(&processors[0].inside[0]));
    end();
}

CASE(guard_is_never_biased_without_a_fence) {
    begin(false);
    play(0, &processors[0]);
    ck_assert_uint_eq(takes_until_biased(&guard_table[7]), MANY);
    end();
}

CASE(guard_taken_by_turns_is_not_biased) {
    struct guard *guard = &guard_table[7];
    begin(true);
    for (unsigned i = 0; i < 10000; i++) {
        play(0, &processors[i % 100 == 0]); /* mostly the same, but never for long */
        take(guard);
        ck_assert_ptr_null(atomic_load(&guard->bias));
    }
    end();
}

CASE(outsiders_and_threads_in_calls_do_not_bias) {
    struct guard *guard = &guard_table[7];
    begin(true);
    ck_assert_uint_eq(takes_until_biased(guard), MANY);
    play(0, NULL);
    ck_assert_uint_eq(takes_until_biased(guard), MANY);
    play(0, &processors[0]);
    atomic_store(&records[0].call, CALL_IN);
    ck_assert_uint_eq(takes_until_biased(guard), MANY);
    atomic_store(&records[0].call, CALL_OUT);
    end();
}

CASE(bias_goes_when_another_comes_and_takes_twice_as_long_to_return) {
    struct guard *guard = &guard_table[7];
    unsigned before = 0;
    begin(true);
    for (int i = 0; biases && i < 6; i++) {
        play(0, &processors[0]);
        unsigned takes = takes_until_biased(guard);
        ck_assert_uint_lt(takes, MANY);
        if (i > 0) ck_assert_uint_ge(takes, 2 * before - 2);
        before = takes;
        play(1, &processors[1]);
        guard_acquire(guard);
        ck_assert_ptr_null(atomic_load(&guard->bias));
        ck_assert_uint_eq(atomic_load(&guard->word), 1);
        guard_release(guard);
    }
    end();
}

/* However often it was lost, the way back stays bounded: it may be somebody else's object by then. */
CASE_TIMEOUT(bias_always_returns_at_last, 60) {
    struct guard *guard = &guard_table[7];
    begin(true);
    for (int i = 0; biases && i < 20; i++) {
        play(0, &processors[0]);
        ck_assert_uint_lt(takes_until_biased(guard), MANY);
        play(1, &processors[1]);
        take(guard);
    }
    end();
}

CASE(bias_goes_when_its_own_thread_comes_in_a_call) {
    struct guard *guard = &guard_table[7];
    begin(true);
    play(0, &processors[0]);
    make_biased(guard);
    atomic_store(&records[0].call, CALL_IN); /* and may lose its processor any moment */
    guard_acquire(guard);
    ck_assert_ptr_null(atomic_load(&guard->bias));
    ck_assert_uint_eq(atomic_load(&guard->word), 1);
    guard_release(guard);
    atomic_store(&records[0].call, CALL_OUT);
    end();
}

CASE(processor_takes_its_guards_along_to_another_thread) {
    struct guard *guard = &guard_table[7];
    begin(true);
    play(0, &processors[0]);
    make_biased(guard);
    atomic_store(&records[0].processor, NULL);
    play(1, &processors[0]);
    guard_acquire(guard);
    ck_assert_uint_eq(atomic_load(&guard->word), biases ? 0 : 1);
    guard_release(guard);
    ck_assert_ptr_eq(atomic_load(&guard->bias), expected(&processors[0]));
    end();
}

/* As select does; more than a processor keeps in mind. */
CASE(many_guards_can_be_held_at_once) {
    enum { HELD = 2 * PROCESSOR_INSIDE };
    begin(true);
    play(0, &processors[0]);
    for (int i = 0; i < HELD; i++) make_biased(&guard_table[i]);
    for (int round = 0; round < 1000; round++) {
        unsigned words = 0;
        for (int i = 0; i < HELD; i++) guard_acquire(&guard_table[i]);
        for (int i = 0; i < HELD; i++) words += atomic_load(&guard_table[i].word);
        ck_assert_uint_eq(words, biases ? HELD - PROCESSOR_INSIDE : HELD);
        for (int i = 0; i < HELD; i++) guard_release(&guard_table[round % 2 == 0 ? i : HELD - 1 - i]);
        for (int i = 0; i < HELD; i++) {
            ck_assert_uint_eq(atomic_load(&guard_table[i].word), 0);
            ck_assert_ptr_eq(atomic_load(&guard_table[i].bias), expected(&processors[0]));
        }
    }
    end();
}

CASE(end_of_the_runtime_takes_every_bias) {
    begin(true);
    play(0, &processors[0]);
    for (int i = 0; i < 100; i++) make_biased(&guard_table[i]);
    end();
    ck_assert_uint_eq(takes_until_biased(&guard_table[0]), MANY);
    begin(true);
    play(0, &processors[0]);
    make_biased(&guard_table[0]);
    ck_assert_ptr_eq(atomic_load(&guard_table[0].bias), expected(&processors[0]));
    end();
}

/* ---- Two threads at once ---- */

static atomic_uint came;

static void comes(void *arg) {
    play(1, &processors[1]);
    guard_acquire(arg);
    atomic_store(&came, 1);
    guard_release(arg);
    os_self_set(NULL);
}

CASE(who_comes_waits_for_the_one_inside) {
    struct guard *guard = &guard_table[7];
    helper_thread thread;
    begin(true);
    play(0, &processors[0]);
    make_biased(guard);
    guard_acquire(guard);
    ck_assert(helper_thread_start(&thread, comes, guard));
    /* Until it has taken the bias; and as long again as that may take. */
    for (int i = 0; i < 100; i++) {
        while (biases && atomic_load(&guard->bias) != NULL) os_yield_thread();
        os_yield_thread();
        ck_assert_uint_eq(atomic_load(&came), 0);
    }
    guard_release(guard);
    helper_thread_join(&thread);
    ck_assert_uint_eq(atomic_load(&came), 1);
    end();
}

/* The same two words written and read in both orders: guards_fence on one side is enough, whichever way the guard is taken. */
enum { LITMUS_ROUNDS = 30000 };
static struct {
    alignas(64) atomic_uint shown;
    alignas(64) atomic_uint asked;
    alignas(64) atomic_uint round[2];
    unsigned saw[2];
    unsigned missed, biased;
} litmus;

static void meet(int me, unsigned round) {
    atomic_store(&litmus.round[me], round);
    for (unsigned spins = 0; atomic_load(&litmus.round[1 - me]) < round; spins++) {
        if (spins < 1000)
            arch_pause();
        else
            os_yield_thread();
    }
}

static void asks(void *arg) {
    (void)arg;
    for (unsigned i = 1; i <= LITMUS_ROUNDS / TEST_SLOWNESS; i++) {
        meet(1, 2 * i);
        atomic_store(&litmus.asked, i);
        guards_fence();
        litmus.saw[1] = atomic_load_relaxed(&litmus.shown) == i;
        meet(1, 2 * i + 1);
    }
}

CASE_TIMEOUT(who_asks_is_seen_or_sees_who_is_inside, 60) {
    struct guard *guard = &guard_table[7];
    helper_thread thread;
    begin(true);
    play(0, &processors[0]);
    make_biased(guard);
    ck_assert(helper_thread_start(&thread, asks, NULL));
    for (unsigned i = 1; i <= LITMUS_ROUNDS / TEST_SLOWNESS; i++) {
        meet(0, 2 * i);
        atomic_store_relaxed(&litmus.shown, i);
        guard_acquire(guard);
        litmus.saw[0] = atomic_load_relaxed(&litmus.asked) == i;
        litmus.biased += atomic_load(&guard->word) == 0;
        guard_release(guard);
        meet(0, 2 * i + 1);
        litmus.missed += litmus.saw[0] + litmus.saw[1] == 0;
    }
    helper_thread_join(&thread);
    ck_assert_uint_eq(litmus.missed, 0);
    ck_assert_uint_eq(litmus.biased, biases ? LITMUS_ROUNDS / TEST_SLOWNESS : 0);
    end();
}

/* ---- Everybody at once: threads that take turns with two processors, and do without one now and then ---- */

enum { OBJECTS = 3, STORM_TURNS = 4000 };
typedef struct object {
    volatile uint64_t plain, copy;
    atomic_uint inside;
} object;
static struct {
    object objects[OBJECTS];
    atomic_flag held[2]; /* the processors; carries what its holder wrote */
    atomic_uint next, crowded, torn, uses, biased;
    uint64_t seed;
} storm;

static void use(unsigned which) {
    object *o = &storm.objects[which];
    struct guard *guard = &guard_table[which];
    guard_acquire(guard);
    if (atomic_load(&guard->word) == 0) atomic_fetch_add(&storm.biased, 1);
    if (guard->by_word) guard->losses = 0; /* soon biased again */
    if (atomic_fetch_add_explicit(&o->inside, 1, memory_order_relaxed) != 0) atomic_fetch_add(&storm.crowded, 1);
    if (o->plain != o->copy) atomic_fetch_add(&storm.torn, 1);
    o->plain = o->plain + 1;
    o->copy = o->copy + 1;
    atomic_fetch_sub_explicit(&o->inside, 1, memory_order_relaxed);
    guard_release(guard);
}

static void storm_player(void *arg) {
    int me = (int)atomic_fetch_add(&storm.next, 1);
    helper_random random = helper_random_from(storm.seed + (unsigned)me);
    unsigned uses = 0;
    (void)arg;
    for (unsigned turn = 0; turn < STORM_TURNS / TEST_SLOWNESS; turn++) {
        unsigned processor = helper_random_below(&random, 3), which = helper_random_below(&random, OBJECTS);
        bool has = processor < 2 && !atomic_flag_test_and_set_explicit(&storm.held[processor], memory_order_acquire);
        unsigned burst = has ? helper_random_below(&random, 8) == 0 ? 3000 : helper_random_below(&random, 600) : 1;
        play(me, has ? &processors[processor] : NULL);
        for (unsigned i = 0; i < burst; i++) {
            bool both = helper_random_below(&random, 16) == 0;
            if (both) guard_acquire(&guard_table[OBJECTS]); /* one more, held around it */
            use(which);
            if (both) guard_release(&guard_table[OBJECTS]);
        }
        uses += burst;
        play(me, NULL);
        if (has) atomic_flag_clear_explicit(&storm.held[processor], memory_order_release);
    }
    atomic_fetch_add(&storm.uses, uses);
    os_self_set(NULL);
}

CASE_TIMEOUT(processors_and_outsiders_never_meet_inside, 120) {
    helper_thread threads[PLAYERS];
    uint64_t uses = 0;
    storm.seed = test_seed();
    begin(true);
    for (int i = 0; i < PLAYERS; i++) ck_assert(helper_thread_start(&threads[i], storm_player, NULL));
    for (int i = 0; i < PLAYERS; i++) helper_thread_join(&threads[i]);
    for (int i = 0; i < OBJECTS; i++) {
        uses += storm.objects[i].plain;
        ck_assert_uint_eq(storm.objects[i].plain, storm.objects[i].copy);
    }
    printf("%u uses, %u by a bias\n", atomic_load(&storm.uses), atomic_load(&storm.biased));
    ck_assert_uint_eq(uses, atomic_load(&storm.uses));
    ck_assert_uint_eq(atomic_load(&storm.torn), 0);
    ck_assert_uint_eq(atomic_load(&storm.crowded), 0);
    if (biases) ck_assert_uint_gt(atomic_load(&storm.biased), 0);
    end();
}
