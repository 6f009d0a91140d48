/* `pintle service wrap` under the system's service manager: any program (tests/wrap/program.c) installed by one command, run
 * with the restarts, the output, the stop that were asked for, and nothing left of it. */
#include "command_helpers.h"

enum { EVENTS = 3, EVENT_LIMIT_MS = 20000 };

static char name[64], root[MAX_PATH], program[MAX_PATH];
static char event_names[EVENTS][96];
static HANDLE events[EVENTS];

/* ---- Set-up ---- */

static const char *path(const char *file) {
    static char paths[8][MAX_PATH];
    static unsigned next;
    char *out = paths[next++ % 8];
    snprintf(out, MAX_PATH, "%s\\%s", root, file);
    return out;
}

/* In a folder with what names may have; the wrapped program is not in it. */
static void prepare(void) {
    char temporary[MAX_PATH], source[] = TEST_PROGRAM;
    GetTempPathA(sizeof temporary, temporary);
    snprintf(name, sizeof name, "Wrapped-%lu", GetCurrentProcessId());
    snprintf(root, sizeof root, "%sPintle's Wrap %lu %llu", temporary, GetCurrentProcessId(), GetTickCount64());
    for (char *at = source; *at != '\0'; at++) *at = *at == '/' ? '\\' : *at;
    strcpy(program, source);
    ck_assert(CreateDirectoryA(root, NULL));
    for (int i = 0; i < EVENTS; i++) {
        snprintf(event_names[i], sizeof event_names[i], "Global\\pintle-wrap-%lu-%d", GetCurrentProcessId(), i);
        events[i] = CreateEventA(NULL, FALSE, FALSE, event_names[i]);
        ck_assert_ptr_nonnull(events[i]);
    }
}

static void expect_event(int i) { ck_assert_uint_eq(WaitForSingleObject(events[i], EVENT_LIMIT_MS), WAIT_OBJECT_0); }

static void remove_service(void) {
    ck_assert_int_eq(command("remove %s", name), 0);
    assert_said("removed");
}

static void remove_everything(void) {
    WIN32_FIND_DATAA entry;
    HANDLE search = FindFirstFileA(path("*"), &entry);
    for (BOOL more = search != INVALID_HANDLE_VALUE; more; more = FindNextFileA(search, &entry))
        DeleteFileA(path(entry.cFileName));
    FindClose(search);
    RemoveDirectoryA(root);
}

static const char *file_read(const char *file) {
    static char texts[4][65536];
    static unsigned next;
    char *text = texts[next++ % 4];
    FILE *stream = fopen(path(file), "rb");
    size_t length = stream != NULL ? fread(text, 1, sizeof texts[0] - 1, stream) : 0;
    text[length] = '\0';
    if (stream != NULL) fclose(stream);
    return text;
}

static bool file_exists(const char *file) { return GetFileAttributesA(path(file)) != INVALID_FILE_ATTRIBUTES; }

#define assert_has(text, part) ck_assert_msg(strstr(text, part) != NULL, "no '%s' in:\n%s", part, text)

/* The process whose number is in the file, as long as it runs. */
static HANDLE process_open(const char *file) {
    HANDLE process = OpenProcess(SYNCHRONIZE | PROCESS_QUERY_INFORMATION, FALSE,
                                 (DWORD)strtoul(file_read(file), NULL, 10));
    ck_assert_ptr_nonnull(process);
    ck_assert_uint_eq(WaitForSingleObject(process, 0), WAIT_TIMEOUT);
    return process;
}

static DWORD process_expect_end(HANDLE process) {
    DWORD code = 0;
    ck_assert_uint_eq(WaitForSingleObject(process, EVENT_LIMIT_MS), WAIT_OBJECT_0);
    GetExitCodeProcess(process, &code);
    CloseHandle(process);
    return code;
}

static DWORD process_expect_gone(HANDLE process) {
    ck_assert_uint_eq(WaitForSingleObject(process, 0), WAIT_OBJECT_0);
    return process_expect_end(process);
}

/* ---- The cases ---- */

/* The lines of a file go on from `next`; returns the number after the last. */
static unsigned expect_lines(const char *text, unsigned next) {
    char line[32];
    for (; strncmp(text, "line ", 5) == 0; next++) {
        snprintf(line, sizeof line, "line %05u\n", next);
        ck_assert_msg(strncmp(text, line, strlen(line)) == 0, "not '%s' but: %.40s", line, text);
        text += strlen(line);
    }
    return next;
}

