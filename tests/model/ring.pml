/* ring.pml: RING's way of taking without a locked instruction (src/runq.h): the owner by plain stores, while no thief is at it.
 *
 * Models   runq_take_begin and _end, runq_pop in both ways, runq_steal; the ring's head and `taking` in the owner's store buffer.
 * Simpler  The ring is full at first, and nothing is pushed: slots and tail are as they were with compare-and-swaps on both
 *          sides. `next` is a ring of one. The fence waits until the owner's buffer is empty, as the interrupt that it sends does.
 * Proves   Each task is taken once; none is left.
 * Memory   x86's store buffer of the owner; thieves change words by locked instructions, but for `alone`, which is theirs.
 * Bounds   ITEMS tasks, 2 thieves, TRIES each.
 * Bugs     BUG_NO_FENCE: no T2. BUG_NO_LOOK: no T3. BUG_LATE: O1 after O2. BUG_EARLY: T4 before the thief takes.
 *          BUG_TWO: no T1, thieves come as they like.
 * Search  clean
 * Search  bug -DBUG_NO_FENCE
 * Search  bug -DBUG_NO_LOOK
 * Search  bug -DBUG_LATE
 * Search  bug -DBUG_EARLY
 * Search  bug -DBUG_TWO
 * States   202,101 */
#define THREADS 1
#define WORDS 2
#include "x86.inc"

#define OWNER 0
#define HEAD 0
#define TAKING 1
#define ITEMS 5
#define TRIES 2

byte alone = 1;
byte mine;        /* what the owner stored last in HEAD */
bool got[ITEMS];  /* ghost */
byte thieves = 2; /* ghost: that are still at it */

inline get(item) {
    assert(!got[item]);
    got[item] = true
}

/* A load reads the thread's own buffer first. */
inline load_head() {
    atomic {
        if
        :: buffered[OWNER]??[HEAD, eval(mine)] -> head = mine
        :: else -> head = memory[HEAD]
        fi
    }
}

proctype owner() {
    byte head;
    bool is_alone, took;
    do
    ::
#ifdef BUG_LATE
       is_alone = alone;
       STORE(OWNER, TAKING, 1);
#else
       STORE(OWNER, TAKING, 1); /* O1 */
       is_alone = alone;        /* O2 */
#endif
       load_head();
       if
       :: head == ITEMS -> STORE(OWNER, TAKING, 0); break
       :: head < ITEMS && is_alone ->
            get(head);
            atomic { STORE(OWNER, HEAD, head + 1); mine = head + 1 }
       :: head < ITEMS && !is_alone ->
            LOCKED(OWNER,
                if
                :: memory[HEAD] == head -> memory[HEAD] = head + 1; get(head)
                :: else
                fi)
       fi;
       STORE(OWNER, TAKING, 0) /* O3 */
    od;
    thieves == 0;
    FENCE(OWNER);
    for (head : 0 .. ITEMS - 1) { assert(got[head]) }
}

proctype thief() {
    byte tries, head, count, one;
    bool may;
    for (tries : 1 .. TRIES) {
#ifdef BUG_TWO
        may = true;
        alone = 0;
#else
        atomic { may = alone == 1; alone = 0 } /* T1; 0 stays 0 */
#endif
        if
        :: may ->
#ifndef BUG_NO_FENCE
            FENCE(OWNER); /* T2 */
#endif
#ifndef BUG_NO_LOOK
            may = memory[TAKING] == 0; /* T3 */
#endif
#ifdef BUG_EARLY
            alone = 1;
#endif
            if
            :: may ->
                head = memory[HEAD];
                count = (ITEMS - head + 1) / 2;
                atomic {
                    if
                    :: memory[HEAD] == head ->
                        memory[HEAD] = head + count;
                        for (one : head .. head + count - 1) { get(one) }
                    :: else
                    fi;
                    one = 0
                }
            :: else
            fi;
            head = 0;
            count = 0;
            alone = 1 /* T4 */
        :: else
        fi
    }
    thieves--
}

init {
    atomic {
        run buffer(OWNER);
        run owner();
        run thief();
        run thief()
    }
}
