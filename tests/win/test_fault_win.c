/* test_fault_win.c: exceptions that are no faults of the processor: raised, for good or not, C++'s; what a DLL wants to run on
 * the way out; a host's filter, and vectored handlers. */
#include "api/fault_helpers.h"

enum { CODE_OWN = 0x60001234 };
static int exceptions_main(void *arg) {
    faulty f;
    pintle_proc *raise, *raise_for_good, *handles_raised, *with_cleanup, *cleanups;
    (void)arg;
    if (!faulty_open(&f, PINTLE_DLL_FAULTS_PANIC)) return 1;
    EXPECT(pintle_dll_find(f.dll, "faults_raise", &raise) == 0);
    EXPECT(pintle_dll_find(f.dll, "faults_raise_for_good", &raise_for_good) == 0);
    EXPECT(pintle_dll_find(f.dll, "faults_handles_raised", &handles_raised) == 0);
    EXPECT(pintle_dll_find(f.dll, "faults_with_cleanup", &with_cleanup) == 0);
    EXPECT(pintle_dll_find(f.dll, "faults_cleanups", &cleanups) == 0);
    for (unsigned i = 0; i < 20; i++) {
        EXPECT(is_fault(try_call(raise, CODE_OWN, 0), CODE_OWN, "exception", "RaiseException"));
        EXPECT(is_fault(try_call(raise_for_good, CODE_OWN, 0), CODE_OWN, "exception", "RaiseException"));
        EXPECT(is_fault(try_call(raise, 0xE06D7363, 0), (int)0xE06D7363, "C++ exception", "RaiseException"));
        EXPECT(pintle_proc_call(handles_raised, 1, &(uintptr_t){CODE_OWN}).r1 == 77);
        EXPECT(try_call(with_cleanup, 0, 0) == PINTLE_EFAULT); /* its termination handler has run */
        EXPECT(pintle_proc_call(cleanups, 0, NULL).r1 == i + 1);
        still_works(&f);
    }
    faulty_close(&f);
    return 0;
}
CASE(exceptions_that_a_dll_raises_are_efault_and_its_cleanup_runs) { run_tasks(exceptions_main, 2); }

/* ---- A host's own handlers, registered before us or after ---- */

static _Atomic unsigned host_seen;
static LONG CALLBACK host_handler(EXCEPTION_POINTERS *pointers) {
    if (pointers->ExceptionRecord->ExceptionCode != CODE_OWN) return EXCEPTION_CONTINUE_SEARCH;
    atomic_fetch_add(&host_seen, 1);
    return EXCEPTION_CONTINUE_EXECUTION;
}
static void raises_own(void *arg) {
    (void)arg;
    RaiseException(CODE_OWN, 0, 0, NULL);
}
static int raises_in_call(void *arg) {
    raises_own(arg);
    return 5;
}
static void raises_everywhere(void *arg) {
    raises_own(arg); /* in the task */
    EXPECT(pintle_call(raises_in_call, arg) == 5);
}
static void host_round(void) {
    helper_thread thread;
    atomic_store(&host_seen, 0);
    ck_assert_int_eq(pintle_enter(raises_everywhere, NULL), 0);
    raises_own(NULL);
    ck_assert(helper_thread_start(&thread, raises_own, NULL));
    helper_thread_join(&thread);
    ck_assert_uint_eq(atomic_load(&host_seen), 4);
}
static void host_in_order(bool first, bool before) {
    pintle_options options = faults_panic_options(1);
    void *handler = NULL;
    if (before) handler = AddVectoredExceptionHandler(first, host_handler);
    ck_assert_int_eq(pintle_start(&options), 0);
    if (!before) handler = AddVectoredExceptionHandler(first, host_handler);
    host_round();
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    atomic_store(&host_seen, 0);
    raises_own(NULL);
    ck_assert_uint_eq(atomic_load(&host_seen), 1);
    RemoveVectoredExceptionHandler(handler);
    assert_nothing_wrong();
}
CASE(hosts_vectored_handlers_come_first_in_both_orders) {
    for (int i = 0; i < 4; i++) host_in_order((i & 1) != 0, (i & 2) != 0);
}

