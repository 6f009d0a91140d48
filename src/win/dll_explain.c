/* dll_explain.c (Windows): why a DLL could not be loaded, as a code and a sentence.
 *
 * The loader's error numbers say little: 126 is both "no such file" and "it needs a file that is not there". So the
 * file is looked at again: is it there, is it a DLL for this kind of program, and are the DLLs that it imports there.
 * Threads: any. Locks: none. Order: none. Invariants: nothing here loads code.
 * Tests: tests/win/test_os_win.c. */
#include "dll_explain.h"

#include "pe.h"

enum { NAME_BYTES = 128, WALK_MAX = 64 };

/* Not in every winerror.h. */
#if !defined(ERROR_VIRUS_INFECTED)
#define ERROR_VIRUS_INFECTED 225
#endif
#if !defined(ERROR_INVALID_IMAGE_HASH)
#define ERROR_INVALID_IMAGE_HASH 577
#endif

int64_t dll_fail(const dll_failure *f, int code, DWORD error, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(f->out_text, f->text_bytes, format, arguments);
    va_end(arguments);
    *f->out_code = code;
    return error;
}

int64_t dll_fail_with_message(const dll_failure *f, int code, DWORD error, const char *reason) {
    char message[256];
    os_error_text(error, message, sizeof message);
    return dll_fail(f, code, error, "DLL '%s' %s: %s", f->path, reason, message);
}

int64_t dll_explain_text(const dll_failure *f, DWORD error) {
    if (error == ERROR_NO_UNICODE_TRANSLATION)
        return dll_fail(f, PINTLE_EINVAL, error, "the path '%s' is not UTF-8", f->path);
    return dll_fail_with_message(f, error == ERROR_NOT_ENOUGH_MEMORY ? PINTLE_ENOMEM : PINTLE_EOS, error,
                                 "cannot be loaded");
}

bool dll_system_path(const wchar_t *name, wchar_t out_path[DLL_PATH_UNITS]) {
    UINT length = GetSystemDirectoryW(out_path, DLL_PATH_UNITS);
    if (length == 0 || length + 1 + wcslen(name) >= DLL_PATH_UNITS) return false;
    out_path[length] = L'\\';
    wcscpy(out_path + length + 1, name);
    return true;
}

/* ---- What a DLL needs ---- */

/* The DLLs still to look at, all in the folder of the first; names grows while it is walked. */
typedef struct walk {
    wchar_t folder[DLL_PATH_UNITS]; /* ends in a backslash */
    size_t folder_units;
    char names[WALK_MAX][NAME_BYTES];
    unsigned count;
    bool strict; /* only a file that is in System32 counts as the system's */
} walk;

static bool walk_has(const walk *w, const char *name) {
    for (unsigned i = 0; i < w->count; i++)
        if (_stricmp(w->names[i], name) == 0) return true;
    return false;
}

static void walk_add(walk *w, const char *name) {
    if (w->count < WALK_MAX) snprintf(w->names[w->count++], NAME_BYTES, "%s", name);
}

static bool walk_path(const walk *w, const wchar_t *name, wchar_t out_path[DLL_PATH_UNITS]) {
    if (w->folder_units + wcslen(name) >= DLL_PATH_UNITS) return false;
    wcscpy(out_path, w->folder);
    wcscpy(out_path + w->folder_units, name);
    return true;
}

/* Names of API sets are not files: the system maps them to its own DLLs. */
static bool is_api_set(const char *name) {
    return _strnicmp(name, "api-ms-", 7) == 0 || _strnicmp(name, "ext-ms-", 7) == 0;
}

