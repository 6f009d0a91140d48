/* io_error.h: the errors of pintle_io, the same on every system. Threads: any. Locks: none. Tests: tests/api/test_io.c. */
#ifndef PINTLE_SRC_IO_ERROR_H
#define PINTLE_SRC_IO_ERROR_H

#include "base.h"

/* The code for a system's error number. Implemented in src/<os>/io.c. */
int io_code_of(int os_code);
/* That code, with the error set; the same of a file's path; ECLOSED. */
int io_error(int os_code, const char *function);
int io_path_error(int os_code, const char *path, const char *function);
int io_closed_error(const char *function);
/* What a look-up ended with, by pintle_call_until: whether its argument is the caller's again, since the call was not made or is
 * over without its value. */
bool io_lookup_is_ours(int result);

#endif
