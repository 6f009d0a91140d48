/* calls_back.c: calls a function pointer with 2 to 10 arguments of 1, 2, 4 and 8 bytes, mixed; call_N_K: argument i has the type
 * (i + K) mod 4 of the four. Built without optimisation and with (tests/CMakeLists.txt), since compilers leave different things in
 * the upper bits of narrow arguments. The values: call_value in calls_back.h. */
#include "calls_back.h"

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#define STDCALL __stdcall
#define CDECL __cdecl
#else
#define EXPORT __attribute__((visibility("default")))
#define STDCALL
#define CDECL
#endif

/* The result's low 32 bits say whether the callback saw what was passed. */
#define CALL(n, k, types, values) \
    EXPORT int cdecl_##n##_##k(void *fn); \
    EXPORT int stdcall_##n##_##k(void *fn); \
    int cdecl_##n##_##k(void *fn) { return ((int(CDECL *) types)fn)values; } \
    int stdcall_##n##_##k(void *fn) { return ((int(STDCALL *) types)fn)values; }

CALL(2, 0, (int8_t, int16_t), ((int8_t)call_value(0), (int16_t)call_value(1)))
CALL(2, 1, (int16_t, int32_t), ((int16_t)call_value(0), (int32_t)call_value(1)))
CALL(2, 2, (int32_t, int64_t), ((int32_t)call_value(0), (int64_t)call_value(1)))
CALL(2, 3, (int64_t, int8_t), ((int64_t)call_value(0), (int8_t)call_value(1)))
CALL(3, 0, (int8_t, int16_t, int32_t), ((int8_t)call_value(0), (int16_t)call_value(1), (int32_t)call_value(2)))
CALL(3, 1, (int16_t, int32_t, int64_t), ((int16_t)call_value(0), (int32_t)call_value(1), (int64_t)call_value(2)))
CALL(3, 2, (int32_t, int64_t, int8_t), ((int32_t)call_value(0), (int64_t)call_value(1), (int8_t)call_value(2)))
CALL(3, 3, (int64_t, int8_t, int16_t), ((int64_t)call_value(0), (int8_t)call_value(1), (int16_t)call_value(2)))
CALL(4, 0, (int8_t, int16_t, int32_t, int64_t),
     ((int8_t)call_value(0), (int16_t)call_value(1), (int32_t)call_value(2), (int64_t)call_value(3)))
CALL(4, 1, (int16_t, int32_t, int64_t, int8_t),
     ((int16_t)call_value(0), (int32_t)call_value(1), (int64_t)call_value(2), (int8_t)call_value(3)))
CALL(4, 2, (int32_t, int64_t, int8_t, int16_t),
     ((int32_t)call_value(0), (int64_t)call_value(1), (int8_t)call_value(2), (int16_t)call_value(3)))
CALL(4, 3, (int64_t, int8_t, int16_t, int32_t),
     ((int64_t)call_value(0), (int8_t)call_value(1), (int16_t)call_value(2), (int32_t)call_value(3)))
CALL(5, 0, (int8_t, int16_t, int32_t, int64_t, int8_t),
     ((int8_t)call_value(0), (int16_t)call_value(1), (int32_t)call_value(2), (int64_t)call_value(3),
      (int8_t)call_value(4)))
CALL(5, 1, (int16_t, int32_t, int64_t, int8_t, int16_t),
     ((int16_t)call_value(0), (int32_t)call_value(1), (int64_t)call_value(2), (int8_t)call_value(3),
      (int16_t)call_value(4)))
CALL(5, 2, (int32_t, int64_t, int8_t, int16_t, int32_t),
     ((int32_t)call_value(0), (int64_t)call_value(1), (int8_t)call_value(2), (int16_t)call_value(3),
      (int32_t)call_value(4)))
CALL(5, 3, (int64_t, int8_t, int16_t, int32_t, int64_t),
     ((int64_t)call_value(0), (int8_t)call_value(1), (int16_t)call_value(2), (int32_t)call_value(3),
      (int64_t)call_value(4)))
