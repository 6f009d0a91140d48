/* counter.c: a Windows service that counts: see README.md here.
 *
 * One task takes the service's events. In the service's scope, which a stop cancels, run: one task that watches the folder, one for
 * each instance of the pipe. A stop ends their waits for something new, never what they have begun: a file that was taken is
 * finished, a client that was let in gets its answer. */
#define WIN32_LEAN_AND_MEAN
#include <pintle.h>
#include <share.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

enum { PIPE_INSTANCES = 8, REQUEST_BYTES = 4096, USER_STATISTICS = 128, USER_FAIL = 129 };

struct counter {
    pintle_service_context *service;
    const char *folder, *pipe_name;
    int start_takes_ms;
    atomic_uint files, requests;
    atomic_bool closing;
    pintle_event going; /* reset: paused */
};

/* ---- The work ---- */

struct counts {
    size_t bytes, lines;
    uint32_t crc;
};

static void count(struct counts *counts, const unsigned char *bytes, size_t length) {
    uint32_t crc = ~counts->crc;
    for (size_t i = 0; i < length; i++) {
        counts->lines += bytes[i] == '\n';
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (0xEDB88320u & (0u - (crc & 1)));
    }
    counts->crc = ~crc;
    counts->bytes += length;
}

static int print_counts(char *out, size_t bytes, const struct counts *counts) {
    return snprintf(out, bytes, "%zu bytes %zu lines crc %08x\n", counts->bytes, counts->lines, (unsigned)counts->crc);
}

/* ---- The folder ---- */

/* FOLDER\in\NAME to FOLDER\out\NAME: the result appears whole, and the file goes only then, so that a crash repeats a file
 * rather than lose it. Runs in a foreign call: it waits for the disk. */
struct job {
    const char *folder, *name;
};

static int do_job(void *arg) {
    const struct job *job = arg;
    char from[MAX_PATH], to[MAX_PATH], half[MAX_PATH + 8], text[128];
    unsigned char block[8192];
    struct counts counts = {0};
    size_t got;
    snprintf(from, sizeof from, "%s\\in\\%s", job->folder, job->name);
    snprintf(to, sizeof to, "%s\\out\\%s", job->folder, job->name);
    snprintf(half, sizeof half, "%s.part", to);
    FILE *file = _fsopen(from, "rb", _SH_DENYRW);
    if (file == NULL) return 1; /* its writer has it still, maybe half written: the next look finds it */
    while ((got = fread(block, 1, sizeof block, file)) > 0) count(&counts, block, got);
    fclose(file);
    file = fopen(half, "wb");
    if (file == NULL) return 1;
    fwrite(text, 1, (size_t)print_counts(text, sizeof text, &counts), file);
    if (fclose(file) != 0 || !MoveFileExA(half, to, MOVEFILE_REPLACE_EXISTING)) return 1;
    return DeleteFileA(from) ? 0 : 1;
}

static void look_once(struct counter *counter) {
    char pattern[MAX_PATH];
    WIN32_FIND_DATAA found;
    snprintf(pattern, sizeof pattern, "%s\\in\\*", counter->folder);
    HANDLE search = FindFirstFileA(pattern, &found);
    if (search == INVALID_HANDLE_VALUE) return;
    do {
        struct job job = {counter->folder, found.cFileName};
        if (found.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) continue;
        if (pintle_call_blocking(do_job, &job) == 0) atomic_fetch_add(&counter->files, 1);
    } while (!pintle_canceled() && pintle_event_is_set(&counter->going) && FindNextFileA(search, &found));
    FindClose(search);
}

