/* test_io.c: pintle_io by chance: connections and pipes whose reads and writes end by data, deadlines, cancels, closes and the end
 * of the runtime. Whatever happens, what is read is what was written, byte for byte, and all is given back. */
#include "api/must.h"
#include "support/resources.h"

enum { SLOTS = 12, THREADS = 2, STEPS_MOST = 20, CHUNK_MOST = 5000 };
#if defined(_WIN32)
enum { LIVES = 150, SETS = 6 }; /* each operation goes by Wine's server */
#else
enum { LIVES = 1500 / TEST_SLOWNESS, SETS = 15 };
#endif

typedef struct stress {
    uint64_t seed;
    unsigned sets; /* of what is under way when a run ends */
    char address[PINTLE_IO_ADDRESS_BYTES];
    atomic_uint lives, live, canceled, late, whole, aborted;
    atomic_bool over;
} stress;

/* One end of a stream that comes back: how much was sent, and seen again. */
typedef struct life {
    stress *stress;
    helper_random random;
    pintle_io *out, *in; /* the same, of a connection */
    uint64_t key, sent, seen;
    bool aborts; /* the other side closes when it likes */
} life;

static unsigned char pattern(const life *l, uint64_t at) {
    if (at == 0) return l->aborts;
    return (unsigned char)((l->key + at * 0x9E3779B97F4A7C15u) >> 56);
}
static int64_t any_deadline(helper_random *random) {
    switch (helper_random_below(random, 4)) {
    case 0: return PINTLE_NOWAIT;
    case 1: return pintle_after(helper_random_below(random, 20000));
    case 2: return pintle_after(helper_random_below(random, 2000000));
    default: return pintle_after(PINTLE_MS(30));
    }
}
/* The other side may close before all has come back. */
static bool may_abort(const life *l) { return l->aborts || l->stress->over; }
/* Ended early, or by the other side where that may be. */
static bool is_expected(life *l, int64_t code) {
    if (code == PINTLE_ETIMEDOUT || code == PINTLE_EAGAIN) {
        atomic_fetch_add(&l->stress->late, 1);
        return true;
    }
    if (code == PINTLE_ECANCELED) return true;
    MUST(code == PINTLE_ECLOSED && may_abort(l));
    return false;
}

/* ---- The other side ---- */

typedef struct echo {
    stress *stress;
    pintle_io *in, *out;
    helper_random random;
} echo;

static void echo_end(echo *e) {
    if (e->out != e->in) pintle_io_close(e->out);
    pintle_io_close(e->in);
    atomic_fetch_sub(&e->stress->live, 1);
    free(e);
}
static int64_t pass_on(echo *e, const char *data, int64_t bytes) {
    int64_t done = 0, some = 0;
    while (done < bytes) {
        some = pintle_io_write(e->out, data + done, (size_t)(bytes - done), any_deadline(&e->random));
        if (some > 0) done += some;
        if (some == PINTLE_EAGAIN) pintle_yield();
        if (some < 0 && some != PINTLE_ETIMEDOUT && some != PINTLE_EAGAIN) return some;
        if (pintle_canceled()) return PINTLE_ECANCELED;
    }
    return done;
}
static void echo_task(void *arg) {
    echo *e = arg;
    char data[2000];
    int64_t got;
    bool aborts = false, is_first = true;
    for (;;) {
        got = pintle_io_read(e->in, data, 1 + helper_random_below(&e->random, sizeof data), PINTLE_FOREVER);
        if (got > 0 && is_first) aborts = data[0];
        is_first = false;
        if (got > 0) got = pass_on(e, data, got);
        if (got <= 0 || (aborts && helper_random_below(&e->random, 4) == 0)) break;
    }
    MUST(got >= 0 || got == PINTLE_ECANCELED || got == PINTLE_ECLOSED);
    echo_end(e);
}
/* The ends are the task's from now on. */
static void echo_start(stress *s, pintle_io *in, pintle_io *out, uint64_t seed) {
    echo *e = malloc(sizeof *e);
    if (e == NULL) abort();
    *e = (echo){.stress = s, .in = in, .out = out, .random = helper_random_from(seed)};
    atomic_fetch_add(&s->live, 1);
    int code = pintle_spawn(NULL, echo_task, e);
    if (code == 0) return;
    MUST_BE(code, PINTLE_ESTOPPED); /* the run ends */
    echo_end(e);
}
static void accept_task(void *arg) {
    stress *s = ((void **)arg)[0];
    pintle_io *listener = ((void **)arg)[1], *io;
    helper_random random = helper_random_from(s->seed + 1);
    int code;
    for (;;) {
        code = pintle_io_accept(listener, &io, any_deadline(&random));
        if (code == 0) echo_start(s, io, io, helper_random_below(&random, 1u << 30));
        if (code == PINTLE_EAGAIN) pintle_yield();
        if ((code != 0 && code != PINTLE_EAGAIN && code != PINTLE_ETIMEDOUT) || pintle_canceled()) break;
    }
    MUST(code == PINTLE_ECANCELED || pintle_canceled());
    pintle_io_close(listener);
    free(arg);
    atomic_fetch_sub(&s->live, 1);
}

