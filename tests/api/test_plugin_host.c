/* test_plugin_host.c: examples/plugin-host, by its functions: plugins of a folder, calls, reloads under load, and each way to
 * misbehave, one plugin for each (tests/plugins). Tasks note what they find wrong with EXPECT. */
#include "api/decoy_helpers.h"

#include "allow.h"
#include "files.h"
#include "host.h"

#define NEEDED "needed" DLL_SUFFIX
enum { REFUSED = -3, TOO_LARGE = -2 }; /* of plugin.h */

static helper_gate gate;
static _Atomic unsigned inside, asked_by_threads;
static hosted *other; /* called, or unloaded, by what a plugin asks */
static _Atomic int other_code;

/* The path of a plugin of tests/plugins; the last few results stay valid. */
static const char *plugin_path(const char *name) {
    char file[64];
    snprintf(file, sizeof file, "%s%s", name, DLL_SUFFIX);
    return path_in(strcmp(name, "words") == 0 || strcmp(name, "greet") == 0 ? TEST_GOOD_PLUGINS : TEST_PLUGINS, file);
}

/* ---- The host ---- */

static int64_t answer(void *out, size_t most, const char *text) {
    size_t bytes = strlen(text);
    if (bytes > most) return TOO_LARGE;
    memcpy(out, text, bytes);
    return (int64_t)bytes;
}

static int64_t on_ask(void *user, const char *asking, const void *question, size_t bytes, void *out, size_t most) {
    char text[32];
    hosted_reply reply;
    (void)user;
    snprintf(text, sizeof text, "%.*s", (int)bytes, (const char *)question);
    if (strcmp(text, "name") == 0) return answer(out, most, "the test");
    if (strcmp(text, "inside") == 0) return (int64_t)(atomic_fetch_add(&inside, 1) * 0);
    if (strcmp(text, "thread") == 0) return (int64_t)(atomic_fetch_add(&asked_by_threads, 1) * 0);
    if (strcmp(text, "panic") == 0) pintle_panic("'%s' asked for it", asking);
    if (strcmp(text, "unload") == 0) {
        atomic_store(&other_code, hosted_unload(other, PINTLE_FOREVER));
        return 0;
    }
    if (strcmp(text, "call") == 0) {
        atomic_store(&other_code, hosted_call(other, "one two", 7, &reply, PINTLE_FOREVER));
        int64_t bytes_said = answer(out, most, reply.data != NULL ? reply.data : "");
        hosted_reply_free(&reply);
        return bytes_said;
    }
    return REFUSED;
}

/* Of new_host. */
static const char *allow_list;
static bool isolated;
static size_t memory_most_bytes;

/* What hosts were told by plugins, and said themselves. */
static char told[16384];
static pintle_mutex told_lock;
static void on_log(void *user, const char *name, int level, const char *text) {
    (void)user;
    pintle_mutex_lock(&told_lock, PINTLE_FOREVER);
    size_t length = strlen(told);
    snprintf(told + length, sizeof told - length, "%s %d: %s\n", name, level, text);
    pintle_mutex_unlock(&told_lock);
}
static bool was_told(const char *text) {
    pintle_mutex_lock(&told_lock, PINTLE_FOREVER);
    bool found = strstr(told, text) != NULL;
    if (!found) printf("no '%s' in: %s\n", text, told);
    pintle_mutex_unlock(&told_lock);
    return found;
}

static host *new_host(bool refuse) {
    host *h = NULL;
    host_options options = {.ask = on_ask,
                            .log = on_log,
                            .refuse_while_changing = refuse,
                            .allow_list = allow_list,
                            .isolated = isolated,
                            .memory_most_bytes = memory_most_bytes,
                            .child_program = TEST_CHILD};
    atomic_store(&inside, 0);
    atomic_store(&asked_by_threads, 0);
    EXPECT(host_new(&h, &options) == 0);
    return h;
}

static int64_t soon(void) { return pintle_after(PINTLE_S(20)); }

static hosted *load_path(host *h, const char *path) {
    hosted *p = NULL;
    int code = hosted_load(&p, h, path, soon());
    EXPECT(code == 0);
    if (code != 0) {
        pintle_error error;
        pintle_error_get(&error);
        printf("%s\n", error.text);
    }
    return p;
}
static hosted *load(host *h, const char *name) { return load_path(h, plugin_path(name)); }

static int call(hosted *p, const char *request, const char *expected, int64_t deadline_ns) {
    hosted_reply reply;
    int code = hosted_call(p, request, strlen(request), &reply, deadline_ns);
    if (code == 0) {
        bool same = reply.value == 0 && reply.data != NULL && strcmp(reply.data, expected) == 0;
        if (!same) printf("%d '%s', not '%s'\n", reply.value, (char *)reply.data, expected);
        EXPECT(same);
    }
    hosted_reply_free(&reply);
    return code;
}
static bool says(hosted *p, const char *request, const char *expected) {
    return call(p, request, expected, PINTLE_FOREVER) == 0;
}

static void end(host *h) {
    pintle_stats stats;
    EXPECT(host_free(h, soon()) == 0);
    pintle_stats_get(&stats);
    EXPECT(stats.thunks == 0);
}

static bool fails(host *h, const char *path, int code, const char *word) {
    char untouched;
    hosted *p = (void *)&untouched;
    int got = hosted_load(&p, h, path, soon());
    if (got != code) printf("%s: %d, not %d\n", path, got, code);
    return got == code && error_has(word) && error_has("'") && p == (void *)&untouched;
}

