/* test_kick.c: interrupts that race with the end of the calls that they are meant for: none may hit a later call. */
#include "api/api_helpers.h"

#if defined(_WIN32)
enum { ENOUGH = 10000 / TEST_SLOWNESS }; /* kicks: each goes by Wine's server */
#else
enum { ENOUGH = 100000 / TEST_SLOWNESS };
#endif
enum { MEMBERS = 4, ROUNDS_MOST = ENOUGH * 20, LEAST = ENOUGH / 200 };

/* Calls of some µs, alternately one that may be interrupted and one that must not be: a wait in the system that an interrupt
 * would end early. The task is cancelled all the time. */
typedef struct race {
    unsigned rounds;
    int64_t end; /* where others use the CPUs too: fewer kicks */
    atomic_uint hit, meant, kept;
    uint64_t seed, kicks;
#if defined(_WIN32)
    HANDLE reader, writer;
#else
    int ends[2];
#endif
} race;

#if defined(_WIN32)
static bool pipe_make(race *r) { return CreatePipe(&r->reader, &r->writer, NULL, 0); }
static void pipe_end(race *r) {
    CloseHandle(r->reader);
    CloseHandle(r->writer);
}
static bool put(race *r) {
    DWORD n;
    return WriteFile(r->writer, "x", 1, &n, NULL);
}
static bool get(race *r) {
    char byte;
    DWORD n;
    return ReadFile(r->reader, &byte, 1, &n, NULL);
}
#else
static bool pipe_make(race *r) { return pipe(r->ends) == 0; }
static void pipe_end(race *r) {
    close(r->ends[0]);
    close(r->ends[1]);
}
static bool put(race *r) { return write(r->ends[1], "x", 1) == 1; }
static bool get(race *r) {
    char byte;
    return read(r->ends[0], &byte, 1) == 1;
}
#endif

typedef struct member {
    race *race;
    helper_random random;
    race pipe;
} member;

static int meant(void *arg) {
    member *m = arg;
    helper_compute(helper_random_below(&m->random, 120000)); /* ends about when the monitor kicks */
    return 0;
}
/* Not meant: whoever interrupts it is caught. It waits for as long as its other task takes to write. */
static int not_meant(void *arg) {
    member *m = arg;
    if (!get(&m->pipe)) atomic_fetch_add(&m->race->hit, 1);
    return 0;
}
static int writes(void *arg) {
    put(&((member *)arg)->pipe);
    return 0;
}
static void writer_task(void *arg) { pintle_call(writes, arg); }
static void member_task(void *arg) {
    member *m = arg;
    pintle_task_options none = {.size = sizeof none, .scope = PINTLE_SCOPE_NONE};
    pintle_task_cancel(pintle_self());
    for (unsigned i = 0; i < m->race->rounds; i++) {
        pintle_stats stats;
        if (i % 64 == 0 && (pintle_stats_get(&stats), stats.kicks >= ENOUGH || pintle_now() >= m->race->end)) break;
        pintle_call_interruptible(meant, m);
        atomic_fetch_add(&m->race->meant, 1);
        if (pintle_spawn_with(NULL, writer_task, m, &none) != 0) return;
        pintle_call_blocking(not_meant, m);
        atomic_fetch_add(&m->race->kept, 1);
    }
}

static int race_main(void *arg) {
    race *r = arg;
    member members[MEMBERS];
    pintle_task *tasks[MEMBERS];
    pintle_stats stats;
    for (unsigned i = 0; i < MEMBERS; i++) {
        members[i] = (member){.race = r, .random = helper_random_from(r->seed + i)};
        if (!pipe_make(&members[i].pipe) || pintle_spawn(&tasks[i], member_task, &members[i]) != 0) return 1;
    }
    if (helper_join_all(tasks, MEMBERS) != 0) return 1;
    for (unsigned i = 0; i < MEMBERS; i++) pipe_end(&members[i].pipe);
    pintle_stats_get(&stats);
    r->kicks = stats.kicks;
    return 0;
}

CASE_TIMEOUT(kicks_that_race_with_the_end_of_calls_hit_no_later_one, 120) {
    race r = {.rounds = ROUNDS_MOST, .end = pintle_after(PINTLE_S(80) * TEST_SLOWNESS), .seed = test_seed()};
    ck_assert_int_eq(helper_run(race_main, &r, 2), 0);
    printf("%u calls, %llu kicks\n", (unsigned)r.meant, (unsigned long long)r.kicks);
    ck_assert_uint_eq(r.hit, 0);
    ck_assert_uint_eq(r.meant, r.kept);
    ck_assert_uint_ge(r.kicks, LEAST);
}
