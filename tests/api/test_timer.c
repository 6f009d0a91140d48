/* test_timer.c: timers: what Go's documentation promises of time.Timer, time.Ticker and AfterFunc, and what timer.h adds.
 * Lower bounds of time are exact; upper ones are wide, for busy machines. */
#include "api/must.h"

static pintle_timer *timer_of(pintle_fn *fn, void *arg) {
    pintle_timer *timer = NULL;
    MUST_BE(pintle_timer_new(&timer, fn, arg), 0);
    return timer;
}

/* Counts its runs, and posts each. */
typedef struct counter {
    atomic_uint ran;
    pintle_sem runs;
    int64_t at[64];
} counter;
static void count_run(void *arg) {
    counter *c = arg;
    unsigned number = atomic_fetch_add(&c->ran, 1);
    if (number < ELEMENTS(c->at)) c->at[number] = pintle_now();
    pintle_sem_post(&c->runs);
}
static void await_run(counter *c) { MUST_BE(pintle_sem_wait(&c->runs, PINTLE_FOREVER), 0); }

/* In a strict run: whatever is due by now has run when it returns. */
static void let_timers_run(void) { pintle_sleep_until(pintle_after(PINTLE_MS(1))); }
static void pass(int64_t duration_ns) { helper_compute(duration_ns); }

/* ---- Functions ---- */

static int once_main(void *arg) {
    counter c = {0};
    pintle_timer *timer = timer_of(count_run, &c);
    int64_t deadline = pintle_after(PINTLE_MS(5));
    (void)arg;
    MUST_BE(pintle_timer_set(timer, deadline, 0), 0);
    await_run(&c);
    MUST(c.at[0] >= deadline);
    MUST(c.at[0] < deadline + PINTLE_S(10));
    MUST(!pintle_timer_stop(timer));
    /* Not twice: another timer, set later, comes, and this one does not. */
    counter later = {0};
    pintle_timer *other = timer_of(count_run, &later);
    MUST_BE(pintle_timer_set(other, pintle_after(PINTLE_MS(5)), 0), 0);
    await_run(&later);
    MUST_BE(c.ran, 1);
    /* Set again, it works again; in the past and NOWAIT are at once. */
    MUST_BE(pintle_timer_set(timer, deadline, 0), 0);
    await_run(&c);
    MUST_BE(pintle_timer_set(timer, PINTLE_NOWAIT, 0), 0);
    await_run(&c);
    MUST_BE(c.ran, 3);
    pintle_timer_free(timer);
    pintle_timer_free(other);
    return 0;
}

CASE(timer_once_runs_its_function_once_after_its_deadline) {
    must_run(once_main, NULL);
    ASSERT_ALL_MUST();
}

typedef struct task_things {
    char name[32];
    pintle_event done;
} task_things;
static void do_task_things(void *arg) {
    task_things *seen = arg;
    snprintf(seen->name, sizeof seen->name, "%s", pintle_task_name(pintle_self()));
    pintle_yield();
    MUST_BE(pintle_sleep(PINTLE_MS(1)), 0);
    MUST_BE(pintle_call(helper_return_at_once, NULL), 0);
    pintle_event_set(&seen->done);
}
static int task_code_main(void *arg) {
    task_things seen = {"", PINTLE_EVENT_INIT};
    pintle_timer *timer = timer_of(do_task_things, &seen);
    (void)arg;
    MUST_BE(pintle_timer_set(timer, PINTLE_NOWAIT, 0), 0);
    MUST_BE(pintle_event_wait(&seen.done, PINTLE_FOREVER), 0);
    MUST(strcmp(seen.name, "timer") == 0);
    pintle_timer_free(timer);
    return 0;
}

CASE(timer_function_is_task_code) {
    must_run(task_code_main, NULL);
    ASSERT_ALL_MUST();
}

/* ---- Periods ---- */

static int period_main(void *arg) {
    counter c = {0};
    pintle_timer *timer = timer_of(count_run, &c);
    int64_t first = pintle_after(PINTLE_MS(3)), period = PINTLE_MS(2);
    (void)arg;
    MUST_BE(pintle_timer_set(timer, first, period), 0);
    for (int i = 0; i < 40; i++) await_run(&c);
    MUST(pintle_timer_stop(timer));
    unsigned ran = atomic_load(&c.ran);
    /* The k-th run is not before the k-th period: no drift forwards. None drifts backwards: below. */
    for (unsigned k = 0; k < 40; k++) MUST(c.at[k] >= first + (int64_t)k * period);
    let_timers_run();
    MUST(atomic_load(&c.ran) <= ran + 1); /* one may have been beginning */
    pintle_timer_free(timer);
    return 0;
}

