/* platform.h: what the command needs of the system beyond Pintle and C. platform_win.c, platform_posix.c. Text is UTF-8. */
#ifndef PINTLE_COMMAND_PLATFORM_H
#define PINTLE_COMMAND_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { PATH_BYTES = 4096 };

/* The program's arguments in UTF-8; NULL: no memory. They live as long as the program. */
char **platform_arguments(int *count, char **argv);
/* Output is UTF-8 bytes, lines end as written. */
void platform_prepare_output(void);
/* Whether standard error is a terminal. */
bool platform_has_terminal(void);

/* The system's sentence for an error number of a call. */
void platform_error_text(uint32_t error, char *out_text, size_t text_bytes);

/* Whether a DLL's name has a folder in it. */
bool platform_is_path(const char *name);
/* The path from the root; false: too long or the current folder is unknown. */
bool platform_absolute_path(const char *path, char *out_path, size_t path_bytes);
/* The path of the running program. */
bool platform_own_program(char *out_path, size_t path_bytes);
/* The path of a file of that name in the program's own folder. */
bool platform_beside_program(const char *name, char *out_path, size_t path_bytes);
/* The path that a file of that name has, or would have, in the folder of the system's own libraries. */
bool platform_system_file(const char *name, char *out_path, size_t path_bytes);
bool platform_file_exists(const char *path);
FILE *platform_open_to_read(const char *path);

/* Whether the convention needs to know which words are floating point (PINTLE_FLOATS). */
bool platform_needs_float_mask(void);

/* The largest file of at most most_bytes in the folder of the system's own libraries. */
bool platform_find_large_file(uint64_t most_bytes, char *out_path, size_t path_bytes);

#endif
