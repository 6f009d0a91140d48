/* wire.c: wire.h. Who sends puts a frame into the buffer; one of them, the first, writes what has come together, until there is
 * nothing: so many small frames need few system calls, and no task is needed for writing. */
#include "wire.h"

#include "host_parts.h"

enum { FIRST_ROOM = 16 << 10, WAITING_MOST = 64 << 20 };

struct head {
    uint32_t bytes, kind;
    uint64_t id;
};

struct buffer {
    char *data;
    size_t bytes, room;
};

struct wire {
    channel *channel;
    size_t most_bytes; /* of a frame that comes */
    pintle_mutex lock; /* of what is to be written */
    pintle_cond written;
    struct buffer next, now;
    bool writing, broken;
    struct buffer in; /* read: from `at` on not taken yet */
    size_t at;
};

wire *wire_new(channel *c, size_t most_bytes) {
    wire *w = calloc(1, sizeof *w);
    if (w == NULL) channel_close(c);
    if (w == NULL) return NULL;
    w->channel = c;
    w->most_bytes = most_bytes;
    return w;
}

void wire_free(wire *w) {
    channel_close(w->channel);
    free(w->next.data);
    free(w->now.data);
    free(w->in.data);
    free(w);
}

static bool make_room(struct buffer *b, size_t bytes) {
    if (b->room - b->bytes >= bytes) return true;
    size_t room = b->room == 0 ? FIRST_ROOM : b->room;
    while (room - b->bytes < bytes) room *= 2;
    char *grown = realloc(b->data, room);
    if (grown == NULL) return false;
    b->data = grown;
    b->room = room;
    return true;
}

static void put(struct buffer *b, const void *data, size_t bytes) {
    if (bytes > 0) memcpy(b->data + b->bytes, data, bytes);
    b->bytes += bytes;
}

static void write_all_locked(wire *w) {
    w->writing = true;
    while (w->next.bytes > 0 && !w->broken) {
        struct buffer full = w->next;
        w->next = w->now;
        w->now = full;
        pintle_mutex_unlock(&w->lock);
        bool done = channel_write(w->channel, w->now.data, w->now.bytes);
        pintle_mutex_lock(&w->lock, PINTLE_FOREVER);
        w->now.bytes = 0;
        if (!done) w->broken = true;
        pintle_cond_broadcast(&w->written);
    }
    w->writing = false;
    pintle_cond_broadcast(&w->written);
}

void wire_flush(wire *w) {
    pintle_mutex_lock(&w->lock, PINTLE_FOREVER);
    while (w->writing && pintle_cond_wait(&w->written, &w->lock, PINTLE_FOREVER) != PINTLE_ECANCELED) {}
    pintle_mutex_unlock(&w->lock);
}

bool wire_send(wire *w, frame_kind kind, uint64_t id, const void *head, size_t head_bytes, const void *data,
               size_t bytes) {
    struct head start = {.bytes = (uint32_t)(head_bytes + bytes), .kind = kind, .id = id};
    pintle_mutex_lock(&w->lock, PINTLE_FOREVER);
    while (w->next.bytes > WAITING_MOST && !w->broken)
        if (pintle_cond_wait(&w->written, &w->lock, PINTLE_FOREVER) == PINTLE_ECANCELED) break;
    bool done = !w->broken && make_room(&w->next, sizeof start + head_bytes + bytes);
    if (done) {
        put(&w->next, &start, sizeof start);
        put(&w->next, head, head_bytes);
        put(&w->next, data, bytes);
        if (!w->writing) write_all_locked(w);
        done = !w->broken;
    }
    pintle_mutex_unlock(&w->lock);
    return done;
}

/* Until `bytes` are there behind `at`. */
static bool fill(wire *w, size_t bytes) {
    struct buffer *in = &w->in;
    if (in->bytes - w->at >= bytes) return true;
    if (w->at > 0) {
        memmove(in->data, in->data + w->at, in->bytes - w->at);
        in->bytes -= w->at;
        w->at = 0;
    }
    if (!make_room(in, bytes > FIRST_ROOM ? bytes - in->bytes : FIRST_ROOM)) return false;
    while (in->bytes < bytes) {
        size_t got = channel_read(w->channel, in->data + in->bytes, in->room - in->bytes);
        if (got == 0) return false;
        in->bytes += got;
    }
    return true;
}

bool wire_receive(wire *w, frame *out) {
    struct head head;
    if (!fill(w, sizeof head)) return false;
    memcpy(&head, w->in.data + w->at, sizeof head);
    if (head.bytes > w->most_bytes || !fill(w, sizeof head + head.bytes)) return false;
    *out = (frame){
        .kind = (frame_kind)head.kind, .id = head.id, .data = w->in.data + w->at + sizeof head, .bytes = head.bytes};
    w->at += sizeof head + head.bytes;
    return true;
}
