/* Services under the system's own service manager: each case installs this program (a child of it, as in death tests, so
 * with arguments), drives it, and removes it. What the service finds it writes to a file that the case reads. */
#include <windows.h>

#include "support/pintle_test.h"

/* ---- The case's side ---- */

static char service_name[64], report_path[MAX_PATH];

static const char *own_path(void) {
    static char path[1024];
    wchar_t wide[1024];
    GetModuleFileNameW(NULL, wide, 1024);
    WideCharToMultiByte(CP_UTF8, 0, wide, -1, path, sizeof path, NULL, NULL);
    return path;
}

/* The report's path has the service's name, which the service knows. */
static void report_path_make(char *out, const char *name) {
    char folder[MAX_PATH];
    GetTempPathA(sizeof folder, folder);
    snprintf(out, MAX_PATH, "%s%s.txt", folder, name);
}

static void install(const char *child, pintle_scm_install_options *options) {
    const char *arguments[] = {"--child", child, "60", NULL};
    pintle_error error = {0};
    snprintf(service_name, sizeof service_name, "pintle-%s-%lu", child, GetCurrentProcessId());
    report_path_make(report_path, service_name);
    if (options->arguments == NULL) options->arguments = arguments;
    if (options->start == PINTLE_SCM_START_AUTO) options->start = PINTLE_SCM_START_DEMAND;
    if (pintle_scm_install(service_name, options) != 0) pintle_error_get(&error);
    ck_assert_msg(error.code == 0, "%s", error.text);
}

static void install_plain(const char *child) { install(child, &(pintle_scm_install_options){.size = 0}); }

static int last_code(int result) {
    pintle_error error;
    pintle_error_get(&error);
    if (result != 0) printf("%s: %s\n", pintle_error_name(result), error.text);
    return result;
}

static void start_with(const char *const *arguments) {
    pintle_scm_wait_options options = {.arguments = arguments};
    ck_assert_int_eq(last_code(pintle_scm_start(service_name, &options)), 0);
}

static void remove_it(void) {
    pintle_scm_status status;
    ck_assert_int_eq(last_code(pintle_scm_remove(service_name, NULL)), 0);
    ck_assert_int_eq(pintle_scm_query(service_name, &status), PINTLE_ENOTFOUND);
    DeleteFileA(report_path);
}

static pintle_scm_status query(void) {
    pintle_scm_status status = {0};
    ck_assert_int_eq(last_code(pintle_scm_query(service_name, &status)), 0);
    return status;
}

static const char *report_read(void) {
    static char text[16384];
    FILE *file = fopen(report_path, "rb");
    size_t length = file != NULL ? fread(text, 1, sizeof text - 1, file) : 0;
    text[length] = '\0';
    if (file != NULL) fclose(file);
    return text;
}

#define assert_reported(line) \
    ck_assert_msg(strstr(report_read(), line "\n") != NULL, "no '%s' in:\n%s", line, report_read())

/* ---- The service's side ---- */

static void report(const char *format, ...) {
    char path[MAX_PATH];
    const char *name = getenv("PINTLE_TEST_SERVICE");
    va_list arguments;
    report_path_make(path, name);
    FILE *file = fopen(path, "ab");
    if (file == NULL) return;
    va_start(arguments, format);
    vfprintf(file, format, arguments);
    va_end(arguments);
    fputc('\n', file);
    fclose(file);
}

/* The manager gives the name as the first of the start's arguments, which the main task does not see. The name that the
 * program was installed under is found as the only service of this process. */
static void find_name(void *user, const char *name, const pintle_scm_status *status) {
    if (status->process_id == GetCurrentProcessId()) snprintf(user, 64, "%s", name);
}

static void learn_name(void) {
    char name[64] = "unknown", variable[128];
    pintle_scm_list(find_name, name);
    snprintf(variable, sizeof variable, "PINTLE_TEST_SERVICE=%s", name);
    putenv(_strdup(variable));
}

