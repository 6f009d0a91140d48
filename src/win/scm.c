/* scm.c (Windows): the service manager's side: query, start, stop, control, list; opening, errors, waiting.
 *
 * Each function asks the manager inside a foreign call, since that is a message to another process. Waiting is asking again,
 * between sleeps of the task: the manager has no wait that works on a handle of its own.
 * A service that has reported its end may still have its files open, and Wine's manager refuses a start meanwhile: so its
 * process, if it is the service's own, is waited for too. While the manager says its number, the manager holds it, and the
 * number is nobody else's. What ended before we first asked has no number any more, and is not waited for.
 * Threads: any. Locks: none. Order: none. Tests: tests/win/test_service_win.c. */
#include "scm.h"

#include "clock.h"
#include "pintle/call.h"
#include "pintle/task.h"

enum { POLL_FIRST_MS = 5, POLL_MS = 100, PATIENCE_S = 30, UNNOTICED_S = 1, ASK_TRIES = 4 };

/* ---- Errors ---- */

static const struct {
    DWORD error;
    int code;
    const char *advice;
} known_errors[] = {
    {ERROR_ACCESS_DENIED, PINTLE_EACCES, "run as administrator"},
    {ERROR_SERVICE_DOES_NOT_EXIST, PINTLE_ENOTFOUND, "it is not installed (pintle service list shows what is)"},
    {ERROR_INVALID_NAME, PINTLE_EINVAL, "a service's name has no slashes and at most 256 characters"},
    {ERROR_SERVICE_MARKED_FOR_DELETE, PINTLE_EBUSY,
     "it is to be removed as soon as nobody has it open: close services.msc and the like, or restart"},
    {ERROR_SERVICE_DISABLED, PINTLE_EOS,
     "it, or a service that it needs, is disabled: install it with another start type"},
    {ERROR_SERVICE_LOGON_FAILED, PINTLE_EACCES,
     "its account cannot log on: check the password, and the right to log on as a service"},
    {ERROR_INVALID_SERVICE_ACCOUNT, PINTLE_EINVAL, "there is no such account, or its password is wrong"},
    {ERROR_SERVICE_REQUEST_TIMEOUT, PINTLE_ETIMEDOUT,
     "the program did not call pintle_service_run in time, or ended before it: run it on a console"},
    {ERROR_FILE_NOT_FOUND, PINTLE_ENOTFOUND, "its program is not where it was installed"},
    {ERROR_PATH_NOT_FOUND, PINTLE_ENOTFOUND, "its program is not where it was installed"},
    {ERROR_SERVICE_CANNOT_ACCEPT_CTRL, PINTLE_EBUSY, "it is starting or stopping, or has too much to do: try again"},
    {ERROR_INVALID_SERVICE_CONTROL, PINTLE_ENOTSUP, "the service does not accept it"},
    {ERROR_CALL_NOT_IMPLEMENTED, PINTLE_ENOTSUP, "the service does not accept it"},
    {ERROR_SERVICE_NOT_ACTIVE, PINTLE_ESTOPPED, "it does not run"},
    {ERROR_DEPENDENT_SERVICES_RUNNING, PINTLE_EBUSY, "services that need it still run: stop them first"},
    {ERROR_SERVICE_DEPENDENCY_DELETED, PINTLE_ENOTFOUND, "a service that it needs is not installed"},
    {ERROR_SERVICE_DEPENDENCY_FAIL, PINTLE_EOS, "a service that it needs does not start"},
    {ERROR_CIRCULAR_DEPENDENCY, PINTLE_EINVAL, "services would need each other"},
    {ERROR_DUPLICATE_SERVICE_NAME, PINTLE_EINVAL, "another service has this display name"},
    {ERROR_NOT_ENOUGH_MEMORY, PINTLE_ENOMEM, "there is no memory"},
};

int scm_error(const char *verb, const char *name, DWORD error) {
    char message[256];
    os_error_text(error, message, sizeof message);
    for (size_t i = 0; i < COUNT_OF(known_errors); i++) {
        if (known_errors[i].error != error) continue;
        return error_set(known_errors[i].code, error, "cannot %s service '%s': %s (%s)", verb, name,
                         known_errors[i].advice, message);
    }
    return error_set(PINTLE_EOS, error, "cannot %s service '%s': error %lu: %s", verb, name, error, message);
}

