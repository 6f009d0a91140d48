/* other_interface.c: a plugin for an interface that is not this host's. */
#include "plugin.h"

uint32_t plugin_interface(void) { return PLUGIN_INTERFACE + 1; }
int plugin_open(const plugin_host *host, void **out_state) {
    (void)host;
    (void)out_state;
    return 0;
}
int plugin_run(void *state, plugin_call *call, const void *request, size_t bytes) {
    (void)state;
    (void)call;
    (void)request;
    (void)bytes;
    return 0;
}
void plugin_close(void *state) { (void)state; }
