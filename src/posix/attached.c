/* attached.c (POSIX): the record that a thread of others keeps between its callbacks: a key, whose destructor tells of the
 * thread's end.
 * Threads: any. Locks: none. Order: the key's. Invariants: the key is taken from init to shutdown.
 * Tests: tests/api/test_attach.c. */
#include <errno.h>
#include <pthread.h>

#include "os.h"

static pthread_key_t key;
static bool has_key;

int os_attached_init(void (*gone)(void *record)) {
    int error = pthread_key_create(&key, gone);
    has_key = error == 0;
    return error;
}

void os_attached_shutdown(void) {
    if (has_key) pthread_key_delete(key);
    has_key = false;
}

void *os_attached(void) { return pthread_getspecific(key); }

int os_attached_set(void *record, os_thread *out_thread) {
    out_thread->handle = 0;
    return pthread_setspecific(key, record);
}

void os_attached_forget(void) { pthread_setspecific(key, NULL); }

bool os_attached_has_ended(const os_thread *thread) { return (void)thread, false; }

void os_attached_close(os_thread *thread) { (void)thread; }

bool os_thread_stack_again(os_stack_bounds *inout_bounds) { return (void)inout_bounds, false; }
