/* test_cancel_scope.c: scopes: what belongs to them, what cancels them, what closing tells. What a cancel ends: test_cancel.c. */
#include "api_helpers.h"

enum { MANY = 200 };

/* What a body needs beside its scope; each case has one. */
typedef struct stage {
    pintle_event go, stop;
    pintle_sem begun;
    atomic_uint ran, ended, canceled, reasons;
    int results[8];
    pintle_error errors[4];
    pintle_scope *scope;
    pintle_chan *chan;
    unsigned left; /* tasks, when all is over */
} stage;

typedef struct scene {
    pintle_main_fn *body;
    stage *stage;
} scene;

static int scene_main(void *arg) {
    scene *s = arg;
    pintle_stats stats;
    int result = s->body(s->stage);
    pintle_stats_get(&stats);
    s->stage->left = (unsigned)stats.tasks - 1;
    return result;
}

/* Runs body as the main task; 0 from it: it went through. Afterwards no task was left. */
static void play(pintle_main_fn *body, stage *on, unsigned processors) {
    scene s = {body, on};
    pintle_event_init(&on->go);
    pintle_event_init(&on->stop);
    pintle_sem_init(&on->begun, 0);
    ck_assert_int_eq(helper_run(scene_main, &s, processors), 0);
    ck_assert_uint_eq(on->left, 0);
}
static void play_both(pintle_main_fn *body, void (*check)(stage *s)) {
    for (unsigned processors = 1; processors <= 2; processors++) {
        stage s = {.left = 0};
        play(body, &s, processors);
        check(&s);
    }
}

#define TRY(call) \
    do { \
        if ((call) != 0) return __LINE__; \
    } while (0)

/* Waits for what never comes, until it is cancelled. */
static void until_canceled(void *arg) {
    stage *s = arg;
    atomic_fetch_add(&s->ran, 1);
    pintle_sem_post(&s->begun);
    if (pintle_event_wait(&s->go, PINTLE_FOREVER) == PINTLE_ECANCELED) atomic_fetch_add(&s->canceled, 1);
    if (pintle_cancel_reason() == PINTLE_ETIMEDOUT) atomic_fetch_add(&s->reasons, 1);
    atomic_fetch_add(&s->ended, 1);
}
static int until_canceled_go(void *arg) {
    until_canceled(arg);
    return 0;
}
static void short_work(void *arg) {
    stage *s = arg;
    for (int i = 0; i < 3; i++) pintle_yield();
    atomic_fetch_add(&s->ended, 1);
}

/* ---- Closing waits ---- */

static int close_waits(void *arg) {
    stage *s = arg;
    pintle_scope *scope;
    for (int round = 0; round < 50; round++) {
        unsigned before = atomic_load(&s->ended);
        TRY(pintle_scope_open(&scope, PINTLE_FOREVER));
        for (int i = 0; i < MANY; i++) TRY(pintle_scope_spawn(scope, short_work, s));
        TRY(pintle_scope_close(scope));
        if (atomic_load(&s->ended) - before != MANY) return __LINE__;
    }
    return 0;
}
static void check_nothing(stage *s) { (void)s; }
CASE(scope_close_waits_for_all_its_tasks) { play_both(close_waits, check_nothing); }

static void grandchild(void *arg) {
    stage *s = arg;
    for (int i = 0; i < 20; i++) pintle_yield();
    atomic_fetch_add(&s->ended, 1);
}
static void child(void *arg) {
    pintle_task *task;
    pintle_spawn(NULL, grandchild, arg);
    if (pintle_spawn(&task, grandchild, arg) == 0) pintle_task_detach(task);
}
static int plain_spawns(void *arg) {
    stage *s = arg;
    TRY(pintle_scope_open(&s->scope, PINTLE_FOREVER));
    for (int i = 0; i < 10; i++) TRY(pintle_scope_spawn(s->scope, child, s));
    TRY(pintle_scope_close(s->scope));
    return atomic_load(&s->ended) == 20 ? 0 : __LINE__;
}
CASE(scope_has_what_its_tasks_spawn_plainly) { play_both(plain_spawns, check_nothing); }

