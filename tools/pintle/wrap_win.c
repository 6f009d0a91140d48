/* wrap_win.c: wrap.h for Windows.
 *
 * The program starts suspended, is put into a job of its own, and only then runs, so whatever it starts is in the job too. The
 * job ends with its last handle, which is ours: when we die, however, the tree does.
 * As a service it gets a console without a window. Ctrl-C goes to a console, so to send it we enter the program's for a moment.
 * We are on it then too: a handler that does nothing takes ours. (Ignoring Ctrl-C would be inherited by what is started.) On a
 * console, program and wrapper share it: Ctrl-C reaches both by itself. */
#include "wrap.h"

#include <windows.h> /* before its parts */

#include "platform.h"

const uint32_t wrap_accepts = 0;

enum { COMMAND_LINE_UNITS = 32768, KILLED_CODE = 1, PROCESSES_MOST = 256, TREE_END_MS = 3000 };

/* ---- Text ---- */

static wchar_t *utf16(const char *text) {
    int units = MultiByteToWideChar(CP_UTF8, 0, text, -1, NULL, 0);
    wchar_t *wide = units > 0 ? malloc((size_t)units * sizeof *wide) : NULL;
    if (wide != NULL) MultiByteToWideChar(CP_UTF8, 0, text, -1, wide, units);
    return wide;
}

/* Quotes, so that the program's C runtime reads the same argument: backslashes count only before a quote. */
static char *append_argument(char *to, const char *argument) {
    size_t backslashes = 0;
    *to++ = '"';
    for (; *argument != '\0'; argument++) {
        if (*argument == '"') {
            for (size_t i = 0; i <= backslashes; i++) *to++ = '\\';
        }
        backslashes = *argument == '\\' ? backslashes + 1 : 0;
        *to++ = *argument;
    }
    for (size_t i = 0; i < backslashes; i++) *to++ = '\\';
    *to++ = '"';
    return to;
}

static wchar_t *command_line(const struct wrap_command *command) {
    size_t bytes = 2 * strlen(command->program) + 4;
    for (char **word = command->argv + 1; word[-1] != NULL && *word != NULL; word++) bytes += 2 * strlen(*word) + 4;
    char *text = malloc(bytes), *to = text;
    if (text == NULL) return NULL;
    to = append_argument(to, command->program);
    for (char **word = command->argv + 1; word[-1] != NULL && *word != NULL; word++) {
        *to++ = ' ';
        to = append_argument(to, *word);
    }
    *to = '\0';
    wchar_t *wide = utf16(text);
    free(text);
    if (wide != NULL && wcslen(wide) < COMMAND_LINE_UNITS) return wide;
    free(wide);
    return NULL;
}

/* ---- Starting ---- */

enum { STREAM_IN, STREAM_OUT, STREAM_ERR, STREAMS };

struct start {
    HANDLE given[STREAMS]; /* to the program, inheritable */
    HANDLE read[STREAMS];  /* ours */
};

static HANDLE open_nothing(void) {
    SECURITY_ATTRIBUTES inherited = {sizeof inherited, NULL, TRUE};
    return CreateFileW(L"NUL", GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE, &inherited,
                       OPEN_EXISTING, 0, NULL);
}

static bool duplicate(HANDLE handle, HANDLE *out) {
    return DuplicateHandle(GetCurrentProcess(), handle, GetCurrentProcess(), out, 0, TRUE, DUPLICATE_SAME_ACCESS) != 0;
}

static bool open_stream(struct start *start, int stream, bool pipe, bool as_service) {
    SECURITY_ATTRIBUTES inherited = {sizeof inherited, NULL, TRUE};
    HANDLE own = GetStdHandle(stream == STREAM_OUT ? STD_OUTPUT_HANDLE : STD_ERROR_HANDLE);
    if (pipe) {
        return CreatePipe(&start->read[stream], &start->given[stream], &inherited, 0) &&
               SetHandleInformation(start->read[stream], HANDLE_FLAG_INHERIT, 0);
    }
    if (!as_service && own != NULL && own != INVALID_HANDLE_VALUE) return duplicate(own, &start->given[stream]);
    start->given[stream] = open_nothing();
    return start->given[stream] != INVALID_HANDLE_VALUE;
}