CALL(6, 0, (int8_t, int16_t, int32_t, int64_t, int8_t, int16_t),
     ((int8_t)call_value(0), (int16_t)call_value(1), (int32_t)call_value(2), (int64_t)call_value(3),
      (int8_t)call_value(4), (int16_t)call_value(5)))
CALL(6, 1, (int16_t, int32_t, int64_t, int8_t, int16_t, int32_t),
     ((int16_t)call_value(0), (int32_t)call_value(1), (int64_t)call_value(2), (int8_t)call_value(3),
      (int16_t)call_value(4), (int32_t)call_value(5)))
CALL(6, 2, (int32_t, int64_t, int8_t, int16_t, int32_t, int64_t),
     ((int32_t)call_value(0), (int64_t)call_value(1), (int8_t)call_value(2), (int16_t)call_value(3),
      (int32_t)call_value(4), (int64_t)call_value(5)))
CALL(6, 3, (int64_t, int8_t, int16_t, int32_t, int64_t, int8_t),
     ((int64_t)call_value(0), (int8_t)call_value(1), (int16_t)call_value(2), (int32_t)call_value(3),
      (int64_t)call_value(4), (int8_t)call_value(5)))
CALL(7, 0, (int8_t, int16_t, int32_t, int64_t, int8_t, int16_t, int32_t),
     ((int8_t)call_value(0), (int16_t)call_value(1), (int32_t)call_value(2), (int64_t)call_value(3),
      (int8_t)call_value(4), (int16_t)call_value(5), (int32_t)call_value(6)))
CALL(7, 1, (int16_t, int32_t, int64_t, int8_t, int16_t, int32_t, int64_t),
     ((int16_t)call_value(0), (int32_t)call_value(1), (int64_t)call_value(2), (int8_t)call_value(3),
      (int16_t)call_value(4), (int32_t)call_value(5), (int64_t)call_value(6)))
CALL(7, 2, (int32_t, int64_t, int8_t, int16_t, int32_t, int64_t, int8_t),
     ((int32_t)call_value(0), (int64_t)call_value(1), (int8_t)call_value(2), (int16_t)call_value(3),
      (int32_t)call_value(4), (int64_t)call_value(5), (int8_t)call_value(6)))
CALL(7, 3, (int64_t, int8_t, int16_t, int32_t, int64_t, int8_t, int16_t),
     ((int64_t)call_value(0), (int8_t)call_value(1), (int16_t)call_value(2), (int32_t)call_value(3),
      (int64_t)call_value(4), (int8_t)call_value(5), (int16_t)call_value(6)))
CALL(8, 0, (int8_t, int16_t, int32_t, int64_t, int8_t, int16_t, int32_t, int64_t),
     ((int8_t)call_value(0), (int16_t)call_value(1), (int32_t)call_value(2), (int64_t)call_value(3),
      (int8_t)call_value(4), (int16_t)call_value(5), (int32_t)call_value(6), (int64_t)call_value(7)))
CALL(8, 1, (int16_t, int32_t, int64_t, int8_t, int16_t, int32_t, int64_t, int8_t),
     ((int16_t)call_value(0), (int32_t)call_value(1), (int64_t)call_value(2), (int8_t)call_value(3),
      (int16_t)call_value(4), (int32_t)call_value(5), (int64_t)call_value(6), (int8_t)call_value(7)))
CALL(8, 2, (int32_t, int64_t, int8_t, int16_t, int32_t, int64_t, int8_t, int16_t),
     ((int32_t)call_value(0), (int64_t)call_value(1), (int8_t)call_value(2), (int16_t)call_value(3),
      (int32_t)call_value(4), (int64_t)call_value(5), (int8_t)call_value(6), (int16_t)call_value(7)))
