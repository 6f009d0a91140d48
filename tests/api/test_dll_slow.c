/* test_dll_slow.c: a DLL whose DllMain blocks stops every thread start of a Windows process, and must stop nobody else. */
#include "api/dll_helpers.h"

enum { CALLERS = 3, CALLS = 20, TICKS = 20 };

static int signs[2]; /* the DLL begins to block; it may go on */
static _Atomic int opened_code = 1;

static void open_slowly(void *arg) {
    pintle_dll *dll = NULL;
    (void)arg;
    atomic_store(&opened_code, pintle_dll_open(&dll, test_dll_path("slow_start"), 0));
    if (dll != NULL) EXPECT(pintle_dll_close(dll, PINTLE_FOREVER) == 0);
}

static int block_10_ms(void *arg) {
    (void)arg;
#if defined(_WIN32)
    Sleep(10);
#else
    nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
#endif
    return 0;
}

static void call_often(void *arg) {
    for (int i = 0; i < CALLS; i++) {
        if (arg != NULL)
            pintle_call_blocking(block_10_ms, NULL);
        else
            pintle_call(block_10_ms, NULL);
    }
}
static void tick_often(void *arg) {
    (void)arg;
    for (int i = 0; i < TICKS; i++) EXPECT(pintle_sleep(PINTLE_MS(5)) == 0);
}

static int run_beside_slow_load(void *arg) {
    pintle_task *loader, *tasks[2 * CALLERS + 1];
    char address[32];
    (void)arg;
    snprintf(address, sizeof address, "%p", (void *)signs);
    helper_set_environment("PINTLE_TEST_SLOW", address);
    EXPECT(pintle_spawn(&loader, open_slowly, NULL) == 0);
    while (__atomic_load_n(&signs[0], __ATOMIC_SEQ_CST) == 0 && atomic_load(&opened_code) == 1)
        pintle_sleep(PINTLE_MS(1));
    for (int i = 0; i < 2 * CALLERS; i++) EXPECT(pintle_spawn(&tasks[i], call_often, i % 2 != 0 ? signs : NULL) == 0);
    EXPECT(pintle_spawn(&tasks[2 * CALLERS], tick_often, NULL) == 0);
    EXPECT(helper_join_all(tasks, ELEMENTS(tasks)) == 0);
    EXPECT(__atomic_load_n(&signs[0], __ATOMIC_SEQ_CST) == 1); /* it blocks still: it gave up by itself if it is 2 */
    EXPECT(atomic_load(&opened_code) == 1);
    __atomic_store_n(&signs[1], 1, __ATOMIC_SEQ_CST);
    EXPECT(pintle_join(loader, PINTLE_FOREVER) == 0);
    EXPECT(atomic_load(&opened_code) == 0);
    return 0;
}
CASE(load_that_blocks_stops_no_hand_offs) { run_tasks(run_beside_slow_load, 2); }
CASE(load_that_blocks_stops_no_hand_offs_of_one_processor) { run_tasks(run_beside_slow_load, 1); }
