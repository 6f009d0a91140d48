/* dll_explain.h (Windows): why a DLL could not be loaded, as a code and a sentence.
 * Threads: any. Locks: none. Tests: tests/win/test_os_win.c. */
#ifndef PINTLE_SRC_WIN_DLL_EXPLAIN_H
#define PINTLE_SRC_WIN_DLL_EXPLAIN_H

#include "win.h"

/* Longer paths load, but what is missing for them is not told. */
enum { DLL_PATH_UNITS = 1024 };

/* What was asked for, and where the answer goes. */
typedef struct dll_failure {
    const char *path;
    wchar_t *wide_path;
    bool system;
    bool suffix_added; /* wide_path has ".dll" at its end, path has not */
    int *out_code;
    char *out_text;
    size_t text_bytes;
} dll_failure;

/* Each writes code and text, and returns the error number. */
int64_t dll_fail(const dll_failure *f, int code, DWORD error, const char *format, ...) PINTLE_PRINTF(4, 5);
/* The load of f->wide_path failed with this error. */
int64_t dll_explain(const dll_failure *f, DWORD error);
/* f->path could not be made UTF-16. */
int64_t dll_explain_text(const dll_failure *f, DWORD error);

/* "DLL 'path' reason: the system's message". */
int64_t dll_fail_with_message(const dll_failure *f, int code, DWORD error, const char *reason);

/* ---- dll_copy.c ---- */

/* Copies f->wide_path into a temporary folder made for it: the copy's path, to be given to memory_free(). NULL: *out_error is
 * the error number, code and text are written. */
wchar_t *dll_copy_make(const dll_failure *f, int64_t *out_error);
/* LoadLibraryExW of the copy; what it needs is looked for in the original's folder too. Where AddDllDirectory is. */
HMODULE dll_copy_load(const wchar_t *copy, const wchar_t *original);
/* Removes the copy and its folder. */
void dll_copy_remove(const wchar_t *copy);

/* The path of a name in System32; false if it is too long. */
bool dll_system_path(const wchar_t *name, wchar_t out_path[DLL_PATH_UNITS]);

#endif
