/* test_chan_race.c: what people who know Go's channels rely on without looking: a wait that need not wait never says it would,
 * each item reaches one receiver, senders keep their order. Races, many rounds each. Source of the list: Go's tests of chan. */
#include "api/must.h"

static pintle_chan *int_chan(size_t capacity) {
    pintle_chan *c = NULL;
    ck_assert_int_eq(pintle_chan_new(&c, sizeof(int), capacity), 0);
    return c;
}
static void push(pintle_chan *c, int item) { MUST_BE(pintle_chan_send(c, &item, PINTLE_FOREVER), 0); }

/* ---- A receive that need not wait ---- */

typedef struct ready {
    pintle_chan *c[2];
    bool closes; /* the second channel, instead of sending */
    atomic_uint missed;
} ready;

static void take_first(void *arg) {
    ready *r = arg;
    if (pintle_chan_recv(r->c[0], NULL, PINTLE_NOWAIT) != 0) atomic_fetch_add(&r->missed, 1);
}
/* An item is in the channel, and closing takes none away. */
static int close_beside_receive(void *arg) {
    ready *r = arg;
    for (int i = 0; i < 20000 / TEST_SLOWNESS; i++) {
        pintle_task *task;
        MUST_BE(pintle_chan_new(&r->c[0], sizeof(int), 1), 0);
        push(r->c[0], 1);
        MUST_BE(pintle_spawn(&task, take_first, r), 0);
        MUST_BE(pintle_chan_close(r->c[0]), 0);
        MUST_BE(pintle_join(task, PINTLE_FOREVER), 0);
        pintle_chan_free(r->c[0]);
    }
    return 0;
}
CASE(chan_nowait_receive_beside_a_close_gets_the_item) {
    ready r = {.missed = 0};
    must_run(close_beside_receive, &r);
    ck_assert_uint_eq(r.missed, 0);
    ASSERT_ALL_MUST();
}

/* At each moment one of the two channels is ready: before the first is emptied, the second is filled or closed. */
static void select_either(void *arg) {
    ready *r = arg;
    pintle_case cases[] = {pintle_case_recv(r->c[0], NULL), pintle_case_recv(r->c[1], NULL)};
    if (pintle_select(cases, 2, PINTLE_NOWAIT) < 0) atomic_fetch_add(&r->missed, 1);
}
static int fill_before_emptying(void *arg) {
    ready *r = arg;
    for (int i = 0; i < 20000 / TEST_SLOWNESS; i++) {
        pintle_task *task;
        for (int k = 0; k < 2; k++) MUST_BE(pintle_chan_new(&r->c[k], sizeof(int), 1), 0);
        push(r->c[0], 1);
        MUST_BE(pintle_spawn(&task, select_either, r), 0);
        if (r->closes)
            MUST_BE(pintle_chan_close(r->c[1]), 0);
        else
            push(r->c[1], 1);
        int code = pintle_chan_recv(r->c[0], NULL, PINTLE_NOWAIT);
        MUST(code == 0 || code == PINTLE_EAGAIN);
        MUST_BE(pintle_join(task, PINTLE_FOREVER), 0);
        for (int k = 0; k < 2; k++) pintle_chan_free(r->c[k]);
    }
    return 0;
}
CASE(select_nowait_of_two_never_misses_the_one_that_is_ready) {
    ready r = {.closes = false};
    must_run(fill_before_emptying, &r);
    ck_assert_uint_eq(r.missed, 0);
    ASSERT_ALL_MUST();
}
CASE(select_nowait_never_misses_the_channel_that_is_closed) {
    ready r = {.closes = true};
    must_run(fill_before_emptying, &r);
    ck_assert_uint_eq(r.missed, 0);
    ASSERT_ALL_MUST();
}

/* ---- Many receivers ---- */

enum { CONSUMERS = 23, ITEMS = 30000 / TEST_SLOWNESS };
typedef struct sharing {
    pintle_chan *from, *to;
    atomic_uchar seen[ITEMS];
    atomic_uint ends;
} sharing;

static void consume(void *arg) {
    sharing *s = arg;
    int item;
    while (pintle_chan_recv(s->from, &item, PINTLE_FOREVER) == 0) {
        atomic_fetch_add(&s->seen[item], 1);
        if (item % 7 == 0) pintle_yield();
        push(s->to, item);
    }
    atomic_fetch_add(&s->ends, 1);
}
static void produce(void *arg) {
    sharing *s = arg;
    for (int i = 0; i < ITEMS; i++) push(s->from, i);
    MUST_BE(pintle_chan_close(s->from), 0);
}
static int share_main(void *arg) {
    sharing *s = arg;
    pintle_task *tasks[CONSUMERS + 1];
    long long sum = 0;
    for (int i = 0; i < ITEMS; i++) s->seen[i] = 0;
    s->ends = 0;
    MUST_BE(pintle_chan_new(&s->from, sizeof(int), 3), 0);
    MUST_BE(pintle_chan_new(&s->to, sizeof(int), 5), 0);
    MUST_BE(helper_spawn_all(tasks, CONSUMERS, consume, s), 0);
    MUST_BE(pintle_spawn(&tasks[CONSUMERS], produce, s), 0);
    for (int i = 0; i < ITEMS; i++) {
        int item = 0;
        MUST_BE(pintle_chan_recv(s->to, &item, PINTLE_FOREVER), 0);
        sum += item;
    }
    MUST_BE(helper_join_all(tasks, CONSUMERS + 1), 0);
    MUST_BE(sum, (long long)ITEMS * (ITEMS - 1) / 2);
    for (int i = 0; i < ITEMS; i++) MUST_BE(s->seen[i], 1);
    MUST_BE(s->ends, CONSUMERS);
    pintle_chan_free(s->from);
    pintle_chan_free(s->to);
    return 0;
}
CASE(chan_items_reach_one_of_many_receivers_each) {
    static sharing s;
    must_run(share_main, &s);
    ASSERT_ALL_MUST();
}

