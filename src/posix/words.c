/* words.c (POSIX): calls by words. The unpinned fast path with the System V convention; err is errno, which is cleared
 * before the call: both on the thread's own stack, where nothing switches between.
 * Threads: any. Tests: tests/api/test_dll.c. */
#include <errno.h>

#include "arch.h"
#include "call.h"
#include "thread.h"

struct words {
    void *fn;
    const uintptr_t *args;
    pintle_result *out;
    unsigned nargs;
    uint32_t float_flags;
};

static int invoke(void *arg) {
    const struct words *words = arg;
    struct thread *thread = thread_self();
    if (thread != NULL) ((struct call_block *)thread->stack_top)->fn = words->fn; /* who blocks, if it does: not us */
    errno = 0;
    arch_invoke(words->fn, words->nargs, words->args, words->float_flags, words->out);
    words->out->err = (uint32_t)errno;
    return 0;
}

void call_words(void *fn, unsigned nargs, const uintptr_t *args, uint32_t float_flags, pintle_result *out) {
    struct words words = {fn, args, out, nargs, float_flags};
    if (UNLIKELY(call_is_marked(fn))) {
        call_away(fn, invoke, &words);
    } else {
        pintle_call(invoke, &words);
    }
}