static bool open_streams(struct start *start, const struct wrap_command *command) {
    start->given[STREAM_IN] = open_nothing();
    return start->given[STREAM_IN] != INVALID_HANDLE_VALUE &&
           open_stream(start, STREAM_OUT, command->pipe_out, command->as_service) &&
           (command->err_to_out ? duplicate(start->given[STREAM_OUT], &start->given[STREAM_ERR])
                                : open_stream(start, STREAM_ERR, command->pipe_err, command->as_service));
}

static void close_handles(HANDLE handles[STREAMS]) {
    for (int i = 0; i < STREAMS; i++) {
        if (handles[i] != NULL && handles[i] != INVALID_HANDLE_VALUE) CloseHandle(handles[i]);
    }
}

static HANDLE make_job(void) {
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits = {
        .BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE};
    HANDLE job = CreateJobObjectW(NULL, NULL);
    if (job != NULL && !SetInformationJobObject(job, JobObjectExtendedLimitInformation, &limits, sizeof limits)) {
        DWORD error = GetLastError();
        CloseHandle(job);
        SetLastError(error);
        return NULL;
    }
    return job;
}

/* Only these handles are inherited, whatever else in this process could be. */
static bool create(const struct wrap_command *command, struct start *start, wchar_t *line, PROCESS_INFORMATION *out) {
    STARTUPINFOEXW startup = {.StartupInfo = {.cb = sizeof startup,
                                              .dwFlags = STARTF_USESTDHANDLES,
                                              .hStdInput = start->given[STREAM_IN],
                                              .hStdOutput = start->given[STREAM_OUT],
                                              .hStdError = start->given[STREAM_ERR]}};
    wchar_t *program = utf16(command->program), *folder = command->folder != NULL ? utf16(command->folder) : NULL;
    DWORD flags = CREATE_SUSPENDED | EXTENDED_STARTUPINFO_PRESENT | (command->as_service ? CREATE_NO_WINDOW : 0);
    DWORD error = ERROR_NOT_ENOUGH_MEMORY;
    SIZE_T bytes = 0;
    InitializeProcThreadAttributeList(NULL, 1, 0, &bytes);
    startup.lpAttributeList = malloc(bytes);
    if (program != NULL && startup.lpAttributeList != NULL && (command->folder == NULL || folder != NULL) &&
        InitializeProcThreadAttributeList(startup.lpAttributeList, 1, 0, &bytes)) {
        bool done = UpdateProcThreadAttribute(startup.lpAttributeList, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST,
                                              start->given, sizeof start->given, NULL, NULL) &&
                    CreateProcessW(program, line, NULL, NULL, TRUE, flags, NULL, folder, &startup.StartupInfo, out);
        error = done ? NO_ERROR : GetLastError();
        DeleteProcThreadAttributeList(startup.lpAttributeList);
    }
    free(startup.lpAttributeList);
    free(program);
    free(folder);
    SetLastError(error);
    return error == NO_ERROR;
}

static bool create_in_job(const struct wrap_command *command, struct start *start, struct wrap_process *process) {
    PROCESS_INFORMATION made;
    wchar_t *line = command_line(command);
    if (line == NULL) {
        SetLastError(ERROR_NOT_ENOUGH_MEMORY);
        return false;
    }
    bool done = create(command, start, line, &made);
    free(line);
    if (!done) return false;
    done = AssignProcessToJobObject(process->job, made.hProcess) && ResumeThread(made.hThread) != (DWORD)-1;
    DWORD error = GetLastError();
    CloseHandle(made.hThread);
    if (done) {
        process->handle = made.hProcess;
        process->id = made.dwProcessId;
        return true;
    }
    TerminateProcess(made.hProcess, KILLED_CODE);
    CloseHandle(made.hProcess);
    SetLastError(error);
    return false;
}

uint32_t wrap_process_start(const struct wrap_command *command, struct wrap_process *out_process) {
    struct wrap_process process = {.as_service = command->as_service, .out = WRAP_NO_HANDLE, .err = WRAP_NO_HANDLE};
    struct start start = {0};
    process.job = make_job();
    bool done = process.job != NULL && open_streams(&start, command) && create_in_job(command, &start, &process);
    DWORD error = done ? NO_ERROR : GetLastError();
    close_handles(start.given);
    if (!done) {
        close_handles(start.read);
        if (process.job != NULL) CloseHandle(process.job);
        return error != NO_ERROR ? error : ERROR_GEN_FAILURE;
    }
    if (start.read[STREAM_OUT] != NULL) process.out = (wrap_handle)start.read[STREAM_OUT];
    if (start.read[STREAM_ERR] != NULL) process.err = (wrap_handle)start.read[STREAM_ERR];
    *out_process = process;
    return 0;
}

