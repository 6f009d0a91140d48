/* loaded.c: a plugin in this process: its DLL as a private copy whose faults end the call, and thunks for what it asks.
 *
 * Everything of the plugin's that may block for ever is run by run_until; then whoever began it must not touch the
 * version again: loaded_drop frees it when that has ended. */
#include "allow.h"
#include "host_parts.h"

typedef struct loaded {
    hosted *plugin;
    char path[HOST_PATH_BYTES];
    allowed *allowed; /* NULL: there is no allow-list */
    pintle_dll *dll;
    pintle_proc *interface, *open, *run, *close;
    pintle_thunk *log, *reply, *ask;
    plugin_host table;
    void *state;
    bool opened;
} loaded;

static loaded *of(version *v) { return (loaded *)(void *)v; }

/* ---- Calls of the plugin ---- */

struct attempt {
    pintle_proc *proc;
    unsigned nargs;
    const uintptr_t *args;
    pintle_result result;
    int code;
};

static void attempt_run(void *arg) {
    struct attempt *a = arg;
    a->code = pintle_proc_try_call(a->proc, a->nargs, a->args, &a->result);
}

/* 0 and the function's value; EFAULT: it raised what it did not handle; EPANIC: what it asked the host panicked. */
static int attempt(const loaded *v, pintle_proc *proc, unsigned nargs, const uintptr_t *args, int *out_value) {
    struct attempt a = {.proc = proc, .nargs = nargs, .args = args};
    pintle_panic_info info;
    if (pintle_protect(attempt_run, &a, &info) != 0) {
        return pintle_error_set(PINTLE_EPANIC, info.os_code, "plugin '%s': what it asked its host ended in a panic: %s",
                                v->plugin->name, info.text);
    }
    *out_value = pintle_result_int(a.result);
    return a.code;
}

static int loaded_call(version *which, struct plugin_call *call) {
    loaded *v = of(which);
    const uintptr_t args[] = {(uintptr_t)v->state, (uintptr_t)call, (uintptr_t)call->request, call->request_bytes};
    atomic_store(&call->runner_id, pintle_task_id(pintle_self()));
    return attempt(v, v->run, 4, args, &call->reply.value);
}

/* ---- What it asks: on tasks that are in a call of it, and on threads of its own, as new tasks ---- */

static uintptr_t on_log(void *user, const uintptr_t *args) {
    const char *text = (const char *)args[1];
    host_log(((loaded *)user)->plugin, (int)(uint32_t)args[0], "%s", text == NULL ? "(null)" : text);
    return 0;
}

static uintptr_t on_reply(void *user, const uintptr_t *args) {
    (void)user;
    return (uintptr_t)(intptr_t)host_reply_add((struct plugin_call *)args[0], (const void *)args[1], (size_t)args[2]);
}

struct question {
    hosted *plugin;
    const uintptr_t *args;
    int64_t answer;
};

static void ask(void *arg) {
    struct question *q = arg;
    q->answer = host_ask(q->plugin, (const struct plugin_call *)q->args[0], (const void *)q->args[1],
                         (size_t)q->args[2], (void *)q->args[3], (size_t)q->args[4]);
}

/* A panic may cross the plugin only to where its call is protected: on this very task. */
static uintptr_t on_ask(void *user, const uintptr_t *args) {
    const struct plugin_call *call = (const struct plugin_call *)args[0];
    struct question q = {.plugin = ((loaded *)user)->plugin, .args = args};
    pintle_panic_info info;
    if (call != NULL && atomic_load(&call->runner_id) == pintle_task_id(pintle_self())) {
        ask(&q);
    } else if (pintle_protect(ask, &q, &info) != 0) {
        host_log(q.plugin, PLUGIN_LOG_ERROR, "what a thread of it asked ended in a panic: %s", info.text);
        q.answer = PLUGIN_REFUSED;
    }
    return (uintptr_t)q.answer;
}

