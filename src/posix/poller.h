/* poller.h (POSIX): what pintle_io needs of the poller beside os.h. Tests: as poller.c's. */
#ifndef PINTLE_SRC_POSIX_POLLER_H
#define PINTLE_SRC_POSIX_POLLER_H

#include "os.h"

/* Registers a descriptor of our own, by edges: an OS_READY_IO with the token (above 1) for each change, the first at once if it
 * is ready. It is out again when the last descriptor of it is closed. 0 or errno (EPERM: it is always ready). */
int poller_add(int fd, uint64_t token);

#endif
