/* test_callback_win.c: thunks as what Windows itself calls back: enumerations, a window's timer, thread-pool work, APCs,
 * threads. Sorting, DLLs and window procedures: tests/api/test_callback.c, tests/win/test_panic_win.c. */
#include "api/dll_helpers.h"

static pintle_thunk *make_thunk(pintle_thunk_fn *fn, void *user, unsigned nargs) {
    pintle_thunk *thunk = NULL;
    EXPECT(pintle_thunk_new(&thunk, fn, user, nargs, 0) == 0);
    return thunk;
}
#define CODE(thunk) ((void *)(uintptr_t)pintle_thunk_code(thunk))
static void end_thunk(pintle_thunk *thunk) { EXPECT(pintle_thunk_free(thunk) == 0); }

/* ---- Enumerations: the callback makes a call that calls back ---- */

typedef struct pages {
    pintle_thunk *outer, *inner;
    unsigned outside, inside;
} pages;

static uintptr_t inner_page(void *user, const uintptr_t *args) {
    pages *p = user;
    EXPECT(((const char *)args[0])[0] != '\0');
    if (++p->inside % 16 == 0) pintle_yield();
    return TRUE;
}
static uintptr_t outer_page(void *user, const uintptr_t *args) {
    pages *p = user;
    char name[16];
    snprintf(name, sizeof name, "%s", (const char *)args[0]);
    if (p->outside++ < 3) {
        pintle_syscall((void *)(uintptr_t)EnumSystemCodePagesA, 2, (uintptr_t)CODE(p->inner), CP_INSTALLED, 0);
        EXPECT(strcmp(name, (const char *)args[0]) == 0);
    }
    return TRUE;
}
static uintptr_t some_window(void *user, const uintptr_t *args) {
    EXPECT(args[1] == 77);
    ++*(unsigned *)user;
    return TRUE;
}
static int enumerate_main(void *arg) {
    pages p = {0};
    unsigned windows = 0;
    (void)arg;
    p.outer = make_thunk(outer_page, &p, 1);
    p.inner = make_thunk(inner_page, &p, 1);
    pintle_syscall((void *)(uintptr_t)EnumSystemCodePagesA, 2, (uintptr_t)CODE(p.outer), CP_INSTALLED, 0);
    EXPECT(p.outside > 3 && p.inside == 3 * p.outside);
    end_thunk(p.outer);
    end_thunk(p.inner);
    /* How many windows there are is not ours to say; without a display there are none. */
    pintle_thunk *thunk = make_thunk(some_window, &windows, 2);
    EXPECT(pintle_syscall((void *)(uintptr_t)EnumWindows, 2, (uintptr_t)CODE(thunk), 77, 0).r1 != 0);
    end_thunk(thunk);
    return 0;
}
CASE(enumeration_calls_back_and_its_callback_enumerates_again) { run_tasks(enumerate_main, 2); }

/* ---- SetTimer ---- */

typedef struct ticking {
    unsigned ticks, wrong;
    uint64_t thread;
} ticking;
static uintptr_t on_timer(void *user, const uintptr_t *args) {
    ticking *t = user;
    if ((UINT)args[1] != WM_TIMER || helper_thread_id() != t->thread) t->wrong++;
    pintle_yield();
    t->ticks++;
    return 0;
}
static int pump_once(void *arg) {
    MSG message;
    (void)arg;
    return GetMessageA(&message, NULL, 0, 0) > 0 ? (int)(DispatchMessageA(&message), 0) : 1;
}
static int timer_main(void *arg) {
    ticking t = {0};
    (void)arg;
    pintle_pin();
    t.thread = helper_thread_id();
    pintle_thunk *thunk = make_thunk(on_timer, &t, 4);
    uintptr_t id = pintle_syscall6((void *)(uintptr_t)SetTimer, 4, 0, 0, 10, (uintptr_t)CODE(thunk), 0, 0).r1;
    EXPECT(id != 0);
    while (id != 0 && t.ticks < 5)
        if (pintle_call(pump_once, NULL) != 0) break;
    EXPECT(t.ticks >= 5 && t.wrong == 0);
    EXPECT(pintle_syscall((void *)(uintptr_t)KillTimer, 2, 0, id, 0).r1 != 0);
    end_thunk(thunk);
    pintle_unpin();
    return 0;
}
CASE(settimer_calls_a_thunk_while_its_thread_pumps) { run_tasks(timer_main, 2); }

/* ---- The thread pool, threads, APCs ---- */

