/* uses_dependency.c: a DLL that needs the one of dependency.c, which must be beside it. */
#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

#pragma GCC diagnostic ignored "-Wmissing-prototypes" /* nobody includes these: they are found by name */

int dependency_answer(void);

EXPORT int uses_answer(void) { return dependency_answer(); }

/* How often it was called since the DLL was loaded. */
EXPORT int uses_count(void) {
    static int counter;
    return ++counter;
}