/* ---- A life ---- */

static bool send_some(life *l) {
    unsigned char data[CHUNK_MOST];
    uint32_t bytes = 1 + helper_random_below(&l->random, helper_random_below(&l->random, 2) ? 100 : CHUNK_MOST);
    for (uint32_t i = 0; i < bytes; i++) data[i] = pattern(l, l->sent + i);
    int64_t done = pintle_io_write(l->out, data, bytes, any_deadline(&l->random));
    if (done < 0) return is_expected(l, done);
    l->sent += (uint64_t)done;
    return true;
}
static bool see_some(life *l, int64_t deadline_ns) {
    unsigned char data[CHUNK_MOST];
    int64_t got = pintle_io_read(l->in, data, 1 + helper_random_below(&l->random, CHUNK_MOST), deadline_ns);
    if (got < 0) return is_expected(l, got);
    for (int64_t i = 0; i < got; i++)
        if (data[i] != pattern(l, l->seen + (uint64_t)i)) {
            MUST_BE(data[i], pattern(l, l->seen + (uint64_t)i));
            return false;
        }
    l->seen += (uint64_t)got;
    MUST(l->seen <= l->sent);
    if (got == 0) MUST(may_abort(l));
    return got > 0;
}
/* The stream's end: all that was sent has come back. */
static void see_all(life *l) {
    if (l->in == l->out) {
        int code = pintle_io_shutdown(l->out);
        MUST(code == 0 || may_abort(l));
    } else {
        pintle_io_close(l->out);
        l->out = NULL;
    }
    for (;;) {
        unsigned char data[CHUNK_MOST];
        int64_t got = pintle_io_read(l->in, data, sizeof data, PINTLE_FOREVER);
        for (int64_t i = 0; i < got; i++) MUST(data[i] == pattern(l, l->seen + (uint64_t)i));
        if (got > 0) l->seen += (uint64_t)got;
        if (got > 0) continue;
        if (got == 0 && !may_abort(l)) {
            MUST_BE(l->seen, l->sent);
            atomic_fetch_add(&l->stress->whole, 1);
        } else if (got < 0) {
            is_expected(l, got);
        }
        return;
    }
}
static void reads_once(void *arg) {
    char byte;
    int64_t got = pintle_io_read(((void **)arg)[1], &byte, 1, PINTLE_FOREVER);
    MUST(got == 1 || got == 0 || got == PINTLE_ECLOSED || got == PINTLE_ECANCELED);
    pintle_event_set(((void **)arg)[0]);
}
/* Ended while another reads; closed when that has noticed. */
static void end_under_a_read(life *l) {
    pintle_event over;
    void *args[2] = {&over, l->in};
    pintle_task *task;
    pintle_event_init(&over);
    if (pintle_spawn(&task, reads_once, args) == 0) {
        for (uint32_t i = helper_random_below(&l->random, 4); i > 0; i--) pintle_yield();
        pintle_cancel_mask(); /* args have to stay */
        if (helper_random_below(&l->random, 2) == 0) pintle_task_cancel(task);
        if (l->out != l->in) pintle_io_close(l->out);
        pintle_io_shutdown(l->in); /* so that it does not stay for a byte that never comes, if it had not begun */
        pintle_task_cancel(task);
        MUST_BE(pintle_join(task, PINTLE_FOREVER), 0);
        pintle_cancel_unmask();
    } else if (l->out != l->in) {
        pintle_io_close(l->out);
    }
    pintle_io_close(l->in);
    l->in = l->out = NULL;
}
static void life_run(life *l, bool is_task) {
    for (uint32_t steps = 1 + helper_random_below(&l->random, STEPS_MOST); steps > 0; steps--) {
        if (helper_random_below(&l->random, 2) == 0 && !send_some(l)) break;
        if (helper_random_below(&l->random, 2) == 0 && l->sent > l->seen && !see_some(l, any_deadline(&l->random)))
            break;
        if (is_task && helper_random_below(&l->random, 4) == 0) pintle_yield();
        if (is_task && pintle_canceled()) break;
    }
    switch (helper_random_below(&l->random, is_task ? 3 : 2)) {
    case 0: see_all(l); break;
    case 1: atomic_fetch_add(&l->stress->aborted, 1); break;
    default: end_under_a_read(l); break;
    }
    if (l->out != l->in) pintle_io_close(l->out);
    pintle_io_close(l->in);
}
static void life_begin(stress *s, uint64_t seed, bool is_task) {
    life l = {.stress = s, .random = helper_random_from(seed)};
    int code;
    l.key = (uint64_t)helper_random_below(&l.random, UINT32_MAX) << 32;
    l.aborts = helper_random_below(&l.random, 5) == 0;
    atomic_fetch_add(&s->lives, 1);
    if (is_task && helper_random_below(&l.random, 3) == 0) {
        pintle_io *ins[2], *outs[2];
        for (int i = 0; i < 2; i++) MUST_BE(pintle_io_pipe(&ins[i], &outs[i]), 0);
        echo_start(s, ins[0], outs[1], seed + 5);
        l.out = outs[0];
        l.in = ins[1];
    } else {
        code = pintle_io_connect(&l.out, s->address,
                                 helper_random_below(&l.random, 3) ? PINTLE_FOREVER : any_deadline(&l.random));
        if (code != 0) {
            MUST(l.out == NULL &&
                 (code == PINTLE_ETIMEDOUT || code == PINTLE_EAGAIN || code == PINTLE_ECANCELED || s->over));
            return;
        }
        l.in = l.out;
    }
    life_run(&l, is_task);
}

