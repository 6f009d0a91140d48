#include <pintle.h>
#include <stdio.h>

#ifdef _WIN32
#define SLEEP PINTLE_PROC("kernel32.dll", "Sleep")
enum { TENTH = 100 };
#else
#define SLEEP PINTLE_PROC("libc.so.6", "usleep")
enum { TENTH = 100000 };
#endif

static pintle_proc sleep_ = SLEEP;

static void nap(void *arg) { pintle_proc_call(&sleep_, 1, arg); /* the DLL blocks this call, and nobody else */ }

static int app(void *arg) {
    pintle_task *tasks[500];
    int64_t start = pintle_now();
    for (int i = 0; i < 500; i++) pintle_spawn(&tasks[i], nap, arg);
    for (int i = 0; i < 500; i++) pintle_join(tasks[i], PINTLE_FOREVER);
    printf("500 naps of 0.1 s took %.1f s\n", (double)(pintle_now() - start) / 1e9);
    return 0;
}

int main(void) {
    uintptr_t duration = TENTH;
    return pintle_run(app, &duration, NULL);
}
