/* noop.c: functions that do nothing (noop.h). */
#include "noop.h"

int noop(void *arg) {
    (void)arg;
    return 0;
}

uintptr_t noop1(uintptr_t a1) {
    (void)a1;
    return 0;
}

uintptr_t noop_back(uintptr_t (*fn)(uintptr_t), uintptr_t a1) { return fn(a1) + 1; }

uintptr_t noop15(uintptr_t a1, uintptr_t a2, uintptr_t a3, uintptr_t a4, uintptr_t a5, uintptr_t a6, uintptr_t a7,
                 uintptr_t a8, uintptr_t a9, uintptr_t a10, uintptr_t a11, uintptr_t a12, uintptr_t a13, uintptr_t a14,
                 uintptr_t a15) {
    (void)a1, (void)a2, (void)a3, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8, (void)a9, (void)a10, (void)a11;
    (void)a12, (void)a13, (void)a14, (void)a15;
    return 0;
}
