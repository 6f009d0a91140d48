/* thread.c (POSIX): OS threads.
 *
 * Threads: any. Locks: none. Order: what the starter wrote before os_thread_start is visible to the thread, and what
 * the thread wrote to its joiner (pthread_create, pthread_join). Invariants: a thread started here has a base frame, in
 * thread_base, for as long as it runs. Tests: tests/unit/test_os.c. */
#define _GNU_SOURCE 1 /* gettid, pthread_getattr_np */
#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "fail.h"
#include "memory.h"
#include "os.h"

typedef struct thread_start {
    os_thread_fn *fn;
    void *arg;
} thread_start;

/* Where os_thread_exit goes on: the base frame's registers, as __builtin_setjmp leaves them. NULL in threads that
 * were not started here. */
static __thread void **thread_base;

/* Not inlined, and without locals that live across the jump: __builtin_setjmp asks for both. */
__attribute__((noinline)) static void thread_run(os_thread_fn *fn, void *arg) {
    void *base[5];
    if (__builtin_setjmp(base) != 0) return;
    thread_base = base;
    fn(arg);
}

static void *thread_main(void *arg) {
    thread_start start = *(thread_start *)arg;
    memory_free(arg);
    thread_run(start.fn, start.arg);
    return NULL;
}

int os_thread_start(os_thread *out_thread, os_thread_fn *fn, void *arg) {
    thread_start *start = memory_alloc(sizeof *start);
    if (start == NULL) return ENOMEM;
    *start = (thread_start){.fn = fn, .arg = arg};
    pthread_t thread;
    int error = fail_now(FAIL_THREAD) ? EAGAIN : pthread_create(&thread, NULL, thread_main, start);
    if (error != 0) {
        memory_free(start);
        return error;
    }
    out_thread->handle = (uintptr_t)thread;
    return 0;
}

void os_thread_join(os_thread *thread) {
    pthread_join((pthread_t)thread->handle, NULL);
    thread->handle = 0;
}

void os_thread_detach(os_thread *thread) {
    pthread_detach((pthread_t)thread->handle);
    thread->handle = 0;
}

uint64_t os_thread_id(void) { return (uint64_t)gettid(); }

/* pthread_exit runs the cleanups and C++ destructors of all frames on the current stack, and loads libgcc for it.
 * Going back to the base frame and returning ends the thread just as well, with its thread-local destructors, from
 * any stack. A thread that was not started here has no base frame: pthread_exit then. */
void os_thread_exit(void) {
    if (thread_base == NULL) pthread_exit(NULL);
    __builtin_longjmp(thread_base, 1);
}

void os_thread_stack(os_stack_bounds *out_bounds) {
    *out_bounds = (os_stack_bounds){.guarantee_bytes = 0};
    pthread_attr_t attributes;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0) return;
    void *lowest;
    size_t bytes;
    if (pthread_attr_getstack(&attributes, &lowest, &bytes) == 0)
        *out_bounds = (os_stack_bounds){.base = (char *)lowest + bytes, .limit = lowest, .reserve = lowest};
    pthread_attr_destroy(&attributes);
}

void os_thread_error_slots(int **out_errno, uint32_t **out_last_error) {
    *out_errno = &errno;
    *out_last_error = NULL;
}
