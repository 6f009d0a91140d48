/* Thunks: function pointers for foreign code: how many, how they come back, what they pass and what they answer when
 * nothing can run. */
#include "api_helpers.h"

typedef uintptr_t any_fn(uintptr_t);

static uintptr_t call_thunk(pintle_thunk *thunk, uintptr_t word) {
    return ((any_fn *)(uintptr_t)pintle_thunk_pointer(thunk))(word);
}

/* Runs fn(arg) as foreign code of a call. */
typedef struct in_call {
    int (*fn)(void *);
    void *arg;
} in_call;
static int in_call_main(void *arg) {
    const in_call *c = arg;
    return pintle_call(c->fn, c->arg);
}
static int run_in_call(int (*fn)(void *), void *arg) {
    in_call c = {fn, arg};
    return helper_run(in_call_main, &c, 2);
}

static uintptr_t user_plus_word(void *user, const uintptr_t *args) { return (uintptr_t)user + args[0]; }

/* ---- How many ---- */

static pintle_thunk *all[PINTLE_THUNKS_MOST];

static int make_all(void) {
    for (size_t i = 0; i < ELEMENTS(all); i++)
        if (pintle_thunk_new(&all[i], user_plus_word, (void *)(uintptr_t)(i * 1000), 1, 0) != 0) return (int)i;
    return (int)ELEMENTS(all);
}
static void free_all(void) {
    for (size_t i = 0; i < ELEMENTS(all); i++) ck_assert_int_eq(pintle_thunk_free(all[i]), 0);
}

static int call_each(void *arg) {
    int wrong = 0;
    (void)arg;
    for (size_t i = 0; i < ELEMENTS(all); i++)
        if (call_thunk(all[i], i) != i * 1001) wrong++;
    return wrong;
}
CASE(all_2048_thunks_live_at_once_and_the_next_is_an_error) {
    pintle_thunk *more = all[0];
    pintle_error error;
    ck_assert_int_eq(PINTLE_THUNKS_MOST, 2048);
    ck_assert_int_eq(make_all(), PINTLE_THUNKS_MOST);
    ck_assert_int_eq(pintle_thunk_new(&more, user_plus_word, NULL, 1, 0), PINTLE_ELIMIT);
    ck_assert_ptr_null(more);
    pintle_error_get(&error);
    ck_assert_msg(strstr(error.text, "2048") != NULL, "%s", error.text);
    ck_assert_int_eq(run_in_call(call_each, NULL), 0);
    free_all();
    ck_assert_int_eq(pintle_thunk_new(&more, user_plus_word, NULL, 1, 0), 0);
    ck_assert_int_eq(pintle_thunk_free(more), 0);
}

CASE(thunk_that_has_been_free_the_longest_is_used_next) {
    static const unsigned order[] = {700, 3, 2047, 0, 1200};
    pintle_thunk *again;
    ck_assert_int_eq(make_all(), PINTLE_THUNKS_MOST);
    for (size_t i = 0; i < ELEMENTS(order); i++) ck_assert_int_eq(pintle_thunk_free(all[order[i]]), 0);
    for (size_t i = 0; i < ELEMENTS(order); i++) {
        ck_assert_int_eq(pintle_thunk_new(&again, user_plus_word, NULL, 1, 0), 0);
        ck_assert_ptr_eq(again, all[order[i]]);
    }
    free_all();
}

CASE(thunk_that_was_freed_is_not_used_again_while_others_never_were) {
    pintle_thunk *first, *second;
    ck_assert_int_eq(pintle_thunk_new(&first, user_plus_word, NULL, 1, 0), 0);
    ck_assert_int_eq(pintle_thunk_free(first), 0);
    ck_assert_int_eq(pintle_thunk_new(&second, user_plus_word, NULL, 1, 0), 0);
    ck_assert_ptr_ne(first, second);
    ck_assert_int_eq(pintle_thunk_free(second), 0);
}