CASE(timer_with_a_period_runs_each_period_until_stopped) {
    must_run(period_main, NULL);
    ASSERT_ALL_MUST();
}

/* A run that is late makes no later one late: of many runs some come so soon after their own point of the grid that they would
 * not, were each period counted from the run before. */
static int drift_main(void *arg) {
    counter c = {0};
    pintle_timer *timer = timer_of(count_run, &c);
    int64_t first = pintle_after(PINTLE_MS(2)), period = PINTLE_MS(2), least = INT64_MAX;
    (void)arg;
    MUST_BE(pintle_timer_set(timer, first, period), 0);
    for (int i = 0; i < 60; i++) {
        await_run(&c);
        if (i < 30) pass(PINTLE_US(300)); /* the processor is busy when the next is due, sometimes */
    }
    pintle_timer_stop(timer);
    for (unsigned k = 30; k < 60; k++) {
        int64_t phase = (c.at[k] - first) % period;
        if (phase < least) least = phase;
    }
    MUST(least < PINTLE_MS(1));
    pintle_timer_free(timer);
    return 0;
}

CASE(timer_with_a_period_does_not_drift) {
    must_run(drift_main, NULL);
    ASSERT_ALL_MUST();
}

/* Whole periods that nobody could look at are one expiry, and the grid stays. */
static int missed_main(void *arg) {
    counter c = {0};
    pintle_timer *timer = timer_of(count_run, &c);
    int64_t first = pintle_after(PINTLE_MS(1)), period = PINTLE_MS(10);
    (void)arg;
    MUST_BE(pintle_timer_set(timer, first, period), 0);
    while (pintle_now() < first + 3 * period + period / 4) {}
    await_run(&c);
    MUST_BE(pintle_sem_count(&c.runs), 0);
    await_run(&c);
    MUST(c.at[1] >= first + 4 * period);
    MUST((c.at[1] - first) / period > (c.at[0] - first) / period); /* not twice in one period */
    pintle_timer_free(timer);
    return 0;
}

CASE(timer_periods_that_were_missed_are_one_expiry) {
    must_run_strict(missed_main, NULL);
    ASSERT_ALL_MUST();
}

/* ---- Stopping ---- */

static int stop_main(void *arg) {
    counter c = {0};
    pintle_timer *timer = timer_of(count_run, &c);
    (void)arg;
    MUST(!pintle_timer_stop(timer)); /* never set */
    MUST_BE(pintle_timer_set(timer, pintle_after(PINTLE_S(3600)), 0), 0);
    MUST(pintle_timer_stop(timer));
    MUST(!pintle_timer_stop(timer));
    MUST_BE(pintle_timer_set(timer, PINTLE_FOREVER, 0), 0);
    MUST(!pintle_timer_stop(timer)); /* would never have come */
    MUST_BE(pintle_timer_set(timer, pintle_after(PINTLE_US(100)), 0), 0);
    MUST(pintle_timer_stop(timer));
    pass(PINTLE_MS(2));
    let_timers_run();
    MUST_BE(c.ran, 0);
    MUST_BE(pintle_timer_set(timer, PINTLE_NOWAIT, 0), 0);
    await_run(&c);
    MUST(!pintle_timer_stop(timer)); /* it has begun */
    MUST_BE(pintle_timer_set(timer, PINTLE_NOWAIT, PINTLE_S(3600)), 0);
    await_run(&c);
    MUST(pintle_timer_stop(timer)); /* the next ones */
    MUST_BE(c.ran, 2);
    pintle_timer_free(timer);
    return 0;
}

CASE(timer_stop_tells_whether_it_prevented_an_expiry) {
    must_run_strict(stop_main, NULL);
    ASSERT_ALL_MUST();
}

/* Due, even with its task made, but the function has not begun: true, and it does not begin. */
typedef struct just_made {
    counter c;
    pintle_timer *timer;
    bool prevented;
} just_made;
static void stop_the_other(void *arg) {
    just_made *j = arg;
    j->prevented = pintle_timer_stop(j->timer);
}
static int stop_due_main(void *arg) {
    just_made j = {0};
    (void)arg;
    for (int round = 0; round < 20; round++) {
        /* Two are due: who runs first stops the other, whose task may be made by then. */
        pintle_timer *first = timer_of(stop_the_other, &j);
        j.timer = timer_of(count_run, &j.c);
        j.prevented = false;
        unsigned ran = atomic_load(&j.c.ran);
        int64_t now = pintle_now();
        MUST_BE(pintle_timer_set(first, now, 0), 0);
        MUST_BE(pintle_timer_set(j.timer, now + 1, 0), 0);
        pass(PINTLE_US(100));
        let_timers_run();
        MUST(j.prevented);
        MUST_BE(j.c.ran, ran);
        pintle_timer_free(first);
        pintle_timer_free(j.timer);
    }
    return 0;
}

