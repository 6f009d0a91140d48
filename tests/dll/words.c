/* words.c: a DLL for the tests that pass words: it tells what arrived, in which order, in which registers; and it does
 * what foreign code does: blocks, recurses, looks at the stack, sets error numbers.
 * It knows nothing of Pintle. What it records is kept per call, in the caller's memory, so that it can be called from
 * many threads at once. */
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include "../support/deep.h"

#if defined(_WIN32)
#include <windows.h>
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

#pragma GCC diagnostic ignored "-Wmissing-prototypes" /* nobody includes these: they are found by name */

typedef uintptr_t word;

/* A sum in which each word counts differently, so that the order matters. */
static word weigh(word sum, unsigned place, word value) { return sum + (2 * (word)place + 1) * value; }

/* ---- Fixed numbers of words: each as an ordinary function of so many parameters ---- */

#define P1 word a1
#define P2 P1, word a2
#define P3 P2, word a3
#define P4 P3, word a4
#define P5 P4, word a5
#define P6 P5, word a6
#define P7 P6, word a7
#define P8 P7, word a8
#define P9 P8, word a9
#define P10 P9, word a10
#define P11 P10, word a11
#define P12 P11, word a12
#define P13 P12, word a13
#define P14 P13, word a14
#define P15 P14, word a15
#define S1 weigh(0, 0, a1)
#define S2 weigh(S1, 1, a2)
#define S3 weigh(S2, 2, a3)
#define S4 weigh(S3, 3, a4)
#define S5 weigh(S4, 4, a5)
#define S6 weigh(S5, 5, a6)
#define S7 weigh(S6, 6, a7)
#define S8 weigh(S7, 7, a8)
#define S9 weigh(S8, 8, a9)
#define S10 weigh(S9, 9, a10)
#define S11 weigh(S10, 10, a11)
#define S12 weigh(S11, 11, a12)
#define S13 weigh(S12, 12, a13)
#define S14 weigh(S13, 13, a14)
#define S15 weigh(S14, 14, a15)

EXPORT word words_0(void) { return 0x1122334455667788u; }
/* clang-format off */
#define TAKE(n) \
    EXPORT word words_##n(P##n) { return S##n; }
TAKE(1) TAKE(2) TAKE(3) TAKE(4) TAKE(5) TAKE(6) TAKE(7) TAKE(8) TAKE(9) TAKE(10) TAKE(11) TAKE(12) TAKE(13) TAKE(14)
TAKE(15)
    /* clang-format on */

    /* ---- Any number: the first word is the count, itself included ---- */

    EXPORT word words_any(word count, ...) {
    va_list list;
    word sum = weigh(0, 0, count);
    va_start(list, count);
    for (unsigned i = 1; i < count; i++) sum = weigh(sum, i, va_arg(list, word));
    va_end(list);
    return sum;
}
/* The same, but every word after the second goes to where the second points. */
EXPORT word words_record(word count, word *out, ...) {
    va_list list;
    out[0] = count;
    out[1] = (word)(uintptr_t)out;
    va_start(list, out);
    for (unsigned i = 2; i < count; i++) out[i] = va_arg(list, word);
    va_end(list);
    return count;
}
/* The stack pointer modulo 16 where this function began: 8 by both conventions. */
EXPORT word words_alignment(void) {
    return ((word)(uintptr_t)__builtin_frame_address(0) + 8) % 16; /* the frame: saved rbp, then the return address */
}
EXPORT word words_alignment_7(P7) {
    (void)S7;
    return ((word)(uintptr_t)__builtin_frame_address(0) + 8) % 16;
}

/* ---- Results of all kinds ---- */

EXPORT int64_t words_big(void) { return 0x123456789ABCDEF0; }
EXPORT int64_t words_negative(void) { return -5000000000; }
EXPORT int words_int(int value) { return value; }
EXPORT _Bool words_bool(int value) { return value != 0; }
EXPORT void *words_pointer(void *value) { return value; }
/* Narrow results with rubbish above them, which the convention allows. */
__asm__(".text\n"
        ".globl words_rubbish_int\n"
        "words_rubbish_int:\n"
        "  movabsq $0x7766554400000005, %rax\n"
        "  ret\n"
        ".globl words_rubbish_false\n"
        "words_rubbish_false:\n"
        "  movabsq $0x7766554400000000, %rax\n"
        "  ret\n");
#if defined(_WIN32)
__asm__(".section .drectve\n"
        ".ascii \" -export:words_rubbish_int -export:words_rubbish_false\"\n"
        ".text\n");
#else
__asm__(".type words_rubbish_int, @function\n"
        ".type words_rubbish_false, @function\n");
#endif

/* ---- Floating point, mixed with integers, beyond the fourth place too ---- */