/* A handler in a frame of the host's, on its own thread, while we run. */
static void handles_on_thread(void *arg) {
    faulty *f = arg;
    EXPECT(((uintptr_t(*)(void))(uintptr_t)pintle_proc_code(f->handles))() == 77);
}
CASE(hosts_frame_handlers_work_on_its_threads_while_we_run) {
    faulty f;
    helper_thread thread;
    pintle_options options = faults_panic_options(1);
    ck_assert_int_eq(pintle_start(&options), 0);
    ck_assert(faulty_open(&f, 0));
    handles_on_thread(&f);
    ck_assert(helper_thread_start(&thread, handles_on_thread, &f));
    helper_thread_join(&thread);
    ck_assert_int_eq(pintle_enter(handles_on_thread, &f), 0); /* in a task, directly */
    faulty_close(&f);
    ck_assert_int_eq(pintle_stop(PINTLE_FOREVER), 0);
    assert_nothing_wrong();
}

/* ---- Children ---- */

static LONG WINAPI host_filter(EXCEPTION_POINTERS *pointers) {
    printf("filter 0x%08lx\n", pointers->ExceptionRecord->ExceptionCode);
    fflush(stdout);
    return EXCEPTION_EXECUTE_HANDLER;
}
static int write_in_call(void *arg) {
    writes(arg);
    return 0;
}
static int faulting_main(void *arg) {
    if (arg == NULL) writes(NULL);
    pintle_call(write_in_call, NULL);
    printf("survived\n");
    return 0;
}
static void filtered(void *arg) {
    SetUnhandledExceptionFilter(host_filter);
    exit(helper_run(faulting_main, arg, 1));
}
CHILD(filter_task) { filtered(NULL); }
CHILD(filter_call) { filtered(stdout); }
static void assert_filtered(const char *child) {
    static char text[65536];
    int status = child_run(child, text, sizeof text);
    const char *told = strstr(text, "pintle: fault: access violation writing 0x0");
    ck_assert_msg((status & 0xFF) == 5, "ended with %d:\n%s", status, text);
    ck_assert_msg(told != NULL && strstr(told, "filter 0xc0000005") != NULL, "in:\n%s", text);
    ck_assert_ptr_null(strstr(text, "survived"));
}
CASE(hosts_filter_is_asked_before_the_end) {
    assert_filtered("filter_task");
    assert_filtered("filter_call");
}

/* What a DLL raises and nobody handles. */
static void raises_in_dll(void *arg) {
    pintle_dll *dll;
    pintle_proc *raise;
    uintptr_t code = CODE_OWN;
    (void)arg;
    if (pintle_dll_open(&dll, test_dll_path("faults"), 0) != 0 || pintle_dll_find(dll, "faults_raise", &raise) != 0)
        exit(92);
    pintle_proc_call(raise, 1, &code);
    printf("survived\n");
}
static int raising_main(void *arg) {
    pintle_task *task;
    pintle_task_options options = {.size = sizeof options, .name = "clumsy"};
    (void)arg;
    if (pintle_spawn_with(&task, raises_in_dll, NULL, &options) != 0) return 93;
    return pintle_join(task, PINTLE_FOREVER);
}
CHILD(raises_in_dll) { exit(helper_run(raising_main, NULL, 1)); }
CASE(exception_that_a_dll_does_not_handle_is_told_with_code_symbol_and_task) {
    static const char *const words[] = {"pintle: fault: ",
                                        "exception",
                                        "RaiseException",
                                        "0x60001234",
                                        "'clumsy'",
                                        "faults.dll!faults_raise+",
                                        "inside a call of faults.dll!faults_raise+0x0"};
    static char text[65536];
    int status = child_run("raises_in_dll", text, sizeof text);
    const char *at = text;
    ck_assert_msg((status & 0xFF) == (CODE_OWN & 0xFF), "ended with %d:\n%s", status, text);
    for (size_t i = 0; i < ELEMENTS(words); i++) {
        const char *found = strstr(at, words[i]);
        ck_assert_msg(found != NULL, "no \"%s\" (then) in:\n%s", words[i], text);
        at = found;
    }
    ck_assert_ptr_null(strstr(text, "survived"));
}

