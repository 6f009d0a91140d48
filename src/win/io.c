/* io.c: what the poller tells of descriptors and handles of our own: there are none yet. */
#include "io_poll.h"

void io_ready(const os_ready *ready) { (void)ready; }
