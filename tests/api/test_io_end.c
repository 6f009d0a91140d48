/* test_io_end.c: pintle_io: what ends early (deadlines, cancels, closes, a runtime's end), and what is left then. Threads that are
 * no tasks. */
#include "api/io_helpers.h"
#include "support/resources.h"

static atomic_uint waiting, over;

static void connection_make(pintle_io **out_a, pintle_io **out_b) {
    pintle_io *listener = NULL;
    char address[PINTLE_IO_ADDRESS_BYTES];
    *out_a = *out_b = NULL;
    MUST_BE(pintle_io_listen(&listener, "127.0.0.1:0", 0), 0);
    MUST_BE(pintle_io_address(listener, address, sizeof address), 0);
    MUST_BE(pintle_io_connect(out_a, address, PINTLE_FOREVER), 0);
    MUST_BE(pintle_io_accept(listener, out_b, PINTLE_FOREVER), 0);
    pintle_io_close(listener);
}

/* ---- Writes that end early ---- */

enum { MUCH = 12 << 20 }; /* more than any buffers take */
static unsigned char much[MUCH];

static void write_early_end(pintle_io *from, pintle_io *to) {
    int64_t some;
    size_t done = 0;
    for (size_t i = 0; i < MUCH; i++) much[i] = pattern(i);
    while ((some = pintle_io_write(from, much + done, MUCH - done, pintle_after(PINTLE_MS(20)))) > 0)
        done += (size_t)some;
    MUST_BE(some, PINTLE_ETIMEDOUT);
    MUST(done > 0 && done < MUCH);
    while ((some = pintle_io_write(from, much + done, MUCH - done, PINTLE_NOWAIT)) > 0) done += (size_t)some;
    MUST_BE(some, PINTLE_EAGAIN);
    pintle_io_close(from);
    read_to_the_end(to, done); /* neither more nor less than was told */
    pintle_io_close(to);
}
static int early_main(void *arg) {
    pintle_io *a, *b;
    (void)arg;
    MUST_BE(pintle_io_pipe(&b, &a), 0);
    write_early_end(a, b);
    connection_make(&a, &b);
    write_early_end(a, b);
    return 0;
}
CASE(write_that_ends_early_tells_how_much_arrives) {
    early_main(NULL);
    must_run(early_main, NULL);
    ASSERT_ALL_MUST();
}

/* ---- Data that races with deadlines and cancels ---- */

enum { NUMBERS = 1500 / (TEST_SLOWNESS > 1 ? 3 : 1) };
typedef struct race {
    pintle_io *from, *to;
    atomic_uint next;
    atomic_bool over;
} race;
static void race_writer(void *arg) {
    race *r = arg;
    helper_random random = helper_random_from(7);
    for (uint32_t i = 0; i < NUMBERS; i++) {
        MUST_BE(pintle_io_write(r->to, &i, sizeof i, PINTLE_FOREVER), sizeof i);
        for (uint32_t pause = helper_random_below(&random, 4); pause > 0; pause--) pintle_yield();
    }
    pintle_io_close(r->to);
}
/* Whole numbers in order, though each read may end early. */
static bool race_read(race *r, int64_t deadline_ns) {
    uint32_t number = 0;
    int64_t got = pintle_io_read(r->from, &number, sizeof number, deadline_ns);
    if (got == PINTLE_ETIMEDOUT || got == PINTLE_EAGAIN || got == PINTLE_ECANCELED) return true;
    if (got == 0) return false;
    MUST_BE(got, sizeof number);
    MUST_BE(number, atomic_fetch_add(&r->next, 1));
    return got > 0;
}
static void canceled_reader(void *arg) {
    while (race_read(arg, PINTLE_FOREVER) && !pintle_canceled()) {}
}
static int race_main(void *arg) {
    race r;
    pintle_task *writer, *reader;
    helper_random random = helper_random_from(3);
    memset(&r, 0, sizeof r);
    if (arg != NULL) { /* over sockets */
        connection_make(&r.to, &r.from);
    } else {
        MUST_BE(pintle_io_pipe(&r.from, &r.to), 0);
    }
    MUST_BE(pintle_spawn(&writer, race_writer, &r), 0);
    while (r.next < NUMBERS) {
        unsigned before = r.next;
        for (int i = 0; i < 5; i++) race_read(&r, PINTLE_NOWAIT);
        for (int i = 0; i < 5; i++) race_read(&r, pintle_after(helper_random_below(&random, 100000)));
        MUST_BE(pintle_spawn(&reader, canceled_reader, &r), 0);
        while (r.next < NUMBERS && r.next == before) pintle_yield();
        pintle_task_cancel(reader);
        MUST_BE(pintle_join(reader, PINTLE_FOREVER), 0);
    }
    MUST_BE(pintle_join(writer, PINTLE_FOREVER), 0);
    MUST(!race_read(&r, PINTLE_FOREVER));
    pintle_io_close(r.from);
    return 0;
}
CASE_TIMEOUT(data_that_races_with_deadlines_and_cancels_is_not_lost, 60) {
    must_run(race_main, NULL);
    must_run(race_main, &waiting);
    ASSERT_ALL_MUST();
}

