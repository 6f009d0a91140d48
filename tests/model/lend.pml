/* lend.pml: LEND and RECALL (protocol Lending): an extra processor for a task that keeps its own too long.
 *
 * Models   LEND by the monitor, with the lender's queue open to the extra processor E; E giving itself back when it finds
 *          nothing; RECALL of E idle, in a call (RETAKE's swap), and running (a flag that the loop tests after arrived);
 *          the drain of E's queue to the global one, then WAKE.
 * Simpler  Queues hold tasks in no order; sections under sched.lock are one step; timers are left out, since E shares the
 *          lender's heap. Sequentially consistent.
 * Proves   E is in the pool or held by one thread; in the pool its queue is empty, and no loan is counted; each task runs
 *          once; the lender, which waits in plain code for a task in its own queue, gets on (deadlock is the error).
 * Bounds   1 processor, 1 extra; the lender's task, 3 others, of which one yields and one calls.
 * Bugs     BUG_EARLY: E's queue is drained before the task that left is published. BUG_NO_DRAIN: RETAKE gives E to the pool
 *          with what it has queued.
 * Search  clean
 * Search  bug -DBUG_EARLY
 * Search  bug -DBUG_NO_DRAIN
 * States   409 */
#define YIELDS 1
#define CALLS 2
#define PLAIN 3
chan own = [4] of { byte };    /* the lender's ring and next */
chan extra = [4] of { byte };  /* E's */
chan global = [4] of { byte };
bool pool = true, e_held, recall, in_call, taken, lent, p_idle;
byte done, beat;
bool ran[4], yielded;

inline run_once(task) { assert(!ran[task]); ran[task] = true; done++ }

inline return_e() {
    assert(!pool && lent && e_held && empty(extra));
    e_held = false;
    pool = true;
    lent = false;
    recall = false;
    p_idle = false /* WAKE: the processor, if idle, looks again */
}

/* Under sched.lock: E goes back. */
inline to_pool() {
    atomic {
        do
        :: nempty(extra) -> extra?t; global!t
        :: empty(extra) -> break
        od;
        t = 0;
        return_e()
    }
}
proctype lender() {
    byte task;
    atomic { own!PLAIN; own!YIELDS; own!CALLS }
    ran[PLAIN]; /* plain code: E must run it */
    beat++;     /* it parks: from here on the processor is a usual one */
    do
    :: atomic {
        if
        :: nempty(own) -> own?task
        :: empty(own) && nempty(global) -> global?task
        :: empty(own) && empty(global) && !p_idle && done < 3 -> p_idle = true
        :: done == 3 -> break
        fi;
        if
        :: task != 0 -> run_once(task); task = 0
        :: else
        fi
       }
    od
}

proctype extra_thread() {
    byte task, left, t;
    do
    :: atomic { e_held && !in_call -> skip }
loop:
       /* arrived, then the flag */
#ifdef BUG_EARLY
       if
       :: recall ->
            to_pool();
            atomic {
                if
                :: left != 0 -> extra!left; left = 0
                :: else
                fi
            }
            goto next
       :: else
       fi;
#endif
       atomic {
           if
           :: left != 0 -> extra!left; left = 0
           :: else
           fi
       }
       if
       :: recall -> to_pool(); goto next
       :: else
       fi;
       atomic {
           if
           :: nempty(extra) -> extra?task
           :: nempty(own) -> own?task
           :: empty(extra) && empty(own) && nempty(global) -> global?task
           :: empty(extra) && empty(own) && empty(global) -> skip
           fi
       }
       if
       :: task == 0 -> to_pool(); goto next /* nothing to do: by itself */
       :: else
       fi;
       if
       :: task == CALLS ->
            in_call = true;
            /* the foreign function: as long as it likes */
            atomic {
                if
                :: !taken -> in_call = false; run_once(task); task = 0; goto loop
                :: else -> in_call = false; taken = false; global!task; p_idle = false; task = 0; goto next
                fi
            }
       :: task == YIELDS ->
            atomic {
                if
                :: !yielded -> yielded = true; left = task; task = 0; goto loop
                ::  yielded -> run_once(task); task = 0; goto loop
                fi
            }
       :: task == PLAIN -> atomic { run_once(task); task = 0 }; goto loop
       fi;
next:  skip
    :: done == 3 && !e_held -> break
    od
}

proctype monitor() {
    byte seen, t;
    do
    :: atomic { beat == seen && pool && !lent && beat == 0 && nempty(own) ->
                assert(empty(extra) && !e_held); pool = false; lent = true; e_held = true; recall = false }
    :: atomic { lent && beat != seen && !in_call && e_held && !recall -> recall = true }
    :: atomic { lent && beat != seen && in_call && !taken && e_held ->
                taken = true;
#ifdef BUG_NO_DRAIN
                e_held = false; pool = true; lent = false; recall = false; p_idle = false
#else
                to_pool()
#endif
       }
    :: done == 3 && pool -> break
    od;
    assert(empty(extra) && !lent)
}

init { atomic { run lender(); run extra_thread(); run monitor() } }
