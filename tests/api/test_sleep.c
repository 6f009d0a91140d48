/* test_sleep.c: the clock, sleeping, deadlines. Lower bounds are exact; upper ones are wide, for busy machines. */
#include "api/api_helpers.h"

#define CLOCK_START ((int64_t)1 << 62)

CASE(clock_starts_at_2_to_the_62_and_never_goes_back) {
    int64_t last = pintle_now();
    ck_assert_int_ge(last, CLOCK_START);
    ck_assert_int_lt(last, CLOCK_START + (CLOCK_START >> 1));
    int64_t first = last;
    unsigned steps = 0;
    for (unsigned i = 0; i < 100000; i++) {
        int64_t now = pintle_now();
        ck_assert_int_ge(now, last);
        if (now != last) steps++;
        last = now;
    }
    ck_assert_int_gt(last, first);
    ck_assert_uint_gt(steps, 10);
}

CASE(after_saturates_at_both_ends) {
    ck_assert_int_eq(pintle_after(INT64_MAX), PINTLE_FOREVER);
    ck_assert_int_eq(pintle_after(INT64_MAX - 1), PINTLE_FOREVER);
    ck_assert_int_eq(pintle_after(PINTLE_FOREVER - pintle_now() + PINTLE_S(10)), PINTLE_FOREVER);
    int64_t before = pintle_now();
    int64_t negative = pintle_after(-PINTLE_S(3600));
    int64_t lowest = pintle_after(INT64_MIN);
    int64_t zero = pintle_after(0);
    int64_t second = pintle_after(PINTLE_S(1));
    int64_t after = pintle_now();
    ck_assert_int_ge(negative, before);
    ck_assert_int_le(negative, after);
    ck_assert_int_ge(lowest, before);
    ck_assert_int_le(lowest, after);
    ck_assert_int_ge(zero, before);
    ck_assert_int_le(zero, after);
    ck_assert_int_ge(second, before + PINTLE_S(1));
    ck_assert_int_le(second, after + PINTLE_S(1));
    ck_assert_int_eq(PINTLE_S(1), 1000000000);
    ck_assert_int_eq(PINTLE_MS(1), 1000000);
    ck_assert_int_eq(PINTLE_US(1), 1000);
}

/* ---- How long ---- */

typedef struct durations {
    int result, result_until, past, negative, zero;
    int64_t slept, slept_until, past_took;
    int duration, minus_one, small;
    pintle_error error;
} durations;

static void measure(durations *d) {
    int64_t begin = pintle_now();
    d->result = pintle_sleep(PINTLE_MS(30));
    d->slept = pintle_now() - begin;
    begin = pintle_now();
    d->result_until = pintle_sleep_until(begin + PINTLE_MS(30));
    d->slept_until = pintle_now() - begin;
    begin = pintle_now();
    d->past = pintle_sleep_until(begin - PINTLE_S(1));
    d->past_took = pintle_now() - begin;
    d->negative = pintle_sleep(-5);
    d->zero = pintle_sleep(0);
    d->duration = pintle_sleep_until(PINTLE_MS(30));
    pintle_error_get(&d->error);
    d->minus_one = pintle_sleep_until(-1);
    d->small = pintle_sleep_until(CLOCK_START - 1);
}
static void assert_durations(const durations *d) {
    ck_assert_int_eq(d->result, 0);
    ck_assert_int_ge(d->slept, PINTLE_MS(30));
    ck_assert_int_lt(d->slept, PINTLE_S(10));
    ck_assert_int_eq(d->result_until, 0);
    ck_assert_int_ge(d->slept_until, PINTLE_MS(30));
    ck_assert_int_lt(d->slept_until, PINTLE_S(10));
    ck_assert_int_eq(d->past, 0);
    ck_assert_int_lt(d->past_took, PINTLE_S(1));
    ck_assert_int_eq(d->negative, 0);
    ck_assert_int_eq(d->zero, 0);
    ck_assert_int_eq(d->duration, PINTLE_EINVAL);
    ck_assert_int_eq(d->minus_one, PINTLE_EINVAL);
    ck_assert_int_eq(d->small, PINTLE_EINVAL);
    ck_assert_int_eq(d->error.code, PINTLE_EINVAL);
    ck_assert_msg(strstr(d->error.text, "pintle_after") != NULL, "%s", d->error.text);
}
static int measure_main(void *arg) {
    measure(arg);
    return 0;
}
static int measure_in_call_main(void *arg) { return pintle_call(measure_main, arg); }
static void measure_on_thread(void *arg) { measure(arg); }

