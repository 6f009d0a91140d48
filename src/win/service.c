/* service.c (Windows): the dispatcher, the control handler, console events, the event log.
 *
 * The dispatcher has the main thread until the service is over; the service's own thread, which the system starts, lives its
 * life (service.c of the core). The control handler runs on the dispatcher's thread: it copies and queues, nothing more.
 * Threads: as said; console events come on a thread of their own each. Locks: none; reports are ordered by the caller.
 * Order: `served` and the status handle are written before the handler can run. Invariants: one service a process.
 * Tests: tests/win/test_service_win.c. */
#include "win.h"

#include <tlhelp32.h>

#include "os_service.h"

#if !defined(SERVICE_ACCEPT_PRESHUTDOWN)
#define SERVICE_ACCEPT_PRESHUTDOWN 0x100
#endif
#if !defined(SERVICE_CONTROL_PRESHUTDOWN)
#define SERVICE_CONTROL_PRESHUTDOWN 0xF
#endif
enum { USER_CONTROLS_FROM = 128, USER_CONTROLS_TO = 255 };
/* Of the message table (messages.mc), and of the system's EventCreate.exe, which has all of 1 to 1,000. */
enum { MESSAGE_ERROR = 1, MESSAGE_WARNING = 2, MESSAGE_INFO = 3 };

static struct {
    const struct service_port *port;
    SERVICE_STATUS_HANDLE handle;
    HANDLE life_over;
    int failed; /* the error number, if the service never lived */
} served;

/* ---- Whose child we are ---- */

/* The manager's process is a protected one on Windows, so it is not opened: the snapshot has its name. */
bool os_service_started_by_manager(void) {
    HANDLE snapshot = CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0);
    PROCESSENTRY32W entry = {.dwSize = sizeof entry};
    DWORD self = GetCurrentProcessId(), parent = 0;
    bool found = false;
    if (snapshot == INVALID_HANDLE_VALUE) return false;
    for (BOOL more = Process32FirstW(snapshot, &entry); more && parent == 0; more = Process32NextW(snapshot, &entry)) {
        if (entry.th32ProcessID == self) parent = entry.th32ParentProcessID;
    }
    for (BOOL more = Process32FirstW(snapshot, &entry); more && parent != 0; more = Process32NextW(snapshot, &entry)) {
        if (entry.th32ProcessID == parent) {
            found = _wcsicmp(entry.szExeFile, L"services.exe") == 0;
            break;
        }
    }
    CloseHandle(snapshot);
    return found;
}

/* ---- The manager ---- */

static void copy_data(pintle_service_event *event, const void *data, size_t bytes) {
    if (bytes > sizeof event->data) bytes = sizeof event->data;
    memcpy(event->data, data, bytes);
    event->data_bytes = (uint32_t)bytes;
}

static DWORD WINAPI handle_control(DWORD code, DWORD type, void *data, void *unused) {
    pintle_service_event event = {.control = code, .type = type};
    (void)unused;
    switch (code) {
    case SERVICE_CONTROL_INTERROGATE: return NO_ERROR; /* the manager has the last report */
    case SERVICE_CONTROL_STOP: event.kind = PINTLE_SERVICE_STOP; break;
    case SERVICE_CONTROL_SHUTDOWN: event.kind = PINTLE_SERVICE_SHUTDOWN; break;
    case SERVICE_CONTROL_PRESHUTDOWN: event.kind = PINTLE_SERVICE_PRESHUTDOWN; break;
    case SERVICE_CONTROL_PAUSE: event.kind = PINTLE_SERVICE_PAUSE; break;
    case SERVICE_CONTROL_CONTINUE: event.kind = PINTLE_SERVICE_CONTINUE; break;
    case SERVICE_CONTROL_PARAMCHANGE: event.kind = PINTLE_SERVICE_RELOAD; break;
    case SERVICE_CONTROL_SESSIONCHANGE:
        event.kind = PINTLE_SERVICE_SESSION;
        if (data != NULL) event.session = ((const DWORD *)data)[1]; /* WTSSESSION_NOTIFICATION: size, session */
        break;
    case SERVICE_CONTROL_POWEREVENT:
        event.kind = PINTLE_SERVICE_POWER;
        if (type == PBT_POWERSETTINGCHANGE && data != NULL) {
            const POWERBROADCAST_SETTING *setting = data;
            copy_data(&event, data, offsetof(POWERBROADCAST_SETTING, Data) + setting->DataLength);
        }
        break;
    default:
        if (code < USER_CONTROLS_FROM || code > USER_CONTROLS_TO) return ERROR_CALL_NOT_IMPLEMENTED;
        event.kind = PINTLE_SERVICE_USER;
    }
    switch (served.port->control(&event)) {
    case SERVICE_TAKEN: return NO_ERROR;
    case SERVICE_UNKNOWN: return ERROR_CALL_NOT_IMPLEMENTED;
    default: return ERROR_SERVICE_CANNOT_ACCEPT_CTRL;
    }
}