static const char *kind_name(uint32_t kind) {
    switch (kind) {
    case PINTLE_SERVICE_STOP: return "stop";
    case PINTLE_SERVICE_SHUTDOWN: return "shutdown";
    case PINTLE_SERVICE_PRESHUTDOWN: return "preshutdown";
    case PINTLE_SERVICE_PAUSE: return "pause";
    case PINTLE_SERVICE_CONTINUE: return "continue";
    case PINTLE_SERVICE_USER: return "user";
    case PINTLE_SERVICE_RELOAD: return "reload";
    default: return "?";
    }
}

static int run_service(int (*main_task)(pintle_service_context *c, int argc, char **argv), uint32_t accepts) {
    static char program[] = "program", own[] = "own", user[] = "user";
    static char *arguments[] = {program, own, NULL};
    pintle_service service = {.name = "pintle-test", .main_task = main_task, .accepts = accepts, .user = user};
    return pintle_service_run(&service, PINTLE_SERVICE_MODE_AUTO, 2, arguments);
}

/* ---- Events ---- */

static int events_task(pintle_service_context *c, int argc, char **argv) {
    pintle_service_event event;
    learn_name();
    for (int i = 0; i < argc; i++) report("argument %s", argv[i]);
    report("mode %d, user %s", pintle_service_mode(c), (char *)pintle_service_user(c));
    pintle_service_log(c, PINTLE_SERVICE_INFO, "up, with %d arguments", argc);
    pintle_service_ready(c);
    while (pintle_service_next(c, &event, PINTLE_FOREVER) == 0) {
        report("%s %u", kind_name(event.kind), (unsigned)event.control);
    }
    report("over");
    return 0;
}

CHILD(events) {
    exit(run_service(events_task,
                     PINTLE_SERVICE_PAUSE | PINTLE_SERVICE_USER | PINTLE_SERVICE_SHUTDOWN | PINTLE_SERVICE_RELOAD));
}

CASE(service_from_install_to_removal_lives) {
    static const char *const words[] = {"first", "two words", "\xc3\xa4\xe2\x82\xac \\\"", NULL};
    install_plain("events");
    ck_assert_uint_eq(query().state, PINTLE_SCM_STOPPED);
    start_with(words);
    ck_assert_uint_eq(query().state, PINTLE_SCM_RUNNING);
    ck_assert_uint_ne(query().process_id, 0);
    assert_reported("argument program");
    assert_reported("argument own");
    assert_reported("argument first");
    assert_reported("argument two words");
    assert_reported("argument \xc3\xa4\xe2\x82\xac \\\"");
    assert_reported("mode 1, user user");
    ck_assert_int_eq(last_code(pintle_scm_start(service_name, NULL)), 0); /* again: fine */

    ck_assert_int_eq(last_code(pintle_scm_control(service_name, SERVICE_CONTROL_PAUSE, NULL)), 0);
    ck_assert_uint_eq(query().state, PINTLE_SCM_PAUSED);
    ck_assert_int_eq(last_code(pintle_scm_control(service_name, SERVICE_CONTROL_CONTINUE, NULL)), 0);
    ck_assert_uint_eq(query().state, PINTLE_SCM_RUNNING);
    ck_assert_int_eq(last_code(pintle_scm_control(service_name, 128, NULL)), 0);
    ck_assert_int_eq(last_code(pintle_scm_control(service_name, 255, NULL)), 0);
    ck_assert_int_eq(last_code(pintle_scm_control(service_name, SERVICE_CONTROL_INTERROGATE, NULL)), 0);
    ck_assert_uint_eq(query().state, PINTLE_SCM_RUNNING);

    ck_assert_int_eq(last_code(pintle_scm_stop(service_name, NULL)), 0);
    ck_assert_uint_eq(query().state, PINTLE_SCM_STOPPED);
    ck_assert_uint_eq(query().exit_code, 0);
    assert_reported("pause 2\ncontinue 3\nuser 128\nuser 255\nstop 1\nover");
    ck_assert_int_eq(last_code(pintle_scm_stop(service_name, NULL)), 0); /* again: fine */
    remove_it();
    ck_assert_int_eq(last_code(pintle_scm_remove(service_name, NULL)), 0); /* again: fine */
}

