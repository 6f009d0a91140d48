/* symbols.h (POSIX): the names of functions in a file's own table, which has static functions too.
 * Threads: any. Locks: none. Tests: tests/unit/test_trace.c. */
#ifndef PINTLE_SRC_POSIX_SYMBOLS_H
#define PINTLE_SRC_POSIX_SYMBOLS_H

#include "base.h"

/* The function that has the address (as the file counts them, without the base it is loaded at). False: the file has no
 * table, or says nothing of it. Allocates nothing, and can be called by a signal handler. */
bool symbols_find(const char *file_path, uintptr_t address, char *out_name, size_t name_bytes, size_t *out_offset);

#endif
