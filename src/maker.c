/* maker.c: the records of threads, and the maker, a thread that makes the others.
 *
 * A thread costs 40 µs (Linux) to 900 µs (Wine) to make, and neither the monitor nor a task should wait for that. The maker
 * keeps spares, joins threads that have ended, hands over what a late spare was wanted for, and backs off when the system
 * refuses.
 *
 * How many spares it keeps follows the demand: one, until a call blocks and finds none. Then it wants twice as many as
 * before, as long as more tasks than that are queued (and up to MOST_WANTED). So a lone call that blocks costs a thread or
 * two, and a thousand that block at once get hundreds within some milliseconds. It wants them until no call missed one for
 * WANTED_NS; then they end as any does that is spare for long (spares_end_idle).
 *
 * Threads: the maker; maker_ask: any; threads_stop: the one that stops. Locks: sched.lock. Order: maker.word seq_cst: it is
 * cleared before the maker looks. Tests: tests/api/test_spares.c, tests/api/test_runtime.c, tests/stress. */
#include "error.h"
#include "memory.h"
#include "panic.h"
#include "scheduler.h"
#include "stack.h"
#include "take.h"

enum { DEFAULT_MAX_THREADS = 10000, SPARES = 1, MOST_WANTED = 256 };
#define WANTED_NS INT64_C(5000000000)
#define FIRST_BACK_OFF_NS INT64_C(1000000)
#define MOST_BACK_OFF_NS INT64_C(100000000)

uint32_t threads_most(void) { return sched.options.max_threads != 0 ? sched.options.max_threads : DEFAULT_MAX_THREADS; }

static struct {
    os_thread os;
    _Atomic uint32_t word;  /* 1: asked */
    _Atomic uint32_t ended; /* counts threads that ended; waited on when stopping */
    _Atomic bool missed;    /* a call that blocks found no spare; set before the word */
    uint32_t wanted;        /* spares, until wanted_until_ns; under sched.lock */
    int64_t wanted_until_ns;
    bool stops;
    bool has_warned; /* that max_threads is reached */
} maker;

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
        lock_init(&thread->kick_lock, RANK_LEAF);
        thread->id = sched.all_threads != NULL ? sched.all_threads->id + 1 : 1;
        thread->all_next = sched.all_threads;
        atomic_store_release((_Atomic(struct thread *) *)&sched.all_threads, thread);
    }
    thread_set_state(thread, THREAD_FREE, THREAD_ACTIVE);
    return thread;
}

void thread_record_free_locked(struct thread *thread) {
    thread->ends = thread->is_home = thread->is_searching = thread->is_listed = false;
    thread->reserved = thread->left = NULL;
    thread_set_task(thread, NULL);
    thread->left_kind = LEFT_NONE;
    thread->pins_auto = 0;
    thread->kick = NULL;
    atomic_store_relaxed(&thread->kick_task, NULL);
    atomic_store_relaxed(&thread->processor, NULL);
    atomic_store_relaxed(&thread->attention, 0);
    atomic_store_relaxed(&thread->is_dismissed, false);
    atomic_store_relaxed(&thread->parker, PARKER_EMPTY);
    atomic_store_relaxed(&thread->state, THREAD_FREE);
    thread->next = sched.free_threads;
    sched.free_threads = thread;
}

/* Those that foreign calls still use. Never looked at: a list, so that leak checkers find them. */
static struct thread *left_behind;

/* Of those that look at all records without the runtime's leave, against thread_records_destroy. */
static struct lock records = LOCK_INIT(RANK_LEAF);

bool threads_any(bool (*is)(struct thread *thread, void *context), void *context) {
    bool any = false;
    lock_acquire(&records);
    for (struct thread *thread = thread_first(); thread != NULL && !any; thread = thread->all_next) {
        any = is(thread, context);
    }
    lock_release(&records);
    return any;
}

