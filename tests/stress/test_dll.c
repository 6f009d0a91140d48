/* test_dll.c: DLLs that are loaded, called by many and closed while the calls are in flight, again and again. */
#include "api/dll_helpers.h"

enum { ROUNDS = 200, CALLERS = 50 };

typedef struct round_state {
    plugin p;
    helper_gate gate;
    helper_sem entered;
    _Atomic int returned;
} round_state;

static int stay(void *arg) {
    round_state *r = arg;
    helper_sem_post(&r->entered);
    helper_gate_wait(&r->gate);
    return 5;
}

static void call_and_stay(void *arg) {
    round_state *r = arg;
    const uintptr_t args[] = {(uintptr_t)(void *)stay, (uintptr_t)r};
    pintle_result result;
    for (int i = 0; i < 3; i++) EXPECT(weighs_right(&r->p));
    EXPECT(pintle_proc_try_call(r->p.run, 2, args, &result) == 0 && result.r1 == 5);
    atomic_fetch_add(&r->returned, 1);
}

static int all_entered(void *arg) {
    round_state *r = arg;
    for (int i = 0; i < CALLERS; i++) helper_sem_wait(&r->entered);
    return 0;
}

static bool open_round(round_state *r, bool private_copy) {
    r->p = (plugin){0};
    EXPECT(pintle_dll_open(&r->p.dll, test_dll_path("plugin_a"), private_copy ? PINTLE_DLL_PRIVATE_COPY : 0) == 0);
    if (r->p.dll == NULL) return false;
    EXPECT(pintle_dll_find(r->p.dll, "plugin_weigh", &r->p.weigh) == 0);
    EXPECT(pintle_dll_find(r->p.dll, "plugin_run", &r->p.run) == 0);
    return r->p.weigh != NULL && r->p.run != NULL;
}

static int load_call_close(void *arg) {
    static round_state r;
    (void)arg;
    for (int round = 0; round < ROUNDS; round++) {
        pintle_task *tasks[CALLERS];
        pintle_proc *tell = NULL;
        int unloaded = 0;
        const uintptr_t args[] = {(uintptr_t)&unloaded};
        atomic_store(&r.returned, 0);
        helper_gate_init(&r.gate);
        helper_sem_init(&r.entered);
        if (!open_round(&r, round % 2 != 0)) return 1;
        EXPECT(pintle_dll_find(r.p.dll, "plugin_tell_unload", &tell) == 0);
        pintle_proc_call(tell, 1, args);
        EXPECT(helper_spawn_all(tasks, CALLERS, call_and_stay, &r) == 0);
        pintle_call_blocking(all_entered, &r);
        EXPECT(pintle_dll_close(r.p.dll, PINTLE_NOWAIT) == PINTLE_EBUSY && error_has("47 more"));
        EXPECT(is_refused(&r.p));
        if (round % 4 == 0) {
            EXPECT(pintle_dll_reopen(r.p.dll) == 0);
            EXPECT(weighs_right(&r.p));
        }
        EXPECT(unloaded == 0);
        helper_gate_open(&r.gate); /* all 50 are on their way out while it closes */
        EXPECT(pintle_dll_close(r.p.dll, PINTLE_FOREVER) == 0);
        EXPECT(unloaded == 1);
        EXPECT(helper_join_all(tasks, CALLERS) == 0);
        EXPECT(atomic_load(&r.returned) == CALLERS);
        helper_gate_destroy(&r.gate);
        helper_sem_destroy(&r.entered);
    }
    return 0;
}
CASE_TIMEOUT(dll_loaded_called_by_50_and_closed_200_times_loses_no_call, 120) { run_tasks(load_call_close, 2); }