enum { SUBMITTED = 40 };
typedef struct pooled {
    pintle_event done;
    atomic_uint ran, sum;
    uint64_t home;
} pooled;
static uintptr_t pool_work(void *user, const uintptr_t *args) {
    pooled *p = user;
    pintle_sleep(PINTLE_US(100));
    atomic_fetch_add(&p->sum, (unsigned)args[1]);
    if (atomic_fetch_add(&p->ran, 1) + 1 == SUBMITTED) pintle_event_set(&p->done);
    return 0;
}
static int pool_main(void *arg) {
    pooled p = {0};
    unsigned failed = 0;
    (void)arg;
    pintle_event_init(&p.done);
    pintle_thunk *thunk = make_thunk(pool_work, &p, 2);
    for (uintptr_t i = 1; i <= SUBMITTED; i++)
        failed += !TrySubmitThreadpoolCallback((PTP_SIMPLE_CALLBACK)CODE(thunk), (void *)i, NULL);
    EXPECT(failed == 0);
    EXPECT(pintle_event_wait(&p.done, pintle_after(PINTLE_S(20))) == 0);
    EXPECT(atomic_load(&p.sum) == SUBMITTED * (SUBMITTED + 1) / 2);
    while (pintle_thunk_free(thunk) == PINTLE_EBUSY) pintle_yield(); /* the last is on its way out */
    /* A work object, which can be waited for. */
    atomic_store(&p.ran, 0);
    thunk = make_thunk(pool_work, &p, 3);
    PTP_WORK work = CreateThreadpoolWork((PTP_WORK_CALLBACK)CODE(thunk), (void *)1, NULL);
    for (int i = 0; i < 10; i++) SubmitThreadpoolWork(work);
    pintle_syscall((void *)(uintptr_t)WaitForThreadpoolWorkCallbacks, 2, (uintptr_t)work, FALSE, 0);
    EXPECT(atomic_load(&p.ran) == 10);
    CloseThreadpoolWork(work);
    end_thunk(thunk);
    pintle_event_destroy(&p.done);
    return pintle_check();
}
CASE(thread_pool_calls_thunks_on_its_threads) { run_tasks(pool_main, 2); }

static uintptr_t thread_main(void *user, const uintptr_t *args) {
    pooled *p = user;
    if (helper_thread_id() != p->home) atomic_fetch_add(&p->ran, 1);
    pintle_sleep(PINTLE_US(50));
    return args[0] * 3;
}
static int thread_start_main(void *arg) {
    pooled p = {.home = helper_thread_id()};
    (void)arg;
    pintle_thunk *thunk = make_thunk(thread_main, &p, 1);
    for (uintptr_t i = 1; i <= 20; i++) {
        DWORD code = 0;
        HANDLE thread = CreateThread(NULL, 0, (LPTHREAD_START_ROUTINE)CODE(thunk), (void *)i, 0, NULL);
        EXPECT(thread != NULL);
        pintle_syscall((void *)(uintptr_t)WaitForSingleObject, 2, (uintptr_t)thread, INFINITE, 0);
        EXPECT(GetExitCodeThread(thread, &code) && code == i * 3);
        CloseHandle(thread);
    }
    EXPECT(atomic_load(&p.ran) == 20);
    end_thunk(thunk);
    return pintle_check();
}
CASE(createthread_starts_in_a_thunk_whose_result_is_the_exit_code) { run_tasks(thread_start_main, 2); }

static uintptr_t apc(void *user, const uintptr_t *args) {
    pooled *p = user;
    EXPECT(helper_thread_id() == p->home);
    pintle_yield();
    atomic_fetch_add(&p->sum, (unsigned)args[0]);
    return 0;
}
static int apc_main(void *arg) {
    pooled p = {0};
    (void)arg;
    pintle_pin();
    p.home = helper_thread_id();
    pintle_thunk *thunk = make_thunk(apc, &p, 1);
    for (unsigned round = 1; round <= 20; round++) {
        EXPECT(QueueUserAPC((PAPCFUNC)CODE(thunk), GetCurrentThread(), round) != 0);
        EXPECT(pintle_syscall((void *)(uintptr_t)SleepEx, 2, 1000, TRUE, 0).r1 == WAIT_IO_COMPLETION);
    }
    EXPECT(atomic_load(&p.sum) == 210);
    end_thunk(thunk);
    pintle_unpin();
    return 0;
}
CASE(apc_runs_in_a_call_that_waits_alertably) { run_tasks(apc_main, 2); }
