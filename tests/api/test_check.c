/* test_check.c: pintle_check finds nothing in a runtime that works, and names what was broken on purpose. */
#include "api_helpers.h"

#include "scheduler.h"

CASE(check_of_a_stopped_runtime_is_refused) { ck_assert_int_eq(pintle_check(), PINTLE_ESTOPPED); }

typedef struct crowd {
    atomic_uint running, breaches;
    pintle_error error;
} crowd;

static void crowd_task(void *arg) {
    crowd *c = arg;
    for (unsigned i = 0; i < 20; i++) {
        pintle_sleep(i % 3 == 0 ? PINTLE_US(200) : 0);
        if (i % 8 == 0 && pintle_check() != 0 && atomic_fetch_add(&c->breaches, 1) == 0) pintle_error_get(&c->error);
    }
    atomic_fetch_sub(&c->running, 1);
}
static int crowd_main(void *arg) {
    crowd *c = arg;
    static pintle_task *tasks[200];
    atomic_store(&c->running, 200);
    unsigned failed = helper_spawn_all(tasks, 200, crowd_task, c);
    while (atomic_load(&c->running) != 0) {
        if (pintle_check() != 0 && atomic_fetch_add(&c->breaches, 1) == 0) pintle_error_get(&c->error);
        pintle_yield();
    }
    return (int)(failed + helper_join_all(tasks, 200));
}

CASE(check_finds_nothing_while_a_crowd_works) {
    for (unsigned processors = 1; processors <= 4; processors++) {
        crowd c = {0};
        ck_assert_int_eq(helper_run(crowd_main, &c, processors), 0);
        ck_assert_msg(c.breaches == 0, "%s", c.error.text);
    }
}

/* Breaks one count under the lock, looks, and repairs it. */
typedef struct breach {
    uint32_t *count;
    int result, after;
    pintle_error error;
} breach;

static int breach_main(void *arg) {
    breach *b = arg;
    lock_acquire(&sched.lock);
    *b->count += 1000;
    lock_release(&sched.lock);
    b->result = pintle_check();
    pintle_error_get(&b->error);
    lock_acquire(&sched.lock);
    *b->count -= 1000;
    lock_release(&sched.lock);
    b->after = pintle_check();
    return 0;
}

CASE(check_names_a_count_that_is_wrong) {
    breach b = {.count = &sched.lent_now};
    ck_assert_int_eq(helper_run(breach_main, &b, 2), 0);
    ck_assert_int_eq(b.result, PINTLE_ECORRUPT);
    ck_assert_ptr_nonnull(strstr(b.error.text, "processors to lend"));
    ck_assert_int_eq(b.after, 0);
}

CASE(check_names_threads_that_cannot_be) {
    breach b = {.count = &sched.starting_count};
    ck_assert_int_eq(helper_run(breach_main, &b, 2), 0);
    ck_assert_int_eq(b.result, PINTLE_ECORRUPT);
    ck_assert_ptr_nonnull(strstr(b.error.text, "threads start"));
    ck_assert_int_eq(b.after, 0);
}