static void arguments_free(char **arguments, DWORD count) {
    for (DWORD i = 0; i < count; i++) memory_free(arguments[i]);
    memory_free(arguments);
}

static char **arguments_utf8(DWORD count, wchar_t **wide) {
    char **arguments = memory_alloc_zero((count + 1) * sizeof *arguments);
    for (DWORD i = 0; arguments != NULL && i < count; i++) {
        size_t bytes = 3 * wcslen(wide[i]) + 1;
        arguments[i] = memory_alloc(bytes);
        if (arguments[i] == NULL) {
            arguments_free(arguments, i);
            return NULL;
        }
        win_utf8(wide[i], arguments[i], bytes);
    }
    return arguments;
}

static void WINAPI service_main(DWORD count, wchar_t **wide) {
    wchar_t *name = win_utf16(served.port->name);
    char **arguments = arguments_utf8(count, wide);
    served.handle = name == NULL ? NULL : RegisterServiceCtrlHandlerExW(name, handle_control, NULL);
    if (served.handle == NULL || arguments == NULL) {
        /* Without a word to the manager it would wait for one: an exit tells it. */
        served.failed = name == NULL || arguments == NULL ? ERROR_NOT_ENOUGH_MEMORY : (int)GetLastError();
        os_exit(served.failed != 0 ? served.failed : 1);
    }
    served.port->live((int)count, arguments);
    arguments_free(arguments, count);
    memory_free(name);
    SetEvent(served.life_over);
}

int os_service_dispatch(const struct service_port *port) {
    wchar_t *name = win_utf16(port->name);
    SERVICE_TABLE_ENTRYW table[2] = {{name, service_main}, {NULL, NULL}};
    DWORD error = NO_ERROR;
    if (name == NULL) return (int)GetLastError();
    served.port = port;
    served.life_over = CreateEventW(NULL, TRUE, FALSE, NULL);
    if (served.life_over == NULL) {
        error = GetLastError();
    } else if (!StartServiceCtrlDispatcherW(table)) {
        error = GetLastError();
    } else {
        WaitForSingleObject(served.life_over, INFINITE); /* it has reported its end, and cleans up */
    }
    if (served.life_over != NULL) CloseHandle(served.life_over);
    served.handle = NULL;
    memory_free(name);
    return (int)error;
}

static DWORD accepted(uint32_t kinds) {
    static const struct {
        uint32_t kind;
        DWORD accept;
    } table[] = {{PINTLE_SERVICE_STOP, SERVICE_ACCEPT_STOP},
                 {PINTLE_SERVICE_SHUTDOWN, SERVICE_ACCEPT_SHUTDOWN},
                 {PINTLE_SERVICE_PRESHUTDOWN, SERVICE_ACCEPT_PRESHUTDOWN},
                 {PINTLE_SERVICE_PAUSE, SERVICE_ACCEPT_PAUSE_CONTINUE},
                 {PINTLE_SERVICE_SESSION, SERVICE_ACCEPT_SESSIONCHANGE},
                 {PINTLE_SERVICE_POWER, SERVICE_ACCEPT_POWEREVENT},
                 {PINTLE_SERVICE_RELOAD, SERVICE_ACCEPT_PARAMCHANGE}};
    DWORD accepts = 0;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        if (kinds & table[i].kind) accepts |= table[i].accept;
    }
    return accepts;
}

int os_service_report(const struct service_status *status) {
    static const DWORD states[] = {
        [SERVICE_IS_START_PENDING] = SERVICE_START_PENDING,       [SERVICE_IS_RUNNING] = SERVICE_RUNNING,
        [SERVICE_IS_PAUSE_PENDING] = SERVICE_PAUSE_PENDING,       [SERVICE_IS_PAUSED] = SERVICE_PAUSED,
        [SERVICE_IS_CONTINUE_PENDING] = SERVICE_CONTINUE_PENDING, [SERVICE_IS_RELOADING] = SERVICE_RUNNING,
        [SERVICE_IS_STOP_PENDING] = SERVICE_STOP_PENDING,         [SERVICE_IS_STOPPED] = SERVICE_STOPPED};
    bool failed = status->state == SERVICE_IS_STOPPED && status->specific_code != 0;
    bool reloading = status->state == SERVICE_IS_RELOADING;
    SERVICE_STATUS out = {.dwServiceType = SERVICE_WIN32_OWN_PROCESS,
                          .dwCurrentState = states[status->state],
                          .dwControlsAccepted = accepted(status->accepts),
                          .dwWin32ExitCode = failed ? ERROR_SERVICE_SPECIFIC_ERROR : NO_ERROR,
                          .dwServiceSpecificExitCode = failed ? status->specific_code : 0,
                          .dwCheckPoint = reloading ? 0 : status->checkpoint,
                          .dwWaitHint = reloading ? 0 : status->wait_hint_ms};
    if (served.handle == NULL) return 0; /* on the console */
    return SetServiceStatus(served.handle, &out) ? 0 : (int)GetLastError();
}