/* ---- What works ---- */

static char order[256];
static int load_each(void *arg, const char *path) {
    hosted *p = load_path(arg, path);
    if (p == NULL) return -1;
    snprintf(order + strlen(order), sizeof order - strlen(order), "%s ", hosted_name(p));
    return 0;
}
static int folder_main(void *arg) {
    hosted_reply reply;
    host *h = new_host(false);
    (void)arg;
    order[0] = '\0';
    EXPECT(files_each_plugin(TEST_GOOD_PLUGINS, load_each, h) == 0);
    EXPECT(strcmp(order, "greet words ") == 0);
    EXPECT(files_each_plugin("relative", load_each, h) == PINTLE_EINVAL && error_has("'relative'"));
    EXPECT(files_each_plugin(path_in(TEST_PLUGINS, "nowhere"), load_each, h) == PINTLE_ENOTFOUND &&
           error_has("nowhere"));
    hosted *greet = hosted_find(h, "greet"), *words = hosted_find(h, "words");
    EXPECT(hosted_find(h, "none") == NULL);
    EXPECT(says(greet, "you", "Hello you, from the test"));
    EXPECT(says(words, "a b  c", "3 words, version 1"));
    EXPECT(call(words, "", "0 words, version 1", soon()) == 0);
    EXPECT(hosted_version(words) == 1);
    EXPECT(fails(h, plugin_path("words"), PINTLE_EINVAL, "already"));
    EXPECT(hosted_unload(words, soon()) == 0);
    EXPECT(hosted_call(words, "a", 1, &reply, PINTLE_FOREVER) == PINTLE_ECLOSED && reply.data == NULL);
    EXPECT(hosted_unload(words, soon()) == PINTLE_ECLOSED && hosted_reload(words, soon()) == PINTLE_ECLOSED);
    EXPECT(load(h, "words") == words && says(words, "again", "1 words, version 1")); /* the same one */
    end(h);
    return 0;
}
CASE(plugins_of_a_folder_are_loaded_called_and_unloaded) { run_tasks(folder_main, 2); }

static void call_its_own(void *arg) {
    char text[64] = "", expected[64];
    static _Atomic unsigned numbers;
    unsigned words = atomic_fetch_add(&numbers, 1) % 20;
    for (unsigned i = 0; i < words; i++) strcat(text, "w ");
    snprintf(expected, sizeof expected, "%u words, version 1", words);
    for (int i = 0; i < 10; i++) EXPECT(call(arg, text, expected, i % 2 ? soon() : PINTLE_FOREVER) == 0);
}
static int many_main(void *arg) {
    static pintle_task *tasks[1000];
    host *h = new_host(false);
    hosted *p = load(h, "words");
    (void)arg;
    EXPECT(helper_spawn_all(tasks, 1000, call_its_own, p) == 0);
    EXPECT(helper_join_all(tasks, 1000) == 0);
    end(h);
    return 0;
}
CASE(calls_of_1000_tasks_get_their_own_replies) { run_tasks(many_main, 2); }

/* ---- Reloading ---- */

static _Atomic unsigned let_go;
static void visit(void *arg) {
    char name[32];
#if defined(_WIN32)
    snprintf(name, sizeof name, "%llu", (unsigned long long)(uintptr_t)gate.event);
#else
    snprintf(name, sizeof name, "%d", gate.ends[0]);
#endif
    if (call(arg, name, "let go", PINTLE_FOREVER) == 0) atomic_fetch_add(&let_go, 1);
}
/* Tasks inside the plugin "blocks", until the gate opens. */
static void visit_all(pintle_task **tasks, unsigned count, hosted *p) {
    pintle_task_options options = {.name = "visitor"};
    atomic_store(&let_go, 0);
    atomic_store(&inside, 0);
    helper_gate_init(&gate);
    for (unsigned i = 0; i < count; i++) EXPECT(pintle_spawn_with(&tasks[i], visit, p, &options) == 0);
    while (atomic_load(&inside) < count) pintle_yield();
}

static _Atomic int reload_code;
static void reload(void *p) { atomic_store(&reload_code, hosted_reload(p, soon())); }
static void call_fine(void *p) { EXPECT(says(p, "fine", "fine")); }
static _Atomic bool answered;
static void call_words_2(void *p) {
    EXPECT(says(p, "a b", "2 words, version 2"));
    atomic_store(&answered, true);
}