/* ---- Ending ---- */

uint32_t wrap_process_wait(const struct wrap_process *process) {
    DWORD code = KILLED_CODE;
    WaitForSingleObject(process->handle, INFINITE);
    GetExitCodeProcess(process->handle, &code);
    return code;
}

static BOOL WINAPI take_control_event(DWORD code) { return code == CTRL_C_EVENT; }

static bool send_ctrl_c(const struct wrap_process *process) {
    static bool handler_set;
    handler_set = handler_set || SetConsoleCtrlHandler(take_control_event, TRUE);
    if (!handler_set) return false;
    FreeConsole();
    if (!AttachConsole(process->id)) return false;
    bool sent = GenerateConsoleCtrlEvent(CTRL_C_EVENT, 0) != 0;
    FreeConsole();
    return sent;
}

struct windows_of {
    DWORD main;
    JOBOBJECT_BASIC_PROCESS_ID_LIST *list;
};

static BOOL CALLBACK close_window(HWND window, LPARAM arg) {
    const struct windows_of *of = (const struct windows_of *)arg;
    DWORD id = 0;
    GetWindowThreadProcessId(window, &id);
    bool ours = id == of->main;
    for (DWORD i = 0; i < of->list->NumberOfProcessIdsInList && !ours; i++) ours = of->list->ProcessIdList[i] == id;
    if (ours) PostMessageW(window, WM_CLOSE, 0, 0);
    return TRUE;
}

static void close_windows(const struct wrap_process *process) {
    union {
        JOBOBJECT_BASIC_PROCESS_ID_LIST list;
        char room[sizeof(JOBOBJECT_BASIC_PROCESS_ID_LIST) + PROCESSES_MOST * sizeof(ULONG_PTR)];
    } ids = {.list = {0}};
    struct windows_of of = {process->id, &ids.list};
    if (!QueryInformationJobObject(process->job, JobObjectBasicProcessIdList, &ids, sizeof ids, NULL) &&
        GetLastError() != ERROR_MORE_DATA)
        ids.list.NumberOfProcessIdsInList = 0;
    EnumWindows(close_window, (LPARAM)&of);
}

bool wrap_process_ask(const struct wrap_process *process, uint32_t control) {
    (void)control;
    close_windows(process);
    return !process->as_service || send_ctrl_c(process);
}

void wrap_process_kill(const struct wrap_process *process) { TerminateJobObject(process->job, KILLED_CODE); }

void wrap_process_reload(const struct wrap_process *process) { (void)process; }

/* The job tells a port when its last process is over. The port is put up only now: it would keep word of every process that the
 * program ever starts. */
static void wait_for_tree(const struct wrap_process *process) {
    JOBOBJECT_ASSOCIATE_COMPLETION_PORT told = {
        .CompletionPort = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 1)};
    JOBOBJECT_BASIC_ACCOUNTING_INFORMATION count = {.ActiveProcesses = 1};
    ULONGLONG end_ms = GetTickCount64() + TREE_END_MS, now_ms;
    if (told.CompletionPort == NULL) return;
    SetInformationJobObject(process->job, JobObjectAssociateCompletionPortInformation, &told, sizeof told);
    TerminateJobObject(process->job, KILLED_CODE);
    QueryInformationJobObject(process->job, JobObjectBasicAccountingInformation, &count, sizeof count, NULL);
    while (count.ActiveProcesses != 0 && (now_ms = GetTickCount64()) < end_ms) {
        DWORD message;
        ULONG_PTR key;
        OVERLAPPED *overlapped;
        if (!GetQueuedCompletionStatus(told.CompletionPort, &message, &key, &overlapped, (DWORD)(end_ms - now_ms)))
            break;
        if (message == JOB_OBJECT_MSG_ACTIVE_PROCESS_ZERO) break;
    }
    CloseHandle(told.CompletionPort);
}

