/* test_chan.c: channels: what Go's documentation promises of them, deadlines, and threads that are no tasks. */
#include "api/must.h"

static pintle_chan *new_chan(size_t item_bytes, size_t capacity) {
    pintle_chan *c = NULL;
    MUST_BE(pintle_chan_new(&c, item_bytes, capacity), 0);
    MUST(c != NULL);
    return c;
}
static pintle_chan *int_chan(size_t capacity) { return new_chan(sizeof(int), capacity); }
static int send_int(pintle_chan *c, int item, int64_t deadline_ns) { return pintle_chan_send(c, &item, deadline_ns); }
/* The item, or the code. */
static int recv_int(pintle_chan *c, int64_t deadline_ns) {
    int item = -1, code = pintle_chan_recv(c, &item, deadline_ns);
    return code == 0 ? item : code;
}

/* ---- Without waiting ---- */

CASE(chan_new_tells_capacity_count_and_closed) {
    pintle_chan *c = int_chan(3);
    ck_assert_uint_eq(pintle_chan_capacity(c), 3);
    ck_assert_uint_eq(pintle_chan_count(c), 0);
    ck_assert(!pintle_chan_is_closed(c));
    ck_assert_int_eq(send_int(c, 7, PINTLE_NOWAIT), 0);
    ck_assert_uint_eq(pintle_chan_count(c), 1);
    ck_assert_int_eq(pintle_chan_close(c), 0);
    ck_assert(pintle_chan_is_closed(c));
    ck_assert_uint_eq(pintle_chan_count(c), 1);
    pintle_chan_free(c); /* with an item in it */
    ck_assert_uint_eq(pintle_chan_capacity(NULL), 0);
    ck_assert_uint_eq(pintle_chan_count(NULL), 0);
    ck_assert(!pintle_chan_is_closed(NULL));
    pintle_chan_free(NULL);
}

CASE(chan_new_refuses_what_cannot_be) {
    pintle_chan *c = (pintle_chan *)1;
    ck_assert_int_eq(pintle_chan_new(NULL, 1, 1), PINTLE_EINVAL);
    ck_assert_int_eq(pintle_chan_new(&c, SIZE_MAX / 2, 4), PINTLE_EINVAL);
    ck_assert_ptr_null(c);
    ck_assert_int_eq(pintle_chan_new(&c, 2, SIZE_MAX / 2), PINTLE_EINVAL);
#if !defined(PINTLE_SANITIZE) /* whose heap ends the process instead */
    ck_assert_int_eq(pintle_chan_new(&c, (size_t)1 << 60, 4), PINTLE_ENOMEM);
#endif
    ck_assert_int_eq(pintle_chan_new(&c, 0, SIZE_MAX), 0); /* events only: no memory each */
    pintle_chan_free(c);
}

CASE(chan_keeps_items_of_any_size_in_order) {
    static const size_t sizes[] = {1, 3, 4, 8, 16, 24, 1000};
    for (size_t s = 0; s < ELEMENTS(sizes); s++) {
        unsigned char item[1000], got[1001];
        pintle_chan *c = new_chan(sizes[s], 5);
        unsigned sent = 0, received = 0;
        for (int round = 0; round < 7; round++) { /* around the ring */
            while (memset(item, (int)(sent + 1), sizeof item), pintle_chan_send(c, item, PINTLE_NOWAIT) == 0) sent++;
            ck_assert_uint_eq(sent - received, 5);
            for (int i = 0; i < 3 + round % 3; i++) {
                memset(got, 0xEE, sizeof got);
                ck_assert_int_eq(pintle_chan_recv(c, got, PINTLE_NOWAIT), 0);
                received++;
                for (size_t b = 0; b < sizes[s]; b++) ck_assert_uint_eq(got[b], (unsigned char)received);
                ck_assert_uint_eq(got[sizes[s]], 0xEE); /* not a byte more */
            }
        }
        pintle_chan_free(c);
    }
}

