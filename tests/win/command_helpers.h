/* command_helpers.h: programs run by a case, as a person would run them, and what they said. */
#ifndef PINTLE_TEST_COMMAND_HELPERS_H
#define PINTLE_TEST_COMMAND_HELPERS_H

#include <windows.h>

#include "support/pintle_test.h"

static char said[65536]; /* what the last program wrote */

static int run(const char *format, ...) {
    char line[4096];
    SECURITY_ATTRIBUTES inherited = {sizeof inherited, NULL, TRUE};
    HANDLE reader, writer;
    PROCESS_INFORMATION child;
    DWORD status = 0, got, used = 0;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (!CreatePipe(&reader, &writer, &inherited, 0)) return -1;
    SetHandleInformation(reader, HANDLE_FLAG_INHERIT, 0);
    STARTUPINFOA startup = {
        .cb = sizeof startup, .dwFlags = STARTF_USESTDHANDLES, .hStdOutput = writer, .hStdError = writer};
    BOOL started = CreateProcessA(NULL, line, NULL, NULL, TRUE, 0, NULL, NULL, &startup, &child);
    CloseHandle(writer);
    while (started && used < sizeof said - 1 && ReadFile(reader, said + used, sizeof said - 1 - used, &got, NULL) &&
           got > 0)
        used += got;
    said[used] = '\0';
    CloseHandle(reader);
    if (!started) return -1;
    WaitForSingleObject(child.hProcess, INFINITE);
    GetExitCodeProcess(child.hProcess, &status);
    CloseHandle(child.hProcess);
    CloseHandle(child.hThread);
    printf("> %s\n%s", line, said);
    return (int)status;
}

#define command(format, ...) run("\"" TEST_COMMAND "\" service " format, __VA_ARGS__)
#define assert_said(text) ck_assert_msg(strstr(said, text) != NULL, "no '%s' in: %s", text, said)

#endif