/* ---- Accepting, connecting ---- */

static pintle_io *listener;
static void accept_until_canceled(void *arg) {
    pintle_io *io = NULL;
    (void)arg;
    atomic_fetch_add(&waiting, 1);
    MUST_BE(pintle_io_accept(listener, &io, PINTLE_FOREVER), PINTLE_ECANCELED);
    MUST(io == NULL);
    atomic_fetch_add(&over, 1);
}
static int accept_main(void *arg) {
    pintle_task *tasks[10];
    pintle_io *a = NULL, *b = NULL;
    char address[PINTLE_IO_ADDRESS_BYTES];
    (void)arg;
    waiting = over = 0;
    MUST_BE(pintle_io_listen(&listener, "127.0.0.1:0", 0), 0);
    MUST_BE(pintle_io_accept(listener, &a, PINTLE_NOWAIT), PINTLE_EAGAIN);
    MUST_BE(pintle_io_accept(listener, &a, pintle_after(PINTLE_MS(2))), PINTLE_ETIMEDOUT);
    MUST_BE(helper_spawn_all(tasks, 10, accept_until_canceled, NULL), 0);
    must_yield_until(&waiting, 10);
    for (int i = 0; i < 10; i++) pintle_task_cancel(tasks[i]);
    MUST_BE(helper_join_all(tasks, 10), 0);
    MUST_BE(over, 10);
    MUST_BE(pintle_io_address(listener, address, sizeof address), 0); /* and now it serves as before */
    MUST_BE(pintle_io_connect(&a, address, PINTLE_FOREVER), 0);
    MUST_BE(pintle_io_accept(listener, &b, PINTLE_NOWAIT), 0);
    MUST_BE(pintle_io_write(a, "hi", 2, PINTLE_NOWAIT), 2);
    MUST_BE(pintle_io_read(b, address, 2, PINTLE_FOREVER), 2);
    pintle_io_close(a);
    pintle_io_close(b);
    pintle_io_close(listener);
    return 0;
}
CASE(accept_that_was_ended_leaves_the_listener_as_it_was) {
    must_run_strict(accept_main, NULL);
    must_run(accept_main, NULL);
    ASSERT_ALL_MUST();
}

/* A listener whose queue is full lets others wait (Linux), or refuses them (Windows). */
static int full_main(void *arg) {
    pintle_io *full, *ios[20] = {NULL};
    char address[PINTLE_IO_ADDRESS_BYTES];
    int code = 0;
    (void)arg;
    MUST_BE(pintle_io_listen(&full, "127.0.0.1:0", 1), 0);
    MUST_BE(pintle_io_address(full, address, sizeof address), 0);
    for (size_t i = 0; i < ELEMENTS(ios) && code == 0; i++)
        code = pintle_io_connect(&ios[i], address, pintle_after(PINTLE_MS(100)));
    MUST(code == PINTLE_ETIMEDOUT || code == PINTLE_ENOTFOUND);
    for (size_t i = 0; i < ELEMENTS(ios); i++) pintle_io_close(ios[i]);
    pintle_io_close(full);
    return 0;
}
CASE(connect_ends_at_its_deadline) {
    full_main(NULL);
    must_run(full_main, NULL);
    ASSERT_ALL_MUST();
}

