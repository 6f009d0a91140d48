/* process_win.c: process.h on Windows: two pipes, read and written by announced blocking calls; a job, which ends with its last
 * handle, which is ours. */
#include "process.h"

#include "host_parts.h"

#include <windows.h>

enum { PIPE_BYTES = 64 << 10, PATH_UNITS = 4096, KILLED = 1 };

struct channel {
    HANDLE in, out;
};

struct process {
    HANDLE job, handle;
    DWORD id;
};

/* ---- The channel ---- */

struct transfer {
    HANDLE handle;
    void *data;
    DWORD bytes, done;
};

static int read_some(void *arg) {
    struct transfer *t = arg;
    return ReadFile(t->handle, t->data, t->bytes, &t->done, NULL);
}

static int write_some(void *arg) {
    struct transfer *t = arg;
    return WriteFile(t->handle, t->data, t->bytes, &t->done, NULL);
}

size_t channel_read(channel *c, void *out, size_t bytes) {
    struct transfer t = {.handle = c->in, .data = out, .bytes = bytes > 1u << 30 ? 1u << 30 : (DWORD)bytes};
    return pintle_call_blocking(read_some, &t) ? t.done : 0;
}

bool channel_write(channel *c, const void *data, size_t bytes) {
    for (size_t done = 0; done < bytes;) {
        size_t left = bytes - done;
        struct transfer t = {.handle = c->out,
                             .data = (char *)(uintptr_t)data + done,
                             .bytes = left > 1u << 30 ? 1u << 30 : (DWORD)left};
        if (!pintle_call(write_some, &t)) return false;
        done += t.done;
    }
    return true;
}

void channel_close(channel *c) {
    CloseHandle(c->in);
    CloseHandle(c->out);
    free(c);
}

channel *channel_inherited(const char *argument) {
    unsigned long long in, out;
    DWORD flags;
    if (sscanf(argument, "%llu,%llu", &in, &out) != 2) return NULL;
    channel *c = calloc(1, sizeof *c);
    if (c == NULL) return NULL;
    *c = (channel){.in = (HANDLE)(uintptr_t)in, .out = (HANDLE)(uintptr_t)out};
    if (GetHandleInformation(c->in, &flags) && GetHandleInformation(c->out, &flags)) return c;
    free(c);
    return NULL;
}

/* ---- The process ---- */

/* What is made on the way, so that one place takes it away. */
struct start {
    HANDLE to_child, from_child, given[5]; /* the child's in and out; its standard input, output, error */
    HANDLE job;
    PROCESS_INFORMATION made;
};

static HANDLE inheritable(HANDLE handle) {
    HANDLE copy = NULL;
    if (handle == NULL || handle == INVALID_HANDLE_VALUE) return NULL;
    DuplicateHandle(GetCurrentProcess(), handle, GetCurrentProcess(), &copy, 0, TRUE, DUPLICATE_SAME_ACCESS);
    return copy;
}

static bool make_pipes(struct start *s) {
    SECURITY_ATTRIBUTES inherited = {sizeof inherited, NULL, TRUE};
    bool done = CreatePipe(&s->given[0], &s->to_child, &inherited, PIPE_BYTES) &&
                CreatePipe(&s->from_child, &s->given[1], &inherited, PIPE_BYTES) &&
                SetHandleInformation(s->to_child, HANDLE_FLAG_INHERIT, 0) &&
                SetHandleInformation(s->from_child, HANDLE_FLAG_INHERIT, 0);
    s->given[2] = CreateFileW(L"NUL", GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE, &inherited, OPEN_EXISTING, 0,
                              NULL);
    s->given[3] = inheritable(GetStdHandle(STD_ERROR_HANDLE)); /* the host's own output is not a plugin's */
    s->given[4] = inheritable(GetStdHandle(STD_ERROR_HANDLE));
    return done;
}

static bool make_job(struct start *s, size_t memory_most_bytes) {
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits = {
        .BasicLimitInformation = {.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE | JOB_OBJECT_LIMIT_ACTIVE_PROCESS |
                                                JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION,
                                  .ActiveProcessLimit = 1},
        .ProcessMemoryLimit = memory_most_bytes};
    if (memory_most_bytes != 0) limits.BasicLimitInformation.LimitFlags |= JOB_OBJECT_LIMIT_PROCESS_MEMORY;
    JOBOBJECT_BASIC_UI_RESTRICTIONS ui = {JOB_OBJECT_UILIMIT_EXITWINDOWS | JOB_OBJECT_UILIMIT_DESKTOP |
                                          JOB_OBJECT_UILIMIT_DISPLAYSETTINGS | JOB_OBJECT_UILIMIT_SYSTEMPARAMETERS |
                                          JOB_OBJECT_UILIMIT_GLOBALATOMS | JOB_OBJECT_UILIMIT_HANDLES |
                                          JOB_OBJECT_UILIMIT_READCLIPBOARD | JOB_OBJECT_UILIMIT_WRITECLIPBOARD};
    s->job = CreateJobObjectW(NULL, NULL);
    if (s->job == NULL || !SetInformationJobObject(s->job, JobObjectExtendedLimitInformation, &limits, sizeof limits))
        return false;
    SetInformationJobObject(s->job, JobObjectBasicUIRestrictions, &ui,
                            sizeof ui); /* a process without windows can do without */
    return true;
}

