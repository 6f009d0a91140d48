/* test_many.c: very many tasks at once: parked, woken and joined; what each costs; how little of the system they take. */
#include "api_helpers.h"
#include "support/deep.h"

#if defined(_WIN32)
#include <psapi.h>
#endif

/* Linux: a million. Under Wine each stack with a guard of its own takes two of the 65,530 mappings that the kernel allows
 * a process, so 100,000 show that there is another way. A sanitizer takes many times the memory, and for
 * each task under ThreadSanitizer mappings of its own. */
#if defined(PINTLE_SANITIZE_THREAD)
enum { MANY = 3000, DIGGERS = 3000, MOST_BYTES = INT32_MAX };
#elif defined(PINTLE_SANITIZE)
enum { MANY = 20000, DIGGERS = 20000, MOST_BYTES = INT32_MAX };
#elif defined(_WIN32)
enum { MANY = 100000, DIGGERS = 20000, MOST_BYTES = 8900 };
#else
enum { MANY = 1000000, DIGGERS = 20000, MOST_BYTES = 4450 };
#endif

static uint64_t resident_bytes(void) {
#if defined(_WIN32)
    PROCESS_MEMORY_COUNTERS counters = {.cb = sizeof counters};
    return K32GetProcessMemoryInfo(GetCurrentProcess(), &counters, sizeof counters) ? counters.WorkingSetSize : 0;
#else
    unsigned long long all, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL) return 0;
    if (fscanf(file, "%llu %llu", &all, &resident) != 2) resident = 0;
    fclose(file);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
#endif
}

typedef struct crowd {
    unsigned count, failed_spawns, failed_joins;
    uint64_t bytes, live;
    pintle_event open;
    atomic_uint arrived, woken, failed_waits;
    pintle_task **tasks;
    char error[sizeof((pintle_error *)NULL)->text];
} crowd;

static void stand_in_crowd(void *arg) {
    crowd *c = arg;
    atomic_fetch_add(&c->arrived, 1);
    if (pintle_event_wait(&c->open, PINTLE_FOREVER) != 0) atomic_fetch_add(&c->failed_waits, 1);
    atomic_fetch_add(&c->woken, 1);
}

static int crowd_main(void *arg) {
    crowd *c = arg;
    pintle_stats stats;
    uint64_t before = resident_bytes();
    c->failed_spawns = helper_spawn_all(c->tasks, c->count, stand_in_crowd, c);
    if (c->failed_spawns != 0) {
        pintle_error error;
        pintle_error_get(&error);
        snprintf(c->error, sizeof c->error, "%s", error.text);
    }
    while (atomic_load(&c->arrived) < c->count - c->failed_spawns) pintle_yield();
    c->bytes = resident_bytes() - before;
    pintle_stats_get(&stats);
    c->live = stats.tasks;
    pintle_event_set(&c->open);
    c->failed_joins = helper_join_all(c->tasks, c->count);
    return 0;
}

static void crowd_stand(crowd *c, unsigned count, unsigned processors) {
    memset(c, 0, sizeof *c);
    c->count = count;
    c->tasks = malloc(count * sizeof *c->tasks);
    ck_assert_ptr_nonnull(c->tasks);
    memset(c->tasks, 1, count * sizeof *c->tasks); /* its own memory is not counted */
    ck_assert_int_eq(helper_run(crowd_main, c, processors), 0);
    free(c->tasks);
    ck_assert_msg(c->failed_spawns == 0, "%u of %u: %s", c->failed_spawns, count, c->error);
    ck_assert_uint_eq(c->failed_waits, 0);
    ck_assert_uint_eq(c->failed_joins, 0);
    ck_assert_uint_eq(c->woken, count);
    ck_assert_uint_ge(c->live, count);
}

CASE_TIMEOUT(tasks_by_the_million_park_wake_and_end_within_their_bytes, 120) {
    crowd c;
    crowd_stand(&c, MANY, 2);
    printf("%u parked tasks: %.0f bytes each\n", MANY, (double)c.bytes / MANY);
    ck_assert_uint_le(c.bytes / MANY, MOST_BYTES);
}

/* Beyond some number stacks share guards where the system bounds mappings: they must be as usable as the others. */
typedef struct dig {
    atomic_uint good;
    pintle_event open;
    atomic_uint arrived;
} dig;

static void digger(void *arg) {
    dig *d = arg;
    uintptr_t id = (uintptr_t)pintle_task_id(pintle_self());
    volatile uintptr_t above = id;
    atomic_fetch_add(&d->arrived, 1);
    pintle_event_wait(&d->open, PINTLE_FOREVER);
    /* Every 50th uses most of its stack; all look whether a neighbour has written into theirs. */
    if (id % 50 != 0 || deep_recurse(180) == 180) {
        pintle_yield();
        if (above == id && pintle_task_id(pintle_self()) == id) atomic_fetch_add(&d->good, 1);
    }
}

static int dig_main(void *arg) {
    dig *d = arg;
    pintle_task **tasks = malloc(DIGGERS * sizeof *tasks);
    if (tasks == NULL || helper_spawn_all(tasks, DIGGERS, digger, d) != 0) return 1;
    while (atomic_load(&d->arrived) < DIGGERS) pintle_yield();
    pintle_event_set(&d->open);
    if (helper_join_all(tasks, DIGGERS) != 0) return 2;
    free(tasks);
    return 0;
}

CASE_TIMEOUT(stacks_of_many_tasks_are_deep_and_apart, 60) {
    dig d = {.open = PINTLE_EVENT_INIT};
    ck_assert_int_eq(helper_run(dig_main, &d, 2), 0);
    ck_assert_uint_eq(d.good, DIGGERS);
}