CASE(remove_running_stops_first) {
    install_plain("events");
    start_with(NULL);
    remove_it();
}

CASE(control_not_accepted_says_so) {
    SERVICE_STATUS status;
    install_plain("events");
    start_with(NULL);
    SC_HANDLE manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_CONNECT);
    SC_HANDLE service = OpenServiceA(manager, service_name, SERVICE_ALL_ACCESS);
    ck_assert_ptr_nonnull(service);
    ck_assert(!ControlService(service, SERVICE_CONTROL_PARAMCHANGE + 1, &status)); /* NETBINDADD: nobody asked for it */
    CloseServiceHandle(service);
    CloseServiceHandle(manager);
    remove_it();
}

/* ---- A slow start, a slow stop ---- */

static int slow_task(pintle_service_context *c, int argc, char **argv) {
    pintle_service_event event;
    (void)argc, (void)argv;
    pintle_sleep(PINTLE_MS(2500));
    pintle_service_ready(c);
    while (pintle_service_next(c, &event, PINTLE_FOREVER) == 0) continue;
    pintle_sleep(PINTLE_MS(2500));
    return 0;
}

CHILD(slow) { exit(run_service(slow_task, 0)); }

struct seen {
    uint32_t state;
    unsigned steps;
    uint32_t last;
    bool fell;
};

static void see_progress(void *user, const pintle_scm_status *status) {
    struct seen *seen = user;
    if (status->state != seen->state) return;
    seen->fell = seen->fell || status->checkpoint < seen->last;
    seen->steps += status->checkpoint > seen->last;
    seen->last = status->checkpoint;
}

CASE(start_and_stop_slow_report_growing_checkpoints) {
    struct seen start = {.state = PINTLE_SCM_START_PENDING}, stop = {.state = PINTLE_SCM_STOP_PENDING};
    install_plain("slow");
    pintle_scm_wait_options options = {.on_progress = see_progress, .user = &start};
    ck_assert_int_eq(last_code(pintle_scm_start(service_name, &options)), 0);
    ck_assert_uint_ge(start.steps, 3);
    ck_assert(!start.fell);
    options.user = &stop;
    ck_assert_int_eq(last_code(pintle_scm_stop(service_name, &options)), 0);
    ck_assert_uint_ge(stop.steps, 3);
    ck_assert(!stop.fell);
    remove_it();
}

CASE(start_with_deadline_times_out_and_names_the_state) {
    pintle_error error;
    install_plain("slow");
    pintle_scm_wait_options options = {.deadline_ns = pintle_after(PINTLE_MS(300))};
    ck_assert_int_eq(pintle_scm_start(service_name, &options), PINTLE_ETIMEDOUT);
    pintle_error_get(&error);
    ck_assert_msg(strstr(error.text, "start pending") != NULL, "%s", error.text);
    ck_assert_int_eq(last_code(pintle_scm_start(service_name, NULL)), 0); /* goes on waiting */
    remove_it();
}

CASE(stop_of_what_is_starting_waits_for_the_start) {
    pintle_scm_wait_options no_wait = {.deadline_ns = PINTLE_NOWAIT};
    install_plain("slow");
    ck_assert_int_eq(last_code(pintle_scm_start(service_name, &no_wait)), 0);
    ck_assert_int_ne(pintle_scm_stop(service_name, &no_wait), 0);
    ck_assert_int_eq(last_code(pintle_scm_stop(service_name, NULL)), 0);
    ck_assert_uint_eq(query().state, PINTLE_SCM_STOPPED);
    ck_assert_uint_eq(query().exit_code, 0);
    remove_it();
}

/* ---- Failures ---- */

static int fail_task(pintle_service_context *c, int argc, char **argv) {
    pintle_service_ready(c);
    if (argc > 2 && strcmp(argv[2], "return") == 0) return 17;
    pintle_service_fail(c, 4711);
    return 0;
}