typedef struct counted {
    uint64_t before, with, after;
} counted;
static uint64_t live_thunks(void) {
    pintle_stats stats;
    pintle_stats_get(&stats);
    return stats.thunks;
}
static int count_main(void *arg) {
    counted *c = arg;
    pintle_thunk *thunks[5];
    c->before = live_thunks();
    for (int i = 0; i < 5; i++) pintle_thunk_new(&thunks[i], user_plus_word, NULL, 1, 0);
    c->with = live_thunks();
    for (int i = 0; i < 4; i++) pintle_thunk_free(thunks[i]);
    pintle_thunk_retire(thunks[4]); /* nobody is inside: it does not live any more */
    c->after = live_thunks();
    return 0;
}
CASE(stats_count_live_thunks) {
    counted c = {0};
    ck_assert_int_eq(helper_run(count_main, &c, 1), 0);
    ck_assert_uint_eq(c.with, c.before + 5);
    ck_assert_uint_eq(c.after, c.before);
}

/* ---- Who is inside ---- */

typedef struct inside {
    pintle_thunk *thunk;
    unsigned depth, most;
    int free_inside[40], retire_result, retire_again, free_after_retire;
    uintptr_t answer, nested_answer;
    helper_gate gate;
    helper_sem entered;
} inside;

static int call_self(void *arg) {
    inside *in = arg;
    in->nested_answer = call_thunk(in->thunk, 0);
    return 0;
}
static uintptr_t free_self(void *user, const uintptr_t *args) {
    inside *in = user;
    (void)args;
    in->free_inside[in->depth++] = pintle_thunk_free(in->thunk);
    if (in->depth < in->most) pintle_call(call_self, in);
    return 77;
}
static int call_thunk_once(void *arg) {
    inside *in = arg;
    in->answer = call_thunk(in->thunk, 0);
    return 0;
}
static void assert_busy_to_depth(unsigned most) {
    inside in = {.most = most};
    ck_assert_int_eq(pintle_thunk_new(&in.thunk, free_self, &in, 1, 0), 0);
    ck_assert_int_eq(run_in_call(call_thunk_once, &in), 0);
    ck_assert_uint_eq(in.depth, most);
    for (unsigned i = 0; i < most; i++) ck_assert_int_eq(in.free_inside[i], PINTLE_EBUSY);
    ck_assert_uint_eq(in.answer, 77);
    ck_assert_int_eq(pintle_thunk_free(in.thunk), 0);
    ck_assert_int_eq(pintle_thunk_free(in.thunk), PINTLE_EINVAL);
}
CASE(free_from_inside_is_busy) { assert_busy_to_depth(1); }
/* A thread has 14 slots for those it is inside; deeper ones are counted. */
CASE(free_from_inside_is_busy_at_any_depth) { assert_busy_to_depth(40); }

static uintptr_t free_outer(void *user, const uintptr_t *args) {
    inside *in = user;
    (void)args;
    in->free_inside[0] = pintle_thunk_free(in->thunk);
    return 0;
}
static int nest_down(void *arg);
typedef struct nesting {
    inside in;
    pintle_thunk *filler, *last;
    unsigned depth, most;
} nesting;
static uintptr_t fill(void *user, const uintptr_t *args) {
    (void)args;
    pintle_call(nest_down, user);
    return 0;
}
static int nest_down(void *arg) {
    nesting *n = arg;
    if (n->depth++ < n->most)
        call_thunk(n->filler, 0);
    else
        call_thunk(n->last, 0);
    return 0;
}
static uintptr_t enter_outer(void *user, const uintptr_t *args) {
    (void)args;
    pintle_call(nest_down, user);
    return 5;
}
static int nest_outer(void *arg) {
    nesting *n = arg;
    return call_thunk(n->in.thunk, 0) == 5 ? 0 : 1;
}
CASE(thunk_at_the_far_end_of_a_nesting_is_busy) {
    nesting n = {.most = 30};
    ck_assert_int_eq(pintle_thunk_new(&n.in.thunk, enter_outer, &n, 1, 0), 0);
    ck_assert_int_eq(pintle_thunk_new(&n.filler, fill, &n, 1, 0), 0);
    ck_assert_int_eq(pintle_thunk_new(&n.last, free_outer, &n.in, 1, 0), 0);
    ck_assert_int_eq(run_in_call(nest_outer, &n), 0);
    ck_assert_int_eq(n.in.free_inside[0], PINTLE_EBUSY);
    ck_assert_int_eq(pintle_thunk_free(n.in.thunk), 0);
    ck_assert_int_eq(pintle_thunk_free(n.filler), 0);
    ck_assert_int_eq(pintle_thunk_free(n.last), 0);
}