/* ---- Who lives ---- */

static void life_task(void *arg) {
    stress *s = ((void **)arg)[0];
    life_begin(s, (uint64_t)(uintptr_t)((void **)arg)[1], true);
    free(arg);
    atomic_fetch_sub(&s->live, 1);
}
static void **args_make(stress *s, void *more) {
    void **args = malloc(2 * sizeof *args);
    if (args == NULL) abort();
    args[0] = s;
    args[1] = more;
    atomic_fetch_add(&s->live, 1);
    return args;
}
/* One life after the other; some are cut short. */
static void slot_task(void *arg) {
    stress *s = ((void **)arg)[0];
    helper_random random = helper_random_from(s->seed + 100 + (uintptr_t)((void **)arg)[1]);
    while (!pintle_canceled()) {
        pintle_task *task;
        void **args = args_make(s, (void *)(uintptr_t)helper_random_below(&random, UINT32_MAX));
        MUST_BE(pintle_spawn(&task, life_task, args), 0);
        if (helper_random_below(&random, 3) == 0) {
            for (uint32_t i = helper_random_below(&random, 30); i > 0; i--) pintle_yield();
            pintle_task_cancel(task);
            atomic_fetch_add(&s->canceled, 1);
        }
        if (pintle_join(task, PINTLE_FOREVER) != 0) pintle_task_detach(task);
    }
    free(arg);
    atomic_fetch_sub(&s->live, 1);
}
static void thread_main(void *arg) {
    stress *s = ((void **)arg)[0];
    for (uint64_t i = 0; !s->over; i++) life_begin(s, s->seed + 7000 + i * 2 + (uintptr_t)((void **)arg)[1], false);
    free(arg);
    atomic_fetch_sub(&s->live, 1);
}
static int stress_main(void *arg) {
    stress *s = arg;
    helper_thread threads[THREADS];
    pintle_io *listener;
    pintle_scope *scope;
    MUST_BE(pintle_io_listen(&listener, "127.0.0.1:0", 0), 0);
    MUST_BE(pintle_io_address(listener, s->address, sizeof s->address), 0);
    MUST_BE(pintle_scope_open(&scope, PINTLE_FOREVER), 0);
    MUST_BE(pintle_scope_spawn(scope, accept_task, args_make(s, listener)), 0);
    for (uintptr_t i = 0; i < SLOTS; i++) MUST_BE(pintle_scope_spawn(scope, slot_task, args_make(s, (void *)i)), 0);
    for (uintptr_t i = 0; i < THREADS; i++)
        MUST(helper_thread_start(&threads[i], thread_main, args_make(s, (void *)i)));
    while (s->lives < LIVES && must_failures == 0) pintle_sleep(PINTLE_MS(1));
    s->over = true;
    for (uintptr_t i = 0; i < THREADS; i++) helper_thread_join(&threads[i]);
    pintle_scope_cancel(scope);
    MUST_BE(pintle_scope_close(scope), 0);
    MUST_BE(s->live, 0);
    return 0;
}

