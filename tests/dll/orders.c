/* orders.c: foreign code that lets one thread wait for another, and calls back before or after. It is never instrumented
 * (tests/CMakeLists.txt), so the race detector cannot see the order that it makes. It knows nothing of Pintle. */
#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#include <windows.h>
#define EXPORT __declspec(dllexport)
static void rest(void) { SwitchToThread(); }
#else
#include <sched.h>
#define EXPORT __attribute__((visibility("default")))
static void rest(void) { sched_yield(); }
#endif

#pragma GCC diagnostic ignored "-Wmissing-prototypes" /* found by name */

typedef uintptr_t word;

/* What `*before` counts is awaited, then the function called, then `*after` counts one more. NULL: not that. */
EXPORT word orders_run(uint32_t *before, uint32_t until, word (*function)(word), word value, uint32_t *after) {
    if (before != NULL) {
        while (__atomic_load_n(before, __ATOMIC_ACQUIRE) < until) rest();
    }
    if (function != NULL) value = function(value);
    if (after != NULL) __atomic_add_fetch(after, 1, __ATOMIC_RELEASE);
    return value;
}
