/* dies.c: a plugin whose process ends: in a call that asks for it, or at its beginning, where PINTLE_TEST_DIES is set. */
#define TINY_OPEN
#include "tiny.h"

int plugin_open(const plugin_host *with, void **out_state) {
    host = with;
    *out_state = NULL;
    if (getenv("PINTLE_TEST_DIES") != NULL) _Exit(8);
    return 0;
}

int plugin_run(void *state, plugin_call *call, const void *request, size_t bytes) {
    char nothing;
    (void)state;
#if !defined(_WIN32)
    char text_of_nonsense[64];
#endif
    if (is(request, bytes, "exit")) _Exit(7);
    if (is(request, bytes, "block")) {
        host->ask(call, "inside", 6, &nothing, 0);
        sleep_for_ever();
    }
#if !defined(_WIN32)
    if (is(request, bytes, "nonsense")) { /* to the host, instead of a frame */
        memset(text_of_nonsense, 0x5a, sizeof text_of_nonsense);
        if (write(3, text_of_nonsense, sizeof text_of_nonsense) > 0) sleep_for_ever();
    }
    if (is(request, bytes, "memory")) return reply(call, calloc(1, (size_t)1 << 30) == NULL ? "refused" : "given");
#endif
    return reply(call, "fine");
}
