/* test_fault.c: faults in task code that become panics (PINTLE_FAULTS_PANIC), in tasks, callbacks and sections; in library
 * mode too. What ends the process is in tests/death/test_fault.c, what DLLs raise in test_fault_dll.c. */
#include "api/fault_helpers.h"

static pintle_panic_info protect(pintle_fn *fn, void *arg) {
    pintle_panic_info info;
    memset(&info, 0, sizeof info);
    EXPECT(pintle_protect(fn, arg, &info) == PINTLE_EPANIC);
    return info;
}

static int kinds_main(void *arg) {
    int zero = 0;
    pintle_panic_info info;
    (void)arg;
    info = protect(writes, NULL);
    EXPECT(tells_of(&info, CODE_ACCESS, "access violation writing 0x0", "writes"));
    EXPECT(info.task_id == pintle_task_id(pintle_self()) && strcmp(info.task_name, "main") == 0);
    info = protect(reads, (void *)(uintptr_t)0x18);
    EXPECT(tells_of(&info, CODE_ACCESS, "access violation reading 0x18", "reads"));
    info = protect(divides, &zero);
    EXPECT(tells_of(&info, CODE_DIVIDE, "integer division", "divides"));
    info = protect(is_illegal, NULL);
    EXPECT(tells_of(&info, CODE_ILLEGAL, "illegal instruction", "is_illegal"));
    info = protect(writes, (void *)(uintptr_t)0x8000000000000000u); /* no address that a processor can have */
    EXPECT(info.os_code == (uint32_t)CODE_ACCESS);
    EXPECT(pintle_protect(divides, &(int){7}, NULL) == 0);
    return 0;
}
CASE(faults_of_a_task_are_panics_that_protect_stops) { run_faulting(kinds_main, 1); }

/* Through a pointer that is no function's. */
FAULTY void jumps(void *where) { ((void (*)(void))where)(); }
static int jump_main(void *arg) {
    pintle_panic_info info = protect(jumps, arg);
    EXPECT(info.os_code == (uint32_t)CODE_ACCESS && info.address == arg);
    return 0;
}
CASE(call_of_a_null_function_is_a_panic) { run_faulting(jump_main, 1); }

/* ---- Deferred functions, joiners, other tasks ---- */

static void count_up(void *arg) { ++*(int *)arg; }
static void recovers(void *arg) {
    pintle_panic_info info;
    if (pintle_recover(&info) && info.os_code == (uint32_t)CODE_ACCESS) *(int *)arg += 100;
}
static void defers_and_faults(void *arg) {
    pintle_defer(count_up, arg);
    pintle_defer(count_up, arg);
    writes(NULL);
}
static void recovers_and_faults(void *arg) {
    pintle_defer(recovers, arg);
    writes(NULL);
}
static int deferred_main(void *arg) {
    int count = 0;
    (void)arg;
    EXPECT(pintle_protect(defers_and_faults, &count, NULL) == PINTLE_EPANIC && count == 2);
    EXPECT(pintle_protect(recovers_and_faults, &count, NULL) == 0 && count == 102);
    return 0;
}
CASE(fault_runs_what_is_deferred_and_can_be_recovered) { run_faulting(deferred_main, 1); }

static int joined_main(void *arg) {
    pintle_panic_info info;
    pintle_task *tasks[64];
    (void)arg;
    EXPECT(helper_spawn_all(tasks, 64, writes, NULL) == 0);
    for (unsigned i = 0; i < 64; i++) {
        uint64_t id = pintle_task_id(tasks[i]);
        EXPECT(pintle_join_info(tasks[i], PINTLE_FOREVER, &info) == PINTLE_EPANIC);
        EXPECT(tells_of(&info, CODE_ACCESS, "writing 0x0", "writes") && info.task_id == id);
    }
    return 0;
}
CASE(faults_of_many_tasks_go_to_their_joiners) { run_faulting(joined_main, 2); }

