/* runtime.c: starting, stopping, limits, figures.
 *
 *   STOPPED --start--> RUNNING --stop, or main ended--> STOPPING --all tasks ended, or time over--> EXITING --> STOPPED
 * EXITING: nothing is scheduled; each thread ends when it comes by the loop. Threads that are inside a foreign call then
 * cannot be ended: pintle_run leaves them behind (call.c), with their records and stacks; pintle_stop does not get that
 * far: it gives EBUSY while a task is left.
 *
 * Threads: runtime_lock serialises start and stop. Locks: runtime_lock (RANK_RUNTIME).
 * Tests: tests/api/test_runtime.c. */
#include "cancel.h"
#include "clock.h"
#include "deadlock.h"
#include "error.h"
#include "fail.h"
#include "fault.h"
#include "guard.h"
#include "io_poll.h"
#include "local.h"
#include "memory.h"
#include "nursery.h"
#include "panic.h"
#include "scheduler.h"
#include "record.h"
#include "signals.h"
#include "stack.h"
#include "take.h"
#include "thunk.h"
#include "trace.h"
#include "user_timer.h"
#include "wait.h"

enum {
    MOST_PROCESSORS = 1024,
    DEFAULT_LENT = 32,
    GRACE_MS = 1000,
    STUCK_MS = 20,
    EXIT_MS = 200,
    UNTIL_MOST = 500,
    FIRST_TRIES = 6
};

static struct lock runtime_lock = LOCK_INIT(RANK_RUNTIME);
static uint32_t start_count;
static bool stop_waits; /* somebody waits for the tasks to end, without the lock: they may call start or stop */

static struct main_call {
    pintle_main_fn *fn;
    void *arg;
    int value;
} main_call;

/* ---- Options ---- */

/* PINTLE_DEBUG=fence=0: as if the system could not fence all threads at once (take.c). */
static bool debug_no_fence;

/* PINTLE_DEBUG=name=value,…: fence=0; and what debug builds know and others ignore. */

static int debug_read(void) {
    char text[256], *item = text;
    debug_no_fence = false;
    if (!os_environment("PINTLE_DEBUG", text, sizeof text)) return 0;
    while (item != NULL && *item != '\0') {
        char *comma = strchr(item, ',');
        if (comma != NULL) *comma = '\0';
        if (strcmp(item, "fence=0") == 0) debug_no_fence = true;
        if (strncmp(item, "fail=", 5) == 0 && !fail_parse(item + 5)) {
            return error_set(PINTLE_EINVAL, 0,
                             "PINTLE_DEBUG has '%s': use fail=N, or memory, reserve, thread, library or wait as in "
                             "fail=thread:N, and N+ for all from there on",
                             item);
        }
        item = comma != NULL ? comma + 1 : NULL;
    }
    return 0;
}

static int options_read(const pintle_options *options, size_t size) {
    char text[32];
    memset(&sched.options, 0, sizeof sched.options);
    if (options != NULL) {
        if (options->size != 0 && options->size < size) size = options->size;
        if (size <= sizeof options->size) {
            return error_set(PINTLE_EINVAL, 0, "options.size is %zu: set it to sizeof(pintle_options), or 0", size);
        }
        memcpy(&sched.options, options, size < sizeof sched.options ? size : sizeof sched.options);
    }
    if (sched.options.processors == 0 && os_environment("PINTLE_PROCESSORS", text, sizeof text)) {
        char *end;
        unsigned long count = strtoul(text, &end, 10);
        if (*end != '\0' || end == text || count == 0 || count > MOST_PROCESSORS) {
            return error_set(PINTLE_EINVAL, 0, "PINTLE_PROCESSORS is '%s': use a number from 1 to %d", text,
                             MOST_PROCESSORS);
        }
        sched.options.processors = (unsigned)count;
    }
    if ((sched.options.flags & ~(PINTLE_FAULTS_PANIC | PINTLE_FAULTS_REPORT)) != 0) {
        return error_set(PINTLE_EINVAL, 0, "options.flags is 0x%x: only PINTLE_FAULTS_PANIC and _REPORT are known",
                         (unsigned)sched.options.flags);
    }
    sched.cpu_count = os_processor_count();
    if (sched.options.processors == 0) sched.options.processors = sched.cpu_count;
    if (sched.options.processors > MOST_PROCESSORS) {
        return error_set(PINTLE_EINVAL, 0, "options.processors is %u: %d is the most", sched.options.processors,
                         MOST_PROCESSORS);
    }
    if (!stack_set_default(sched.options.stack_bytes, sched.options.processors)) {
        return error_set(PINTLE_EINVAL, 0, "options.stack_bytes is %zu: too large", sched.options.stack_bytes);
    }
    return 0;
}

