/* Services on the console, on every platform; under their managers: tests/win/test_service_win.c, tests/posix. */
#include "support/pintle_test.h"

struct found {
    int argc, ready, ready_again, next, next_late, log, bad_level, nested;
    char arguments[64], name[32];
    int mode;
    bool stopping;
};

static int nothing(pintle_service_context *c, int argc, char **argv) {
    (void)c, (void)argc, (void)argv;
    return 0;
}

static int look_around(pintle_service_context *c, int argc, char **argv) {
    struct found *found = pintle_service_user(c);
    pintle_service other = {.name = "other", .main_task = nothing};
    pintle_service_event event;
    found->argc = argc;
    for (int i = 0; i < argc; i++) {
        strcat(found->arguments, argv[i]);
        strcat(found->arguments, ",");
    }
    if (argv[argc] != NULL) return 1;
    snprintf(found->name, sizeof found->name, "%s", pintle_service_name(c));
    found->mode = pintle_service_mode(c);
    found->ready = pintle_service_ready(c);
    found->ready_again = pintle_service_ready(c);
    found->next = pintle_service_next(c, &event, PINTLE_NOWAIT);
    found->next_late = pintle_service_next(c, &event, pintle_after(PINTLE_MS(1)));
    found->log = pintle_service_log(c, PINTLE_SERVICE_WARNING, "%d %s", 1, "warning");
    found->bad_level = pintle_service_log(c, 0, "x");
    found->nested = pintle_service_run(&other, PINTLE_SERVICE_MODE_CONSOLE, 0, NULL);
    found->stopping = pintle_service_stopping(c);
    return 7;
}

CASE(main_task_on_console_has_everything) {
    char a[] = "a", b[] = "b b";
    char *argv[] = {a, b, NULL};
    struct found found = {.argc = 0};
    pintle_service service = {.name = "console", .main_task = look_around, .user = &found};
    ck_assert_int_eq(pintle_service_run(&service, PINTLE_SERVICE_MODE_AUTO, 2, argv), 7);
    ck_assert_int_eq(found.argc, 2);
    ck_assert_str_eq(found.arguments, "a,b b,");
    ck_assert_str_eq(found.name, "console");
    ck_assert_int_eq(found.mode, PINTLE_SERVICE_MODE_CONSOLE);
    ck_assert_int_eq(found.ready, 0);
    ck_assert_int_eq(found.ready_again, 0);
    ck_assert_int_eq(found.next, PINTLE_EAGAIN);
    ck_assert_int_eq(found.next_late, PINTLE_ETIMEDOUT);
    ck_assert_int_eq(found.log, 0);
    ck_assert_int_eq(found.bad_level, PINTLE_EINVAL);
    ck_assert_int_eq(found.nested, PINTLE_EBUSY);
    ck_assert(!found.stopping);
}

static int fail_and_return(pintle_service_context *c, int argc, char **argv) {
    (void)argc, (void)argv;
    pintle_service_fail(c, *(uint32_t *)pintle_service_user(c));
    return 9;
}

CASE(fail_overrules_the_main_tasks_value) {
    uint32_t code = 33;
    pintle_service service = {.name = "failing", .main_task = fail_and_return, .user = &code};
    ck_assert_int_eq(pintle_service_run(&service, PINTLE_SERVICE_MODE_CONSOLE, 0, NULL), 33);
    code = 0;
    ck_assert_int_eq(pintle_service_run(&service, PINTLE_SERVICE_MODE_CONSOLE, 0, NULL), 0);
}

CASE(run_with_wrong_arguments_is_refused) {
    pintle_service service = {.name = "x", .main_task = nothing};
    ck_assert_int_eq(pintle_service_run(NULL, PINTLE_SERVICE_MODE_CONSOLE, 0, NULL), PINTLE_EINVAL);
    ck_assert_int_eq(pintle_service_run(&service, 3, 0, NULL), PINTLE_EINVAL);
    service.name = "";
    ck_assert_int_eq(pintle_service_run(&service, PINTLE_SERVICE_MODE_CONSOLE, 0, NULL), PINTLE_EINVAL);
    service = (pintle_service){.name = "x"};
    ck_assert_int_eq(pintle_service_run(&service, PINTLE_SERVICE_MODE_CONSOLE, 0, NULL), PINTLE_EINVAL);
    service = (pintle_service){.name = "x", .main_task = nothing, .accepts = 1u << 31};
    ck_assert_int_eq(pintle_service_run(&service, PINTLE_SERVICE_MODE_CONSOLE, 0, NULL), PINTLE_EINVAL);
    service = (pintle_service){.size = 4, .name = "x", .main_task = nothing};
    ck_assert_int_eq(pintle_service_run(&service, PINTLE_SERVICE_MODE_CONSOLE, 0, NULL), PINTLE_EINVAL);
}

CASE(runtime_that_cannot_start_is_an_error) {
    pintle_options options = {.processors = 100000};
    pintle_service service = {.name = "x", .main_task = nothing, .options = &options};
    ck_assert_int_eq(pintle_service_run(&service, PINTLE_SERVICE_MODE_CONSOLE, 0, NULL), PINTLE_EINVAL);
}

struct scoped {
    int slept, spawned, waited;
};

static int sleep_for_ever(void *arg) {
    struct scoped *scoped = arg;
    scoped->slept = pintle_sleep_until(PINTLE_FOREVER);
    return scoped->slept;
}

static int leave_one_asleep(pintle_service_context *c, int argc, char **argv) {
    struct scoped *scoped = pintle_service_user(c);
    (void)argc, (void)argv;
    scoped->spawned = pintle_scope_go(pintle_service_scope(c), sleep_for_ever, scoped, NULL);
    scoped->waited = pintle_scope_wait(pintle_service_scope(c), pintle_after(PINTLE_MS(20)));
    return 3;
}

CASE(scope_is_cancelled_when_the_main_task_returns) {
    struct scoped scoped = {.slept = 1};
    pintle_service service = {.name = "x", .main_task = leave_one_asleep, .user = &scoped};
    ck_assert_int_eq(pintle_service_run(&service, PINTLE_SERVICE_MODE_CONSOLE, 0, NULL), 3);
    ck_assert_int_eq(scoped.spawned, 0);
    ck_assert_int_eq(scoped.waited, PINTLE_ETIMEDOUT);
    ck_assert_int_eq(scoped.slept, PINTLE_ECANCELED);
}
