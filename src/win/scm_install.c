/* scm_install.c (Windows): installing a service: its command line, its configuration, its source in the event log.
 *
 * Installing over an installed service gives it the same configuration, field by field, so that an installer may run again.
 * What only newer systems know (delayed start, preshutdown) is an error only if it was asked for.
 * Threads: any. Locks: none. Order: none. Tests: tests/win/test_service_win.c. */
#include "scm.h"

#include "pintle/call.h"

enum { DAY_S = 24 * 60 * 60, PATH_UNITS = 32768, NAME_MOST = 256 };

/* ---- Text ---- */

/* Appends so that CommandLineToArgvW and the C runtime read the same argument: backslashes count only before a quote. */
static char *append_quoted(char *to, const char *argument, bool always) {
    bool quotes = always || argument[0] == '\0' || strpbrk(argument, " \t\"") != NULL;
    size_t backslashes = 0;
    if (quotes) *to++ = '"';
    for (; *argument != '\0'; argument++) {
        if (*argument == '"') {
            for (size_t i = 0; i <= backslashes; i++) *to++ = '\\'; /* these double, and one for the quote */
        }
        backslashes = *argument == '\\' ? backslashes + 1 : 0;
        *to++ = *argument;
    }
    for (size_t i = 0; quotes && i < backslashes; i++) *to++ = '\\';
    if (quotes) *to++ = '"';
    return to;
}

wchar_t *scm_command_line(const char *program, const char *const *arguments) {
    size_t bytes = 2 * strlen(program) + 4;
    for (size_t i = 0; arguments != NULL && arguments[i] != NULL; i++) bytes += 2 * strlen(arguments[i]) + 4;
    char *text = memory_alloc(bytes), *to = text;
    if (text == NULL) return NULL;
    to = append_quoted(to, program, true); /* C:\Program Files\x.exe without quotes would also try C:\Program.exe */
    for (size_t i = 0; arguments != NULL && arguments[i] != NULL; i++) {
        *to++ = ' ';
        to = append_quoted(to, arguments[i], false);
    }
    *to = '\0';
    wchar_t *wide = win_utf16(text);
    memory_free(text);
    return wide;
}

wchar_t *scm_text_list(const char *const *texts) {
    size_t bytes = 2, at = 0;
    for (size_t i = 0; texts != NULL && texts[i] != NULL; i++) bytes += strlen(texts[i]) + 1;
    wchar_t *list = memory_alloc_zero(bytes * sizeof *list);
    for (size_t i = 0; list != NULL && texts != NULL && texts[i] != NULL; i++) {
        int units = MultiByteToWideChar(CP_UTF8, 0, texts[i], -1, list + at, (int)(bytes - at));
        at += units > 0 ? (size_t)units : 0;
    }
    return list;
}

/* ---- The event log's source ---- */

static const wchar_t SOURCES[] = L"SYSTEM\\CurrentControlSet\\Services\\EventLog\\Application\\";

static wchar_t *source_key(const char *name) {
    wchar_t *wide = win_utf16(name);
    wchar_t *key = wide == NULL ? NULL : memory_alloc((COUNT_OF(SOURCES) + wcslen(wide)) * sizeof *key);
    if (key != NULL) {
        wcscpy(key, SOURCES);
        wcscat(key, wide);
    }
    memory_free(wide);
    return key;
}

static bool has_messages(const wchar_t *program) {
    HMODULE file = LoadLibraryExW(program, NULL, LOAD_LIBRARY_AS_DATAFILE);
    bool has = file != NULL &&
               FindResourceW(file, MAKEINTRESOURCEW(1), MAKEINTRESOURCEW(11 /* RT_MESSAGETABLE */)) != NULL;
    if (file != NULL) FreeLibrary(file);
    return has;
}

DWORD scm_event_source_add(const char *name, const wchar_t *program) {
    /* Windows' own EventCreate.exe shows its message 1 to 1,000 as the text that came with the entry. */
    const wchar_t *file = has_messages(program) ? program : L"%SystemRoot%\\System32\\EventCreate.exe";
    const DWORD types = EVENTLOG_ERROR_TYPE | EVENTLOG_WARNING_TYPE | EVENTLOG_INFORMATION_TYPE;
    wchar_t *path = source_key(name);
    HKEY key;
    if (path == NULL) return ERROR_NOT_ENOUGH_MEMORY;
    LSTATUS error = RegCreateKeyExW(HKEY_LOCAL_MACHINE, path, 0, NULL, 0, KEY_SET_VALUE, NULL, &key, NULL);
    memory_free(path);
    if (error != ERROR_SUCCESS) return (DWORD)error;
    error = RegSetValueExW(key, L"EventMessageFile", 0, REG_EXPAND_SZ, (const BYTE *)file,
                           (DWORD)((wcslen(file) + 1) * sizeof *file));
    if (error == ERROR_SUCCESS)
        error = RegSetValueExW(key, L"TypesSupported", 0, REG_DWORD, (const BYTE *)&types, sizeof types);
    RegCloseKey(key);
    return (DWORD)error;
}