/* ---- Start ---- */

static int processors_make(void) {
    uint32_t lendable = sched.options.max_lent == 0                  ? DEFAULT_LENT
                        : sched.options.max_lent == PINTLE_LENT_NONE ? 0
                                                                     : sched.options.max_lent;
    uint32_t count = sched.options.processors + lendable;
    sched.processors = memory_alloc_aligned(count * sizeof *sched.processors);
    if (sched.processors == NULL) return error_set(PINTLE_ENOMEM, 0, "no memory for %u processors", count);
    memset(sched.processors, 0, count * sizeof *sched.processors);
    sched.processor_count = sched.options.processors;
    sched.processors_all = count;
    atomic_store_relaxed(&sched.processors_used, sched.processor_count);
    for (uint32_t i = 0; i < count; i++) {
        struct processor *processor = &sched.processors[i];
        processor->id = i;
        processor->random = i * 2654435761u + 1;
        processor->stacks_most = i < sched.processor_count ? STACKS_KEPT : 0;
        runq_init(&processor->runq, take_by_fence != 0);
        timer_heap_init(&processor->own_timers);
        atomic_store_relaxed(&processor->timers, &processor->own_timers);
    }
    return 0;
}

/* A library leaves a host's signals alone, unless it was asked. */
static int handlers_begin(void) {
    int result;
    if (sched.library_mode && faults_change_process() &&
        (sched.options.flags & (PINTLE_FAULTS_PANIC | PINTLE_FAULTS_REPORT)) == 0)
        return 0;
    result = faults_begin();
    sched.handles_faults = result == 0;
    return result;
}

static void handlers_end(void) {
    if (sched.handles_faults) faults_end();
    sched.handles_faults = false;
}

static void release_everything(void) {
    handlers_end();
    poll_shutdown();
    callbacks_shutdown();
    user_timers_shutdown();
    record_each_task(scope_forget);
    guards_end();
    for (uint32_t i = 0; i < sched.processors_all; i++) {
        timer_heap_destroy(&sched.processors[i].own_timers);
        deferred_pool_destroy(&sched.processors[i]);
    }
    memory_free_aligned(sched.processors);
    sched.processors = NULL;
    sched.processor_count = sched.processors_all = 0;
    stack_destroy();
    nurseries_destroy();
    records_destroy();
    wait_destroy();
    thread_records_destroy();
    if (sched.left_behind_count != 0)
        return; /* the slot stays: they look there on their way out; a signal may be pending */
    os_self_shutdown();
    os_interrupts_shutdown();
}

void maker_has_tried(int os_code) {
    atomic_store_relaxed(&sched.refused_code, os_code);
    atomic_add_seq_cst(&sched.thread_tries, 1);
    os_wake_word_all(&sched.thread_tries);
}

static int first_thread_wait(void) {
    char message[128];
    int os_code;
    for (uint32_t tries = 0; tries < FIRST_TRIES; tries = atomic_load_acquire(&sched.thread_tries)) {
        if (atomic_load_relaxed(&sched.threads_started) != 0) return 0;
        os_wait_word(&sched.thread_tries, tries, INT64_MAX);
    }
    if (atomic_load_relaxed(&sched.threads_started) != 0) return 0;
    os_code = atomic_load_relaxed(&sched.refused_code);
    snprintf(message, sizeof message, "no memory for its record");
    if (os_code != 0) os_error_text(os_code, message, sizeof message);
    return error_set(PINTLE_ELIMIT, os_code, "the system makes no thread for tasks (tried %d times): %s", FIRST_TRIES,
                     message);
}

