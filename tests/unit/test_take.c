/* test_take.c: processors taken from calls, in both ways, and the fence that the one rests on. No runtime is started: the
 * cases play both sides, on records that they made. */
#include "take.h"

#include "api/api_helpers.h"

static struct thread record;
enum { TICK = 7 };
#define WORD(state) ((uint64_t)TICK * CALL_TICK + (state))
#define LEFT_WORD ((uint64_t)(TICK + 1) * CALL_TICK + CALL_OUT)

static void in_call(void) {
    memset(&record, 0, sizeof record);
    atomic_store(&record.call, WORD(CALL_IN));
}

static void assert_settled(void) {
    ck_assert_uint_eq(atomic_load(&record.take), 0);
    ck_assert_uint_eq(atomic_load(&record.attention), 0);
}

/* ---- Step by step ---- */

static void assert_taken_from_a_call_that_goes_on(void) {
    in_call();
    ck_assert(take_from(&record, WORD(CALL_IN)));
    ck_assert_uint_eq(atomic_load(&record.call), WORD(CALL_TAKEN));
    ck_assert(take_happened(&record, WORD(CALL_TAKEN)));
    assert_settled();
}

CASE(call_that_goes_on_loses_its_processor) {
    take_init(true);
    assert_taken_from_a_call_that_goes_on();
}
CASE(call_that_goes_on_loses_its_processor_without_a_fence) {
    take_init(false);
    assert_taken_from_a_call_that_goes_on();
}

static void assert_not_taken_from_what_has_ended(void) {
    in_call();
    atomic_store(&record.call, LEFT_WORD);
    ck_assert(!take_from(&record, WORD(CALL_IN)));
    ck_assert_uint_eq(atomic_load(&record.call), LEFT_WORD);
    ck_assert(!take_happened(&record, LEFT_WORD));
    assert_settled();
}

CASE(call_that_has_ended_keeps_it) {
    take_init(true);
    assert_not_taken_from_what_has_ended();
}
CASE(call_that_has_ended_keeps_it_without_a_fence) {
    take_init(false);
    assert_not_taken_from_what_has_ended();
}

/* The owner has read IN before, and stores OUT over TAKEN. */
CASE(owner_that_is_just_leaving_learns_that_it_lost_its_processor) {
    take_init(true);
    if (!take_by_fence) return; /* there a swap decides */
    in_call();
    ck_assert(take_from(&record, WORD(CALL_IN)));
    atomic_store(&record.call, LEFT_WORD);
    ck_assert(take_happened(&record, LEFT_WORD));
    assert_settled();
}

CASE(owner_that_sees_the_question_first_keeps_its_processor) {
    take_init(true);
    if (!take_by_fence) return;
    in_call();
    atomic_store(&record.take, WORD(CALL_IN)); /* T1 */
    atomic_store(&record.attention, ATTENTION_TAKE);
    atomic_store(&record.call, LEFT_WORD);
    ck_assert(!take_happened(&record, LEFT_WORD));
    ck_assert_uint_eq(atomic_load(&record.take), 0); /* so T4 fails, and the taker ends it */
}

CASE(other_attention_is_left_alone) {
    take_init(true);
    in_call();
    atomic_store(&record.attention, ATTENTION_YIELD);
    ck_assert(take_from(&record, WORD(CALL_IN)));
    ck_assert(take_happened(&record, WORD(CALL_TAKEN)));
    ck_assert_uint_eq(atomic_load(&record.attention), ATTENTION_YIELD);
}

