/* pintle/runtime.h: starting and stopping, limits, figures. */
#ifndef PINTLE_RUNTIME_H
#define PINTLE_RUNTIME_H

#include "pintle/base.h"

#if defined(__cplusplus)
extern "C" {
#endif

/* What on_report is told of. */
enum {
    PINTLE_REPORT_PANIC = 1,    /* a panic that nobody stopped */
    PINTLE_REPORT_FATAL = 2,    /* a broken invariant of the runtime; abort follows */
    PINTLE_REPORT_DEADLOCK = 3, /* all tasks wait and nothing can wake them */
    PINTLE_REPORT_WARNING = 4,  /* a limit was met, tasks wait for a thread */
    PINTLE_REPORT_FAULT =
        5, /* a fault that nobody handled, in a task or a call; the process ends as the system ends one. POSIX: told in a signal handler; Windows: on a stack of 128 KB. Do little */
    PINTLE_REPORT_TRACE = 6 /* a line of PINTLE_TRACE=MILLISECONDS in the environment: figures, each so often */
};

/* Flags of pintle_options.
 * FAULTS_PANIC: a fault in a task's own code (access violation, division by zero, illegal instruction, on Windows any
 * exception that nobody handles) is a panic of the task, which pintle_protect can stop; its pintle_panic_info has os_code,
 * address and symbol. Without the flag it is reported, and the process ends as the system ends one. What the code was
 * doing is left half done, and locks that it held stay held: the heap's, if it was inside malloc; one of ours, if it gave
 * a bad pointer to a Pintle function. A stack overflow is always reported and ends the process. For faults inside calls
 * of a DLL see PINTLE_DLL_FAULTS_PANIC.
 * FAULTS_REPORT: POSIX, pintle_start only: handlers for SIGSEGV, SIGBUS, SIGFPE and SIGILL are installed, as pintle_run
 * does, and FAULTS_PANIC; without either of the two a library leaves the host's signals alone. Ours pass on to those that
 * were there before whatever is not a task's, and are taken away at the stop. Windows needs no such handlers. */
#define PINTLE_FAULTS_PANIC 1u
#define PINTLE_FAULTS_REPORT 2u

/* Zero is the default of every field but size; size may be zero too (the header's size is taken then). */
typedef struct pintle_options {
    size_t size;         /* sizeof(pintle_options) */
    unsigned processors; /* tasks that run at the same time; 0: CPU affinity and cgroup quota, or PINTLE_PROCESSORS */
    unsigned
        max_threads;    /* OS threads for tasks at most, beside pintle_run's caller; 0: 10,000. At the limit tasks wait
                             for one, and on_report gets a warning, once */
    unsigned max_tasks; /* live tasks at most; 0: no limit but memory. At the limit pintle_spawn gives ELIMIT */
    size_t stack_bytes; /* address space of a task's stack, committed as touched; 0: 256 KB */
    uint32_t flags;     /* PINTLE_FAULTS_PANIC, PINTLE_FAULTS_REPORT */
    int cancel_signal; /* POSIX: the signal that interrupts a cancelled pintle_call_interruptible; 0: SIGURG in pintle_run, none
                          after pintle_start, whose host has signals of its own; PINTLE_CANCEL_SIGNAL_NONE: none */
    void (*on_thread_start)(void *user); /* on each thread the runtime makes, before it runs tasks */
    void (*on_thread_stop)(void *user);
    void (*on_report)(void *user, int kind, const char *text); /* instead of stderr */
    void *user;
    unsigned
        max_lent; /* extra processors at most, lent while tasks compute or block in plain code for more than 10 ms, so
                          that others run; 0: 32; PINTLE_LENT_NONE: none. With loans, tasks of a runtime with one
                          processor can run at the same time */
} pintle_options;
#define PINTLE_LENT_NONE UINT32_MAX
#define PINTLE_CANCEL_SIGNAL_NONE (-1)

/* Effect: starts the runtime, runs main_task(arg) as its first task on the calling thread (it stays there until
 * it first waits), stops the runtime, and returns main_task's value. When main_task returns, the other tasks'
 * waits end with PINTLE_ECANCELED and the tasks get up to a second to end; a task that is inside a foreign call
 * then cannot be ended and is left behind with its thread, which will run no task again. Options may be NULL.
 * Blocks: thread. From: foreign thread (a program's main thread, usually).
 * Errors: EINVAL; ENOMEM; ELIMIT (the system makes no thread for tasks, also when tried again; if it refuses more later,
 * tasks wait and stats.threads_refused counts); EBUSY (already running). Source of the shape: Go's main. */
PINTLE_API int pintle_run_sized(pintle_main_fn *main_task, void *arg, const pintle_options *options, size_t size);
static inline int pintle_run(pintle_main_fn *main_task, void *arg, const pintle_options *options) {
    return pintle_run_sized(main_task, arg, options, sizeof(pintle_options));
}

/* Library mode, for a host that owns main().
 * Effect: starts the runtime; counted: each start needs its stop, and options count for the first only.
 * Blocks: thread, for a moment. From: foreign thread. Errors: as pintle_run. */
PINTLE_API int pintle_start_sized(const pintle_options *options, size_t size);
static inline int pintle_start(const pintle_options *options) {
    return pintle_start_sized(options, sizeof(pintle_options));
}

/* Effect: the last stop waits for all tasks to end (new ones get ESTOPPED), then for all threads of the runtime,
 * and gives everything back; 0 means that unloading our code is safe and a later start works. EBUSY: tasks were
 * left at the deadline; the text names the first of them and what each is in (a wait, a foreign call), and it can be
 * called again. Two libraries in one process that each have Pintle linked in do not disturb each other.
 * Blocks: thread. From: foreign thread. Errors: EBUSY, ESTOPPED (not started), EINVAL (deadline). */
PINTLE_API int pintle_stop(int64_t deadline_ns);

/* Effect: runs fn(arg) as a new task and waits for it. Blocks: task. From: any.
 * Errors: ESTOPPED, ENOMEM, ELIMIT, EPANIC. */
PINTLE_API int pintle_enter(pintle_fn *fn, void *arg);

/* Figures of the runtime, each a snapshot; the whole is not one instant. */
typedef struct pintle_stats {
    size_t size;
    uint64_t tasks;         /* live */
    uint64_t tasks_spawned; /* ever */
    uint64_t tasks_bytes;   /* address space held for tasks and their stacks */
    uint32_t processors, processors_idle;
    uint32_t threads, threads_spare; /* made by the runtime, and of those without work */
    uint64_t threads_started;        /* ever */
    uint64_t threads_refused;        /* times the system would not make one */
    uint64_t calls;                  /* foreign calls made by tasks, ever */
    uint32_t calls_in_flight;        /* of those, now */
    uint64_t switches;               /* from one task to another or to the scheduler */
    uint64_t steals;                 /* tasks taken from another processor's queue */
    uint64_t retakes;                /* processors taken from calls that blocked */
    uint64_t handoffs;               /* processors handed on by announced blocking calls and by pinned tasks */
    uint64_t slow_leaves;            /* calls that came back and found their processor gone */
    uint64_t lent;                   /* processors lent for tasks that held theirs too long */
    uint64_t thunks, attached;       /* live thunks; foreign threads attached */
    uint64_t timers;                 /* armed */
    uint64_t waits_for_thread;       /* times that work waited because max_threads was reached */
    uint64_t calls_abandoned;        /* by pintle_call_until, ever */
    uint32_t lent_now;               /* of those lent, still out */
    uint64_t kicks;                  /* times that a cancelled call was interrupted, or would have been */
} pintle_stats;

/* Effect: fills *out. Zero everywhere when the runtime does not run. Blocks: no. From: any. */
PINTLE_API void pintle_stats_get_sized(pintle_stats *out, size_t size);
static inline void pintle_stats_get(pintle_stats *out) { pintle_stats_get_sized(out, sizeof(pintle_stats)); }

/* Effect: looks whether the runtime's lists, queues, counts and states agree, each under its lock, and names the first
 * that does not: foreign code that wrote where it should not, or a defect of ours. A debugging aid: it takes as long as
 * there is to look at. Builds with PINTLE_DEBUG_CHECKS look at every timer, task and stack too. Not while another thread
 * stops the runtime, nor in on_report. Blocks: no. From: any. Errors: ECORRUPT, ESTOPPED (nothing to look at). */
PINTLE_API int pintle_check(void);

/* Effect: from now on somebody outside will still call in: no deadlock is reported. Counted.
 * Blocks: no. From: any. Source: libuv's uv_ref. */
PINTLE_API void pintle_hold(void);
PINTLE_API void pintle_unhold(void);

#if defined(__cplusplus)
}
#endif

#endif