/* The signal of the options; a library's host is asked first. */
static int interrupts_begin(void) {
    char message[128];
    int signal = sched.options.cancel_signal, os_code;
    if (signal == 0 && !sched.library_mode) signal = os_interrupt_default();
    if (signal == PINTLE_CANCEL_SIGNAL_NONE) signal = 0;
    if ((os_code = os_interrupts_init(signal)) == 0) return 0;
    os_error_text(os_code, message, sizeof message);
    return error_set(PINTLE_EINVAL, os_code, "options.cancel_signal is %d: the system refuses a handler: %s", signal,
                     message);
}

/* Half of the threads, since each is in a call that nobody can end. */
static uint32_t until_slots(void) {
    uint32_t slots = threads_most() / 2;
    return slots == 0 ? 1 : slots < UNTIL_MOST ? slots : UNTIL_MOST;
}

/* All but the lock and the phase: foreign threads look at these whenever they call in (callback.c), and at the rest only when
 * they find the phase RUNNING. */
static void sched_reset(void) {
    size_t kept = offsetof(struct sched, global);
    atomic_store_release(&sched.phase, PHASE_STOPPED);
    atomic_store_relaxed(&sched.idle_count, 0);
    atomic_store_relaxed(&sched.monitor_asleep, MONITOR_AWAKE);
    atomic_store_relaxed(&sched.searching, 0);
    atomic_store_relaxed(&sched.global_count, 0);
    atomic_store_relaxed(&sched.spare_hint, 0);
    memset((char *)&sched + kept, 0, sizeof sched - kept);
}

static int start_locked(const pintle_options *options, size_t size, bool library_mode) {
    int result;
    if (sched.processors != NULL) {
        /* Tasks that computed without end when pintle_run returned: they may be through by now. */
        if (!threads_stop(os_now_ns())) {
            return error_set(PINTLE_EBUSY, 0, "the runtime cannot start again: %u of its threads still run tasks",
                             (unsigned)sched.live_count);
        }
        maker_stop();
        release_everything();
    }
    sched_reset();
    sched.library_mode = library_mode;
    deadlock_reset();
    error_forget_tasks();
    if ((result = debug_read()) != 0 || (result = trace_start()) != 0 || (result = options_read(options, size)) != 0) {
        return result;
    }
    take_init(!debug_no_fence);
    guards_begin(take_by_fence != 0);
    if ((result = os_self_init()) != 0) {
        return error_set(PINTLE_ELIMIT, result, "the system has no thread-local slot left (error %d)", result);
    }
    if ((result = callbacks_init()) != 0) {
        os_self_shutdown();
        return error_set(PINTLE_ELIMIT, result, "the system has no thread-local key left (error %d)", result);
    }
    if ((result = handlers_begin()) != 0) {
        callbacks_shutdown();
        os_self_shutdown();
        return error_set(PINTLE_ENOMEM, result, "no memory for the handlers of faults (error %d)", result);
    }
    if ((result = interrupts_begin()) != 0 || (result = processors_make()) != 0) {
        os_interrupts_shutdown();
        handlers_end();
        callbacks_shutdown();
        os_self_shutdown();
        return result;
    }
    pintle_sem_init(&sched.until_slots, until_slots());
    lock_acquire(&sched.lock);
    for (uint32_t i = sched.processors_all; i-- > sched.processor_count;) {
        sched.processors[i].next_lent = sched.lent_pool;
        sched.lent_pool = &sched.processors[i];
    }
    for (uint32_t i = sched.processor_count; i-- > 0;) {
        if (i != 0 || library_mode) idle_put_locked(&sched.processors[i], NULL);
    }
    lock_release(&sched.lock);
    atomic_store_release(&sched.phase, PHASE_RUNNING);
    if ((result = monitor_start()) == 0) {
        bool makes = (result = maker_start()) == 0;
        if (makes && (result = first_thread_wait()) == 0) return 0;
        atomic_store_release(&sched.phase, PHASE_EXITING);
        monitor_stop();
        if (makes) {
            threads_stop(INT64_MAX);
            maker_stop();
        }
    }
    atomic_store_release(&sched.phase, PHASE_STOPPED);
    release_everything();
    return result;
}

