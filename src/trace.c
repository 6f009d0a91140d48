/* trace.c: see trace.h. What goes up only is shown as what was added since the line before. Source of the idea: Go's schedtrace.
 * Threads: the monitor. Locks: none of its own. */
#include "trace.h"

#include "error.h"
#include "os.h"
#include "panic.h"
#include "scheduler.h"

static struct {
    int64_t period_ns, started_ns, next_ns; /* period 0: off */
    pintle_stats before;
} trace;

int trace_start(void) {
    char text[32], *end;
    memset(&trace, 0, sizeof trace);
    if (!os_environment("PINTLE_TRACE", text, sizeof text)) return 0;
    unsigned long period_ms = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || period_ms == 0 || period_ms > 3600000) {
        return error_set(PINTLE_EINVAL, 0, "PINTLE_TRACE is '%s': use the milliseconds between two lines, 1 to 3600000",
                         text);
    }
    trace.period_ns = PINTLE_MS(period_ms);
    trace.started_ns = os_now_ns();
    trace.next_ns = trace.started_ns + trace.period_ns;
    return 0;
}

int64_t trace_deadline(void) { return trace.period_ns != 0 ? trace.next_ns : INT64_MAX; }

void trace_look(int64_t now_ns) {
    char text[512];
    pintle_stats now, *before = &trace.before;
    if (now_ns < trace_deadline()) return;
    trace.next_ns = now_ns + trace.period_ns;
    pintle_stats_get(&now);
    snprintf(
        text, sizeof text,
        "pintle: trace: %.3f s: %llu tasks, %u queued, %u of %u processors busy and %u lent, %u threads, %u spare, "
        "%u calls in flight, %llu timers; since the last line %llu spawned, %llu switches, %llu steals, %llu calls, "
        "%llu retakes, %llu handoffs\n",
        (double)(now_ns - trace.started_ns) / 1e9, (unsigned long long)now.tasks, sched_work_count(),
        now.processors - now.processors_idle, now.processors, now.lent_now, now.threads, now.threads_spare,
        now.calls_in_flight, (unsigned long long)now.timers,
        (unsigned long long)(now.tasks_spawned - before->tasks_spawned),
        (unsigned long long)(now.switches - before->switches), (unsigned long long)(now.steals - before->steals),
        (unsigned long long)(now.calls - before->calls), (unsigned long long)(now.retakes - before->retakes),
        (unsigned long long)(now.handoffs - before->handoffs));
    *before = now;
    report_text(PINTLE_REPORT_TRACE, text);
}