CASE(chan_of_empty_items_counts) {
    pintle_chan *c = new_chan(0, 2);
    ck_assert_int_eq(pintle_chan_send(c, NULL, PINTLE_NOWAIT), 0);
    ck_assert_int_eq(pintle_chan_send(c, NULL, PINTLE_NOWAIT), 0);
    ck_assert_int_eq(pintle_chan_send(c, NULL, PINTLE_NOWAIT), PINTLE_EAGAIN);
    ck_assert_int_eq(pintle_chan_recv(c, NULL, PINTLE_NOWAIT), 0);
    ck_assert_int_eq(pintle_chan_recv(c, NULL, PINTLE_NOWAIT), 0);
    ck_assert_int_eq(pintle_chan_recv(c, NULL, PINTLE_NOWAIT), PINTLE_EAGAIN);
    pintle_chan_free(c);
}

CASE(chan_recv_without_a_place_drops_the_item) {
    pintle_chan *c = int_chan(2);
    send_int(c, 1, PINTLE_NOWAIT);
    send_int(c, 2, PINTLE_NOWAIT);
    ck_assert_int_eq(pintle_chan_recv(c, NULL, PINTLE_NOWAIT), 0);
    ck_assert_int_eq(recv_int(c, PINTLE_NOWAIT), 2);
    ck_assert_int_eq(pintle_chan_send(c, NULL, PINTLE_NOWAIT), PINTLE_EINVAL);
    pintle_chan_free(c);
}

CASE(chan_unbuffered_nowait_needs_a_partner) {
    pintle_chan *c = int_chan(0);
    ck_assert_int_eq(send_int(c, 1, PINTLE_NOWAIT), PINTLE_EAGAIN);
    ck_assert_int_eq(recv_int(c, PINTLE_NOWAIT), PINTLE_EAGAIN);
    pintle_chan_free(c);
}

CASE(chan_closed_gives_what_is_left_then_zeros) {
    pintle_chan *c = int_chan(4);
    int item = 99;
    for (int i = 1; i <= 3; i++) ck_assert_int_eq(send_int(c, i, PINTLE_NOWAIT), 0);
    ck_assert_int_eq(pintle_chan_close(c), 0);
    ck_assert_int_eq(pintle_chan_close(c), PINTLE_ECLOSED);
    ck_assert_int_eq(send_int(c, 4, PINTLE_NOWAIT), PINTLE_ECLOSED);
    ck_assert_int_eq(send_int(c, 4, PINTLE_FOREVER), PINTLE_ECLOSED);
    for (int i = 1; i <= 3; i++) ck_assert_int_eq(recv_int(c, PINTLE_FOREVER), i);
    for (int i = 0; i < 2; i++) {
        item = 99;
        ck_assert_int_eq(pintle_chan_recv(c, &item, i == 0 ? PINTLE_FOREVER : PINTLE_NOWAIT), PINTLE_ECLOSED);
        ck_assert_int_eq(item, 0);
    }
    ck_assert_int_eq(pintle_chan_recv(c, NULL, PINTLE_FOREVER), PINTLE_ECLOSED);
    pintle_chan_free(c);
}

CASE(chan_lives_until_its_last_reference) {
    pintle_chan *c = int_chan(1);
    pintle_chan_retain(c);
    pintle_chan_free(c);
    ck_assert_int_eq(send_int(c, 5, PINTLE_NOWAIT), 0);
    ck_assert_int_eq(recv_int(c, PINTLE_NOWAIT), 5);
    pintle_chan_free(c);
}

/* ---- Deadlines; in a task, in a call, on a foreign thread ---- */

