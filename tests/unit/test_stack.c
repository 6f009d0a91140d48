/* test_stack.c: what the pool of stacks gives back of those that nobody uses. Tasks make the stacks deep. */
#include "stack.h"

#include "os.h"
#include "support/deep.h"
#include "support/pintle_test.h"

#if defined(_WIN32)
#include <windows.h>

#include <psapi.h>
#else
#include <unistd.h>
#endif

enum { DIGGERS = 500, DEEP_KB = 150 };

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
    _Atomic uint32_t sum, failed, arrived;
    pintle_event open;
} dig;

static void digger(void *arg) {
    dig *d = arg;
    atomic_add_relaxed(&d->sum, deep_recurse(DEEP_KB));
    atomic_add_relaxed(&d->arrived, 1);
    pintle_event_wait(&d->open, PINTLE_FOREVER); /* all have a stack of their own */
}

static void dig_all(dig *d) {
    static pintle_task *tasks[DIGGERS];
    pintle_event_reset(&d->open);
    atomic_store_relaxed(&d->arrived, 0);
    for (int i = 0; i < DIGGERS; i++)
        if (pintle_spawn(&tasks[i], digger, d) != 0) atomic_add_relaxed(&d->failed, 1);
    while (atomic_load_relaxed(&d->arrived) < DIGGERS) pintle_yield();
    pintle_event_set(&d->open);
    for (int i = 0; i < DIGGERS; i++)
        if (pintle_join(tasks[i], PINTLE_FOREVER) != 0) atomic_add_relaxed(&d->failed, 1);
}

static void dig_assert(dig *d, uint32_t times) {
    ck_assert_uint_eq(d->failed, 0);
    ck_assert_uint_eq(d->sum, times * DIGGERS * DEEP_KB);
}

static void trim_idle(void) {
    while (stack_trim_idle()) {}
}

typedef struct trimming {
    dig dig;
    double start_mb, deep_mb, once_mb, twice_mb, again_mb;
} trimming;

static int trim_main(void *arg) {
    trimming *t = arg;
    t->start_mb = resident_mb();
    dig_all(&t->dig);
    t->deep_mb = resident_mb();
    trim_idle();
    t->once_mb = resident_mb();
    trim_idle();
    t->twice_mb = resident_mb();
    dig_all(&t->dig); /* the trimmed ones grow again */
    t->again_mb = resident_mb();
    return 0;
}

static const double DEEP_MB = DIGGERS * DEEP_KB / 1024.0;

CASE(trim_idle_gives_back_what_was_idle_between_two_calls) {
    trimming t = {.dig = {.open = PINTLE_EVENT_INIT}};
    pintle_options options = {
        .size = sizeof options, .processors = 1, .max_lent = PINTLE_LENT_NONE}; /* each keeps a few */
    ck_assert_int_eq(pintle_run(trim_main, &t, &options), 0);
    dig_assert(&t.dig, 2);
    ck_assert_double_gt(t.deep_mb, t.start_mb + DEEP_MB * 0.95);
    ck_assert_double_gt(t.once_mb, t.deep_mb - DEEP_MB * 0.05); /* they were in use a moment ago */
    ck_assert_double_lt(t.twice_mb, t.deep_mb - DEEP_MB * 0.8);
    ck_assert_double_gt(t.again_mb, t.start_mb + DEEP_MB * 0.95);
}

static int trim_used_main(void *arg) {
    trimming *t = arg;
    dig_all(&t->dig);
    trim_idle();
    for (int i = 0; i < 5; i++) {
        dig_all(&t->dig);
        t->deep_mb = resident_mb();
        trim_idle();
        t->once_mb = resident_mb();
        if (t->once_mb < t->deep_mb - DEEP_MB * 0.05) return 1 + i;
    }
    return 0;
}

CASE(trim_idle_leaves_what_is_used_between_calls) {
    trimming t = {.dig = {.open = PINTLE_EVENT_INIT}};
    pintle_options options = {.size = sizeof options, .processors = 1, .max_lent = PINTLE_LENT_NONE};
    ck_assert_int_eq(pintle_run(trim_used_main, &t, &options), 0);
    dig_assert(&t.dig, 6);
}

/* Tasks come and go while another thread trims all the time: nobody's stack is taken from under it. */
typedef struct race {
    dig dig;
    _Atomic bool over;
} race;

static void trim_always(void *arg) {
    race *r = arg;
    while (!atomic_load_acquire(&r->over)) {
        stack_trim_idle();
        os_yield_thread();
    }
}

static int race_main(void *arg) {
    race *r = arg;
    os_thread thread;
    if (os_thread_start(&thread, trim_always, r) != 0) return 1;
    for (int i = 0; i < 20; i++) dig_all(&r->dig);
    atomic_store_release(&r->over, true);
    os_thread_join(&thread);
    return 0;
}

CASE_TIMEOUT(trim_idle_beside_tasks_that_come_and_go_disturbs_none, 60) {
    race r = {.dig = {.open = PINTLE_EVENT_INIT}};
    pintle_options options = {.size = sizeof options, .processors = 2};
    ck_assert_int_eq(pintle_run(race_main, &r, &options), 0);
    dig_assert(&r.dig, 20);
}
