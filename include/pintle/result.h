/* pintle/result.h: what a call by words gives back, and the conversions between words and C's types. */
#ifndef PINTLE_RESULT_H
#define PINTLE_RESULT_H

#include <string.h>

#include "pintle/base.h"

/* r1: the integer result register; r2: the bits of the floating one; err: the last error (Windows) or errno (POSIX). */
struct pintle_result {
    uintptr_t r1, r2;
    uint32_t err;
};
typedef struct pintle_result pintle_result;

/* A value as an argument word. */
static inline uintptr_t pintle_word_ptr(const void *value) { return (uintptr_t)value; }
static inline uintptr_t pintle_word_double(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uintptr_t)bits;
}
static inline uintptr_t pintle_word_float(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uintptr_t)bits;
}

/* A result as a C type: only the bits that the type has are looked at. */
static inline int pintle_result_int(pintle_result result) { return (int)(uint32_t)result.r1; }
static inline int64_t pintle_result_i64(pintle_result result) { return (int64_t)result.r1; }
static inline bool pintle_result_bool(pintle_result result) { return (uint32_t)result.r1 != 0; }
static inline void *pintle_result_ptr(pintle_result result) { return (void *)result.r1; }
static inline double pintle_result_double(pintle_result result) {
    uint64_t bits = (uint64_t)result.r2;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
static inline float pintle_result_float(pintle_result result) {
    uint32_t bits = (uint32_t)result.r2;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

#endif