static void outlive(void *arg) {
    pintle_task_options none = {.size = sizeof none, .scope = PINTLE_SCOPE_NONE};
    pintle_spawn_with(NULL, until_canceled, arg, &none);
}
static int none_outlives(void *arg) {
    stage *s = arg;
    TRY(pintle_scope_open(&s->scope, PINTLE_FOREVER));
    TRY(pintle_scope_spawn(s->scope, outlive, s));
    TRY(pintle_sem_wait(&s->begun, PINTLE_FOREVER));
    pintle_scope_cancel(s->scope);
    TRY(pintle_scope_close(s->scope));
    s->results[0] = (int)atomic_load(&s->ended);
    pintle_event_set(&s->go);
    while (atomic_load(&s->ended) == 0) pintle_yield();
    pintle_stats stats;
    do pintle_yield();
    while (pintle_stats_get(&stats), stats.tasks > 1);
    return 0;
}
static void check_outlived(stage *s) {
    ck_assert_int_eq(s->results[0], 0);
    ck_assert_uint_eq(s->canceled, 0);
}
CASE(scope_none_outlives_the_scope_and_its_cancel) { play_both(none_outlives, check_outlived); }

static int by_options(void *arg) {
    stage *s = arg;
    pintle_task *task;
    TRY(pintle_scope_open(&s->scope, PINTLE_FOREVER));
    pintle_task_options options = {.size = sizeof options, .name = "member", .scope = s->scope};
    TRY(pintle_spawn_with(&task, until_canceled, s, &options));
    TRY(pintle_sem_wait(&s->begun, PINTLE_FOREVER));
    s->results[0] = pintle_scope_wait(s->scope, pintle_after(PINTLE_MS(2)));
    pintle_error_get(&s->errors[0]);
    s->results[1] = pintle_scope_wait(s->scope, PINTLE_NOWAIT);
    pintle_error_get(&s->errors[1]);
    s->results[2] = pintle_scope_wait(s->scope, 5);
    pintle_scope_cancel(s->scope);
    s->results[3] = pintle_scope_wait(s->scope, PINTLE_FOREVER);
    s->results[4] = pintle_join(task, PINTLE_FOREVER);
    TRY(pintle_scope_close(s->scope));
    return 0;
}
static void check_options(stage *s) {
    ck_assert_int_eq(s->results[0], PINTLE_ETIMEDOUT);
    ck_assert_msg(strstr(s->errors[0].text, "1 task is left in the scope: task 2 'member'") != NULL, "%s",
                  s->errors[0].text);
    ck_assert_int_eq(s->results[1], PINTLE_EAGAIN);
    ck_assert_msg(strstr(s->errors[1].text, "'member'") != NULL, "%s", s->errors[1].text);
    ck_assert_int_eq(s->results[2], PINTLE_EINVAL);
    ck_assert_int_eq(s->results[3], 0);
    ck_assert_int_eq(s->results[4], 0);
    ck_assert_uint_eq(s->canceled, 1);
}
CASE(scope_of_options_has_the_task_and_names_it) { play_both(by_options, check_options); }

/* ---- Cancelling ---- */

static int cancel_all_of(void *arg) {
    stage *s = arg;
    TRY(pintle_scope_open(&s->scope, PINTLE_FOREVER));
    for (int i = 0; i < MANY; i++) TRY(pintle_scope_spawn(s->scope, until_canceled, s));
    for (int i = 0; i < MANY; i++) TRY(pintle_sem_wait(&s->begun, PINTLE_FOREVER));
    if (pintle_scope_canceled(s->scope)) return __LINE__;
    pintle_scope_cancel(s->scope);
    pintle_scope_cancel(s->scope);
    if (!pintle_scope_canceled(s->scope)) return __LINE__;
    TRY(pintle_scope_close(s->scope));                              /* a cancel is no failure */
    if (pintle_canceled() || pintle_sleep(1) != 0) return __LINE__; /* the opener is no member */
    return 0;
}
static void check_all_canceled(stage *s) {
    ck_assert_uint_eq(s->canceled, MANY);
    ck_assert_uint_eq(s->ended, MANY);
    ck_assert_uint_eq(s->reasons, 0);
}
CASE(scope_cancel_ends_the_waits_of_all) { play_both(cancel_all_of, check_all_canceled); }

static int born_canceled(void *arg) {
    stage *s = arg;
    TRY(pintle_scope_open(&s->scope, PINTLE_FOREVER));
    pintle_scope_cancel(s->scope);
    for (int i = 0; i < MANY; i++) TRY(pintle_scope_spawn(s->scope, until_canceled, s));
    TRY(pintle_scope_close(s->scope));
    return 0;
}
CASE(scope_canceled_runs_new_tasks_that_are_canceled) { play_both(born_canceled, check_all_canceled); }

