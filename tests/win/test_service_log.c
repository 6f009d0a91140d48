/* A panic of a service under the system's own service manager: its report is an entry in the event log, before the process ends.
 * Wine keeps no event log, so this program looks over the shoulder of the call: ReportEventW is found here first, writes what it
 * gets to a file, and calls the system's. */
#include <windows.h>

#include "support/pintle_test.h"

static void entry_path(char *out) {
    char folder[MAX_PATH];
    GetTempPathA(sizeof folder, folder);
    snprintf(out, MAX_PATH, "%spintle-service-log.txt", folder);
}

typedef BOOL WINAPI report_event_fn(HANDLE source, WORD type, WORD category, DWORD id, PSID user, WORD count,
                                    DWORD bytes, LPCWSTR *strings, void *data);
static BOOL WINAPI look_and_report(HANDLE source, WORD type, WORD category, DWORD id, PSID user, WORD count,
                                   DWORD bytes, LPCWSTR *strings, void *data) {
    char path[MAX_PATH];
    report_event_fn *real = (report_event_fn *)(void (*)(void))GetProcAddress(GetModuleHandleA("advapi32.dll"),
                                                                              "ReportEventW");
    entry_path(path);
    FILE *file = fopen(path, "ab");
    if (file != NULL) {
        fprintf(file, "type %u, id %lu: %ls\n", type, id, count > 0 ? strings[0] : L"");
        fclose(file);
    }
    return real != NULL && real(source, type, category, id, user, count, bytes, strings, data);
}
/* What the library's code calls through. */
report_event_fn *__imp_ReportEventW = look_and_report;

static int panic_when_ready(pintle_service_context *c, int argc, char **argv) {
    (void)argc, (void)argv;
    pintle_service_ready(c);
    pintle_panic("the disk is %s", "gone");
    return 0;
}
CHILD(panics) {
    pintle_service service = {.name = "pintle-log-test", .main_task = panic_when_ready};
    exit(pintle_service_run(&service, PINTLE_SERVICE_MODE_SERVICE, 0, NULL));
}

CASE(panic_of_a_service_is_in_the_event_log) {
    static const char *const arguments[] = {"--child", "panics", "60", NULL};
    char name[64], path[MAX_PATH], text[16384];
    pintle_scm_install_options options = {.arguments = arguments, .start = PINTLE_SCM_START_DEMAND};
    entry_path(path);
    DeleteFileA(path);
    snprintf(name, sizeof name, "pintle-log-%lu", GetCurrentProcessId());
    ck_assert_int_eq(pintle_scm_install(name, &options), 0);
    int started = pintle_scm_start(name, NULL); /* whether it is seen to run for a moment is open */
    ck_assert(started == 0 || started == PINTLE_EOS);
    pintle_scm_stop(name, NULL);
    ck_assert_int_eq(pintle_scm_remove(name, NULL), 0);
    FILE *file = fopen(path, "rb");
    size_t length = file != NULL ? fread(text, 1, sizeof text - 1, file) : 0;
    text[length] = '\0';
    if (file != NULL) fclose(file);
    DeleteFileA(path);
    ck_assert_msg(strncmp(text, "type 1, id 1: ", 14) == 0 && strstr(text, "the disk is gone") != NULL, "%s", text);
    ck_assert_ptr_nonnull(strstr(text, "task 1 'main'"));
}
