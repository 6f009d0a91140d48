/* test_callback.c: callbacks that do not end where they began, since a DLL has switched its own stacks (tests/dll/fibers.c): what
 * was saved for one would be given to another, so that is the end, told as what it is. */
#include "api/api_helpers.h"

typedef unsigned cross_fn(unsigned threads, int (*function)(void *), void *arg);
typedef unsigned swap_fn(void);
static cross_fn *cross;
static swap_fn *swap;

static int swaps(void *arg) {
    (void)arg;
    return (int)swap();
}
static void called_back(void *arg) { pintle_call(swaps, arg); }
static int calls_back(void *arg) { return pintle_callback(called_back, arg); }
static int crosses(void *arg) { return (int)cross(*(unsigned *)arg, calls_back, NULL); }

static void crossing_task(void *arg) {
    pintle_call(crosses, arg);
    printf("survived\n");
}
static int crossing_main(void *arg) {
    pintle_dll *dll;
    pintle_proc *proc;
    pintle_task *task;
    if (pintle_dll_open(&dll, test_dll_path("fibers"), 0) != 0) return 90;
    if (pintle_dll_find(dll, "fibers_cross", &proc) != 0) return 91;
    cross = (cross_fn *)pintle_proc_code(proc);
    if (pintle_dll_find(dll, "fibers_swap", &proc) != 0) return 92;
    swap = (swap_fn *)pintle_proc_code(proc);
    if (pintle_spawn(&task, crossing_task, arg) != 0) return 93;
    return pintle_join(task, PINTLE_FOREVER);
}
static void run_crossing(unsigned threads) { exit(helper_run(crossing_main, &threads, 1)); }
CHILD(out_of_order) { run_crossing(1); }
CHILD(on_another_thread) { run_crossing(2); }

static void assert_told(const char *child, const char *sentence) {
    static char text[65536];
    int status = child_run(child, text, sizeof text);
    ck_assert_msg(status != 0 && (status < 90 || status > 93) &&
                      strstr(text, "pintle: fatal: the callback of task ") != NULL && strstr(text, sentence) != NULL &&
                      strstr(text, "survived") == NULL,
                  "%s ended with %d:\n%s", child, status, text);
}

CASE(callback_that_ends_before_one_that_it_led_to_is_told) {
    assert_told("out_of_order", "ends before one that it led to: has a DLL switched fibers in it?");
}
CASE(callback_that_ends_on_another_thread_is_told) {
    assert_told("on_another_thread", "ends on another thread than it began on");
}
