/* test_failure.c: a workload in which the first operation is refused, then the second, … until nothing was refused: every
 * time each function gives a clear error or succeeds, nothing hangs, and all is given back (fail.h; debug builds only). */
#include "api/api_helpers.h"

#include "fail.h"
#include "memory.h"

enum { TASKS = 50 };

typedef struct trouble {
    const char *_Atomic what;
    _Atomic int line;
} trouble;

typedef struct load {
    pintle_event go;
    atomic_uint next, begun, ended;
    trouble trouble;
} load;

static void note(trouble *t, const char *what, int line) {
    const char *none = NULL;
    if (atomic_compare_exchange_strong(&t->what, &none, what)) atomic_store(&t->line, line);
}
#define EXPECT(l, condition) ((condition) ? (void)0 : note(&(l)->trouble, #condition, __LINE__))

/* 0, or one of the codes that tell of a refusal, with a text. */
static bool is_fine(int result) {
    pintle_error error;
    if (result == 0) return true;
    pintle_error_get(&error);
    return error.code == result && error.text[0] != '\0' &&
           (result == PINTLE_ENOMEM || result == PINTLE_ELIMIT || result == PINTLE_EOS || result == PINTLE_ENOTFOUND);
}

static int add_one(void *arg) { return *(int *)arg + 1; }

static void use_library(load *l) {
    pintle_dll *dll = NULL;
    pintle_proc *proc = NULL;
    pintle_result result;
    int code = pintle_dll_open(&dll, test_dll_path("os_sample"), 0);
    EXPECT(l, is_fine(code));
    if (code != 0) return;
    code = pintle_dll_find(dll, "os_sample_answer", &proc);
    EXPECT(l, is_fine(code));
    if (code == 0) {
        result = pintle_proc_call(proc, 0, NULL);
        EXPECT(l, (int)result.r1 == 42);
    }
    for (;;) {
        code = pintle_dll_close(dll, PINTLE_FOREVER);
        EXPECT(l, is_fine(code));
        if (code == 0) return;
        EXPECT(l, pintle_dll_reopen(dll) == 0);
    }
}

static void load_task(void *arg) {
    load *l = arg;
    unsigned number = atomic_fetch_add(&l->next, 1);
    int value = (int)number;
    atomic_fetch_add(&l->begun, 1);
    EXPECT(l, pintle_call(add_one, &value) == value + 1);
    switch (number % 5) {
    case 0: EXPECT(l, is_fine(pintle_sleep(PINTLE_US(200)))); break;
    case 1: EXPECT(l, is_fine(pintle_event_wait(&l->go, PINTLE_FOREVER))); break;
    case 2: {
        int code = pintle_event_wait(&l->go, pintle_after(PINTLE_S(10)));
        EXPECT(l, is_fine(code));
        break;
    }
    case 3: EXPECT(l, pintle_call_blocking(add_one, &value) == value + 1); break;
    default:
        pintle_pin();
        pintle_yield();
        pintle_unpin();
    }
    if (number % 10 == 4) use_library(l);
    atomic_fetch_add(&l->ended, 1);
}

/* What was spawned is joined, whatever is refused meanwhile. */
static void join(load *l, pintle_task *task) {
    int code;
    while ((code = pintle_join(task, PINTLE_FOREVER)) != 0) EXPECT(l, is_fine(code));
}

static unsigned spawn_all(load *l, pintle_task *tasks[TASKS]) {
    unsigned spawned = 0;
    for (unsigned i = 0; i < TASKS; i++) {
        pintle_task_options options = {.size = sizeof options, .pinned = i % 7 == 0};
        int code = pintle_spawn_with(&tasks[spawned], load_task, l, &options);
        EXPECT(l, is_fine(code));
        if (code == 0) spawned++;
    }
    return spawned;
}

static void work(load *l) {
    pintle_task *tasks[TASKS];
    unsigned spawned = spawn_all(l, tasks);
    pintle_sleep(PINTLE_US(100));
    pintle_event_set(&l->go);
    for (unsigned i = 0; i < spawned; i++) join(l, tasks[i]);
    EXPECT(l, atomic_load(&l->ended) == spawned);
}

static void library_mode(load *l) {
    pintle_options options = helper_processors(2);
    int code = pintle_start(&options);
    EXPECT(l, is_fine(code));
    if (code != 0) return;
    work(l);
    EXPECT(l, pintle_stop(PINTLE_FOREVER) == 0);
}

static int run_main(void *arg) {
    work(arg);
    return 7;
}
static void run_mode(load *l) {
    pintle_options options = helper_processors(2);
    int code = pintle_run(run_main, l, &options);
    EXPECT(l, code == 7 || is_fine(code));
    EXPECT(l, code == 0 || code == 7 || atomic_load(&l->begun) == 0);
}

