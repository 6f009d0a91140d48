/* saved.pml: SAVED (src/scheduler.c, src/wait.c, src/task.h, pintle_join in src/task.c): waiting, waking, joining.
 *
 * Models   wait_begin, wait_finish, wait_abandon, wait_join; depart and arrived for PARK, JOIN, EXIT and EXIT_JOINED;
 *          sleeper_wake, sleeper_saved, sleeper_joins, sleeper_take_joiner; an event, a deadline's timer, a canceller; the join word with its part of the seq, timed out and not.
 * Simpler  One queue of runnable tasks; any thread takes from it. Atomic operations are sequentially consistent, as the
 *          locked instructions are that they become. The event's lock makes setting it, and queueing, one step each.
 * Proves   A task is resumed only after its registers are saved, by one thread, once for each departure; one waker wins; a
 *          waiter does not go on while the winner still writes; a wait that ends by the event, the deadline or
 *          cancelling has seen it happen; the ended task is freed once; no wake-up is lost (deadlock is the error). That a
 *          stale seq loses is modelled, but no search here depends on it.
 * Bounds   2 threads; a task that waits for the event (deadline, cancelling), joins with a deadline, waits for the event
 *          again and joins without (a joining wait); the task that it joins; a setter, a timer, a canceller.
 * Bugs     BUG_NOT_SAVED: the winner makes the task runnable without looking whether it has left its stack.
 *          BUG_ABANDON: who loses its own claim goes on without waiting for the winner.
 *          BUG_JOINER_UNSAVED: the task that ends goes to its joiner without looking whether that has left its stack.
 *          BUG_JOIN_EARLY: the joiner's word is in `join` before it has left its stack.
 *          BUG_JOIN_CLAIM: a canceller takes a joining wait by its claim, not by its word.
 * Search  clean
 * Search  bug -DBUG_NOT_SAVED
 * Search  bug -DBUG_ABANDON
 * Search  bug -DBUG_JOINER_UNSAVED
 * Search  bug -DBUG_JOIN_EARLY
 * Search  bug -DBUG_JOIN_CLAIM
 * States   1,411,622 */
#define WAITER 0
#define JOINED 1
#define PARK 0
#define EXIT 1
#define EXIT_JOINED 2
#define JOIN 3

#define OPEN 1
#define SELF 2
#define EVENT 3
#define DEADLINE 4
#define CANCEL 5

#define SAVED 1
#define WOKEN 2
#define DONE 15 /* the join word; else a seq, with JOINING or not, or 0 */
#define JOINING 8

byte seq, reason;          /* the waiter's claim, */
bool joining;              /* part of it */
byte park;
byte join;
byte queued, armed;        /* the seq that waits in the event, in the timer; 0: none */
bool event, cancelled, writing, freed;
bool saved[2] = true;      /* ghost: the registers are */
bool runs[2];              /* ghost */
chan runnable = [2] of { byte };
chan resume[2] = [0] of { byte };        /* a thread switches to the task */
chan departed[2] = [0] of { byte, byte }; /* … and the task from the thread: kind, task */
bool finished;

#define WAKE_STEP2 \
    writing = true; /* what the winner has to tell */ \
    atomic { writing = false; old = park; park = park | WOKEN } \
    if \
    :: NEEDS_PUSH -> runnable!WAITER \
    :: else \
    fi; \
    old = 0
#ifdef BUG_NOT_SAVED
#define NEEDS_PUSH true
#define NEEDS_PUSH_EARLY true
#else
#define NEEDS_PUSH (old & SAVED)
#define NEEDS_PUSH_EARLY false
#endif

