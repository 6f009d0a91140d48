/* spare.c: idle processors, spare threads, hand-overs, and the maker of threads.
 *
 * A processor that nobody runs is idle; a thread without one waits, in one of three roles:
 *   SPARE   on the list, for any processor
 *   WAITER  parked on the first deadline of an idle processor's timers. Not on the list. Who takes that processor takes the
 *           waiter along as its thread, or puts it on the list
 *   BOUND   (protocol PIN) with a pinned task, which nobody else may run. Whoever picks that task from a queue hands its
 *           processor over and becomes spare; a task made ready gets an idle processor at once
 * A bound thread that still holds a processor gives it on before it looks at what it was handed:
 *     its own task is next: keep it | another bound task is next: straight to that thread | else: pass on
 *
 *   pass on: work and a spare: to the spare.  Work and no spare: to the thread of the first bound task that is queued (else
 *            nothing could run it), or idle, and the maker is asked.  No work: idle
 *
 * The maker is a thread of its own, since a thread costs 40 µs (Linux) to 900 µs (Wine) to make, and neither the monitor
 * nor a task should wait for that. It keeps one spare
 * (four, once somebody found none), joins threads that have ended, and backs off when refused.
 *
 * Threads: any. Locks: sched.lock. Order: `handed` release / acquire carries the processor's plain fields.
 * Invariants: a thread is on the list exactly in state SPARE. Tests: tests/api/test_pin.c, tests/stress. */
#include "error.h"
#include "memory.h"
#include "panic.h"
#include "scheduler.h"
#include "stack.h"

enum { PARKER_EMPTY, PARKER_TOKEN, PARKER_SLEEPS };
enum {
    SPIN_LIMIT = 200,
    DEFAULT_MAX_THREADS = 10000,
    GLOBAL_INTERVAL = 61,
    SPARES = 1,
    SPARES_WANTED = 4,
    FIRST_TRIES = 6
};

static struct {
    os_thread os;
    _Atomic uint32_t word;  /* 1: asked */
    _Atomic uint32_t ended; /* counts threads that ended; waited on when stopping */
    bool stops;
    bool has_warned; /* that max_threads is reached */
} maker;

/* ---- Parking ---- */

/* A hand-over from thread to thread takes 0.6 µs if the other one spins, 4 µs if it sleeps. One at a time, and only while
 * a CPU is free: three that spin on two CPUs make it 60 µs. */
static void spin_a_little(struct thread *thread) {
    static _Atomic uint32_t spinners;
    uint32_t none = 0, busy = sched.processor_count - atomic_load_relaxed(&sched.idle_count);
    if (busy >= sched.cpu_count || !atomic_cas_acq_rel(&spinners, &none, 1)) return;
    for (int spin = 0; spin < SPIN_LIMIT && atomic_load_relaxed(&thread->parker) == PARKER_EMPTY; spin++) arch_pause();
    atomic_store_release(&spinners, 0);
}

bool thread_park(struct thread *thread, int64_t deadline_ns) {
    uint32_t empty = PARKER_EMPTY;
    spin_a_little(thread);
    if (atomic_cas_acq_rel(&thread->parker, &empty, PARKER_SLEEPS)) {
        while (atomic_load_acquire(&thread->parker) == PARKER_SLEEPS) {
            if (deadline_ns != INT64_MAX && os_now_ns() >= deadline_ns) break;
            os_wait_word(&thread->parker, PARKER_SLEEPS, deadline_ns);
        }
    }
    return atomic_swap_acq_rel(&thread->parker, PARKER_EMPTY) == PARKER_TOKEN;
}

void thread_unpark(struct thread *thread) {
    if (atomic_swap_acq_rel(&thread->parker, PARKER_TOKEN) == PARKER_SLEEPS) os_wake_word_one(&thread->parker);
}

/* ---- Lists ---- */

static uint32_t max_threads(void) {
    return sched.options.max_threads != 0 ? sched.options.max_threads : DEFAULT_MAX_THREADS;
}

static bool is_at_max_threads_locked(void) { return sched.thread_count >= max_threads(); }

