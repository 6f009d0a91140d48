/* call.h: what `pintle call` was asked for and what came out: call.c fills it, report.c prints it. */
#ifndef PINTLE_COMMAND_CALL_H
#define PINTLE_COMMAND_CALL_H

#include "command.h"
#include "words.h"

struct call_request {
    const char *dll, *proc; /* as typed */
    uint64_t tasks, repeat, processors;
    bool blocking, json;
    struct words words;
};

struct call_outcome {
    pintle_result result;   /* of the first task's last call */
    unsigned char *block;   /* what its arguments point to, after that call */
    uint64_t *durations_ns; /* of every call */
    uint64_t calls;
};

/* Sorts the durations. STATUS_OK, or STATUS_FAILED if there is no memory. */
int report_outcome(const struct call_request *request, struct call_outcome *outcome);

#endif