/* ---- The console ---- */

/* After a closed console, a log-off or a shutdown Windows ends the process as soon as the handler returns: it does not, so the
 * process ends when the program does, or after 5 s. The system holds a lock meanwhile that SetConsoleCtrlHandler wants too:
 * then the handler stays registered.
 *   CLOSED --open--> OPEN --close--> CLOSED
 *                    OPEN --such an event--> HELD, for the rest of the process */
enum { CONSOLE_CLOSED, CONSOLE_OPEN, CONSOLE_HELD };
static _Atomic uint32_t console_state;
static struct service_port console;

static BOOL WINAPI handle_console(DWORD code) {
    pintle_service_event event = {.kind = code == CTRL_SHUTDOWN_EVENT ? PINTLE_SERVICE_SHUTDOWN : PINTLE_SERVICE_STOP,
                                  .control = code};
    uint32_t open = CONSOLE_OPEN;
    bool last = code != CTRL_C_EVENT && code != CTRL_BREAK_EVENT;
    if (last && !atomic_cas_acq_rel(&console_state, &open, CONSOLE_HELD)) return FALSE;
    if (console.control(&event) == SERVICE_UNKNOWN) { /* a shutdown that is not accepted is a stop */
        event.kind = PINTLE_SERVICE_STOP;
        console.control(&event);
    }
    if (last) Sleep(INFINITE);
    return TRUE;
}

int os_console_open(const struct service_port *port, bool as_service, _Atomic uint32_t *wake) {
    uint32_t closed = CONSOLE_CLOSED;
    (void)wake;
    if (as_service) return 0;
    console = *port;
    /* A parent may have had Ctrl-C ignored, which is inherited (CREATE_NEW_PROCESS_GROUP). */
    SetConsoleCtrlHandler(NULL, FALSE);
    if (!atomic_cas_acq_rel(&console_state, &closed, CONSOLE_OPEN)) return 0; /* the process is ending */
    if (SetConsoleCtrlHandler(handle_console, TRUE)) return 0;
    atomic_store_release(&console_state, CONSOLE_CLOSED);
    return (int)GetLastError();
}

void os_console_poll(void) {}

void os_console_close(void) {
    uint32_t open = CONSOLE_OPEN;
    if (atomic_cas_acq_rel(&console_state, &open, CONSOLE_CLOSED)) SetConsoleCtrlHandler(handle_console, FALSE);
}

/* ---- The log ---- */

static _Atomic(HANDLE) event_source;

static HANDLE event_source_get(const char *name) {
    HANDLE source = atomic_load_acquire(&event_source), none = NULL;
    if (source != NULL) return source;
    wchar_t *wide = win_utf16(name);
    source = wide == NULL ? NULL : RegisterEventSourceW(NULL, wide);
    memory_free(wide);
    if (source == NULL || atomic_cas_acq_rel(&event_source, &none, source)) return source;
    DeregisterEventSource(source); /* another thread was faster */
    return none;
}

bool os_service_log_is_apart(bool as_service) { return as_service; }

int os_service_log(const char *name, bool as_service, int level, const char *text) {
    static const WORD types[] = {EVENTLOG_ERROR_TYPE, EVENTLOG_WARNING_TYPE, EVENTLOG_INFORMATION_TYPE};
    static const DWORD ids[] = {MESSAGE_ERROR, MESSAGE_WARNING, MESSAGE_INFO};
    static const char *const words[] = {"error: ", "warning: ", ""};
    if (!as_service) {
        char line[2200];
        int length = snprintf(line, sizeof line, "%s: %s%s\n", name, words[level - 1], text);
        os_write_error(line, (size_t)length < sizeof line ? (size_t)length : sizeof line - 1);
        return 0;
    }
    HANDLE source = event_source_get(name);
    if (source == NULL) return (int)GetLastError();
    wchar_t *wide = win_utf16(text);
    const wchar_t *strings[1] = {wide};
    DWORD error = NO_ERROR;
    if (wide == NULL || !ReportEventW(source, types[level - 1], 0, ids[level - 1], NULL, 1, 0, strings, NULL))
        error = GetLastError();
    memory_free(wide);
    return (int)error;
}

void os_service_log_close(void) {
    HANDLE source = atomic_exchange_explicit(&event_source, NULL, memory_order_acq_rel);
    if (source != NULL) DeregisterEventSource(source);
}
