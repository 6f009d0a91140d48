/* A service on POSIX: signals, and the datagrams that a service manager gets. */
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "support/pintle_test.h"

/* To whichever thread the kernel chooses. */
static void send_self(int number) { kill(getpid(), number); }

struct log {
    char text[4096];
    void (*before_ready)(void);
    int64_t stop_takes_ns;
};

static void add(struct log *log, const char *text) {
    size_t used = strlen(log->text);
    snprintf(log->text + used, sizeof log->text - used, "%s\n", text);
}

static int record_events(pintle_service_context *c, int argc, char **argv) {
    struct log *log = pintle_service_user(c);
    pintle_service_event event;
    (void)argc, (void)argv;
    if (log->before_ready != NULL) log->before_ready();
    pintle_service_ready(c);
    send_self(SIGHUP);
    while (pintle_service_next(c, &event, PINTLE_FOREVER) == 0) {
        char line[64];
        snprintf(line, sizeof line, "%u by %u", (unsigned)event.kind, (unsigned)event.control);
        add(log, line);
        if (event.kind == PINTLE_SERVICE_RELOAD) send_self(SIGTERM);
    }
    add(log, pintle_service_stopping(c) ? "stopping" : "not stopping");
    pintle_sleep(log->stop_takes_ns);
    return 0;
}

CASE(signals_arrive_as_events_in_order) {
    struct log log = {.text = ""};
    struct sigaction before, after;
    pintle_service service = {.name = "test", .main_task = record_events, .user = &log};
    sigaction(SIGTERM, NULL, &before);
    ck_assert_int_eq(pintle_service_run(&service, PINTLE_SERVICE_MODE_CONSOLE, 0, NULL), 0);
    ck_assert_str_eq(log.text, "256 by 1\n1 by 15\nstopping\n");
    sigaction(SIGTERM, NULL, &after);
    ck_assert(before.sa_handler == after.sa_handler);
}

static int until_stopped(pintle_service_context *c, int argc, char **argv) {
    pintle_service_event event;
    (void)argc, (void)argv;
    if (pintle_service_next(c, &event, PINTLE_NOWAIT) != PINTLE_EAGAIN) return 1;
    pintle_service_ready(c);
    send_self(SIGINT);
    if (pintle_service_next(c, &event, PINTLE_FOREVER) != 0) return 2;
    return event.kind == PINTLE_SERVICE_STOP && event.control == SIGINT ? 0 : 3;
}

CASE(run_twice_in_one_process_works) {
    pintle_service service = {.name = "test", .main_task = until_stopped};
    ck_assert_int_eq(pintle_service_run(&service, PINTLE_SERVICE_MODE_CONSOLE, 0, NULL), 0);
    ck_assert_int_eq(pintle_service_run(&service, PINTLE_SERVICE_MODE_CONSOLE, 0, NULL), 0);
}

static int hup_ignored(pintle_service_context *c, int argc, char **argv) {
    pintle_service_event event;
    (void)argc, (void)argv;
    send_self(SIGHUP);
    send_self(SIGTERM);
    return pintle_service_next(c, &event, PINTLE_FOREVER) == 0 && event.kind == PINTLE_SERVICE_STOP ? 0 : 1;
}

CASE(hangup_ignored_by_nohup_stays_ignored) {
    pintle_service service = {.name = "test", .main_task = hup_ignored};
    signal(SIGHUP, SIG_IGN);
    int result = pintle_service_run(&service, PINTLE_SERVICE_MODE_CONSOLE, 0, NULL);
    ck_assert(signal(SIGHUP, SIG_DFL) == SIG_IGN);
    ck_assert_int_eq(result, 0);
}

static int stopped_in_scope(void *arg) {
    *(int *)arg = pintle_sleep_until(PINTLE_FOREVER);
    return 0;
}

static int wait_for_scope(pintle_service_context *c, int argc, char **argv) {
    int slept = 0, waited;
    (void)argc, (void)argv;
    if (pintle_scope_go(pintle_service_scope(c), stopped_in_scope, &slept, NULL) != 0) return 1;
    send_self(SIGTERM);
    waited = pintle_scope_wait(pintle_service_scope(c), PINTLE_FOREVER); /* the stop ends it */
    return waited == 0 && slept == PINTLE_ECANCELED && pintle_service_stopping(c) ? 0 : 2;
}

CASE(stop_cancels_the_scope) {
    pintle_service service = {.name = "test", .main_task = wait_for_scope};
    ck_assert_int_eq(pintle_service_run(&service, PINTLE_SERVICE_MODE_CONSOLE, 0, NULL), 0);
}

/* ---- The manager's socket ---- */

