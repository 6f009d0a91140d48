/* signals.h: see signals.c. */
#ifndef PINTLE_SRC_SIGNALS_H
#define PINTLE_SRC_SIGNALS_H

#include "base.h"

/* The runtime ends: closes all that are open, gives handlers back. In library mode nothing of ours runs anywhere afterwards. */
void signals_shutdown(bool library_mode);

#endif