void idle_put_locked(struct processor *processor, struct thread *waiter) {
    CHECK(!processor->is_idle);
    processor->is_idle = true;
    processor->waiter = waiter;
    if (waiter != NULL) {
        waiter->watches = processor;
        thread_set_state(waiter, THREAD_ACTIVE, THREAD_WAITER);
    }
    atomic_store_relaxed(&processor->thread, NULL);
    processor->idle_previous = NULL;
    processor->idle_next = sched.idle;
    if (sched.idle != NULL) sched.idle->idle_previous = processor;
    sched.idle = processor;
    atomic_store_relaxed(&sched.idle_count, atomic_load_relaxed(&sched.idle_count) + 1);
}

struct processor *idle_take_locked(struct processor *wanted, struct thread **out_waiter) {
    struct processor *processor = wanted != NULL && wanted->is_idle ? wanted : sched.idle;
    *out_waiter = NULL;
    if (processor == NULL) return NULL;
    if (processor->idle_previous != NULL) {
        processor->idle_previous->idle_next = processor->idle_next;
    } else {
        sched.idle = processor->idle_next;
    }
    if (processor->idle_next != NULL) processor->idle_next->idle_previous = processor->idle_previous;
    processor->is_idle = false;
    atomic_store_relaxed(&sched.idle_count, atomic_load_relaxed(&sched.idle_count) - 1);
    if (processor->waiter != NULL) {
        *out_waiter = processor->waiter;
        thread_set_state(processor->waiter, THREAD_WAITER, THREAD_ACTIVE);
        processor->waiter->watches = NULL;
        processor->waiter = NULL;
    }
    if (atomic_load_relaxed(&sched.monitor_asleep) != MONITOR_AWAKE) monitor_wake();
    return processor;
}

struct thread *spare_take_locked(void) {
    struct thread *thread = sched.spares;
    if (thread == NULL) {
        sched.thread_wanted = true;
        if (is_at_max_threads_locked()) atomic_add_relaxed(&sched.waits_for_thread, 1);
    } else {
        sched.spares = thread->next;
        if (thread->next != NULL) thread->next->previous = NULL;
        sched.spare_count--;
        thread_set_state(thread, THREAD_SPARE, THREAD_ACTIVE);
    }
    if (sched.spare_count == 0) maker_ask();
    return thread;
}

void spare_put_locked(struct thread *thread) {
    thread_set_state(thread, THREAD_ACTIVE, THREAD_SPARE);
    thread->previous = NULL;
    thread->next = sched.spares;
    if (sched.spares != NULL) sched.spares->previous = thread;
    sched.spares = thread;
    sched.spare_count++;
    if (UNLIKELY(sched.thread_wanted)) maker_ask(); /* it looks for what the thread was wanted for */
}

/* ---- Hand-overs ---- */

void hand_over(struct processor *processor, struct thread *thread) {
    atomic_store_relaxed(&processor->thread, thread);
    atomic_store_release(&thread->handed, processor);
    thread_unpark(thread);
}

void hand_to_bound(struct thread *thread, struct processor *processor, struct pintle_task *task) {
    atomic_store_relaxed(&thread->processor, NULL);
    counter_add(&processor->handoffs, 1);
    hand_over(processor, task->bound);
}

/* The first task in the global queue that is bound; taken out. */
static struct pintle_task *take_bound_locked(void) {
    struct task_list kept = {0};
    struct pintle_task *task, *found = NULL;
    while ((task = task_list_pop(&sched.global)) != NULL) {
        if (found == NULL && task->bound != NULL) {
            found = task;
        } else {
            task_list_push(&kept, task);
        }
    }
    sched.global = kept;
    atomic_store_relaxed(&sched.global_count, kept.count);
    return found;
}

