/* wire.h: frames between a host and a plugin's process, over a channel.
 *
 * A frame is a head of 16 bytes (the count of bytes that follow it, a kind, an id, in the machine's order) and bytes. Both
 * sides are the same program on the same machine; but what the child says is not believed: counts and ids are checked. */
#ifndef PLUGIN_HOST_WIRE_H
#define PLUGIN_HOST_WIRE_H

#include "process.h"

typedef enum frame_kind {
    /* to the child */
    FRAME_START = 1, /* start_plan, the plugin's path, NUL, the list's path, NUL: load it */
    FRAME_OPEN,
    FRAME_CALL,   /* the request */
    FRAME_ANSWER, /* answer_head, the answer; or, with panicked, a text */
    FRAME_CLOSE,  /* plugin_close, when no call is under way */
    FRAME_END,    /* unload it, and end */
    /* from the child */
    FRAME_LOADED = 32, /* outcome: of START */
    FRAME_OPENED,      /* outcome */
    FRAME_REPLY,       /* outcome; the value is in it, the reply behind it, or the error's text */
    FRAME_ASK,         /* ask_head, the question */
    FRAME_LOG,         /* uint64: the level; the text */
    FRAME_CLOSED       /* outcome */
} frame_kind;

typedef struct start_plan {
    uint64_t memory_most_bytes, reply_most_bytes;
} start_plan;

typedef struct outcome {
    int32_t code, value; /* 0, or an error whose text follows */
    int64_t os_code;
} outcome;

typedef struct ask_head {
    uint64_t answer_most, call_id; /* 0: for no call */
} ask_head;

typedef struct answer_head {
    int64_t value;
    uint64_t panicked;
} answer_head;

typedef struct frame {
    frame_kind kind;
    uint64_t id;
    const char *data; /* until the next wire_receive */
    size_t bytes;
} frame;

typedef struct wire wire;

/* Takes over the channel; frames of more bytes than that are nonsense. NULL: no memory (the channel is closed). */
wire *wire_new(channel *c, size_t most_bytes);
void wire_free(wire *w);
/* Sends a frame of two parts. By any task; those that come while one sends are sent with its next write. false: the other side is
 * gone. */
bool wire_send(wire *w, frame_kind kind, uint64_t id, const void *head, size_t head_bytes, const void *data,
               size_t bytes);
/* Waits until all that was sent is written, or the other side is gone. */
void wire_flush(wire *w);
/* The next frame; false: the other side is gone, or talks nonsense. By one task. */
bool wire_receive(wire *w, frame *out);

#endif
