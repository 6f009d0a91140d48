/* rows_win.c: the pinned wrappers of Windows calls, with functions of noop.dll, which lies beside this program; and what
 * the rows need of Windows. */
#include <windows.h>

#include <psapi.h>

#include "bench.h"
#include "pintle.h"

typedef uintptr_t noop1_fn(uintptr_t);
typedef uintptr_t noop15_fn(uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t,
                            uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t);

static void *find_noop(const char *name) {
    void *module, *code;
    bench_must(pintle_load_library("noop.dll", &module), "pintle_load_library");
    bench_must(pintle_get_proc_address(module, name, &code), "pintle_get_proc_address");
    return code;
}

static void syscall_loop(void *code, unsigned iterations) {
    for (unsigned i = 0; i < iterations; i++) pintle_syscall(code, 1, 1, 0, 0);
}

static void syscall15_loop(void *code, unsigned iterations) {
    for (unsigned i = 0; i < iterations; i++) {
        pintle_syscall15(code, 15, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    }
}

static void plain_loop(void *code, unsigned iterations) {
    noop1_fn *fn = (noop1_fn *)code;
    for (unsigned i = 0; i < iterations; i++) fn(1);
}

static void plain15_loop(void *code, unsigned iterations) {
    noop15_fn *fn = (noop15_fn *)code;
    for (unsigned i = 0; i < iterations; i++) fn(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

static void syscall1(const struct plan *plan, double *out_ns) {
    bench_measure(plan, out_ns, plan->iterations, syscall_loop, find_noop("noop1"));
}

static void syscall15(const struct plan *plan, double *out_ns) {
    bench_measure(plan, out_ns, plan->iterations, syscall15_loop, find_noop("noop15"));
}

static void syscall_plain(const struct plan *plan, double *out_ns) {
    bench_measure(plan, out_ns, plan->iterations, plain_loop, find_noop("noop1"));
}

static void syscall15_plain(const struct plan *plan, double *out_ns) {
    bench_measure(plan, out_ns, plan->iterations, plain15_loop, find_noop("noop15"));
}

void bench_block(unsigned milliseconds) { pintle_syscall((void *)(uintptr_t)Sleep, 1, milliseconds, 0, 0); }

void bench_call_back(void *code) {
    static void *back;
    if (back == NULL) back = find_noop("noop_back");
    pintle_syscall(back, 2, (uintptr_t)code, 0, 0);
}

struct start {
    void (*fn)(void *);
    void *arg;
};

static DWORD WINAPI on_thread(void *arg) {
    struct start *start = arg;
    start->fn(start->arg);
    return 0;
}

static int make_thread(void *arg) {
    HANDLE thread = CreateThread(NULL, 0, on_thread, arg, 0, NULL);
    if (thread == NULL) bench_fail(PINTLE_EOS, "CreateThread");
    WaitForSingleObject(thread, INFINITE);
    return !CloseHandle(thread);
}

void bench_on_new_thread(void (*fn)(void *), void *arg) {
    struct start start = {fn, arg};
    pintle_call_blocking(make_thread, &start);
}

void *bench_thread_start(void (*fn)(void *), void *arg) {
    static struct start start;
    start = (struct start){fn, arg};
    HANDLE thread = CreateThread(NULL, 0, on_thread, &start, 0, NULL);
    if (thread == NULL) bench_fail(PINTLE_EOS, "CreateThread");
    return thread;
}

void bench_thread_join(void *thread) {
    WaitForSingleObject(thread, INFINITE);
    CloseHandle(thread);
}

void bench_pause_thread(unsigned seconds) { Sleep(1000 * seconds); }

double bench_wakeups(void) { bench_fail(PINTLE_ENOTSUP, "wake-ups are counted on Linux only"); }

unsigned long long bench_resident_bytes(void) {
    PROCESS_MEMORY_COUNTERS counters = {.cb = sizeof counters};
    if (!K32GetProcessMemoryInfo(GetCurrentProcess(), &counters, sizeof counters))
        bench_fail(PINTLE_EOS, "K32GetProcessMemoryInfo");
    return counters.WorkingSetSize;
}

const struct bench_row bench_rows_platform[] = {
    {"syscall", "pintle_syscall of a DLL's function of 1 argument that does nothing", syscall1},
    {"syscall15", "pintle_syscall15, 15 arguments", syscall15},
    {"syscall_plain", "the function of 1 argument by an indirect call: the floor", syscall_plain},
    {"syscall15_plain", "the function of 15 arguments by an indirect call: the floor", syscall15_plain},
    {NULL, NULL, NULL},
};