CASE(sleep_in_a_task_lasts_its_time_and_refuses_durations_as_deadlines) {
    durations d = {0};
    ck_assert_int_eq(pintle_run(measure_main, &d, NULL), 0);
    assert_durations(&d);
}

CASE(sleep_in_a_call_blocks_the_thread) {
    durations d = {0};
    ck_assert_int_eq(pintle_run(measure_in_call_main, &d, NULL), 0);
    assert_durations(&d);
}

CASE(sleep_on_a_foreign_thread_blocks_it) {
    durations d = {0};
    helper_thread thread;
    ck_assert(helper_thread_start(&thread, measure_on_thread, &d));
    helper_thread_join(&thread);
    assert_durations(&d);
    memset(&d, 0, sizeof d);
    ck_assert_int_eq(pintle_start(NULL), 0);
    ck_assert(helper_thread_start(&thread, measure_on_thread, &d));
    helper_thread_join(&thread);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    assert_durations(&d);
}

/* Ten sleeps of 20 ms at the same time take far less than one after the other. */
static void sleep_20_ms(void *arg) {
    (void)arg;
    pintle_sleep(PINTLE_MS(20));
}
static int side_by_side_main(void *arg) {
    static pintle_task *tasks[1000];
    int64_t begin = pintle_now();
    unsigned failed = helper_spawn_all(tasks, 1000, sleep_20_ms, NULL);
    failed += helper_join_all(tasks, 1000);
    *(int64_t *)arg = pintle_now() - begin;
    return (int)failed;
}

CASE(sleeps_of_1000_tasks_pass_side_by_side) {
    int64_t took = 0;
    ck_assert_int_eq(helper_run(side_by_side_main, &took, 1), 0);
    ck_assert_int_ge(took, PINTLE_MS(20));
    ck_assert_int_lt(took, PINTLE_S(10)); /* one after the other: 20 s */
}

/* ---- Order ---- */

#define SLEEPERS 10000

typedef struct sleepers {
    pintle_event go;
    int64_t base;
    atomic_uint next, ready, awake;
    unsigned order[SLEEPERS]; /* order[k]: who woke as the k-th */
    int64_t late[SLEEPERS];   /* by how much each was late; negative: too early */
    int64_t step_ns, spawning_ns;
    unsigned count, factor;
    unsigned failed;
    atomic_bool spoiled; /* the machine was too busy: some went to sleep after the first deadline */
    uint64_t timers;
} sleepers;

static void sleeper_task(void *arg) {
    sleepers *s = arg;
    /* Deadlines are not in the order of the spawns: factor is prime to the count. */
    unsigned me = (unsigned)(((uint64_t)atomic_fetch_add(&s->next, 1) * s->factor) % s->count);
    atomic_fetch_add(&s->ready, 1);
    pintle_event_wait(&s->go, PINTLE_FOREVER);
    int64_t deadline = s->base + (int64_t)me * s->step_ns;
    if (pintle_now() >= s->base) atomic_store(&s->spoiled, true);
    int result = pintle_sleep_until(deadline);
    s->late[me] = result == 0 ? pintle_now() - deadline : INT64_MIN;
    s->order[atomic_fetch_add(&s->awake, 1)] = me;
}
static int sleepers_main(void *arg) {
    sleepers *s = arg;
    static pintle_task *tasks[SLEEPERS];
    int64_t start = pintle_now();
    s->failed += helper_spawn_all(tasks, s->count, sleeper_task, s);
    while (atomic_load(&s->ready) < s->count) pintle_yield();
    s->spawning_ns = pintle_now() - start;
    s->base = pintle_after(PINTLE_MS(100) + 2 * s->spawning_ns);
    pintle_event_set(&s->go);
    pintle_stats stats;
    pintle_sleep(PINTLE_MS(50));
    pintle_stats_get(&stats);
    s->timers = stats.timers;
    s->failed += helper_join_all(tasks, s->count);
    return 0;
}
static sleepers *sleepers_new(unsigned count, int64_t step_ns) {
    sleepers *s = calloc(1, sizeof *s);
    ck_assert_ptr_nonnull(s);
    s->count = count;
    s->factor = 7919;
    s->step_ns = step_ns;
    pintle_event_init(&s->go);
    return s;
}

