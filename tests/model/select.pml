/* select.pml: a select over two channels (src/select.c, a free wait of src/wait.h).
 *
 * Models   Looking with both guards held, opening the claim, queueing, releasing; departing and arrived for PARK; a sender for
 *          each channel: takes the waiter off, wins the claim or loses it, delivers, wakes; a deadline's timer; withdrawing.
 * Simpler  The receiver is its own thread, and runs when it was made runnable. Operations are sequentially consistent, as the
 *          locked instructions are that they become. Who loses the claim leaves its item in the buffer.
 * Proves   One case runs: what was delivered is what the receiver finds served, one at most for each select; no item is lost
 *          or doubled; the receiver is made runnable after its registers are saved, once for each departure; it does not go
 *          on while the winner still delivers; no wake-up is lost (a receiver left asleep is the error); no deadlock of guards.
 * Bounds   2 channels, a sender each; a receiver that selects twice, the second time in the other order of cases; a timer if
 *          DEADLINE; with RIVAL a second receiver that takes one item instead of the first one's second select.
 * Bugs     BUG_LOOK_THEN_CLAIM: a sender looks at the claim, and then writes it. BUG_WOKEN_FIRST: it sets WOKEN before it has
 *          delivered. BUG_ORDER: the receiver takes the guards in the order of its cases, and another one in its own.
 * Search  clean
 * Search  clean -DDEADLINE
 * Search  clean -DRIVAL
 * Search  bug -DBUG_LOOK_THEN_CLAIM
 * Search  bug -DBUG_WOKEN_FIRST
 * Search  bug -DRIVAL -DBUG_ORDER
 */
#define OPEN 1
#define EVENT 2
#define DEADLINE_PASSED 3
#ifdef DEADLINE
#define PROCESSES_LEFT 2 /* init and the timer */
#else
#define PROCESSES_LEFT 1
#endif
#define SAVED 1
#define WOKEN 2

bool held[2];       /* guards */
byte slots[2];
byte queued[2];     /* the seq of the receiver's waiter; 0: none */
bool served[2];     /* the waiter's status was written */
byte seq, reason;   /* the claim */
byte park;
byte armed;
bool saved;
byte runnable;
byte got, done;

inline acquire(c) { atomic { !held[c] -> held[c] = true } }
inline release(c) { held[c] = false }
inline make_runnable() { atomic { assert(saved && runnable == 0); runnable = 1 } }

inline wake() {
    atomic { old = park; park = park | WOKEN }
    if
    :: old & SAVED -> make_runnable()
    :: else
    fi
}

proctype sender(byte c) {
    byte waiter, old;
    bool won;
    acquire(c);
    waiter = queued[c];
    queued[c] = 0;
#ifdef BUG_LOOK_THEN_CLAIM
    won = (waiter > 0 && seq == waiter && reason == OPEN);
    if
    :: won -> reason = EVENT
    :: else
    fi;
#else
    atomic {
        if
        :: waiter > 0 && seq == waiter && reason == OPEN -> reason = EVENT; won = true
        :: else
        fi
    }
#endif
    if
    :: won ->
        release(c);
#ifdef BUG_WOKEN_FIRST
        wake();
        served[c] = true
#else
        served[c] = true;
        wake()
#endif
    :: else -> slots[c]++; release(c)
    fi
}

proctype timer() {
    byte with, old;
    bool won;
end:
    do
    :: atomic { armed > 0 -> with = armed; armed = 0 }
       atomic {
           won = false;
           if
           :: seq == with && reason == OPEN -> reason = DEADLINE_PASSED; won = true
           :: else
           fi
       }
       if
       :: won -> wake()
       :: else
       fi
    od
}

#ifdef BUG_ORDER
#define FIRST first
#else
#define FIRST 0
#endif

inline select_one(first) {
    acquire(FIRST);
    acquire(1 - FIRST);
    if
    :: slots[0] > 0 -> slots[0]--; got++; release(0); release(1)
    :: slots[1] > 0 -> slots[1]--; got++; release(0); release(1)
    :: slots[0] == 0 && slots[1] == 0 ->
        park = 0;
        saved = false;
        atomic { seq++; reason = OPEN }
        queued[0] = seq;
        queued[1] = seq;
        release(0);
        release(1);
#ifdef DEADLINE
        armed = seq;
#endif
        saved = true; /* arch_switch */
        atomic { old = park; park = park | SAVED } /* arrived */
        if
        :: old & WOKEN -> make_runnable()
        :: else
        fi;
        atomic { runnable == 1 -> runnable = 0 }
        armed = 0;
        assert(reason > OPEN);
        assert(!(served[0] && served[1]));
        if
        :: reason == EVENT -> assert(served[0] || served[1]); got++
        :: else -> assert(!served[0] && !served[1])
        fi;
        served[0] = false;
        served[1] = false;
        acquire(0); queued[0] = 0; release(0);
        acquire(1); queued[1] = 0; release(1)
    fi
}

proctype receiver() {
    byte old;
    select_one(0);
#ifndef RIVAL
    select_one(1);
#endif
    done++;
}

/* Does not wait: takes what it finds. Until it has one, it comes again. */
proctype rival() {
    byte mine;
    do
    :: mine > 0 -> break
    :: mine == 0 && (slots[0] + slots[1] > 0) ->
#ifdef BUG_ORDER
        acquire(1);
        acquire(0);
#else
        acquire(0);
        acquire(1);
#endif
        if
        :: slots[0] > 0 -> slots[0]--; mine = 1
        :: slots[1] > 0 -> slots[1]--; mine = 1
        :: else
        fi;
        release(0);
        release(1)
    od;
    got++;
    done++
}

init {
    atomic {
#ifdef DEADLINE
        run timer(); /* first: those that end can go only if those after them have gone */
#endif
        run sender(0);
        run sender(1);
        run receiver();
#ifdef RIVAL
        run rival();
#endif
    }
#ifdef RIVAL
    done == 2 ->
#else
    done == 1 ->
#endif
    (_nr_pr == PROCESSES_LEFT);
    assert(got + slots[0] + slots[1] == 2)
}
