/* self.h (Windows): the TLS slot of os_self(), for self.c and its tests; the assembly and arch_local.h read it too.
 * Tests: tests/win/test_os_win.c. */
#ifndef PINTLE_SRC_WIN_SELF_H
#define PINTLE_SRC_WIN_SELF_H

#include "atomic.h"

/* NONE before os_self_init. */
#define TLS_INDEX_NONE 0xFFFFFFFFu
extern _Atomic uint32_t pintle_tls_index;

#endif
