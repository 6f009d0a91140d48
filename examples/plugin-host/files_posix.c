/* files_posix.c: files.h on POSIX. */
#include "files.h"

#include "host.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char files_ending[] = ".so";

void host_exit(int status) { _exit(status); }

bool files_is_absolute(const char *path) { return path[0] == '/'; }

static int is_plugin(const struct dirent *entry) {
    const char *dot = strrchr(entry->d_name, '.');
    return dot != NULL && dot != entry->d_name && strcmp(dot, files_ending) == 0;
}

static int in_order(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

struct folder {
    const char *path;
    struct dirent **entries;
    int count, error;
};

/* On the thread's own stack, since the C library's functions are used that may need more of it. */
static int folder_read(void *arg) {
    struct folder *f = arg;
    f->count = scandir(f->path, &f->entries, is_plugin, in_order);
    f->error = errno;
    return 0;
}

int files_each_plugin(const char *folder, int (*each)(void *arg, const char *path), void *arg) {
    struct folder f = {.path = folder};
    int code = 0;
    if (!files_is_absolute(folder)) return pintle_error_set(PINTLE_EINVAL, 0, "'%s' is not an absolute path", folder);
    pintle_call(folder_read, &f);
    if (f.count < 0)
        return pintle_error_set(f.error == EACCES ? PINTLE_EACCES : PINTLE_ENOTFOUND, f.error,
                                "the folder '%s' cannot be read: %s", folder, strerror(f.error));
    for (int i = 0; i < f.count; i++) {
        char path[4096];
        if (code == 0 && snprintf(path, sizeof path, "%s/%s", folder, f.entries[i]->d_name) < (int)sizeof path)
            code = each(arg, path);
        free(f.entries[i]);
    }
    free(f.entries);
    return code;
}
