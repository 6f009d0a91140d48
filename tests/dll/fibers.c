/* fibers.c: foreign code that switches to a stack of its own, and calls back from there and from the thread's own, by turns. It
 * is never instrumented (tests/CMakeLists.txt): sanitizers are not told of that stack. It knows nothing of Pintle. */
#include <string.h>

#if defined(_WIN32)
#include <windows.h>
#define EXPORT __declspec(dllexport)
#else
#include <ucontext.h>
#define EXPORT __attribute__((visibility("default")))
#endif

#pragma GCC diagnostic ignored "-Wmissing-prototypes" /* found by name */

enum { STACK_BYTES = 256 << 10 };

typedef struct machine {
    int (*function)(void *);
    void *arg;
    unsigned wrong;
} machine;

static void work(machine *m) {
    char filler[4096]; /* this stack is used below the callback, and whole after it */
    memset(filler, 0x5A, sizeof filler);
    __asm__ volatile("" : : "r"(filler) : "memory");
    if (m->function(m->arg) != 0) m->wrong++;
    for (size_t i = 0; i < sizeof filler; i++) m->wrong += filler[i] != 0x5A;
}

#if defined(_WIN32)
static void *home;
static void WINAPI fiber_main(void *arg) {
    for (;;) {
        work(arg);
        SwitchToFiber(home);
    }
}
/* How many things went wrong. */
EXPORT unsigned fibers_run(unsigned rounds, int (*function)(void *), void *arg) {
    machine m = {function, arg, 0};
    home = ConvertThreadToFiber(NULL);
    void *fiber = CreateFiber(STACK_BYTES, fiber_main, &m);
    if (home == NULL || fiber == NULL) return 1000000;
    for (unsigned i = 0; i < rounds; i++) {
        SwitchToFiber(fiber);
        work(&m);
    }
    DeleteFiber(fiber);
    return m.wrong + !ConvertFiberToThread();
}
#else
static ucontext_t home, other;
static machine *of_other;
static void other_main(void) {
    for (;;) {
        work(of_other);
        swapcontext(&other, &home);
    }
}
/* How many things went wrong. */
EXPORT unsigned fibers_run(unsigned rounds, int (*function)(void *), void *arg) {
    static char stack[STACK_BYTES];
    machine m = {function, arg, 0};
    of_other = &m;
    if (getcontext(&other) != 0) return 1000000;
    other.uc_stack.ss_sp = stack;
    other.uc_stack.ss_size = sizeof stack;
    other.uc_link = NULL;
    makecontext(&other, other_main, 0);
    for (unsigned i = 0; i < rounds; i++) {
        swapcontext(&home, &other);
        work(&m);
    }
    return m.wrong;
}
#endif
