/* task.h: the task's record, its states, and the sleeper through which anything is woken.
 *
 * States are ownership. Who may change one, to what (task_set_state asserts it in debug builds):
 *
 *   from       to         by                                         who owns the record then
 *   IDLE       RUNNABLE   spawn                                      the queue it is pushed on
 *   RUNNABLE   RUNNING    the thread that took it from a queue       that thread
 *   RUNNING    RUNNABLE   arrived (yield, lost processor)            the queue
 *   RUNNING    WAITING    arrived (park)                             whoever wins the sleeper's claim
 *   WAITING    RUNNABLE   the winner of the claim, once SAVED        the queue
 *   RUNNING    DEAD       arrived (exit)                             the joiner; if detached, the thread
 *   DEAD       IDLE       task_free                                  the pool
 * IN_CALL is derived: RUNNING with the thread's call word not OUT.
 *
 * Records are type-stable: they lie in chunks of their own (record.c), which are given back only after the last thread of
 * the runtime has ended. So late wakers may look at a stale record; seq tells them that it is stale.
 * A task gets its stack when it runs for the first time, and is without one again from its end on (stack.h): tasks that wait
 * to begin, or to be joined, cost a record.
 *
 * Waiting. A sleeper is the part of a task (or of a foreign thread that waits) that others may touch:
 *   claim   seq << 8 | flags | reason; OPEN while waiting. Whoever changes OPEN to a reason has the right to wake; a stale
 *           seq loses. Two kinds of wait differ in how it is won; wait.h explains both:
 *           GUARDED  by a plain store under the guard that the sleeper named; it is on its way out while it holds that.
 *           free     by compare-and-swap; then `park` says who comes second, the winner or the switch.
 *           joining  by taking the sleeper's word out of the other task's `join`, where it is put after the switch.
 *   park    SAVED: the sleeper has left its stack (or sleeps). WOKEN: the winner has finished. Whoever comes second
 *           makes it runnable. So a task is never run before its registers are saved (protocol SAVED).
 * Order: claim CAS acq_rel; park fetch_or acq_rel, which carries what the waker wrote to the sleeper.
 * Threads: see the table. Tests: tests/api/test_task.c, tests/stress. */
#ifndef PINTLE_SRC_TASK_H
#define PINTLE_SRC_TASK_H

#include "atomic.h"
#include "pintle/task.h"
#include "sanitize.h"
#include "scope.h"
#include "timer.h"

struct thread;
struct processor;
struct guard;
struct pintle_scope;

enum task_state { TASK_IDLE, TASK_RUNNABLE, TASK_RUNNING, TASK_WAITING, TASK_DEAD };

/* Why a wait ended; also the low bits of claim. */
enum wake_reason { WAKE_NONE = 0, WAKE_OPEN, WAKE_SELF, WAKE_EVENT, WAKE_DEADLINE, WAKE_CANCEL };
enum {
    CLAIM_REASON_MASK = 15,
    CLAIM_GUARDED = 16,
    CLAIM_MASKED = 32,
    CLAIM_JOINING = 64
}; /* MASKED: not for cancellers */

enum { PARK_SAVED = 1, PARK_WOKEN = 2 };

enum { TASK_NAME_BYTES = 32 };

struct sleeper {
    _Atomic uint64_t claim;
    _Atomic uint32_t park;
    bool external;                 /* a thread that is no task: woken through the word `park` */
    _Atomic(struct guard *) guard; /* of its last guarded wait */
    union {
        struct sleeper *next_free;         /* external ones, in their pool */
        _Atomic(_Atomic uint64_t *) joins; /* of its last joining wait */
    };
};

/* task->join: 0, DONE, DETACHED, or the joiner's sleeper with the low bits of its seq, and whether that is a joining wait.
 * Sleepers are 64-aligned. */
#define JOIN_DONE 1u
#define JOIN_DETACHED 2u

enum task_flags {
    TASK_DETACHED = 1,
    TASK_PANICKED = 2,
    TASK_MAIN = 4,
    TASK_CANCELED = 8,
    TASK_LEFT_BEHIND = 16,
    TASK_NAMED =
        32, /* a free record has no name, no values, no panic, no error and no nursery: these say that task_free */
    TASK_LOCALS = 64,         /* has to look, so that most tasks do not touch that part of the record */
    TASK_MEMBER = 128,        /* of a nursery; */
    TASK_OPENER = 256,        /* it has opened one, once */
    TASK_INTERRUPTIBLE = 512, /* in a call that may be interrupted: kick.c */
    TASK_FAILED = 1024,       /* it has an error */
    TASK_POISONED = 2048,     /* debug builds: freed, and not taken since */
    TASK_UNCOMMON = TASK_NAMED | TASK_LOCALS | TASK_PANICKED | TASK_MEMBER | TASK_FAILED
};

