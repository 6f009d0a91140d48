/* plugin_a.c: a DLL for the tests of pintle/dll.h: simple functions, data, a state that tells whether it was loaded anew,
 * a function that runs the test's own code inside a call, and a sign of when it is unloaded. It knows nothing of Pintle. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#include <windows.h>
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

#pragma GCC diagnostic ignored "-Wmissing-prototypes" /* nobody includes these: they are found by name */

static int counter;
static int *unload_sign;

EXPORT int plugin_data = 4711;

EXPORT uintptr_t plugin_weigh(uintptr_t a, uintptr_t b, uintptr_t c) { return a + 10 * b + 100 * c; }

EXPORT double plugin_scale(double value, double factor) { return value * factor; }

/* How often it was called since the DLL was loaded. */
EXPORT int plugin_count(void) { return __atomic_add_fetch(&counter, 1, __ATOMIC_RELAXED); }

/* fn(arg), inside a call of this DLL. */
EXPORT uintptr_t plugin_run(int (*fn)(void *), void *arg) { return (uintptr_t)(unsigned)fn(arg); }

EXPORT void plugin_fail(uint32_t code) {
#if defined(_WIN32)
    SetLastError(code);
#else
    errno = (int)code;
#endif
}

/* *sign becomes 1 when the DLL is unloaded. */
EXPORT void plugin_tell_unload(int *sign) { unload_sign = sign; }

__attribute__((destructor)) static void unloaded(void) {
    if (unload_sign != NULL) *unload_sign = 1;
}
