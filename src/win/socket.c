/* socket.c (Windows): pintle_io: listening, accepting, connecting, addresses, look-ups. The operations: io.c.
 *
 * Sockets are non-blocking, which overlapped operations do not notice: what must not wait (PINTLE_NOWAIT) is done without.
 * Threads: any. Locks: none of its own. Tests: tests/api/test_io.c, tests/win/test_io_win.c. */
#include "clock.h"
#include "error.h"
#include "io.h"
#include "pintle/call.h"

enum { DEFAULT_BACKLOG = 1024 };

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_storage storage;
};

/* ---- Text ---- */

static int address_error(const char *text, const char *function) {
    return error_set(PINTLE_EINVAL, 0, "%s: '%s' is no address: use \"127.0.0.1:80\" or \"[::1]:80\"", function, text);
}

/* Digits only, up to `most`. */
static bool read_number(const char *text, unsigned long most, unsigned long *out) {
    unsigned long value = 0;
    if (*text == '\0') return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || (value = value * 10 + (unsigned long)(*text - '0')) > most) return false;
    }
    *out = value;
    return true;
}

static bool read_v6(char *host, union address *out) {
    char *scope = strchr(host, '%');
    unsigned long scope_id = 0;
    if (scope != NULL) {
        *scope = '\0';
        if (!read_number(scope + 1, UINT32_MAX / 10, &scope_id)) return false;
    }
    out->v6.sin6_family = AF_INET6;
    out->v6.sin6_scope_id = scope_id;
    return winsock.address_of_text(AF_INET6, host, &out->v6.sin6_addr) == 1;
}

static int parse(const char *text, union address *out, int *out_bytes, const char *function) {
    char host[PINTLE_IO_ADDRESS_BYTES];
    const char *colon;
    unsigned long port;
    size_t length;
    bool is_v6, is_good;
    if (text == NULL) return error_set(PINTLE_EINVAL, 0, "%s: the address is NULL", function);
    memset(out, 0, sizeof *out);
    colon = strrchr(text, ':');
    if (colon == NULL || !read_number(colon + 1, 65535, &port)) return address_error(text, function);
    length = (size_t)(colon - text);
    is_v6 = text[0] == '[' && length >= 2 && colon[-1] == ']';
    if (is_v6) {
        text++;
        length -= 2;
    }
    if (length == 0 || length >= sizeof host) return address_error(text, function);
    memcpy(host, text, length);
    host[length] = '\0';
    if (is_v6) {
        is_good = read_v6(host, out);
        out->v6.sin6_port = __builtin_bswap16((uint16_t)port);
    } else {
        is_good = winsock.address_of_text(AF_INET, host, &out->v4.sin_addr) == 1;
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = __builtin_bswap16((uint16_t)port);
    }
    *out_bytes = is_v6 ? (int)sizeof out->v6 : (int)sizeof out->v4;
    return is_good ? 0 : address_error(text, function);
}

static bool write_text(const union address *address, bool with_port, char *out_text, size_t text_bytes) {
    char host[PINTLE_IO_ADDRESS_BYTES], scope[16] = "", port[8] = "";
    bool is_v6 = address->any.sa_family == AF_INET6;
    const void *number = is_v6 ? (const void *)&address->v6.sin6_addr : (const void *)&address->v4.sin_addr;
    int length;
    if ((!is_v6 && address->any.sa_family != AF_INET) ||
        winsock.text_of_address(address->any.sa_family, number, host, sizeof host) == NULL) {
        return false;
    }
    if (is_v6 && address->v6.sin6_scope_id != 0)
        snprintf(scope, sizeof scope, "%%%lu", (unsigned long)address->v6.sin6_scope_id);
    if (with_port) snprintf(port, sizeof port, ":%u", __builtin_bswap16(address->v4.sin_port)); /* v6's is there too */
    length = snprintf(out_text, text_bytes, "%s%s%s%s%s", is_v6 ? "[" : "", host, scope, is_v6 ? "]" : "", port);
    return length >= 0 && (size_t)length < text_bytes;
}

