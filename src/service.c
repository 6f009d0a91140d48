/* service.c: one main task, run as a service or on the console; what the service manager is told, and what it says.
 *
 * States, as reported (os_service.h), each change and its report under status_lock, so that reports come in order:
 *
 *   START_PENDING --ready--> RUNNING --pause--> PAUSE_PENDING --done--> PAUSED --continue--> CONTINUE_PENDING --done--> RUNNING
 *                            RUNNING --reload--> RELOADING --done--> RUNNING
 *   any --stop, or the main task returned--> STOP_PENDING --tasks ended--> STOPPED
 *
 * An event: the handler (control) reports the pending state first, then queues the event, so that `done`, which follows from
 * taking it, cannot come before. After a stop the channel is closed. The last places in it are kept for stops.
 * The heartbeat is an OS thread, beside the runtime and before it: while a state is pending it reports a growing checkpoint,
 * whatever the tasks do. Signals that only can be noted where they arrive are passed on by it too, and reports are written.
 *
 * Threads: control: the system's; heartbeat: its own; the rest any. Locks: status_lock (leaf), held across the report, which
 * may wait for the manager: tasks take it in a foreign call only. Order: what control reads is published by `current`
 * (release, acquire). Invariants: one context at a time; between life_begin and life_end the heartbeat runs.
 * Tests: tests/posix/test_service_posix.c, tests/win/test_service_win.c, tests/api/test_service.c. */
#include "pintle/service.h"

#include "error.h"
#include "lock.h"
#include "memory.h"
#include "os_service.h"
#include "panic.h"
#include "pintle/call.h"
#include "pintle/scope.h"

enum {
    EVENTS_MOST = 256,
    EVENTS_RESERVED = 8, /* for stops: one of each kind */
    BEAT_MS = 500,
    HINT_MS = 5000,
    LOG_BYTES = 2001,
    REPORT_BYTES = 8192,
    REPORT_PATIENCE_S = 2
};
#define STOPS (PINTLE_SERVICE_STOP | PINTLE_SERVICE_SHUTDOWN | PINTLE_SERVICE_PRESHUTDOWN)
#define DEFAULT_ACCEPTS (PINTLE_SERVICE_STOP | PINTLE_SERVICE_SHUTDOWN | PINTLE_SERVICE_USER | PINTLE_SERVICE_RELOAD)
#define ALL_KINDS ((PINTLE_SERVICE_RELOAD << 1) - 1)

struct pintle_service_context {
    pintle_service service;
    bool as_service;
    int argc; /* of main_task */
    char **argv;
    pintle_chan *events;
    _Atomic(pintle_scope *) scope; /* seq_cst with `stopping`: the task sets it, then looks; control the reverse */
    struct os_thread heartbeat;
    _Atomic uint32_t wake;  /* the heartbeat waits here */
    _Atomic bool over;      /* the heartbeat ends */
    _Atomic bool stopping;  /* release after the event is queued; acquire */
    _Atomic uint32_t given; /* kind of the event that pintle_service_next gave last; relaxed: the channel orders */
    _Atomic bool uses_next; /* relaxed: a hint for the heartbeat */
    _Atomic uint64_t events_queued; /* relaxed: only the heartbeat compares it, a beat later */
    _Atomic uint64_t specific;      /* the code, and SPECIFIC_SET */
    int value;                      /* pintle_run's */
    /* Under status_lock. */
    struct service_status status;
    int64_t next_beat_ns;
    uint64_t pending_event; /* which of those queued the pending state came with */
    unsigned pending_beats; /* since it was taken from the channel */
};
#define SPECIFIC_SET ((uint64_t)1 << 32)

static struct lock status_lock = LOCK_INIT(RANK_LEAF);
static _Atomic(struct pintle_service_context *) current;
static _Atomic uint32_t
    controls_under_way; /* seq_cst with `current`: a handler counts itself, then looks; the end the reverse */