static int wait_at_gate(void *arg) {
    inside *in = arg;
    helper_gate_wait(&in->gate);
    return 0;
}
static uintptr_t enter_and_wait(void *user, const uintptr_t *args) {
    inside *in = user;
    (void)args;
    helper_sem_post(&in->entered);
    pintle_call(wait_at_gate, in);
    return 1;
}
static void foreign_caller(void *arg) {
    inside *in = arg;
    in->answer = call_thunk(in->thunk, 0);
}
static int wait_for_entry(void *arg) {
    helper_sem_wait(&((inside *)arg)->entered);
    return 0;
}
/* Both kinds of thread are inside: a foreign one here, one of ours in the main task. */
static int busy_elsewhere_main(void *arg) {
    inside *in = arg;
    helper_thread thread;
    helper_thread_start(&thread, foreign_caller, in);
    pintle_call_blocking(wait_for_entry, in);
    in->free_inside[0] = pintle_thunk_free(in->thunk);
    in->retire_result = pintle_thunk_retire(in->thunk);
    in->nested_answer = call_thunk(in->thunk, 0);
    in->free_inside[1] = (int)live_thunks();
    helper_gate_open(&in->gate);
    helper_thread_join(&thread);
    in->free_inside[2] = (int)live_thunks();
    return 0;
}
CASE(thunk_is_busy_while_a_foreign_thread_is_inside) {
    inside in = {0};
    pintle_thunk_options options = {.size = sizeof options, .nargs = 1, .closed_result = 404};
    helper_gate_init(&in.gate);
    helper_sem_init(&in.entered);
    ck_assert_int_eq(pintle_thunk_new_with(&in.thunk, enter_and_wait, &in, &options), 0);
    ck_assert_int_eq(helper_run(busy_elsewhere_main, &in, 2), 0);
    ck_assert_int_eq(in.free_inside[0], PINTLE_EBUSY);
    ck_assert_int_eq(in.retire_result, 0);
    ck_assert_uint_eq(in.nested_answer, 404);
    ck_assert_uint_eq(in.answer, 1);
    ck_assert_int_eq(in.free_inside[1], in.free_inside[2] + 1); /* retired, and lives until the last one has left */
    ck_assert_int_eq(pintle_thunk_free(in.thunk), PINTLE_EINVAL);
    helper_gate_destroy(&in.gate);
    helper_sem_destroy(&in.entered);
}

static uintptr_t retire_self(void *user, const uintptr_t *args) {
    inside *in = user;
    (void)args;
    in->retire_result = pintle_thunk_retire(in->thunk);
    in->retire_again = pintle_thunk_retire(in->thunk);
    in->free_after_retire = pintle_thunk_free(in->thunk);
    pintle_call(call_self, in);
    return 88;
}
static int retire_from_inside(void *arg) {
    inside *in = arg;
    in->answer = call_thunk(in->thunk, 0);
    return call_thunk(in->thunk, 0) == 404 ? 0 : 1;
}
CASE(thunk_may_be_retired_from_inside_and_comes_back) {
    inside in = {0};
    pintle_thunk_options options = {.size = sizeof options, .nargs = 1, .closed_result = 404};
    ck_assert_int_eq(pintle_thunk_new_with(&in.thunk, retire_self, &in, &options), 0);
    ck_assert_int_eq(run_in_call(retire_from_inside, &in), 0);
    ck_assert_uint_eq(in.answer, 88);
    ck_assert_uint_eq(in.nested_answer, 404);
    ck_assert_int_eq(in.retire_result, 0);
    ck_assert_int_eq(in.retire_again, PINTLE_EINVAL);
    ck_assert_int_eq(in.free_after_retire, PINTLE_EINVAL);
    ck_assert_int_eq(make_all(), PINTLE_THUNKS_MOST); /* the retired one is among them */
    free_all();
}

