/* test_slots_win.c: a process that has used up the 64 thread-local slots of the TEB before we start: the runtime's are in
 * the expansion arrays, which threads have only once they have set one. */
#include "api/fault_helpers.h"

#include "pintle/syscall.h"

static uintptr_t sum3(uintptr_t a, uintptr_t b, uintptr_t c) { return a + 10 * b + 100 * c; }
static uintptr_t sum15(uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d, uintptr_t e, uintptr_t f, uintptr_t g,
                       uintptr_t h, uintptr_t i, uintptr_t j, uintptr_t k, uintptr_t l, uintptr_t m, uintptr_t n,
                       uintptr_t o) {
    return sum3(a, b, c) + d + e + f + g + h + i + j + k + l + m + n + 1000 * o;
}
static uintptr_t from_thunk(void *user, const uintptr_t *args) {
    pintle_yield();
    return args[0] + *(uintptr_t *)user;
}
static pintle_thunk *thunk;
static int calls_thunk(void *arg) {
    (void)arg;
    return (int)((uintptr_t(*)(uintptr_t))(uintptr_t)pintle_thunk_pointer(thunk))(2);
}
static void on_thread(void *arg) {
    for (int i = 0; i < 3; i++) *(int *)arg += calls_thunk(NULL);
}
static void worker(void *arg) {
    faulty *f = arg;
    for (int i = 0; i < 50; i++) {
        void *fn = (void *)(uintptr_t)sum3;
        EXPECT(pintle_syscall(fn, 3, 1, 2, 3).r1 == 321);
        EXPECT(pintle_syscalln(fn, 3, one_two_three).r1 == 321);
        EXPECT(pintle_syscall15((void *)(uintptr_t)sum15, 15, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7).r1 == 7321);
        EXPECT(pintle_call(calls_thunk, NULL) == 42 && pintle_call_blocking(calls_thunk, NULL) == 42);
        EXPECT(pintle_protect(writes, NULL, NULL) == PINTLE_EPANIC);
        EXPECT(try_call(f->write, 0, 0) == PINTLE_EFAULT);
        pintle_yield();
    }
}
static int slots_main(void *arg) {
    static uintptr_t forty = 40;
    pintle_task *tasks[4];
    helper_thread thread;
    int sum = 0;
    faulty f;
    (void)arg;
    if (!faulty_open(&f, PINTLE_DLL_FAULTS_PANIC)) return 1;
    EXPECT(pintle_thunk_new(&thunk, from_thunk, &forty, 1, 0) == 0);
    EXPECT(helper_spawn_all(tasks, 4, worker, &f) == 0 && helper_join_all(tasks, 4) == 0);
    EXPECT(helper_thread_start(&thread, on_thread, &sum));
    helper_thread_join(&thread);
    EXPECT(sum == 3 * 42);
    EXPECT(pintle_thunk_free(thunk) == 0);
    faulty_close(&f);
    return 0;
}
CASE(runtime_works_with_all_64_slots_taken) {
    DWORD slots[80];
    for (unsigned i = 0; i < ELEMENTS(slots); i++) ck_assert_uint_ne(slots[i] = TlsAlloc(), TLS_OUT_OF_INDEXES);
    ck_assert_uint_ge(slots[ELEMENTS(slots) - 1], 64);
    run_faulting(slots_main, 2);
    for (unsigned i = 0; i < ELEMENTS(slots); i++) TlsFree(slots[i]);
    run_faulting(slots_main, 2); /* and again, with one of the first 64 */
}
