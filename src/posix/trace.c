/* trace.c (POSIX): where code is: the callers of a function, by their unwind data, and the names of addresses.
 * Threads: any. Locks: the loader's. Order: none. Tests: tests/unit/test_trace.c. */
#define _GNU_SOURCE 1 /* dladdr1 */
#include <dlfcn.h>
#include <link.h>
#include <unwind.h>

#include "os.h"
#include "symbols.h"

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

/* The name in the file's own table: the dynamic linker's has only what is exported. */
static bool name_in_file(const struct link_map *map, const char *at, char *out_name, size_t name_bytes,
                         size_t *out_offset) {
    const char *path = map->l_name[0] != '\0' ? map->l_name : "/proc/self/exe";
    return symbols_find(path, (uintptr_t)at - (uintptr_t)map->l_addr, out_name, name_bytes, out_offset);
}

/* The loader's lock is taken, for a moment, by whoever has it not already. */
void os_symbol(const void *address, bool is_return, char *out_text, size_t text_bytes) {
    const char *at = (const char *)((uintptr_t)address - is_return); /* what called may end with the call */
    struct link_map *map = NULL;
    Dl_info info;
    const char *module;
    char name[128];
    size_t offset;
    if (dladdr1(at, &info, (void **)&map, RTLD_DL_LINKMAP) == 0 || info.dli_fname == NULL) {
        snprintf(out_text, text_bytes, "?");
        return;
    }
    module = strrchr(info.dli_fname, '/');
    module = module != NULL ? module + 1 : info.dli_fname;
    if (info.dli_sname != NULL) {
        snprintf(out_text, text_bytes, "%s!%s+0x%zx", module, info.dli_sname,
                 (size_t)((const char *)address - (const char *)info.dli_saddr));
    } else if (map != NULL && name_in_file(map, at, name, sizeof name, &offset)) {
        snprintf(out_text, text_bytes, "%s!%s+0x%zx", module, name, offset + is_return);
    } else {
        snprintf(out_text, text_bytes, "%s+0x%zx", module,
                 (size_t)((const char *)address - (const char *)info.dli_fbase));
    }
}
