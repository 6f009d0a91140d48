/* call.pml: CALL, RETAKE and the monitor's sleep (src/call.c, src/monitor.c, src/spare.c): calls that block stall nobody.
 *
 * Models   the call word with its tick; ENTER, LEAVE fast and slow, regain, arrived_queue, join_spares; an AWAY entry with
 *          processor_pass_on; retake with its reserved spare, give_away; the monitor's rounds and sleeps; a publisher
 *          without a processor.
 * Simpler  The only queue is the global one; sections under sched.lock are one step; `searching` is left out (wake.pml);
 *          which call is overdue is anybody's guess. A long sleep has no time limit. Leaving is the locked step of
 *          systems that cannot fence all threads; the other way is in take.pml.
 * Proves   A processor is held by one thread or idle, never both, never neither for good; a task runs on one thread; the
 *          next holder of a processor sees what the last one wrote; calls that end only after another task has run do
 *          end (deadlock is the error).
 * Memory   x86's store buffers: the call word and the processor's plain fields.
 * Bounds   1 processor, 3 threads; a task with CALLS calls of which the first blocks, a task that enters AWAY (but with
 *          NO_AWAY), and one from outside; 1 monitor.
 * Bugs     BUG_WORD_FIRST: the call word is stored before the processor's fields. BUG_LOOK: a publisher that finds no
 *          idle processor does not look at the monitor. BUG_PLAIN_LEAVE: leaving is a test and a store, no swap.
 * Search  clean -DNO_AWAY
 * Search  clean -DCALLS=1
 * Search  bug -DBUG_WORD_FIRST
 * Search  bug -DBUG_LOOK -DNO_AWAY -DCALLS=1
 * Search  bug -DBUG_PLAIN_LEAVE -DNO_AWAY
 * States   722,831 and 1,241,455 */
#ifndef PROCESSORS
#define PROCESSORS 1
#endif
#define THREADS 3
#ifndef CALLS
#define CALLS 2
#endif
#ifdef NO_AWAY
#define TASKS 2
#else
#define TASKS 3
#endif
#define WORDS (THREADS + PROCESSORS)
#include "x86.inc"

#define OUT 0
#define IN 1
#define TAKEN 2
#define AWAY 3
#define STATE(word) ((word) & 3)
#define CALL(thread) (thread)              /* tick << 2 | state */
#define FIELDS(processor) (THREADS + (processor)) /* what its holder wrote, a number */
#define NONE 9

#define AWAKE 0
#define LONG 1
#define FOREVER 2

byte holder[PROCESSORS];     /* ghost: thread + 1; 0: idle or in transit */
byte at_thread[PROCESSORS];  /* processor->thread */
byte processor_of[THREADS];  /* thread->processor */
byte handed[THREADS];        /* processor + 1 */
bool idle[PROCESSORS];
byte written[PROCESSORS];    /* ghost: the newest of FIELDS */
byte spares;                 /* bits */
chan global = [3] of { byte };
byte asleep, done;
bool word, runs[3], unblocked;

#if PROCESSORS == 1
#define ANY_IDLE idle[0]
#define ALL_IDLE idle[0]
#else
#define ANY_IDLE (idle[0] || idle[1])
#define ALL_IDLE (idle[0] && idle[1])
#endif

/* The inlines with _locked run in one step with what surrounds them. */
inline monitor_wake() {
    asleep = AWAKE;
    word = true
}

inline idle_take_locked(out) {
    if
    :: idle[0] -> out = 0
#if PROCESSORS == 2
    :: idle[1] -> out = 1
#endif
    :: !ANY_IDLE -> out = NONE
    fi;
    if
    :: out != NONE ->
        idle[out] = false;
        if
        :: asleep != AWAKE -> monitor_wake()
        :: else
        fi
    :: else
    fi
}

inline idle_put_locked(processor) {
    assert(!idle[processor] && holder[processor] == 0);
    idle[processor] = true;
    at_thread[processor] = NONE
}

inline spare_take_locked(out) {
    if
    :: spares & 1 -> out = 0
    :: spares & 2 -> out = 1
    :: spares & 4 -> out = 2
    :: spares == 0 -> out = NONE
    fi;
    if
    :: out != NONE -> spares = spares & (7 - (1 << out))
    :: else
    fi
}

