/* guarded.pml: guarded waits (src/wait.h, src/guard.h, src/chan.c): a receiver that waits under the channel's guard.
 *
 * Models   wait_prepare, wait_guarded, depart and arrived for GUARDED; waiters_claim_first and waiter_wake by a sender;
 *          claim_try by a deadline's timer and a canceller; wait_cancel_begin and _end; withdrawing.
 * Simpler  One processor's worth of switching: the receiver is its own thread, and runs when it was made runnable. That one
 *          at a time has the guard is bias.pml's. Stores are seen in order, but for the one that CANCEL depends on: the
 *          guard's name stays in the store buffer until it goes out by itself, the guard is taken by its word (not by its
 *          bias), or a canceller fences all threads.
 * Proves   The receiver is made runnable only after its registers are saved, once for each departure, by the one who claimed
 *          it; an item that a sender gave to it is taken, and no other; a claim of an earlier wait is not won; no wake-up
 *          is lost: not the sender's, the deadline's or the canceller's (a receiver left asleep is the error).
 * Bounds   1 receiver that waits twice, with a deadline if DEADLINE; 2 senders if SENDERS; 1 canceller.
 * Bugs     BUG_EARLY_RELEASE: the receiver releases the guard before its registers are saved.
 *          BUG_NO_RECHECK: a timer does not look at the claim again once it has the guard.
 *          BUG_NO_SECOND_LOOK: a canceller that sees no open claim does not look at the guard.
 *          BUG_NO_FENCE: a canceller does not fence.
 * Search  clean -DSENDERS -DDEADLINE
 * Search  clean -DDEADLINE
 * Search  clean
 * Search  bug -DSENDERS -DBUG_EARLY_RELEASE
 * Search  bug -DSENDERS -DDEADLINE -DBUG_NO_RECHECK
 * Search  bug -DBUG_NO_SECOND_LOOK
 * Search  bug -DBUG_NO_FENCE
 */
#define OPEN 1
#define EVENT 2
#define DEADLINE_PASSED 3
#define CANCEL 4

bool held;            /* the guard */
byte seq, reason;     /* the claim */
byte queued;          /* the seq that waits in the channel; 0: none */
byte armed;           /* … and in the timer */
byte slot;            /* items in the buffer */
byte given;           /* what a sender has put where the receiver wanted it; 0: nothing */
bool named, buffered; /* sleeper->guard; still in the store buffer */
bool cancelled;
bool saved = true;    /* ghost: the receiver's registers are */
byte runnable;        /* how often it was made runnable, and has not run since */
byte sent, received;  /* ghost */

inline acquire() { atomic { !held -> held = true } }
inline release() { held = false }

/* The receiver's: a locked instruction, which empties the store buffer, or none. */
inline acquire_own() {
    if
    :: atomic { !held -> held = true; named = named | buffered; buffered = false }
    :: acquire()
    fi
}

inline fence_all() {
#ifdef BUG_NO_FENCE
    skip
#else
    atomic { named = named | buffered; buffered = false }
#endif
}

inline make_runnable() {
    atomic { assert(saved); assert(runnable == 0); runnable = 1 }
}

/* Whoever is not a waker of the queue: takes the guard, and claims if the claim is what it was. */
inline claim_try(with, why) {
    won = false;
    if
    :: seq == with && reason == OPEN ->
        acquire();
        if
#ifdef BUG_NO_RECHECK
        :: true -> reason = why; won = true
#else
        :: seq == with && reason == OPEN -> reason = why; won = true
        :: else
#endif
        fi;
        release();
        if
        :: won -> make_runnable()
        :: else
        fi
    :: else
    fi
}

active proctype receiver() {
    byte round, code;
    do
    :: round == 2 -> break
    :: else ->
        round++;
        buffered = true; /* wait_prepare */
        acquire_own();
        if
        :: slot > 0 -> slot--; received++; release()
        :: slot == 0 && cancelled -> release()
        :: else ->
            queued = seq + 1;
            atomic { seq++; reason = OPEN }
#ifdef DEADLINE
            armed = seq;
#endif
            saved = false; /* ghost: from here it must not be resumed until they are */
#ifdef BUG_EARLY_RELEASE
            release();
            saved = true;
#else
            saved = true; /* arch_switch */
            release();    /* arrived */
#endif
            atomic { runnable == 1 -> runnable = 0 }
            code = reason;
            armed = 0;
            assert(code > OPEN);
            if
            :: code == EVENT -> assert(given == 1); given = 0; received++
            :: else ->
                acquire();
                assert(given == 0);
                queued = 0;
                release()
            fi
        fi
    od
}

active proctype store_buffer() {
end:
    do
    :: atomic { buffered -> named = true; buffered = false }
    od
}

#ifdef SENDERS
active [2] proctype sender() {
    byte waiter;
    acquire();
    if
    :: queued > 0 ->
        waiter = queued;
        queued = 0;
        if
        :: seq == waiter && reason == OPEN -> reason = EVENT
        :: else -> waiter = 0
        fi
    :: else
    fi;
    sent++;
    if
    :: waiter == 0 -> slot++
    :: else
    fi;
    release();
    if
    :: waiter > 0 -> given = 1; make_runnable()
    :: else
    fi
}
#endif

#ifdef DEADLINE
active proctype timer() {
    byte with;
    bool won;
end:
    do
    :: atomic { armed > 0 -> with = armed; armed = 0 }
       claim_try(with, DEADLINE_PASSED)
    od
}
#endif

active proctype canceller() {
    byte with;
    bool won, open;
    cancelled = true;
    atomic { with = seq; open = (reason == OPEN) }
    if
    :: open -> claim_try(with, CANCEL)
#ifndef BUG_NO_SECOND_LOOK
    :: else ->
        fence_all();
        atomic { with = seq; open = (reason == OPEN) }
        if
        :: open -> claim_try(with, CANCEL)
        :: !open && named ->
            acquire();
            release();
            atomic { with = seq; open = (reason == OPEN) }
            if
            :: open -> claim_try(with, CANCEL)
            :: else
            fi
        :: else
        fi
#else
    :: else
#endif
    fi
}
