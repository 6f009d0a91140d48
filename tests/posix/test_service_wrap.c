/* `pintle service wrap` in the foreground, as under systemd: tests/wrap/program.c wrapped by the command. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/pintle_test.h"

enum { EVENTS = 2, WORDS_MOST = 48 };

static char root[64], event_paths[EVENTS][96];
static int events[EVENTS];
static char said[65536]; /* what the wrapper wrote, up to its end */

/* ---- Set-up ---- */

static const char *path(const char *file) {
    static char paths[8][128];
    static unsigned next;
    char *out = paths[next++ % 8];
    snprintf(out, sizeof paths[0], "%s/%s", root, file);
    return out;
}

static void prepare(void) {
    strcpy(root, "/tmp/pintle-wrap-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    for (int i = 0; i < EVENTS; i++) {
        snprintf(event_paths[i], sizeof event_paths[i], "%s/event-%d", root, i);
        ck_assert_int_eq(mkfifo(event_paths[i], 0600), 0);
        events[i] = open(event_paths[i], O_RDWR | O_CLOEXEC); /* both ends: nobody waits for the other to open */
        ck_assert_int_ge(events[i], 0);
    }
}

static void expect_event(int i) {
    char byte;
    struct pollfd ready = {.fd = events[i], .events = POLLIN};
    ck_assert_int_eq(poll(&ready, 1, 20000 * TEST_SLOWNESS), 1);
    ck_assert_int_eq(read(events[i], &byte, 1), 1);
}

