/* api_helpers.h: what the tests of the public surface need of the system itself, on both platforms: OS threads, a
 * gate that blocks an OS thread inside a foreign call, bounds of a thread's own stack. Nothing here uses Pintle,
 * so that a fault of the library cannot hide in its own tests.
 * Include it first: it asks glibc for its extensions. */
#ifndef PINTLE_TESTS_API_HELPERS_H
#define PINTLE_TESTS_API_HELPERS_H

#if !defined(_WIN32) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(_WIN32)
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <intrin.h>
#include <windows.h>

#include <tlhelp32.h>
#else
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#endif

#include "pintle.h"
#include "support/pintle_test.h"

#define HELPER __attribute__((unused)) static
#define HELPER_NOINLINE __attribute__((unused, noinline)) static
#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

/* ---- Threads ---- */

/* The OS thread's number. */
HELPER uint64_t helper_thread_id(void) {
#if defined(_WIN32)
    return GetCurrentThreadId();
#else
    return (uint64_t)syscall(SYS_gettid);
#endif
}

/* How many OS threads this process has. */
HELPER unsigned helper_thread_count(void) {
    unsigned count = 0;
#if defined(_WIN32)
    HANDLE snapshot = CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0);
    THREADENTRY32 entry = {.dwSize = sizeof entry};
    DWORD process = GetCurrentProcessId();
    for (BOOL more = Thread32First(snapshot, &entry); more; more = Thread32Next(snapshot, &entry))
        if (entry.th32OwnerProcessID == process) count++;
    CloseHandle(snapshot);
#else
    DIR *threads = opendir("/proc/self/task");
    if (threads == NULL) return 0;
    for (struct dirent *entry = readdir(threads); entry != NULL; entry = readdir(threads))
        if (entry->d_name[0] != '.') count++;
    closedir(threads);
#endif
    return count;
}

/* True as soon as the process has at most `limit` threads; false if that did not come within two seconds. A thread
 * that was joined may still be listed for a moment while the kernel takes it apart, and no event tells its end. */
HELPER bool helper_threads_at_most(unsigned limit) {
    int64_t give_up = pintle_after(PINTLE_S(2));
    while (helper_thread_count() > limit) {
        if (pintle_now() > give_up) return false;
#if defined(_WIN32)
        SwitchToThread();
#else
        sched_yield();
#endif
    }
    return true;
}

typedef struct helper_thread {
    void (*fn)(void *arg);
    void *arg;
#if defined(_WIN32)
    HANDLE handle;
#else
    pthread_t handle;
#endif
} helper_thread;

#if defined(_WIN32)
HELPER DWORD WINAPI helper_thread_entry(void *thread) {
    ((helper_thread *)thread)->fn(((helper_thread *)thread)->arg);
    return 0;
}
HELPER bool helper_thread_start(helper_thread *thread, void (*fn)(void *), void *arg) {
    thread->fn = fn;
    thread->arg = arg;
    thread->handle = CreateThread(NULL, 0, helper_thread_entry, thread, 0, NULL);
    return thread->handle != NULL;
}
HELPER void helper_thread_join(helper_thread *thread) {
    WaitForSingleObject(thread->handle, INFINITE);
    CloseHandle(thread->handle);
}
#else
HELPER void *helper_thread_entry(void *thread) {
    ((helper_thread *)thread)->fn(((helper_thread *)thread)->arg);
    return NULL;
}
HELPER bool helper_thread_start(helper_thread *thread, void (*fn)(void *), void *arg) {
    thread->fn = fn;
    thread->arg = arg;
    return pthread_create(&thread->handle, NULL, helper_thread_entry, thread) == 0;
}
HELPER void helper_thread_join(helper_thread *thread) { pthread_join(thread->handle, NULL); }
#endif

/* The bounds of the stack that the calling thread has from the system; not to be asked on a task's stack. */
typedef struct helper_stack {
    uintptr_t low, high;
} helper_stack;

HELPER helper_stack helper_own_stack(void) {
    helper_stack stack = {0};
#if defined(_WIN32)
    stack.low = (uintptr_t)__readgsqword(0x1478);
    stack.high = (uintptr_t)__readgsqword(0x08);
#else
    pthread_attr_t attributes;
    void *low = NULL;
    size_t bytes = 0;
    if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
        pthread_attr_getstack(&attributes, &low, &bytes);
        pthread_attr_destroy(&attributes);
    }
    stack.low = (uintptr_t)low;
    stack.high = (uintptr_t)low + bytes;
#endif
    return stack;
}

HELPER bool helper_stack_holds(helper_stack stack, const volatile void *address) {
    return (uintptr_t)address >= stack.low && (uintptr_t)address < stack.high;
}

/* Keeps the CPU busy, calling nobody but the clock. */
HELPER void helper_compute(int64_t duration_ns) {
    int64_t end = pintle_now() + duration_ns;
    while (pintle_now() < end)
        for (volatile int i = 0; i < 20; i++) {}
}

/* ---- A gate: passes nobody until it is opened, everybody afterwards. Waiting blocks the OS thread in the system,
 * on Linux in read(), on Windows in WaitForSingleObject(). ---- */

typedef struct helper_gate {
#if defined(_WIN32)
    HANDLE event;
#else
    int ends[2];
#endif
} helper_gate;