CHILD(failing) { exit(run_service(fail_task, 0)); }

static void wait_stopped(void) { ck_assert_int_eq(last_code(pintle_scm_stop(service_name, NULL)), 0); }

/* A start right after a service has ended by itself can fail under Wine, as long as its process is there: one start each. */
static void fail_with(const char *const *arguments, uint32_t code) {
    pintle_scm_wait_options options = {.deadline_ns = PINTLE_NOWAIT, .arguments = arguments};
    install_plain("failing");
    ck_assert_int_eq(last_code(pintle_scm_start(service_name, &options)), 0);
    wait_stopped();
    ck_assert_uint_eq(query().exit_code, ERROR_SERVICE_SPECIFIC_ERROR);
    ck_assert_uint_eq(query().specific_code, code);
    remove_it();
}

CASE(main_task_failing_gives_specific_code) { fail_with(NULL, 4711); }

CASE(main_task_returning_a_value_gives_specific_code) {
    static const char *const by_value[] = {"return", NULL};
    fail_with(by_value, 17);
}

/* ---- The process of a service that has stopped ---- */

static HANDLE process_open(void) {
    HANDLE process = OpenProcess(SYNCHRONIZE | PROCESS_TERMINATE, FALSE, query().process_id);
    ck_assert_ptr_nonnull(process);
    return process;
}

static void expect_process_gone(HANDLE process) {
    ck_assert_uint_eq(WaitForSingleObject(process, 0), WAIT_OBJECT_0);
    CloseHandle(process);
}

static int until_event_task(pintle_service_context *c, int argc, char **argv) {
    pintle_service_event event;
    (void)argc, (void)argv;
    pintle_service_ready(c);
    return pintle_service_next(c, &event, PINTLE_FOREVER);
}

/* Which takes its time after the report that it has stopped. */
CHILD(lingering) {
    int result = run_service(until_event_task, 0);
    Sleep(200);
    exit(result);
}

/* Its files can be replaced then, and it can be started again. */
CASE_TIMEOUT(stop_returns_when_the_process_is_gone, 60) {
    install_plain("lingering");
    for (int i = 0; i < 5; i++) {
        start_with(NULL);
        HANDLE process = process_open();
        ck_assert_int_eq(last_code(pintle_scm_stop(service_name, NULL)), 0);
        expect_process_gone(process);
    }
    remove_it();
}

/* Lets its process go when the case says so. */
#define LET_GO "Global\\pintle-let-go"

CHILD(held) {
    HANDLE let_go = OpenEventA(SYNCHRONIZE, FALSE, LET_GO);
    int result = run_service(until_event_task, 0);
    WaitForSingleObject(let_go, INFINITE);
    exit(result);
}

CASE(stop_waits_for_the_process_until_the_deadline_only) {
    pintle_error error;
    HANDLE let_go = CreateEventA(NULL, TRUE, FALSE, LET_GO);
    install_plain("held");
    start_with(NULL);
    HANDLE process = process_open();
    pintle_scm_wait_options options = {.deadline_ns = pintle_after(PINTLE_S(2))};
    ck_assert_int_eq(pintle_scm_stop(service_name, &options), PINTLE_ETIMEDOUT);
    pintle_error_get(&error);
    ck_assert_msg(strstr(error.text, "has stopped, but its process") != NULL, "%s", error.text);
    SetEvent(let_go);
    WaitForSingleObject(process, INFINITE);
    CloseHandle(process);
    CloseHandle(let_go);
    remove_it();
}

/* Without a word to the manager; Wine's takes no note of it by itself. */
CASE(stop_of_what_was_killed_is_a_success_and_it_starts_again) {
    install_plain("events");
    start_with(NULL);
    HANDLE process = process_open();
    ck_assert(TerminateProcess(process, 3));
    WaitForSingleObject(process, INFINITE);
    CloseHandle(process);
    ck_assert_int_eq(last_code(pintle_scm_stop(service_name, NULL)), 0);
    start_with(NULL);
    ck_assert_uint_eq(query().state, PINTLE_SCM_RUNNING);
    remove_it();
}

