/* callback.h: the record of a callback: foreign code, on one of our threads or on another's, runs code of a task.
 *
 *   thread's stack, high to low:  [loop or outer callback][block][call's frames][foreign frames][record] <- stack_top
 *   task's stack, high to low:    [user's frames][call's frame][saved registers][the callback's user code …]
 *
 * The record's first part is the block of the calls that are made in the callback, so stack_top points to it, and any
 * nesting of calls and callbacks is a chain of records, innermost first: thread->callback. A callback that was entered
 * while its task was running (a direct qsort with a thunk) has its record on the task's stack and leaves stack_top as it is.
 * callback.c explains the steps; the hot half is assembly (src/<os>/x64/callback.S).
 * Threads: the thread's own. Locks: none. Tests: tests/api/test_callback.c. */
#ifndef PINTLE_SRC_CALLBACK_H
#define PINTLE_SRC_CALLBACK_H

#include "scope.h"
#include "thread.h"
#include "thunk.h"

struct callback {
    alignas(CACHE_LINE) struct call_block block;
    struct scope scope;
    void *stack_top; /* the thread's, before */
    struct callback *outer;
    struct pintle_thunk *thunk;
    void *sp; /* of the foreign frames, at the thunk's entry */
    struct inside *inside;
    uint32_t pins_auto, depth; /* the thread's, inside */
    uint32_t was_away;         /* the call that led here had handed its processor on, and will again */
    uint32_t has_found;
    os_stack_bounds found; /* the thread's stack, if the callback came on another; else not set */
    bool keeps_registers;  /* unwinding has found what the foreign code had in its registers */
    alignas(CACHE_LINE) uintptr_t words[PINTLE_THUNK_WORDS_MOST]; /* unless they lie where the caller has put them */
};

static inline struct thread *callback_thread(const struct callback *callback) { return callback->block.thread; }

/* The caller's words. */
static inline const uintptr_t *callback_args(const struct callback *callback) {
    return ARCH_THUNK_ARGS_AT_CALLER ? (const uintptr_t *)callback->sp + 1 : callback->words;
}

/* Its frame on the task's stack. */
static inline void *callback_frame(const struct callback *callback) {
    uintptr_t sp = (uintptr_t)((const struct call_block *)callback->stack_top)->sp - ARCH_CALLBACK_BELOW;
    return (void *)((sp & ~(uintptr_t)15) - ARCH_CALLBACK_BYTES);
}

/* The scopes of callbacks are made when somebody asks for the innermost: most callbacks need none. */
struct scope *callback_scopes(struct thread *thread, struct pintle_task *task);

/* Whether a panic that comes by the callback's scope stays there until the foreign code has ended. */
bool callback_stops(const struct callback *callback);

/* The callbacks inside `to` (NULL: all) are left without a return. The calling thread's. */
void callback_discard(struct thread *thread, const struct callback *to);

/* The task ends by a panic: what the foreign thread is told, if it is a callback's on one. */
void callback_task_panicked(const struct pintle_task *task);

#endif