/* The file is another by then: version 2 of words under the old name. */
static int drain_main(void *arg) {
    char folder[HELPER_PATH_BYTES];
    pintle_task *visitors[3], *reloader, *caller;
    hosted_reply reply;
    host *h = new_host(arg != NULL);
    temporary_folder(folder);
    const char *path = path_in(folder, "hot" DLL_SUFFIX);
    EXPECT(copy_file(plugin_path("blocks"), path));
    hosted *p = load_path(h, path);
    EXPECT(copy_file(plugin_path("words_2"), path));
    visit_all(visitors, 3, p);
    EXPECT(pintle_spawn(&reloader, reload, p) == 0);
    if (arg != NULL) { /* refused as soon as it drains */
        int code;
        while ((code = hosted_call(p, "fine", 4, &reply, PINTLE_FOREVER)) == 0) hosted_reply_free(&reply);
        EXPECT(code == PINTLE_EBUSY && error_has("being changed"));
    } else { /* would wait as soon as it drains */
        while (hosted_call(p, "fine", 4, &reply, PINTLE_NOWAIT) != PINTLE_EAGAIN) hosted_reply_free(&reply);
        EXPECT(pintle_spawn(&caller, call_words_2, p) == 0);
    }
    EXPECT(hosted_reload(p, soon()) == PINTLE_EBUSY && error_has("somebody else"));
    EXPECT(hosted_version(p) == 1 && atomic_load(&let_go) == 0 && !atomic_load(&answered));
    helper_gate_open(&gate);
    EXPECT(helper_join_all(visitors, 3) == 0 && atomic_load(&let_go) == 3);
    EXPECT(pintle_join(reloader, PINTLE_FOREVER) == 0 && atomic_load(&reload_code) == 0);
    if (arg == NULL) EXPECT(pintle_join(caller, PINTLE_FOREVER) == 0);
    EXPECT(hosted_version(p) == 2 && says(p, "x", "1 words, version 2"));
    end(h);
    helper_gate_destroy(&gate);
    unlink(path);
    EXPECT(rmdir(folder) == 0);
    return 0;
}
static int drain_refusing_main(void *arg) {
    (void)arg;
    return drain_main(&gate);
}
CASE(reload_lets_old_calls_end_and_new_ones_wait) { run_tasks(drain_main, 2); }
CASE(reload_lets_new_calls_wait_with_one_processor_too) { run_tasks(drain_main, 1); }
CASE(reload_refuses_new_calls_where_that_is_asked_for) { run_tasks(drain_refusing_main, 2); }

static int late_main(void *arg) {
    char who[64];
    pintle_task *visitors[2];
    host *h = new_host(false);
    hosted *p = load(h, "blocks");
    (void)arg;
    visit_all(visitors, 2, p);
    snprintf(who, sizeof who, "task %llu 'visitor'", (unsigned long long)pintle_task_id(visitors[1]));
    int code;
    for (int64_t patience = PINTLE_MS(50);; patience *= 2) { /* until the load is faster than that */
        code = hosted_reload(p, pintle_after(patience));
        if (code != PINTLE_ETIMEDOUT) break;
    }
    EXPECT(code == PINTLE_EBUSY && error_has(who) && error_has("2 calls"));
    while (host_left(h) > 0) pintle_sleep(PINTLE_MS(1)); /* no event tells it */
    EXPECT(hosted_unload(p, pintle_after(PINTLE_MS(20))) == PINTLE_EBUSY && error_has(who));
    EXPECT(host_free(h, pintle_after(PINTLE_MS(20))) == PINTLE_EBUSY && error_has(who));
    EXPECT(hosted_version(p) == 1);
    call_fine(p);
    helper_gate_open(&gate);
    EXPECT(helper_join_all(visitors, 2) == 0 && atomic_load(&let_go) == 2);
    EXPECT(hosted_reload(p, soon()) == 0 && hosted_version(p) == 2);
    end(h);
    helper_gate_destroy(&gate);
    return 0;
}
CASE(reload_at_its_deadline_names_who_is_inside_and_changes_nothing) { run_tasks(late_main, 2); }

static int wrong_reload_main(void *arg) {
    char folder[HELPER_PATH_BYTES];
    host *h = new_host(false);
    (void)arg;
    temporary_folder(folder);
    const char *path = path_in(folder, "hot" DLL_SUFFIX);
    EXPECT(copy_file(plugin_path("words"), path));
    hosted *p = load_path(h, path);
    EXPECT(write_file(path, "no library", 10));
    EXPECT(hosted_reload(p, soon()) == PINTLE_EINVAL && error_has(path));
    EXPECT(says(p, "a", "1 words, version 1"));
    unlink(path);
    EXPECT(hosted_reload(p, soon()) == PINTLE_ENOTFOUND && error_has(path));
    EXPECT(says(p, "a", "1 words, version 1"));
    EXPECT(copy_file(plugin_path("fails_to_open"), path));
    EXPECT(hosted_reload(p, soon()) == PINTLE_EOS && error_has("'hot'") && error_has("1234"));
    EXPECT(says(p, "a", "1 words, version 1") && hosted_version(p) == 1);
    EXPECT(copy_file(plugin_path("words_2"), path));
    EXPECT(hosted_reload(p, soon()) == 0 && says(p, "a", "1 words, version 2") && hosted_version(p) == 2);
    end(h);
    unlink(path);
    rmdir(folder);
    return 0;
}
CASE(reload_of_a_file_that_cannot_serve_keeps_the_old_version) { run_tasks(wrong_reload_main, 2); }

static _Atomic bool storm;
static void call_on(void *p) {
    while (atomic_load(&storm)) {
        EXPECT(says(p, "a b", "2 words, version 1"));
        pintle_yield();
    }
}
static int storm_main(void *arg) {
    enum { CALLERS = 50, RELOADS = 20 };
    static pintle_task *tasks[CALLERS];
    host *h = new_host(false);
    hosted *p = load(h, "words");
    (void)arg;
    atomic_store(&storm, true);
    EXPECT(helper_spawn_all(tasks, CALLERS, call_on, p) == 0);
    for (int i = 0; i < RELOADS; i++) EXPECT(hosted_reload(p, soon()) == 0);
    atomic_store(&storm, false);
    EXPECT(helper_join_all(tasks, CALLERS) == 0);
    EXPECT(hosted_version(p) == 1 + RELOADS);
    end(h);
    return 0;
}
CASE_TIMEOUT(reloads_under_load_lose_no_call, 60) { run_tasks(storm_main, 2); }

/* ---- Plugins that misbehave ---- */

