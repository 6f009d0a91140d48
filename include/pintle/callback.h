/* pintle/callback.h: foreign code calls back.
 *
 *     static uintptr_t compare(void *user, const uintptr_t *args) { … }
 *     pintle_thunk *thunk;
 *     pintle_thunk_new(&thunk, compare, NULL, 2, 0);
 *     qsort(items, count, size, (int (*)(const void *, const void *))pintle_thunk_pointer(thunk));
 *
 * A callback is code of a task. Entered from a call, it is the task that made the call, on the task's own stack; entered
 * on a thread that the runtime never saw, it is a new task. It stays on this thread (it is pinned) until it returns, and
 * may do all that a task may: wait, spawn, call, be called back, panic, exit. */
#ifndef PINTLE_CALLBACK_H
#define PINTLE_CALLBACK_H

#include "pintle/dll.h"
#include "pintle/task.h"

#if defined(__cplusplus)
extern "C" {
#endif

/* Effect: runs fn(arg) as task code, here, and returns when it has. In a task itself: calls it, pinned meanwhile.
 * Blocks: as fn does, and for a processor. From: any.
 * Errors: ESTOPPED (no task, and the runtime does not run), ENOMEM (no task could be made for a foreign thread);
 * ECANCELED (fn ended its task by pintle_task_exit, on a foreign thread); EPANIC (likewise by a panic; or fn was not run,
 * since a panic waits for this call to end: PINTLE_PANIC_RETURN). */
PINTLE_API int pintle_callback(pintle_fn *fn, void *arg);

/* Effect: for foreign threads that call in often: what the runtime needs of the thread is made now and kept. Without it
 * the first callback makes it, and the end of the thread takes it away. detach takes it away at once. On other threads:
 * nothing. Blocks: no. From: any. Errors: ESTOPPED, ENOMEM. */
PINTLE_API int pintle_thread_attach(void);
PINTLE_API void pintle_thread_detach(void);

/* ---- Function pointers for foreign code ---- */

/* A function pointer that calls fn(user, args) as a callback. Thunks are a static table: there are PINTLE_THUNKS_MOST. */
typedef struct pintle_thunk pintle_thunk;
enum { PINTLE_THUNKS_MOST = 2048, PINTLE_THUNK_WORDS_MOST = 64 };

/* args: the words that the foreign caller passed; narrow types are in the low bits, what is above them is not defined. A
 * double is its bits, a float the low 32. The result goes to the caller as an integer or pointer, and its bits as a
 * floating-point value too. */
typedef uintptr_t pintle_thunk_fn(void *user, const uintptr_t *args);

/* flags, beside PINTLE_FLOATS and PINTLE_FLOAT_RESULT of pintle/dll.h. */
#define PINTLE_CDECL 0u                 /* the same as stdcall on 64-bit systems */
#define PINTLE_STDCALL 0u               /* for sources that say it */
#define PINTLE_THUNK_URGENT 0x08000000u /* does not wait for a processor: one is lent at once, for audio and the like */

enum {
    PINTLE_PANIC_CROSS,  /* a panic discards the foreign frames between it and who protects */
    PINTLE_PANIC_RETURN, /* the foreign code gets panic_result and goes on; further callbacks are not run but get theirs;
                            when the call (or the section) that led to the callback has ended the panic goes on, and
                            likewise the exit of a task. For window procedures; where the system itself has called
                            (SendMessage's), it is so anyway. Where a task calls foreign code directly, panics cross */
};

typedef struct pintle_thunk_options {
    size_t size;
    unsigned nargs; /* words, up to 64 */
    unsigned flags;
    int on_panic;
    uintptr_t panic_result;
    uintptr_t
        closed_result; /* what foreign code gets where nothing can run: before the start, after the stop, retired */
} pintle_thunk_options;

/* Effect: takes a thunk from the table, the one that has been free the longest. Blocks: no. From: any; also before the
 * start: until then it answers closed_result. Errors: EINVAL, ELIMIT (all are in use). */
PINTLE_API int pintle_thunk_new(pintle_thunk **out, pintle_thunk_fn *fn, void *user, unsigned nargs, unsigned flags);
PINTLE_API int pintle_thunk_new_with_sized(pintle_thunk **out, pintle_thunk_fn *fn, void *user,
                                           const pintle_thunk_options *options, size_t size);
static inline int pintle_thunk_new_with(pintle_thunk **out, pintle_thunk_fn *fn, void *user,
                                        const pintle_thunk_options *options) {
    return pintle_thunk_new_with_sized(out, fn, user, options, sizeof *options);
}

/* What to give to foreign code, valid until the thunk is freed; NULL for NULL. Blocks: no. From: any. */
PINTLE_API void *pintle_thunk_pointer(pintle_thunk *thunk);
PINTLE_API pintle_code pintle_thunk_code(pintle_thunk *thunk);

/* Effect: gives the thunk back. Nobody may call its pointer any more: it will be another's. NULL: nothing.
 * On Linux it makes the process's threads fence, some µs if they run: retire is cheaper for many that live shortly.
 * Blocks: no. From: any. Errors: EBUSY (somebody is inside: it stays as it was), EINVAL (freed already). */
PINTLE_API int pintle_thunk_free(pintle_thunk *thunk);
/* Effect: from now on the pointer answers closed_result, and the thunk is given back once nobody is inside any more. May
 * be called from inside itself. Blocks: no. From: any. Errors: EINVAL (freed or retired already). */
PINTLE_API int pintle_thunk_retire(pintle_thunk *thunk);

#if defined(__cplusplus)
}
#endif

#endif
