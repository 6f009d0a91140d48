/* threads.c: a DLL that calls functions on a thread of its own making. It knows nothing of Pintle. */
#include <stdint.h>

#if defined(_WIN32)
#include <windows.h>
#define EXPORT __declspec(dllexport)
#else
#include <pthread.h>
#define EXPORT __attribute__((visibility("default")))
#endif

#pragma GCC diagnostic ignored "-Wmissing-prototypes" /* found by name */

typedef uintptr_t word;
typedef struct order {
    word (*function)(word);
    word value, times;
} order;

#if defined(_WIN32)
static DWORD WINAPI run(void *arg) {
#else
static void *run(void *arg) {
#endif
    order *o = arg;
    for (word i = 0; i < o->times; i++) o->value = o->function(o->value);
    return 0;
}

/* The value after so many calls of the function, each with what the one before gave, on a new thread. */
EXPORT word threads_call(word (*function)(word), word value, word times) {
    order o = {function, value, times};
#if defined(_WIN32)
    HANDLE thread = CreateThread(NULL, 0, run, &o, 0, NULL);
    WaitForSingleObject(thread, INFINITE);
    CloseHandle(thread);
#else
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, &o) != 0) return 0;
    pthread_join(thread, NULL);
#endif
    return o.value;
}
