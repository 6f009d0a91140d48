/* service.c (POSIX): signals as control events, the service manager's datagrams, the log.
 *
 * The manager is whoever listens at NOTIFY_SOCKET (systemd, mostly): sd_notify(3) documents the datagram, so no library is
 * needed. A signal is only noted where it arrives; the heartbeat polls (os_service.h).
 * Threads: any; the handlers on any. Locks: none; reports are ordered by the caller. Order: `noted` is set with a
 * sequentially consistent or, before the wake that it is read after. Invariants: between open and close the three signals
 * are ours. Tests: tests/posix/test_service_posix.c. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "os_service.h"

static const struct {
    int number;
    uint32_t kind;
} signals[] = {{SIGTERM, PINTLE_SERVICE_STOP}, {SIGINT, PINTLE_SERVICE_STOP}, {SIGHUP, PINTLE_SERVICE_RELOAD}};

static struct sigaction before[COUNT_OF(signals)];
static bool taken[COUNT_OF(signals)];
static _Atomic uint32_t noted; /* bits: which of the signals */
static struct service_port console;
static _Atomic(_Atomic uint32_t *) to_wake;
static enum service_state reported;

/* ---- Signals ---- */

/* A signal handler: nothing here but atomic steps and a system call. */
static void note_signal(int number) {
    _Atomic uint32_t *wake = atomic_load_acquire(&to_wake);
    for (unsigned i = 0; i < COUNT_OF(signals); i++) {
        if (signals[i].number == number) atomic_fetch_or_explicit(&noted, 1u << i, memory_order_seq_cst);
    }
    if (wake == NULL) return;
    atomic_add_seq_cst(wake, 1);
    os_wake_word_all(wake);
}

int os_console_open(const struct service_port *port, bool as_service, _Atomic uint32_t *wake) {
    (void)as_service;
    console = *port;
    atomic_store_relaxed(&noted, 0);
    atomic_store_release(&to_wake, wake);
    for (unsigned i = 0; i < COUNT_OF(signals); i++) {
        struct sigaction action = {.sa_handler = note_signal, .sa_flags = SA_RESTART};
        sigemptyset(&action.sa_mask);
        sigaction(signals[i].number, NULL, &before[i]);
        /* nohup has asked for it */
        taken[i] = !(signals[i].number == SIGHUP && before[i].sa_handler == SIG_IGN);
        if (taken[i]) sigaction(signals[i].number, &action, NULL);
    }
    return 0;
}

void os_console_poll(void) {
    uint32_t bits = atomic_fetch_and_explicit(&noted, 0, memory_order_seq_cst);
    for (unsigned i = 0; i < COUNT_OF(signals); i++) {
        pintle_service_event event = {.kind = signals[i].kind, .control = (uint32_t)signals[i].number};
        if (bits >> i & 1) console.control(&event);
    }
}

void os_console_close(void) {
    for (unsigned i = 0; i < COUNT_OF(signals); i++) {
        if (taken[i]) sigaction(signals[i].number, &before[i], NULL);
    }
    atomic_store_release(&to_wake, NULL);
}

/* ---- The manager ---- */

bool os_service_started_by_manager(void) { return getenv("NOTIFY_SOCKET") != NULL; }

int os_service_dispatch(const struct service_port *port) {
    port->live(0, NULL);
    return 0;
}

/* To NOTIFY_SOCKET: a path, or '@' and an abstract name. Absent: nobody wants to know. */
static int notify(const char *text) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = path != NULL ? strlen(path) : 0;
    int result = 0;
    if (path == NULL) return 0;
    if ((path[0] != '/' && path[0] != '@') || length >= sizeof address.sun_path) return EINVAL;
    memcpy(address.sun_path, path, length);
    if (path[0] == '@') address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return errno;
    if (sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&address,
               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) < 0)
        result = errno;
    close(fd);
    return result;
}

int os_service_report(const struct service_status *status) {
    char text[160] = "";
    enum service_state last = reported;
    unsigned long long extend_us = status->wait_hint_ms * 1000ull;
    reported = status->state;
    switch (status->state) {
    case SERVICE_IS_RUNNING: snprintf(text, sizeof text, "READY=1\nSTATUS=running"); break;
    case SERVICE_IS_PAUSED: snprintf(text, sizeof text, "STATUS=paused"); break;
    case SERVICE_IS_RELOADING:
        if (last == SERVICE_IS_RELOADING) return 0;
        snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)(os_now_ns() / 1000));
        break;
    case SERVICE_IS_STOP_PENDING:
        snprintf(text, sizeof text, "%sEXTEND_TIMEOUT_USEC=%llu", last != SERVICE_IS_STOP_PENDING ? "STOPPING=1\n" : "",
                 extend_us);
        break;
    case SERVICE_IS_START_PENDING: snprintf(text, sizeof text, "EXTEND_TIMEOUT_USEC=%llu", extend_us); break;
    default: return 0;
    }
    return notify(text);
}

/* ---- The log ---- */

static _Atomic bool log_is_open;

/* Standard error is journald's, which reads <N>. */
static bool is_in_journal(void) { return getenv("JOURNAL_STREAM") != NULL; }

bool os_service_log_is_apart(bool as_service) { return as_service && !is_in_journal(); }

int os_service_log(const char *name, bool as_service, int level, const char *text) {
    static const int priorities[] = {LOG_ERR, LOG_WARNING, LOG_INFO};
    static const char *const words[] = {"error: ", "warning: ", ""};
    char line[2200];
    bool journal = is_in_journal();
    if (os_service_log_is_apart(as_service)) {
        if (!atomic_exchange_explicit(&log_is_open, true, memory_order_acq_rel)) openlog(name, LOG_PID, LOG_DAEMON);
        syslog(priorities[level - 1], "%s", text);
        return 0;
    }
    int length = journal ? snprintf(line, sizeof line, "<%d>%s\n", priorities[level - 1], text)
                         : snprintf(line, sizeof line, "%s: %s%s\n", name, words[level - 1], text);
    os_write_error(line, (size_t)length < sizeof line ? (size_t)length : sizeof line - 1);
    return 0;
}

void os_service_log_close(void) {
    if (atomic_exchange_explicit(&log_is_open, false, memory_order_acq_rel)) closelog();
}
