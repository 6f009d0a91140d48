/* words.c (Windows): calls by words, and the cold ways of the wrappers in x64/call.S.
 * Threads: any. Tests: tests/win/test_syscall.c. */
#include <malloc.h> /* _resetstkoflw */

#include "arch.h"
#include "call.h"
#include "fault.h"
#include "panic.h"
#include "pintle/syscall.h"
#include "thread.h"

enum { MOST_WORDS = 255 };

/* Reached by assembly. */
pintle_result *syscall_cold(pintle_result *out, void *fn, unsigned nargs, const uintptr_t *args);
NORETURN void syscall_refused(pintle_result *out, void *fn, unsigned nargs, unsigned most);

struct words {
    void *fn;
    const uintptr_t *args;
    pintle_result *out;
    unsigned nargs;
    struct fault_catch *catch;
    bool was_caught;
};

static int invoke(void *arg) {
    const struct words *words = arg;
    struct thread *thread = thread_self();
    if (thread != NULL) thread->pins_auto++;
    arch_invoke(words->fn, words->nargs, words->args, 0, words->out);
    if (thread != NULL) thread->pins_auto--;
    return 0;
}

/* In a call or on a foreign thread: just calls. In a task: the function is known to block. */
pintle_result *syscall_cold(pintle_result *out, void *fn, unsigned nargs, const uintptr_t *args) {
    if (fn == NULL) panic("pintle_syscalln was given a NULL function");
    if (nargs > MOST_WORDS) panic("pintle_syscalln was given %u words: %d are the most", nargs, MOST_WORDS);
    struct words words = {.fn = fn, .args = args, .out = out, .nargs = nargs};
    call_away(fn, invoke, &words);
    return out;
}

/* What a wrapper for `most` words refuses: no function, or too many words. */
void syscall_refused(pintle_result *out, void *fn, unsigned nargs, unsigned most) {
    char name[32] = "pintle_syscall";
    (void)out;
    if (most != 3) snprintf(name, sizeof name, "pintle_syscall%u", most);
    if (fn == NULL) panic("%s was given a NULL function", name);
    panic("%s was given %u words: it carries %u at most", name, nargs, most);
}

void call_words(void *fn, unsigned nargs, const uintptr_t *args, uint32_t float_flags, pintle_result *out) {
    (void)float_flags; /* the first four words go to both kinds of registers */
    *out = pintle_syscalln(fn, nargs, args);
}

/* The pins of calls that the function had made itself go with it. A stack that was at its end gets its guard back. */
static int invoke_caught(void *arg) {
    struct words *words = arg;
    struct thread *thread = thread_self();
    uint32_t pins = thread != NULL ? thread->pins_auto : 0;
    if (thread != NULL) {
        ((struct call_block *)thread->stack_top)->fn = words->fn; /* who blocks, if it does: not us */
        thread->pins_auto++;
    }
    words->was_caught = arch_invoke_caught(words->fn, words->nargs, words->args, 0, words->out, words->catch);
    if (thread != NULL) thread->pins_auto = pins;
    if (UNLIKELY(words->was_caught) && words->catch->fault.is_overflow) _resetstkoflw();
    return 0;
}

bool call_words_caught(void *fn, unsigned nargs, const uintptr_t *args, uint32_t float_flags, pintle_result *out,
                       struct fault_catch *catch) {
    struct words words = {.fn = fn, .args = args, .out = out, .nargs = nargs, .catch = catch};
    (void)float_flags;
    if (UNLIKELY(call_is_marked(fn))) {
        call_away(fn, invoke_caught, &words);
    } else {
        pintle_call(invoke_caught, &words);
    }
    return words.was_caught;
}
