/* arch_local.h (Windows, x86-64): the two things that are inlined into the core. */
#ifndef PINTLE_SRC_ARCH_LOCAL_H
#define PINTLE_SRC_ARCH_LOCAL_H

#include <stdint.h>

/* A task whose own scope is unwound to has its stack pointer so far below the base of its stack. */
enum { ARCH_BASE_BELOW = 8 };
/* So many words of a thunk's caller, if none is a floating-point one, lie where the assembly puts them. */
enum { ARCH_THUNK_WORDS = 64 };

/* Whether a thunk's words lie where its caller put them, above the return address; else they are in the record. */
enum { ARCH_THUNK_ARGS_AT_CALLER = 1 };
/* A callback's frame on the task's stack: so far below its call's, aligned to 16. callback.S knows it too. */
enum { ARCH_CALLBACK_BELOW = 8, ARCH_CALLBACK_BYTES = 304 };

/* Whether guards may be biased (guard.h): os_fence_init says no. */
enum { ARCH_BIASES_GUARDS = 0 };

/* A hint in a spin loop. */
static inline void arch_pause(void) { __builtin_ia32_pause(); }

void *os_self(void);
extern uint32_t pintle_tls_index;

/* os_self() inlined, for code that reads it once, before any switch. The first 64 TLS slots lie in the TEB. */
static inline void *arch_self_before_switch(void) {
    uint64_t index = pintle_tls_index;
    void *self;
    if (__builtin_expect(index >= 64, 0)) return os_self();
    /* volatile: else it may be moved up, before the index is checked. */
    __asm__ volatile("movq %%gs:0x1480(,%1,8), %0" : "=r"(self) : "r"(index));
    return self;
}

/* The same anywhere: nothing of it is kept. */
static inline void *arch_self_now(void) { return arch_self_before_switch(); }

#endif
