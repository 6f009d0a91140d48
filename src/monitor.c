/* monitor.c: the thread without a processor that takes processors back from calls that block (RETAKE), ends time slices,
 * and is the backstop for timers and queues.
 *
 * RETAKE, each round, for each processor Q:
 *   0 reserve a spare thread, or that of a queued pinned task, which needs no other; none: do nothing (the maker is asked)
 *   1 A = Q->thread; w = A->call (acquire); need IN, and Q == A->processor
 *   2 first sight of (A, w): note the time. Older than 20 µs with work waiting, or than 10 ms in any case: go on. A call that
 *     computes (its thread's CPU clock moves) is left until 10 ms
 *   3 TAKE (take.c). Failure: the call ended; nothing happened
 *   4 Q is ours: to the spare if there is work or Q has timers, else to the idle list, and WAKE as a searcher does. The
 *     global queue is looked at under the lock: a pinned task is not left there beside an idle processor (PIN)
 *
 * A task that has run for 10 ms while others wait gets its thread's attention: its next call, yield or park goes by the
 * loop, which takes the others first.
 *
 * Sleep: 20 µs between rounds; after 50 rounds without a retake twice as long each, up to 10 ms. Before more than 1 ms it
 * says so (LONG), fences, and looks at the queues once more; whoever pushes work and finds no idle processor wakes it. Without
 * limit (FOREVER) only when all processors are idle with nothing queued, decided under sched.lock; whoever takes an idle
 * processor wakes it. So entering a call reads nothing global.
 *
 * Stacks that nobody used for TRIM_NS are trimmed (stack.c), some in a round, and threads that were spare for SPARE_NS end.
 * As long as there are such, sleeping without limit ends at the next time for that; then no more.
 *
 * Threads: its own. Locks: sched.lock. Order: as protocols above; `monitor_asleep` with full fences.
 * Tests: tests/api/test_call.c, tests/api/test_rest.c, tests/stress/test_calls.c. */
#include "deadlock.h"
#include "error.h"
#include "io_poll.h"
#include "kick.h"
#include "lend.h"
#include "scheduler.h"
#include "stack.h"
#include "take.h"
#include "trace.h"

enum {
    ROUND_NS = 20000,
    LONG_NS = 1000000,
    LATE_NS = 1000000,
    LONGEST_NS = 10000000,
    QUIET_ROUNDS = 50,
    BLOCKED_NS = 20000,
    BLOCKED_IDLE_NS = 10000000,
    SLICE_NS = 10000000,
    TRIM_NS = 2000000000,
    TRIM_ON_NS = 10000000
};

#define SPARE_NS INT64_C(10000000000)
#define NOT_SEEN UINT64_MAX

static struct {
    os_thread os;
    _Atomic uint32_t word; /* 1: woken */
    _Atomic bool stops;
    int64_t trim_ns, spare_ns; /* when to trim stacks, and end threads, next */
} monitor;

void monitor_wake(void) {
    atomic_store_relaxed(&sched.monitor_asleep, MONITOR_AWAKE);
    if (atomic_swap_acq_rel(&monitor.word, 1) == 0) os_wake_word_one(&monitor.word);
}

/* RETAKE 4. A bound task's thread is not spare: it has that task to run. */
static void give_away(struct processor *processor, struct thread *thread, bool is_spare) {
    bool is_used = !is_spare || timer_heap_earliest(processor_timers(processor)) != INT64_MAX || sched_has_work();
    atomic_store_relaxed(&processor->thread, NULL);
    atomic_add_relaxed(&sched.retakes, 1);
    if (!is_used) {
        lock_acquire(&sched.lock);
        is_used = sched.global.first != NULL;
        if (!is_used) {
            idle_put_locked(processor, NULL);
            spare_put_locked(thread);
        }
        lock_release(&sched.lock);
    }
    if (is_used) {
        hand_over(processor, thread);
        return;
    }
    atomic_fence_full(); /* WAKE: pairs with the publisher's */
    if (sched_has_work()) sched_wake();
}

/* Whether the call has used the CPU for most of the time that it has been seen: then it does not block, and its processor
 * would only be run by one thread more than there are CPUs. */
static bool computes(const struct processor *processor, const struct thread *thread, int64_t now) {
    int64_t used = thread_cpu_ns(thread) - processor->seen_call_cpu_ns;
    return processor->seen_call_cpu_ns != 0 && used * 2 > now - processor->seen_call_ns;
}