/* A filter that repairs, and lets the code go on. */
static LONG WINAPI repairing_filter(EXCEPTION_POINTERS *pointers) {
    static int somewhere;
    pointers->ContextRecord->Rcx = (DWORD64)(uintptr_t)&somewhere;
    printf("repaired\n");
    fflush(stdout);
    return EXCEPTION_CONTINUE_EXECUTION;
}
__attribute__((noinline)) static void writes_by_rcx(void *where) {
    __asm__ volatile("movl $1, (%0)" : : "c"(where) : "memory");
}
static int repaired_main(void *arg) {
    (void)arg;
    for (int i = 0; i < 3; i++) writes_by_rcx(NULL);
    printf("went on\n");
    return 0;
}
CHILD(repairs) {
    SetUnhandledExceptionFilter(repairing_filter);
    exit(helper_run(repaired_main, NULL, 1));
}
CASE(filter_that_repairs_lets_the_task_go_on) {
    static char text[65536];
    ck_assert_int_eq(child_run("repairs", text, sizeof text), 0);
    ck_assert_ptr_nonnull(strstr(text, "went on"));
}

/* A stack overflow on a thread of the host's is the host's. */
static LONG CALLBACK host_overflow(EXCEPTION_POINTERS *pointers) {
    if (pointers->ExceptionRecord->ExceptionCode != (DWORD)EXCEPTION_STACK_OVERFLOW) return EXCEPTION_CONTINUE_SEARCH;
    TerminateProcess(GetCurrentProcess(), 33);
    return EXCEPTION_CONTINUE_SEARCH;
}
__attribute__((noinline)) static unsigned recurses(unsigned depth) {
    volatile unsigned char frame[512];
    frame[0] = (unsigned char)depth;
    return depth == 0 ? 0 : recurses(depth + 1) + frame[0];
}
static DWORD WINAPI overflows_on_thread(void *arg) {
    ULONG bytes = 16384;
    MEMORY_BASIC_INFORMATION info;
    char *low;
    DWORD before;
    (void)arg;
    SetThreadStackGuarantee(&bytes);
    VirtualQuery(&info, &info, sizeof info);
    low = info.AllocationBase;
    VirtualProtect(low + 32768, 4096, PAGE_READWRITE | PAGE_GUARD, &before); /* Wine commits stacks whole */
    return recurses(1);
}
static void overflow_of_host(bool before) {
    if (before) AddVectoredExceptionHandler(0, host_overflow);
    pintle_start(NULL);
    if (!before) AddVectoredExceptionHandler(0, host_overflow);
    WaitForSingleObject(CreateThread(NULL, 1 << 20, overflows_on_thread, NULL, 0, NULL), INFINITE);
    exit(3);
}
CHILD(overflow_of_host_before) { overflow_of_host(true); }
CHILD(overflow_of_host_after) { overflow_of_host(false); }
CASE(stack_overflow_of_a_hosts_thread_is_left_to_the_host) {
    static char text[65536];
    ck_assert_int_eq(child_run("overflow_of_host_before", text, sizeof text), 33);
    ck_assert_ptr_null(strstr(text, "pintle"));
    ck_assert_int_eq(child_run("overflow_of_host_after", text, sizeof text), 33);
    ck_assert_ptr_null(strstr(text, "pintle"));
}
