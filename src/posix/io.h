/* io.h (POSIX): what the parts of pintle_io share. See io.c. Tests: tests/api/test_io.c. */
#ifndef PINTLE_SRC_POSIX_IO_H
#define PINTLE_SRC_POSIX_IO_H

#include "io_error.h"
#include "pintle/io.h"
#include "wait.h"

enum io_kind { IO_FILE, IO_PIPE, IO_SOCKET, IO_OTHER };

struct io_side {
    struct waiters waiters; /* under guard_of(io) */
    uint32_t waiting;       /* how many they are; under the guard */
    _Atomic uint32_t edges; /* how often the system told of a change; under the guard */
    _Atomic uint64_t dry;   /* edges + 1 when a read emptied it: until then there is nothing. 0: not known */
};

struct pintle_io {
    alignas(CACHE_LINE) _Atomic uint32_t uses; /* IO_USE for each operation, IO_CLOSED, IO_ENDED */
    int fd;
    enum io_kind kind;
    bool is_listener;
    bool is_stream;       /* a short read means that there was no more */
    _Atomic bool is_over; /* the other side has ended: reads wait no more on account of `dry` */
    _Atomic bool is_registered;
    _Atomic uint32_t generation; /* of the record; in the poller's token */
    uint32_t named_in;           /* epoch + 1 of the poller whose events may still name the record; 0: none */
    uint32_t epoch;              /* of the poller that it is registered in */
    struct io_side reading, writing;
    char *path; /* of a listener that is a file */
    pintle_io *next;
};
enum { IO_CLOSED = 1, IO_ENDED = 2 /* a listener that accepts no more */, IO_USE = 4 };

/* A record for the descriptor, which it owns from now on. 0, or ENOMEM with the error set: it stays the caller's. */
int io_make(pintle_io **out, int fd, enum io_kind kind, bool is_stream, const char *function);
/* An operation begins; false: ECLOSED. Ends. */
int io_enter(pintle_io *io, const char *function);
void io_leave(pintle_io *io);
/* After EAGAIN: waits until the side's edges are not `seen` any more. 0: try again; or a code with the error set. */
int io_wait(pintle_io *io, struct io_side *side, uint32_t seen, int64_t deadline_ns, const char *function);
/* Wakes all that wait for it, with ECLOSED. */
void io_wake_all(pintle_io *io);
/* io_error for an operation: ECLOSED, if that is why. */
int io_failed(pintle_io *io, int os_code, const char *function);

#endif