void processor_pass_on(struct processor *processor) {
    struct thread *thread = NULL;
    struct pintle_task *bound;
    bool has_own;
    lock_acquire(&sched.lock);
    has_own = !runq_is_empty(&processor->runq);
    if (sched_phase() != PHASE_EXITING) {
        if (has_own || sched.global.first != NULL || timer_heap_earliest(&processor->timers) != INT64_MAX) {
            thread = spare_take_locked();
        }
        if (thread == NULL && has_own) {
            struct task_list list = {0};
            runq_drain(&processor->runq, &list);
            task_list_append(&sched.global, &list);
            atomic_store_relaxed(&sched.global_count, sched.global.count);
        }
        if (thread == NULL && sched.global.first != NULL && (bound = take_bound_locked()) != NULL)
            thread = bound->bound;
    }
    if (thread == NULL) idle_put_locked(processor, NULL);
    lock_release(&sched.lock);
    if (thread != NULL) {
        counter_add(&processor->handoffs, 1);
        hand_over(processor, thread);
        return;
    }
    atomic_fence_full(); /* WAKE, as a searcher: the processor is idle now */
    if (sched_has_work()) sched_wake();
}

/* PIN: a bound thread gives its processor on. True: its own task is next, it keeps the processor. */
static bool give_on(struct thread *thread, struct processor *processor) {
    struct pintle_task *task = NULL;
    if (++processor->tick % GLOBAL_INTERVAL == 0) {
        processor_run_timer(processor);
        task = sched_take_global(processor, 1);
    }
    if (task == NULL && atomic_load_relaxed(&thread->attention) == 0) task = runq_pop_next(&processor->runq);
    if (task == NULL) task = runq_pop(&processor->runq);
    if (task == NULL) task = runq_pop_next(&processor->runq);
    if (task == NULL) task = sched_take_global(processor, 1);
    counter_add(&processor->slices, 1);
    counter_add(&processor->switches, 1);
    atomic_store_relaxed(&thread->attention, 0);
    if (task != NULL && task == thread->reserved) return true;
    atomic_store_relaxed(&thread->processor, NULL);
    if (task != NULL && task->bound != NULL) {
        counter_add(&processor->handoffs, 1);
        hand_over(processor, task->bound);
        return false;
    }
    if (task != NULL) {
        struct pintle_task *kicked = runq_push_next(&processor->runq, task);
        struct task_list overflow = {0};
        if (kicked != NULL && !runq_push(&processor->runq, kicked, &overflow)) {
            lock_acquire(&sched.lock);
            task_list_append(&sched.global, &overflow);
            atomic_store_relaxed(&sched.global_count, sched.global.count);
            lock_release(&sched.lock);
        }
    }
    processor_pass_on(processor);
    return false;
}

/* A thread without a processor and without a task becomes spare, unless there is an idle processor and work. */
static void join_spares(struct thread *thread) {
    struct thread *waiter = NULL;
    struct processor *processor = NULL;
    lock_acquire(&sched.lock);
    if (atomic_load_relaxed(&sched.idle_count) != 0 && sched_has_work()) processor = idle_take_locked(NULL, &waiter);
    if (waiter != NULL) spare_put_locked(waiter);
    if (processor == NULL) spare_put_locked(thread);
    thread->is_listed = true;
    lock_release(&sched.lock);
    if (processor != NULL) hand_over(processor, thread);
}

/* The deadline of the timers that the thread keeps has come: true if it still keeps them. */
static bool take_watched(struct thread *thread) {
    struct thread *waiter;
    struct processor *processor = NULL;
    lock_acquire(&sched.lock);
    if (thread->watches != NULL) processor = idle_take_locked(thread->watches, &waiter);
    lock_release(&sched.lock);
    if (processor == NULL) return false;
    thread->is_listed = false;
    thread_hold(thread, processor);
    return true;
}

static bool has_to_end(struct thread *thread) {
    if (thread->is_home) return atomic_load_acquire(&sched.main_done) != 0;
    return sched_phase() == PHASE_EXITING;
}

static int64_t watched_deadline(struct thread *thread) {
    int64_t deadline = INT64_MAX;
    if (atomic_load_relaxed(&thread->state) != THREAD_WAITER) return deadline;
    lock_acquire(&sched.lock);
    if (thread->watches != NULL) deadline = timer_heap_earliest(&thread->watches->timers);
    lock_release(&sched.lock);
    return deadline;
}

