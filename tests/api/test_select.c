/* test_select.c: select over channels and events: what Go's documentation promises, deadlines, threads that are no tasks. */
#include "api/must.h"

static pintle_chan *int_chan(size_t capacity) {
    pintle_chan *c = NULL;
    MUST_BE(pintle_chan_new(&c, sizeof(int), capacity), 0);
    return c;
}
static int send_int(pintle_chan *c, int item, int64_t deadline_ns) { return pintle_chan_send(c, &item, deadline_ns); }
static int recv_int(pintle_chan *c, int64_t deadline_ns) {
    int item = -1, code = pintle_chan_recv(c, &item, deadline_ns);
    return code == 0 ? item : code;
}

/* ---- Without waiting ---- */

CASE(select_nowait_runs_what_can_run) {
    pintle_chan *empty = int_chan(1), *full = int_chan(1);
    int in = -1, out = 7;
    send_int(full, 5, PINTLE_NOWAIT);
    pintle_case cases[] = {pintle_case_recv(empty, &in), pintle_case_send(full, &out)};
    ck_assert_int_eq(pintle_select(cases, 2, PINTLE_NOWAIT), PINTLE_EAGAIN);
    cases[0].status = cases[1].status = 99;
    send_int(empty, 3, PINTLE_NOWAIT);
    ck_assert_int_eq(pintle_select(cases, 2, PINTLE_NOWAIT), 0);
    ck_assert_int_eq(in, 3);
    ck_assert_int_eq(cases[0].status, 0);
    ck_assert_int_eq(cases[1].status, 99); /* not touched */
    ck_assert_int_eq(recv_int(full, PINTLE_NOWAIT), 5);
    ck_assert_int_eq(pintle_select(cases, 2, PINTLE_FOREVER), 1);
    ck_assert_int_eq(recv_int(full, PINTLE_NOWAIT), 7);
    pintle_chan_free(empty);
    pintle_chan_free(full);
}

CASE(select_of_closed_channels_says_so) {
    pintle_chan *c = int_chan(1), *other = int_chan(0);
    int in = 99, out = 1;
    send_int(c, 4, PINTLE_NOWAIT);
    pintle_chan_close(c);
    pintle_case cases[] = {pintle_case_recv(other, NULL), pintle_case_recv(c, &in)};
    ck_assert_int_eq(pintle_select(cases, 2, PINTLE_FOREVER), 1); /* what is left comes first */
    ck_assert_int_eq(cases[1].status, 0);
    ck_assert_int_eq(in, 4);
    ck_assert_int_eq(pintle_select(cases, 2, PINTLE_FOREVER), 1);
    ck_assert_int_eq(cases[1].status, PINTLE_ECLOSED);
    ck_assert_int_eq(in, 0);
    cases[1] = pintle_case_send(c, &out);
    ck_assert_int_eq(pintle_select(cases, 2, PINTLE_FOREVER), 1);
    ck_assert_int_eq(cases[1].status, PINTLE_ECLOSED);
    pintle_chan_free(c);
    pintle_chan_free(other);
}

CASE(select_leaves_disabled_cases_out) {
    pintle_chan *c = int_chan(1);
    int in = -1;
    pintle_case cases[] = {pintle_case_recv(NULL, &in), pintle_case_send(NULL, &in), pintle_case_event(NULL),
                           pintle_case_recv(c, &in)};
    send_int(c, 2, PINTLE_NOWAIT);
    ck_assert_int_eq(pintle_select(cases, 4, PINTLE_NOWAIT), 3);
    ck_assert_int_eq(pintle_select(cases, 3, PINTLE_NOWAIT), PINTLE_EAGAIN);
    int64_t begin = pintle_now();
    ck_assert_int_eq(pintle_select(cases, 4, begin + PINTLE_MS(5)), PINTLE_ETIMEDOUT);
    ck_assert_int_eq(pintle_select(cases, 3, begin + PINTLE_MS(10)), PINTLE_ETIMEDOUT);
    ck_assert_int_eq(pintle_select(NULL, 0, begin + PINTLE_MS(15)), PINTLE_ETIMEDOUT);
    ck_assert_int_ge(pintle_now() - begin, PINTLE_MS(15));
    pintle_chan_free(c);
}