bool scm_options_read(const char *function, void *out, size_t out_bytes, const void *options, size_t size) {
    size_t given = 0;
    memset(out, 0, out_bytes);
    if (options == NULL) return true;
    memcpy(&given, options, sizeof given); /* the first field of each */
    if (given != 0 && given < size) size = given;
    if (size <= sizeof given) {
        error_set(PINTLE_EINVAL, 0, "%s: options.size is %zu: set it to the struct's, or 0", function, size);
        return false;
    }
    memcpy(out, options, size < out_bytes ? size : out_bytes);
    return true;
}

/* ---- Opening ---- */

int scm_open(struct scm *out, const char *name, DWORD manager_rights, DWORD service_rights) {
    wchar_t *wide;
    out->service = NULL;
    out->manager = OpenSCManagerW(NULL, NULL, manager_rights);
    if (out->manager == NULL) return scm_error("open", name, GetLastError());
    if (service_rights == 0) return 0;
    wide = win_utf16(name);
    if (wide != NULL) out->service = OpenServiceW(out->manager, wide, service_rights);
    DWORD error = GetLastError();
    memory_free(wide);
    if (out->service != NULL) return 0;
    scm_close(out);
    return scm_error("open", name, error);
}

void scm_close(struct scm *scm) {
    if (scm->service != NULL) CloseServiceHandle(scm->service);
    if (scm->manager != NULL) CloseServiceHandle(scm->manager);
    scm->manager = scm->service = NULL;
}

static int name_check(const char *function, const char *name) {
    if (name != NULL && name[0] != '\0') return 0;
    return error_set(PINTLE_EINVAL, 0, "%s: the name is empty", function);
}

/* ---- Query ---- */

int scm_ask(const struct scm *scm, const char *name, SERVICE_STATUS_PROCESS *out) {
    DWORD bytes;
    if (QueryServiceStatusEx(scm->service, SC_STATUS_PROCESS_INFO, (BYTE *)out, sizeof *out, &bytes)) return 0;
    return scm_error("query", name, GetLastError());
}

static void status_fill(pintle_scm_status *out, const SERVICE_STATUS_PROCESS *status) {
    out->state = status->dwCurrentState;
    out->process_id = status->dwProcessId;
    out->exit_code = status->dwWin32ExitCode;
    out->specific_code = status->dwServiceSpecificExitCode;
    out->checkpoint = status->dwCheckPoint;
    out->wait_hint_ms = status->dwWaitHint;
    out->accepts = status->dwControlsAccepted;
}

static bool is_delayed(const struct scm *scm) {
    SERVICE_DELAYED_AUTO_START_INFO delayed = {FALSE};
    DWORD bytes;
    return QueryServiceConfig2W(scm->service, SERVICE_CONFIG_DELAYED_AUTO_START_INFO, (BYTE *)&delayed, sizeof delayed,
                                &bytes) &&
           delayed.fDelayedAutostart;
}

static int config_fill(const struct scm *scm, const char *name, pintle_scm_status *out) {
    QUERY_SERVICE_CONFIGW *config = NULL;
    DWORD bytes = 0, error;
    for (int i = 0; i < ASK_TRIES; i++) { /* it may grow between */
        memory_free(config);
        config = bytes != 0 ? memory_alloc(bytes) : NULL;
        if (bytes != 0 && config == NULL) return error_set(PINTLE_ENOMEM, 0, "no memory to query service '%s'", name);
        if (QueryServiceConfigW(scm->service, config, bytes, &bytes)) {
            win_utf8(config->lpDisplayName, out->display_name, sizeof out->display_name);
            win_utf8(config->lpBinaryPathName, out->command_line, sizeof out->command_line);
            if (config->lpServiceStartName != NULL)
                win_utf8(config->lpServiceStartName, out->account, sizeof out->account);
            out->start = config->dwStartType == SERVICE_DISABLED       ? PINTLE_SCM_START_DISABLED
                         : config->dwStartType == SERVICE_DEMAND_START ? PINTLE_SCM_START_DEMAND
                         : is_delayed(scm)                             ? PINTLE_SCM_START_DELAYED
                                                                       : PINTLE_SCM_START_AUTO;
            memory_free(config);
            return 0;
        }
        error = GetLastError();
        if (error != ERROR_INSUFFICIENT_BUFFER) break;
    }
    memory_free(config);
    return scm_error("query", name, error);
}

