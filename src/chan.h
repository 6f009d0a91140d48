/* chan.h: a channel's record, and what select needs of it. The protocol is explained in chan.c.
 * Threads: any. Locks: the channel's guard. Tests: tests/api/test_chan.c, tests/api/test_select.c. */
#ifndef PINTLE_SRC_CHAN_H
#define PINTLE_SRC_CHAN_H

#include "pintle/chan.h"
#include "wait.h"

struct pintle_chan {
    /* Under the guard; read without it as a hint. */
    struct waiters receivers, senders;
    _Atomic size_t count;
    _Atomic bool closed;
    size_t head, tail; /* slots: the oldest item, the first free one */
    /* Constant. */
    size_t item_bytes, capacity;
    struct guard *guard;
    _Atomic uint32_t references;
    _Atomic(void (*)(
        struct pintle_chan *)) left_alone; /* called when one reference is left: the library's own. NULL: not */
    char *slots;
    /* Under the guard. */
    bool has_native, native_is_set;
    intptr_t native; /* chan_native.c */
};

/* Under the guard, after anything that chan_may_recv depends on has changed. */
COLD void chan_tell_native(struct pintle_chan *c);
static inline void chan_tell(struct pintle_chan *c) {
    if (UNLIKELY(c->has_native)) chan_tell_native(c);
}

/* Whether a send, a receive could go on now: a hint. */
static inline bool chan_may_send(const struct pintle_chan *c) {
    return waiters_any(&c->receivers) || atomic_load_relaxed(&c->count) < c->capacity ||
           atomic_load_relaxed(&c->closed);
}
static inline bool chan_may_recv(const struct pintle_chan *c) {
    return atomic_load_relaxed(&c->count) != 0 || waiters_any(&c->senders) || atomic_load_relaxed(&c->closed);
}

/* What an operation under the guard came to. Whom it names in *out_wake is to be woken once the guard was released: by
 * chan_deliver, which copies the item between the two tasks first. */
enum { CHAN_WOULD_WAIT = 1 }; /* else 0, or PINTLE_ECLOSED, without the error set */
struct chan_wake {
    struct waiter *waiter; /* NULL: nobody */
    void *to;              /* where the item goes, NULL: nowhere (it has been copied, or nobody wants it) */
    const void *from;
};
int chan_send_locked(struct pintle_chan *c, const void *item, struct chan_wake *out_wake);
int chan_recv_locked(struct pintle_chan *c, void *out_item, struct chan_wake *out_wake);
void chan_deliver(const struct chan_wake *wake, size_t item_bytes);

#endif