/* ---- Threads that are no tasks, and tasks, together ---- */

static pintle_io *shared;
static void accept_until_closed(void *arg) {
    pintle_io *io;
    (void)arg;
    atomic_fetch_add(&waiting, 1);
    MUST_BE(pintle_io_accept(listener, &io, PINTLE_FOREVER), PINTLE_ECLOSED);
    atomic_fetch_add(&over, 1);
}
static void read_until_closed(void *arg) {
    char byte;
    (void)arg;
    atomic_fetch_add(&waiting, 1);
    MUST_BE(pintle_io_read(shared, &byte, 1, PINTLE_FOREVER), PINTLE_ECLOSED);
    atomic_fetch_add(&over, 1);
}
static int together_main(void *arg) {
    helper_thread threads[6];
    pintle_task *tasks[6];
    pintle_io *other;
    (void)arg;
    waiting = over = 0;
    MUST_BE(pintle_io_listen(&listener, "127.0.0.1:0", 0), 0);
    connection_make(&shared, &other);
    for (int i = 0; i < 6; i++) {
        MUST(helper_thread_start(&threads[i], i < 3 ? accept_until_closed : read_until_closed, NULL));
        MUST_BE(pintle_spawn(&tasks[i], i < 3 ? accept_until_closed : read_until_closed, NULL), 0);
    }
    while (waiting != 12) pintle_sleep(PINTLE_US(50));
    MUST_BE(pintle_io_shutdown(listener), 0);
    pintle_io_close(shared);
    MUST_BE(helper_join_all(tasks, 6), 0);
    for (int i = 0; i < 6; i++) helper_thread_join(&threads[i]);
    MUST_BE(over, 12);
    pintle_io_close(listener);
    pintle_io_close(other);
    return 0;
}
CASE(shutdown_and_close_end_what_tasks_and_threads_wait_for) {
    must_run(together_main, NULL);
    ASSERT_ALL_MUST();
}

enum { ROUNDS = 200 };
static void thread_server(void *arg) {
    pintle_io *io = NULL;
    char data[100];
    int64_t got;
    (void)arg;
    MUST_BE(pintle_io_accept(listener, &io, pintle_after(PINTLE_S(25))), 0);
    if (io == NULL) return;
    MUST_BE(pintle_io_read(io, data, sizeof data, pintle_after(PINTLE_MS(3))), PINTLE_ETIMEDOUT);
    MUST_BE(pintle_io_write(io, "go", 2, PINTLE_FOREVER), 2);
    while ((got = pintle_io_read(io, data, sizeof data, pintle_after(PINTLE_S(25)))) > 0)
        MUST_BE(pintle_io_write(io, data, (size_t)got, PINTLE_FOREVER), got);
    MUST_BE(got, 0);
    pintle_io_close(io);
}
static void rounds_on(pintle_io *io) {
    char data[10];
    MUST_BE(pintle_io_read(io, data, 2, PINTLE_FOREVER), 2);
    for (int i = 0; i < ROUNDS; i++) {
        MUST_BE(pintle_io_write(io, "0123456789", 10, PINTLE_FOREVER), 10);
        for (size_t got = 0; got < sizeof data;) {
            int64_t some = pintle_io_read(io, data + got, sizeof data - got, pintle_after(PINTLE_S(25)));
            MUST(some > 0);
            if (some <= 0) return;
            got += (size_t)some;
        }
        MUST(memcmp(data, "0123456789", 10) == 0);
    }
}
static int threads_main(void *arg) {
    helper_thread server;
    pintle_io *io = NULL;
    char address[PINTLE_IO_ADDRESS_BYTES];
    (void)arg;
    MUST_BE(pintle_io_listen(&listener, "127.0.0.1:0", 0), 0);
    MUST_BE(pintle_io_address(listener, address, sizeof address), 0);
    MUST(helper_thread_start(&server, thread_server, NULL));
    MUST_BE(pintle_io_connect(&io, address, pintle_after(PINTLE_S(25))), 0);
    if (io != NULL) rounds_on(io);
    pintle_io_close(io);
    helper_thread_join(&server);
    pintle_io_close(listener);
    return 0;
}
CASE(threads_that_are_no_tasks_use_sockets) {
    threads_main(NULL); /* no runtime */
    must_run(threads_main, NULL);
    ASSERT_ALL_MUST();
}

