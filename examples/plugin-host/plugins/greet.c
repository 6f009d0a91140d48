/* greet.c: a plugin that asks its host something: by whom the one is greeted whose name is the request. */
#include "plugin.h"

static const plugin_host *host;

uint32_t plugin_interface(void) { return PLUGIN_INTERFACE; }

int plugin_open(const plugin_host *with, void **out_state) {
    host = with;
    *out_state = NULL;
    host->log(PLUGIN_LOG_INFO, "greet has begun");
    return 0;
}

int plugin_run(void *state, plugin_call *call, const void *request, size_t bytes) {
    char name[64];
    (void)state;
    int64_t length = host->ask(call, "name", 4, name, sizeof name);
    if (length < 0) return (int)length;
    if (host->reply(call, "Hello ", 6) != 0 || host->reply(call, request, bytes) != 0) return 1;
    return host->reply(call, ", from ", 7) != 0 || host->reply(call, name, (size_t)length) != 0;
}

void plugin_close(void *state) { (void)state; }