/* Whether the system's folders, or those given to AddDllDirectory, have the DLL. Maps it as data: runs nothing. */
static bool system_has(const wchar_t *name, bool strict) {
    wchar_t path[DLL_PATH_UNITS];
    if (GetModuleHandleW(name) != NULL) return true;
    if (strict) return dll_system_path(name, path) && GetFileAttributesW(path) != INVALID_FILE_ATTRIBUTES;
    DWORD search = win_functions_get()->dll_search_flags ? LOAD_LIBRARY_SEARCH_SYSTEM32 | LOAD_LIBRARY_SEARCH_USER_DIRS
                                                         : 0;
    if (fail_now(FAIL_LIBRARY)) return true;
    HMODULE data = LoadLibraryExW(name, NULL, LOAD_LIBRARY_AS_DATAFILE | search);
    if (data != NULL) FreeLibrary(data);
    return data != NULL || GetLastError() == ERROR_NOT_ENOUGH_MEMORY; /* then nothing is known to be missing */
}

/* Whether an imported DLL is there; one in the folder is added to what must be looked at. */
static bool import_is_there(walk *w, const char *name) {
    wchar_t wide_name[NAME_BYTES], path[DLL_PATH_UNITS];
    if (walk_has(w, name) || is_api_set(name)) return true;
    if (MultiByteToWideChar(CP_UTF8, 0, name, -1, wide_name, NAME_BYTES) == 0) return true;
    if (walk_path(w, wide_name, path) && GetFileAttributesW(path) != INVALID_FILE_ATTRIBUTES) {
        walk_add(w, name);
        return true;
    }
    return system_has(wide_name, w->strict);
}

/* The first import of the DLL at that path that is not there. */
static bool missing_import_of(walk *w, const wchar_t *path, char *out_name, size_t name_bytes) {
    pe_file pe;
    pe_kind kind = pe_open(&pe, path);
    if (kind == PE_UNREADABLE) return false;
    bool missing = false;
    for (unsigned i = 0; kind == PE_DLL && !missing && pe_import(&pe, i, out_name, name_bytes); i++)
        missing = !import_is_there(w, out_name);
    pe_close(&pe);
    return missing;
}

/* The walk's first DLL: the file name of f->wide_path, in its folder. */
static bool walk_start(walk *w, const wchar_t *path) {
    const wchar_t *slash = wcsrchr(path, L'\\');
    if (slash == NULL || slash - path + 1 >= DLL_PATH_UNITS) return false;
    w->folder_units = (size_t)(slash - path) + 1;
    wmemcpy(w->folder, path, w->folder_units);
    w->folder[w->folder_units] = 0;
    w->count = 1;
    win_utf8(slash + 1, w->names[0], NAME_BYTES);
    return true;
}

/* A DLL that is not there, and the one that needs it: the DLL at that path itself, or one beside it that it needs. */
static bool find_missing(walk *w, const wchar_t *path, char *out_name, const char **out_needed_by) {
    if (!walk_start(w, path)) return false;
    for (unsigned i = 0; i < w->count; i++) {
        wchar_t wide_name[NAME_BYTES], next[DLL_PATH_UNITS];
        if (MultiByteToWideChar(CP_UTF8, 0, w->names[i], -1, wide_name, NAME_BYTES) == 0) continue;
        if (!walk_path(w, wide_name, next) || !missing_import_of(w, next, out_name, NAME_BYTES)) continue;
        *out_needed_by = i == 0 ? NULL : w->names[i];
        return true;
    }
    return false;
}

static int64_t explain_dependency(const dll_failure *f, const wchar_t *path, DWORD error) {
    char name[NAME_BYTES], by_way_of[NAME_BYTES + 32] = "";
    const char *needed_by;
    walk *w = memory_alloc(sizeof *w);
    bool found = false;
    /* Wine looks for data in more folders than for code, so what it finds there may be missing all the same. */
    for (int strict = 0; w != NULL && strict < 2 && !found; strict++) {
        w->strict = strict != 0;
        found = find_missing(w, path, name, &needed_by);
    }
    if (found && needed_by != NULL) snprintf(by_way_of, sizeof by_way_of, " (by way of '%s')", needed_by);
    memory_free(w);
    if (!found) return dll_fail_with_message(f, PINTLE_ENOTFOUND, error, "needs another DLL, which was not found");
    return dll_fail(f, PINTLE_ENOTFOUND, error,
                    "DLL '%s' needs '%s'%s, which was not found: put it into the same folder, or "
                    "give its folder to AddDllDirectory",
                    f->path, name, by_way_of);
}

