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
#include "stack.h"

enum { STATUS_PANIC = 2, REPORT_BYTES = 8192, SYMBOL_BYTES = 192 };

/* For faults, and when there is no memory for one. Whoever comes while all are in use gets a report at once. */
static struct panic lent[PANICS_LENT];
static _Atomic uint32_t lent_used[PANICS_LENT];

/* ---- Reports ---- */

void report_text(int kind, const char *text) {
    if (sched.options.on_report != NULL) {
        sched.options.on_report(sched.options.user, kind, text);
    } else {
        os_write_error(text, strlen(text));
    }
}

static struct pintle_task *task_here(struct thread *thread) { return thread != NULL ? thread->task : NULL; }

PINTLE_PRINTF(4, 5) static size_t add(char *out, size_t bytes, size_t length, const char *format, ...) {
    va_list arguments;
    int added;
    if (length >= bytes) return length;
    va_start(arguments, format);
    added = vsnprintf(out + length, bytes - length, format, arguments);
    va_end(arguments);
    return added > 0 ? length + (size_t)added : length;
}

static size_t add_code(char *out, size_t bytes, size_t length, const char *before, const void *address,
                       bool is_return) {
    char symbol[SYMBOL_BYTES];
    if (address == NULL) return length;
    os_symbol(address, is_return, symbol, sizeof symbol);
    return add(out, bytes, length, "%s%s", before, symbol);
}

static size_t add_task(char *out, size_t bytes, size_t length, uint64_t id, const char *name, const void *spawned_at) {
    length = add(out, bytes, length, "  task %llu%s%s%s", (unsigned long long)id, name[0] != '\0' ? " '" : "", name,
                 name[0] != '\0' ? "'" : "");
    return add_code(out, bytes, length, ", spawned from ", spawned_at, true);
}

static size_t add_pins(char *out, size_t bytes, size_t length, uint32_t pins, bool in_call) {
    if (pins == 1) length = add(out, bytes, length, ", pinned");
    if (pins > 1) length = add(out, bytes, length, ", pinned %u times", (unsigned)pins);
    if (in_call) length = add(out, bytes, length, ", in a foreign call");
    return length;
}

static void describe(const char *what, const char *message, char *out, size_t bytes) {
    struct thread *thread = thread_self();
    struct pintle_task *task = task_here(thread);
    size_t length = add(out, bytes, 0, "pintle: %s: %s\n", what, message);
    if (task == NULL) {
        add(out, bytes, length, "  on thread %llu, which runs no task\n", (unsigned long long)os_thread_id());
        return;
    }
    length = add_task(out, bytes, length, task->id, task->name, task->spawned_at);
    length = add(out, bytes, length, ", on thread %llu", (unsigned long long)os_thread_id());
    length = add_pins(out, bytes, length, task->pins_user, call_state(atomic_load_relaxed(&thread->call)) != CALL_OUT);
    add(out, bytes, length, "\n");
}

/* The first of the frames of a fault is where it is; all others are where a call returns to. */
static void describe_panic(const struct panic *panic, const char *what, char *out, size_t bytes) {
    const pintle_panic_info *info = &panic->info;
    size_t length = add(out, bytes, 0, "pintle: %s: %s\n", what, info->text);
    length = add_task(out, bytes, length, info->task_id, info->task_name, panic->spawned_at);
    length = add_pins(out, bytes, length, panic->pins_user, panic->in_call);
    length = add(out, bytes, length, "\n");
    for (unsigned i = 0, more = 0; i < panic->frame_count; i += 1 + more) {
        length = add(out, bytes, length, "    %p", panic->frames[i]);
        length = add_code(out, bytes, length, " ", panic->frames[i], i > 0 || info->address == NULL);
        for (more = 0; i + more + 1 < panic->frame_count && panic->frames[i + more + 1] == panic->frames[i]; more++) {}
        length = add(out, bytes, length, more > 1 ? "\n    … %u times more\n" : "\n", more);
        if (more == 1) more = 0;
    }
    for (unsigned i = 0; i < panic->call_count; i++) {
        length = add_code(out, bytes, length, "  inside a call of ", panic->calls[i], false);
        length = add(out, bytes, length, "\n");
    }
    for (const struct panic *before = panic->replaced; before != NULL; before = before->replaced) {
        length = add(out, bytes, length, "  in a deferred function, after the panic: %s\n", before->info.text);
    }
}

void panic_report(const struct panic *panic, int kind) {
    char text[REPORT_BYTES];
    describe_panic(panic, kind == PINTLE_REPORT_FAULT ? "fault" : "panic", text, sizeof text);
    report_text(kind, text);
}

void panic_unowned(struct pintle_task *task) {
    panic_report(task->panic, PINTLE_REPORT_PANIC);
    if (!sched.library_mode) os_exit(STATUS_PANIC);
}

/* ---- Making one ---- */

static struct panic *take_lent(void) {
    for (unsigned i = 0; i < PANICS_LENT; i++) {
        uint32_t unused = 0;
        if (atomic_cas_acq_rel(&lent_used[i], &unused, 1)) {
            lent[i].from = PANIC_LENT;
            return &lent[i];
        }
    }
    return NULL;
}

