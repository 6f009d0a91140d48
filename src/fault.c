/* fault.c: what becomes of a fault, and how it is told. fault.h explains; what the system needs is in src/<os>/fault.c.
 *
 * A fault may be one of the heap's: panics that are made of faults come from a few that are at hand, and when these are in
 * use straight from the system.
 * Threads: the one that it happened on. Locks: none of ours. Order: none. Tests: tests/death/test_fault.c,
 * tests/api/test_fault.c. */
#include "fault.h"

#include "callback.h"
#include "os.h"
#include "panic.h"
#include "scheduler.h"

enum { SYMBOL_BYTES = 192, BELOW_STACK_BYTES = 64 << 10 };

/* A stack pointer below the stack's end is the task's too: it has overflowed; unless the thread's own stack lies there. */
static bool is_of_task(const struct thread *thread, const char *sp) {
    const struct pintle_task *task = thread->task;
    if (task_owns_address(task, sp)) return true;
    if (sp >= (const char *)thread->stack_reserve && sp < (const char *)thread->stack_base) return false;
    return sp < (const char *)task->stack_reserve && (const char *)task->stack_reserve - sp <= BELOW_STACK_BYTES;
}

enum fault_place fault_place(const void *sp) {
    const struct thread *thread = thread_self();
    unsigned state;
    if (thread == NULL || thread->task == NULL) return FAULT_ELSEWHERE;
    state = call_state(atomic_load_relaxed(&thread->call));
    /* AWAY: a section between blocking_begin and blocking_end, which is on the task's stack as well. */
    if ((state == CALL_OUT || state == CALL_AWAY) && is_of_task(thread, sp)) return FAULT_IN_TASK;
    return state != CALL_OUT ? FAULT_IN_CALL : FAULT_ELSEWHERE;
}

void fault_text(const struct fault *fault, char *out_text, size_t text_bytes) {
    char symbol[SYMBOL_BYTES], accessed[40] = "";
    os_symbol(fault->pc, false, symbol, sizeof symbol);
    if (fault->how != NULL)
        snprintf(accessed, sizeof accessed, " 0x%llx", (unsigned long long)(uintptr_t)fault->accessed);
    snprintf(out_text, text_bytes, "%s%s%s at %s (0x%x)", fault->what, fault->how != NULL ? fault->how : "", accessed,
             symbol, (unsigned)fault->os_code);
}

static void tell(struct panic *panic, const struct fault *fault, const struct thread *thread,
                 struct pintle_task *task) {
    panic_init(panic, thread, task, fault->sp);
    fault_text(fault, panic->info.text, sizeof panic->info.text);
    panic->info.os_code = fault->os_code;
    panic->info.address = (void *)(uintptr_t)fault->pc;
    os_symbol(fault->pc, false, panic->info.symbol, sizeof panic->info.symbol);
    _Static_assert((int)FAULT_FRAMES_MOST <= (int)PANIC_FRAMES_MOST, "a panic takes the frames of a fault");
    memcpy(panic->frames, fault->frames, fault->frame_count * sizeof fault->frames[0]);
    panic->frame_count = fault->frame_count;
}

void fault_report(const struct fault *fault) {
    struct thread *thread = thread_self();
    struct panic panic = {.from = PANIC_FROM_HEAP}; /* never freed */
    tell(&panic, fault, thread, thread->task);
    panic_report(&panic, PINTLE_REPORT_FAULT);
}

struct panic *fault_panic(const struct fault *fault) {
    struct thread *thread = thread_self();
    struct panic *panic;
    if (fault->is_overflow || (sched.options.flags & PINTLE_FAULTS_PANIC) == 0) return NULL;
    panic = panic_take();
    if (panic == NULL) return NULL;
    tell(panic, fault, thread, thread->task);
    panic_end_unless_stopped(panic, thread->task);
    return panic;
}

void fault_raise(struct panic *panic) {
    struct thread *thread = thread_self();
    panic_go(panic, thread, thread->task);
}

void fault_panic_now(const struct fault *fault, const char *text) {
    struct thread *thread = thread_self();
    struct panic *panic_of_fault;
    if (thread == NULL || thread->task == NULL || (panic_of_fault = panic_take()) == NULL) panic("%s", text);
    tell(panic_of_fault, fault, thread, thread->task);
    snprintf(panic_of_fault->info.text, sizeof panic_of_fault->info.text, "%s", text);
    panic_go(panic_of_fault, thread, thread->task);
}
