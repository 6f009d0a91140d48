/* test_limits.c: real limits of Linux: a kernel that makes no thread, address space that ends. Each in a process of its own,
 * which has the limit to its end. */
#define _GNU_SOURCE 1
#include "api/api_helpers.h"
#include "posix/seccomp.h"
#include "support/resources.h"

#include <sys/resource.h>
#include <unistd.h>

/* From now on every clone of the process fails with EAGAIN, as under a limit of threads, which does not bind root. */
static void refuse_threads(void) {
    static const unsigned calls[] = {SYS_clone, SYS_clone3};
    refuse_calls(calls, ELEMENTS(calls), EAGAIN);
}

#define EXPECT(condition) \
    do { \
        if (!(condition)) { \
            pintle_error error_; \
            pintle_error_get(&error_); \
            printf("line %d: not so: %s (last error: %s)\n", __LINE__, #condition, error_.text); \
            exit(1); \
        } \
    } while (0)

/* Without what a leak checker does when a program ends: it needs a thread. */
static void end_child(void) {
    fflush(NULL);
    _exit(0);
}

static void child_succeeds(const char *name) {
    char text[4096];
    int status = child_run(name, text, sizeof text);
    if (status == STATUS_NO_FILTER) {
        printf("no seccomp filters here\n");
        return;
    }
    ck_assert_msg(status == 0, "status %d: %s", status, text);
}

static int give_9(void *arg) {
    (void)arg;
    return 9;
}

CHILD(start_without_threads) {
    pintle_error error;
    refuse_threads();
    for (int i = 0; i < 3; i++) {
        EXPECT(pintle_start(NULL) == PINTLE_ELIMIT);
        pintle_error_get(&error);
        EXPECT(error.code == PINTLE_ELIMIT && error.os_code == EAGAIN);
        EXPECT(strstr(error.text, "Resource temporarily unavailable") != NULL);
        EXPECT(pintle_run(give_9, NULL, NULL) == PINTLE_ELIMIT);
        EXPECT(pintle_stop(PINTLE_FOREVER) == PINTLE_ESTOPPED);
    }
    end_child();
}
CASE(start_where_the_kernel_makes_no_thread_is_refused) { child_succeeds("start_without_threads"); }

typedef struct narrow {
    helper_gate gate;
    helper_sem inside;
    atomic_uint done;
} narrow;

static int narrow_block(void *arg) {
    narrow *n = arg;
    helper_sem_post(&n->inside);
    helper_gate_wait(&n->gate);
    return 0;
}
static void narrow_task(void *arg) {
    narrow *n = arg;
    pintle_call_blocking(narrow_block, n);
    atomic_fetch_add(&n->done, 1);
}

CHILD(threads_end_later) {
    narrow n = {.done = 0};
    pintle_options options = helper_processors(2);
    pintle_task *tasks[20];
    pintle_stats stats;
    helper_gate_init(&n.gate);
    helper_sem_init(&n.inside);
    EXPECT(pintle_start(&options) == 0);
    refuse_threads();
    EXPECT(helper_spawn_all(tasks, 20, narrow_task, &n) == 0);
    helper_sem_wait(&n.inside);
    do {
        pintle_sleep(PINTLE_MS(5));
        pintle_stats_get(&stats);
    } while (stats.threads_refused < 3);
    EXPECT(atomic_load(&n.done) == 0 && stats.tasks == 20);
    helper_gate_open(&n.gate); /* those that there are do it all */
    EXPECT(helper_join_all(tasks, 20) == 0);
    EXPECT(atomic_load(&n.done) == 20);
    EXPECT(pintle_stop(PINTLE_FOREVER) == 0);
    end_child();
}
CASE(threads_that_the_kernel_refuses_later_make_tasks_wait) { child_succeeds("threads_end_later"); }

static void wait_for_event(void *arg) { pintle_event_wait(arg, PINTLE_FOREVER); }

enum { MANY = 100000 };

CHILD(address_space_ends) {
    static pintle_task *tasks[MANY];
    pintle_event go = PINTLE_EVENT_INIT;
    pintle_options options = helper_processors(2);
    pintle_stats before, after;
    pintle_error error;
    struct rlimit limit;
    int code = 0;
    unsigned spawned = 0;
    unsigned long pages = 0;
    resources_quiet(); /* a heap for each thread takes 64 MB of address space */
    EXPECT(pintle_start(&options) == 0);
    EXPECT(pintle_enter(wait_for_event, (pintle_event_set(&go), &go)) == 0);
    pintle_event_reset(&go);
    FILE *file = fopen("/proc/self/statm", "r");
    EXPECT(file != NULL && fscanf(file, "%lu", &pages) == 1);
    fclose(file);
    limit.rlim_cur = limit.rlim_max = (pages << 12) + ((rlim_t)200 << 20);
    EXPECT(setrlimit(RLIMIT_AS, &limit) == 0);
    while (spawned < MANY && (code = pintle_spawn(&tasks[spawned], wait_for_event, &go)) == 0) spawned++;
    EXPECT(code == PINTLE_ENOMEM);
    pintle_error_get(&error);
    EXPECT(error.code == PINTLE_ENOMEM && strstr(error.text, "address space") != NULL);
    EXPECT(spawned > 100);
    pintle_stats_get(&before);
    for (int i = 0; i < 100; i++) {
        pintle_task *none = NULL;
        EXPECT(pintle_spawn(&none, wait_for_event, &go) == PINTLE_ENOMEM && none == NULL);
    }
    pintle_stats_get(&after);
    EXPECT(after.tasks == spawned && after.tasks_bytes == before.tasks_bytes);
    pintle_event_set(&go);
    EXPECT(helper_join_all(tasks, spawned) == 0);
    EXPECT(helper_spawn_all(tasks, spawned, wait_for_event, &go) == 0); /* what ended made room */
    EXPECT(helper_join_all(tasks, spawned) == 0);
    EXPECT(pintle_stop(PINTLE_FOREVER) == 0);
    EXPECT(pintle_start(&options) == 0); /* all of it came back */
    EXPECT(helper_spawn_all(tasks, spawned / 2, wait_for_event, &go) == 0);
    EXPECT(helper_join_all(tasks, spawned / 2) == 0);
    EXPECT(pintle_stop(PINTLE_FOREVER) == 0);
}

CASE(spawn_where_address_space_ends_leaves_nothing) { child_succeeds("address_space_ends"); }
