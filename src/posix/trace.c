/* trace.c (POSIX): where code is: the callers of a function, by their unwind data, and the names of addresses.
 * Threads: any. Locks: the loader's. Order: none. Tests: tests/unit/test_trace.c. */
#define _GNU_SOURCE 1 /* dladdr */
#include <dlfcn.h>
#include <unwind.h>

#include "os.h"

struct trace {
    void **frames;
    unsigned count, most, skip;
};

static _Unwind_Reason_Code visit(struct _Unwind_Context *context, void *arg) {
    struct trace *trace = arg;
    void *pc = (void *)_Unwind_GetIP(context);
    if (pc == NULL || trace->count == trace->most) return _URC_END_OF_STACK;
    if (trace->skip > 0)
        trace->skip--;
    else
        trace->frames[trace->count++] = pc;
    return _URC_NO_REASON;
}

unsigned os_backtrace(void **out_frames, unsigned most) {
    struct trace trace = {.frames = out_frames, .most = most, .skip = 2};
    _Unwind_Backtrace(visit, &trace);
    return trace.count;
}

void os_symbol(const void *address, char *out_text, size_t text_bytes) {
    Dl_info info;
    const char *module;
    if (dladdr(address, &info) == 0 || info.dli_fname == NULL) {
        snprintf(out_text, text_bytes, "?");
        return;
    }
    module = strrchr(info.dli_fname, '/');
    module = module != NULL ? module + 1 : info.dli_fname;
    if (info.dli_sname != NULL) {
        snprintf(out_text, text_bytes, "%s!%s+0x%zx", module, info.dli_sname,
                 (size_t)((const char *)address - (const char *)info.dli_saddr));
    } else {
        snprintf(out_text, text_bytes, "%s+0x%zx", module,
                 (size_t)((const char *)address - (const char *)info.dli_fbase));
    }
}
