/* deep.h: using a stack to some depth, for tests and the DLLs of tests. */
#ifndef PINTLE_TESTS_DEEP_H
#define PINTLE_TESTS_DEEP_H

/* A fault leaves its frames without a return, and the race detector, which counts every frame, has room for 64k. */
#if defined(__has_attribute)
#if __has_attribute(disable_sanitizer_instrumentation)
#define DEEP_UNSEEN disable_sanitizer_instrumentation
#endif
#endif
#if !defined(DEEP_UNSEEN)
#define DEEP_UNSEEN
#endif

/* Recurses so many times with about 1 KB each; how many frames were found intact. Which bytes of a frame are used is
 * computed: of a frame whose used bytes are known the compiler may keep only these. No red zones: they are far larger. */
__attribute__((noinline, unused, no_sanitize_address, DEEP_UNSEEN)) static unsigned deep_recurse(unsigned kilobytes) {
    volatile unsigned char frame[1024 - 64];
    unsigned low = kilobytes % 8, high = (unsigned)sizeof frame - 1 - low;
    frame[low] = (unsigned char)kilobytes;
    frame[high] = (unsigned char)(kilobytes >> 8);
    unsigned below = kilobytes <= 1 ? 0 : deep_recurse(kilobytes - 1);
    return below + (frame[low] == (unsigned char)kilobytes && frame[high] == (unsigned char)(kilobytes >> 8));
}

#endif
