/* scheduler.c: switching between tasks, the loop, ready.
 *
 * SAVED: a task becomes visible to other threads only after its registers are saved. The one who arrives publishes the
 * one who left:
 *
 *     X's stack: depart(kind)                      Y's stack, or the loop's
 *       pick Y; thread->left = X, kind               |
 *       arch_switch: X's registers saved, SP = Y's ->| arrived(): X pushed / marked SAVED / freed
 *                                                    | Y goes on
 *   kind    what arrived does with X
 *   YIELD   the end of the ring
 *   GUARDED the guard that X holds is released: only now can it be found (wait.h)
 *   PARK    fetch_or(park, SAVED); WOKEN was there: X runs again at once (see task.h)
 *   JOIN    X's word into the other task's `join`; that one has ended: X runs again at once (wait.h)
 *   EXIT    swap(join, DONE): wakes the joiner, frees a detached task, or leaves it to its joiner
 *   EXIT_JOINED  the joiner waits already and is Y itself, taken before the switch: join = DONE, nobody else looks
 *   QUEUE   X lost its processor in a call: take an idle one and go on, else the global queue
 * A pinned task never goes to another task directly: its thread goes to the loop and waits with it (protocol PIN,
 * spare.c), and whoever takes it from a queue hands its processor to that thread.
 *
 * WAKE: no wake-up is lost.  Publisher: push; full fence; read idle_count.  Searcher: idle_count up (under the lock);
 * full fence; read all rings. One of the two sees the other. An unlock is not a fence. A yield does without: the queue
 * is as long as before, and the monitor's round is the backstop.
 *
 * NEXT: a task that was put into an empty `next` slot is run as soon as the one that runs there leaves, often at once: two
 * that serve each other need no second processor, and waking one costs more than the whole exchange. So a thief takes
 * `next` only where nothing was scheduled while it watched, a few µs; and a processor whose `next` no thief has taken
 * wakes thieves less and less often, without a fence. The monitor's round is the backstop: it wakes a searcher for whatever
 * waits while a processor is idle; one theft, and all pushes are told again.
 *
 * Threads: those with a record; sched_ready: any. Locks: sched.lock. Order: as said above.
 * Tests: tests/api/test_task.c, tests/stress/test_scheduler.c. */
#include "scheduler.h"

#include "guard.h"
#include "io_poll.h"
#include "lend.h"
#include "nursery.h"
#include "panic.h"
#include "wait.h"

enum {
    GLOBAL_INTERVAL = 61,
    GLOBAL_BATCH = 64,
    STEAL_ROUNDS = 4,
    NEXT_PATIENCE = 255,
    NEXT_WATCH_SPINS = 100,
    POLL_BUSY_NS = 50000
};

struct sched sched = {.lock = LOCK_INIT(RANK_SCHED)};

/* ---- Publishing work ---- */

static void push_ring(struct processor *processor, struct pintle_task *task) {
    struct task_list overflow = {0};
    if (UNLIKELY(!runq_push(&processor->runq, task, &overflow))) global_push_list(&overflow);
}

/* WAKE, the publisher's half. */
void sched_wake_if_idle(void) {
    atomic_fence_full(); /* pairs with the fence in park_idle */
    if (atomic_load_relaxed(&sched.idle_count) != 0) {
        sched_wake();
    } else if (UNLIKELY(atomic_load_relaxed(&sched.monitor_asleep) != MONITOR_AWAKE)) {
        monitor_wake(); /* all processors are busy, maybe in calls: somebody has to look */
    }
}

void sched_wake(void) {
    for (;;) {
        uint32_t none = 0;
        struct processor *processor;
        struct thread *thread;
        bool was_idle;
        if (atomic_load_relaxed(&sched.searching) != 0 || !atomic_cas_seq_cst(&sched.searching, &none, 1)) return;
        lock_acquire(&sched.lock);
        processor = idle_take_locked(NULL, &thread);
        was_idle = processor != NULL;
        if (was_idle && thread == NULL && (thread = spare_take_locked()) == NULL) {
            idle_put_locked(processor, NULL); /* the new thread looks for work itself */
            processor = NULL;
        }
        if (processor != NULL) thread->is_searching = true;
        lock_release(&sched.lock);
        if (processor != NULL) {
            hand_over(processor, thread);
            return;
        }
        atomic_sub_seq_cst(&sched.searching, 1);
        /* While we counted as a searcher, others relied on us: a publisher that did not wake anybody, a thread that parked
         * without a second look. If a processor has become idle since, it is ours to look again (tests/model/wake.pml). */
        if (was_idle || atomic_load_relaxed(&sched.idle_count) == 0 || !sched_has_work()) return;
    }
}