/* The handles that are there: only they are inherited. */
static DWORD handle_list(const struct start *s, HANDLE out_list[5]) {
    DWORD count = 0;
    for (int i = 0; i < 5; i++)
        if (s->given[i] != NULL && s->given[i] != INVALID_HANDLE_VALUE) out_list[count++] = s->given[i];
    return count;
}

static bool create(struct start *s, const wchar_t *program, wchar_t *line) {
    HANDLE list[5];
    DWORD count = handle_list(s, list);
    STARTUPINFOEXW startup = {.StartupInfo = {.cb = sizeof startup,
                                              .dwFlags = STARTF_USESTDHANDLES,
                                              .hStdInput = s->given[2],
                                              .hStdOutput = s->given[3],
                                              .hStdError = s->given[4]}};
    SIZE_T bytes = 0;
    InitializeProcThreadAttributeList(NULL, 1, 0, &bytes);
    startup.lpAttributeList = malloc(bytes);
    if (startup.lpAttributeList == NULL) {
        SetLastError(ERROR_NOT_ENOUGH_MEMORY);
        return false;
    }
    bool done = InitializeProcThreadAttributeList(startup.lpAttributeList, 1, 0, &bytes) &&
                UpdateProcThreadAttribute(startup.lpAttributeList, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, list,
                                          count * sizeof list[0], NULL, NULL) &&
                CreateProcessW(program, line, NULL, NULL, TRUE,
                               CREATE_SUSPENDED | EXTENDED_STARTUPINFO_PRESENT | CREATE_NO_WINDOW, NULL, NULL,
                               &startup.StartupInfo, &s->made);
    DWORD error = GetLastError();
    free(startup.lpAttributeList);
    SetLastError(error);
    return done && AssignProcessToJobObject(s->job, s->made.hProcess) && ResumeThread(s->made.hThread) != (DWORD)-1;
}

struct plan {
    const char *program, *word;
    size_t memory_most_bytes;
    struct start *start;
    DWORD error;
};

static int start_process(void *arg) {
    struct plan *plan = arg;
    struct start *s = plan->start;
    wchar_t program[PATH_UNITS], line[PATH_UNITS + 128];
    bool done = true;
    if (plan->program != NULL)
        done = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, plan->program, -1, program, PATH_UNITS) > 0;
    else if (GetModuleFileNameW(NULL, program, PATH_UNITS) >= PATH_UNITS)
        done = false;
    done = done && make_pipes(s) && make_job(s, plan->memory_most_bytes);
    if (done) {
        swprintf(line, PATH_UNITS + 128, L"\"%ls\" %hs %llu,%llu", program, plan->word,
                 (unsigned long long)(uintptr_t)s->given[0], (unsigned long long)(uintptr_t)s->given[1]);
        done = create(s, program, line);
    }
    plan->error = done ? NO_ERROR : GetLastError();
    for (int i = 0; i < 5; i++)
        if (s->given[i] != NULL && s->given[i] != INVALID_HANDLE_VALUE) CloseHandle(s->given[i]);
    if (s->made.hThread != NULL) CloseHandle(s->made.hThread);
    if (done) return 0;
    if (s->made.hProcess != NULL) {
        TerminateProcess(s->made.hProcess, KILLED);
        CloseHandle(s->made.hProcess);
    }
    if (s->job != NULL) CloseHandle(s->job);
    if (s->to_child != NULL) CloseHandle(s->to_child);
    if (s->from_child != NULL) CloseHandle(s->from_child);
    return 1;
}

int process_start(process **out, channel **out_channel, const char *program, const char *word,
                  size_t memory_most_bytes) {
    struct start start = {0};
    struct plan plan = {program, word, memory_most_bytes, &start, 0};
    process *p = calloc(1, sizeof *p);
    channel *c = calloc(1, sizeof *c);
    if (p == NULL || c == NULL || pintle_call(start_process, &plan) != 0) {
        bool memory = p == NULL || c == NULL;
        free(p);
        free(c);
        if (memory) return pintle_error_set(PINTLE_ENOMEM, 0, "no memory for a process");
        return pintle_error_set(PINTLE_EOS, plan.error,
                                "the program for a plugin's process cannot be started: error %lu", plan.error);
    }
    *p = (process){.job = start.job, .handle = start.made.hProcess, .id = start.made.dwProcessId};
    *c = (channel){.in = start.from_child, .out = start.to_child};
    *out = p;
    *out_channel = c;
    return 0;
}

uint64_t process_id(const process *p) { return p->id; }

void process_kill(process *p) { TerminateJobObject(p->job, KILLED); }

void process_end(process *p, char *out_text, size_t text_bytes) {
    DWORD status = 0;
    pintle_cancel_mask();
    pintle_wait_handle(p->handle, PINTLE_FOREVER);
    pintle_cancel_unmask();
    GetExitCodeProcess(p->handle, &status);
    snprintf(out_text, text_bytes, status >= 0xC0000000 ? "ended with status 0x%lx" : "ended with status %lu", status);
    CloseHandle(p->handle);
    CloseHandle(p->job);
    free(p);
}

void process_limit(size_t memory_most_bytes) { (void)memory_most_bytes; }