static void clean_up(void) {
    char line[128];
    for (int i = 0; i < EVENTS; i++) close(events[i]);
    snprintf(line, sizeof line, "rm -r '%s'", root);
    ck_assert_int_eq(system(line), 0);
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

#define assert_has(text, part) ck_assert_msg(strstr(text, part) != NULL, "no '%s' in:\n%s", part, text)
#define assert_said(part) assert_has(said, part)

/* ---- The wrapper ---- */

struct wrapper {
    pid_t process;
    int output;
};

/* `pintle service wrap` and the words up to NULL. */
static struct wrapper wrap_start(const char *word, ...) {
    const char *words[WORDS_MOST] = {TEST_COMMAND, "service", "wrap"};
    struct wrapper wrapper;
    int ends[2], count = 3;
    va_list list;
    va_start(list, word);
    for (; word != NULL && count < WORDS_MOST - 1; word = va_arg(list, const char *)) words[count++] = word;
    va_end(list);
    words[count] = NULL;
    ck_assert_int_eq(pipe(ends), 0);
    wrapper.output = ends[0];
    wrapper.process = fork();
    if (wrapper.process == 0) {
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        execv(words[0], (char *const *)(uintptr_t)words);
        _exit(98);
    }
    close(ends[1]);
    return wrapper;
}

/* Its exit status; 128 + n after signal n. */
static int wrap_end(struct wrapper wrapper) {
    size_t used = 0;
    ssize_t got;
    int status;
    while (used < sizeof said - 1 &&
           ((got = read(wrapper.output, said + used, sizeof said - 1 - used)) > 0 || errno == EINTR))
        used += got > 0 ? (size_t)got : 0;
    said[used] = '\0';
    printf("%s", said);
    close(wrapper.output);
    ck_assert_int_eq(waitpid(wrapper.process, &status, 0), wrapper.process);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The process whose number is in the file, as long as it runs. */
static int process_open(const char *file) {
    int process = (int)syscall(SYS_pidfd_open, (pid_t)strtol(file_read(file), NULL, 10), 0);
    ck_assert_int_ge(process, 0);
    return process;
}

/* When the wrapper has ended, it is over. */
static void expect_gone(int process) {
    struct pollfd ended = {.fd = process, .events = POLLIN};
    ck_assert_int_eq(poll(&ended, 1, 0), 1);
    close(process);
}

/* ---- The cases ---- */

CASE(wrap_passes_the_signal_on_and_reports_the_exit_code) {
    prepare();
    struct wrapper wrapper = wrap_start("--", TEST_PROGRAM, "say", "up", "set", event_paths[0], "wait", NULL);
    expect_event(0);
    kill(wrapper.process, SIGTERM);
    ck_assert_int_eq(wrap_end(wrapper), 9);
    assert_said("up\n");
    assert_said("stopping\n");
    assert_said("' ended with exit code 9 after ");
    assert_said(", stopped\n");
    clean_up();
}

CASE(wrap_reload_reaches_the_program) {
    prepare();
    struct wrapper wrapper = wrap_start("--stdout", path("out"), "--", TEST_PROGRAM, "set", event_paths[0], "reload",
                                        event_paths[1], "wait", NULL);
    expect_event(0);
    kill(wrapper.process, SIGHUP);
    expect_event(1);
    kill(wrapper.process, SIGINT);
    ck_assert_int_eq(wrap_end(wrapper), 9);
    ck_assert_str_eq(file_read("out"), "reload\nstopping\n");
    clean_up();
}

CASE(wrap_stop_that_is_ignored_terminates_the_tree) {
    prepare();
    struct wrapper wrapper = wrap_start("--stop-timeout", "300ms", "--", TEST_PROGRAM, "pid", path("pid"), "child",
                                        path("child"), event_paths[0], "set", event_paths[1], "stubborn", NULL);
    expect_event(0);
    expect_event(1);
    int parent = process_open("pid"), child = process_open("child");
    kill(wrapper.process, SIGTERM);
    ck_assert_int_eq(wrap_end(wrapper), 128 + SIGKILL);
    assert_said("did not stop within 300 ms: it is terminated\n");
    expect_gone(parent);
    expect_gone(child);
    clean_up();
}

CASE(wrap_leaves_no_grandchild_when_the_program_ends) {
    prepare();
    struct wrapper wrapper = wrap_start("--restart", "never", "--", TEST_PROGRAM, "child", path("child"),
                                        event_paths[0], "await", event_paths[1], "exit", "42", NULL);
    expect_event(0);
    int child = process_open("child");
    ck_assert_int_eq(write(events[1], "x", 1), 1);
    ck_assert_int_eq(wrap_end(wrapper), 42);
    expect_gone(child);
    clean_up();
}

/* Output that a process outside of the tree holds is not waited for; that process is no part of it. */
CASE(wrap_ends_though_a_process_that_left_holds_the_output) {
    prepare();
    struct wrapper wrapper = wrap_start("--restart", "never", "--stdout", path("out"), "--stderr", path("out"), "--",
                                        TEST_PROGRAM, "leave", path("left"), event_paths[0], "say", "seen", "await",
                                        event_paths[1], "exit", "3", NULL);
    expect_event(0);
    ck_assert_int_eq(write(events[1], "x", 1), 1);
    ck_assert_int_eq(wrap_end(wrapper), 3);
    assert_said("holds its output: it is read no further\n");
    assert_has(file_read("out"), "seen\n");
    ck_assert_int_eq(kill((pid_t)strtol(file_read("left"), NULL, 10), SIGKILL), 0);
    clean_up();
}

CASE(wrap_restarts_later_each_time_up_to_a_limit) {
    prepare();
    struct wrapper wrapper = wrap_start("--restarts", "4", "--restart-delay", "10ms", "--restart-delay-most", "25ms",
                                        "--", TEST_PROGRAM, "stamp", path("stamps"), "exit", "5", NULL);
    ck_assert_int_eq(wrap_end(wrapper), 5);
    assert_said("starts again in 10.0 ms\n");
    assert_said("starts again in 20.0 ms\n");
    assert_said("starts again in 25.0 ms\n");
    assert_said("not started again: too often in a row\n");
    char *text = (char *)(uintptr_t)file_read("stamps");
    unsigned long long before = strtoull(text, &text, 10);
    static const unsigned delays_ms[] = {10, 20, 25, 25};
    for (int i = 0; i < 4; i++) {
        unsigned long long stamp = strtoull(text, &text, 10);
        ck_assert_uint_ge(stamp - before + 1, delays_ms[i]);
        before = stamp;
    }
    clean_up();
}

/* Every run is healthy, so each is the first failure. */
CASE(wrap_delay_begins_anew_after_a_healthy_run) {
    prepare();
    struct wrapper wrapper = wrap_start("--restarts", "1", "--restart-delay", "10ms", "--healthy", "0",
                                        "--stop-timeout", "0", "--", TEST_PROGRAM, "set", event_paths[0], "await",
                                        event_paths[1], "exit", "5", NULL);
    for (int i = 0; i < 4; i++) {
        expect_event(0);
        ck_assert_int_eq(write(events[1], "x", 1), 1);
    }
    expect_event(0);
    kill(wrapper.process, SIGTERM);
    ck_assert_int_eq(wrap_end(wrapper), 128 + SIGKILL);
    assert_said("starts again in 10.0 ms\n");
    ck_assert_ptr_null(strstr(said, "starts again in 20.0 ms\n"));
    clean_up();
}

CASE(wrap_stopped_while_it_waits_to_restart_ends) {
    prepare();
    struct wrapper wrapper = wrap_start("--restart-delay", "1h", "--restart", "always", "--", TEST_PROGRAM, "say",
                                        "once", NULL);
    char text[4096] = "";
    size_t used = 0;
    while (strstr(text, "starts again in 3600 s\n") == NULL && used < sizeof text - 1) {
        ssize_t got = read(wrapper.output, text + used, sizeof text - 1 - used);
        ck_assert_int_gt(got, 0);
        used += (size_t)got;
    }
    kill(wrapper.process, SIGTERM);
    ck_assert_int_eq(wrap_end(wrapper), 0);
    clean_up();
}

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

CASE(wrap_output_is_rotated_at_line_ends_and_the_oldest_goes) {
    prepare();
    struct wrapper wrapper = wrap_start("--restart", "never", "--stdout", path("out"), "--stderr", path("err"),
                                        "--rotate-size", "1K", "--rotate-count", "2", "--env", "WRAP_TEST=a=b c",
                                        "--folder", root, "--", TEST_PROGRAM, "lines", "500", "variable", "WRAP_TEST",
                                        "folder", "cry", "an error", NULL);
    ck_assert_int_eq(wrap_end(wrapper), 0);
    const char *newest = file_read("out"), *middle = file_read("out.1"), *oldest = file_read("out.2");
    ck_assert_uint_eq(strlen(middle), 1034); /* 94 lines of 11 bytes: the first end from 1,024 on */
    ck_assert_uint_eq(strlen(oldest), 1034);
    unsigned first = (unsigned)strtoul(oldest + strlen("line "), NULL, 10);
    ck_assert_uint_gt(first, 0); /* what was before is gone */
    ck_assert_uint_eq(expect_lines(newest, expect_lines(middle, expect_lines(oldest, first))), 500);
    ck_assert_int_ne(access(path("out.3"), F_OK), 0);
    assert_has(newest, "WRAP_TEST=a=b c\n");
    assert_has(newest, root);
    ck_assert_str_eq(file_read("err"), "an error\n");
    clean_up();
}

/* A second wrapper goes on where the first stopped: by bytes that were there before. */
CASE(wrap_output_goes_on_in_the_file_that_is_there) {
    prepare();
    for (int i = 0; i < 2; i++) {
        struct wrapper wrapper = wrap_start("--restart", "never", "--stdout", path("out"), "--rotate-size", "1024",
                                            "--rotate-count", "0", "--", TEST_PROGRAM, "lines", "93", NULL);
        ck_assert_int_eq(wrap_end(wrapper), 0);
    }
    ck_assert_uint_eq(strlen(file_read("out")), 2 * 1023 - 1034);
    clean_up();
}

CASE(wrap_output_that_cannot_be_rotated_goes_on_and_is_told_once) {
    prepare();
    ck_assert_int_eq(mkdir(path("out.1"), 0700), 0);
    struct wrapper wrapper = wrap_start("--restart", "never", "--stdout", path("out"), "--rotate-size", "1K",
                                        "--rotate-count", "1", "--", TEST_PROGRAM, "lines", "500", NULL);
    ck_assert_int_eq(wrap_end(wrapper), 0);
    ck_assert_uint_eq(expect_lines(file_read("out"), 0), 500);
    const char *told = strstr(said, "output is lost or not rotated: '");
    ck_assert_ptr_nonnull(told);
    ck_assert_ptr_null(strstr(told + 1, "output is lost or not rotated: '"));
    clean_up();
}

CASE(wrap_output_that_has_no_room_is_lost_and_the_program_goes_on) {
    prepare();
    struct wrapper wrapper = wrap_start("--restart", "never", "--stdout", "/dev/full", "--", TEST_PROGRAM, "lines",
                                        "20000", "exit", "4", NULL);
    ck_assert_int_eq(wrap_end(wrapper), 4);
    assert_said("'/dev/full': No space left on device\n");
    clean_up();
}

CASE(wrap_output_that_cannot_be_opened_is_told) {
    prepare();
    struct wrapper wrapper = wrap_start("--stdout", path("nowhere/out"), "--", TEST_PROGRAM, "say", "never", NULL);
    ck_assert_int_eq(wrap_end(wrapper), 1);
    assert_said("/nowhere/out' cannot be opened for output: No such file or directory\n");
    ck_assert_ptr_null(strstr(said, "never\n"));
    clean_up();
}

CASE(wrap_program_that_cannot_start_is_told) {
    prepare();
    FILE *file = fopen(path("broken"), "wb");
    ck_assert_ptr_nonnull(file);
    fputs("\177ELF and no more", file);
    fclose(file);
    ck_assert_int_eq(chmod(path("broken"), 0700), 0);
    ck_assert_int_eq(wrap_end(wrap_start("--", path("broken"), NULL)), 1);
    assert_said("/broken' was not started: Exec format error\n");
    ck_assert_int_eq(chmod(path("broken"), 0600), 0);
    ck_assert_int_eq(wrap_end(wrap_start("--", path("broken"), NULL)), 1);
    assert_said("it may not be executed\n");
    clean_up();
}
