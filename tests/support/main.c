/* main.c: the test programs' main: runs the cases that registered themselves.
 *
 *     test_KIND_MODULE                         all cases; where there is fork, each in a process of its own
 *     test_KIND_MODULE CASE                    one case, in this process
 *     test_KIND_MODULE --child NAME LIMIT_S    the body of a death test, for child_run
 *
 * PINTLE_TEST_PATIENCE=N in the environment multiplies the cases' limits: where a hang is to be told from a machine that is busy.
 * The status is 1 if a case failed or none was run, so that a misspelt name cannot pass. */
#include <inttypes.h>
#include <stdatomic.h>
#include <time.h>

#include "pintle_test.h"
#include "platform.h"

static test_case *cases;
static test_child *children;
static unsigned running_limit_s = 30;

/* Constructors run in another order on each platform; the order of the lines is the same on all. */
void test_register_case(test_case *new_case) {
    test_case **place = &cases;
    while (*place != NULL && (*place)->test.line < new_case->test.line) place = &(*place)->next;
    new_case->next = *place;
    *place = new_case;
}

void test_register_child(test_child *new_child) {
    new_child->next = children;
    children = new_child;
}

static unsigned limit_of(const test_case *c) {
    const char *patience = getenv("PINTLE_TEST_PATIENCE");
    int times = patience != NULL ? atoi(patience) : 1;
    return c->limit_s * TEST_SLOWNESS * (times > 0 ? (unsigned)times : 1);
}

/* What Check calls for every case; the loop index is the case's place in the list. */
static void run_case(int place) {
    const test_case *c = cases;
    while (place-- > 0) c = c->next;
    running_limit_s = limit_of(c);
    watchdog_arm(c->test.name, running_limit_s);
    c->body();
    watchdog_disarm();
}

/* One Check test case a CASE, so that each has its own limit. */
static int run_cases(const char *only) {
    Suite *suite = suite_create("pintle");
    int place = 0;
    for (test_case *c = cases; c != NULL; c = c->next, place++) {
        if (only != NULL && strcmp(c->test.name, only) != 0) continue;
        c->test.fn = run_case;
        TCase *check_case = tcase_create(c->test.name);
        tcase_set_timeout(check_case, limit_of(c) + 5); /* behind the watchdog, which says more */
        tcase_add_loop_test(check_case, &c->test, place, place + 1);
        suite_add_tcase(suite, check_case);
    }
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, only == NULL && platform_has_fork() ? CK_FORK : CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    watchdog_disarm(); /* a failed assertion jumps over run_case's end */
    int run = srunner_ntests_run(runner), failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    if (run == 0) fprintf(stderr, "no such case: %s\n", only != NULL ? only : "the program has none");
    return run == 0 || failed != 0;
}

static int run_child(const char *name, unsigned limit_s) {
    platform_die_quietly();
    for (test_child *c = children; c != NULL; c = c->next) {
        if (strcmp(c->name, name) != 0) continue;
        watchdog_arm(name, limit_s);
        c->body();
        return 0;
    }
    fprintf(stderr, "no such child: %s\n", name);
    return STATUS_TEST_DIED;
}

int main(int argc, char **argv) {
    /* Output must not be lost when the process dies, nor come out of order. */
    setvbuf(stdout, NULL, _IONBF, 0);
    setvbuf(stderr, NULL, _IONBF, 0);
    if (argc == 4 && strcmp(argv[1], "--child") == 0) return run_child(argv[2], (unsigned)atoi(argv[3]));
    if (argc > 2) {
        fprintf(stderr, "usage: %s [CASE]\n", argv[0]);
        return 2;
    }
    platform_catch_crashes();
    return run_cases(argc == 2 ? argv[1] : NULL);
}

/* ---- For the cases ---- */

static int run_child_process(const char *name, bool own_console, char *out_text, size_t text_bytes) {
    char limit_s[16];
    snprintf(limit_s, sizeof limit_s, "%u", running_limit_s); /* a child does not outlive the case that waits for it */
    return platform_run_self((const char *const[3]){"--child", name, limit_s}, own_console, out_text, text_bytes);
}

int child_run(const char *name, char *out_text, size_t text_bytes) {
    return run_child_process(name, false, out_text, text_bytes);
}
int child_run_with_console(const char *name, char *out_text, size_t text_bytes) {
    return run_child_process(name, true, out_text, text_bytes);
}

void child_without_watchdog(void) { watchdog_disarm(); }

const char *test_dll_path(const char *name) {
    static char paths[8][1024];
    static atomic_uint next; /* tasks call this */
    char *path = paths[atomic_fetch_add(&next, 1) % 8];
    int length = snprintf(path, sizeof paths[0], "%s/%s%s", PINTLE_TEST_DLL_DIR, name, PINTLE_TEST_DLL_SUFFIX);
    if (length >= (int)sizeof paths[0]) abort(); /* no assertion: death tests' children call this too */
    platform_native_path(path);
    return path;
}

uint64_t test_seed(void) {
    static uint64_t seed;
    if (seed == 0) {
        const char *chosen = getenv("PINTLE_TEST_SEED");
        seed = chosen != NULL ? strtoull(chosen, NULL, 0) : (uint64_t)time(NULL) * 1000003u + (uint64_t)clock();
        printf("seed: PINTLE_TEST_SEED=%" PRIu64 "\n", seed);
    }
    return seed;
}