/* True: the processor was taken. */
static bool retake(struct processor *processor, struct thread *thread, int64_t now, bool work) {
    uint64_t word = atomic_load_acquire(&thread->call);
    struct pintle_task *bound;
    struct thread *reserved;
    if (call_state(word) != CALL_IN || thread_processor(thread) != processor) {
        processor->seen_call = 0;
        return false;
    }
    if (processor->seen_call !=
        word) { /* the tick makes words of different calls of one thread differ; of two threads rarely */
        processor->seen_call = word;
        processor->seen_call_cpu_ns = work ? thread_cpu_ns(thread) : 0;
        processor->seen_call_ns = work ? os_now_ns()
                                       : now; /* read last: what is lost between the two counts as computing */
        return false;
    }
    if (now - processor->seen_call_ns < (work ? BLOCKED_NS : BLOCKED_IDLE_NS)) return false;
    if (now - processor->seen_call_ns < BLOCKED_IDLE_NS && computes(processor, thread, now)) return false;
    lock_acquire(&sched.lock);
    reserved = thread_reserve_locked(&bound);
    lock_release(&sched.lock);
    if (reserved == NULL) {
        maker_missed();
        return false;
    }
    atomic_store_relaxed(&thread->seen_call_ns, processor->seen_call_ns);
    if (!take_from(thread, word)) {
        thread_unreserve(reserved, bound);
        return false;
    }
    give_away(processor, reserved, bound == NULL);
    return true;
}

static void check_slice(struct processor *processor, struct thread *thread, int64_t now, bool work) {
    uint64_t slices = atomic_load_relaxed(&processor->slices);
    /* A thread that was handed the processor and has not come for it yet, on a busy machine, uses up nobody's slice. */
    if (slices != processor->seen_slices || thread_processor(thread) != processor) {
        processor->seen_slices = slices;
        processor->seen_slices_ns = now;
    } else if (work && now - processor->seen_slices_ns >= SLICE_NS) {
        processor->seen_slices_ns = now;
        thread_ask(thread, ATTENTION_YIELD);
    }
}

/* An idle processor whose timers nobody keeps (no spare was left) and are due, or that missed work: give it a thread. */
static void rescue_idle(struct processor *processor, int64_t now) {
    struct thread *thread = NULL;
    struct processor *taken = NULL;
    if (timer_heap_earliest(processor_timers(processor)) > now) return;
    lock_acquire(&sched.lock);
    if (processor->is_idle && processor->waiter == NULL && (thread = spare_take_locked()) != NULL) {
        struct thread *none;
        taken = idle_take_locked(processor, &none);
    }
    lock_release(&sched.lock);
    if (taken != NULL) hand_over(taken, thread);
}

/* One round; true if something was retaken. */
static bool look(int64_t now) {
    bool work = sched_has_work(), any = false, late = false;
    static uint32_t first; /* after the last that was retaken: spares are few, and all have their turn */
    uint32_t start = first;
    uint32_t used = atomic_load_acquire(&sched.processors_used);
    for (uint32_t i = 0; i < used; i++) {
        struct processor *processor = &sched.processors[(start + i) % used];
        struct thread *thread = atomic_load_acquire(&processor->thread); /* pairs with hand_over, thread_hold */
        int64_t earliest = timer_heap_earliest(processor_timers(processor));
        bool due = earliest <= now;
        if (thread == NULL) {
            processor->seen_slices = NOT_SEEN;
            rescue_idle(processor, now);
            continue;
        }
        late |= earliest <= now - LATE_NS;
        if (retake(processor, thread, now, work || due)) {
            any = true;
            first = processor->id + 1;
        }
        check_slice(processor, thread, now, work || due);
        lend_look(processor, thread, now, work || due);
    }
    /* An idle processor finds the timers too of one whose task blocks where nobody sees it. */
    if ((work || late) && atomic_load_relaxed(&sched.idle_count) != 0) sched_wake();
    poll_rescue();
    return any;
}

/* The first deadline of an idle processor that no thread keeps. */
static int64_t unwatched_locked(void) {
    int64_t earliest = INT64_MAX;
    for (struct processor *processor = sched.idle; processor != NULL; processor = processor->idle_next) {
        int64_t deadline = timer_heap_earliest(processor_timers(processor));
        if (processor->waiter == NULL && deadline < earliest) earliest = deadline;
    }
    return earliest;
}

static int64_t unwatched_deadline(void) {
    int64_t earliest;
    lock_acquire(&sched.lock);
    earliest = unwatched_locked();
    lock_release(&sched.lock);
    return earliest;
}