CASE(select_refuses_what_it_does_not_know) {
    pintle_chan *c = int_chan(1);
    pintle_case odd = {.op = 17, .on = c, .item = NULL};
    pintle_error error;
    ck_assert_int_eq(pintle_select(&odd, 1, PINTLE_NOWAIT), PINTLE_EINVAL);
    pintle_error_get(&error);
    ck_assert_msg(strstr(error.text, "op 17") != NULL, "%s", error.text);
    odd.op = 0;
    ck_assert_int_eq(pintle_select(&odd, 1, PINTLE_NOWAIT), PINTLE_EINVAL);
    odd = pintle_case_send(c, NULL);
    ck_assert_int_eq(pintle_select(&odd, 1, PINTLE_NOWAIT), PINTLE_EINVAL);
    odd = pintle_case_recv(c, NULL);
    ck_assert_int_eq(pintle_select(&odd, 1, PINTLE_MS(1)), PINTLE_EINVAL);
    ck_assert_int_eq(pintle_select(NULL, 1, PINTLE_NOWAIT), PINTLE_EINVAL);
    pintle_chan_free(c);
}

/* ---- Choice ---- */

enum { CHOICES = 8000 };

/* How often each of n cases, of which those with a set bit in `ready` can run, is chosen. */
static void choose(unsigned n, unsigned ready, unsigned *out_counts) {
    pintle_chan *chans[32];
    pintle_case cases[32];
    int item = 1;
    memset(out_counts, 0, n * sizeof *out_counts);
    for (unsigned i = 0; i < n; i++) {
        chans[i] = int_chan(1);
        if (ready >> i & 1) send_int(chans[i], 1, PINTLE_NOWAIT);
        cases[i] = pintle_case_recv(chans[i], NULL);
    }
    for (int round = 0; round < CHOICES; round++) {
        int ran = pintle_select(cases, n, PINTLE_NOWAIT);
        MUST(ran >= 0);
        out_counts[ran]++;
        MUST_BE(pintle_chan_send(chans[ran], &item, PINTLE_NOWAIT), 0);
    }
    for (unsigned i = 0; i < n; i++) pintle_chan_free(chans[i]);
}
static void must_be_fair(unsigned n, unsigned ready, unsigned ready_count) {
    unsigned counts[32], expected = CHOICES / ready_count;
    choose(n, ready, counts);
    for (unsigned i = 0; i < n; i++) {
        if (!(ready >> i & 1))
            MUST_BE(counts[i], 0);
        else if (counts[i] < expected * 8 / 10 || counts[i] > expected * 12 / 10)
            MUST_BE(counts[i], expected); /* more than 4 standard deviations off */
    }
}
static int fair_main(void *arg) {
    (void)arg;
    must_be_fair(2, 3, 2);
    must_be_fair(4, 15, 4);
    must_be_fair(4, 9, 2);        /* not the one behind the gap */
    must_be_fair(20, 0x80003, 3); /* more than fit on the stack */
    return 0;
}
CASE(select_chooses_fairly) {
    fair_main(NULL); /* a thread that is no task */
    must_run(fair_main, NULL);
    ASSERT_ALL_MUST();
}

static int seed_main(void *arg) {
    unsigned first[4], again[4], other[4];
    (void)arg;
    pintle_select_seed(12345);
    choose(4, 15, first);
    pintle_select_seed(12345);
    choose(4, 15, again);
    pintle_select_seed(54321);
    choose(4, 15, other);
    MUST(memcmp(first, again, sizeof first) == 0);
    MUST(memcmp(first, other, sizeof first) != 0);
    return 0;
}
CASE(select_choices_follow_from_the_seed) {
    must_run_strict(seed_main, NULL);
    ASSERT_ALL_MUST();
}