/* ---- What the manager is told ---- */

static bool is_pending(enum service_state state) {
    return state == SERVICE_IS_START_PENDING || state == SERVICE_IS_PAUSE_PENDING ||
           state == SERVICE_IS_CONTINUE_PENDING || state == SERVICE_IS_RELOADING || state == SERVICE_IS_STOP_PENDING;
}

static void wake_heartbeat(struct pintle_service_context *c) {
    atomic_add_seq_cst(&c->wake, 1);
    os_wake_word_all(&c->wake);
}

static int report_locked(struct pintle_service_context *c, enum service_state state) {
    bool pending = is_pending(state);
    struct service_status *status = &c->status;
    status->checkpoint = !pending ? 0 : status->state == state ? status->checkpoint + 1 : 1;
    status->state = state;
    status->wait_hint_ms = pending ? HINT_MS : 0;
    status->accepts = state == SERVICE_IS_START_PENDING || state == SERVICE_IS_STOP_PENDING ? 0 : c->service.accepts;
    if (pending) c->next_beat_ns = os_now_ns() + PINTLE_MS(BEAT_MS);
    return os_service_report(status);
}

/* To the state, if it is one of `from` (bits). 0, the system's error number, or -1: it is another. */
static int step(struct pintle_service_context *c, unsigned from, enum service_state to) {
    int result = -1;
    lock_acquire(&status_lock);
    if (from >> c->status.state & 1) {
        result = report_locked(c, to);
        c->pending_beats = 0;
        c->pending_event = atomic_load_relaxed(&c->events_queued) + 1;
    }
    lock_release(&status_lock);
    if (result >= 0 && is_pending(to)) wake_heartbeat(c);
    return result;
}
#define FROM(name) (1u << SERVICE_IS_##name)
#define FROM_ANY (~0u & ~FROM(STOPPED) & ~FROM(STOP_PENDING))

/* What was pending was carried out, but for starts and stops. */
static void carried_out(struct pintle_service_context *c) {
    if (step(c, FROM(PAUSE_PENDING), SERVICE_IS_PAUSED) == -1) {
        step(c, FROM(CONTINUE_PENDING) | FROM(RELOADING), SERVICE_IS_RUNNING);
    }
}

/* ---- Reports of the runtime, where nobody reads standard error ----
 *
 * Whoever reports may be about to end the process, on a stack that overflowed or in an exception: it copies the text, and the
 * heartbeat writes it. Who ends the process afterwards waits for that, but not for ever.
 *   FREE --a report--> FILLED_IN --copied--> WAITING --heartbeat--> FREE */
enum { REPORT_IS_FREE, REPORT_IS_FILLED_IN, REPORT_IS_WAITING };
static _Atomic uint32_t report_state; /* release by who fills in, acquire by the heartbeat, and the reverse */
static struct {
    int level;
    char text[REPORT_BYTES];
} report;

/* False: it did not come to that within the time. */
static bool report_wait_free(int64_t deadline_ns) {
    for (uint32_t state; (state = atomic_load_acquire(&report_state)) != REPORT_IS_FREE;) {
        if (os_now_ns() >= deadline_ns) return false;
        os_wait_word(&report_state, state, deadline_ns);
    }
    return true;
}

static void report_to_log(void *user, int kind, const char *text) {
    struct pintle_service_context *c = atomic_load_acquire(&current);
    int64_t deadline_ns = os_now_ns() + PINTLE_S(REPORT_PATIENCE_S);
    uint32_t state = REPORT_IS_FREE;
    (void)user;
    os_write_error(text, strlen(text));
    if (c == NULL || kind == PINTLE_REPORT_TRACE || !report_wait_free(deadline_ns)) return;
    if (!atomic_cas_acq_rel(&report_state, &state, REPORT_IS_FILLED_IN))
        return; /* two at once: the first is the cause */
    report.level = kind == PINTLE_REPORT_WARNING ? PINTLE_SERVICE_WARNING : PINTLE_SERVICE_ERROR;
    snprintf(report.text, sizeof report.text, "%s", text);
    atomic_store_release(&report_state, REPORT_IS_WAITING);
    wake_heartbeat(c);
    if (kind != PINTLE_REPORT_WARNING) report_wait_free(deadline_ns);
}