/* Off the lists, for the last time. A processor that was handed over meanwhile goes to the others. */
static void leave_lists(struct thread *thread) {
    struct processor *processor;
    struct thread *waiter;
    bool taken = false;
    lock_acquire(&sched.lock);
    if (thread->watches != NULL) {
        processor = idle_take_locked(thread->watches, &waiter);
        idle_put_locked(processor, NULL);
    } else if (atomic_load_relaxed(&thread->state) == THREAD_SPARE) {
        if (thread->previous != NULL) {
            thread->previous->next = thread->next;
        } else {
            sched.spares = thread->next;
        }
        if (thread->next != NULL) thread->next->previous = thread->previous;
        sched.spare_count--;
        thread_set_state(thread, THREAD_SPARE, THREAD_ACTIVE);
    } else {
        taken = thread->is_listed;
    }
    lock_release(&sched.lock);
    while ((processor = atomic_swap_acq_rel(&thread->handed, NULL)) == NULL && taken) thread_park(thread, INT64_MAX);
    thread->is_listed = false;
    if (processor != NULL) processor_pass_on(processor);
}

bool thread_wait_for_processor(struct thread *thread) {
    struct processor *processor = thread_processor(thread);
    if (thread->ends && !thread->is_home) {
        lock_acquire(&sched.lock);
        sched.thread_count--; /* the slot first: who gets the processor may need a thread */
        lock_release(&sched.lock);
        atomic_store_relaxed(&thread->processor, NULL);
        if (processor != NULL) processor_pass_on(processor);
        return false;
    }
    if (processor != NULL) {
        if (thread->reserved != NULL) {
            if (give_on(thread, processor)) return true;
        } else {
            atomic_store_relaxed(&thread->processor, NULL);
            processor_pass_on(processor);
        }
    }
    if (!thread->is_home && thread->reserved == NULL && !thread->is_listed) join_spares(thread);
    for (;;) {
        processor = atomic_swap_acq_rel(&thread->handed, NULL);
        if (processor != NULL) {
            thread->is_listed = false;
            thread_hold(thread, processor);
            return true;
        }
        if (has_to_end(thread)) break;
        if (!thread_park(thread, watched_deadline(thread)) && take_watched(thread)) return true;
    }
    leave_lists(thread);
    if (!thread->is_home) {
        lock_acquire(&sched.lock);
        sched.thread_count--;
        lock_release(&sched.lock);
    }
    return false;
}

/* ---- Threads ---- */

struct thread *thread_first(void) {
    return atomic_load_acquire((_Atomic(struct thread *) *)&sched.all_threads);
}

struct thread *thread_record_new_locked(void) {
    struct thread *thread = sched.free_threads;
    if (thread != NULL) {
        sched.free_threads = thread->next;
    } else {
        thread = memory_alloc_aligned(sizeof *thread);
        if (thread == NULL) return NULL;
        memset(thread, 0, sizeof *thread);
        thread->id = sched.all_threads != NULL ? sched.all_threads->id + 1 : 1;
        thread->all_next = sched.all_threads;
        atomic_store_release((_Atomic(struct thread *) *)&sched.all_threads, thread);
    }
    thread_set_state(thread, THREAD_FREE, THREAD_ACTIVE);
    return thread;
}

static void record_free_locked(struct thread *thread) {
    thread->ends = thread->is_home = thread->is_searching = thread->is_listed = false;
    thread->reserved = thread->left = NULL;
    thread->task = NULL;
    thread->left_kind = LEFT_NONE;
    thread->pins_auto = 0;
    atomic_store_relaxed(&thread->processor, NULL);
    atomic_store_relaxed(&thread->attention, 0);
    atomic_store_relaxed(&thread->parker, PARKER_EMPTY);
    atomic_store_relaxed(&thread->state, THREAD_FREE);
    thread->next = sched.free_threads;
    sched.free_threads = thread;
}

void thread_records_destroy(void) {
    while (sched.all_threads != NULL) {
        struct thread *thread = sched.all_threads;
        sched.all_threads = thread->all_next;
        if (atomic_load_relaxed(&thread->call) != CALL_LEFT_BEHIND) memory_free_aligned(thread);
    }
    sched.free_threads = NULL;
}

