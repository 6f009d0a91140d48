/* test_signal_posix.c: signals as items of channels: what comes, who else gets them, and what is put back. */
#include "api/must.h"

#include <signal.h>
#include <sys/time.h>

static const struct {
    unsigned kind;
    int number;
} all[] = {
    {PINTLE_SIGNAL_INTERRUPT, SIGINT}, {PINTLE_SIGNAL_BREAK, SIGQUIT}, {PINTLE_SIGNAL_TERMINATE, SIGTERM},
    {PINTLE_SIGNAL_CLOSE, SIGHUP},     {PINTLE_SIGNAL_USER1, SIGUSR1}, {PINTLE_SIGNAL_USER2, SIGUSR2},
};

static pintle_chan *open_for(unsigned which) {
    pintle_chan *c = NULL;
    MUST_BE(pintle_signal_open(&c, which), 0);
    return c;
}
static pintle_signal next_of(pintle_chan *c) {
    pintle_signal item = {0};
    MUST_BE(pintle_chan_recv(c, &item, PINTLE_FOREVER), 0);
    return item;
}
static void (*handler_of(int number))(int) {
    struct sigaction action;
    sigaction(number, NULL, &action);
    return action.sa_handler;
}

/* To the calling thread, and taken there before this returns. Not inlined: the compiler takes pthread_self's answer for a
 * constant, and a task may have changed threads. */
HELPER_NOINLINE int signal_self(void) { return pthread_kill(pthread_self(), SIGUSR1); }

/* To the process: whatever thread the system picks takes it. */
static int signal_process(int number) { return kill(getpid(), number); }

/* ---- What comes ---- */

static int each_main(void *arg) {
    pintle_chan *c = open_for(PINTLE_SIGNAL_STOP | PINTLE_SIGNAL_USER1 | PINTLE_SIGNAL_USER2);
    (void)arg;
    for (size_t i = 0; i < ELEMENTS(all); i++) {
        int64_t before = pintle_now();
        signal_process(all[i].number);
        pintle_signal item = next_of(c);
        MUST_BE(item.kind, all[i].kind);
        MUST_BE(item.number, all[i].number);
        MUST(item.time_ns >= before && item.time_ns <= pintle_now());
    }
    pintle_chan_free(c);
    for (size_t i = 0; i < ELEMENTS(all); i++) MUST(handler_of(all[i].number) == SIG_DFL);
    return 0;
}

CASE(signals_of_each_kind_arrive_and_handlers_are_given_back) {
    for (size_t i = 0; i < ELEMENTS(all); i++) signal(all[i].number, SIG_DFL); /* Check has some */
    must_run(each_main, NULL);
    for (size_t i = 0; i < ELEMENTS(all); i++) ck_assert(handler_of(all[i].number) == SIG_DFL);
    ASSERT_ALL_MUST();
}

/* A signal that comes to a task in a call, to a foreign thread, to a thread that sleeps for want of work. */
static int kill_in_call(void *arg) {
    (void)arg;
    return signal_self();
}
static void kill_on_thread(void *arg) {
    (void)arg;
    signal_self();
}
static int anywhere_main(void *arg) {
    pintle_chan *c = open_for(PINTLE_SIGNAL_USER1);
    helper_thread thread;
    (void)arg;
    for (int i = 0; i < 50; i++) {
        signal_self();
        next_of(c);
        MUST_BE(pintle_call(kill_in_call, NULL), 0);
        next_of(c);
        MUST_BE(pintle_call_blocking(kill_in_call, NULL), 0);
        next_of(c);
    }
    MUST(helper_thread_start(&thread, kill_on_thread, NULL));
    helper_thread_join(&thread);
    next_of(c);
    MUST_BE(pintle_chan_count(c), 0);
    pintle_chan_free(c);
    return 0;
}

CASE(signals_arrive_whatever_thread_takes_them) {
    must_run(anywhere_main, NULL);
    ASSERT_ALL_MUST();
}

static int several_main(void *arg) {
    pintle_chan *both = open_for(PINTLE_SIGNAL_USER1 | PINTLE_SIGNAL_USER2), *one = open_for(PINTLE_SIGNAL_USER1);
    (void)arg;
    signal_process(SIGUSR1);
    MUST_BE(next_of(both).kind, PINTLE_SIGNAL_USER1);
    MUST_BE(next_of(one).kind, PINTLE_SIGNAL_USER1);
    pintle_chan_free(both); /* the other still asks for USER1, nobody for USER2 */
    MUST(handler_of(SIGUSR1) != SIG_DFL);
    MUST(handler_of(SIGUSR2) == SIG_DFL);
    signal_process(SIGUSR1);
    MUST_BE(next_of(one).kind, PINTLE_SIGNAL_USER1);
    /* A full channel gets no more, and stops nobody. */
    pintle_chan *other = open_for(PINTLE_SIGNAL_USER1);
    for (int i = 0; i < 100; i++) {
        signal_process(SIGUSR1);
        next_of(other);
    }
    MUST_BE(pintle_chan_count(one), 64);
    pintle_chan_close(one); /* closed by its user: the others have theirs */
    signal_process(SIGUSR1);
    next_of(other);
    pintle_chan_free(one);
    pintle_chan_free(other);
    MUST(handler_of(SIGUSR1) == SIG_DFL);
    return 0;
}