static void report_write(const struct pintle_service_context *c) {
    if (atomic_load_acquire(&report_state) != REPORT_IS_WAITING) return;
    os_service_log(c->service.name, c->as_service, report.level, report.text);
    atomic_store_release(&report_state, REPORT_IS_FREE);
    os_wake_word_all(&report_state);
}

/* The service's options; where its reports would be lost, and it does not take them itself, with ours for them. */
static const pintle_options *options_with_reports(const struct pintle_service_context *c, pintle_options *ours) {
    const pintle_options *given = c->service.options;
    size_t size = given == NULL || given->size == 0 ? sizeof *given : given->size;
    if (!os_service_log_is_apart(c->as_service)) return given;
    memset(ours, 0, sizeof *ours);
    if (given != NULL) memcpy(ours, given, size < sizeof *ours ? size : sizeof *ours);
    if (ours->on_report != NULL || size <= sizeof given->size || size > sizeof *ours) return given;
    ours->size = sizeof *ours;
    ours->on_report = report_to_log;
    return ours;
}

/* ---- The heartbeat ---- */

static void beat_locked(struct pintle_service_context *c) {
    if (!is_pending(c->status.state) || os_now_ns() < c->next_beat_ns) return;
    report_locked(c, c->status.state);
    if (FROM_ANY >> c->status.state & 1 && c->status.state != SERVICE_IS_START_PENDING &&
        !atomic_load_relaxed(&c->uses_next) &&
        atomic_load_relaxed(&c->events_queued) - pintle_chan_count(c->events) >= c->pending_event) {
        c->pending_beats++;
    }
}

static void heartbeat_run(void *arg) {
    struct pintle_service_context *c = arg;
    for (;;) {
        uint32_t word = atomic_load_acquire(&c->wake);
        int64_t deadline_ns;
        bool assume;
        os_console_poll();
        report_write(c);
        if (atomic_load_acquire(&c->over)) return;
        lock_acquire(&status_lock);
        beat_locked(c);
        deadline_ns = is_pending(c->status.state) ? c->next_beat_ns : INT64_MAX;
        assume = c->pending_beats >= 2;
        lock_release(&status_lock);
        if (assume) {
            carried_out(c);
        } else {
            os_wait_word(&c->wake, word, deadline_ns);
        }
    }
}

/* ---- What the manager says ---- */

static void stop_queued(struct pintle_service_context *c) {
    pintle_scope *scope;
    atomic_store_seq_cst(&c->stopping, true);
    pintle_chan_close(c->events);
    scope = atomic_load_seq_cst(&c->scope);
    if (scope != NULL) pintle_scope_cancel(scope);
}

static enum service_answer take(struct pintle_service_context *c, const pintle_service_event *event) {
    bool stop = (event->kind & STOPS) != 0;
    if (!(c->service.accepts & event->kind)) return SERVICE_UNKNOWN;
    if (atomic_load_acquire(&c->stopping)) return SERVICE_FULL;
    if (pintle_chan_count(c->events) >= (stop ? EVENTS_MOST : EVENTS_MOST - EVENTS_RESERVED)) return SERVICE_FULL;
    if (event->kind == PINTLE_SERVICE_PAUSE) step(c, FROM(RUNNING), SERVICE_IS_PAUSE_PENDING);
    if (event->kind == PINTLE_SERVICE_CONTINUE) step(c, FROM(PAUSED), SERVICE_IS_CONTINUE_PENDING);
    if (event->kind == PINTLE_SERVICE_RELOAD) step(c, FROM(RUNNING), SERVICE_IS_RELOADING);
    if (stop) step(c, FROM_ANY, SERVICE_IS_STOP_PENDING);
    if (pintle_chan_send(c->events, event, PINTLE_NOWAIT) != 0) return SERVICE_FULL;
    atomic_add_relaxed(&c->events_queued, 1);
    if (stop) stop_queued(c);
    return SERVICE_TAKEN;
}

