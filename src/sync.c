/* sync.c: events.
 *
 * A waiter lies on the stack of the one who waits, in the event's list, under the event's lock. Set takes all waiters off
 * the list and wakes them; one that left for another reason takes itself off, under the lock, before its frame goes.
 * Threads: any. Locks: the event's word (RANK_OBJECT). Tests: tests/api/test_event.c. */
#include "pintle/sync.h"

#include "clock.h"
#include "panic.h"
#include "wait.h"

struct waiter {
    struct waiter *next, *previous;
    struct wait wait;
    bool queued;
};

static void enqueue(pintle_event *event, struct waiter *waiter) {
    waiter->next = NULL;
    waiter->previous = event->last;
    waiter->queued = true;
    if (event->last != NULL) {
        ((struct waiter *)event->last)->next = waiter;
    } else {
        event->first = waiter;
    }
    event->last = waiter;
}

static void withdraw(pintle_event *event, struct waiter *waiter) {
    if (!waiter->queued) return;
    waiter->queued = false;
    if (waiter->previous != NULL) {
        waiter->previous->next = waiter->next;
    } else {
        event->first = waiter->next;
    }
    if (waiter->next != NULL) {
        waiter->next->previous = waiter->previous;
    } else {
        event->last = waiter->previous;
    }
}

void pintle_event_init(pintle_event *event) { memset(event, 0, sizeof *event); }

void pintle_event_destroy(pintle_event *event) {
    bool waited_for;
    lock_word_acquire(&event->lock);
    waited_for = event->first != NULL;
    lock_word_release(&event->lock);
    if (waited_for) panic("pintle_event_destroy: somebody waits for the event");
}

void pintle_event_set(pintle_event *event) {
    lock_word_acquire(&event->lock);
    atomic_store_release((_Atomic uint32_t *)&event->set, 1); /* pairs with the unlocked look in wait */
    while (event->first != NULL) {
        struct waiter *waiter = event->first;
        withdraw(event, waiter);
        sleeper_wake(waiter->wait.sleeper, waiter->wait.seq, WAKE_EVENT);
    }
    lock_word_release(&event->lock);
}

void pintle_event_reset(pintle_event *event) {
    lock_word_acquire(&event->lock);
    atomic_store_relaxed((_Atomic uint32_t *)&event->set, 0);
    lock_word_release(&event->lock);
}

bool pintle_event_is_set(const pintle_event *event) {
    return atomic_load_acquire((const _Atomic uint32_t *)&event->set) != 0;
}

int pintle_event_wait(pintle_event *event, int64_t deadline_ns) {
    struct waiter waiter;
    enum wake_reason reason;
    int result = deadline_check(deadline_ns, "pintle_event_wait");
    if (result != 0) return result;
    if (pintle_event_is_set(event)) return 0;
    if (deadline_ns == PINTLE_NOWAIT) return wait_result(WAKE_DEADLINE, deadline_ns, "pintle_event_wait");
    if ((result = wait_begin(&waiter.wait, "pintle_event_wait")) != 0) return result;
    lock_word_acquire(&event->lock);
    if (event->set != 0) {
        lock_word_release(&event->lock);
        wait_abandon(&waiter.wait);
        return 0;
    }
    enqueue(event, &waiter);
    lock_word_release(&event->lock);
    reason = wait_finish(&waiter.wait, deadline_ns);
    lock_word_acquire(&event->lock);
    withdraw(event, &waiter);
    lock_word_release(&event->lock);
    return wait_result(reason, deadline_ns, "pintle_event_wait");
}