/* A pinned task runs on its thread only: with an idle processor if there is one, else whoever takes it from the global
 * queue hands its processor over. */
static void ready_bound(struct pintle_task *task) {
    struct thread *thread = task->bound, *waiter = NULL;
    struct processor *processor;
    lock_acquire(&sched.lock);
    processor = idle_take_locked(NULL, &waiter);
    if (processor == NULL) global_push_locked(task);
    if (waiter != NULL) spare_put_locked(waiter);
    lock_release(&sched.lock);
    if (processor != NULL) {
        hand_over(processor, thread);
    } else {
        sched_wake_if_idle();
    }
}

static void ready_global(struct pintle_task *task) {
    lock_acquire(&sched.lock);
    global_push_locked(task);
    lock_release(&sched.lock);
    sched_wake_if_idle();
}

static void push_next(struct processor *processor, struct pintle_task *task) {
    struct pintle_task *kicked = runq_push_next(&processor->runq, task);
    if (kicked != NULL) push_ring(processor, kicked);
}

/* NEXT, the publisher's half: the ring is as it was. */
static inline void wake_for_next(struct processor *processor) {
    uint32_t quiet = atomic_load_relaxed(&processor->next_quiet), patience;
    if (atomic_load_relaxed(&sched.idle_count) != 0) {
        if (quiet > 0) {
            atomic_store_relaxed(&processor->next_quiet, quiet - 1);
        } else {
            patience = atomic_load_relaxed(&processor->next_patience) * 2 + 1;
            if (patience > NEXT_PATIENCE) patience = NEXT_PATIENCE;
            atomic_store_relaxed(&processor->next_patience, patience);
            atomic_store_relaxed(&processor->next_quiet, patience);
            sched_wake_if_idle();
            return;
        }
    }
    if (UNLIKELY(atomic_load_relaxed(&sched.monitor_asleep) != MONITOR_AWAKE)) monitor_wake();
}

static inline void ready_here(struct processor *processor, struct pintle_task *task) {
    struct pintle_task *kicked = runq_push_next(&processor->runq, task);
    if (LIKELY(kicked == NULL)) {
        wake_for_next(processor);
    } else {
        push_ring(processor, kicked);
        sched_wake_if_idle();
    }
}

void sched_ready_on(struct processor *processor, struct pintle_task *task) {
    if (UNLIKELY(task->bound != NULL)) {
        ready_bound(task);
    } else {
        ready_here(processor, task);
    }
}

void sched_ready_new(struct pintle_task *task) {
    struct processor *processor = thread_own_processor();
    if (LIKELY(processor != NULL)) {
        ready_here(processor, task);
    } else {
        ready_global(task);
    }
}

void sched_ready(struct pintle_task *task) {
    if (UNLIKELY(task->bound != NULL)) {
        ready_bound(task);
    } else {
        sched_ready_new(task);
    }
}

/* ---- Leaving and arriving ---- */

static inline void errors_save(struct thread *thread, struct pintle_task *task) {
    task->saved_errno = *thread->errno_slot;
    task->saved_last_error = *thread->last_error_slot;
}

static inline void errors_restore(struct thread *thread, struct pintle_task *task) {
    *thread->errno_slot = task->saved_errno;
    *thread->last_error_slot = task->saved_last_error;
}

static inline bool is_bound(const struct thread *thread, const struct pintle_task *task) {
    return (task->pins_user | thread->pins_auto) != 0;
}

static inline void start_task(struct thread *thread, struct pintle_task *task) {
    if (task->stack_base == NULL) task_begin(task, thread_processor(thread));
    task_set_state(task, TASK_RUNNABLE, TASK_RUNNING);
    thread_set_task(thread, task);
    errors_restore(thread, task);
}