static enum service_answer control(const pintle_service_event *event) {
    struct pintle_service_context *c;
    enum service_answer answer = SERVICE_FULL;
    atomic_add_seq_cst(&controls_under_way, 1);
    c = atomic_load_seq_cst(&current);
    if (c != NULL) answer = take(c, event);
    if (atomic_sub_seq_cst(&controls_under_way, 1) == 1) os_wake_word_all(&controls_under_way);
    return answer;
}

static int wait_for_controls(void *unused) {
    uint32_t under_way;
    (void)unused;
    while ((under_way = atomic_load_seq_cst(&controls_under_way)) != 0) {
        os_wait_word(&controls_under_way, under_way, INT64_MAX);
    }
    return 0;
}

/* ---- The life of a service ---- */

static int service_task(void *arg) {
    struct pintle_service_context *c = arg;
    pintle_scope *scope;
    int value = pintle_scope_open(&scope, PINTLE_FOREVER);
    if (value != 0) return value;
    atomic_store_seq_cst(&c->scope, scope);
    if (atomic_load_seq_cst(&c->stopping)) pintle_scope_cancel(scope);
    value = c->service.main_task(c, c->argc, c->argv);
    step(c, FROM_ANY, SERVICE_IS_STOP_PENDING);
    atomic_store_seq_cst(&c->scope, NULL);
    pintle_call_blocking(wait_for_controls, NULL);
    pintle_scope_cancel(scope);
    pintle_scope_close(scope); /* its failures are its users' to look at: what they return is not the service's */
    return value;
}

static uint32_t exit_code(const struct pintle_service_context *c) {
    uint64_t specific = atomic_load_acquire(&c->specific);
    return specific & SPECIFIC_SET ? (uint32_t)specific : (uint32_t)c->value;
}

/* The runtime's error stays the calling thread's, and what the caller of pintle_service_run gets. */
static void run_tasks(struct pintle_service_context *c) {
    pintle_options ours;
    pintle_hold(); /* the manager can always call in */
    c->value = pintle_run(service_task, c, options_with_reports(c, &ours));
    pintle_unhold();
}

static int live_with_heartbeat(struct pintle_service_context *c) {
    int result = os_thread_start(&c->heartbeat, heartbeat_run, c);
    if (result != 0) return error_set(PINTLE_ELIMIT, result, "pintle_service_run: the system makes no thread");
    result = os_console_open(&(struct service_port){c->service.name, control, NULL}, c->as_service, &c->wake);
    if (result == 0) {
        run_tasks(c);
        os_console_close();
    }
    atomic_store_release(&c->over, true);
    wake_heartbeat(c);
    os_thread_join(&c->heartbeat);
    return result == 0 ? 0 : error_set(PINTLE_EOS, result, "pintle_service_run: the console's events cannot be had");
}

/* The main task's arguments: the program's, then those of the start but for the name. */
static int arguments_join(struct pintle_service_context *c, int argc, char **argv) {
    int count = c->argc + (argc > 1 ? argc - 1 : 0);
    char **all = memory_alloc(((size_t)count + 1) * sizeof *all);
    if (all == NULL) return error_set(PINTLE_ENOMEM, 0, "pintle_service_run: no memory for %d arguments", count);
    for (int i = 0; i < c->argc; i++) all[i] = c->argv[i];
    for (int i = c->argc; i < count; i++) all[i] = argv[i - c->argc + 1];
    all[count] = NULL;
    c->argc = count;
    c->argv = all;
    return 0;
}

