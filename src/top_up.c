/* top_up.c: spare threads that are made before a library is loaded.
 *
 * What a DllMain blocks in stops every thread start of a Windows process: a new thread waits for the loader's lock before
 * its first instruction. So the threads that will take over from blocked calls must have started before the load.
 * Threads: any. Locks: sched.lock. Order: top_ups up, then the maker is asked; it reads top_ups under the lock, and who
 * waits asks it again. Tests: tests/api/test_dll_slow.c. */
#include "clock.h"
#include "scheduler.h"

enum { WAIT_MS = 1000, PAUSE_FIRST_US = 50, PAUSE_MOST_MS = 5 };

/* Whether more spares are wanted and may still come. */
static bool more_may_come(uint64_t refused_before) {
    bool may;
    lock_acquire(&sched.lock);
    may = sched.spare_count < spares_topped_up() &&
          (sched.starting_count != 0 || sched.options.max_threads == 0 ||
           sched.thread_count < sched.options.max_threads) &&
          atomic_load_relaxed(&sched.threads_refused) == refused_before;
    lock_release(&sched.lock);
    return may;
}

void spares_top_up(void) {
    if (sched_phase() != PHASE_RUNNING) return;
    uint64_t refused = atomic_load_relaxed(&sched.threads_refused);
    if (!more_may_come(refused)) return;
    int64_t pause_ns = PINTLE_US(PAUSE_FIRST_US), give_up_ns = os_now_ns() + PINTLE_MS(WAIT_MS);
    atomic_add_seq_cst(&sched.top_ups, 1);
    do {
        maker_ask(); /* again, since a spare that was counted may have been taken */
        if (pintle_sleep(pause_ns) != 0) break;
        if (pause_ns < PINTLE_MS(PAUSE_MOST_MS)) pause_ns *= 2;
    } while (more_may_come(refused) && os_now_ns() < give_up_ns);
    atomic_sub_seq_cst(&sched.top_ups, 1);
}
