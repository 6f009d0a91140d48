/* files_win.c: files.h on Windows. */
#include "files.h"

#include "host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

enum { PATH_UNITS = 4096, FILES_MOST = 1000 };

const char files_ending[] = ".dll";

/* Not ExitProcess: that waits for the loader, which a DllMain may hold. */
void host_exit(int status) {
    TerminateProcess(GetCurrentProcess(), (UINT)status);
    abort();
}

static int in_order(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

bool files_is_absolute(const char *path) {
    return (path[0] == '\\' && path[1] == '\\') ||
           (path[0] != '\0' && path[1] == ':' && (path[2] == '\\' || path[2] == '/'));
}

struct folder {
    wchar_t pattern[PATH_UNITS];
    char *names[FILES_MOST];
    int count;
    DWORD error;
};

/* Names that end so by their long name; a pattern alone takes those whose short name does (x.dllx). */
static void folder_add(struct folder *f, const wchar_t *name) {
    const wchar_t *dot = wcsrchr(name, L'.');
    char utf8[1024];
    if (dot == NULL || dot == name || _wcsicmp(dot, L".dll") != 0) return;
    if (WideCharToMultiByte(CP_UTF8, 0, name, -1, utf8, sizeof utf8, NULL, NULL) == 0) return;
    if (f->count == FILES_MOST)
        f->error = ERROR_TOO_MANY_NAMES;
    else if ((f->names[f->count] = _strdup(utf8)) == NULL)
        f->error = ERROR_NOT_ENOUGH_MEMORY;
    else
        f->count++;
}

static int folder_read(void *arg) {
    struct folder *f = arg;
    WIN32_FIND_DATAW found;
    HANDLE search = FindFirstFileW(f->pattern, &found);
    if (search == INVALID_HANDLE_VALUE) {
        DWORD error = GetLastError();
        f->error = error == ERROR_FILE_NOT_FOUND ? 0 : error; /* a folder without any */
        return 0;
    }
    do {
        if ((found.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) == 0) folder_add(f, found.cFileName);
    } while (FindNextFileW(search, &found));
    FindClose(search);
    qsort(f->names, (size_t)f->count, sizeof f->names[0], in_order);
    return 0;
}

int files_each_plugin(const char *folder, int (*each)(void *arg, const char *path), void *arg) {
    char path[4096];
    if (!files_is_absolute(folder)) return pintle_error_set(PINTLE_EINVAL, 0, "'%s' is not an absolute path", folder);
    struct folder *f = calloc(1, sizeof *f);
    if (f == NULL) return pintle_error_set(PINTLE_ENOMEM, 0, "no memory for the names in '%s'", folder);
    int code = 0;
    snprintf(path, sizeof path, "%s\\*.dll", folder);
    if (MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, f->pattern, PATH_UNITS) == 0)
        f->error = GetLastError();
    else
        pintle_call(folder_read, f);
    if (f->error != 0)
        code = pintle_error_set(f->error == ERROR_ACCESS_DENIED ? PINTLE_EACCES : PINTLE_ENOTFOUND, f->error,
                                "the folder '%s' cannot be read: error %lu", folder, f->error);
    for (int i = 0; i < f->count; i++) {
        if (code == 0 && snprintf(path, sizeof path, "%s\\%s", folder, f->names[i]) < (int)sizeof path)
            code = each(arg, path);
        free(f->names[i]);
    }
    free(f);
    return code;
}