static inline uint32_t next_tick(struct processor *processor) {
    uint32_t tick = atomic_load_relaxed(&processor->tick) + 1;
    atomic_store_relaxed(&processor->tick, tick);
    return tick;
}

/* While many wait in the ring: brings the lines of those that come soon. First the record's, then, by what that says, the
 * stack's. They may be others' by now: hints, as task_ahead. */
static inline void foresee(struct processor *processor) {
    struct runq *queue = &processor->runq;
    uint32_t head = atomic_load_relaxed(&queue->head), count = atomic_load_relaxed(&queue->tail) - head;
    if (LIKELY(count <= AHEAD)) return;
    task_prefetch(atomic_load_relaxed(runq_slot(queue, head + AHEAD)));
    task_prefetch_stack(atomic_load_relaxed(runq_slot(queue, head + AHEAD / 2)));
}

/* The processor's next task for a direct switch; NULL: the loop has to look. */
static inline struct pintle_task *pick_direct(struct processor *processor, bool keep_slice) {
    struct pintle_task *task;
    if (UNLIKELY(next_tick(processor) % GLOBAL_INTERVAL == 0)) return NULL;
    if (keep_slice && (task = runq_pop_next(&processor->runq)) != NULL) return task;
    foresee(processor); /* before the head is taken by a locked instruction, which all after it would wait for */
    task = runq_pop(&processor->runq);
    if (task != NULL) counter_add(&processor->slices, 1);
    return task;
}

/* A task that ends goes straight to its joiner. */
static inline struct pintle_task *pick_joiner(struct processor *processor, struct pintle_task *task) {
    uint64_t join = atomic_load_acquire(&task->join);
    if (join <= JOIN_DETACHED || next_tick(processor) % GLOBAL_INTERVAL == 0) return NULL;
    return sleeper_take_joiner(&task->join, join);
}

static COLD void depart_bound(struct thread *thread, struct pintle_task *task, enum left_kind kind) {
    task_set_bound(task, thread);
    if (kind == LEFT_EXIT) {
        thread->ends = true; /* its thread-local state is not to be trusted */
    } else {
        thread->reserved = task;
    }
}

/* Inlined into each way of leaving, all of it but the cold parts; ends in a tail call. */
static inline __attribute__((always_inline)) void depart_as(struct thread *thread, enum left_kind kind) {
    struct pintle_task *task = thread->task, *to = NULL;
    struct processor *processor = thread_processor(thread);
    errors_save(thread, task);
    thread->left = task;
    thread->left_kind = kind;
    task_set_bound(task, NULL);
    if (UNLIKELY(is_bound(thread, task))) {
        depart_bound(thread, task, kind);
    } else if (LIKELY(processor != NULL && !thread->is_home && atomic_load_relaxed(&thread->attention) == 0)) {
        if (kind == LEFT_EXIT && (to = pick_joiner(processor, task)) != NULL) {
            thread->left_kind = LEFT_EXIT_JOINED;
        } else {
            to = pick_direct(processor, kind != LEFT_YIELD);
        }
        DCHECK(to == NULL || to->bound == NULL); /* PIN: rings have none that are */
    }
    if (LIKELY(to != NULL)) {
        counter_add(&processor->switches, 1);
        start_task(thread, to);
        if (kind == LEFT_GUARDED || kind == LEFT_PARK || thread->left_kind == LEFT_EXIT_JOINED) {
            arch_switch_alike(task, to, thread);
        } else {
            arch_switch(task, to, thread);
        }
    } else {
        thread_set_task(thread, NULL);
        arch_switch_loop(task, thread);
    }
}

void depart(struct thread *thread, enum left_kind kind) {
    if (UNLIKELY((atomic_load_relaxed(&thread->call) & CALL_FLAGS_MASK) != CALL_OUT)) {
        fatal("task %llu is scheduled while it is in a foreign call", (unsigned long long)thread->task->id);
    }
    depart_as(thread, kind);
}

void depart_guarded(struct thread *thread) { depart_as(thread, LEFT_GUARDED); }

