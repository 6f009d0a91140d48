/* needs_other.c: a plugin that needs another library, needed (tests/dll/dependency.c). */
#include "tiny.h"

#if defined(_WIN32)
__declspec(dllimport)
#endif
    int dependency_answer(void);

int plugin_run(void *state, plugin_call *call, const void *request, size_t bytes) {
    char text[32];
    (void)state;
    (void)request;
    (void)bytes;
    snprintf(text, sizeof text, "answer %d", dependency_answer());
    return reply(call, text);
}
