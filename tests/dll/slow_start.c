/* slow_start.c: a DLL whose start (DllMain, a constructor) blocks until it is told to go on, under the loader's lock. The
 * environment has the address of two ints: it sets the first when it begins, and waits for the second, ten seconds. */
#include <stdio.h>
#include <stdlib.h>

#if defined(_WIN32)
#include <windows.h>
#define EXPORT __declspec(dllexport)
#else
#include <time.h>
#define EXPORT __attribute__((visibility("default")))
#endif

#pragma GCC diagnostic ignored "-Wmissing-prototypes" /* nobody includes these: they are found by name */

EXPORT int slow_answer(void) { return 3; }

static void pause_1_ms(void) {
#if defined(_WIN32)
    Sleep(1);
#else
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
#endif
}

static void start_slowly(void) {
    char text[32] = "";
    void *address = NULL;
#if defined(_WIN32)
    GetEnvironmentVariableA("PINTLE_TEST_SLOW", text, sizeof text);
#else
    const char *value = getenv("PINTLE_TEST_SLOW");
    snprintf(text, sizeof text, "%s", value != NULL ? value : "");
#endif
    if (sscanf(text, "%p", &address) != 1) return;
    int *signs = address;
    __atomic_store_n(&signs[0], 1, __ATOMIC_SEQ_CST);
    for (int i = 0; i < 10000 && __atomic_load_n(&signs[1], __ATOMIC_SEQ_CST) == 0; i++) pause_1_ms();
    if (__atomic_load_n(&signs[1], __ATOMIC_SEQ_CST) == 0) __atomic_store_n(&signs[0], 2, __ATOMIC_SEQ_CST);
}

#if defined(_WIN32)
BOOL WINAPI DllMain(HINSTANCE instance, DWORD reason, LPVOID reserved) {
    (void)instance;
    (void)reserved;
    if (reason == DLL_PROCESS_ATTACH) start_slowly();
    return TRUE;
}
#else
__attribute__((constructor)) static void loaded(void) { start_slowly(); }
#endif
