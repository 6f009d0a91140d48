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
    struct callback *outer;
    void *stack_top; /* the thread's, before */
    struct pintle_thunk *thunk;
    struct thread *thread;
    void *sp;              /* of the foreign frames, at the thunk's entry */
    const uintptr_t *args; /* the caller's words */
    struct pintle_task *task;
    uint32_t was_away; /* the call that led here had handed its processor on, and will again */
    uint32_t pins_auto;
    os_stack_bounds found; /* the system's idea of the stack at the entry */
    void *exception_list;
    struct pintle_thunk own; /* pintle_callback's */
    uintptr_t words[PINTLE_THUNK_WORDS_MOST];
};

/* The callbacks inside `to` (NULL: all) are left without a return. The calling thread's. */
void callback_discard(struct thread *thread, const struct callback *to);

/* The task ends by a panic: what the foreign thread is told, if it is a callback's on one. */
void callback_task_panicked(const struct pintle_task *task);

#endif