static struct panic *from_heap(void) {
    struct panic *panic = memory_alloc(sizeof *panic);
    if (panic != NULL) panic->from = PANIC_FROM_HEAP;
    return panic;
}

struct panic *panic_take(void) {
    struct panic *panic = take_lent();
    if (panic != NULL || (panic = os_pages_new(sizeof *panic)) == NULL) return panic;
    panic->from = PANIC_FROM_PAGES;
    return panic;
}

static void panic_free_one(struct panic *panic) {
    switch (panic->from) {
    case PANIC_LENT: atomic_store_release(&lent_used[panic - lent], 0); break;
    case PANIC_FROM_PAGES: os_pages_free(panic, sizeof *panic); break;
    default: memory_free(panic);
    }
}

void panic_free(struct panic *panic) {
    while (panic != NULL) {
        struct panic *before = panic->replaced;
        panic_free_one(panic);
        panic = before;
    }
}

static void note_call(struct panic *panic, const void *stack_top) {
    if (panic->call_count < PANIC_CALLS_MOST)
        panic->calls[panic->call_count++] = ((const struct call_block *)stack_top)->fn;
}

/* The functions whose calls the task is inside, innermost first. What lies on its own stack is no call. */
static void note_calls(struct panic *panic, const struct thread *thread, const struct pintle_task *task,
                       const void *sp) {
    if (panic->in_call && !task_owns_address(task, sp)) note_call(panic, thread->stack_top);
    for (const struct callback *callback = thread->callback; callback != NULL; callback = callback->outer) {
        if (!task_owns_address(task, callback)) note_call(panic, callback->stack_top);
    }
}

void panic_init(struct panic *panic, const struct thread *thread, const struct pintle_task *task, const void *sp) {
    uint8_t from = panic->from;
    memset(panic, 0, sizeof *panic);
    panic->from = from;
    panic->info.task_id = task->id;
    memcpy(panic->info.task_name, task->name, sizeof task->name);
    panic->spawned_at = task->spawned_at;
    panic->pins_user = task->pins_user;
    panic->in_call = call_state(atomic_load_relaxed(&thread->call)) != CALL_OUT;
    note_calls(panic, thread, task, sp);
}

/* Of pintle_protect, which stops whatever panic comes by, or scope_catch. */
static bool is_protect(const struct scope *scope) {
    return scope->outer != NULL && scope->callback == scope->outer->callback;
}

/* Whether nobody will report the panic. */
static bool is_protected(const struct pintle_task *task) {
    const struct scope *scope = task->scope;
    while (scope != NULL && !is_protect(scope)) scope = scope->outer;
    return scope != NULL && !scope->keeps;
}

static struct panic *panic_new(const struct thread *thread, struct pintle_task *task) {
    struct panic *panic = from_heap();
    if (panic == NULL && (panic = take_lent()) == NULL) return NULL;
    panic_init(panic, thread, task, __builtin_frame_address(0));
    /* Where it was raised is for the report, which there is none of if a pintle_protect is on the way. */
    if (!is_protected(task)) panic->frame_count = os_backtrace(panic->frames, PANIC_FRAMES_MOST);
    return panic;
}

/* Whether anything on the way out could stop a panic of the task, or wants to know of it. */
static bool may_be_stopped(const struct pintle_task *task) {
    const struct scope *scope;
    if (sched.library_mode || !(task_is((struct pintle_task *)task, TASK_DETACHED))) return true;
    if (task->nursery != NULL || task_stack(task)->nurseries != NULL) return true;
    for (scope = task->scope; scope != NULL; scope = scope->outer) {
        if (scope->deferred != NULL || is_protect(scope)) return true;
    }
    return false;
}

/* For the report: the panics whose deferred functions run now, the last first. */
static void chain_to(struct panic *panic, const struct pintle_task *task) {
    for (const struct scope *scope = task->scope; scope != NULL; scope = scope->outer) {
        while (panic->replaced != NULL) panic = panic->replaced;
        panic->replaced = scope->panic;
    }
}

static void raise_in_task(void *arg) { panic_raise(arg); }

void panic_end_unless_stopped(struct panic *panic, const struct pintle_task *task) {
    if (may_be_stopped(task)) return;
    chain_to(panic, task);
    panic_report(panic, PINTLE_REPORT_PANIC);
    os_exit(STATUS_PANIC);
}

void panic_go(struct panic *panic, struct thread *thread, struct pintle_task *task) {
    panic_end_unless_stopped(panic, task);
    if (call_state(atomic_load_relaxed(&thread->call)) == CALL_OUT) panic_raise(panic);
    if (task->pending != NULL) scope_take_pending(task);
    pintle_callback(raise_in_task, panic); /* leaves the call first */
    fatal("a panic came back");
}

static NORETURN void report_here(const char *message) {
    char text[REPORT_BYTES];
    describe("panic", message, text, sizeof text);
    report_text(PINTLE_REPORT_PANIC, text);
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
    report_text(PINTLE_REPORT_WARNING, text);
}

void report_and_exit(int kind, const char *text) {
    report_text(kind, text);
    os_exit(STATUS_PANIC);
}

void fatal(const char *format, ...) {
    char message[512], text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    describe("fatal", message, text, sizeof text);
    report_text(PINTLE_REPORT_FATAL, text);
    os_abort();
}