CASE(thread_that_is_left_behind_is_so_by_either_word) {
    for (int fence = 0; fence < 2; fence++) {
        take_init(fence != 0);
        in_call();
        ck_assert(!thread_is_left_behind(&record));
        ck_assert(take_leave_behind(&record, WORD(CALL_IN)));
        ck_assert(thread_is_left_behind(&record));
        if (take_by_fence) {
            atomic_store(&record.call, LEFT_WORD); /* by an owner that is just leaving */
            ck_assert(thread_is_left_behind(&record));
        }
        in_call();
        atomic_store(&record.call, WORD(CALL_AWAY));
        ck_assert(take_leave_behind(&record, WORD(CALL_AWAY)));
        ck_assert(thread_is_left_behind(&record));
        in_call();
        atomic_store(&record.call, LEFT_WORD);
        ck_assert(!take_leave_behind(&record, WORD(CALL_IN)));
        ck_assert(!thread_is_left_behind(&record));
    }
}

/* ---- An owner and a taker at once ----
 * The owner's part is what the assembly does: plain stores, no fence. What the one whose the processor is writes plainly, nobody
 * else does. */
typedef struct race {
    atomic_uint takes, losses, mixed;
    atomic_bool over, given_back;
    unsigned long long users; /* of the processor: plain */
} race;
enum { CALLS = 300000 };

static void uses(race *r) {
    unsigned long long before = r->users;
    *(volatile unsigned long long *)&r->users = before + 1;
    if (r->users != before + 1) atomic_fetch_add(&r->mixed, 1);
}

static void taker(void *arg) {
    race *r = arg;
    while (!atomic_load(&r->over)) {
        uint64_t word = atomic_load_acquire(&record.call);
        if (call_state(word) != CALL_IN || !take_from(&record, word)) continue;
        for (int i = 0; i < 3; i++) uses(r);
        atomic_fetch_add(&r->takes, 1);
        atomic_store(&r->given_back, true);
    }
}

static bool leaves(void) {
    uint64_t word = atomic_load_acquire(&record.call);
    if (call_state(word) == CALL_IN) {
        if (take_by_fence) {
            atomic_store_release(&record.call, word + CALL_LEAVE_STEP);
            atomic_signal_fence(memory_order_seq_cst);
            if (atomic_load_relaxed(&record.attention) == 0) return true;
            return !take_happened(&record, word + CALL_LEAVE_STEP);
        }
        if (atomic_cas_acq_rel(&record.call, &word, word + CALL_LEAVE_STEP)) return true;
    }
    if (!take_happened(&record, word)) return true;
    atomic_store_release(&record.call, word - CALL_TAKEN + CALL_TICK);
    return false;
}

static void assert_owner_and_taker_agree(void) {
    static race r;
    helper_thread thread;
    unsigned long long calls = 0;
    memset(&r, 0, sizeof r);
    memset(&record, 0, sizeof record);
    ck_assert(helper_thread_start(&thread, taker, &r));
    /* Until both have happened often; on one CPU a race is rare. */
    for (; calls < CALLS / TEST_SLOWNESS || atomic_load(&r.takes) < 100; calls++) {
        atomic_store_release(&record.call, atomic_load_relaxed(&record.call) + CALL_IN);
        for (unsigned i = 0; i < calls % 100; i++) arch_pause();
        if (leaves()) {
            uses(&r);
        } else {
            atomic_fetch_add(&r.losses, 1);
            while (!atomic_load(&r.given_back)) arch_pause();
            atomic_store(&r.given_back, false);
        }
    }
    atomic_store(&r.over, true);
    helper_thread_join(&thread);
    printf("%llu calls, %u taken\n", calls, atomic_load(&r.takes));
    ck_assert_uint_eq(atomic_load(&r.mixed), 0);
    ck_assert_uint_eq(atomic_load(&r.takes), atomic_load(&r.losses));
    ck_assert_uint_eq(r.users, calls - r.losses + 3 * (unsigned long long)r.takes);
}

CASE_TIMEOUT(owner_and_taker_agree_on_every_call, 60) {
    take_init(true);
    assert_owner_and_taker_agree();
}
CASE_TIMEOUT(owner_and_taker_agree_on_every_call_without_a_fence, 60) {
    take_init(false);
    assert_owner_and_taker_agree();
}
