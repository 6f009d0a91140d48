/* pin.pml: PIN (src/spare.c, src/scheduler.c, src/monitor.c, src/call.c): a pinned task runs on its thread only, and gets on.
 *
 * Models   pins by the task and by the thread (calls, callbacks); depart with its bound thread; give_on, hand_to_bound,
 *          processor_pass_on, join_spares, ready_bound, arrived for all kinds, find_task, park_idle; a Windows wrapper's pin,
 *          which ends before the slow way out; ENTER, AWAY, LEAVE, regain, arrived_queue; RETAKE with its reserved thread;
 *          a thread that ends with its task; the monitor's backstop, the maker's dispatch.
 * Simpler  Queues hold tasks in no order. Sequentially consistent, and each look at the queues is one step with the wake that
 *          follows: lost wake-ups and the call word are wake.pml's and call.pml's. No timers, no loans (lend.pml).
 * Proves   A task runs on one thread at a time; a pinned one only on its own, and nothing else runs there while a pin is
 *          counted; a call's results are read before another call uses their place; a processor is held by one thread, or
 *          idle, or in transit, and all are idle in the end; every task ends (deadlock is the error) though max_threads is
 *          reached and tasks wait for a pinned one in calls, in plain code, pinned themselves.
 * Bounds   2 threads and 2 tasks with 1 or 2 processors, or 3 threads and 3 tasks with 1: what they do is SCRIPT. With 2
 *          processors the latter is too large to search to its end (40 million states without an error).
 * Bugs     BUG_ANYWHERE: whoever picks a pinned task runs it. BUG_TWICE: a pinned task made ready gets an idle processor and
 *          is queued too. BUG_LOOK_FIRST: a bound thread looks at what it was handed before it gives its own processor on.
 *          BUG_NO_SPARE: without a spare, a processor becomes idle though a pinned task is queued. BUG_UNPIN: a task that
 *          departs unpinned keeps its bound thread. BUG_RESERVE: RETAKE does nothing without a spare. BUG_YIELD: a pinned
 *          task that yields goes into the ring. BUG_RESULTS: results are read after the slow way out, unpinned.
 * Search  clean -DSCRIPT=1 -DTASKS=2 -DTHREADS=2
 * Search  clean -DSCRIPT=1 -DTASKS=2
 * Search  clean -DSCRIPT=2 -DTASKS=2 -DTHREADS=2
 * Search  clean -DSCRIPT=2 -DTASKS=2 -DTHREADS=2 -DPROCESSORS=1
 * Search  clean -DSCRIPT=3 -DPROCESSORS=1
 * Search  bug -DBUG_ANYWHERE -DSCRIPT=1 -DTASKS=2
 * Search  bug -DBUG_TWICE -DSCRIPT=2 -DTASKS=2 -DTHREADS=2
 * Search  bug -DBUG_LOOK_FIRST -DSCRIPT=2 -DTASKS=2 -DTHREADS=2
 * Search  bug -DBUG_NO_SPARE -DSCRIPT=1 -DTASKS=2 -DTHREADS=2
 * Search  bug -DBUG_UNPIN -DSCRIPT=2 -DTASKS=2 -DTHREADS=2 -DPROCESSORS=1
 * Search  bug -DBUG_RESERVE -DSCRIPT=2 -DTASKS=2 -DTHREADS=2 -DPROCESSORS=1
 * Search  bug -DBUG_YIELD -DSCRIPT=3 -DPROCESSORS=1
 * Search  bug -DBUG_RESULTS -DSCRIPT=2 -DTASKS=2
 * States   2,531,095 at most */
#ifndef PROCESSORS
#define PROCESSORS 2
#endif
#ifndef THREADS
#define THREADS 3
#endif
#ifndef TASKS
#define TASKS 3
#endif
#define NONE 9
#define BIT(number) (1 << (number))

/* What a task does: an operation, with an event. */
#define END 0
#define PIN 1
#define UNPIN 2
#define YIELD 3
#define CALL 4 /* ends when it likes */
#define WINDOWS_CALL 5 /* likewise, through a wrapper: pinned while the results are on the thread's stack */
#define PIN_AUTO 6 /* a callback's: more happens under foreign frames */
#define UNPIN_AUTO 7
#define SET(event) (8 + (event))
#define WAIT(event) (12 + (event))
#define CALL_UNTIL(event) (16 + (event))
#define AWAY_UNTIL(event) (20 + (event))
#define PLAIN_UNTIL(event) (24 + (event)) /* in plain code, processor and all */
#define EVENT(op) ((op) & 3)
#define STEPS 8
hidden byte script[24];