/* The deadline of an outer scope, inherited by inner ones, three deep, each opened by a task of the one around it. */
static void open_inner(void *arg) {
    stage *s = arg;
    pintle_scope *inner;
    unsigned depth = atomic_fetch_add(&s->reasons, 100) / 100;
    if (pintle_scope_open(&inner, depth == 0 ? pintle_after(PINTLE_S(100)) : PINTLE_FOREVER) != 0) return;
    for (int i = 0; i < 5; i++) pintle_scope_spawn(inner, until_canceled, s);
    if (depth < 2) pintle_scope_spawn(inner, open_inner, s);
    s->results[depth + 1] = pintle_scope_close(inner);
}
static int deadline_inherited(void *arg) {
    stage *s = arg;
    TRY(pintle_scope_open(&s->scope, pintle_after(PINTLE_MS(20))));
    TRY(pintle_scope_spawn(s->scope, open_inner, s));
    s->results[0] = pintle_scope_close(s->scope);
    pintle_error_get(&s->errors[0]);
    return 0;
}
static void check_inherited(stage *s) {
    for (int i = 0; i < 4; i++) ck_assert_int_eq(s->results[i], PINTLE_ETIMEDOUT);
    ck_assert_msg(strstr(s->errors[0].text, "deadline passed while it had") != NULL, "%s", s->errors[0].text);
    ck_assert_uint_eq(s->reasons, 300 + 15); /* each was told the deadline as the reason */
    ck_assert_uint_eq(s->canceled, 15);
}
CASE(scope_deadline_cancels_it_and_what_nests_in_it) { play_both(deadline_inherited, check_inherited); }

static void inner_sooner(void *arg) {
    stage *s = arg;
    pintle_scope *inner;
    if (pintle_scope_open(&inner, pintle_after(PINTLE_MS(5))) != 0) return;
    pintle_scope_spawn(inner, until_canceled, s);
    s->results[0] = pintle_scope_close(inner);
    s->results[1] = pintle_sleep(1);
}
static int deadline_sooner(void *arg) {
    stage *s = arg;
    TRY(pintle_scope_open(&s->scope, pintle_after(PINTLE_S(100))));
    TRY(pintle_scope_spawn(s->scope, inner_sooner, s));
    s->results[2] = pintle_scope_close(s->scope);
    return 0;
}
static void check_sooner(stage *s) {
    ck_assert_int_eq(s->results[0], PINTLE_ETIMEDOUT);
    ck_assert_int_eq(s->results[1], 0); /* the outer one goes on */
    ck_assert_int_eq(s->results[2], 0);
}
CASE(scope_inner_deadline_that_is_sooner_ends_the_inner_only) { play_both(deadline_sooner, check_sooner); }

static int deadline_past(void *arg) {
    stage *s = arg;
    int64_t deadlines[] = {PINTLE_NOWAIT, pintle_now()};
    for (int i = 0; i < 2; i++) {
        TRY(pintle_scope_open(&s->scope, deadlines[i]));
        if (!pintle_scope_canceled(s->scope)) return __LINE__;
        TRY(pintle_scope_spawn(s->scope, until_canceled, s));
        if (pintle_scope_close(s->scope) != PINTLE_ETIMEDOUT) return __LINE__;
        TRY(pintle_scope_open(&s->scope, deadlines[i]));
        TRY(pintle_scope_close(s->scope)); /* nobody was too late */
    }
    return pintle_scope_open(&s->scope, PINTLE_S(1)) == PINTLE_EINVAL ? 0 : __LINE__;
}
static void check_past(stage *s) { ck_assert_uint_eq(s->reasons, 2); }
CASE(scope_with_a_deadline_that_is_past_is_canceled_from_the_start) { play_both(deadline_past, check_past); }

/* ---- Failures ---- */

