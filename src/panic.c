/* panic.c: panics are made here, and reported when nobody has stopped them. How they get out: scope.c.
 *
 * Where nothing on the way could stop a panic (no protect, no deferred function, no joiner) it is reported at once, with
 * all frames still there for a debugger. Reports have no lock and allocate nothing.
 * Threads: any. Locks: none. Tests: tests/death/test_panic.c, tests/api/test_panic.c. */
#include "panic.h"

#include "callback.h"
#include "memory.h"
#include "os.h"
#include "scheduler.h"

enum { STATUS_PANIC = 2, REPORT_BYTES = 4096 };

/* For when there is no memory for one. Whoever comes while it is in use gets a report at once. */
static struct panic last_panic;
static _Atomic uint32_t last_panic_is_used;

/* ---- Reports ---- */

static void report(int kind, const char *text) {
    if (sched.options.on_report != NULL) {
        sched.options.on_report(sched.options.user, kind, text);
    } else {
        os_write_error(text, strlen(text));
    }
}

static struct pintle_task *task_here(struct thread *thread) { return thread != NULL ? thread->task : NULL; }

static void describe(const char *what, const char *message, char *out, size_t bytes) {
    struct thread *thread = thread_self();
    struct pintle_task *task = task_here(thread);
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

PINTLE_PRINTF(4, 5) static size_t add(char *out, size_t bytes, size_t length, const char *format, ...) {
    va_list arguments;
    int added;
    if (length >= bytes) return length;
    va_start(arguments, format);
    added = vsnprintf(out + length, bytes - length, format, arguments);
    va_end(arguments);
    return added > 0 ? length + (size_t)added : length;
}

static void describe_panic(const struct panic *panic, char *out, size_t bytes) {
    const pintle_panic_info *info = &panic->info;
    size_t length = add(out, bytes, 0, "pintle: panic: %s\n  task %llu%s%s%s, spawned from %p%s%s\n", info->text,
                        (unsigned long long)info->task_id, info->task_name[0] != '\0' ? " '" : "", info->task_name,
                        info->task_name[0] != '\0' ? "'" : "", panic->spawned_at,
                        panic->pins_user != 0 ? ", pinned" : "", panic->in_call ? ", in a foreign call" : "");
    for (unsigned i = 0; i < panic->frame_count; i++) {
        char symbol[256];
        os_symbol(panic->frames[i], symbol, sizeof symbol);
        length = add(out, bytes, length, "    %p %s\n", panic->frames[i], symbol);
    }
    for (unsigned i = 0; i < panic->call_count; i++) {
        char symbol[256];
        os_symbol(panic->calls[i], symbol, sizeof symbol);
        length = add(out, bytes, length, "  inside a call of %s\n", symbol);
    }
    for (const struct panic *before = panic->replaced; before != NULL; before = before->replaced) {
        length = add(out, bytes, length, "  in a deferred function, after the panic: %s\n", before->info.text);
    }
}

static void report_panic(const struct panic *panic) {
    char text[REPORT_BYTES];
    describe_panic(panic, text, sizeof text);
    report(PINTLE_REPORT_PANIC, text);
}

void panic_unowned(struct pintle_task *task) {
    report_panic(task->base.panic);
    if (!sched.library_mode) os_exit(STATUS_PANIC);
}

/* ---- Making one ---- */

void panic_free(struct panic *panic) {
    while (panic != NULL) {
        struct panic *before = panic->replaced;
        if (panic == &last_panic) {
            atomic_store_release(&last_panic_is_used, 0);
        } else {
            memory_free(panic);
        }
        panic = before;
    }
}

static void note_call(struct panic *panic, const void *stack_top) {
    if (panic->call_count < PANIC_CALLS_MOST)
        panic->calls[panic->call_count++] = ((const struct call_block *)stack_top)->fn;
}

/* The functions whose calls the task is inside, innermost first. What lies on its own stack is no call. */
static void note_calls(struct panic *panic, const struct thread *thread, const struct pintle_task *task) {
    if (panic->in_call && !task_owns_address(task, __builtin_frame_address(0))) note_call(panic, thread->stack_top);
    for (const struct callback *callback = thread->callback; callback != NULL; callback = callback->outer) {
        if (!task_owns_address(task, callback)) note_call(panic, callback->stack_top);
    }
}

static struct panic *panic_new(const struct thread *thread, struct pintle_task *task) {
    uint32_t unused = 0;
    struct panic *panic = memory_alloc(sizeof *panic);
    if (panic == NULL) {
        if (!atomic_cas_acq_rel(&last_panic_is_used, &unused, 1)) return NULL;
        panic = &last_panic;
    }
    memset(panic, 0, sizeof *panic);
    panic->info.task_id = task->id;
    memcpy(panic->info.task_name, task->name, sizeof task->name);
    panic->spawned_at = task->spawned_at;
    panic->pins_user = task->pins_user;
    panic->in_call = call_state(atomic_load_relaxed(&thread->call)) != CALL_OUT;
    note_calls(panic, thread, task);
    panic->frame_count = os_backtrace(panic->frames, PANIC_FRAMES_MOST);
    return panic;
}

/* Whether anything on the way out could stop a panic of the task, or wants to know of it. */
static bool may_be_stopped(const struct pintle_task *task) {
    const struct scope *scope;
    if (sched.library_mode || !(task_is((struct pintle_task *)task, TASK_DETACHED))) return true;
    for (scope = task->scope; scope != NULL; scope = scope->outer) {
        if (scope->deferred != NULL || (scope != &task->base && scope->callback == scope->outer->callback)) return true;
    }
    return false;
}

static void raise_in_task(void *arg) { panic_raise(arg); }

static NORETURN void panic_go(struct panic *panic, struct thread *thread, struct pintle_task *task) {
    if (!may_be_stopped(task)) {
        report_panic(panic);
        os_exit(STATUS_PANIC);
    }
    if (call_state(atomic_load_relaxed(&thread->call)) == CALL_OUT) panic_raise(panic);
    if (task->pending != NULL) scope_take_pending(task);
    pintle_callback(raise_in_task, panic); /* leaves the call first */
    fatal("a panic came back");
}

static NORETURN void report_here(const char *message) {
    char text[REPORT_BYTES];
    describe("panic", message, text, sizeof text);
    report(PINTLE_REPORT_PANIC, text);
    os_exit(STATUS_PANIC);
}

static NORETURN void panic_with(void *value, const char *format, va_list arguments) {
    struct thread *thread = thread_self();
    struct pintle_task *task = task_here(thread);
    struct panic *panic = task != NULL ? panic_new(thread, task) : NULL;
    if (panic == NULL) {
        char message[512];
        vsnprintf(message, sizeof message, format, arguments);
        report_here(message);
    }
    vsnprintf(panic->info.text, sizeof panic->info.text, format, arguments);
    panic->info.value = value;
    panic_go(panic, thread, task);
}

void panic(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    panic_with(NULL, format, arguments);
}

void pintle_panic(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    panic_with(NULL, format, arguments);
}

PINTLE_PRINTF(2, 3) static NORETURN void panic_value(void *value, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    panic_with(value, format, arguments);
}

void pintle_panic_value(void *value) { panic_value(value, "panic with the value %p", value); }

/* ---- The rest ---- */

void report_warning(const char *format, ...) {
    char message[512], text[600];
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

void fatal(const char *format, ...) {
    char message[512], text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    describe("fatal", message, text, sizeof text);
    report(PINTLE_REPORT_FATAL, text);
    os_abort();
}
