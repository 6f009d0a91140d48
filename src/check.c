/* check.c: pintle_check, a look at the runtime's invariants while it runs, for debugging.
 *
 * Each structure is looked at under its lock, one after the other, so what lies between two structures is not compared.
 * Release builds look at lists and counts; debug builds also at each timer, free record and task.
 * Threads: any. Locks: sched.lock, timers, pools; never two at a time. Tests: tests/api/test_check.c. */
#include "error.h"
#include "scheduler.h"
#include "record.h"

#if defined(PINTLE_DEBUG_CHECKS)
enum { THOROUGH = 1 };
#else
enum { THOROUGH = 0 };
#endif

/* The first breach. Kept here until all locks are released: recording an error may allocate. */
struct finding {
    char text[256];
};

static PINTLE_PRINTF(2, 3) void found(struct finding *finding, const char *format, ...) {
    va_list arguments;
    if (finding->text[0] != '\0') return;
    va_start(arguments, format);
    vsnprintf(finding->text, sizeof finding->text, format, arguments);
    va_end(arguments);
}

static void expect_count(struct finding *finding, const char *what, uint64_t counted, uint64_t kept) {
    if (counted == kept) return;
    found(finding, "%s: %llu are there, %llu are counted", what, (unsigned long long)counted, (unsigned long long)kept);
}

static void check_idle_locked(struct finding *finding) {
    uint32_t count = 0;
    const struct processor *previous = NULL;
    for (struct processor *p = sched.idle; p != NULL && count <= sched.processors_all; p = p->idle_next, count++) {
        if (!p->is_idle) found(finding, "processor %u is in the idle list and not idle", p->id);
        if (p->idle_previous != previous) found(finding, "processor %u: the idle list's links differ", p->id);
        if (p->waiter != NULL && (p->waiter->watches != p || atomic_load_relaxed(&p->waiter->state) != THREAD_WAITER)) {
            found(finding, "processor %u: thread %u keeps its timers, and is not told so", p->id, p->waiter->id);
        }
        previous = p;
    }
    expect_count(finding, "idle processors", count, atomic_load_relaxed(&sched.idle_count));
}

static void check_threads_locked(struct finding *finding) {
    uint32_t count = 0;
    const struct thread *previous = NULL;
    for (struct thread *t = sched.spares; t != NULL && count <= sched.spare_count; t = t->next, count++) {
        if (atomic_load_relaxed(&t->state) != THREAD_SPARE)
            found(finding, "thread %u is a spare in another state", t->id);
        if (t->previous != previous) found(finding, "thread %u: the links of the spare threads differ", t->id);
        previous = t;
    }
    expect_count(finding, "spare threads", count, sched.spare_count);
    expect_count(finding, "spare threads, the hint", atomic_load_relaxed(&sched.spare_hint), sched.spare_count);
    for (struct thread *t = sched.free_threads; t != NULL; t = t->next) {
        if (atomic_load_relaxed(&t->state) == THREAD_FREE) continue;
        found(finding, "thread %u: its record is free, its state is %u", t->id,
              (unsigned)atomic_load_relaxed(&t->state));
        return; /* its link may lead anywhere */
    }
    if (sched.starting_count > sched.live_count) {
        found(finding, "%u threads start, of %u", sched.starting_count, sched.live_count);
    }
}

static void check_global_locked(struct finding *finding) {
    uint32_t count = 0, bound = 0;
    const struct pintle_task *last = NULL;
    for (struct pintle_task *t = sched.global.first; t != NULL && count <= sched.global.count; t = t->next, count++) {
        if (atomic_load_relaxed(&t->state) != TASK_RUNNABLE) {
            found(finding, "task %llu is queued and not runnable", (unsigned long long)t->id);
        }
        bound += t->bound != NULL;
        last = t;
    }
    expect_count(finding, "the global queue, pinned tasks", bound, sched.global_bound);
    if (bound != 0 && sched.idle != NULL && sched_phase() != PHASE_EXITING) {
        found(finding, "%u pinned tasks are queued though a processor is idle", bound);
    }
    expect_count(finding, "the global queue", count, sched.global.count);
    expect_count(finding, "the global queue, the hint", atomic_load_relaxed(&sched.global_count), sched.global.count);
    if (last != sched.global.last) found(finding, "the global queue: its last task is not the last");
}

static void check_lent_locked(struct finding *finding) {
    uint32_t pooled = 0, lendable = sched.processors_all - sched.processor_count;
    for (struct processor *p = sched.lent_pool; p != NULL && pooled <= lendable; p = p->next_lent, pooled++) {
        if (p->lender != NULL) found(finding, "processor %u is to lend, and lent", p->id);
    }
    expect_count(finding, "processors to lend and lent", pooled + sched.lent_now, lendable);
}

static void check_timers_locked(struct finding *finding, const struct processor *processor, struct timer_heap *heap) {
    int64_t earliest = heap->count > 0 ? heap->timers[0]->deadline_ns : INT64_MAX;
    if (heap->count > heap->capacity) found(finding, "processor %u: more timers than fit", processor->id);
    if (timer_heap_earliest(heap) != earliest) found(finding, "processor %u: not the earliest timer", processor->id);
    for (uint32_t i = 0; THOROUGH && i < heap->count; i++) {
        const struct timer *timer = heap->timers[i];
        if (timer->index != i || atomic_load_relaxed(&timer->heap) != heap) {
            found(finding, "processor %u: timer %u is somewhere else", processor->id, i);
        } else if (i > 0 && heap->timers[(i - 1) / TIMER_FANOUT]->deadline_ns > timer->deadline_ns) {
            found(finding, "processor %u: timer %u is before its parent", processor->id, i);
        }
    }
}

static void check_ring(struct finding *finding, struct processor *processor) {
    uint32_t head = atomic_load_acquire(&processor->runq.head), tail = atomic_load_acquire(&processor->runq.tail);
    /* Read at one moment only if the head did not move. */
    if (head == atomic_load_acquire(&processor->runq.head) && tail - head > RUNQ_SLOTS) {
        found(finding, "processor %u: %u tasks in a ring of %d", processor->id, tail - head, RUNQ_SLOTS);
    }
}

static void check_record(struct pintle_task *task, void *context) {
    const char *breach = task_record_breach(task);
    if (breach != NULL) found(context, "task %llu: %s", (unsigned long long)task->id, breach);
}

int pintle_check(void) {
    struct finding finding = {""};
    enum run_phase phase = sched_phase();
    if (phase != PHASE_RUNNING && phase != PHASE_STOPPING) {
        return error_set(PINTLE_ESTOPPED, 0, "pintle_check: the runtime is not running");
    }
    lock_acquire(&sched.lock);
    check_idle_locked(&finding);
    check_threads_locked(&finding);
    check_global_locked(&finding);
    check_lent_locked(&finding);
    lock_release(&sched.lock);
    for (uint32_t i = 0; i < sched.processors_all; i++) {
        struct processor *processor = &sched.processors[i];
        lock_acquire(&processor->own_timers.lock);
        check_timers_locked(&finding, processor, &processor->own_timers);
        lock_release(&processor->own_timers.lock);
        check_ring(&finding, processor);
    }
    if (THOROUGH) record_each(check_record, &finding);
    uint64_t live, spawned = sched_tasks(&live);
    if (live > spawned) {
        found(&finding, "more tasks have ended than were spawned");
    }
    return finding.text[0] == '\0' ? 0 : error_set(PINTLE_ECORRUPT, 0, "pintle_check: %s", finding.text);
}
