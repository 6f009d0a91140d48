/* spare.c: idle processors, spare threads, and hand-overs. Who makes the threads: maker.c.
 *
 * A processor that nobody runs is idle; a thread without one waits, in one of three roles:
 *   SPARE   on the list, for any processor
 *   WAITER  parked on the first deadline of an idle processor's timers. Not on the list. Who takes that processor takes the
 *           waiter along as its thread, or puts it on the list
 *   BOUND   (protocol PIN) with a pinned task, which nobody else may run. Whoever picks that task from a queue hands its
 *           processor over and becomes spare; a task made ready, or that yields, gets an idle processor at once, else
 *           it is in the global queue, never in a ring: there its thread could not be told without a spare one
 * A bound thread that still holds a processor gives it on before it looks at what it was handed:
 *     its own task is next: keep it | another bound task is next: straight to that thread | else: pass on
 *
 *   pass on: work and a spare: to the spare.  Work and no spare: to the thread of the first bound task that is queued (else
 *            nothing could run it), or idle, and the maker is asked.  No work: idle
 *
 * Threads: any. Locks: sched.lock. Order: `handed` release / acquire carries the processor's plain fields.
 * Invariants: a thread is on the list exactly in state SPARE; no bound task is queued while a processor is idle.
 * Tests: tests/api/test_pin.c, tests/stress, tests/model/pin.pml. */
#include "error.h"
#include "io_poll.h"
#include "lend.h"
#include "panic.h"
#include "scheduler.h"
#include "stack.h"

enum { SPIN_LIMIT = 200, GLOBAL_INTERVAL = 61, SPARES_KEPT = 4 };
#define LOOK_AGAIN_NS 1000000

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
    uint32_t before = atomic_swap_acq_rel(&thread->parker, PARKER_TOKEN);
    if (before == PARKER_SLEEPS) {
        os_wake_word_one(&thread->parker);
    } else if (before == PARKER_POLLS) {
        os_poller_wake();
    }
}

/* ---- Lists ---- */

static void spare_count_locked(int by) {
    sched.spare_count += (uint32_t)by;
    if (sched.spare_count < sched.spare_least) sched.spare_least = sched.spare_count;
    atomic_store_relaxed(&sched.spare_hint, sched.spare_count);
}

