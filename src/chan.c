/* chan.c: channels.
 *
 * A channel is a ring of slots and two queues of waiters. Receivers wait only while the ring is empty, senders only while it
 * is full (an unbuffered channel's ring is both). So:
 *
 *              a receiver waits          else, room           else
 *   send       item straight to it       into the ring        waits, its item stays where it is
 *              items in the ring         else, a sender waits else
 *   receive    the oldest; a sender's    straight from it     waits, naming where the item is to go
 *              item takes its place
 *
 * All of it is decided under the channel's guard. The other side is claimed there, off the queue; the item is copied between
 * the two after the guard was released, since who was claimed stays until it is woken. A woken task becomes the processor's
 * next one: if the waker waits in its turn, the switch goes straight there.
 * Atomic steps: none where the guard is biased (guard.h); else 1 for each operation.
 *
 * NULL channels: a wait that nobody ends but its deadline.
 * Threads: any. Locks: the channel's guard. Order: what is read without it is a hint. Drawn from Go's channels.
 * Tests: tests/api/test_chan.c, tests/stress/test_chan.c, tests/model/guarded.pml. */
#include "chan.h"

#include "clock.h"
#include "error.h"
#include "memory.h"
#include "os.h"
#include "panic.h"
#include "wait_here.h"

int pintle_chan_new(pintle_chan **out, size_t item_bytes, size_t capacity) {
    size_t record = (sizeof(struct pintle_chan) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    struct pintle_chan *c;
    if (out == NULL) return error_set(PINTLE_EINVAL, 0, "pintle_chan_new: out is NULL");
    *out = NULL;
    if (item_bytes != 0 && capacity > (PTRDIFF_MAX - record) / item_bytes) {
        return error_set(PINTLE_EINVAL, 0, "pintle_chan_new: %zu items of %zu bytes are more than memory can be",
                         capacity, item_bytes);
    }
    c = memory_alloc_aligned(record + item_bytes * capacity);
    if (c == NULL) {
        return error_set(PINTLE_ENOMEM, 0, "pintle_chan_new: no memory for %zu items of %zu bytes", capacity,
                         item_bytes);
    }
    memset(c, 0, sizeof *c);
    c->item_bytes = item_bytes;
    c->capacity = capacity;
    c->slots = (char *)c + record;
    c->guard = guard_of(c);
    atomic_store_relaxed(&c->references, 1);
    *out = c;
    return 0;
}

void pintle_chan_retain(pintle_chan *c) {
    if (c != NULL) atomic_add_relaxed(&c->references, 1);
}

void pintle_chan_free(pintle_chan *c) {
    void (*left_alone)(struct pintle_chan *);
    uint32_t before;
    if (c == NULL) return;
    left_alone = atomic_load_relaxed(&c->left_alone);
    before = atomic_fetch_sub_explicit(&c->references, 1, memory_order_acq_rel);
    if (UNLIKELY(before == 2 && left_alone != NULL)) left_alone(c);
    if (before != 1) return;
    if (waiters_any(&c->receivers) || waiters_any(&c->senders)) {
        panic("pintle_chan_free: somebody waits in the channel: close it first");
    }
    if (c->has_native) os_flag_close(c->native);
    memory_free_aligned(c);
}

size_t pintle_chan_count(const pintle_chan *c) { return c != NULL ? atomic_load_relaxed(&c->count) : 0; }
size_t pintle_chan_capacity(const pintle_chan *c) { return c != NULL ? c->capacity : 0; }
bool pintle_chan_is_closed(const pintle_chan *c) { return c != NULL && atomic_load_acquire(&c->closed); }

/* ---- Under the guard ---- */

/* False: not of a size that takes one instruction each way. */
static inline bool copy_word(void *to, const void *from, size_t item_bytes) {
    if (LIKELY(item_bytes == sizeof(uint64_t))) {
        memcpy(to, from, sizeof(uint64_t));
    } else if (item_bytes == sizeof(uint32_t)) {
        memcpy(to, from, sizeof(uint32_t));
    } else {
        return false;
    }
    return true;
}

static inline void copy_item(void *to, const void *from, size_t item_bytes) {
    if (to == NULL || copy_word(to, from, item_bytes)) return;
    if (item_bytes != 0) memcpy(to, from, item_bytes);
}

static inline char *slot_at(const struct pintle_chan *c, size_t index) { return c->slots + index * c->item_bytes; }
static inline size_t after(const struct pintle_chan *c, size_t index) {
    return index + 1 == c->capacity ? 0 : index + 1;
}

static inline void set_count(struct pintle_chan *c, size_t count) { atomic_store_relaxed(&c->count, count); }

static inline __attribute__((always_inline)) int send_locked(struct pintle_chan *c, const void *item,
                                                             struct chan_wake *out_wake) {
    size_t count = atomic_load_relaxed(&c->count);
    out_wake->waiter = NULL;
    if (UNLIKELY(atomic_load_relaxed(&c->closed))) return PINTLE_ECLOSED;
    if (waiters_any(&c->receivers) && (out_wake->waiter = waiters_claim_first(&c->receivers)) != NULL) {
        out_wake->waiter->status = 0;
        out_wake->to = out_wake->waiter->item;
        out_wake->from = item;
        return 0;
    }
    if (count == c->capacity) return CHAN_WOULD_WAIT;
    copy_item(slot_at(c, c->tail), item, c->item_bytes);
    c->tail = after(c, c->tail);
    set_count(c, count + 1);
    return 0;
}

static inline __attribute__((always_inline)) int recv_locked(struct pintle_chan *c, void *out_item,
                                                             struct chan_wake *out_wake) {
    size_t count = atomic_load_relaxed(&c->count);
    struct waiter *sender = NULL;
    if (waiters_any(&c->senders) && (sender = waiters_claim_first(&c->senders)) != NULL) sender->status = 0;
    out_wake->waiter = sender;
    if (count != 0) {
        copy_item(out_item, slot_at(c, c->head), c->item_bytes);
        c->head = after(c, c->head);
        if (LIKELY(sender == NULL)) {
            set_count(c, count - 1);
        } else {
            copy_item(slot_at(c, c->tail), sender->item,
                      c->item_bytes); /* the ring was full: it is the slot just read */
            c->tail = after(c, c->tail);
            out_wake->to = NULL;
            out_wake->from = NULL;
        }
        return 0;
    }
    if (sender != NULL) {
        out_wake->to = out_item;
        out_wake->from = sender->item;
        return 0;
    }
    if (!atomic_load_relaxed(&c->closed)) return CHAN_WOULD_WAIT;
    if (out_item != NULL) memset(out_item, 0, c->item_bytes);
    return PINTLE_ECLOSED;
}

static inline void deliver(const struct chan_wake *wake, size_t item_bytes) {
    if (wake->waiter == NULL) return;
    copy_item(wake->to, wake->from, item_bytes);
    waiter_wake(wake->waiter);
}

int chan_send_locked(struct pintle_chan *c, const void *item, struct chan_wake *out_wake) {
    int result = send_locked(c, item, out_wake);
    chan_tell(c);
    return result;
}
int chan_recv_locked(struct pintle_chan *c, void *out_item, struct chan_wake *out_wake) {
    int result = recv_locked(c, out_item, out_wake);
    chan_tell(c);
    return result;
}
void chan_deliver(const struct chan_wake *wake, size_t item_bytes) { deliver(wake, item_bytes); }

/* ---- Sending and receiving ---- */

static const char send_function[] = "pintle_chan_send", recv_function[] = "pintle_chan_recv";

static COLD int closed_error(const char *function) {
    return error_set(PINTLE_ECLOSED, 0, "%s: the channel is closed", function);
}

static COLD int wait_on_null(int64_t deadline_ns, const char *function) {
    struct wait wait;
    int result;
    if (deadline_ns == PINTLE_NOWAIT) return wait_result(WAKE_DEADLINE, deadline_ns, function);
    if ((result = wait_begin(&wait, function)) != 0) return result;
    return wait_result(wait_finish(&wait, deadline_ns), deadline_ns, function);
}

static COLD int did_not_get_it(struct pintle_chan *c, struct waiters *waiters, struct waiter *waiter,
                               enum wake_reason reason, int64_t deadline_ns, const char *function) {
    guard_acquire(c->guard);
    waiters_remove(waiters, waiter);
    chan_tell(c);
    guard_release(c->guard);
    return wait_result(reason, deadline_ns, function);
}

/* Waits in the queue of those that do the same; prepared and under the guard, which is released. */
static inline int wait_turn(struct pintle_chan *c, struct waiters *waiters, struct waiter *waiter, int64_t deadline_ns,
                            const char *function) {
    enum wake_reason reason;
    waiters_push(waiters, waiter);
    chan_tell(c);
    reason = wait_guarded(waiter, c->guard, function, deadline_ns, WAIT_CANCELABLE);
    if (LIKELY(reason == WAKE_EVENT)) return LIKELY(waiter->status == 0) ? 0 : closed_error(function);
    return did_not_get_it(c, waiters, waiter, reason, deadline_ns, function);
}

/* On any thread. */
static __attribute__((noinline)) int send_any(pintle_chan *c, const void *item, int64_t deadline_ns) {
    const char *function = send_function;
    struct guard *guard;
    struct chan_wake wake;
    struct waiter waiter;
    bool waits;
    int result = deadline_check(deadline_ns, function);
    if (UNLIKELY(result != 0)) return result;
    if (UNLIKELY(c == NULL)) return wait_on_null(deadline_ns, function);
    if (UNLIKELY(item == NULL && c->item_bytes != 0))
        return error_set(PINTLE_EINVAL, 0, "%s: the item is NULL", function);
    guard = c->guard;
    waits = !chan_may_send(c);
    if (waits && deadline_ns == PINTLE_NOWAIT) return wait_result(WAKE_DEADLINE, deadline_ns, function);
    for (;;) {
        if (waits && UNLIKELY((result = wait_prepare(&waiter.wait, guard, function)) != 0)) return result;
        guard_acquire(guard);
        result = send_locked(c, item, &wake);
        if (result != CHAN_WOULD_WAIT) break;
        if (waits) {
            waiter.item = (void *)(uintptr_t)item;
            return wait_turn(c, &c->senders, &waiter, deadline_ns, function);
        }
        guard_release(guard); /* others were faster */
        if (deadline_ns == PINTLE_NOWAIT) return wait_result(WAKE_DEADLINE, deadline_ns, function);
        waits = true;
    }
    size_t item_bytes = c->item_bytes;
    chan_tell(c);
    guard_release(guard);
    deliver(&wake, item_bytes);
    if (waits) wait_unprepare(&waiter.wait);
    return LIKELY(result == 0) ? 0 : closed_error(function);
}

static __attribute__((noinline)) int recv_any(pintle_chan *c, void *out_item, int64_t deadline_ns) {
    const char *function = recv_function;
    struct guard *guard;
    struct chan_wake wake;
    struct waiter waiter;
    bool waits;
    int result = deadline_check(deadline_ns, function);
    if (UNLIKELY(result != 0)) return result;
    if (UNLIKELY(c == NULL)) return wait_on_null(deadline_ns, function);
    guard = c->guard;
    waits = !chan_may_recv(c);
    if (waits && deadline_ns == PINTLE_NOWAIT) return wait_result(WAKE_DEADLINE, deadline_ns, function);
    for (;;) {
        if (waits && UNLIKELY((result = wait_prepare(&waiter.wait, guard, function)) != 0)) return result;
        guard_acquire(guard);
        result = recv_locked(c, out_item, &wake);
        if (result != CHAN_WOULD_WAIT) break;
        if (waits) {
            waiter.item = out_item;
            return wait_turn(c, &c->receivers, &waiter, deadline_ns, function);
        }
        guard_release(guard); /* others were faster */
        if (deadline_ns == PINTLE_NOWAIT) return wait_result(WAKE_DEADLINE, deadline_ns, function);
        waits = true;
    }
    size_t item_bytes = c->item_bytes;
    chan_tell(c);
    guard_release(guard);
    deliver(&wake, item_bytes);
    if (waits) wait_unprepare(&waiter.wait);
    return LIKELY(result == 0) ? 0 : closed_error(function);
}

/* ---- The same by a thread that took the guard by guard_enter, where nobody looks at the channel's handle ----
 *
 * What is most frequent comes first, in functions that need no registers saved. */

static inline __attribute__((always_inline)) int wait_turn_here(struct pintle_chan *c, struct waiters *waiters,
                                                                void *item, struct thread *thread, int64_t deadline_ns,
                                                                const char *function) {
    struct waiter waiter;
    enum wake_reason reason;
    waiter.item = item;
    reason = wait_guarded_here(waiters, &waiter, c->guard, thread, function, deadline_ns);
    if (LIKELY(reason == WAKE_EVENT)) return LIKELY(waiter.status == 0) ? 0 : closed_error(function);
    return did_not_get_it(c, waiters, &waiter, reason, deadline_ns, function);
}
static __attribute__((noinline)) int send_waits(pintle_chan *c, const void *item, int64_t deadline_ns,
                                                struct thread *thread) {
    return wait_turn_here(c, &c->senders, (void *)(uintptr_t)item, thread, deadline_ns, send_function);
}
static __attribute__((noinline)) int recv_waits(pintle_chan *c, void *out_item, int64_t deadline_ns,
                                                struct thread *thread) {
    return wait_turn_here(c, &c->receivers, out_item, thread, deadline_ns, recv_function);
}

static __attribute__((noinline)) int send_here(pintle_chan *c, const void *item, int64_t deadline_ns,
                                               struct thread *thread) {
    struct processor *processor = thread_processor(thread);
    struct chan_wake wake;
    int result = send_locked(c, item, &wake);
    if (result != CHAN_WOULD_WAIT) {
        size_t item_bytes = c->item_bytes;
        guard_leave(c->guard, processor);
        deliver(&wake, item_bytes);
        return LIKELY(result == 0) ? 0 : closed_error(send_function);
    }
    if (LIKELY(deadline_ns != PINTLE_NOWAIT && thread->task != NULL)) {
        return send_waits(c, item, deadline_ns, thread);
    }
    guard_leave(c->guard, processor);
    return send_any(c, item, deadline_ns);
}

static __attribute__((noinline)) int recv_here(pintle_chan *c, void *out_item, int64_t deadline_ns,
                                               struct thread *thread) {
    struct processor *processor = thread_processor(thread);
    struct chan_wake wake;
    int result = recv_locked(c, out_item, &wake);
    if (result != CHAN_WOULD_WAIT) {
        size_t item_bytes = c->item_bytes;
        guard_leave(c->guard, processor);
        deliver(&wake, item_bytes);
        return LIKELY(result == 0) ? 0 : closed_error(recv_function);
    }
    if (LIKELY(deadline_ns != PINTLE_NOWAIT && thread->task != NULL)) {
        return recv_waits(c, out_item, deadline_ns, thread);
    }
    guard_leave(c->guard, processor);
    return recv_any(c, out_item, deadline_ns);
}

/* A receiver waits: the item goes straight to it. */
static __attribute__((noinline)) int send_to_first(pintle_chan *c, const void *item, int64_t deadline_ns,
                                                   struct thread *thread) {
    struct processor *processor = thread_processor(thread);
    size_t item_bytes = c->item_bytes;
    struct waiter *first;
    if ((item_bytes != sizeof(uint64_t) && item_bytes != sizeof(uint32_t)) ||
        UNLIKELY((first = waiters_claim_task(&c->receivers)) == NULL)) {
        return send_here(c, item, deadline_ns, thread);
    }
    first->status = 0;
    guard_leave(c->guard, processor);
    if (LIKELY(first->item != NULL)) (void)copy_word(first->item, item, item_bytes);
    waiter_wake_task(first, processor);
    return 0;
}

/* Whether guard_enter is worth trying: the rest refuses what is refused. */
static inline struct thread *enter(pintle_chan *c, int64_t deadline_ns) {
    struct thread *thread;
    if (UNLIKELY(c == NULL) || UNLIKELY(!deadline_is_good(deadline_ns))) return NULL;
    thread = guard_enter(c->guard);
    if (UNLIKELY(thread == NULL) || LIKELY(!c->has_native)) return thread;
    guard_leave(c->guard, thread_processor(thread));
    return NULL;
}

int pintle_chan_send(pintle_chan *c, const void *item, int64_t deadline_ns) {
    struct thread *thread = UNLIKELY(item == NULL) ? NULL : enter(c, deadline_ns);
    if (thread == NULL) return send_any(c, item, deadline_ns);
    size_t count = atomic_load_relaxed(&c->count), tail = c->tail;
    if (UNLIKELY(atomic_load_relaxed(&c->closed))) return send_here(c, item, deadline_ns, thread);
    if (waiters_any(&c->receivers)) return send_to_first(c, item, deadline_ns, thread);
    if (count == c->capacity || !copy_word(slot_at(c, tail), item, c->item_bytes))
        return send_here(c, item, deadline_ns, thread);
    c->tail = after(c, tail);
    set_count(c, count + 1);
    guard_leave(c->guard, thread_processor(thread));
    return 0;
}

int pintle_chan_recv(pintle_chan *c, void *out_item, int64_t deadline_ns) {
    struct thread *thread = UNLIKELY(out_item == NULL) ? NULL : enter(c, deadline_ns);
    if (thread == NULL) return recv_any(c, out_item, deadline_ns);
    size_t count = atomic_load_relaxed(&c->count), head = c->head;
    if (waiters_any(&c->senders)) return recv_here(c, out_item, deadline_ns, thread);
    if (count == 0) {
        if (UNLIKELY(atomic_load_relaxed(&c->closed)) || UNLIKELY(deadline_ns == PINTLE_NOWAIT) ||
            UNLIKELY(thread->task == NULL)) {
            return recv_here(c, out_item, deadline_ns, thread);
        }
        return recv_waits(c, out_item, deadline_ns, thread);
    }
    if (!copy_word(out_item, slot_at(c, head), c->item_bytes)) return recv_here(c, out_item, deadline_ns, thread);
    c->head = after(c, head);
    set_count(c, count - 1);
    guard_leave(c->guard, thread_processor(thread));
    return 0;
}

int pintle_chan_close(pintle_chan *c) {
    struct guard *guard = guard_of(c);
    struct waiter *receivers, *senders;
    size_t item_bytes;
    if (c == NULL) panic("pintle_chan_close was given a NULL channel");
    item_bytes = c->item_bytes;
    guard_acquire(guard);
    if (atomic_load_relaxed(&c->closed)) {
        guard_release(guard);
        return error_set(PINTLE_ECLOSED, 0, "pintle_chan_close: the channel is closed already");
    }
    receivers = waiters_claim_all(&c->receivers, PINTLE_ECLOSED);
    senders = waiters_claim_all(&c->senders, PINTLE_ECLOSED);
    atomic_store_release(&c->closed, true);
    chan_tell(c);
    guard_release(guard);
    for (struct waiter *waiter = receivers; waiter != NULL; waiter = waiter->next) {
        if (waiter->item != NULL) memset(waiter->item, 0, item_bytes);
    }
    waiters_wake_chain(receivers);
    waiters_wake_chain(senders);
    return 0;
}
