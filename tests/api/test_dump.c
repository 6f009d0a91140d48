/* test_dump.c: pintle_dump tells of processors, threads in calls and tasks that wait; also where everything is stuck. */
#include "api_helpers.h"

#include "lock.h"
#include "scheduler.h"

enum { TEXT_BYTES = 64 << 10 };

typedef struct text {
    size_t length;
    char bytes[TEXT_BYTES];
} text;

static void text_write(void *user, const char *bytes, size_t count) {
    text *t = user;
    if (t->length + count >= TEXT_BYTES) return;
    memcpy(t->bytes + t->length, bytes, count);
    t->length += count;
    t->bytes[t->length] = '\0';
}

static text shown;

CASE(dump_of_a_stopped_runtime_says_so) {
    shown = (text){0};
    ck_assert_int_eq(pintle_dump(text_write, &shown), 0);
    ck_assert_ptr_nonnull(strstr(shown.bytes, "does not run"));
}

typedef struct scene {
    pintle_event go;
    pintle_event in_call; /* set by the function that is called, from inside */
    helper_gate leave;
    unsigned crowd;
    atomic_uint arrived;
    int result;
} scene;

static int stays(void *arg) {
    scene *s = arg;
    pintle_event_set(&s->in_call);
    helper_gate_wait(&s->leave);
    return 0;
}
static void caller(void *arg) { pintle_call_blocking(stays, arg); }
static void waiter(void *arg) {
    scene *s = arg;
    atomic_fetch_add(&s->arrived, 1);
    pintle_event_wait(&s->go, PINTLE_FOREVER);
}

static int scene_main(void *arg) {
    scene *s = arg;
    static pintle_task *tasks[300], *calls;
    pintle_task_options named = {.name = "sleeping beauty"};
    pintle_spawn(&calls, caller, s);
    pintle_event_wait(&s->in_call, PINTLE_FOREVER);
    pintle_spawn_with(&tasks[0], waiter, s, &named);
    for (unsigned i = 1; i < s->crowd; i++) pintle_spawn(&tasks[i], waiter, s);
    while (atomic_load(&s->arrived) != s->crowd)
        pintle_yield(); /* with one processor, each parks before this runs again */
    s->result = pintle_dump(text_write, &shown);
    helper_gate_open(&s->leave);
    pintle_event_set(&s->go);
    helper_join_all(tasks, s->crowd);
    return pintle_join(calls, PINTLE_FOREVER);
}

static void play(scene *s) {
    shown = (text){0};
    pintle_event_init(&s->go);
    pintle_event_init(&s->in_call);
    helper_gate_init(&s->leave);
    ck_assert_int_eq(helper_run(scene_main, s, 1), 0);
    helper_gate_destroy(&s->leave);
    ck_assert_int_eq(s->result, 0);
}

CASE(dump_names_what_waits_and_who_is_in_a_call) {
    scene s = {.crowd = 1};
    play(&s);
    ck_assert_msg(strstr(shown.bytes, "'sleeping beauty' waits in pintle_event_wait, spawned at ") != NULL, "%s",
                  shown.bytes);
    ck_assert_msg(strstr(shown.bytes, "in a blocking call of ") != NULL, "%s", shown.bytes);
    ck_assert_msg(strstr(shown.bytes, "0 of 1 processors idle") != NULL, "%s", shown.bytes);
    ck_assert_msg(strstr(shown.bytes, "processor 0: thread ") != NULL, "%s", shown.bytes);
}

CASE(dump_of_a_crowd_counts_it) {
    scene s = {.crowd = 300};
    play(&s);
    int most = 0; /* in one group: where they were spawned differs */
    for (const char *at = shown.bytes; (at = strstr(at, " more: waits in pintle_event_wait, spawned at ")) != NULL;
         at++) {
        const char *number = at;
        while (number > shown.bytes && number[-1] >= '0' && number[-1] <= '9') number--;
        if (atoi(number) > most) most = atoi(number);
    }
    ck_assert_msg(most >= 190, "%s", shown.bytes); /* all but the hundred that are listed */
    ck_assert_int_lt(shown.length, 20000);
}

static int locked_main(void *arg) {
    lock_acquire(&sched.lock);
    *(int *)arg = pintle_dump(text_write, &shown);
    lock_release(&sched.lock);
    return 0;
}

CASE(dump_needs_no_lock) {
    int result = 1;
    shown = (text){0};
    ck_assert_int_eq(helper_run(locked_main, &result, 2), 0);
    ck_assert_int_eq(result, 0);
    ck_assert_msg(strstr(shown.bytes, "'main' runs") != NULL, "%s", shown.bytes);
}