/* One wins. */
inline sleeper_wake(with, why) {
    atomic {
        won = false;
        taken = false;
        if
#ifndef BUG_JOIN_CLAIM
        :: seq == with && reason == OPEN && joining -> taken = true
        :: seq == with && reason == OPEN && !joining -> reason = why; won = true; writing = true
#else
        :: seq == with && reason == OPEN && joining -> won = true; reason = why
        :: seq == with && reason == OPEN && !joining -> reason = why; won = true; writing = true
#endif
        :: else
        fi
    }
    if
    :: taken ->
        atomic {
            taken = false;
            if
            :: join == (with | JOINING) -> join = 0; taken = true
            :: else
            fi
        }
        if
        :: taken -> reason = why; runnable!WAITER
        :: else
        fi
#ifdef BUG_JOIN_CLAIM
    :: won && joining -> runnable!WAITER
    :: won && !joining -> WAKE_STEP2
#else
    :: won -> WAKE_STEP2
#endif
    :: else
    fi;
    won = false;
    taken = false
}

proctype thread(byte me) {
    byte task, kind, old, word;
    bool won, taken;
end:
    do
    :: atomic {
        runnable?task ->
        assert(saved[task] && !runs[task]);
        saved[task] = false;
        runs[task] = true
       }
go_on:
       resume[task]!me;
end_last: /* the waiter ends without a departure */
       departed[me]?kind, task; /* arch_switch has saved the registers */
       if
       :: kind == PARK ->
            atomic { old = park; park = park | SAVED }
            if
            :: (old & WOKEN) && !(NEEDS_PUSH_EARLY) -> runnable!task
            :: else
            fi;
       :: kind == JOIN -> /* sleeper_joins; its seq stays while the word is its own */
            word = JOINING + seq + 1;
#ifndef BUG_JOIN_EARLY
            atomic { seq++; reason = OPEN; joining = true }
            atomic {
                if
                :: join == 0 -> join = word
                :: else -> assert(join == DONE); word = 0
                fi
            }
#else
            word = JOINING + seq;
#endif
            if
            :: word == 0 -> reason = EVENT; runnable!task
            :: else ->
                taken = cancelled;
                atomic {
                    if
                    :: taken && join == word -> join = 0
                    :: else -> taken = false
                    fi
                }
                if
                :: taken -> reason = CANCEL; runnable!task
                :: else
                fi;
                taken = false
            fi
       :: kind == EXIT ->
            atomic { assert(!freed); word = join; join = DONE }
            if
            :: word > JOINING -> reason = EVENT; runnable!WAITER
            :: word != 0 && word < JOINING -> /* sleeper_wake_joiner */
                sleeper_wake(word, EVENT)
            :: else
            fi
       :: kind == EXIT_JOINED -> /* the claim is the task's that ended: nobody else touches the waiter */
            assert(!freed);
            join = DONE;
            atomic {
                assert(saved[WAITER] && !runs[WAITER]);
                saved[WAITER] = false;
                runs[WAITER] = true;
                task = WAITER
            }
            goto go_on
       fi;
       atomic { kind = 0; old = 0; word = 0; task = 0 }
    od
}

/* Leaves on the thread it runs on and returns on another, maybe. */
inline depart(kind, task) {
    runs[task] = false; /* still on its stack */
    atomic { saved[task] = true; departed[on]!kind, task }
}

inline wait_begin() {
    assert(!writing);
    park = 0;
    atomic { seq++; reason = OPEN; joining = false }
}

inline wait_finish(deadline) {
    flag = cancelled;
    mine = false;
    if
    :: flag ->
        atomic {
            if
            :: reason == OPEN -> reason = CANCEL; mine = true
            :: else
            fi
        }
    :: else ->
        if
        :: deadline -> armed = seq
        :: else
        fi
    fi;
    if
    :: !mine ->
#ifdef BUG_ABANDON
        if
        :: flag -> skip
        :: else -> depart(PARK, WAITER); resume[WAITER]?on
        fi
#else
        depart(PARK, WAITER);
        resume[WAITER]?on
#endif
    :: else
    fi;
    armed = 0;
    flag = false;
    mine = false;
    assert(reason != OPEN && !writing)
}