inline spare_put_locked(thread) {
    assert(!(spares & (1 << thread)));
    spares = spares | (1 << thread)
}

/* The processor is the caller's. */
inline hand_over(processor, thread) {
    assert(holder[processor] == 0 && !idle[processor] && handed[thread] == 0);
    at_thread[processor] = thread;
    handed[thread] = processor + 1
}

inline hold(thread, processor) {
    assert(holder[processor] == 0 && !idle[processor]);
    holder[processor] = thread + 1;
    processor_of[thread] = processor;
    at_thread[processor] = thread
}

/* Gives an idle processor a spare thread. Needs `taken` and `spare`. */
inline sched_wake() {
    atomic {
        if
        :: ANY_IDLE && spares != 0 ->
            idle_take_locked(taken);
            spare_take_locked(spare);
            hand_over(taken, spare)
        :: else
        fi;
        taken = 0;
        spare = 0
    }
}

/* After a full fence. */
inline wake_if_idle() {
    if
    :: ANY_IDLE -> sched_wake()
    :: else ->
#ifndef BUG_LOOK
        if
        :: atomic { asleep != AWAKE -> monitor_wake() }
        :: else
        fi
#else
        skip
#endif
    fi
}

/* The holder reads and writes the processor's plain fields, then stores the call word. */
#ifdef BUG_WORD_FIRST
#define ENTER(me, processor) \
    STORE(me, CALL(me), tick << 2 | IN); STORE(me, FIELDS(processor), written[processor] + 1)
#else
#define ENTER(me, processor) \
    STORE(me, FIELDS(processor), written[processor] + 1); STORE(me, CALL(me), tick << 2 | IN)
#endif
#define CHECK_FIELDS(me, processor) \
    assert(len(buffered[me]) != 0 || memory[FIELDS(processor)] == written[processor])

proctype thread(byte me) {
    byte processor = NONE, task = NONE, step, tick, taken, spare, old;
wait:
end:
    atomic {
        handed[me] != 0 ->
        processor = handed[me] - 1;
        handed[me] = 0;
        hold(me, processor)
    }
loop:
    atomic {
        FENCED(me);
        assert(holder[processor] == me + 1);
        CHECK_FIELDS(me, processor);
        if
        :: nempty(global) -> global?task; assert(!runs[task & 3]); runs[task & 3] = true
        :: empty(global) -> /* park_idle */
            holder[processor] = 0;
            processor_of[me] = NONE;
            idle_put_locked(processor);
            spare_put_locked(me);
            processor = NONE;
            goto wait
        fi
    }
    /* A task is number | the steps it has done << 2. */
go:
    atomic {
        step = task >> 2;
        if
        :: (task & 3) == 0 && step < CALLS -> skip
        :: (task & 3) == 1 && step < 1 -> goto enter_away
        :: else ->
            done++;
            runs[task & 3] = false;
            if
            :: (task & 3) == 2 -> unblocked = true
            :: else
            fi;
            task = NONE;
            goto loop
        fi
    }
    atomic { FENCED(me) -> ENTER(me, processor); written[processor]++ }
    /* The foreign function. */
    if
    :: step == 0 -> unblocked
    :: else
    fi;
    /* LEAVE */
#ifdef BUG_PLAIN_LEAVE
    if
    :: FENCED(me) && STATE(memory[CALL(me)]) == IN ->
        memory[CALL(me)] = tick << 2 | OUT;
        task = task + 4;
        assert(holder[processor] == me + 1);
        goto go
    :: FENCED(me) && STATE(memory[CALL(me)]) == TAKEN
    fi;
#endif
    atomic {
        FENCED(me);
        task = task + 4;
        if
        :: STATE(memory[CALL(me)]) == IN ->
            tick = tick + 1;
            memory[CALL(me)] = tick << 2 | OUT;
            assert(holder[processor] == me + 1);
            goto go
        :: else -> assert(STATE(memory[CALL(me)]) == TAKEN)
        fi
    }
    goto leave_slow;

enter_away:
    atomic {
        FENCED(me);
        written[processor]++;
        memory[FIELDS(processor)] = written[processor];
        holder[processor] = 0;
        processor_of[me] = NONE;
        memory[CALL(me)] = tick << 2 | AWAY
    }
    atomic { /* processor_pass_on */
        if
        :: nempty(global) && spares != 0 -> spare_take_locked(spare); hand_over(processor, spare); old = 1
        :: else -> idle_put_locked(processor); old = 0
        fi;
        spare = 0
    }
    if
    :: old == 0 && nempty(global) -> sched_wake()
    :: else
    fi;
    old = 0;
    unblocked;
    task = task + 4;
leave_slow:
    atomic {
        old = processor;
        processor_of[me] = NONE;
        processor = NONE;
        tick = tick + 1;
        memory[CALL(me)] = tick << 2 | OUT
    }
    atomic { /* regain: the old one, or any */
        if
        :: idle[old] -> idle[old] = false; processor = old;
            if
            :: asleep != AWAKE -> monitor_wake()
            :: else
            fi
        :: else -> idle_take_locked(processor)
        fi;
        old = 0;
        if
        :: processor != NONE -> hold(me, processor); CHECK_FIELDS(me, processor); goto go
        :: else
        fi
    }
    atomic { /* arrived_queue */
        idle_take_locked(processor);
        if
        :: processor != NONE -> hold(me, processor); CHECK_FIELDS(me, processor); goto go
        :: else -> runs[task & 3] = false; global!task; task = NONE
        fi
    }
    wake_if_idle();
    atomic { /* join_spares */
        if
        :: ANY_IDLE && nempty(global) -> idle_take_locked(taken); hand_over(taken, me)
        :: else -> spare_put_locked(me)
        fi;
        taken = 0
    }
    goto wait
}

