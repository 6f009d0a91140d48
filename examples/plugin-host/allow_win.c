/* allow_win.c: allow.h on Windows. The hash is bcrypt.dll's. A file's work is done in foreign calls. */
#include "allow.h"

#include "host_parts.h"

#include <windows.h>

enum { BLOCK_BYTES = 64 << 10, LIST_MOST_BYTES = 1 << 20, PATH_UNITS = 4096, FOLDERS_TRIED = 1000 };

static int error_of(DWORD error, const char *path) {
    int code = error == ERROR_FILE_NOT_FOUND || error == ERROR_PATH_NOT_FOUND     ? PINTLE_ENOTFOUND
               : error == ERROR_ACCESS_DENIED || error == ERROR_SHARING_VIOLATION ? PINTLE_EACCES
               : error == ERROR_NOT_ENOUGH_MEMORY                                 ? PINTLE_ENOMEM
                                                                                  : PINTLE_EOS;
    return pintle_error_set(code, error, "'%s': error %lu", path, error);
}

/* What is done in a call: 0 or an error number. */
struct work {
    const char *from, *to;
    char *out_path, *text;
    size_t path_bytes;
    HANDLE file;
    DWORD got;
    unsigned char *block;
};

static bool wide(const char *path, wchar_t out_path[PATH_UNITS]) {
    if (MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, out_path, PATH_UNITS) == 0) return false;
    for (wchar_t *c = out_path; *c != L'\0'; c++)
        if (*c == L'/') *c = L'\\';
    return true;
}

/* The user's temporary folder is the user's alone; where it is not, set TMP to one that is. */
static int make_folder(void *arg) {
    static atomic_uint numbers;
    struct work *w = arg;
    wchar_t path[PATH_UNITS];
    DWORD length = GetTempPathW(PATH_UNITS - 64, path), error = ERROR_ALREADY_EXISTS;
    if (length == 0 || length >= PATH_UNITS - 64) return ERROR_PATH_NOT_FOUND;
    for (int i = 0; i < FOLDERS_TRIED && error == ERROR_ALREADY_EXISTS; i++) {
        swprintf(path + length, 64, L"plugin-host-%lu-%u", GetCurrentProcessId(), atomic_fetch_add(&numbers, 1));
        error = CreateDirectoryW(path, NULL) ? NO_ERROR : GetLastError();
    }
    if (error == NO_ERROR &&
        WideCharToMultiByte(CP_UTF8, 0, path, -1, w->out_path, (int)w->path_bytes, NULL, NULL) == 0)
        error = ERROR_FILENAME_EXCED_RANGE;
    return (int)error;
}

int allow_make_folder(char *out_path, size_t path_bytes) {
    struct work w = {.out_path = out_path, .path_bytes = path_bytes};
    out_path[0] = '\0';
    int error = pintle_call(make_folder, &w);
    return error == 0 ? 0 : error_of((DWORD)error, "a folder in the temporary one");
}

void allow_remove_folder(const char *path) {
    wchar_t name[PATH_UNITS];
    if (wide(path, name)) RemoveDirectoryW(name);
}

void allow_remove(const char *path) {
    wchar_t name[PATH_UNITS];
    if (!wide(path, name)) return;
    SetFileAttributesW(name, FILE_ATTRIBUTE_NORMAL);
    DeleteFileW(name);
}

static int copy(void *arg) {
    struct work *w = arg;
    wchar_t from[PATH_UNITS], to[PATH_UNITS];
    if (!wide(w->from, from) || !wide(w->to, to)) return (int)GetLastError();
    return CopyFileW(from, to, TRUE) ? 0 : (int)GetLastError();
}

int allow_copy(const char *from, const char *to) {
    struct work w = {.from = from, .to = to};
    int error = pintle_call(copy, &w);
    return error == 0 ? 0 : error_of((DWORD)error, from);
}

/* Others may read it (the loader does), not write it, not rename it, not delete it. */
static int hold(void *arg) {
    struct work *w = arg;
    wchar_t path[PATH_UNITS];
    if (!wide(w->from, path)) return (int)GetLastError();
    w->file = CreateFileW(path, GENERIC_READ, FILE_SHARE_READ, NULL, OPEN_EXISTING, FILE_FLAG_SEQUENTIAL_SCAN, NULL);
    return w->file != INVALID_HANDLE_VALUE ? 0 : (int)GetLastError();
}