static int warm_main(void *arg) {
    pintle_io *io;
    (void)arg;
    MUST_BE(pintle_io_listen(&io, "127.0.0.1:0", 0), 0);
    pintle_io_close(io);
    return 0;
}
CASE_TIMEOUT(streams_that_end_by_chance_carry_what_was_written, 110) {
    static stress s;
    unsigned handles;
    s.seed = test_seed();
    must_run(warm_main, NULL);
    handles = resources_handles();
    ck_assert_int_eq(helper_run(stress_main, &s, 2), 0);
    printf("%u lives, %u canceled, %u ended late, %u whole, %u given up\n", s.lives, s.canceled, s.late, s.whole,
           s.aborted);
    ck_assert_uint_eq(resources_handles(), handles);
    ASSERT_ALL_MUST();
    ck_assert_uint_gt(s.whole, 0);
    ck_assert_uint_gt(s.canceled, 0);
    ck_assert_uint_gt(s.late, 0);
}

/* ---- A run that ends while everything is under way ---- */

static void reads_to_the_end(void *arg) {
    stress *s = ((void **)arg)[0];
    pintle_io *io = ((void **)arg)[1];
    char data[100];
    int64_t got;
    while ((got = pintle_io_read(io, data, sizeof data, PINTLE_FOREVER)) > 0) {}
    MUST(got == 0 || got == PINTLE_ECANCELED); /* the writer may have been faster */
    pintle_io_close(io);
    free(arg);
    atomic_fetch_sub(&s->live, 1);
}
static void writes_to_the_end(void *arg) {
    stress *s = ((void **)arg)[0];
    pintle_io *io = ((void **)arg)[1];
    static char data[1 << 20];
    int64_t done;
    while ((done = pintle_io_write(io, data, sizeof data, PINTLE_FOREVER)) == sizeof data) {}
    MUST(done > 0 || done == PINTLE_ECANCELED || done == PINTLE_ECLOSED);
    pintle_io_close(io);
    free(arg);
    atomic_fetch_sub(&s->live, 1);
}
static int under_way_main(void *arg) {
    stress *s = arg;
    pintle_io *listener, *a, *b;
    MUST_BE(pintle_io_listen(&listener, "127.0.0.1:0", 0), 0);
    MUST_BE(pintle_io_address(listener, s->address, sizeof s->address), 0);
    MUST_BE(pintle_spawn(NULL, accept_task, args_make(s, listener)), 0);
    for (unsigned i = 0; i < s->sets; i++) {
        MUST_BE(pintle_io_pipe(&a, &b), 0);
        MUST_BE(pintle_spawn(NULL, reads_to_the_end, args_make(s, a)), 0);
        MUST_BE(pintle_io_write(b, "x", 1, PINTLE_FOREVER), 1);
        MUST_BE(pintle_spawn(NULL, writes_to_the_end, args_make(s, b)), 0);
        MUST_BE(pintle_io_connect(&a, s->address, PINTLE_FOREVER), 0);
        MUST_BE(pintle_spawn(NULL, writes_to_the_end, args_make(s, a)), 0);
    }
    for (uint64_t i = s->seed % 20; i > 0; i--) pintle_yield();
    return 0; /* and all of that is cancelled */
}
CASE_TIMEOUT(run_that_ends_with_much_under_way_leaves_nothing, 60) {
    static stress s;
    s.seed = test_seed();
    must_run(warm_main, NULL);
    for (s.sets = 1; s.sets <= SETS && s.live == 0; s.sets++, s.seed++) {
        unsigned handles = resources_handles();
        ck_assert_int_eq(helper_run(under_way_main, &s, 1 + s.sets % 2), 0);
        ASSERT_ALL_MUST();
        /* Where the machine is too slow for a run's patience tasks are left, with what they hold, and no other run begins. */
        if (s.live == 0) ck_assert_uint_eq(resources_handles(), handles);
    }
    printf("%u runs, and %u tasks left behind by the last\n", s.sets - 1, s.live);
    ck_assert(s.sets > 2 || s.live == 0);
}
