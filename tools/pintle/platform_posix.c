/* platform_posix.c: platform.h for POSIX. */
#include "platform.h"

#include <dirent.h>
#include <dlfcn.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char **platform_arguments(int *count, char **argv) {
    (void)count;
    return argv;
}

void platform_prepare_output(void) {}

bool platform_has_terminal(void) { return isatty(STDERR_FILENO) != 0; }

void platform_error_text(uint32_t error, char *out_text, size_t text_bytes) {
    snprintf(out_text, text_bytes, "%s", strerror((int)error));
}

bool platform_is_path(const char *name) { return strchr(name, '/') != NULL; }

static bool join(const char *folder, const char *name, char *out_path, size_t path_bytes) {
    int length = snprintf(out_path, path_bytes, "%s/%s", folder, name);
    return length > 0 && (size_t)length < path_bytes;
}

bool platform_absolute_path(const char *path, char *out_path, size_t path_bytes) {
    char folder[PATH_BYTES];
    if (path[0] == '/') return (size_t)snprintf(out_path, path_bytes, "%s", path) < path_bytes;
    return getcwd(folder, sizeof folder) != NULL && join(folder, path, out_path, path_bytes);
}

bool platform_own_program(char *out_path, size_t path_bytes) {
    ssize_t length = readlink("/proc/self/exe", out_path, path_bytes);
    if (length <= 0 || (size_t)length >= path_bytes) return false;
    out_path[length] = '\0';
    return true;
}

bool platform_beside_program(const char *name, char *out_path, size_t path_bytes) {
    char program[PATH_BYTES];
    if (!platform_own_program(program, sizeof program)) return false;
    char *slash = strrchr(program, '/');
    if (slash == NULL) return false;
    *slash = '\0';
    return join(program, name, out_path, path_bytes);
}

/* Of the C library, by a function of it that no sanitizer or preloaded library puts its own in front of. */
static bool system_folder(char out_folder[PATH_BYTES]) {
    Dl_info info;
    char path[PATH_BYTES];
    if (dladdr(dlsym(RTLD_DEFAULT, "getsubopt"), &info) == 0 || info.dli_fname == NULL) return false;
    if (realpath(info.dli_fname, path) == NULL) return false;
    snprintf(out_folder, PATH_BYTES, "%s", path);
    char *slash = strrchr(out_folder, '/');
    if (slash == NULL) return false;
    *slash = '\0';
    return true;
}

bool platform_system_file(const char *name, char *out_path, size_t path_bytes) {
    char folder[PATH_BYTES];
    return system_folder(folder) && join(folder, name, out_path, path_bytes);
}

bool platform_file_exists(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

FILE *platform_open_to_read(const char *path) { return fopen(path, "rb"); }

bool platform_needs_float_mask(void) { return true; }

bool platform_find_large_file(uint64_t most_bytes, char *out_path, size_t path_bytes) {
    char folder[PATH_BYTES], path[PATH_BYTES];
    uint64_t best_bytes = 0;
    if (!system_folder(folder)) return false;

    DIR *directory = opendir(folder);
    if (directory == NULL) return false;
    for (const struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        struct stat status;
        if (!join(folder, entry->d_name, path, sizeof path) || lstat(path, &status) != 0) continue;
        if (!S_ISREG(status.st_mode) || access(path, R_OK) != 0) continue;
        uint64_t bytes = (uint64_t)status.st_size;
        if (bytes <= best_bytes || bytes > most_bytes || strlen(path) >= path_bytes) continue;
        best_bytes = bytes;
        strcpy(out_path, path);
    }
    closedir(directory);
    return best_bytes != 0;
}
