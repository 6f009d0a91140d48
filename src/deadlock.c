/* deadlock.c: all tasks wait and nothing can wake them.
 *
 * The monitor's last act before it sleeps without limit. Suspicious: a program's own run (not library mode), all processors
 * idle, nothing queued, no timer armed, nothing to come from the poller, no foreign call in flight, nobody holds
 * (pintle_hold), and no thread that is not ours has ever used the library. Suspicious twice, 100 ms apart with no switch between, and then a census: as long as the
 * process has threads that we did not make, one of them could still call in. The census is slow, so it comes last, and
 * a few times only.
 *
 * Threads: the monitor. Locks: sched.lock, briefly. Tests: tests/death/test_deadlock.c. */
#include "deadlock.h"

#include "io_poll.h"
#include "panic.h"
#include "sanitize.h"
#include "scheduler.h"
#include "record.h"
#include "task_text.h"

enum {
    AGAIN_NS = 100000000,
    CENSUSES = 6,
    REPORT_BYTES = 16384,
    OWN_THREADS = 3 /* monitor, maker, the one that called pintle_run */
};

static struct {
    uint64_t switches;
    int64_t since_ns; /* 0: not suspicious */
    int64_t patience_ns;
    unsigned censuses;
} suspicion;

static struct {
    char text[REPORT_BYTES];
    size_t length;
    unsigned left_out;
} list;

static _Atomic bool outsiders;
static _Atomic int64_t holds;

void deadlock_outsider(void) {
    if (!atomic_load_relaxed(&outsiders)) atomic_store_relaxed(&outsiders, true);
}

void pintle_hold(void) { atomic_add_relaxed(&holds, 1); }

void pintle_unhold(void) {
    if (atomic_sub_relaxed(&holds, 1) <= 0) panic("pintle_unhold without a pintle_hold before it");
}

void deadlock_reset(void) {
    suspicion.since_ns = 0;
    atomic_store_relaxed(&outsiders, false);
}

static bool looks_dead(uint64_t *out_switches) {
    bool quiet;
    if (sched.library_mode || atomic_load_relaxed(&outsiders) || atomic_load_relaxed(&holds) != 0 || poll_is_used())
        return false;
    lock_acquire(&sched.lock);
    quiet = atomic_load_relaxed(&sched.idle_count) == sched.processor_count && sched.lent_now == 0 &&
            sched.global.first == NULL && sched_phase() == PHASE_RUNNING && atomic_load_relaxed(&sched.main_done) == 0;
    lock_release(&sched.lock);
    *out_switches = 0;
    for (uint32_t i = 0; i < sched.processor_count && quiet; i++) {
        quiet = timer_heap_earliest(processor_timers(&sched.processors[i])) == INT64_MAX &&
                runq_is_empty(&sched.processors[i].runq);
        *out_switches += atomic_load_relaxed(&sched.processors[i].switches);
    }
    for (struct thread *thread = thread_first(); thread != NULL && quiet; thread = thread->all_next) {
        quiet = call_state(atomic_load_relaxed(&thread->call)) == CALL_OUT;
    }
    return quiet;
}

static void list_task(struct pintle_task *task) {
    char text[256];
    if (atomic_load_relaxed(&task->state) != TASK_WAITING) return;
    if (sizeof list.text - list.length < sizeof text + sizeof "  \n" + sizeof "  and 4294967295 more\n") {
        list.left_out++;
        return;
    }
    task_text(task, text, sizeof text);
    list.length += (size_t)snprintf(list.text + list.length, sizeof list.text - list.length, "  %s\n", text);
}

int64_t deadlock_look(int64_t now_ns) {
    uint64_t switches;
    if (!looks_dead(&switches)) {
        suspicion.since_ns = 0;
        return INT64_MAX;
    }
    if (suspicion.since_ns == 0 || suspicion.switches != switches) {
        suspicion.since_ns = now_ns;
        suspicion.switches = switches;
        suspicion.patience_ns = AGAIN_NS;
        suspicion.censuses = 0;
    }
    if (now_ns - suspicion.since_ns < suspicion.patience_ns) return suspicion.since_ns + suspicion.patience_ns;
    if (os_thread_count() != sched.live_count + OWN_THREADS + os_signals_threads() + SANITIZE_THREADS) {
        /* Somebody else's thread, or one that is just ending: a few more looks, each twice as late. */
        if (++suspicion.censuses == CENSUSES) return INT64_MAX;
        suspicion.patience_ns *= 2;
        return suspicion.since_ns + suspicion.patience_ns;
    }
    if (!looks_dead(&switches) || switches != suspicion.switches) return INT64_MAX;
    list.length = (size_t)snprintf(list.text, sizeof list.text,
                                   "pintle: deadlock: all tasks wait and nothing can wake them\n");
    record_each_task(list_task);
    if (list.left_out != 0) {
        snprintf(list.text + list.length, sizeof list.text - list.length, "  and %u more\n", list.left_out);
    }
    report_and_exit(PINTLE_REPORT_DEADLOCK, list.text);
}