/* ---- Stop ---- */

static uint64_t tasks_live(void) {
    /* `ended` first: the difference is then never too small. */
    uint64_t live;
    (void)sched_tasks(&live);
    return live;
}

/* How many calls are in flight; *out_ticks changes when any of them ends. */
static uint32_t calls_in_flight(uint64_t *out_ticks) {
    uint32_t count = 0;
    *out_ticks = 0;
    for (struct thread *thread = thread_first(); thread != NULL; thread = thread->all_next) {
        uint64_t word = atomic_load_relaxed(&thread->call);
        *out_ticks += word;
        count += call_state(word) != CALL_OUT;
    }
    return count;
}

/* Polls, since the end of the last task is not worth a wake-up on every task's way out. only_reachable: gives up early
 * when all that are left have been in the same foreign calls for a while. */
static bool wait_for_tasks(int64_t os_deadline_ns, bool only_reachable) {
    _Atomic uint32_t never = 0;
    int64_t pause_ns = 50000, since = os_now_ns();
    uint64_t ticks, seen = 0;
    for (;;) {
        uint64_t live = tasks_live();
        int64_t now = os_now_ns();
        if (live == 0) return true;
        if (live > calls_in_flight(&ticks) || ticks != seen) {
            seen = ticks;
            since = now;
        }
        if (now >= os_deadline_ns || (only_reachable && now - since >= PINTLE_MS(STUCK_MS))) return false;
        os_wait_word(&never, 0, os_deadline_ns - now < pause_ns ? os_deadline_ns : now + pause_ns);
        if (pause_ns < 5000000) pause_ns *= 2;
    }
}

static bool wait_unlocked(int64_t os_deadline_ns, bool only_reachable) {
    bool ended;
    stop_waits = true;
    lock_release(&runtime_lock);
    ended = wait_for_tasks(os_deadline_ns, only_reachable);
    lock_acquire(&runtime_lock);
    stop_waits = false;
    return ended;
}

/* After STOPPING: ends the threads; true if nothing is left. */
static bool exit_locked(int64_t os_deadline_ns) {
    atomic_store_release(&sched.phase, PHASE_EXITING);
    signals_shutdown(sched.library_mode);
    monitor_stop();
    if (!threads_stop(os_deadline_ns)) return false;
    maker_stop();
    release_everything();
    atomic_store_release(&sched.phase, PHASE_STOPPED);
    return true;
}

enum { LEFT_NAMED = 3 };
static struct {
    char text[320];
    size_t length;
    uint64_t count;
} left;

static bool is_in_call(const struct pintle_task *task) {
    for (struct thread *thread = thread_first(); thread != NULL; thread = thread->all_next) {
        if (thread_task_of_other(thread) == task && call_state(atomic_load_relaxed(&thread->call)) != CALL_OUT)
            return true;
    }
    return false;
}

/* The tasks go on meanwhile: what is told of one may just have changed. */
static void left_add(struct pintle_task *task) {
    enum task_state state = (enum task_state)atomic_load_relaxed(&task->state);
    const char *waits_for = atomic_load_relaxed(&task->waits_for), *what = ", which is ready to run", *in = "";
    char name[TASK_NAME_BYTES];
    if (state == TASK_IDLE || state == TASK_DEAD || left.count++ >= LEFT_NAMED) return;
    task_name_of_other(task, name);
    if (state == TASK_RUNNING) what = is_in_call(task) ? " inside a foreign call" : ", which is running";
    if (state == TASK_WAITING) {
        what = " waiting in ";
        in = waits_for != NULL ? waits_for : "?";
    }
    left.length += (size_t)snprintf(left.text + left.length, sizeof left.text - left.length, "%stask %llu%s%s%s%s%s",
                                    left.count > 1 ? ", " : "", (unsigned long long)task_id_of_other(task),
                                    name[0] != '\0' ? " '" : "", name, name[0] != '\0' ? "'" : "", what, in);
}

