/* test_failure.c: a workload in which the first operation is refused, then the second, … until nothing was refused: every
 * time each function gives a clear error or succeeds, nothing hangs, and all is given back (fail.h; debug builds only). */
#include "api/api_helpers.h"

#include "fail.h"
#include "memory.h"
#include "stack.h"
#include "support/deep.h"

enum { TASKS = 50, LOCALS = 9 /* one more than a task's array has at first */ };
#define LONG_AFTER PINTLE_S(1000) /* never comes, however busy the machine is */
static pintle_local *locals[LOCALS];

typedef struct trouble {
    const char *_Atomic what;
    _Atomic int line;
} trouble;

/* A pintle_call_until, and to whom its argument belonged after it. */
typedef struct until {
    int code;
    atomic_uint ran, dropped;
} until;

typedef struct fired {
    pintle_event over;
    atomic_uint runs;
} fired;

typedef struct load {
    pintle_event go;
    fired fired[TASKS];
    atomic_uint next, begun, ended;
    atomic_uint locals_set, locals_destroyed;
    until untils[TASKS];
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

static void use_library(load *l, unsigned flags) {
    pintle_dll *dll = NULL;
    pintle_proc *proc = NULL;
    pintle_result result;
    int code = pintle_dll_open(&dll, test_dll_path("os_sample"), flags);
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

static void use_no_library(load *l) {
    pintle_dll *dll = NULL;
    int code = pintle_dll_open(&dll, test_dll_path("nowhere_at_all"), 0);
    EXPECT(l, code != 0 && is_fine(code) && dll == NULL);
}

#if defined(_WIN32)
#define SYSTEM_PROC PINTLE_PROC("kernel32.dll", "GetCurrentProcessId")
#else
#define SYSTEM_PROC PINTLE_PROC("libc.so.6", "getpid")
#endif

static void use_static_proc(load *l) {
    pintle_proc proc = SYSTEM_PROC;
    int code = pintle_proc_bind(&proc);
    EXPECT(l, is_fine(code));
    EXPECT(l, (pintle_proc_code(&proc) != NULL) == (code == 0));
}

#if defined(_WIN32)
static void use_loader(load *l) {
    void *module = NULL, *proc = NULL;
    int code = pintle_load_library(test_dll_path("os_sample"), &module);
    EXPECT(l, is_fine(code));
    if (code != 0) return;
    EXPECT(l, is_fine(pintle_get_proc_address(module, "os_sample_answer", &proc)));
    FreeLibrary(module);
}
#else
static void use_loader(load *l) { (void)l; }
#endif

static void local_destroy(void *value) { atomic_fetch_add(&((load *)value)->locals_destroyed, 1); }

static void use_locals(load *l) {
    static const int which[] = {0, LOCALS - 1};
    for (size_t i = 0; i < ELEMENTS(which); i++) {
        pintle_local *local = locals[which[i]];
        int code = pintle_local_set(local, l);
        EXPECT(l, is_fine(code));
        EXPECT(l, pintle_local_get(local) == (code == 0 ? l : NULL));
        if (code == 0) atomic_fetch_add(&l->locals_set, 1);
    }
}

static int until_run(void *arg) { return (int)atomic_fetch_add(&((until *)arg)->ran, 1) + 8; }
static void until_drop(void *arg) { atomic_fetch_add(&((until *)arg)->dropped, 1); }

static void use_until(until *u, load *l, int64_t deadline_ns) {
    int value = 0;
    u->code = pintle_call_until(until_run, u, until_drop, deadline_ns, &value);
    EXPECT(l, u->code == PINTLE_ETIMEDOUT || u->code == PINTLE_EAGAIN || is_fine(u->code));
    EXPECT(l, value == (u->code == 0 ? 8 : 0));
}

static void timer_fires(void *arg) {
    fired *f = arg;
    atomic_fetch_add(&f->runs, 1);
    pintle_event_set(&f->over);
}
/* Once, or prevented; where its task cannot be had it is tried again, until it is stopped. */
static void use_timer(load *l, fired *f) {
    pintle_timer *timer = NULL;
    pintle_event_init(&f->over);
    int code = pintle_timer_new(&timer, timer_fires, f);
    EXPECT(l, is_fine(code) && (timer != NULL) == (code == 0));
    if (code != 0) return;
    code = pintle_timer_set(timer, pintle_after(PINTLE_US(50)), 0);
    EXPECT(l, is_fine(code));
    if (code == 0) {
        EXPECT(l, is_fine(pintle_sleep(PINTLE_US(100))));
        bool prevented = pintle_timer_stop(timer);
        if (!prevented) EXPECT(l, pintle_event_wait(&f->over, PINTLE_FOREVER) == 0);
        EXPECT(l, atomic_load(&f->runs) == (prevented ? 0 : 1));
    }
    pintle_timer_free(timer);
}

static int scope_child(void *arg) {
    atomic_fetch_add((atomic_uint *)arg, 1);
    pintle_yield();
    return 0;
}
/* Whatever is refused: the children that there are end before the scope does, and it has no failure. */
static void use_scope(load *l) {
    pintle_scope *scope = NULL;
    atomic_uint ran = 0;
    unsigned spawned = 0;
    int code = pintle_scope_open(&scope, pintle_after(LONG_AFTER));
    EXPECT(l, is_fine(code) && (scope != NULL) == (code == 0));
    if (code != 0) return;
    for (int i = 0; i < 3; i++) {
        code = pintle_scope_go(scope, scope_child, &ran, NULL);
        EXPECT(l, is_fine(code));
        spawned += code == 0;
    }
    EXPECT(l, is_fine(pintle_scope_wait(scope, pintle_after(LONG_AFTER))));
    EXPECT(l, pintle_scope_close(scope) == 0);
    EXPECT(l, atomic_load(&ran) == spawned);
}

/* When all have ended: the argument went to the call, or back, never both. */
static void expect_untils(load *l) {
    for (unsigned i = 0; i < TASKS; i++) {
        until *u = &l->untils[i];
        bool gone = u->code == PINTLE_ETIMEDOUT || u->code == PINTLE_EAGAIN;
        unsigned ran = atomic_load(&u->ran), dropped = atomic_load(&u->dropped);
        EXPECT(l, dropped == (gone ? 1 : 0));
        EXPECT(l, gone ? ran == 1 : u->code == 0 ? ran <= 1 : ran == 0);
    }
}

static void load_task(void *arg) {
    load *l = arg;
    unsigned number = atomic_fetch_add(&l->next, 1);
    int value = (int)number;
    atomic_fetch_add(&l->begun, 1);
    EXPECT(l, pintle_call(add_one, &value) == value + 1);
    switch (number % 6) {
    case 0: EXPECT(l, is_fine(pintle_sleep(PINTLE_US(200)))); break;
    case 1: EXPECT(l, is_fine(pintle_event_wait(&l->go, PINTLE_FOREVER))); break;
    case 2: {
        int code = pintle_event_wait(&l->go, pintle_after(LONG_AFTER));
        EXPECT(l, is_fine(code));
        break;
    }
    case 3: EXPECT(l, pintle_call_blocking(add_one, &value) == value + 1); break;
    case 4: use_until(&l->untils[number], l, number % 12 == 4 ? PINTLE_NOWAIT : pintle_after(LONG_AFTER)); break;
    default:
        pintle_pin();
        pintle_yield();
        pintle_unpin();
    }
    if (number % 10 == 4) use_library(l, 0);
    if (number % 10 == 5) use_locals(l);
    if (number % 10 == 1) use_timer(l, &l->fired[number]);
    if (number % 10 == 3) use_scope(l);
    if (number == 6) use_library(l, PINTLE_DLL_PRIVATE_COPY);
    if (number == 7) use_no_library(l);
    if (number == 8) use_loader(l);
    if (number == 9) use_static_proc(l);
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

static void dig(void *arg) { EXPECT((load *)arg, deep_recurse(60) == 60); }

/* On stacks that were trimmed, or not quite. */
static void work_again(load *l) {
    pintle_task *tasks[10];
    stack_trim_idle();
    stack_trim_idle();
    for (size_t i = 0; i < ELEMENTS(tasks); i++) {
        int code = pintle_spawn(&tasks[i], dig, l);
        EXPECT(l, is_fine(code));
        if (code != 0) tasks[i] = NULL;
    }
    for (size_t i = 0; i < ELEMENTS(tasks); i++)
        if (tasks[i] != NULL) join(l, tasks[i]);
}

static void library_mode(load *l) {
    pintle_options options = helper_processors(2);
    int code = pintle_start(&options);
    EXPECT(l, is_fine(code));
    if (code != 0) return;
    work(l);
    work_again(l);
    EXPECT(l, pintle_stop(PINTLE_FOREVER) == 0);
}

/* The first timer of its processor: there is no memory for it after the call was given to its task. */
static int until_main(void *arg) {
    load *l = arg;
    use_until(&l->untils[0], l, pintle_after(LONG_AFTER));
    return 7;
}
static void until_mode(load *l) {
    pintle_options options = helper_processors(1);
    int code = pintle_run(until_main, l, &options);
    EXPECT(l, code == 7 || is_fine(code));
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
    fail_plan(0, 0, 0);
    for (int i = 0; i < LOCALS; i++)
        if (locals[i] == NULL) ck_assert_int_eq(pintle_local_new(&locals[i], local_destroy), 0);
    fail_plan(kinds, first, count);
    mode(&l);
    expect_untils(&l);
    EXPECT(&l, atomic_load(&l.locals_destroyed) == atomic_load(&l.locals_set));
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

DEBUG_CASE_TIMEOUT(each_resource_refused_once_in_library_mode, 240) { each(library_mode, FAIL_RESOURCES, 5000); }
DEBUG_CASE_TIMEOUT(each_resource_refused_once_in_run_mode, 240) { each(run_mode, FAIL_RESOURCES, 5000); }
DEBUG_CASE_TIMEOUT(each_resource_of_a_call_with_a_deadline_refused_once, 120) {
    each(until_mode, FAIL_RESOURCES, 5000);
}
/* There are as many waits as the scheduler's chances make. */
DEBUG_CASE_TIMEOUT(each_wait_refused_once, 120) { each(library_mode, FAIL_WAIT, 200); }

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
            expect_untils(&l);
        }
        fail_plan(0, 0, 0);
        const char *what = atomic_load(&l.trouble.what);
        ck_assert_msg(what == NULL, "from %llu on refused: line %d: not so: %s", (unsigned long long)first,
                      atomic_load(&l.trouble.line), what);
        ck_assert_uint_eq(memory_blocks(), blocks);
    }
    ck_assert(helper_threads_at_most(threads));
}

DEBUG_CASE_TIMEOUT(all_memory_refused_from_a_point_on, 120) { refused_from(FAIL_MEMORY | FAIL_RESERVE, 1); }
DEBUG_CASE_TIMEOUT(all_threads_refused_from_a_point_on, 120) { refused_from(FAIL_THREAD, 1); }
DEBUG_CASE_TIMEOUT(all_resources_refused_from_a_point_on, 120) { refused_from(FAIL_RESOURCES, 3); }

DEBUG_CASE(debug_environment_refuses_and_a_wrong_one_is_named) {
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
