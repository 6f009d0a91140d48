/* fault.c (POSIX): faults arrive as signals. src/fault.h says what becomes of them.
 *
 * The handlers run on a stack of their own (fault_stack.c), since a task's may be at its end. What goes on afterwards does
 * so by the registers that the kernel loads when the handler returns:
 *   a panic      fault_raise(panic), on the task's stack below the code that faulted
 *   a catch      arch_caught, in the frame that the call's began in
 *   a report     the system's own action is put back, and the instruction faults again: the core file is of the fault
 * Whoever registered a handler before us is asked first where foreign code may have faulted, and where a task has: its
 * handler may be there for just that (guard pages, null checks). If it leaves the process to the system, there is a report
 * before that. A stack overflow of a task is nobody else's, and told first.
 * Signals that somebody sent, and faults on threads or in code that are not ours, go on to them untouched.
 *
 * Ours are taken away only if they are still there. If others lie above them, which may go on to ours, the code of ours
 * stays loaded, and passes on.
 *
 * A C++ exception that finds no handler up to the call's frame is caught by fault_personality.
 * Threads: any. Locks: faults.lock. Order: `before` of a signal is written before its handler is installed.
 * Tests: tests/death/test_fault.c, tests/api/test_fault.c, tests/posix/test_fault_posix.c. */
#define _GNU_SOURCE 1 /* registers, dladdr */
#include "fault.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <ucontext.h>
#include <unwind.h>

#include "callback.h"
#include "os.h"
#include "scheduler.h"

enum { SIGNALS = 4, RED_ZONE_BYTES = 128, NEAR_BYTES = 64 << 10, TRAP_PAGE_FAULT = 14 };
enum { FLAG_DIRECTION = 0x400, FLAG_ALIGNMENT = 0x40000, PAGE_FAULT_WRITE = 2, PAGE_FAULT_CODE = 16 };

static struct {
    pthread_mutex_t lock;
    uint32_t count;
    struct {
        int number;
        bool is_beneath; /* others came above ours, which could not be taken away */
        struct sigaction before;
    } signals[SIGNALS];
} faults = {.lock = PTHREAD_MUTEX_INITIALIZER,
            .signals = {{.number = SIGSEGV}, {.number = SIGBUS}, {.number = SIGFPE}, {.number = SIGILL}}};

void fault_caught_here(void);
_Unwind_Reason_Code fault_personality(int version, _Unwind_Action actions, _Unwind_Exception_Class exception_class,
                                      struct _Unwind_Exception *exception, struct _Unwind_Context *context);
void fault_thrown(struct fault_catch *catch, struct _Unwind_Exception *exception);
void fault_thrown_here(void);

/* ---- What happened ---- */

struct trace {
    struct fault *fault;
    bool is_there; /* the handler's own frames lie before */
};

static _Unwind_Reason_Code visit(struct _Unwind_Context *context, void *arg) {
    struct trace *trace = arg;
    void *pc = (void *)_Unwind_GetIP(context);
    if (pc == trace->fault->pc) trace->is_there = true;
    if (!trace->is_there) return _URC_NO_REASON;
    if (pc == NULL || trace->fault->frame_count == FAULT_FRAMES_MOST) return _URC_END_OF_STACK;
    trace->fault->frames[trace->fault->frame_count++] = pc;
    return _URC_NO_REASON;
}

/* Code that was jumped to by mistake has no unwind data, but it was called: the return address is on the stack. */
static void frames_of(struct fault *fault) {
    struct trace trace = {.fault = fault};
    Dl_info info;
    if (dladdr(fault->pc, &info) != 0) _Unwind_Backtrace(visit, &trace);
    if (fault->frame_count != 0) return;
    fault->frames[fault->frame_count++] = (void *)(uintptr_t)fault->pc;
    if (os_peek(fault->sp, &fault->frames[1], sizeof fault->frames[1])) fault->frame_count++;
}

static const char *what_of(int number, const siginfo_t *info) {
    switch (number) {
    case SIGFPE:
        return info->si_code == FPE_INTDIV ? "integer division by zero, or overflow" : "floating-point exception";
    case SIGILL: return "illegal instruction";
    case SIGBUS: return "bus error";
    default: return "access violation";
    }
}

