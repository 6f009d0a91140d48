/* os_service.h: the seam to the system's service manager, console and log. One implementation in src/posix, one in src/win.
 * Conventions as in os.h: 0, or the system's error number. Tests: tests/win/test_service_win.c, tests/posix/test_service_posix.c. */
#ifndef PINTLE_SRC_OS_SERVICE_H
#define PINTLE_SRC_OS_SERVICE_H

#include "os.h"
#include "pintle/service.h"

enum service_state {
    SERVICE_IS_START_PENDING,
    SERVICE_IS_RUNNING,
    SERVICE_IS_PAUSE_PENDING,
    SERVICE_IS_PAUSED,
    SERVICE_IS_CONTINUE_PENDING,
    SERVICE_IS_RELOADING, /* running, as Windows sees it */
    SERVICE_IS_STOP_PENDING,
    SERVICE_IS_STOPPED
};

struct service_status {
    enum service_state state;
    uint32_t accepts; /* kinds */
    uint32_t checkpoint, wait_hint_ms;
    uint32_t specific_code; /* of STOPPED; 0: success */
};

/* What a control handler is told to answer. */
enum service_answer { SERVICE_TAKEN, SERVICE_UNKNOWN, SERVICE_FULL };

struct service_port {
    const char *name;
    /* An event has come. On a thread that is not ours; does not block. */
    enum service_answer (*control)(const pintle_service_event *event);
    /* The service's whole life, with the arguments of its start (the name first). On a thread that the system made, or
     * the caller's. The last thing it does is to report STOPPED. */
    void (*live)(int argc, char **argv);
};

/* Whether the service manager started this process. No dispatcher is asked for it, which can take its time to refuse. */
bool os_service_started_by_manager(void);
/* Runs the service under the manager: calls port->live, and returns after it. Where the manager did not start us, an error,
 * and live was not called. */
int os_service_dispatch(const struct service_port *port);
/* Says how things are. Any thread; the caller orders the reports. */
int os_service_report(const struct service_status *status);
/* From now on until close, signals and console events go to port->control (not as a Windows service, which would hear of
 * other people's log-offs). port is copied. Where a signal arrives as a signal,
 * the handler only notes it, adds 1 to *wake and wakes who waits there, who then calls os_console_poll. */
int os_console_open(const struct service_port *port, bool as_service, _Atomic uint32_t *wake);
void os_console_poll(void);
void os_console_close(void);
/* An entry in the log of the system; as_service: not on the console. */
int os_service_log(const char *name, bool as_service, int level, const char *text);
void os_service_log_close(void);
/* Whether the log is elsewhere than standard error, which then nobody reads. */
bool os_service_log_is_apart(bool as_service);

#endif