static int fails_with_7(void *arg) {
    stage *s = arg;
    pintle_event_wait(&s->stop, PINTLE_FOREVER);
    return 7;
}
static int fails_after_cancel(void *arg) {
    stage *s = arg;
    pintle_sem_post(&s->begun);
    return pintle_event_wait(&s->go, PINTLE_FOREVER); /* ECANCELED: a failure, but not the first */
}
static int first_failure(void *arg) {
    stage *s = arg;
    pintle_task_options named = {.size = sizeof named, .name = "seven"};
    TRY(pintle_scope_open(&s->scope, PINTLE_FOREVER));
    TRY(pintle_scope_go(s->scope, fails_with_7, s, &named));
    for (int i = 0; i < 20; i++) TRY(pintle_scope_go(s->scope, fails_after_cancel, s, NULL));
    for (int i = 0; i < 20; i++) TRY(pintle_scope_go(s->scope, until_canceled_go, s, NULL));
    for (int i = 0; i < 40; i++) TRY(pintle_sem_wait(&s->begun, PINTLE_FOREVER));
    pintle_event_set(&s->stop);
    s->results[0] = pintle_scope_wait(s->scope, PINTLE_FOREVER);
    s->results[1] = pintle_scope_close(s->scope);
    pintle_error_get(&s->errors[0]);
    return 0;
}
static void check_first(stage *s) {
    ck_assert_int_eq(s->results[0], 0); /* waiting tells only that they are gone */
    ck_assert_int_eq(s->results[1], 7);
    ck_assert_int_eq(s->errors[0].code, 7);
    ck_assert_msg(strstr(s->errors[0].text, "'seven' of the scope returned 7") != NULL, "%s", s->errors[0].text);
    ck_assert_uint_eq(s->canceled, 20);
}
CASE(scope_keeps_the_first_failure_which_cancels_it) { play_both(first_failure, check_first); }

static int tells(void *arg) {
    (void)arg;
    return pintle_error_set(PINTLE_ENOTFOUND, 2, "no such page");
}
static int failure_told(void *arg) {
    stage *s = arg;
    TRY(pintle_scope_open(&s->scope, PINTLE_FOREVER));
    TRY(pintle_scope_go(s->scope, tells, s, NULL));
    s->results[0] = pintle_scope_close(s->scope);
    pintle_error_get(&s->errors[0]);
    return 0;
}
static void check_told(stage *s) {
    ck_assert_int_eq(s->results[0], PINTLE_ENOTFOUND);
    ck_assert_int_eq((int)s->errors[0].os_code, 2);
    ck_assert_msg(strstr(s->errors[0].text, "returned PINTLE_ENOTFOUND") != NULL, "%s", s->errors[0].text);
    ck_assert_msg(strstr(s->errors[0].text, "no such page") != NULL, "%s", s->errors[0].text);
}
CASE(scope_failure_has_the_text_that_its_task_has_set) { play_both(failure_told, check_told); }

static void panics(void *arg) {
    stage *s = arg;
    pintle_event_wait(&s->stop, PINTLE_FOREVER);
    pintle_panic("the boiler broke");
}
static int panic_owned(void *arg) {
    stage *s = arg;
    TRY(pintle_scope_open(&s->scope, PINTLE_FOREVER));
    TRY(pintle_scope_spawn(s->scope, panics, s));
    for (int i = 0; i < MANY; i++) TRY(pintle_scope_spawn(s->scope, until_canceled, s));
    for (int i = 0; i < MANY; i++) TRY(pintle_sem_wait(&s->begun, PINTLE_FOREVER));
    pintle_event_set(&s->stop);
    s->results[0] = pintle_scope_close(s->scope);
    pintle_error_get(&s->errors[0]);
    return 0;
}
static void check_panic(stage *s) {
    ck_assert_int_eq(s->results[0], PINTLE_EPANIC);
    ck_assert_msg(strstr(s->errors[0].text, "the boiler broke") != NULL, "%s", s->errors[0].text);
    check_all_canceled(s);
}
CASE(scope_owns_the_panic_of_its_task_and_is_canceled) { play_both(panic_owned, check_panic); }

static void panic_now(void *arg) {
    (void)arg;
    pintle_panic("the valve broke");
}
static int panic_joined(void *arg) {
    stage *s = arg;
    pintle_task *task;
    TRY(pintle_scope_open(&s->scope, PINTLE_FOREVER));
    pintle_task_options options = {.size = sizeof options, .scope = s->scope};
    TRY(pintle_spawn_with(&task, panic_now, s, &options));
    s->results[0] = pintle_join(task, PINTLE_FOREVER);
    s->results[1] = pintle_scope_canceled(s->scope);
    s->results[2] = pintle_scope_close(s->scope);
    return 0;
}
static void check_joined(stage *s) {
    ck_assert_int_eq(s->results[0], PINTLE_EPANIC);
    ck_assert_int_eq(s->results[1], 0);
    ck_assert_int_eq(s->results[2], 0);
}
CASE(scope_leaves_a_panic_to_the_joiner) { play_both(panic_joined, check_joined); }