proctype outsider() {
    byte taken, spare;
    global!2;
    wake_if_idle()
}

proctype monitor() {
    byte a, w, q, spare, taken;
    bool was_idle, quiet, now_idle;
    do
    :: now_idle = ALL_IDLE;
       atomic {
           quiet = false;
           if
           :: now_idle && was_idle && ALL_IDLE && empty(global) -> asleep = FOREVER; quiet = true
           :: else
           fi
       }
       if
       :: !quiet ->
            if
            :: skip
            :: asleep = LONG;
                if
                :: nempty(global) -> skip
                :: empty(global) -> quiet = true
                fi
            fi
       :: else
       fi;
       if
       :: quiet ->
end:        word
       :: else
       fi;
       atomic { asleep = AWAKE; word = false; quiet = false; was_idle = now_idle; now_idle = false }
       /* One round, at one processor: retake. */
       if
       :: q = 0
#if PROCESSORS == 2
       :: q = 1
#endif
       fi;
       a = at_thread[q];
       if
       :: a == NONE -> goto round_end
       :: else
       fi;
       w = memory[CALL(a)];
       if
       :: STATE(w) != IN || processor_of[a] != q -> goto round_end
       :: else
       fi;
       atomic { spare_take_locked(spare) }
       if
       :: spare == NONE -> goto round_end
       :: else
       fi;
       atomic {
           if
           :: memory[CALL(a)] == w -> memory[CALL(a)] = w + TAKEN - IN; holder[q] = 0; w = 0
           :: else ->
               w = 1;
               spare_put_locked(spare)
           fi
       }
       if
       :: w == 1 -> goto lost
       :: else
       fi;
       /* give_away */
       at_thread[q] = NONE;
       if
       :: nempty(global) -> atomic { hand_over(q, spare) }
       :: empty(global) ->
            atomic { idle_put_locked(q); spare_put_locked(spare) }
lost:
            if
            :: nempty(global) -> sched_wake()
            :: empty(global)
            fi
       fi;
round_end:
       atomic { a = 0; w = 0; q = 0; spare = 0 }
       if
       :: ANY_IDLE && nempty(global) -> sched_wake()
       :: else
       fi
    od
}

proctype watcher() { done == TASKS }

init {
    atomic {
        byte i;
        for (i : 0 .. THREADS - 1) { run buffer(i); run thread(i); processor_of[i] = NONE; spares = spares | (1 << i) }
        for (i : 0 .. PROCESSORS - 1) { idle[i] = true; at_thread[i] = NONE }
        i = 0;
        global!0;
#ifndef NO_AWAY
        global!1;
#endif
        spares = spares & 6;
        idle[0] = false;
        at_thread[0] = 0;
        handed[0] = 1;
        run monitor();
        run outsider();
        run watcher()
    }
}
