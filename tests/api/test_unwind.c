/* test_unwind.c: whoever walks the stack sees all of it: from a DLL that was called by a callback in a call, through the
 * DLLs' frames, ours, and the task's, to the task's first function, whichever stack they are on. */
#include "api/dll_helpers.h"
#if !defined(_WIN32)
#include <unwind.h>
#endif

enum { FRAMES_MOST = 60 };

/* Where the function begins that has the return address. */
static void *function_of(void *return_address) {
    uintptr_t inside = (uintptr_t)return_address - 1;
#if defined(_WIN32)
    DWORD64 image;
    RUNTIME_FUNCTION *function = RtlLookupFunctionEntry(inside, &image, NULL);
    return function != NULL ? (void *)(uintptr_t)(image + function->BeginAddress) : NULL;
#else
    return _Unwind_FindEnclosingFunction((void *)inside);
#endif
}

typedef struct walk {
    pintle_proc *callers, *apply;
    pintle_thunk *thunk;
    void *frames[FRAMES_MOST];
    unsigned count;
    bool in_call;
} walk;

static volatile unsigned stays; /* after each call, so that none is a tail call */

HELPER_NOINLINE int call_walker(void *arg) {
    walk *w = arg;
    const uintptr_t words[] = {(uintptr_t)w->frames, FRAMES_MOST};
    w->count = (unsigned)pintle_proc_call(w->callers, 2, words).r1;
    stays++;
    return 0;
}
HELPER_NOINLINE void inner_callback(void *arg) {
    call_walker(arg);
    stays++;
}
HELPER_NOINLINE int inner_call(void *arg) {
    int code = pintle_callback(inner_callback, arg);
    stays++;
    return code;
}
HELPER_NOINLINE uintptr_t outer_callback(void *user, const uintptr_t *args) {
    walk *w = user;
    (void)args;
    if (w->in_call)
        EXPECT(pintle_call(inner_call, w) == 0);
    else
        call_walker(w);
    stays++;
    return 7;
}
HELPER_NOINLINE void first_function(void *arg) {
    walk *w = arg;
    const uintptr_t words[] = {(uintptr_t)pintle_thunk_pointer(w->thunk), 0};
    EXPECT(pintle_proc_call(w->apply, 2, words).r1 == 7);
    stays++;
}

/* In this order, with others between; the last is the one that was spawned, and behind it are a few of ours only. */
static void expect_order(const walk *w, void *const *functions, size_t count) {
    size_t next = 0;
    unsigned last = 0;
    for (unsigned i = 0; i < w->count && next < count; i++) {
        if (function_of(w->frames[i]) != functions[next]) continue;
        next++;
        last = i;
    }
    if (next < count) {
        for (unsigned i = 0; i < w->count; i++) printf("  %u: %p in %p\n", i, w->frames[i], function_of(w->frames[i]));
        for (size_t i = 0; i < count; i++) printf("  wanted %zu: %p\n", i, functions[i]);
    }
    EXPECT(next == count);
    EXPECT(w->count < FRAMES_MOST);
#if defined(PINTLE_SANITIZE)
    EXPECT(w->count - last <= 5); /* sanitize_task_main stands between task_main and task_entry */
#else
    EXPECT(w->count - last <= 4);
#endif
}

#define CODE(function) ((void *)(uintptr_t)(function))
static void *proc_begin(pintle_proc *proc) { return CODE(pintle_proc_code(proc)); }

static int walk_main(void *arg) {
    pintle_dll *dll;
    walk w = {0};
    pintle_task *task;
    (void)arg;
    EXPECT(pintle_dll_open(&dll, test_dll_path("unwind"), 0) == 0);
    EXPECT(pintle_dll_find(dll, "unwind_callers", &w.callers) == 0);
    EXPECT(pintle_dll_find(dll, "unwind_apply", &w.apply) == 0);
    EXPECT(pintle_thunk_new(&w.thunk, outer_callback, &w, 1, 0) == 0);
    for (int round = 0; round < 4; round++) {
        w.in_call = round % 2 != 0;
        w.count = 0;
        EXPECT(pintle_spawn(&task, first_function, &w) == 0 && pintle_join(task, PINTLE_FOREVER) == 0);
        if (w.in_call) {
            void *const order[] = {proc_begin(w.callers), CODE(call_walker),   CODE(inner_callback), CODE(inner_call),
                                   CODE(outer_callback),  proc_begin(w.apply), CODE(first_function)};
            expect_order(&w, order, ELEMENTS(order));
        } else {
            void *const order[] = {proc_begin(w.callers), CODE(call_walker), CODE(outer_callback), proc_begin(w.apply),
                                   CODE(first_function)};
            expect_order(&w, order, ELEMENTS(order));
        }
    }
    EXPECT(pintle_thunk_free(w.thunk) == 0);
    EXPECT(pintle_dll_close(dll, PINTLE_NOWAIT) == 0);
    return 0;
}
CASE(walk_from_a_dll_called_in_a_callback_ends_at_the_tasks_first_function) { run_tasks(walk_main, 2); }

/* The same from task code and from a blocking call, which go by other trampolines. */
HELPER_NOINLINE int walk_here(void *arg) {
    walk *w = arg;
    const uintptr_t words[] = {(uintptr_t)w->frames, FRAMES_MOST};
    typedef uintptr_t callers_fn(uintptr_t, uintptr_t);
    w->count = (unsigned)((callers_fn *)pintle_proc_code(w->callers))(words[0], words[1]);
    stays++;
    return 0;
}
HELPER_NOINLINE void walk_blocking(void *arg) {
    pintle_call_blocking(walk_here, arg);
    stays++;
}
HELPER_NOINLINE void walk_directly(void *arg) {
    walk_here(arg);
    stays++;
}
static int others_main(void *arg) {
    pintle_dll *dll;
    walk w = {0};
    pintle_task *task;
    pintle_fn *const ways[] = {walk_blocking, walk_directly};
    (void)arg;
    EXPECT(pintle_dll_open(&dll, test_dll_path("unwind"), 0) == 0);
    EXPECT(pintle_dll_find(dll, "unwind_callers", &w.callers) == 0);
    for (size_t way = 0; way < ELEMENTS(ways); way++) {
        void *const order[] = {proc_begin(w.callers), CODE(walk_here), CODE(ways[way])};
        EXPECT(pintle_spawn(&task, ways[way], &w) == 0 && pintle_join(task, PINTLE_FOREVER) == 0);
        expect_order(&w, order, ELEMENTS(order));
    }
    EXPECT(pintle_dll_close(dll, PINTLE_NOWAIT) == 0);
    return 0;
}
CASE(walk_from_a_blocking_call_and_from_task_code_ends_there_too) { run_tasks(others_main, 2); }
