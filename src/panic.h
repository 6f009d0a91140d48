/* panic.h: what happens when a contract is broken (panic) or the runtime is (fatal, in base.h). Tests: tests/death. */
#ifndef PINTLE_SRC_PANIC_H
#define PINTLE_SRC_PANIC_H

#include "base.h"
#include "pintle/panic.h"

enum { PANIC_FRAMES_MOST = 32, PANIC_CALLS_MOST = 8, PANICS_LENT = 16 };

enum panic_from { PANIC_FROM_HEAP, PANIC_LENT, PANIC_FROM_PAGES };

/* A panic on its way out (scope.c). */
struct panic {
    pintle_panic_info info;
    struct panic *replaced; /* the one before, while it ran whose deferred function this one was raised in */
    void *spawned_at;
    uint32_t pins_user;
    bool in_call;
    uint8_t from; /* enum panic_from: whose memory it is */
    unsigned frame_count, call_count;
    void *frames[PANIC_FRAMES_MOST]; /* where it was raised, innermost first */
    void *calls[PANIC_CALLS_MOST];   /* the functions whose calls it was inside, innermost first */
};

/* The message names the call. The task panics; on a thread that runs no task: a report, and status 2. */
NORETURN COLD void panic(const char *format, ...) PINTLE_PRINTF(1, 2);
/* Goes to the innermost scope of the calling task, which is not in a call (scope.c). */
NORETURN COLD void panic_raise(struct panic *panic);
/* The parts of it, for faults (fault.c). init: all but the text and the frames; sp: where the task, or its call, is. */
struct thread;
struct pintle_task;
void panic_init(struct panic *panic, const struct thread *thread, const struct pintle_task *task, const void *sp);
/* One for which the heap is not asked; NULL: none left. */
struct panic *panic_take(void);
/* kind: PINTLE_REPORT_… */
void panic_report(const struct panic *panic, int kind);
/* If nothing on the way could stop it: a report, and status 2. */
void panic_end_unless_stopped(struct panic *panic, const struct pintle_task *task);
NORETURN void panic_go(struct panic *panic, struct thread *thread, struct pintle_task *task);
/* And those that it has replaced. NULL: nothing. */
void panic_free(struct panic *panic);
/* To on_report, or standard error. Not under a lock. */
void report_text(int kind, const char *text);
/* A report of kind PINTLE_REPORT_…, then the process ends with status 2. */
NORETURN COLD void report_and_exit(int kind, const char *text);
/* A report of kind PINTLE_REPORT_WARNING. Not under a lock: it may run the user's code. */
COLD void report_warning(const char *format, ...) PINTLE_PRINTF(1, 2);

#endif
