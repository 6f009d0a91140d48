/* files.h: what the host needs of the system's files. files_win.c, files_posix.c. Paths are UTF-8. */
#ifndef PLUGIN_HOST_FILES_H
#define PLUGIN_HOST_FILES_H

#include <stdbool.h>
#include <stddef.h>

/* How the system's libraries end: ".dll", ".so". */
extern const char files_ending[];

bool files_is_absolute(const char *path);

/* Calls each with the path of every plugin in the folder, in the order of their names; it goes on as long as each gives 0.
 * 0, each's value, or a code with its error set: the folder is not absolute, is none, or has more than 1,000 files. */
int files_each_plugin(const char *folder, int (*each)(void *arg, const char *path), void *arg);

#endif
