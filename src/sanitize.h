/* sanitize.h: what the sanitizers and Valgrind have to be told about stacks. All of it is nothing in normal builds.
 *
 * CMake's PINTLE_SANITIZE (address, thread) and PINTLE_VALGRIND define the macros that are asked here, and add the files
 * of src/sanitize, which stand between the core and the assembly: there each switch of stacks is announced. So the core
 * has no hooks but these: a context in each task and thread, and the ends of stacks' lives.
 * Threads: a context: who owns its task or thread. Tests: all, by scripts/test --sanitize. */
#ifndef PINTLE_SRC_SANITIZE_H
#define PINTLE_SRC_SANITIZE_H

#include "base.h"

#if defined(PINTLE_SANITIZE)
struct sanitize_context {
    void *fiber;      /* ThreadSanitizer's thread that stands for the stack; NULL: none yet */
    void *fake_stack; /* AddressSanitizer's, while the stack is left */
    bool arrives;     /* a switch to it has begun */
    void *lowest;     /* of a thread: no foreign frame that was left without a return lies below; NULL: there is none */
};
#define SANITIZE_CONTEXT struct sanitize_context sanitize;
/* The task has ended, or never began, and nobody runs on its stack. */
void sanitize_stack_free(struct sanitize_context *context);
#define SANITIZE_STACK_FREE(task) sanitize_stack_free(&(task)->sanitize)
/* ThreadSanitizer: handles the signals that it keeps back. */
void sanitize_signals(void);
/* Fresh from the system. What lay at the same address before may have left red zones. */
void sanitize_memory_fresh(const void *low, size_t bytes);
#define SANITIZE_MEMORY_FRESH(low, bytes) sanitize_memory_fresh(low, bytes)
/* Memory from the system, whose pointers keep what they point to from being a leak. */
void sanitize_root_made(const void *low, size_t bytes);
void sanitize_root_gone(const void *low, size_t bytes);
#define SANITIZE_ROOT_MADE(low, bytes) sanitize_root_made(low, bytes)
#define SANITIZE_ROOT_GONE(low, bytes) sanitize_root_gone(low, bytes)
/* Where ThreadSanitizer is told of the order that foreign code may make; tests leave places out (tests/tsan). */
enum {
    SANITIZE_CALL_RELEASE = 1,
    SANITIZE_CALL_ACQUIRE = 2,
    SANITIZE_CALLBACK_ACQUIRE = 4,
    SANITIZE_CALLBACK_RELEASE = 8,
    SANITIZE_IN_PLACE_ACQUIRE = 16, /* in place, or on a thread of others */
    SANITIZE_IN_PLACE_RELEASE = 32
};
extern uint32_t sanitize_omitted;
#else
#define SANITIZE_CONTEXT
#define SANITIZE_STACK_FREE(task) ((void)(task))
#define SANITIZE_MEMORY_FRESH(low, bytes) ((void)(low), (void)(bytes))
#define SANITIZE_ROOT_MADE(low, bytes) ((void)(low), (void)(bytes))
#define SANITIZE_ROOT_GONE(low, bytes) ((void)(low), (void)(bytes))
#endif

/* How many threads the sanitizer has of its own: those that foreign code would have are counted. */
#if defined(PINTLE_SANITIZE_THREAD)
enum { SANITIZE_THREADS = 1 };
#else
enum { SANITIZE_THREADS = 0 };
#endif

/* [low, high) is a stack from here on / until here: a jump between two is no growth of one. */
#if defined(PINTLE_VALGRIND)
void sanitize_stack_made(const void *low, const void *high, unsigned *out_id);
void sanitize_stack_gone(unsigned id);
#define SANITIZE_STACK_ID unsigned stack_id;
#define SANITIZE_STACK_MADE(low, high, of) sanitize_stack_made(low, high, &(of)->stack_id)
#define SANITIZE_STACK_GONE(of) sanitize_stack_gone((of)->stack_id)
#else
#define SANITIZE_STACK_ID
#define SANITIZE_STACK_MADE(low, high, of) ((void)(low), (void)(high))
#define SANITIZE_STACK_GONE(of) ((void)(of))
#endif

#endif