EXPORT double words_double(double value) { return value * 2; }
EXPORT float words_float(float value) { return value * 2; }
EXPORT double words_mix4(double a, int64_t b, double c, int64_t d) {
    return a + 10 * (double)b + 100 * c + 1000 * (double)d;
}
EXPORT double words_mix8(int64_t a, double b, float c, int64_t d, double e, float f, int64_t g, double h) {
    return (double)a + 10 * b + 100 * (double)c + 1000 * (double)d + 1e4 * e + 1e5 * (double)f + 1e6 * (double)g +
           1e7 * h;
}
EXPORT float words_floats6(float a, float b, float c, float d, float e, float f) {
    return a + 2 * b + 4 * c + 8 * d + 16 * e + 32 * f;
}
EXPORT int64_t words_truncate(double value) { return (int64_t)value; }

/* ---- Calling back ---- */

EXPORT word words_apply(word (*function)(word), word value) { return function(value); }

/* ---- Error numbers ---- */

/* Sets the last error (errno where there is none) and returns what it was. */
EXPORT word words_set_error(word value) {
#if defined(_WIN32)
    word before = GetLastError();
    SetLastError((DWORD)value);
#else
    word before = (word)errno;
    errno = (int)value;
#endif
    return before;
}

/* Writes to the address it is given. */
EXPORT word words_write(volatile int *where) {
    *where = 1;
    return 1;
}

/* ---- The stack ---- */

/* Recurses so many times with about 1 KB each; the number of frames found intact. */
EXPORT word words_recurse(word depth) { return deep_recurse((unsigned)depth); }
/* Where a local of this function is. */
EXPORT word words_local_address(void) {
    volatile char local = 0;
    volatile char *address = &local; /* through a variable: its value is wanted, not the object */
    return (word)(uintptr_t)address + (word)local;
}

#if defined(_WIN32)
/* The bounds of the stack as the TEB has them: out[0] base, out[1] limit, out[2] the lowest reserved address. */
EXPORT word words_stack_bounds(word *out) {
    __asm__ volatile("movq %%gs:8, %0" : "=r"(out[0]));
    __asm__ volatile("movq %%gs:16, %0" : "=r"(out[1]));
    __asm__ volatile("movq %%gs:0x1478, %0" : "=r"(out[2]));
    return 3;
}
EXPORT word words_backtrace(void **out_frames, word count) {
    return RtlCaptureStackBackTrace(0, (ULONG)count, out_frames, NULL);
}
/* The same by the unwind data alone, frame by frame, whatever the TEB says, until there is no caller any more. */
EXPORT word words_unwind(void **out_frames, word count) {
    CONTEXT context;
    word found = 0;
    RtlCaptureContext(&context);
    while (found < count && context.Rip != 0) {
        DWORD64 image = 0, frame = 0;
        void *handler_data = NULL;
        RUNTIME_FUNCTION *function = RtlLookupFunctionEntry(context.Rip, &image, NULL);
        out_frames[found++] = (void *)(uintptr_t)context.Rip;
        if (function == NULL) { /* a leaf: the return address is on top */
            context.Rip = *(DWORD64 *)context.Rsp;
            context.Rsp += 8;
        } else {
            RtlVirtualUnwind(UNW_FLAG_NHANDLER, image, context.Rip, function, &context, &handler_data, &frame, NULL);
        }
    }
    return found;
}
/* Raises an exception and handles it in a vectored handler of its own. */
static LONG CALLBACK continue_own(EXCEPTION_POINTERS *pointers) {
    if (pointers->ExceptionRecord->ExceptionCode != 0xE0001234) return EXCEPTION_CONTINUE_SEARCH;
    *(word *)pointers->ExceptionRecord->ExceptionInformation[0] += 1;
    return EXCEPTION_CONTINUE_EXECUTION;
}
EXPORT word words_raise_and_handle(word times) {
    word handled = 0;
    ULONG_PTR information[1] = {(ULONG_PTR)&handled};
    void *handler = AddVectoredExceptionHandler(1, continue_own);
    for (word i = 0; i < times; i++) RaiseException(0xE0001234, 0, 1, information);
    RemoveVectoredExceptionHandler(handler);
    return handled;
}

/* Writes rubbish into every register that a callee may change on Windows. */
EXPORT word words_clobber(void) {
    __asm__ volatile("movabsq $0x5555555555555555, %%rax\n"
                     "movq %%rax, %%rcx\n"
                     "movq %%rax, %%rdx\n"
                     "movq %%rax, %%r8\n"
                     "movq %%rax, %%r9\n"
                     "movq %%rax, %%r10\n"
                     "movq %%rax, %%r11\n"
                     "movq %%rax, %%xmm0\n"
                     "movq %%rax, %%xmm1\n"
                     "movq %%rax, %%xmm2\n"
                     "movq %%rax, %%xmm3\n"
                     "movq %%rax, %%xmm4\n"
                     "movq %%rax, %%xmm5\n" ::
                         : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4",
                           "xmm5");
    return 1;
}

BOOL WINAPI DllMain(HINSTANCE instance, DWORD reason, LPVOID reserved) {
    (void)instance;
    (void)reason;
    (void)reserved;
    return TRUE;
}
#endif