/* One thread calls, another makes, retires and frees: no call may meet what is freed. */
typedef struct churn {
    _Atomic(pintle_thunk *) current;
    atomic_bool stop;
    atomic_uint calls, inside_freed, wrong;
    unsigned busy, freed;
} churn;
static uintptr_t churn_fn(void *user, const uintptr_t *args) { return *(const uintptr_t *)user + args[0]; }
static int churn_call(void *arg) {
    churn *c = arg;
    for (int i = 0; i < 50; i++) {
        pintle_thunk *thunk = atomic_load(&c->current);
        uintptr_t answer = call_thunk(thunk, 3);
        if (answer != 45 && answer != 404) atomic_fetch_add(&c->wrong, 1);
        atomic_fetch_add(&c->calls, 1);
    }
    return 0;
}
static void churn_caller(void *arg) {
    churn *c = arg;
    while (!atomic_load(&c->stop)) pintle_call(churn_call, c);
}
static int churn_main(void *arg) {
    churn *c = arg;
    static uintptr_t number = 42;
    pintle_thunk_options options = {.size = sizeof options, .nargs = 1, .closed_result = 404};
    pintle_task *callers[3];
    pintle_thunk *thunk;
    if (pintle_thunk_new_with(&thunk, churn_fn, &number, &options) != 0) return 1;
    atomic_store(&c->current, thunk);
    helper_spawn_all(callers, 3, churn_caller, c);
    for (unsigned i = 0; i < 20000 / TEST_SLOWNESS; i++) {
        pintle_thunk *next;
        if (pintle_thunk_new_with(&next, churn_fn, &number, &options) != 0) return 2;
        atomic_store(&c->current, next);
        /* Late callers of the old one are the test's fault, not the library's: it comes back in 2,048 rounds only. */
        if (pintle_thunk_retire(thunk) != 0) return 3;
        thunk = next;
        if (i % 64 == 0) pintle_yield();
    }
    for (unsigned i = 0; i < 20000 / TEST_SLOWNESS; i++) {
        int result = pintle_thunk_free(thunk);
        if (result == 0) {
            c->freed++;
            if (pintle_thunk_new_with(&thunk, churn_fn, &number, &options) != 0) return 4;
            atomic_store(&c->current, thunk);
        } else if (result == PINTLE_EBUSY) {
            c->busy++;
        } else {
            return 5;
        }
        if (i % 64 == 0) pintle_yield();
    }
    atomic_store(&c->stop, true);
    if (helper_join_all(callers, 3) != 0) return 6;
    return pintle_thunk_free(thunk);
}
CASE_TIMEOUT(thunks_are_retired_and_freed_while_they_are_called, 60) {
    static churn c;
    ck_assert_int_eq(helper_run(churn_main, &c, 2), 0);
    ck_assert_uint_eq(atomic_load(&c.wrong), 0);
    ck_assert_uint_gt(atomic_load(&c.calls), 0);
}

/* ---- Where nothing can run ---- */

static int do_nothing_main(void *arg) {
    (void)arg;
    return 0;
}
CASE(thunk_answers_closed_result_before_the_start_and_after_the_stop) {
    pintle_thunk *thunk;
    pintle_thunk_options options = {.size = sizeof options, .nargs = 1, .closed_result = (uintptr_t)-404};
    ck_assert_int_eq(pintle_thunk_new_with(&thunk, user_plus_word, (void *)(uintptr_t)40, &options), 0);
    for (int round = 0; round < 3; round++) {
        in_call c = {(int (*)(void *))pintle_thunk_code(thunk), (void *)(uintptr_t)2};
        ck_assert_uint_eq(call_thunk(thunk, 2), (uintptr_t)-404);
        ck_assert_int_eq(helper_run(in_call_main, &c, 1), 42);
        ck_assert_uint_eq(call_thunk(thunk, 2), (uintptr_t)-404);
    }
    ck_assert_int_eq(helper_run(do_nothing_main, NULL, 1), 0);
    ck_assert_int_eq(pintle_thunk_free(thunk), 0);
}

/* ---- Words ---- */

#define W8(n) W(n + 1), W(n + 2), W(n + 3), W(n + 4), W(n + 5), W(n + 6), W(n + 7), W(n + 8)
#define W64 W8(0), W8(8), W8(16), W8(24), W8(32), W8(40), W8(48), W8(56)
#define T8 uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t
typedef uintptr_t words_fn(T8, T8, T8, T8, T8, T8, T8, T8);
#define W(n) ((uintptr_t)0x9E3779B97F4A7C15u * (n))

