/* lend.pml: LEND, RECALL and URGENT (lend.c): extra processors for tasks that keep theirs too long.
 *
 * Models   The monitor's round over all processors: RETAKE, the look at the beat, LEND (decided before, done under
 *          sched.lock), RECALL of a loan that runs (a flag, repeated until it is back) or is in a call (RETAKE's swap); a
 *          lender's loan that was recalled and cannot come back, and the next one; loans of loans. The loop: arrived, the
 *          flag, then timers, own queue, global queue, theft; the drain into the global queue. The heap of timers that a
 *          lent processor shares with its lender: what is armed there when it goes; the waiter of an idle processor; the
 *          monitor as its stand-in. URGENT: a callback that takes a processor out of the pool, keeps it or parks and loses
 *          it to a thief, ends, and stays in its call.
 * Simpler  In HOGS the loop looks at the flag and for a task in one step. Sections under sched.lock or a heap's lock are one step; queues are bounded and first in first out; a push wakes an
 *          idle processor in the same step (wake.pml), a call's word has no tick (call.pml). Time is free: any task may have
 *          been at it for 10 ms at any look. Sequentially consistent.
 * Proves   A processor is held by one thread, or idle, or in the pool; in the pool its queue is empty and no loan is counted;
 *          each task's turns come in order and once. All get on: plain code that waits for another task, a call that ends only
 *          when all loans are back (deadlock is the error). At the end the pool is full and the heaps are empty.
 * Bounds   1 processor, 1 to lend (HOGS: 2), 3 threads. A task that waits in plain code for the turn of another, which lets it
 *          go on and blocks then, one that yields and sleeps, and one that calls (URGENT: and is called back; HOGS: instead of
 *          it, a second that waits in plain code).
 * Bugs     BUG_EARLY: the queue is drained before the task that left is published. BUG_NO_DRAIN: RETAKE gives a loan to the
 *          pool with what it has queued. BUG_ONE_LOAN: no second loan while the first, recalled, has not come back. BUG_ONCE: a
 *          recall is not repeated, and a call that begins afterwards keeps the loan. BUG_OWN_HEAP: lent processors have timers
 *          of their own. BUG_UNLOCKED: an urgent callback looks at the pool, and takes from it later.
 * Search  clean
 * Search  clean -DURGENT
 * Search  clean -DHOGS
 * Search  bug -DBUG_EARLY
 * Search  bug -DBUG_NO_DRAIN
 * Search  bug -DHOGS -DBUG_ONE_LOAN
 * Search  bug -DBUG_ONCE
 * Search  bug -DBUG_OWN_HEAP
 * Search  bug -DURGENT -DBUG_UNLOCKED
 */
/* 0 is P; the others are to lend. */
#ifdef HOGS
#define PROCESSORS 3
#else
#define PROCESSORS 2
#endif
#define THREADS 3
#define NONE 7

/* Tasks, and what they do: */
#define HOG 1      /* plain code until FREES has run */
#define FREES 2    /* runs; then plain code until SLEEPS has run */
#define SLEEPS 3   /* yields, sleeps, runs */
#define CALLS 4    /* a call that ends when all others have and nothing is lent */
#define HOG_TOO 5  /* instead of that: plain code until SLEEPS has run */
#define TASKS 4 /* of these five */

#define OUT 0
#define IN 1
#define TAKEN 2

chan ring[PROCESSORS] = [5] of { byte };
chan global = [5] of { byte };
byte holder[PROCESSORS] = NONE; /* processor->thread */
bool pooled[PROCESSORS], recall[PROCESSORS], moved[PROCESSORS], armed[PROCESSORS];
byte loan[PROCESSORS] = NONE, lender[PROCESSORS] = NONE, borrower[PROCESSORS] = NONE;
bool idle;           /* P */
byte waiter = NONE;  /* keeps P's timers while it is idle */
byte lent_now;
bool stirred = true; /* something happened since the monitor began its round */

bool spare[THREADS];
byte handed[THREADS] = NONE, holds[THREADS] = NONE, call[THREADS];
bool ran[6];
byte turn[6], done;
byte bound = NONE; /* CALLS waits on this thread */

#ifdef BUG_OWN_HEAP
#define HEAP(p) p
#else
#define HEAP(p) 0
#endif
#ifdef HOGS
#define WORK (len(ring[0]) + len(ring[1]) + len(ring[2]) + len(global) > 0)
#define FROM_POOL (pooled[1] -> 1 : (pooled[2] -> 2 : NONE))
#else
#define WORK (len(ring[0]) + len(ring[1]) + len(global) > 0)
#define FROM_POOL (pooled[1] -> 1 : NONE)
#endif
#define SPARE (spare[0] || spare[1] || spare[2])
#define OVER (done == TASKS)
#define OTHERS_OVER (done == TASKS - 1 && !ran[CALLS])