static void block_for_ever(void *p) { call(p, "for ever", "", PINTLE_FOREVER); }
static int blocked_main(void *arg) {
    host *h = new_host(false);
    hosted *p = load(h, "blocks"), *words = load(h, "words");
    hosted_reply reply;
    pintle_task_options options = {.name = "for ever"};
    (void)arg;
    for (int i = 0; i < 3; i++) EXPECT(pintle_spawn_with(NULL, block_for_ever, p, &options) == 0);
    while (atomic_load(&inside) < 3) pintle_yield();
    EXPECT(hosted_call(p, "for ever", 8, &reply, pintle_after(PINTLE_MS(20))) == PINTLE_ETIMEDOUT);
    EXPECT(error_has("'blocks'") && reply.data == NULL);
    call_fine(p); /* others go on, in the plugin too */
    EXPECT(says(words, "a b", "2 words, version 1"));
    EXPECT(hosted_unload(p, PINTLE_NOWAIT) == PINTLE_EBUSY && error_has("4 calls") && error_has("'for ever'"));
    EXPECT(hosted_unload(words, soon()) == 0);
    EXPECT(host_free(h, pintle_after(PINTLE_MS(5))) == PINTLE_EBUSY && error_has("'blocks'"));
    return 0; /* the runtime leaves the four behind */
}
CASE(plugin_that_blocks_for_ever_stops_nobody_and_is_named) { run_tasks(blocked_main, 2); }
CASE(plugin_that_blocks_for_ever_stops_nobody_with_one_processor) { run_tasks(blocked_main, 1); }

static void faults_once(hosted *p, const char *kind, const char *word) {
    hosted_reply reply;
    EXPECT(says(p, "fine", "fine"));
    int code = hosted_call(p, kind, strlen(kind), &reply, PINTLE_FOREVER);
    if (code != PINTLE_EFAULT) printf("%s: %d\n", kind, code);
    EXPECT(code == PINTLE_EFAULT && error_has(word));
    EXPECT(reply.data == NULL);
    EXPECT(hosted_call(p, "fine", 4, &reply, soon()) == PINTLE_EFAULT && error_has("out of service"));
    EXPECT(hosted_reload(p, soon()) == 0);
}
static int faults_main(void *arg) {
    host *h = new_host(false);
    hosted *p = load(h, "faults"), *words = load(h, "words");
    (void)arg;
    faults_once(p, "write", "access violation");
    faults_once(p, "divide", "division");
    faults_once(p, "illegal", "illegal instruction");
    faults_once(p, "overflow", "stack overflow");
#if defined(_WIN32)
    faults_once(p, "raise", "e0001234");
#endif
    EXPECT(says(p, "fine", "fine") && says(words, "a b", "2 words, version 1"));
    hosted_reply reply;
    EXPECT(hosted_call(p, "write", 5, &reply, soon()) == PINTLE_EFAULT && error_has("plugin_run"));
    EXPECT(hosted_unload(p, soon()) == 0);
    end(h);
    return 0;
}
static void faults_task(void *arg) { *(int *)arg = faults_main(NULL); }
static int faults_spawn_main(void *arg) { /* on a thread of the runtime's: the first one's stack may be without end */
    pintle_task *task;
    int result = 1;
    (void)arg;
    EXPECT(pintle_spawn(&task, faults_task, &result) == 0);
    EXPECT(pintle_join(task, PINTLE_FOREVER) == 0);
    return result;
}
CASE(plugin_that_faults_is_out_of_service_until_it_is_reloaded) { run_tasks(faults_spawn_main, 2); }

static int panics_main(void *arg) {
    host *h = new_host(false);
    hosted *p = load(h, "panics");
    hosted_reply reply;
    pintle_stats stats;
    (void)arg;
    for (int i = 0; i < 100; i++) {
        EXPECT(hosted_call(p, "panic", 5, &reply, i % 2 ? soon() : PINTLE_FOREVER) == PINTLE_EPANIC);
        EXPECT(error_has("'panics' asked for it") && reply.data == NULL);
        call_fine(p);
    }
    pintle_stats_get(&stats);
    EXPECT(stats.calls_in_flight == 0 || isolated);
    other = p;
    EXPECT(says(p, "unload", "what the call must not come back with, nor with this"));
    EXPECT(atomic_load(&other_code) == PINTLE_EBUSY); /* from inside itself */
    other = load(h, "words");
    EXPECT(says(p, "call", "what the call must not come back with, nor with this"));
    EXPECT(atomic_load(&other_code) == 0);
    end(h);
    return 0;
}
CASE(plugin_whose_question_panics_loses_the_call_only) { run_tasks(panics_main, 2); }

static int threads_main(void *arg) {
    host *h = new_host(false);
    hosted *p = load(h, "starts_threads");
    (void)arg;
    EXPECT(says(p, "name", "8 the test"));
    EXPECT(says(p, "panic", "-3 ")); /* on the plugin's thread there is no call to end */
    EXPECT(says(p, "what?", "-3 "));
    EXPECT(hosted_reload(p, soon()) == 0);
    EXPECT(says(p, "name", "8 the test"));
    EXPECT(hosted_unload(p, soon()) == 0);
    EXPECT(atomic_load(&asked_by_threads) == 2 * 4 * 100);
    end(h);
    return 0;
}
CASE(plugin_whose_threads_call_back_is_answered) { run_tasks(threads_main, 2); }
CASE(plugin_whose_threads_call_back_is_answered_with_one_processor) { run_tasks(threads_main, 1); }

