/* test_scope.c: random trees of scopes: tasks that spawn, open, fail, panic, cancel each other and wait in all kinds of ways, with
 * deadlines. What must hold: a scope closes after all its tasks, what it tells fits, nobody is left, nothing hangs. */
#include "api/api_helpers.h"
#include "api/must.h"

enum { DEPTH_MOST = 4, TREES = 3000 / TEST_SLOWNESS };

typedef struct tree {
    _Atomic uint64_t random;
    pintle_chan *chan; /* nobody reads enough of it */
    pintle_event never;
    atomic_uint tasks, canceled, failures, panics, scopes;
} tree;

/* What a scope's tasks share. */
typedef struct branch {
    tree *tree;
    struct branch *outer;
    pintle_scope *scope;
    unsigned depth;
    atomic_uint live;
} branch;

static uint32_t below(tree *t, uint32_t limit) {
    uint64_t x = atomic_fetch_add(&t->random, 0x9E3779B97F4A7C15u);
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return (uint32_t)(((x ^ x >> 31) & 0xFFFFFFFF) * limit >> 32);
}

static int wait_somehow(tree *t) {
    int64_t deadline = below(t, 4) == 0 ? PINTLE_FOREVER : pintle_after(below(t, PINTLE_MS(2)));
    int item = 0;
    switch (below(t, 5)) {
    case 0: return pintle_sleep(below(t, PINTLE_MS(1)));
    case 1: return pintle_event_wait(&t->never, deadline);
    case 2: return pintle_chan_send(t->chan, &item, deadline);
    case 3: return pintle_chan_recv(t->chan, &item, deadline);
    default: {
        pintle_case cases[] = {pintle_case_recv(t->chan, &item), pintle_case_event(&t->never)};
        return pintle_select(cases, 2, deadline) >= 0 ? 0 : PINTLE_ECANCELED;
    }
    }
}

static int grow(branch *outer);
static void leave(void *arg) {
    branch *b = arg;
    atomic_fetch_sub(&b->live, 1);
}
static void plain(void *arg);

static int act(branch *b) {
    tree *t = b->tree;
    pintle_defer(leave, b); /* the last of its code, but for what frees the task */
    atomic_fetch_add(&t->tasks, 1);
    for (unsigned i = below(t, 6); i > 0; i--) {
        switch (below(t, 12)) {
        case 0:
            if (b->depth < DEPTH_MOST) grow(b);
            break;
        case 1:
            if (below(t, 8) == 0) pintle_scope_cancel(b->scope);
            break;
        case 2:
            if (below(t, 8) == 0 && b->outer != NULL) pintle_scope_cancel(b->outer->scope);
            break;
        case 3:
            atomic_fetch_add(&b->live, 1); /* a task of the same scope */
            if (pintle_spawn(NULL, plain, b) != 0) atomic_fetch_sub(&b->live, 1);
            break;
        case 4:
            pintle_cancel_mask();
            MUST(pintle_sleep(below(t, PINTLE_US(200))) == 0);
            pintle_cancel_unmask();
            break;
        case 5:
            if (below(t, 10) == 0) {
                atomic_fetch_add(&t->panics, 1);
                pintle_panic("a branch broke");
            }
            break;
        case 6:
            if (below(t, 10) == 0) pintle_task_exit();
            break;
        case 7: pintle_yield(); break;
        default: wait_somehow(t); break;
        }
    }
    if (pintle_canceled()) {
        atomic_fetch_add(&t->canceled, 1);
        MUST(pintle_sleep(PINTLE_S(100)) == PINTLE_ECANCELED);
    }
    if (below(t, 12) != 0) return 0;
    atomic_fetch_add(&t->failures, 1);
    return 5;
}
static int going(void *arg) { return act(arg); }
static void plain(void *arg) { act(arg); }

/* Opens a scope, has tasks in it, and closes it, or leaves that to a panic; everything is over then. */
static void grow_inside(void *arg) {
    branch *b = arg;
    tree *t = b->tree;
    int64_t deadline = below(t, 3) != 0 ? PINTLE_FOREVER : pintle_after(below(t, PINTLE_MS(5)));
    atomic_fetch_add(&t->scopes, 1);
    MUST(pintle_scope_open(&b->scope, deadline) == 0);
    for (unsigned i = 1 + below(t, 5); i > 0; i--) {
        atomic_fetch_add(&b->live, 1);
        int code = below(t, 2) == 0 ? pintle_scope_spawn(b->scope, plain, b)
                                    : pintle_scope_go(b->scope, going, b, NULL);
        if (code != 0) atomic_fetch_sub(&b->live, 1);
        MUST(code == 0);
    }
    if (below(t, 16) == 0) pintle_panic("the opener broke");
    if (below(t, 2) == 0) pintle_scope_wait(b->scope, pintle_after(below(t, PINTLE_MS(2))));
    if (below(t, 3) == 0) pintle_scope_cancel(b->scope);
    pintle_scope_cancel(b->scope); /* so that all waits for ever end */
    int code = pintle_scope_close(b->scope);
    MUST(code == 0 || code == 5 || code == PINTLE_EPANIC || code == PINTLE_ETIMEDOUT);
}
static int grow(branch *outer) {
    branch b = {.tree = outer->tree, .outer = outer->scope != NULL ? outer : NULL, .depth = outer->depth + 1};
    pintle_protect(grow_inside, &b, NULL);
    MUST(atomic_load(&b.live) == 0); /* all have ended, however it ended */
    return 0;
}

static int trees_main(void *arg) {
    tree *t = arg;
    pintle_stats stats;
    MUST(pintle_chan_new(&t->chan, sizeof(int), 1) == 0);
    for (int i = 0; i < TREES; i++) {
        branch root = {.tree = t};
        grow(&root);
        pintle_stats_get(&stats);
        MUST(stats.tasks == 1);
    }
    MUST(pintle_check() == 0);
    pintle_chan_free(t->chan);
    return 0;
}
static void play(unsigned processors) {
    tree t = {.random = test_seed()};
    pintle_event_init(&t.never);
    ck_assert_int_eq(helper_run(trees_main, &t, processors), 0);
    printf("%u scopes, %u tasks, %u cancelled, %u failures, %u panics\n", (unsigned)t.scopes, (unsigned)t.tasks,
           (unsigned)t.canceled, (unsigned)t.failures, (unsigned)t.panics);
    ck_assert_uint_gt(t.canceled, 0);
    ASSERT_ALL_MUST();
}
CASE_TIMEOUT(random_trees_of_scopes_leave_nothing_behind_on_one_processor, 60) { play(1); }
CASE_TIMEOUT(random_trees_of_scopes_leave_nothing_behind_on_two_processors, 60) { play(2); }