CASE(signals_go_to_each_channel_that_asks_for_them) {
    must_run(several_main, NULL);
    ASSERT_ALL_MUST();
}

/* ---- The host's handlers ---- */

static atomic_uint host_got;
static atomic_int host_number;
static void host_handler(int number) {
    atomic_store(&host_number, number);
    atomic_fetch_add(&host_got, 1);
}
static void host_handler_with_info(int number, siginfo_t *info, void *context) {
    (void)context;
    if (info->si_pid == getpid()) host_handler(number);
}

static void use_signals(void *arg) {
    pintle_chan *c = open_for(PINTLE_SIGNAL_USER1);
    unsigned before = atomic_load(&host_got);
    (void)arg;
    signal_process(SIGUSR1);
    next_of(c);
    while (atomic_load(&host_got) == before) pintle_yield(); /* it runs right after ours, which has told already */
    MUST_BE(atomic_load(&host_got), before + 1);
    MUST_BE(host_number, SIGUSR1);
    pintle_chan_free(c);
}

CASE(host_handlers_still_run_and_are_put_back) {
    struct sigaction plain = {.sa_handler = host_handler}, now;
    struct sigaction with_info = {.sa_sigaction = host_handler_with_info, .sa_flags = SA_SIGINFO};
    for (int i = 0; i < 2; i++) {
        sigaction(SIGUSR1, i == 0 ? &plain : &with_info, NULL);
        ck_assert_int_eq(pintle_start(NULL), 0);
        ck_assert_int_eq(pintle_enter(use_signals, NULL), 0);
        ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
        sigaction(SIGUSR1, NULL, &now);
        ck_assert(i == 0 ? now.sa_handler == host_handler : now.sa_sigaction == host_handler_with_info);
        unsigned before = atomic_load(&host_got);
        raise(SIGUSR1);
        ck_assert_uint_eq(host_got, before + 1);
    }
    signal(SIGUSR1, SIG_DFL);
    ASSERT_ALL_MUST();
}

/* The host sets a handler after us, which calls ours: it is not taken away; and ours goes on working, with and without us. */
static void (*ours)(int, siginfo_t *, void *);
static void on_top(int number, siginfo_t *info, void *context) {
    host_handler(number);
    ours(number, info, context);
}
static int on_top_main(void *arg) {
    pintle_chan *c = open_for(PINTLE_SIGNAL_USER1);
    struct sigaction mine = {.sa_sigaction = on_top, .sa_flags = SA_SIGINFO}, before;
    unsigned got = atomic_load(&host_got);
    (void)arg;
    sigaction(SIGUSR1, &mine, &before);
    ours = before.sa_sigaction;
    signal_self();
    next_of(c);
    MUST_BE(host_got, got + 1);
    pintle_chan_free(c);
    signal_self();
    MUST_BE(host_got, got + 2);
    c = open_for(PINTLE_SIGNAL_USER1);
    signal_self();
    next_of(c);
    MUST_BE(host_got, got + 3);
    sigaction(SIGUSR1, &before, NULL); /* in the right order: last set, first given back */
    pintle_chan_free(c);
    MUST(handler_of(SIGUSR1) == SIG_DFL);
    return 0;
}

CASE(handler_that_was_set_after_ours_stays_and_may_call_ours) {
    signal(SIGUSR1, SIG_DFL);
    must_run_strict(on_top_main, NULL);
    ASSERT_ALL_MUST();
}

/* Ignored before: comes while asked for, is ignored again. */
static int ignored_main(void *arg) {
    pintle_chan *c = open_for(PINTLE_SIGNAL_CLOSE);
    (void)arg;
    signal_process(SIGHUP);
    MUST_BE(next_of(c).kind, PINTLE_SIGNAL_CLOSE);
    pintle_chan_free(c);
    MUST(handler_of(SIGHUP) == SIG_IGN);
    return 0;
}

CASE(signal_that_was_ignored_comes_while_somebody_asks) {
    signal(SIGHUP, SIG_IGN);
    must_run_strict(ignored_main, NULL);
    signal(SIGHUP, SIG_DFL);
    ASSERT_ALL_MUST();
}

/* ---- Nobody else can wake it ---- */

