/* socket.c (POSIX): pintle_io: listening, accepting, connecting, addresses, look-ups. The records: io.c.
 * Threads: any. Locks: none of its own. Tests: tests/api/test_io.c. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"
#include "error.h"
#include "io.h"
#include "memory.h"
#include "os.h"
#include "pintle/call.h"

enum { DEFAULT_BACKLOG = 1024 };

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un local;
};

/* ---- Text ---- */

static int address_error(const char *text, const char *function) {
    return error_set(PINTLE_EINVAL, 0, "%s: '%s' is no address: use \"127.0.0.1:80\", \"[::1]:80\" or \"unix:/path\"",
                     function, text);
}

static int parse(const char *text, union address *out, socklen_t *out_bytes, const char *function) {
    char host[PINTLE_IO_ADDRESS_BYTES];
    const char *colon, *begin = text;
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM}, *found;
    size_t length;
    if (text == NULL) return error_set(PINTLE_EINVAL, 0, "%s: the address is NULL", function);
    memset(out, 0, sizeof *out);
    if (strncmp(text, "unix:", 5) == 0) {
        length = strlen(text + 5);
        if (length == 0 || length >= sizeof out->local.sun_path) return address_error(text, function);
        out->local.sun_family = AF_UNIX;
        memcpy(out->local.sun_path, text + 5, length + 1);
        *out_bytes = sizeof out->local;
        return 0;
    }
    colon = strrchr(text, ':');
    if (colon == NULL || colon[1] == '\0') return address_error(text, function);
    length = (size_t)(colon - begin);
    if (text[0] == '[' && length >= 2 && colon[-1] == ']') {
        begin++;
        length -= 2;
    }
    if (length == 0 || length >= sizeof host) return address_error(text, function);
    memcpy(host, begin, length);
    host[length] = '\0';
    if (getaddrinfo(host, colon + 1, &hints, &found) != 0) return address_error(text, function);
    memcpy(out, found->ai_addr, found->ai_addrlen < sizeof *out ? found->ai_addrlen : sizeof *out);
    *out_bytes = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

static bool write_text(const struct sockaddr *address, socklen_t bytes, bool with_port, char *out_text,
                       size_t text_bytes) {
    char host[NI_MAXHOST], port[NI_MAXSERV];
    const char *open = address->sa_family == AF_INET6 ? "[" : "", *close = address->sa_family == AF_INET6 ? "]" : "";
    int length;
    if (address->sa_family == AF_UNIX) {
        length = snprintf(out_text, text_bytes, "unix:%s",
                          ((const struct sockaddr_un *)(const void *)address)->sun_path);
    } else if (getnameinfo(address, bytes, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) !=
               0) {
        return false;
    } else if (with_port) {
        length = snprintf(out_text, text_bytes, "%s%s%s:%s", open, host, close, port);
    } else {
        length = snprintf(out_text, text_bytes, "%s%s%s", open, host, close);
    }
    return length >= 0 && (size_t)length < text_bytes;
}

int pintle_io_address(const pintle_io *io, char *out_text, size_t text_bytes) {
    static const char function[] = "pintle_io_address";
    union address address;
    socklen_t bytes = sizeof address;
    if (io == NULL || out_text == NULL) return error_set(PINTLE_EINVAL, 0, "%s: NULL was given", function);
    memset(&address, 0, sizeof address);
    if (getsockname(io->fd, &address.any, &bytes) != 0) return io_error(errno, function);
    if (write_text(&address.any, bytes, true, out_text, text_bytes)) return 0;
    return error_set(PINTLE_EINVAL, 0, "%s: it does not fit into %zu bytes", function, text_bytes);
}

/* ---- Sockets ---- */

static int open_socket(const union address *address, int *out_fd, const char *function) {
    *out_fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return *out_fd >= 0 ? 0 : io_error(errno, function);
}

