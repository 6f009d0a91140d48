/* select_watch.c: select with cases for descriptors and handles that others own.
 *
 *   1 All cases are tried in an order made by chance; the first that can run is the one.
 *   2 Each object is armed (watch.h), and a select over the others and the objects' records waits. An object counts as ready
 *     there if it was seen since it was armed.
 *   3 What was used up for us runs; a descriptor that was seen is looked at, and if it is not ready for what the case wants,
 *     all begins anew.
 * On every way out the records are given back, and with the last one what the system had of them.
 * Threads: any. Locks: as select.c, watch.c. Tests: tests/posix/test_select_fd.c, tests/win/test_select_handle.c. */
#include "clock.h"
#include "error.h"
#include "io_poll.h"
#include "memory.h"
#include "select.h"
#include "watch.h"

enum { CASES_ON_STACK = 8 };

static const char function[] = "pintle_select";

struct watched {
    struct watch *watch;
    uint32_t turn; /* an order of all cases */
};

static bool is_watched(const pintle_case *c) {
    return c->on != NULL && (c->op == PINTLE_CASE_FD || c->op == PINTLE_CASE_HANDLE);
}
static intptr_t object_of(const pintle_case *c) {
    return c->op == PINTLE_CASE_FD ? (intptr_t)c->on - 1 : (intptr_t)c->on; /* pintle_case_fd */
}
static uint32_t events_of(const pintle_case *c) { return c->op == PINTLE_CASE_FD ? (uint32_t)(uintptr_t)c->item : 1; }

/* 1: it ran; 0: it cannot; else a code. */
static int try_one(pintle_case *c) {
    uint32_t events;
    int os_code;
    if (c->on == NULL) return 0;
    if (!is_watched(c)) return select_try(c);
    os_code = os_watch_look(object_of(c), events_of(c), &events);
    if (os_code != 0) return watch_error(os_code, object_of(c), function);
    if (events == 0) return 0;
    c->status = c->op == PINTLE_CASE_FD ? (int)events : 0;
    return 1;
}

/* The index that ran; n: none can. */
static int try_all(pintle_case *cases, struct watched *watched, size_t n) {
    for (size_t i = 0; i < n; i++) watched[i].turn = (uint32_t)i;
    for (size_t left = n; left > 0; left--) {
        uint32_t at = select_chance((uint32_t)left), i = watched[at].turn;
        int result = try_one(&cases[i]);
        if (result < 0) return result;
        if (result > 0) return (int)i;
        watched[at].turn = watched[left - 1].turn;
    }
    return (int)n;
}

static int take_all(pintle_case *cases, struct watched *watched, size_t n) {
    for (size_t i = 0; i < n; i++) watched[i].watch = NULL;
    for (size_t i = 0; i < n; i++) {
        int result = is_watched(&cases[i]) ? watch_take(object_of(&cases[i]), function, &watched[i].watch) : 0;
        if (result != 0) return result;
    }
    return 0;
}

static void give_all(struct watched *watched, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (watched[i].watch != NULL) watch_give(watched[i].watch);
    }
}

static int arm_all(pintle_case *cases, struct watched *watched, pintle_case *made, size_t n) {
    struct thread *thread = thread_self();
    for (size_t i = 0; i < n; i++) {
        struct watch *watch = watched[i].watch;
        made[i] = cases[i];
        if (watch == NULL) continue;
        made[i].op = CASE_WATCH;
        made[i].on = watch;
        made[i].item = (void *)(uintptr_t)atomic_load_acquire(&watch->seen);
        int result = watch_arm(watch, events_of(&cases[i]), function);
        if (result != 0) return result;
    }
    if (thread != NULL && thread->task != NULL) poll_call_for(thread);
    return 0;
}

/* One wait: the index that ran, n: begin anew, or a code. */
static int wait_all(pintle_case *cases, struct watched *watched, pintle_case *made, size_t n, int64_t deadline_ns) {
    int ran = arm_all(cases, watched, made, n);
    if (ran == 0) ran = select_cases(made, n, deadline_ns);
    if (ran < 0) return ran;
    cases[ran].status = made[ran].status;
    if (watched[ran].watch == NULL) return ran;
    if (made[ran].status < 0) return error_set(made[ran].status, 0, "%s: the runtime has stopped", function);
    if (made[ran].status == 0 || !os_watch_is_used_up()) return (int)n;
    cases[ran].status = 0;
    return ran;
}

int select_watched(pintle_case *cases, size_t n, int64_t deadline_ns) {
    struct watched few[CASES_ON_STACK], *watched = few;
    pintle_case few_made[CASES_ON_STACK], *made = few_made;
    int result, took = 0;
    bool is_taken = false;
    if (n > CASES_ON_STACK) {
        watched = memory_alloc(n * (sizeof *watched + sizeof *made));
        if (watched == NULL) return error_set(PINTLE_ENOMEM, 0, "%s: no memory for %zu cases", function, n);
        made = (pintle_case *)(void *)(watched + n);
    }
    for (;;) {
        result = try_all(cases, watched, n);
        if (result != (int)n) break;
        if (deadline_ns == PINTLE_NOWAIT) {
            result = wait_result(WAKE_DEADLINE, deadline_ns, function);
            break;
        }
        if (!is_taken) {
            is_taken = true;
            took = take_all(cases, watched, n);
        }
        result = took != 0 ? took : wait_all(cases, watched, made, n, deadline_ns);
        if (result != (int)n) break;
    }
    if (is_taken) give_all(watched, n);
    if (watched != few) memory_free(watched);
    return result;
}