static bool is_near(const void *address, const void *end) {
    return (const char *)address >= (const char *)end - NEAR_BYTES &&
           (const char *)address < (const char *)end + 2 * os_page_bytes();
}

/* The stack that the code was on has ended. */
static bool is_overflow(const struct fault *fault, enum fault_place place) {
    const struct thread *thread = thread_self();
    const void *end;
    if (fault->how == NULL || place == FAULT_ELSEWHERE) return false;
    end = place == FAULT_IN_TASK ? thread->task->stack_reserve : thread->stack_reserve;
    return is_near(fault->accessed, end) && is_near(fault->sp, end);
}

static void describe(struct fault *fault, int number, const siginfo_t *info, const ucontext_t *context,
                     enum fault_place place) {
    const greg_t *registers = context->uc_mcontext.gregs;
    memset(fault, 0, sizeof *fault);
    fault->what = what_of(number, info);
    fault->os_code = (uint32_t)number;
    fault->pc = (void *)registers[REG_RIP];
    fault->sp = (void *)registers[REG_RSP];
    if ((number == SIGSEGV || number == SIGBUS) && registers[REG_TRAPNO] == TRAP_PAGE_FAULT) {
        fault->accessed = info->si_addr;
        fault->how = registers[REG_ERR] & PAGE_FAULT_CODE    ? " running"
                     : registers[REG_ERR] & PAGE_FAULT_WRITE ? " writing"
                                                             : " reading";
    }
    if (is_overflow(fault, place)) {
        fault->is_overflow = true;
        fault->what = "stack overflow";
    }
    frames_of(fault);
}

/* ---- Going on ---- */

/* As a function is called: `argument` in its register, `sp` aligned. What the faulting code left in the flags and the FPU
 * is put in order; its control words stay. */
static void go_on_at(ucontext_t *context, void (*code)(void), void *argument, uintptr_t sp) {
    greg_t *registers = context->uc_mcontext.gregs;
    registers[REG_RIP] = (greg_t)(uintptr_t)code;
    registers[REG_RDI] = (greg_t)(uintptr_t)argument;
    registers[REG_RSP] = (greg_t)sp;
    registers[REG_EFL] &= ~(greg_t)(FLAG_DIRECTION | FLAG_ALIGNMENT);
    if (context->uc_mcontext.fpregs != NULL) {
        context->uc_mcontext.fpregs->swd = 0;
        context->uc_mcontext.fpregs->ftw = 0; /* the x87 stack is empty */
        context->uc_mcontext.fpregs->mxcsr &= ~0x3fu;
    }
}

static __thread struct fault_catch *caught_outside; /* the innermost, on a thread that runs no task */

/* The catch for what the thread's innermost level of calls raises. */
static struct fault_catch *catch_here(void) {
    const struct thread *thread = thread_self();
    if (thread == NULL || thread->task == NULL) return caught_outside;
    if (call_state(atomic_load_relaxed(&thread->call)) == CALL_OUT) return NULL;
    for (const struct inside *inside = thread->task->inside; inside != NULL; inside = inside->outer) {
        if (inside->catch != NULL) return inside->catch->callback == thread->callback ? inside->catch : NULL;
    }
    return NULL;
}

/* True: the thread goes on elsewhere. */
static bool divert(int number, const siginfo_t *info, ucontext_t *context, enum fault_place place) {
    struct fault_catch *catch = place != FAULT_IN_TASK ? catch_here() : NULL;
    struct fault fault;
    struct panic *panic;
    if (catch != NULL) {
        describe(&catch->fault, number, info, context, place);
        SANITIZE_MEMORY_FRESH(catch->fault.sp, (size_t)((char *)catch->sp - (const char *)catch->fault.sp));
        go_on_at(context, fault_caught_here, catch, (uintptr_t) catch->sp);
        return true;
    }
    if (place != FAULT_IN_TASK || (sched.options.flags & PINTLE_FAULTS_PANIC) == 0) return false;
    describe(&fault, number, info, context, place);
    panic = fault_panic(&fault);
    if (panic == NULL) return false;
    go_on_at(context, (void (*)(void))(uintptr_t)fault_raise, panic,
             (((uintptr_t)fault.sp - RED_ZONE_BYTES) & ~(uintptr_t)15) - 8);
    return true;
}

