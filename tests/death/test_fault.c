/* test_fault.c: faults in tasks and in foreign calls that nobody handles: the process ends as the system ends one, never
 * with status 0 and never silently going on. On Windows a report names the code and the task. */
#include "api/api_helpers.h"

enum { IN_TASK, IN_CALL, IN_PROC };

static int write_nowhere(void *arg) {
    volatile int *nowhere = arg;
    *nowhere = 1;
    return 0;
}
static void fault_task(void *arg) {
    pintle_yield();
    switch (*(int *)arg) {
    case IN_TASK: write_nowhere(NULL); break;
    case IN_CALL: pintle_call(write_nowhere, NULL); break;
    default: {
        pintle_dll *dll;
        pintle_proc *proc;
        uintptr_t nowhere = 0;
        if (pintle_dll_open(&dll, test_dll_path("words"), 0) != 0 || pintle_dll_find(dll, "words_write", &proc) != 0)
            exit(92);
        pintle_proc_call(proc, 1, &nowhere);
        break;
    }
    }
    printf("survived\n");
}
static int fault_main(void *arg) {
    pintle_task *task;
    pintle_task_options options = {.size = sizeof options, .name = "clumsy"};
    if (pintle_spawn_with(&task, fault_task, arg, &options) != 0) return 90;
    pintle_join(task, PINTLE_FOREVER);
    return 91;
}
static void fault(int where) { exit(helper_run(fault_main, &where, 1)); }

CHILD(fault_in_task) { fault(IN_TASK); }
CHILD(fault_in_call) { fault(IN_CALL); }
CHILD(fault_in_proc) { fault(IN_PROC); }

static void assert_fault(const char *child) {
    static char text[65536];
    int status = child_run(child, text, sizeof text);
#if defined(_WIN32)
    ck_assert_msg((status & 0xFF) == 5, "%s ended with %d:\n%s", child, status, text); /* Wine shows the low byte */
    ck_assert_msg(strstr(text, "0xc0000005") != NULL, "%s: no code in:\n%s", child, text);
    ck_assert_msg(strstr(text, "clumsy") != NULL, "%s: no task in:\n%s", child, text);
#elif defined(PINTLE_SANITIZE)
    ck_assert_msg(status != 0, "%s ended with 0:\n%s", child, text); /* the sanitizer's handler says what happened */
#else
    ck_assert_msg(status == 128 + 11, "%s ended with %d:\n%s", child, status, text); /* SIGSEGV */
#endif
    ck_assert_ptr_null(strstr(text, "survived"));
}

CASE(fault_in_a_task_ends_the_process) { assert_fault("fault_in_task"); }
CASE(fault_in_a_call_ends_the_process) { assert_fault("fault_in_call"); }
CASE(fault_in_a_dll_ends_the_process) { assert_fault("fault_in_proc"); }

/* ---- The stack ends ---- */

__attribute__((noinline)) static unsigned recurse_for_ever(unsigned depth) {
    volatile unsigned char frame[512];
    frame[0] = (unsigned char)depth;
    if (depth == 0) return 0;
    return recurse_for_ever(depth + 1) + frame[0];
}
static void overflow_task(void *arg) {
    (void)arg;
    printf("%u\n", recurse_for_ever(1));
    printf("survived\n");
}
static int overflow_main(void *arg) {
    (void)arg;
    pintle_task *neighbours[4], *task;
    helper_spawn_all(neighbours, 4, overflow_task, NULL); /* so that there is memory of others below */
    if (pintle_spawn(&task, overflow_task, NULL) != 0) return 90;
    pintle_join(task, PINTLE_FOREVER);
    return 91;
}
CHILD(stack_overflow) { exit(helper_run(overflow_main, NULL, 1)); }
CASE(stack_overflow_of_a_task_ends_the_process) {
    static char text[65536];
    int status = child_run("stack_overflow", text, sizeof text);
    ck_assert_msg(status != 0 && status != 90 && status != 91, "ended with %d:\n%s", status, text);
    ck_assert_msg(strstr(text, "survived") == NULL, "went on:\n%s", text);
}