inline take_spare(t) {
    assert(SPARE);
    if
    :: spare[0] -> t = 0
    :: else -> if
        :: spare[1] -> t = 1
        :: else -> t = 2
        fi
    fi;
    spare[t] = false
}

inline hand_over(p, t) {
    assert(handed[t] == NONE && holds[t] == NONE);
    holder[p] = t;
    handed[t] = p
}

/* WAKE, with what was pushed before: P, if it is idle, gets its waiter or a spare. */
inline wake(t) {
    if
    :: idle && waiter != NONE -> t = waiter; waiter = NONE; idle = false; hand_over(0, t)
    :: idle && waiter == NONE && SPARE -> take_spare(t); idle = false; hand_over(0, t)
    :: else
    fi;
    t = 0
}

/* lend_end_locked */
inline lend_end(p) {
    assert(!pooled[p] && lender[p] != NONE && len(ring[p]) == 0 && p != 0);
    if
    :: loan[lender[p]] == p -> loan[lender[p]] = NONE
    :: else
    fi;
    if
    :: loan[p] != NONE -> recall[loan[p]] = true; loan[p] = NONE
    :: else
    fi;
    lender[p] = NONE;
    borrower[p] = NONE;
    recall[p] = false;
    holder[p] = NONE;
    pooled[p] = true;
    lent_now--
}

inline lend_first(e, p) {
    assert(pooled[e] && holder[e] == NONE && len(ring[e]) == 0 && !recall[e]);
    pooled[e] = false;
    lender[e] = p;
    moved[e] = true;
    lent_now++
}

/* processor_pass_on: to a spare if there is work, else idle or to the pool. */
inline pass_on(p, t, x) {
    if
    :: !recall[p] && (WORK || armed[HEAP(p)]) && SPARE -> take_spare(t); hand_over(p, t)
    :: else ->
        do
        :: len(ring[p]) > 0 ->
#ifdef BUG_NO_DRAIN
            break
#else
            ring[p]?x; global!x
#endif
        :: len(ring[p]) == 0 -> break
        od;
        holder[p] = NONE;
        if
        :: p == 0 -> assert(!idle && waiter == NONE); idle = true
        :: else -> lend_end(p)
        fi;
        if
        :: WORK -> wake(t)
        :: else
        fi
    fi;
    t = 0;
    x = 0
}