static int stuck_main(void *arg) {
    char name[32];
    hosted *p = NULL;
    host *h = new_host(false);
    hosted *words = load(h, "words");
    (void)arg;
    helper_gate_init(&gate);
#if defined(_WIN32)
    snprintf(name, sizeof name, "%llu", (unsigned long long)(uintptr_t)gate.event);
#else
    snprintf(name, sizeof name, "%d", gate.ends[0]);
#endif
    helper_set_environment("PINTLE_TEST_STUCK", name);
    EXPECT(hosted_load(&p, h, plugin_path("stuck_start"), pintle_after(PINTLE_MS(50))) == PINTLE_ETIMEDOUT);
    EXPECT(p == NULL && error_has("'stuck_start'") && error_has("start"));
    EXPECT(host_left(h) == 1);
    for (int i = 0; i < 100; i++) EXPECT(says(words, "a b", "2 words, version 1"));
    EXPECT(host_free(h, PINTLE_NOWAIT) == PINTLE_EBUSY);
    helper_gate_open(&gate);
    while (host_left(h) > 0) pintle_sleep(PINTLE_MS(1)); /* no event tells it */
    EXPECT(says(load(h, "stuck_start"), "", "started"));
    end(h);
    helper_gate_destroy(&gate);
    return 0;
}
CASE(plugin_whose_start_blocks_is_left_to_itself) { run_tasks(stuck_main, 2); }

static int stuck_for_ever_main(void *arg) {
    hosted *p;
    host *h = new_host(false);
    hosted *words = load(h, "words");
    (void)arg;
    helper_set_environment("PINTLE_TEST_STUCK", "for ever");
    if (hosted_load(&p, h, plugin_path("stuck_start"), pintle_after(PINTLE_MS(50))) != PINTLE_ETIMEDOUT) host_exit(90);
    if (!says(words, "a b", "2 words, version 1") || host_left(h) != 1) host_exit(91);
    printf("others go on\n");
    fflush(stdout);
    host_exit(7);
}
CHILD(stuck_for_ever) { exit(helper_run(stuck_for_ever_main, NULL, 2)); }
CASE(host_ends_while_a_start_blocks_for_ever) {
    char text[4096];
    int status = child_run("stuck_for_ever", text, sizeof text);
    ck_assert_msg(status == 7 && strstr(text, "others go on") != NULL, "%d %s", status, text);
}

static int refused_main(void *arg) {
    char folder[HELPER_PATH_BYTES];
    host *h = new_host(false);
    (void)arg;
    temporary_folder(folder);
#if defined(_WIN32)
    EXPECT(fails(h, plugin_path("fails_to_start"), PINTLE_EOS, "DllMain"));
#else
    EXPECT(fails(h, plugin_path("fails_to_start"), PINTLE_EOS, "1234"));
#endif
    EXPECT(fails(h, plugin_path("fails_to_open"), PINTLE_EOS, "1234"));
    EXPECT(fails(h, plugin_path("other_interface"), PINTLE_ENOTSUP, "interface 2"));
    EXPECT(fails(h, test_dll_path("plugin_a"), PINTLE_ENOTSUP, "'plugin_interface'"));
    EXPECT(fails(h, "words" DLL_SUFFIX, PINTLE_EINVAL, "absolute"));
    EXPECT(fails(h, plugin_path("nowhere"), PINTLE_ENOTFOUND, "nowhere"));
    const char *path = path_in(folder, "needs_other" DLL_SUFFIX), *needed = path_in(folder, NEEDED);
    EXPECT(copy_file(plugin_path("needs_other"), path));
    EXPECT(fails(h, path, PINTLE_ENOTFOUND, "'" NEEDED "'"));
    EXPECT(copy_file(plugin_path("needed"), needed));
    hosted *p = load_path(h, path);
    EXPECT(p != NULL && says(p, "", "answer 1"));
    end(h);
    unlink(path);
    unlink(needed);
    rmdir(folder);
    return 0;
}
CASE(plugins_that_cannot_start_are_refused_by_name) { run_tasks(refused_main, 2); }

/* A real one where there is one; else the head of one, which is all that is looked at. */
static int of_32_bits_main(void *arg) {
    host *h = new_host(false);
    (void)arg;
#if defined(TEST_DLL_32)
    EXPECT(fails(h, TEST_DLL_32, PINTLE_EINVAL, "32-bit"));
#elif !defined(_WIN32)
    unsigned char head[512] = {127, 'E', 'L', 'F', 1, 1, 1, [16] = 3, [18] = 3, [20] = 1};
    char folder[HELPER_PATH_BYTES];
    temporary_folder(folder);
    const char *path = path_in(folder, "of_32_bits" DLL_SUFFIX);
    EXPECT(write_file(path, head, sizeof head));
    EXPECT(fails(h, path, PINTLE_EINVAL, "32-bit"));
    unlink(path);
    rmdir(folder);
#endif
    end(h);
    return 0;
}
CASE(plugin_of_32_bits_is_refused_as_such) { run_tasks(of_32_bits_main, 2); }

static int often_main(void *arg) {
    host *h = new_host(false);
    (void)arg;
    for (int i = 0; i < 50; i++) {
        hosted *p = load(h, "words");
        EXPECT(says(p, "a", "1 words, version 1"));
        EXPECT(hosted_unload(p, soon()) == 0);
    }
    end(h);
    return 0;
}
CASE(plugin_is_loaded_and_unloaded_often) { run_tasks(often_main, 2); }