/* ---- A busy main task ---- */

static int busy_task(pintle_service_context *c, int argc, char **argv) {
    pintle_service_event event;
    char path[MAX_PATH];
    unsigned count = 0;
    bool in_order = true;
    (void)argc, (void)argv;
    learn_name();
    pintle_service_ready(c);
    report_path_make(path, "go");
    strcat(path, getenv("PINTLE_TEST_SERVICE"));
    while (GetFileAttributesA(path) == INVALID_FILE_ATTRIBUTES) Sleep(5); /* computes or blocks, with its processor */
    while (pintle_service_next(c, &event, PINTLE_FOREVER) == 0 && event.kind == PINTLE_SERVICE_USER) {
        in_order = in_order && event.control == 128 + count % 128;
        count++;
    }
    report("%u in order: %d", count, in_order);
    return 0;
}

CHILD(busy) { exit(run_service(busy_task, 0)); }

CASE(controls_while_busy_are_queued_in_order) {
    char path[MAX_PATH];
    install_plain("busy");
    start_with(NULL);
    for (unsigned i = 0; i < 200; i++) {
        ck_assert_int_eq(last_code(pintle_scm_control(service_name, 128 + i % 128, NULL)), 0);
    }
    report_path_make(path, "go");
    strcat(path, service_name);
    fclose(fopen(path, "w"));
    ck_assert_int_eq(last_code(pintle_scm_stop(service_name, NULL)), 0);
    assert_reported("200 in order: 1");
    DeleteFileA(path);
    remove_it();
}

CASE(controls_beyond_the_queue_are_refused_and_stop_still_comes) {
    char path[MAX_PATH];
    install_plain("busy");
    start_with(NULL);
    /* Wine keeps the handler's refusal from the sender, so the service counts. */
    for (unsigned i = 0; i < 300; i++) pintle_scm_control(service_name, 128 + i % 128, NULL);
    pintle_scm_wait_options no_wait = {.deadline_ns = PINTLE_NOWAIT};
    ck_assert_int_eq(last_code(pintle_scm_stop(service_name, &no_wait)), 0);
    ck_assert_uint_eq(query().state, PINTLE_SCM_STOP_PENDING);
    report_path_make(path, "go");
    strcat(path, service_name);
    fclose(fopen(path, "w"));
    wait_stopped();
    assert_reported("248 in order: 1");
    DeleteFileA(path);
    remove_it();
}

/* ---- The channel, with select ---- */

static int select_task(pintle_service_context *c, int argc, char **argv) {
    pintle_service_event event;
    (void)argc, (void)argv;
    learn_name();
    pintle_service_ready(c);
    for (;;) {
        pintle_case cases[1] = {pintle_case_recv(pintle_service_events(c), &event)};
        pintle_select(cases, 1, PINTLE_FOREVER);
        if (cases[0].status != 0) break;
        report("%s", kind_name(event.kind));
        if (event.kind == PINTLE_SERVICE_CONTINUE) pintle_service_done(c);
    }
    report("stopping %d", pintle_service_stopping(c));
    return 0;
}

CHILD(selecting) { exit(run_service(select_task, PINTLE_SERVICE_PAUSE)); }

CASE(events_by_select_pause_and_continue) {
    install_plain("selecting");
    start_with(NULL);
    ck_assert_int_eq(last_code(pintle_scm_control(service_name, SERVICE_CONTROL_PAUSE, NULL)), 0); /* assumed */
    ck_assert_int_eq(last_code(pintle_scm_control(service_name, SERVICE_CONTROL_CONTINUE, NULL)), 0);
    ck_assert_int_eq(last_code(pintle_scm_stop(service_name, NULL)), 0);
    assert_reported("pause\ncontinue\nstop\nstopping 1");
    remove_it();
}