static int try_deadlines(void *arg) {
    pintle_chan *full = int_chan(1), *empty = int_chan(1), *none = int_chan(0);
    (void)arg;
    send_int(full, 1, PINTLE_NOWAIT);
    int64_t begin = pintle_now();
    MUST_BE(recv_int(empty, begin + PINTLE_MS(10)), PINTLE_ETIMEDOUT);
    MUST(pintle_now() - begin >= PINTLE_MS(10));
    MUST_BE(send_int(full, 2, pintle_after(PINTLE_MS(1))), PINTLE_ETIMEDOUT);
    MUST_BE(send_int(none, 2, begin), PINTLE_ETIMEDOUT); /* past */
    MUST_BE(recv_int(none, begin), PINTLE_ETIMEDOUT);
    MUST_BE(recv_int(NULL, pintle_after(PINTLE_MS(1))), PINTLE_ETIMEDOUT);
    MUST_BE(send_int(NULL, 1, pintle_after(PINTLE_MS(1))), PINTLE_ETIMEDOUT);
    MUST_BE(send_int(NULL, 1, PINTLE_NOWAIT), PINTLE_EAGAIN);
    MUST_BE(recv_int(NULL, PINTLE_NOWAIT), PINTLE_EAGAIN);
    MUST_BE(recv_int(full, PINTLE_MS(10)), PINTLE_EINVAL);
    MUST_BE(send_int(empty, 1, -1), PINTLE_EINVAL);
    /* Whoever timed out left no trace. */
    MUST_BE(send_int(none, 3, PINTLE_NOWAIT), PINTLE_EAGAIN);
    MUST_BE(recv_int(none, PINTLE_NOWAIT), PINTLE_EAGAIN);
    MUST_BE(recv_int(full, begin), 1); /* past, but there is an item */
    MUST_BE(recv_int(full, PINTLE_NOWAIT), PINTLE_EAGAIN);
    pintle_chan_free(full);
    pintle_chan_free(empty);
    pintle_chan_free(none);
    return 0;
}
static int try_deadlines_in_call(void *arg) { return pintle_call(try_deadlines, arg); }

CASE(chan_deadlines_in_a_task) {
    must_run(try_deadlines, NULL);
    ASSERT_ALL_MUST();
}
CASE(chan_deadlines_in_a_call) {
    must_run(try_deadlines_in_call, NULL);
    ASSERT_ALL_MUST();
}
CASE(chan_deadlines_on_a_foreign_thread) {
    try_deadlines(NULL); /* no runtime at all */
    ck_assert_int_eq(pintle_start(NULL), 0);
    try_deadlines(NULL);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    ASSERT_ALL_MUST();
}

/* ---- Waiters ---- */

enum { WAITERS = 20 };
typedef struct queue_test {
    pintle_chan *c;
    atomic_uint arrived, number;
    int results[WAITERS];
    unsigned order[WAITERS];
    atomic_uint over;
} queue_test;

static void receive_one(void *arg) {
    queue_test *t = arg;
    unsigned me = atomic_fetch_add(&t->number, 1);
    atomic_fetch_add(&t->arrived, 1);
    t->results[me] = recv_int(t->c, PINTLE_FOREVER);
    t->order[atomic_fetch_add(&t->over, 1)] = me;
}
static void send_one(void *arg) {
    queue_test *t = arg;
    unsigned me = atomic_fetch_add(&t->number, 1);
    atomic_fetch_add(&t->arrived, 1);
    t->results[me] = send_int(t->c, (int)me, PINTLE_FOREVER);
    t->order[atomic_fetch_add(&t->over, 1)] = me;
}
static void queue_up(queue_test *t, pintle_task **tasks, pintle_fn *fn) {
    for (unsigned i = 0; i < WAITERS; i++) {
        MUST_BE(pintle_spawn(&tasks[i], fn, t), 0);
        must_yield_until(&t->arrived, i + 1);
    }
}

static int receivers_main(void *arg) {
    queue_test t = {.c = int_chan((size_t)(uintptr_t)arg)};
    pintle_task *tasks[WAITERS];
    queue_up(&t, tasks, receive_one);
    for (int i = 0; i < WAITERS; i++) MUST_BE(send_int(t.c, 100 + i, PINTLE_NOWAIT), 0); /* each is waited for */
    if (pintle_chan_capacity(t.c) == 0) MUST_BE(send_int(t.c, 1, PINTLE_NOWAIT), PINTLE_EAGAIN);
    MUST_BE(helper_join_all(tasks, WAITERS), 0);
    for (int i = 0; i < WAITERS; i++) MUST_BE(t.results[i], 100 + i); /* first come, first served */
    pintle_chan_free(t.c);
    return 0;
}
CASE(chan_receivers_are_served_in_order) {
    must_run_strict(receivers_main, (void *)0);
    must_run_strict(receivers_main, (void *)3);
    ASSERT_ALL_MUST();
}