static int make_thunks(loaded *v) {
    pintle_thunk_options log = {.size = sizeof log, .nargs = 2},
                         reply = {.size = sizeof reply, .nargs = 3, .closed_result = (uintptr_t)PLUGIN_GONE},
                         question = {.size = sizeof question, .nargs = 5, .closed_result = (uintptr_t)PLUGIN_GONE};
    int code = pintle_thunk_new_with(&v->log, on_log, v, &log);
    if (code == 0) code = pintle_thunk_new_with(&v->reply, on_reply, v, &reply);
    if (code == 0) code = pintle_thunk_new_with(&v->ask, on_ask, v, &question);
    if (code != 0) return code;
    v->table = (plugin_host){
        .size = sizeof v->table,
        .interface_version = PLUGIN_INTERFACE,
        .log = (void (*)(int, const char *))pintle_thunk_code(v->log),
        .reply = (int (*)(plugin_call *, const void *, size_t))pintle_thunk_code(v->reply),
        .ask = (int64_t(*)(plugin_call *, const void *, size_t, void *, size_t))pintle_thunk_code(v->ask)};
    return 0;
}

/* ---- Loading, opening, closing, unloading ---- */

static int find(const loaded *v, const char *name, pintle_proc **out) {
    if (pintle_dll_find(v->dll, name, out) == 0) return 0;
    return pintle_error_set(PINTLE_ENOTSUP, 0, "'%s' is no plugin of this host: it has no '%s' (plugin.h)", v->path,
                            name);
}

/* A checked copy is private already. */
static int open_dll(loaded *v) {
    const char *list = v->plugin->host->options.allow_list;
    if (list == NULL) return pintle_dll_open(&v->dll, v->path, PINTLE_DLL_PRIVATE_COPY | PINTLE_DLL_FAULTS_PANIC);
    int code = allowed_open(&v->allowed, v->path, list);
    if (code != 0) return code;
    code = pintle_dll_open(&v->dll, v->allowed->path, PINTLE_DLL_FAULTS_PANIC);
    allowed_loaded(v->allowed);
    if (code == 0) return 0;
    pintle_error error;
    pintle_error_get(&error);
    return pintle_error_set(error.code, error.os_code, "plugin '%s', of which only what is listed may be loaded: %.*s",
                            v->path, (int)sizeof error.text / 2, error.text);
}

static int load(void *arg) {
    loaded *v = arg;
    int made_for = 0;
    int code = open_dll(v);
    if (code == 0) code = find(v, "plugin_interface", &v->interface);
    if (code == 0) code = find(v, "plugin_open", &v->open);
    if (code == 0) code = find(v, "plugin_run", &v->run);
    if (code == 0) code = find(v, "plugin_close", &v->close);
    if (code == 0) code = attempt(v, v->interface, 0, NULL, &made_for);
    if (code == 0 && made_for != (int)PLUGIN_INTERFACE)
        code = pintle_error_set(PINTLE_ENOTSUP, 0, "plugin '%s' is for interface %d, this host has %u", v->path,
                                made_for, PLUGIN_INTERFACE);
    return code == 0 ? make_thunks(v) : code;
}

static int begin(void *arg) {
    loaded *v = arg;
    const uintptr_t args[] = {(uintptr_t)&v->table, (uintptr_t)&v->state};
    int value = 0, code = attempt(v, v->open, 2, args, &value);
    if (code == 0 && value != 0)
        code = pintle_error_set(PINTLE_EOS, value, "plugin '%s' could not begin: plugin_open gave %d", v->plugin->name,
                                value);
    v->opened = code == 0;
    return code;
}

static int end(void *arg) {
    loaded *v = arg;
    const uintptr_t args[] = {(uintptr_t)v->state};
    int nothing;
    v->opened = false;
    return attempt(v, v->close, 1, args, &nothing);
}

