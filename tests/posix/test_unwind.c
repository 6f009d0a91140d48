/* test_unwind.c (POSIX): a debugger sees all frames, and what unwinds for good stops at ours. */
#include "api/dll_helpers.h"

#include <unwind.h>

/* ---- gdb ---- */

static volatile unsigned stays; /* after each call, so that none is a tail call */

HELPER_NOINLINE void gdb_innermost(void) { stays++; }
HELPER_NOINLINE void gdb_inner_callback(void *arg) {
    (void)arg;
    gdb_innermost();
    stays++;
}
HELPER_NOINLINE int gdb_inner_call(void *arg) {
    int code = pintle_callback(gdb_inner_callback, arg);
    stays++;
    return code;
}
HELPER_NOINLINE uintptr_t gdb_outer_callback(void *user, const uintptr_t *args) {
    (void)args;
    pintle_call(gdb_inner_call, user);
    stays++;
    return 1;
}
HELPER_NOINLINE int gdb_outer_call(void *arg) {
    int result = (int)((uintptr_t(*)(uintptr_t))pintle_thunk_code(arg))(1);
    stays++;
    return result;
}
HELPER_NOINLINE void gdb_first_function(void *arg) {
    pintle_call(gdb_outer_call, arg);
    stays++;
}
static int gdb_main(void *arg) {
    pintle_task *task;
    pintle_thunk *thunk;
    (void)arg;
    if (pintle_thunk_new(&thunk, gdb_outer_callback, NULL, 1, 0) != 0) return 1;
    if (pintle_spawn(&task, gdb_first_function, thunk) != 0) return 2;
    return pintle_join(task, PINTLE_FOREVER);
}
CHILD(gdb_runs_it) { exit(pintle_run(gdb_main, NULL, NULL)); }

static size_t read_all(const char *command, char *out, size_t bytes) {
    size_t length = 0;
    FILE *pipe = popen(command, "r");
    ck_assert_ptr_nonnull(pipe);
    while (length < bytes - 1) {
        size_t more = fread(out + length, 1, bytes - 1 - length, pipe);
        if (more == 0) break;
        length += more;
    }
    out[length] = '\0';
    ck_assert_msg(pclose(pipe) == 0, "%s: needs gdb (scripts/setup --test)\n%s", command, out);
    return length;
}

CASE_TIMEOUT(gdb_walks_from_a_callback_to_the_tasks_first_function, 60) {
    static const char *const order[] = {"gdb_innermost",  "gdb_inner_callback", "gdb_inner_call", "gdb_outer_callback",
                                        "gdb_outer_call", "gdb_first_function", "task_entry"};
    static char text[64 << 10];
    char self[1024], command[2048];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    ck_assert_int_gt(length, 0);
    self[length] = '\0';
    snprintf(command, sizeof command,
             "LC_ALL=C gdb -batch -nx -iex 'set debuginfod enabled off' -ex 'set print frame-arguments none' "
             "-ex 'break gdb_innermost' -ex run -ex bt -ex kill --args '%s' --child gdb_runs_it 30 2>&1 </dev/null",
             self);
    read_all(command, text, sizeof text);
    const char *at = strstr(text, "#0 ");
    ck_assert_msg(at != NULL, "no backtrace in:\n%s", text);
    ck_assert_msg(strstr(text, "Backtrace stopped") == NULL, "%s", text);
    for (size_t i = 0; i < ELEMENTS(order); i++) {
        const char *found = strstr(at, order[i]);
        ck_assert_msg(found != NULL, "%s is not there, or not in its place:\n%s", order[i], text);
        at = found;
    }
}

/* ---- What unwinds for good ---- */

static void nobody_frees(_Unwind_Reason_Code code, struct _Unwind_Exception *exception) {
    (void)code;
    (void)exception;
}
static unsigned refused;
/* What a throw does first: looks for a handler. Where it returns, the C++ runtime ends the program. */
static void raise_foreign(void *arg) {
    struct _Unwind_Exception exception = {.exception_class = 0x54534554, .exception_cleanup = nobody_frees};
    (void)arg;
    if (_Unwind_RaiseException(&exception) != _URC_NO_REASON) refused++;
}
static int raise_in_call(void *arg) {
    raise_foreign(arg);
    return 3;
}
static int raise_in_callback(void *arg) { return pintle_callback(raise_foreign, arg); }
static uintptr_t raise_in_thunk(void *user, const uintptr_t *args) {
    (void)args;
    raise_foreign(user);
    return 5;
}
static int raise_main(void *arg) {
    pintle_thunk *thunk;
    (void)arg;
    EXPECT(pintle_call(raise_in_call, NULL) == 3);
    EXPECT(pintle_call_blocking(raise_in_call, NULL) == 3);
    EXPECT(pintle_call(raise_in_callback, NULL) == 0);
    EXPECT(pintle_protect(raise_foreign, NULL, NULL) == 0);
    EXPECT(pintle_thunk_new(&thunk, raise_in_thunk, NULL, 0, 0) == 0);
    EXPECT(((uintptr_t(*)(void))pintle_thunk_code(thunk))() == 5); /* in place */
    EXPECT(pintle_thunk_free(thunk) == 0);
    EXPECT(refused == 5);
    return 0;
}
CASE(exception_of_another_language_finds_no_handler_beyond_a_call_or_a_callback) { run_tasks(raise_main, 2); }

static int exit_thread(void *arg) {
    pthread_exit(arg);
    return 0;
}
static int exit_thread_main(void *arg) { return pintle_call(exit_thread, arg); }
CHILD(thread_ends_in_call) { pintle_run(exit_thread_main, NULL, NULL); }
CASE(thread_that_foreign_code_ends_in_a_call_is_told) {
    char text[4096];
    int status = child_run("thread_ends_in_call", text, sizeof text);
    ck_assert_int_eq(status, 128 + 6); /* SIGABRT */
    ck_assert_msg(strstr(text, "foreign code ends its thread") != NULL, "%s", text);
    ck_assert_msg(strstr(text, "task 1") != NULL, "%s", text);
}
