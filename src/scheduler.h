/* scheduler.h: the scheduler's shared state and what its parts call of each other. The walk through a task's life is in
 * src/README.md; the protocols are explained in the .c files that own them:
 *   scheduler.c    SAVED, the loop, ready and WAKE        spare.c    spare threads, hand-overs, PIN, the maker
 *   monitor.c  RETAKE, time slices                    call.c     CALL
 *   wait.c     sleepers, deadlines, cancelling        runtime.c  start, stop
 * Threads: see each field. Locks: sched.lock (RANK_SCHED). */
#ifndef PINTLE_SRC_SCHEDULER_H
#define PINTLE_SRC_SCHEDULER_H

#include "lock.h"
#include "pintle/runtime.h"
#include "pintle/sync.h"
#include "processor.h"
#include "task.h"
#include "thread.h"

enum run_phase {
    PHASE_STOPPED, /* nothing runs; entries get ESTOPPED */
    PHASE_RUNNING,
    PHASE_STOPPING, /* no new tasks; the old ones may end */
    PHASE_EXITING   /* threads end as they come by; nothing is scheduled */
};

struct sched {
    struct lock lock;
    /* Under lock, read by others as a hint. */
    alignas(CACHE_LINE) _Atomic uint32_t idle_count; /* WAKE: read after a full fence */
    _Atomic uint32_t monitor_asleep;                 /* enum monitor_sleep, likewise */
    _Atomic uint32_t searching;                      /* threads that look for work */
    _Atomic uint32_t global_count;
    _Atomic uint32_t spare_hint; /* spare_count */
    _Atomic uint32_t phase;
    alignas(CACHE_LINE) struct task_list global;
    struct processor *idle;
    struct thread *spares;
    uint32_t global_bound;                /* pinned tasks in the global queue */
    uint32_t spare_count, starting_count; /* starting: made, not yet come by */
    uint32_t spare_least;                 /* that spare_count was since spares_end_idle */
    uint32_t thread_count;                /* that count against max_threads: not the home, which runs one task only */
    struct thread *all_threads;           /* only grows */
    struct thread *free_threads, *ended_threads; /* ended: for the maker to join */
    uint32_t live_count;                         /* OS threads that we started and have not joined */
    uint32_t left_behind_count;
    struct thread *attached; /* records of threads that are not ours: callback.c */
    uint32_t attached_count;
    struct processor *lent_pool; /* lend.c */
    uint32_t lent_now, lent_computing;
    _Atomic uint32_t processors_used; /* indices below it have been in use */
    bool thread_wanted;               /* somebody found no spare */
    _Atomic uint32_t top_ups;         /* spares_top_up: how many wait for spares */
    /* Constant while running. */
    struct processor *processors;
    uint32_t processor_count; /* without those to lend, which come behind */
    uint32_t processors_all;
    uint32_t cpu_count; /* that the process may use */
    pintle_options options;
    bool library_mode, handles_faults;
    struct thread *home; /* the one that called pintle_run; NULL: library mode */
    _Atomic uint32_t main_done;
    _Atomic uint32_t thread_tries; /* the maker's attempts; waited on when starting */
    _Atomic int refused_code;      /* why the last one was refused */
    /* Figures. */
    pintle_sem until_slots; /* until.c: how many more calls it may make at a time */
    _Atomic uint64_t lent_ever, calls_abandoned, kicks;
    _Atomic uint64_t retakes, threads_started, threads_refused, waits_for_thread, slow_leaves;
    _Atomic uint64_t outside_spawned, outside_ended, outside_handoffs; /* by threads without a processor */
    _Atomic uint64_t ids;                                              /* of tasks, given out */
    _Atomic uint64_t tasks_counted;                                    /* live ones; only with max_tasks */
};
extern struct sched sched;

static inline enum run_phase sched_phase(void) { return (enum run_phase)atomic_load_acquire(&sched.phase); }

/* ---- scheduler.c ---- */

