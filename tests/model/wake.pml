/* wake.pml: WAKE and the monitor's sleep (src/scheduler.c, src/monitor.c): work that was published is run.
 *
 * Models   wake_if_idle, sched_wake, ready_global, a push to the own ring, find_task (with a batch from the global queue),
 *          steal, stop_searching, park_idle; the monitor's rounds, its sleeps LONG and FOREVER, monitor_wake.
 * Simpler  NEXT is left out: a push that may do without a wake-up, and leaves it to the monitor's timed round.
 *          Each processor has one thread, so a spare is never missing. A long sleep has no time limit at all: nothing
 *          depends on it. Short sleeps end by themselves.
 * Proves   No lost wake-up: with each task run once, nothing is left, though a task waits in plain code, processor and
 *          all, for the one it has just made (deadlock is the error), and though the monitor sleeps.
 * Memory   x86's store buffers: rings, global_count, idle_count, monitor_asleep, the unlocking store. A store that is
 *          followed by a fence before the next load is one step with it; a locked section is one step, but for its stores.
 * Bounds   2 processors; the monitor; a task from a thread without a processor that makes another; with OUTSIDERS
 *          one more from another such thread, which is too large to search to its end (30 million states without an error).
 * Bugs     BUG_PUBLISHER_FENCE: that fence is left out. BUG_GIVES_UP: a sched_wake that met no idle processor does not look
 *          again after it has stopped searching. (Not searched for in CI: BUG_SEARCHER_FENCE, BUG_FOREVER, BUG_MONITOR_FENCE.)
 * Search  clean
 * Search  bug -DBUG_PUBLISHER_FENCE
 * Search  bug -DBUG_GIVES_UP -DOUTSIDERS
 * States   1,167,669 */
#define PROCESSORS 2
#define THREADS 5 /* processors' 0 and 1, outsiders 2 and 3, the monitor 4 */
#define WORDS 6
#define MONITOR 4
#define TAIL(processor) (processor)
#define LOCK 2
#define IDLE 3 /* a bit for each idle processor: idle_count */
#define ASLEEP 4
#define GLOBAL 5 /* global_count */
#include "x86.inc"

#define AWAKE 0
#define LONG 1
#define FOREVER 2
#define PARENT 1
#define PLAIN 2
#define CHILD 3
#define ALL 3 /* processors, as bits */

byte searching;             /* changed by locked instructions only */
bool word;                  /* the monitor's */
bool handed[PROCESSORS];
bool is_searching[PROCESSORS];
byte head[PROCESSORS];      /* by compare-and-swap only */
byte slots[6];              /* three of each ring; never used twice */
chan global = [2] of { byte };
byte done;
bool child_done;

#define SLOT(processor, index) slots[(processor) * 3 + (index)]
#define COUNT(mask) ((mask) & 1) + ((mask) >> 1)
#define ACQUIRE(me) FENCED(me) && memory[LOCK] == 0
#define DIRECTLY(me, where, value) memory[where] = value
/* Stores before a fence that may be missing. */
#ifdef BUG_PUBLISHER_FENCE
#define PUBLISH STORE
#else
#define PUBLISH DIRECTLY
#endif
#ifdef BUG_SEARCHER_FENCE
#define RETIRE STORE
#else
#define RETIRE DIRECTLY
#endif

/* One step, though it is three loads. */
#define HAS_WORK (memory[GLOBAL] != 0 || head[0] != memory[TAIL(0)] || head[1] != memory[TAIL(1)])

/* Uses the caller's `taken`. */
inline sched_wake(me) {
    do
    :: searching != 0 -> break
    :: searching == 0 ->
        atomic {
            FENCED(me);
            if
            :: searching == 0 -> searching = 1; taken = 0
            :: else -> taken = 9
            fi
        }
        if
        :: taken == 9 -> break
        :: else
        fi;
        atomic {
            ACQUIRE(me);
            if
            :: memory[IDLE] & 1 -> taken = 1
            :: memory[IDLE] & 2 -> taken = 2
            :: memory[IDLE] == 0 -> taken = 0
            fi;
            if
            :: taken != 0 ->
                memory[IDLE] = memory[IDLE] & (ALL - taken);
                if
                :: memory[ASLEEP] != AWAKE -> memory[ASLEEP] = AWAKE; word = true
                :: else
                fi;
                is_searching[taken - 1] = true
            :: else
            fi
        }
        if
        :: taken != 0 -> LOCKED(me, handed[taken - 1] = true); break
        :: else
        fi;
        LOCKED(me, searching--);
#ifdef BUG_GIVES_UP
        break
#else
        if
        :: memory[IDLE] == 0 -> break
        :: else ->
            if
            :: !HAS_WORK -> break
            :: else
            fi
        fi
#endif
    od;
    taken = 0
}

inline wake_if_idle(me) {
    if
    :: memory[IDLE] != 0 -> sched_wake(me)
    :: else ->
        if
        :: memory[ASLEEP] != AWAKE -> LOCKED(me, memory[ASLEEP] = AWAKE; word = true)
        :: else
        fi
    fi
}

inline take_global_locked(me) {
    if
    :: nempty(global) ->
        global?task;
        count = len(global) != 0;
        if
        :: count == 1 -> /* into its own ring, which is empty */
            global?other;
            SLOT(me, memory[TAIL(me)]) = other;
            other = 0;
            STORE(me, TAIL(me), memory[TAIL(me)] + 1)
        :: else
        fi;
        count = 0;
        STORE(me, GLOBAL, 0);
        memory[LOCK] = 1;
        STORE(me, LOCK, 0)
    :: empty(global)
    fi
}