static int senders_main(void *arg) {
    size_t capacity = (size_t)(uintptr_t)arg;
    queue_test t = {.c = int_chan(capacity)};
    pintle_task *tasks[WAITERS];
    queue_up(&t, tasks, send_one);
    MUST_BE(t.over, (unsigned)capacity); /* those that found room */
    for (int i = 0; i < WAITERS; i++) MUST_BE(recv_int(t.c, PINTLE_NOWAIT), i);
    MUST_BE(recv_int(t.c, PINTLE_NOWAIT), PINTLE_EAGAIN);
    MUST_BE(helper_join_all(tasks, WAITERS), 0);
    for (int i = 0; i < WAITERS; i++) MUST_BE(t.results[i], 0);
    pintle_chan_free(t.c);
    return 0;
}
CASE(chan_senders_are_served_in_order) {
    must_run_strict(senders_main, (void *)0);
    must_run_strict(senders_main, (void *)3);
    ASSERT_ALL_MUST();
}

static int close_wakes_main(void *arg) {
    bool receivers = arg != NULL;
    queue_test t = {.c = int_chan(0)};
    pintle_task *tasks[WAITERS];
    queue_up(&t, tasks, receivers ? receive_one : send_one);
    MUST_BE(pintle_chan_close(t.c), 0);
    MUST_BE(helper_join_all(tasks, WAITERS), 0);
    for (int i = 0; i < WAITERS; i++) MUST_BE(t.results[i], PINTLE_ECLOSED);
    MUST_BE(recv_int(t.c, PINTLE_NOWAIT), PINTLE_ECLOSED); /* nothing of what the senders had */
    pintle_chan_free(t.c);
    return 0;
}
CASE(chan_close_wakes_receivers_and_senders) {
    must_run_strict(close_wakes_main, NULL);
    must_run_strict(close_wakes_main, &must_failures);
    ASSERT_ALL_MUST();
}

/* A waiter in the middle that gives up leaves the others' order alone. */
static void receive_until_soon(void *arg) {
    queue_test *t = arg;
    atomic_fetch_add(&t->arrived, 1);
    MUST_BE(recv_int(t->c, pintle_after(PINTLE_MS(1))), PINTLE_ETIMEDOUT);
    atomic_fetch_add(&t->over, 1);
}
static void receive_in_turn(void *arg) {
    queue_test *t = arg;
    unsigned me = atomic_fetch_add(&t->number, 1);
    atomic_fetch_add(&t->arrived, 1);
    t->results[me] = recv_int(t->c, PINTLE_FOREVER);
}
static int give_up_main(void *arg) {
    queue_test t = {.c = int_chan(0)};
    pintle_task *tasks[6];
    (void)arg;
    for (unsigned i = 0; i < 6; i++) {
        MUST_BE(pintle_spawn(&tasks[i], i % 2 == 0 ? receive_until_soon : receive_in_turn, &t), 0);
        must_yield_until(&t.arrived, i + 1);
    }
    while (atomic_load(&t.over) != 3) MUST_BE(pintle_sleep(PINTLE_MS(1)), 0);
    for (int i = 0; i < 3; i++) MUST_BE(send_int(t.c, i, PINTLE_NOWAIT), 0);
    MUST_BE(send_int(t.c, 9, PINTLE_NOWAIT), PINTLE_EAGAIN);
    MUST_BE(helper_join_all(tasks, 6), 0);
    for (int i = 0; i < 3; i++) MUST_BE(t.results[i], i);
    pintle_chan_free(t.c);
    return 0;
}
CASE(chan_waiters_that_give_up_leave_the_queue) {
    must_run_strict(give_up_main, NULL);
    ASSERT_ALL_MUST();
}

/* ---- Cancelled when the main task returns ---- */

static atomic_int canceled_recv, canceled_send, canceled_null;
static pintle_chan *abandoned;
static void wait_to_receive(void *arg) {
    (void)arg;
    atomic_store(&canceled_recv, recv_int(abandoned, PINTLE_FOREVER));
    atomic_store(&canceled_send, send_int(abandoned, 1, PINTLE_FOREVER)); /* and whatever waits later */
    atomic_store(&canceled_null, recv_int(NULL, PINTLE_FOREVER));
}
static int abandon_main(void *arg) {
    (void)arg;
    MUST_BE(pintle_spawn(NULL, wait_to_receive, NULL), 0);
    pintle_yield();
    return 0;
}
CASE(chan_waits_end_when_their_task_is_cancelled) {
    abandoned = int_chan(0);
    must_run(abandon_main, NULL);
    ck_assert_int_eq(canceled_recv, PINTLE_ECANCELED);
    ck_assert_int_eq(canceled_send, PINTLE_ECANCELED);
    ck_assert_int_eq(canceled_null, PINTLE_ECANCELED);
    pintle_chan_free(abandoned); /* nobody waits any more */
    ASSERT_ALL_MUST();
}

