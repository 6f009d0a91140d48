/* pintle/service.h: a program that is a Windows service, a console program, and on POSIX a daemon, from one main task; and
 * the service manager's side: installing, starting, watching, removing. */
#ifndef PINTLE_SERVICE_H
#define PINTLE_SERVICE_H

#include "pintle/base.h"
#include "pintle/chan.h"
#include "pintle/runtime.h"
#include "pintle/task.h"

#if defined(__cplusplus)
extern "C" {
#endif

/* ---- The service ------------------------------------------------------------------------------------------ */

/* Kinds of events; bits, for pintle_service.accepts. */
enum {
    PINTLE_SERVICE_STOP = 1 << 0,        /* also Ctrl-C, Ctrl-Break, a closed console, SIGTERM, SIGINT */
    PINTLE_SERVICE_SHUTDOWN = 1 << 1,    /* the system goes down */
    PINTLE_SERVICE_PRESHUTDOWN = 1 << 2, /* the same, earlier, with more time (pintle_scm_service.preshutdown_ms) */
    PINTLE_SERVICE_PAUSE = 1 << 3,
    PINTLE_SERVICE_CONTINUE = 1 << 4,
    PINTLE_SERVICE_USER = 1 << 5,    /* control: 128 to 255 */
    PINTLE_SERVICE_SESSION = 1 << 6, /* type: WTS_…; session: its number */
    PINTLE_SERVICE_POWER = 1 << 7,   /* type: PBT_…; data: POWERBROADCAST_SETTING, if there is one */
    PINTLE_SERVICE_RELOAD = 1 << 8   /* SERVICE_CONTROL_PARAMCHANGE; SIGHUP */
};

typedef struct pintle_service_event {
    uint32_t kind;       /* one of the above */
    uint32_t control;    /* as a service SERVICE_CONTROL_…, on a console CTRL_…_EVENT, on POSIX the signal */
    uint32_t type;       /* what Windows says in dwEventType */
    uint32_t session;    /* of PINTLE_SERVICE_SESSION */
    uint32_t data_bytes; /* of data; more than fit are cut off */
    unsigned char data[76];
} pintle_service_event;

typedef struct pintle_service_context pintle_service_context;

typedef struct pintle_service {
    size_t size;      /* sizeof(pintle_service), or 0 */
    const char *name; /* as installed; also the source's name in the event log or syslog */
    int (*main_task)(pintle_service_context *c, int argc, char **argv);
    void *user;       /* for pintle_service_user */
    uint32_t accepts; /* kinds that the main task wants; 0: STOP, SHUTDOWN, USER and RELOAD. STOP always is */
    const pintle_options *options; /* the runtime's; NULL: defaults */
} pintle_service;

enum {
    PINTLE_SERVICE_MODE_AUTO = 0, /* SERVICE if the service manager is the parent, else CONSOLE; POSIX: NOTIFY_SOCKET */
    PINTLE_SERVICE_MODE_SERVICE = 1, /* Windows: only the service manager starts it; POSIX: the log goes to syslog */
    PINTLE_SERVICE_MODE_CONSOLE = 2
};

/* Effect: runs main_task as pintle_run's main task, and returns its value, as a service or on the console. The main task's
 * arguments are these; as a service they are followed by those of the start (pintle_scm_start, `sc start NAME …`), in UTF-8.
 *
 * As a Windows service, the manager sees start-pending with growing checkpoints until pintle_service_ready, and
 * stop-pending from the stop until main_task has returned and the other tasks have ended. A value other than 0 is the
 * service-specific exit code, so failure actions run (pintle_service_fail sets another). A control is copied and queued, in
 * order, however busy the main task is, and answered at once. What is not accepted gets ERROR_CALL_NOT_IMPLEMENTED; when 256
 * events are queued, ERROR_SERVICE_CANNOT_ACCEPT_CTRL. A panic that nobody stops ends the process without a word to the
 * manager, which is what failure actions wait for.
 *
 * On the console, Ctrl-C and Ctrl-Break are stops; a closed console, a log-off and a shutdown too, and Windows waits for the
 * end as long as it does (5 s). On POSIX it stays in the foreground: SIGTERM and SIGINT stop, SIGHUP reloads unless it is
 * ignored, and where NOTIFY_SOCKET is set, the service manager is told: READY=1, RELOADING=1, STOPPING=1,
 * EXTEND_TIMEOUT_USEC while it takes long (a datagram, as sd_notify(3) describes).
 *
 * Blocks: thread, until the end. From: the program's main thread; once at a time.
 * Errors: as pintle_run; EINVAL; EOS (mode SERVICE without the service manager: start it with pintle_scm_start). */
PINTLE_API int pintle_service_run_sized(const pintle_service *service, int mode, int argc, char **argv, size_t size);
static inline int pintle_service_run(const pintle_service *service, int mode, int argc, char **argv) {
    return pintle_service_run_sized(service, mode, argc, argv, sizeof(pintle_service));
}

/* What was given in pintle_service; the mode that it runs in, which is not AUTO. Blocks: no. From: any. */
PINTLE_API void *pintle_service_user(const pintle_service_context *c);
PINTLE_API const char *pintle_service_name(const pintle_service_context *c);
PINTLE_API int pintle_service_mode(const pintle_service_context *c);

/* Effect: the service is up: start-pending ends here. Once; later calls do nothing. Blocks: no longer than the service
 * manager does. From: any. Errors: ESTOPPED (it is stopping already), EOS (the manager's refusal). */
PINTLE_API int pintle_service_ready(pintle_service_context *c);

/* Effect: the next event, waiting for it. Taking one also says that the one before was carried out: a pause ends as
 * "paused", a continue as "running", a reload as "ready". After STOP, SHUTDOWN or PRESHUTDOWN there are no more: ECLOSED.
 * Blocks: task. From: any. Errors: as pintle_chan_recv. */
PINTLE_API int pintle_service_next(pintle_service_context *c, pintle_service_event *out, int64_t deadline_ns);

/* The channel of pintle_service_event that they come by, for select; it is the service's. Who takes an event from it calls
 * pintle_service_done when a pause, continue or reload was carried out; else that is assumed about a second after it
 * was taken. Blocks: no. From: any. */
PINTLE_API pintle_chan *pintle_service_events(pintle_service_context *c);
PINTLE_API void pintle_service_done(pintle_service_context *c);

/* A scope for the service's tasks: cancelled by a stop, a shutdown, a preshutdown, and when the main task returns, which waits
 * for its tasks. The main task is no member: its waits go on. It is not the caller's to close. Blocks: no. From: any, while
 * the main task runs. */
PINTLE_API pintle_scope *pintle_service_scope(pintle_service_context *c);

/* Whether a stop, shutdown or preshutdown has come. Blocks: no. From: any. */
PINTLE_API bool pintle_service_stopping(const pintle_service_context *c);

/* Effect: the exit code that the manager will see as the service-specific one, whatever the main task returns; 0: success.
 * Not an exit: the main task returns when it likes. Blocks: no. From: any. */
PINTLE_API void pintle_service_fail(pintle_service_context *c, uint32_t specific_code);

enum { PINTLE_SERVICE_ERROR = 1, PINTLE_SERVICE_WARNING = 2, PINTLE_SERVICE_INFO = 3 };

/* Effect: an entry in Windows' event log, under the service's name; on a console a line on standard error; on POSIX a line
 * there too (with a priority that journald reads, where it is a journal), or in syslog. Up to 2,000 bytes.
 * Blocks: no longer than the log does. From: any. Errors: EINVAL (no such level), EOS. */
PINTLE_API int pintle_service_log(pintle_service_context *c, int level, const char *format, ...) PINTLE_PRINTF(3, 4);

/* ---- The service manager's side ----------------------------------------------------------------------------
 * Windows. Elsewhere each gives ENOTSUP: a unit file says there what these say here (docs/services.md).
 * All of them: Blocks: task (the manager is asked in foreign calls). From: any, also before the runtime runs.
 * Errors: EACCES (run as administrator), ENOTFOUND (not installed), EINVAL, ENOMEM, EBUSY (marked for deletion), EOS; the text
 * says what to do. */

enum {
    PINTLE_SCM_START_AUTO = 0, /* with the system */
    PINTLE_SCM_START_DELAYED = 1,
    PINTLE_SCM_START_DEMAND = 2,
    PINTLE_SCM_START_DISABLED = 3
};
enum {
    PINTLE_SCM_ACTION_NONE = 0,
    PINTLE_SCM_ACTION_RESTART = 1,
    PINTLE_SCM_ACTION_REBOOT = 2,
    PINTLE_SCM_ACTION_RUN = 3
};

/* What the manager does at the first, second, … failure. The last of them counts for all later ones. */
typedef struct pintle_scm_action {
    uint32_t kind, delay_ms;
} pintle_scm_action;

typedef struct pintle_scm_install_options {
    size_t size;
    const char *program;          /* absolute path; NULL: the running program */
    const char *const *arguments; /* ended by NULL; quoted as needed. NULL: none */
    const char *display_name;     /* NULL: the name */
    const char *description;
    const char *const *dependencies; /* names of services, ended by NULL */
    const char *account;             /* NULL: LocalSystem; "NT AUTHORITY\\LocalService", ".\\user", "DOMAIN\\user" */
    const char *password;
    uint32_t start; /* PINTLE_SCM_START_… */
    const pintle_scm_action *actions;
    size_t action_count;
    uint32_t reset_s;        /* after so long without a failure the count begins anew; 0: a day */
    const char *action_run;  /* the command line of PINTLE_SCM_ACTION_RUN */
    uint32_t preshutdown_ms; /* 0: the system's default */
} pintle_scm_install_options;

/* Effect: installs the service; if there is one of that name, it gets this configuration: an installer may run twice. The
 * program's path is always quoted. Failure actions also run for exits with a code, not only for crashes. Its source in the
 * event log is registered, with the program's message table (pintle_service_messages in CMake) or the system's.
 * Errors: as above; EINVAL (a name with a slash, a path that is not absolute). */
PINTLE_API int pintle_scm_install_sized(const char *name, const pintle_scm_install_options *options, size_t size);
static inline int pintle_scm_install(const char *name, const pintle_scm_install_options *options) {
    return pintle_scm_install_sized(name, options, sizeof(pintle_scm_install_options));
}

enum { /* as Windows' SERVICE_… */
       PINTLE_SCM_STOPPED = 1,
       PINTLE_SCM_START_PENDING = 2,
       PINTLE_SCM_STOP_PENDING = 3,
       PINTLE_SCM_RUNNING = 4,
       PINTLE_SCM_CONTINUE_PENDING = 5,
       PINTLE_SCM_PAUSE_PENDING = 6,
       PINTLE_SCM_PAUSED = 7
};

typedef struct pintle_scm_status {
    size_t size;
    uint32_t state, process_id;
    uint32_t exit_code;     /* of the last run: 0; 1066: specific_code counts; 1077: never started */
    uint32_t specific_code; /* the service's own */
    uint32_t checkpoint, wait_hint_ms;
    uint32_t accepts; /* Windows' SERVICE_ACCEPT_… */
    uint32_t start;   /* PINTLE_SCM_START_… */
    char display_name[256], account[128], command_line[1024];
} pintle_scm_status;

/* Effect: fills *out. */
PINTLE_API int pintle_scm_query_sized(const char *name, pintle_scm_status *out, size_t size);
static inline int pintle_scm_query(const char *name, pintle_scm_status *out) {
    return pintle_scm_query_sized(name, out, sizeof(pintle_scm_status));
}

/* A state's name: "running", "start pending", … Blocks: no. */
PINTLE_API const char *pintle_scm_state_name(uint32_t state);

typedef struct pintle_scm_wait_options {
    size_t size;
    int64_t deadline_ns; /* 0: as long as it makes progress, 30 s without; PINTLE_NOWAIT: asks, and does not wait */
    const char *const *arguments;                                     /* of the start, ended by NULL */
    void (*on_progress)(void *user, const pintle_scm_status *status); /* about ten times a second */
    void *user;
} pintle_scm_wait_options;

/* Effect: starts it and waits until it runs; stops it and waits until it has stopped and its process, if it has one of its own,
 * is over: its files can be replaced then (of what ended before this was called, the process is not known); sends a control (pause, continue: 2,
 * 3, and waits for the state; interrogate: 4; 128 to 255: the service's own); stops it, if it can be stopped, and removes it.
 * What is so already is a success: started, stopped, removed. Options may be NULL.
 * Errors: as above; ETIMEDOUT (with the state it is in); EOS (it stopped instead: its exit code is in the text). */
PINTLE_API int pintle_scm_start_sized(const char *name, const pintle_scm_wait_options *options, size_t size);
PINTLE_API int pintle_scm_stop_sized(const char *name, const pintle_scm_wait_options *options, size_t size);
PINTLE_API int pintle_scm_remove_sized(const char *name, const pintle_scm_wait_options *options, size_t size);
PINTLE_API int pintle_scm_control_sized(const char *name, uint32_t control, const pintle_scm_wait_options *options,
                                        size_t size);
static inline int pintle_scm_start(const char *name, const pintle_scm_wait_options *options) {
    return pintle_scm_start_sized(name, options, sizeof(pintle_scm_wait_options));
}
static inline int pintle_scm_stop(const char *name, const pintle_scm_wait_options *options) {
    return pintle_scm_stop_sized(name, options, sizeof(pintle_scm_wait_options));
}
static inline int pintle_scm_remove(const char *name, const pintle_scm_wait_options *options) {
    return pintle_scm_remove_sized(name, options, sizeof(pintle_scm_wait_options));
}
static inline int pintle_scm_control(const char *name, uint32_t control, const pintle_scm_wait_options *options) {
    return pintle_scm_control_sized(name, control, options, sizeof(pintle_scm_wait_options));
}

/* Effect: calls each(user, name, status) for every installed service (not drivers); status has the state, the process and the
 * display name only. */
PINTLE_API int pintle_scm_list(void (*each)(void *user, const char *name, const pintle_scm_status *status), void *user);

#if defined(__cplusplus)
}
#endif

#endif