byte step[TASKS];
byte pins[TASKS];            /* pins_user */
byte bound[TASKS] = NONE;    /* a thread */
byte home[TASKS] = NONE;     /* ghost: the thread that the task is pinned to */
bool runs[TASKS];            /* ghost */
byte pins_auto[THREADS];
byte block[THREADS];         /* a call's results, on the thread's stack: the task + 1 */
#ifdef BUG_RESULTS
byte from[TASKS];            /* whose stack has the task's results: thread + 1 */
#endif
byte park[TASKS];            /* 1: SAVED, 2: WOKEN */
bool event[4];
byte waiting[4] = NONE;

#define OUT 0
#define IN 1
#define TAKEN 2
#define AWAY 3
byte call[THREADS];
byte processor_of[THREADS] = NONE;
byte handed[THREADS];        /* processor + 1 */
byte at_thread[PROCESSORS] = NONE;
byte holder[PROCESSORS];     /* ghost: thread + 1; 0: idle or in transit */
byte idle, spares;           /* bits */
byte queue[PROCESSORS];      /* ring and next: bits */
byte global;                 /* bits */
bool wanted, asked;
byte done;

#if PROCESSORS == 1
#define RINGS queue[0]
#else
#define RINGS (queue[0] | queue[1])
#endif
#define HAS_WORK (global != 0 || RINGS != 0)
#if TASKS == 2
#define BOUND_BITS ((bound[0] != NONE) | (bound[1] != NONE) << 1)
#else
#define BOUND_BITS ((bound[0] != NONE) | (bound[1] != NONE) << 1 | (bound[2] != NONE) << 2)
#endif

/* Each of these runs in one step with what surrounds it: under sched.lock. */

inline pick(bits, out) {
    if
    :: (bits) & 1 -> out = 0
    :: (bits) & 2 -> out = 1
    :: (bits) & 4 -> out = 2
    :: (bits) & 8 -> out = 3
    :: (bits) == 0 -> out = NONE
    fi
}

inline idle_take_locked(out) {
    pick(idle, out);
    if
    :: out != NONE -> idle = idle & ~BIT(out)
    :: else
    fi
}

inline idle_put_locked(processor) {
    assert(!(idle & BIT(processor)) && holder[processor] == 0);
    idle = idle | BIT(processor);
    at_thread[processor] = NONE
}

inline spare_take_locked(out) {
    pick(spares, out);
    if
    :: out != NONE -> spares = spares & ~BIT(out)
    :: else -> wanted = true
    fi
}

inline spare_put_locked(thread) {
    assert(!(spares & BIT(thread)));
    spares = spares | BIT(thread);
    if
    :: wanted -> asked = true
    :: else
    fi
}

/* The processor is the caller's. */
inline hand_over(processor, thread) {
    assert(holder[processor] == 0 && !(idle & BIT(processor)) && handed[thread] == 0);
    at_thread[processor] = thread;
    handed[thread] = processor + 1
}

inline hold(thread, processor) {
    assert(holder[processor] == 0 && !(idle & BIT(processor)) && processor_of[thread] == NONE);
    holder[processor] = thread + 1;
    processor_of[thread] = processor;
    at_thread[processor] = thread
}

inline let_go(thread) {
    assert(holder[processor_of[thread]] == thread + 1);
    holder[processor_of[thread]] = 0;
    processor_of[thread] = NONE
}

inline add(bits, task) { bits = bits | BIT(task) }
inline remove(bits, out) {
    pick(bits, out);
    if
    :: out != NONE -> bits = bits & ~BIT(out)
    :: else
    fi
}

/* These are steps of their own; `got` and `spare` are the caller's. A look at the queues and what follows from it are one
 * step, as are taking a thread or processor and handing over: nobody sees what is between. */

inline sched_wake_if(condition) {
    atomic {
        if
        :: (condition) && idle != 0 ->
            spare_take_locked(spare);
            if
            :: spare != NONE -> idle_take_locked(got); hand_over(got, spare)
            :: else
            fi;
            got = NONE;
            spare = NONE
        :: else
        fi
    }
}

/* The caller holds mine, unless it readies a bound task. */
inline ready(mine, task) {
    atomic {
        if
        :: bound[task] != NONE ->
            idle_take_locked(got);
            if
            :: got == NONE -> add(global, task)
            :: else ->
                hand_over(got, bound[task]);
#ifdef BUG_TWICE
                add(global, task);
#endif
                got = NONE
            fi
        :: else -> add(queue[mine], task)
        fi;
        task = NONE
    }
    sched_wake_if(true)
}