/* A thread that the plugin has left behind gets PLUGIN_GONE from the thunks, as long as it has code to run. */
static int unload(void *arg) {
    loaded *v = arg;
    if (v->log != NULL) pintle_thunk_retire(v->log);
    if (v->reply != NULL) pintle_thunk_retire(v->reply);
    if (v->ask != NULL) pintle_thunk_retire(v->ask);
    int code = v->dll == NULL ? 0 : pintle_dll_close(v->dll, PINTLE_FOREVER);
    allowed_close(v->allowed);
    return code;
}

/* What was left to itself has ended: whatever it is, the rest follows. */
static void drop(void *arg) {
    loaded *v = arg;
    host *h = v->plugin->host;
    if (v->opened) end(v);
    unload(v);
    free(v);
    host_left_add(h, -1);
}
static void drop_unloaded(void *arg) {
    host *h = ((loaded *)arg)->plugin->host;
    free(arg);
    host_left_add(h, -1);
}

/* One of the four, with a sentence for its time-out. */
static int until(loaded *v, pintle_main_fn *fn, const char *what, int64_t deadline_ns) {
    hosted *p = v->plugin;
    bool left;
    int code = run_until(fn, v, fn == unload ? drop_unloaded : drop, what, deadline_ns, &left);
    if (!left) return code;
    host_left_add(p->host, 1);
    return pintle_error_set(code, 0, "plugin '%s': its %s has not ended and is left to itself", p->name, what);
}

static int loaded_load(version **out, hosted *p, int64_t deadline_ns) {
    loaded *v = calloc(1, sizeof *v);
    if (v == NULL) return pintle_error_set(PINTLE_ENOMEM, 0, "no memory for plugin '%s'", p->path);
    v->plugin = p;
    snprintf(v->path, sizeof v->path, "%s", p->path);
    int code = until(v, load, "start", deadline_ns);
    if (code == 0) {
        *out = (version *)v;
    } else if (code != PINTLE_ETIMEDOUT && code != PINTLE_ECANCELED) {
        pintle_error error;
        pintle_error_get(&error);
        unload(v);
        free(v);
        error_again(&error);
    }
    return code;
}

static int loaded_open(version *v, int64_t deadline_ns) { return until(of(v), begin, "plugin_open", deadline_ns); }
static int loaded_close(version *v, int64_t deadline_ns) { return until(of(v), end, "plugin_close", deadline_ns); }

static int loaded_unload(version *which, int64_t deadline_ns) {
    loaded *v = of(which);
    int code = until(v, unload, "end", deadline_ns);
    if (code != PINTLE_ETIMEDOUT && code != PINTLE_ECANCELED) free(v);
    return code;
}

/* All calls inside, for free(); NULL: none, or no memory. */
static pintle_dll_caller *callers(version *which, size_t *out_count) {
    loaded *v = of(which);
    size_t count = 0;
    *out_count = 0;
    pintle_dll_callers(v->dll, NULL, 0, &count);
    pintle_dll_caller *all = count > 0 ? calloc(count, sizeof *all) : NULL;
    if (all != NULL && pintle_dll_callers(v->dll, all, count, out_count) == 0 && *out_count > count) *out_count = count;
    return all;
}

static size_t loaded_inside(version *which, char *out_text, size_t text_bytes) {
    size_t count, length = 0;
    pintle_dll_caller *all = callers(which, &count);
    for (size_t i = 0; i < count && length < text_bytes; i++)
        length += (size_t)snprintf(out_text + length, text_bytes - length, "%s task %llu '%s' in %s", i > 0 ? "," : "",
                                   (unsigned long long)all[i].task_id, all[i].task_name, all[i].function);
    free(all);
    return count;
}

static bool loaded_has(version *which, uint64_t task_id) {
    size_t count;
    bool found = false;
    pintle_dll_caller *all = callers(which, &count);
    for (size_t i = 0; i < count; i++) found |= all[i].task_id == task_id;
    free(all);
    return found;
}

const backend backend_loaded = {loaded_load, loaded_open, loaded_call,   loaded_close, loaded_unload,
                                NULL,        NULL,        loaded_inside, loaded_has};
