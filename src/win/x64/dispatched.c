/* dispatched.c (Windows, x86-64): whether the system itself called the code that led to a callback: SendMessage to a window
 * procedure, EnumDisplayMonitors, and what else goes through the kernel and comes back by ntdll!KiUserCallbackDispatcher.
 * The kernel's side of such a call (Wine: its own stack) waits for NtCallbackReturn, so the frames must not be discarded:
 * Wine 8 delivers no more messages after 65 of them.
 *
 * The foreign frames between the callback and its call are still there when unwinding has landed in the callback's scope,
 * and the registers with which they called are in the frame of callback.S. So they are walked from there.
 * Threads: any. Locks: the loader's. Tests: tests/win/test_panic_win.c. */
#include <windows.h>

#include "arch.h"
#include "callback.h"
#include "registers.inc"

enum { HOME = 32, FRAMES_MOST = 1000 };

static bool is_dispatcher(const void *address, DWORD64 image) {
    static _Atomic(uintptr_t) dispatcher;
    uintptr_t known = atomic_load_relaxed(&dispatcher);
    DWORD64 at_image, known_image;
    RUNTIME_FUNCTION *at, *of_known;
    if (known == 0) {
        known = (uintptr_t)GetProcAddress(GetModuleHandleW(L"ntdll.dll"), "KiUserCallbackDispatcher");
        atomic_store_relaxed(&dispatcher, known);
    }
    at = RtlLookupFunctionEntry((DWORD64)(uintptr_t)address, &at_image, NULL);
    of_known = RtlLookupFunctionEntry(known, &known_image, NULL);
    return at != NULL && at == of_known && at_image == image;
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
    CONTEXT context = context_at_entry(callback);
    DWORD64 low = (DWORD64)(uintptr_t)callback, high = (DWORD64)(uintptr_t)callback->stack_top;
    for (int i = 0; i < FRAMES_MOST && context.Rip != 0 && context.Rsp > low && context.Rsp < high; i++) {
        DWORD64 image, establisher, before = context.Rsp;
        RUNTIME_FUNCTION *function = RtlLookupFunctionEntry(context.Rip, &image, NULL);
        void *data;
        if (function == NULL) { /* a leaf, or code that says nothing */
            context.Rip = *(const DWORD64 *)(uintptr_t)context.Rsp;
            context.Rsp += 8;
            continue;
        }
        if (is_dispatcher((const void *)(uintptr_t)context.Rip, image)) return true;
        RtlVirtualUnwind(UNW_FLAG_NHANDLER, image, context.Rip, function, &context, &data, &establisher, NULL);
        if (context.Rsp <= before) return false;
    }
    return false;
}
