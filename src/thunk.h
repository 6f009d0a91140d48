/* thunk.h: function pointers for foreign code: a static table of records, each with an entry in assembly that loads its
 * number (src/<os>/x64/thunks.S). No code is written at run time.
 *
 *   state    meaning                                           who changes it
 *   FREE     in the free list, oldest first                    under thunks.lock
 *   OPEN     calls run fn                                      under thunks.lock
 *   CLOSING  thunk_free looks whether somebody is inside       under thunks.lock; calls wait for what follows
 *   RETIRED  calls get closed_result; FREE once nobody is in   under thunks.lock
 *
 * Who is inside (as DRAIN): a caller writes the thunk into a slot of its thread (thread->thunks_inside, by depth), then leaves
 * the call, then reads the state; freeing sets the state, fences all threads (take.c), reads the slots. Where there is no
 * such fence, leaving the call is a locked step. Deeper than the slots go, the
 * thunk counts. Nobody looks when the last caller leaves a retired thunk: the next that makes one sweeps.
 * Threads: any. Locks: thunks.lock. Order: see above. Tests: tests/api/test_thunk.c. */
#ifndef PINTLE_SRC_THUNK_H
#define PINTLE_SRC_THUNK_H

#include "atomic.h"
#include "layout.h"
#include "pintle/callback.h"

enum thunk_state { THUNK_FREE, THUNK_OPEN = THUNK_STATE_OPEN, THUNK_CLOSING, THUNK_RETIRED };

struct pintle_thunk {
    alignas(CACHE_LINE) _Atomic uint32_t state;
    uint32_t flags;
    pintle_thunk_fn *fn;
    void *user;
    uintptr_t panic_result, closed_result;
    _Atomic uint32_t deep; /* callers that found no slot */
    uint8_t nargs, on_panic;
    bool gathers; /* not all of its words are where the first six are */
    struct pintle_thunk *next;
};

extern struct pintle_thunk thunk_table[PINTLE_THUNKS_MOST];

/* For stats. */
uint32_t thunks_live(void);

#endif