proctype processor_thread(byte me) {
    byte task, other, taken, count;
    bool searched;
wait:
end:
    atomic { handed[me] -> handed[me] = false }
look:
    /* find_here */
    atomic {
        FENCED(me);
        task = 0;
        if
        :: head[me] != memory[TAIL(me)] -> task = SLOT(me, head[me]); head[me]++
        :: else
        fi
    }
    if
    :: task != 0 -> goto have
    :: task == 0 && memory[GLOBAL] != 0 -> atomic { ACQUIRE(me); take_global_locked(me) }
    :: else
    fi;
    if
    :: is_searching[me] || 2 * searching < PROCESSORS - (COUNT(memory[IDLE])) ->
        atomic {
            FENCED(me);
            if
            :: !is_searching[me] -> is_searching[me] = true; searching++
            :: else
            fi
        }
        atomic {
            FENCED(me);
            if
            :: head[1 - me] != memory[TAIL(1 - me)] -> task = SLOT(1 - me, head[1 - me]); head[1 - me]++
            :: else
            fi
        }
    :: else
    fi;
    if
    :: task != 0 -> goto have
    :: else
    fi;
    /* park_idle */
    atomic {
        ACQUIRE(me);
        searched = is_searching[me];
        take_global_locked(me);
        if
        :: task == 0 ->
            is_searching[me] = false;
            RETIRE(me, IDLE, memory[IDLE] | (1 << me));
#ifdef BUG_SEARCHER_FENCE
            memory[LOCK] = 1;
            STORE(me, LOCK, 0)
#endif
        :: else
        fi
    }
    if
    :: task != 0 -> goto have
    :: searched && task == 0 ->
#ifdef BUG_SEARCHER_FENCE
        searching-- /* as if this were no fence either */
#else
        LOCKED(me, searching--)
#endif
    :: else
    fi;
    if
    :: searched ->
        if
        :: HAS_WORK -> sched_wake(me)
        :: else
        fi
    :: else
    fi;
    searched = false;
    goto wait;
have:
    if
    :: is_searching[me] ->
        atomic { FENCED(me) -> is_searching[me] = false; searching--; searched = searching == 0 }
        if
        :: searched && memory[IDLE] != 0 ->
            if
            :: HAS_WORK -> sched_wake(me)
            :: else
            fi
        :: else
        fi;
        searched = false
    :: else
    fi;
    if
    :: task == PARENT ->
        atomic {
            FENCED(me);
            SLOT(me, memory[TAIL(me)]) = CHILD;
            PUBLISH(me, TAIL(me), memory[TAIL(me)] + 1)
        }
        wake_if_idle(me);
        atomic { child_done -> done++ }
    :: atomic { task == CHILD -> assert(!child_done); child_done = true; done++ }
    :: atomic { task == PLAIN -> done++ }
    fi;
    goto look
}

proctype outsider(byte me; byte task) {
    byte taken;
    atomic {
        ACQUIRE(me);
        global!task;
        PUBLISH(me, GLOBAL, 1);
#ifdef BUG_PUBLISHER_FENCE
        memory[LOCK] = 1;
        STORE(me, LOCK, 0)
#endif
    }
    wake_if_idle(me)
}

proctype monitor() {
    byte taken;
    bool idle, was_idle, quiet;
    do
    :: idle = memory[IDLE] == ALL;
       quiet = false;
       if
       :: idle && was_idle ->
#ifdef BUG_FOREVER
            quiet = true;
            memory[ASLEEP] = FOREVER
#else
            atomic {
                ACQUIRE(MONITOR);
                quiet = memory[IDLE] == ALL && empty(global);
                if
                :: quiet -> memory[ASLEEP] = FOREVER
                :: else
                fi
            }
#endif
       :: else
       fi;
       if
       :: !quiet ->
            if
            :: skip /* a short sleep */
#ifdef BUG_MONITOR_FENCE
            :: STORE(MONITOR, ASLEEP, LONG);
#else
            :: memory[ASLEEP] = LONG;
#endif
                if
                :: HAS_WORK
                :: else -> quiet = true
                fi
            fi
       :: else
       fi;
       if
       :: quiet ->
end:        word
       :: else
       fi;
       LOCKED(MONITOR, memory[ASLEEP] = AWAKE; word = false);
       was_idle = idle;
       if
       :: HAS_WORK && memory[IDLE] != 0 -> sched_wake(MONITOR)
       :: else
       fi
    od
}

/* At its invalid end if everything sleeps before all tasks have run. */
#ifdef OUTSIDERS
#define TASKS 3
#else
#define TASKS 2
#endif
proctype watcher() { done == TASKS }

init {
    atomic {
        memory[IDLE] = ALL;
        run buffer(0);
        run buffer(1);
#if defined(BUG_PUBLISHER_FENCE) || defined(BUG_MONITOR_FENCE)
        run buffer(2);
        run buffer(3);
        run buffer(MONITOR);
#endif
        run monitor();
        run processor_thread(0);
        run processor_thread(1);
        run outsider(2, PARENT);
#ifdef OUTSIDERS
        run outsider(3, PLAIN);
#endif
        run watcher()
    }
}
