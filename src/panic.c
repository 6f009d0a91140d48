/* panic.c: reports, and how a task or the process ends by one.
 *
 * In library mode only the task ends: its stack is left as it is, its joiner gets EPANIC, and if it was pinned or in a
 * foreign call its thread goes with it, since that thread's state is not to be trusted.
 * Threads: any. Locks: none. Tests: tests/death/test_panic.c. */
#include "panic.h"

#include "os.h"
#include "scheduler.h"

enum { STATUS_PANIC = 2, REPORT_BYTES = 1024 };

static void report(int kind, const char *text) {
    if (sched.options.on_report != NULL) {
        sched.options.on_report(sched.options.user, kind, text);
    } else {
        os_write_error(text, strlen(text));
    }
}

static void describe(const char *what, const char *message, char *out, size_t bytes) {
    struct thread *thread = thread_self();
    struct pintle_task *task = thread != NULL ? thread->task : NULL;
    if (task == NULL) {
        snprintf(out, bytes, "pintle: %s: %s\n  on thread %llu, which runs no task\n", what, message,
                 (unsigned long long)os_thread_id());
        return;
    }
    snprintf(out, bytes, "pintle: %s: %s\n  task %llu%s%s%s, spawned from %p, on thread %llu%s%s\n", what, message,
             (unsigned long long)task->id, task->name[0] != '\0' ? " '" : "", task->name,
             task->name[0] != '\0' ? "'" : "", task->spawned_at, (unsigned long long)os_thread_id(),
             task->pins_user != 0 ? ", pinned" : "",
             call_state(atomic_load_relaxed(&thread->call)) != CALL_OUT ? ", in a foreign call" : "");
}

static NORETURN void end_task(struct thread *thread, struct pintle_task *task) {
    atomic_fetch_or_explicit(&task->flags, TASK_PANICKED, memory_order_relaxed);
    if (call_state(atomic_load_relaxed(&thread->call)) != CALL_OUT) {
        task->pins_user++; /* its thread goes with it */
        call_leave(thread);
        thread = thread_self();
    }
    depart(thread, LEFT_EXIT);
    fatal("a task that has ended was resumed");
}

static NORETURN void panic_with(const char *format, va_list arguments) {
    char message[512], text[REPORT_BYTES];
    struct thread *thread = thread_self();
    vsnprintf(message, sizeof message, format, arguments);
    describe("panic", message, text, sizeof text);
    report(PINTLE_REPORT_PANIC, text);
    if (sched.library_mode && thread != NULL && thread->task != NULL) end_task(thread, thread->task);
    os_exit(STATUS_PANIC);
}

void report_warning(const char *format, ...) {
    char message[512], text[REPORT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    snprintf(text, sizeof text, "pintle: warning: %s\n", message);
    report(PINTLE_REPORT_WARNING, text);
}

void report_and_exit(int kind, const char *text) {
    report(kind, text);
    os_exit(STATUS_PANIC);
}

void panic(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    panic_with(format, arguments);
}

void pintle_panic(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    panic_with(format, arguments);
}

void fatal(const char *format, ...) {
    char message[512], text[REPORT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    describe("fatal", message, text, sizeof text);
    report(PINTLE_REPORT_FATAL, text);
    os_abort();
}