struct query {
    const char *name;
    pintle_scm_status status;
};

static int query_in_call(void *arg) {
    struct query *query = arg;
    SERVICE_STATUS_PROCESS status;
    struct scm scm;
    int result = scm_open(&scm, query->name, SC_MANAGER_CONNECT, SERVICE_QUERY_STATUS | SERVICE_QUERY_CONFIG);
    if (result != 0) return result;
    result = scm_ask(&scm, query->name, &status);
    if (result == 0) {
        status_fill(&query->status, &status);
        result = config_fill(&scm, query->name, &query->status);
    }
    scm_close(&scm);
    return result;
}

int pintle_scm_query_sized(const char *name, pintle_scm_status *out, size_t size) {
    struct query *query;
    int result = name_check("pintle_scm_query", name);
    if (result != 0) return result;
    if (out == NULL) return error_set(PINTLE_EINVAL, 0, "pintle_scm_query: out is NULL");
    query = memory_alloc_zero(sizeof *query);
    if (query == NULL) return error_set(PINTLE_ENOMEM, 0, "no memory to query service '%s'", name);
    query->name = name;
    result = pintle_call_blocking(query_in_call, query);
    query->status.size = size < sizeof query->status ? size : sizeof query->status;
    if (result == 0) memcpy(out, &query->status, query->status.size);
    memory_free(query);
    return result;
}

const char *pintle_scm_state_name(uint32_t state) {
    static const char *const names[] = {"unknown", "stopped",          "start pending", "stop pending",
                                        "running", "continue pending", "pause pending", "paused"};
    return names[state < COUNT_OF(names) ? state : 0];
}

/* ---- Waiting ---- */

struct operation {
    const char *name;
    const char *verb;
    pintle_scm_wait_options options;
    struct scm scm;
    uint32_t control;
    SERVICE_STATUS_PROCESS status;
    HANDLE process; /* the service's, NULL: not known */
    DWORD process_id;
    int64_t gone_ns; /* when it was first seen to be over; 0: it is not */
};

static void process_forget(struct operation *operation) {
    if (operation->process != NULL) CloseHandle(operation->process);
    operation->process = NULL;
    operation->process_id = 0;
    operation->gone_ns = 0;
}

/* Whoever may not open it does without. */
static void process_note(struct operation *operation) {
    SERVICE_STATUS_PROCESS *status = &operation->status;
    DWORD id = status->dwProcessId;
    if (id != 0 && id != operation->process_id && status->dwServiceType & SERVICE_WIN32_OWN_PROCESS) {
        process_forget(operation);
        operation->process = OpenProcess(SYNCHRONIZE, FALSE, id);
        operation->process_id = id;
        if (scm_ask(&operation->scm, operation->name, status) != 0 || status->dwProcessId != id)
            process_forget(operation);
    }
    if (operation->process != NULL && operation->gone_ns == 0 &&
        WaitForSingleObject(operation->process, 0) == WAIT_OBJECT_0)
        operation->gone_ns = pintle_now();
}

static int ask_in_call(void *arg) {
    struct operation *operation = arg;
    int result = scm_ask(&operation->scm, operation->name, &operation->status);
    if (result == 0) process_note(operation);
    return result;
}

static int close_in_call(void *arg) {
    struct operation *operation = arg;
    process_forget(operation);
    scm_close(&operation->scm);
    return 0;
}

static int ended_early(const struct operation *operation) {
    const SERVICE_STATUS_PROCESS *status = &operation->status;
    bool own = status->dwWin32ExitCode == ERROR_SERVICE_SPECIFIC_ERROR;
    char message[256];
    os_error_text(status->dwWin32ExitCode, message, sizeof message);
    return error_set(PINTLE_EOS, own ? status->dwServiceSpecificExitCode : status->dwWin32ExitCode,
                     "cannot %s service '%s': it stopped with %s %lu%s%s", operation->verb, operation->name,
                     own ? "its own code" : "error", own ? status->dwServiceSpecificExitCode : status->dwWin32ExitCode,
                     own ? "" : ": ", own ? "" : message);
}

