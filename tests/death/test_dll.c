/* test_dll.c: misuse of pintle/dll.h ends the process with exit status 2 and a report that names call and function. */
#include "api/api_helpers.h"

enum { EXIT_PANIC = 2 };

static void assert_panics(const char *child, const char *call, const char *name) {
    static char text[65536];
    int status = child_run(child, text, sizeof text);
    ck_assert_msg(status == EXIT_PANIC, "%s ended with %d, not %d:\n%s", child, status, EXIT_PANIC, text);
    ck_assert_msg(strstr(text, call) != NULL && strstr(text, name) != NULL, "no \"%s\" and \"%s\" in:\n%s", call, name,
                  text);
}

static pintle_dll *open_plugin(void) {
    pintle_dll *dll = NULL;
    if (pintle_dll_open(&dll, test_dll_path("plugin_a"), 0) != 0) exit(90);
    return dll;
}

static int call_closing(void *arg) {
    pintle_dll *dll = open_plugin();
    pintle_proc *count = NULL;
    (void)arg;
    if (pintle_dll_find(dll, "plugin_count", &count) != 0 || pintle_dll_acquire(dll) != 0) return 91;
    if (pintle_dll_close(dll, PINTLE_NOWAIT) != PINTLE_EBUSY) return 92;
    pintle_proc_call(count, 0, NULL);
    return 93;
}
CHILD(call_of_closing_dll) { exit(helper_run(call_closing, NULL, 1)); }
CASE(call_of_closing_dll_panics) { assert_panics("call_of_closing_dll", "pintle_proc_call", "plugin_count"); }

static int call_missing(void *arg) {
    static pintle_proc missing = PINTLE_PROC("nowhere_at_all.dll", "f");
    (void)arg;
    pintle_proc_call(&missing, 0, NULL);
    return 93;
}
CHILD(call_of_missing_static_proc) { exit(helper_run(call_missing, NULL, 1)); }
CASE(call_of_missing_static_proc_panics) {
    assert_panics("call_of_missing_static_proc", "pintle_proc_call", "nowhere_at_all.dll");
}

static int call_too_many(void *arg) {
    static const uintptr_t words[256];
    pintle_proc *count = NULL;
    (void)arg;
    if (pintle_dll_find(open_plugin(), "plugin_count", &count) != 0) return 91;
    pintle_proc_call(count, 256, words);
    return 93;
}
CHILD(call_with_too_many_words) { exit(helper_run(call_too_many, NULL, 1)); }
CASE(call_with_too_many_words_panics) { assert_panics("call_with_too_many_words", "256 words", "plugin_count"); }

static int call_null(void *arg) {
    (void)arg;
    pintle_proc_call(NULL, 0, NULL);
    return 93;
}
CHILD(call_of_null_proc) { exit(helper_run(call_null, NULL, 1)); }
CASE(call_of_null_proc_panics) { assert_panics("call_of_null_proc", "pintle_proc_call", "NULL"); }

static int release_unacquired(void *arg) {
    (void)arg;
    pintle_dll_release(open_plugin());
    return 93;
}
CHILD(release_without_acquire) { exit(helper_run(release_unacquired, NULL, 1)); }
CASE(release_without_acquire_panics) { assert_panics("release_without_acquire", "pintle_dll_release", "plugin_a"); }
