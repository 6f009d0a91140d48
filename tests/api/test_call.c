/* test_call.c: foreign calls: value, stack, error numbers; calls that block and the tasks that go on meanwhile; time
 * slices. Every case runs on both platforms. */
#include "api/api_helpers.h"
#include "support/deep.h"

/* ---- The value, and where a call may be made ---- */

static int give_back(void *arg) { return *(int *)arg; }

static int values_main(void *arg) {
    int *values = arg;
    for (int i = 0; i < 5; i++) values[i] = pintle_call(give_back, &values[i]) == values[i] ? 1 : 0;
    return 0;
}

CASE(call_from_task_returns_value_of_function) {
    int values[5] = {0, 1, -1, INT32_MIN, PINTLE_EINVAL};
    ck_assert_int_eq(pintle_run(values_main, values, NULL), 0);
    for (int i = 0; i < 5; i++) ck_assert_int_eq(values[i], 1);
}

CASE(call_without_runtime_calls_function) {
    int value = 17;
    ck_assert_int_eq(pintle_call(give_back, &value), 17);
    ck_assert_int_eq(pintle_call_blocking(give_back, &value), 17);
}

static int inner_call(void *arg) { return pintle_call(give_back, arg) + pintle_call_blocking(give_back, arg); }

static int nested_main(void *arg) {
    int *value = arg;
    int result = pintle_call(inner_call, value);
    pintle_yield();
    return result + pintle_call_blocking(inner_call, value);
}

CASE(call_in_a_call_calls_function) {
    int value = 10;
    ck_assert_int_eq(pintle_run(nested_main, &value, NULL), 40);
}

typedef struct foreign_findings {
    int call, call_blocking;
    uint64_t thread_before, thread_inside;
} foreign_findings;

static int note_thread(void *arg) {
    *(uint64_t *)arg = helper_thread_id();
    return 3;
}
static void foreign_caller(void *arg) {
    foreign_findings *findings = arg;
    findings->thread_before = helper_thread_id();
    findings->call = pintle_call(note_thread, &findings->thread_inside);
    findings->call_blocking = pintle_call_blocking(note_thread, &findings->thread_inside);
}

CASE(call_on_foreign_thread_while_runtime_runs_calls_function) {
    foreign_findings findings = {0};
    helper_thread thread;
    ck_assert_int_eq(pintle_start(NULL), 0);
    ck_assert(helper_thread_start(&thread, foreign_caller, &findings));
    helper_thread_join(&thread);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    ck_assert_int_eq(findings.call, 3);
    ck_assert_int_eq(findings.call_blocking, 3);
    ck_assert_uint_eq(findings.thread_inside, findings.thread_before);
}

typedef struct self_findings {
    pintle_task *outside, *inside, *after;
    uint64_t id_outside, id_inside;
} self_findings;

static int note_self(void *arg) {
    self_findings *findings = arg;
    findings->inside = pintle_self();
    findings->id_inside = pintle_task_id(pintle_self());
    return 0;
}
static int self_main(void *arg) {
    self_findings *findings = arg;
    findings->outside = pintle_self();
    findings->id_outside = pintle_task_id(pintle_self());
    pintle_call(note_self, findings);
    findings->after = pintle_self();
    return 0;
}

CASE(call_self_inside_is_the_task_that_called) {
    self_findings findings = {0};
    ck_assert_int_eq(pintle_run(self_main, &findings, NULL), 0);
    ck_assert_ptr_nonnull(findings.outside);
    ck_assert_ptr_eq(findings.inside, findings.outside);
    ck_assert_ptr_eq(findings.after, findings.outside);
    ck_assert_uint_ne(findings.id_outside, 0);
    ck_assert_uint_eq(findings.id_inside, findings.id_outside);
}

/* ---- The stack ---- */

typedef struct stack_findings {
    uint64_t main_thread;
    helper_stack main_stack;
    bool task_is_on_main_thread, task_on_main_stack;
    bool call_on_main_stack, call_blocking_on_main_stack, section_on_main_stack, nested_on_main_stack;
    bool task_on_main_stack_after;
} stack_findings;

static int note_call_stack(void *arg) {
    volatile char local = 0;
    stack_findings *findings = arg;
    findings->call_on_main_stack = helper_stack_holds(findings->main_stack, &local);
    return local;
}
static int note_call_blocking_stack(void *arg) {
    volatile char local = 0;
    stack_findings *findings = arg;
    findings->call_blocking_on_main_stack = helper_stack_holds(findings->main_stack, &local);
    return local;
}
static int note_nested_stack(void *arg) {
    volatile char local = 0;
    stack_findings *findings = arg;
    findings->nested_on_main_stack = helper_stack_holds(findings->main_stack, &local);
    return local;
}
static int call_again(void *arg) { return pintle_call(note_nested_stack, arg); }

