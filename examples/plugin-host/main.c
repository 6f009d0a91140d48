/* main.c: a host of plugins: loads those of a folder, calls each from 1,000 tasks, and reloads each meanwhile.
 *
 *     plugin-host FOLDER [--isolated]
 *
 * With --isolated each plugin is in a process of its own, which is this program again.
 * Exit status 0: every call was answered, by the old version or by the new. */
#include "host.h"

#include "files.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TASKS = 1000, CALLS = 10 };

static host *the_host;
static atomic_uint answers, failures;

static int64_t on_ask(void *user, const char *plugin, const void *question, size_t bytes, void *out, size_t out_bytes) {
    (void)user;
    if (bytes != 4 || memcmp(question, "name", 4) != 0 || out_bytes < 7)
        pintle_panic("%s asks for what is not", plugin);
    memcpy(out, "Pintle", 6);
    return 6;
}

static void on_log(void *user, const char *plugin, int level, const char *text) {
    (void)user;
    printf("  %s (%d): %s\n", plugin, level, text);
}

static int complain(const char *what) {
    pintle_error error;
    pintle_error_get(&error);
    fprintf(stderr, "%s: %s\n", what, error.text);
    return 1;
}

static int load(void *arg, const char *path) {
    hosted *p;
    (void)arg;
    return hosted_load(&p, the_host, path, pintle_after(PINTLE_S(10))) == 0 ? 0 : complain("not loaded");
}

static void call_often(void *plugin) {
    hosted_reply reply;
    for (int i = 0; i < CALLS; i++) {
        if (hosted_call(plugin, "a b c", 5, &reply, PINTLE_FOREVER) != 0) {
            complain("not answered");
            atomic_fetch_add(&failures, 1);
            continue;
        }
        atomic_fetch_add(&answers, 1);
        if (i == 0 && atomic_load(&answers) % TASKS == 1) printf("  it says: %s\n", (char *)reply.data);
        hosted_reply_free(&reply);
    }
}

static int run(hosted *p) {
    static pintle_task *tasks[TASKS];
    int64_t start_ns = pintle_now();
    printf("%s\n", hosted_name(p));
    for (int i = 0; i < TASKS; i++)
        if (pintle_spawn(&tasks[i], call_often, p) != 0) return complain("no task");
    int code = hosted_reload(p, pintle_after(PINTLE_S(30)));
    for (int i = 0; i < TASKS; i++) pintle_join(tasks[i], PINTLE_FOREVER);
    if (code != 0) return complain("not reloaded");
    printf("  version %u after %.1f ms\n", hosted_version(p), (double)(pintle_now() - start_ns) / 1e6);
    return 0;
}

static bool isolated;

static int main_task(void *folder) {
    host_options options = {.ask = on_ask, .log = on_log, .isolated = isolated};
    unsigned plugins = 0;
    if (host_new(&the_host, &options) != 0) return complain("no host");
    if (files_each_plugin(folder, load, NULL) != 0) return complain(folder);
    for (hosted *p = hosted_next(the_host, NULL); p != NULL; p = hosted_next(the_host, p), plugins++)
        if (run(p) != 0) return 1;
    if (host_free(the_host, pintle_after(PINTLE_S(10))) != 0) return complain("not unloaded");
    printf("%u plugins, %u answers, %u failures\n", plugins, atomic_load(&answers), atomic_load(&failures));
    return plugins > 0 && atomic_load(&failures) == 0 && atomic_load(&answers) == plugins * TASKS * CALLS ? 0 : 1;
}

int main(int argc, char **argv) {
    int status = host_child(argc, argv);
    if (status >= 0) return status;
    isolated = argc == 3 && strcmp(argv[2], "--isolated") == 0;
    if (argc != 2 && !isolated) {
        fprintf(stderr, "plugin-host FOLDER [--isolated]: the absolute path of a folder of plugins\n");
        return 2;
    }
    return pintle_run(main_task, argv[1], NULL);
}