static void without_delay(int fd, int family) {
    int one = 1;
    if (family != AF_UNIX) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static int listen_on(int fd, const union address *address, socklen_t bytes, int backlog) {
    int one = 1;
    if (address->any.sa_family != AF_UNIX) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, &address->any, bytes) != 0) return errno;
    return listen(fd, backlog > 0 ? backlog : DEFAULT_BACKLOG) == 0 ? 0 : errno;
}

int pintle_io_listen(pintle_io **out, const char *address_text, int backlog) {
    static const char function[] = "pintle_io_listen";
    union address address;
    socklen_t bytes;
    char *path = NULL;
    int fd, os_code, result;
    if (out == NULL) return error_set(PINTLE_EINVAL, 0, "%s: out is NULL", function);
    *out = NULL;
    if ((result = parse(address_text, &address, &bytes, function)) != 0) return result;
    if (address.any.sa_family == AF_UNIX) {
        if ((path = memory_alloc(sizeof address.local.sun_path)) == NULL)
            return error_set(PINTLE_ENOMEM, 0, "%s: no memory for it", function);
        memcpy(path, address.local.sun_path, sizeof address.local.sun_path);
    }
    if ((result = open_socket(&address, &fd, function)) == 0) {
        os_code = listen_on(fd, &address, bytes, backlog);
        result = os_code != 0 ? io_error(os_code, function) : io_make(out, fd, IO_SOCKET, false, function);
        if (result != 0) {
            close(fd);
            if (os_code == 0 && path != NULL) unlink(path);
        }
    }
    if (result == 0) {
        (*out)->path = path;
        (*out)->is_listener = true;
    } else {
        memory_free(path);
    }
    return result;
}

/* What accept() tells of a connection that has ended already. */
static bool is_of_connection(int os_code) {
    return os_code == EINTR || os_code == ECONNABORTED || os_code == EPROTO || os_code == ENETDOWN ||
           os_code == EHOSTUNREACH || os_code == ENETUNREACH;
}

static int accept_one(pintle_io *listener, pintle_io **out, int64_t deadline_ns, const char *function) {
    for (;;) {
        uint32_t seen = atomic_load_acquire(&listener->reading.edges);
        union address address;
        socklen_t bytes = sizeof address;
        int result, fd;
        if (atomic_load_acquire(&listener->uses) & IO_ENDED) return io_failed(listener, 0, function);
        fd = accept4(listener->fd, &address.any, &bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            without_delay(fd, address.any.sa_family);
            result = io_make(out, fd, IO_SOCKET, true, function);
            if (result != 0) close(fd);
            return result;
        }
        if (is_of_connection(errno)) continue;
        if (errno != EAGAIN) return io_failed(listener, errno, function);
        if ((result = io_wait(listener, &listener->reading, seen, deadline_ns, function)) != 0) return result;
    }
}

int pintle_io_accept(pintle_io *listener, pintle_io **out, int64_t deadline_ns) {
    static const char function[] = "pintle_io_accept";
    int result = deadline_check(deadline_ns, function);
    if (result != 0) return result;
    if (out == NULL) return error_set(PINTLE_EINVAL, 0, "%s: out is NULL", function);
    *out = NULL;
    if ((result = io_enter(listener, function)) != 0) return result;
    result = accept_one(listener, out, deadline_ns, function);
    io_leave(listener);
    return result;
}

/* Until the connection is there, or was refused. */
static int connect_wait(pintle_io *io, int64_t deadline_ns, const char *function) {
    for (;;) {
        uint32_t events, seen = atomic_load_acquire(&io->writing.edges);
        int result, os_code = os_watch_look(io->fd, POLLOUT, &events);
        socklen_t bytes = sizeof os_code;
        if (os_code != 0) return io_error(os_code, function);
        if (events != 0) {
            if (getsockopt(io->fd, SOL_SOCKET, SO_ERROR, &os_code, &bytes) != 0) os_code = errno;
            return os_code == 0 ? 0 : io_error(os_code, function);
        }
        if ((result = io_wait(io, &io->writing, seen, deadline_ns, function)) != 0) return result;
    }
}