/* ---- Order ---- */

enum { SENDERS = 4 };
typedef struct ordered {
    pintle_chan *c[SENDERS];
    int rounds;
} ordered;
typedef struct sender {
    ordered *o;
    int number;
} sender;

static void send_rising(void *arg) {
    sender *s = arg;
    for (int i = 0; i < s->o->rounds; i++) push(s->o->c[s->number], i);
}
/* All senders select over all channels: each wants each of them so often, in any order. */
static void select_rising(void *arg) {
    sender *s = arg;
    int left[SENDERS], items[SENDERS], open = SENDERS;
    for (int i = 0; i < SENDERS; i++) left[i] = s->o->rounds;
    while (open > 0) {
        pintle_case cases[SENDERS];
        for (int i = 0; i < SENDERS; i++) {
            items[i] = s->o->rounds - left[i];
            cases[i] = pintle_case_recv(left[i] > 0 ? s->o->c[i] : NULL, &items[i]);
        }
        int ran = pintle_select(cases, SENDERS, PINTLE_FOREVER);
        MUST(ran >= 0 && ran < SENDERS);
        if (ran < 0) return;
        MUST_BE(items[ran], s->o->rounds - left[ran]);
        if (--left[ran] == 0) open--;
    }
}
static int ordered_main(void *arg) {
    ordered *o = arg;
    sender senders[SENDERS];
    pintle_task *tasks[SENDERS + 1];
    for (int i = 0; i < SENDERS; i++) {
        senders[i] = (sender){o, i};
        MUST_BE(pintle_chan_new(&o->c[i], sizeof(int), (size_t)i), 0);
        MUST_BE(pintle_spawn(&tasks[i], send_rising, &senders[i]), 0);
    }
    MUST_BE(pintle_spawn(&tasks[SENDERS], select_rising, &senders[0]), 0);
    MUST_BE(helper_join_all(tasks, SENDERS + 1), 0);
    for (int i = 0; i < SENDERS; i++) pintle_chan_free(o->c[i]);
    return 0;
}
CASE(select_receives_each_channels_items_in_their_order) {
    ordered o = {.rounds = 10000 / TEST_SLOWNESS};
    must_run(ordered_main, &o);
    ASSERT_ALL_MUST();
}

/* ---- One channel twice in a select, left by the other case ---- */

static atomic_uint twice_waits;
static void select_twice(void *arg) {
    pintle_chan **c = arg;
    int in = 0;
    pintle_case cases[] = {pintle_case_recv(c[0], &in), pintle_case_recv(c[0], &in), pintle_case_recv(c[1], &in)};
    atomic_fetch_add(&twice_waits, 1);
    MUST_BE(pintle_select(cases, 3, PINTLE_FOREVER), 2);
    MUST_BE(in, 7);
}
static void receive_one(void *arg) {
    int in = 0;
    atomic_fetch_add(&twice_waits, 1);
    MUST_BE(pintle_chan_recv(*(pintle_chan **)arg, &in, PINTLE_FOREVER), 0);
    MUST_BE(in, 8);
}
/* It stood twice in the queue before the one that waits behind it, and must be gone from both places. */
static int twice_main(void *arg) {
    pintle_chan **c = arg;
    pintle_task *tasks[2];
    atomic_store(&twice_waits, 0);
    MUST_BE(pintle_spawn(&tasks[0], select_twice, arg), 0);
    must_yield_until(&twice_waits, 1);
    MUST_BE(pintle_spawn(&tasks[1], receive_one, arg), 0);
    must_yield_until(&twice_waits, 2);
    push(c[1], 7);
    MUST_BE(pintle_join(tasks[0], PINTLE_FOREVER), 0);
    push(c[0], 8);
    MUST_BE(pintle_join(tasks[1], PINTLE_FOREVER), 0);
    return 0;
}
CASE(select_with_a_channel_twice_leaves_both_places) {
    pintle_chan *c[] = {int_chan(0), int_chan(0)};
    must_run_strict(twice_main, c);
    for (int i = 0; i < 2; i++) pintle_chan_free(c[i]);
    ASSERT_ALL_MUST();
}