typedef struct words {
    pintle_thunk *thunk;
    unsigned nargs;
    uintptr_t sum, seen[PINTLE_THUNK_WORDS_MOST], answer;
} words;
static uintptr_t take_words(void *user, const uintptr_t *args) {
    words *w = user;
    uintptr_t sum = 1;
    memcpy(w->seen, args, w->nargs * sizeof *args);
    pintle_yield();
    for (unsigned i = 0; i < w->nargs; i++) sum = sum * 31 + args[i]; /* the words stay where they were */
    return sum;
}
static int pass_words(void *arg) {
    words *w = arg;
    w->answer = ((words_fn *)(uintptr_t)pintle_thunk_pointer(w->thunk))(W64);
    return 0;
}
CASE(words_arrive_in_order_0_to_64) {
    for (unsigned nargs = 0; nargs <= PINTLE_THUNK_WORDS_MOST; nargs++) {
        words w = {.nargs = nargs};
        uintptr_t sum = 1;
        ck_assert_int_eq(pintle_thunk_new(&w.thunk, take_words, &w, nargs, PINTLE_STDCALL), 0);
        ck_assert_int_eq(run_in_call(pass_words, &w), 0);
        for (unsigned i = 0; i < nargs; i++) {
            ck_assert_msg(w.seen[i] == W(i + 1), "word %u of %u is %llx", i + 1, nargs, (unsigned long long)w.seen[i]);
            sum = sum * 31 + W(i + 1);
        }
        ck_assert_uint_eq(w.answer, sum);
        ck_assert_int_eq(pintle_thunk_free(w.thunk), 0);
    }
}

typedef int64_t narrow_fn(int8_t, uint8_t, int16_t, uint16_t, int32_t, uint32_t, int64_t, uint64_t, int8_t, uint16_t,
                          bool);
static uintptr_t take_narrow(void *user, const uintptr_t *args) {
    bool right = (int8_t)args[0] == -100 && (uint8_t)args[1] == 200 && (int16_t)args[2] == -30000 &&
                 (uint16_t)args[3] == 60000 && (int32_t)args[4] == -2000000000 && (uint32_t)args[5] == 4000000000u &&
                 (int64_t)args[6] == INT64_MIN && args[7] == UINT64_MAX && (int8_t)args[8] == -1 &&
                 (uint16_t)args[9] == 65535 && (bool)(args[10] & 0xff);
    *(int *)user += right ? 1 : 100;
    return (uintptr_t)(intptr_t)-5;
}
typedef struct narrow {
    pintle_thunk *thunk;
    int right;
} narrow;
static int pass_narrow(void *arg) {
    narrow *n = arg;
    narrow_fn *fn = (narrow_fn *)(uintptr_t)pintle_thunk_pointer(n->thunk);
    int64_t answer = fn(-100, 200, -30000, 60000, -2000000000, 4000000000u, INT64_MIN, UINT64_MAX, -1, 65535, true);
    return answer == -5 ? 0 : 1;
}
CASE(narrow_arguments_are_in_the_low_bits) {
    narrow n = {0};
    ck_assert_int_eq(pintle_thunk_new(&n.thunk, take_narrow, &n.right, 11, 0), 0);
    ck_assert_int_eq(run_in_call(pass_narrow, &n), 0);
    ck_assert_int_eq(n.right, 1);
    ck_assert_int_eq(pintle_thunk_free(n.thunk), 0);
}

/* ---- Floating point ---- */

