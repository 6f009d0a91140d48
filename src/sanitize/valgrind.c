/* valgrind.c (PINTLE_VALGRIND): Valgrind learns which memory is stacks. A few instructions each when it is not there.
 *
 * Threads' own stacks too, whole: of the main thread's it knows only what has been used so far, and a switch to just below that
 * it takes for no switch; the first frame there, made when it has noticed, is memory that it reports each use of.
 * Threads: any. */
#include "sanitize.h"

#include <valgrind/valgrind.h>

void sanitize_stack_made(const void *low, const void *high, unsigned *out_id) {
    *out_id = VALGRIND_STACK_REGISTER(low, (const char *)high - 1);
}

void sanitize_stack_gone(unsigned id) { VALGRIND_STACK_DEREGISTER(id); }
