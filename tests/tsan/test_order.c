/* test_order.c: what foreign code that is not instrumented orders, the race detector takes for ordered, since calls and
 * callbacks tell it (src/sanitize/switch.c); and what nothing orders, it still reports.
 *
 * One task writes a plain variable, foreign code (tests/dll/orders.c) lets a second one wait for that, and it reads the
 * variable. Each of the six places where the detector is told is left out once: then the same program has a race.
 * Thread-sanitizer builds only. */
#include "api/api_helpers.h"

#include <dlfcn.h>

#include "sanitize.h"

typedef uintptr_t word;
typedef word orders_run_fn(uint32_t *before, uint32_t until, word (*function)(word), word value, uint32_t *after);
enum { ROUNDS = 20, ROUNDS_MOST = 5000, STATUS_RACE = 66, LEFT_OUT_BADLY = 90 };

static orders_run_fn *orders_run;
static word (*writes_code)(word), (*reads_code)(word), (*meets_code)(word);
static uint32_t written, read_again, met; /* counted by the foreign code */
static unsigned round_now, shared, wrong;

static uintptr_t writes(void *user, const uintptr_t *args) {
    (void)user;
    shared = (unsigned)args[0];
    return 0;
}
static uintptr_t reads(void *user, const uintptr_t *args) {
    (void)user;
    wrong += shared != args[0];
    return 0;
}

/* ---- A task writes, calls, and the foreign code tells another's call, which returns: then that task reads ---- */

static int tells(void *arg) {
    orders_run(NULL, 0, NULL, 0, &written);
    /* Until it is read, this task does nothing that the runtime's own locks could order. */
    return (int)orders_run(&read_again, *(unsigned *)arg, NULL, 0, NULL);
}
static int is_told(void *arg) { return (int)orders_run(&written, *(unsigned *)arg, NULL, 0, NULL); }
static void call_first(void *arg) {
    shared = round_now;
    pintle_call(tells, arg);
}
static void call_second(void *arg) {
    pintle_call(is_told, arg);
    wrong += shared != *(unsigned *)arg;
    orders_run(NULL, 0, NULL, 0, &read_again);
}

/* ---- The same by what the foreign code calls back, in a call and in place ---- */

static int callback_tells(void *arg) {
    unsigned round = *(unsigned *)arg;
    orders_run(NULL, 0, writes_code, round, &written);
    return (int)orders_run(&read_again, round, NULL, 0, NULL);
}
static int callback_is_told(void *arg) {
    unsigned round = *(unsigned *)arg;
    return (int)orders_run(&written, round, reads_code, round, &read_again);
}
static void callback_first(void *arg) { pintle_call(callback_tells, arg); }
static void callback_second(void *arg) { pintle_call(callback_is_told, arg); }
static void in_place_first(void *arg) { callback_tells(arg); }
static void in_place_second(void *arg) { callback_is_told(arg); }

/* ---- Two callbacks at once, which nothing orders ---- */

static uintptr_t meets(void *user, const uintptr_t *args) {
    (void)user;
    orders_run(NULL, 0, NULL, 0, &met);
    orders_run(&met, 2 * (unsigned)args[0], NULL, 0, NULL); /* both are inside */
    shared++;
    return 0;
}
static int calls_meets(void *arg) { return (int)meets_code(*(unsigned *)arg); }
static void racing(void *arg) { pintle_call(calls_meets, arg); }

/* Two calls at once. */
static int meets_in_a_call(void *arg) {
    uintptr_t round = *(unsigned *)arg;
    return (int)meets(NULL, &round);
}
static void racing_calls(void *arg) { pintle_call(meets_in_a_call, arg); }

/* ---- The children ---- */

typedef struct pair {
    pintle_fn *first, *second;
    bool races;
} pair;

static bool make_thunk(word (**out)(word), pintle_thunk_fn *fn) {
    pintle_thunk *thunk;
    if (pintle_thunk_new(&thunk, fn, NULL, 1, 0) != 0) return false;
    *out = (word(*)(word))(uintptr_t)pintle_thunk_pointer(thunk);
    return true;
}

/* The detector's hook. */
static atomic_bool reported;
void __tsan_on_report(void *report);
__attribute__((no_sanitize("thread"))) void __tsan_on_report(void *report) {
    (void)report;
    __atomic_store_n((bool *)&reported, true, __ATOMIC_RELAXED);
}