CASE(timer_stopped_when_due_but_not_begun_does_not_begin) {
    must_run_strict(stop_due_main, NULL);
    ASSERT_ALL_MUST();
}

/* ---- Setting again ---- */

static int set_again_main(void *arg) {
    counter c = {0};
    pintle_timer *timer = timer_of(count_run, &c);
    (void)arg;
    /* Earlier, later, over and over: only the last holds. */
    MUST_BE(pintle_timer_set(timer, pintle_after(PINTLE_S(3600)), 0), 0);
    int64_t deadline = pintle_after(PINTLE_MS(3));
    MUST_BE(pintle_timer_set(timer, deadline, 0), 0);
    await_run(&c);
    MUST(c.at[0] >= deadline);
    for (int i = 0; i < 100; i++) MUST_BE(pintle_timer_set(timer, pintle_after(PINTLE_US(50 * (i % 3))), 0), 0);
    deadline = pintle_after(PINTLE_MS(20));
    MUST_BE(pintle_timer_set(timer, deadline, 0), 0);
    unsigned ran = atomic_load(&c.ran);
    while (atomic_load(&c.ran) == ran) await_run(&c);
    MUST(c.at[ran] >= deadline || ran >= ELEMENTS(c.at));
    /* A period that is set to once; a due one that is put off. */
    MUST_BE(pintle_timer_set(timer, PINTLE_NOWAIT, PINTLE_US(10)), 0);
    pass(PINTLE_MS(1));
    MUST_BE(pintle_timer_set(timer, pintle_after(PINTLE_S(3600)), 0), 0);
    ran = atomic_load(&c.ran);
    let_timers_run();
    MUST(atomic_load(&c.ran) <= ran + 1);
    MUST(pintle_timer_stop(timer));
    pintle_timer_free(timer);
    return 0;
}

CASE(timer_set_again_forgets_what_it_was_set_to) {
    must_run(set_again_main, NULL);
    ASSERT_ALL_MUST();
}

/* Its own function sets it again; frees it. */
typedef struct self_set {
    pintle_timer *timer;
    atomic_uint ran;
    pintle_event done;
} self_set;
static void set_itself(void *arg) {
    self_set *s = arg;
    if (atomic_fetch_add(&s->ran, 1) < 50) {
        MUST_BE(pintle_timer_set(s->timer, PINTLE_NOWAIT, 0), 0);
    } else {
        pintle_timer_free(s->timer);
        pintle_event_set(&s->done);
    }
}
static int self_main(void *arg) {
    self_set s = {.done = PINTLE_EVENT_INIT};
    (void)arg;
    s.timer = timer_of(set_itself, &s);
    MUST_BE(pintle_timer_set(s.timer, PINTLE_NOWAIT, 0), 0);
    MUST_BE(pintle_event_wait(&s.done, PINTLE_FOREVER), 0);
    MUST_BE(s.ran, 51);
    return 0;
}

CASE(timer_function_may_set_and_free_its_own_timer) {
    must_run(self_main, NULL);
    ASSERT_ALL_MUST();
}

/* ---- Slow functions ---- */

typedef struct slow {
    pintle_event go;
    atomic_uint inside, most, ran;
    pintle_sem begun, ended;
} slow;
static void wait_for_go(void *arg) {
    slow *s = arg;
    unsigned now = atomic_fetch_add(&s->inside, 1) + 1;
    if (now > atomic_load(&s->most)) atomic_store(&s->most, now);
    atomic_fetch_add(&s->ran, 1);
    pintle_sem_post(&s->begun);
    pintle_event_wait(&s->go, PINTLE_FOREVER);
    atomic_fetch_sub(&s->inside, 1);
    pintle_sem_post(&s->ended);
}
static void set_go(void *arg) { pintle_event_set(&((slow *)arg)->go); }

static int slow_main(void *arg) {
    slow s = {0};
    pintle_timer *blocked[10], *helper = timer_of(set_go, &s);
    (void)arg;
    for (int i = 0; i < 10; i++) {
        blocked[i] = timer_of(wait_for_go, &s);
        MUST_BE(pintle_timer_set(blocked[i], PINTLE_NOWAIT, 0), 0);
    }
    for (int i = 0; i < 10; i++) MUST_BE(pintle_sem_wait(&s.begun, PINTLE_FOREVER), 0);
    MUST_BE(pintle_timer_set(helper, pintle_after(PINTLE_MS(1)), 0),
            0); /* later than those that block, and before they end */
    for (int i = 0; i < 10; i++) MUST_BE(pintle_sem_wait(&s.ended, PINTLE_FOREVER), 0);
    MUST_BE(s.most, 10);
    for (int i = 0; i < 10; i++) pintle_timer_free(blocked[i]);
    pintle_timer_free(helper);
    return 0;
}