/* ---- Pairs: ping-pong of tasks, pinned tasks, threads, tasks in calls ---- */

typedef struct pair {
    pintle_chan *there, *back;
    int rounds;
    bool pins, in_call;
} pair;

static int serve(void *arg) {
    pair *p = arg;
    int ball, rounds = 0;
    while ((ball = recv_int(p->there, PINTLE_FOREVER)) >= 0) {
        MUST_BE(ball, rounds++);
        MUST_BE(send_int(p->back, ball * 2, PINTLE_FOREVER), 0);
    }
    MUST_BE(ball, PINTLE_ECLOSED);
    MUST_BE(rounds, p->rounds);
    return 0;
}
static int play(void *arg) {
    pair *p = arg;
    for (int i = 0; i < p->rounds; i++) {
        MUST_BE(send_int(p->there, i, PINTLE_FOREVER), 0);
        MUST_BE(recv_int(p->back, PINTLE_FOREVER), i * 2);
    }
    MUST_BE(pintle_chan_close(p->there), 0);
    return 0;
}
static void run_side(pair *p, int (*side)(void *)) {
    if (p->pins) pintle_pin();
    if (p->in_call)
        pintle_call(side, p);
    else
        side(p);
    if (p->pins) pintle_unpin();
}
static void serve_task(void *arg) { run_side(arg, serve); }
static void play_task(void *arg) { run_side(arg, play); }
static void serve_thread(void *arg) { serve(arg); }
static void play_thread(void *arg) { play(arg); }

static pair new_pair(size_t capacity, int rounds) {
    return (pair){.there = int_chan(capacity), .back = int_chan(capacity), .rounds = rounds / TEST_SLOWNESS};
}
static void end_pair(pair *p) {
    pintle_chan_free(p->there);
    pintle_chan_free(p->back);
}
static int tasks_main(void *arg) {
    pintle_task *tasks[2];
    MUST_BE(pintle_spawn(&tasks[0], serve_task, arg), 0);
    MUST_BE(pintle_spawn(&tasks[1], play_task, arg), 0);
    MUST_BE(helper_join_all(tasks, 2), 0);
    return 0;
}
static void play_in_tasks(size_t capacity, int rounds, bool pins, bool in_call) {
    for (unsigned processors = 1; processors <= 2; processors++) {
        pair p = new_pair(capacity, rounds);
        p.pins = pins;
        p.in_call = in_call;
        ck_assert_int_eq(helper_run(tasks_main, &p, processors), 0);
        end_pair(&p);
    }
    ASSERT_ALL_MUST();
}
CASE(chan_ping_pong_of_tasks) {
    play_in_tasks(0, 100000, false, false);
    play_in_tasks(1, 100000, false, false);
}
CASE(chan_ping_pong_of_pinned_tasks) { play_in_tasks(0, 2000, true, false); }
CASE(chan_ping_pong_of_tasks_in_calls) { play_in_tasks(0, 500, false, true); }
CASE(chan_ping_pong_of_a_task_and_a_thread) {
    for (unsigned processors = 1; processors <= 2; processors++) {
        pintle_options options = helper_processors(processors);
        pair p = new_pair(0, 2000);
        pintle_task *task;
        ck_assert_int_eq(pintle_start(&options), 0);
        ck_assert_int_eq(pintle_spawn(&task, serve_task, &p), 0);
        play(&p);
        ck_assert_int_eq(pintle_join(task, PINTLE_FOREVER), 0);
        ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
        end_pair(&p);
    }
    ASSERT_ALL_MUST();
}
CASE(chan_ping_pong_of_threads_without_runtime) {
    pair p = new_pair(0, 2000);
    helper_thread threads[2];
    ck_assert(helper_thread_start(&threads[0], serve_thread, &p));
    ck_assert(helper_thread_start(&threads[1], play_thread, &p));
    for (int i = 0; i < 2; i++) helper_thread_join(&threads[i]);
    end_pair(&p);
    ASSERT_ALL_MUST();
}

