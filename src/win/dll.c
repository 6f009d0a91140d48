/* dll.c (Windows): loading DLLs, and why a load failed (dll_explain.c).
 *
 * By absolute path, what the DLL needs is looked for beside it, in System32 and in the folders given to
 * AddDllDirectory; by bare name, System32 is the only place. The current folder and PATH are never searched. A DLL that
 * is loaded already is found by its bare name wherever it came from: so the system has it.
 * Threads: any. Locks: the loader's own; it runs DllMains under it. Order: none.
 * Invariants: the system shows no error window; a failure has an error number, a code and a whole sentence.
 * Tests: tests/unit/test_os.c, tests/win/test_os_win.c. */
#include "dll_explain.h"

/* What we give to the system: backslashes (the loader refuses others with its newer flags), and ".dll" if the last part
 * has no dot, as the loader itself would add it. To be given to memory_free(). */
static wchar_t *path_make(const char *path, bool *out_suffix_added) {
    size_t length = strlen(path);
    char *text = memory_alloc(length + sizeof ".dll");
    if (text == NULL) {
        SetLastError(ERROR_NOT_ENOUGH_MEMORY);
        return NULL;
    }
    memcpy(text, path, length + 1);
    if (strncmp(text, "\\\\?\\", 4) != 0)
        for (char *c = text; *c != 0; c++)
            if (*c == '/') *c = '\\';
    const char *last = strrchr(text, '\\');
    *out_suffix_added = strchr(last == NULL ? text : last, '.') == NULL;
    if (*out_suffix_added) memcpy(text + length, ".dll", sizeof ".dll");
    wchar_t *wide = win_utf16(text);
    memory_free(text);
    return wide;
}

/* The path in System32; for systems that cannot be told to search only there. */
static HMODULE load_from_system_folder(const wchar_t *name) {
    wchar_t path[DLL_PATH_UNITS];
    if (!dll_system_path(name, path)) {
        SetLastError(ERROR_FILENAME_EXCED_RANGE);
        return NULL;
    }
    return LoadLibraryExW(path, NULL, LOAD_WITH_ALTERED_SEARCH_PATH);
}

/* copy: NULL, or what is loaded in the place of path. */
static HMODULE load(const wchar_t *path, bool system, const wchar_t *copy) {
    bool flags = win_functions_get()->dll_search_flags;
    if (system) return flags ? LoadLibraryExW(path, NULL, LOAD_LIBRARY_SEARCH_SYSTEM32) : load_from_system_folder(path);
    if (!flags) return LoadLibraryExW(copy == NULL ? path : copy, NULL, LOAD_WITH_ALTERED_SEARCH_PATH);
    if (copy != NULL) return dll_copy_load(copy, path);
    DWORD search = LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR | LOAD_LIBRARY_SEARCH_SYSTEM32 | LOAD_LIBRARY_SEARCH_USER_DIRS;
    return LoadLibraryExW(path, NULL, search);
}

/* Loads without windows that wait for somebody to press a button; keeps the last error. */
static HMODULE load_quietly(const wchar_t *path, bool system, const wchar_t *copy) {
    DWORD mode;
    bool changed = SetThreadErrorMode(SEM_FAILCRITICALERRORS | SEM_NOOPENFILEERRORBOX, &mode);
    HMODULE module = NULL;
    if (fail_now(FAIL_LIBRARY))
        SetLastError(ERROR_NOT_ENOUGH_MEMORY);
    else
        module = load(path, system, copy);
    DWORD error = GetLastError();
    if (changed) SetThreadErrorMode(mode, NULL);
    SetLastError(error);
    return module;
}

static bool is_bare_name(const char *name) { return name[0] != 0 && strpbrk(name, "/\\:") == NULL; }

int64_t os_dll_open(const char *path, bool system, void **out_handle, int *out_code, char *out_text,
                    size_t text_bytes) {
    dll_failure f = {
        .path = path, .system = system, .out_code = out_code, .out_text = out_text, .text_bytes = text_bytes};
    if (system && !is_bare_name(path))
        return dll_fail(&f, PINTLE_EINVAL, ERROR_INVALID_NAME,
                        "'%s' is not a bare DLL name: give a name without a folder, "
                        "or open it by its absolute path",
                        path);
    if (!system && !os_path_absolute(path))
        return dll_fail(&f, PINTLE_EINVAL, ERROR_BAD_PATHNAME, "'%s' is not an absolute path", path);
    f.wide_path = path_make(path, &f.suffix_added);
    if (f.wide_path == NULL) return dll_explain_text(&f, GetLastError());
    HMODULE module = load_quietly(f.wide_path, system, NULL);
    int64_t error = module != NULL ? 0 : dll_explain(&f, GetLastError());
    memory_free(f.wide_path);
    *out_handle = module;
    return error;
}

int64_t os_dll_open_copy(const char *path, void **out_handle, void **out_copy, int *out_code, char *out_text,
                         size_t text_bytes) {
    int64_t error;
    dll_failure f = {.path = path, .out_code = out_code, .out_text = out_text, .text_bytes = text_bytes};
    *out_handle = *out_copy = NULL;
    if (!os_path_absolute(path))
        return dll_fail(&f, PINTLE_EINVAL, ERROR_BAD_PATHNAME, "'%s' is not an absolute path", path);
    f.wide_path = path_make(path, &f.suffix_added);
    if (f.wide_path == NULL) return dll_explain_text(&f, GetLastError());
    wchar_t *copy = dll_copy_make(&f, &error);
    if (copy != NULL) {
        HMODULE module = load_quietly(f.wide_path, false, copy);
        error = module != NULL ? 0 : dll_explain(&f, GetLastError());
        if (module != NULL) {
            *out_handle = module;
            *out_copy = copy;
        } else {
            dll_copy_remove(copy);
            memory_free(copy);
        }
    }
    memory_free(f.wide_path);
    return error;
}

void os_dll_copy_remove(void *copy) {
    dll_copy_remove(copy);
    memory_free(copy);
}

void os_dll_close(void *handle) { FreeLibrary(handle); }

int64_t os_dll_symbol(void *handle, const char *name, unsigned ordinal, void **out_address) {
    if (name == NULL && (ordinal == 0 || ordinal > 0xFFFF)) return ERROR_INVALID_ORDINAL;
    if (fail_now(FAIL_LIBRARY)) return ERROR_PROC_NOT_FOUND;
    *out_address = (void *)(uintptr_t)GetProcAddress(handle, name != NULL ? name : MAKEINTRESOURCEA(ordinal));
    return *out_address != NULL ? 0 : GetLastError();
}

bool os_dll_has_ordinals(void) { return true; }

static bool is_slash(char c) { return c == '\\' || c == '/'; }

bool os_path_absolute(const char *path) {
    if (is_slash(path[0]) && is_slash(path[1])) return path[2] != 0;
    bool letter = (path[0] >= 'A' && path[0] <= 'Z') || (path[0] >= 'a' && path[0] <= 'z');
    return letter && path[1] == ':' && is_slash(path[2]);
}