static int watch_folder(void *arg) {
    struct counter *counter = arg;
    char in[MAX_PATH];
    snprintf(in, sizeof in, "%s\\in", counter->folder);
    HANDLE change = FindFirstChangeNotificationA(in, FALSE, FILE_NOTIFY_CHANGE_FILE_NAME | FILE_NOTIFY_CHANGE_SIZE);
    if (change == INVALID_HANDLE_VALUE)
        return pintle_error_set(PINTLE_EOS, GetLastError(), "the folder '%s' cannot be watched", in);
    int result;
    for (;;) {
        if ((result = pintle_event_wait(&counter->going, PINTLE_FOREVER)) != 0) break;
        look_once(counter);
        /* A change may be told late, or its file be in use still: look again now and then. */
        result = pintle_wait_handle(change, pintle_after(PINTLE_MS(500)));
        if (result != 0 && result != PINTLE_ETIMEDOUT) break;
        if (result == 0) FindNextChangeNotification(change);
    }
    FindCloseChangeNotification(change);
    return result == PINTLE_ECANCELED ? 0 : result;
}

/* ---- The pipe ---- */

struct instance {
    HANDLE pipe;
    OVERLAPPED wait;
};

/* The end of an overlapped step, which a stop does not end. What was given up at the deadline is undone, or was done meanwhile. */
static bool step_done(struct instance *instance, BOOL at_once, int64_t deadline_ns, DWORD *out_bytes) {
    DWORD error = GetLastError();
    if (!at_once && error != ERROR_IO_PENDING) return error == ERROR_PIPE_CONNECTED;
    if (pintle_wait_handle(instance->wait.hEvent, deadline_ns) != 0) CancelIoEx(instance->pipe, &instance->wait);
    return GetOverlappedResult(instance->pipe, &instance->wait, out_bytes, TRUE);
}

static void answer(struct counter *counter, struct instance *instance) {
    unsigned char request[REQUEST_BYTES];
    char text[128];
    struct counts counts = {0};
    DWORD got = 0, sent = 0;
    if (!step_done(instance, ReadFile(instance->pipe, request, sizeof request, NULL, &instance->wait),
                   pintle_after(PINTLE_S(2)), &got))
        return;
    count(&counts, request, got);
    int length = print_counts(text, sizeof text, &counts);
    if (!step_done(instance, WriteFile(instance->pipe, text, (DWORD)length, NULL, &instance->wait),
                   pintle_after(PINTLE_S(2)), &sent))
        return;
    FlushFileBuffers(instance->pipe); /* until the client has read it: then the pipe may go */
    atomic_fetch_add(&counter->requests, 1);
}

static int serve_pipe(void *arg) {
    struct counter *counter = arg;
    char name[MAX_PATH];
    struct instance instance = {.wait.hEvent = CreateEventA(NULL, TRUE, FALSE, NULL)};
    snprintf(name, sizeof name, "\\\\.\\pipe\\%s", counter->pipe_name);
    instance.pipe = CreateNamedPipeA(name, PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED,
                                     PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE | PIPE_WAIT, PIPE_INSTANCES,
                                     REQUEST_BYTES, REQUEST_BYTES, 0, NULL);
    int result = 0;
    if (instance.pipe == INVALID_HANDLE_VALUE || instance.wait.hEvent == NULL) {
        result = pintle_error_set(PINTLE_EOS, GetLastError(), "the pipe '%s' cannot be made", name);
    }
    if (result != 0) pintle_service_log(counter->service, PINTLE_SERVICE_ERROR, "the pipe '%s' cannot be made", name);
    pintle_cancel_mask(); /* it is close_door that ends this */
    while (result == 0 && !atomic_load(&counter->closing)) {
        DWORD none = 0;
        if (step_done(&instance, ConnectNamedPipe(instance.pipe, &instance.wait), PINTLE_FOREVER, &none))
            answer(counter, &instance);
        DisconnectNamedPipe(instance.pipe);
    }
    pintle_cancel_unmask();
    if (instance.pipe != INVALID_HANDLE_VALUE) CloseHandle(instance.pipe);
    if (instance.wait.hEvent != NULL) CloseHandle(instance.wait.hEvent);
    return result;
}

/* An instance that stopped to listen could still let a client in, and would lose its request. So each is brought to its end by a
 * client: a real one, which it answers, or one from here. Runs in a foreign call. */
