/* pintle/syscall.h: Windows system calls and DLL functions by address. Windows only.
 *
 * Each wrapper fills the calling thread's argument block (fn, n, args in; r1, r2, err out) and pins the task to its
 * thread around the call. Arguments are machine words; the first four go to integer and to vector registers, so a
 * double travels as its bits. Upper bits of narrow results are undefined: use the helpers.
 * Source of the shape: Go's syscall.Syscall family. */
#ifndef PINTLE_SYSCALL_H
#define PINTLE_SYSCALL_H

#include "pintle/base.h"
#include "pintle/result.h"

#if defined(__cplusplus)
extern "C" {
#endif

/* Effect: calls fn(a1 … a_nargs) on the thread's own stack. r1 is RAX, r2 the bits of XMM0, err the last error,
 * cleared before the call and captured right after it. A NULL fn or more words than the wrapper carries is a panic.
 * In a call or on a foreign thread it just calls. Blocks: task, as long as fn does. From: any. */
PINTLE_API pintle_result pintle_syscall(void *fn, unsigned nargs, uintptr_t a1, uintptr_t a2, uintptr_t a3);
PINTLE_API pintle_result pintle_syscall6(void *fn, unsigned nargs, uintptr_t a1, uintptr_t a2, uintptr_t a3,
                                         uintptr_t a4, uintptr_t a5, uintptr_t a6);
PINTLE_API pintle_result pintle_syscall9(void *fn, unsigned nargs, uintptr_t a1, uintptr_t a2, uintptr_t a3,
                                         uintptr_t a4, uintptr_t a5, uintptr_t a6, uintptr_t a7, uintptr_t a8,
                                         uintptr_t a9);
PINTLE_API pintle_result pintle_syscall12(void *fn, unsigned nargs, uintptr_t a1, uintptr_t a2, uintptr_t a3,
                                          uintptr_t a4, uintptr_t a5, uintptr_t a6, uintptr_t a7, uintptr_t a8,
                                          uintptr_t a9, uintptr_t a10, uintptr_t a11, uintptr_t a12);
PINTLE_API pintle_result pintle_syscall15(void *fn, unsigned nargs, uintptr_t a1, uintptr_t a2, uintptr_t a3,
                                          uintptr_t a4, uintptr_t a5, uintptr_t a6, uintptr_t a7, uintptr_t a8,
                                          uintptr_t a9, uintptr_t a10, uintptr_t a11, uintptr_t a12, uintptr_t a13,
                                          uintptr_t a14, uintptr_t a15);

/* The same for 0 to 255 words in an array, which must stay valid during the call. */
PINTLE_API pintle_result pintle_syscalln(void *fn, unsigned nargs, const uintptr_t *args);

/* Effect: loads a DLL for system calls; it is never unloaded (plugins: pintle/dll.h). The system one takes a bare
 * name and looks in System32 only; the other an absolute path (the DLL's own folder and the system's are searched for
 * what it needs) or a bare name (system folder, then the program's; never the current folder or PATH).
 * Blocks: task. From: any. Errors: ENOTFOUND, EINVAL, EACCES, EOS, ENOMEM. */
PINTLE_API int pintle_load_system_library(const char *name, void **out_module);
PINTLE_API int pintle_load_library(const char *path, void **out_module);

/* Effect: the address of an exported function. Blocks: task. From: any. Errors: ENOTFOUND, EINVAL. */
PINTLE_API int pintle_get_proc_address(void *module, const char *name, void **out_proc);

#if defined(__cplusplus)
}
#endif

#endif