static void live(int argc, char **argv) {
    struct pintle_service_context *c = atomic_load_acquire(&current);
    int result;
    lock_acquire(&status_lock);
    report_locked(c, SERVICE_IS_START_PENDING);
    lock_release(&status_lock);
    result = arguments_join(c, argc, argv);
    if (result == 0) {
        result = live_with_heartbeat(c);
        memory_free(c->argv);
    }
    if (result != 0) c->value = result;
    lock_acquire(&status_lock);
    c->status.specific_code = exit_code(c);
    report_locked(c, SERVICE_IS_STOPPED);
    lock_release(&status_lock);
}

static int dispatch_refused(const struct pintle_service_context *c, int os_code) {
    char message[256];
    os_error_text(os_code, message, sizeof message);
    return error_set(
        PINTLE_EOS, os_code,
        "pintle_service_run: '%s' runs as a service only if the service manager starts it (pintle service start "
        "%s), or with PINTLE_SERVICE_MODE_CONSOLE: %s",
        c->service.name, c->service.name, message);
}

static int run_in_mode(struct pintle_service_context *c, int mode) {
    const struct service_port port = {c->service.name, control, live};
    if (c->as_service) {
        int result = os_service_dispatch(&port);
        if (result == 0) return 0;
        if (mode == PINTLE_SERVICE_MODE_SERVICE) return dispatch_refused(c, result);
        c->as_service = false; /* the parent has the manager's name, and is not it */
    }
    live(0, NULL);
    return 0;
}

static int service_read(pintle_service *out, const pintle_service *service, size_t size) {
    if (service == NULL) return error_set(PINTLE_EINVAL, 0, "pintle_service_run: service is NULL");
    if (service->size != 0 && service->size < size) size = service->size;
    if (size <= sizeof service->size) {
        return error_set(PINTLE_EINVAL, 0,
                         "pintle_service_run: service.size is %zu: set it to sizeof(pintle_service), or 0", size);
    }
    memset(out, 0, sizeof *out);
    memcpy(out, service, size < sizeof *out ? size : sizeof *out);
    if (out->name == NULL || out->name[0] == '\0') {
        return error_set(PINTLE_EINVAL, 0, "pintle_service_run: service.name is empty");
    }
    if (out->main_task == NULL) return error_set(PINTLE_EINVAL, 0, "pintle_service_run: service.main_task is NULL");
    if (out->accepts & ~(uint32_t)ALL_KINDS) {
        return error_set(PINTLE_EINVAL, 0, "pintle_service_run: service.accepts is 0x%x: use the bits PINTLE_SERVICE_…",
                         (unsigned)out->accepts);
    }
    if (out->accepts == 0) out->accepts = DEFAULT_ACCEPTS;
    out->accepts |= PINTLE_SERVICE_STOP;
    if (out->accepts & PINTLE_SERVICE_PAUSE) out->accepts |= PINTLE_SERVICE_CONTINUE;
    return 0;
}

int pintle_service_run_sized(const pintle_service *service, int mode, int argc, char **argv, size_t size) {
    struct pintle_service_context c = {.argc = argv != NULL ? argc : 0, .argv = argv};
    struct pintle_service_context *none = NULL;
    int result = service_read(&c.service, service, size);
    if (result != 0) return result;
    if (mode < PINTLE_SERVICE_MODE_AUTO || mode > PINTLE_SERVICE_MODE_CONSOLE) {
        return error_set(PINTLE_EINVAL, 0, "pintle_service_run: %d is no mode: use PINTLE_SERVICE_MODE_…", mode);
    }
    c.as_service = mode == PINTLE_SERVICE_MODE_SERVICE ||
                   (mode == PINTLE_SERVICE_MODE_AUTO && os_service_started_by_manager());
    result = pintle_chan_new(&c.events, sizeof(pintle_service_event), EVENTS_MOST);
    if (result != 0) return result;
    if (!atomic_cas_acq_rel(&current, &none, &c)) {
        pintle_chan_free(c.events);
        return error_set(PINTLE_EBUSY, 0, "pintle_service_run: '%s' runs already", none->service.name);
    }
    result = run_in_mode(&c, mode);
    os_service_log_close();
    atomic_store_seq_cst(&current, NULL);
    wait_for_controls(NULL); /* from here on no handler has the context */
    pintle_chan_free(c.events);
    return result != 0 ? result : (int)exit_code(&c);
}

