/* pintle_call_until, and functions that are learnt to block. */
#include "api_helpers.h"
#include "support/pintle_test.h"

typedef struct until {
    helper_sem gate;
    pintle_event dropped;
    atomic_uint drops;
    int results[4], value;
    uint64_t abandoned;
} until;

static int quick(void *arg) {
    (void)arg;
    return 42;
}
static int blocked(void *arg) {
    helper_sem_wait(&((until *)arg)->gate);
    return 43;
}
static void dropped(void *arg) {
    until *u = arg;
    atomic_fetch_add(&u->drops, 1);
    pintle_event_set(&u->dropped);
}

static int until_main(void *arg) {
    until *u = arg;
    pintle_stats stats;
    u->results[0] = pintle_call_until(quick, u, dropped, PINTLE_FOREVER, &u->value);
    u->results[1] = pintle_call_until(blocked, u, dropped, pintle_after(PINTLE_MS(5)), NULL);
    u->results[2] = pintle_call_until(quick, u, dropped, 5, NULL);
    pintle_stats_get(&stats);
    u->abandoned = stats.calls_abandoned;
    if (atomic_load(&u->drops) != 0) return 1; /* the call still runs */
    helper_sem_post(&u->gate);
    u->results[3] = pintle_event_wait(&u->dropped, PINTLE_FOREVER);
    return 0;
}

CASE(call_until_abandons_at_the_deadline_and_drops_later) {
    until u = {.value = 0};
    helper_sem_init(&u.gate);
    pintle_event_init(&u.dropped);
    ck_assert_int_eq(helper_run(until_main, &u, 1), 0);
    ck_assert_int_eq(u.results[0], 0);
    ck_assert_int_eq(u.value, 42);
    ck_assert_int_eq(u.results[1], PINTLE_ETIMEDOUT);
    ck_assert_int_eq(u.results[2], PINTLE_EINVAL);
    ck_assert_int_eq(u.results[3], 0);
    ck_assert_uint_eq(u.abandoned, 1);
    ck_assert_uint_eq(u.drops, 1);
}

/* Calls that end about when the deadline comes: each is either taken or dropped, never both, never neither. */
static int nap(void *arg) {
    (void)arg;
    helper_compute(PINTLE_US(200));
    return 1;
}
typedef struct race {
    atomic_uint drops;
    unsigned taken, abandoned, wrong;
} race;
static void race_drop(void *arg) { atomic_fetch_add(&((race *)arg)->drops, 1); }
static int race_main(void *arg) {
    race *r = arg;
    for (int i = 0; i < 300; i++) {
        int value = 0, result = pintle_call_until(nap, r, race_drop, pintle_after(PINTLE_US(100 + i)), &value);
        if (result == 0 && value == 1) {
            r->taken++;
        } else if (result == PINTLE_ETIMEDOUT) {
            r->abandoned++;
        } else {
            r->wrong++;
        }
    }
    for (int i = 0; i < 2000 && atomic_load(&r->drops) < r->abandoned; i++) pintle_sleep(PINTLE_MS(1));
    return 0;
}

CASE(call_until_that_ends_at_the_deadline_is_taken_or_dropped) {
    race r = {.wrong = 0};
    ck_assert_int_eq(helper_run(race_main, &r, 2), 0);
    ck_assert_uint_eq(r.wrong, 0);
    ck_assert_uint_eq(r.taken + r.abandoned, 300);
    ck_assert_uint_eq(r.drops, r.abandoned);
}

/* ---- Calls whose callbacks end them: the caller is told, and the slots come back (four threads have two) ---- */

enum { ENDS_ROUNDS = 20 };

typedef struct ends {
    helper_sem gate;
    bool exits, waits;
    atomic_uint drops, reports;
    unsigned panics, named, exited, wrong, values, after;
} ends;
static void ends_task(void *arg) {
    if (((ends *)arg)->exits) pintle_task_exit();
    pintle_panic("nobody is called %s", "Nemo");
}
static int calls_back_and_ends(void *arg) {
    ends *e = arg;
    if (e->waits) helper_sem_wait(&e->gate);
    pintle_callback(ends_task, e);
    return 1; /* never */
}
static void ends_drop(void *arg) { atomic_fetch_add(&((ends *)arg)->drops, 1); }

static void call_ends(ends *e) {
    for (int i = 0; i < ENDS_ROUNDS; i++) {
        int value = 7, code = pintle_call_until(calls_back_and_ends, e, ends_drop, PINTLE_FOREVER, &value);
        pintle_error error;
        pintle_error_get(&error);
        e->values += value != 7;
        if (code != PINTLE_EPANIC || error.code != PINTLE_EPANIC) {
            e->wrong++;
        } else if (e->exits) {
            e->exited += strstr(error.text, "pintle_task_exit") != NULL;
        } else {
            e->panics++;
            e->named += strstr(error.text, "nobody is called Nemo") != NULL;
        }
    }
    int value = 0;
    e->after += pintle_call_until(quick, e, ends_drop, PINTLE_FOREVER, &value) == 0 && value == 42;
}
static int ends_main(void *arg) {
    ends *e = arg;
    helper_thread thread;
    call_ends(e);
    e->exits = true;
    call_ends(e);
    e->exits = false; /* and for a thread that is no task's */
    if (!helper_thread_start(&thread, (void (*)(void *))call_ends, e)) return 1;
    helper_thread_join(&thread);
    return 0;
}

