/* blocks.c: a plugin whose call blocks: until what the request names (a handle, a descriptor) lets it go, or for ever. It
 * tells the host first that it is inside. */
#include "tiny.h"

int plugin_run(void *state, plugin_call *call, const void *request, size_t bytes) {
    char text[32] = "", nothing;
    (void)state;
    if (is(request, bytes, "fine")) return reply(call, "fine");
    host->ask(call, "inside", 6, &nothing, 0);
    if (is(request, bytes, "for ever")) sleep_for_ever();
    memcpy(text, request, bytes < sizeof text ? bytes : sizeof text - 1);
#if defined(_WIN32)
    WaitForSingleObject((HANDLE)(uintptr_t)strtoull(text, NULL, 10), INFINITE);
#else
    while (read(atoi(text), &nothing, 1) < 0) {}
#endif
    return reply(call, "let go");
}
