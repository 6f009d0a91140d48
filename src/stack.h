/* stack.h: stacks, and the promise of one that each task has from its spawn on.
 *
 *   high  [struct stack] <- base, where unwinding and the TEB say the stack begins
 *         [the stack, committed as touched …]
 *   low   [guard]        <- reserve
 * A stack is a task's from its first run to its end. Most tasks never wait, so they take the same few stacks by turns, and
 * what was spawned and has not run yet has none. But a spawn that succeeds must not fail later, so it is promised one:
 *   promised   tasks that have a stack or will need one; a spawn adds one, or fails
 *   prepared   stacks there are; each has its memory committed where the system wants that
 *   prepared >= promised + what processors may keep for themselves, so whoever takes one finds one.
 * Processors keep a few stacks (LIFO: the one just left is warm) and a few promises, of the default size; once memory has
 * been refused they keep no promises any more, so that what ends makes room for whoever spawns.
 *
 * Header and first frames share a page, so a parked task that has run little costs about one page and its record. Bases are
 * shifted against each other by a few cache lines, else all would fall into the same cache sets.
 *
 * Sizes are powers of two from 64 KB (classes). Small ones are carved from slabs of 16 MB. Address space is given back to
 * the system when the runtime has stopped, not before; the lower pages of stacks that nobody uses for long, by
 * stack_trim_idle.
 * Threads: any. Locks: one for each class (RANK_POOL).
 * Tests: tests/api/test_task.c, tests/api/test_many.c, tests/unit/test_stack.c. */
#ifndef PINTLE_SRC_STACK_H
#define PINTLE_SRC_STACK_H

#include "processor.h"
#include "task.h"

enum { STACK_NONE = 0xFF, STACKS_KEPT = 4, PROMISES_KEPT = 16 };

struct stack {
    struct scope base;              /* of the task's own deferred functions */
    struct pintle_task *task;       /* whose it is; NULL: free */
    struct pintle_scope *nurseries; /* that the task has open, the last first: nursery.c */
    struct stack *next;
    void *reserve, *limit; /* while it is free; else the task's are right */
    uint32_t guarantee;
    uint8_t size_class;
#if defined(PINTLE_DEBUG_CHECKS)
    uint64_t *canary;          /* at the low end; NULL: none */
    struct pintle_mutex *held; /* by the task, those with a rank: mutex.c */
#endif
    SANITIZE_STACK_ID
};

static inline struct stack *task_stack(const struct pintle_task *task) { return task->stack_base; }
/* The task's own scope; it has a stack. */
static inline struct scope *task_base(const struct pintle_task *task) { return &task_stack(task)->base; }

/* Stacks of this many bytes (0: DEFAULT) are the default, of which each of so many processors keeps STACKS_KEPT. Before the
 * first task. false: too large. */
bool stack_set_default(size_t stack_bytes, uint32_t processors);
/* The class for a stack of at least this many bytes, 0: the default; -1: too large. */
int stack_class(size_t stack_bytes);

/* The operations of each spawn, inlined but for their cold parts. processor: the caller's, or NULL. */
extern int stack_default_class;
extern _Atomic uint32_t stack_promises_most; /* that a processor may keep; 0: none since memory was refused */
COLD int stack_promise_slow(struct processor *processor, int size_class);
COLD void stack_unpromise_slow(struct processor *processor, int size_class);
COLD struct stack *stack_take_slow(int size_class);
COLD void stack_give_slow(struct stack *stack);

/* For a task to be spawned: 0, or PINTLE_ENOMEM with the error set. */
static inline int stack_promise(struct processor *processor, int size_class) {
    if (LIKELY(processor != NULL && size_class == stack_default_class && processor->promises > 0)) {
        processor->promises--;
        return 0;
    }
    return stack_promise_slow(processor, size_class);
}
/* The task has ended, or was never spawned. */
static inline void stack_unpromise(struct processor *processor, int size_class) {
    if (LIKELY(processor != NULL && size_class == stack_default_class &&
               processor->promises < atomic_load_relaxed(&stack_promises_most))) {
        processor->promises++;
    } else {
        stack_unpromise_slow(processor, size_class);
    }
}
/* One that was promised. */
static inline struct stack *stack_take(struct processor *processor, int size_class) {
    struct stack *stack;
    if (UNLIKELY(processor == NULL || size_class != stack_default_class || (stack = processor->stacks) == NULL)) {
        return stack_take_slow(size_class);
    }
    processor->stacks = stack->next;
    processor->stack_count--;
    return stack;
}
static inline void stack_give(struct processor *processor, struct stack *stack) {
    if (UNLIKELY(processor == NULL || stack->size_class != stack_default_class ||
                 processor->stack_count >= processor->stacks_most)) {
        stack_give_slow(stack);
        return;
    }
    stack->next = processor->stacks;
    processor->stacks = stack;
    processor->stack_count++;
}

/* Gives back the lower pages of free stacks that were not used since the call before this one; of a hundred or two at most,
 * so that it takes a ms or two. True: there are more of those; call again soon. For the monitor. Threads: one at a time. */
bool stack_trim_idle(void);
/* Whether there are free stacks that stack_trim_idle would trim now or later. */
bool stack_trim_wanted(void);
/* Address space held now. */
uint64_t stack_bytes_held(void);
/* Gives everything back to the system: no task may be left. Before records_destroy. */
void stack_destroy(void);

#endif
