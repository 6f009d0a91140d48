/* examples/service under the system's service manager, from a folder with spaces: installed, driven and removed by the command
 * pintle and by sc, as a person would. */
#include "command_helpers.h"

static char name[64], pipe_name[128], root[MAX_PATH], program[MAX_PATH];

/* ---- Set-up ---- */

static void folder_make(const char *below) {
    char path[MAX_PATH];
    snprintf(path, sizeof path, "%s%s", root, below);
    ck_assert(CreateDirectoryA(path, NULL));
}

static void install(void) {
    char temporary[MAX_PATH], source[] = TEST_COUNTER;
    GetTempPathA(sizeof temporary, temporary);
    snprintf(name, sizeof name, "Counter-%lu", GetCurrentProcessId());
    snprintf(pipe_name, sizeof pipe_name, "\\\\.\\pipe\\%s", name);
    snprintf(root, sizeof root, "%sPintle's Counter %lu %llu", temporary, GetCurrentProcessId(), GetTickCount64());
    folder_make("");
    folder_make("\\in");
    folder_make("\\out");
    folder_make("\\the program");
    snprintf(program, sizeof program, "%s\\the program\\counter.exe", root);
    for (char *at = source; *at != '\0'; at++) *at = *at == '/' ? '\\' : *at;
    ck_assert(CopyFileA(source, program, TRUE));
    ck_assert_int_eq(command("install %s --start demand --display-name \"A counter %lu\" --description \"Counts\" "
                             "--on-failure restart:3600,none -- \"%s\" --folder \"%s\"",
                             name, GetCurrentProcessId(), program, root),
                     0);
    assert_said("installed");
}

static void remove_everything(void) {
    static const char *const files[] = {"\\the program\\counter.exe", "\\statistics.txt"};
    static const char *const folders[] = {"\\in", "\\out", "\\the program", ""};
    char path[MAX_PATH];
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s%s", root, files[i]);
        DeleteFileA(path);
    }
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s%s", root, folders[i]);
        RemoveDirectoryA(path);
    }
}

/* ---- Files ---- */

static void file_path(char *out, const char *folder, int number) {
    snprintf(out, MAX_PATH, "%s\\%s\\file %d.txt", root, folder, number);
}

static bool exists(const char *folder, int number) {
    char path[MAX_PATH];
    file_path(path, folder, number);
    return GetFileAttributesA(path) != INVALID_FILE_ATTRIBUTES;
}

static void file_put(int number) {
    char path[MAX_PATH];
    file_path(path, "in", number);
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    fputs("123456789", file); /* whose CRC-32 every table of them has */
    fclose(file);
}

/* Waits for the result, by the folder's changes; takes it away. */
static void result_expect(int number) {
    char path[MAX_PATH], text[128] = "";
    snprintf(path, sizeof path, "%s\\out", root);
    HANDLE change = FindFirstChangeNotificationA(path, FALSE, FILE_NOTIFY_CHANGE_FILE_NAME);
    while (!exists("out", number)) {
        WaitForSingleObject(change, 500); /* a change may have come before */
        FindNextChangeNotification(change);
    }
    FindCloseChangeNotification(change);
    file_path(path, "out", number);
    FILE *file = fopen(path, "rb");
    ck_assert_ptr_nonnull(file);
    ck_assert_ptr_nonnull(fgets(text, sizeof text, file));
    fclose(file);
    ck_assert_str_eq(text, "9 bytes 0 lines crc cbf43926\n");
    ck_assert(DeleteFileA(path));
}

static const char *statistics(void) {
    static char text[128];
    char path[MAX_PATH];
    text[0] = '\0';
    snprintf(path, sizeof path, "%s\\statistics.txt", root);
    FILE *file = fopen(path, "rb");
    if (file == NULL) return text;
    if (fgets(text, sizeof text, file) == NULL) text[0] = '\0';
    fclose(file);
    return text;
}

/* ---- Clients of the pipe ---- */

struct client {
    HANDLE thread;
    unsigned written, answered, most;
};

/* 1: answered; 0: nobody there any more; -1: written, and not answered. */
static int ask(void) {
    char answer[128];
    DWORD done;
    HANDLE pipe;
    while ((pipe = CreateFileA(pipe_name, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING, 0, NULL)) ==
           INVALID_HANDLE_VALUE) {
        if (GetLastError() != ERROR_PIPE_BUSY) return 0;
        WaitNamedPipeA(pipe_name, 1000);
    }
    int result = 0;
    if (WriteFile(pipe, "123456789", 9, &done, NULL)) {
        result = ReadFile(pipe, answer, sizeof answer - 1, &done, NULL) ? 1 : -1;
        if (result == 1) {
            answer[done] = '\0';
            if (strcmp(answer, "9 bytes 0 lines crc cbf43926\n") != 0) result = -1;
        }
    }
    CloseHandle(pipe);
    return result;
}

static DWORD WINAPI client_run(void *arg) {
    struct client *client = arg;
    int result = 1;
    while (client->written < client->most && (result = ask()) != 0) {
        client->written++;
        client->answered += result == 1;
    }
    return 0;
}

enum { CLIENTS = 6 };
static void clients_start(struct client *clients, unsigned most) {
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){.most = most};
        clients[i].thread = CreateThread(NULL, 0, client_run, &clients[i], 0, NULL);
    }
}

static void clients_join(struct client *clients, unsigned *out_written, unsigned *out_answered) {
    for (int i = 0; i < CLIENTS; i++) {
        WaitForSingleObject(clients[i].thread, INFINITE);
        CloseHandle(clients[i].thread);
        *out_written += clients[i].written;
        *out_answered += clients[i].answered;
    }
}