static double as_double(uintptr_t word) {
    double value;
    memcpy(&value, &word, sizeof value);
    return value;
}
static float as_float(uintptr_t word) {
    uint32_t bits = (uint32_t)word;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
static uintptr_t double_bits(double value) {
    uintptr_t word;
    memcpy(&word, &value, sizeof word);
    return word;
}
static uintptr_t float_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Which of the words are double, float, or integers, by a letter each; the words are 1.5, 3, 4.5, … cut for integers. */
static uintptr_t take_mixed(void *user, const uintptr_t *args) {
    const char *letters = user;
    double sum = 0;
    pintle_yield();
    for (unsigned i = 0; letters[i] != 0; i++) {
        double value = letters[i] == 'd'   ? as_double(args[i])
                       : letters[i] == 'f' ? (double)as_float(args[i])
                                           : (double)(int64_t)args[i];
        sum = sum * 3 + value;
    }
    return double_bits(sum);
}
static double sum_of(const char *letters) {
    double sum = 0;
    for (unsigned i = 0; letters[i] != 0; i++) {
        double value = 1.5 * (i + 1);
        sum = sum * 3 + (letters[i] == 'i' ? (double)(int64_t)value : value);
    }
    return sum;
}
static uint32_t mask_of(const char *letters) {
    uint32_t mask = 0;
    for (unsigned i = 0; letters[i] != 0; i++)
        if (letters[i] != 'i') mask |= 1u << i;
    return mask;
}
typedef double mix4_fn(double, int64_t, float, double);
typedef double mix6_fn(int64_t, double, int64_t, int64_t, float, int64_t);
typedef double mix20_fn(double, int64_t, float, int64_t, double, int64_t, float, int64_t, double, int64_t, float,
                        int64_t, double, int64_t, float, int64_t, double, int64_t, float, double);
typedef double mix10_fn(double, double, double, double, double, double, double, double, double, double);
#define D(n) (1.5 * (n))
#define F(n) (1.5f * (n))
#define I(n) ((int64_t)(1.5 * (n)))
static double call_mix4(void *fn) { return ((mix4_fn *)(uintptr_t)fn)(D(1), I(2), F(3), D(4)); }
static double call_mix6(void *fn) { return ((mix6_fn *)(uintptr_t)fn)(I(1), D(2), I(3), I(4), F(5), I(6)); }
static double call_mix10(void *fn) {
    return ((mix10_fn *)(uintptr_t)fn)(D(1), D(2), D(3), D(4), D(5), D(6), D(7), D(8), D(9), D(10));
}
static double call_mix20(void *fn) {
    return ((mix20_fn *)(uintptr_t)fn)(D(1), I(2), F(3), I(4), D(5), I(6), F(7), I(8), D(9), I(10), F(11), I(12), D(13),
                                       I(14), F(15), I(16), D(17), I(18), F(19), D(20));
}
typedef struct mixed {
    const char *letters;
    double (*call)(void *fn);
    pintle_thunk *thunk;
    double answer;
} mixed;
static int pass_mixed(void *arg) {
    mixed *m = arg;
    m->answer = m->call(pintle_thunk_pointer(m->thunk));
    return 0;
}
static int pass_mixed_directly_main(void *arg) { return pass_mixed(arg); }
CASE(doubles_and_floats_arrive_among_integers) {
    static const struct {
        const char *letters;
        double (*call)(void *fn);
    } rows[] = {
        {"difd", call_mix4}, {"idiifi", call_mix6}, {"dddddddddd", call_mix10}, {"difidifidifidifidifd", call_mix20}};
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        mixed m = {.letters = rows[i].letters, .call = rows[i].call};
        unsigned nargs = (unsigned)strlen(m.letters);
        ck_assert_int_eq(pintle_thunk_new(&m.thunk, take_mixed, (void *)(uintptr_t)m.letters, nargs,
                                          PINTLE_FLOATS(mask_of(m.letters)) | PINTLE_FLOAT_RESULT),
                         0);
        ck_assert_int_eq(run_in_call(pass_mixed, &m), 0);
        ck_assert_msg(m.answer == sum_of(m.letters), "%s: %g for %g", m.letters, m.answer, sum_of(m.letters));
        m.answer = 0;
        ck_assert_int_eq(helper_run(pass_mixed_directly_main, &m, 1), 0);
        ck_assert_msg(m.answer == sum_of(m.letters), "%s: %g in place", m.letters, m.answer);
        ck_assert_int_eq(pintle_thunk_free(m.thunk), 0);
    }
}

static uintptr_t halve(void *user, const uintptr_t *args) {
    (void)user;
    return float_bits(as_float(args[0]) / 2);
}
typedef float halve_fn(float);
static int pass_float(void *arg) { return ((halve_fn *)(uintptr_t)pintle_thunk_pointer(arg))(5.0f) == 2.5f ? 0 : 1; }
CASE(float_is_given_back) {
    pintle_thunk *thunk;
    ck_assert_int_eq(pintle_thunk_new(&thunk, halve, NULL, 1, PINTLE_FLOATS(1) | PINTLE_FLOAT_RESULT), 0);
    ck_assert_int_eq(run_in_call(pass_float, thunk), 0);
    ck_assert_int_eq(pintle_thunk_free(thunk), 0);
}