/* ---- The same in processes of their own ---- */

CASE(isolated_plugins_of_a_folder_are_loaded_called_and_unloaded) {
    isolated = true;
    run_tasks(folder_main, 2);
    ck_assert(was_told("greet 3: greet has begun"));
}
CASE(isolated_calls_of_1000_tasks_get_their_own_replies) {
    isolated = true;
    run_tasks(many_main, 2);
}
CASE(isolated_reload_of_a_file_that_cannot_serve_keeps_the_old_version) {
    isolated = true;
    run_tasks(wrong_reload_main, 2);
}
CASE_TIMEOUT(isolated_reloads_under_load_lose_no_call, 60) {
    isolated = true;
    run_tasks(storm_main, 2);
}
CASE(isolated_plugin_whose_question_panics_loses_the_call_only) {
    isolated = true;
    run_tasks(panics_main, 2);
}
CASE(isolated_plugin_whose_threads_call_back_is_answered) {
    isolated = true;
    run_tasks(threads_main, 1);
}
CASE(isolated_plugins_that_cannot_start_are_refused_by_name) {
    isolated = true;
    run_tasks(refused_main, 2);
}
CASE(isolated_plugin_of_32_bits_is_refused_as_such) {
    isolated = true;
    run_tasks(of_32_bits_main, 2);
}

/* It may be down for a while. */
static void call_fine_when_it_is_up(hosted *p) {
    int code;
    int64_t patience = soon();
    while ((code = call(p, "fine", "fine", PINTLE_FOREVER)) == PINTLE_ECLOSED && pintle_now() < patience)
        pintle_sleep(PINTLE_MS(5));
    EXPECT(code == 0);
}

static void expect_closed(hosted *p, const char *request, const char *word) {
    hosted_reply reply;
    EXPECT(hosted_call(p, request, strlen(request), &reply, PINTLE_FOREVER) == PINTLE_ECLOSED && error_has(word));
    EXPECT(reply.data == NULL);
}
static void block_until_it_dies(void *p) { expect_closed(p, "block", "ended with status 7"); }

static int dies_main(void *arg) {
    pintle_task *tasks[5];
    host *h = new_host(false);
    hosted *p = load(h, "dies"), *words = load(h, "words");
    (void)arg;
    for (int i = 0; i < 3; i++) {
        uint64_t process = hosted_process(p);
        EXPECT(process != 0 && process != hosted_process(words));
        atomic_store(&inside, 0);
        EXPECT(helper_spawn_all(tasks, 5, block_until_it_dies, p) == 0);
        while (atomic_load(&inside) < 5) pintle_yield();
        expect_closed(p, "exit", "ended with status 7"); /* and those who are inside too */
        EXPECT(helper_join_all(tasks, 5) == 0);
        call_fine_when_it_is_up(p);
        EXPECT(hosted_process(p) != process && hosted_version(p) == 1);
    }
    EXPECT(was_told("'dies' ended with status 7; it is started again in 0.0 s"));
    EXPECT(was_told("again in 0.1 s") && was_told("again in 0.2 s"));
    EXPECT(says(words, "a b", "2 words, version 1"));
#if !defined(_WIN32)
    expect_closed(p, "nonsense", "'dies' was ended by signal 9");
    call_fine_when_it_is_up(p);
#endif
    end(h);
    return 0;
}
CASE(isolated_plugin_whose_process_ends_is_started_again) {
    isolated = true;
    run_tasks(dies_main, 2);
}

static int keeps_dying_main(void *arg) {
    hosted_reply reply;
    host *h = new_host(false);
    hosted *p = load(h, "dies");
    (void)arg;
    helper_set_environment("PINTLE_TEST_DIES", "yes");
    expect_closed(p, "exit", "status 7");
    for (int i = 0; i < 3; i++) {
        expect_closed(p, "fine", "status 8"); /* while it starts, or in a pause */
        pintle_sleep(PINTLE_MS(60));
    }
    helper_set_environment("PINTLE_TEST_DIES", NULL);
    EXPECT(hosted_call(p, "exit", 4, &reply, pintle_after(PINTLE_MS(1))) != 0); /* down, or too soon */
    call_fine_when_it_is_up(p);
    EXPECT(hosted_reload(p, soon()) == 0 && hosted_version(p) == 2);
    call_fine(p);
    EXPECT(hosted_unload(p, soon()) == 0 && hosted_process(p) == 0);
    end(h);
    return 0;
}
CASE(isolated_plugin_that_keeps_ending_is_down_until_it_does_not) {
    isolated = true;
    run_tasks(keeps_dying_main, 2);
}

static int isolated_faults_main(void *arg) {
    static const char *const kinds[][2] = {{"write", "access violation"},
                                           {"divide", "division"},
                                           {"illegal", "illegal instruction"},
                                           {"overflow", "stack overflow"}};
    hosted_reply reply;
    host *h = new_host(false);
    hosted *p = load(h, "faults");
    (void)arg;
    for (size_t i = 0; i < ELEMENTS(kinds); i++) {
        EXPECT(hosted_call(p, kinds[i][0], strlen(kinds[i][0]), &reply, PINTLE_FOREVER) == PINTLE_EFAULT);
        EXPECT(error_has(kinds[i][1]) && reply.data == NULL);
        call_fine_when_it_is_up(p); /* without a reload */
        EXPECT(was_told("the process of plugin 'faults' has faulted: ") && was_told(kinds[i][1]));
    }
    end(h);
    return 0;
}
CASE(isolated_plugin_that_faults_is_started_again) {
    isolated = true;
    run_tasks(isolated_faults_main, 2);
}