proctype thread(byte me) {
    byte p = NONE, task, left, t, x;
#ifdef BUG_UNLOCKED
    bool seen;
#endif
wait:
    /* Without a processor: spare, waiter, or bound. */
end:
    if
    :: atomic { handed[me] != NONE -> p = handed[me]; handed[me] = NONE; holds[me] = p }
    :: atomic { waiter == me && idle && armed[0] -> /* its deadline has come */
        waiter = NONE; idle = false; p = 0; holds[me] = 0; holder[0] = me }
    fi;
    atomic {
        if
        :: bound == me -> bound = NONE; task = CALLS; goto resumed
        :: else
        fi
    }
loop:
#ifdef BUG_EARLY
    if
    :: recall[p] -> atomic {
        do
        :: len(ring[p]) > 0 -> ring[p]?x; global!x
        :: len(ring[p]) == 0 -> break
        od;
        lend_end(p) }
        atomic { if
        :: left != 0 -> ring[p]!left; left = 0
        :: else
        fi }
        goto to_spare
    :: else
    fi;
#endif
#ifdef HOGS
    atomic {
#endif
    /* arrived */
    atomic {
        moved[p] = true;
        stirred = true;
        if
        :: left != 0 -> ring[p]!left; left = 0; wake(t)
        :: else
        fi
    }
    if
    :: recall[p] -> /* lend_return */
        atomic {
            do
            :: len(ring[p]) > 0 -> ring[p]?x; global!x
            :: len(ring[p]) == 0 -> break
            od;
            lend_end(p);
            if
            :: WORK -> wake(t)
            :: else
            fi;
            x = 0
        }
        goto to_spare
    :: else
    fi;
    /* find_task. Timers fire into the next slot of whoever looks; the tasks woken are the next. */
    atomic {
        if
        :: armed[HEAP(p)] -> armed[HEAP(p)] = false; task = SLEEPS
        :: len(ring[p]) > 0 -> ring[p]?task
        :: len(ring[p]) == 0 && len(global) > 0 -> global?task
        :: len(ring[p]) == 0 && len(global) == 0 && p != 0 && len(ring[0]) > 0 -> /* half of them */
            ring[0]?task;
            if
            :: len(ring[0]) > 1 -> ring[0]?x; ring[p]!x; x = 0
            :: else
            fi
        :: len(ring[p]) == 0 && len(global) == 0 && p != 1 && len(ring[1]) > 0 -> ring[1]?task
#ifdef HOGS
        :: len(ring[p]) == 0 && len(global) == 0 && p != 2 && len(ring[2]) > 0 -> ring[2]?task
#endif
        :: !WORK && (!armed[HEAP(p)] || p == 0) -> task = 0
        fi
    }
#ifdef HOGS
    }
#endif
    if
    :: task == 0 -> atomic { /* park_idle */
        if
        :: len(global) > 0 -> global?task
        :: else ->
            holds[me] = NONE;
            stirred = true;
            if
            :: p != 0 -> lend_end(p); spare[me] = true
            :: p == 0 && armed[0] -> idle = true; waiter = me; holder[0] = NONE
            :: p == 0 && !armed[0] -> idle = true; spare[me] = true; holder[0] = NONE
            fi;
            p = NONE;
            if
            :: WORK -> wake(t)
            :: else
            fi
        fi
        }
        if
        :: task == 0 -> goto wait
        :: else
        fi
    :: else
    fi;
    if
    :: task == CALLS && bound != NONE -> /* hand_to_bound */
        atomic { holds[me] = NONE; t = bound; hand_over(p, t); t = 0; p = NONE; task = 0; spare[me] = true }
        goto wait
    :: else
    fi;
    if
    :: task == HOG -> ran[FREES]
    :: task == HOG_TOO -> ran[SLEEPS]
    :: task == FREES -> ran[FREES] = true; ran[SLEEPS]
    :: task == SLEEPS && turn[SLEEPS] == 0 -> atomic { turn[SLEEPS] = 1; left = task; task = 0 }; goto loop
    :: task == SLEEPS && turn[SLEEPS] == 1 -> /* armed by the holder; lend_timer_armed is for the delay only */
        atomic { turn[SLEEPS] = 2; assert(!armed[HEAP(p)]); armed[HEAP(p)] = true; task = 0 }; goto loop
    :: task == SLEEPS && turn[SLEEPS] == 2 -> ran[SLEEPS] = true
    :: task == CALLS -> goto call_begins
    fi;
ends:
    atomic { stirred = true; assert(turn[task] != 9); turn[task] = 9; done++; task = 0 }
    goto loop;

to_spare:
    atomic { stirred = true; holds[me] = NONE; p = NONE; spare[me] = true; if
    :: WORK -> wake(t)
    :: else
    fi }
    goto wait;

call_begins:
    atomic { call[me] = IN; stirred = true }
#ifdef URGENT
    /* The function calls back at once. LEAVE, by an urgent thunk: */
#ifdef BUG_UNLOCKED
    seen = pooled[1];
#define IN_POOL seen
#else
#define IN_POOL pooled[1]
#endif
    atomic {
        if
        :: call[me] == IN -> call[me] = OUT
        :: call[me] == TAKEN ->
            call[me] = OUT;
            holds[me] = NONE;
            if
            :: idle -> idle = false;
                if
                :: waiter != NONE -> spare[waiter] = true; waiter = NONE
                :: else
                fi;
                p = 0; holds[me] = p; holder[p] = me
            :: !idle && IN_POOL -> p = 1; lend_first(1, 0); borrower[1] = me; holds[me] = p; holder[p] = me
            :: else -> p = NONE
            fi
        fi
    }
    if
    :: p == NONE -> atomic { stirred = true; bound = me; global!CALLS; task = 0; wake(t) } goto wait
    :: else
    fi;
    /* In the callback: it may park, pinned: give_on. */
    if
    :: true -> atomic {
            stirred = true;
            holds[me] = NONE;
            bound = me;
            pass_on(p, t, x);
            p = NONE;
            task = 0;
            global!CALLS; /* an event has come: the task is queued for its thread */
            wake(t)
        }
        goto wait
    :: true -> skip
    fi;
resumed:
    /* The callback ends; the call goes on. */
    if
    :: borrower[p] == me -> recall[p] = true
    :: else
    fi;
    atomic { call[me] = IN; stirred = true }
#else
resumed:
#endif
    OTHERS_OVER && lent_now == 0;
    atomic {
        if
        :: call[me] == IN -> call[me] = OUT
        :: call[me] == TAKEN ->
            call[me] = OUT;
            holds[me] = NONE;
            if
            :: idle -> idle = false;
                if
                :: waiter != NONE -> spare[waiter] = true; waiter = NONE
                :: else
                fi;
                p = 0; holds[me] = p; holder[p] = me
            :: else -> p = NONE; /* QUEUE */
                ran[CALLS] = true; turn[CALLS] = 9; done++; task = 0; spare[me] = true;
                goto wait
            fi
        fi
    }
    ran[CALLS] = true;
    goto ends
}