static void alarm_handler(int number) {
    (void)number;
    signal_process(SIGUSR1);
}
static int wait_for_alarm_main(void *arg) {
    pintle_chan *c = NULL;
    pintle_signal item;
    struct itimerval once = {.it_value = {.tv_usec = 900000}};
    (void)arg;
    if (pintle_signal_open(&c, PINTLE_SIGNAL_USER1) != 0) return 1;
    signal(SIGALRM, alarm_handler);
    setitimer(ITIMER_REAL, &once, NULL);
    if (pintle_chan_recv(c, &item, PINTLE_FOREVER) != 0) return 3;
    pintle_chan_free(c);
    return 77;
}
CHILD(waits_for_a_signal_alone) {
    child_without_watchdog();
    exit(helper_run_strict(wait_for_alarm_main, NULL));
}

CASE(waiting_for_a_signal_is_no_deadlock) {
    char text[8192];
    int status = child_run("waits_for_a_signal_alone", text, sizeof text);
    ck_assert_msg(status == 77, "status %d: %s", status, text);
}

/* SIGTERM to a process that asks for it: it ends in order; SIGINT to one that does not: it dies of it, as ever. */
static int orderly_main(void *arg) {
    pintle_chan *c = open_for(PINTLE_SIGNAL_STOP);
    (void)arg;
    signal_process(SIGTERM);
    int kind = (int)next_of(c).kind;
    pintle_chan_free(c);
    if (kind == PINTLE_SIGNAL_TERMINATE) signal_process(SIGINT);
    pintle_sleep(PINTLE_S(20));
    return 5;
}
CHILD(asks_for_one_dies_of_the_other) { exit(helper_run_strict(orderly_main, NULL)); }

CASE(signal_that_nobody_asks_for_any_more_ends_the_process) {
    char text[8192];
    ck_assert_int_eq(child_run("asks_for_one_dies_of_the_other", text, sizeof text), 128 + SIGINT);
}

/* ---- Storms, with a seed: signals to all threads, channels that come and go, tasks that switch and call ---- */

typedef struct storm {
    atomic_bool over;
    atomic_uint got, sent;
    uint64_t seed;
    atomic_uint number;
} storm;
static void storm_receiver(void *arg) {
    storm *s = arg;
    helper_random random = helper_random_from(s->seed + atomic_fetch_add(&s->number, 1));
    while (!atomic_load(&s->over)) {
        pintle_chan *c = open_for(PINTLE_SIGNAL_USER1 | (helper_random_below(&random, 2) ? PINTLE_SIGNAL_USER2 : 0));
        unsigned most = helper_random_below(&random, 20);
        for (unsigned i = 0; i < most; i++) {
            pintle_signal item;
            if (pintle_chan_recv(c, &item, pintle_after(PINTLE_US(helper_random_below(&random, 500)))) != 0) continue;
            MUST(item.kind == PINTLE_SIGNAL_USER1 || item.kind == PINTLE_SIGNAL_USER2);
            atomic_fetch_add(&s->got, 1);
        }
        pintle_chan_free(c);
    }
}
static void storm_worker(void *arg) {
    storm *s = arg;
    while (!atomic_load(&s->over)) {
        pintle_yield();
        pintle_call(helper_return_at_once, NULL);
        if (atomic_load(&s->sent) % 7 == 0) pintle_sleep(PINTLE_US(50));
    }
}
static void storm_sender(void *arg) {
    storm *s = arg;
    int64_t end = pintle_after(PINTLE_MS(400));
    helper_random random = helper_random_from(s->seed);
    while (pintle_now() < end) {
        signal_process(helper_random_below(&random, 2) ? SIGUSR1 : SIGUSR2);
        atomic_fetch_add(&s->sent, 1);
        if (helper_random_below(&random, 4) == 0) usleep(helper_random_below(&random, 200));
    }
    atomic_store(&s->over, true);
}
static int storm_main(void *arg) {
    storm *s = arg;
    helper_thread sender;
    pintle_task *tasks[8];
    pintle_chan *keep = open_for(PINTLE_SIGNAL_USER1 | PINTLE_SIGNAL_USER2); /* else one would end the process */
    MUST(helper_thread_start(&sender, storm_sender, s));
    MUST_BE(helper_spawn_all(tasks, 4, storm_receiver, s), 0);
    MUST_BE(helper_spawn_all(tasks + 4, 4, storm_worker, s), 0);
    MUST_BE(helper_join_all(tasks, 8), 0);
    helper_thread_join(&sender);
    MUST(pintle_chan_count(keep) > 0);
    pintle_chan_free(keep);
    return 0;
}

CASE(signals_by_the_thousand_while_channels_come_and_go) {
    storm s = {.seed = test_seed()};
    must_run(storm_main, &s);
    ASSERT_ALL_MUST();
    ck_assert_uint_gt(s.got, 0);
}