static void block_until_it_is_ended(void *p) {
    hosted_reply reply;
    EXPECT(hosted_call(p, "for ever", 8, &reply, PINTLE_FOREVER) == PINTLE_ECLOSED && reply.data == NULL);
}
static int isolated_blocked_main(void *arg) {
    pintle_task *tasks[3];
    hosted_reply reply;
    pintle_task_options options = {.name = "for ever"};
    host *h = new_host(false);
    hosted *p = load(h, "blocks"), *words = load(h, "words");
    (void)arg;
    for (int round = 0; round < 2; round++) {
        atomic_store(&inside, 0);
        for (int i = 0; i < 3; i++) EXPECT(pintle_spawn_with(&tasks[i], block_until_it_is_ended, p, &options) == 0);
        while (atomic_load(&inside) < 3) pintle_yield();
        EXPECT(hosted_call(p, "for ever", 8, &reply, pintle_after(PINTLE_MS(20))) == PINTLE_ETIMEDOUT);
        call_fine(p);
        EXPECT(says(words, "a b", "2 words, version 1"));
        EXPECT((round == 0 ? hosted_reload : hosted_unload)(p, pintle_after(PINTLE_S(2))) == 0);
        EXPECT(helper_join_all(tasks, 3) == 0);
        EXPECT(was_told("3 calls are inside it: task") && was_told("'for ever'") && was_told("its process is ended"));
        if (round == 0) EXPECT(hosted_version(p) == 2);
    }
    end(h);
    return 0;
}
CASE(isolated_plugin_that_blocks_for_ever_is_ended_at_the_deadline) {
    isolated = true;
    run_tasks(isolated_blocked_main, 2);
}

static int isolated_stuck_main(void *arg) {
    hosted *p = NULL;
    host *h = new_host(false);
    hosted *words = load(h, "words");
    (void)arg;
    helper_set_environment("PINTLE_TEST_STUCK", "for ever");
    EXPECT(hosted_load(&p, h, plugin_path("stuck_start"), pintle_after(PINTLE_MS(300))) == PINTLE_ETIMEDOUT);
    EXPECT(p == NULL && error_has("'stuck_start'") && host_left(h) == 0);
    EXPECT(says(words, "a b", "2 words, version 1"));
    end(h);
    return 0;
}
CASE(isolated_plugin_whose_start_blocks_is_ended) {
    isolated = true;
    run_tasks(isolated_stuck_main, 2);
}

static bool process_is_there(uint64_t id) {
#if defined(_WIN32)
    HANDLE process = OpenProcess(SYNCHRONIZE, FALSE, (DWORD)id);
    bool there = process != NULL && WaitForSingleObject(process, 0) == WAIT_TIMEOUT;
    if (process != NULL) CloseHandle(process);
    return there;
#else
    char path[64];
    snprintf(path, sizeof path, "/proc/%llu/exe", (unsigned long long)id);
    return access(path, F_OK) == 0; /* not that of one that has ended and was not waited for */
#endif
}
static int host_dies_main(void *arg) {
    (void)arg;
    hosted *p = load(new_host(false), "blocks");
    pintle_spawn(NULL, block_for_ever, p);
    while (atomic_load(&inside) < 1) pintle_yield();
    printf("process %llu.\n", (unsigned long long)hosted_process(p));
    fflush(stdout);
    host_exit(7);
}
CHILD(host_dies) {
    isolated = true;
    exit(helper_run(host_dies_main, NULL, 2));
}
CASE(isolated_plugins_end_with_their_host) {
    char text[4096];
    unsigned long long id = 0;
    int status = child_run("host_dies", text, sizeof text);
    const char *at = strstr(text, "process ");
    ck_assert_msg(status == 7 && at != NULL && sscanf(at, "process %llu.", &id) == 1, "%d %s", status, text);
    while (process_is_there(id)) pintle_sleep(PINTLE_MS(1)); /* the watchdog ends this */
}

/* ---- What may be loaded ---- */

/* By the host: no decoy, wherever it lies, with and without what is needed beside the plugin. */
static int decoy_main(void *folder) {
    host *h = new_host(false);
    const char *path = path_in(folder, "needs_other" DLL_SUFFIX), *needed = path_in(folder, NEEDED);
    EXPECT(copy_file(plugin_path("needs_other"), path));
    EXPECT(fails(h, path, PINTLE_ENOTFOUND, "'" NEEDED "'"));
    EXPECT(copy_file(plugin_path("needed"), needed));
    hosted *p = load_path(h, path);
    EXPECT(p != NULL && says(p, "", "answer 1"));
    EXPECT(p != NULL && hosted_reload(p, soon()) == 0 && says(p, "", "answer 1"));
    EXPECT(fails(h, NEEDED, PINTLE_EINVAL, "absolute")); /* though the current folder has one of that name */
    EXPECT(fails(h, "." SLASH NEEDED, PINTLE_EINVAL, "absolute"));
    end(h);
    unlink(path);
    unlink(needed);
    return 0;
}
CASE(decoys_in_current_folder_path_and_program_folder_are_not_loaded) {
    char folder[HELPER_PATH_BYTES];
    temporary_folder(folder);
    scene_set(NEEDED);
    int status = helper_run(decoy_main, folder, 2);
    bool loaded = decoy_was_loaded();
    scene_clear();
    rmdir(folder);
    assert_nothing_wrong();
    ck_assert_int_eq(status, 0);
    ck_assert(!loaded);
}

