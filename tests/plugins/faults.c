/* faults.c: a plugin that faults in the way that the request names, or raises what it does not handle. */
#include "tiny.h"

/* The sanitizers would find these first. */
#define FAULTY __attribute__((noinline, no_sanitize("address", "thread", "undefined")))

static volatile int zero, deep;

FAULTY static int recurse(int depth) {
    volatile char space[4096];
    space[0] = (char)depth;
    return depth > 1 << 20 ? 0 : recurse(depth + 1) + space[0];
}

FAULTY int plugin_run(void *state, plugin_call *call, const void *request, size_t bytes) {
    (void)state;
    if (is(request, bytes, "write")) *(volatile int *)(uintptr_t)zero = 1;
    if (is(request, bytes, "divide")) deep = 77 / zero;
    if (is(request, bytes, "illegal")) __builtin_trap();
    if (is(request, bytes, "overflow")) deep = recurse(0);
#if defined(_WIN32)
    if (is(request, bytes, "raise")) RaiseException(0xE0001234, 0, 0, NULL);
#endif
    return reply(call, "fine");
}
