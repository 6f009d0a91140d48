/* dll_copy.h (POSIX): private copies of libraries. dll_copy.c explains.
 * Threads: any. Locks: none. Tests: tests/api/test_dll_copy.c. */
#ifndef PINTLE_SRC_POSIX_DLL_COPY_H
#define PINTLE_SRC_POSIX_DLL_COPY_H

#include "os.h"

/* Copies the file at an absolute path: *out_copy is the copy's path. errno: *out_of_original says whether the failure is
 * about the file at path or about the copy. */
int dll_copy_make(const char *path, char **out_copy, bool *out_of_original);
/* Removes the copy with its folder, and frees the path. */
void dll_copy_remove(char *copy);

#endif