static int stack_main(void *arg) {
    volatile char local = 0;
    stack_findings *findings = arg;
    pintle_pin();
    findings->task_is_on_main_thread = helper_thread_id() == findings->main_thread;
    findings->task_on_main_stack = helper_stack_holds(findings->main_stack, &local);
    pintle_call(note_call_stack, findings);
    pintle_call_blocking(note_call_blocking_stack, findings);
    pintle_call(call_again, findings);
    pintle_blocking_begin();
    volatile char in_section = 0;
    findings->section_on_main_stack = helper_stack_holds(findings->main_stack, &in_section);
    pintle_blocking_end();
    findings->task_on_main_stack_after = helper_stack_holds(findings->main_stack, &local);
    pintle_unpin();
    return local;
}

CASE(call_runs_on_the_threads_own_stack) {
    stack_findings findings = {.main_thread = helper_thread_id(), .main_stack = helper_own_stack()};
    ck_assert_uint_gt(findings.main_stack.high - findings.main_stack.low, 4096);
    ck_assert_int_eq(pintle_run(stack_main, &findings, NULL), 0);
    ck_assert(findings.task_is_on_main_thread);
    ck_assert(!findings.task_on_main_stack);
    ck_assert(findings.call_on_main_stack);
    ck_assert(findings.call_blocking_on_main_stack);
    ck_assert(findings.nested_on_main_stack);
    ck_assert(!findings.section_on_main_stack);
    ck_assert(!findings.task_on_main_stack_after);
}

/* A thread's own stack has its usual size for foreign code, whatever the tasks' stacks have. */
static int burn_500_kb(void *arg) {
    (void)arg;
    return (int)deep_recurse(500);
}
static int big_call_main(void *arg) {
    (void)arg;
    int result = pintle_call(burn_500_kb, NULL);
    pintle_yield();
    return result + pintle_call(burn_500_kb, NULL);
}
static void big_call_task(void *arg) { *(int *)arg = big_call_main(NULL); }
static int big_call_in_tasks_main(void *arg) {
    int *results = arg;
    pintle_task *tasks[8];
    pintle_task_options options = {.size = sizeof options, .stack_bytes = 64 * 1024, .pinned = true};
    for (int i = 0; i < 8; i++)
        if (pintle_spawn_with(&tasks[i], big_call_task, &results[i], &options) != 0) return 1;
    return (int)helper_join_all(tasks, 8);
}

CASE(call_may_use_500_kb_of_the_threads_stack) {
    ck_assert_int_eq(pintle_run(big_call_main, NULL, NULL), 1000);
    int results[8] = {0};
    ck_assert_int_eq(pintle_run(big_call_in_tasks_main, results, NULL), 0);
    for (int i = 0; i < 8; i++) ck_assert_int_eq(results[i], 1000);
}

/* ---- errno and the last error ---- */

typedef struct errors_findings {
    atomic_uint next_id, wrong_errno, wrong_last_error, rounds;
    atomic_uint wrong_after[16]; /* of these, after which operation */
} errors_findings;

static int compute_50_us(void *arg) {
    (void)arg;
    helper_compute(PINTLE_US(50));
    return 0;
}

static void errors_task(void *arg) {
    errors_findings *findings = arg;
    unsigned id = atomic_fetch_add(&findings->next_id, 1);
    helper_random random = helper_random_from(id);
    for (unsigned round = 0; round < 200; round++) {
        int value = (int)(1 + id * 1000 + round);
        helper_set_errno(value);
#if defined(_WIN32)
        helper_set_last_error((uint32_t)value + 500000);
#endif
        unsigned operation = helper_random_below(&random, 16);
        switch (operation) {
        case 0: pintle_sleep(PINTLE_US(10)); break;
        case 1: pintle_call(compute_50_us, NULL); break;
        case 2: pintle_call_blocking(helper_return_at_once, NULL); break;
        case 3: {
            pintle_pin();
            pintle_yield();
            pintle_unpin();
            break;
        }
        case 4: pintle_call(helper_return_at_once, NULL); break;
        default: pintle_yield(); break;
        }
        bool wrong = helper_errno() != value;
        if (wrong) atomic_fetch_add(&findings->wrong_errno, 1);
#if defined(_WIN32)
        if (helper_last_error() != (uint32_t)value + 500000) {
            atomic_fetch_add(&findings->wrong_last_error, 1);
            wrong = true;
        }
#endif
        if (wrong) atomic_fetch_add(&findings->wrong_after[operation], 1);
        atomic_fetch_add(&findings->rounds, 1);
    }
}