CALL(8, 3, (int64_t, int8_t, int16_t, int32_t, int64_t, int8_t, int16_t, int32_t),
     ((int64_t)call_value(0), (int8_t)call_value(1), (int16_t)call_value(2), (int32_t)call_value(3),
      (int64_t)call_value(4), (int8_t)call_value(5), (int16_t)call_value(6), (int32_t)call_value(7)))
CALL(9, 0, (int8_t, int16_t, int32_t, int64_t, int8_t, int16_t, int32_t, int64_t, int8_t),
     ((int8_t)call_value(0), (int16_t)call_value(1), (int32_t)call_value(2), (int64_t)call_value(3),
      (int8_t)call_value(4), (int16_t)call_value(5), (int32_t)call_value(6), (int64_t)call_value(7),
      (int8_t)call_value(8)))
CALL(9, 1, (int16_t, int32_t, int64_t, int8_t, int16_t, int32_t, int64_t, int8_t, int16_t),
     ((int16_t)call_value(0), (int32_t)call_value(1), (int64_t)call_value(2), (int8_t)call_value(3),
      (int16_t)call_value(4), (int32_t)call_value(5), (int64_t)call_value(6), (int8_t)call_value(7),
      (int16_t)call_value(8)))
CALL(9, 2, (int32_t, int64_t, int8_t, int16_t, int32_t, int64_t, int8_t, int16_t, int32_t),
     ((int32_t)call_value(0), (int64_t)call_value(1), (int8_t)call_value(2), (int16_t)call_value(3),
      (int32_t)call_value(4), (int64_t)call_value(5), (int8_t)call_value(6), (int16_t)call_value(7),
      (int32_t)call_value(8)))
CALL(9, 3, (int64_t, int8_t, int16_t, int32_t, int64_t, int8_t, int16_t, int32_t, int64_t),
     ((int64_t)call_value(0), (int8_t)call_value(1), (int16_t)call_value(2), (int32_t)call_value(3),
      (int64_t)call_value(4), (int8_t)call_value(5), (int16_t)call_value(6), (int32_t)call_value(7),
      (int64_t)call_value(8)))
CALL(10, 0, (int8_t, int16_t, int32_t, int64_t, int8_t, int16_t, int32_t, int64_t, int8_t, int16_t),
     ((int8_t)call_value(0), (int16_t)call_value(1), (int32_t)call_value(2), (int64_t)call_value(3),
      (int8_t)call_value(4), (int16_t)call_value(5), (int32_t)call_value(6), (int64_t)call_value(7),
      (int8_t)call_value(8), (int16_t)call_value(9)))
CALL(10, 1, (int16_t, int32_t, int64_t, int8_t, int16_t, int32_t, int64_t, int8_t, int16_t, int32_t),
     ((int16_t)call_value(0), (int32_t)call_value(1), (int64_t)call_value(2), (int8_t)call_value(3),
      (int16_t)call_value(4), (int32_t)call_value(5), (int64_t)call_value(6), (int8_t)call_value(7),
      (int16_t)call_value(8), (int32_t)call_value(9)))
CALL(10, 2, (int32_t, int64_t, int8_t, int16_t, int32_t, int64_t, int8_t, int16_t, int32_t, int64_t),
     ((int32_t)call_value(0), (int64_t)call_value(1), (int8_t)call_value(2), (int16_t)call_value(3),
      (int32_t)call_value(4), (int64_t)call_value(5), (int8_t)call_value(6), (int16_t)call_value(7),
      (int32_t)call_value(8), (int64_t)call_value(9)))
CALL(10, 3, (int64_t, int8_t, int16_t, int32_t, int64_t, int8_t, int16_t, int32_t, int64_t, int8_t),
     ((int64_t)call_value(0), (int8_t)call_value(1), (int16_t)call_value(2), (int32_t)call_value(3),
      (int64_t)call_value(4), (int8_t)call_value(5), (int16_t)call_value(6), (int32_t)call_value(7),
      (int64_t)call_value(8), (int8_t)call_value(9)))
