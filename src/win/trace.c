/* trace.c (Windows): where code is: the callers of a function, by their unwind data, and the names of addresses.
 * Threads: any. Locks: the loader's. Order: none. Tests: tests/unit/test_trace.c. */
#include "symbols.h"

unsigned os_backtrace(void **out_frames, unsigned most) { return RtlCaptureStackBackTrace(2, most, out_frames, NULL); }

void os_symbol(const void *address, bool is_return, char *out_text, size_t text_bytes) {
    const char *at = address != NULL ? (const char *)address - is_return : NULL; /* what called may end with the call */
    HMODULE module = NULL;
    wchar_t path[MAX_PATH], *file;
    char image[64], name[128];
    const char *exported;
    size_t offset, file_offset;
    bool has_export, is_certain;
    DWORD flags = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
    if (at == NULL || !GetModuleHandleExW(flags, (const wchar_t *)(const void *)at, &module) ||
        GetModuleFileNameW(module, path, MAX_PATH) == 0) {
        snprintf(out_text, text_bytes, "?");
        return;
    }
    const char *base = (const char *)module;
    file = wcsrchr(path, L'\\');
    win_utf8(file != NULL ? file + 1 : path, image, sizeof image);
    has_export = symbols_find_export(base, (uint32_t)(at - base), &exported, &offset, &is_certain);
    /* A certain one saves reading the file. */
    if (!is_certain && symbols_find(path, (uint32_t)(at - base), name, sizeof name, &file_offset)) {
        snprintf(out_text, text_bytes, "%s!%s+0x%zx", image, name, file_offset + is_return);
    } else if (has_export) {
        snprintf(out_text, text_bytes, "%s!%s+0x%zx", image, exported, offset + is_return);
    } else {
        snprintf(out_text, text_bytes, "%s+0x%zx", image, (size_t)((const char *)address - base));
    }
}