#if defined(_WIN32)
HELPER void helper_gate_init(helper_gate *gate) { gate->event = CreateEventW(NULL, TRUE, FALSE, NULL); }
HELPER void helper_gate_open(helper_gate *gate) { SetEvent(gate->event); }
HELPER void helper_gate_wait(helper_gate *gate) { WaitForSingleObject(gate->event, INFINITE); }
HELPER void helper_gate_destroy(helper_gate *gate) { CloseHandle(gate->event); }
#else
HELPER void helper_gate_init(helper_gate *gate) {
    if (pipe(gate->ends) != 0) abort();
}
HELPER void helper_gate_open(helper_gate *gate) { close(gate->ends[1]); }
HELPER void helper_gate_wait(helper_gate *gate) {
    char byte;
    while (read(gate->ends[0], &byte, 1) < 0 && errno == EINTR) {}
}
HELPER void helper_gate_destroy(helper_gate *gate) { close(gate->ends[0]); }
#endif

/* ---- A counting semaphore of the system ---- */

typedef struct helper_sem {
#if defined(_WIN32)
    HANDLE handle;
#else
    sem_t sem;
#endif
} helper_sem;

#if defined(_WIN32)
HELPER void helper_sem_init(helper_sem *sem) { sem->handle = CreateSemaphoreW(NULL, 0, 1000000, NULL); }
HELPER void helper_sem_post(helper_sem *sem) { ReleaseSemaphore(sem->handle, 1, NULL); }
HELPER void helper_sem_wait(helper_sem *sem) { WaitForSingleObject(sem->handle, INFINITE); }
HELPER void helper_sem_destroy(helper_sem *sem) { CloseHandle(sem->handle); }
#else
HELPER void helper_sem_init(helper_sem *sem) { sem_init(&sem->sem, 0, 0); }
HELPER void helper_sem_post(helper_sem *sem) { sem_post(&sem->sem); }
HELPER void helper_sem_wait(helper_sem *sem) {
    while (sem_wait(&sem->sem) != 0) {}
}
HELPER void helper_sem_destroy(helper_sem *sem) { sem_destroy(&sem->sem); }
#endif

/* ---- errno and the last error, read and written where no compiler can keep their address ---- */

HELPER_NOINLINE int helper_errno(void) {
    __asm__ volatile("" ::: "memory");
    return errno;
}
HELPER_NOINLINE void helper_set_errno(int value) {
    errno = value;
    __asm__ volatile("" ::: "memory");
}
/* Where the system has no last error these two stand for errno, shifted. */
HELPER_NOINLINE uint32_t helper_last_error(void) {
#if defined(_WIN32)
    return GetLastError();
#else
    return (uint32_t)helper_errno() + 1;
#endif
}
HELPER_NOINLINE void helper_set_last_error(uint32_t value) {
#if defined(_WIN32)
    SetLastError(value);
#else
    helper_set_errno((int)value - 1);
#endif
}

/* ---- A thread-local mark ---- */

__attribute__((unused)) static _Thread_local int helper_mark_value;
HELPER_NOINLINE int helper_mark(void) {
    __asm__ volatile("" ::: "memory");
    return helper_mark_value;
}
HELPER_NOINLINE void helper_set_mark(int value) {
    helper_mark_value = value;
    __asm__ volatile("" ::: "memory");
}

/* ---- The environment ---- */

HELPER void helper_set_environment(const char *name, const char *value) {
#if defined(_WIN32)
    SetEnvironmentVariableA(name, value);
    char assignment[256];
    snprintf(assignment, sizeof assignment, "%s=%s", name, value == NULL ? "" : value);
    _putenv(assignment);
#else
    if (value == NULL)
        unsetenv(name);
    else
        setenv(name, value, 1);
#endif
}

/* ---- Numbers that a seed decides (xorshift64*) ---- */

typedef struct helper_random {
    uint64_t state;
} helper_random;

HELPER helper_random helper_random_from(uint64_t seed) {
    helper_random random = {seed * 0x9E3779B97F4A7C15u + 0x632BE59BD9B4E019u};
    if (random.state == 0) random.state = 1;
    return random;
}
HELPER uint32_t helper_random_below(helper_random *random, uint32_t limit) {
    random->state ^= random->state >> 12;
    random->state ^= random->state << 25;
    random->state ^= random->state >> 27;
    return (uint32_t)((random->state * 0x2545F4914F6CDD1Du) >> 32) % limit;
}

/* ---- Running ---- */

/* Options with so many processors and the defaults otherwise. */
HELPER pintle_options helper_processors(unsigned processors) {
    pintle_options options;
    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    options.processors = processors;
    return options;
}

/* Runs main_task with so many processors. */
HELPER int helper_run(pintle_main_fn *main_task, void *arg, unsigned processors) {
    pintle_options options = helper_processors(processors);
    return pintle_run(main_task, arg, &options);
}

/* With one processor, and none ever lent: then tasks run strictly one after the other, and only a time slice's end helps
 * against one that does not park. */
HELPER int helper_run_strict(pintle_main_fn *main_task, void *arg) {
    pintle_options options = helper_processors(1);
    options.max_lent = PINTLE_LENT_NONE;
    return pintle_run(main_task, arg, &options);
}

/* Spawns count tasks that all get arg; the number of those that could not be spawned. */
HELPER unsigned helper_spawn_all(pintle_task **tasks, unsigned count, pintle_fn *fn, void *arg) {
    unsigned failed = 0;
    for (unsigned i = 0; i < count; i++)
        if (pintle_spawn(&tasks[i], fn, arg) != 0) {
            tasks[i] = NULL;
            failed++;
        }
    return failed;
}

/* Joins them; the number of joins that did not give 0. */
HELPER unsigned helper_join_all(pintle_task **tasks, unsigned count) {
    unsigned failed = 0;
    for (unsigned i = 0; i < count; i++)
        if (tasks[i] == NULL || pintle_join(tasks[i], PINTLE_FOREVER) != 0) failed++;
    return failed;
}

HELPER int helper_return_at_once(void *arg) {
    (void)arg;
    return 0;
}

#endif
