/* calls_back.h: the values that calls_back.c passes. */
#ifndef PINTLE_TESTS_CALLS_BACK_H
#define PINTLE_TESTS_CALLS_BACK_H

#include <stdint.h>

/* All bytes of it differ from those of its neighbours, and the low ones have the sign bit set by turns. */
static inline int64_t call_value(unsigned argument) {
    return (int64_t)(UINT64_C(0x9E3779B97F4A7C15) * (argument + 1) ^ UINT64_C(0x8080808080808080) * (argument & 1));
}

#endif
