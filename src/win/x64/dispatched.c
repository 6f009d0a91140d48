/* dispatched.c (Windows, x86-64): what panics that come by a callback learn from the unwind data of the frames.
 *
 * Whether the system called the code that led to the callback in a way that has to be returned from. Two kinds of frames
 * tell:
 *
 *   ntdll!KiUserCallbackDispatcher   the kernel called (EnumDisplayMonitors, messages from other threads): its side waits
 *                                    for NtCallbackReturn. Wine 8 gives up after 478 that never come
 *   any in user32.dll                a window procedure, called in user mode: an activation context lies on the stack, and
 *                                    Wine counts the depth, and delivers nothing more beyond 64
 *
 * The foreign frames between the callback and its call are still there when unwinding has landed in the callback's scope,
 * and the registers with which they called are in the frame of callback.S. So they are walked from there.
 *
 * And what xmm6 to xmm15 were when the callback was entered: the frames below have changed them, and know where they kept
 * them. Every function that does so has unwind data on Windows; where some has not, the panic must not end there.
 * Threads: any. Locks: the loader's. Tests: tests/win/test_panic_win.c. */
#include <windows.h>

#include "arch.h"
#include "callback.h"
#include "registers.inc"

enum { HOME = 32, FRAMES_MOST = 1000 };

/* What must be returned from; 0: not loaded. */
struct dispatchers {
    DWORD64 user32;
    const RUNTIME_FUNCTION *kernel;
};

static struct dispatchers find_dispatchers(void) {
    DWORD64 image;
    void *kernel = (void *)(uintptr_t)GetProcAddress(GetModuleHandleW(L"ntdll.dll"), "KiUserCallbackDispatcher");
    return (struct dispatchers){(DWORD64)(uintptr_t)GetModuleHandleW(L"user32.dll"),
                                RtlLookupFunctionEntry((DWORD64)(uintptr_t)kernel, &image, NULL)};
}

static CONTEXT context_at_entry(const struct callback *callback) {
    CONTEXT context = {.ContextFlags = CONTEXT_CONTROL | CONTEXT_INTEGER};
    const DWORD64 *saved = (const void *)((const char *)callback->scope.sp + HOME + SAVED_GPR);
    context.Rbx = saved[0];
    context.Rbp = saved[1];
    context.Rdi = saved[2];
    context.Rsi = saved[3];
    context.R12 = saved[4];
    context.R13 = saved[5];
    context.R14 = saved[6];
    context.R15 = saved[7];
    context.Rip = *(const DWORD64 *)callback->sp;
    context.Rsp = (DWORD64)(uintptr_t)callback->sp + 8;
    return context;
}

bool arch_is_dispatched(const struct callback *callback) {
    struct dispatchers dispatchers = find_dispatchers();
    CONTEXT context = context_at_entry(callback);
    DWORD64 low = (DWORD64)(uintptr_t)callback, high = (DWORD64)(uintptr_t)callback->stack_top;
    for (int i = 0; i < FRAMES_MOST && context.Rip != 0 && context.Rsp > low && context.Rsp < high; i++) {
        DWORD64 image, establisher, before = context.Rsp;
        RUNTIME_FUNCTION *function = RtlLookupFunctionEntry(context.Rip, &image, NULL);
        void *data;             /* a handler's */
        if (function == NULL) { /* a leaf, or code that says nothing */
            context.Rip = *(const DWORD64 *)(uintptr_t)context.Rsp;
            context.Rsp += 8;
            continue;
        }
        if (image == dispatchers.user32 || function == dispatchers.kernel) return true;
        RtlVirtualUnwind(UNW_FLAG_NHANDLER, image, context.Rip, function, &context, &data, &establisher, NULL);
        if (context.Rsp <= before) return false;
    }
    return false;
}

void arch_keep_registers(struct callback *callback) {
    CONTEXT context;
    char *frame = callback_frame(callback);
    RtlCaptureContext(&context);
    for (int i = 0; i < FRAMES_MOST && context.Rip != 0 && context.Rsp != (DWORD64)(uintptr_t)frame; i++) {
        DWORD64 image, establisher;
        RUNTIME_FUNCTION *function = RtlLookupFunctionEntry(context.Rip, &image, NULL);
        void *data;
        if (function == NULL) {
            context.Rip = *(const DWORD64 *)(uintptr_t)context.Rsp;
            context.Rsp += 8;
            continue;
        }
        RtlVirtualUnwind(UNW_FLAG_NHANDLER, image, context.Rip, function, &context, &data, &establisher, NULL);
    }
    callback->keeps_registers = context.Rsp == (DWORD64)(uintptr_t)frame;
    if (callback->keeps_registers) memcpy(frame + HOME, &context.Xmm6, 10 * sizeof context.Xmm6);
}
