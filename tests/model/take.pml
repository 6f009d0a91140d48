/* take.pml: TAKE (src/take.c): calls are left by plain stores, and their processor is taken by one of two, never by both.
 *
 * Models   the call word in the owner's store buffer; take and the attention; L1 to L4, T1 to T5; a stop that leaves the thread
 *          behind; the thunk's slot, which rests on the same fence.
 * Simpler  One owner, one taker that may try at any time. The fence waits until the owner's buffer is empty, as the interrupt
 *          that it sends does. A processor that was taken is given back at some time.
 * Proves   The owner goes on with its processor only if it was not taken; the taker sees what the owner wrote before its
 *          call; an owner that was left behind touches nothing more; a call that ends only when its processor is gone
 *          does end (deadlock is the error); a thunk is not freed while somebody is inside.
 * Memory   x86's store buffers: the call word, the processor's plain fields, the thunk's slot.
 * Bounds   CALLS calls of which the first may block, TAKES tries, 1 stop, 1 free.
 * Bugs     BUG_NO_FENCE: no T2. BUG_LOOK_FIRST: L3 before L2. BUG_NO_SWAP: the owner that sees TAKE just goes on, if the call
 *          word was its own. BUG_NO_LOOK: no T3. BUG_LEFT: a stop writes LEFT_BEHIND into the call word only.
 *          BUG_FREE: freeing the thunk does not fence.
 * Search  clean
 * Search  clean -DBLOCKS
 * Search  bug -DBUG_NO_FENCE
 * Search  bug -DBUG_LOOK_FIRST
 * Search  bug -DBUG_NO_SWAP
 * Search  bug -DBUG_NO_LOOK
 * Search  bug -DBUG_LEFT
 * Search  bug -DBUG_FREE
 */
#define THREADS 1
#define WORDS 3
#include "x86.inc"
#ifndef CALLS
#define CALLS 3
#endif
#ifndef TAKES
#define TAKES 2
#endif

#define OWNER 0
#define OUT 0
#define IN 1
#define TAKEN 2
#define LEFT 255
#define STATE(word) ((word) & 3)
#define AS_TAKEN(word) (((word) & 252) | TAKEN)

/* Words that the owner stores plainly. */
#define CALL 0 /* tick << 2 | state */
#define FIELDS 1
#define SLOT 2

#define THE_OWNER 1
#define THE_TAKER 2

byte take, written;
bool attention;
byte holder = THE_OWNER; /* ghost; 0: on its way back */
bool left;               /* ghost */
bool closing, freed;     /* the thunk */

proctype owner() {
    byte n, word, seen;
    bool taken;
    for (n : 1 .. CALLS) {
        assert(holder == THE_OWNER);
        atomic { STORE(OWNER, FIELDS, n); written = n };
        STORE(OWNER, CALL, n << 2 | IN);
#ifdef BLOCKS
        if
        :: n == 1 -> holder != THE_OWNER
        :: n != 1
        fi;
#endif
        STORE(OWNER, SLOT, 1); /* it is a callback that leaves the call, for once */
        /* L1. What it has in its own buffer it reads from there. */
        if
        :: atomic { !FENCED(OWNER) -> word = n << 2 | IN }
        :: atomic { FENCED(OWNER) -> word = memory[CALL] }
        fi;
        taken = false;
        seen = true;
        if
        :: STATE(word) == IN && word != LEFT ->
#ifdef BUG_LOOK_FIRST
            seen = attention;
            STORE(OWNER, CALL, (n + 1) << 2 | OUT)
#else
            STORE(OWNER, CALL, (n + 1) << 2 | OUT); /* L2 */
            seen = attention                        /* L3 */
#endif
#ifdef BUG_NO_SWAP
            ;
            seen = false
#endif
        :: else
        fi;
        if
        :: word == LEFT -> assert(left); goto gone
        :: word != LEFT && seen -> /* L4 */
            atomic {
                FENCED(OWNER) ->
                if
                :: take == (n << 2 | IN) -> take = 0
                :: else -> taken = take == (n << 2 | TAKEN); word = take
                fi
            };
            if
            :: taken ->
                atomic {
                    if
                    :: take == (n << 2 | TAKEN) -> take = 0; attention = false
                    :: else -> assert(take == LEFT && left); goto gone
                    fi
                };
                atomic {
                    if
                    :: memory[CALL] == (n << 2 | TAKEN) -> memory[CALL] = (n + 1) << 2 | OUT
                    :: else
                    fi
                }
            :: !taken && word == LEFT -> assert(left); goto gone
            :: else
            fi
        :: else
        fi;
        assert(!left);
        if
        :: taken -> atomic { holder == 0 -> holder = THE_OWNER }
        :: !taken -> assert(holder == THE_OWNER)
        fi;
        if
        :: !closing -> assert(!freed); assert(!freed) /* it runs, until its slot is cleared */
        :: closing /* it waits, and gets what is decided */
        fi;
        STORE(OWNER, SLOT, 0)
    }
gone:
    skip
}

proctype taker() {
    byte tries, word;
    bool took, stops;
#ifdef BLOCKS
    STATE(memory[CALL]) == IN;
#endif
    for (tries : 1 .. TAKES + 1) {
        stops = tries > TAKES;
        took = false;
        word = memory[CALL];
        if
        :: word == LEFT || STATE(word) == OUT || (STATE(word) == TAKEN && !stops) -> goto next
        :: else
        fi;
        if
        :: STATE(word) == TAKEN -> goto behind
        :: else
        fi;
        assert(take == 0 && !attention);
        take = word;      /* T1 */
        attention = true;
#ifndef BUG_NO_FENCE
        FENCED(OWNER);    /* T2 */
#endif
        if
#ifdef BUG_NO_LOOK
        :: true
#else
        :: memory[CALL] == word /* T3 */
#endif
            ->
            atomic { /* T4 */
                if
                :: take == word ->
                    take = AS_TAKEN(word);
                    took = true;
                    assert(holder == THE_OWNER);
                    holder = THE_TAKER
                :: else
                fi
            }
        :: else
        fi;
        if
        :: took ->
            assert(memory[FIELDS] == written);
            atomic { /* T5 */
                if
                :: memory[CALL] == word -> memory[CALL] = AS_TAKEN(word)
                :: else
                fi
            };
            holder = 0
        :: !took ->
            take = 0;
            attention = false
        fi;
behind:
        if
        :: stops && (took || STATE(word) == TAKEN) ->
#ifdef BUG_LEFT
            atomic {
                if
                :: memory[CALL] == AS_TAKEN(word) -> memory[CALL] = LEFT; left = true
                :: else
                fi
            }
#else
            atomic {
                if
                :: take == AS_TAKEN(word) -> take = LEFT; left = true
                :: else
                fi
            };
            atomic {
                if
                :: left && memory[CALL] == AS_TAKEN(word) -> memory[CALL] = LEFT
                :: else
                fi
            }
#endif
        :: else
        fi;
next:
        skip
    }
}

proctype freer() {
    closing = true; /* seq_cst */
#ifndef BUG_FREE
    FENCED(OWNER);
#endif
    atomic {
        if
        :: memory[SLOT] == 0 -> freed = true
        :: else -> closing = false /* busy */
        fi
    }
}

init {
    atomic {
        run buffer(OWNER);
        run owner();
        run taker();
        run freer()
    }
}
