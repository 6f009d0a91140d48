/* words.c (POSIX): calls by words. The unpinned fast path with the System V convention; err is errno, which is cleared
 * before the call: both on the thread's own stack, where nothing switches between.
 * Threads: any. Tests: tests/api/test_dll.c. */
#include <errno.h>

#include "arch.h"
#include "call.h"
#include "fault.h"
#include "thread.h"

struct words {
    void *fn;
    const uintptr_t *args;
    pintle_result *out;
    unsigned nargs;
    uint32_t float_flags;
    struct fault_catch *catch;
    bool was_caught;
};

/* Who blocks, if it does: not us. */
static void name_function(void *fn) {
    struct thread *thread = thread_self();
    if (thread != NULL) ((struct call_block *)thread->stack_top)->fn = fn;
}

static int invoke(void *arg) {
    const struct words *words = arg;
    name_function(words->fn);
    errno = 0;
    arch_invoke(words->fn, words->nargs, words->args, words->float_flags, words->out);
    words->out->err = (uint32_t)errno;
    return 0;
}

void call_words(void *fn, unsigned nargs, const uintptr_t *args, uint32_t float_flags, pintle_result *out) {
    struct words words = {.fn = fn, .args = args, .out = out, .nargs = nargs, .float_flags = float_flags};
    if (UNLIKELY(call_is_marked(fn))) {
        call_away(fn, invoke, &words);
    } else {
        pintle_call(invoke, &words);
    }
}

static int invoke_caught(void *arg) {
    struct words *words = arg;
    name_function(words->fn);
    fault_catch_begin(words->catch);
    errno = 0;
    words->was_caught = arch_invoke_caught(words->fn, words->nargs, words->args, words->float_flags, words->out,
                                           words->catch);
    fault_catch_end(words->catch);
    if (!words->was_caught) words->out->err = (uint32_t)errno;
    return 0;
}

bool call_words_caught(void *fn, unsigned nargs, const uintptr_t *args, uint32_t float_flags, pintle_result *out,
                       struct fault_catch *catch) {
    struct words words = {fn, args, out, nargs, float_flags, catch, false};
    if (UNLIKELY(call_is_marked(fn))) {
        call_away(fn, invoke_caught, &words);
    } else {
        pintle_call(invoke_caught, &words);
    }
    return words.was_caught;
}