/* Makes a task runnable that the caller owns. From any thread. */
void sched_ready(struct pintle_task *task);
/* The same for one that has not run yet, and is bound to no thread. */
void sched_ready_new(struct pintle_task *task);
/* The same by the thread that holds the processor. */
void sched_ready_on(struct processor *processor, struct pintle_task *task);
/* WAKE: after work was published: gives an idle processor a thread that searches, unless somebody searches already. */
void sched_wake(void);
/* The publisher's half: a fence, and the same if a processor is idle. */
void sched_wake_if_idle(void);
/* Fires the processor's first timer, if it is due: what it wakes is the next task. */
void processor_run_timer(struct processor *processor);
/* Leaves the calling task, to be published as `kind` says; returns when it runs again (never for EXIT). */
void depart(struct thread *thread, enum left_kind kind);
/* The same for GUARDED, by a thread that is known to be in no call. */
void depart_guarded(struct thread *thread);
/* Publishes the task that left. On every arrival: called by arch_switch and the loop. */
void arrived(struct thread *thread);
/* The thread's life without a task. Called by arch_thread_run and by the switches to the loop. */
void sched_loop(struct thread *thread);
/* The calling task's thread; panics with the function's name where there is no task, or in a call. */
NORETURN COLD void task_only_refuse(const struct thread *thread, const char *function);
static inline bool runs_task_code(struct thread *thread) {
    return thread != NULL && thread->task != NULL && (atomic_load_relaxed(&thread->call) & CALL_FLAGS_MASK) == CALL_OUT;
}
static inline struct thread *task_only(const char *function) {
    struct thread *thread = arch_self_before_switch();
    if (UNLIKELY(!runs_task_code(thread))) task_only_refuse(thread, function);
    return thread;
}

/* ---- global.c ---- */

void global_push_locked(struct pintle_task *task);
/* The list is empty then. None of it is bound. */
void global_append_locked(struct task_list *list);
void global_push_list(struct task_list *list);
/* As sched_ready for each, in order. None is bound. */
void sched_ready_list(struct task_list *list);
/* One to run, and up to `most` - 1 more into the processor's ring. NULL: empty. */
struct pintle_task *global_take(struct processor *processor, uint32_t most);
struct pintle_task *global_take_locked(struct processor *processor, uint32_t most);
/* Whether any ring, next slot or the global queue has work. A hint. */
bool sched_has_work(void);
/* How many tasks are queued. A hint. */
uint32_t sched_work_count(void);

/* ---- task.c ---- */

/* Tasks spawned ever, and (out, NULL: not wanted) live: sums of the processors' counters. A task counts as spawned before
 * anybody can run it, and as ended by a release; ended is read first: so live is never too few, and 0 is true. */
uint64_t sched_tasks(uint64_t *out_live);
static inline void sched_count_ended(struct processor *processor) {
    if (UNLIKELY(sched.options.max_tasks != 0)) atomic_sub_relaxed(&sched.tasks_counted, 1);
    if (LIKELY(processor != NULL)) {
        atomic_store_release(&processor->ended, atomic_load_relaxed(&processor->ended) + 1); /* the owner's */
    } else {
        atomic_fetch_add_explicit(&sched.outside_ended, 1, memory_order_release);
    }
}
/* A number for a task, counted as spawned. */
static inline uint64_t sched_count_spawned(struct processor *processor) {
    enum { IDS = 64 };
    if (UNLIKELY(processor == NULL)) {
        atomic_add_relaxed(&sched.outside_spawned, 1);
        return atomic_add_relaxed(&sched.ids, 1) + 1;
    }
    if (UNLIKELY(processor->ids_left == 0)) {
        processor->next_id = atomic_add_relaxed(&sched.ids, IDS) + 1;
        processor->ids_left = IDS;
    }
    counter_add(&processor->spawned, 1);
    processor->ids_left--;
    return processor->next_id++;
}

/* ---- spare.c ---- */

