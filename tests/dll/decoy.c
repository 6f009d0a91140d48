/* decoy.c: a DLL that is put, under others' names, where nobody must look. It says if it was loaded. */
#include <stdlib.h>

#if defined(_WIN32)
#include <windows.h>
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

#pragma GCC diagnostic ignored "-Wmissing-prototypes" /* nobody includes these: they are found by name */

EXPORT int dependency_answer(void) { return 666; }

__attribute__((constructor)) static void loaded(void) {
#if defined(_WIN32)
    SetEnvironmentVariableA("PINTLE_TEST_DECOY", "loaded");
#else
    setenv("PINTLE_TEST_DECOY", "loaded", 1);
#endif
}