/* ---- Misuse, and what openers leave behind ---- */

static void wait_for_own(void *arg) {
    stage *s = arg;
    s->results[0] = pintle_scope_wait(s->scope, PINTLE_FOREVER);
    pintle_error_get(&s->errors[0]);
}
static int refused(void *arg) {
    stage *s = arg;
    pintle_scope *other;
    TRY(pintle_scope_open(&s->scope, PINTLE_FOREVER));
    TRY(pintle_scope_spawn(s->scope, wait_for_own, s));
    TRY(pintle_scope_open(&other, PINTLE_FOREVER));
    pintle_task_options options = {.size = sizeof options, .scope = other};
    s->results[1] = pintle_scope_go(s->scope, until_canceled_go, s, &options);
    options.size = 3;
    s->results[2] = pintle_scope_go(s->scope, until_canceled_go, s, &options);
    options.size = sizeof options;
    s->results[3] = pintle_scope_open(NULL, PINTLE_FOREVER);
    TRY(pintle_scope_close(s->scope)); /* not the last that was opened */
    TRY(pintle_scope_close(other));
    pintle_task *task = NULL;
    s->results[4] = pintle_scope_spawn(other, short_work, s);
    pintle_error_get(&s->errors[1]);
    s->results[5] = pintle_spawn_with(&task, short_work, s, &options);
    s->results[6] = pintle_scope_wait(other, PINTLE_FOREVER);
    pintle_scope_cancel(other); /* nothing */
    return task == NULL ? 0 : __LINE__;
}
static void check_refused(stage *s) {
    ck_assert_int_eq(s->results[0], PINTLE_EDEADLK);
    ck_assert_msg(strstr(s->errors[0].text, "its own scope") != NULL, "%s", s->errors[0].text);
    for (int i = 1; i <= 3; i++) ck_assert_int_eq(s->results[i], PINTLE_EINVAL);
    for (int i = 4; i <= 6; i++) ck_assert_int_eq(s->results[i], PINTLE_ECLOSED);
    ck_assert_msg(strstr(s->errors[1].text, "the scope is closed") != NULL, "%s", s->errors[1].text);
    ck_assert_uint_eq(s->ran, 0);
    ck_assert_uint_eq(s->ended, 0);
}
CASE(scope_misuse_is_refused_with_a_sentence) { play_both(refused, check_refused); }

/* What each deferred function found: how many of the scope's tasks had ended. */
static void note_ended(void *arg) {
    stage *s = arg;
    s->results[7] = (int)atomic_load(&s->ended);
}
static void opens(void *arg) {
    stage *s = arg;
    pintle_scope *second;
    pintle_defer(note_ended, s); /* as what frees memory that the tasks use */
    pintle_scope_open(&s->scope, PINTLE_FOREVER);
    pintle_scope_open(&second, PINTLE_FOREVER);
    for (int i = 0; i < 10; i++) {
        pintle_scope_spawn(s->scope, until_canceled, s);
        pintle_scope_spawn(second, until_canceled, s);
    }
    for (int i = 0; i < 20; i++) pintle_sem_wait(&s->begun, PINTLE_FOREVER);
}
static void opens_and_panics(void *arg) {
    opens(arg);
    pintle_panic("dropped the keys");
}
static void opens_and_exits(void *arg) {
    opens(arg);
    pintle_task_exit();
}
static void closes_in_defer(void *arg) {
    pintle_scope_cancel(((stage *)arg)->scope);
    ((stage *)arg)->results[6] = pintle_scope_close(((stage *)arg)->scope);
}
static void opens_defers_and_panics(void *arg) {
    stage *s = arg;
    pintle_defer(note_ended, s);
    pintle_scope_open(&s->scope, PINTLE_FOREVER);
    pintle_defer(closes_in_defer, s);
    for (int i = 0; i < 20; i++) pintle_scope_spawn(s->scope, until_canceled, s);
    for (int i = 0; i < 20; i++) pintle_sem_wait(&s->begun, PINTLE_FOREVER);
    pintle_panic("dropped the keys");
}

