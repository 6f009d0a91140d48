/* symbols.h (Windows): the names of functions in an image's own table, which has static functions too, and its exports.
 * Threads: any. Locks: none. Tests: tests/unit/test_trace.c. */
#ifndef PINTLE_SRC_WIN_SYMBOLS_H
#define PINTLE_SRC_WIN_SYMBOLS_H

#include "win.h"

/* The function that has the address (from the image's base on). False: the file has no table, or nothing before the
 * address in its section. Allocates nothing. */
bool symbols_find(const wchar_t *file_path, uint32_t address, char *out_name, size_t name_bytes, size_t *out_offset);
/* The same among the exports of an image that is loaded. *out_is_certain: the unwind data say that it is this function. */
bool symbols_find_export(const char *image, uint32_t address, const char **out_name, size_t *out_offset,
                         bool *out_is_certain);

#endif
