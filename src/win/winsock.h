/* winsock.h (Windows): ws2_32.dll, which is loaded when somebody first needs a socket: programs without pay nothing, and are
 * linked without it. Tests: tests/api/test_io.c. */
#ifndef PINTLE_SRC_WIN_WINSOCK_H
#define PINTLE_SRC_WIN_WINSOCK_H

#include <winsock2.h>
#include <ws2tcpip.h>

#include <mswsock.h>

#include "win.h"

struct winsock {
    __typeof__(&WSAStartup) startup;
    __typeof__(&WSAGetLastError) last_error;
    __typeof__(&WSASocketW) socket;
    __typeof__(&closesocket) close;
    __typeof__(&ioctlsocket) control;
    __typeof__(&WSAIoctl) io_control;
    __typeof__(&bind) bind;
    __typeof__(&listen) listen;
    __typeof__(&accept) accept;
    __typeof__(&shutdown) shutdown;
    __typeof__(&getsockname) name;
    __typeof__(&getsockopt) get_option;
    __typeof__(&setsockopt) set_option;
    __typeof__(&recv) receive_now;
    __typeof__(&send) send_now;
    __typeof__(&WSARecv) receive;
    __typeof__(&WSASend) send;
    __typeof__(&inet_pton) address_of_text;
    __typeof__(&inet_ntop) text_of_address;
    __typeof__(&GetAddrInfoW) look_up;
    __typeof__(&FreeAddrInfoW) look_up_free;
    LPFN_ACCEPTEX accept_into;
    LPFN_CONNECTEX connect;
};

/* Valid after winsock_need. */
extern struct winsock winsock;
/* Loads and starts it once. 0, or a code with the error set. */
int winsock_need(const char *function);

#endif
