/* fault.c (Windows): exceptions that nobody in a task, or in a foreign call, has handled. src/fault.h says what becomes of
 * them.
 *
 * The system ends its search for handlers at the limits of the current stack, and a process with an exception nobody
 * handled on a task's stack would end silently. So the first frame of each task, and each call's trampoline, has
 * fault_unhandled as its handler: the last one asked. Where it is not to be a panic it does what the system does at a
 * thread's base: the process's own filter is asked (a host's crash reporter, a debugger), then the process ends with the
 * exception's code.
 * A stack overflow of a task is told by a vectored handler, before anything runs on what is left of that stack. It looks
 * at nothing else, and is the last of its list. Foreign code's overflows are left to its handlers, as all that it raises.
 * Reports are made on a stack of their own, one at a time: what is left of the others is not known.
 *
 * A call whose faults are caught has fault_caught instead, in a frame further in (x64/fault.S). The system unwinds to
 * there, so that termination handlers and destructors of the foreign frames run.
 * Threads: any. Locks: `lock` for the handler; `report_is_used` for the stack. Order: report_is_used acquire/release hands
 * the stack on. Tests: tests/death/test_fault.c, tests/api/test_fault.c, tests/win/test_fault_win.c. */
#include "fault.h"

#include <windows.h>

#include "fail.h"
#include "panic.h"
#include "scheduler.h"

enum { REPORT_STACK_BYTES = 128 << 10, CODE_GCC_THROW = 0x20474343, CODE_MSVC_THROW = (int)0xE06D7363 };

EXCEPTION_DISPOSITION fault_unhandled(EXCEPTION_RECORD *record, void *frame, CONTEXT *context, void *dispatcher);
EXCEPTION_DISPOSITION fault_caught(EXCEPTION_RECORD *record, void *frame, CONTEXT *context,
                                   DISPATCHER_CONTEXT *dispatcher);
/* x64/fault.S: fn(arg) on the stack whose top is `base`, which ends at `limit`. */
int fault_call_on(void *base, void *limit, int (*fn)(void *), void *arg);
void fault_caught_here(void);
struct fault_catch *fault_catch_of(void *frame);

static SRWLOCK lock = SRWLOCK_INIT;
static uint32_t count;
static void *handler;

static alignas(4096) char report_stack[REPORT_STACK_BYTES];
static _Atomic uint32_t report_is_used;

/* ---- What happened ---- */

static const char *what_of(DWORD code) {
    switch (code) {
    case EXCEPTION_ACCESS_VIOLATION: return "access violation";
    case EXCEPTION_IN_PAGE_ERROR: return "page that cannot be read";
    case EXCEPTION_STACK_OVERFLOW: return "stack overflow";
    case EXCEPTION_INT_DIVIDE_BY_ZERO:
    case EXCEPTION_INT_OVERFLOW: return "integer division by zero, or overflow";
    case EXCEPTION_FLT_DIVIDE_BY_ZERO:
    case EXCEPTION_FLT_INVALID_OPERATION:
    case EXCEPTION_FLT_OVERFLOW:
    case EXCEPTION_FLT_UNDERFLOW:
    case EXCEPTION_FLT_INEXACT_RESULT:
    case EXCEPTION_FLT_STACK_CHECK:
    case EXCEPTION_FLT_DENORMAL_OPERAND: return "floating-point exception";
    case EXCEPTION_ILLEGAL_INSTRUCTION:
    case EXCEPTION_PRIV_INSTRUCTION: return "illegal instruction";
    case EXCEPTION_DATATYPE_MISALIGNMENT: return "misaligned access";
    case EXCEPTION_BREAKPOINT: return "breakpoint";
    case CODE_GCC_THROW:
    case (DWORD)CODE_MSVC_THROW: return "C++ exception";
    default: return "exception";
    }
}

static const char *how_of(const EXCEPTION_RECORD *record) {
    bool has_address = record->ExceptionCode == EXCEPTION_ACCESS_VIOLATION ||
                       record->ExceptionCode == EXCEPTION_IN_PAGE_ERROR;
    if (!has_address || record->NumberParameters < 2) return NULL;
    return record->ExceptionInformation[0] == 0   ? " reading"
           : record->ExceptionInformation[0] == 1 ? " writing"
                                                  : " running";
}

/* The callers, as far as unwind data leads. Code that was jumped to by mistake has none, but it was called: the return
 * address is on the stack. */
static void frames_of(struct fault *fault, CONTEXT context) {
    while (fault->frame_count < FAULT_FRAMES_MOST && (context.Rip != 0 || fault->frame_count == 0)) {
        DWORD64 image, establisher, next, before = context.Rsp;
        RUNTIME_FUNCTION *function = RtlLookupFunctionEntry(context.Rip, &image, NULL);
        void *data; /* a handler's */
        fault->frames[fault->frame_count++] = (void *)(uintptr_t)context.Rip;
        if (function != NULL) {
            RtlVirtualUnwind(UNW_FLAG_NHANDLER, image, context.Rip, function, &context, &data, &establisher, NULL);
        } else {
            if (!os_peek((const void *)(uintptr_t)context.Rsp, &next, sizeof next)) return;
            context.Rip = next;
            context.Rsp += 8;
        }
        if (context.Rsp == before) return;
    }
}

/* Without the frames, which take more of the stack. */
static void describe(struct fault *fault, const EXCEPTION_RECORD *record, const CONTEXT *context) {
    memset(fault, 0, sizeof *fault);
    fault->what = what_of(record->ExceptionCode);
    fault->os_code = record->ExceptionCode;
    fault->how = how_of(record);
    if (fault->how != NULL) fault->accessed = (const void *)record->ExceptionInformation[1];
    fault->pc = record->ExceptionAddress;
    fault->sp = (const void *)(uintptr_t)context->Rsp;
    fault->is_overflow = record->ExceptionCode == EXCEPTION_STACK_OVERFLOW;
}

