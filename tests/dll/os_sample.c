/* os_sample.c: the DLL that the tests of the seam load. On Windows os_sample.def gives its exports ordinals. */
#include <string.h>

#if defined(_WIN32)
#define EXPORT
#else
#define EXPORT __attribute__((visibility("default")))
#endif

EXPORT int os_sample_answer(void);
EXPORT int os_sample_nameless(void);
EXPORT size_t os_sample_length(const char *text);

EXPORT int os_sample_answer(void) { return 42; }
EXPORT int os_sample_nameless(void) { return 43; }
/* Needs the C library, so that a test can put another name in its place. */
EXPORT size_t os_sample_length(const char *text) { return strlen(text); }