void thread_records_destroy(void) {
    lock_acquire(&records);
    while (sched.all_threads != NULL) {
        struct thread *thread = sched.all_threads;
        sched.all_threads = thread->all_next;
        if (!thread_is_left_behind(thread)) {
            os_fault_stack_free(&thread->fault_stack);
            memory_free_aligned(thread);
        } else {
            thread->all_next = left_behind;
            left_behind = thread;
        }
    }
    sched.free_threads = NULL;
    lock_release(&records);
}

int thread_enter(struct thread *thread) {
    thread_read_system(thread);
    SANITIZE_STACK_MADE(thread->stack_limit, thread->stack_base, thread);
    os_fault_stack_begin(&thread->fault_stack);
    os_self_set(thread);
    return 0;
}

void thread_set_stack(struct thread *thread, const os_stack_bounds *bounds) {
    thread->stack_base = bounds->base;
    thread->stack_limit = bounds->limit;
    thread->stack_reserve = bounds->reserve;
    thread->stack_guarantee = bounds->guarantee_bytes;
}

void thread_read_system(struct thread *thread) {
    os_stack_bounds bounds;
    os_thread_stack(&bounds);
    thread_set_stack(thread, &bounds);
    os_thread_error_slots(&thread->errno_slot, &thread->last_error_slot);
    if (thread->last_error_slot == NULL) thread->last_error_slot = &thread->last_error_dummy;
    atomic_store_relaxed(&thread->os_id, os_thread_id());
}

void thread_leave(struct thread *thread) {
    os_self_set(NULL);
    SANITIZE_STACK_GONE(thread);
    os_fault_stack_end(&thread->fault_stack);
    lock_acquire(&sched.lock);
    thread_set_state(thread, THREAD_ACTIVE, THREAD_ENDED);
    if (thread->is_home) {
        thread_record_free_locked(thread);
    } else {
        thread->next = sched.ended_threads;
        sched.ended_threads = thread;
    }
    lock_release(&sched.lock);
}

static void thread_main(void *arg) {
    struct thread *thread = arg;
    /* The hooks run on a thread that the runtime does not know: calls that they make are plain ones. */
    if (sched.options.on_thread_start != NULL) sched.options.on_thread_start(sched.options.user);
    thread_enter(thread);
    lock_acquire(&sched.lock);
    sched.starting_count--;
    lock_release(&sched.lock);
    arch_thread_run(thread);
    if (thread_is_left_behind(thread)) return; /* nothing of the runtime is ours to touch */
    os_self_set(NULL);
    if (sched.options.on_thread_stop != NULL) sched.options.on_thread_stop(sched.options.user);
    thread_leave(thread);
    maker_ask();
}

/* ---- The maker ---- */

void maker_ask(void) {
    if (atomic_swap_acq_rel(&maker.word, 1) == 0) os_wake_word_one(&maker.word);
}

void maker_missed(void) {
    atomic_store_relaxed(&maker.missed, true);
    maker_ask();
}

uint32_t spares_wanted_locked(void) {
    if (maker.wanted > SPARES && os_now_ns() >= maker.wanted_until_ns) maker.wanted = SPARES;
    return maker.wanted;
}

static void learn_demand(void) {
    uint32_t queued, wanted;
    if (!atomic_load_relaxed(&maker.missed)) return;
    atomic_store_relaxed(&maker.missed, false);
    queued = sched_work_count();
    lock_acquire(&sched.lock);
    wanted = spares_wanted_locked();
    if (wanted < queued && wanted < MOST_WANTED) maker.wanted = 2 * wanted;
    maker.wanted_until_ns = os_now_ns() + WANTED_NS;
    lock_release(&sched.lock);
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
        thread_record_free_locked(thread);
        sched.live_count--;
        lock_release(&sched.lock);
        atomic_add_seq_cst(&maker.ended, 1);
        os_wake_word_all(&maker.ended);
    }
}

void attached_count_end(void) {
    bool is_awaited;
    lock_acquire(&sched.lock);
    sched.live_count--;
    is_awaited = sched_phase() == PHASE_EXITING; /* a stop that sets it later takes the lock later */
    lock_release(&sched.lock);
    if (!is_awaited) return;
    atomic_add_seq_cst(&maker.ended, 1);
    os_wake_word_all(&maker.ended);
}