/* ---- Bad input ---- */

static pintle_thunk *const a_thunk = (pintle_thunk *)(uintptr_t)8; /* must not be left as it is */

static void assert_refused(const pintle_thunk_options *options, const char *named) {
    pintle_thunk *thunk = a_thunk;
    pintle_error error;
    ck_assert_int_eq(pintle_thunk_new_with(&thunk, user_plus_word, NULL, options), PINTLE_EINVAL);
    pintle_error_get(&error);
    ck_assert_msg(strstr(error.text, named) != NULL, "'%s' does not name '%s'", error.text, named);
}
CASE(bad_options_are_refused_by_name) {
    pintle_thunk_options good = {.size = sizeof good, .nargs = 1}, bad;
    pintle_thunk *thunk;
    ck_assert_int_eq(pintle_thunk_new(NULL, user_plus_word, NULL, 1, 0), PINTLE_EINVAL);
    ck_assert_int_eq(pintle_thunk_new(&thunk, NULL, NULL, 1, 0), PINTLE_EINVAL);
    bad = good, bad.nargs = 65, assert_refused(&bad, "65");
    bad = good, bad.flags = 0x40000000, assert_refused(&bad, "0x40000000");
    bad = good, bad.flags = PINTLE_FLOATS(2), assert_refused(&bad, "0x2");
    bad = good, bad.on_panic = 7, assert_refused(&bad, "7");
    bad = good, bad.size = 0, assert_refused(&bad, "size");
    ck_assert_int_eq(pintle_thunk_new_with(&thunk, user_plus_word, NULL, &good), 0);
    ck_assert_ptr_nonnull(pintle_thunk_pointer(thunk));
    ck_assert(pintle_thunk_pointer(thunk) == (void *)(uintptr_t)pintle_thunk_code(thunk));
    ck_assert_int_eq(pintle_thunk_free(thunk), 0);
}

CASE(what_is_no_thunk_is_refused) {
    pintle_thunk *thunk;
    ck_assert_int_eq(pintle_thunk_new(&thunk, user_plus_word, NULL, 1, 0), 0);
    ck_assert_int_eq(pintle_thunk_free(NULL), 0);
    ck_assert_ptr_null(pintle_thunk_pointer(NULL));
    ck_assert(pintle_thunk_code(NULL) == NULL);
    ck_assert_int_eq(pintle_thunk_retire(NULL), PINTLE_EINVAL);
    ck_assert_int_eq(pintle_thunk_free((pintle_thunk *)&thunk), PINTLE_EINVAL);
    ck_assert_int_eq(pintle_thunk_free((pintle_thunk *)((char *)thunk + 8)), PINTLE_EINVAL);
    ck_assert_int_eq(pintle_thunk_retire((pintle_thunk *)((char *)thunk + 8)), PINTLE_EINVAL);
    ck_assert_int_eq(pintle_thunk_free(thunk), 0);
    ck_assert_int_eq(pintle_thunk_retire(thunk), PINTLE_EINVAL);
}

/* ---- Urgent ---- */

/* The only processor is another task's. That one makes short calls, so nothing is lent for its sake, unless the system
 * lets its thread wait for a CPU for 10 ms. */
