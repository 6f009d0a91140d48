/* test_unwind_win.c: the system's own backtrace, which goes by the limits of the current stack in the TEB: it sees what lies
 * on that stack, and ours at its end. What walks by unwind data alone, as debuggers do, sees all: tests/api/test_unwind.c. */
#include "api/dll_helpers.h"

enum { FRAMES_MOST = 60 };

typedef struct capture {
    pintle_proc *proc;
    void *frames[FRAMES_MOST];
    unsigned count;
} capture;

static volatile unsigned stays; /* after each call, so that none is a tail call */

static void *function_of(void *return_address) {
    DWORD64 image;
    RUNTIME_FUNCTION *function = RtlLookupFunctionEntry((uintptr_t)return_address - 1, &image, NULL);
    return function != NULL ? (void *)(uintptr_t)(image + function->BeginAddress) : NULL;
}
#define CODE(function) ((void *)(uintptr_t)(function))

HELPER_NOINLINE void capture_in_task(void *arg) {
    capture *c = arg;
    c->count = RtlCaptureStackBackTrace(0, FRAMES_MOST, c->frames, NULL);
    stays++;
}
HELPER_NOINLINE int capture_calls_back(void *arg) {
    int code = pintle_callback(capture_in_task, arg);
    stays++;
    return code;
}
HELPER_NOINLINE int capture_in_call(void *arg) {
    capture *c = arg;
    typedef uintptr_t capture_fn(void **, uintptr_t);
    c->count = (unsigned)((capture_fn *)pintle_proc_code(c->proc))(c->frames, FRAMES_MOST);
    stays++;
    return 0;
}
HELPER_NOINLINE void capture_in_call_of_task(void *arg) {
    pintle_call(capture_in_call, arg);
    stays++;
}
HELPER_NOINLINE void capture_in_callback_of_task(void *arg) {
    pintle_call(capture_calls_back, arg);
    stays++;
}
static void expect_captured(capture *c, pintle_fn *first, void *const *functions, unsigned count) {
    pintle_task *task;
    c->count = 0;
    EXPECT(pintle_spawn(&task, first, c) == 0 && pintle_join(task, PINTLE_FOREVER) == 0);
    EXPECT(c->count >= count);
    for (unsigned i = 0; i < count; i++) EXPECT(function_of(c->frames[i]) == functions[i]);
}
static int capture_main(void *arg) {
    pintle_dll *dll;
    capture c = {0};
    (void)arg;
    EXPECT(pintle_dll_open(&dll, test_dll_path("unwind"), 0) == 0);
    EXPECT(pintle_dll_find(dll, "unwind_capture", &c.proc) == 0);
    void *const task[] = {CODE(capture_in_task)};
    expect_captured(&c, capture_in_task, task, 1);
    EXPECT(c.count >= 3 && c.count <= 5); /* to the task's base */
    void *const call[] = {CODE(pintle_proc_code(c.proc)), CODE(capture_in_call), CODE(pintle_call)};
    expect_captured(&c, capture_in_call_of_task, call, 3);
    expect_captured(&c, capture_in_callback_of_task, task, 1);
    EXPECT(c.count >= 2); /* and the callback's frame */
    EXPECT(pintle_dll_close(dll, PINTLE_NOWAIT) == 0);
    return 0;
}
CASE(systems_backtrace_sees_the_frames_of_the_current_stack) { run_tasks(capture_main, 2); }