/* ---- Installing ---- */

CASE(install_sets_everything_and_again_changes_it) {
    static const char *const arguments[] = {"--child", "events", "60", "a \"b\" c\\", "", NULL};
    static const char *const needs[] = {"RpcSs", "PlugPlay", NULL};
    static const pintle_scm_action actions[] = {{PINTLE_SCM_ACTION_RESTART, 1000}, {PINTLE_SCM_ACTION_NONE, 0}};
    char display_name[64];
    pintle_scm_install_options options = {.arguments = arguments,
                                          .display_name = display_name,
                                          .description = "Does nothing, well",
                                          .dependencies = needs,
                                          .start = PINTLE_SCM_START_DEMAND,
                                          .actions = actions,
                                          .action_count = 2,
                                          .preshutdown_ms = 60000};
    char expected[2048];
    snprintf(display_name, sizeof display_name, "Pintle's t\xc3\xa4st %lu", GetCurrentProcessId());
    union {
        SERVICE_DESCRIPTIONW description;
        SERVICE_PRESHUTDOWN_INFO preshutdown;
        BYTE bytes[8192];
    } answer;
    DWORD bytes;
    install("events", &options);
    pintle_scm_status status = query();
    snprintf(expected, sizeof expected, "\"%s\" --child events 60 \"a \\\"b\\\" c\\\\\" \"\"", own_path());
    ck_assert_str_eq(status.command_line, expected);
    ck_assert_str_eq(status.display_name, options.display_name);
    ck_assert_uint_eq(status.start, PINTLE_SCM_START_DEMAND);
    ck_assert_str_eq(status.account, "LocalSystem");

    SC_HANDLE manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_CONNECT);
    SC_HANDLE service = OpenServiceA(manager, service_name, SERVICE_QUERY_CONFIG);
    ck_assert(QueryServiceConfig2W(service, SERVICE_CONFIG_DESCRIPTION, answer.bytes, sizeof answer, &bytes));
    ck_assert(wcscmp(answer.description.lpDescription, L"Does nothing, well") == 0);
    ck_assert(QueryServiceConfig2W(service, SERVICE_CONFIG_PRESHUTDOWN_INFO, answer.bytes, sizeof answer, &bytes));
    ck_assert_uint_eq(answer.preshutdown.dwPreshutdownTimeout, 60000);
    CloseServiceHandle(service);
    CloseServiceHandle(manager);

    /* Wine 8 keeps them, and does not tell them in QueryServiceConfig. */
    snprintf(expected, sizeof expected, "SYSTEM\\CurrentControlSet\\Services\\%s", service_name);
    bytes = sizeof answer;
    ck_assert_int_eq(
        RegGetValueA(HKEY_LOCAL_MACHINE, expected, "DependOnService", RRF_RT_REG_MULTI_SZ, NULL, answer.bytes, &bytes),
        ERROR_SUCCESS);
    ck_assert_uint_eq(bytes, sizeof "RpcSs\0PlugPlay\0");
    ck_assert(memcmp(answer.bytes, "RpcSs\0PlugPlay\0", bytes) == 0);

    options.start = PINTLE_SCM_START_DISABLED;
    options.display_name = "Another";
    options.arguments = NULL;
    ck_assert_int_eq(last_code(pintle_scm_install(service_name, &options)), 0);
    status = query();
    ck_assert_uint_eq(status.start, PINTLE_SCM_START_DISABLED);
    ck_assert_str_eq(status.display_name, "Another");
    ck_assert_int_eq(last_code(pintle_scm_start(service_name, NULL)), PINTLE_EOS);
    remove_it();
}