static int timed_out(const struct operation *operation) {
    return error_set(PINTLE_ETIMEDOUT, 0, "service '%s' is still %s (checkpoint %lu)%s", operation->name,
                     pintle_scm_state_name(operation->status.dwCurrentState), operation->status.dwCheckPoint,
                     operation->options.deadline_ns == 0 ? ", and makes no progress" : "");
}

/* It died without a word. Windows' manager takes note of that at once, Wine's never does. */
static int vanished(const struct operation *operation) {
    return error_set(PINTLE_EOS, 0, "cannot %s service '%s': its process ended without a word to the service manager",
                     operation->verb, operation->name);
}

/* Until the process of a service that has stopped is over too. */
static int wait_process(struct operation *operation) {
    int64_t pause_ns = PINTLE_MS(POLL_FIRST_MS), deadline_ns = operation->options.deadline_ns;
    if (deadline_ns == 0) deadline_ns = pintle_after(PINTLE_S(PATIENCE_S));
    while (operation->process != NULL && WaitForSingleObject(operation->process, 0) == WAIT_TIMEOUT) {
        int64_t now_ns = pintle_now();
        int result;
        if (now_ns >= deadline_ns) {
            return error_set(PINTLE_ETIMEDOUT, 0, "service '%s' has stopped, but its process %lu still runs",
                             operation->name, operation->process_id);
        }
        if (deadline_ns - now_ns < pause_ns) pause_ns = deadline_ns - now_ns;
        if ((result = pintle_sleep(pause_ns)) != 0) return result;
        if (pause_ns < PINTLE_MS(POLL_MS)) pause_ns *= 2;
    }
    return 0;
}

/* Until it is in the state; of one that stops, until its process is over. */
static int wait_state(struct operation *operation, DWORD wanted) {
    int64_t progress_ns = pintle_now(), pause_ns = PINTLE_MS(POLL_FIRST_MS);
    DWORD last_state = 0, last_checkpoint = 0;
    for (;;) {
        SERVICE_STATUS_PROCESS *status = &operation->status;
        int result = pintle_call_blocking(ask_in_call, operation);
        int64_t now_ns = pintle_now(), deadline_ns;
        if (result != 0) return result;
        if (operation->options.on_progress != NULL) {
            pintle_scm_status shown = {.size = sizeof shown};
            status_fill(&shown, status);
            operation->options.on_progress(operation->options.user, &shown);
        }
        if (status->dwCurrentState == wanted) return wanted == SERVICE_STOPPED ? wait_process(operation) : 0;
        if (status->dwCurrentState == SERVICE_STOPPED) {
            result = wait_process(operation);
            return result == PINTLE_ECANCELED ? result : ended_early(operation);
        }
        if (operation->gone_ns != 0 && now_ns - operation->gone_ns >= PINTLE_S(UNNOTICED_S))
            return wanted == SERVICE_STOPPED ? 0 : vanished(operation);
        if (status->dwCurrentState != last_state || status->dwCheckPoint != last_checkpoint) progress_ns = now_ns;
        last_state = status->dwCurrentState;
        last_checkpoint = status->dwCheckPoint;
        deadline_ns = operation->options.deadline_ns;
        if (deadline_ns == 0) deadline_ns = progress_ns + PINTLE_S(PATIENCE_S);
        if (now_ns >= deadline_ns) return timed_out(operation);
        if (deadline_ns - now_ns < pause_ns) pause_ns = deadline_ns - now_ns;
        if ((result = pintle_sleep(pause_ns)) != 0) return result;
        if (pause_ns < PINTLE_MS(POLL_MS)) pause_ns *= 2;
    }
}

/* Opens the service and does `act` in a call; waits for the state (0: none); closes. */
static int operate(struct operation *operation, int (*act)(void *operation), DWORD wanted) {
    int result = pintle_call_blocking(act, operation);
    if (result == 0 && wanted != 0 && operation->options.deadline_ns != PINTLE_NOWAIT) {
        result = wait_state(operation, wanted);
    }
    pintle_call_blocking(close_in_call, operation);
    return result;
}

static int operation_read(struct operation *out, const char *function, const char *verb, const char *name,
                          const pintle_scm_wait_options *options, size_t size) {
    int result = name_check(function, name);
    if (result != 0) return result;
    memset(out, 0, sizeof *out);
    if (!scm_options_read(function, &out->options, sizeof out->options, options, size)) return PINTLE_EINVAL;
    out->name = name;
    out->verb = verb;
    if (out->options.deadline_ns != 0) return deadline_check(out->options.deadline_ns, function);
    return 0;
}

