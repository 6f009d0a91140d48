/* pintle/chan.h: channels, and select over them. Source: Go's channels, whose meaning they have. */
#ifndef PINTLE_CHAN_H
#define PINTLE_CHAN_H

#include "pintle/base.h"
#include "pintle/sync.h"
#include "pintle/timer.h"

#if defined(__cplusplus)
extern "C" {
#endif

/* A queue of items of one size, which are copied in and out. Capacity 0: unbuffered, a send waits for its receive. Waiting
 * senders and receivers are served in order of arrival; an item goes straight to a receiver that waits. */
typedef struct pintle_chan pintle_chan;

/* Effect: makes a channel, which the caller owns with one reference. item_bytes may be 0: then only the events count, and
 * item pointers may be NULL. Blocks: no. From: any. Errors: ENOMEM; EINVAL (out is NULL; larger than memory can be). */
PINTLE_API int pintle_chan_new(pintle_chan **out, size_t item_bytes, size_t capacity);

/* Effect: adds a reference; gives one back, and with the last one the channel goes, with the items in it. NULL is fine. Who
 * sends, receives or selects holds a reference meanwhile. Blocks: no. From: any. Freeing a channel in which somebody
 * waits is a panic. */
PINTLE_API void pintle_chan_retain(pintle_chan *c);
PINTLE_API void pintle_chan_free(pintle_chan *c);

/* Effect: sends a copy of *item: to the receiver that waits first, else into the buffer, else waits. On a NULL channel it
 * waits for ever. Blocks: task. From: any.
 * Errors: ECLOSED, ETIMEDOUT, EAGAIN, ECANCELED, EINVAL (a duration for a deadline; item is NULL), ENOMEM (see sync.h). Whatever
 * it returns but 0, the item was not sent. */
PINTLE_API int pintle_chan_send(pintle_chan *c, const void *item, int64_t deadline_ns);

/* Effect: receives the oldest item into *out_item (NULL: drops it); waits if there is none. On a NULL channel it waits for
 * ever. A closed channel first gives the items that are in it, then ECLOSED and an *out_item of zeros.
 * Blocks: task. From: any. Errors: as for pintle_chan_send. */
PINTLE_API int pintle_chan_recv(pintle_chan *c, void *out_item, int64_t deadline_ns);

/* Effect: no more sends: those that wait, and later ones, get ECLOSED; receivers that wait get ECLOSED. Blocks: no. From:
 * any. Errors: ECLOSED (it is closed already). A NULL channel is a panic. */
PINTLE_API int pintle_chan_close(pintle_chan *c);

/* The items in the buffer now; its capacity; whether it was closed. By the time the first is read it may be another. A NULL
 * channel: 0, 0, false. Blocks: no. From: any. */
PINTLE_API size_t pintle_chan_count(const pintle_chan *c);
PINTLE_API size_t pintle_chan_capacity(const pintle_chan *c);
PINTLE_API bool pintle_chan_is_closed(const pintle_chan *c);

/* Effect: *out_handle becomes something that a foreign loop (GLib's, libuv's, MsgWaitForMultipleObjects) can wait for: an
 * eventfd, an event's HANDLE. It is ready (to read; signalled) while pintle_chan_recv would not wait, also when the channel is
 * closed, and is so by level. Only to be waited for: it is the channel's, the same each time, and goes with it. Each change
 * costs the sender or receiver a system call from now on. Blocks: no. From: any.
 * Errors: EINVAL (NULL); ELIMIT (the system has none left). */
PINTLE_API int pintle_chan_native(pintle_chan *c, intptr_t *out_handle);

/* ---- Select ----------------------------------------------------------------------------------------------- */

enum {
    PINTLE_CASE_SEND = 1,  /* on: pintle_chan *, item: what to send */
    PINTLE_CASE_RECV = 2,  /* on: pintle_chan *, item: where to */
    PINTLE_CASE_EVENT = 3, /* on: pintle_event *; item is not used */
    PINTLE_CASE_TIMER =
        4, /* on: pintle_timer *; item: uint64_t *, how often it expired since the last that was received; or NULL */
    PINTLE_CASE_HANDLE = 5, /* on: a HANDLE that can be waited for (Windows): io.h's pintle_wait_handle */
    PINTLE_CASE_FD = 6      /* on, item: see pintle_case_fd (POSIX): io.h's pintle_wait_fd */
};

typedef struct pintle_case {
    unsigned op;
    void *on;   /* NULL: disabled */
    void *item; /* SEND only reads it */
    int status; /* out: 0, or ECLOSED; FD: the events that it is ready for */
} pintle_case;

static inline pintle_case pintle_case_send(pintle_chan *c, const void *item) {
    pintle_case made;
    made.op = PINTLE_CASE_SEND;
    made.on = c;
    made.item = (void *)(uintptr_t)item;
    made.status = 0;
    return made;
}
static inline pintle_case pintle_case_recv(pintle_chan *c, void *out_item) {
    pintle_case made;
    made.op = PINTLE_CASE_RECV;
    made.on = c;
    made.item = out_item;
    made.status = 0;
    return made;
}
static inline pintle_case pintle_case_event(pintle_event *event) {
    pintle_case made;
    made.op = PINTLE_CASE_EVENT;
    made.on = event;
    made.item = NULL;
    made.status = 0;
    return made;
}
static inline pintle_case pintle_case_timer(pintle_timer *timer) {
    pintle_case made;
    made.op = PINTLE_CASE_TIMER;
    made.on = timer;
    made.item = NULL;
    made.status = 0;
    return made;
}

static inline pintle_case pintle_case_handle(void *handle) {
    pintle_case made;
    made.op = PINTLE_CASE_HANDLE;
    made.on = handle;
    made.item = NULL;
    made.status = 0;
    return made;
}
/* events: poll()'s. A descriptor of -1 is a disabled case. */
static inline pintle_case pintle_case_fd(int fd, unsigned events) {
    pintle_case made;
    made.op = PINTLE_CASE_FD;
    made.on = (void *)((intptr_t)fd + 1);
    made.item = (void *)(uintptr_t)events;
    made.status = 0;
    return made;
}

/* Effect: runs one of the cases that can run, each as likely as the others, and returns its index; its status is 0, or ECLOSED
 * for a send to a closed channel and a receive from one that is closed and empty. Waits until one can run; with NOWAIT it
 * returns EAGAIN (Go's default). A channel may be in several cases. With no case enabled it waits for the deadline.
 * Blocks: task. From: any. Errors, for the wait itself: ETIMEDOUT, EAGAIN, ECANCELED, EINVAL (an op that is not known, a
 * duration for a deadline, a NULL item to send, what is no descriptor or handle), ENOMEM (more than 16 cases, or see sync.h);
 * ELIMIT, ESTOPPED (with FD and HANDLE, see io.h). */
PINTLE_API int pintle_select(pintle_case *cases, size_t n, int64_t deadline_ns);

/* Effect: as pintle_select, but the wait also ends, with the value n, when messages are in the calling thread's queue: pump them
 * (PeekMessage until there are no more), then come again. A case that can run goes before messages. wake_mask: QS_ALLINPUT and
 * the like. The task must be pinned: windows belong to threads. The thread waits in the system, and no other is busy.
 * Blocks: task. From: task (Windows). Errors: as pintle_select; ENOTSUP (POSIX). A task that is not pinned is a panic. */
PINTLE_API int pintle_select_messages(pintle_case *cases, size_t n, int64_t deadline_ns, unsigned wake_mask);

/* Effect: from now on the choices of selects follow from the seed: of those by tasks on the caller's processor (with one
 * processor: all); where there is none, of those by threads that are no tasks. For tests that are to be run again. Blocks: no.
 * From: any. */
PINTLE_API void pintle_select_seed(uint32_t seed);

#if defined(__cplusplus)
}
#endif

#endif
