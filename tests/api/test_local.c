/* test_local.c: pintle_local_*: values that each task has of its own. */
#include "api/api_helpers.h"

enum { TASKS = 100, MANY = 100 };

static pintle_local *one, *two, *many[MANY];
static _Atomic unsigned wrong, destroyed, sum;
static void note_wrong(int line, const char *what) {
    atomic_fetch_add(&wrong, 1);
    printf("line %d: not so: %s\n", line, what);
}
#define EXPECT(condition) ((condition) ? (void)0 : note_wrong(__LINE__, #condition))

static void count_destroyed(void *value) {
    atomic_fetch_add(&destroyed, 1);
    atomic_fetch_add(&sum, (unsigned)(uintptr_t)value);
}

static int get_in_call(void *arg) {
    EXPECT(pintle_local_get(one) == arg);
    return 0;
}
static void use_own(void *arg) {
    EXPECT(pintle_local_get(one) == NULL && pintle_local_get(two) == NULL);
    EXPECT(pintle_local_set(one, arg) == 0 && pintle_local_set(two, &sum) == 0);
    for (int i = 0; i < 20; i++) {
        pintle_sleep(PINTLE_US(10));
        EXPECT(pintle_local_get(one) == arg && pintle_local_get(two) == &sum);
        pintle_call(get_in_call, arg);
        pintle_call_blocking(get_in_call, arg);
    }
    if ((uintptr_t)arg % 2 == 0) pintle_task_exit(); /* ends as if it had returned */
}
static int use_in_many(void *arg) {
    pintle_task *tasks[TASKS];
    (void)arg;
    EXPECT(pintle_local_new(&one, count_destroyed) == 0 && pintle_local_new(&two, NULL) == 0);
    for (int round = 0; round < 3; round++) { /* records are used again: nothing may be left in them */
        atomic_store(&destroyed, 0);
        atomic_store(&sum, 0);
        for (uintptr_t i = 0; i < TASKS; i++) EXPECT(pintle_spawn(&tasks[i], use_own, (void *)(i + 1)) == 0);
        EXPECT(helper_join_all(tasks, TASKS) == 0);
        EXPECT(atomic_load(&destroyed) == TASKS);
        EXPECT(atomic_load(&sum) == TASKS * (TASKS + 1) / 2);
    }
    return 0;
}
CASE(local_is_each_tasks_own_and_destroyed_at_its_end) {
    ck_assert_int_eq(helper_run(use_in_many, NULL, 2), 0);
    ck_assert_uint_eq(wrong, 0);
}

/* ---- What destroy may do ---- */

static unsigned order[8], order_count;
static void note_order(void *value) { order[order_count++] = (unsigned)(uintptr_t)value; }
static void wait_and_set(void *value) {
    EXPECT(pintle_self() != NULL && pintle_local_get(one) == NULL);
    EXPECT(pintle_sleep(PINTLE_US(100)) == 0);
    pintle_call_blocking(helper_return_at_once, NULL);
    note_order(value);
    EXPECT(pintle_local_set(many[MANY - 1], (void *)7) == 0); /* the array grows meanwhile */
}
static void set_again(void *value) {
    order_count++;
    EXPECT(pintle_local_set(two, value) == 0); /* it would never end */
}
static void end_with_values(void *arg) {
    (void)arg;
    EXPECT(pintle_local_set(one, (void *)3) == 0);
}
static void end_again_and_again(void *arg) {
    (void)arg;
    EXPECT(pintle_local_set(two, &sum) == 0);
}
static int destroy_with_care(void *arg) {
    (void)arg;
    EXPECT(pintle_local_new(&one, wait_and_set) == 0);
    EXPECT(pintle_local_new(&two, set_again) == 0);
    for (int i = 0; i < MANY; i++) EXPECT(pintle_local_new(&many[i], note_order) == 0);
    EXPECT(pintle_enter(end_with_values, NULL) == 0);
    EXPECT(order_count == 2 && order[0] == 3 && order[1] == 7);
    order_count = 0;
    EXPECT(pintle_enter(end_again_and_again, NULL) == 0);
    EXPECT(order_count == 4);
    return 0;
}
CASE(local_destroy_may_wait_and_set_and_ends) {
    ck_assert_int_eq(helper_run(destroy_with_care, NULL, 2), 0);
    ck_assert_uint_eq(wrong, 0);
}

/* The main task too, whose end is the runtime's. */
static int leave_values_in_main(void *arg) {
    (void)arg;
    for (int i = 0; i < MANY; i++) EXPECT(pintle_local_new(&many[i], note_order) == 0);
    EXPECT(pintle_local_new(&one, wait_and_set) == 0);
    end_with_values(NULL);
    return 5;
}
CASE(local_of_main_task_is_destroyed_and_may_wait) {
    ck_assert_int_eq(helper_run(leave_values_in_main, NULL, 2), 5);
    ck_assert_uint_eq(wrong, 0);
    ck_assert(order_count == 2 && order[0] == 3 && order[1] == 7);
}

/* ---- Replacing, limits, wrong places ---- */

static void replace(void *arg) {
    (void)arg;
    EXPECT(pintle_local_set(one, (void *)1) == 0);
    EXPECT(pintle_local_set(one, (void *)2) == 0); /* the first is not destroyed */
    EXPECT(pintle_local_get(one) == (void *)2);
    EXPECT(pintle_local_set(two, (void *)9) == 0);
    EXPECT(pintle_local_set(two, NULL) == 0);
}
static int use_wrongly(void *arg) {
    pintle_local *last = NULL;
    int code = 0, made = 0;
    (void)arg;
    EXPECT(pintle_local_new(&one, count_destroyed) == 0 && pintle_local_new(&two, count_destroyed) == 0);
    EXPECT(pintle_enter(replace, NULL) == 0);
    EXPECT(atomic_load(&destroyed) == 1 && atomic_load(&sum) == 2);
    EXPECT(pintle_local_new(NULL, NULL) == PINTLE_EINVAL);
    EXPECT(pintle_local_set(NULL, &sum) == PINTLE_EINVAL && pintle_local_get(NULL) == NULL);
    while (made < 2000 && (code = pintle_local_new(&last, NULL)) == 0) made++;
    EXPECT(code == PINTLE_ELIMIT && made == 1022);
    EXPECT(pintle_local_set(last, &made) == 0 && pintle_local_get(last) == &made && pintle_local_get(one) == NULL);
    return 0;
}
CASE(local_wrong_use_gives_errors) {
    ck_assert_int_eq(helper_run(use_wrongly, NULL, 1), 0);
    ck_assert_uint_eq(wrong, 0);
    ck_assert_int_eq(pintle_local_set(one, &sum), PINTLE_EINVAL); /* no task */
    ck_assert_ptr_null(pintle_local_get(one));
}

static void panic_with_value(void *arg) {
    (void)arg;
    EXPECT(pintle_local_set(one, (void *)1) == 0);
    pintle_panic("on purpose");
}
static void no_report(void *user, int kind, const char *text) {
    (void)user;
    (void)kind;
    (void)text;
}
CASE(local_of_task_that_panics_is_freed_without_destroy) {
    pintle_options options = helper_processors(1);
    options.on_report = no_report;
    ck_assert_int_eq(pintle_local_new(&one, count_destroyed), 0);
    ck_assert_int_eq(pintle_start(&options), 0);
    for (int i = 0; i < 10; i++) ck_assert_int_eq(pintle_enter(panic_with_value, NULL), PINTLE_EPANIC);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    ck_assert_uint_eq(wrong, 0);
    ck_assert_uint_eq(destroyed, 0);
}
