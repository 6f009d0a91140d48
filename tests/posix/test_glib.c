/* test_glib.c: a loop of GLib's and tasks, joined by pintle_chan_native, as in a program with a window of GTK: the loop owns the
 * main thread, and tasks run beside it. Built where GLib is. */
#include "api/must.h"

#include <glib-unix.h>
#include <glib.h>

enum { ITEMS = 2000 };
typedef struct window {
    GMainLoop *loop;
    pintle_chan *results, *orders;
    pintle_task *worker;
    unsigned received, ticks, beats;
    bool closed;
} window;

/* The worker doubles what it is told to. */
static void works(void *arg) {
    window *w = arg;
    int order;
    while (pintle_chan_recv(w->orders, &order, PINTLE_FOREVER) == 0) {
        order *= 2;
        MUST_BE(pintle_chan_send(w->results, &order, PINTLE_FOREVER), 0);
    }
    MUST_BE(pintle_chan_close(w->results), 0);
}
static void give_orders(window *w) {
    while (w->ticks < ITEMS) { /* the loop must not wait: what does not fit is given later */
        int order = (int)w->ticks, code = pintle_chan_send(w->orders, &order, PINTLE_NOWAIT);
        if (code != 0) {
            MUST_BE(code, PINTLE_EAGAIN);
            return;
        }
        if (++w->ticks == ITEMS) MUST_BE(pintle_chan_close(w->orders), 0);
    }
}
static gboolean results_there(gint fd, GIOCondition condition, gpointer arg) {
    window *w = arg;
    int result, code;
    (void)fd;
    MUST(condition & G_IO_IN);
    while ((code = pintle_chan_recv(w->results, &result, PINTLE_NOWAIT)) == 0) MUST_BE(result, 2 * (int)w->received++);
    give_orders(w);
    if (code == PINTLE_EAGAIN) return G_SOURCE_CONTINUE;
    MUST_BE(code, PINTLE_ECLOSED);
    w->closed = true;
    g_main_loop_quit(w->loop);
    return G_SOURCE_REMOVE;
}
static gboolean beat(gpointer arg) {
    ((window *)arg)->beats++;
    return G_SOURCE_CONTINUE;
}

CASE(glib_loop_and_tasks_serve_each_other) {
    pintle_options options = helper_processors(2);
    window w = {.loop = g_main_loop_new(NULL, FALSE)};
    intptr_t native = -1;
    ck_assert_int_eq(pintle_start(&options), 0);
    ck_assert_int_eq(pintle_chan_new(&w.results, sizeof(int), 8), 0);
    ck_assert_int_eq(pintle_chan_new(&w.orders, sizeof(int), 3), 0);
    ck_assert_int_eq(pintle_chan_native(w.results, &native), 0);
    ck_assert_int_eq(pintle_spawn(&w.worker, works, &w), 0);
    g_unix_fd_add((gint)native, G_IO_IN, results_there, &w);
    guint timer = g_timeout_add(1, beat, &w);
    give_orders(&w);
    g_main_loop_run(w.loop);
    ck_assert(w.closed);
    ck_assert_uint_eq(w.received, ITEMS);
    g_source_remove(timer);
    g_main_loop_unref(w.loop);
    ck_assert_int_eq(pintle_join(w.worker, PINTLE_FOREVER), 0);
    pintle_chan_free(w.results);
    pintle_chan_free(w.orders);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    ASSERT_ALL_MUST();
}

/* While nothing comes the loop sleeps; its own sources go on. */
static void sends_late(void *arg) {
    window *w = arg;
    int result = 0;
    while (__atomic_load_n(&w->ticks, __ATOMIC_SEQ_CST) < 5) pintle_sleep(PINTLE_MS(1));
    MUST_BE(pintle_chan_send(w->results, &result, PINTLE_FOREVER), 0);
    MUST_BE(pintle_chan_close(w->results), 0);
}
static gboolean tick(gpointer arg) {
    window *w = arg;
    MUST_BE(w->received, 0);
    __atomic_fetch_add(&w->ticks, 1, __ATOMIC_SEQ_CST);
    return w->ticks < 5 ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}
static gboolean late_there(gint fd, GIOCondition condition, gpointer arg) {
    window *w = arg;
    int result, code;
    (void)fd, (void)condition;
    w->beats++;
    while ((code = pintle_chan_recv(w->results, &result, PINTLE_NOWAIT)) == 0) w->received++;
    if (code != PINTLE_ECLOSED) return G_SOURCE_CONTINUE;
    g_main_loop_quit(w->loop);
    return G_SOURCE_REMOVE;
}
CASE(glib_loop_sleeps_until_a_task_sends) {
    window w = {.loop = g_main_loop_new(NULL, FALSE)};
    pintle_options options = helper_processors(1);
    intptr_t native = -1;
    ck_assert_int_eq(pintle_start(&options), 0);
    ck_assert_int_eq(pintle_chan_new(&w.results, sizeof(int), 0), 0);
    ck_assert_int_eq(pintle_chan_native(w.results, &native), 0);
    g_unix_fd_add((gint)native, G_IO_IN, late_there, &w);
    g_timeout_add(3, tick, &w);
    ck_assert_int_eq(pintle_spawn(&w.worker, sends_late, &w), 0);
    g_main_loop_run(w.loop);
    ck_assert_uint_eq(w.received, 1);
    ck_assert_uint_eq(w.ticks, 5);
    ck_assert_uint_le(w.beats, 3); /* called for what came, not round and round */
    ck_assert_int_eq(pintle_join(w.worker, PINTLE_FOREVER), 0);
    pintle_chan_free(w.results);
    g_main_loop_unref(w.loop);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    ASSERT_ALL_MUST();
}
