/* noop.h: functions that do nothing, so that a benchmark that calls them measures the call. Compiled into
 * pintle_bench on its own (nothing can be inlined), and into noop.dll, which Go's side calls too. */
#ifndef PINTLE_BENCH_NOOP_H
#define PINTLE_BENCH_NOOP_H

#include <stdint.h>

#if defined(NOOP_DLL)
#define NOOP_API __declspec(dllexport)
#else
#define NOOP_API
#endif

NOOP_API int noop(void *arg);
NOOP_API uintptr_t noop1(uintptr_t a1);
NOOP_API uintptr_t noop_back(uintptr_t (*fn)(uintptr_t), uintptr_t a1); /* calls fn, once */
NOOP_API uintptr_t noop15(uintptr_t a1, uintptr_t a2, uintptr_t a3, uintptr_t a4, uintptr_t a5, uintptr_t a6,
                          uintptr_t a7, uintptr_t a8, uintptr_t a9, uintptr_t a10, uintptr_t a11, uintptr_t a12,
                          uintptr_t a13, uintptr_t a14, uintptr_t a15);

#endif