/* recall: of processor p, which thread u holds. */
inline recall_one(p, u) {
    atomic {
        u = holder[p];
#ifdef BUG_ONCE
        u = (recall[p] -> NONE : u);
#endif
        did = did || (!recall[p] && !pooled[p]);
        recall[p] = recall[p] || !pooled[p]
    }
    if
    :: u != NONE -> atomic {
        if
        :: call[u] == IN && holds[u] == p -> call[u] = TAKEN; did = true; pass_on(p, t, x)
        :: else
        fi }
    :: else
    fi
}

proctype monitor() {
    byte p, u, l, e, t, x;
    bool did; /* a round that changed nothing is not repeated until something happens: so a hang is a deadlock */
    do
    :: OVER && lent_now == 0 -> break
    :: !(OVER && lent_now == 0) && (stirred || did) ->
        atomic { p = 0; stirred = false; did = false }
        do
        :: p == PROCESSORS -> break
        :: p < PROCESSORS ->
            u = holder[p];
            if
            :: u == NONE -> atomic { /* rescue_idle, and the backstop */
                if
                :: p == 0 && idle && waiter == NONE && (armed[0] || WORK) && SPARE ->
                    take_spare(t); idle = false; hand_over(0, t); t = 0; did = true
                :: else
                fi }
                goto next
            :: else
            fi;
            /* RETAKE: to a spare, if there is work; without, after 10 ms, to the idle list or the pool */
            if
            :: call[u] == IN && holds[u] == p && !recall[p] && SPARE -> atomic {
                if
                :: call[u] == IN && holds[u] == p && SPARE -> call[u] = TAKEN; did = true; pass_on(p, t, x); goto next
                :: else
                fi }
            :: else
            fi;
            /* lend_look */
            if
            :: borrower[p] != NONE && borrower[p] != u -> l = p; recall_one(l, u)
            :: moved[p] ->
                atomic { moved[p] = false; did = true }
                l = loan[p];
                if
                :: l != NONE -> recall_one(l, u)
                :: else
                fi
            :: !moved[p] && recall[p] -> l = p; recall_one(l, u)
            :: !moved[p] && !recall[p] && call[u] == OUT && (WORK || armed[HEAP(p)]) ->
                atomic {
                    e = FROM_POOL;
                    if
                    :: e != NONE && !idle && SPARE && !pooled[p] &&
#ifdef BUG_ONE_LOAN
                       loan[p] == NONE ->
#else
                       (loan[p] == NONE || recall[loan[p]]) ->
#endif
                        lend_first(e, p);
                        loan[p] = e;
                        take_spare(t);
                        hand_over(e, t);
                        did = true
                    :: else
                    fi;
                    t = 0;
                    e = 0
                }
            :: else
            fi;
next:       atomic { p++; u = 0; l = 0 }
        od;
        p = 0
    od
}

init {
    atomic {
        pooled[1] = true;
#ifdef HOGS
        pooled[2] = true;
#endif
        ring[0]!HOG;
#ifdef HOGS
        ring[0]!HOG_TOO;
        ring[0]!FREES;
        ring[0]!SLEEPS;
        turn[SLEEPS] = 2; /* it only runs */
#else
        if /* in any order */
        :: ring[0]!FREES; ring[0]!CALLS; ring[0]!SLEEPS
        :: ring[0]!FREES; ring[0]!SLEEPS; ring[0]!CALLS
        :: ring[0]!CALLS; ring[0]!FREES; ring[0]!SLEEPS
        :: ring[0]!CALLS; ring[0]!SLEEPS; ring[0]!FREES
        :: ring[0]!SLEEPS; ring[0]!CALLS; ring[0]!FREES
        :: ring[0]!SLEEPS; ring[0]!FREES; ring[0]!CALLS
        fi;
#endif
        spare[1] = true;
        spare[2] = true;
        hand_over(0, 0);
        run thread(0);
        run thread(1);
        run thread(2);
        run monitor()
    }
}