int pintle_io_connect(pintle_io **out, const char *address_text, int64_t deadline_ns) {
    static const char function[] = "pintle_io_connect";
    union address address;
    socklen_t bytes;
    pintle_io *io;
    int fd, result = deadline_check(deadline_ns, function);
    if (result != 0) return result;
    if (out == NULL) return error_set(PINTLE_EINVAL, 0, "%s: out is NULL", function);
    *out = NULL;
    if ((result = parse(address_text, &address, &bytes, function)) != 0) return result;
    if ((result = open_socket(&address, &fd, function)) != 0) return result;
    if ((result = io_make(&io, fd, IO_SOCKET, true, function)) != 0) {
        close(fd);
        return result;
    }
    without_delay(fd, address.any.sa_family);
    if (connect(fd, &address.any, bytes) != 0) {
        if (errno == EAGAIN) {
            result = error_set(PINTLE_EBUSY, EAGAIN, "%s: the queue of '%s' is full", function, address_text);
        } else if (errno == EINPROGRESS || errno == EINTR) {
            result = connect_wait(io, deadline_ns, function);
        } else {
            result = io_error(errno, function);
        }
    }
    if (result == 0) {
        *out = io;
    } else {
        pintle_io_close(io);
    }
    return result;
}

int pintle_io_shutdown(pintle_io *io) {
    static const char function[] = "pintle_io_shutdown";
    int result = io_enter(io, function);
    if (result != 0) return result;
    if (io->is_listener) {
        atomic_or_acq_rel(&io->uses, IO_ENDED);
        shutdown(io->fd, SHUT_RDWR); /* threads that are no tasks wait in the system */
        io_wake_all(io);
    } else if (shutdown(io->fd, SHUT_WR) != 0) {
        result = io_failed(io, errno, function);
    }
    io_leave(io);
    return result;
}

/* ---- Look-ups ---- */

struct lookup {
    struct addrinfo *found;
    int os_code; /* EAI_… */
    char host[256];
};

static int look_up(void *arg) {
    struct lookup *lookup = arg;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    lookup->os_code = getaddrinfo(lookup->host, NULL, &hints, &lookup->found);
    return 0;
}

static void look_up_drop(void *arg) {
    struct lookup *lookup = arg;
    if (lookup->os_code == 0 && lookup->found != NULL) freeaddrinfo(lookup->found);
    memory_free(lookup);
}

int pintle_io_resolve(const char *host, char (*out_addresses)[PINTLE_IO_ADDRESS_BYTES], unsigned most,
                      int64_t deadline_ns) {
    static const char function[] = "pintle_io_resolve";
    struct lookup *lookup;
    unsigned count = 0;
    int result = deadline_check(deadline_ns, function);
    if (result != 0) return result;
    if (host == NULL || out_addresses == NULL || strlen(host) >= sizeof lookup->host)
        return error_set(PINTLE_EINVAL, 0, "%s: NULL was given, or a name that is too long", function);
    if ((lookup = memory_alloc_zero(sizeof *lookup)) == NULL)
        return error_set(PINTLE_ENOMEM, 0, "%s: no memory for it", function);
    memcpy(lookup->host, host, strlen(host) + 1);
    result = pintle_call_until(look_up, lookup, look_up_drop, deadline_ns, NULL);
    if (result != 0) {
        if (io_lookup_is_ours(result)) look_up_drop(lookup);
        return result;
    }
    if (lookup->os_code != 0) {
        result = error_set(lookup->os_code == EAI_MEMORY ? PINTLE_ENOMEM : PINTLE_ENOTFOUND, lookup->os_code,
                           "%s: '%s': %s", function, host, gai_strerror(lookup->os_code));
    }
    for (struct addrinfo *one = result == 0 ? lookup->found : NULL; one != NULL && count < most; one = one->ai_next) {
        if (write_text(one->ai_addr, one->ai_addrlen, false, out_addresses[count], PINTLE_IO_ADDRESS_BYTES)) count++;
    }
    look_up_drop(lookup);
    return result != 0 ? result : (int)count;
}
