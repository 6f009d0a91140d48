/* call.c (sanitizer builds): pintle_call in C, instrumented, for the assembly's: the same steps (src/call.c), so that
 * the sanitizers see ENTER's release and LEAVE's swap.
 * Threads: the thread itself. Order: as src/call.c says. */
#include "call.h"

#include "scheduler.h"

int pintle_call(int (*fn)(void *), void *arg) {
    struct thread *thread = arch_self_before_switch();
    uint64_t word;
    int value;
    if (thread == NULL || fn == NULL) return call_direct(fn, arg);
    word = atomic_load_relaxed(&thread->call);
    if ((word & CALL_FLAGS_MASK) != CALL_OUT) return call_direct(fn, arg);
    if (call_is_marked((const void *)(uintptr_t)fn)) return call_marked(fn, arg);
    atomic_store_release(&thread->call, word + CALL_IN); /* ENTER 2; pairs with the monitor's acquire */
    value = arch_call_on_thread(fn, arg, thread);
    return (int)call_leave_cold(thread, (uintptr_t)value);
}
