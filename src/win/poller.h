/* poller.h (Windows): the completion port, for pintle_io and the waits for handles. Tests: as poller.c's. */
#ifndef PINTLE_SRC_WIN_POLLER_H
#define PINTLE_SRC_WIN_POLLER_H

#include "win.h"

enum { POLLER_KEY_WAKE, POLLER_KEY_WATCH, POLLER_KEY_IO };

/* Completions of the handle's overlapped operations come as OS_READY_IO, the token being the OVERLAPPED's address. Once, and
 * for the handle's whole life. 0 or GetLastError(). */
DWORD poller_associate(HANDLE handle);
/* The handle is closed. The port lasts as long as the poller, and as handles belong to it. */
void poller_dissociate(void);
/* Posts an OS_READY_WATCH with the token. */
void poller_post(uint64_t token);

/* watch.c: ends its threads. */
void watches_end(void);

#endif
