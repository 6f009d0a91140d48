/* words.c: a plugin that counts the words of a text. The reply is text: "3 words, version 1". */
#include "plugin.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>

#if !defined(WORDS_VERSION)
#define WORDS_VERSION 1
#endif

static const plugin_host *host;

uint32_t plugin_interface(void) { return PLUGIN_INTERFACE; }

int plugin_open(const plugin_host *with, void **out_state) {
    host = with;
    *out_state = NULL; /* nothing to keep between calls */
    return 0;
}

int plugin_run(void *state, plugin_call *call, const void *request, size_t bytes) {
    const unsigned char *text = request;
    unsigned words = 0;
    bool inside = false;
    char reply[64];
    (void)state;
    for (size_t i = 0; i < bytes; i++) {
        bool letter = !isspace(text[i]);
        if (letter && !inside) words++;
        inside = letter;
    }
    int length = snprintf(reply, sizeof reply, "%u words, version %d", words, WORDS_VERSION);
    return host->reply(call, reply, (size_t)length);
}

void plugin_close(void *state) { (void)state; }
