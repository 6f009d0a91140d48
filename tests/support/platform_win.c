/* platform_win.c: see platform.h. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <windows.h>

#include "pintle.h"
#include "platform.h"

static LONG WINAPI report_crash(EXCEPTION_POINTERS *exception) {
    const EXCEPTION_RECORD *record = exception->ExceptionRecord;
    char text[96];
    int length = snprintf(text, sizeof text, "unhandled exception 0x%08lx at %p\n", record->ExceptionCode,
                          record->ExceptionAddress);
    DWORD written;
    WriteFile(GetStdHandle(STD_ERROR_HANDLE), text, (DWORD)length, &written, NULL);
    TerminateProcess(GetCurrentProcess(), STATUS_TEST_DIED);
    return EXCEPTION_CONTINUE_SEARCH;
}

void platform_catch_crashes(void) {
    platform_die_quietly();
    SetUnhandledExceptionFilter(report_crash);
}

void platform_die_quietly(void) {
    SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX | SEM_NOOPENFILEERRORBOX);
}

bool platform_has_fork(void) { return false; }

void platform_native_path(char *path) {
    for (; *path != '\0'; path++) {
        if (*path == '/') *path = '\\';
    }
}

/* ---- Watchdog ---- */

static struct {
    HANDLE thread, disarm;
    const char *case_name;
    unsigned limit_s;
} watchdog;

static DWORD WINAPI watchdog_run(void *unused) {
    (void)unused;
    if (WaitForSingleObject(watchdog.disarm, watchdog.limit_s * 1000) != WAIT_OBJECT_0) {
        fprintf(stderr, "watchdog: case %s over %u s\n", watchdog.case_name, watchdog.limit_s);
        pintle_dump(NULL, NULL);
        TerminateProcess(GetCurrentProcess(), STATUS_TEST_DIED);
    }
    return 0;
}

void watchdog_arm(const char *case_name, unsigned limit_s) {
    watchdog_disarm();
    watchdog.case_name = case_name;
    watchdog.limit_s = limit_s;
    watchdog.disarm = CreateEventW(NULL, TRUE, FALSE, NULL);
    watchdog.thread = watchdog.disarm == NULL ? NULL : CreateThread(NULL, 0, watchdog_run, NULL, 0, NULL);
    if (watchdog.thread == NULL) {
        fprintf(stderr, "watchdog: no thread: error %lu\n", GetLastError());
        TerminateProcess(GetCurrentProcess(), STATUS_TEST_DIED);
    }
}

void watchdog_disarm(void) {
    if (watchdog.thread == NULL) return;
    SetEvent(watchdog.disarm);
    WaitForSingleObject(watchdog.thread, INFINITE);
    CloseHandle(watchdog.thread);
    CloseHandle(watchdog.disarm);
    watchdog.thread = NULL;
}

/* ---- Death tests ---- */

int platform_run_self(const char *const arguments[3], bool own_console, char *out_text, size_t text_bytes) {
    wchar_t program[1024], command[2048];
    DWORD program_length = GetModuleFileNameW(NULL, program, 1024);
    if (program_length == 0 || program_length == 1024) return -1;
    if (swprintf(command, 2048, L"\"%ls\" %hs %hs %hs", program, arguments[0], arguments[1], arguments[2]) < 0)
        return -1;

    SECURITY_ATTRIBUTES inherited = {sizeof inherited, NULL, TRUE};
    HANDLE reader, writer, empty;
    if (!CreatePipe(&reader, &writer, &inherited, 0)) return -1;
    SetHandleInformation(reader, HANDLE_FLAG_INHERIT, 0);
    empty = CreateFileW(L"NUL", GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE, &inherited, OPEN_EXISTING, 0, NULL);
    STARTUPINFOW startup = {.cb = sizeof startup,
                            .dwFlags = STARTF_USESTDHANDLES,
                            .hStdInput = empty,
                            .hStdOutput = writer,
                            .hStdError = writer};
    PROCESS_INFORMATION child;
    BOOL started = CreateProcessW(program, command, NULL, NULL, TRUE, own_console ? CREATE_NO_WINDOW : 0, NULL, NULL,
                                  &startup, &child);
    DWORD error = GetLastError();
    CloseHandle(writer);
    CloseHandle(empty);

    /* Read to the end even when the text is full: a child that waits for its reader would not end. */
    size_t used = 0;
    char block[4096];
    DWORD got = 0;
    while (started && ReadFile(reader, block, sizeof block, &got, NULL) && got > 0) {
        size_t space = text_bytes - 1 - used, taken = got < space ? got : space;
        memcpy(out_text + used, block, taken);
        used += taken;
    }
    out_text[used] = '\0';
    CloseHandle(reader);
    if (!started) {
        snprintf(out_text, text_bytes, "the child was not started: error %lu\n", error);
        return -1;
    }

    DWORD status;
    WaitForSingleObject(child.hProcess, INFINITE);
    GetExitCodeProcess(child.hProcess, &status);
    CloseHandle(child.hProcess);
    CloseHandle(child.hThread);
    return (int)status;
}