CASE(sleepers_10000_wake_after_their_deadlines_and_in_time) {
    for (unsigned processors = 1; processors <= 3; processors += 2) {
        sleepers *s = sleepers_new(SLEEPERS, PINTLE_US(20));
        ck_assert_int_eq(helper_run(sleepers_main, s, processors), 0);
        ck_assert_uint_eq(s->failed, 0);
        ck_assert_uint_eq(s->awake, SLEEPERS);
        ck_assert_uint_ge(s->timers, 1);
        /* How fast the machine is for us now: making them takes about as long as waking them. */
        int64_t limit_ns = TEST_SLOWNESS * PINTLE_MS(100) + 5 * s->spawning_ns;
        unsigned badly_late = 0;
        for (unsigned i = 0; i < SLEEPERS; i++) {
            ck_assert_int_ge(s->late[i], 0);
            if (s->late[i] > limit_ns) badly_late++;
        }
        ck_assert_uint_lt(badly_late, SLEEPERS / 2);
        /* Deadlines half of the whole span apart: the order must hold, where no processor waits for a CPU longer than that. */
        bool in_order = processors == 1 && !atomic_load(&s->spoiled);
        for (unsigned k = 0; in_order && k < SLEEPERS / 4; k++) ck_assert_uint_lt(s->order[k], 3 * SLEEPERS / 4);
        free(s);
    }
}

/* On one processor the order is exact. All sleep, then the only processor is
 * kept busy until all deadlines have passed: the timers' order alone decides. */
static int sleepers_late_main(void *arg) {
    sleepers *s = arg;
    pintle_task *tasks[150];
    s->failed += helper_spawn_all(tasks, s->count, sleeper_task, s);
    while (atomic_load(&s->ready) < s->count) pintle_yield();
    s->base = pintle_after(PINTLE_MS(3));
    pintle_event_set(&s->go);
    pintle_yield(); /* all of them go to sleep */
    if (pintle_now() >= s->base) atomic_store(&s->spoiled, true);
    while (pintle_now() < s->base + (int64_t)s->count * s->step_ns) {}
    s->failed += helper_join_all(tasks, s->count);
    return 0;
}

CASE(sleepers_due_together_wake_in_the_order_of_their_deadlines) {
    unsigned tried = 0;
    for (unsigned round = 0; round < 20 && tried < 3; round++) {
        sleepers *s = sleepers_new(150, PINTLE_US(1));
        ck_assert_int_eq(helper_run_strict(sleepers_late_main, s), 0);
        ck_assert_uint_eq(s->failed, 0);
        ck_assert_uint_eq(s->awake, 150);
        /* Else the machine was too busy for this round: some were late for their sleep. */
        if (!s->spoiled) {
            tried++;
            for (unsigned k = 0; k < 150; k++) ck_assert_uint_eq(s->order[k], k);
        }
        free(s);
    }
    ck_assert_uint_ge(tried, 1); /* a test whose rounds were all spoiled has shown nothing */
}

/* ---- Sleeping and the others ---- */

typedef struct zero_sleep {
    atomic_uint ran;
    unsigned seen;
} zero_sleep;

static void note_ran(void *arg) { atomic_fetch_add(&((zero_sleep *)arg)->ran, 1); }
static int zero_sleep_main(void *arg) {
    zero_sleep *z = arg;
    pintle_task *tasks[3];
    if (helper_spawn_all(tasks, 3, note_ran, z) != 0) return 1;
    if (pintle_sleep(0) != 0) return 2;
    z->seen = atomic_load(&z->ran);
    return (int)helper_join_all(tasks, 3);
}

CASE(sleep_of_zero_yields) {
    zero_sleep z = {0};
    ck_assert_int_eq(helper_run_strict(zero_sleep_main, &z), 0);
    ck_assert_uint_ge(z.seen, 2); /* the last is put behind the sleeper if a time slice just ends */
}