static int errors_main(void *arg) {
    pintle_task *tasks[40];
    unsigned failed = helper_spawn_all(tasks, 40, errors_task, arg);
    return (int)(failed + helper_join_all(tasks, 40));
}

CASE(error_numbers_stay_with_task_across_yields_calls_and_threads) {
    for (unsigned processors = 1; processors <= 3; processors += 2) {
        errors_findings findings = {0};
        ck_assert_int_eq(helper_run(errors_main, &findings, processors), 0);
        ck_assert_uint_eq(findings.rounds, 40 * 200);
        for (unsigned i = 0; i < 16; i++)
            ck_assert_msg(findings.wrong_after[i] == 0, "%u wrong after operation %u", findings.wrong_after[i], i);
        ck_assert_uint_eq(findings.wrong_errno, 0);
        ck_assert_uint_eq(findings.wrong_last_error, 0);
    }
}

static int fail_with_numbers(void *arg) {
    (void)arg;
    helper_set_errno(77);
    helper_set_last_error(78);
    return -1;
}
static int errors_of_call_main(void *arg) {
    unsigned *wrong = arg;
    for (unsigned i = 0; i < 1000; i++) {
        helper_set_errno(1);
        if (pintle_call(fail_with_numbers, NULL) != -1 || helper_errno() != 77 || helper_last_error() != 78) ++*wrong;
        helper_set_errno(1);
        if (pintle_call_blocking(fail_with_numbers, NULL) != -1 || helper_errno() != 77 || helper_last_error() != 78)
            ++*wrong;
    }
    return 0;
}

CASE(error_numbers_of_a_call_reach_the_task) {
    unsigned wrong = 0;
    ck_assert_int_eq(pintle_run(errors_of_call_main, &wrong, NULL), 0);
    ck_assert_uint_eq(wrong, 0);
}

/* ---- Calls that block ---- */

enum { BY_CALL, BY_CALL_BLOCKING, BY_SECTION };

typedef struct crowd {
    int way;
    unsigned count;
    helper_gate gate;
    pintle_event all_inside;
    atomic_uint inside, returned, wrong, moved, ticks;
    unsigned returned_early, failed;
    pintle_stats blocked, after;
} crowd;

static int crowd_block(void *arg) {
    crowd *c = arg;
    if (atomic_fetch_add(&c->inside, 1) + 1 == c->count) pintle_event_set(&c->all_inside);
    helper_gate_wait(&c->gate);
    helper_set_errno(77);
    return 7;
}

static void crowd_task(void *arg) {
    crowd *c = arg;
    volatile uint64_t kept[8];
    uint64_t thread = helper_thread_id();
    uint64_t id = pintle_task_id(pintle_self());
    for (unsigned i = 0; i < 8; i++) kept[i] = id * 31 + i;
    int result;
    if (c->way == BY_CALL) {
        result = pintle_call(crowd_block, c);
    } else if (c->way == BY_CALL_BLOCKING) {
        result = pintle_call_blocking(crowd_block, c);
    } else {
        pintle_blocking_begin();
        result = crowd_block(c);
        pintle_blocking_end();
    }
    bool right = result == 7 && helper_errno() == 77 && pintle_task_id(pintle_self()) == id;
    for (unsigned i = 0; i < 8; i++) right = right && kept[i] == id * 31 + i;
    if (!right) atomic_fetch_add(&c->wrong, 1);
    if (helper_thread_id() != thread) atomic_fetch_add(&c->moved, 1);
    atomic_fetch_add(&c->returned, 1);
}

static void crowd_ticker(void *arg) {
    crowd *c = arg;
    for (unsigned i = 0; i < 200; i++) {
        pintle_yield();
        pintle_call(helper_return_at_once, NULL);
        atomic_fetch_add(&c->ticks, 1);
    }
}