CASE(install_registers_and_remove_unregisters_the_event_source) {
    char key_name[256];
    HKEY key;
    install_plain("events");
    snprintf(key_name, sizeof key_name, "SYSTEM\\CurrentControlSet\\Services\\EventLog\\Application\\%s", service_name);
    ck_assert_int_eq(RegOpenKeyExA(HKEY_LOCAL_MACHINE, key_name, 0, KEY_QUERY_VALUE, &key), ERROR_SUCCESS);
    char file[1024];
    DWORD bytes = sizeof file;
    ck_assert_int_eq(RegQueryValueExA(key, "EventMessageFile", NULL, NULL, (BYTE *)file, &bytes), ERROR_SUCCESS);
    RegCloseKey(key);
    ck_assert_msg(strstr(file, "EventCreate.exe") != NULL, "%s", file); /* this program has no message table */
    remove_it();
    ck_assert_int_eq(RegOpenKeyExA(HKEY_LOCAL_MACHINE, key_name, 0, KEY_QUERY_VALUE, &key), ERROR_FILE_NOT_FOUND);
}

CASE(manager_errors_say_what_to_do) {
    pintle_error error;
    pintle_scm_install_options options = {.program = "relative.exe"};
    ck_assert_int_eq(pintle_scm_install("pintle-x", &options), PINTLE_EINVAL);
    ck_assert_int_eq(pintle_scm_install("a/b", NULL), PINTLE_EINVAL);
    ck_assert_int_eq(pintle_scm_start("pintle-no-such", NULL), PINTLE_ENOTFOUND);
    pintle_error_get(&error);
    ck_assert_msg(strstr(error.text, "not installed") != NULL, "%s", error.text);
    ck_assert_int_eq(pintle_scm_stop("pintle-no-such", NULL), PINTLE_ENOTFOUND);
    ck_assert_int_eq(pintle_scm_remove("pintle-no-such", NULL), 0);
    options = (pintle_scm_install_options){.program = "C:\\no such\\program.exe", .start = PINTLE_SCM_START_DEMAND};
    ck_assert_int_eq(last_code(pintle_scm_install("pintle-no-program", &options)), 0);
    ck_assert_int_ne(pintle_scm_start("pintle-no-program", NULL), 0);
    pintle_error_get(&error);
    ck_assert_msg(strstr(error.text, "pintle-no-program") != NULL, "%s", error.text);
    ck_assert_int_eq(last_code(pintle_scm_remove("pintle-no-program", NULL)), 0);
}

static void count_services(void *user, const char *name, const pintle_scm_status *status) {
    if (strcmp(name, service_name) == 0) *(uint32_t *)user = status->state;
}

CASE(list_has_the_service_and_its_state) {
    uint32_t state = 0;
    install_plain("events");
    ck_assert_int_eq(last_code(pintle_scm_list(count_services, &state)), 0);
    ck_assert_uint_eq(state, PINTLE_SCM_STOPPED);
    remove_it();
}

/* ---- Not the manager's child ---- */

static int nothing_task(pintle_service_context *c, int argc, char **argv) {
    (void)c, (void)argc, (void)argv;
    return 0;
}

CASE_TIMEOUT(mode_service_without_manager_is_refused, 60) {
    pintle_service service = {.name = "pintle-test", .main_task = nothing_task};
    pintle_error error;
    ck_assert_int_eq(pintle_service_run(&service, PINTLE_SERVICE_MODE_SERVICE, 0, NULL), PINTLE_EOS);
    pintle_error_get(&error);
    ck_assert_int_eq(error.os_code, ERROR_FAILED_SERVICE_CONTROLLER_CONNECT);
}

/* ---- The console ---- */

static int console_task(pintle_service_context *c, int argc, char **argv) {
    pintle_service_event event;
    void (*when_up)(void) = *(void (**)(void))pintle_service_user(c);
    (void)argc, (void)argv;
    pintle_service_ready(c);
    when_up();
    if (pintle_service_next(c, &event, PINTLE_FOREVER) != 0 || event.kind != PINTLE_SERVICE_STOP) return 100;
    pintle_sleep(PINTLE_MS(200)); /* in order, not at once */
    return 40 + (int)event.control;
}

static int console_run(void (*when_up)(void)) {
    pintle_service service = {.name = "pintle-test", .main_task = console_task, .user = &when_up};
    return pintle_service_run(&service, PINTLE_SERVICE_MODE_AUTO, 0, NULL);
}

