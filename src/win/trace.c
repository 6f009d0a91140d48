/* trace.c (Windows): where code is: the callers of a function, by their unwind data, and the names of addresses.
 * Threads: any. Locks: the loader's. Order: none. Tests: tests/unit/test_trace.c. */
#include "win.h"

unsigned os_backtrace(void **out_frames, unsigned most) { return RtlCaptureStackBackTrace(2, most, out_frames, NULL); }

void os_symbol(const void *address, char *out_text, size_t text_bytes) {
    HMODULE module = NULL;
    char path[MAX_PATH], *name;
    DWORD flags = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
    if (!GetModuleHandleExA(flags, address, &module) || GetModuleFileNameA(module, path, sizeof path) == 0) {
        snprintf(out_text, text_bytes, "?");
        return;
    }
    name = strrchr(path, '\\');
    name = name != NULL ? name + 1 : path;
    snprintf(out_text, text_bytes, "%s+0x%zx", name, (size_t)((const char *)address - (const char *)module));
}