/* ---- The cases ---- */

/* What the event viewer does with an entry. */
CASE(service_example_has_messages_for_the_event_viewer) {
    char key_name[256], file[MAX_PATH] = "", text[128] = "";
    DWORD bytes = sizeof file;
    DWORD_PTR inserts[] = {(DWORD_PTR) "stopped after 3 files"};
    install();
    snprintf(key_name, sizeof key_name, "SYSTEM\\CurrentControlSet\\Services\\EventLog\\Application\\%s", name);
    ck_assert_int_eq(RegGetValueA(HKEY_LOCAL_MACHINE, key_name, "EventMessageFile", RRF_RT_REG_EXPAND_SZ | RRF_NOEXPAND,
                                  NULL, file, &bytes),
                     ERROR_SUCCESS);
    ck_assert_str_eq(file, program);
    HMODULE module = LoadLibraryExA(file, NULL, LOAD_LIBRARY_AS_DATAFILE);
    for (DWORD id = 1; id <= 3; id++) {
        ck_assert_uint_gt(FormatMessageA(FORMAT_MESSAGE_FROM_HMODULE | FORMAT_MESSAGE_ARGUMENT_ARRAY, module, id, 0,
                                         text, sizeof text, (va_list *)inserts),
                          0);
        ck_assert_str_eq(text, "stopped after 3 files\r\n");
    }
    FreeLibrary(module);
    ck_assert_int_eq(command("remove %s", name), 0);
    remove_everything();
}

CASE_TIMEOUT(service_example_lives_from_install_to_removal, 120) {
    struct client clients[CLIENTS];
    unsigned written = 0, answered = 0;
    char expected[64];
    install();
    ck_assert_int_eq(run("sc query %s", name), 0);
    assert_said("STOPPED");
    ck_assert_int_eq(run("sc start %s --pipe %s", name, name), 0);
    ck_assert_int_eq(command("start %s", name), 0); /* it starts already: waits until it is up */
    assert_said("running");
    ck_assert_int_eq(run("sc query %s", name), 0);
    assert_said("RUNNING");
    ck_assert_int_eq(command("query %s --json", name), 0);
    assert_said("\"state\":\"running\"");

    for (int i = 0; i < 20; i++) file_put(i);
    clients_start(clients, 20);
    clients_join(clients, &written, &answered);
    ck_assert_uint_eq(answered, CLIENTS * 20);
    for (int i = 0; i < 20; i++) result_expect(i);
    ck_assert_int_eq(command("control %s 4", name), 0);

    ck_assert_int_eq(command("pause %s", name), 0);
    assert_said("paused");
    file_put(20);
    ck_assert_int_eq(ask(), 1); /* the pipe is served on */
    ck_assert(exists("in", 20) && !exists("out", 20));
    ck_assert_int_eq(command("continue %s", name), 0);
    assert_said("running");
    result_expect(20);

    ck_assert_int_eq(command("stop %s", name), 0);
    assert_said("stopped");
    snprintf(expected, sizeof expected, "files 21 requests %u\n", answered + 1);
    ck_assert_str_eq(statistics(), expected);
    ck_assert_int_eq(run("sc delete %s", name), 0);
    ck_assert_int_eq(command("query %s", name), 1);
    assert_said("not installed");
    remove_everything();
}

CASE_TIMEOUT(service_example_stopped_under_load_loses_nothing, 120) {
    enum { FILES = 100 };
    struct client clients[CLIENTS];
    unsigned written = 0, answered = 0, finished = 0;
    char expected[64];
    install();
    ck_assert_int_eq(command("start %s -- --pipe %s", name, name), 0);
    for (int i = 0; i < FILES; i++) file_put(i);
    clients_start(clients, 1000000);
    result_expect(0); /* it is in the midst of it */
    ck_assert_int_eq(command("stop %s", name), 0);
    clients_join(clients, &written, &answered);
    ck_assert_uint_gt(answered, 0);
    ck_assert_uint_eq(answered, written); /* what it let in it has answered */
    for (int i = 1; i < FILES; i++) {
        char path[MAX_PATH];
        ck_assert_msg(exists("in", i) != exists("out", i), "file %d is %s", i, exists("in", i) ? "in both" : "lost");
        if (exists("out", i)) {
            finished++;
            result_expect(i);
        }
        file_path(path, "in", i);
        DeleteFileA(path);
    }
    snprintf(expected, sizeof expected, "files %u requests %u\n", finished + 1, answered);
    ck_assert_str_eq(statistics(), expected);
    ck_assert_int_eq(command("remove %s", name), 0);
    remove_everything();
}

CASE_TIMEOUT(service_example_slow_start_and_failure_are_told, 60) {
    install();
    ck_assert_int_eq(command("start %s --timeout 1 -- --pipe %s --start-takes 3000", name, name), 1);
    assert_said("still start pending");
    ck_assert_int_eq(command("start %s", name), 0);
    assert_said("running");
    ck_assert_int_eq(command("control %s 129", name), 0);
    ck_assert_int_eq(command("stop %s", name), 0); /* waits: it ends by itself */
    ck_assert_int_eq(command("query %s", name), 0);
    assert_said("its own: 1234");
    ck_assert_int_eq(command("remove %s", name), 0);
    assert_said("removed");
    remove_everything();
}

CASE_TIMEOUT(service_example_wrong_arguments_are_told, 60) {
    install();
    ck_assert_int_eq(command("start %s -- --nonsense x --pipe %s", name, name), 1);
    assert_said("its own code 2");
    ck_assert_int_eq(command("remove %s", name), 0);
    assert_said("removed");
    remove_everything();
}
