/* platform_posix.c: see platform.h. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pintle.h"
#include "platform.h"

extern char **environ;

void platform_catch_crashes(void) { /* A signal ends the process with a status that CTest sees. */
}

void platform_die_quietly(void) { setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}); }

bool platform_has_fork(void) { return true; }

void platform_native_path(char *path) { (void)path; }

/* ---- Watchdog ---- */

static struct {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t disarm;
    bool armed;
    struct timespec deadline;
    const char *case_name;
    unsigned limit_s;
} watchdog = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void *watchdog_run(void *unused) {
    (void)unused;
    int result = 0;
    pthread_mutex_lock(&watchdog.lock);
    while (watchdog.armed && result != ETIMEDOUT) {
        result = pthread_cond_timedwait(&watchdog.disarm, &watchdog.lock, &watchdog.deadline);
    }
    if (watchdog.armed) {
        fprintf(stderr, "watchdog: case %s over %u s\n", watchdog.case_name, watchdog.limit_s);
        pintle_dump(NULL, NULL);
        _exit(STATUS_TEST_DIED);
    }
    pthread_mutex_unlock(&watchdog.lock);
    return NULL;
}

void watchdog_arm(const char *case_name, unsigned limit_s) {
    watchdog_disarm();
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&watchdog.disarm, &monotonic);
    watchdog.armed = true;
    clock_gettime(CLOCK_MONOTONIC, &watchdog.deadline);
    watchdog.deadline.tv_sec += limit_s;
    watchdog.case_name = case_name;
    watchdog.limit_s = limit_s;

    /* The signals that tests send to the process are not for this thread. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int result = pthread_create(&watchdog.thread, NULL, watchdog_run, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (result != 0) {
        fprintf(stderr, "watchdog: no thread: %s\n", strerror(result));
        _exit(STATUS_TEST_DIED);
    }
}

void watchdog_disarm(void) {
    if (!watchdog.armed) return;
    pthread_mutex_lock(&watchdog.lock);
    watchdog.armed = false;
    pthread_cond_signal(&watchdog.disarm);
    pthread_mutex_unlock(&watchdog.lock);
    pthread_join(watchdog.thread, NULL);
    pthread_cond_destroy(&watchdog.disarm);
}

/* ---- Death tests ---- */

int platform_run_self(const char *const arguments[3], bool own_console, char *out_text, size_t text_bytes) {
    (void)own_console; /* a signal is sent to one process */
    char program[4096];
    ssize_t program_length = readlink("/proc/self/exe", program, sizeof program - 1);
    int ends[2];
    if (program_length < 0 || pipe(ends) != 0) return -1;
    program[program_length] = '\0';

    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", 0, 0);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    posix_spawn_file_actions_addclose(&actions, ends[1]);
    char *argv[] = {program, (char *)arguments[0], (char *)arguments[1], (char *)arguments[2], NULL};
    pid_t child;
    int error = posix_spawn(&child, program, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);

    /* Read to the end even when the text is full: a child that waits for its reader would not end. */
    size_t used = 0;
    char block[4096];
    ssize_t got = 0;
    while (error == 0 && ((got = read(ends[0], block, sizeof block)) > 0 || (got < 0 && errno == EINTR))) {
        size_t space = text_bytes - 1 - used, taken = got < 0 ? 0 : (size_t)got < space ? (size_t)got : space;
        memcpy(out_text + used, block, taken);
        used += taken;
    }
    out_text[used] = '\0';
    close(ends[0]);
    if (error != 0) return -1;

    int status;
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) return -1;
    }
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