inline processor_pass_on(processor) {
    atomic {
        if
        :: queue[processor] != 0 || global != 0 -> spare_take_locked(spare)
        :: else
        fi;
        if
        :: spare == NONE && queue[processor] != 0 ->
            global = global | queue[processor];
            queue[processor] = 0
        :: else
        fi;
#ifndef BUG_NO_SPARE
        if
        :: spare == NONE && (global & BOUND_BITS) != 0 ->
            pick(global & BOUND_BITS, spare);
            global = global & ~BIT(spare);
            spare = bound[spare]
        :: else
        fi;
#endif
        if
        :: spare == NONE -> idle_put_locked(processor)
        :: else -> hand_over(processor, spare); spare = NONE
        fi;
        processor = NONE
    }
    sched_wake_if(HAS_WORK)
}

#define OP script[task * STEPS + step[task]]
#define IS_PINNED(task) (pins[task] + pins_auto[me] != 0)
#define PARK 40
#define EXIT 41
#define QUEUE 42

proctype thread(byte me) {
    byte task = NONE, left = NONE, reserved = NONE, got = NONE, spare = NONE, old = NONE, kind;
    goto parked;

waits: /* thread_wait_for_processor */
#ifdef BUG_LOOK_FIRST
    if
    :: handed[me] != 0 -> goto parked
    :: else
    fi;
#endif
    if
    :: processor_of[me] != NONE -> /* give_on: of a bound thread */
        atomic {
            assert(reserved != NONE);
            old = processor_of[me];
            if
            :: queue[old] != 0 -> remove(queue[old], task)
            :: global != 0 -> remove(global, task)
            :: queue[old] == 0 && global == 0
            fi;
            if
            :: task == reserved -> reserved = NONE; old = NONE; goto resume
            :: else -> let_go(me)
            fi;
            if
            :: task != NONE && bound[task] != NONE -> hand_over(old, bound[task]); task = NONE; old = NONE
            :: else
            fi
        }
        if
        :: old != NONE ->
            atomic {
                if
                :: task != NONE -> add(queue[old], task); task = NONE
                :: else
                fi
            }
            processor_pass_on(old)
        :: else
        fi
    :: else
    fi;
    if
    :: reserved == NONE ->
        atomic { /* join_spares */
            if
            :: idle != 0 && HAS_WORK -> idle_take_locked(got); hand_over(got, me); got = NONE
            :: else -> spare_put_locked(me)
            fi
        }
    :: else
    fi;
parked:
end:
    atomic {
        handed[me] != 0 ->
        hold(me, handed[me] - 1);
        handed[me] = 0;
        if
        :: reserved != NONE -> task = reserved; reserved = NONE; goto resume
        :: else
        fi
    }
loop:
    atomic {
        if
        :: processor_of[me] == NONE || reserved != NONE -> goto waits
        :: else
        fi;
        assert(holder[processor_of[me]] == me + 1 && pins_auto[me] == 0);
        if
        :: queue[processor_of[me]] != 0 -> remove(queue[processor_of[me]], task); goto found
        :: global != 0 -> remove(global, task); goto found
#if PROCESSORS == 2
        :: queue[1 - processor_of[me]] != 0 -> remove(queue[1 - processor_of[me]], task); goto found
#endif
        :: !HAS_WORK
        fi
    }
    atomic { /* park_idle */
        if
        :: global != 0 -> remove(global, task); goto found
        :: else ->
            old = processor_of[me];
            let_go(me);
            idle_put_locked(old);
            old = NONE;
            spare_put_locked(me)
        fi
    }
    sched_wake_if(HAS_WORK);
    goto parked;
found:
    atomic {
        if
#ifndef BUG_ANYWHERE
        :: bound[task] != NONE -> /* hand_to_bound */
            old = processor_of[me];
            let_go(me);
            hand_over(old, bound[task]);
            old = NONE;
            task = NONE;
            goto waits
#endif
        :: else -> goto resume
        fi
    }
resume:
    atomic {
#ifdef BUG_RESULTS
        assert(from[task] == 0 || block[from[task] - 1] == task + 1);
        from[task] = 0;
#endif
        assert(!runs[task] && holder[processor_of[me]] == me + 1 && call[me] == OUT);
        assert(home[task] == NONE || home[task] == me);
        runs[task] = true;
        goto go
    }
go:
    atomic {
        if
        :: IS_PINNED(task) -> home[task] = me
        :: else -> home[task] = NONE
        fi;
        if
        :: OP == PIN -> pins[task]++; step[task]++; goto go
        :: OP == UNPIN -> pins[task]--; step[task]++; goto go
        :: OP == PIN_AUTO -> pins_auto[me]++; step[task]++; goto go
        :: OP == UNPIN_AUTO -> assert(pins_auto[me] != 0); pins_auto[me]--; step[task]++; goto go
        :: OP == YIELD -> kind = YIELD; step[task]++; goto departs
        :: OP == END -> kind = EXIT; goto departs
        :: OP >= SET(0) && OP < WAIT(0) ->
            event[EVENT(OP)] = true;
            left = waiting[EVENT(OP)];
            waiting[EVENT(OP)] = NONE;
            step[task]++;
            if
            :: left != NONE
            :: else -> goto go
            fi
        :: OP >= WAIT(0) && OP < CALL_UNTIL(0) ->
            if
            :: event[EVENT(OP)] -> step[task]++; goto go
            :: else ->
                park[task] = 0;
                waiting[EVENT(OP)] = task;
                step[task]++;
                kind = PARK;
                goto departs
            fi
        :: OP >= PLAIN_UNTIL(0) -> goto plain
        :: OP == CALL || OP == WINDOWS_CALL || OP >= CALL_UNTIL(0) && OP < AWAY_UNTIL(0) -> goto enter
        :: OP >= AWAY_UNTIL(0) && OP < PLAIN_UNTIL(0) -> goto enter_away
        fi
    }
    /* The event's waiter: sleeper_wake. */
    atomic {
        park[left] = park[left] | 2;
        if
        :: park[left] & 1
        :: else -> left = NONE; goto go
        fi
    }
    ready(processor_of[me], left);
    goto go;

plain:
    atomic { event[EVENT(OP)] -> step[task]++; goto go }

enter_away:
    atomic {
        if
        :: spares != 0 || !HAS_WORK -> old = processor_of[me]; let_go(me)
        :: else -> goto enter
        fi
    }
    processor_pass_on(old);
    call[me] = AWAY;
    goto inside;
enter:
    atomic {
        call[me] = IN;
        if
        :: OP == WINDOWS_CALL -> pins_auto[me]++
        :: else
        fi
    }
inside:
    atomic {
        if
        :: OP < CALL_UNTIL(0)
        :: OP >= CALL_UNTIL(0) && event[EVENT(OP)]
        fi;
        if
        :: OP == WINDOWS_CALL ->
            block[me] = task + 1;
#ifdef BUG_RESULTS
            from[task] = me + 1;
#endif
            assert(pins_auto[me] != 0);
            pins_auto[me]--
        :: else
        fi
    }
    atomic { /* LEAVE */
        if
        :: call[me] == IN -> assert(holder[processor_of[me]] == me + 1); call[me] = OUT; step[task]++; goto go
        :: else -> old = processor_of[me]; processor_of[me] = NONE; call[me] = OUT
        fi
    }
    atomic { /* regain */
        if
        :: old != NONE && (idle & BIT(old)) != 0 -> idle = idle & ~BIT(old); got = old
        :: else -> idle_take_locked(got)
        fi;
        step[task]++;
        old = NONE;
        if
        :: got != NONE -> hold(me, got); got = NONE; goto go
        :: else -> kind = QUEUE; goto departs
        fi
    }
departs:
    atomic {
        runs[task] = false;
#ifndef BUG_UNPIN
        bound[task] = NONE;
#endif
        if
        :: IS_PINNED(task) ->
            bound[task] = me;
            if
            :: kind != EXIT -> reserved = task
            :: else
            fi
        :: else
        fi;
        left = task;
        task = NONE;
        /* arrived */
        if
        :: kind == YIELD -> kind = 0;
#ifndef BUG_YIELD
            if
            :: bound[left] != NONE -> goto woken
            :: else
            fi;
#endif
            if
            :: add(queue[processor_of[me]], left)
            :: add(global, left) /* the ring is full, or empty */
            fi;
            left = NONE
        :: kind == QUEUE -> kind = 0; goto arrived_queue
        :: kind == PARK -> kind = 0;
            park[left] = park[left] | 1;
            if
            :: park[left] & 2 -> goto woken
            :: else -> left = NONE; goto loop
            fi
        :: kind == EXIT -> kind = 0;
            done++;
            if
            :: bound[left] != NONE -> left = NONE; old = processor_of[me]; let_go(me); goto ends
            :: else -> left = NONE; goto loop
            fi
        fi
    }
    sched_wake_if(true); /* of a yield */
    goto loop;
woken:
    ready(processor_of[me], left);
    goto loop;
ends: /* with its thread; the maker makes another */
    processor_pass_on(old);
    goto waits;
arrived_queue:
    atomic {
        idle_take_locked(got);
        if
        :: got == NONE -> add(global, left); left = NONE
        :: got != NONE && bound[left] == NONE ->
            hold(me, got);
            add(queue[processor_of[me]], left);
            got = NONE;
            left = NONE;
            goto loop
        :: got != NONE && bound[left] != NONE -> hand_over(got, me); got = NONE; left = NONE; goto loop
        fi
    }
    sched_wake_if(true);
    goto loop
}

