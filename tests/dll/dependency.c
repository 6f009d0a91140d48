/* dependency.c: a DLL that uses_dependency.c needs. */
#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

#pragma GCC diagnostic ignored "-Wmissing-prototypes" /* nobody includes these: they are found by name */

EXPORT int dependency_answer(void) { return 1; }