/* ---- Start, stop, control ---- */

static int start_in_call(void *arg) {
    struct operation *operation = arg;
    size_t count = 0;
    int result = scm_open(&operation->scm, operation->name, SC_MANAGER_CONNECT, SERVICE_START | SERVICE_QUERY_STATUS);
    if (result != 0) return result;
    while (operation->options.arguments != NULL && operation->options.arguments[count] != NULL) count++;
    wchar_t **wide = memory_alloc_zero((count + 1) * sizeof *wide);
    DWORD error = wide != NULL ? NO_ERROR : ERROR_NOT_ENOUGH_MEMORY;
    for (size_t i = 0; error == NO_ERROR && i < count; i++) {
        wide[i] = win_utf16(operation->options.arguments[i]);
        if (wide[i] == NULL) error = GetLastError();
    }
    if (error == NO_ERROR && !StartServiceW(operation->scm.service, (DWORD)count, (const wchar_t **)wide))
        error = GetLastError();
    for (size_t i = 0; wide != NULL && i < count; i++) memory_free(wide[i]);
    memory_free(wide);
    return error == NO_ERROR || error == ERROR_SERVICE_ALREADY_RUNNING
               ? 0
               : scm_error(operation->verb, operation->name, error);
}

int pintle_scm_start_sized(const char *name, const pintle_scm_wait_options *options, size_t size) {
    struct operation operation;
    int result = operation_read(&operation, "pintle_scm_start", "start", name, options, size);
    return result != 0 ? result : operate(&operation, start_in_call, SERVICE_RUNNING);
}

static int control_in_call(void *arg) {
    struct operation *operation = arg;
    SERVICE_STATUS status;
    DWORD control = operation->control, error;
    DWORD rights = SERVICE_QUERY_STATUS | (control == SERVICE_CONTROL_STOP          ? SERVICE_STOP
                                           : control == SERVICE_CONTROL_INTERROGATE ? SERVICE_INTERROGATE
                                           : control >= 128                         ? SERVICE_USER_DEFINED_CONTROL
                                                                                    : SERVICE_PAUSE_CONTINUE);
    int result = scm_open(&operation->scm, operation->name, SC_MANAGER_CONNECT, rights);
    if (result != 0) return result;
    if (control == SERVICE_CONTROL_STOP) ask_in_call(operation); /* for its process, while it has one */
    if (ControlService(operation->scm.service, control, &status)) return 0;
    error = GetLastError();
    if (control == SERVICE_CONTROL_STOP) {
        /* It has stopped, stops already, or died: Windows and Wine give different errors for that. */
        if (error == ERROR_SERVICE_NOT_ACTIVE) return 0;
        if (ask_in_call(operation) == 0 &&
            (operation->status.dwCurrentState == SERVICE_STOP_PENDING ||
             operation->status.dwCurrentState == SERVICE_STOPPED || operation->gone_ns != 0))
            return 0;
    }
    return scm_error(operation->verb, operation->name, error);
}

static int look_in_call(void *arg) {
    struct operation *operation = arg;
    return scm_open(&operation->scm, operation->name, SC_MANAGER_CONNECT, SERVICE_QUERY_STATUS);
}

/* Stops it. What is starting takes no controls: then that is waited for first. It may be up by the time that the refusal is
 * looked into; a refusal for another reason stays one. */
static int stop(struct operation *operation) {
    int result = 0;
    operation->control = SERVICE_CONTROL_STOP;
    for (int tries = 0; tries < ASK_TRIES; tries++) {
        memset(&operation->status, 0, sizeof operation->status);
        result = operate(operation, control_in_call, SERVICE_STOPPED);
        if (result == 0 || operation->options.deadline_ns == PINTLE_NOWAIT) return result;
        if (result == PINTLE_ETIMEDOUT) return result;
        if (operation->status.dwControlsAccepted & SERVICE_ACCEPT_STOP) continue;
        if (operation->status.dwCurrentState != SERVICE_START_PENDING) return result;
        result = operate(operation, look_in_call, SERVICE_RUNNING);
        if (result != 0 && operation->status.dwCurrentState != SERVICE_STOPPED) return result;
    }
    return result;
}