void pintle_yield(void) {
    struct thread *thread = task_only("pintle_yield");
    struct processor *processor = thread_processor(thread);
    /* Alone here: nothing to go to, but for the turn at which timers and the global queue are looked at. */
    if (runq_is_empty(&processor->runq) && atomic_load_relaxed(&sched.global_count) == 0 &&
        atomic_load_relaxed(&thread->attention) == 0 && next_tick(processor) % GLOBAL_INTERVAL != 0) {
        return;
    }
    depart_as(thread, LEFT_YIELD);
}

static inline void task_ended(struct thread *thread, struct pintle_task *task) {
    struct processor *processor = thread_processor(thread);
    task_leave_stack(task, processor);
    task_set_state(task, TASK_RUNNING, TASK_DEAD);
    sched_count_ended(processor);
}

/* True: it is detached, and its panic is the nursery's. */
static COLD bool leave_nursery(struct pintle_task *task) {
    bool owned = task_is(task, TASK_PANICKED) && atomic_load_acquire(&task->join) == JOIN_DETACHED;
    if (owned) nursery_panicked(task);
    nursery_leave(task);
    return owned;
}

static void arrived_exit(struct thread *thread, struct pintle_task *task) {
    uint64_t join;
    bool owned = false;
    task_ended(thread, task);
    if (UNLIKELY(task_is(task, TASK_MEMBER))) owned = leave_nursery(task);
    join = atomic_swap_acq_rel(&task->join, JOIN_DONE);
    /* From here on the task is the joiner's, unless it was detached. */
    if (join == JOIN_DETACHED) {
        if (UNLIKELY(task_is(task, TASK_PANICKED)) && !owned) panic_unowned(task);
        task_free(thread_processor(thread), task);
    } else if (join != 0) {
        sleeper_wake_joiner(join);
    }
}

/* The task came back from a call and found no processor. */
static void arrived_queue(struct thread *thread, struct pintle_task *task) {
    struct thread *waiter = NULL;
    struct processor *processor;
    task_set_state(task, TASK_RUNNING, TASK_RUNNABLE);
    if (sched_phase() == PHASE_EXITING) return; /* nothing is scheduled any more */
    lock_acquire(&sched.lock);
    processor = idle_take_locked(NULL, &waiter);
    if (waiter != NULL) spare_put_locked(waiter);
    if (processor == NULL) {
        global_push_locked(task);
        lock_release(&sched.lock);
        sched_wake_if_idle();
        return;
    }
    lock_release(&sched.lock);
    if (task->bound != NULL) {
        hand_over(processor, thread); /* to itself: the pinned wait takes it from there */
        return;
    }
    thread_hold(thread, processor);
    push_next(processor, task);
}

/* Off the straight way: the ring is full, or the task would be the next again, before those in the global queue. */
static COLD void arrived_yield_slow(struct processor *processor, struct pintle_task *task) {
    struct task_list list = {0};
    if (!runq_is_empty(&processor->runq) && runq_push(&processor->runq, task, &list)) return;
    if (list.first == NULL) task_list_push(&list, task);
    global_push_list(&list);
}

static __attribute__((noinline)) void arrived_other(struct thread *thread, struct pintle_task *task,
                                                    enum left_kind kind) {
    if (kind == LEFT_JOIN || kind == LEFT_PARK) task_set_state(task, TASK_RUNNING, TASK_WAITING);
    if (kind == LEFT_JOIN) {
        sleeper_joins(&task->sleeper, thread->left_join);
    } else if (kind == LEFT_PARK) {
        sleeper_saved(&task->sleeper);
    } else if (kind == LEFT_EXIT_JOINED) {
        task_ended(thread, task);
        if (UNLIKELY(task_is(task, TASK_MEMBER))) (void)leave_nursery(task);
        atomic_store_release(&task->join, JOIN_DONE);
    } else if (kind == LEFT_EXIT) {
        arrived_exit(thread, task);
    } else if (kind == LEFT_QUEUE) {
        arrived_queue(thread, task);
    }
}

