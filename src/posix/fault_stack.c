/* fault_stack.c (POSIX): the stack on which a thread's signal handlers run.
 * Threads: the thread's own. Locks: none. Order: none. Invariants: a thread gets back what it had.
 * Tests: tests/posix/test_fault_posix.c. */
#define _GNU_SOURCE 1 /* sigaltstack, _SC_MINSIGSTKSZ */
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fail.h"
#include "os.h"

/* A report reads symbol tables and unwinds; what the kernel saves of the registers comes on top. */
enum { REPORT_STACK_BYTES = 64 << 10 };

static size_t stack_bytes(void) {
    long least = sysconf(_SC_MINSIGSTKSZ);
    return REPORT_STACK_BYTES + (least > 0 ? ((size_t)least + 4095) / 4096 * 4096 : 0);
}

void os_fault_stack_begin(os_fault_stack *stack) {
    stack_t ours = {.ss_size = stack_bytes()}, before;
    bool has_one;
    if (stack->memory == NULL) {
        void *memory = fail_now(FAIL_RESERVE) ? MAP_FAILED
                                              : mmap(NULL, ours.ss_size, PROT_READ | PROT_WRITE,
                                                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED) return; /* then an overflow ends the process without a word */
        stack->memory = memory;
    }
    ours.ss_sp = stack->memory;
    if (sigaltstack(&ours, &before) != 0) return; /* on such a stack right now */
    has_one = (before.ss_flags & SS_DISABLE) == 0;
    if (has_one && before.ss_size >= ours.ss_size) {
        sigaltstack(&before, NULL);
        return;
    }
    stack->is_set = true;
    stack->before = has_one ? before.ss_sp : NULL;
    stack->before_bytes = before.ss_size;
}

void os_fault_stack_end(os_fault_stack *stack) {
    stack_t before = {
        .ss_sp = stack->before, .ss_size = stack->before_bytes, .ss_flags = stack->before == NULL ? SS_DISABLE : 0};
    if (stack->is_set) sigaltstack(&before, NULL);
    stack->is_set = false;
}

void os_fault_stack_free(os_fault_stack *stack) {
    if (stack->memory != NULL) munmap(stack->memory, stack_bytes());
    stack->memory = NULL;
}
