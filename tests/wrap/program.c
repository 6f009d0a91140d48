/* program.c: what the tests of `pintle service wrap` wrap: does what its arguments say, in their order.
 *
 *   lines N        writes N numbered lines         say TEXT       writes a line          cry TEXT  to standard error
 *   variable NAME  writes NAME=VALUE               folder         writes the current folder
 *   pid FILE       writes its number to the file   stamp FILE     appends the clock, in milliseconds
 *   set NAME       tells the test                  await NAME     waits for the test: Windows' events, POSIX' FIFOs
 *   exit N         ends
 *   wait           waits for a stop, says so, ends with 9
 *   reload NAME    waits for a SIGHUP, says so, tells the test (POSIX)
 *   stubborn       waits, and ignores every stop
 *   child FILE NAME    starts this program with: pid FILE set NAME stubborn
 *   leave FILE NAME    the same, but it leaves the process group (POSIX)
 * Whatever happens it ends after a minute. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int number_of(const char *text) { return (int)strtol(text, NULL, 10); }

enum { LIMIT_S = 60, STATUS_BROKEN = 99, STATUS_STOPPED = 9 };

/* ---- The system ---- */

#if defined(_WIN32)
#include <fcntl.h>
#include <io.h>
#include <windows.h>

static HANDLE stopped;

static BOOL WINAPI handle_stop(DWORD code) {
    if (code != CTRL_C_EVENT) return FALSE;
    SetEvent(stopped);
    return TRUE;
}

static BOOL WINAPI ignore_stop(DWORD code) {
    (void)code;
    return TRUE;
}

static void write_bytes(void) { /* lines end as written */
    _setmode(_fileno(stdout), _O_BINARY);
    _setmode(_fileno(stderr), _O_BINARY);
}

static void expect_stops(void) {
    stopped = CreateEventA(NULL, TRUE, FALSE, NULL);
    SetConsoleCtrlHandler(handle_stop, TRUE);
}

static void ignore_stops(void) { SetConsoleCtrlHandler(ignore_stop, TRUE); }

static bool wait_for_stop(void) { return WaitForSingleObject(stopped, LIMIT_S * 1000) == WAIT_OBJECT_0; }

static bool wait_for_reload(void) { return false; }

static void wait_for_ever(void) { Sleep(LIMIT_S * 1000); }

static bool event_set(const char *name) {
    HANDLE event = OpenEventA(EVENT_MODIFY_STATE, FALSE, name);
    return event != NULL && SetEvent(event);
}

static bool event_await(const char *name) {
    HANDLE event = OpenEventA(SYNCHRONIZE, FALSE, name);
    return event != NULL && WaitForSingleObject(event, LIMIT_S * 1000) == WAIT_OBJECT_0;
}

static unsigned long own_number(void) { return GetCurrentProcessId(); }
static unsigned long long clock_ms(void) { return GetTickCount64(); }

static bool print_folder(void) {
    char path[MAX_PATH];
    if (GetCurrentDirectoryA(sizeof path, path) == 0) return false;
    printf("%s\n", path);
    return true;
}

static bool start_child(const char *program, char *file, char *name, bool leaves) {
    char line[2048];
    STARTUPINFOA startup = {.cb = sizeof startup};
    PROCESS_INFORMATION child;
    snprintf(line, sizeof line, "\"%s\" pid \"%s\" set \"%s\" stubborn", program, file, name);
    return !leaves && CreateProcessA(NULL, line, NULL, NULL, TRUE, 0, NULL, NULL, &startup, &child);
}
#else
#include <fcntl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

static sigset_t stops;

static void write_bytes(void) {}

static void expect_stops(void) {
    sigemptyset(&stops);
    sigaddset(&stops, SIGTERM);
    sigaddset(&stops, SIGINT);
    sigaddset(&stops, SIGHUP);
    sigprocmask(SIG_BLOCK, &stops, NULL);
}

static void ignore_stops(void) {
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
}

static bool wait_for_stop(void) {
    const struct timespec limit = {LIMIT_S, 0};
    return sigtimedwait(&stops, NULL, &limit) > 0;
}