CASE(timer_functions_that_block_delay_no_others) {
    must_run(slow_main, NULL);
    ASSERT_ALL_MUST();
}

static int not_twice_main(void *arg) {
    slow s = {0};
    pintle_timer *timer = timer_of(wait_for_go, &s);
    (void)arg;
    MUST_BE(pintle_timer_set(timer, PINTLE_NOWAIT, PINTLE_US(200)), 0);
    MUST_BE(pintle_sem_wait(&s.begun, PINTLE_FOREVER), 0);
    for (int i = 0; i < 20; i++) pintle_sleep(PINTLE_US(300)); /* many expiries */
    MUST_BE(s.ran, 1);
    MUST_BE(s.inside, 1);
    pintle_event_set(&s.go);
    /* What came meanwhile is one more run, at once; then the periods go on. */
    for (int i = 0; i < 3; i++) MUST_BE(pintle_sem_wait(&s.begun, PINTLE_FOREVER), 0);
    MUST(pintle_timer_stop(timer));
    MUST_BE(s.most, 1);
    pintle_timer_free(timer);
    /* The same by setting it again while it runs. */
    slow again = {0};
    timer = timer_of(wait_for_go, &again);
    MUST_BE(pintle_timer_set(timer, PINTLE_NOWAIT, 0), 0);
    MUST_BE(pintle_sem_wait(&again.begun, PINTLE_FOREVER), 0);
    MUST_BE(pintle_timer_set(timer, PINTLE_NOWAIT, 0), 0);
    pass(PINTLE_US(100));
    let_timers_run();
    MUST_BE(again.ran, 1);
    pintle_event_set(&again.go);
    MUST_BE(pintle_sem_wait(&again.begun, PINTLE_FOREVER), 0);
    for (int i = 0; i < 2; i++) MUST_BE(pintle_sem_wait(&again.ended, PINTLE_FOREVER), 0);
    MUST_BE(again.most, 1);
    pintle_timer_free(timer);
    return 0;
}

CASE(timer_function_never_runs_twice_at_once) {
    must_run(not_twice_main, NULL);
    ASSERT_ALL_MUST();
}

static int free_running_main(void *arg) {
    slow s = {0};
    pintle_timer *timer = timer_of(wait_for_go, &s);
    (void)arg;
    MUST_BE(pintle_timer_set(timer, PINTLE_NOWAIT, PINTLE_US(100)), 0);
    MUST_BE(pintle_sem_wait(&s.begun, PINTLE_FOREVER), 0);
    pass(PINTLE_US(200)); /* one more is due */
    pintle_yield();
    pintle_timer_free(timer);
    pintle_event_set(&s.go);
    MUST_BE(pintle_sem_wait(&s.ended, PINTLE_FOREVER), 0);
    let_timers_run();
    MUST_BE(s.ran, 1);
    pintle_timer_free(NULL);
    return 0;
}

CASE(timer_freed_while_its_function_runs_lets_it_end_and_begins_none) {
    must_run(free_running_main, NULL);
    ASSERT_ALL_MUST();
}

/* ---- Panics and exits ---- */

static void die(void *arg) {
    counter *c = arg;
    unsigned number = atomic_fetch_add(&c->ran, 1);
    pintle_sem_post(&c->runs);
    if (number % 2 == 0) pintle_panic("a timer's function panics");
    pintle_task_exit();
}
static void no_report(void *user, int kind, const char *text) {
    (void)kind;
    if (strstr(text, "a timer's function panics") != NULL) atomic_fetch_add((atomic_uint *)user, 1);
}
static void die_task(void *arg) {
    counter *c = arg;
    pintle_timer *timer = timer_of(die, c);
    MUST_BE(pintle_timer_set(timer, PINTLE_NOWAIT, PINTLE_US(100)), 0);
    for (int i = 0; i < 10; i++) await_run(c);
    pintle_timer_free(timer);
}

CASE(timer_whose_function_panics_or_exits_goes_on) {
    counter c = {0};
    atomic_uint reports = 0;
    pintle_options options = helper_processors(2);
    options.on_report = no_report;
    options.user = &reports;
    ck_assert_int_eq(pintle_start(&options), 0); /* in library mode only the task dies */
    ck_assert_int_eq(pintle_enter(die_task, &c), 0);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    ck_assert_uint_ge(c.ran, 10);
    ck_assert_uint_ge(reports, 5);
    ASSERT_ALL_MUST();
}

/* ---- Many ---- */