void wrap_process_close(struct wrap_process *process) {
    wait_for_tree(process);
    if (process->out != WRAP_NO_HANDLE) CloseHandle((HANDLE)process->out);
    if (process->err != WRAP_NO_HANDLE) CloseHandle((HANDLE)process->err);
    CloseHandle(process->handle);
    CloseHandle(process->job);
}

void wrap_code_text(uint32_t code, char *out_text, size_t text_bytes) {
    snprintf(out_text, text_bytes, code < 0x80000000u ? "exit code %" PRIu32 : "exit code 0x%08" PRIx32, code);
}

/* ---- Pipes and files ---- */

int64_t wrap_read(wrap_handle from, char *out_bytes, size_t most) {
    DWORD got = 0;
    do {
        if (!ReadFile((HANDLE)from, out_bytes, (DWORD)most, &got, NULL)) return 0;
    } while (got == 0); /* somebody wrote nothing, which is no end */
    return got;
}

uint32_t wrap_file_append(const char *path, wrap_handle *out_file, uint64_t *out_bytes) {
    wchar_t *wide = utf16(path);
    LARGE_INTEGER size;
    if (wide == NULL) return ERROR_NOT_ENOUGH_MEMORY;
    HANDLE file = CreateFileW(wide, FILE_APPEND_DATA | FILE_READ_ATTRIBUTES | SYNCHRONIZE,
                              FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL, OPEN_ALWAYS,
                              FILE_ATTRIBUTE_NORMAL, NULL);
    DWORD error = GetLastError();
    free(wide);
    if (file == INVALID_HANDLE_VALUE) return error;
    if (!GetFileSizeEx(file, &size)) {
        error = GetLastError();
        CloseHandle(file);
        return error;
    }
    *out_file = (wrap_handle)file;
    *out_bytes = (uint64_t)size.QuadPart;
    return 0;
}

uint32_t wrap_file_write(wrap_handle file, const char *bytes, size_t length) {
    DWORD done;
    while (length > 0) {
        if (!WriteFile((HANDLE)file, bytes, (DWORD)length, &done, NULL)) return GetLastError();
        bytes += done;
        length -= done;
    }
    return 0;
}

void wrap_file_close(wrap_handle file) { CloseHandle((HANDLE)file); }

static uint32_t unless_missing(BOOL done) {
    DWORD error = done ? NO_ERROR : GetLastError();
    return error == ERROR_FILE_NOT_FOUND ? 0 : error;
}

uint32_t wrap_file_move(const char *from, const char *to) {
    wchar_t *wide_from = utf16(from), *wide_to = utf16(to);
    uint32_t error = ERROR_NOT_ENOUGH_MEMORY;
    if (wide_from != NULL && wide_to != NULL)
        error = unless_missing(MoveFileExW(wide_from, wide_to, MOVEFILE_REPLACE_EXISTING));
    free(wide_from);
    free(wide_to);
    return error;
}

uint32_t wrap_file_remove(const char *path) {
    wchar_t *wide = utf16(path);
    uint32_t error = wide == NULL ? ERROR_NOT_ENOUGH_MEMORY : unless_missing(DeleteFileW(wide));
    free(wide);
    return error;
}

/* ---- Surroundings ---- */

bool wrap_environment_set(const char *name, const char *value) {
    wchar_t *wide_name = utf16(name), *wide_value = utf16(value);
    bool done = wide_name != NULL && wide_value != NULL && SetEnvironmentVariableW(wide_name, wide_value);
    free(wide_name);
    free(wide_value);
    return done;
}

bool wrap_folder_exists(const char *path) {
    wchar_t *wide = utf16(path);
    DWORD attributes = wide != NULL ? GetFileAttributesW(wide) : INVALID_FILE_ATTRIBUTES;
    free(wide);
    return attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
}

/* The system would run cmd.exe with the arguments, which reads them by rules of its own: what is data would become commands. */
const char *wrap_program_refused(const char *path) {
    const char *dot = strrchr(path, '.');
    if (dot == NULL || (_stricmp(dot, ".bat") != 0 && _stricmp(dot, ".cmd") != 0)) return NULL;
    return "it is no program: wrap C:\\Windows\\System32\\cmd.exe /d /c FILE";
}
