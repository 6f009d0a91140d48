/* thread.h: the record of an OS thread that runs tasks.
 *
 * A thread runs tasks only while it holds a processor. Where it is (thread_set_state asserts the step):
 *
 *   state     meaning                                             who may change it
 *   FREE      record in the free list                             under sched.lock
 *   SPARE     on the list of spare threads, parked or about to    under sched.lock: whoever takes it off the list
 *   WAITER    idle, keeps an idle processor's timers              under sched.lock: whoever takes the processor
 *   BOUND     waits for a processor for its pinned task           under sched.lock: whoever hands it one
 *   ACTIVE    in the loop or in task code, with a processor,      the thread itself
 *             or in a foreign call
 *   ENDED     leaving                                             the thread itself
 *
 * The call word, `call`, is the handshake of CALL and RETAKE: tick << 3 | KICK | state. Writers: the owner; the monitor
 * (IN to TAKEN: take.c; KICK: kick.c). `processor` is written by the owner while OUT or after it has read TAKEN; when the monitor or a
 * hand-over gives a thread a processor it goes through `handed`.
 * Threads: see each field. Order: `call` release in; out as take.c says; `handed` release, then unpark.
 * Tests: tests/api/test_call.c, tests/stress/test_calls.c. */
#ifndef PINTLE_SRC_THREAD_H
#define PINTLE_SRC_THREAD_H

#include "arch.h"
#include "atomic.h"
#include "layout.h"
#include "lock.h"
#include "os.h"
#include "pintle/result.h"
#include "sanitize.h"

struct callback;
struct kick_frame;
struct pintle_task;
struct pintle_thunk;
struct processor;
struct guard;

enum thread_state { THREAD_FREE, THREAD_SPARE, THREAD_WAITER, THREAD_BOUND, THREAD_ACTIVE, THREAD_ENDED };

/* How the task that leaves is to be published by the one that arrives (protocol SAVED). */
enum left_kind { LEFT_NONE, LEFT_YIELD, LEFT_GUARDED, LEFT_PARK, LEFT_JOIN, LEFT_EXIT, LEFT_EXIT_JOINED, LEFT_QUEUE };

/* thread->parker. */
enum { PARKER_EMPTY, PARKER_TOKEN, PARKER_SLEEPS, PARKER_POLLS /* in the poller: io_poll.c */ };

/* Why a thread should come by the scheduler. Advisory. */
enum {
    ATTENTION_YIELD = 1,
    ATTENTION_PANIC = 2, /* the task has a panic pending */
    ATTENTION_TAKE = 4   /* the call's processor may have been taken: take.c */
};

/* The argument block of the thread's current call, at its stack_top. */
struct call_block {
    void *return_address;
    void *fn;
    uint32_t nargs, err;
    void *sp; /* the task's stack pointer after the call returns */
    const uintptr_t *args;
    struct thread *thread;
    pintle_result *result;
    void *spare;
};

struct thread {
    /* Line 0: the call path. layout.h. */
    alignas(CACHE_LINE) _Atomic uint64_t call;
    struct pintle_task *task;    /* running, or in a call; others: thread_task_of_other */
    alignas(16) void *stack_top; /* the call block; the loop and foreign frames start below it */
    struct callback *callback;   /* the innermost; NULL: none */
    void *stack_base;
    void *stack_limit;
    void *stack_reserve;
    uint32_t pins_auto; /* pins that calls and callbacks took: the task cannot leave the thread */
    uint32_t callback_depth;

    /* Line 1: switching. Owner only, but for `processor`, which the monitor reads. */
    alignas(CACHE_LINE) _Atomic(struct processor *) processor;
    struct pintle_task *left; /* the task that just left, to be published by arrived() */
    union {
        struct guard *left_guard;    /* GUARDED: what it holds, to be released then */
        _Atomic uint64_t *left_join; /* JOIN: of the task that it waits for */
    };
    enum left_kind left_kind;
    bool is_home; /* the thread that called pintle_run: runs only the main task */
    bool is_searching;
    bool ends;      /* its task ended pinned: it must not run others */
    bool is_listed; /* it put itself where others take threads from: a processor will come */
    int *errno_slot;
    uint32_t *last_error_slot;
    struct pintle_task *reserved; /* the pinned task that the thread waits with */

    /* Line 2: written by others. */
    alignas(CACHE_LINE) _Atomic uint32_t attention;
    _Atomic uint32_t parker; /* PARKER_… */
    _Atomic(struct processor *) handed;
    _Atomic uint64_t take;        /* protocol TAKE: 0, n|IN: asked, n|TAKEN, or LEFT_BEHIND */
    _Atomic int64_t seen_call_ns; /* when the monitor first saw the call that it took the processor from */

