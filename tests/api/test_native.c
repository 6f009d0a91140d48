/* test_native.c: pintle_chan_native: channels for foreign loops. */
#include "api/must.h"
#include "support/resources.h"

#if defined(_WIN32)
static bool is_ready(intptr_t native) { return WaitForSingleObject((HANDLE)native, 0) == WAIT_OBJECT_0; }
static void wait_ready(intptr_t native) { WaitForSingleObject((HANDLE)native, INFINITE); }
#else
#include <poll.h>
static int poll_one(intptr_t native, int ms) {
    struct pollfd fd = {.fd = (int)native, .events = POLLIN};
    return poll(&fd, 1, ms);
}
static bool is_ready(intptr_t native) { return poll_one(native, 0) == 1; }
static void wait_ready(intptr_t native) {
    while (poll_one(native, -1) != 1) {}
}
#endif

static int send_int(pintle_chan *c, int item) { return pintle_chan_send(c, &item, PINTLE_NOWAIT); }
static pintle_chan *int_chan(size_t capacity) {
    pintle_chan *c = NULL;
    MUST_BE(pintle_chan_new(&c, sizeof(int), capacity), 0);
    return c;
}

static int level_main(void *arg) {
    pintle_chan *c = int_chan(2);
    intptr_t native = 0, again = 0;
    int item;
    (void)arg;
    MUST_BE(send_int(c, 1), 0);
    MUST_BE(pintle_chan_native(c, &native), 0);
    MUST_BE(pintle_chan_native(c, &again), 0);
    MUST_BE(native, again);
    MUST(is_ready(native)); /* what was there before */
    MUST(is_ready(native));
    MUST_BE(send_int(c, 2), 0);
    MUST_BE(pintle_chan_recv(c, &item, PINTLE_NOWAIT), 0);
    MUST(is_ready(native));
    MUST_BE(pintle_chan_recv(c, &item, PINTLE_NOWAIT), 0);
    MUST_BE(item, 2);
    MUST(!is_ready(native));
    pintle_case receive = pintle_case_recv(c, &item), send = pintle_case_send(c, &item);
    MUST_BE(pintle_select(&send, 1, PINTLE_NOWAIT), 0);
    MUST(is_ready(native));
    MUST_BE(pintle_select(&receive, 1, PINTLE_NOWAIT), 0);
    MUST(!is_ready(native));
    MUST_BE(pintle_chan_close(c), 0);
    MUST(is_ready(native));
    MUST_BE(pintle_chan_recv(c, &item, PINTLE_NOWAIT), PINTLE_ECLOSED);
    MUST(is_ready(native));
    MUST_BE(pintle_chan_native(NULL, &native), PINTLE_EINVAL);
    MUST_BE(pintle_chan_native(c, NULL), PINTLE_EINVAL);
    pintle_chan_free(c);
    return 0;
}
CASE(native_is_ready_while_a_receive_would_not_wait) {
    unsigned before = resources_handles();
    level_main(NULL);
    ck_assert_uint_eq(resources_handles(), before);
    must_run(level_main, NULL);
    ASSERT_ALL_MUST();
}

/* Without a buffer it is the senders that wait. */
static pintle_chan *unbuffered;
static void sends(void *arg) {
    int item = 9;
    MUST_BE(pintle_chan_send(unbuffered, &item, PINTLE_FOREVER), 0);
    (void)arg;
}
/* Until it was seen: a loop that looks late sees one of the next. */
static void sends_in_vain(void *arg) {
    int item = 9;
    pintle_case send = pintle_case_send(unbuffered, &item);
    do {
        MUST_BE(pintle_chan_send(unbuffered, &item, pintle_after(PINTLE_MS(1))), PINTLE_ETIMEDOUT);
        MUST_BE(pintle_select(&send, 1, pintle_after(PINTLE_MS(1))), PINTLE_ETIMEDOUT);
    } while (!atomic_load((atomic_bool *)arg));
}
static int unbuffered_main(void *arg) {
    pintle_task *task;
    intptr_t native = 0;
    int item = 0;
    atomic_bool seen = false;
    (void)arg;
    unbuffered = int_chan(0);
    MUST_BE(pintle_chan_native(unbuffered, &native), 0);
    MUST(!is_ready(native));
    MUST_BE(pintle_spawn(&task, sends, NULL), 0);
    wait_ready(native); /* as a foreign loop: the thread, not the task */
    MUST_BE(pintle_chan_recv(unbuffered, &item, PINTLE_NOWAIT), 0);
    MUST_BE(item, 9);
    MUST(!is_ready(native));
    MUST_BE(pintle_join(task, PINTLE_FOREVER), 0);
    MUST_BE(pintle_spawn(&task, sends_in_vain, &seen), 0);
    wait_ready(native);
    atomic_store(&seen, true);
    MUST_BE(pintle_join(task, PINTLE_FOREVER), 0);
    MUST(!is_ready(native));
    pintle_chan_free(unbuffered);
    return 0;
}
CASE(native_of_unbuffered_is_ready_while_a_sender_waits) {
    ck_assert_int_eq(helper_run(unbuffered_main, NULL, 2), 0);
    ASSERT_ALL_MUST();
}

/* A loop of somebody else's, on a thread of its own: gets all, sleeps between. */
enum { ITEMS = 5000 };
struct stream {
    pintle_chan *c;
    intptr_t native;
};
static void foreign_loop(void *arg) {
    struct stream *stream = arg;
    int expected = 0, item = -1, code;
    for (;;) {
        wait_ready(stream->native);
        while ((code = pintle_chan_recv(stream->c, &item, PINTLE_NOWAIT)) == 0) MUST_BE(item, expected++);
        if (code == PINTLE_ECLOSED) break;
        MUST_BE(code, PINTLE_EAGAIN);
    }
    MUST_BE(expected, ITEMS);
}
static int stream_main(void *arg) {
    struct stream *stream = arg;
    for (int i = 0; i < ITEMS; i++) MUST_BE(pintle_chan_send(stream->c, &i, PINTLE_FOREVER), 0);
    MUST_BE(pintle_chan_close(stream->c), 0);
    return 0;
}
CASE(native_wakes_a_foreign_loop_for_all_items) {
    for (size_t capacity = 0; capacity <= 16; capacity += 16) {
        struct stream stream = {int_chan(capacity), 0};
        helper_thread thread;
        ck_assert_int_eq(pintle_chan_native(stream.c, &stream.native), 0);
        ck_assert(helper_thread_start(&thread, foreign_loop, &stream));
        must_run(helper_return_at_once, NULL);
        ck_assert_int_eq(helper_run(stream_main, &stream, 2), 0);
        helper_thread_join(&thread);
        pintle_chan_free(stream.c);
    }
    ASSERT_ALL_MUST();
}
