/* rows_posix.c: what the rows need of a POSIX system; rows that only such systems have: none yet. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
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

unsigned long long bench_resident_bytes(void) {
    unsigned long long all, resident;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%llu %llu", &all, &resident) != 2) bench_fail(PINTLE_EOS, "/proc/self/statm");
    fclose(file);
    return resident * (unsigned long long)sysconf(_SC_PAGESIZE);
}

const struct bench_row bench_rows_platform[] = {{NULL, NULL, NULL}};
