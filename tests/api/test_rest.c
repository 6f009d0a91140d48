/* test_rest.c: what a runtime gives back to the system when its tasks have ended, and that it rests then. */
#include "api_helpers.h"

#if defined(_WIN32)
#include <psapi.h>
#endif

enum { DIGGERS = 300, DEEP_KB = 150 };

/* A sanitizer keeps memory of its own for each stack. */
#if defined(PINTLE_SANITIZE)
static const bool is_sanitized = true;
#else
static const bool is_sanitized = false;
#endif

static const double DEEP_MB = DIGGERS * DEEP_KB / 1024.0;

static double resident_mb(void) {
    unsigned long long bytes = 0;
#if defined(_WIN32)
    PROCESS_MEMORY_COUNTERS counters = {.cb = sizeof counters};
    if (K32GetProcessMemoryInfo(GetCurrentProcess(), &counters, sizeof counters)) bytes = counters.WorkingSetSize;
#else
    unsigned long long all, pages;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file != NULL && fscanf(file, "%llu %llu", &all, &pages) == 2)
        bytes = pages * (unsigned long long)sysconf(_SC_PAGESIZE);
    if (file != NULL) fclose(file);
#endif
    return (double)bytes / (1 << 20);
}

typedef struct dig {
    atomic_uint good, arrived;
    pintle_event open;
    double deep_mb;
} dig;

HELPER_NOINLINE unsigned dig_down(unsigned kilobytes) {
    volatile char frame[1000];
    frame[0] = (char)kilobytes;
    frame[sizeof frame - 1] = 1;
    unsigned below = kilobytes == 0 ? 0 : dig_down(kilobytes - 1);
    return below + (frame[0] == (char)kilobytes ? (unsigned)frame[sizeof frame - 1] : 0);
}

static void digger(void *arg) {
    dig *d = arg;
    if (dig_down(DEEP_KB - 1) == DEEP_KB) atomic_fetch_add(&d->good, 1);
    atomic_fetch_add(&d->arrived, 1);
    pintle_event_wait(&d->open, PINTLE_FOREVER); /* all have a stack of their own */
}

static void dig_all(void *arg) {
    dig *d = arg;
    static pintle_task *tasks[DIGGERS];
    if (helper_spawn_all(tasks, DIGGERS, digger, d) != 0) return;
    while (atomic_load(&d->arrived) < DIGGERS) pintle_yield();
    d->deep_mb = resident_mb();
    pintle_event_set(&d->open);
    helper_join_all(tasks, DIGGERS);
}

/* False: it did not within 30 s. */
static bool falls_below(double limit_mb) {
    int64_t give_up = pintle_after(PINTLE_S(30));
    while (resident_mb() >= limit_mb && pintle_now() < give_up) pintle_sleep(PINTLE_MS(100));
    return resident_mb() < limit_mb;
}

/* How often the threads of this process, but for the calling one, went to sleep of their own accord so far. Windows does not
 * tell. */
static unsigned long sleeps_of_others(void) {
    unsigned long sum = 0;
#if !defined(_WIN32)
    DIR *threads = opendir("/proc/self/task");
    if (threads == NULL) return 0;
    for (struct dirent *entry = readdir(threads); entry != NULL; entry = readdir(threads)) {
        char path[300], line[200];
        unsigned long count;
        if (entry->d_name[0] == '.' || strtoull(entry->d_name, NULL, 10) == helper_thread_id()) continue;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
        FILE *file = fopen(path, "r");
        while (file != NULL && fgets(line, sizeof line, file) != NULL)
            if (sscanf(line, "voluntary_ctxt_switches: %lu", &count) == 1) sum += count;
        if (file != NULL) fclose(file);
    }
    closedir(threads);
#endif
    return sum;
}

static void assert_rest(void) {
    unsigned threads;
    unsigned long before, after;
    pintle_sleep(PINTLE_S(3)); /* the last look, which finds nothing, was 2 s after the one that trimmed */
    do {
        threads = helper_thread_count();
        before = sleeps_of_others();
        pintle_sleep(PINTLE_S(5));
        after = sleeps_of_others();
    } while (helper_thread_count() != threads); /* an idle one ended meanwhile, which wakes others */
    ck_assert_uint_le(after - before, 1);
}

CASE_TIMEOUT(rest_gives_back_what_a_burst_of_deep_stacks_took_and_then_sleeps, 60) {
    dig d = {.open = PINTLE_EVENT_INIT};
    pintle_options options = helper_processors(2);
    double start_mb = resident_mb();
    ck_assert_int_eq(pintle_start(&options), 0);
    ck_assert_int_eq(pintle_enter(dig_all, &d), 0);
    ck_assert_uint_eq(d.good, DIGGERS);
    if (!is_sanitized) {
        ck_assert_double_gt(d.deep_mb, start_mb + DEEP_MB * 0.9);
        /* Of 300 stacks processors may keep 64 each. */
        ck_assert_msg(falls_below(d.deep_mb - DEEP_MB * 0.5), "%.0f MB at the start, %.0f deep, %.0f at rest", start_mb,
                      d.deep_mb, resident_mb());
        assert_rest();
    }
    /* They are as good as before. */
    atomic_store(&d.arrived, 0);
    pintle_event_reset(&d.open);
    ck_assert_int_eq(pintle_enter(dig_all, &d), 0);
    ck_assert_uint_eq(d.good, 2 * DIGGERS);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
}
