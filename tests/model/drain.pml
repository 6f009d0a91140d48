/* drain.pml: DRAIN (src/drain.h, src/drain.c): a DLL is unloaded only when nobody is inside.
 *
 * Models   drain_enter with claim_in, grow and nameless callers; drain_leave, on whichever thread the task is by then;
 *          drain_close, drain_count and drain_reopen as pintle_dll_close uses them.
 * Simpler  A table has one slot, and there are two tables; names are left out; a hold (drain_hold) is a nameless caller.
 * Proves   Nobody runs in a DLL that is unloaded; a slot has one owner; every caller gets in, or is refused; the DLL is
 *          unloaded in the end.
 * Memory   x86's store buffers.
 * Bounds   2 callers, of which the first enters twice; 1 closer that may give up (reopen) once.
 * Bugs     BUG_CALLER_FENCE: the slot is claimed by a plain store. BUG_CLOSER_FENCE: no fence before the slots are read.
 *          BUG_TABLE_LATE: a larger table is linked after its first slot was claimed.
 * Search  clean
 * Search  clean -DLIVE
 * Search  bug -DBUG_CALLER_FENCE
 * Search  bug -DBUG_CLOSER_FENCE
 * Search  bug -DBUG_TABLE_LATE
 * States   139,582 */
#define CALLERS 2
#define THREADS 3 /* the last is the closer's */
#define WORDS 5
#define SLOT(table) (table)
#define CLOSING 2
#define NEWEST 3
#define NAMELESS 4
#include "x86.inc"

#define CLOSER CALLERS
bool unloaded, grow_locked;
byte claimed[2]; /* ghost: a slot's owner + 1 */
byte entered, refused;

proctype caller(byte me; byte rounds) {
    byte table, on;
    bool is_nameless;
again:
    on = me;
    is_nameless = false;
    table = memory[NEWEST];
claim:
#ifdef BUG_CALLER_FENCE
    if
    :: atomic { claimed[table] == 0 -> claimed[table] = me + 1; STORE(me, SLOT(table), 1) }
    :: claimed[table] != 0 -> goto crowded
    fi;
#else
    atomic {
        FENCED(me);
        if
        :: memory[SLOT(table)] == 0 -> assert(claimed[table] == 0); claimed[table] = me + 1; memory[SLOT(table)] = 1
        :: else -> goto crowded
        fi
    }
#endif
    goto have_slot;
crowded:
    if
    :: table == 1 -> LOCKED(me, memory[NAMELESS]++); is_nameless = true; goto have_slot
    :: else
    fi;
    LOCKED(me, !grow_locked -> grow_locked = true);
#ifdef BUG_TABLE_LATE
    if
    :: memory[NEWEST] == 0 ->
        LOCKED(me, memory[SLOT(1)] = 1; claimed[1] = me + 1);
        table = 1;
        if
        :: memory[CLOSING] -> goto late_leave
        :: else
        fi;
        assert(!unloaded);
        STORE(me, NEWEST, 1);
        grow_locked = false;
        goto inside;
late_leave:
        STORE(me, NEWEST, 1);
        grow_locked = false;
        goto leave_refused
    :: else -> grow_locked = false; table = 1; goto claim
    fi;
#else
    if
    :: memory[NEWEST] == 0 -> STORE(me, NEWEST, 1); FENCE(me)
    :: else
    fi;
    table = memory[NEWEST];
    grow_locked = false;
    goto claim;
#endif
have_slot:
    if
    :: memory[CLOSING] -> goto leave_refused
    :: else
    fi;
inside:
    assert(!unloaded); /* the call */
    if
    :: on = me
    :: on = (me + 1) % CALLERS /* the task goes on on another thread */
    fi;
    assert(!unloaded);
    entered++;
    goto leave;
leave_refused:
    refused++;
leave:
    if
    :: is_nameless -> LOCKED(on, memory[NAMELESS]--)
    :: else -> atomic { nfull(buffered[on]) -> claimed[table] = 0; STORE(on, SLOT(table), 0) }
    fi;
    rounds--;
    if
    :: rounds > 0 -> goto reclaim
    :: else
    fi;
    goto done;
reclaim:
    FENCE(on); /* its own last store: the slot looks free to itself, or full: then it takes another */
    goto again;
done:
    skip
}

proctype closer() {
    byte count, table, give_ups = 1;
close:
    STORE(CLOSER, CLOSING, 1);
#ifndef BUG_CLOSER_FENCE
    FENCE(CLOSER);
#endif
poll:
    count = 0;
    table = memory[NEWEST];
    do
    :: count = count + memory[SLOT(table)];
       if
       :: table == 0 -> break
       :: else -> table--
       fi
    od;
    count = count + memory[NAMELESS];
    if
    :: count == 0 -> unloaded = true
    :: count > 0 && give_ups > 0 -> give_ups--; LOCKED(CLOSER, memory[CLOSING] = 0); goto close
    :: count > 0 -> goto poll
    fi
}

init {
    atomic {
        byte i;
        for (i : 0 .. THREADS - 1) { run buffer(i) }
        run closer();
        run caller(0, 2);
        run caller(1, 1);
        i = 0
    }
}

ltl live { <> (unloaded && entered + refused == 3) }
