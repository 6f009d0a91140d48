/* platform_win.c: platform.h for Windows. */
#include "platform.h"

#include <fcntl.h>
#include <io.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h> /* before shellapi.h, which needs it */

#include <shellapi.h>

/* ---- UTF-8 and UTF-16 ---- */

static bool to_utf16(const char *text, wchar_t *out_text, size_t units) {
    return MultiByteToWideChar(CP_UTF8, 0, text, -1, out_text, (int)units) > 0;
}

static bool to_utf8(const wchar_t *text, char *out_text, size_t bytes) {
    return WideCharToMultiByte(CP_UTF8, 0, text, -1, out_text, (int)bytes, NULL, NULL) > 0;
}

/* main's argv is in the code page, and the C runtime has expanded what looks like a wildcard (u32*:1). */
char **platform_arguments(int *count, char **argv) {
    wchar_t **wide = CommandLineToArgvW(GetCommandLineW(), count);
    (void)argv;
    if (wide == NULL) return NULL;
    char **arguments = calloc((size_t)*count + 1, sizeof *arguments);
    for (int i = 0; arguments != NULL && i < *count; i++) {
        int bytes = WideCharToMultiByte(CP_UTF8, 0, wide[i], -1, NULL, 0, NULL, NULL);
        arguments[i] = bytes > 0 ? malloc((size_t)bytes) : NULL;
        if (arguments[i] == NULL) return NULL;
        WideCharToMultiByte(CP_UTF8, 0, wide[i], -1, arguments[i], bytes, NULL, NULL);
    }
    LocalFree(wide);
    return arguments;
}

static UINT code_page_before;

static void restore_code_page(void) { SetConsoleOutputCP(code_page_before); }

void platform_prepare_output(void) {
    _setmode(_fileno(stdout), _O_BINARY);
    _setmode(_fileno(stderr), _O_BINARY);
    code_page_before = GetConsoleOutputCP(); /* 0: no console */
    if (code_page_before == 0 || code_page_before == CP_UTF8 || !SetConsoleOutputCP(CP_UTF8)) return;
    atexit(restore_code_page); /* it is the console's, and outlives us */
}

bool platform_has_terminal(void) {
    DWORD mode;
    return GetConsoleMode(GetStdHandle(STD_ERROR_HANDLE), &mode) != 0;
}

void platform_error_text(uint32_t error, char *out_text, size_t text_bytes) {
    wchar_t wide[512];
    DWORD length = FormatMessageW(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS, NULL, error, 0, wide,
                                  sizeof wide / sizeof wide[0], NULL);
    while (length > 0 && (wide[length - 1] == L'\n' || wide[length - 1] == L'\r' || wide[length - 1] == L' ')) length--;
    wide[length] = L'\0';
    if (length == 0 || !to_utf8(wide, out_text, text_bytes)) {
        snprintf(out_text, text_bytes, "the system has no message for it");
    }
}

/* ---- Paths ---- */

bool platform_is_path(const char *name) { return strpbrk(name, "/\\:") != NULL; }

bool platform_absolute_path(const char *path, char *out_path, size_t path_bytes) {
    wchar_t wide[PATH_BYTES], full[PATH_BYTES];
    if (!to_utf16(path, wide, PATH_BYTES)) return false;
    DWORD length = GetFullPathNameW(wide, PATH_BYTES, full, NULL);
    return length > 0 && length < PATH_BYTES && to_utf8(full, out_path, path_bytes);
}

static bool join(const wchar_t *folder, const wchar_t *name, wchar_t *out_path) {
    int length = _snwprintf(out_path, PATH_BYTES, L"%ls\\%ls", folder, name);
    return length > 0 && length < PATH_BYTES;
}

bool platform_own_program(char *out_path, size_t path_bytes) {
    wchar_t program[PATH_BYTES];
    DWORD length = GetModuleFileNameW(NULL, program, PATH_BYTES);
    return length > 0 && length < PATH_BYTES && to_utf8(program, out_path, path_bytes);
}

bool platform_beside_program(const char *name, char *out_path, size_t path_bytes) {
    wchar_t program[PATH_BYTES], wide_name[PATH_BYTES], path[PATH_BYTES];
    DWORD length = GetModuleFileNameW(NULL, program, PATH_BYTES);
    if (length == 0 || length >= PATH_BYTES || !to_utf16(name, wide_name, PATH_BYTES)) return false;
    wchar_t *slash = wcsrchr(program, L'\\');
    if (slash == NULL) return false;
    *slash = L'\0';
    return join(program, wide_name, path) && to_utf8(path, out_path, path_bytes);
}

bool platform_system_file(const char *name, char *out_path, size_t path_bytes) {
    wchar_t folder[MAX_PATH], wide_name[PATH_BYTES], path[PATH_BYTES];
    UINT length = GetSystemDirectoryW(folder, MAX_PATH);
    if (length == 0 || length >= MAX_PATH || !to_utf16(name, wide_name, PATH_BYTES)) return false;
    return join(folder, wide_name, path) && to_utf8(path, out_path, path_bytes);
}

bool platform_file_exists(const char *path) {
    wchar_t wide[PATH_BYTES];
    if (!to_utf16(path, wide, PATH_BYTES)) return false;
    DWORD attributes = GetFileAttributesW(wide);
    return attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY) == 0;
}

FILE *platform_open_to_read(const char *path) {
    wchar_t wide[PATH_BYTES];
    return to_utf16(path, wide, PATH_BYTES) ? _wfopen(wide, L"rb") : NULL;
}

bool platform_needs_float_mask(void) { return false; }

bool platform_find_large_file(uint64_t most_bytes, char *out_path, size_t path_bytes) {
    wchar_t folder[MAX_PATH], pattern[PATH_BYTES], best[MAX_PATH], path[PATH_BYTES];
    WIN32_FIND_DATAW found;
    uint64_t best_bytes = 0;
    UINT length = GetSystemDirectoryW(folder, MAX_PATH);
    if (length == 0 || length >= MAX_PATH || !join(folder, L"*.dll", pattern)) return false;
    HANDLE search = FindFirstFileW(pattern, &found);
    if (search == INVALID_HANDLE_VALUE) return false;
    do {
        uint64_t bytes = (uint64_t)found.nFileSizeHigh << 32 | found.nFileSizeLow;
        if ((found.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) != 0 || bytes <= best_bytes || bytes > most_bytes)
            continue;
        best_bytes = bytes;
        wcscpy(best, found.cFileName);
    } while (FindNextFileW(search, &found));
    FindClose(search);
    return best_bytes != 0 && join(folder, best, path) && to_utf8(path, out_path, path_bytes);
}
