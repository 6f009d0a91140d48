/* faults.c: a DLL for the tests of faults: it raises what it does not handle, and what it does; before and after it has
 * called back; with and without something that is to run on the way out. It knows nothing of Pintle. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../support/deep.h"

#if defined(_WIN32)
#include <malloc.h>
#include <windows.h>
#define EXPORT __declspec(dllexport)
#else
#include <dlfcn.h>
#include <setjmp.h>
#include <signal.h>
#define EXPORT __attribute__((visibility("default")))
#endif

#pragma GCC diagnostic ignored "-Wmissing-prototypes" /* nobody includes these: they are found by name */

/* The sanitizers would find these first. */
#define FAULTY __attribute__((noinline, no_sanitize("address", "thread", "undefined")))

typedef uintptr_t word;
typedef word function_of_word(word);

FAULTY EXPORT word faults_write(volatile int *where) {
    *where = 1;
    return 1;
}
FAULTY EXPORT word faults_divide(word value, word by) {
    volatile word divisor = by;
    return value / divisor;
}
FAULTY EXPORT word faults_illegal(void) { __builtin_trap(); }

/* So many KB of the stack. */
EXPORT word faults_recurse(word kilobytes) { return deep_recurse((unsigned)kilobytes); }

/* Calls back, then faults. */
EXPORT word faults_after(function_of_word *function, word value) {
    function(value);
    return faults_write(NULL);
}
/* Only calls back. */
EXPORT word faults_apply(function_of_word *function, word value) { return function(value) + 1; }

/* Leaves the floating-point control words and the direction flag as no caller wants them, and faults. */
FAULTY EXPORT word faults_disordered(void) {
    unsigned rounding_up = 0x5f80;
    unsigned short x87 = 0x0b7f;
    __asm__ volatile("ldmxcsr %0\n\tfldcw %1\n\tfld1\n\tfld1\n\tfld1\n\tfld1\n\tfld1\n\tfld1\n\tfld1\n\tfld1\n\tstd\n\t"
                     "movl $1, 0\n\tcld"
                     :
                     : "m"(rounding_up), "m"(x87)
                     : "memory");
    return 0;
}

/* ---- Exceptions ---- */

#if defined(_WIN32)

EXPORT word faults_raise(word code) {
    RaiseException((DWORD)code, 0, 0, NULL);
    return 1;
}
EXPORT word faults_raise_for_good(word code) {
    RaiseException((DWORD)code, EXCEPTION_NONCONTINUABLE, 0, NULL);
    return 1;
}

/* fn(value) with a handler around it: on unwinding it counts; exceptions of `handled` it ends here, with 77. */
static volatile LONG unwound;
static DWORD handled;
word faults_guarded(function_of_word *function, word value, DWORD code);
extern char faults_landing[];
EXCEPTION_DISPOSITION faults_handler(EXCEPTION_RECORD *record, void *frame, CONTEXT *context,
                                     DISPATCHER_CONTEXT *dispatcher) {
    CONTEXT at;
    (void)context;
    if (record->ExceptionFlags & (EXCEPTION_UNWINDING | EXCEPTION_EXIT_UNWIND)) {
        if (!(record->ExceptionFlags & EXCEPTION_TARGET_UNWIND)) InterlockedIncrement(&unwound);
        return ExceptionContinueSearch;
    }
    if (handled == 0 || record->ExceptionCode != handled) return ExceptionContinueSearch;
    RtlUnwindEx(frame, faults_landing, record, (void *)77, &at, dispatcher->HistoryTable);
    return ExceptionContinueSearch;
}
__asm__(".text\n"
        ".p2align 4\n"
        ".globl faults_guarded\n"
        ".seh_proc faults_guarded\n"
        ".seh_handler faults_handler, @except, @unwind\n"
        "faults_guarded:\n"
        "  subq $40, %rsp\n"
        "  .seh_stackalloc 40\n"
        "  .seh_endprologue\n"
        "  movq %rcx, %rax\n"
        "  movq %rdx, %rcx\n"
        "  call *%rax\n"
        "  nop\n" /* what follows is the function's end to the unwinder, which asks no handler then */
        ".globl faults_landing\n"
        "faults_landing:\n"
        "  addq $40, %rsp\n"
        "  ret\n"
        ".seh_endproc\n");

static word write_where(word where) { return faults_write((volatile int *)where); }
/* Handles itself what it raises: 77. */
EXPORT word faults_handles(void) {
    handled = EXCEPTION_ACCESS_VIOLATION;
    word result = faults_guarded(write_where, 0, 0);
    handled = 0;
    return result;
}
/* Its stack ends, and it goes on: 77. */
static word recurse_without_end(word value) { return deep_recurse((unsigned)value); }
EXPORT word faults_handles_overflow(void) {
    handled = (DWORD)EXCEPTION_STACK_OVERFLOW;
    word result = faults_guarded(recurse_without_end, 1u << 30, 0);
    handled = 0;
    return _resetstkoflw() != 0 ? result : 0;
}
EXPORT word faults_handles_raised(word code) {
    handled = (DWORD)code;
    word result = faults_guarded(faults_raise, code, 0);
    handled = 0;
    return result;
}
/* Does not, but has something to run on the way out: how often it has. */
EXPORT word faults_with_cleanup(void) {
    handled = 0;
    return faults_guarded(write_where, 0, 0);
}
EXPORT word faults_cleanups(void) { return (word)unwound; }
/* A handler around a callback. */
EXPORT word faults_apply_guarded(function_of_word *function, word value) { return faults_guarded(function, value, 0); }

#else

static sigjmp_buf back;
static void go_back(int number) { siglongjmp(back, number); }
/* With a handler of its own: 77. */
EXPORT word faults_handles(void) {
    struct sigaction ours = {.sa_handler = go_back, .sa_flags = SA_ONSTACK}, before;
    sigaction(SIGSEGV, &ours, &before);
    if (sigsetjmp(back, 1) == 0) faults_write(NULL);
    sigaction(SIGSEGV, &before, NULL);
    return 77;
}
/* Its stack ends, and it goes on: 77. */
EXPORT word faults_handles_overflow(void) {
    struct sigaction ours = {.sa_handler = go_back, .sa_flags = SA_ONSTACK}, before;
    sigaction(SIGSEGV, &ours, &before);
    if (sigsetjmp(back, 1) == 0) deep_recurse(1u << 30);
    sigaction(SIGSEGV, &before, NULL);
    return 77;
}

/* Throws an int, as C++ does: without its compiler. 0: there is no such library. */
EXPORT word faults_throw(word value) {
    void *library = dlopen("libstdc++.so.6", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) return 0;
    void *(*allocate)(size_t) = (void *(*)(size_t))dlsym(library, "__cxa_allocate_exception");
    void (*throw_it)(void *, void *,
                     void (*)(void *)) = (void (*)(void *, void *, void (*)(void *)))dlsym(library, "__cxa_throw");
    int *exception = allocate(sizeof *exception);
    *exception = (int)value;
    throw_it(exception, dlsym(library, "_ZTIi"), NULL);
    return 1;
}
/* How many exceptions the language takes to be in flight on this thread. */
EXPORT word faults_in_flight(void) {
    void *library = dlopen("libstdc++.so.6", RTLD_NOW | RTLD_LOCAL);
    int (*count)(void) = (int (*)(void))dlsym(library, "_ZSt19uncaught_exceptionsv");
    return count == NULL ? 99 : (word)count();
}
#endif