/* ---- Waiting: what ends it, and what stays as it was ---- */

typedef struct waiting {
    pintle_chan *in[2], *out;
    pintle_event event;
    int got[2], sent;
    pintle_case cases[4];
    int result;
    int64_t deadline_ns;
    atomic_uint arrived;
} waiting;

static void wait_in_select(void *arg) {
    waiting *w = arg;
    w->got[0] = w->got[1] = -1;
    w->sent = 77;
    w->cases[0] = pintle_case_recv(w->in[0], &w->got[0]);
    w->cases[1] = pintle_case_send(w->out, &w->sent);
    w->cases[2] = pintle_case_event(&w->event);
    w->cases[3] = pintle_case_recv(w->in[1], &w->got[1]);
    atomic_fetch_add(&w->arrived, 1);
    w->result = pintle_select(w->cases, 4, w->deadline_ns);
}
static pintle_task *start_waiting(waiting *w) {
    pintle_task *task = NULL;
    memset(w, 0, sizeof *w);
    for (int i = 0; i < 2; i++) w->in[i] = int_chan(0);
    w->out = int_chan(0);
    w->deadline_ns = PINTLE_FOREVER;
    MUST_BE(pintle_spawn(&task, wait_in_select, w), 0);
    must_yield_until(&w->arrived, 1);
    return task;
}
/* Nobody waits anywhere any more: freeing would panic. */
static void end_waiting(waiting *w, pintle_task *task, int expected) {
    MUST_BE(pintle_join(task, PINTLE_FOREVER), 0);
    MUST_BE(w->result, expected);
    for (int i = 0; i < 2; i++) {
        if (!pintle_chan_is_closed(w->in[i])) MUST_BE(send_int(w->in[i], 1, PINTLE_NOWAIT), PINTLE_EAGAIN);
        pintle_chan_free(w->in[i]);
    }
    if (!pintle_chan_is_closed(w->out)) MUST_BE(recv_int(w->out, PINTLE_NOWAIT), PINTLE_EAGAIN);
    pintle_chan_free(w->out);
    pintle_event_destroy(&w->event);
}
static int wake_ups_main(void *arg) {
    waiting w;
    (void)arg;
    pintle_task *task = start_waiting(&w);
    MUST_BE(send_int(w.in[1], 42, PINTLE_NOWAIT), 0);
    MUST_BE(send_int(w.in[0], 43, PINTLE_NOWAIT), PINTLE_EAGAIN); /* it has been served, though it has not run yet */
    MUST_BE(recv_int(w.out, PINTLE_NOWAIT), PINTLE_EAGAIN);
    end_waiting(&w, task, 3);
    MUST_BE(w.got[1], 42);
    MUST_BE(w.got[0], -1);
    MUST_BE(w.cases[3].status, 0);

    task = start_waiting(&w);
    MUST_BE(recv_int(w.out, PINTLE_NOWAIT), 77);
    MUST_BE(recv_int(w.out, PINTLE_NOWAIT), PINTLE_EAGAIN);
    end_waiting(&w, task, 1);

    task = start_waiting(&w);
    pintle_event_set(&w.event);
    MUST_BE(send_int(w.in[0], 43, PINTLE_NOWAIT), PINTLE_EAGAIN);
    end_waiting(&w, task, 2);

    task = start_waiting(&w);
    MUST_BE(pintle_chan_close(w.in[0]), 0);
    end_waiting(&w, task, 0);
    MUST_BE(w.cases[0].status, PINTLE_ECLOSED);
    MUST_BE(w.got[0], 0);

    task = start_waiting(&w);
    MUST_BE(pintle_chan_close(w.out), 0);
    end_waiting(&w, task, 1);
    MUST_BE(w.cases[1].status, PINTLE_ECLOSED);
    return 0;
}
CASE(select_is_woken_by_one_case_and_leaves_the_others) {
    must_run_strict(wake_ups_main, NULL);
    ASSERT_ALL_MUST();
}