struct pintle_task {
    /* Line 0: who runs it. Switched by assembly: layout.h. A task that has no stack has not touched it, and a record without a
     * task has no pins, no thread and no error numbers here: task_leave_stack leaves it so. */
    void *sp;
    void *stack_reserve;
    alignas(16) void *stack_base; /* where the struct stack lies; NULL: it has none */
    void *stack_limit;
    uint32_t stack_guarantee;
    int saved_errno;
    uint32_t saved_last_error;
    uint32_t pins_user;
    struct thread *bound; /* the thread it is pinned to while it is not running; NULL: none */
    struct scope *scope;  /* the innermost: scope.h */

    /* Line 1: all that spawning, queues, joining and freeing touch. */
    alignas(CACHE_LINE) struct pintle_task *next; /* in a queue or a pool */
    pintle_fn *fn;
    union {
        void *arg;
        struct pintle_task *next_lot; /* in the pool: record.c */
    };
    _Atomic uint64_t join;
    uint64_t id;      /* and name: written by task_set_…; others: task_…_of_other */
    void *spawned_at; /* return address of the spawn */
    _Atomic uint8_t state;
    uint8_t size_class;    /* of the stack that it has, or was promised; STACK_NONE: neither */
    uint16_t cancel_masks; /* its own: waits that begin while it is not 0 are not cancelled */
    _Atomic uint32_t flags;
    _Atomic int cancel_reason; /* the first; with TASK_CANCELED */
    _Atomic int32_t ahead;     /* task_ahead */

    /* Line 2: waiting, and calls. */
    alignas(CACHE_LINE) struct sleeper sleeper;
    struct inside *inside;           /* the DLL calls it is inside, innermost first */
    struct panic *pending;           /* is to go on when the call that led to its callback has left */
    pintle_error *error;             /* its last failure; NULL until the first */
    _Atomic(const char *) waits_for; /* for reports: what it is parked in; static text */

    /* A task that does not wait with a deadline, has no name, no values and no nursery does not touch these. */
    struct timer timer;                                /* the deadline of its wait */
    struct local_values *locals;                       /* local.c; NULL until the first is set */
    struct panic *panic;                               /* that it ended by, for its joiner */
    struct pintle_scope *nursery;                      /* that it is a member of: nursery.c */
    struct pintle_task *member_next, *member_previous; /* under that one's lock */
    pintle_main_fn *go_fn;                             /* what it runs, if pintle_scope_go made it */
    char name[TASK_NAME_BYTES];
    SANITIZE_CONTEXT
};

/* ---- States and records ---- */
static inline void task_set_state(struct pintle_task *task, enum task_state from, enum task_state to) {
    DCHECK(atomic_load_relaxed(&task->state) == (uint8_t)from);
    (void)from;
    atomic_store_relaxed(&task->state, (uint8_t)to);
}
static inline bool task_is(struct pintle_task *task, enum task_flags flag) {
    return (atomic_load_relaxed(&task->flags) & flag) != 0;
}
/* Of a task that is the caller's alone, before it is spawned. */
static inline void task_prepare_flags(struct pintle_task *task, uint32_t flags) {
    atomic_store_relaxed(&task->flags, atomic_load_relaxed(&task->flags) | flags);
}
/* Who would hand over to a joiner that he takes to wait still reads it: the claim tells him then. */
static inline void task_set_bound(struct pintle_task *task, struct thread *thread) {
    atomic_store_relaxed((_Atomic(struct thread *) *)&task->bound, thread);
}
static inline bool task_is_bound(const struct pintle_task *task) {
    return atomic_load_relaxed((_Atomic(struct thread *) const *)&task->bound) != NULL;
}
/* What reports tell of tasks that others may end, and spawn in the same record, meanwhile: never torn, maybe mixed. */
static inline void task_set_id(struct pintle_task *task, uint64_t id) {
    atomic_store_relaxed((_Atomic uint64_t *)&task->id, id);
}
static inline uint64_t task_id_of_other(const struct pintle_task *task) {
    return atomic_load_relaxed((_Atomic uint64_t const *)&task->id);
}
/* Before it is spawned. Cut to what fits. */
static inline void task_set_name(struct pintle_task *task, const char *name) {
    task_prepare_flags(task, TASK_NAMED);
    size_t i = 0;
    for (; name[i] != '\0' && i < TASK_NAME_BYTES - 1; i++)
        atomic_store_relaxed((_Atomic char *)&task->name[i], name[i]);
    atomic_store_relaxed((_Atomic char *)&task->name[i], '\0');
}
static inline void task_name_of_other(const struct pintle_task *task, char out_name[TASK_NAME_BYTES]) {
    for (size_t i = 0; i < TASK_NAME_BYTES; i++)
        out_name[i] = atomic_load_relaxed((_Atomic char const *)&task->name[i]);
    out_name[TASK_NAME_BYTES - 1] = '\0';
}
/* Hints. A list is walked from record to record, each of which may have to come from memory first, one after the other. So who
 * makes a long list notes in a task which one comes AHEAD places after it (none: itself), and who walks it has that one's lines
 * brought meanwhile. It may be wrong, the list may be another by now: records are type-stable, and nothing is done with it. */
