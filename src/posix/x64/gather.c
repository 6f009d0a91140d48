/* gather.c (System V, x86-64): the words of a thunk's caller, where they are more than six or some are floating-point:
 * from the integer registers, the vector registers and the stack, as the convention distributes them.
 * Threads: any. Tests: tests/api/test_thunk.c. */
#include "callback.h"

void callback_gather(struct callback *callback, const double *vectors, const uintptr_t *stack);

enum { INTEGER_REGISTERS = 6, VECTOR_REGISTERS = 8 };

void callback_gather(struct callback *callback, const double *vectors, const uintptr_t *stack) {
    const struct pintle_thunk *thunk = callback->thunk;
    uint32_t floats = PINTLE_FLOATS(thunk->flags);
    uintptr_t integers[INTEGER_REGISTERS];
    unsigned integer = 0, vector = 0;
    memcpy(integers, callback->words, sizeof integers);
    for (unsigned i = 0; i < thunk->nargs; i++, floats >>= 1) {
        if ((floats & 1) != 0 && vector < VECTOR_REGISTERS) {
            memcpy(&callback->words[i], &vectors[vector++], sizeof callback->words[i]);
        } else if ((floats & 1) == 0 && integer < INTEGER_REGISTERS) {
            callback->words[i] = integers[integer++];
        } else {
            callback->words[i] = *stack++;
        }
    }
}
