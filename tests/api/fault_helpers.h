/* fault_helpers.h: the DLL of tests/dll/faults.c, and code that faults. */
#ifndef PINTLE_TESTS_FAULT_HELPERS_H
#define PINTLE_TESTS_FAULT_HELPERS_H

#include "api/dll_helpers.h"
#include "support/resources.h"

#if defined(_WIN32)
enum { CODE_ACCESS = (int)0xC0000005, CODE_DIVIDE = (int)0xC0000094, CODE_ILLEGAL = (int)0xC000001D };
#else
#include <signal.h>
enum { CODE_ACCESS = SIGSEGV, CODE_DIVIDE = SIGFPE, CODE_ILLEGAL = SIGILL };
#endif

/* Under Wine an exception costs some 20 µs, and the sanitizers remember each. */
#if defined(PINTLE_SANITIZE)
enum { FAULT_ROUNDS = 50 };
#elif defined(_WIN32)
enum { FAULT_ROUNDS = 10000 };
#else
enum { FAULT_ROUNDS = 100000 };
#endif

/* The sanitizers would find these first. */
#define FAULTY __attribute__((noinline, unused, no_sanitize("address", "thread", "undefined"))) static

FAULTY void writes(void *where) { *(volatile int *)where = 1; }
FAULTY void reads(void *where) { (void)*(volatile int *)where; }
FAULTY void divides(void *by) {
    volatile int divisor = *(int *)by;
    *(int *)by = 7 / divisor;
}
FAULTY void is_illegal(void *arg) {
    (void)arg;
    __builtin_trap();
}

HELPER pintle_options faults_panic_options(unsigned processors) {
    pintle_options options = helper_processors(processors);
    options.flags = PINTLE_FAULTS_PANIC;
    return options;
}
/* As run_tasks, with PINTLE_FAULTS_PANIC. */
HELPER void run_faulting(pintle_main_fn *main_task, unsigned processors) {
    pintle_options options = faults_panic_options(processors);
    atomic_store(&first_wrong, NULL);
    int status = pintle_run(main_task, NULL, &options);
    assert_nothing_wrong();
    ck_assert_int_eq(status, 0);
}

/* The info tells of that fault, in a function whose name has the word. */
HELPER bool tells_of(const pintle_panic_info *info, int code, const char *what, const char *function) {
    if (info->os_code == (uint32_t)code && strstr(info->text, what) != NULL && strstr(info->symbol, function) != NULL &&
        strstr(info->text, function) != NULL && info->address != NULL && info->value == NULL)
        return true;
    printf("code 0x%x at %p %s: %s\n", (unsigned)info->os_code, info->address, info->symbol, info->text);
    return false;
}

HELPER uint32_t calls_in_flight(void) {
    pintle_stats stats;
    pintle_stats_get(&stats);
    return stats.calls_in_flight;
}

typedef struct faulty {
    pintle_dll *dll;
    pintle_proc *write, *divide, *illegal, *recurse, *after, *apply, *handles, *handles_overflow, *disordered;
} faulty;

HELPER bool faulty_open(faulty *f, unsigned flags) {
    memset(f, 0, sizeof *f);
    EXPECT(pintle_dll_open(&f->dll, test_dll_path("faults"), flags) == 0);
    if (f->dll == NULL) return false;
    EXPECT(pintle_dll_find(f->dll, "faults_write", &f->write) == 0);
    EXPECT(pintle_dll_find(f->dll, "faults_divide", &f->divide) == 0);
    EXPECT(pintle_dll_find(f->dll, "faults_illegal", &f->illegal) == 0);
    EXPECT(pintle_dll_find(f->dll, "faults_recurse", &f->recurse) == 0);
    EXPECT(pintle_dll_find(f->dll, "faults_after", &f->after) == 0);
    EXPECT(pintle_dll_find(f->dll, "faults_apply", &f->apply) == 0);
    EXPECT(pintle_dll_find(f->dll, "faults_handles", &f->handles) == 0);
    EXPECT(pintle_dll_find(f->dll, "faults_handles_overflow", &f->handles_overflow) == 0);
    EXPECT(pintle_dll_find(f->dll, "faults_disordered", &f->disordered) == 0);
    return f->disordered != NULL;
}
HELPER void faulty_close(faulty *f) { EXPECT(pintle_dll_close(f->dll, PINTLE_NOWAIT) == 0); }

/* A call with up to two words: its code. */
HELPER int try_call(pintle_proc *proc, uintptr_t a, uintptr_t b) {
    uintptr_t words[2] = {a, b};
    return pintle_proc_try_call(proc, 2, words, NULL);
}

/* What try_call gave, and the error that was set, tell of that fault of the DLL. */
HELPER bool is_fault(int code, int os_code, const char *what, const char *function) {
    pintle_error error;
    pintle_error_get(&error);
    if (code == PINTLE_EFAULT && error.code == PINTLE_EFAULT && error.os_code == (uint32_t)os_code &&
        strstr(error.text, what) != NULL && strstr(error.text, function) != NULL &&
        strstr(error.text, "faults.") != NULL)
        return true;
    static _Atomic int printed;
    if (atomic_fetch_add(&printed, 1) > 3) return false;
    printf("%d: %d, 0x%x: %s\n", code, error.code, (unsigned)error.os_code, error.text);
    return false;
}

/* The thread's own stack, the counters and the DLL are as if nothing had happened. */
HELPER void still_works(faulty *f) {
    pintle_result result;
    uintptr_t words[2] = {100, 5};
    EXPECT(pintle_proc_try_call(f->divide, 2, words, &result) == 0 && result.r1 == 20);
    words[0] = 400; /* KB of the thread's own stack */
    EXPECT(pintle_proc_try_call(f->recurse, 1, words, NULL) == 0);
    EXPECT(pintle_call(helper_return_at_once, NULL) == 0);
    EXPECT(calls_in_flight() == 0);
    EXPECT(!pintle_pinned());
    pintle_yield();
}

#endif