#define RETAKABLE(processor) \
    (at_thread[processor] != NONE && call[at_thread[processor]] == IN && processor_of[at_thread[processor]] == processor)

#ifdef BUG_RESERVE
#define CAN_RESERVE (spares != 0)
#else
#define CAN_RESERVE (spares != 0 || (global & BOUND_BITS) != 0)
#endif

/* A spare, or a queued bound task with its thread. */
inline reserve(processor) {
    old = processor;
    spare_take_locked(spare);
    if
    :: spare == NONE ->
        pick(global & BOUND_BITS, task);
        global = global & ~BIT(task);
        spare = bound[task]
    :: else
    fi
}

/* Looks only where there is something to do: so if all stand still, that is the end. */
proctype monitor() {
    byte got = NONE, spare = NONE, old = NONE, task = NONE;
end:
    do
    :: atomic { CAN_RESERVE && RETAKABLE(0) -> reserve(0); goto retakes }
#if PROCESSORS == 2
    :: atomic { CAN_RESERVE && RETAKABLE(1) -> reserve(1); goto retakes }
#endif
    :: idle != 0 && spares != 0 && HAS_WORK -> sched_wake_if(HAS_WORK) /* look */
    od;
retakes:
    atomic {
        if
        :: RETAKABLE(old) -> call[at_thread[old]] = TAKEN; holder[old] = 0; at_thread[old] = NONE
        :: else -> goto lost
        fi
    }
    atomic { /* give_away */
        if
        :: task != NONE || HAS_WORK -> hand_over(old, spare); spare = NONE; old = NONE; task = NONE; goto end
        :: else
        fi
    }
    atomic {
        if
        :: global != 0 -> hand_over(old, spare); spare = NONE; old = NONE; goto end
        :: else -> idle_put_locked(old); spare_put_locked(spare); spare = NONE; old = NONE
        fi
    }
    sched_wake_if(HAS_WORK);
    goto end;
lost:
    old = NONE;
    if
    :: task != NONE -> spare = NONE; ready(NONE, task)
    :: else -> atomic { spare_put_locked(spare); spare = NONE }
    fi;
    goto end
}

