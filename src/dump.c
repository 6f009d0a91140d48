/* dump.c: pintle_dump, what every processor, thread and task is doing, for a program that hangs.
 *
 * It may be called while anything is stuck, so it takes no lock and allocates nothing: what it reads, others change. Records
 * are never unmapped while the runtime runs (task.h, thread.h); what lies on other threads' stacks is read by os_peek, which
 * fails where a plain read would fault. One dump at a time: its tables are static.
 *
 * Tasks: the first LISTED_MOST each get a line, the others are counted in groups that do the same and were spawned at the same
 * place, so that a million tasks make a page.
 * Threads: any, a debugger's too. Locks: none. Order: `busy` acquire/release hands the tables on.
 * Tests: tests/api/test_dump.c. */
#include "callback.h"
#include "error.h"
#include "pintle/trace.h"
#include "scheduler.h"
#include "record.h"
#include "task_text.h"

enum { LISTED_MOST = 100, GROUPS_MOST = 64, LINE_BYTES = 512, SYMBOL_BYTES = 128 };

struct group {
    uint32_t state;
    bool is_bound;
    const char *waits_for;
    const void *spawned_at;
    uint64_t count, first_id;
};

static struct dump {
    pintle_write_fn *write;
    void *user;
    uint32_t listed, group_count;
    uint64_t others; /* tasks in no group: there are too many */
    struct group groups[GROUPS_MOST];
} dump;
static _Atomic uint32_t busy;

PINTLE_PRINTF(1, 2) static void line(const char *format, ...) {
    char text[LINE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length < 0) return;
    size_t bytes = (size_t)length < sizeof text ? (size_t)length : sizeof text - 1;
    if (dump.write != NULL) {
        dump.write(dump.user, text, bytes);
    } else {
        os_write_error(text, bytes);
    }
}

/* ---- Threads ---- */

static const char *state_text(uint32_t state) {
    static const char *const texts[] = {"free",   "spare", "idle, keeps timers", "waits for its pinned task",
                                        "active", "ended"};
    return state < sizeof texts / sizeof *texts ? texts[state] : "?";
}

/* The function that the thread's call is of: the thread writes its block before the word. */
static void append_call(const struct thread *thread, char *text, size_t bytes) {
    static const char *const states[] = {"", ", in a call", ", in a call that lost its processor",
                                         ", in a blocking call"};
    unsigned state = call_state(atomic_load_relaxed(&thread->call));
    const struct call_block *block = *(void *const volatile *)&thread->stack_top;
    void *fn = NULL;
    size_t length = strlen(text);
    if (state == CALL_OUT) return;
    length += (size_t)snprintf(text + length, bytes - length, "%s", states[state & CALL_STATE_MASK]);
    if (block != NULL && os_peek(&block->fn, &fn, sizeof fn) && fn != NULL && length + SYMBOL_BYTES < bytes) {
        char symbol[SYMBOL_BYTES];
        os_symbol(fn, false, symbol, sizeof symbol);
        snprintf(text + length, bytes - length, " of %s", symbol);
    }
}

static void write_thread(const struct thread *thread) {
    char text[LINE_BYTES];
    const struct pintle_task *task = thread_task_of_other(thread);
    uint32_t state = atomic_load_relaxed(&thread->state), depth = *(const volatile uint32_t *)&thread->callback_depth;
    size_t length;
    if (state == THREAD_FREE || thread_is_left_behind(thread)) return;
    length = (size_t)snprintf(text, sizeof text, "  thread %u (%llu): %s%s", thread->id,
                              (unsigned long long)atomic_load_relaxed(&thread->os_id),
                              thread->is_attached ? "foreign, "
                              : thread->is_home   ? "the caller of pintle_run, "
                                                  : "",
                              state_text(state));
    if (task != NULL) {
        length += (size_t)snprintf(text + length, sizeof text - length, ", task %llu",
                                   (unsigned long long)task_id_of_other(task));
    }
    if (depth != 0) snprintf(text + length, sizeof text - length, ", %u callbacks deep", depth);
    append_call(thread, text, sizeof text);
    line("%s\n", text);
}

/* ---- Processors ---- */

