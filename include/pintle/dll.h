/* pintle/dll.h: DLLs and shared objects, found, called and closed safely, on both platforms. */
#ifndef PINTLE_DLL_H
#define PINTLE_DLL_H

#include "pintle/base.h"
#include "pintle/result.h"

#if defined(__cplusplus)
extern "C" {
#endif

typedef struct pintle_dll pintle_dll;
typedef void (*pintle_code)(void);

/* A function of a DLL. Those of pintle_dll_find belong to the DLL and go with it; static ones are made with
 * PINTLE_PROC. Fields are the library's own. */
typedef struct pintle_proc {
    const char *dll_name, *proc_name; /* static ones: what to bind */
    pintle_dll *dll;                  /* NULL: a system DLL, never closed */
    void *code;                       /* NULL: not bound yet */
    uint32_t flags;
    struct pintle_proc *next;
} pintle_proc;

/* Which argument words are floating point (bit i: word i is a double; for a float give pintle_word_float's word), and
 * whether the result is. System V needs it; Windows' convention does not, and ignores it. Up to 24 words. */
#define PINTLE_FLOATS(mask) ((uint32_t)(mask)&0x00ffffffu)
#define PINTLE_FLOAT_RESULT 0x01000000u

/* Flag of pintle_dll_open: loads a copy under another name, from a temporary folder made for it and removed at the close.
 * So the file itself can be replaced while it is in use (hot reload), and each opening has data of its own. What the DLL
 * needs comes from the original's folder and is not copied; it must not count on its own name or folder. */
#define PINTLE_DLL_PRIVATE_COPY 1u

/* Flag of pintle_dll_open, for hosts of plugins: what a function of the DLL raises and nobody in the DLL handles, ends the
 * call: pintle_proc_call panics in the calling task, with os_code, address and symbol in its pintle_panic_info;
 * pintle_proc_try_call gives EFAULT. Windows: any exception, a stack overflow too; the DLL's termination handlers and
 * destructors run on the way. POSIX: SIGSEGV, SIGBUS, SIGFPE and SIGILL of the function's own doing, a stack overflow of
 * the thread too, after which nothing of the DLL's runs; and C++ exceptions, whose destructors run (os_code: SIGABRT).
 * Handlers of the process that were there before are not asked on POSIX; those that the DLL installs itself come first.
 * Limits: only calls by pintle_proc_call and pintle_proc_try_call, not by pintle_proc_code, nor threads that the DLL made.
 * What it was doing is left half done: locks that it held stay held, memory that it took is lost, what it damaged stays
 * damaged. So a DLL that has failed should be closed, or, if it may hold a lock of the process (the heap's, the loader's),
 * the process ended. Callbacks it has led to are not part of it: a fault in their code is the task's (PINTLE_FAULTS_PANIC).
 * On a thread that runs no task pintle_proc_call's panic ends the process, as any there does. */
#define PINTLE_DLL_FAULTS_PANIC 2u

/* Effect: loads a DLL by absolute path; its own folder and the system's are searched for what it needs, never the
 * current folder or PATH. (POSIX: what the dynamic linker searches; its own folder is, if it says so by $ORIGIN.)
 * flags: PINTLE_DLL_… or 0. On failure *out is left alone. Blocks: task. From: any. Close with
 * pintle_dll_close. Errors: EINVAL (not absolute, not a DLL, a 32-bit one), ENOTFOUND (it, or what it needs), EACCES,
 * ENOMEM, EOS, ENOTSUP (another flag). */
PINTLE_API int pintle_dll_open(pintle_dll **out, const char *path, unsigned flags);

/* The same for a DLL of the system by bare name (System32; on POSIX what the dynamic linker's own folders hold).
 * pintle_dll_path of it is the name given. */
PINTLE_API int pintle_dll_open_system(pintle_dll **out, const char *name);

/* Effect: finds an export. Its pintle_proc lives as long as the DLL; finding it again by the same name and flags gives
 * the same one (with other flags: another). _data gives an address, of data or code. On failure *out is left alone.
 * Blocks: task. From: any. Errors: ENOTFOUND, EINVAL, ENOMEM, ECLOSED; by ordinal on POSIX: ENOTSUP. */
PINTLE_API int pintle_dll_find(pintle_dll *dll, const char *name, pintle_proc **out);
PINTLE_API int pintle_dll_find_with(pintle_dll *dll, const char *name, unsigned flags, pintle_proc **out);
PINTLE_API int pintle_dll_find_ordinal(pintle_dll *dll, unsigned ordinal, pintle_proc **out);
PINTLE_API int pintle_dll_find_data(pintle_dll *dll, const char *name, void **out_data);

/* Effect: refuses new calls, waits for those in flight, unloads, frees the handle. After any error the handle is still
 * there and goes on refusing calls until it is closed again or reopened. EBUSY: at the deadline, or at once from inside
 * a call of the DLL itself: the text names who is inside; also while another close or reopen of it is under way.
 * Blocks: task. From: any. Errors: EBUSY, ECANCELED (the task was cancelled while it waited), EINVAL. */
PINTLE_API int pintle_dll_close(pintle_dll *dll, int64_t deadline_ns);

/* A call that is inside a DLL: of a task, or of a thread that runs none (then task_id is 0). */
typedef struct pintle_dll_caller {
    uint64_t task_id, thread_id;
    char task_name[32], function[64]; /* cut to what fits */
} pintle_dll_caller;

/* Effect: who is inside, as data: fills out with up to `most` calls (out may be NULL, most 0), clears the rest of it, and
 * stores how many there are in all, among them those held by pintle_dll_acquire, which have no name. Where calls come and
 * go it is what was seen in passing; while a close is refused or waits, the number only falls.
 * Blocks: no. From: any. Errors: EINVAL. */
PINTLE_API int pintle_dll_callers(pintle_dll *dll, pintle_dll_caller *out, size_t most, size_t *out_count);

/* Effect: undoes a close that failed. Blocks: no. From: any.
 * Errors: EINVAL (it was not closing), EBUSY (another close or reopen is under way). */
PINTLE_API int pintle_dll_reopen(pintle_dll *dll);

/* Effect: counts a burst of calls of any kind, for code that calls through pintle_proc_code(): close waits for the
 * release. Blocks: no. From: any. Errors: ECLOSED once it is closing. */
PINTLE_API int pintle_dll_acquire(pintle_dll *dll);
PINTLE_API void pintle_dll_release(pintle_dll *dll);

/* Effect: calls with nargs words, 0 to 255; on Windows as pintle_syscalln, on POSIX on the unpinned fast path with
 * err = errno. On a DLL that is closing: a panic; the try form returns an error instead.
 * Blocks: task, as long as the function does. From: any. Errors (try): ECLOSED, ENOTFOUND, EINVAL, EFAULT (PINTLE_DLL_FAULTS_PANIC;
 * *out is left alone). */
PINTLE_API pintle_result pintle_proc_call(pintle_proc *proc, unsigned nargs, const uintptr_t *args);
PINTLE_API int pintle_proc_try_call(pintle_proc *proc, unsigned nargs, const uintptr_t *args, pintle_result *out);

/* The function's address, NULL for a static proc that is not bound yet; the system's handle (HMODULE, dlopen's); the path
 * or name that it was opened by, also of a private copy. Blocks: no. From: any. */
PINTLE_API pintle_code pintle_proc_code(pintle_proc *proc);
PINTLE_API void *pintle_dll_native(pintle_dll *dll);
PINTLE_API const char *pintle_dll_path(pintle_dll *dll);

/* A function of a system DLL, bound at its first call; missing is a panic then, which pintle_proc_bind tests for.
 * static pintle_proc Sleep_ = PINTLE_PROC("kernel32.dll", "Sleep"); */
#if defined(__cplusplus)
#define PINTLE_PROC(dll, proc) \
    pintle_proc { dll, proc, nullptr, nullptr, 0, nullptr }
#else
#define PINTLE_PROC(dll, proc) \
    { dll, proc, NULL, NULL, 0, NULL }
#endif
PINTLE_API int pintle_proc_bind(pintle_proc *proc);

#if defined(__cplusplus)
}
#endif

#endif