static int time_out_main(void *arg) {
    waiting w;
    (void)arg;
    memset(&w, 0, sizeof w);
    for (int i = 0; i < 2; i++) w.in[i] = int_chan(0);
    w.out = int_chan(0);
    w.deadline_ns = pintle_after(PINTLE_MS(2));
    wait_in_select(&w);
    MUST_BE(w.result, PINTLE_ETIMEDOUT);
    MUST(pintle_now() >= w.deadline_ns);
    MUST_BE(send_int(w.in[0], 1, PINTLE_NOWAIT), PINTLE_EAGAIN);
    MUST_BE(recv_int(w.out, PINTLE_NOWAIT), PINTLE_EAGAIN);
    for (int i = 0; i < 2; i++) pintle_chan_free(w.in[i]);
    pintle_chan_free(w.out);
    pintle_event_destroy(&w.event);
    return 0;
}
static int time_out_in_call_main(void *arg) { return pintle_call(time_out_main, arg); }
CASE(select_times_out_and_leaves_no_trace) {
    time_out_main(NULL);
    must_run(time_out_main, NULL);
    must_run(time_out_in_call_main, NULL);
    ASSERT_ALL_MUST();
}

static waiting never;
static void wait_for_ever(void *arg) {
    wait_in_select(arg);
    MUST_BE(pintle_select(NULL, 0, PINTLE_FOREVER), PINTLE_ECANCELED);
    atomic_fetch_add(&never.arrived, 1);
}
static int cancel_main(void *arg) {
    (void)arg;
    MUST_BE(pintle_spawn(NULL, wait_for_ever, &never), 0);
    pintle_yield();
    return 0;
}
CASE(select_ends_when_its_task_is_cancelled) {
    for (int i = 0; i < 2; i++) never.in[i] = int_chan(0);
    never.out = int_chan(0);
    never.deadline_ns = PINTLE_FOREVER;
    must_run_strict(cancel_main, NULL);
    ck_assert_int_eq(never.result, PINTLE_ECANCELED);
    ck_assert_uint_eq(never.arrived, 2);
    for (int i = 0; i < 2; i++) pintle_chan_free(never.in[i]);
    pintle_chan_free(never.out);
    ASSERT_ALL_MUST();
}

/* ---- One channel in several cases ---- */

static atomic_uint exchanged_sent, exchanged_received;
typedef struct exchange {
    pintle_chan *c;
    unsigned rounds;
} exchange;
/* Sends or receives, whichever can be done: for each send there is one receive. */
static void exchange_items(void *arg) {
    exchange *e = arg;
    for (unsigned i = 0; i < e->rounds; i++) {
        int in = -1, out = 5;
        pintle_case cases[] = {pintle_case_send(e->c, &out), pintle_case_recv(e->c, &in), pintle_case_recv(e->c, &in)};
        int ran = pintle_select(cases, 3, PINTLE_FOREVER);
        if (ran == 0) {
            atomic_fetch_add(&exchanged_sent, 1);
        } else {
            MUST(ran > 0 && in == 5);
            atomic_fetch_add(&exchanged_received, 1);
        }
    }
}
static int exchange_main(void *arg) {
    pintle_task *tasks[2];
    MUST_BE(helper_spawn_all(tasks, 2, exchange_items, arg), 0);
    MUST_BE(helper_join_all(tasks, 2), 0);
    return 0;
}
CASE(select_sends_and_receives_on_one_channel_pair_up) {
    exchange e = {int_chan(0), 20000 / TEST_SLOWNESS};
    must_run(exchange_main, &e);
    ck_assert_uint_eq(exchanged_sent, 2 * e.rounds);
    ck_assert_uint_eq(exchanged_received, 2 * e.rounds);
    pintle_chan_free(e.c);
    ASSERT_ALL_MUST();
}

/* ---- Two tasks that select the same channels in opposite orders, and threads ---- */