/* A spare that came back late meets the work that it was wanted for. With none there it is still wanted; but the maker does not
 * ask itself, or it would never sleep where threads are refused or max_threads is reached. */
static void dispatch(void) {
    for (;;) {
        struct thread *thread = NULL;
        struct processor *processor = NULL;
        lock_acquire(&sched.lock);
        sched.thread_wanted = false;
        if (sched_phase() != PHASE_EXITING && atomic_load_relaxed(&sched.idle_count) != 0 && sched_has_work()) {
            processor = idle_take_locked(NULL, &thread);
            if (thread == NULL && sched.spares != NULL) thread = spare_take_locked();
            if (thread == NULL) {
                idle_put_locked(processor, NULL);
                processor = NULL;
                sched.thread_wanted = true;
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
    enough = spares_wanted_locked();
    if (atomic_load_relaxed(&sched.top_ups) != 0 && enough < spares_topped_up()) enough = spares_topped_up();
    if (sched_phase() == PHASE_EXITING || sched.spare_count + sched.starting_count >= enough) {
        lock_release(&sched.lock);
        return MAKE_ENOUGH;
    }
    if (sched.thread_count >= threads_most()) {
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
        thread_record_free_locked(thread);
        lock_release(&sched.lock);
    }
    return MAKE_REFUSED;
}

static void maker_main(void *arg) {
    int64_t back_off_ns = FIRST_BACK_OFF_NS, retry_ns = 0; /* INT64_MAX: when asked; 0: at once */
    (void)arg;
    for (;;) {
        atomic_store_seq_cst(&maker.word, 0); /* then look: who asks afterwards sets it again */
        join_ended();
        dispatch();
        learn_demand();
        if (retry_ns == INT64_MAX || retry_ns <= os_now_ns()) {
            switch (make_one()) {
            case MAKE_ENOUGH: retry_ns = INT64_MAX; break;
            case MAKE_DONE:
                back_off_ns = FIRST_BACK_OFF_NS;
                retry_ns = 0; /* more may be wanted */
                break;
            case MAKE_REFUSED:
                retry_ns = os_now_ns() + back_off_ns; /* however often it is asked meanwhile */
                if (back_off_ns < MOST_BACK_OFF_NS) back_off_ns *= 2;
            }
        }
        if (!maker.has_warned && atomic_load_relaxed(&sched.waits_for_thread) != 0) {
            maker.has_warned = true;
            report_warning("max_threads = %u is reached: tasks wait for a thread", threads_most());
        }
        if (atomic_load_acquire((_Atomic bool *)&maker.stops)) break;
        while (atomic_load_acquire(&maker.word) == 0 && (retry_ns == INT64_MAX || os_now_ns() < retry_ns)) {
            os_wait_word(&maker.word, 0, retry_ns);
        }
    }
    join_ended();
}

int maker_start(void) {
    char message[128];
    int os_code;
    atomic_store_relaxed(&maker.word, 0);
    atomic_store_relaxed(&maker.missed, false);
    maker.wanted = SPARES;
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
    if (thread_is_left_behind(thread) || call_state(word) == CALL_OUT) return;
    if (!take_leave_behind(thread, word)) return; /* the call has just ended */
    atomic_fetch_or_explicit(&thread->task->flags, TASK_LEFT_BEHIND, memory_order_relaxed);
    if (!thread->is_attached) os_thread_detach(&thread->os);
    lock_acquire(&sched.lock);
    sched.live_count--;
    if (!thread->is_attached) sched.thread_count--;
    sched.left_behind_count++;
    lock_release(&sched.lock);
}

static uint32_t threads_in_task_code(void) {
    uint32_t count = 0;
    for (struct thread *thread = thread_first(); thread != NULL; thread = thread->all_next) {
        count += thread_task_of_other(thread) != NULL && !thread_is_left_behind(thread);
    }
    return count;
}

bool threads_stop(int64_t os_deadline_ns) {
    for (struct thread *thread = thread_first(); thread != NULL; thread = thread->all_next) {
        thread_ask(thread, ATTENTION_YIELD);
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
