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

/* Where KiUserCallbackDispatcher is, for good: ntdll is never unloaded. Two threads may find it at once. */
static const RUNTIME_FUNCTION *kernel_dispatcher(void) {
    static _Atomic(const RUNTIME_FUNCTION *) found;
    const RUNTIME_FUNCTION *function = atomic_load_relaxed(&found);
    if (UNLIKELY(function == NULL)) {
        DWORD64 image;
        void *code = (void *)(uintptr_t)GetProcAddress(GetModuleHandleW(L"ntdll.dll"), "KiUserCallbackDispatcher");
        function = RtlLookupFunctionEntry((DWORD64)(uintptr_t)code, &image, NULL);
        atomic_store_relaxed(&found, function);
    }
    return function;
}

static const char *image_at(DWORD64 image, DWORD rva) { return (const char *)(uintptr_t)(image + rva); }

/* The image that has the code, which is running, so it is loaded: asked for its own name. GetModuleHandle would be asked for
 * a DLL that most programs have not loaded, and may look for files then: 50 us in Wine. */
static bool is_of_user32(DWORD64 code) {
    void *base;
    if (RtlPcToFileHeader((void *)(uintptr_t)code, &base) == NULL) return false; /* made at run time */
    DWORD64 image = (DWORD64)(uintptr_t)base;
    const IMAGE_DOS_HEADER *dos = base;
    const IMAGE_NT_HEADERS *header = (const void *)image_at(image, (DWORD)dos->e_lfanew);
    const IMAGE_DATA_DIRECTORY *entry = &header->OptionalHeader.DataDirectory[IMAGE_DIRECTORY_ENTRY_EXPORT];
    const IMAGE_EXPORT_DIRECTORY *exports = (const void *)image_at(image, entry->VirtualAddress);
    return entry->Size != 0 && _stricmp(image_at(image, exports->Name), "user32.dll") == 0;
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
    const RUNTIME_FUNCTION *kernel = kernel_dispatcher();
    CONTEXT context = context_at_entry(callback);
    DWORD64 looked_at = 0;
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
        if (function == kernel || (image != looked_at && is_of_user32(context.Rip))) return true;
        looked_at = image;
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