static _Atomic unsigned rounds_done;
static void rounds_task(void *arg) {
    size_t before = 0;
    (void)arg;
    for (unsigned i = 0; i < FAULT_ROUNDS / 4; i++) {
        if (i == 100) before = resources_memory_kb();
        if (pintle_protect(writes, NULL, NULL) == PINTLE_EPANIC) atomic_fetch_add(&rounds_done, 1);
        if (i % 64 == 0) pintle_yield();
    }
    EXPECT(resources_memory_kb() <= before + 2048 + RESOURCES_KEPT_KB);
}
static int rounds_main(void *arg) {
    pintle_task *tasks[4];
    EXPECT(helper_spawn_all(tasks, 4, rounds_task, arg) == 0);
    EXPECT(helper_join_all(tasks, 4) == 0);
    EXPECT(atomic_load(&rounds_done) == FAULT_ROUNDS / 4 * 4);
    return 0;
}
CASE_TIMEOUT(faults_again_and_again_on_two_processors_leave_nothing, 120) {
    resources_quiet();
    run_faulting(rounds_main, 2);
}

/* ---- Callbacks and sections ---- */

static int in_call(void *arg) { return pintle_callback(writes, arg); }
static void calls(void *arg) { pintle_call(in_call, arg); }
static int callback_main(void *arg) {
    (void)arg;
    for (unsigned i = 0; i < 100; i++) {
        pintle_panic_info info = protect(calls, NULL);
        EXPECT(tells_of(&info, CODE_ACCESS, "writing 0x0", "writes"));
        EXPECT(!pintle_pinned());
        EXPECT(calls_in_flight() == 0);
    }
    pintle_pin();
    protect(calls, NULL);
    EXPECT(pintle_pinned());
    pintle_unpin();
    EXPECT(!pintle_pinned());
    EXPECT(pintle_call(helper_return_at_once, NULL) == 0);
    return 0;
}
CASE(fault_in_a_callback_crosses_the_call) { run_faulting(callback_main, 2); }

static void in_section(void *arg) {
    pintle_blocking_begin();
    writes(arg);
    pintle_blocking_end();
}
static int section_main(void *arg) {
    (void)arg;
    for (unsigned i = 0; i < 100; i++) {
        pintle_panic_info info = protect(in_section, NULL);
        EXPECT(tells_of(&info, CODE_ACCESS, "writing 0x0", "writes"));
        EXPECT(calls_in_flight() == 0);
    }
    return 0;
}
CASE(fault_in_a_blocking_section_leaves_it) { run_faulting(section_main, 2); }

/* A thread that is not ours: its task ends, the foreign code goes on. */
static void faults_in_callback(void *arg) { *(int *)arg = pintle_callback(writes, NULL); }
static int attached_main(void *arg) {
    helper_thread thread;
    int code = 0;
    (void)arg;
    EXPECT(helper_thread_start(&thread, faults_in_callback, &code));
    helper_thread_join(&thread);
    EXPECT(code == PINTLE_EPANIC);
    return 0;
}
static void ignore_report(void *user, int kind, const char *text) {
    (void)kind;
    if (strstr(text, "writing 0x0") != NULL) ++*(int *)user;
}
CASE(fault_in_a_callback_on_a_foreign_thread_ends_its_task_only) {
    pintle_options options = faults_panic_options(2);
    int reported = 0;
    options.on_report = ignore_report;
    options.user = &reported;
    ck_assert_int_eq(pintle_start(&options), 0);
    attached_main(NULL);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    assert_nothing_wrong();
    ck_assert_int_eq(reported, 1);
}

/* ---- Library mode ---- */

static void enter_and_protect(void *arg) {
    (void)arg;
    for (unsigned i = 0; i < 10; i++) protect(writes, NULL);
}
CASE(fault_in_library_mode_is_a_panic_and_stop_gives_all_back) {
    for (unsigned i = 0; i < 5; i++) {
        pintle_options options = faults_panic_options(1);
        ck_assert_int_eq(pintle_start(&options), 0);
        ck_assert_int_eq(pintle_enter(enter_and_protect, NULL), 0);
        ck_assert_int_eq(pintle_enter(writes, NULL), PINTLE_EPANIC);
        ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    }
    assert_nothing_wrong();
}

CASE(options_with_unknown_flags_are_refused) {
    pintle_options options = helper_processors(1);
    options.flags = 0x80;
    ck_assert_int_eq(pintle_run(kinds_main, NULL, &options), PINTLE_EINVAL);
    ck_assert(error_has("0x80"));
}