int thread_enter(struct thread *thread) {
    os_stack_bounds bounds;
    os_thread_stack(&bounds);
    thread->stack_base = bounds.base;
    thread->stack_limit = bounds.limit;
    thread->stack_reserve = bounds.reserve;
    thread->stack_guarantee = bounds.guarantee_bytes;
    os_thread_error_slots(&thread->errno_slot, &thread->last_error_slot);
    if (thread->last_error_slot == NULL) thread->last_error_slot = &thread->last_error_dummy;
    thread->os_id = os_thread_id();
    os_self_set(thread);
    return 0;
}

void thread_leave(struct thread *thread) {
    os_self_set(NULL);
    lock_acquire(&sched.lock);
    thread_set_state(thread, THREAD_ACTIVE, THREAD_ENDED);
    if (thread->is_home) {
        record_free_locked(thread);
    } else {
        thread->next = sched.ended_threads;
        sched.ended_threads = thread;
    }
    lock_release(&sched.lock);
}

static void thread_main(void *arg) {
    struct thread *thread = arg;
    thread_enter(thread);
    if (sched.options.on_thread_start != NULL) sched.options.on_thread_start(sched.options.user);
    lock_acquire(&sched.lock);
    sched.starting_count--;
    lock_release(&sched.lock);
    arch_thread_run(thread);
    if (atomic_load_relaxed(&thread->call) == CALL_LEFT_BEHIND) return; /* nothing of the runtime is ours to touch */
    if (sched.options.on_thread_stop != NULL) sched.options.on_thread_stop(sched.options.user);
    thread_leave(thread);
    maker_ask();
}

/* ---- The maker ---- */

void maker_ask(void) {
    if (atomic_swap_acq_rel(&maker.word, 1) == 0) os_wake_word_one(&maker.word);
}

/* Waits for the threads that have ended and frees their records. */
static void join_ended(void) {
    for (;;) {
        struct thread *thread;
        lock_acquire(&sched.lock);
        thread = sched.ended_threads;
        if (thread != NULL) sched.ended_threads = thread->next;
        lock_release(&sched.lock);
        if (thread == NULL) return;
        os_thread_join(&thread->os);
        lock_acquire(&sched.lock);
        record_free_locked(thread);
        sched.live_count--;
        lock_release(&sched.lock);
        atomic_add_seq_cst(&maker.ended, 1);
        os_wake_word_all(&maker.ended);
    }
}

/* A spare that came back late meets the work that it was wanted for. */
static void dispatch(void) {
    for (;;) {
        struct thread *thread = NULL;
        struct processor *processor = NULL;
        lock_acquire(&sched.lock);
        sched.thread_wanted = false;
        if (atomic_load_relaxed(&sched.idle_count) != 0 && sched_has_work()) {
            processor = idle_take_locked(NULL, &thread);
            if (thread == NULL && (thread = spare_take_locked()) == NULL) {
                idle_put_locked(processor, NULL);
                processor = NULL;
            }
        }
        lock_release(&sched.lock);
        if (processor == NULL) return;
        hand_over(processor, thread);
    }
}

enum make_result { MAKE_ENOUGH, MAKE_DONE, MAKE_REFUSED };

static enum make_result make_one(void) {
    struct thread *thread;
    uint32_t enough;
    int os_code = 0;
    lock_acquire(&sched.lock);
    enough = sched.thread_wanted ? SPARES_WANTED : SPARES;
    if (sched_phase() == PHASE_EXITING || sched.spare_count + sched.starting_count >= enough) {
        lock_release(&sched.lock);
        return MAKE_ENOUGH;
    }
    if (is_at_max_threads_locked()) {
        lock_release(&sched.lock);
        return MAKE_ENOUGH; /* the next that becomes spare looks */
    }
    thread = thread_record_new_locked();
    if (thread != NULL) {
        sched.thread_count++;
        sched.starting_count++;
        sched.live_count++;
    }
    lock_release(&sched.lock);
    if (thread != NULL && (os_code = os_thread_start(&thread->os, thread_main, thread)) == 0) {
        atomic_add_relaxed(&sched.threads_started, 1);
        maker_has_tried(0);
        return MAKE_DONE;
    }
    atomic_add_relaxed(&sched.threads_refused, 1);
    maker_has_tried(os_code);
    if (thread != NULL) {
        lock_acquire(&sched.lock);
        sched.thread_count--;
        sched.starting_count--;
        sched.live_count--;
        record_free_locked(thread);
        lock_release(&sched.lock);
    }
    return MAKE_REFUSED;
}

