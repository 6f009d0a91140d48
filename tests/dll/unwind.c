/* unwind.c: a DLL that looks at who has called it. It knows nothing of Pintle. */
#include <stdint.h>

#if defined(_WIN32)
#include <windows.h>
#define EXPORT __declspec(dllexport)
#else
#include <unwind.h>
#define EXPORT __attribute__((visibility("default")))
#endif

#pragma GCC diagnostic ignored "-Wmissing-prototypes" /* found by name */

typedef uintptr_t word;

#if defined(_WIN32)
/* As debuggers do. */
static unsigned callers(void **out_frames, unsigned most) {
    CONTEXT context;
    unsigned count = 0;
    RtlCaptureContext(&context);
    while (count < most && context.Rip != 0) {
        DWORD64 image, establisher;
        void *data;
        RUNTIME_FUNCTION *function = RtlLookupFunctionEntry(context.Rip, &image, NULL);
        out_frames[count++] = (void *)(uintptr_t)context.Rip;
        if (function == NULL) {
            context.Rip = *(const DWORD64 *)(uintptr_t)context.Rsp;
            context.Rsp += 8;
        } else {
            RtlVirtualUnwind(UNW_FLAG_NHANDLER, image, context.Rip, function, &context, &data, &establisher, NULL);
        }
    }
    return count;
}

/* The system's own, which stops at the limits of the current stack. */
EXPORT word unwind_capture(void **out_frames, word most) {
    volatile word count = RtlCaptureStackBackTrace(0, (DWORD)most, out_frames, NULL);
    return count;
}
#else
struct walk {
    void **frames;
    unsigned count, most;
};
static _Unwind_Reason_Code visit(struct _Unwind_Context *context, void *arg) {
    struct walk *walk = arg;
    if (walk->count == walk->most) return _URC_END_OF_STACK;
    walk->frames[walk->count++] = (void *)_Unwind_GetIP(context);
    return _URC_NO_REASON;
}
static unsigned callers(void **out_frames, unsigned most) {
    struct walk walk = {out_frames, 0, most};
    _Unwind_Backtrace(visit, &walk);
    return walk.count;
}
#endif

/* Where the callers are, innermost first; how many. */
EXPORT word unwind_callers(void **out_frames, word most) {
    volatile word count = callers(out_frames, (unsigned)most);
    return count;
}

/* Calls function(value), and is not left out of the chain. */
EXPORT word unwind_apply(word (*function)(word), word value) {
    volatile word result = function(value);
    return result;
}