enum { MANY = 100000 };
typedef struct many {
    pintle_timer *timers[MANY];
    unsigned order[MANY], expected[MANY];
    atomic_uint ran;
    int64_t base;
    uint64_t live;
} many;
static many *the_many;
static void note_order(void *arg) {
    unsigned number = atomic_fetch_add(&the_many->ran, 1);
    the_many->order[number] = (unsigned)(uintptr_t)arg;
}

static int many_main(void *arg) {
    many *m = arg;
    pintle_stats stats;
    unsigned stopped = 0;
    for (unsigned i = 0; i < MANY; i++) m->timers[i] = timer_of(note_order, (void *)(uintptr_t)i);
    m->base = pintle_after(PINTLE_S(3600));
    for (unsigned i = 0; i < MANY; i++) MUST_BE(pintle_timer_set(m->timers[i], m->base + (int64_t)i, 0), 0);
    pintle_stats_get(&stats);
    m->live = stats.timers;
    for (unsigned i = 0; i < MANY; i += 2) stopped += pintle_timer_stop(m->timers[i]);
    MUST_BE(stopped, MANY / 2);
    /* The others expire, in the order of their deadlines, which is not that of their numbers. */
    m->base = pintle_after(PINTLE_MS(1));
    for (unsigned i = 1; i < MANY; i += 2) {
        unsigned place = (unsigned)((uint64_t)(i / 2) * 7919 % (MANY / 2));
        m->expected[place] = i;
        MUST_BE(pintle_timer_set(m->timers[i], m->base + (int64_t)place, 0), 0);
    }
    while (atomic_load(&m->ran) < MANY / 2) let_timers_run();
    MUST_BE(pintle_check(), 0);
    return 0;
}

CASE_TIMEOUT(timers_100000_live_expire_in_the_order_of_their_deadlines, 60) {
    the_many = calloc(1, sizeof *the_many);
    ck_assert_ptr_nonnull(the_many);
    must_run_strict(many_main, the_many);
    ASSERT_ALL_MUST();
    ck_assert_uint_ge(the_many->live, MANY);
    ck_assert_uint_eq(the_many->ran, MANY / 2);
    unsigned misplaced = 0; /* those that were due before the last was set come first */
    for (unsigned i = 1; i < MANY / 2; i++) misplaced += the_many->order[i] != the_many->expected[i];
    ck_assert_uint_lt(misplaced, MANY / 2);
    for (unsigned i = 0; i < MANY; i++) pintle_timer_free(the_many->timers[i]);
    free(the_many);
}

enum { FEW = 2000 };
static int order_main(void *arg) {
    many *m = arg;
    for (unsigned i = 0; i < FEW; i++) m->timers[i] = timer_of(note_order, (void *)(uintptr_t)i);
    do {
        m->base = pintle_after(PINTLE_MS(5));
        for (unsigned i = 0; i < FEW; i++)
            pintle_timer_set(m->timers[i], m->base + (int64_t)((uint64_t)i * 769 % FEW) * 100, 0);
    } while (pintle_now() >= m->base); /* too slow: once more */
    while (pintle_now() < m->base + FEW * 100) {}
    while (atomic_load(&m->ran) < FEW) pintle_yield();
    for (unsigned i = 0; i < FEW; i++) pintle_timer_free(m->timers[i]);
    return 0;
}

CASE(timers_due_together_run_in_the_order_of_their_deadlines) {
    the_many = calloc(1, sizeof *the_many);
    ck_assert_ptr_nonnull(the_many);
    must_run_strict(order_main, the_many);
    ASSERT_ALL_MUST();
    ck_assert_uint_eq(the_many->ran, FEW);
    for (unsigned k = 0; k < FEW; k++) ck_assert_uint_eq((uint64_t)the_many->order[k] * 769 % FEW, k);
    free(the_many);
}

/* ---- From everywhere ---- */

static void set_from_thread(void *arg) {
    counter *c = arg;
    for (int i = 0; i < 30; i++) {
        pintle_timer *timer = timer_of(count_run, c);
        MUST_BE(pintle_timer_set(timer, pintle_after(PINTLE_US(i % 3 * 500)), 0), 0);
        await_run(c);
        MUST(!pintle_timer_stop(timer));
        MUST_BE(pintle_timer_set(timer, pintle_after(PINTLE_S(3600)), 0), 0);
        MUST(pintle_timer_stop(timer));
        pintle_timer_free(timer);
    }
}
static int set_in_call(void *arg) {
    set_from_thread(arg);
    return 0;
}
static int from_everywhere_main(void *arg) {
    counter c = {0};
    helper_thread thread;
    (void)arg;
    MUST(helper_thread_start(&thread, set_from_thread, &c));
    MUST_BE(pintle_call_blocking(set_in_call, &(counter){0}), 0);
    helper_thread_join(&thread);
    return 0;
}

