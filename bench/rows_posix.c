/* rows_posix.c: what the rows need of a POSIX system; rows that only such systems have: none yet. */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "noop.h"
#include "pintle.h"

static int sleep_in_call(void *milliseconds) {
    unsigned left = *(const unsigned *)milliseconds;
    struct timespec duration = {left / 1000, (long)(left % 1000) * 1000000};
    while (nanosleep(&duration, &duration) != 0 && errno == EINTR) {}
    return 0;
}

void bench_block(unsigned milliseconds) { pintle_call(sleep_in_call, &milliseconds); }

static int back_in_call(void *code) { return (int)noop_back((uintptr_t(*)(uintptr_t))(uintptr_t)code, 0); }

void bench_call_back(void *code) { pintle_call(back_in_call, code); }

struct start {
    void (*fn)(void *);
    void *arg;
};

static void *on_thread(void *arg) {
    struct start *start = arg;
    start->fn(start->arg);
    return NULL;
}

static int make_thread(void *arg) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, on_thread, arg) != 0) bench_fail(PINTLE_EOS, "pthread_create");
    return pthread_join(thread, NULL);
}

void bench_on_new_thread(void (*fn)(void *), void *arg) {
    struct start start = {fn, arg};
    pintle_call_blocking(make_thread, &start);
}

void *bench_thread_start(void (*fn)(void *), void *arg) {
    static struct start start;
    pthread_t thread;
    start = (struct start){fn, arg};
    if (pthread_create(&thread, NULL, on_thread, &start) != 0) bench_fail(PINTLE_EOS, "pthread_create");
    return (void *)thread;
}

void bench_thread_join(void *thread) { pthread_join((pthread_t)thread, NULL); }

void bench_pause_thread(unsigned seconds) { sleep(seconds); }

/* The calling thread's own are left out. */
double bench_wakeups(void) {
    double sum = 0;
    char path[300];
    DIR *threads = opendir("/proc/self/task");
    if (threads == NULL) bench_fail(PINTLE_EOS, "/proc/self/task");
    for (struct dirent *entry; (entry = readdir(threads)) != NULL;) {
        char line[256];
        unsigned long long count;
        if (entry->d_name[0] == '.' || atol(entry->d_name) == syscall(SYS_gettid)) continue;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
        FILE *status = fopen(path, "r");
        while (status != NULL && fgets(line, sizeof line, status) != NULL)
            if (sscanf(line, "voluntary_ctxt_switches: %llu", &count) == 1) sum += (double)count;
        if (status != NULL) fclose(status);
    }
    closedir(threads);
    return sum;
}

unsigned long long bench_resident_bytes(void) {
    unsigned long long all, resident;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%llu %llu", &all, &resident) != 2) bench_fail(PINTLE_EOS, "/proc/self/statm");
    fclose(file);
    return resident * (unsigned long long)sysconf(_SC_PAGESIZE);
}

const struct bench_row bench_rows_platform[] = {{NULL, NULL, NULL}};