static int left_error(void) {
    char more[32] = "";
    left.count = 0;
    left.length = 0;
    left.text[0] = '\0';
    record_each_task(left_add);
    if (left.count > LEFT_NAMED) {
        snprintf(more, sizeof more, " and %llu more", (unsigned long long)(left.count - LEFT_NAMED));
    }
    return error_set(PINTLE_EBUSY, 0,
                     "pintle_stop: %llu task%s left: %s%s; once they have ended it can be called again",
                     (unsigned long long)left.count, left.count == 1 ? " is" : "s are", left.text, more);
}

int pintle_start_sized(const pintle_options *options, size_t size) {
    int result = 0;
    lock_acquire(&runtime_lock);
    if (sched_phase() == PHASE_RUNNING && sched.library_mode) {
        start_count++;
    } else if (sched_phase() == PHASE_RUNNING || sched_phase() == PHASE_STOPPING) {
        result = error_set(PINTLE_EBUSY, 0, "pintle_start: the runtime is running or stopping already");
    } else if ((result = start_locked(options, size, true)) == 0) {
        start_count = 1;
    }
    lock_release(&runtime_lock);
    return result;
}

int pintle_stop(int64_t deadline_ns) {
    int result = deadline_check(deadline_ns, "pintle_stop");
    if (result != 0) return result;
    lock_acquire(&runtime_lock);
    if (stop_waits) {
        result = error_set(PINTLE_EBUSY, 0, "pintle_stop: another thread is stopping the runtime already");
    } else if (start_count == 0) {
        result = error_set(PINTLE_ESTOPPED, 0, "pintle_stop without a pintle_start before it");
    } else if (pintle_self() != NULL) {
        result = error_set(PINTLE_EDEADLK, 0, "pintle_stop was called by a task, whose end it would wait for");
    } else if (start_count > 1) {
        start_count--;
    } else {
        atomic_store_release(&sched.phase, PHASE_STOPPING);
        if (!wait_unlocked(clock_to_os(deadline_ns), false)) {
            result = left_error();
        } else {
            exit_locked(INT64_MAX);
            start_count = 0;
        }
    }
    lock_release(&runtime_lock);
    return result;
}

/* ---- Run ---- */

static void main_entry(void *arg) {
    struct main_call *call = arg;
    call->value = call->fn(call->arg);
    scope_run_deferred(task_base(pintle_self())); /* while its thread still runs tasks */
    if ((pintle_self()->panic = task_base(pintle_self())->panic) != NULL) panic_unowned(pintle_self());
    locals_end(pintle_self());
    atomic_store_release(&sched.main_done, 1);
    thread_unpark(sched.home);
}

static int home_make(struct thread **out_home) {
    struct pintle_task *task;
    struct thread *home;
    int result;
    lock_acquire(&sched.lock);
    home = thread_record_new_locked();
    lock_release(&sched.lock);
    if (home == NULL) return error_set(PINTLE_ENOMEM, 0, "no memory for the main thread's record");
    result = task_new(NULL, main_entry, &main_call, 0, &task);
    if (result != 0) return result;
    home->is_home = true;
    if (sched.options.max_tasks != 0) atomic_add_relaxed(&sched.tasks_counted, 1);
    task_set_id(task, sched_count_spawned(NULL));
    task_set_name(task, "main");
    task_prepare_flags(task, TASK_DETACHED | TASK_MAIN);
    atomic_store_relaxed(&task->join, JOIN_DETACHED);
    task_set_state(task, TASK_IDLE, TASK_RUNNABLE);
    task->bound = home;
    home->reserved = task;
    sched.home = *out_home = home;
    return 0;
}