CASE(timer_set_by_foreign_threads_and_in_calls_runs) {
    must_run(from_everywhere_main, NULL);
    counter c = {0};
    ck_assert_int_eq(pintle_start(NULL), 0);
    set_from_thread(&c); /* all processors are idle */
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    ASSERT_ALL_MUST();
}

/* A timer that a task of a processor set, moved by a foreign thread: what sleeps until then is told. */
static void move_it(void *arg) { MUST_BE(pintle_timer_set(arg, PINTLE_NOWAIT, 0), 0); }
static int move_main(void *arg) {
    (void)arg;
    for (int i = 0; i < 20; i++) {
        counter c = {0};
        helper_thread thread;
        pintle_timer *timer = timer_of(count_run, &c);
        MUST_BE(pintle_timer_set(timer, pintle_after(PINTLE_S(3600)), 0), 0);
        MUST(helper_thread_start(&thread, move_it, timer));
        await_run(&c);
        helper_thread_join(&thread);
        pintle_timer_free(timer);
    }
    return 0;
}

CASE(timer_moved_by_a_foreign_thread_wakes_the_idle_processor) {
    must_run(move_main, NULL);
    ASSERT_ALL_MUST();
}

/* ---- The runtime's start and stop ---- */

static int leave_set_main(void *arg) {
    pintle_timer **timers = arg;
    MUST_BE(pintle_timer_set(timers[0], pintle_after(PINTLE_S(3600)), 0), 0);
    MUST_BE(pintle_timer_set(timers[1], PINTLE_NOWAIT, PINTLE_US(50)), 0);
    MUST_BE(pintle_timer_set(timers[2], PINTLE_NOWAIT, 0), 0);
    pass(PINTLE_MS(1)); /* the last two are due when the runtime ends */
    return 0;
}

CASE(timer_outlives_the_runtime_and_is_not_set_any_more) {
    counter c = {0};
    pintle_timer *timers[3];
    pintle_error error;
    for (int i = 0; i < 3; i++) timers[i] = timer_of(count_run, &c);
    ck_assert_int_eq(pintle_timer_set(timers[0], pintle_after(0), 0), PINTLE_ESTOPPED);
    pintle_error_get(&error);
    ck_assert_msg(strstr(error.text, "pintle_timer_set") != NULL, "%s", error.text);
    ck_assert(!pintle_timer_stop(timers[0]));
    for (int round = 0; round < 3; round++) {
        ck_assert_int_eq(helper_run_strict(leave_set_main, timers), 0);
        for (int i = 0; i < 3; i++) ck_assert(!pintle_timer_stop(timers[i]));
    }
    ck_assert_int_eq(pintle_start(NULL), 0);
    unsigned ran = atomic_load(&c.ran);
    ck_assert_int_eq(pintle_timer_set(timers[1], pintle_after(PINTLE_S(3600)), 0), 0);
    while (pintle_sem_count(&c.runs) != 0) await_run(&c);
    ck_assert_int_eq(pintle_timer_set(timers[0], PINTLE_NOWAIT, 0), 0);
    await_run(&c);
    ck_assert_uint_eq(c.ran, ran + 1);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0); /* a set timer is nobody who is left */
    ck_assert(!pintle_timer_stop(timers[1]));
    for (int i = 0; i < 3; i++) pintle_timer_free(timers[i]);
    ASSERT_ALL_MUST();
}

/* A set timer will wake somebody: no deadlock. */
static void set_event(void *arg) { pintle_event_set(arg); }
static int no_deadlock_main(void *arg) {
    pintle_event event = PINTLE_EVENT_INIT;
    pintle_timer *timer = timer_of(set_event, &event);
    (void)arg;
    MUST_BE(pintle_timer_set(timer, pintle_after(PINTLE_MS(600)), 0), 0);
    MUST_BE(pintle_event_wait(&event, PINTLE_FOREVER), 0);
    pintle_timer_free(timer);
    return 0;
}

CASE(timer_that_is_set_is_no_deadlock) {
    must_run(no_deadlock_main, NULL);
    ASSERT_ALL_MUST();
}

/* ---- Refusals ---- */

static int refusals_main(void *arg) {
    counter c = {0};
    pintle_timer *timer = timer_of(count_run, &c);
    pintle_error error;
    (void)arg;
    MUST_BE(pintle_timer_set(timer, pintle_after(PINTLE_S(3600)), 0), 0);
    MUST_BE(pintle_timer_set(timer, PINTLE_MS(5), 0), PINTLE_EINVAL);
    pintle_error_get(&error);
    MUST(strstr(error.text, "pintle_after") != NULL);
    MUST_BE(pintle_timer_set(timer, PINTLE_NOWAIT, -1), PINTLE_EINVAL);
    pintle_error_get(&error);
    MUST(strstr(error.text, "period") != NULL);
    MUST(pintle_timer_stop(timer)); /* as it was */
    MUST_BE(pintle_timer_new(NULL, count_run, &c), PINTLE_EINVAL);
    /* Periods so long that their end is past the clock's. */
    MUST_BE(pintle_timer_set(timer, PINTLE_NOWAIT, INT64_MAX), 0);
    await_run(&c);
    let_timers_run();
    MUST_BE(c.ran, 1);
    MUST(pintle_timer_stop(timer));
    pintle_timer_free(timer);
    return 0;
}

