/* dll_copy.c (POSIX): private copies of libraries: another file of another name is another library, with data of its own.
 *
 * The copy lies in a folder made for it in $TMPDIR or /tmp, which only this user can enter. There it is $ORIGIN, so
 * whatever else is in the original's folder is there too, as links: what a library finds beside itself it finds, and the
 * system's linker sees by the file behind the link that it is loaded already. $ORIGIN/.. is not followed that way.
 * Threads: any. Locks: none. Order: none. Invariants: a folder that was made is removed with all that is in it.
 * Tests: tests/api/test_dll_copy.c. */
#include "dll_copy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory.h"

enum { LINKS_MOST = 10000, BLOCK_BYTES = 64 << 10 };

/* errno of the failure; 0. */
static int copy_bytes(int from, int to) {
    char *block = memory_alloc(BLOCK_BYTES);
    int error = block == NULL ? ENOMEM : 0;
    while (error == 0) {
        ssize_t got = read(from, block, BLOCK_BYTES), written = 0;
        if (got == 0) break;
        if (got < 0) error = errno;
        for (ssize_t done = 0; error == 0 && done < got; done += written)
            if ((written = write(to, block + done, (size_t)(got - done))) < 0) error = errno;
    }
    memory_free(block);
    return error;
}

/* Links to all that lies beside the original; one that cannot be made is missing, and the linker will say so. */
static void link_others(const char *original, int folder) {
    char beside[PATH_MAX], target[PATH_MAX * 2];
    snprintf(beside, sizeof beside, "%s", original);
    char *slash = strrchr(beside, '/');
    slash[slash == beside] = '\0';
    DIR *entries = opendir(beside);
    if (entries == NULL) return;
    int count = 0;
    for (struct dirent *entry = readdir(entries); entry != NULL && count < LINKS_MOST; entry = readdir(entries)) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        snprintf(target, sizeof target, "%s/%s", beside, entry->d_name);
        count += symlinkat(target, folder, entry->d_name) == 0;
    }
    closedir(entries);
}

static void folder_empty(const char *path) {
    DIR *entries = opendir(path);
    if (entries == NULL) return;
    for (struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries)) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(dirfd(entries), entry->d_name, 0); /* links, and the copy: never what they lead to */
    }
    closedir(entries);
}

void dll_copy_remove(char *copy) {
    char *slash = strrchr(copy, '/');
    *slash = '\0';
    folder_empty(copy);
    rmdir(copy);
    memory_free(copy);
}

/* The copy itself, in a folder that is there. */
static int copy_file(int from, const char *path) {
    int to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
    if (to < 0) return errno;
    int error = copy_bytes(from, to);
    if (close(to) != 0 && error == 0) error = errno;
    return error;
}

int dll_copy_make(const char *path, char **out_copy, bool *out_of_original) {
    const char *temporary = secure_getenv("TMPDIR"), *name = strrchr(path, '/') + 1;
    if (temporary == NULL || temporary[0] != '/') temporary = "/tmp";
    *out_of_original = true;
    int from = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (from < 0) return errno;
    struct stat status;
    int error = fstat(from, &status) != 0 ? errno : S_ISREG(status.st_mode) ? 0 : EISDIR;
    size_t bytes = strlen(temporary) + strlen(name) + sizeof "/pintle-XXXXXX/copy-";
    char *copy = error == 0 ? memory_alloc(bytes) : NULL;
    if (copy == NULL) {
        close(from);
        return error == 0 ? ENOMEM : error;
    }
    *out_of_original = false;
    snprintf(copy, bytes, "%s/pintle-XXXXXX", temporary);
    if (mkdtemp(copy) == NULL) {
        error = errno;
        memory_free(copy);
        close(from);
        return error;
    }
    int folder = open(copy, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder >= 0) link_others(path, folder);
    if (folder >= 0) close(folder);
    size_t length = strlen(copy);
    /* The name differs too; with that of the original the linker's list of names would be ambiguous to people. */
    snprintf(copy + length, bytes - length, "/copy-%s", name);
    error = copy_file(from, copy);
    close(from);
    if (error == 0)
        *out_copy = copy;
    else
        dll_copy_remove(copy);
    return error;
}