int allow_hold(held *out, const char *path) {
    struct work w = {.from = path};
    int error = pintle_call(hold, &w);
    *out = (held)w.file;
    return error == 0 ? 0 : error_of((DWORD)error, path);
}

void allow_release(held file) { CloseHandle((HANDLE)file); }

bool allow_same_name(const char *a, const char *b) { return _stricmp(a, b) == 0; }

static int read_block(void *arg) {
    struct work *w = arg;
    return ReadFile(w->file, w->block, BLOCK_BYTES, &w->got, NULL) ? 0 : (int)GetLastError();
}

int allow_read(const char *path, char **out_text) {
    held file;
    size_t length = 0;
    int code = allow_hold(&file, path), error = 0;
    if (code != 0) return code;
    char *text = malloc(LIST_MOST_BYTES + BLOCK_BYTES + 1);
    struct work w = {.file = (HANDLE)file, .got = 1};
    if (text == NULL) error = ERROR_NOT_ENOUGH_MEMORY;
    while (error == 0 && w.got > 0 && length < LIST_MOST_BYTES) {
        w.block = (unsigned char *)text + length;
        error = pintle_call(read_block, &w);
        length += w.got;
    }
    allow_release(file);
    if (error == 0 && w.got > 0) error = ERROR_FILE_TOO_LARGE;
    if (error != 0) {
        free(text);
        return error_of((DWORD)error, path);
    }
    text[length] = '\0';
    *out_text = text;
    return 0;
}

/* ---- The hash ---- */

static pintle_proc open_provider = PINTLE_PROC("bcrypt.dll", "BCryptOpenAlgorithmProvider"),
                   create_hash = PINTLE_PROC("bcrypt.dll", "BCryptCreateHash"),
                   hash_data = PINTLE_PROC("bcrypt.dll", "BCryptHashData"),
                   finish_hash = PINTLE_PROC("bcrypt.dll", "BCryptFinishHash"),
                   destroy_hash = PINTLE_PROC("bcrypt.dll", "BCryptDestroyHash"),
                   close_provider = PINTLE_PROC("bcrypt.dll", "BCryptCloseAlgorithmProvider");

static int status_of(pintle_proc *proc, unsigned nargs, const uintptr_t *args) {
    return pintle_result_int(pintle_proc_call(proc, nargs, args));
}

int allow_hash(held file, unsigned char out_digest[SHA256_BYTES]) {
    void *provider = NULL, *hash = NULL;
    struct work w = {.file = (HANDLE)file, .block = malloc(BLOCK_BYTES)};
    int error = w.block == NULL ? ERROR_NOT_ENOUGH_MEMORY : 0;
    int status = status_of(&open_provider, 4, (const uintptr_t[]){(uintptr_t)&provider, (uintptr_t)L"SHA256", 0, 0});
    if (status >= 0)
        status = status_of(&create_hash, 7, (const uintptr_t[]){(uintptr_t)provider, (uintptr_t)&hash, 0, 0, 0, 0, 0});
    while (status >= 0 && error == 0 && (error = pintle_call(read_block, &w)) == 0 && w.got > 0)
        status = status_of(&hash_data, 4, (const uintptr_t[]){(uintptr_t)hash, (uintptr_t)w.block, w.got, 0});
    if (status >= 0 && error == 0)
        status = status_of(&finish_hash, 4,
                           (const uintptr_t[]){(uintptr_t)hash, (uintptr_t)out_digest, SHA256_BYTES, 0});
    if (hash != NULL) status_of(&destroy_hash, 1, (const uintptr_t[]){(uintptr_t)hash});
    if (provider != NULL) status_of(&close_provider, 2, (const uintptr_t[]){(uintptr_t)provider, 0});
    free(w.block);
    if (error != 0) return error_of((DWORD)error, "the copy to be checked");
    return status >= 0
               ? 0
               : pintle_error_set(PINTLE_EOS, status, "bcrypt.dll has no SHA-256 (status 0x%x)", (unsigned)status);
}