void scm_event_source_remove(const char *name) {
    wchar_t *path = source_key(name);
    if (path != NULL) RegDeleteKeyW(HKEY_LOCAL_MACHINE, path);
    memory_free(path);
}

/* ---- Configuration ---- */

struct install {
    const char *name;
    pintle_scm_install_options options;
    wchar_t *wide_name, *program, *command_line, *display_name, *description, *dependencies, *account, *password,
        *action_run;
};

static DWORD start_type(uint32_t start) {
    return start == PINTLE_SCM_START_DEMAND     ? SERVICE_DEMAND_START
           : start == PINTLE_SCM_START_DISABLED ? SERVICE_DISABLED
                                                : SERVICE_AUTO_START;
}

static DWORD actions_set(SC_HANDLE service, const struct install *install) {
    static const SC_ACTION_TYPE types[] = {SC_ACTION_NONE, SC_ACTION_RESTART, SC_ACTION_REBOOT, SC_ACTION_RUN_COMMAND};
    const pintle_scm_install_options *options = &install->options;
    SC_ACTION *actions = memory_alloc_zero((options->action_count + 1) * sizeof *actions);
    wchar_t empty[1] = L"";
    SERVICE_FAILURE_ACTIONS_FLAG also_exits = {options->action_count != 0};
    DWORD error = NO_ERROR;
    if (actions == NULL) return ERROR_NOT_ENOUGH_MEMORY;
    for (size_t i = 0; i < options->action_count; i++) {
        actions[i].Type = types[options->actions[i].kind];
        actions[i].Delay = options->actions[i].delay_ms;
    }
    SERVICE_FAILURE_ACTIONSW all = {.dwResetPeriod = options->reset_s != 0 ? options->reset_s : DAY_S,
                                    .lpRebootMsg = empty,
                                    .lpCommand = install->action_run != NULL ? install->action_run : empty,
                                    .cActions = (DWORD)options->action_count,
                                    .lpsaActions = actions};
    if (!ChangeServiceConfig2W(service, SERVICE_CONFIG_FAILURE_ACTIONS, &all) && options->action_count != 0)
        error = GetLastError();
    /* Wine 8 knows no such flag: then a crash alone runs them. */
    if (error == NO_ERROR) ChangeServiceConfig2W(service, SERVICE_CONFIG_FAILURE_ACTIONS_FLAG, &also_exits);
    memory_free(actions);
    return error;
}

static DWORD extras_set(SC_HANDLE service, const struct install *install) {
    wchar_t empty[1] = L"";
    SERVICE_DESCRIPTIONW description = {install->description != NULL ? install->description : empty};
    SERVICE_DELAYED_AUTO_START_INFO delayed = {install->options.start == PINTLE_SCM_START_DELAYED};
    SERVICE_PRESHUTDOWN_INFO preshutdown = {install->options.preshutdown_ms};
    DWORD error;
    if (!ChangeServiceConfig2W(service, SERVICE_CONFIG_DESCRIPTION, &description) && install->description != NULL)
        return GetLastError();
    if (!ChangeServiceConfig2W(service, SERVICE_CONFIG_DELAYED_AUTO_START_INFO, &delayed) &&
        delayed.fDelayedAutostart) {
        error = GetLastError();
        if (error != ERROR_INVALID_LEVEL && error != ERROR_CALL_NOT_IMPLEMENTED) return error;
        /* An automatic start without a delay does no harm. */
    }
    if (install->options.preshutdown_ms != 0 &&
        !ChangeServiceConfig2W(service, SERVICE_CONFIG_PRESHUTDOWN_INFO, &preshutdown))
        return GetLastError();
    return actions_set(service, install);
}

static DWORD change(const struct scm *scm, const struct install *install, SC_HANDLE *out_service) {
    *out_service = OpenServiceW(scm->manager, install->wide_name, SERVICE_ALL_ACCESS);
    if (*out_service == NULL) return GetLastError();
    return ChangeServiceConfigW(*out_service, SERVICE_WIN32_OWN_PROCESS, start_type(install->options.start),
                                SERVICE_ERROR_NORMAL, install->command_line, NULL, NULL, install->dependencies,
                                install->account != NULL ? install->account : L"LocalSystem",
                                install->password != NULL ? install->password : L"",
                                install->display_name != NULL ? install->display_name : install->wide_name)
               ? NO_ERROR
               : GetLastError();
}

static DWORD create(const struct scm *scm, const struct install *install, SC_HANDLE *out_service) {
    *out_service = CreateServiceW(
        scm->manager, install->wide_name, install->display_name != NULL ? install->display_name : install->wide_name,
        SERVICE_ALL_ACCESS, SERVICE_WIN32_OWN_PROCESS, start_type(install->options.start), SERVICE_ERROR_NORMAL,
        install->command_line, NULL, NULL, install->dependencies, install->account, install->password);
    return *out_service != NULL ? NO_ERROR : GetLastError();
}

