/* kick.pml: KICK (src/kick.c): a cancelled task's call is interrupted until it ends, and the call after it never is.
 *
 * Models   pintle_call_interruptible's begin, ask_if_canceled, end; LEAVE with kick_spend; the canceller's step; the monitor's
 *          look, kick and repeat; a signal that is pending from its sending to its delivery.
 * Simpler  One thread, one task. The call word's plain store stays in the store buffer until the fence, or goes out by itself
 *          before; all else is seen in order. Time is none: a repeat may come at any moment.
 * Proves   The call that follows finds no signal; the interruptible one ends though it would block for ever (a task left
 *          in it is the error), whenever the cancel comes, also if a signal is delivered before it blocks.
 * Bounds   2 calls, the first interruptible; 1 cancel; LOST signals at most that are delivered too early.
 * Bugs     BUG_NO_LOCK: LEAVE takes KICK away without the lock, while a signal may be about to be sent.
 *          BUG_NO_SPEND: LEAVE makes no system call: what is pending stays so.
 *          BUG_NO_TICK: the monitor kicks whatever call it finds.
 *          BUG_NO_FENCE: the task looks for CANCELED before its call word is seen.
 *          BUG_NO_REPEAT: one kick must do.
 * Search  clean
 * Search  clean -DMAY_END
 * Search  bug -DMAY_END -DBUG_NO_LOCK
 * Search  bug -DMAY_END -DBUG_NO_SPEND
 * Search  bug -DMAY_END -DBUG_NO_TICK
 * Search  bug -DBUG_NO_FENCE
 * Search  bug -DBUG_NO_REPEAT
 */
#define OUT 0
#define AWAY 1
#define NO_TICK 0
#define LOST 2

byte tick = 1, state = OUT; /* the call word, with: */
bool kick_bit;
byte kick_tick = NO_TICK;
bool buffered;              /* the store of AWAY */
bool held;                  /* kick_lock */
bool interruptible, cancelled, asked;
bool pending;               /* the signal: sent, not delivered */
bool blocks;                /* ghost: the task is in a system call */
byte lost;
bool done;

#define ACQUIRE atomic { !held -> held = true }
#define RELEASE held = false

active proctype task() {
    bool seen;
    kick_tick = tick;
    interruptible = true; /* locked */
    buffered = true;      /* call = n|AWAY */
#ifndef BUG_NO_FENCE
    !buffered;
#endif
    seen = cancelled;
    !buffered; /* the lock of what follows brings it out at the latest */
    if
    :: seen -> asked = true
    :: else
    fi;
    blocks = true;
    if
    :: atomic { pending -> pending = false; blocks = false }
#ifdef MAY_END
    :: blocks = false
#endif
    fi;
    kick_tick = NO_TICK;
    interruptible = false;
leave:
    if
    :: atomic { !kick_bit -> state = OUT; tick = 2 }
    :: kick_bit ->
#ifndef BUG_NO_LOCK
        ACQUIRE;
#endif
        kick_bit = false;
#ifndef BUG_NO_LOCK
        RELEASE;
#endif
#ifndef BUG_NO_SPEND
        pending = false;
#endif
        goto leave
    fi;
    state = AWAY; /* the next call, which must not be hit */
    blocks = true;
    if
    :: pending -> assert(false)
    :: blocks = false
    fi;
    assert(!pending);
leave_again:
    if
    :: atomic { !kick_bit -> state = OUT; tick = 3 }
    :: kick_bit -> ACQUIRE; kick_bit = false; RELEASE; pending = false; goto leave_again
    fi;
    done = true
}

/* The store buffer; and the kernel, which delivers a signal to code that is in no system call: the handler does nothing. */
active proctype machine() {
end:
    do
    :: atomic { buffered -> buffered = false; state = AWAY }
    :: atomic { pending && !blocks && tick == 1 && lost < LOST -> pending = false; lost++ }
    od
}

active proctype canceller() {
    bool seen;
    if
    :: true -> skip
#ifdef MAY_END
    :: goto over
#endif
    fi;
    atomic { cancelled = true; seen = interruptible }
    if
    :: seen -> asked = true
    :: else
    fi;
over:
    skip
}

active proctype monitor() {
    byte seen_tick;
    bool again;
    do
    :: done -> break
    :: asked || again ->
        asked = false;
        again = false;
        seen_tick = (state == AWAY -> tick : NO_TICK);
        if
        :: seen_tick == NO_TICK
#ifndef BUG_NO_TICK
        :: seen_tick != NO_TICK && seen_tick != kick_tick
        :: seen_tick != NO_TICK && seen_tick == kick_tick && cancelled ->
#else
        :: seen_tick != NO_TICK && cancelled ->
#endif
            ACQUIRE;
            if
            :: atomic { state == AWAY && tick == seen_tick -> kick_bit = true }
                pending = true; /* sent */
#ifndef BUG_NO_REPEAT
                again = true
#endif
            :: else
            fi;
            RELEASE
        :: seen_tick != NO_TICK && !cancelled
        fi
    od
}