    /* Line 3. The owner's; others look at thunks_inside. */
    alignas(CACHE_LINE) void *loop_frame;
    uint32_t stack_guarantee;
    bool is_attached; /* of an OS thread that the runtime did not make; runs only the task of its callback */
    _Atomic(struct pintle_thunk *) thunks_inside[THREAD_THUNK_SLOTS];

    /* Line 5: cold. */
    alignas(CACHE_LINE) _Atomic uint32_t state;
    uint32_t id;
    struct thread *next, *previous; /* spare list, under sched.lock */
    _Atomic bool is_dismissed;      /* taken off that list to end; set under sched.lock */
    struct thread *all_next;        /* all records ever made; only grows */
    os_thread os;
    _Atomic uint64_t os_id;
    struct processor *watches;    /* WAITER: whose timers it keeps; under sched.lock */
    uint32_t last_error_dummy;    /* where the system has no last error */
    _Atomic uint32_t owner_ended; /* attached: its OS thread is no more */
    os_fault_stack fault_stack;
    /* Interruptible calls: kick.c. The owner's, published by `call`; then the monitor's. */
    struct kick_frame *kick; /* the innermost */
    _Atomic(struct pintle_task *) kick_task;
    _Atomic uint64_t kick_tick; /* of its call, while that is entered */
    struct lock kick_lock;
    uint64_t kicked_tick;
    int64_t kick_next_ns, kick_pause_ns;
    SANITIZE_CONTEXT
    SANITIZE_STACK_ID
};

/* The calling thread's record; NULL on threads the runtime does not know. Opaque: read it again after each switch. */
static inline struct thread *thread_self(void) { return os_self(); }

static inline void thread_set_state(struct thread *thread, enum thread_state from, enum thread_state to) {
    DCHECK(atomic_load_relaxed(&thread->state) == (uint32_t)from);
    (void)from;
    atomic_store_relaxed(&thread->state, (uint32_t)to);
}
/* The owner reads `task` plainly: nobody else writes it. */
static inline void thread_set_task(struct thread *thread, struct pintle_task *task) {
    atomic_store_relaxed((_Atomic(struct pintle_task *) *)&thread->task, task);
}
static inline struct pintle_task *thread_task_of_other(const struct thread *thread) {
    return atomic_load_relaxed((_Atomic(struct pintle_task *) const *)&thread->task);
}
/* What it has used of the CPU; of the thread that had the record before, if it is just taken. */
static inline int64_t thread_cpu_ns(const struct thread *thread) {
    return os_thread_cpu_ns(atomic_load_relaxed(&thread->os_id));
}
/* From any thread. What others have asked for stays. */
static inline void thread_ask(struct thread *thread, uint32_t attention) {
    atomic_fetch_or_explicit(&thread->attention, attention, memory_order_relaxed);
}
static inline unsigned call_state(uint64_t word) { return (unsigned)(word & CALL_STATE_MASK); }
/* Of the calling thread: in no call. */
static inline bool thread_is_out(const struct thread *thread) {
    return call_state(atomic_load_relaxed(&thread->call)) == CALL_OUT;
}
/* The processor that the calling thread holds, and cannot lose at any moment; NULL: none. */
static inline struct processor *thread_own_processor(void) {
    struct thread *thread = arch_self_now();
    return thread != NULL && thread_is_out(thread) ? atomic_load_relaxed(&thread->processor) : NULL;
}
/* The runtime has stopped without the thread, whose call goes on. Either word may say so: take.c. */
static inline bool thread_is_left_behind(const struct thread *thread) {
    return atomic_load_relaxed(&thread->call) == CALL_LEFT_BEHIND ||
           atomic_load_relaxed(&thread->take) == CALL_LEFT_BEHIND;
}

/* All records ever, newest first. */
struct thread *thread_first(void);
/* Whether `is` says so of any record. From any thread, at any time. */
bool threads_any(bool (*is)(struct thread *thread, void *context), void *context);

/* Prepares a record for the calling OS thread / takes it away again. enter can fail: PINTLE_E…, error set. */
int thread_enter(struct thread *thread);
/* What the system says of the calling thread: its stack, its number, where its error numbers are. */
void thread_read_system(struct thread *thread);
void thread_set_stack(struct thread *thread, const os_stack_bounds *bounds);
void thread_leave(struct thread *thread);
/* A free record, or a new one; NULL: no memory. Under sched.lock. */
struct thread *thread_record_new_locked(void);
/* Frees all records; at the end of stopping. */
void thread_records_destroy(void);

/* Parks until a token comes or the deadline (INT64_MAX: none) passes: true for a token. */
bool thread_park(struct thread *thread, int64_t deadline_ns);
void thread_unpark(struct thread *thread);

#endif