static int discarded_at(stage *s, pintle_fn *fn, int expected) {
    pintle_task *task;
    atomic_store(&s->ended, 0);
    s->results[7] = -1;
    TRY(pintle_spawn(&task, fn, s));
    if (pintle_join(task, PINTLE_FOREVER) != expected) return __LINE__;
    pintle_error_get(&s->errors[0]);
    return atomic_load(&s->ended) == 20 ? 0 : __LINE__;
}
static int discarded(void *arg) {
    stage *s = arg;
    pintle_scope *first;
    TRY(pintle_scope_open(&first, PINTLE_FOREVER)); /* stays, around all that */
    TRY(pintle_scope_spawn(first, until_canceled, s));
    TRY(pintle_sem_wait(&s->begun, PINTLE_FOREVER));
    TRY(discarded_at(s, opens_and_panics, PINTLE_EPANIC));
    if (s->results[7] != 20) return __LINE__;
    TRY(discarded_at(s, opens_and_exits, 0));
    if (s->results[7] != 20) return __LINE__;
    TRY(discarded_at(s, opens_defers_and_panics, PINTLE_EPANIC));
    if (s->results[7] != 20) return __LINE__;
    TRY(discarded_at(s, opens, PINTLE_EPANIC)); /* returned with both open */
    if (strstr(s->errors[0].text, "ends with 2 scopes open") == NULL) return __LINE__;
    for (int i = 0; i < 2; i++) {
        pintle_fn *fn = i == 0 ? opens_and_panics : opens_defers_and_panics;
        atomic_store(&s->ended, 0);
        s->results[7] = -1;
        if (pintle_protect(fn, s, NULL) != PINTLE_EPANIC) return __LINE__;
        if (s->results[7] != 20 || atomic_load(&s->ended) != 20) return __LINE__;
    }
    if (pintle_scope_canceled(first)) return __LINE__;
    pintle_scope_cancel(first);
    TRY(pintle_scope_close(first));
    return 0;
}
CASE(scope_of_an_opener_that_panics_or_ends_is_canceled_and_waited_for) { play_both(discarded, check_nothing); }

static void only_opens(void *arg) {
    stage *s = arg;
    if (pintle_scope_open(&s->scope, PINTLE_FOREVER) == 0) pintle_scope_spawn(s->scope, until_canceled, s);
}
static int kept(void *arg) {
    stage *s = arg;
    TRY(pintle_protect(only_opens, s, NULL));
    TRY(pintle_sem_wait(&s->begun, PINTLE_FOREVER));
    if (pintle_scope_canceled(s->scope)) return __LINE__;
    pintle_scope_cancel(s->scope);
    TRY(pintle_scope_close(s->scope));
    return 0;
}
CASE(scope_opened_in_a_protect_that_ends_well_stays_open) { play_both(kept, check_nothing); }

/* ---- Threads that are no tasks ---- */

static void open_on_thread(void *arg) {
    stage *s = arg;
    pintle_scope *scope;
    s->results[0] = pintle_scope_open(&scope, pintle_after(PINTLE_MS(10)));
    for (int i = 0; i < 50; i++) pintle_scope_spawn(scope, until_canceled, s);
    s->results[2] = pintle_scope_close(scope);
    if (pintle_scope_open(&scope, PINTLE_FOREVER) != 0) return;
    pintle_scope_spawn(scope, until_canceled, s);
    s->results[1] = pintle_scope_wait(scope, pintle_after(PINTLE_MS(1)));
    pintle_scope_cancel(scope);
    s->results[5] = pintle_scope_close(scope);
    s->results[3] = pintle_cancel_reason();
    s->results[4] = pintle_canceled();
}
CASE(scope_of_a_foreign_thread_has_a_deadline_and_is_waited_for) {
    stage s = {.left = 0};
    helper_thread thread;
    pintle_scope *scope = NULL;
    pintle_event_init(&s.go);
    pintle_sem_init(&s.begun, 0);
    ck_assert_int_eq(pintle_scope_open(&scope, PINTLE_FOREVER), PINTLE_ESTOPPED);
    ck_assert_int_eq(pintle_start(NULL), 0);
    ck_assert(helper_thread_start(&thread, open_on_thread, &s));
    helper_thread_join(&thread);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    ck_assert_int_eq(s.results[0], 0);
    ck_assert_int_eq(s.results[1], PINTLE_ETIMEDOUT);
    ck_assert_int_eq(s.results[2], PINTLE_ETIMEDOUT);
    ck_assert_int_eq(s.results[3], 0);
    ck_assert_int_eq(s.results[4], 0);
    ck_assert_int_eq(s.results[5], 0);
    ck_assert_uint_eq(s.ended, 51);
    ck_assert_uint_eq(s.reasons, 50);
}