static int manager_open(bool abstract) {
    char path[100];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval limit = {.tv_sec = 10};
    snprintf(path, sizeof path, "%s/tmp/pintle-notify-%d", abstract ? "@" : "", (int)getpid());
    strcpy(address.sun_path, path);
    if (abstract) address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (bind(fd, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path))) != 0)
        return -1;
    setenv("NOTIFY_SOCKET", path, 1);
    return fd;
}

/* All that has arrived, a '|' after each. */
static void manager_read(int fd, char *out, size_t bytes) {
    size_t used = 0;
    ssize_t got;
    while (used + 256 < bytes && (got = recv(fd, out + used, 255, MSG_DONTWAIT)) > 0) {
        used += (size_t)got;
        out[used++] = '|';
    }
    out[used] = '\0';
}

static void manager_close(int fd) {
    close(fd);
    unlink(getenv("NOTIFY_SOCKET"));
    unsetenv("NOTIFY_SOCKET");
}

static void notified_run(bool abstract) {
    struct log log = {.text = ""};
    pintle_service service = {.name = "test", .main_task = record_events, .user = &log};
    char sent[4096];
    int fd = manager_open(abstract);
    ck_assert_int_ge(fd, 0);
    int result = pintle_service_run(&service, PINTLE_SERVICE_MODE_AUTO, 0, NULL);
    manager_read(fd, sent, sizeof sent);
    manager_close(fd);
    ck_assert_int_eq(result, 0);
    char *first = strstr(sent, "EXTEND_TIMEOUT_USEC=5000000|READY=1\nSTATUS=running|RELOADING=1\nMONOTONIC_USEC=");
    ck_assert_msg(first == sent, "%s", sent);
    ck_assert_msg(strstr(sent, "|STOPPING=1\nEXTEND_TIMEOUT_USEC=5000000|") != NULL, "%s", sent);
}

CASE(manager_hears_ready_reloading_stopping) { notified_run(false); }
CASE(manager_with_an_abstract_socket_hears) { notified_run(true); }

static void take_long(void) { pintle_sleep(PINTLE_MS(1700)); }

CASE(start_and_stop_slow_extend_their_time) {
    struct log log = {.text = "", .before_ready = take_long, .stop_takes_ns = PINTLE_MS(1700)};
    pintle_service service = {.name = "test", .main_task = record_events, .user = &log};
    char sent[4096];
    unsigned before_ready = 0, all = 0;
    int fd = manager_open(false);
    int result = pintle_service_run(&service, PINTLE_SERVICE_MODE_AUTO, 0, NULL);
    manager_read(fd, sent, sizeof sent);
    manager_close(fd);
    ck_assert_int_eq(result, 0);
    for (char *at = sent; (at = strstr(at, "EXTEND_TIMEOUT")) != NULL; at++) {
        all++;
        before_ready += at < strstr(sent, "READY");
    }
    ck_assert_uint_ge(before_ready, 3);
    ck_assert_uint_ge(all - before_ready, 3);
}

static int log_lines(pintle_service_context *c, int argc, char **argv) {
    (void)argc, (void)argv;
    pintle_service_log(c, PINTLE_SERVICE_ERROR, "no %s", "disk");
    pintle_service_log(c, PINTLE_SERVICE_INFO, "up");
    return 0;
}

CHILD(log_plain) {
    pintle_service service = {.name = "test", .main_task = log_lines};
    exit(pintle_service_run(&service, PINTLE_SERVICE_MODE_CONSOLE, 0, NULL));
}

CHILD(log_journal) {
    pintle_service service = {.name = "test", .main_task = log_lines};
    setenv("JOURNAL_STREAM", "1:2", 1);
    exit(pintle_service_run(&service, PINTLE_SERVICE_MODE_CONSOLE, 0, NULL));
}

CASE(log_lines_have_what_their_reader_wants) {
    char text[4096];
    ck_assert_int_eq(child_run("log_plain", text, sizeof text), 0);
    ck_assert_str_eq(text, "test: error: no disk\ntest: up\n");
    ck_assert_int_eq(child_run("log_journal", text, sizeof text), 0);
    ck_assert_str_eq(text, "<3>no disk\n<6>up\n");
}

CASE(scm_is_refused_with_a_hint) {
    pintle_error error;
    pintle_scm_status status;
    ck_assert_int_eq(pintle_scm_install("x", NULL), PINTLE_ENOTSUP);
    ck_assert_int_eq(pintle_scm_query("x", &status), PINTLE_ENOTSUP);
    pintle_error_get(&error);
    ck_assert_msg(strstr(error.text, "unit file") != NULL, "%s", error.text);
}