/* maker.c's dispatch; max_threads is reached. */
proctype maker() {
    byte got = NONE, spare = NONE;
end:
    do
    :: atomic { asked -> asked = false };
       wanted = false;
       sched_wake_if(HAS_WORK)
    od
}

#define ALL (BIT(PROCESSORS) - 1)
proctype watcher() { done == TASKS; idle == ALL }

#define DO(task, at, op) script[(task) * STEPS + (at)] = op

init {
    atomic {
        byte i;
        for (i : 0 .. THREADS - 1) { run thread(i) }
#if SCRIPT == 1
        pins[0] = 1;
        DO(0, 0, WAIT(0)); DO(0, 1, YIELD); DO(0, 2, SET(1)); DO(0, 3, UNPIN);
        DO(1, 0, SET(0)); DO(1, 1, PLAIN_UNTIL(1));
#elif SCRIPT == 2
        DO(0, 0, PIN_AUTO); DO(0, 1, CALL); DO(0, 2, WAIT(0)); DO(0, 3, SET(1)); DO(0, 4, UNPIN_AUTO); DO(0, 5, WINDOWS_CALL);
        DO(1, 0, SET(0)); DO(1, 1, CALL_UNTIL(1)); DO(1, 2, WINDOWS_CALL);
#elif SCRIPT == 3
        pins[0] = 1;
        DO(0, 0, YIELD); DO(0, 1, SET(1));
        DO(1, 0, PIN); DO(1, 1, CALL_UNTIL(1));
        DO(2, 0, AWAY_UNTIL(1));
#endif
        global = BIT(TASKS) - 1;
        idle = ALL - 1;
        spares = BIT(THREADS) - 2;
        handed[0] = 1;
        at_thread[0] = 0;
        run monitor();
        run maker();
        run watcher()
    }
}