static int crowd_main(void *arg) {
    crowd *c = arg;
    static pintle_task *tasks[1000];
    pintle_task *tickers[10];
    c->failed += helper_spawn_all(tasks, c->count, crowd_task, c);
    pintle_event_wait(&c->all_inside, PINTLE_FOREVER);
    c->failed += helper_spawn_all(tickers, 10, crowd_ticker, c);
    c->failed += helper_join_all(tickers, 10);
    c->returned_early = atomic_load(&c->returned);
    pintle_stats_get(&c->blocked);
    helper_gate_open(&c->gate);
    /* They come back while the processor is not theirs: this task keeps it until all are out of their calls. */
    int64_t give_up = pintle_after(PINTLE_S(5));
    do pintle_stats_get(&c->after);
    while (c->after.calls_in_flight > 0 && pintle_now() < give_up);
    c->failed += helper_join_all(tasks, c->count);
    pintle_stats_get(&c->after);
    return 5;
}

static void crowd_run(crowd *c, int way, unsigned count, unsigned processors) {
    memset(c, 0, sizeof *c);
    c->way = way;
    c->count = count;
    pintle_event_init(&c->all_inside);
    helper_gate_init(&c->gate);
    ck_assert_int_eq(helper_run(crowd_main, c, processors), 5);
    helper_gate_destroy(&c->gate);
    pintle_event_destroy(&c->all_inside);
    ck_assert_uint_eq(c->failed, 0);
    ck_assert_uint_eq(c->inside, count);
    ck_assert_uint_eq(c->ticks, 2000);
    ck_assert_uint_eq(c->returned_early, 0);
    ck_assert_uint_eq(c->returned, count);
    ck_assert_uint_eq(c->wrong, 0);
    ck_assert_uint_eq(c->blocked.processors, processors);
    ck_assert_uint_ge(c->blocked.threads + 1, count); /* the main thread may be one of those that are blocked */
    ck_assert_uint_ge(c->blocked.tasks, count);
    ck_assert_uint_eq(c->after.calls_in_flight, 0);
}

CASE(call_blocked_in_one_task_lets_others_go_on) {
    crowd c;
    crowd_run(&c, BY_CALL, 1, 1);
    ck_assert_uint_eq(c.blocked.calls_in_flight, 1);
    ck_assert_uint_ge(c.blocked.retakes + c.blocked.handoffs, 1);
}

CASE(calls_blocked_in_100_tasks_let_others_go_on_with_one_processor) {
    crowd c;
    crowd_run(&c, BY_CALL, 100, 1);
    ck_assert_uint_eq(c.blocked.calls_in_flight, 100);
    ck_assert_uint_ge(c.blocked.retakes + c.blocked.handoffs, 100);
    ck_assert_uint_ge(c.after.calls, 100 + 2000);
}

CASE(calls_blocked_in_100_tasks_let_others_go_on_with_three_processors) {
    crowd c;
    crowd_run(&c, BY_CALL, 100, 3);
    ck_assert_uint_eq(c.blocked.calls_in_flight, 100);
}

CASE_TIMEOUT(calls_blocked_in_1000_tasks_let_others_go_on_with_one_processor, 90) {
    crowd c;
    crowd_run(&c, BY_CALL, 1000, 1);
    ck_assert_uint_eq(c.blocked.calls_in_flight, 1000);
}

CASE(call_blocking_in_100_tasks_lets_others_go_on_with_one_processor) {
    crowd c;
    crowd_run(&c, BY_CALL_BLOCKING, 100, 1);
    ck_assert_uint_eq(c.blocked.calls_in_flight, 100);
    ck_assert_uint_ge(c.blocked.handoffs, 1);
}

CASE(blocking_section_in_100_tasks_lets_others_go_on_with_one_processor) {
    crowd c;
    crowd_run(&c, BY_SECTION, 100, 1);
    ck_assert_uint_ge(c.blocked.handoffs, 1);
}

/* The processor is busy when the calls return, so the tasks queue and the first free thread runs them. */
CASE(call_that_blocked_may_return_on_another_thread_with_state_kept) {
    crowd c;
    crowd_run(&c, BY_CALL, 50, 1);
    ck_assert_uint_ge(c.after.slow_leaves, 10);
    ck_assert_uint_ge(c.moved, 1);
}

/* ---- A blocked call does not keep the runtime from other things ---- */

typedef struct join_in_call {
    pintle_task *task;
    atomic_uint done;
    int in_call, in_section;
} join_in_call;