/* ---- For the main task ---- */

void *pintle_service_user(const pintle_service_context *c) { return c->service.user; }
const char *pintle_service_name(const pintle_service_context *c) { return c->service.name; }
int pintle_service_mode(const pintle_service_context *c) {
    return c->as_service ? PINTLE_SERVICE_MODE_SERVICE : PINTLE_SERVICE_MODE_CONSOLE;
}
pintle_chan *pintle_service_events(pintle_service_context *c) { return c->events; }
pintle_scope *pintle_service_scope(pintle_service_context *c) { return atomic_load_acquire(&c->scope); }
bool pintle_service_stopping(const pintle_service_context *c) { return atomic_load_acquire(&c->stopping); }

void pintle_service_fail(pintle_service_context *c, uint32_t specific_code) {
    atomic_store_release(&c->specific, specific_code | SPECIFIC_SET);
}

static int ready_in_call(void *arg) { return step(arg, FROM(START_PENDING), SERVICE_IS_RUNNING); }

int pintle_service_ready(pintle_service_context *c) {
    int result = pintle_call_blocking(ready_in_call, c);
    if (result > 0) return error_set(PINTLE_EOS, result, "pintle_service_ready: the service manager does not take it");
    if (result < 0 && pintle_service_stopping(c)) {
        return error_set(PINTLE_ESTOPPED, 0, "pintle_service_ready: '%s' is stopping", c->service.name);
    }
    return 0;
}

static int carried_out_in_call(void *arg) {
    carried_out(arg);
    return 0;
}

void pintle_service_done(pintle_service_context *c) { pintle_call_blocking(carried_out_in_call, c); }

int pintle_service_next(pintle_service_context *c, pintle_service_event *out, int64_t deadline_ns) {
    static const uint32_t with_end = PINTLE_SERVICE_PAUSE | PINTLE_SERVICE_CONTINUE | PINTLE_SERVICE_RELOAD;
    int result;
    if (out == NULL) return error_set(PINTLE_EINVAL, 0, "pintle_service_next: out is NULL");
    if (atomic_load_relaxed(&c->given) & with_end && atomic_exchange_explicit(&c->given, 0, memory_order_acq_rel) != 0)
        pintle_service_done(c);
    atomic_store_relaxed(&c->uses_next, true);
    result = pintle_chan_recv(c->events, out, deadline_ns);
    if (result == 0) atomic_store_relaxed(&c->given, out->kind);
    return result;
}

/* ---- The log ---- */

struct log_entry {
    const char *name;
    bool as_service;
    int level;
    const char *text;
};

static int log_in_call(void *arg) {
    const struct log_entry *entry = arg;
    return os_service_log(entry->name, entry->as_service, entry->level, entry->text);
}

int pintle_service_log(pintle_service_context *c, int level, const char *format, ...) {
    char text[LOG_BYTES];
    struct log_entry entry = {c->service.name, c->as_service, level, text};
    va_list arguments;
    int result;
    if (level < PINTLE_SERVICE_ERROR || level > PINTLE_SERVICE_INFO) {
        return error_set(PINTLE_EINVAL, 0,
                         "pintle_service_log: %d is no level: use PINTLE_SERVICE_ERROR, _WARNING, _INFO", level);
    }
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    result = pintle_call_blocking(log_in_call, &entry);
    if (result == 0) return 0;
    return error_set(PINTLE_EOS, result, "pintle_service_log: the log took no entry (error %d)", result);
}
