/* panics.c: a plugin that asks its host what the host answers by a panic. */
#include "tiny.h"

int plugin_run(void *state, plugin_call *call, const void *request, size_t bytes) {
    char nothing;
    (void)state;
    if (is(request, bytes, "fine")) return reply(call, "fine");
    reply(call, "what the call must not come back with");
    host->ask(call, request, bytes, &nothing, 0);
    return reply(call, ", nor with this");
}