CASE(call_until_that_a_callback_ends_gives_epanic_and_its_slot_back) {
    ends e = {.exits = false};
    pintle_options options = helper_processors(2);
    options.max_threads = 4;
    ck_assert_int_eq(pintle_run(ends_main, &e, &options), 0);
    ck_assert_uint_eq(e.wrong, 0);
    ck_assert_uint_eq(e.panics, 2 * ENDS_ROUNDS);
    ck_assert_uint_eq(e.named, 2 * ENDS_ROUNDS);
    ck_assert_uint_eq(e.exited, ENDS_ROUNDS);
    ck_assert_uint_eq(e.values, 0);
    ck_assert_uint_eq(e.after, 3);
    ck_assert_uint_eq(e.drops, 0);
}

/* The same after they were given up: nobody is there to be told. */
static void ends_report(void *user, int kind, const char *text) {
    ends *e = user;
    if (kind != PINTLE_REPORT_PANIC) return;
    if (strstr(text, "nobody is called Nemo") != NULL && strstr(text, "calls_back_and_ends") != NULL) e->named++;
    atomic_fetch_add(&e->reports, 1);
}
static void abandon_ends(void *arg) {
    ends *e = arg;
    e->waits = true;
    for (int i = 0; i < ENDS_ROUNDS; i++) {
        e->exits = i % 2 != 0;
        if (pintle_call_until(calls_back_and_ends, e, ends_drop, pintle_after(PINTLE_MS(1)), NULL) != PINTLE_ETIMEDOUT)
            e->wrong++;
        helper_sem_post(&e->gate);
        while (atomic_load(&e->drops) < (unsigned)i + 1 || atomic_load(&e->reports) < (unsigned)i / 2 + 1)
            pintle_yield();
    }
    int value = 0;
    e->after += pintle_call_until(quick, e, ends_drop, PINTLE_FOREVER, &value) == 0 && value == 42;
}

CASE(call_until_that_panics_after_it_was_given_up_drops_and_is_reported) {
    ends e = {.exits = false};
    pintle_options options = helper_processors(2);
    helper_sem_init(&e.gate);
    options.max_threads = 4;
    options.on_report = ends_report;
    options.user = &e;
    ck_assert_int_eq(pintle_start(&options), 0);
    ck_assert_int_eq(pintle_enter(abandon_ends, &e), 0);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    ck_assert_uint_eq(e.wrong, 0);
    ck_assert_uint_eq(e.drops, ENDS_ROUNDS);
    ck_assert_uint_eq(e.reports, ENDS_ROUNDS / 2);
    ck_assert_uint_eq(e.named, ENDS_ROUNDS / 2);
    ck_assert_uint_eq(e.after, 1);
}

/* A function that blocks again and again is handed on at once: the monitor does not have to find it each time. */
static int sleep_1ms(void *arg) {
#ifdef _WIN32
    Sleep(1);
#else
    usleep(1000);
#endif
    (void)arg;
    return 0;
}
static void sleeper(void *arg) {
    (void)arg;
    for (int i = 0; i < 10; i++) pintle_call(sleep_1ms, NULL);
}
typedef struct learnt {
    pintle_stats before, after;
} learnt;
static int learnt_main(void *arg) {
    learnt *l = arg;
    pintle_task *tasks[20];
    if (helper_spawn_all(tasks, 20, sleeper, NULL) != 0 || helper_join_all(tasks, 20) != 0) return 1;
    pintle_stats_get(&l->before);
    if (helper_spawn_all(tasks, 20, sleeper, NULL) != 0 || helper_join_all(tasks, 20) != 0) return 2;
    pintle_stats_get(&l->after);
    return 0;
}

CASE(function_that_blocks_is_learnt_and_handed_on_at_once) {
    learnt l;
    ck_assert_int_eq(helper_run(learnt_main, &l, 1), 0);
    ck_assert_uint_ge(l.after.handoffs - l.before.handoffs, 100);
    ck_assert_uint_lt(l.after.retakes - l.before.retakes, 100);
}

/* ---- Look-ups: 10,000, of which many take too long; the threads are bounded, and every argument has one owner ---- */