static bool wait_for_reload(void) {
    const struct timespec limit = {LIMIT_S, 0};
    return sigtimedwait(&stops, NULL, &limit) == SIGHUP;
}

static void wait_for_ever(void) { sleep(LIMIT_S); }

static bool event_set(const char *name) {
    int fifo = open(name, O_WRONLY);
    return fifo >= 0 && write(fifo, "x", 1) == 1 && close(fifo) == 0;
}

static bool event_await(const char *name) {
    char byte;
    int fifo = open(name, O_RDONLY);
    return fifo >= 0 && read(fifo, &byte, 1) == 1 && close(fifo) == 0;
}

static unsigned long own_number(void) { return (unsigned long)getpid(); }

static unsigned long long clock_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (unsigned long long)now.tv_sec * 1000 + (unsigned long long)now.tv_nsec / 1000000;
}

static bool print_folder(void) {
    char path[4096];
    if (getcwd(path, sizeof path) == NULL) return false;
    printf("%s\n", path);
    return true;
}

static bool start_child(char *program, char *file, char *name, bool leaves) {
    static char pid[] = "pid", set[] = "set", stubborn[] = "stubborn";
    char *const words[] = {program, pid, file, set, name, stubborn, NULL};
    pid_t child = fork();
    if (child == 0) {
        if (leaves) setsid();
        execv(program, words);
        _exit(STATUS_BROKEN);
    }
    return child > 0;
}
#endif

/* ---- The words ---- */

static bool write_number(const char *path, const char *mode, unsigned long long number) {
    FILE *file = fopen(path, mode);
    if (file == NULL) return false;
    fprintf(file, "%llu\n", number);
    return fclose(file) == 0;
}

static bool write_lines(int count) {
    for (int i = 0; i < count; i++) printf("line %05d\n", i);
    return true;
}

static bool wait_here(void) {
    if (!wait_for_stop()) return false;
    puts("stopping");
    exit(STATUS_STOPPED);
}

/* How many words it took; 0: it went wrong. */
static int act(char *program, char **words) {
    const char *verb = words[0], *value = words[1] != NULL ? words[1] : "";
    bool done = false;
    if (strcmp(verb, "folder") == 0) return print_folder();
    if (strcmp(verb, "wait") == 0) return wait_here();
    if (strcmp(verb, "stubborn") == 0) return wait_for_ever(), 1;
    if (strcmp(verb, "exit") == 0) exit(number_of(value));
    if (strcmp(verb, "child") == 0 || strcmp(verb, "leave") == 0)
        return start_child(program, words[1], words[2], verb[0] == 'l') ? 3 : 0;
    if (strcmp(verb, "lines") == 0) done = write_lines(number_of(value));
    if (strcmp(verb, "say") == 0) done = puts(value) >= 0;
    if (strcmp(verb, "cry") == 0) done = fprintf(stderr, "%s\n", value) > 0;
    if (strcmp(verb, "variable") == 0) done = printf("%s=%s\n", value, getenv(value)) > 0;
    if (strcmp(verb, "pid") == 0) done = write_number(value, "w", own_number());
    if (strcmp(verb, "stamp") == 0) done = write_number(value, "a", clock_ms());
    if (strcmp(verb, "reload") == 0) done = wait_for_reload() && puts("reload") >= 0 && event_set(value);
    if (strcmp(verb, "set") == 0) done = event_set(value);
    if (strcmp(verb, "await") == 0) done = event_await(value);
    return done ? 2 : 0;
}

int main(int argc, char **argv) {
    int took = 1;
    write_bytes();
    setvbuf(stdout, NULL, _IOFBF, 4096); /* a line is written whole */
    setvbuf(stderr, NULL, _IOFBF, 4096);
    if (argc > 1 && strcmp(argv[argc - 1], "stubborn") == 0)
        ignore_stops();
    else
        expect_stops();
    for (int i = 1; i < argc; i += took) {
        took = act(argv[0], argv + i);
        fflush(stdout);
        fflush(stderr);
        if (took != 0) continue;
        fprintf(stderr, "'%s' went wrong\n", argv[i]);
        return STATUS_BROKEN;
    }
    return 0;
}