/* ---- The file, and the error number ---- */

static int64_t explain_kind(const dll_failure *f, pe_kind kind, DWORD error) {
    switch (kind) {
    case PE_32_BIT: return dll_fail(f, PINTLE_EINVAL, error, "'%s' is a 32-bit DLL; this is a 64-bit program", f->path);
    case PE_OTHER_MACHINE:
        return dll_fail(f, PINTLE_EINVAL, error, "'%s' is a DLL for another kind of processor", f->path);
    case PE_NOT_DLL: return dll_fail(f, PINTLE_EINVAL, error, "'%s' is a program, not a DLL", f->path);
    case PE_CUT_OFF: return dll_fail(f, PINTLE_EINVAL, error, "'%s' is cut off: it ends within its header", f->path);
    default: return dll_fail(f, PINTLE_EINVAL, error, "'%s' is not a DLL", f->path);
    }
}

/* The file is a DLL as far as its header says. */
static int64_t explain_error(const dll_failure *f, const wchar_t *path, DWORD error) {
    switch (error) {
    case ERROR_MOD_NOT_FOUND: return explain_dependency(f, path, error);
    case ERROR_PROC_NOT_FOUND:
        return dll_fail_with_message(f, PINTLE_EOS, error,
                                     "needs a function that another DLL does not have (an older version of it?)");
    case ERROR_DLL_INIT_FAILED:
        return dll_fail_with_message(f, PINTLE_EOS, error, "was loaded, but its DllMain failed");
    case ERROR_ACCESS_DENIED:
    case ERROR_INVALID_IMAGE_HASH:
    case ERROR_ACCESS_DISABLED_BY_POLICY:
    case ERROR_VIRUS_INFECTED: return dll_fail_with_message(f, PINTLE_EACCES, error, "must not be loaded");
    case ERROR_NOT_ENOUGH_MEMORY:
    case ERROR_OUTOFMEMORY:
    case ERROR_COMMITMENT_LIMIT: return dll_fail_with_message(f, PINTLE_ENOMEM, error, "cannot be loaded");
    default: return dll_fail_with_message(f, PINTLE_EOS, error, "cannot be loaded");
    }
}

/* The file's attributes cannot be read: it is not there, or we may not see it. */
static int64_t explain_absence(const dll_failure *f, DWORD error) {
    if (error == ERROR_ACCESS_DENIED) return dll_fail_with_message(f, PINTLE_EACCES, error, "cannot be opened");
    char reason[96];
    snprintf(reason, sizeof reason, "was not found%s%s", f->system ? " in the system's folder" : "",
             f->suffix_added ? ", with '.dll' added to the name" : "");
    return dll_fail_with_message(f, PINTLE_ENOTFOUND, error, reason);
}

int64_t dll_explain(const dll_failure *f, DWORD error) {
    wchar_t system_path[DLL_PATH_UNITS];
    const wchar_t *path = f->wide_path;
    if (f->system && dll_system_path(f->wide_path, system_path)) path = system_path;
    DWORD attributes = GetFileAttributesW(path);
    if (attributes == INVALID_FILE_ATTRIBUTES) return explain_absence(f, GetLastError());
    if (attributes & FILE_ATTRIBUTE_DIRECTORY)
        return dll_fail(f, PINTLE_EINVAL, error, "'%s' is a folder, not a DLL", f->path);
    pe_file pe;
    pe_kind kind = pe_open(&pe, path);
    if (kind == PE_UNREADABLE) return explain_error(f, path, GetLastError());
    pe_close(&pe);
    return kind == PE_DLL ? explain_error(f, path, error) : explain_kind(f, kind, error);
}