static int install_in_call(void *arg) {
    const struct install *install = arg;
    struct scm scm;
    SC_HANDLE service = NULL;
    bool is_new = true;
    int result = scm_open(&scm, install->name, SC_MANAGER_CONNECT | SC_MANAGER_CREATE_SERVICE, 0);
    if (result != 0) return result;
    DWORD error = create(&scm, install, &service);
    if (error == ERROR_SERVICE_EXISTS) {
        is_new = false;
        error = change(&scm, install, &service);
    }
    if (error == NO_ERROR) error = extras_set(service, install);
    if (error == NO_ERROR) error = scm_event_source_add(install->name, install->program);
    if (error != NO_ERROR && is_new && service != NULL) DeleteService(service); /* nothing is left of a failure */
    if (service != NULL) CloseServiceHandle(service);
    scm_close(&scm);
    return error == NO_ERROR ? 0 : scm_error("install", install->name, error);
}

/* ---- Reading the options ---- */

static int install_check(const struct install *install) {
    const pintle_scm_install_options *options = &install->options;
    if (install->name == NULL || install->name[0] == '\0' || strpbrk(install->name, "/\\") != NULL ||
        strlen(install->name) > NAME_MOST) {
        return error_set(PINTLE_EINVAL, 0,
                         "pintle_scm_install: '%.280s' is no name for a service: 1 to %d characters, no slashes",
                         install->name != NULL ? install->name : "", NAME_MOST);
    }
    if (options->program != NULL && !os_path_absolute(options->program)) {
        return error_set(PINTLE_EINVAL, 0,
                         "pintle_scm_install: '%s' is not an absolute path: the service manager starts "
                         "programs from System32",
                         options->program);
    }
    if (options->start > PINTLE_SCM_START_DISABLED) {
        return error_set(PINTLE_EINVAL, 0, "pintle_scm_install: %u is no start type: use PINTLE_SCM_START_…",
                         (unsigned)options->start);
    }
    for (size_t i = 0; i < options->action_count; i++) {
        if (options->actions == NULL || options->actions[i].kind > PINTLE_SCM_ACTION_RUN) {
            return error_set(PINTLE_EINVAL, 0, "pintle_scm_install: action %zu is none of PINTLE_SCM_ACTION_…", i + 1);
        }
    }
    return 0;
}

/* An option's text; false: no memory, or no UTF-8. */
static bool widen(wchar_t **out, const char *text) { return text == NULL || (*out = win_utf16(text)) != NULL; }

static int program_read(struct install *install) {
    const char *program = install->options.program;
    char *own = NULL;
    if (program != NULL) {
        if (!widen(&install->program, program)) return PINTLE_EINVAL;
    } else {
        install->program = memory_alloc(PATH_UNITS * sizeof *install->program);
        own = memory_alloc(3 * PATH_UNITS);
        DWORD units = install->program != NULL ? GetModuleFileNameW(NULL, install->program, PATH_UNITS) : 0;
        if (own == NULL || units == 0 || units == PATH_UNITS) {
            memory_free(own);
            return PINTLE_ENOMEM;
        }
        win_utf8(install->program, own, 3 * PATH_UNITS);
        program = own;
    }
    install->command_line = scm_command_line(program, install->options.arguments);
    memory_free(own);
    return install->command_line != NULL ? 0 : PINTLE_ENOMEM;
}

static int install_read(struct install *install) {
    const pintle_scm_install_options *options = &install->options;
    int result = program_read(install);
    if (result == 0) {
        install->dependencies = scm_text_list(options->dependencies);
        if (install->dependencies == NULL) result = PINTLE_ENOMEM;
    }
    if (result == 0 &&
        (!widen(&install->wide_name, install->name) || !widen(&install->display_name, options->display_name) ||
         !widen(&install->description, options->description) || !widen(&install->account, options->account) ||
         !widen(&install->password, options->password) || !widen(&install->action_run, options->action_run))) {
        result = PINTLE_EINVAL;
    }
    if (result == 0) return 0;
    return error_set(result, 0,
                     result == PINTLE_ENOMEM ? "pintle_scm_install: no memory for '%s'"
                                             : "pintle_scm_install: a text for '%s' is not UTF-8",
                     install->name);
}

int pintle_scm_install_sized(const char *name, const pintle_scm_install_options *options, size_t size) {
    struct install install = {.name = name};
    int result;
    if (!scm_options_read("pintle_scm_install", &install.options, sizeof install.options, options, size))
        return PINTLE_EINVAL;
    result = install_check(&install);
    if (result == 0) result = install_read(&install);
    if (result == 0) result = pintle_call_blocking(install_in_call, &install);
    if (install.password != NULL)
        SecureZeroMemory(install.password, wcslen(install.password) * sizeof *install.password);
    wchar_t *const texts[] = {install.wide_name,    install.program,     install.command_line,
                              install.display_name, install.description, install.dependencies,
                              install.account,      install.password,    install.action_run};
    for (size_t i = 0; i < COUNT_OF(texts); i++) memory_free(texts[i]);
    return result;
}
