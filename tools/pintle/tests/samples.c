/* samples.c: a DLL for the tests of the command: functions whose arguments and results can be told apart. */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#if defined(_WIN32)
#include <windows.h>
#define EXPORT __declspec(dllexport)
#else
#include <unistd.h>
#define EXPORT __attribute__((visibility("default")))
#endif

#pragma GCC diagnostic ignored "-Wmissing-prototypes" /* nobody includes these: they are found by name */

EXPORT uint64_t weigh(uint64_t a, uint64_t b, uint64_t c) { return a + 10 * b + 100 * c; }

EXPORT uint64_t same(uint64_t a) { return a; }

EXPORT int32_t minus_one(void) { return -1; }

EXPORT double multiply(double a, double b) { return a * b; }

EXPORT float halve(float a) { return a / 2; }

EXPORT double mixed(uint64_t a, double b, uint64_t c, float d) {
    return (double)a + b * 10 + (double)c * 100 + (double)d * 1000;
}

EXPORT uint64_t text_length(const char *text) { return strlen(text); }

EXPORT uint64_t utf16_length(const uint16_t *text) {
    uint64_t length = 0;
    while (text[length] != 0) length++;
    return length;
}

EXPORT uint64_t is_null(const void *pointer) { return pointer == NULL; }

/* "Hello" and its length into a buffer; the same in UTF-16. */
EXPORT uint64_t greet(char *out, uint32_t *inout_bytes) {
    if (*inout_bytes < 6) return 0;
    memcpy(out, "Hello", 6);
    *inout_bytes = 5;
    return 1;
}

EXPORT void greet_utf16(uint16_t *out) {
    static const uint16_t text[] = {'G', 'r', 0xfc, 0xdf, 'e', 0};
    memcpy(out, text, sizeof text);
}

/* Adds one; gives back what was there. */
EXPORT uint64_t bump(uint64_t *value) { return (*value)++; }

EXPORT void fail_with(uint32_t code) {
#if defined(_WIN32)
    SetLastError(code);
#else
    errno = (int)code;
#endif
}

EXPORT void wait_ms(uint32_t duration_ms) {
#if defined(_WIN32)
    Sleep(duration_ms);
#else
    usleep(duration_ms * 1000);
#endif
}

/* The sum of 24 words, each with a weight of its own. */
EXPORT uint64_t sum24(uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7,
                      uint64_t a8, uint64_t a9, uint64_t a10, uint64_t a11, uint64_t a12, uint64_t a13, uint64_t a14,
                      uint64_t a15, uint64_t a16, uint64_t a17, uint64_t a18, uint64_t a19, uint64_t a20, uint64_t a21,
                      uint64_t a22, uint64_t a23, uint64_t a24) {
    const uint64_t words[] = {a1,  a2,  a3,  a4,  a5,  a6,  a7,  a8,  a9,  a10, a11, a12,
                              a13, a14, a15, a16, a17, a18, a19, a20, a21, a22, a23, a24};
    uint64_t sum = 0;
    for (uint64_t i = 0; i < 24; i++) sum += words[i] * (i + 1);
    return sum;
}