static void once(void (*mode)(load *l), unsigned kinds, uint64_t first, uint64_t count) {
    load l = {.go = PINTLE_EVENT_INIT};
    fail_plan(kinds, first, count);
    mode(&l);
    const char *what = atomic_load(&l.trouble.what);
    ck_assert_msg(what == NULL, "operation %llu (kinds %x) refused: line %d: not so: %s", (unsigned long long)first,
                  kinds, atomic_load(&l.trouble.line), what);
}

/* Every n until nothing was refused, several times in a row: how many there are differs from run to run. */
static void each(void (*mode)(load *l), unsigned kinds, uint64_t most) {
    unsigned threads, passed = 0;
    uint64_t blocks, first;
    once(mode, 0, 0, 0);
    threads = helper_thread_count();
    blocks = memory_blocks();
    for (first = 1; passed < 3 && first <= most; first++) {
        once(mode, kinds, first, 1);
        passed = fail_refused() == 0 ? passed + 1 : 0;
        fail_plan(0, 0, 0);
        ck_assert_msg(memory_blocks() == blocks, "operation %llu (kinds %x) refused: %llu blocks, before %llu",
                      (unsigned long long)first, kinds, (unsigned long long)memory_blocks(),
                      (unsigned long long)blocks);
    }
    printf("%llu operations of kinds %x\n", (unsigned long long)first - 1, kinds);
    ck_assert(helper_threads_at_most(threads));
}

#if defined(PINTLE_DEBUG_CHECKS)
static const bool available = true;
#else
static const bool available = false;
#endif

CASE_TIMEOUT(each_resource_refused_once_in_library_mode, 120) {
    if (available) each(library_mode, FAIL_RESOURCES, 5000);
}
CASE_TIMEOUT(each_resource_refused_once_in_run_mode, 120) {
    if (available) each(run_mode, FAIL_RESOURCES, 5000);
}
/* There are as many waits as the scheduler's chances make. */
CASE_TIMEOUT(each_wait_refused_once, 120) {
    if (available) each(library_mode, FAIL_WAIT, 200);
}

/* From some point on for ever: nothing more is to be had, and yet all ends in order. */
static void refused_from(unsigned kinds, uint64_t step) {
    unsigned threads = helper_thread_count();
    uint64_t blocks, refused = 1;
    once(library_mode, 0, 0, 0);
    blocks = memory_blocks();
    for (uint64_t first = 1; refused != 0 && first < 400; first += step) {
        load l = {.go = PINTLE_EVENT_INIT};
        pintle_options options = helper_processors(2);
        pintle_task *tasks[TASKS];
        fail_plan(kinds, first, UINT64_MAX);
        int code = pintle_start(&options);
        ck_assert(is_fine(code));
        if (code == 0) {
            unsigned spawned = spawn_all(&l, tasks);
            helper_compute(PINTLE_MS(2));
            refused = fail_refused();
            fail_plan(0, 0, 0); /* joining needs a little memory */
            pintle_event_set(&l.go);
            for (unsigned i = 0; i < spawned; i++) join(&l, tasks[i]);
            ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
        }
        fail_plan(0, 0, 0);
        const char *what = atomic_load(&l.trouble.what);
        ck_assert_msg(what == NULL, "from %llu on refused: line %d: not so: %s", (unsigned long long)first,
                      atomic_load(&l.trouble.line), what);
        ck_assert_uint_eq(memory_blocks(), blocks);
    }
    ck_assert(helper_threads_at_most(threads));
}

CASE_TIMEOUT(all_memory_refused_from_a_point_on, 120) {
    if (available) refused_from(FAIL_MEMORY | FAIL_RESERVE, 1);
}
CASE_TIMEOUT(all_threads_refused_from_a_point_on, 120) {
    if (available) refused_from(FAIL_THREAD, 1);
}
CASE_TIMEOUT(all_resources_refused_from_a_point_on, 120) {
    if (available) refused_from(FAIL_RESOURCES, 3);
}

CASE(debug_environment_refuses_and_a_wrong_one_is_named) {
    if (!available) return;
    pintle_error error;
    helper_set_environment("PINTLE_DEBUG", "fail=thread:1");
    ck_assert_int_eq(pintle_start(NULL), PINTLE_ELIMIT);
    helper_set_environment("PINTLE_DEBUG", "other=1,fail=memory:1");
    int code = pintle_start(NULL);
    ck_assert_msg(code == PINTLE_ENOMEM || code == PINTLE_ELIMIT, "%d",
                  code); /* on Windows the thread-local slot is first */
    helper_set_environment("PINTLE_DEBUG", "fail=thing:1");
    ck_assert_int_eq(pintle_start(NULL), PINTLE_EINVAL);
    pintle_error_get(&error);
    ck_assert_msg(strstr(error.text, "fail=thing:1") != NULL, "%s", error.text);
    helper_set_environment("PINTLE_DEBUG", NULL);
    fail_plan(0, 0, 0);
    ck_assert_int_eq(pintle_start(NULL), 0);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
}