/* A sleeper wakes though the others never stop: yielders, and callers. */
typedef struct busy {
    atomic_bool stop;
    int64_t late;
} busy;

static void busy_yielder(void *arg) {
    while (!atomic_load(&((busy *)arg)->stop)) pintle_yield();
}
static void busy_caller(void *arg) {
    while (!atomic_load(&((busy *)arg)->stop)) pintle_call(helper_return_at_once, NULL);
}
static void busy_sleeper(void *arg) {
    busy *b = arg;
    int64_t deadline = pintle_after(PINTLE_MS(10));
    pintle_sleep_until(deadline);
    b->late = pintle_now() - deadline;
    atomic_store(&b->stop, true);
}
static int busy_main(void *arg) {
    pintle_task *tasks[4];
    unsigned failed = helper_spawn_all(&tasks[0], 1, busy_sleeper, arg);
    failed += helper_spawn_all(&tasks[1], 2, busy_yielder, arg);
    failed += helper_spawn_all(&tasks[3], 1, busy_caller, arg);
    return (int)(failed + helper_join_all(tasks, 4));
}

CASE(sleeper_wakes_while_others_never_stop) {
    busy b = {.late = -1};
    ck_assert_int_eq(helper_run_strict(busy_main, &b), 0);
    ck_assert_int_ge(b.late, 0);
    ck_assert_int_lt(b.late, PINTLE_S(1));
}

/* A sleeper of a processor that then waits in a blocked call wakes all the same. */
typedef struct blocked_sleep {
    helper_gate gate;
    int64_t late;
} blocked_sleep;

static void gate_opener(void *arg) {
    blocked_sleep *b = arg;
    int64_t deadline = pintle_after(PINTLE_MS(10));
    pintle_sleep_until(deadline);
    b->late = pintle_now() - deadline;
    helper_gate_open(&b->gate);
}
static int wait_at_gate(void *arg) {
    helper_gate_wait(&((blocked_sleep *)arg)->gate);
    return 0;
}
static int blocked_sleep_main(void *arg) {
    blocked_sleep *b = arg;
    pintle_task *task;
    if (pintle_spawn(&task, gate_opener, b) != 0) return 1;
    pintle_yield(); /* it sleeps now */
    pintle_call(wait_at_gate, b);
    return pintle_join(task, PINTLE_FOREVER);
}

CASE(sleeper_wakes_while_its_processor_is_in_a_blocked_call) {
    blocked_sleep b = {.late = -1};
    helper_gate_init(&b.gate);
    ck_assert_int_eq(helper_run(blocked_sleep_main, &b, 1), 0);
    helper_gate_destroy(&b.gate);
    ck_assert_int_ge(b.late, 0);
    ck_assert_int_lt(b.late, PINTLE_S(10));
}

/* ---- Timers of a processor that is held, while another is idle ---- */

typedef struct left_alone {
    pintle_event asleep;
    helper_sem woken;
} left_alone;
static void left_alone_sleeper(void *arg) {
    left_alone *l = arg;
    pintle_event_set(&l->asleep);
    pintle_sleep(PINTLE_MS(20));
    helper_sem_post(&l->woken);
}
static int left_alone_main(void *arg) {
    left_alone *l = arg;
    for (int i = 0; i < 5; i++) {
        pintle_task *task;
        pintle_event_reset(&l->asleep);
        if (pintle_spawn(&task, left_alone_sleeper, l) != 0) return 1;
        while (pintle_event_wait(&l->asleep, PINTLE_FOREVER) != 0) {}
        helper_sem_wait(&l->woken); /* in task code: holds the processor whose timers may have the sleeper's */
        if (pintle_join(task, PINTLE_FOREVER) != 0) return 2;
    }
    return 0;
}
CASE(sleeper_wakes_while_its_processor_is_held_and_another_is_idle) {
    left_alone l = {.asleep = PINTLE_EVENT_INIT};
    helper_sem_init(&l.woken);
    ck_assert_int_eq(helper_run(left_alone_main, &l, 2), 0);
    helper_sem_destroy(&l.woken);
}
