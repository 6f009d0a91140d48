/* call.h: foreign calls, for the rest of the library. call.c explains the protocol. */
#ifndef PINTLE_SRC_CALL_H
#define PINTLE_SRC_CALL_H

#include "atomic.h"
#include "layout.h"
#include "pintle/call.h"
#include "pintle/result.h"

struct thread;

/* fn(args…) by words, as a foreign call from any context. float_flags as in pintle/dll.h; *out: r1, r2, err.
 * Implemented in src/<os>/words.c: through the pinned wrapper on Windows, unpinned elsewhere. */
void call_words(void *fn, unsigned nargs, const uintptr_t *args, uint32_t float_flags, pintle_result *out);

/* The ends of the assembly's slow ways, called when a call's way out has to be cold; value is passed through. */
uintptr_t call_leave_cold(struct thread *thread, uintptr_t value);
/* A function that is known to block: its processor is handed on first, and it is told whether it still blocks. Where there
 * is no task, or in a call: just calls. `identity` is the function that is meant, fn what is called. */
int call_away(const void *identity, int (*fn)(void *), void *arg);
int call_marked(int (*fn)(void *), void *arg);

/* Blocking marks: credits of a function, by a hash of its address; not 0: it is known to block. */
extern _Atomic uint8_t call_marks[CALL_MARK_MASK + 1];
static inline bool call_is_marked(const void *fn) {
    return atomic_load_relaxed(&call_marks[(uintptr_t)fn >> CALL_MARK_SHIFT & CALL_MARK_MASK]) != 0;
}
/* A call made where there is no task, or inside a call: just calls. */
int call_direct(int (*fn)(void *), void *arg);

#endif