/* On one processor a hand-over goes straight to the partner, though others could run; and the others run all the same. */
static atomic_uint bystander_turns;
static atomic_bool bystander_stops;
static void stand_by(void *arg) {
    (void)arg;
    while (!atomic_load(&bystander_stops)) {
        atomic_fetch_add(&bystander_turns, 1);
        pintle_yield();
    }
}
static int bystander_main(void *arg) {
    pintle_task *task;
    MUST_BE(pintle_spawn(&task, stand_by, NULL), 0);
    must_yield_until(&bystander_turns, 1);
    tasks_main(arg);
    atomic_store(&bystander_stops, true);
    return pintle_join(task, PINTLE_FOREVER);
}
CASE_TIMEOUT(chan_ping_pong_does_not_starve_a_third, 60) {
    pair p = new_pair(0, 1000000);
    ck_assert_int_eq(helper_run_strict(bystander_main, &p), 0);
    end_pair(&p);
    ck_assert_uint_gt(bystander_turns, 2);
    ck_assert_uint_lt(bystander_turns, 100000); /* a turn for each hand-over would be a million */
    ASSERT_ALL_MUST();
}

/* ---- A pipeline of stages: the prime sieve of Go's documentation ---- */

typedef struct stage {
    pintle_chan *in, *out;
    int prime;
} stage;
static void count_up(void *arg) {
    for (int i = 2; send_int(arg, i, PINTLE_FOREVER) == 0; i++) continue;
    pintle_chan_free(arg);
}
static void filter(void *arg) {
    stage s = *(stage *)arg;
    int item;
    free(arg);
    while ((item = recv_int(s.in, PINTLE_FOREVER)) >= 0) {
        if (item % s.prime != 0 && send_int(s.out, item, PINTLE_FOREVER) != 0) break;
    }
    pintle_chan_close(s.in); /* ends the stage before */
    pintle_chan_free(s.in);
    pintle_chan_free(s.out);
}
static int sieve_main(void *arg) {
    pintle_chan *c = int_chan(0);
    int prime = 0;
    (void)arg;
    pintle_chan_retain(c);
    MUST_BE(pintle_spawn(NULL, count_up, c), 0);
    for (int i = 0; i < 200; i++) {
        stage *s = malloc(sizeof *s);
        prime = recv_int(c, PINTLE_FOREVER);
        *s = (stage){c, int_chan(0), prime};
        c = s->out;
        pintle_chan_retain(c);
        MUST_BE(pintle_spawn(NULL, filter, s), 0);
    }
    MUST_BE(prime, 1223);
    MUST_BE(pintle_chan_close(c), 0);
    pintle_chan_free(c);
    return 0;
}
CASE(chan_prime_sieve_finds_the_200th_prime) {
    must_run(sieve_main, NULL);
    ASSERT_ALL_MUST();
}

/* ---- Ten thousand tasks in a chain ---- */

typedef struct chain_link {
    pintle_chan *in, *out;
} chain_link;
static void pass_on(void *arg) {
    chain_link *l = arg;
    send_int(l->out, recv_int(l->in, PINTLE_FOREVER) + 1, PINTLE_FOREVER);
}
static int chain_main(void *arg) {
    int links = 10000;
    pintle_chan **chans = malloc((size_t)(links + 1) * sizeof *chans);
    chain_link *all = malloc((size_t)links * sizeof *all);
    (void)arg;
    for (int i = 0; i <= links; i++) chans[i] = int_chan(0);
    for (int i = 0; i < links; i++) {
        all[i] = (chain_link){chans[i], chans[i + 1]};
        MUST_BE(pintle_spawn(NULL, pass_on, &all[i]), 0);
    }
    MUST_BE(send_int(chans[0], 0, PINTLE_FOREVER), 0);
    MUST_BE(recv_int(chans[links], PINTLE_FOREVER), links);
    for (int i = 0; i <= links; i++) pintle_chan_free(chans[i]);
    free(chans);
    free(all);
    return 0;
}
CASE(chan_chain_of_10000_tasks_passes_a_number_on) {
    must_run(chain_main, NULL);
    ASSERT_ALL_MUST();
}
