/* io.h (Windows): what the parts of pintle_io share. See io.c. Tests: tests/api/test_io.c. */
#ifndef PINTLE_SRC_WIN_IO_H
#define PINTLE_SRC_WIN_IO_H

#include "winsock.h"

#include "io_error.h"
#include "pintle/io.h"
#include "wait.h"

enum io_kind {
    IO_SYNCHRONOUS, /* files, and what was opened without FILE_FLAG_OVERLAPPED: foreign calls */
    IO_PIPE,        /* overlapped: ReadFile, WriteFile */
    IO_SOCKET
};

struct pintle_io {
    alignas(CACHE_LINE) _Atomic uint32_t uses; /* IO_USE for each operation, IO_CLOSED, IO_ENDED */
    HANDLE handle;                             /* or SOCKET */
    enum io_kind kind;
    bool is_file, is_listener, is_datagram, appends;
    uint16_t family;         /* a socket's */
    uint32_t most_bytes;     /* of one write to the system: more are several */
    _Atomic int32_t pending; /* tasks' operations that the port has to tell the end of */
    _Atomic bool is_registered;
    bool may_skip, skips;       /* what ends at once is not told by the port */
    bool is_associated;         /* with the port, for the handle's life; under the guard */
    uint32_t epoch;             /* of the poller that it counts in */
    pintle_io *next, *previous; /* of those registered; under list_lock */
};
enum { IO_CLOSED = 1, IO_ENDED = 2 /* a listener that accepts no more */, IO_USE = 4 };

/* An overlapped operation: on the stack of who waits for it, who never leaves it before it has ended. */
struct operation {
    OVERLAPPED overlapped; /* first: its address is the port's token */
    pintle_io *io;
    struct waiters waiters; /* under guard_of(operation) */
    bool is_over;           /* under that guard */
    void *data;
    DWORD bytes;
    const void *address; /* connecting */
    int address_bytes;
    SOCKET accepted;
};

/* A record for the handle, which it owns from now on. 0, or ENOMEM with the error set: it stays the caller's. */
int io_make(pintle_io **out, HANDLE handle, enum io_kind kind, const char *function);
/* An operation begins: 0 or a code with the error set. Ends. */
int io_enter(pintle_io *io, const char *function);
void io_leave(pintle_io *io);
/* Ends what is under way, with ECLOSED. */
void io_end_all(pintle_io *io);

/* Begins it: 0: it has ended at once; ERROR_IO_PENDING; another error: it was not begun. */
typedef int begin_fn(struct operation *operation);
/* Begins it and waits for its end: how many bytes went; or a code with the error set. If it was ended early but some went,
 * they count. */
int64_t io_perform(pintle_io *io, struct operation *operation, begin_fn *begin, int64_t deadline_ns,
                   const char *function);
/* What ended at once, or could not begin. */
int io_last_error(BOOL done);

/* io_error for an operation: ECLOSED, if that is why. */
int io_failed(pintle_io *io, int os_code, const char *function);

/* file.c: reads or writes by a foreign call. */
int64_t io_call(pintle_io *io, bool writes, void *data, size_t bytes, const char *function);
/* socket.c: whether the handle is a socket, which is made non-blocking then: 1, 0, or a code with the error set. */
struct io_socket {
    uint16_t family;
    bool listens, is_datagram, may_skip;
};
int io_socket_look(HANDLE handle, struct io_socket *out, const char *function);

#endif