static void join_in_call_task(void *arg) {
    join_in_call *j = arg;
    pintle_yield();
    atomic_fetch_add(&j->done, 1);
}
static int join_in_call_fn(void *arg) {
    join_in_call *j = arg;
    return pintle_join(j->task, PINTLE_FOREVER);
}
static int join_in_call_main(void *arg) {
    join_in_call *j = arg;
    if (pintle_spawn(&j->task, join_in_call_task, j) != 0) return 1;
    j->in_call = pintle_call(join_in_call_fn, j);
    if (pintle_spawn(&j->task, join_in_call_task, j) != 0) return 1;
    pintle_blocking_begin();
    j->in_section = pintle_join(j->task, PINTLE_FOREVER);
    pintle_blocking_end();
    return 0;
}

CASE(join_in_a_call_waits_while_the_task_runs_elsewhere) {
    join_in_call j = {.in_call = 1, .in_section = 1};
    ck_assert_int_eq(helper_run(join_in_call_main, &j, 1), 0);
    ck_assert_int_eq(j.in_call, 0);
    ck_assert_int_eq(j.in_section, 0);
    ck_assert_uint_eq(j.done, 2);
}

static int spawn_in_call_fn(void *arg) {
    join_in_call *j = arg;
    return pintle_spawn(&j->task, join_in_call_task, j);
}
static int spawn_in_call_main(void *arg) {
    join_in_call *j = arg;
    if (pintle_call(spawn_in_call_fn, j) != 0) return 1;
    if (pintle_join(j->task, PINTLE_FOREVER) != 0) return 2;
    if (pintle_call_blocking(spawn_in_call_fn, j) != 0) return 3;
    return pintle_join(j->task, PINTLE_FOREVER);
}

CASE(spawn_in_a_call_starts_a_task) {
    join_in_call j = {0};
    ck_assert_int_eq(helper_run(spawn_in_call_main, &j, 1), 0);
    ck_assert_uint_eq(j.done, 2);
}

typedef struct section_findings {
    unsigned wrong;
    uint64_t thread_begin, thread_end;
} section_findings;

static int section_main(void *arg) {
    section_findings *findings = arg;
    for (unsigned i = 0; i < 1000; i++) {
        volatile unsigned kept = i;
        pintle_blocking_begin();
        uint64_t before = helper_thread_id();
        helper_set_errno((int)i + 1);
        uint64_t after = helper_thread_id();
        pintle_blocking_end();
        if (kept != i || before != after || helper_errno() != (int)i + 1) findings->wrong++;
    }
    return 0;
}

CASE(blocking_section_begins_and_ends_1000_times) {
    section_findings findings = {0};
    ck_assert_int_eq(pintle_run(section_main, &findings, NULL), 0);
    ck_assert_uint_eq(findings.wrong, 0);
}

/* ---- Time slices ---- */

typedef struct slice {
    atomic_bool stop;
    atomic_uint started;
    unsigned failed;
} slice;

static void slice_caller(void *arg) {
    slice *s = arg;
    atomic_fetch_add(&s->started, 1);
    /* Mostly outside of calls: a call that happens to be preempted would lose its processor, and hide what is tested. */
    while (!atomic_load(&s->stop)) {
        helper_compute(PINTLE_US(20));
        pintle_call(helper_return_at_once, NULL);
    }
}
static void slice_stopper(void *arg) { atomic_store(&((slice *)arg)->stop, true); }
static int slice_main(void *arg) {
    slice *s = arg;
    pintle_task *tasks[3];
    s->failed += helper_spawn_all(tasks, 2, slice_caller, s);
    while (atomic_load(&s->started) < 2) pintle_yield();
    s->failed += helper_spawn_all(&tasks[2], 1, slice_stopper, s);
    s->failed += helper_join_all(tasks, 3);
    return 0;
}

CASE(call_in_a_loop_does_not_starve_a_third) {
    slice s = {0};
    ck_assert_int_eq(helper_run_strict(slice_main, &s), 0);
    ck_assert(s.stop);
    ck_assert_uint_eq(s.failed, 0);
}

/* ---- Figures ---- */

static int count_main(void *arg) {
    pintle_stats *stats = arg;
    pintle_stats_get(&stats[0]);
    for (unsigned i = 0; i < 12345; i++) pintle_call(helper_return_at_once, NULL);
    for (unsigned i = 0; i < 10; i++) pintle_call_blocking(helper_return_at_once, NULL);
    pintle_stats_get(&stats[1]);
    return 0;
}

CASE(call_is_counted) {
    pintle_stats stats[2];
    ck_assert_int_eq(pintle_run(count_main, stats, NULL), 0);
    ck_assert_uint_eq(stats[1].calls - stats[0].calls, 12355);
    ck_assert_uint_eq(stats[1].calls_in_flight, 0);
}
