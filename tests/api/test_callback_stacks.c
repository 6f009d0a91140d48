/* test_callback_stacks.c: callbacks from foreign code that has switched to a stack of its own (fibers, ucontext), and ten at once
 * that wait for channels which tasks elsewhere serve. */
#include "api_helpers.h"

/* ---- Foreign code with a stack of its own ---- */

typedef unsigned fibers_run_fn(unsigned rounds, int (*function)(void *), void *arg); /* tests/dll/fibers.c */

typedef struct machine {
    unsigned rounds, callbacks, nested, wrong;
    uint64_t thread;
    fibers_run_fn *run;
} machine;

static int add_one(void *arg) {
    ++*(unsigned *)arg;
    return 7;
}

/* On the task's stack again, whatever stack the foreign code is on. */
static void called_back(void *arg) {
    machine *m = arg;
    m->callbacks++;
    m->wrong += helper_thread_id() != m->thread;
    pintle_yield();
    if (pintle_call(add_one, &m->nested) != 7) m->wrong++;
    pintle_sleep(PINTLE_US(50));
    m->wrong += helper_thread_id() != m->thread;
}

static int calls_back(void *arg) { return pintle_callback(called_back, arg); }

static int run_fibers(void *arg) {
    machine *m = arg;
    m->thread = helper_thread_id();
    return (int)m->run(m->rounds, calls_back, m);
}

static void calls_foreign(void *arg) {
    machine *m = arg;
    if (pintle_call(run_fibers, m) != 0) m->wrong++;
}
static void works_beside(void *arg) {
    atomic_bool *over = arg;
    while (!atomic_load(over)) pintle_yield();
}
static int fibers_main(void *arg) {
    machine *m = arg;
    pintle_task *beside[3], *task;
    pintle_dll *dll;
    pintle_proc *run;
    atomic_bool over = false;
    unsigned failed = 0;
    if (pintle_dll_open(&dll, test_dll_path("fibers"), 0) != 0) return 100;
    if (pintle_dll_find(dll, "fibers_run", &run) != 0) return 101;
    m->run = (fibers_run_fn *)pintle_proc_code(run);
    failed += helper_spawn_all(beside, 3, works_beside, &over);
    failed += pintle_spawn(&task, calls_foreign, arg) != 0;
    failed += pintle_join(task, PINTLE_FOREVER) != 0;
    atomic_store(&over, true);
    failed += helper_join_all(beside, 3);
    failed += pintle_dll_close(dll, PINTLE_FOREVER) != 0;
    return (int)failed;
}

CASE(callback_from_a_stack_of_the_foreign_codes_own_returns_there) {
    machine m = {.rounds = 100};
    ck_assert_int_eq(helper_run(fibers_main, &m, 2), 0);
    ck_assert_uint_eq(m.wrong, 0);
    ck_assert_uint_eq(m.callbacks, 200);
    ck_assert_uint_eq(m.nested, 200);
}

/* ---- Ten at once ---- */

enum { WAITERS = 10, ITEMS = 50 };

/* Nobody begins before all are inside their callbacks: then all hold their threads at once. */
typedef struct gathering {
    atomic_uint inside;
    pintle_event all;
} gathering;
typedef struct line {
    gathering *gathering;
    pintle_chan *question, *answer;
    unsigned right, wrong;
    uint64_t thread;  /* the asker's, which runs nothing else meanwhile */
    unsigned at_home; /* answers that were made there */
} line;

static void asks(void *arg) {
    line *l = arg;
    l->thread = helper_thread_id();
    if (atomic_fetch_add(&l->gathering->inside, 1) + 1 == WAITERS) pintle_event_set(&l->gathering->all);
    if (pintle_event_wait(&l->gathering->all, PINTLE_FOREVER) != 0) l->wrong++;
    for (int i = 0; i < ITEMS; i++) {
        int got = -1;
        if (pintle_chan_send(l->question, &i, PINTLE_FOREVER) != 0 ||
            pintle_chan_recv(l->answer, &got, PINTLE_FOREVER) != 0 || got != i * 3) {
            l->wrong++;
        } else {
            l->right++;
        }
    }
}
static int asks_from_a_call(void *arg) { return pintle_callback(asks, arg); }
static void asker(void *arg) {
    line *l = arg;
    if (pintle_call(asks_from_a_call, l) != 0) l->wrong++;
}
static void server(void *arg) {
    line *l = arg;
    int number;
    while (pintle_chan_recv(l->question, &number, PINTLE_FOREVER) == 0) {
        number *= 3;
        l->at_home += helper_thread_id() == l->thread;
        if (pintle_chan_send(l->answer, &number, PINTLE_FOREVER) != 0) l->wrong++;
    }
}
static int ten_main(void *arg) {
    line *lines = arg;
    pintle_task *askers[WAITERS], *servers[WAITERS];
    gathering g = {.all = PINTLE_EVENT_INIT};
    unsigned failed = 0;
    for (int i = 0; i < WAITERS; i++) {
        lines[i].gathering = &g;
        failed += pintle_chan_new(&lines[i].question, sizeof(int), 0) != 0;
        failed += pintle_chan_new(&lines[i].answer, sizeof(int), 0) != 0;
        failed += pintle_spawn(&servers[i], server, &lines[i]) != 0;
        failed += pintle_spawn(&askers[i], asker, &lines[i]) != 0;
    }
    failed += helper_join_all(askers, WAITERS);
    for (int i = 0; i < WAITERS; i++) pintle_chan_close(lines[i].question);
    failed += helper_join_all(servers, WAITERS);
    for (int i = 0; i < WAITERS; i++) {
        pintle_chan_free(lines[i].question);
        pintle_chan_free(lines[i].answer);
    }
    return (int)failed;
}

CASE(ten_callbacks_at_once_wait_for_channels_that_others_serve) {
    for (unsigned processors = 1; processors <= 3; processors++) {
        line lines[WAITERS] = {{0}};
        ck_assert_int_eq(helper_run(ten_main, lines, processors), 0);
        for (int i = 0; i < WAITERS; i++) {
            ck_assert_uint_eq(lines[i].wrong, 0);
            ck_assert_uint_eq(lines[i].right, ITEMS);
            ck_assert_uint_eq(lines[i].at_home, 0);
            for (int j = 0; j < i; j++) ck_assert_uint_ne(lines[i].thread, lines[j].thread); /* all at once */
        }
    }
}
