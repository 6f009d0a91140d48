/* stuck_start.c: a plugin whose start (DllMain, a constructor) blocks, under the loader's lock: PINTLE_TEST_STUCK in the
 * environment is the handle or descriptor that lets it go, or text, and then it is for ever. */
#include "tiny.h"

int plugin_run(void *state, plugin_call *call, const void *request, size_t bytes) {
    (void)state;
    (void)request;
    (void)bytes;
    return reply(call, "started");
}

static void start_slowly(void) {
#if defined(_WIN32)
    char text[32] = "";
    GetEnvironmentVariableA("PINTLE_TEST_STUCK", text, sizeof text);
    if (atoll(text) == 0) sleep_for_ever();
    WaitForSingleObject((HANDLE)(uintptr_t)strtoull(text, NULL, 10), INFINITE);
}
BOOL WINAPI DllMain(HINSTANCE instance, DWORD reason, LPVOID reserved) {
    (void)instance;
    (void)reserved;
    if (reason == DLL_PROCESS_ATTACH) start_slowly();
    return TRUE;
}
#else
    const char *text = getenv("PINTLE_TEST_STUCK");
    char nothing;
    if (text == NULL || atoi(text) == 0) sleep_for_ever();
    while (read(atoi(text), &nothing, 1) < 0) {}
}
__attribute__((constructor)) static void loaded(void) { start_slowly(); }
#endif