typedef struct urgent {
    pintle_thunk *thunk;
    atomic_bool busy, entered, stop;
    bool foreign, computes;
    uint64_t lent_before, lent_inside;
    uint32_t now_inside, now_after;
    uintptr_t answer;
    int value;
} urgent;
static uintptr_t urgent_fn(void *user, const uintptr_t *args) {
    urgent *u = user;
    pintle_stats stats;
    pintle_stats_get(&stats);
    u->lent_inside = stats.lent;
    u->now_inside = stats.lent_now;
    atomic_store(&u->entered, true);
    return args[0] + 1;
}
static void busy_task(void *arg) {
    urgent *u = arg;
    int64_t give_up = pintle_after(PINTLE_S(10));
    atomic_store(&u->busy, true);
    while (!atomic_load(&u->stop) && pintle_now() < give_up) {
        if (u->computes) { /* in a call it might lose its processor, which were idle then */
            helper_compute(PINTLE_US(10));
        } else {
            pintle_call(helper_return_at_once, NULL);
        }
    }
}
static int urgent_call(void *arg) {
    urgent *u = arg;
    pintle_stats stats;
    while (!atomic_load(&u->busy)) helper_compute(PINTLE_US(10)); /* its processor was taken */
    pintle_stats_get(&stats);
    u->lent_before = stats.lent;
    u->answer = call_thunk(u->thunk, 41);
    return 0;
}
static void urgent_foreign(void *arg) { urgent_call(arg); }
static int urgent_join(void *arg) {
    helper_thread_join(arg);
    return 0;
}
static int urgent_main(void *arg) {
    urgent *u = arg;
    pintle_task *task;
    helper_thread thread;
    pintle_stats stats;
    if (pintle_spawn(&task, busy_task, u) != 0) return 1;
    if (u->foreign) {
        helper_thread_start(&thread, urgent_foreign, u);
        pintle_call_blocking(urgent_join, &thread);
    } else {
        pintle_call_blocking(urgent_call, u);
    }
    atomic_store(&u->stop, true);
    pintle_join(task, PINTLE_FOREVER);
    for (int64_t give_up = pintle_after(PINTLE_S(5));;) { /* what strayed comes back in the monitor's time */
        pintle_stats_get(&stats);
        u->now_after = stats.lent_now;
        if (stats.lent_now == 0 || pintle_now() > give_up) break;
        pintle_sleep(PINTLE_MS(1));
    }
    return pintle_check();
}
/* Whether a processor was lent between the call and the callback. */
static bool urgent_lends(bool foreign, unsigned flags) {
    static urgent u;
    memset(&u, 0, sizeof u);
    u.foreign = foreign;
    u.computes = flags != 0;
    ck_assert_int_eq(pintle_thunk_new(&u.thunk, urgent_fn, &u, 1, flags), 0);
    ck_assert_int_eq(helper_run(urgent_main, &u, 1), 0);
    ck_assert_uint_eq(u.answer, 42);
    ck_assert_uint_eq(u.now_after, 0);
    ck_assert_int_eq(pintle_thunk_free(u.thunk), 0);
    return u.lent_inside > u.lent_before && u.now_inside > 0;
}
CASE(urgent_thunk_is_lent_a_processor_in_a_call) { ck_assert(urgent_lends(false, PINTLE_THUNK_URGENT)); }
CASE(urgent_thunk_is_lent_a_processor_on_a_foreign_thread) { ck_assert(urgent_lends(true, PINTLE_THUNK_URGENT)); }
CASE(thunk_that_is_not_urgent_waits) {
    unsigned lent = 0;
    for (int i = 0; i < 10; i++) lent += urgent_lends(i % 2 == 0, 0);
    ck_assert_uint_lt(lent, 10);
}

static uintptr_t urgent_parks(void *user, const uintptr_t *args) {
    urgent *u = user;
    (void)args;
    pintle_sleep(PINTLE_MS(1));
    pintle_call(helper_return_at_once, NULL);
    pintle_yield();
    atomic_store(&u->entered, true);
    return 42;
}
static int urgent_rounds_main(void *arg) {
    urgent *u = arg;
    pintle_stats stats;
    pintle_task *task;
    if (pintle_spawn(&task, busy_task, u) != 0) return 1;
    for (int i = 0; i < 20; i++) {
        pintle_call_blocking(urgent_call, u);
        if (u->answer != 42) return 2;
    }
    atomic_store(&u->stop, true);
    pintle_join(task, PINTLE_FOREVER);
    for (int64_t give_up = pintle_after(PINTLE_S(5));;) {
        pintle_stats_get(&stats);
        if (stats.lent_now == 0) break;
        if (pintle_now() > give_up) return 3;
        pintle_sleep(PINTLE_MS(1));
    }
    return pintle_check();
}
CASE(urgent_thunk_that_waits_after_all_keeps_no_processor) {
    static urgent u;
    ck_assert_int_eq(pintle_thunk_new(&u.thunk, urgent_parks, &u, 1, PINTLE_THUNK_URGENT), 0);
    ck_assert_int_eq(helper_run(urgent_rounds_main, &u, 1), 0);
    ck_assert_int_eq(pintle_thunk_free(u.thunk), 0);
}