/* ---- The end of the process ---- */

static int end_on_report_stack(void *arg) {
    EXCEPTION_POINTERS *pointers = arg;
    struct fault fault;
    describe(&fault, pointers->ExceptionRecord, pointers->ContextRecord);
    frames_of(&fault, *pointers->ContextRecord);
    fault_report(&fault);
    if (UnhandledExceptionFilter(pointers) == EXCEPTION_CONTINUE_EXECUTION) return EXCEPTION_CONTINUE_EXECUTION;
    TerminateProcess(GetCurrentProcess(), pointers->ExceptionRecord->ExceptionCode);
    return EXCEPTION_CONTINUE_SEARCH;
}

/* Returns only if the process's filter says that the code is to go on. */
static int end(EXCEPTION_RECORD *record, CONTEXT *context) {
    EXCEPTION_POINTERS pointers = {record, context};
    uint32_t unused = 0;
    int result;
    while (!atomic_cas_acq_rel(&report_is_used, &unused, 1)) {
        os_wait_word(&report_is_used, 1, INT64_MAX); /* another thread ends the process right now */
        unused = 0;
    }
    result = fault_call_on(report_stack + sizeof report_stack, report_stack, end_on_report_stack, &pointers);
    atomic_store_release(&report_is_used, 0);
    os_wake_word_all(&report_is_used);
    return result;
}

/* ---- The handlers ---- */

enum {
    FLAGS_OF_UNWINDING = EXCEPTION_UNWINDING | EXCEPTION_EXIT_UNWIND | EXCEPTION_TARGET_UNWIND |
                         EXCEPTION_COLLIDED_UNWIND
};

static struct panic *panic_of(const EXCEPTION_RECORD *record, const CONTEXT *context) {
    struct fault fault;
    if (record->ExceptionCode == EXCEPTION_STACK_OVERFLOW) return NULL;
    if ((sched.options.flags & PINTLE_FAULTS_PANIC) == 0) return NULL;
    describe(&fault, record, context);
    frames_of(&fault, *context);
    return fault_panic(&fault);
}

EXCEPTION_DISPOSITION fault_unhandled(EXCEPTION_RECORD *record, void *frame, CONTEXT *context, void *dispatcher) {
    (void)frame;
    (void)dispatcher;
    if ((record->ExceptionFlags & FLAGS_OF_UNWINDING) != 0) return ExceptionContinueSearch;
    if (fault_place((const void *)(uintptr_t)context->Rsp) == FAULT_IN_TASK) {
        struct panic *panic = panic_of(record, context);
        if (panic != NULL) {
            /* Wine's dispatcher, whose frames are left for good, has put a frame of its own there. */
            ((NT_TIB *)NtCurrentTeb())->ExceptionList = (void *)~(uintptr_t)0;
            fault_raise(panic);
        }
    }
    return end(record, context) == EXCEPTION_CONTINUE_EXECUTION ? ExceptionContinueExecution : ExceptionContinueSearch;
}

/* Goes on in the call's frame, once those within have been unwound. */
EXCEPTION_DISPOSITION fault_caught(EXCEPTION_RECORD *record, void *frame, CONTEXT *context,
                                   DISPATCHER_CONTEXT *dispatcher) {
    struct fault_catch *catch = fault_catch_of(frame);
    CONTEXT unwound;
    if ((record->ExceptionFlags & FLAGS_OF_UNWINDING) != 0) return ExceptionContinueSearch;
    describe(&catch->fault, record, context);
    if (!catch->fault.is_overflow) frames_of(&catch->fault, *context);
    RtlUnwindEx(frame, (void *)(uintptr_t)fault_caught_here, record, NULL, &unwound, dispatcher->HistoryTable);
    return ExceptionContinueSearch;
}

static LONG CALLBACK on_exception(EXCEPTION_POINTERS *pointers) {
    if (pointers->ExceptionRecord->ExceptionCode != (DWORD)EXCEPTION_STACK_OVERFLOW) return EXCEPTION_CONTINUE_SEARCH;
    if (fault_place((const void *)(uintptr_t)pointers->ContextRecord->Rsp) != FAULT_IN_TASK)
        return EXCEPTION_CONTINUE_SEARCH;
    return end(pointers->ExceptionRecord, pointers->ContextRecord);
}

/* ---- Installing ---- */

bool faults_change_process(void) { return false; }

int faults_begin(void) {
    int error = 0;
    AcquireSRWLockExclusive(&lock);
    if (count == 0) {
        handler = fail_now(FAIL_MEMORY) ? NULL : AddVectoredExceptionHandler(0, on_exception);
        if (handler == NULL) error = ERROR_NOT_ENOUGH_MEMORY;
    }
    if (error == 0) count++;
    ReleaseSRWLockExclusive(&lock);
    return error;
}

void faults_end(void) {
    AcquireSRWLockExclusive(&lock);
    if (--count == 0) RemoveVectoredExceptionHandler(handler);
    ReleaseSRWLockExclusive(&lock);
}

/* ---- Nothing to prepare: exceptions are told on the stack that they happen on ---- */

void os_fault_stack_begin(os_fault_stack *stack) { (void)stack; }
void os_fault_stack_end(os_fault_stack *stack) { (void)stack; }
void os_fault_stack_free(os_fault_stack *stack) { (void)stack; }
void fault_catch_begin(struct fault_catch *catch) { (void)catch; }
void fault_catch_end(struct fault_catch *catch) { (void)catch; }