/* All that it depends on is looked at in one locked section, and whoever changes it afterwards wakes the monitor. */
static bool may_sleep_forever(void) {
    bool quiet;
    lock_acquire(&sched.lock);
    quiet = atomic_load_relaxed(&sched.idle_count) == sched.processor_count && sched.lent_now == 0 &&
            sched.global.first == NULL && unwatched_locked() == INT64_MAX;
    if (quiet) atomic_store_relaxed(&sched.monitor_asleep, MONITOR_FOREVER);
    lock_release(&sched.lock);
    if (!quiet) return false;
    atomic_fence_full(); /* POLL: pairs with the fence of an owner that leaves */
    if (!poll_is_unwatched()) return true;
    atomic_store_relaxed(&sched.monitor_asleep, MONITOR_AWAKE);
    return false;
}

static void tidy(int64_t now) {
    if (now >= monitor.trim_ns) monitor.trim_ns = now + (stack_trim_idle() ? TRIM_ON_NS : TRIM_NS);
    if (now >= monitor.spare_ns) {
        spares_end_idle();
        monitor.spare_ns = now + SPARE_NS;
    }
}

/* When there will be something to tidy up; INT64_MAX: there is nothing. */
static int64_t tidy_deadline(void) {
    int64_t deadline = stack_trim_wanted() ? monitor.trim_ns : INT64_MAX;
    if (deadline > monitor.spare_ns && spares_are_many()) deadline = monitor.spare_ns;
    return deadline;
}

/* True: somebody woke it. */
static bool sleep_for(int64_t delay, bool idle_before, int64_t kick_ns) {
    int64_t unwatched = unwatched_deadline(), deadline;
    if (delay > LONG_NS && poll_is_unwatched()) delay = LONG_NS;
    deadline = os_now_ns() + delay;
    if (idle_before && unwatched == INT64_MAX && may_sleep_forever()) {
        int64_t tidying = tidy_deadline();
        deadline = deadlock_look(os_now_ns());
        if (tidying < deadline) deadline = tidying;
    } else if (delay > LONG_NS) {
        atomic_store_relaxed(&sched.monitor_asleep, MONITOR_LONG);
        atomic_fence_full(); /* pairs with the fence in wake_if_idle: the pusher sees LONG, or we see the push */
        if (sched_has_work()) {
            atomic_store_relaxed(&sched.monitor_asleep, MONITOR_AWAKE);
            deadline = os_now_ns() + LONG_NS;
        }
    }
    if (unwatched < deadline) deadline = unwatched;
    if (kick_ns < deadline) deadline = kick_ns;
    if (trace_deadline() < deadline) deadline = trace_deadline();
    while (atomic_load_acquire(&monitor.word) == 0 && os_now_ns() < deadline) {
        os_wait_word(&monitor.word, 0, deadline);
    }
    atomic_store_relaxed(&sched.monitor_asleep, MONITOR_AWAKE);
    return atomic_swap_seq_cst(&monitor.word, 0) != 0;
}

static void monitor_main(void *arg) {
    int64_t delay = ROUND_NS;
    unsigned quiet = 0;
    bool was_idle = false;
    (void)arg;
    while (!atomic_load_acquire(&monitor.stops)) {
        bool idle = atomic_load_relaxed(&sched.idle_count) == sched.processor_count;
        bool woken = sleep_for(delay, idle && was_idle, kicks_look(os_now_ns()));
        was_idle = idle;
        if (look(os_now_ns())) {
            delay = ROUND_NS;
            quiet = 0;
        } else if (woken) {
            delay = ROUND_NS; /* a look or two at the calls that go on; and no wake by each push that follows */
            quiet = QUIET_ROUNDS;
        } else if (++quiet > QUIET_ROUNDS && delay < LONGEST_NS) {
            delay = delay * 2 < LONGEST_NS ? delay * 2 : LONGEST_NS;
        }
        tidy(os_now_ns());
        trace_look(os_now_ns());
    }
}

int monitor_start(void) {
    char message[128];
    int os_code;
    for (uint32_t i = 0; i < sched.processors_all; i++) sched.processors[i].seen_slices = NOT_SEEN;
    atomic_store_relaxed(&monitor.word, 0);
    atomic_store_relaxed(&monitor.stops, false);
    monitor.trim_ns = os_now_ns() + TRIM_NS;
    monitor.spare_ns = os_now_ns() + SPARE_NS;
    os_code = os_thread_start(&monitor.os, monitor_main, NULL);
    if (os_code == 0) return 0;
    os_error_text(os_code, message, sizeof message);
    return error_set(PINTLE_ELIMIT, os_code, "the system makes no thread for the runtime: %s", message);
}

void monitor_stop(void) {
    atomic_store_release(&monitor.stops, true);
    atomic_store_seq_cst(&monitor.word, 1);
    os_wake_word_one(&monitor.word);
    os_thread_join(&monitor.os);
}
