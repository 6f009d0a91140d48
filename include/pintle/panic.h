/* pintle/panic.h: panics, and what is to run whatever happens. Go's defer, panic and recover, for C: the names and the
 * order are Go's, a block that is protected takes the place of Go's function.
 *
 *     static void work(void *arg) {
 *         FILE *file = fopen(arg, "r");
 *         pintle_defer(close_file, file);
 *         … pintle_panic("line %d is no number", line); …
 *     }
 *     pintle_panic_info info;
 *     if (pintle_protect(work, path, &info) == PINTLE_EPANIC) fprintf(stderr, "%s\n", info.text);
 *
 * A panic goes outwards through the calling task: each protect on the way, the task itself, and each callback that the
 * task is inside, runs its deferred functions, the last one first. It may cross foreign frames: they are discarded, as by
 * longjmp, the pin that entering their callback took is dropped, and the thread's stack is as before the call. A pin that
 * pintle_pin took stays. Where foreign frames must not be discarded, see PINTLE_PANIC_RETURN in pintle/callback.h.
 * Who owns a panic that nobody stopped: the task's joiner (EPANIC); else it is reported and the process ends with status
 * 2; in library mode a detached task only ends, and is reported. */
#ifndef PINTLE_PANIC_H
#define PINTLE_PANIC_H

#include "pintle/task.h"

#if defined(__cplusplus)
extern "C" {
#endif

typedef struct pintle_panic_info {
    char text[512];
    void *value;      /* what pintle_panic_value was given; else NULL */
    uint32_t os_code; /* of an exception that became a panic; else 0 */
    void *address;    /* where that was raised; else NULL */
    char symbol[128]; /* what lies there, "dll!function+offset" */
    uint64_t task_id;
    char task_name[32];
} pintle_panic_info;

/* Effect: panics, with a text, or with a value for whoever stops it. Runs the task's deferred functions on the way. In a
 * call: the call is left first. On a thread that runs no task: a report, and the process ends with status 2.
 * From: any. Does not return. */
PINTLE_API PINTLE_NORETURN void pintle_panic(const char *format, ...) PINTLE_PRINTF(1, 2);
PINTLE_API PINTLE_NORETURN void pintle_panic_value(void *value);

/* Effect: calls fn(arg). If it panics, and none of the functions deferred in it recovers: EPANIC, and *out (NULL: not
 * wanted) tells of it. 0 otherwise; then the functions deferred in it have run too.
 * Blocks: as fn does. From: task. Errors: EPANIC (no error is set for pintle_error_get). */
PINTLE_API int pintle_protect(pintle_fn *fn, void *arg, pintle_panic_info *out);

/* Effect: fn(arg) will run when the innermost pintle_protect, callback or the task ends, in whichever way; the last
 * deferred first. It may do all that task code may. Without memory to remember it, fn(arg) runs at once, and then it is a
 * panic. Blocks: no. From: task. */
PINTLE_API void pintle_defer(pintle_fn *fn, void *arg);

/* What has been deferred up to here; and: runs what was deferred since, the last first. For a function that cleans up
 * after itself without a protect of its own. Effect of the second: as the deferred functions. From: task. */
typedef struct pintle_defer_mark {
    void *last;
} pintle_defer_mark;
PINTLE_API pintle_defer_mark pintle_defer_here(void);
PINTLE_API void pintle_defer_run(pintle_defer_mark to);

/* Effect: forgets the last pair fn, arg that was deferred in the innermost protect (callback, task); none: nothing.
 * Blocks: no. From: task. */
PINTLE_API void pintle_defer_cancel(pintle_fn *fn, void *arg);

/* Effect: in a deferred function that a panic runs: stops it here. The protect around returns 0; a callback returns 0 to
 * the foreign code; a task has ended without a panic. *out (NULL: not wanted) tells of it. false: there is no panic to
 * stop. Blocks: no. From: task. */
PINTLE_API bool pintle_recover(pintle_panic_info *out);

/* As pintle_join, and *out (NULL: not wanted) tells of the panic, if EPANIC is returned. */
PINTLE_API int pintle_join_info(pintle_task *task, int64_t deadline_ns, pintle_panic_info *out);

#if defined(__cplusplus)
}
#endif

#endif