CASE(timer_refuses_durations_as_deadlines_and_negative_periods) {
    must_run_strict(refusals_main, NULL);
    ASSERT_ALL_MUST();
}

/* max_tasks is reached when it is due: the function waits for a task to end, and comes then. */
static void wait_event(void *arg) { pintle_event_wait(arg, PINTLE_FOREVER); }
static int limit_main(void *arg) {
    counter c = {0}, periodic = {0};
    pintle_event end = PINTLE_EVENT_INIT;
    pintle_task *tasks[2];
    pintle_timer *timer = timer_of(count_run, &c), *other = timer_of(count_run, &periodic);
    (void)arg;
    MUST_BE(helper_spawn_all(tasks, 2, wait_event, &end), 0); /* with main: all three */
    MUST_BE(pintle_timer_set(timer, PINTLE_NOWAIT, 0), 0);
    MUST_BE(pintle_timer_set(other, PINTLE_NOWAIT, PINTLE_S(3600)), 0);
    for (int i = 0; i < 5; i++) let_timers_run();
    MUST_BE(c.ran, 0);
    MUST_BE(periodic.ran, 0);
    pintle_event_set(&end);
    MUST_BE(helper_join_all(tasks, 2), 0);
    await_run(&c);
    await_run(&periodic); /* not an hour later */
    let_timers_run();
    MUST_BE(c.ran, 1);
    MUST_BE(periodic.ran, 1);
    MUST(!pintle_timer_stop(timer));
    MUST(pintle_timer_stop(other));
    /* One that cannot begin can be stopped. */
    pintle_event_reset(&end);
    MUST_BE(helper_spawn_all(tasks, 2, wait_event, &end), 0);
    MUST_BE(pintle_timer_set(timer, PINTLE_NOWAIT, 0), 0);
    let_timers_run();
    MUST(pintle_timer_stop(timer));
    pintle_event_set(&end);
    MUST_BE(helper_join_all(tasks, 2), 0);
    let_timers_run();
    MUST_BE(c.ran, 1);
    pintle_timer_free(timer);
    pintle_timer_free(other);
    return 0;
}

CASE(timer_due_without_a_task_to_be_had_runs_later) {
    pintle_options options = helper_processors(1);
    options.max_tasks = 3;
    ck_assert_int_eq(pintle_run(limit_main, NULL, &options), 0);
    ASSERT_ALL_MUST();
}

/* ---- Select ---- */

static int select_main(void *arg) {
    pintle_timer *timer = timer_of(NULL, NULL), *other = timer_of(NULL, NULL);
    uint64_t count = 0;
    pintle_case cases[] = {pintle_case_timer(timer), pintle_case_timer(other)};
    (void)arg;
    MUST_BE(pintle_select(cases, 2, PINTLE_NOWAIT), PINTLE_EAGAIN);
    MUST_BE(pintle_select(cases, 2, pintle_after(PINTLE_MS(1))), PINTLE_ETIMEDOUT);
    int64_t deadline = pintle_after(PINTLE_MS(3));
    MUST_BE(pintle_timer_set(other, deadline, 0), 0);
    cases[1].status = 99;
    MUST_BE(pintle_select(cases, 2, PINTLE_FOREVER), 1);
    MUST(pintle_now() >= deadline);
    MUST_BE(cases[1].status, 0);
    MUST(!pintle_timer_stop(other)); /* it was received */
    MUST_BE(pintle_select(cases, 2, PINTLE_NOWAIT), PINTLE_EAGAIN);
    /* Expired before anybody looks; stopped or set again, what nobody received is gone. */
    MUST_BE(pintle_timer_set(timer, PINTLE_NOWAIT, 0), 0);
    pass(PINTLE_US(100));
    let_timers_run();
    MUST_BE(pintle_select(cases, 2, PINTLE_NOWAIT), 0);
    MUST_BE(pintle_timer_set(timer, PINTLE_NOWAIT, 0), 0);
    let_timers_run();
    MUST(pintle_timer_stop(timer));
    MUST_BE(pintle_select(cases, 2, PINTLE_NOWAIT), PINTLE_EAGAIN);
    MUST_BE(pintle_timer_set(timer, PINTLE_NOWAIT, 0), 0);
    let_timers_run();
    MUST_BE(pintle_timer_set(timer, pintle_after(PINTLE_S(3600)), 0), 0);
    MUST_BE(pintle_select(cases, 2, PINTLE_NOWAIT), PINTLE_EAGAIN);
    /* Periods: all that expired since the last are one receive, and counted. */
    MUST_BE(pintle_timer_set(timer, PINTLE_NOWAIT, PINTLE_US(500)), 0);
    for (int i = 0; i < 5; i++) pintle_sleep(PINTLE_US(600));
    cases[0].item = &count;
    MUST_BE(pintle_select(cases, 2, PINTLE_FOREVER), 0);
    MUST(count >= 2);
    MUST_BE(pintle_select(cases, 2, PINTLE_FOREVER), 0);
    MUST(count >= 1);
    MUST(pintle_timer_stop(timer));
    pintle_timer_free(timer);
    pintle_timer_free(other);
    return 0;
}

