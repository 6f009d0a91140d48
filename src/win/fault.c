/* fault.c: exceptions that nobody in a task, or in a foreign call, has handled.
 *
 * The system ends its search for handlers at the limits of the current stack, and a process with an exception nobody
 * handled on a task's stack would end silently. So the first frame of each task, and each call's trampoline, has this as
 * its handler: the last one asked. It does what the system does at a thread's base: the process's own filter is asked
 * (a host's crash reporter, a debugger), then the process ends with the exception's code.
 * Threads: any. Tests: tests/win/test_syscall.c. */
#include <windows.h>

#include "os.h"
#include "scheduler.h"

EXCEPTION_DISPOSITION fault_unhandled(EXCEPTION_RECORD *record, void *frame, CONTEXT *context, void *dispatcher);

static void report(const EXCEPTION_RECORD *record) {
    char text[256];
    struct thread *thread = thread_self();
    struct pintle_task *task = thread != NULL ? thread->task : NULL;
    int length = snprintf(
        text, sizeof text, "pintle: unhandled exception 0x%08lx at %p in task %llu '%s'%s\n",
        (unsigned long)record->ExceptionCode, record->ExceptionAddress, (unsigned long long)pintle_task_id(task),
        pintle_task_name(task),
        thread != NULL && call_state(atomic_load_relaxed(&thread->call)) != CALL_OUT ? ", in a foreign call" : "");
    os_write_error(text, (size_t)length);
}

EXCEPTION_DISPOSITION fault_unhandled(EXCEPTION_RECORD *record, void *frame, CONTEXT *context, void *dispatcher) {
    EXCEPTION_POINTERS pointers = {record, context};
    (void)frame;
    (void)dispatcher;
    if (record->ExceptionFlags &
        (EXCEPTION_UNWINDING | EXCEPTION_EXIT_UNWIND | EXCEPTION_TARGET_UNWIND | EXCEPTION_COLLIDED_UNWIND)) {
        return ExceptionContinueSearch;
    }
    report(record);
    if (UnhandledExceptionFilter(&pointers) == EXCEPTION_CONTINUE_EXECUTION) return ExceptionContinueExecution;
    TerminateProcess(GetCurrentProcess(), record->ExceptionCode);
    return ExceptionContinueSearch;
}