void idle_put_locked(struct processor *processor, struct thread *waiter);
/* Takes an idle processor (NULL: any). *out_waiter: the thread that kept its timers, now the caller's; or NULL. */
struct processor *idle_take_locked(struct processor *wanted, struct thread **out_waiter);
/* A spare thread; NULL: none, and the maker is asked for one. */
struct thread *spare_take_locked(void);
void spare_put_locked(struct thread *thread);
/* A thread for a processor to come: a spare; with none left that of a bound task, which is taken out of the global queue
 * (*out_bound; else NULL). NULL: neither. */
struct thread *thread_reserve_locked(struct pintle_task **out_bound);
/* It is not needed after all. Not under sched.lock. */
void thread_unreserve(struct thread *thread, struct pintle_task *bound);
/* Gives a thread that the caller owns (spare, waiter, bound) a processor and lets it go on. Not under sched.lock. */
void hand_over(struct processor *processor, struct thread *thread);
/* The thread took from a queue a task that is bound to another: its processor goes there, it becomes spare. */
void hand_to_bound(struct thread *thread, struct processor *processor, struct pintle_task *task);
/* Gives a processor that the caller owns to whoever can use it: a spare if there is work, else the idle list. */
void processor_pass_on(struct processor *processor);
/* Waits for a processor as the thread's role says; false: the thread is to end. */
bool thread_wait_for_processor(struct thread *thread);
/* Ends as many threads as were spare all the time since the call before this one, but for some that are kept. For the
 * monitor. */
void spares_end_idle(void);
/* Whether there are more spares than are kept in any case. */
bool spares_are_many(void);
/* ---- maker.c ---- */

void maker_ask(void);
/* The same, for a processor whose thread blocks and that found no spare. */
void maker_missed(void);
/* How many spares there should be, by the demand of the last seconds. */
uint32_t spares_wanted_locked(void);
/* max_threads, or its default. */
uint32_t threads_most(void);
/* Starts and ends the maker. */
int maker_start(void);
/* The maker tells after each attempt to make a thread: the system's error number, 0: done. Who starts waits for it
 * (runtime.c). */
void maker_has_tried(int os_code);
void maker_stop(void);
/* PHASE_EXITING: ends all threads that come by, leaves those behind that are in foreign calls; true if none that can
 * touch the scheduler is left; false if at the
 * deadline (os_now_ns's clock) those that are left are in task code. */
bool threads_stop(int64_t os_deadline_ns);
/* A record that is in no list goes back to the free ones. */
void thread_record_free_locked(struct thread *thread);
/* An attached thread is out of the runtime again: the last step, the stop has waited for it. */
void attached_count_end(void);

/* ---- callback.c ---- */

int callbacks_init(void);
void callbacks_shutdown(void);

/* ---- scope.c ---- */

/* Frees what the processor keeps for deferred calls. */
void deferred_pool_destroy(struct processor *processor);

/* ---- top_up.c ---- */

/* Before a library is loaded or unloaded: has spare threads made. Waits for them, as a task does, at most a second. */
void spares_top_up(void);
/* How many spares the maker keeps while somebody waits for that. */
static inline uint32_t spares_topped_up(void) { return sched.processor_count + 2; }

/* ---- monitor.c ---- */

enum monitor_sleep { MONITOR_AWAKE, MONITOR_LONG, MONITOR_FOREVER };
int monitor_start(void);
void monitor_stop(void);
void monitor_wake(void);

/* ---- call.c ---- */

/* Takes a processor back after a slow call, or queues the calling task for one. */
void call_leave(struct thread *thread);
/* The same for a callback from a call of fn: what is pending stays. An urgent one does not wait where a processor can be
 * lent; true: it was, and lend_urgent_end is due. */
bool call_leave_for(struct thread *thread, const void *fn, bool urgent);
/* Marks the calling task as away in a blocking call, its processor handed on. */
void call_enter_away(struct thread *thread);

/* ---- processors held by threads ---- */

static inline struct processor *thread_processor(struct thread *thread) {
    return atomic_load_relaxed(&thread->processor);
}
static inline void thread_hold(struct thread *thread, struct processor *processor) {
    atomic_store_relaxed(&thread->processor, processor);
    atomic_store_release(&processor->thread, thread); /* pairs with the monitor: the record may be new */
}

#endif