CASE(select_receives_a_timer_that_expired) {
    must_run(select_main, NULL);
    ASSERT_ALL_MUST();
}

/* Several wait for one timer: one expiry wakes one, in the order of their arrival; a stop wakes nobody. */
typedef struct queue {
    pintle_timer *timer;
    atomic_uint waiting, served;
    unsigned order[3];
} queue;
static void wait_in_queue(void *arg) {
    queue *q = arg;
    unsigned me = atomic_fetch_add(&q->waiting, 1);
    pintle_case wait = pintle_case_timer(q->timer);
    MUST_BE(pintle_select(&wait, 1, PINTLE_FOREVER), 0);
    q->order[atomic_fetch_add(&q->served, 1)] = me;
}
static int queue_main(void *arg) {
    queue q = {.timer = timer_of(NULL, NULL)};
    pintle_task *tasks[3];
    (void)arg;
    MUST_BE(helper_spawn_all(tasks, 3, wait_in_queue, &q), 0);
    must_yield_until(&q.waiting, 3);
    MUST_BE(pintle_timer_set(q.timer, pintle_after(PINTLE_S(3600)), 0), 0);
    MUST(pintle_timer_stop(q.timer));
    for (unsigned i = 0; i < 3; i++) {
        let_timers_run();
        MUST_BE(q.served, i);
        MUST_BE(pintle_timer_set(q.timer, PINTLE_NOWAIT, 0), 0);
        must_yield_until(&q.served, i + 1);
        MUST(!pintle_timer_stop(q.timer));
    }
    MUST_BE(helper_join_all(tasks, 3), 0);
    for (unsigned i = 0; i < 3; i++) MUST_BE(q.order[i], i);
    pintle_timer_free(q.timer);
    return 0;
}

CASE(select_by_several_on_one_timer_wakes_one_for_each_expiry) {
    must_run_strict(queue_main, NULL);
    ASSERT_ALL_MUST();
}

/* Go's time-out idiom, with a channel; and a thread that is no task. */
static void select_on_thread(void *arg) {
    pintle_timer *timer = timer_of(NULL, NULL);
    pintle_chan *c = NULL;
    int item = 0;
    (void)arg;
    MUST_BE(pintle_chan_new(&c, sizeof item, 0), 0);
    pintle_case cases[] = {pintle_case_recv(c, &item), pintle_case_timer(timer)};
    for (int i = 0; i < 10; i++) {
        MUST_BE(pintle_timer_set(timer, pintle_after(PINTLE_US(i * 100)), 0), 0);
        MUST_BE(pintle_select(cases, 2, PINTLE_FOREVER), 1);
    }
    pintle_chan_free(c);
    pintle_timer_free(timer);
}
static int select_anywhere_main(void *arg) {
    helper_thread thread;
    (void)arg;
    MUST(helper_thread_start(&thread, select_on_thread, NULL));
    select_on_thread(NULL);
    helper_thread_join(&thread);
    return 0;
}

CASE(select_times_out_by_a_timer_in_tasks_and_threads) {
    must_run(select_anywhere_main, NULL);
    ASSERT_ALL_MUST();
}

/* A function and a select: each has the expiry. */
static int both_main(void *arg) {
    counter c = {0};
    pintle_timer *timer = timer_of(count_run, &c);
    pintle_case wait = pintle_case_timer(timer);
    (void)arg;
    MUST_BE(pintle_timer_set(timer, pintle_after(PINTLE_MS(1)), 0), 0);
    MUST_BE(pintle_select(&wait, 1, PINTLE_FOREVER), 0);
    await_run(&c);
    MUST_BE(c.ran, 1);
    pintle_timer_free(timer);
    return 0;
}

CASE(timer_with_a_function_can_be_selected_on_too) {
    must_run(both_main, NULL);
    ASSERT_ALL_MUST();
}
