/* winsock.c (Windows): see winsock.h. Never unloaded, as each socket of the process needs it.
 * Threads: any; who comes first loads, in a foreign call. Locks: its own. Order: is_ready release, acquire, carries the table.
 * Tests: tests/api/test_io.c, tests/win/test_io_win.c. */
#include "winsock.h"

#include "error.h"
#include "pintle/call.h"

struct winsock winsock;

static _Atomic bool is_ready;
static SRWLOCK publishing = SRWLOCK_INIT;

struct loading {
    struct winsock table;
    int code;
    int64_t os_code;
    char text[512];
};

static bool find(struct loading *loading, void *dll, const char *name, void *out_function) {
    void *address = NULL;
    if ((loading->os_code = os_dll_symbol(dll, name, 0, &address)) != 0) {
        loading->code = PINTLE_EOS;
        snprintf(loading->text, sizeof loading->text, "ws2_32.dll has no %s", name);
        return false;
    }
    memcpy(out_function, &address, sizeof address);
    return true;
}

static bool find_all(struct loading *loading, void *dll) {
    struct winsock *table = &loading->table;
    return find(loading, dll, "WSAStartup", &table->startup) &&
           find(loading, dll, "WSAGetLastError", &table->last_error) &&
           find(loading, dll, "WSASocketW", &table->socket) && find(loading, dll, "closesocket", &table->close) &&
           find(loading, dll, "ioctlsocket", &table->control) && find(loading, dll, "WSAIoctl", &table->io_control) &&
           find(loading, dll, "bind", &table->bind) && find(loading, dll, "listen", &table->listen) &&
           find(loading, dll, "accept", &table->accept) && find(loading, dll, "shutdown", &table->shutdown) &&
           find(loading, dll, "getsockname", &table->name) && find(loading, dll, "getsockopt", &table->get_option) &&
           find(loading, dll, "setsockopt", &table->set_option) && find(loading, dll, "recv", &table->receive_now) &&
           find(loading, dll, "send", &table->send_now) && find(loading, dll, "WSARecv", &table->receive) &&
           find(loading, dll, "WSASend", &table->send) && find(loading, dll, "inet_pton", &table->address_of_text) &&
           find(loading, dll, "inet_ntop", &table->text_of_address) &&
           find(loading, dll, "GetAddrInfoW", &table->look_up) &&
           find(loading, dll, "FreeAddrInfoW", &table->look_up_free);
}

static bool fail_with(struct loading *loading, const char *what, int os_code) {
    loading->code = os_code == WSAEMFILE ? PINTLE_ELIMIT : PINTLE_EOS;
    loading->os_code = os_code;
    snprintf(loading->text, sizeof loading->text, "%s failed with error %d", what, os_code);
    return false;
}

/* The two that no library exports. */
static bool find_extensions(struct loading *loading) {
    struct winsock *table = &loading->table;
    GUID accept_id = WSAID_ACCEPTEX, connect_id = WSAID_CONNECTEX;
    DWORD bytes;
    SOCKET any = table->socket(AF_INET, SOCK_STREAM, 0, NULL, 0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    if (any == INVALID_SOCKET) return fail_with(loading, "WSASocketW", table->last_error());
    bool found = table->io_control(any, SIO_GET_EXTENSION_FUNCTION_POINTER, &accept_id, sizeof accept_id,
                                   &table->accept_into, sizeof table->accept_into, &bytes, NULL, NULL) == 0 &&
                 table->io_control(any, SIO_GET_EXTENSION_FUNCTION_POINTER, &connect_id, sizeof connect_id,
                                   &table->connect, sizeof table->connect, &bytes, NULL, NULL) == 0;
    if (!found) fail_with(loading, "asking for AcceptEx and ConnectEx", table->last_error());
    table->close(any);
    return found;
}

static int load(void *arg) {
    struct loading *loading = arg;
    WSADATA data;
    void *dll = NULL;
    int os_code;
    loading->os_code = os_dll_open("ws2_32.dll", true, &dll, &loading->code, loading->text, sizeof loading->text);
    if (loading->os_code != 0 || !find_all(loading, dll)) return 0;
    if ((os_code = loading->table.startup(MAKEWORD(2, 2), &data)) != 0) {
        fail_with(loading, "WSAStartup", os_code);
        return 0;
    }
    return find_extensions(loading);
}

int winsock_need(const char *function) {
    struct loading loading;
    if (LIKELY(atomic_load_acquire(&is_ready))) return 0;
    memset(&loading, 0, sizeof loading);
    if (!pintle_call(load, &loading)) {
        return error_set(loading.code, loading.os_code, "%s: there are no sockets: %s", function, loading.text);
    }
    AcquireSRWLockExclusive(&publishing);
    if (!atomic_load_relaxed(&is_ready)) {
        winsock = loading.table;
        atomic_store_release(&is_ready, true);
    }
    ReleaseSRWLockExclusive(&publishing);
    return 0;
}