int pintle_scm_stop_sized(const char *name, const pintle_scm_wait_options *options, size_t size) {
    struct operation operation;
    int result = operation_read(&operation, "pintle_scm_stop", "stop", name, options, size);
    if (result != 0) return result;
    return stop(&operation);
}

int pintle_scm_control_sized(const char *name, uint32_t control, const pintle_scm_wait_options *options, size_t size) {
    struct operation operation;
    int result = operation_read(&operation, "pintle_scm_control",
                                control == SERVICE_CONTROL_PAUSE      ? "pause"
                                : control == SERVICE_CONTROL_CONTINUE ? "continue"
                                                                      : "control",
                                name, options, size);
    if (result != 0) return result;
    operation.control = control;
    return operate(&operation, control_in_call,
                   control == SERVICE_CONTROL_PAUSE      ? SERVICE_PAUSED
                   : control == SERVICE_CONTROL_CONTINUE ? SERVICE_RUNNING
                   : control == SERVICE_CONTROL_STOP     ? SERVICE_STOPPED
                                                         : 0);
}

/* ---- Remove ---- */

static int remove_in_call(void *arg) {
    struct operation *operation = arg;
    int result = scm_open(&operation->scm, operation->name, SC_MANAGER_CONNECT, DELETE);
    if (result != 0) return result;
    if (!DeleteService(operation->scm.service) && GetLastError() != ERROR_SERVICE_MARKED_FOR_DELETE)
        return scm_error(operation->verb, operation->name, GetLastError());
    scm_event_source_remove(operation->name);
    return 0;
}

int pintle_scm_remove_sized(const char *name, const pintle_scm_wait_options *options, size_t size) {
    struct operation operation;
    int result = operation_read(&operation, "pintle_scm_remove", "remove", name, options, size), removed;
    if (result != 0) return result;
    result = stop(&operation);
    if (result == PINTLE_ENOTFOUND) return 0; /* an installer's clean-up may run twice */
    if (result == PINTLE_EACCES || result == PINTLE_EINVAL || result == PINTLE_ENOMEM) return result;
    removed = operate(&operation, remove_in_call, 0);
    return removed != 0 ? removed : result; /* it goes when it ends, or says why it could not be stopped */
}

/* ---- List ---- */

struct listing {
    ENUM_SERVICE_STATUS_PROCESSW *services;
    DWORD count;
};

static int list_in_call(void *arg) {
    struct listing *listing = arg;
    DWORD bytes = 0, missing = 0, resume = 0, error;
    struct scm scm;
    int result = scm_open(&scm, "*", SC_MANAGER_CONNECT | SC_MANAGER_ENUMERATE_SERVICE, 0);
    if (result != 0) return result;
    for (int i = 0; i < ASK_TRIES; i++) { /* there may be more of them by then */
        memory_free(listing->services);
        listing->services = bytes != 0 ? memory_alloc(bytes) : NULL;
        if (bytes != 0 && listing->services == NULL) {
            error = ERROR_NOT_ENOUGH_MEMORY;
            break;
        }
        resume = 0;
        error = EnumServicesStatusExW(scm.manager, SC_ENUM_PROCESS_INFO, SERVICE_WIN32, SERVICE_STATE_ALL,
                                      (BYTE *)listing->services, bytes, &missing, &listing->count, &resume, NULL)
                    ? NO_ERROR
                    : GetLastError();
        if (error != ERROR_MORE_DATA) break;
        bytes += missing + 4096;
    }
    scm_close(&scm);
    return error == NO_ERROR ? 0 : scm_error("list", "*", error);
}

int pintle_scm_list(void (*each)(void *user, const char *name, const pintle_scm_status *status), void *user) {
    struct listing listing = {NULL, 0};
    int result;
    if (each == NULL) return error_set(PINTLE_EINVAL, 0, "pintle_scm_list: each is NULL");
    result = pintle_call_blocking(list_in_call, &listing);
    for (DWORD i = 0; result == 0 && i < listing.count; i++) {
        pintle_scm_status status = {.size = sizeof status};
        char name[768];
        win_utf8(listing.services[i].lpServiceName, name, sizeof name);
        win_utf8(listing.services[i].lpDisplayName, status.display_name, sizeof status.display_name);
        status_fill(&status, &listing.services[i].ServiceStatusProcess);
        each(user, name, &status);
    }
    memory_free(listing.services);
    return result;
}