enum { AHEAD = 8 };
static inline void task_set_ahead(struct pintle_task *task, const struct pintle_task *other) {
    ptrdiff_t lines = ((const char *)other - (const char *)task) / CACHE_LINE;
    atomic_store_relaxed(&task->ahead, lines == (int32_t)lines ? (int32_t)lines : 0);
}
static inline struct pintle_task *task_ahead(struct pintle_task *task) {
    return (struct pintle_task *)(void *)((char *)task + (ptrdiff_t)atomic_load_relaxed(&task->ahead) * CACHE_LINE);
}
/* What a task that begins, and one that goes on, will touch of its record; and what else, if it has a stack. */
static inline void task_prefetch(struct pintle_task *task) {
    PREFETCH(task);
    PREFETCH(&task->next);
}
static inline void task_prefetch_stack(struct pintle_task *task) {
    enum { LINES = 8 };
    if (atomic_load_relaxed((_Atomic(void *) *)&task->stack_base) == NULL) return; /* it will get a warm one */
    const char *sp = atomic_load_relaxed((_Atomic(void *) *)&task->sp);
    for (unsigned i = 0; i < LINES; i++) PREFETCH(sp + i * CACHE_LINE);
    PREFETCH(&task->sleeper);
}

#define task_of_sleeper(sleeper_pointer) CONTAINER_OF(sleeper_pointer, struct pintle_task, sleeper)

/* ---- Debug builds: canaries, and poison in freed records ---- */

#define TASK_POISON ((uintptr_t)0xDEADDEADDEADDEADu)

#if defined(PINTLE_DEBUG_CHECKS)
/* Fatal if the task has been below its stack. A canary may be 0: its page was given back to the system. */
void task_check_stack(const struct pintle_task *task);
/* What is wrong with the record, if anything can be told while others use it; else NULL. */
const char *task_record_breach(const struct pintle_task *task);
void task_poison(struct pintle_task *task);
/* Checks that nobody has written to the freed record. */
void task_unpoison(struct pintle_task *task);
#else
static inline void task_check_stack(const struct pintle_task *task) { (void)task; }
static inline const char *task_record_breach(const struct pintle_task *task) { return (void)task, NULL; }
static inline void task_poison(struct pintle_task *task) { (void)task; }
static inline void task_unpoison(struct pintle_task *task) { (void)task; }
#endif

/* ---- Making and freeing ---- */

/* A new task in state IDLE that is sure of a stack, from the processor's cache (NULL: none held) or the pool.
 * 0, PINTLE_ENOMEM or PINTLE_ELIMIT, with the error set. */
int task_new(struct processor *processor, pintle_fn *fn, void *arg, size_t stack_bytes, struct pintle_task **out);
/* Gives a DEAD (or never started, IDLE) task back. */
void task_free(struct processor *processor, struct pintle_task *task);
/* The first C function on a task's stack. When it returns, its caller jumps to task_leave. */
void task_main(struct pintle_task *task);
void task_leave(void);
/* pintle_spawn, for `function`: options NULL: defaults, go_fn NULL: none. */
int task_spawn(struct pintle_task **out_task, pintle_fn *fn, void *arg, const pintle_task_options *options,
               pintle_main_fn *go_fn, const char *function, void *caller);
/* A caller's options (NULL: defaults) of that size. 0, or PINTLE_EINVAL. */
int task_options_read(pintle_task_options *out, const pintle_task_options *options, size_t size);
/* Ends the calling task; what was deferred has run. */
NORETURN void task_end(struct pintle_task *task);
/* A task that is about to run for the first time gets its stack. The processor is the caller's, or NULL. */
void task_begin(struct pintle_task *task, struct processor *processor);
/* A task that has ended gives its stack back; nobody is on it any more. */
void task_leave_stack(struct pintle_task *task, struct processor *processor);
/* Runs what is deferred in the task's own scope, and ends it. */
NORETURN void task_unwound(struct scope *scope);

/* Lowest valid and one-past-highest address of the task's stack. */
static inline bool task_owns_address(const struct pintle_task *task, const void *address) {
    return (const char *)address >= (const char *)task->stack_reserve &&
           (const char *)address < (const char *)task->stack_base;
}

#endif
