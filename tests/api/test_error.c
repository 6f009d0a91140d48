/* test_error.c: codes, their names and sentences, and the last failure of a task or a thread. */
#include "api/api_helpers.h"

static const struct {
    int code;
    int value;
    const char *name;
} codes[] = {
    {PINTLE_EINVAL, -20001, "PINTLE_EINVAL"},
    {PINTLE_ENOMEM, -20002, "PINTLE_ENOMEM"},
    {PINTLE_ELIMIT, -20003, "PINTLE_ELIMIT"},
    {PINTLE_ENOTFOUND, -20004, "PINTLE_ENOTFOUND"},
    {PINTLE_ENOTSUP, -20005, "PINTLE_ENOTSUP"},
    {PINTLE_EBUSY, -20006, "PINTLE_EBUSY"},
    {PINTLE_ECLOSED, -20007, "PINTLE_ECLOSED"},
    {PINTLE_ESTOPPED, -20008, "PINTLE_ESTOPPED"},
    {PINTLE_ETIMEDOUT, -20009, "PINTLE_ETIMEDOUT"},
    {PINTLE_ECANCELED, -20010, "PINTLE_ECANCELED"},
    {PINTLE_EAGAIN, -20011, "PINTLE_EAGAIN"},
    {PINTLE_EPANIC, -20012, "PINTLE_EPANIC"},
    {PINTLE_EFAULT, -20013, "PINTLE_EFAULT"},
    {PINTLE_EACCES, -20014, "PINTLE_EACCES"},
    {PINTLE_EOS, -20015, "PINTLE_EOS"},
    {PINTLE_EDEADLK, -20016, "PINTLE_EDEADLK"},
    {PINTLE_ECORRUPT, -20017, "PINTLE_ECORRUPT"},
};

CASE(error_codes_have_names_and_distinct_sentences) {
    for (size_t i = 0; i < ELEMENTS(codes); i++) {
        ck_assert_int_eq(codes[i].code, codes[i].value);
        ck_assert_str_eq(pintle_error_name(codes[i].code), codes[i].name);
        const char *sentence = pintle_strerror(codes[i].code);
        ck_assert_ptr_nonnull(sentence);
        ck_assert_uint_gt(strlen(sentence), 5);
        ck_assert_ptr_eq(pintle_strerror(codes[i].code), sentence); /* static */
        for (size_t j = 0; j < i; j++) ck_assert_str_ne(pintle_strerror(codes[j].code), sentence);
    }
}

CASE(error_code_that_is_unknown_gets_a_sentence_too) {
    const int unknown[] = {-20000, -20018, -1, 1, INT32_MIN, INT32_MAX};
    for (size_t i = 0; i < ELEMENTS(unknown); i++) {
        ck_assert_uint_gt(strlen(pintle_strerror(unknown[i])), 5);
        ck_assert_uint_gt(strlen(pintle_error_name(unknown[i])), 0);
        for (size_t j = 0; j < ELEMENTS(codes); j++) {
            ck_assert_str_ne(pintle_strerror(unknown[i]), pintle_strerror(codes[j].code));
            ck_assert_str_ne(pintle_error_name(unknown[i]), codes[j].name);
        }
    }
    ck_assert_str_ne(pintle_error_name(0), pintle_error_name(-1));
}

CASE(error_set_is_read_back_and_returns_its_code) {
    pintle_error error;
    memset(&error, 0xA5, sizeof error);
    pintle_error_get(&error);
    ck_assert_int_eq(error.code, 0);
    ck_assert_int_eq(error.os_code, 0);
    ck_assert_str_eq(error.text, "");
    ck_assert_int_eq(pintle_error_set(PINTLE_EBUSY, -5000000000, "%s has %d left", "Köln", 12), PINTLE_EBUSY);
    for (int i = 0; i < 2; i++) { /* reading does not clear it */
        memset(&error, 0xA5, sizeof error);
        pintle_error_get(&error);
        ck_assert_int_eq(error.code, PINTLE_EBUSY);
        ck_assert_int_eq(error.os_code, -5000000000);
        ck_assert_str_eq(error.text, "Köln has 12 left");
    }
    ck_assert_int_eq(pintle_error_set(-7, 3, "own"), -7);
    pintle_error_get(&error);
    ck_assert_int_eq(error.code, -7);
    ck_assert_int_eq(error.os_code, 3);
    ck_assert_str_eq(error.text, "own");
}

