/* fibers.c: foreign code that switches to a stack of its own, and calls back from there and from the thread's own, by turns. It
 * is never instrumented (tests/CMakeLists.txt): sanitizers are not told of that stack. It knows nothing of Pintle. */
#include <string.h>

#if defined(_WIN32)
#include <windows.h>
#define EXPORT __declspec(dllexport)
#else
#include <pthread.h>
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

static void *crossed;
static void make_crossed(machine *m, void (*fn)(void)) {
    (void)m;
    home = ConvertThreadToFiber(NULL);
    crossed = CreateFiber(STACK_BYTES, (LPFIBER_START_ROUTINE)(void (*)(void))fn, NULL);
}
static void go_to_crossed(void) { SwitchToFiber(crossed); }
static void go_home(void) { SwitchToFiber(home); }
static DWORD WINAPI other_thread(void *arg) {
    (void)arg;
    home = ConvertThreadToFiber(NULL);
    go_to_crossed();
    return 0;
}
static void on_other_thread(void) { WaitForSingleObject(CreateThread(NULL, 0, other_thread, NULL, 0, NULL), INFINITE); }
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

static ucontext_t crossed;
static void make_crossed(machine *m, void (*fn)(void)) {
    static char stack[STACK_BYTES];
    (void)m;
    getcontext(&crossed);
    crossed.uc_stack.ss_sp = stack;
    crossed.uc_stack.ss_size = sizeof stack;
    crossed.uc_link = NULL;
    makecontext(&crossed, fn, 0);
}
static void go_to_crossed(void) { swapcontext(&home, &crossed); }
static void go_home(void) { swapcontext(&crossed, &home); }
static void *other_thread(void *arg) {
    go_to_crossed();
    return arg;
}
static void on_other_thread(void) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, other_thread, NULL) == 0) pthread_join(thread, NULL);
}
#endif

/* ---- Callbacks that do not end where they began ----
 * The function is called on another stack. When it comes by fibers_swap there, the thread's own stack goes on: it calls
 * the function again, and when that one comes by, too, the first goes on and ends before the second; or a new thread takes
 * the first one's stack over. */
static machine first;
static int is_crossed;

static void crossed_main(void) {
    first.function(first.arg);
    for (;;) go_home();
}
EXPORT unsigned fibers_swap(void) {
    is_crossed = !is_crossed;
    if (is_crossed) {
        go_to_crossed();
    } else {
        go_home();
    }
    return 0;
}
EXPORT unsigned fibers_cross(unsigned threads, int (*function)(void *), void *arg) {
    first = (machine){function, arg, 0};
    make_crossed(&first, crossed_main);
    fibers_swap();
    if (threads > 1) {
        on_other_thread();
    } else {
        function(arg);
    }
    return 0;
}