void idle_put_locked(struct processor *processor, struct thread *waiter) {
    CHECK(!processor->is_idle);
    if (UNLIKELY(processor_is_lent(processor))) {
        lend_end_locked(processor); /* never idle: back to the pool */
        return;
    }
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
    /* Where timers are due soonest: with few threads, a processor at the list's end would never see its own. */
    if (wanted == NULL) {
        for (struct processor *other = sched.idle; other != NULL; other = other->idle_next) {
            if (timer_heap_earliest(processor_timers(other)) < timer_heap_earliest(processor_timers(processor)))
                processor = other;
        }
    }
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

static void spare_remove_locked(struct thread *thread) {
    if (thread->previous != NULL) {
        thread->previous->next = thread->next;
    } else {
        sched.spares = thread->next;
    }
    if (thread->next != NULL) thread->next->previous = thread->previous;
    spare_count_locked(-1);
    thread_set_state(thread, THREAD_SPARE, THREAD_ACTIVE);
}

struct thread *spare_take_locked(void) {
    struct thread *thread = sched.spares;
    if (thread == NULL) {
        sched.thread_wanted = true;
        if (sched.thread_count >= threads_most()) atomic_add_relaxed(&sched.waits_for_thread, 1);
    } else {
        /* The one that waits in the poller is better left there. */
        if (thread == atomic_load_relaxed(&poller.owner) && thread->next != NULL) thread = thread->next;
        spare_remove_locked(thread);
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
    spare_count_locked(1);
    if (UNLIKELY(sched.thread_wanted)) maker_ask(); /* it looks for what the thread was wanted for */
}

/* ---- Hand-overs ---- */

void hand_over(struct processor *processor, struct thread *thread) {
    atomic_store_release(&processor->thread, thread); /* pairs with the monitor: the record may be new */
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
    if (sched.global_bound == 0) return NULL;
    sched.global_bound--;
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

struct thread *thread_reserve_locked(struct pintle_task **out_bound) {
    struct thread *thread = spare_take_locked();
    *out_bound = thread == NULL ? take_bound_locked() : NULL;
    return *out_bound != NULL ? (*out_bound)->bound : thread;
}

void thread_unreserve(struct thread *thread, struct pintle_task *bound) {
    if (bound != NULL) {
        sched_ready(bound);
        return;
    }
    lock_acquire(&sched.lock);
    spare_put_locked(thread);
    lock_release(&sched.lock);
}

void processor_pass_on(struct processor *processor) {
    struct thread *thread = NULL;
    struct pintle_task *bound;
    bool has_own, recalled;
    lock_acquire(&sched.lock);
    has_own = !runq_is_empty(&processor->runq);
    recalled = atomic_load_relaxed(&processor->recall) != 0;
    if (sched_phase() != PHASE_EXITING) {
        if (!recalled &&
            (has_own || sched.global.first != NULL || timer_heap_earliest(processor_timers(processor)) != INT64_MAX)) {
            thread = spare_take_locked();
            if (thread == NULL) maker_missed();
        }
        if (thread == NULL && has_own) {
            struct task_list list = {0};
            runq_drain(&processor->runq, &list);
            global_append_locked(&list);
        }
        if (thread == NULL && !recalled && sched.global.first != NULL && (bound = take_bound_locked()) != NULL)
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
    if (sched_phase() != PHASE_EXITING && sched_has_work()) sched_wake();
}

/* PIN: a bound thread gives its processor on. True: its own task is next, it keeps the processor. */
static bool give_on(struct thread *thread, struct processor *processor) {
    struct pintle_task *task = NULL;
    if (UNLIKELY(atomic_load_relaxed(&processor->recall) != 0)) {
        lend_return(thread, processor);
        return false;
    }
    uint32_t tick = atomic_load_relaxed(&processor->tick) + 1;
    atomic_store_relaxed(&processor->tick, tick);
    if (tick % GLOBAL_INTERVAL == 0) {
        processor_run_timer(processor);
        task = global_take(processor, 1);
    }
    if (task == NULL && atomic_load_relaxed(&thread->attention) == 0) task = runq_pop_next(&processor->runq);
    if (task == NULL) task = runq_pop(&processor->runq);
    if (task == NULL) task = runq_pop_next(&processor->runq);
    if (task == NULL) task = global_take(processor, 1);
    counter_add(&processor->slices, 1);
    counter_add(&processor->switches, 1);
    if (UNLIKELY(atomic_load_relaxed(&thread->attention) != 0))
        atomic_fetch_and_explicit(&thread->attention, ~(uint32_t)ATTENTION_YIELD, memory_order_relaxed);
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
            global_append_locked(&overflow);
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
    /* Work that is left when the runtime ends is nobody's: threads that took turns at it would never end. */
    if (atomic_load_relaxed(&sched.idle_count) != 0 && sched_phase() != PHASE_EXITING && sched_has_work())
        processor = idle_take_locked(NULL, &waiter);
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

/* A waiter's: its first timer. A spare thread has none: arming a timer for each wait would cost more than the wait, and a
 * precise one (os_wait_word) also makes the sleeps of foreign calls on that thread precise, each with an interrupt of its own. */
static int64_t wait_deadline(struct thread *thread) {
    int64_t deadline = INT64_MAX;
    if (!thread->is_listed) return deadline;
    lock_acquire(&sched.lock);
    if (thread->watches != NULL) deadline = timer_heap_earliest(processor_timers(thread->watches));
    lock_release(&sched.lock);
    return deadline;
}

bool spares_are_many(void) { return atomic_load_relaxed(&sched.spare_hint) > SPARES_KEPT; }

/* Off the list and told to end; false: there are no more than are to be kept. */
static bool dismiss_one(void) {
    struct thread *thread = NULL;
    uint32_t keep;
    lock_acquire(&sched.lock);
    keep = spares_wanted_locked();
    if (sched.spare_count > (keep > SPARES_KEPT ? keep : SPARES_KEPT)) {
        thread = sched.spares;
        spare_remove_locked(thread);
        atomic_store_relaxed(&thread->is_dismissed, true);
    }
    lock_release(&sched.lock);
    if (thread != NULL)
        thread_unpark(thread); /* if it has ended already: records stay, and a token too many is harmless */
    return thread != NULL;
}

void spares_end_idle(void) {
    uint32_t idle;
    lock_acquire(&sched.lock);
    idle = sched.spare_least;
    lock_release(&sched.lock);
    while (idle > SPARES_KEPT && dismiss_one()) idle--;
    lock_acquire(&sched.lock);
    sched.spare_least = sched.spare_count;
    lock_release(&sched.lock);
}

/* Off the lists, for the last time. Somebody may have taken the thread and is about to hand it a processor, which then
 * goes to the others; or he puts it back: he held it in reserve only. So it looks until one of the two has happened. */
static void leave_lists(struct thread *thread) {
    struct processor *processor = NULL;
    bool taken = thread->is_listed;
    while (taken && (processor = atomic_swap_acq_rel(&thread->handed, NULL)) == NULL) {
        struct thread *self;
        lock_acquire(&sched.lock);
        if (thread->watches != NULL) {
            processor = idle_take_locked(thread->watches, &self);
            idle_put_locked(processor, NULL);
            processor = NULL;
            taken = false;
        } else if (atomic_load_relaxed(&thread->state) == THREAD_SPARE) {
            spare_remove_locked(thread);
            taken = false;
        } else if (atomic_load_relaxed(&thread->is_dismissed)) {
            taken = false;
        }
        lock_release(&sched.lock);
        if (taken) thread_park(thread, os_now_ns() + LOOK_AGAIN_NS);
    }
    thread->is_listed = false;
    if (processor == NULL) processor = atomic_swap_acq_rel(&thread->handed, NULL);
    if (processor != NULL) processor_pass_on(processor);
}

/* The thread, if it is one of ours, is none of max_threads any more. */
static void thread_uncount(struct thread *thread) {
    if (thread->is_home || thread->is_attached) return;
    lock_acquire(&sched.lock);
    sched.thread_count--;
    lock_release(&sched.lock);
}

/* An idle processor for a spare thread, or the one whose timers it keeps, unless somebody has taken the thread already. */
static struct processor *take_for_itself(struct thread *thread) {
    struct thread *waiter = NULL;
    struct processor *processor = NULL;
    lock_acquire(&sched.lock);
    if (thread->watches != NULL) {
        processor = idle_take_locked(thread->watches, &waiter);
        waiter = NULL;
    } else if (atomic_load_relaxed(&thread->state) == THREAD_SPARE &&
               (processor = idle_take_locked(NULL, &waiter)) != NULL) {
        spare_remove_locked(thread);
    }
    if (waiter != NULL) spare_put_locked(waiter);
    lock_release(&sched.lock);
    return processor;
}

/* Waits, on the parker or in the poller (POLL). True: the thread may have been handed a processor, or holds one: look. */
static bool park(struct thread *thread) {
    int64_t deadline_ns = wait_deadline(thread);
    os_ready ready[POLL_BATCH];
    unsigned count;
    if (UNLIKELY(poll_is_unwatched()) && !thread->is_listed) poll_call(); /* BOUND, or somebody's own */
    if (LIKELY(!poll_is_unwatched()) || !thread->is_listed || !poll_begin(thread, deadline_ns != INT64_MAX))
        return thread_park(thread, deadline_ns);
    bool token = poll_wait(thread, deadline_ns, ready, &count);
    if (count != 0) {
        struct processor *processor = atomic_swap_acq_rel(&thread->handed, NULL);
        if (processor == NULL) processor = take_for_itself(thread);
        if (processor != NULL) {
            thread->is_listed = false;
            thread_hold(thread, processor);
        }
        poll_publish(ready, count); /* to its own queue, if it has a processor */
    }
    return token || count != 0;
}

bool thread_wait_for_processor(struct thread *thread) {
    struct processor *processor = thread_processor(thread);
    if (thread->ends && !thread->is_home) {
        thread_uncount(thread); /* the slot first: who gets the processor may need a thread */
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
    if (!thread->is_home && !thread->is_attached && thread->reserved == NULL && !thread->is_listed) join_spares(thread);
    for (;;) {
        if (thread_processor(thread) != NULL) return true;
        processor = atomic_swap_acq_rel(&thread->handed, NULL);
        if (processor != NULL) {
            thread->is_listed = false;
            thread_hold(thread, processor);
            return true;
        }
        if (has_to_end(thread) || atomic_load_relaxed(&thread->is_dismissed)) break;
        if (park(thread)) continue;
        if (take_watched(thread)) return true;
    }
    leave_lists(thread);
    thread_uncount(thread);
    return false;
}
