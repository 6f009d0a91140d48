/* fails_to_start.c: a plugin that refuses to begin: its DllMain on Windows; elsewhere, where a constructor cannot fail,
 * plugin_open. */
#define TINY_OPEN
#include "tiny.h"

int plugin_open(const plugin_host *with, void **out_state) {
    host = with;
    *out_state = NULL;
    return 1234;
}

int plugin_run(void *state, plugin_call *call, const void *request, size_t bytes) {
    (void)state;
    (void)request;
    (void)bytes;
    return reply(call, "this must not run");
}

#if defined(_WIN32) && !defined(ONLY_OPEN_FAILS)
BOOL WINAPI DllMain(HINSTANCE instance, DWORD reason, LPVOID reserved) {
    (void)instance;
    (void)reserved;
    return reason != DLL_PROCESS_ATTACH;
}
#endif