void arrived(struct thread *thread) {
    struct pintle_task *task = thread->left;
    struct processor *processor = thread_processor(thread);
    enum left_kind kind = thread->left_kind;
    thread->left_kind = LEFT_NONE;
    if (kind != LEFT_NONE) task_check_stack(task); /* debug builds only */
    if (kind == LEFT_GUARDED) {
        task_set_state(task, TASK_RUNNING, TASK_WAITING);
        guard_release_on(thread->left_guard, processor);
        return;
    }
    if (UNLIKELY(kind != LEFT_YIELD)) {
        arrived_other(thread, task, kind);
        return;
    }
    task_set_state(task, TASK_RUNNING, TASK_RUNNABLE);
    if (UNLIKELY(task->bound != NULL)) {
        ready_bound(task);
        return;
    }
    if (UNLIKELY(atomic_load_relaxed(&sched.global_count) != 0 && runq_is_empty(&processor->runq)) ||
        UNLIKELY(!runq_try_push(&processor->runq, task))) {
        arrived_yield_slow(processor, task);
    }
    if (UNLIKELY(atomic_load_relaxed(&sched.idle_count) != 0)) sched_wake();
}

/* ---- The loop ---- */

/* NEXT, the thief's half: whether the task in the victim's slot waits for one that goes on and on. */
static bool next_is_stuck(struct processor *victim) {
    uint32_t tick = atomic_load_relaxed(&victim->tick);
    struct pintle_task *next = atomic_load_relaxed(&victim->runq.next);
    for (int spin = 0; spin < NEXT_WATCH_SPINS; spin++) {
        if (next == NULL || atomic_load_relaxed(&victim->runq.next) != next ||
            atomic_load_relaxed(&victim->tick) != tick) {
            return false;
        }
        arch_pause();
    }
    atomic_store_relaxed(&victim->next_patience, 0);
    atomic_store_relaxed(&victim->next_quiet, 0);
    return true;
}

static struct pintle_task *steal(struct processor *processor) {
    uint32_t count = atomic_load_acquire(&sched.processors_used), stolen = 0;
    for (unsigned round = 0; round < STEAL_ROUNDS; round++) {
        uint32_t start = processor_random(processor) % count;
        for (uint32_t i = 0; i < count; i++) {
            struct processor *victim = &sched.processors[(start + i) % count];
            struct pintle_task *task;
            if (victim == processor) continue;
            if (round == STEAL_ROUNDS - 1 && timer_heap_earliest(processor_timers(victim)) != INT64_MAX &&
                timer_heap_run_one(processor_timers(victim), os_now_ns()) &&
                (task = runq_pop_next(&processor->runq)) != NULL) {
                return task;
            }
            if (runq_ring_is_empty(&victim->runq) && (round < STEAL_ROUNDS - 1 || !next_is_stuck(victim))) continue;
            task = runq_steal(&processor->runq, &victim->runq, &stolen);
            if (task != NULL) {
                counter_add(&processor->steals, stolen);
                counter_add(&processor->slices, 1);
                return task;
            }
        }
    }
    return NULL;
}

static void stop_searching(struct thread *thread) {
    if (!thread->is_searching) return;
    thread->is_searching = false;
    /* The last searcher that found something wakes the next: there may be more. */
    if (atomic_sub_seq_cst(&sched.searching, 1) == 1 && atomic_load_relaxed(&sched.idle_count) != 0 &&
        sched_has_work()) {
        sched_wake();
    }
}

void processor_run_timer(struct processor *processor) {
    int64_t now;
    if (timer_heap_earliest(processor_timers(processor)) == INT64_MAX) return;
    now = os_now_ns();
    do { /* until one has made a task the next */
        if (!timer_heap_run_one(processor_timers(processor), now)) return;
    } while (atomic_load_relaxed(&processor->runq.next) == NULL);
    /* More are due: come by the loop again after the task that was woken and one from the ring. So timers fire in order,
     * soon, and starve nobody. */
    if (timer_heap_earliest(processor_timers(processor)) <= now)
        atomic_store_relaxed(&processor->tick, GLOBAL_INTERVAL - 3);
}

/* Something for the processor to run, without giving it up; NULL: nothing. A task from `next` inherits the time slice,
 * so that two that wake each other cannot starve the rest. */