/* ---- The handlers ---- */

static void tell(int number, const siginfo_t *info, const ucontext_t *context, enum fault_place place) {
    struct fault fault;
    if (place == FAULT_ELSEWHERE) return;
    describe(&fault, number, info, context, place);
    fault_report(&fault);
}

static bool is_overflow_of_task(const siginfo_t *info, const ucontext_t *context, enum fault_place place) {
    struct fault fault = {.accessed = info->si_addr, .sp = (void *)context->uc_mcontext.gregs[REG_RSP], .how = ""};
    return place == FAULT_IN_TASK && is_overflow(&fault, place);
}

static bool is_function(const struct sigaction *action) {
    return (action->sa_flags & SA_SIGINFO) != 0 || (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN);
}

static void pass_on(const struct sigaction *before, int number, siginfo_t *info, ucontext_t *context) {
    if ((before->sa_flags & SA_SIGINFO) != 0) {
        before->sa_sigaction(number, info, context);
    } else {
        before->sa_handler(number);
    }
}

/* The system's own action, when the instruction runs again, or when the signal that was sent comes again. */
static void leave_to_system(int number, const struct sigaction *before, bool was_sent) {
    if (was_sent && before->sa_handler == SIG_IGN) return;
    signal(number, SIG_DFL);
    if (was_sent) raise(number);
}

static void handle(int number, siginfo_t *info, ucontext_t *context, const struct sigaction *before) {
    bool was_sent = info->si_code <= 0;
    enum fault_place place = was_sent ? FAULT_ELSEWHERE : fault_place((void *)context->uc_mcontext.gregs[REG_RSP]);
    bool told = false;
    struct sigaction now;
    if (!was_sent && divert(number, info, context, place)) return;
    if (!is_function(before)) {
        tell(number, info, context, place);
        leave_to_system(number, before, was_sent);
        return;
    }
    if (is_overflow_of_task(info, context, place)) {
        tell(number, info, context, place);
        told = true;
    }
    pass_on(before, number, info, context);
    if (!told && sigaction(number, NULL, &now) == 0 && !is_function(&now)) tell(number, info, context, place);
}

static void on_signal(int number, siginfo_t *info, void *context) {
    int error = errno;
    for (unsigned i = 0; i < SIGNALS; i++) {
        if (faults.signals[i].number == number) handle(number, info, context, &faults.signals[i].before);
    }
    errno = error;
}

/* ---- Installing ---- */

static bool is_ours(const struct sigaction *action) {
    return (action->sa_flags & SA_SIGINFO) != 0 && action->sa_sigaction == on_signal;
}

static void install(unsigned i) {
    struct sigaction now, ours = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    int number = faults.signals[i].number;
    sigaction(number, NULL, &now);
    if (is_ours(&now) || (faults.signals[i].is_beneath && is_function(&now))) return; /* which may pass on to ours */
    ours.sa_mask = now.sa_mask;
    faults.signals[i].before = now;
    faults.signals[i].is_beneath = false;
    sigaction(number, &ours, NULL);
}

/* This code is never unloaded from now on. */
static void stay_loaded(void) {
    Dl_info info;
    if (dladdr((void *)(uintptr_t)on_signal, &info) != 0 && info.dli_fname != NULL)
        (void)dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}

static void remove_ours(unsigned i) {
    struct sigaction now;
    int number = faults.signals[i].number;
    sigaction(number, NULL, &now);
    if (is_ours(&now)) {
        sigaction(number, &faults.signals[i].before, NULL);
        faults.signals[i].is_beneath = false;
    } else if (is_function(&now)) {
        faults.signals[i].is_beneath = true;
        stay_loaded();
    }
}

int faults_begin(void) {
    pthread_mutex_lock(&faults.lock);
    if (faults.count++ == 0) {
        for (unsigned i = 0; i < SIGNALS; i++) install(i);
    }
    pthread_mutex_unlock(&faults.lock);
    return 0;
}

bool faults_change_process(void) { return true; }

void faults_end(void) {
    pthread_mutex_lock(&faults.lock);
    if (--faults.count == 0) {
        for (unsigned i = 0; i < SIGNALS; i++) remove_ours(i);
    }
    pthread_mutex_unlock(&faults.lock);
}