static void tell_parent(void) {
    HANDLE up = OpenEventA(EVENT_MODIFY_STATE, FALSE, getenv("PINTLE_TEST_UP"));
    SetEvent(up);
    CloseHandle(up);
}

CHILD(console) { exit(console_run(tell_parent)); }

CASE(console_ctrl_c_stops_in_order) {
    char command[2048], up_name[64], variable[128];
    STARTUPINFOA startup = {.cb = sizeof startup};
    PROCESS_INFORMATION child;
    DWORD status = 0;
    FreeConsole(); /* Wine without a terminal has half of one */
    ck_assert(AllocConsole());
    snprintf(up_name, sizeof up_name, "pintle-up-%lu", GetCurrentProcessId());
    snprintf(variable, sizeof variable, "PINTLE_TEST_UP=%s", up_name);
    putenv(_strdup(variable));
    HANDLE up = CreateEventA(NULL, TRUE, FALSE, up_name);
    snprintf(command, sizeof command, "\"%s\" --child console 30", own_path());
    ck_assert(CreateProcessA(NULL, command, NULL, NULL, FALSE, CREATE_NEW_PROCESS_GROUP, NULL, NULL, &startup, &child));
    HANDLE both[] = {up, child.hProcess};
    ck_assert_uint_eq(WaitForMultipleObjects(2, both, FALSE, 20000), WAIT_OBJECT_0);
    ck_assert(GenerateConsoleCtrlEvent(CTRL_C_EVENT, child.dwProcessId));
    WaitForSingleObject(child.hProcess, 20000);
    GetExitCodeProcess(child.hProcess, &status);
    CloseHandle(up);
    CloseHandle(child.hProcess);
    CloseHandle(child.hThread);
    ck_assert_uint_eq(status, 40 + CTRL_C_EVENT);
}

/* What the system does when such an event comes: a thread in this function. Wine 8 sends no Ctrl-Break by itself. */
static void console_event(DWORD code) {
    LPTHREAD_START_ROUTINE routine = (LPTHREAD_START_ROUTINE)(void *)GetProcAddress(GetModuleHandleA("kernelbase.dll"),
                                                                                    "CtrlRoutine");
    if (routine == NULL) exit(101);
    CloseHandle(CreateThread(NULL, 0, routine, (void *)(uintptr_t)code, 0, NULL));
}
static void send_break(void) { console_event(CTRL_BREAK_EVENT); }
static void send_close(void) { console_event(CTRL_CLOSE_EVENT); }
static void send_logoff(void) { console_event(CTRL_LOGOFF_EVENT); }
static void send_shutdown(void) { console_event(CTRL_SHUTDOWN_EVENT); }

CHILD(console_break) { exit(console_run(send_break)); }
CHILD(console_close) { exit(console_run(send_close)); }
CHILD(console_logoff) { exit(console_run(send_logoff)); }
CHILD(console_shutdown) {
    void (*when_up)(void) = send_shutdown;
    pintle_service service = {
        .name = "pintle-test", .main_task = console_task, .user = &when_up, .accepts = PINTLE_SERVICE_USER};
    exit(pintle_service_run(&service, PINTLE_SERVICE_MODE_CONSOLE, 0, NULL));
}

/* For all but Ctrl-C and Ctrl-Break the handler must not return before the main task has: Windows ends us then. */
CASE(console_events_stop_in_order) {
    char text[4096];
    ck_assert_int_eq(child_run("console_break", text, sizeof text), 40 + CTRL_BREAK_EVENT);
    ck_assert_int_eq(child_run("console_close", text, sizeof text), 40 + CTRL_CLOSE_EVENT);
    ck_assert_int_eq(child_run("console_logoff", text, sizeof text), 40 + CTRL_LOGOFF_EVENT);
    ck_assert_int_eq(child_run("console_shutdown", text, sizeof text), 40 + CTRL_SHUTDOWN_EVENT);
}
