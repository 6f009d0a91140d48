/* words.c (Windows): calls by words, and the cold ways of the wrappers in x64/call.S.
 * Threads: any. Tests: tests/win/test_syscall.c. */
#include "arch.h"
#include "call.h"
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
    struct words words = {fn, args, out, nargs};
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