CASE_TIMEOUT(wrap_installed_by_one_command_keeps_output_and_stops_by_ctrl_c, 60) {
    prepare();
    ck_assert_int_eq(
        command("install %s --start demand -- wrap --stdout \"%s\" --stderr=\"%s\" --rotate-size 1K "
                "--rotate-count 2 --env \"WRAP_TEST=a \\\"b\\\" c\" --folder \"%s\" -- \"%s\" lines 500 cry "
                "\"an error\" variable WRAP_TEST folder",
                name, path("out.txt"), path("out.txt"), root, program),
        0);
    assert_said("installed");
    ck_assert_int_eq(command("start %s -- say \"this start's own\\\\\" set %s wait", name, event_names[0]), 0);
    assert_said("running");
    expect_event(0);
    ck_assert_int_eq(command("stop %s", name), 0);
    assert_said("stopped");
    ck_assert_int_eq(command("query %s --json", name), 0);
    assert_said("\"exit_code\":0,");

    const char *newest = file_read("out.txt"), *middle = file_read("out.txt.1"), *oldest = file_read("out.txt.2");
    assert_has(newest, "an error\nWRAP_TEST=a \"b\" c\n");
    assert_has(newest, root);
    assert_has(newest, "\nthis start's own\\\nstopping\n"); /* in order: by Ctrl-C */
    ck_assert_uint_eq(strlen(middle), 1034);                /* 94 lines of 11 bytes: the first end from 1,024 on */
    ck_assert_uint_eq(strlen(oldest), 1034);
    unsigned first = (unsigned)strtoul(oldest + strlen("line "), NULL, 10);
    ck_assert_uint_gt(first, 0); /* what was before is gone */
    ck_assert_uint_eq(expect_lines(newest, expect_lines(middle, expect_lines(oldest, first))), 500);
    ck_assert(!file_exists("out.txt.3"));
    remove_service();
    remove_everything();
}

CASE_TIMEOUT(wrap_crashing_program_is_restarted_later_each_time, 60) {
    enum { STARTS = 5 };
    static const unsigned delays_ms[STARTS - 1] = {100, 200, 400, 400};
    unsigned long long stamps[STARTS];
    prepare();
    ck_assert_int_eq(
        command("install %s --start demand -- wrap --restart-delay 100ms --restart-delay-most 400ms -- \"%s\" stamp "
                "\"%s\" set %s exit 5",
                name, program, path("stamps.txt"), event_names[0]),
        0);
    ck_assert_int_eq(command("start %s", name), 0);
    for (int i = 0; i < STARTS; i++) expect_event(0);
    ck_assert_int_eq(command("stop %s", name), 0); /* also while it waits to start again */
    ck_assert_int_eq(command("query %s --json", name), 0);
    assert_said("\"exit_code\":0,");
    char *text = (char *)(uintptr_t)file_read("stamps.txt");
    for (int i = 0; i < STARTS; i++) stamps[i] = strtoull(text, &text, 10);
    for (int i = 0; i < STARTS - 1; i++)
        ck_assert_uint_ge(stamps[i + 1] - stamps[i] + 20, delays_ms[i]); /* the clock steps by up to 16 ms */
    remove_service();
    remove_everything();
}

CASE_TIMEOUT(wrap_failing_too_often_in_a_row_fails_with_its_code, 60) {
    prepare();
    ck_assert_int_eq(
        command("install %s --start demand -- wrap --restart-delay 10ms --restarts 2 -- \"%s\" await %s set %s exit 5",
                name, program, event_names[1], event_names[0]),
        0);
    ck_assert_int_eq(command("start %s", name), 0);
    for (int i = 0; i < 3; i++) {
        SetEvent(events[1]);
        expect_event(0);
    }
    ck_assert_int_eq(command("stop %s", name), 0); /* waits: it ends by itself */
    ck_assert_int_eq(command("query %s", name), 0);
    assert_said("its own: 5");
    remove_service();
    remove_everything();
}