typedef struct crossing {
    pintle_chan *a, *b;
    unsigned rounds;
    atomic_uint sum;
} crossing;
static void cross(crossing *x, bool forward) {
    for (unsigned i = 0; i < x->rounds; i++) {
        int in[2] = {0, 0};
        pintle_case cases[2];
        cases[forward] = pintle_case_recv(x->a, &in[0]);
        cases[!forward] = pintle_case_recv(x->b, &in[1]);
        int ran = pintle_select(cases, 2, PINTLE_FOREVER);
        MUST(ran >= 0 && in[0] + in[1] == 1);
        atomic_fetch_add(&x->sum, (unsigned)(in[0] + in[1]));
    }
}
static void cross_forward(void *arg) { cross(arg, true); }
static void cross_back(void *arg) { cross(arg, false); }
static void feed(void *arg) {
    crossing *x = arg;
    for (unsigned i = 0; i < x->rounds; i++) {
        int item = 1;
        pintle_case cases[] = {pintle_case_send(x->a, &item), pintle_case_send(x->b, &item)};
        MUST(pintle_select(cases, 2, PINTLE_FOREVER) >= 0);
    }
}
static int crossing_main(void *arg) {
    pintle_fn *fns[] = {cross_forward, cross_back, feed, feed};
    pintle_task *tasks[4];
    for (int i = 0; i < 4; i++) MUST_BE(pintle_spawn(&tasks[i], fns[i], arg), 0);
    MUST_BE(helper_join_all(tasks, 4), 0);
    return 0;
}
CASE(select_in_opposite_orders_does_not_deadlock) {
    crossing x = {.a = int_chan(0), .b = int_chan(0), .rounds = 20000 / TEST_SLOWNESS};
    must_run(crossing_main, &x);
    ck_assert_uint_eq(x.sum, 4 * x.rounds);
    pintle_chan_free(x.a);
    pintle_chan_free(x.b);
    ASSERT_ALL_MUST();
}
CASE(select_works_between_threads_and_tasks) {
    crossing x = {.a = int_chan(0), .b = int_chan(0), .rounds = 1000};
    helper_thread threads[2];
    pintle_task *tasks[2];
    ck_assert_int_eq(pintle_start(NULL), 0);
    ck_assert(helper_thread_start(&threads[0], cross_forward, &x));
    ck_assert(helper_thread_start(&threads[1], feed, &x));
    ck_assert_int_eq(pintle_spawn(&tasks[0], cross_back, &x), 0);
    ck_assert_int_eq(pintle_spawn(&tasks[1], feed, &x), 0);
    ck_assert_uint_eq(helper_join_all(tasks, 2), 0);
    for (int i = 0; i < 2; i++) helper_thread_join(&threads[i]);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    ck_assert_uint_eq(x.sum, 2 * x.rounds);
    pintle_chan_free(x.a);
    pintle_chan_free(x.b);
    ASSERT_ALL_MUST();
}

/* ---- Many cases ---- */

enum { MANY = 100 };
static void send_to_each(void *arg) {
    pintle_chan **chans = arg;
    for (int i = MANY - 1; i >= 0; i--) MUST_BE(send_int(chans[i], i, PINTLE_FOREVER), 0);
}
static int many_main(void *arg) {
    pintle_chan *chans[MANY];
    pintle_case cases[MANY];
    int in[MANY];
    pintle_task *task;
    (void)arg;
    for (int i = 0; i < MANY; i++) {
        chans[i] = int_chan(0);
        cases[i] = pintle_case_recv(chans[i], &in[i]);
    }
    MUST_BE(pintle_spawn(&task, send_to_each, chans), 0);
    for (int i = MANY - 1; i >= 0; i--) {
        MUST_BE(pintle_select(cases, MANY, PINTLE_FOREVER), i);
        MUST_BE(in[i], i);
    }
    MUST_BE(pintle_join(task, PINTLE_FOREVER), 0);
    for (int i = 0; i < MANY; i++) pintle_chan_free(chans[i]);
    return 0;
}
CASE(select_of_100_cases) {
    must_run(many_main, NULL);
    ASSERT_ALL_MUST();
}