CASE(error_text_too_long_is_cut) {
    char text[2000];
    pintle_error error;
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    ck_assert_int_eq(pintle_error_set(PINTLE_EOS, 1, "%s", text), PINTLE_EOS);
    pintle_error_get(&error);
    ck_assert_uint_ge(strlen(error.text), 400);
    ck_assert_uint_lt(strlen(error.text), sizeof error.text);
}

/* ---- Each task and each thread has its own ---- */

typedef struct owners {
    atomic_uint next, wrong;
    int first_code_on_thread;
} owners;

static void owner_task(void *arg) {
    owners *o = arg;
    int me = (int)atomic_fetch_add(&o->next, 1);
    pintle_error error;
    pintle_error_get(&error);
    if (error.code != 0) atomic_fetch_add(&o->wrong, 1);
    for (int i = 0; i < 100; i++) {
        char expected[32];
        pintle_error_set(PINTLE_EOS - me - 1, me * 1000 + i, "task %d round %d", me, i);
        if (i % 3 == 0)
            pintle_yield();
        else if (i % 3 == 1)
            pintle_call_blocking(helper_return_at_once, NULL);
        else
            pintle_sleep(PINTLE_US(5));
        pintle_error_get(&error);
        snprintf(expected, sizeof expected, "task %d round %d", me, i);
        if (error.code != PINTLE_EOS - me - 1 || error.os_code != me * 1000 + i || strcmp(error.text, expected) != 0)
            atomic_fetch_add(&o->wrong, 1);
    }
}
static int owners_main(void *arg) {
    pintle_task *tasks[30];
    unsigned failed = helper_spawn_all(tasks, 30, owner_task, arg);
    return (int)(failed + helper_join_all(tasks, 30));
}
static void thread_owner(void *arg) {
    owners *o = arg;
    pintle_error error;
    pintle_error_get(&error);
    o->first_code_on_thread = error.code;
    pintle_error_set(PINTLE_EAGAIN, 0, "on the thread");
}

CASE(error_belongs_to_the_task_and_to_the_thread) {
    owners o = {.first_code_on_thread = 1};
    helper_thread thread;
    pintle_error error;
    pintle_error_set(PINTLE_ECLOSED, 11, "on the main thread");
    ck_assert_int_eq(helper_run(owners_main, &o, 2), 0);
    ck_assert_uint_eq(o.next, 30);
    ck_assert_uint_eq(o.wrong, 0);
    ck_assert(helper_thread_start(&thread, thread_owner, &o));
    helper_thread_join(&thread);
    ck_assert_int_eq(o.first_code_on_thread, 0);
    pintle_error_get(&error);
    ck_assert_int_eq(error.code, PINTLE_ECLOSED);
    ck_assert_str_eq(error.text, "on the main thread");
}

/* In a call, the last failure is that of the task that made it. */
typedef struct call_errors {
    pintle_error inside, after;
} call_errors;

static int error_in_call(void *arg) {
    call_errors *c = arg;
    pintle_error_get(&c->inside);
    pintle_error_set(PINTLE_EFAULT, 2, "set in the call");
    return 0;
}
static int call_errors_main(void *arg) {
    call_errors *c = arg;
    pintle_error_set(PINTLE_ENOMEM, 1, "set by the task");
    pintle_call(error_in_call, c);
    pintle_error_get(&c->after);
    return 0;
}

CASE(error_in_a_call_is_the_tasks) {
    call_errors c = {{0}, {0}};
    ck_assert_int_eq(pintle_run(call_errors_main, &c, NULL), 0);
    ck_assert_int_eq(c.inside.code, PINTLE_ENOMEM);
    ck_assert_str_eq(c.inside.text, "set by the task");
    ck_assert_int_eq(c.after.code, PINTLE_EFAULT);
    ck_assert_str_eq(c.after.text, "set in the call");
}

CASE(version_of_library_is_that_of_the_headers) { ck_assert_uint_eq(pintle_version(), PINTLE_VERSION); }
