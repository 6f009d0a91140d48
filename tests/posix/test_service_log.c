/* A service whose standard error nobody reads: its entries and the runtime's reports go to syslog. The system's functions of
 * that name are replaced in this program by ones that print, so that no log of the machine is written to. */
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <syslog.h>

#include "support/deep.h"
#include "support/pintle_test.h"

void openlog(const char *name, int options, int facility) {
    printf("openlog %s%s%s\n", name, options & LOG_PID ? " pid" : "", facility == LOG_DAEMON ? " daemon" : "");
}
void vsyslog(int priority, const char *format, va_list arguments) {
    char text[16384];
    vsnprintf(text, sizeof text, format, arguments);
    printf("<%d>%s\n", priority, text);
    fflush(stdout);
}
void syslog(int priority, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsyslog(priority, format, arguments);
    va_end(arguments);
}
void __syslog_chk(int priority, int flag, const char *format, ...);
void __syslog_chk(int priority, int flag, const char *format, ...) {
    va_list arguments;
    (void)flag;
    va_start(arguments, format);
    vsyslog(priority, format, arguments);
    va_end(arguments);
}
void closelog(void) { puts("closelog"); }

static int run_service(int (*main_task)(pintle_service_context *c, int argc, char **argv)) {
    pintle_service service = {.name = "test", .main_task = main_task};
    unsetenv("JOURNAL_STREAM");
    unsetenv("NOTIFY_SOCKET");
    return pintle_service_run(&service, PINTLE_SERVICE_MODE_SERVICE, 0, NULL);
}

static int log_some(pintle_service_context *c, int argc, char **argv) {
    (void)argc, (void)argv;
    pintle_service_log(c, PINTLE_SERVICE_WARNING, "%d%% full", 91);
    return 0;
}
CHILD(logs) { exit(run_service(log_some)); }
CASE(log_of_a_service_without_a_journal_is_syslog) {
    char text[4096];
    ck_assert_int_eq(child_run("logs", text, sizeof text), 0);
    ck_assert_str_eq(text, "openlog test pid daemon\n<4>91% full\ncloselog\n");
}

/* ---- Reports: the same text that standard error gets, as one entry, before the process ends ---- */

static void assert_ends_with_entry(const char *child, int status_wanted, const char *sentence) {
    char text[32768];
    int status = child_run(child, text, sizeof text);
    const char *entry = strstr(text, "\n<3>");
#if defined(PINTLE_SANITIZE) /* a fault goes on to its handler, which chooses the status */
    if (status_wanted > 128) status_wanted = status != 0 && status != 2 ? status : -1;
#endif
    ck_assert_msg(status == status_wanted, "%d: %.2000s", status, text);
    ck_assert_msg(entry != NULL && strstr(entry, sentence) != NULL, "no entry with '%s' in:\n%.2000s", sentence, text);
}

static int panic_at_once(pintle_service_context *c, int argc, char **argv) {
    (void)argc, (void)argv;
    pintle_service_ready(c);
    pintle_panic("the disk is %s", "gone");
    return 0;
}
CHILD(panics) { exit(run_service(panic_at_once)); }
CASE(panic_of_a_service_is_in_the_log) { assert_ends_with_entry("panics", 2, "the disk is gone"); }

static int overflow(pintle_service_context *c, int argc, char **argv) {
    (void)argc, (void)argv;
    pintle_service_ready(c);
    deep_recurse(1 << 20);
    return 0;
}
CHILD(overflows) {
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    exit(run_service(overflow));
}
CASE(stack_overflow_of_a_service_is_in_the_log) {
    assert_ends_with_entry("overflows", 128 + SIGSEGV, "stack overflow");
}

static void panic_detached(void *arg) {
    (void)arg;
    pintle_panic("a task of the service");
}
static int panic_in_a_task(pintle_service_context *c, int argc, char **argv) {
    pintle_service_event event;
    (void)argc, (void)argv;
    pintle_spawn(NULL, panic_detached, NULL);
    return pintle_service_next(c, &event, PINTLE_FOREVER);
}
CHILD(task_panics) { exit(run_service(panic_in_a_task)); }
CASE(panic_of_a_detached_task_of_a_service_is_in_the_log) {
    assert_ends_with_entry("task_panics", 2, "a task of the service");
}
