/* plugin.h: what a plugin exports and what its host offers it. A plugin is a DLL (a shared object) that includes this file
 * and nothing else of the host's: C, fixed-size numbers, pointers and byte counts, no structure that may grow but the
 * host's table, which begins with its size.
 *
 *     #include "plugin.h"
 *     PLUGIN_EXPORT uint32_t plugin_interface(void) { return PLUGIN_INTERFACE; }
 *     PLUGIN_EXPORT int plugin_open(const plugin_host *host, void **out_state) { …; return 0; }
 *     PLUGIN_EXPORT int plugin_run(void *state, plugin_call *call, const void *request, size_t bytes) { …; return 0; }
 *     PLUGIN_EXPORT void plugin_close(void *state) { … }
 *
 * Requests and replies are bytes, so a plugin runs in the host's process or in one of its own without knowing which. */
#ifndef PLUGIN_H
#define PLUGIN_H

#include <stddef.h>
#include <stdint.h>

/* A plugin of another interface is not loaded. */
#define PLUGIN_INTERFACE 1u

#if defined(_WIN32)
#define PLUGIN_EXPORT __declspec(dllexport)
#else
#define PLUGIN_EXPORT __attribute__((visibility("default")))
#endif

/* One request, from plugin_run's beginning to its return. The host's; for a plugin it is a name. */
typedef struct plugin_call plugin_call;

enum { PLUGIN_LOG_ERROR = 1, PLUGIN_LOG_WARNING = 2, PLUGIN_LOG_INFO = 3 };

/* Errors of reply and ask. */
enum {
    PLUGIN_GONE = -1, /* the host has unloaded the plugin, or stops */
    PLUGIN_TOO_LARGE =
        -2, /* the reply is above the host's limit, or the answer does not fit: nothing was taken or given */
    PLUGIN_REFUSED = -3, /* the host does not answer this question */
    PLUGIN_NO_MEMORY = -4
};

/* What the host offers, from plugin_open's beginning to plugin_close's return. Each may be called by any thread that the
 * plugin has, in any number at a time, and may take as long as the host likes. The host may end a call in the middle of
 * one of these, as longjmp would: what the plugin then holds it keeps, so hold no lock over them. */
typedef struct plugin_host {
    uint32_t size;              /* of the host's table; what later interfaces add lies behind what is here */
    uint32_t interface_version; /* PLUGIN_INTERFACE of the host */
    void (*log)(int level, const char *text);
    /* Adds to the reply of the call: 0, or an error. Not by two threads for one call at a time. */
    int (*reply)(plugin_call *call, const void *data, size_t bytes);
    /* Asks the host something; what, is between the two. call: the one it is for; NULL on threads of the plugin's own.
     * The bytes of the answer, at most answer_bytes, or an error. */
    int64_t (*ask)(plugin_call *call, const void *question, size_t bytes, void *out_answer, size_t answer_bytes);
} plugin_host;

/* Asked first; the plugin is to do nothing in it. */
PLUGIN_EXPORT uint32_t plugin_interface(void);
/* Once, before any call. 0, or a code of the plugin's own, and the plugin is not used. */
PLUGIN_EXPORT int plugin_open(const plugin_host *host, void **out_state);
/* By many threads at a time, hardly ever the same for one request and the next: nothing may be kept in thread-local
 * variables between two. The value goes to who asked, with the reply. */
PLUGIN_EXPORT int plugin_run(void *state, plugin_call *call, const void *request, size_t bytes);
/* Once, with no call under way. When it returns, no thread of the plugin's may run its code any more. */
PLUGIN_EXPORT void plugin_close(void *state);

#endif
