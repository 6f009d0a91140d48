/* dll_copy.c (Windows): private copies of DLLs: another file of another name is another module, with data of its own.
 *
 * The copy lies in a folder of its own in the user's temporary folder, made for it, so nobody else's file can be there.
 * What the DLL needs is looked for in the original's folder: that is given to AddDllDirectory during the load.
 * Threads: any. Locks: none. Order: none. Invariants: a folder that was made is removed with its file; what the system
 * still holds open (a DLL that pinned itself, and under Wine each one that failed to load) stays.
 * Tests: tests/api/test_dll_copy.c. */
#include "dll_explain.h"

#include "memory.h"

enum { FOLDERS_TRIED = 1000, NAME_UNITS = 64 };

/* Of all copies of this process; in the names of their folders and files. */
static _Atomic uint32_t number;

/* A new folder for one copy, ended by a backslash; its length, 0: the last error says why not. */
static size_t folder_make(wchar_t out_folder[DLL_PATH_UNITS]) {
    DWORD length = GetTempPathW(DLL_PATH_UNITS - NAME_UNITS, out_folder);
    if (length == 0 || length >= DLL_PATH_UNITS - NAME_UNITS) {
        if (length != 0) SetLastError(ERROR_FILENAME_EXCED_RANGE);
        return 0;
    }
    for (int i = 0; i < FOLDERS_TRIED; i++) {
        int added = swprintf(out_folder + length, NAME_UNITS, L"pintle-%lu-%u", (unsigned long)GetCurrentProcessId(),
                             (unsigned)atomic_add_relaxed(&number, 1));
        if (CreateDirectoryW(out_folder, NULL)) {
            wcscat(out_folder, L"\\");
            return length + (size_t)added + 1;
        }
        if (GetLastError() != ERROR_ALREADY_EXISTS) break; /* those of a process that crashed are passed over */
    }
    return 0;
}

static void remove_both(const wchar_t *path, size_t folder_units) {
    wchar_t folder[DLL_PATH_UNITS];
    SetFileAttributesW(path, FILE_ATTRIBUTE_NORMAL); /* one that may only be read cannot be deleted */
    DeleteFileW(path);
    wmemcpy(folder, path, folder_units);
    folder[folder_units - 1] = 0;
    RemoveDirectoryW(folder);
}

wchar_t *dll_copy_make(const dll_failure *f, int64_t *out_error) {
    wchar_t path[DLL_PATH_UNITS];
    const wchar_t *slash = wcsrchr(f->wide_path, L'\\'), *name = slash == NULL ? f->wide_path : slash + 1;
    size_t folder_units = folder_make(path);
    DWORD error = GetLastError();
    if (folder_units == 0) {
        *out_error = dll_fail_with_message(f, PINTLE_EOS, error,
                                           "cannot be copied: no folder for it could be made in the temporary folder");
        return NULL;
    }
    /* The name differs too: the loader takes an import that has a loaded DLL's bare name for that DLL. */
    int added = swprintf(path + folder_units, DLL_PATH_UNITS - folder_units, L"copy-%u-%ls",
                         (unsigned)atomic_add_relaxed(&number, 1), name);
    bool fits = added > 0;
    if (fits && CopyFileW(f->wide_path, path, TRUE)) {
        size_t bytes = (wcslen(path) + 1) * sizeof *path;
        wchar_t *copy = memory_alloc(bytes);
        if (copy != NULL) return memcpy(copy, path, bytes);
        SetLastError(ERROR_NOT_ENOUGH_MEMORY);
    }
    error = fits ? GetLastError() : ERROR_FILENAME_EXCED_RANGE;
    if (fits) remove_both(path, folder_units);
    switch (error) {
    case ERROR_FILE_NOT_FOUND:
    case ERROR_PATH_NOT_FOUND:
    case ERROR_ACCESS_DENIED: *out_error = dll_explain(f, error); break;
    case ERROR_NOT_ENOUGH_MEMORY: *out_error = dll_explain_text(f, error); break;
    default: *out_error = dll_fail_with_message(f, PINTLE_EOS, error, "cannot be copied into the temporary folder");
    }
    return NULL;
}

void dll_copy_remove(const wchar_t *copy) {
    const wchar_t *slash = wcsrchr(copy, L'\\');
    if (slash != NULL) remove_both(copy, (size_t)(slash - copy) + 1);
}

HMODULE dll_copy_load(const wchar_t *copy, const wchar_t *original) {
    wchar_t folder[DLL_PATH_UNITS];
    const wchar_t *slash = wcsrchr(original, L'\\');
    size_t units = slash == NULL ? 0 : (size_t)(slash - original) + 1;
    if (units == 0 || units >= DLL_PATH_UNITS) {
        SetLastError(ERROR_FILENAME_EXCED_RANGE);
        return NULL;
    }
    wmemcpy(folder, original, units);
    folder[units] = 0;
    DLL_DIRECTORY_COOKIE cookie = AddDllDirectory(folder);
    if (cookie == NULL) return NULL;
    /* Not the copy's own folder: where temporary folders are everybody's, others may write into it. */
    HMODULE module = LoadLibraryExW(copy, NULL, LOAD_LIBRARY_SEARCH_USER_DIRS | LOAD_LIBRARY_SEARCH_SYSTEM32);
    DWORD error = GetLastError();
    RemoveDllDirectory(cookie);
    SetLastError(error);
    return module;
}