static void maker_main(void *arg) {
    int64_t back_off_ns = 1000000;
    (void)arg;
    for (;;) {
        enum make_result made;
        atomic_store_seq_cst(&maker.word, 0); /* then look: who asks afterwards sets it again */
        join_ended();
        dispatch();
        while ((made = make_one()) == MAKE_DONE) back_off_ns = 1000000;
        if (!maker.has_warned && atomic_load_relaxed(&sched.waits_for_thread) != 0) {
            maker.has_warned = true;
            report_warning("max_threads = %u is reached: tasks wait for a thread", max_threads());
        }
        if (atomic_load_acquire((_Atomic bool *)&maker.stops)) break;
        if (made == MAKE_REFUSED) {
            os_wait_word(&maker.word, 0, os_now_ns() + back_off_ns);
            if (back_off_ns < 100000000) back_off_ns *= 2;
        } else {
            while (atomic_load_acquire(&maker.word) == 0) os_wait_word(&maker.word, 0, INT64_MAX);
        }
    }
    join_ended();
}

int maker_start(void) {
    char message[128];
    int os_code;
    atomic_store_relaxed(&maker.word, 0);
    maker.stops = maker.has_warned = false;
    os_code = os_thread_start(&maker.os, maker_main, NULL);
    if (os_code == 0) return 0;
    os_error_text(os_code, message, sizeof message);
    return error_set(PINTLE_ELIMIT, os_code, "the system makes no thread for the runtime: %s", message);
}

void maker_stop(void) {
    atomic_store_release((_Atomic bool *)&maker.stops, true);
    atomic_store_seq_cst(&maker.word, 1);
    os_wake_word_one(&maker.word);
    os_thread_join(&maker.os);
}

/* A thread in a foreign call is on its own from here on; record and stack stay. */
static void leave_behind(struct thread *thread) {
    uint64_t word = atomic_load_acquire(&thread->call);
    if (word == CALL_LEFT_BEHIND || call_state(word) == CALL_OUT) return;
    if (!atomic_cas_acq_rel(&thread->call, &word, CALL_LEFT_BEHIND)) return; /* the call has just ended */
    atomic_fetch_or_explicit(&thread->task->flags, TASK_LEFT_BEHIND, memory_order_relaxed);
    os_thread_detach(&thread->os);
    lock_acquire(&sched.lock);
    sched.live_count--;
    sched.thread_count--;
    sched.left_behind_count++;
    lock_release(&sched.lock);
}

static uint32_t threads_in_task_code(void) {
    uint32_t count = 0;
    for (struct thread *thread = thread_first(); thread != NULL; thread = thread->all_next) {
        count += thread->task != NULL && atomic_load_relaxed(&thread->call) != CALL_LEFT_BEHIND;
    }
    return count;
}

bool threads_stop(int64_t os_deadline_ns) {
    for (struct thread *thread = thread_first(); thread != NULL; thread = thread->all_next) {
        atomic_store_relaxed(&thread->attention, ATTENTION_YIELD);
        thread_unpark(thread);
    }
    for (;;) {
        uint32_t ended = atomic_load_acquire(&maker.ended), live;
        int64_t round_ns = os_now_ns() + 10000000;
        for (struct thread *thread = thread_first(); thread != NULL; thread = thread->all_next) leave_behind(thread);
        maker_ask();
        lock_acquire(&sched.lock);
        live = sched.live_count;
        lock_release(&sched.lock);
        if (live == 0) return true;
        /* Only task code can go on without end. All others come by, however slow the machine is. */
        if (os_now_ns() >= os_deadline_ns && live <= threads_in_task_code()) return false;
        os_wait_word(&maker.ended, ended, round_ns);
    }
}