proctype waiter() {
    byte on, round;
    bool flag, mine, look;
    resume[WAITER]?on;
again:
    /* pintle_event_wait */
    wait_begin();
    atomic {
        if
        :: event -> look = 1 /* wait_abandon, below */
        :: else -> queued = seq; look = 0
        fi
    }
    if
    :: look == 0 ->
        wait_finish(round == 0);
        queued = 0
    :: look == 1 ->
        atomic {
            if
            :: reason == OPEN -> reason = SELF
            :: else -> mine = true
            fi
        }
        if
#ifndef BUG_ABANDON
        :: mine -> mine = false; depart(PARK, WAITER); resume[WAITER]?on
#endif
        :: else
        fi;
        mine = false
    fi;
    assert(!writing && reason != OPEN);
    assert(reason != EVENT || event);
    assert(reason != CANCEL || cancelled);
    assert(reason != DEADLINE || round == 0);
    /* pintle_join */
    if
    :: join == DONE -> goto free
    :: join != DONE && round == 1 -> goto without
    :: join != DONE && round == 0
    fi;
    wait_begin();
    atomic {
        if
        :: join == 0 -> join = seq
        :: else -> assert(join == DONE); mine = true
        fi
    }
    if
    :: !mine ->
        wait_finish(true);
        atomic {
            if
            :: reason == EVENT -> assert(join == DONE)
            :: else ->
                if
                :: join == seq -> join = 0; mine = true
                :: else -> assert(join == DONE)
                fi
            fi
        }
        if
        :: mine -> mine = false; round = 1; goto again
        :: else
        fi
    :: else ->
        atomic {
            mine = false;
            if
            :: reason == OPEN -> reason = SELF
            :: else -> mine = true
            fi
        }
        if
#ifndef BUG_ABANDON
        :: mine -> mine = false; depart(PARK, WAITER); resume[WAITER]?on
#endif
        :: else
        fi
    fi;
    goto free;
without: /* wait_join */
#ifdef BUG_JOIN_EARLY
    atomic { seq++; reason = OPEN; joining = true }
    atomic {
        if
        :: join == 0 -> join = JOINING + seq
        :: else -> goto free
        fi
    }
#endif
    depart(JOIN, WAITER);
    resume[WAITER]?on;
    assert(reason == EVENT || reason == CANCEL && cancelled);
    if
    :: reason == EVENT
    :: else -> finished = true; runs[WAITER] = false; goto gone /* cancelled: it lets the task be */
    fi;
free:
    assert(!freed && join == DONE);
    freed = true;
    finished = true;
    runs[WAITER] = false;
gone:
    skip
}

proctype joined() {
    byte on, word;
    bool claimed;
    resume[JOINED]?on;
    word = join; /* sleeper_take_joiner */
    if
    :: word > JOINING ->
        atomic {
            if
            :: join == word -> join = 0; claimed = true
            :: else
            fi
        }
        if
        :: claimed -> reason = EVENT
        :: else
        fi
#ifdef BUG_JOINER_UNSAVED
    :: word != 0 && word < JOINING ->
#else
    :: word != 0 && word < JOINING && (park & SAVED) ->
#endif
        atomic {
            if
            :: seq == word && reason == OPEN -> reason = EVENT; claimed = true
            :: else
            fi
        }
    :: else
    fi;
    if
    :: claimed -> depart(EXIT_JOINED, JOINED)
    :: else -> depart(EXIT, JOINED)
    fi
}

proctype setter() {
    byte old, with;
    bool won, taken;
    atomic { event = true; with = queued; queued = 0 }
    if
    :: with != 0 -> sleeper_wake(with, EVENT)
    :: else
    fi
}

proctype timer() {
    byte old, with;
    bool won, taken;
    do
    :: atomic { armed != 0 -> with = armed; armed = 0 }; sleeper_wake(with, DEADLINE); with = 0
    :: break
    od
}

proctype canceller() {
    byte old, with;
    bool won, taken;
    cancelled = true;
    atomic {
        if
        :: reason == OPEN -> with = seq
        :: else
        fi
    }
    if
    :: with != 0 -> sleeper_wake(with, CANCEL)
    :: else
    fi
}

proctype watcher() { finished }

init {
    atomic {
        runnable!WAITER;
        runnable!JOINED;
        run thread(0);
        run thread(1);
        run waiter();
        run joined();
        run setter();
        run timer();
        run canceller();
        run watcher()
    }
}
