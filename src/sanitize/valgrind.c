/* valgrind.c (PINTLE_VALGRIND): Valgrind learns which memory is stacks. A few instructions each when it is not there.
 * Threads: any. */
#include "sanitize.h"

#include <valgrind/valgrind.h>

void sanitize_stack_made(const void *low, const void *high, unsigned *out_id) {
    *out_id = VALGRIND_STACK_REGISTER(low, (const char *)high - 1);
}

void sanitize_stack_gone(unsigned id) { VALGRIND_STACK_DEREGISTER(id); }
