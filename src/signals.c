/* signals.c: signals and console events as items of channels. What the system does is behind os.h.
 *
 *   system's handler -> (POSIX: its thread) -> signal_came: to each channel that asks for the kind, without waiting
 *
 * A channel that is open here has two references, the user's and ours. When the user's last one is gone, pintle_chan_free tells
 * (`left_alone`), and the subscription ends.
 * Threads: any; signal_came: a thread that is none of the runtime's. Locks: signals_lock (RANK_SIGNALS) over the list, held while
 * items are sent, so that who is off the list gets none; start_lock (the same rank, never together) over the system's side being
 * started and stopped, which may wait for threads in signal_came.
 * Tests: tests/api/test_signal.c, tests/posix/test_signal_posix.c, tests/win/test_signal_win.c. */
#include "signals.h"

#include "chan.h"
#include "error.h"
#include "lock.h"
#include "memory.h"
#include "os.h"
#include "pintle/signal.h"
#include "scheduler.h"

enum { ITEMS = 64, ALL_KINDS = PINTLE_SIGNAL_STOP | PINTLE_SIGNAL_USER1 | PINTLE_SIGNAL_USER2 };

struct subscription {
    struct subscription *next;
    struct pintle_chan *chan;
    uint32_t kinds;
};

static struct lock start_lock = LOCK_INIT(RANK_SIGNALS), signals_lock = LOCK_INIT(RANK_SIGNALS);
static bool started;                 /* under start_lock */
static struct subscription *openers; /* under signals_lock */

static void signal_came(uint32_t kind, int number) {
    pintle_signal item = {.kind = kind, .number = number, .time_ns = pintle_now()};
    lock_acquire(&signals_lock);
    for (struct subscription *s = openers; s != NULL; s = s->next) {
        if (s->kinds & kind) (void)pintle_chan_send(s->chan, &item, PINTLE_NOWAIT);
    }
    lock_release(&signals_lock);
}

static uint32_t wanted_locked(void) {
    uint32_t kinds = 0;
    for (const struct subscription *s = openers; s != NULL; s = s->next) kinds |= s->kinds;
    return kinds;
}

/* What was taken off the list. */
static void end(struct subscription *s) {
    atomic_store_relaxed(&s->chan->left_alone, NULL);
    pintle_chan_free(s->chan);
    memory_free(s);
    pintle_unhold();
}

/* The user has freed the channel; by now it may be anything. */
static void left_alone(struct pintle_chan *chan) {
    struct subscription **link = &openers, *s;
    lock_acquire(&signals_lock);
    while (*link != NULL && (*link)->chan != chan) link = &(*link)->next;
    s = *link;
    if (s != NULL) {
        *link = s->next;
        (void)os_signals_watch(wanted_locked()); /* fewer: cannot fail */
    }
    lock_release(&signals_lock);
    if (s != NULL) end(s);
}

static int stopped_error(void) {
    return error_set(PINTLE_ESTOPPED, 0, "pintle_signal_open: the runtime is not running");
}

static int system_error(int os_code, int code, const char *what) {
    char message[128];
    os_error_text(os_code, message, sizeof message);
    return error_set(code, os_code, "pintle_signal_open: %s: %s", what, message);
}

static int start_system(void) {
    int result = 0;
    lock_acquire(&start_lock);
    if (sched_phase() != PHASE_RUNNING) {
        result = stopped_error();
    } else if (!started && (result = os_signals_start(signal_came)) != 0) {
        result = system_error(result, PINTLE_ELIMIT, "the system lets nobody wait for signals");
    } else {
        started = true;
    }
    lock_release(&start_lock);
    return result;
}

static int subscribe(struct subscription *s) {
    int result = 0, os_code = 0;
    lock_acquire(&signals_lock);
    if (sched_phase() != PHASE_RUNNING) { /* or signals_shutdown has yet to come by the list */
        result = stopped_error();
    } else if ((os_code = os_signals_watch(wanted_locked() | s->kinds)) != 0) {
        (void)os_signals_watch(wanted_locked());
        result = system_error(os_code, PINTLE_EOS, "a signal's handler cannot be set");
    } else {
        atomic_store_relaxed(&s->chan->left_alone, left_alone);
        s->next = openers;
        openers = s;
    }
    lock_release(&signals_lock);
    return result;
}

int pintle_signal_open(pintle_chan **out, unsigned which) {
    struct subscription *s;
    pintle_chan *chan = NULL;
    int result;
    if (out == NULL) return error_set(PINTLE_EINVAL, 0, "pintle_signal_open: out is NULL");
    *out = NULL;
    if (which == 0 || (which & ~(unsigned)ALL_KINDS) != 0) {
        return error_set(PINTLE_EINVAL, 0, "pintle_signal_open: which is %#x: use PINTLE_SIGNAL_…", which);
    }
    if ((result = start_system()) != 0) return result;
    if ((s = memory_alloc_zero(sizeof *s)) == NULL) {
        return error_set(PINTLE_ENOMEM, 0, "pintle_signal_open: no memory for its record");
    }
    if ((result = pintle_chan_new(&chan, sizeof(pintle_signal), ITEMS)) == 0) {
        pintle_chan_retain(chan);
        s->chan = chan;
        s->kinds = which;
        pintle_hold();
        if ((result = subscribe(s)) == 0) {
            *out = chan;
            return 0;
        }
        pintle_unhold();
        pintle_chan_free(chan);
        pintle_chan_free(chan);
    }
    memory_free(s);
    return result;
}

void pintle_signal_done(void) { os_signals_done(); }

void signals_shutdown(bool library_mode) {
    struct subscription *s, *next;
    lock_acquire(&signals_lock);
    s = openers;
    openers = NULL;
    if (s != NULL) (void)os_signals_watch(0);
    lock_release(&signals_lock);
    for (; s != NULL; s = next) {
        next = s->next;
        (void)pintle_chan_close(s->chan);
        end(s);
    }
    lock_acquire(&start_lock);
    if (started) os_signals_stop(library_mode);
    started = false;
    lock_release(&start_lock);
}