int pintle_run_sized(pintle_main_fn *main_task, void *arg, const pintle_options *options, size_t size) {
    struct thread *home = NULL;
    int result;
    if (main_task == NULL) panic("pintle_run was given a NULL function");
    lock_acquire(&runtime_lock);
    if (sched_phase() == PHASE_RUNNING || sched_phase() == PHASE_STOPPING) {
        result = error_set(PINTLE_EBUSY, 0, "pintle_run: the runtime is running already");
        lock_release(&runtime_lock);
        return result;
    }
    result = start_locked(options, size, false);
    if (result == 0) {
        main_call = (struct main_call){main_task, arg, 0};
        result = home_make(&home);
        if (result != 0) exit_locked(INT64_MAX); /* the error stays: it is the thread's */
    }
    lock_release(&runtime_lock);
    if (result != 0) return result;
    thread_enter(home);
    atomic_store_release(&home->handed, &sched.processors[0]);
    arch_thread_run(home);
    thread_leave(home);
    lock_acquire(&runtime_lock);
    atomic_store_release(&sched.phase, PHASE_STOPPING);
    cancel_all();
    wait_unlocked(os_now_ns() + PINTLE_MS(GRACE_MS), true);
    exit_locked(os_now_ns() + PINTLE_MS(EXIT_MS));
    lock_release(&runtime_lock);
    return main_call.value;
}

int pintle_enter(pintle_fn *fn, void *arg) {
    pintle_task *task;
    int result;
    if (fn == NULL) panic("pintle_enter was given a NULL function");
    result = pintle_spawn(&task, fn, arg);
    return result != 0 ? result : pintle_join(task, PINTLE_FOREVER);
}

/* ---- Figures ---- */

static void stats_sum(pintle_stats *stats) {
    for (uint32_t i = 0; i < sched.processors_all; i++) {
        struct processor *processor = &sched.processors[i];
        stats->switches += atomic_load_relaxed(&processor->switches);
        stats->steals += atomic_load_relaxed(&processor->steals);
        stats->handoffs += atomic_load_relaxed(&processor->handoffs);
        lock_acquire(&processor->own_timers.lock);
        stats->timers += processor->own_timers.count;
        lock_release(&processor->own_timers.lock);
    }
    for (struct thread *thread = thread_first(); thread != NULL; thread = thread->all_next) {
        uint64_t word = atomic_load_relaxed(&thread->call);
        stats->calls += (word >> 3) + (call_state(word) != CALL_OUT);
        stats->calls_in_flight += call_state(word) != CALL_OUT;
    }
}

void pintle_stats_get_sized(pintle_stats *out, size_t size) {
    pintle_stats stats = {0};
    if (sched_phase() != PHASE_STOPPED) {
        stats_sum(&stats);
        stats.tasks_spawned = sched_tasks(&stats.tasks);
        stats.tasks_bytes = stack_bytes_held() + record_bytes_held();
        stats.processors = sched.processor_count;
        stats.processors_idle = atomic_load_relaxed(&sched.idle_count);
        lock_acquire(&sched.lock);
        stats.threads = sched.thread_count;
        stats.threads_spare = sched.spare_count;
        stats.lent_now = sched.lent_now;
        stats.attached = sched.attached_count;
        lock_release(&sched.lock);
        stats.thunks = thunks_live();
        stats.threads_started = atomic_load_relaxed(&sched.threads_started);
        stats.threads_refused = atomic_load_relaxed(&sched.threads_refused);
        stats.kicks = atomic_load_relaxed(&sched.kicks);
        stats.calls_abandoned = atomic_load_relaxed(&sched.calls_abandoned);
        stats.lent = atomic_load_relaxed(&sched.lent_ever);
        stats.retakes = atomic_load_relaxed(&sched.retakes);
        stats.slow_leaves = atomic_load_relaxed(&sched.slow_leaves);
        stats.waits_for_thread = atomic_load_relaxed(&sched.waits_for_thread);
    }
    stats.size = size < sizeof stats ? size : sizeof stats;
    memcpy(out, &stats, stats.size);
}