#if defined(_WIN32)
#include <ws2tcpip.h>
static INT(WSAAPI *look_up_fn)(PCSTR, PCSTR, const ADDRINFOA *, PADDRINFOA *);
static void(WSAAPI *free_fn)(PADDRINFOA);
static bool lookups_begin(void) {
    HMODULE module = LoadLibraryW(L"ws2_32.dll");
    int(WSAAPI * start)(WORD, WSADATA *) = (int(WSAAPI *)(WORD, WSADATA *))(void *)GetProcAddress(module, "WSAStartup");
    static WSADATA data;
    look_up_fn = (INT(WSAAPI *)(PCSTR, PCSTR, const ADDRINFOA *, PADDRINFOA *))(void *)GetProcAddress(module,
                                                                                                      "getaddrinfo");
    free_fn = (void(WSAAPI *)(PADDRINFOA))(void *)GetProcAddress(module, "freeaddrinfo");
    return start(MAKEWORD(2, 2), &data) == 0;
}
static void block_us(unsigned us) { Sleep((us + 999) / 1000); }
typedef ADDRINFOA address_info;
#else
#include <netdb.h>
#define look_up_fn getaddrinfo
#define free_fn freeaddrinfo
static bool lookups_begin(void) { return true; }
static void block_us(unsigned us) { usleep(us); }
typedef struct addrinfo address_info;
#endif

enum { CLIENTS = 100, LOOKUPS_EACH = 100 / TEST_SLOWNESS, LOOKUPS = CLIENTS * LOOKUPS_EACH };

typedef struct lookups {
    atomic_uint found, late, canceled, dropped, wrong, blocked, blocked_most;
    uint64_t seed;
    pintle_stats stats;
} lookups;
typedef struct lookup {
    lookups *all;
    unsigned block_us;
    address_info *result;
} lookup;

/* A server that answers late, and the resolver itself, with a number for a name: nothing leaves the machine. */
static int look_up(void *arg) {
    lookup *l = arg;
    address_info hints = {.ai_flags = AI_NUMERICHOST};
    unsigned blocked = atomic_fetch_add(&l->all->blocked, 1) + 1, most = atomic_load(&l->all->blocked_most);
    while (blocked > most && !atomic_compare_exchange_weak(&l->all->blocked_most, &most, blocked)) {}
    block_us(l->block_us);
    int code = look_up_fn("127.0.0.1", NULL, &hints, &l->result);
    atomic_fetch_sub(&l->all->blocked, 1);
    return code;
}
static void lookup_free(lookup *l) {
    if (l->result != NULL) free_fn(l->result);
    free(l);
}
static void lookup_dropped(void *arg) {
    lookup *l = arg;
    atomic_fetch_add(&l->all->dropped, 1);
    lookup_free(l);
}
static int client(void *arg) {
    lookups *all = arg;
    helper_random random = helper_random_from(all->seed + pintle_task_id(pintle_self()));
    for (unsigned i = 0; i < LOOKUPS_EACH; i++) {
        lookup *l = calloc(1, sizeof *l);
        int value = -1;
        *l = (lookup){.all = all, .block_us = helper_random_below(&random, 3000)};
        int code = pintle_call_until(look_up, l, lookup_dropped,
                                     pintle_after(helper_random_below(&random, PINTLE_MS(6))), &value);
        if (code == 0) {
            atomic_fetch_add(value == 0 && l->result != NULL ? &all->found : &all->wrong, 1);
            lookup_free(l);
        } else {
            atomic_fetch_add(code == PINTLE_ETIMEDOUT   ? &all->late
                             : code == PINTLE_ECANCELED ? &all->canceled
                                                        : &all->wrong,
                             1);
        }
    }
    return 0;
}
static int lookups_main(void *arg) {
    lookups *all = arg;
    pintle_scope *scope;
    if (pintle_scope_open(&scope, PINTLE_FOREVER) != 0) return 1;
    for (int i = 0; i < CLIENTS; i++)
        if (pintle_scope_go(scope, client, all, NULL) != 0) return 1;
    if (pintle_scope_wait(scope, pintle_after(PINTLE_MS(300) / TEST_SLOWNESS)) != 0)
        pintle_scope_cancel(scope); /* the rest gives up at once */
    if (pintle_scope_close(scope) != 0) return 1;
    while (atomic_load(&all->dropped) < atomic_load(&all->late) + atomic_load(&all->canceled))
        pintle_sleep(PINTLE_MS(1));
    pintle_stats_get(&all->stats);
    return 0;
}
CASE_TIMEOUT(lookups_with_deadlines_have_one_owner_each_and_bounded_threads, 60) {
    lookups all = {.seed = test_seed()};
    pintle_options options = helper_processors(2);
    options.max_threads = 40;
    ck_assert(lookups_begin());
    ck_assert_int_eq(pintle_run(lookups_main, &all, &options), 0);
    printf("%u found, %u late, %u canceled, %u at the same time, %llu threads\n", (unsigned)all.found,
           (unsigned)all.late, (unsigned)all.canceled, (unsigned)all.blocked_most,
           (unsigned long long)all.stats.threads_started);
    ck_assert_uint_eq(all.found + all.late + all.canceled, LOOKUPS);
    ck_assert_uint_eq(all.dropped, all.late + all.canceled);
    ck_assert_uint_eq(all.wrong, 0);
    if (TEST_SLOWNESS == 1) { /* all three ways out; a sanitizer may be too slow for one */
        ck_assert_uint_gt(all.found, 0);
        ck_assert_uint_gt(all.late, 0);
        ck_assert_uint_gt(all.canceled, 0);
    }
    ck_assert_uint_le(all.blocked_most, 20);
    ck_assert_uint_le(all.stats.threads, 40);
}