static struct pintle_task *find_here(struct processor *processor) {
    struct pintle_task *task = NULL;
    processor_run_timer(processor);
    if (next_tick(processor) % GLOBAL_INTERVAL == 1) {
        if (poll_is_unwatched()) poll_look(POLL_BUSY_NS);
        task = global_take(processor, 1);
    }
    if (task == NULL && (task = runq_pop_next(&processor->runq)) != NULL) return task;
    if (task == NULL) task = runq_pop(&processor->runq);
    if (task == NULL) task = global_take(processor, GLOBAL_BATCH);
    if (task != NULL) counter_add(&processor->slices, 1);
    return task;
}

/* Gives the processor up and looks once more (WAKE, the searcher's half). A task: go on with it, the thread holds a
 * processor again. NULL: the thread has none and is to wait. */
static struct pintle_task *park_idle(struct thread *thread, struct processor *processor) {
    struct pintle_task *task;
    bool searched = thread->is_searching, keeps_timers;
    lock_acquire(&sched.lock);
    if ((task = global_take_locked(processor, GLOBAL_BATCH)) != NULL) {
        lock_release(&sched.lock);
        return task;
    }
    atomic_store_relaxed(&thread->processor, NULL);
    keeps_timers = timer_heap_earliest(processor_timers(processor)) != INT64_MAX && !processor_is_lent(processor);
    idle_put_locked(processor, keeps_timers ? thread : NULL);
    thread->is_searching = false; /* from here on the thread is the taker's */
    if (!keeps_timers) spare_put_locked(thread);
    thread->is_listed = true;
    lock_release(&sched.lock);
    if (searched) {
        atomic_sub_seq_cst(&sched.searching, 1);
    }
    atomic_fence_full(); /* pairs with the fence in sched_wake_if_idle */
    if (searched && sched_has_work()) sched_wake();
    return NULL;
}

static struct pintle_task *find_task(struct thread *thread, struct processor *processor) {
    struct pintle_task *task = find_here(processor);
    if (task != NULL) return task;
    if (poll_is_unwatched()) {
        poll_look(0);
        if (!runq_is_empty(&processor->runq)) return NULL; /* the loop comes by again */
    }
    /* Half of the busy processors search at most: more only wear out the memory bus. */
    if (thread->is_searching ||
        2 * atomic_load_relaxed(&sched.searching) < sched.processor_count - atomic_load_relaxed(&sched.idle_count)) {
        if (!thread->is_searching) {
            thread->is_searching = true;
            atomic_add_seq_cst(&sched.searching, 1);
        }
        if ((task = steal(processor)) != NULL) return task;
    }
    return park_idle(thread, processor);
}

/* The slice is over or the monitor asked: what was next goes to the end. */
static void attend(struct thread *thread, struct processor *processor) {
    struct pintle_task *next;
    atomic_fetch_and_explicit(&thread->attention, ~(uint32_t)ATTENTION_YIELD, memory_order_relaxed);
    next = runq_pop_next(&processor->runq);
    if (next != NULL) push_ring(processor, next);
}

void sched_loop(struct thread *thread) {
    if (UNLIKELY(thread_is_left_behind(thread))) return;
    arrived(thread);
    for (;;) {
        struct processor *processor = thread_processor(thread);
        struct pintle_task *task;
        if (UNLIKELY(sched_phase() == PHASE_EXITING)) thread->reserved = NULL;
        if (processor == NULL || thread->reserved != NULL || thread->is_home || thread->ends ||
            sched_phase() == PHASE_EXITING) {
            if (!thread_wait_for_processor(thread)) return;
            task = thread->reserved;
            if (task == NULL) continue;
            thread->reserved = NULL;
            atomic_fetch_and_explicit(&thread->attention, ~(uint32_t)ATTENTION_YIELD, memory_order_relaxed);
        } else {
            if (UNLIKELY(atomic_load_relaxed(&processor->recall) != 0)) {
                lend_return(thread, processor);
                continue;
            }
            if (UNLIKELY(atomic_load_relaxed(&thread->attention) != 0)) attend(thread, processor);
            task = find_task(thread, processor);
            if (task == NULL) continue;
            stop_searching(thread);
            counter_add(&processor->switches, 1);
            if (task->bound != NULL) {
                hand_to_bound(thread, processor, task);
                continue;
            }
        }
        start_task(thread, task);
        arch_resume(task, thread);
    }
}
