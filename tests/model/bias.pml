/* bias.pml: BIAS (src/guard.h): who holds a processor that a guard is biased to takes that guard by plain stores; anybody else
 * takes the word, and takes the bias away.
 *
 * Models   guard_acquire in both ways, revoke, guard_release; the word, the bias, the processors' `inside` and what the guard
 *          protects in each thread's store buffer; a processor that goes from one thread to another as by TAKE.
 * Simpler  The streak is chance: who holds the word may set the bias at any time. A fence waits until all buffers are empty, as
 *          the interrupts that it sends do. A load reads the thread's own buffer first.
 * Proves   One at a time holds the guard, and sees what the one before it wrote; nobody waits for ever (deadlock is the error).
 * Memory   x86's store buffers of all threads.
 * Bounds   2 threads that have processor A, one after the other, 1 with processor B; each takes the guard TURNS times, and
 *          the first once more without a processor.
 * Bugs     BUG_NO_FENCE: no R2. BUG_NO_RECHECK: no B2. BUG_LATE: B1 after B2. BUG_NO_WAIT: no R3. BUG_RELEASE: a release
 *          looks at the bias to know how the guard was taken. BUG_NOT_HOLDER: the bias is set after the word was given back.
 *          BUG_LOST: a thread goes on as the processor that it gave away. BUG_ONE_IN: the guard has one `inside` for all
 *          processors: one that comes late clears another's.
 * Search  clean
 * Search  bug -DBUG_NO_FENCE
 * Search  bug -DBUG_NO_RECHECK
 * Search  bug -DBUG_LATE
 * Search  bug -DBUG_NO_WAIT
 * Search  bug -DBUG_RELEASE
 * Search  bug -DBUG_NOT_HOLDER
 * Search  bug -DBUG_LOST
 * Search  bug -DBUG_ONE_IN
 */
#define THREADS 3
#define WORDS 6
#define AT(thread, word) ((thread) * WORDS + (word))
#define REACHES(thread, word) waiting[AT(thread, word)]--;
byte last[18];    /* what the thread stored last in a word */
byte waiting[18]; /* how many of its stores to the word are in its buffer */
#include "x86.inc"
#ifndef TURNS
#define TURNS 2
#endif

#define WORD 0
#define BIAS 1
#define BY_WORD 2
#define DATA 3
#ifdef BUG_ONE_IN
#define INSIDE(processor) 4
#else
#define INSIDE(processor) (3 + (processor))
#endif

#define NOBODY 0
#define A 1
#define B 2

byte entries; /* ghost: how often the guard was taken */
bool held;    /* ghost */
bool handed;  /* A is the second thread's */

inline store(word, value) {
    atomic {
        nfull(buffered[me]) ->
        waiting[AT(me, word)]++;
        last[AT(me, word)] = value;
        STORE(me, word, last[AT(me, word)])
    }
}
inline load(word) {
    seen = (waiting[AT(me, word)] > 0 -> last[AT(me, word)] : memory[word])
}
/* The caller's own comes first: what it wrote is there before the others are fenced, one after the other. */
inline fence_all() { FENCE(me); FENCE(0); FENCE(1); FENCE(2) }

/* What the guard protects: the count of those who have had it. */
inline use() {
    atomic { assert(!held); held = true }
    load(DATA);
    assert(seen == entries);
    store(DATA, seen + 1);
    atomic { entries++; held = false }
}

inline take_word() {
    LOCKED(me, memory[WORD] == 0 -> memory[WORD] = 1);
    load(BIAS);
    if
    :: seen != NOBODY ->
        was = seen;
        store(BIAS, NOBODY);        /* R1 */
#ifndef BUG_NO_FENCE
        fence_all();                /* R2 */
#endif
#ifndef BUG_NO_WAIT
        memory[INSIDE(was)] == 0;   /* R3 */
#endif
        was = 0
    :: else
    fi;
    store(BY_WORD, 1);
#ifndef BUG_NOT_HOLDER
    if
    :: mine != NOBODY -> store(BIAS, mine)
    :: true
    fi
#endif
}

inline turn() {
    by_bias = false;
    load(BIAS);
    if
    :: seen == mine && mine != NOBODY ->
#ifdef BUG_LATE
        load(BIAS);
        store(INSIDE(mine), 1);
#else
        store(INSIDE(mine), 1);     /* B1 */
#ifndef BUG_NO_RECHECK
        load(BIAS);                 /* B2 */
#endif
#endif
        if
        :: seen == mine -> by_bias = true
        :: else -> store(INSIDE(mine), 0)
        fi
    :: else
    fi;
    if
    :: !by_bias -> take_word()
    :: else
    fi;
    use();
#ifdef BUG_RELEASE
    load(BIAS);
    seen = seen != mine || mine == NOBODY;
#else
    load(BY_WORD);
#endif
    if
    :: seen -> store(BY_WORD, 0); store(WORD, 0)
    :: else -> store(INSIDE(mine), 0)
    fi;
#ifdef BUG_NOT_HOLDER
    if
    :: mine != NOBODY -> store(BIAS, mine)
    :: true
    fi;
#endif
    seen = 0;
    by_bias = false
}

proctype has_a_first() {
    byte me = 0, mine = A, n, seen, was;
    bool by_bias;
    for (n : 1 .. TURNS) { turn() }
    n = 0;
    handed = true;
#ifndef BUG_LOST
    mine = NOBODY;
#endif
    turn()
}

proctype has_a_then() {
    byte me = 1, mine = A, n, seen, was;
    bool by_bias;
    handed;
    FENCE(0); /* the taker's */
    for (n : 1 .. TURNS) { turn() }
    n = 0
}

proctype has_b() {
    byte me = 2, mine = B, n, seen, was;
    bool by_bias;
    for (n : 1 .. TURNS) { turn() }
    n = 0
}

init {
    atomic {
        run buffer(0);
        run buffer(1);
        run buffer(2);
        run has_a_first();
        run has_a_then();
        run has_b()
    }
}