/* ---- Both directions at once ---- */

static void write_much(void *arg) {
    MUST_BE(pintle_io_write(arg, much, MUCH / 4, PINTLE_FOREVER), MUCH / 4);
    MUST_BE(pintle_io_shutdown(arg), 0);
}
static void read_much(void *arg) {
    unsigned char data[3000];
    size_t at = 0;
    int64_t got;
    bool same = true;
    while ((got = pintle_io_read(arg, data, sizeof data, PINTLE_FOREVER)) > 0) {
        same = same && memcmp(data, much + at, (size_t)got) == 0;
        at += (size_t)got;
    }
    MUST(same);
    MUST_BE(got, 0);
    MUST_BE(at, MUCH / 4);
}
static int duplex_main(void *arg) {
    pintle_task *tasks[4];
    pintle_io *a, *b;
    (void)arg;
    for (size_t i = 0; i < MUCH; i++) much[i] = pattern(i);
    connection_make(&a, &b);
    MUST_BE(pintle_spawn(&tasks[0], write_much, a), 0);
    MUST_BE(pintle_spawn(&tasks[1], read_much, a), 0);
    MUST_BE(pintle_spawn(&tasks[2], write_much, b), 0);
    MUST_BE(pintle_spawn(&tasks[3], read_much, b), 0);
    MUST_BE(helper_join_all(tasks, 4), 0);
    pintle_io_close(a);
    pintle_io_close(b);
    return 0;
}
CASE(one_task_reads_and_one_writes_at_the_same_time) {
    must_run(duplex_main, NULL);
    ASSERT_ALL_MUST();
}

/* ---- A runtime that ends ---- */

static void read_masked(void *arg) {
    char byte;
    pintle_cancel_mask();
    atomic_fetch_add(&waiting, 1);
    pintle_io_read(arg, &byte, 1, PINTLE_FOREVER);
    MUST(!"reached");
}
static int masked_main(void *arg) {
    pintle_io **ends = arg;
    waiting = 0;
    MUST_BE(pintle_io_pipe(&ends[0], &ends[1]), 0);
    MUST_BE(pintle_spawn(NULL, read_masked, ends[0]), 0);
    must_yield_until(&waiting, 1);
    pintle_sleep(PINTLE_MS(1));
    return 3;
}
static int after_main(void *arg) {
    pintle_io **ends = arg;
    char byte = 0;
    MUST_BE(pintle_io_write(ends[1], "z", 1, PINTLE_FOREVER), 1);
    MUST_BE(pintle_io_read(ends[0], &byte, 1, PINTLE_NOWAIT), 1);
    MUST_BE(byte, 'z');
    MUST_BE(pintle_sleep(PINTLE_MS(5)), 0); /* whatever the poller has to tell it tells */
    return 4;
}
CASE(operation_of_a_task_that_a_run_leaves_behind_is_ended) {
    pintle_io *ends[2];
    unsigned handles = 0;
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(helper_run(masked_main, ends, 1), 3);
        ck_assert_int_eq(helper_run(after_main, ends, 1), 4);
        pintle_io_close(ends[0]);
        pintle_io_close(ends[1]);
        if (i == 0) handles = resources_handles(); /* what the first run makes the process keep is not counted */
    }
    ck_assert_uint_eq(resources_handles(), handles); /* closed, though that task never left */
    ASSERT_ALL_MUST();
}