int pintle_io_address(const pintle_io *io, char *out_text, size_t text_bytes) {
    static const char function[] = "pintle_io_address";
    union address address;
    int bytes = sizeof address;
    if (io == NULL || out_text == NULL) return error_set(PINTLE_EINVAL, 0, "%s: NULL was given", function);
    if (io->kind != IO_SOCKET) return error_set(PINTLE_EINVAL, 0, "%s: it is no socket", function);
    memset(&address, 0, sizeof address);
    if (winsock.name((SOCKET)io->handle, &address.any, &bytes) != 0) return io_error(winsock.last_error(), function);
    if (write_text(&address, true, out_text, text_bytes)) return 0;
    return error_set(PINTLE_EINVAL, 0, "%s: it does not fit into %zu bytes", function, text_bytes);
}

/* ---- Sockets ---- */

static int open_socket(int family, SOCKET *out, const char *function) {
    if (fail_now(FAIL_MEMORY)) return io_error(WSAENOBUFS, function);
    *out = winsock.socket(family, SOCK_STREAM, 0, NULL, 0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    return *out != INVALID_SOCKET ? 0 : io_error(winsock.last_error(), function);
}

/* Layered providers that wrap sockets may tell the port in any case; of datagrams Windows before 8 forgets some. */
static bool may_skip(const WSAPROTOCOL_INFOW *info) {
    return info->iSocketType == SOCK_STREAM && (info->dwServiceFlags1 & XP1_IFS_HANDLES) != 0;
}

static void set_non_blocking(SOCKET socket) {
    u_long on = 1;
    winsock.control(socket, (long)FIONBIO, &on);
}

int io_socket_look(HANDLE handle, struct io_socket *out, const char *function) {
    WSAPROTOCOL_INFOW info;
    BOOL listens = FALSE;
    int bytes = sizeof info, result;
    if (GetModuleHandleW(L"ws2_32.dll") == NULL) return 0;
    if ((result = winsock_need(function)) != 0) return result;
    if (winsock.get_option((SOCKET)handle, SOL_SOCKET, SO_PROTOCOL_INFOW, (char *)&info, &bytes) != 0) return 0;
    bytes = sizeof listens;
    winsock.get_option((SOCKET)handle, SOL_SOCKET, SO_ACCEPTCONN, (char *)&listens, &bytes);
    set_non_blocking((SOCKET)handle);
    *out = (struct io_socket){(uint16_t)info.iAddressFamily, listens != FALSE, info.iSocketType != SOCK_STREAM,
                              may_skip(&info)};
    return 1;
}

static int make_socket(pintle_io **out, SOCKET socket, int family, const char *function) {
    WSAPROTOCOL_INFOW info;
    int one = 1, bytes = sizeof info, result = io_make(out, (HANDLE)socket, IO_SOCKET, function);
    if (result != 0) return result;
    (*out)->family = (uint16_t)family;
    (*out)->may_skip = winsock.get_option(socket, SOL_SOCKET, SO_PROTOCOL_INFOW, (char *)&info, &bytes) == 0 &&
                       may_skip(&info);
    set_non_blocking(socket);
    winsock.set_option(socket, IPPROTO_TCP, TCP_NODELAY, (const char *)&one, sizeof one);
    return 0;
}

/* ---- Listening ---- */

static int listen_on(SOCKET socket, const union address *address, int bytes, int backlog) {
    int one = 1;
    if (backlog <= 0) backlog = DEFAULT_BACKLOG;
    /* Nobody else may take the address over, as SO_REUSEADDR, and no option, would let him on Windows. */
    winsock.set_option(socket, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, (const char *)&one, sizeof one);
    if (winsock.bind(socket, &address->any, bytes) != 0) return winsock.last_error();
    /* A larger one is cut to that, unless it is negative: SOMAXCONN_HINT. */
    return winsock.listen(socket, backlog <= 200 ? backlog : -backlog) == 0 ? 0 : winsock.last_error();
}

int pintle_io_listen(pintle_io **out, const char *address_text, int backlog) {
    static const char function[] = "pintle_io_listen";
    union address address;
    SOCKET socket;
    int bytes, os_code, result;
    if (out == NULL) return error_set(PINTLE_EINVAL, 0, "%s: out is NULL", function);
    *out = NULL;
    if ((result = winsock_need(function)) != 0) return result;
    if ((result = parse(address_text, &address, &bytes, function)) != 0) return result;
    if ((result = open_socket(address.any.sa_family, &socket, function)) != 0) return result;
    os_code = listen_on(socket, &address, bytes, backlog);
    result = os_code != 0 ? io_error(os_code, function) : make_socket(out, socket, address.any.sa_family, function);
    if (result != 0) {
        winsock.close(socket);
    } else {
        (*out)->is_listener = true;
    }
    return result;
}

/* ---- Accepting ---- */

enum { ADDRESS_ROOM = sizeof(struct sockaddr_storage) + 16 };

static int begin_accept(struct operation *operation) {
    DWORD bytes = 0;
    return io_last_error(winsock.accept_into((SOCKET)operation->io->handle, operation->accepted, operation->data, 0,
                                             ADDRESS_ROOM, ADDRESS_ROOM, &bytes, &operation->overlapped));
}

/* What is told of a connection that has ended already. */
static bool is_of_connection(int64_t os_code) {
    return os_code == ERROR_NETNAME_DELETED || os_code == ERROR_CONNECTION_ABORTED || os_code == WSAECONNRESET ||
           os_code == WSAECONNABORTED;
}

/* Waits for one. 0 and *out_socket, or a code with the error set. */
static int accept_waiting(pintle_io *listener, SOCKET *out_socket, int64_t deadline_ns, const char *function) {
    SOCKET from = (SOCKET)listener->handle;
    char addresses[2 * ADDRESS_ROOM];
    for (;;) {
        struct operation operation = {.data = addresses};
        int64_t result;
        pintle_error error;
        if ((result = open_socket(listener->family, &operation.accepted, function)) != 0) return (int)result;
        result = io_perform(listener, &operation, begin_accept, deadline_ns, function);
        if (result >= 0) {
            winsock.set_option(operation.accepted, SOL_SOCKET, SO_UPDATE_ACCEPT_CONTEXT, (const char *)&from,
                               sizeof from);
            *out_socket = operation.accepted;
            return 0;
        }
        winsock.close(operation.accepted);
        pintle_error_get(&error);
        if (!is_of_connection(error.os_code)) return (int)result;
    }
}

/* Without waiting. */
static int accept_now(pintle_io *listener, SOCKET *out_socket, const char *function) {
    for (;;) {
        int os_code;
        *out_socket = winsock.accept((SOCKET)listener->handle, NULL, NULL);
        if (*out_socket != INVALID_SOCKET) {
            SetHandleInformation((HANDLE)*out_socket, HANDLE_FLAG_INHERIT, 0);
            return 0;
        }
        os_code = winsock.last_error();
        if (os_code == WSAEWOULDBLOCK) return wait_result(WAKE_DEADLINE, PINTLE_NOWAIT, function);
        if (!is_of_connection(os_code)) return io_failed(listener, os_code, function);
    }
}

static int accept_one(pintle_io *listener, pintle_io **out, int64_t deadline_ns, const char *function) {
    SOCKET socket;
    int result;
    if (atomic_load_acquire(&listener->uses) & IO_ENDED) return io_failed(listener, 0, function);
    result = deadline_ns == PINTLE_NOWAIT ? accept_now(listener, &socket, function)
                                          : accept_waiting(listener, &socket, deadline_ns, function);
    if (result != 0) return result;
    result = make_socket(out, socket, listener->family, function);
    if (result != 0) winsock.close(socket);
    return result;
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

/* ---- Connecting ---- */

static int begin_connect(struct operation *operation) {
    return io_last_error(winsock.connect((SOCKET)operation->io->handle, operation->address, operation->address_bytes,
                                         NULL, 0, NULL, &operation->overlapped));
}

/* ConnectEx wants a socket that has an address. */
static int bind_to_any(SOCKET socket, int family) {
    union address any;
    memset(&any, 0, sizeof any);
    any.any.sa_family = (ADDRESS_FAMILY)family;
    if (winsock.bind(socket, &any.any, family == AF_INET6 ? (int)sizeof any.v6 : (int)sizeof any.v4) == 0) return 0;
    return winsock.last_error();
}

int pintle_io_connect(pintle_io **out, const char *address_text, int64_t deadline_ns) {
    static const char function[] = "pintle_io_connect";
    union address address;
    struct operation operation = {.address = &address};
    SOCKET socket;
    pintle_io *io;
    int os_code, result = deadline_check(deadline_ns, function);
    if (result != 0) return result;
    if (out == NULL) return error_set(PINTLE_EINVAL, 0, "%s: out is NULL", function);
    *out = NULL;
    if ((result = winsock_need(function)) != 0) return result;
    if ((result = parse(address_text, &address, &operation.address_bytes, function)) != 0) return result;
    if ((result = open_socket(address.any.sa_family, &socket, function)) != 0) return result;
    os_code = bind_to_any(socket, address.any.sa_family);
    result = os_code != 0 ? io_error(os_code, function) : make_socket(&io, socket, address.any.sa_family, function);
    if (result != 0) {
        winsock.close(socket);
        return result;
    }
    atomic_add_relaxed(&io->uses, IO_USE);
    result = (int)io_perform(io, &operation, begin_connect, deadline_ns, function);
    io_leave(io);
    if (result < 0) {
        pintle_io_close(io);
        return result;
    }
    winsock.set_option(socket, SOL_SOCKET, SO_UPDATE_CONNECT_CONTEXT, NULL, 0);
    *out = io;
    return 0;
}

int pintle_io_shutdown(pintle_io *io) {
    static const char function[] = "pintle_io_shutdown";
    int result = io_enter(io, function);
    if (result != 0) return result;
    if (io->is_listener) {
        atomic_fetch_or_explicit(&io->uses, IO_ENDED, memory_order_seq_cst); /* as in pintle_io_close */
        io_end_all(io);
    } else if (io->kind != IO_SOCKET) {
        result = error_set(PINTLE_EINVAL, 0, "%s: it is no socket", function);
    } else if (winsock.shutdown((SOCKET)io->handle, SD_SEND) != 0) {
        result = io_failed(io, winsock.last_error(), function);
    }
    io_leave(io);
    return result;
}

/* ---- Look-ups ---- */

struct lookup {
    ADDRINFOW *found;
    int os_code;
    wchar_t host[256];
};

static int look_up(void *arg) {
    struct lookup *lookup = arg;
    ADDRINFOW hints = {.ai_socktype = SOCK_STREAM};
    lookup->os_code = winsock.look_up(lookup->host, NULL, &hints, &lookup->found);
    return 0;
}

static void look_up_drop(void *arg) {
    struct lookup *lookup = arg;
    if (lookup->os_code == 0 && lookup->found != NULL) winsock.look_up_free(lookup->found);
    memory_free(lookup);
}

static int look_up_error(int os_code, const char *host, const char *function) {
    char message[256];
    os_error_text(os_code, message, sizeof message);
    return error_set(os_code == WSA_NOT_ENOUGH_MEMORY ? PINTLE_ENOMEM : PINTLE_ENOTFOUND, os_code, "%s: '%s': %s",
                     function, host, message);
}

int pintle_io_resolve(const char *host, char (*out_addresses)[PINTLE_IO_ADDRESS_BYTES], unsigned most,
                      int64_t deadline_ns) {
    static const char function[] = "pintle_io_resolve";
    struct lookup *lookup;
    unsigned count = 0;
    int result = deadline_check(deadline_ns, function);
    if (result != 0) return result;
    if (host == NULL || out_addresses == NULL || strlen(host) >= COUNT_OF(lookup->host))
        return error_set(PINTLE_EINVAL, 0, "%s: NULL was given, or a name that is too long", function);
    if ((result = winsock_need(function)) != 0) return result;
    if ((lookup = memory_alloc_zero(sizeof *lookup)) == NULL)
        return error_set(PINTLE_ENOMEM, 0, "%s: no memory for it", function);
    if (MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, host, -1, lookup->host, COUNT_OF(lookup->host)) == 0) {
        memory_free(lookup);
        return error_set(PINTLE_EINVAL, 0, "%s: the name is not UTF-8", function);
    }
    result = pintle_call_until(look_up, lookup, look_up_drop, deadline_ns, NULL);
    if (result != 0) {
        if (io_lookup_is_ours(result)) look_up_drop(lookup);
        return result;
    }
    if (lookup->os_code != 0) result = look_up_error(lookup->os_code, host, function);
    for (ADDRINFOW *one = result == 0 ? lookup->found : NULL; one != NULL && count < most; one = one->ai_next) {
        union address address;
        memset(&address, 0, sizeof address);
        memcpy(&address, one->ai_addr, one->ai_addrlen < sizeof address ? one->ai_addrlen : sizeof address);
        if (write_text(&address, false, out_addresses[count], PINTLE_IO_ADDRESS_BYTES)) count++;
    }
    look_up_drop(lookup);
    return result != 0 ? result : (int)count;
}