/* ---- Calls whose faults are caught ---- */

void fault_catch_begin(struct fault_catch *catch) {
    struct thread *thread = thread_self();
    bool is_task = thread != NULL && thread->task != NULL;
    catch->callback = is_task ? thread->callback : NULL;
    if (is_task) {
        thread->task->inside->catch = catch;
    } else {
        catch->outer = caught_outside;
        caught_outside = catch;
    }
}

void fault_catch_end(struct fault_catch *catch) {
    struct thread *thread = thread_self();
    if (thread != NULL && thread->task != NULL) {
        thread->task->inside->catch = NULL;
    } else {
        caught_outside = catch->outer;
    }
}

/* ---- C++ exceptions ---- */

typedef void cxx_function(void *exception);

/* Where __cxa_throw was called, and the library that it is of. */
static unsigned throw_find(void *const *frames, unsigned count, Dl_info *out_library) {
    for (unsigned i = 0; i + 1 < count; i++) {
        if (dladdr(frames[i], out_library) == 0 || out_library->dli_sname == NULL) continue;
        if (strcmp(out_library->dli_sname, "__cxa_throw") == 0 || strcmp(out_library->dli_sname, "__cxa_rethrow") == 0)
            return i + 1;
    }
    out_library->dli_fname = NULL;
    return 0;
}

static void describe_throw(struct fault_catch *catch, void **out_library) {
    struct fault *fault = &catch->fault;
    Dl_info library;
    unsigned first;
    memset(fault, 0, sizeof *fault);
    fault->frame_count = os_backtrace(fault->frames, FAULT_FRAMES_MOST);
    first = throw_find(fault->frames, fault->frame_count, &library);
    fault->frame_count -= first;
    memmove(fault->frames, fault->frames + first, fault->frame_count * sizeof fault->frames[0]);
    fault->what = "C++ exception";
    fault->os_code = SIGABRT; /* what it would have ended in */
    fault->sp = catch->sp;
    if (fault->frame_count != 0) {
        fault->frames[0] = (char *)fault->frames[0] - 1; /* the call, which may be a function's last instruction */
        fault->pc = fault->frames[0];
    }
    *out_library = library.dli_fname != NULL ? dlopen(library.dli_fname, RTLD_LAZY | RTLD_NOLOAD) : NULL;
}

/* The language's count of exceptions in flight has to know that this one was caught. */
static bool end_in_language(void *library, struct _Unwind_Exception *exception) {
    cxx_function *begin = (cxx_function *)(uintptr_t)dlsym(library, "__cxa_begin_catch");
    void (*end)(void) = (void (*)(void))(uintptr_t)dlsym(library, "__cxa_end_catch");
    if (begin == NULL || end == NULL) return false;
    begin(exception);
    end();
    return true;
}

/* The exception has found no handler up to the call's frame. All frames are still there. */
_Unwind_Reason_Code fault_personality(int version, _Unwind_Action actions, _Unwind_Exception_Class exception_class,
                                      struct _Unwind_Exception *exception, struct _Unwind_Context *context) {
    struct fault_catch *catch = *(struct fault_catch **)_Unwind_GetCFA(context); /* rsp in that frame */
    (void)version;
    (void)exception_class;
    if ((actions & _UA_FORCE_UNWIND) != 0) return _URC_CONTINUE_UNWIND; /* the thread ends */
    if ((actions & _UA_SEARCH_PHASE) != 0) {
        describe_throw(catch, &catch->library);
        return _URC_HANDLER_FOUND;
    }
    if ((actions & _UA_HANDLER_FRAME) == 0) return _URC_CONTINUE_UNWIND;
    _Unwind_SetGR(context, 0, (_Unwind_Word)(uintptr_t)exception);
    _Unwind_SetIP(context, (_Unwind_Ptr)(uintptr_t)fault_thrown_here);
    return _URC_INSTALL_CONTEXT;
}

void fault_thrown(struct fault_catch *catch, struct _Unwind_Exception *exception) {
    if (catch->library == NULL || !end_in_language(catch->library, exception)) _Unwind_DeleteException(exception);
    if (catch->library != NULL) dlclose(catch->library);
}