/* Where a race is expected: until it is found, since now and then a lock of the runtime's happens to order the two. */
static int pair_main(void *arg) {
    const pair *p = arg;
    if (!make_thunk(&writes_code, writes) || !make_thunk(&reads_code, reads) || !make_thunk(&meets_code, meets))
        return 1;
    unsigned rounds = p->races ? ROUNDS_MOST : ROUNDS;
    for (unsigned round = 1; round <= rounds && !atomic_load(&reported); round++) {
        pintle_task *first, *second;
        unsigned copies[2] = {round, round};
        round_now = round;
        if (pintle_spawn(&first, p->first, &copies[0]) != 0 || pintle_spawn(&second, p->second, &copies[1]) != 0)
            return 2;
        if (pintle_join(first, PINTLE_FOREVER) != 0 || pintle_join(second, PINTLE_FOREVER) != 0) return 3;
    }
    return (int)wrong;
}

static void run_pair(pintle_fn *first, pintle_fn *second, uint32_t omitted) {
    pair p = {first, second, omitted != 0 || first == second};
    void *dll = dlopen(test_dll_path("orders"), RTLD_NOW);
    if (dll == NULL) exit(LEFT_OUT_BADLY);
    *(void **)&orders_run = dlsym(dll, "orders_run");
    if (orders_run == NULL) exit(LEFT_OUT_BADLY);
    sanitize_omitted = omitted;
    exit(helper_run(pair_main, &p, 2) == 0 ? 0 : LEFT_OUT_BADLY);
}

CHILD(calls) { run_pair(call_first, call_second, 0); }
CHILD(calls_not_released) { run_pair(call_first, call_second, SANITIZE_CALL_RELEASE); }
CHILD(calls_not_acquired) { run_pair(call_first, call_second, SANITIZE_CALL_ACQUIRE); }
CHILD(callbacks) { run_pair(callback_first, callback_second, 0); }
CHILD(callbacks_not_released) { run_pair(callback_first, callback_second, SANITIZE_CALLBACK_RELEASE); }
CHILD(callbacks_not_acquired) { run_pair(callback_first, callback_second, SANITIZE_CALLBACK_ACQUIRE); }
CHILD(in_place) { run_pair(in_place_first, in_place_second, 0); }
CHILD(in_place_not_released) { run_pair(in_place_first, in_place_second, SANITIZE_IN_PLACE_RELEASE); }
CHILD(in_place_not_acquired) { run_pair(in_place_first, in_place_second, SANITIZE_IN_PLACE_ACQUIRE); }
CHILD(callbacks_at_once) { run_pair(racing, racing, 0); }
CHILD(calls_at_once) { run_pair(racing_calls, racing_calls, 0); }

static void assert_clean(const char *child) {
    static char text[65536];
    int status = child_run(child, text, sizeof text);
    ck_assert_msg(status == 0, "%s ended with %d:\n%s", child, status, text);
}

static void assert_race(const char *child) {
    static char text[65536];
    int status = child_run(child, text, sizeof text);
    ck_assert_msg(status == STATUS_RACE && strstr(text, "WARNING: ThreadSanitizer: data race") != NULL,
                  "%s ended with %d:\n%s", child, status, text);
}

CASE(order_made_between_calls_is_seen) { assert_clean("calls"); }
CASE(order_made_between_callbacks_is_seen) { assert_clean("callbacks"); }
CASE(order_made_between_callbacks_in_place_is_seen) { assert_clean("in_place"); }

CASE(order_between_calls_is_not_seen_without_either_annotation) {
    assert_race("calls_not_released");
    assert_race("calls_not_acquired");
}
CASE(order_between_callbacks_is_not_seen_without_either_annotation) {
    assert_race("callbacks_not_released");
    assert_race("callbacks_not_acquired");
}
CASE(order_in_place_is_not_seen_without_either_annotation) {
    assert_race("in_place_not_released");
    assert_race("in_place_not_acquired");
}

CASE(race_of_callbacks_that_nothing_orders_is_reported) { assert_race("callbacks_at_once"); }
CASE(race_of_calls_that_nothing_orders_is_reported) { assert_race("calls_at_once"); }
