/* arch_local.h (POSIX, x86-64): the two things that are inlined into the core. */
#ifndef PINTLE_SRC_ARCH_LOCAL_H
#define PINTLE_SRC_ARCH_LOCAL_H

/* A task whose own scope is unwound to has its stack pointer so far below the base of its stack. */
enum { ARCH_BASE_BELOW = 16 };
/* So many words of a thunk's caller, if none is a floating-point one, lie where the assembly puts them. */
enum { ARCH_THUNK_WORDS = 6 };

/* Whether a thunk's words lie where its caller put them, above the return address; else they are in the record. */
enum { ARCH_THUNK_ARGS_AT_CALLER = 0 };
/* A callback's frame on the task's stack: so far below its call's, aligned to 16. */
enum { ARCH_CALLBACK_BELOW = 0, ARCH_CALLBACK_BYTES = 64 };

/* Whether guards may be biased (guard.h): where never, nobody looks. */
enum { ARCH_BIASES_GUARDS = 1 };

/* A hint in a spin loop. */
static inline void arch_pause(void) { __builtin_ia32_pause(); }

/* os_self() inlined, for code that reads it once, before any switch: the compiler may keep the address. */
extern __thread void *pintle_tls_self __attribute__((tls_model("initial-exec"), visibility("hidden")));
static inline void *arch_self_before_switch(void) { return pintle_tls_self; }

/* The same anywhere: one instruction or two that the compiler cannot take apart, or keep. */
static inline void *arch_self_now(void) {
    void *self;
    __asm__ volatile("movq pintle_tls_self@gottpoff(%%rip), %0\n\tmovq %%fs:(%0), %0" : "=r"(self));
    return self;
}

#endif