static int close_door(void *arg) {
    struct counter *counter = arg;
    char name[MAX_PATH];
    snprintf(name, sizeof name, "\\\\.\\pipe\\%s", counter->pipe_name);
    atomic_store(&counter->closing, true);
    for (;;) {
        HANDLE pipe = CreateFileA(name, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING, 0, NULL);
        if (pipe != INVALID_HANDLE_VALUE)
            CloseHandle(pipe);
        else if (GetLastError() == ERROR_PIPE_BUSY)
            WaitNamedPipeA(name, 100);
        else
            return 0; /* all instances have gone */
    }
}

/* ---- The service ---- */

static int write_statistics(void *arg) {
    struct counter *counter = arg;
    char path[MAX_PATH];
    snprintf(path, sizeof path, "%s\\statistics.txt", counter->folder);
    FILE *file = fopen(path, "wb");
    if (file == NULL) return 1;
    fprintf(file, "files %u requests %u\n", atomic_load(&counter->files), atomic_load(&counter->requests));
    return fclose(file);
}

static int read_arguments(struct counter *counter, int argc, char **argv) {
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--folder") == 0)
            counter->folder = argv[i + 1];
        else if (strcmp(argv[i], "--pipe") == 0)
            counter->pipe_name = argv[i + 1];
        else if (strcmp(argv[i], "--start-takes") == 0)
            counter->start_takes_ms = atoi(argv[i + 1]);
        else
            return 1;
    }
    return counter->folder == NULL || counter->pipe_name == NULL;
}

static int counter_main(pintle_service_context *service, int argc, char **argv) {
    struct counter counter = {.service = service};
    pintle_service_event event;
    pintle_scope *scope = pintle_service_scope(service);
    if (read_arguments(&counter, argc, argv) != 0) {
        pintle_service_log(service, PINTLE_SERVICE_ERROR, "use --folder FOLDER --pipe NAME");
        return 2;
    }
    pintle_event_set(&counter.going);
    int result = pintle_scope_go(scope, watch_folder, &counter, NULL);
    for (int i = 0; result == 0 && i < PIPE_INSTANCES; i++) result = pintle_scope_go(scope, serve_pipe, &counter, NULL);
    if (result != 0) {
        pintle_call_blocking(close_door, &counter);
        return result;
    }
    pintle_sleep(PINTLE_MS(counter.start_takes_ms)); /* what another service would load meanwhile */
    pintle_service_ready(service);
    while (pintle_service_next(service, &event, PINTLE_FOREVER) == 0) {
        if (event.kind == PINTLE_SERVICE_PAUSE) pintle_event_reset(&counter.going);
        if (event.kind == PINTLE_SERVICE_CONTINUE) pintle_event_set(&counter.going);
        if (event.kind == PINTLE_SERVICE_USER && event.control == USER_STATISTICS)
            pintle_call_blocking(write_statistics, &counter);
        if (event.kind == PINTLE_SERVICE_USER && event.control == USER_FAIL) {
            pintle_service_log(service, PINTLE_SERVICE_ERROR, "told to fail");
            pintle_service_fail(service, 1234);
            pintle_scope_cancel(scope);
            break;
        }
    }
    pintle_call_blocking(close_door, &counter);
    result = pintle_scope_wait(scope, PINTLE_FOREVER); /* what was accepted is finished */
    pintle_call_blocking(write_statistics, &counter);
    pintle_service_log(service, PINTLE_SERVICE_INFO, "stopped after %u files and %u requests",
                       atomic_load(&counter.files), atomic_load(&counter.requests));
    return result;
}

int main(int argc, char **argv) {
    pintle_service service = {.name = "Counter",
                              .main_task = counter_main,
                              .accepts = PINTLE_SERVICE_SHUTDOWN | PINTLE_SERVICE_PAUSE | PINTLE_SERVICE_USER};
    int result = pintle_service_run(&service, PINTLE_SERVICE_MODE_AUTO, argc, argv);
    if (result < 0) {
        pintle_error error;
        pintle_error_get(&error);
        fprintf(stderr, "counter: %s\n", error.text);
    }
    return result;
}
