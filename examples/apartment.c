/* apartment.c: COM in a task (Windows).
 *
 * An apartment belongs to a thread. A pinned task has a thread of its own for as long as it is pinned, so what CoInitializeEx sets
 * up stays right across waits, yields and foreign calls, while other tasks, and other apartments, run beside it. The program checks
 * after each wait that the task is on its thread, in its apartment, and that an object made there answers. Exit status 0: right. */
#define COBJMACROS
#include <pintle.h>
#include <stdio.h>
#include <windows.h>

#include <objbase.h>
#include <objidl.h>

enum { ROUNDS = 200, OTHERS = 50 };

static pintle_proc sleep_ = PINTLE_PROC("kernel32.dll", "Sleep");

typedef struct apartment {
    DWORD model;
    unsigned failures;
} apartment;

static int rest(int round) {
    uintptr_t one[] = {1};
    switch (round % 4) {
    case 0: pintle_yield(); break;
    case 1: return pintle_sleep(PINTLE_US(200));
    case 2: pintle_proc_call(&sleep_, 1, one); break; /* blocks: the processor goes to others */
    default: break;
    }
    return 0;
}

static bool is_so(apartment *self, bool holds, const char *what) {
    if (!holds) fprintf(stderr, "not so in an apartment of model %lu: %s\n", (unsigned long)self->model, what);
    self->failures += !holds;
    return holds;
}
static bool succeeds(apartment *self, HRESULT result, const char *what) {
    if (FAILED(result)) fprintf(stderr, "%s gives 0x%08lX\n", what, (unsigned long)result);
    return is_so(self, SUCCEEDED(result), what);
}

static void live(void *arg) {
    apartment *self = arg;
    APTTYPE first, type;
    APTTYPEQUALIFIER qualifier;
    IGlobalInterfaceTable *table = NULL;
    IUnknown *same = NULL;
    DWORD thread = GetCurrentThreadId(), cookie = 0;
    if (!succeeds(self, CoInitializeEx(NULL, self->model), "CoInitializeEx")) return;
    succeeds(self, CoGetApartmentType(&first, &qualifier), "CoGetApartmentType");
    is_so(self, (first == APTTYPE_MTA) == (self->model == COINIT_MULTITHREADED), "it is of that model");
    /* An object that every Windows, and Wine, has. */
    if (succeeds(self,
                 CoCreateInstance(&CLSID_StdGlobalInterfaceTable, NULL, CLSCTX_INPROC_SERVER,
                                  &IID_IGlobalInterfaceTable, (void **)&table),
                 "CoCreateInstance"))
        succeeds(self,
                 IGlobalInterfaceTable_RegisterInterfaceInGlobal(table, (IUnknown *)table, &IID_IUnknown, &cookie),
                 "RegisterInterfaceInGlobal");
    for (int i = 0; i < ROUNDS && self->failures == 0; i++) {
        is_so(self, rest(i) == 0, "the task rested");
        is_so(self, GetCurrentThreadId() == thread, "it is still on its thread");
        succeeds(self, CoGetApartmentType(&type, &qualifier), "CoGetApartmentType later");
        is_so(self, type == first, "it is still in its apartment");
        succeeds(self, IGlobalInterfaceTable_GetInterfaceFromGlobal(table, cookie, &IID_IUnknown, (void **)&same),
                 "GetInterfaceFromGlobal");
        if (same != NULL) IUnknown_Release(same);
        same = NULL;
    }
    if (table != NULL) {
        if (cookie != 0) IGlobalInterfaceTable_RevokeInterfaceFromGlobal(table, cookie);
        IGlobalInterfaceTable_Release(table);
    }
    CoUninitialize();
}

static void other(void *arg) {
    for (int i = 0; i < ROUNDS; i++) pintle_sleep(PINTLE_US(100));
    (void)arg;
}

static int app(void *arg) {
    apartment all[] = {{COINIT_APARTMENTTHREADED, 0}, {COINIT_APARTMENTTHREADED, 0}, {COINIT_MULTITHREADED, 0}};
    enum { APARTMENTS = sizeof all / sizeof all[0] };
    pintle_task_options pinned = {.size = sizeof pinned, .name = "apartment", .pinned = true};
    pintle_task *tasks[APARTMENTS], *others[OTHERS];
    unsigned failures = 0;
    (void)arg;
    for (int i = 0; i < OTHERS; i++) failures += pintle_spawn(&others[i], other, NULL) != 0;
    for (int i = 0; i < APARTMENTS; i++) failures += pintle_spawn_with(&tasks[i], live, &all[i], &pinned) != 0;
    for (int i = 0; i < APARTMENTS; i++) failures += (pintle_join(tasks[i], PINTLE_FOREVER) != 0) + all[i].failures;
    for (int i = 0; i < OTHERS; i++) failures += pintle_join(others[i], PINTLE_FOREVER) != 0;
    printf("%d rounds in each of three apartments, %u failures\n", ROUNDS, failures);
    return failures != 0;
}

int main(void) { return pintle_run(app, NULL, NULL); }