static void write_processor(struct processor *processor, int64_t now) {
    char work[LINE_BYTES / 2], timers[80] = "";
    const struct thread *thread = atomic_load_relaxed(&processor->thread);
    const struct pintle_task *task = thread != NULL ? thread_task_of_other(thread) : NULL;
    int64_t earliest = timer_heap_earliest(processor_timers(processor));
    bool is_idle = *(const volatile bool *)&processor->is_idle;
    const char *lent = processor->id >= sched.processor_count ? "lent " : "";
    if (lent[0] != '\0' && thread == NULL) return; /* one to lend, and not lent */
    if (earliest != INT64_MAX) {
        snprintf(timers, sizeof timers, ", first timer %s %.3f ms", earliest < now ? "late by" : "in",
                 (double)(earliest < now ? now - earliest : earliest - now) / 1e6);
    }
    if (is_idle) {
        snprintf(work, sizeof work, "idle");
    } else if (thread == NULL) {
        snprintf(work, sizeof work, "on its way to a thread");
    } else if (task != NULL) {
        snprintf(work, sizeof work, "thread %u runs task %llu", thread->id, (unsigned long long)task_id_of_other(task));
    } else {
        snprintf(work, sizeof work, "thread %u looks for work", thread->id);
    }
    line("  %sprocessor %u: %s, %u queued%s\n", lent, processor->id, work, runq_count(&processor->runq), timers);
}

/* ---- Tasks ---- */

static bool is_same(const struct group *group, const struct group *other) {
    return group->state == other->state && group->is_bound == other->is_bound && group->waits_for == other->waits_for &&
           group->spawned_at == other->spawned_at;
}

static void count_in_group(struct pintle_task *task, uint32_t state) {
    struct group mine = {.state = state,
                         .is_bound = state == TASK_WAITING && task_is_bound(task),
                         .waits_for = atomic_load_relaxed(&task->waits_for),
                         .spawned_at = *(void *volatile *)&task->spawned_at,
                         .count = 1,
                         .first_id = task_id_of_other(task)};
    for (uint32_t i = 0; i < dump.group_count; i++) {
        if (is_same(&dump.groups[i], &mine)) {
            dump.groups[i].count++;
            return;
        }
    }
    if (dump.group_count < GROUPS_MOST) {
        dump.groups[dump.group_count++] = mine;
    } else {
        dump.others++;
    }
}

static void write_task(struct pintle_task *task, void *unused) {
    uint32_t state = atomic_load_relaxed(&task->state);
    char text[LINE_BYTES];
    (void)unused;
    if (state == TASK_IDLE || state == TASK_DEAD) return;
    if (dump.listed == LISTED_MOST) {
        count_in_group(task, state);
        return;
    }
    dump.listed++;
    task_text(task, text, sizeof text);
    line("  %s\n", text);
}

static void write_groups(void) {
    for (uint32_t i = 0; i < dump.group_count; i++) {
        const struct group *group = &dump.groups[i];
        char symbol[SYMBOL_BYTES], does[80];
        os_symbol(group->spawned_at, true, symbol, sizeof symbol);
        task_text_state(group->state, group->waits_for, group->is_bound, does, sizeof does);
        line("  %llu more: %s, spawned at %s, among them task %llu\n", (unsigned long long)group->count, does, symbol,
             (unsigned long long)group->first_id);
    }
    if (dump.others != 0) line("  and %llu more\n", (unsigned long long)dump.others);
}

/* ---- All ---- */

static const char *phase_text(enum run_phase phase) {
    return phase == PHASE_RUNNING ? "running" : phase == PHASE_STOPPING ? "stopping" : "ending";
}

static void write_all(void) {
    enum run_phase phase = sched_phase();
    int64_t now = os_now_ns();
    uint64_t live;
    if (phase == PHASE_STOPPED || sched.processors == NULL) {
        line("pintle: dump: the runtime does not run\n");
        return;
    }
    (void)sched_tasks(&live);
    line("pintle: dump: %s, %llu tasks, %u of %u processors idle, %u queued for all, %u threads spare, %u searching\n",
         phase_text(phase), (unsigned long long)live, atomic_load_relaxed(&sched.idle_count), sched.processor_count,
         atomic_load_relaxed(&sched.global_count), atomic_load_relaxed(&sched.spare_hint),
         atomic_load_relaxed(&sched.searching));
    for (uint32_t i = 0; i < sched.processors_all; i++) write_processor(&sched.processors[i], now);
    for (const struct thread *thread = thread_first(); thread != NULL; thread = thread->all_next) write_thread(thread);
    record_each(write_task, NULL);
    write_groups();
}

int pintle_dump(pintle_write_fn *write, void *user) {
    uint32_t idle = 0;
    if (!atomic_cas_acq_rel(&busy, &idle, 1)) {
        return error_set(PINTLE_EBUSY, 0, "pintle_dump: another dump is being written");
    }
    dump = (struct dump){.write = write, .user = user};
    write_all();
    atomic_store_release(&busy, 0);
    return 0;
}
