/* tiny.h: all of a plugin but plugin_run, for plugins that misbehave in one way each. A file that defines TINY_OPEN or
 * TINY_CLOSE brings that function itself. */
#ifndef PINTLE_TESTS_TINY_H
#define PINTLE_TESTS_TINY_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(_WIN32)
#include <windows.h>
BOOL WINAPI DllMain(HINSTANCE instance, DWORD reason, LPVOID reserved); /* those that have one */
#else
#include <pthread.h>
#include <unistd.h>
#endif

#include "plugin.h"

static const plugin_host *host;

uint32_t plugin_interface(void) { return PLUGIN_INTERFACE; }

#if !defined(TINY_OPEN)
int plugin_open(const plugin_host *with, void **out_state) {
    host = with;
    *out_state = NULL;
    return 0;
}
#endif

#if !defined(TINY_CLOSE)
void plugin_close(void *state) { (void)state; }
#endif

/* Whether the request is that word. */
static inline bool is(const void *request, size_t bytes, const char *word) {
    return bytes == strlen(word) && memcmp(request, word, bytes) == 0;
}

static inline int reply(plugin_call *call, const char *text) { return host->reply(call, text, strlen(text)); }

static inline void sleep_for_ever(void) {
#if defined(_WIN32)
    for (;;) Sleep(INFINITE);
#else
    for (;;) pause();
#endif
}

#endif