static void hex_of(const char *path, char out_hex[65]) {
    unsigned char digest[SHA256_BYTES] = {0};
    held file = 0;
    EXPECT(allow_hold(&file, path) == 0 && allow_hash(file, digest) == 0);
    allow_release(file);
    for (int i = 0; i < SHA256_BYTES; i++) snprintf(out_hex + 2 * i, 3, "%02x", digest[i]);
}

/* A list with these two files' hashes and names; either may be NULL. */
static void write_list(const char *list, const char *format, const char *one, const char *two) {
    char text[512] = "", hex[65];
    const char *paths[] = {one, two};
    for (int i = 0; i < 2; i++) {
        if (paths[i] == NULL) continue;
        hex_of(paths[i], hex);
        snprintf(text + strlen(text), sizeof text - strlen(text), format, hex, strrchr(paths[i], SLASH[0]) + 1);
    }
    EXPECT(write_file(list, text, strlen(text)));
}

static int allow_main(void *folder) {
    char hex[65];
    char path[HELPER_PATH_BYTES], needed[HELPER_PATH_BYTES], list[HELPER_PATH_BYTES];
    snprintf(path, sizeof path, "%s", path_in(folder, "needs_other" DLL_SUFFIX));
    snprintf(needed, sizeof needed, "%s", path_in(folder, NEEDED));
    snprintf(list, sizeof list, "%s", path_in(folder, "plugins.sha256"));
    allow_list = list;
    host *h = new_host(false);
    EXPECT(copy_file(plugin_path("needs_other"), path) && copy_file(plugin_path("needed"), needed));

    EXPECT(write_file(list, "abc", 3)); /* FIPS 180-4's text */
    hex_of(list, hex);
    EXPECT(strcmp(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad") == 0);
    EXPECT(fails(h, path, PINTLE_EINVAL, "line 1 of"));
    unlink(list);
    EXPECT(fails(h, path, PINTLE_ENOTFOUND, "plugins.sha256"));
    write_list(list, "%s  %s\n", NULL, needed);
    EXPECT(fails(h, path, PINTLE_EACCES, "does not list it"));
    write_list(list, "%s  %s\n", path, NULL); /* it lies there, but must not be loaded */
    EXPECT(fails(h, path, PINTLE_ENOTFOUND, "'" NEEDED "'"));
    EXPECT(write_file(list, "x", 1));
    write_list(list, "%s  ../%s\n", path, needed);
    EXPECT(fails(h, path, PINTLE_EINVAL, "line 1 of"));
    write_list(list, "%s *%s\r\n\r\n", path,
               needed); /* as sha256sum writes binary files, and editors the ends of lines */
    hosted *p = load_path(h, path);
    EXPECT(p != NULL && says(p, "", "answer 1"));
    EXPECT(hosted_reload(p, soon()) == 0 && says(p, "", "answer 1"));
    EXPECT(hosted_unload(p, soon()) == 0); /* on Windows else what is needed stays in the process, by its name */

    EXPECT(copy_file(test_dll_path("decoy"), needed)); /* another, under a listed name */
    EXPECT(fails(h, path, PINTLE_EACCES, NEEDED));
    EXPECT(copy_file(plugin_path("needed"), needed) && copy_file(plugin_path("words"), path));
    EXPECT(fails(h, path, PINTLE_EACCES, "needs_other"));
    end(h);
    allow_list = NULL;
    unlink(path);
    unlink(needed);
    unlink(list);
    return 0;
}
CASE(only_what_the_list_allows_is_loaded) {
    char folder[HELPER_PATH_BYTES];
    temporary_folder(folder);
    int status = helper_run(allow_main, folder, 2);
    ck_assert(!decoy_was_loaded());
    ck_assert_int_eq(rmdir(folder), 0);
    assert_nothing_wrong();
    ck_assert_int_eq(status, 0);
}

/* What was checked cannot be exchanged before it is loaded: not at all on Windows; elsewhere its folder is ours alone. */
static int held_main(void *folder) {
    char hex[65], again[65];
    unsigned char digest[SHA256_BYTES];
    held file;
    const char *path = path_in(folder, "held");
    (void)folder;
    EXPECT(write_file(path, "abc", 3));
    hex_of(path, hex);
    EXPECT(allow_hold(&file, path) == 0);
#if defined(_WIN32)
    EXPECT(!write_file(path, "abd", 3) && unlink(path) != 0);
#else
    struct stat status;
    EXPECT(unlink(path) == 0 && write_file(path, "abd", 3)); /* another file: what is held is as it was */
    EXPECT(allow_make_folder(again, sizeof again) == 0 && stat(again, &status) == 0 && (status.st_mode & 077) == 0);
    allow_remove_folder(again);
#endif
    EXPECT(allow_hash(file, digest) == 0);
    for (int i = 0; i < SHA256_BYTES; i++) snprintf(again + 2 * i, 3, "%02x", digest[i]);
    EXPECT(strcmp(hex, again) == 0);
    allow_release(file);
    EXPECT(unlink(path) == 0);
    return 0;
}
CASE(what_was_checked_cannot_be_exchanged) {
    char folder[HELPER_PATH_BYTES];
    temporary_folder(folder);
    int status = helper_run(held_main, folder, 2);
    rmdir(folder);
    assert_nothing_wrong();
    ck_assert_int_eq(status, 0);
}