CASE_TIMEOUT(wrap_stop_that_is_ignored_terminates_the_tree, 60) {
    prepare();
    ck_assert_int_eq(
        command("install %s --start demand -- wrap --stop-timeout 300ms -- \"%s\" pid \"%s\" child \"%s\" %s set %s "
                "stubborn",
                name, program, path("pid.txt"), path("child.txt"), event_names[0], event_names[1]),
        0);
    ck_assert_int_eq(command("start %s", name), 0);
    expect_event(0);
    expect_event(1);
    HANDLE parent = process_open("pid.txt"), child = process_open("child.txt");
    ck_assert_int_eq(command("stop %s", name), 0); /* and by then nothing is left */
    ck_assert_uint_eq(process_expect_gone(parent), 1);
    ck_assert_uint_eq(process_expect_gone(child), 1);
    remove_service();
    remove_everything();
}

CASE_TIMEOUT(wrap_exit_code_is_the_services_and_no_grandchild_is_left, 60) {
    prepare();
    ck_assert_int_eq(
        command("install %s --start demand -- wrap --restart never -- \"%s\" child \"%s\" %s await %s exit 42", name,
                program, path("child.txt"), event_names[0], event_names[1]),
        0);
    ck_assert_int_eq(command("start %s", name), 0);
    expect_event(0);
    HANDLE child = process_open("child.txt");
    SetEvent(events[1]);
    ck_assert_uint_eq(process_expect_end(child), 1);
    ck_assert_int_eq(command("stop %s", name), 0); /* waits: it ends by itself */
    ck_assert_int_eq(command("query %s", name), 0);
    assert_said("its own: 42");
    remove_service();
    remove_everything();
}

CASE_TIMEOUT(wrap_that_is_killed_takes_the_tree_along, 60) {
    pintle_scm_status status;
    prepare();
    ck_assert_int_eq(command("install %s --start demand -- wrap -- \"%s\" pid \"%s\" child \"%s\" %s set %s wait", name,
                             program, path("pid.txt"), path("child.txt"), event_names[0], event_names[1]),
                     0);
    ck_assert_int_eq(command("start %s", name), 0);
    expect_event(0);
    expect_event(1);
    HANDLE parent = process_open("pid.txt"), child = process_open("child.txt");
    ck_assert_int_eq(pintle_scm_query(name, &status), 0);
    HANDLE wrapper = OpenProcess(PROCESS_TERMINATE, FALSE, status.process_id);
    ck_assert(TerminateProcess(wrapper, 3));
    CloseHandle(wrapper);
    process_expect_end(parent);
    process_expect_end(child);
    remove_service();
    remove_everything();
}

CASE_TIMEOUT(wrap_program_that_cannot_start_is_told, 60) {
    prepare();
    FILE *file = fopen(path("no.exe"), "wb");
    ck_assert_ptr_nonnull(file);
    fputs("no program", file);
    fclose(file);
    ck_assert_int_eq(command("install %s --start demand -- wrap -- \"%s\"", name, path("no.exe")), 0);
    ck_assert_int_eq(command("start %s", name), 1);
    assert_said("its own code 1");
    remove_service();
    ck_assert_int_eq(command("wrap --name Tried -- \"%s\"", path("no.exe")), 1);
    assert_said("Tried: error: '");
    assert_said("no.exe' was not started: ");
    ck_assert(CopyFileA(path("no.exe"), path("batch.cmd"), TRUE));
    ck_assert_int_eq(command("install %s -- wrap -- \"%s\"", name, path("batch.cmd")), 1);
    assert_said("wrap C:\\Windows\\System32\\cmd.exe");
    remove_everything();
}

CASE_TIMEOUT(wrap_in_the_foreground_passes_output_and_exit_code, 60) {
    prepare();
    ck_assert_int_eq(
        command("wrap --restarts 3 --restart-delay 10ms --restart-delay-most 25ms -- \"%s\" say hello cry woe exit 5",
                program),
        5);
    assert_said("hello\nwoe\n");
    assert_said("exit code 5 after ");
    assert_said("starts again in 10.0 ms\n");
    assert_said("starts again in 20.0 ms\n");
    assert_said("starts again in 25.0 ms\n");
    assert_said("not started again: too often in a row\n");
    ck_assert_int_eq(command("wrap -- \"%s\" say fine", program), 0);
    assert_said("fine\n");
    remove_everything();
}
