/* host.c: the plugins of a host: their states, their calls, DRAIN on the way to another version or to none.
 *
 * A plugin serves, changes or is closed. Who loads, reloads or unloads it is `busy`, alone; while it changes no call is in
 * the plugin, and its version belongs to who is busy. A call counts itself, then looks at the state; who drains sets the
 * state, then waits for the count: one of the two sees the other. So calls need no lock. */
#include "files.h"
#include "host_parts.h"

#define RELOAD_MORE_NS PINTLE_S(10)

/* ---- The host ---- */

int host_new(host **out, const host_options *options) {
    host *h = calloc(1, sizeof *h);
    if (h == NULL) return pintle_error_set(PINTLE_ENOMEM, 0, "no memory for a host of plugins");
    if (options != NULL) h->options = *options;
    if (h->options.reply_most_bytes == 0) h->options.reply_most_bytes = 16u << 20;
    h->backend = h->options.isolated ? &backend_isolated : &backend_loaded;
    *out = h;
    return 0;
}

void host_left_add(host *h, int n) {
    pintle_mutex_lock(&h->lock, PINTLE_FOREVER);
    h->left += n;
    pintle_cond_broadcast(&h->left_changed);
    pintle_mutex_unlock(&h->lock);
}

static unsigned left_locked(const host *h) { return h->left > 0 ? (unsigned)h->left : 0; }

unsigned host_left(host *h) {
    pintle_mutex_lock(&h->lock, PINTLE_FOREVER);
    unsigned left = left_locked(h);
    pintle_mutex_unlock(&h->lock);
    return left;
}

int host_free(host *h, int64_t deadline_ns) {
    pintle_error first = {0};
    for (hosted *p = h->first; p != NULL; p = p->next) {
        int code = hosted_unload(p, deadline_ns);
        if (code != 0 && code != PINTLE_ECLOSED && first.code == 0) pintle_error_get(&first);
    }
    if (first.code != 0) return pintle_error_set(PINTLE_EBUSY, first.os_code, "%s", first.text);
    int code = 0;
    pintle_mutex_lock(&h->lock, PINTLE_FOREVER);
    while (code == 0 && left_locked(h) > 0) code = pintle_cond_wait(&h->left_changed, &h->lock, deadline_ns);
    unsigned left = left_locked(h);
    pintle_mutex_unlock(&h->lock);
    if (left > 0) return pintle_error_set(PINTLE_EBUSY, 0, "%u plugins have not ended what they were left to", left);
    while (h->first != NULL) {
        hosted *p = h->first;
        h->first = p->next;
        free(p);
    }
    free(h);
    return 0;
}

void host_log(hosted *p, int level, const char *format, ...) {
    char text[1024];
    const host_options *options = &p->host->options;
    va_list arguments;
    if (options->log == NULL) return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    options->log(options->user, p->name, level, text);
}

int64_t host_ask(hosted *p, const struct plugin_call *call, const void *question, size_t bytes, void *out_answer,
                 size_t answer_bytes) {
    const host_options *options = &p->host->options;
    if (p->host->ask_for != NULL) return p->host->ask_for(call, question, bytes, out_answer, answer_bytes);
    if (options->ask == NULL) return PLUGIN_REFUSED;
    return options->ask(options->user, p->name, question, bytes, out_answer, answer_bytes);
}

int host_reply_add(struct plugin_call *call, const void *data, size_t bytes) {
    hosted_reply *reply = &call->reply;
    if (bytes > call->plugin->host->options.reply_most_bytes - reply->bytes) return PLUGIN_TOO_LARGE;
    char *grown = realloc(reply->data, reply->bytes + bytes + 1); /* and a NUL behind it, for text */
    if (grown == NULL) return PLUGIN_NO_MEMORY;
    if (bytes > 0) memcpy(grown + reply->bytes, data, bytes);
    reply->data = grown;
    reply->bytes += bytes;
    grown[reply->bytes] = '\0';
    return 0;
}

void hosted_reply_free(hosted_reply *reply) {
    free(reply->data);
    *reply = (hosted_reply){0};
}

hosted *hosted_next(host *h, hosted *previous) {
    pintle_mutex_lock(&h->lock, PINTLE_FOREVER);
    hosted *p = previous == NULL ? h->first : previous->next;
    pintle_mutex_unlock(&h->lock);
    return p;
}

hosted *hosted_find(host *h, const char *name) {
    hosted *p = NULL;
    while ((p = hosted_next(h, p)) != NULL && strcmp(p->name, name) != 0) {}
    return p;
}

const char *hosted_name(const hosted *p) { return p->name; }

unsigned hosted_version(hosted *p) { return atomic_load(&p->number); }

uint64_t hosted_process(hosted *p) {
    uint64_t id = 0;
    pintle_mutex_lock(&p->lock, PINTLE_FOREVER);
    if (atomic_load(&p->state) == HOSTED_SERVES && p->version != NULL && p->host->backend->process != NULL)
        id = p->host->backend->process(p->version);
    pintle_mutex_unlock(&p->lock);
    return id;
}

/* ---- Calls ---- */

/* Counts the call if the plugin serves. */
static bool call_try_enter(struct plugin_call *call) {
    hosted *p = call->plugin;
    pintle_group_add(&p->inside, 1);
    atomic_thread_fence(memory_order_seq_cst); /* pairs with the one in drain */
    if (atomic_load(&p->state) == HOSTED_SERVES && !atomic_load(&p->faulted)) {
        call->version = p->version;
        return true;
    }
    pintle_group_done(&p->inside);
    return false;
}

/* Waits until the plugin serves. */
static int call_enter(struct plugin_call *call, int64_t deadline_ns) {
    hosted *p = call->plugin;
    int code = 0;
    while (!call_try_enter(call)) {
        pintle_mutex_lock(&p->lock, PINTLE_FOREVER);
        while (code == 0 && atomic_load(&p->state) == HOSTED_CHANGES) {
            code = p->host->options.refuse_while_changing
                       ? pintle_error_set(PINTLE_EBUSY, 0, "plugin '%s' is being changed", p->name)
                       : pintle_cond_wait(&p->changed, &p->lock, deadline_ns);
        }
        if (code == 0 && atomic_load(&p->state) == HOSTED_CLOSED)
            code = pintle_error_set(PINTLE_ECLOSED, 0, "plugin '%s' is not loaded", p->name);
        else if (code == 0 && atomic_load(&p->faulted))
            code = pintle_error_set(PINTLE_EFAULT, 0, "plugin '%s' has faulted and is out of service: reload it",
                                    p->name);
        pintle_mutex_unlock(&p->lock);
        if (code != 0) return code;
    }
    return 0;
}

static int call_run(void *arg) {
    struct plugin_call *call = arg;
    hosted *p = call->plugin;
    const backend *b = p->host->backend;
    int code = b->call(call->version, call);
    if (code == PINTLE_EFAULT && b->kill == NULL) atomic_store(&p->faulted, true);
    pintle_group_done(&p->inside); /* the last that touches the plugin */
    return code;
}

/* A call with a deadline, and a copy of its request behind it: they may outlive the caller's. */
static void call_drop(void *arg) {
    struct plugin_call *call = arg;
    free(call->reply.data);
    free(call);
}

static int call_until(struct plugin_call *plan, hosted_reply *out) {
    bool left = false;
    struct plugin_call *call = malloc(sizeof *call + plan->request_bytes);
    if (call == NULL)
        return pintle_error_set(PINTLE_ENOMEM, 0, "no memory for a call of plugin '%s'", plan->plugin->name);
    *call = *plan;
    if (call->request_bytes > 0) memcpy(call + 1, plan->request, call->request_bytes);
    call->request = call + 1;
    int code = call_enter(call, call->deadline_ns);
    if (code == 0) {
        const char *name = pintle_task_name(pintle_self()); /* who is inside is told by it */
        code = run_until(call_run, call, call_drop, name[0] != '\0' ? name : "a call of a plugin", call->deadline_ns,
                         &left);
        if (left)
            return pintle_error_set(code, 0, "plugin '%s' has not answered; the call goes on without its caller",
                                    plan->plugin->name);
        *out = call->reply;
    }
    free(call);
    return code;
}

int hosted_call(hosted *p, const void *request, size_t bytes, hosted_reply *out, int64_t deadline_ns) {
    struct plugin_call call = {.plugin = p, .request = request, .request_bytes = bytes, .deadline_ns = deadline_ns};
    *out = (hosted_reply){0};
    int code;
    if (deadline_ns != PINTLE_FOREVER && p->host->backend->kill == NULL) {
        code = call_until(&call, out);
    } else {
        code = call_enter(&call, deadline_ns);
        if (code == 0) code = call_run(&call);
        *out = call.reply;
    }
    if (code != 0) hosted_reply_free(out);
    return code;
}

/* ---- Changes ---- */

/* The error that names who is inside. */
static int error_inside(const hosted *p, const char *what) {
    char text[320] = "";
    size_t count = p->version == NULL ? 0 : p->host->backend->inside(p->version, text, sizeof text);
    return pintle_error_set(PINTLE_EBUSY, 0, "plugin '%s' cannot be %s: %zu calls are inside it:%s", p->name, what,
                            count, text);
}

/* Becomes the one who is busy with it. */
static int change_begin(hosted *p, const char *what) {
    int code = 0;
    pintle_mutex_lock(&p->lock, PINTLE_FOREVER);
    if (p->busy)
        code = pintle_error_set(PINTLE_EBUSY, 0, "plugin '%s' cannot be %s: somebody else changes it", p->name, what);
    else if (atomic_load(&p->state) == HOSTED_CLOSED)
        code = pintle_error_set(PINTLE_ECLOSED, 0, "plugin '%s' is not loaded", p->name);
    else if (p->version != NULL && p->host->backend->has(p->version, pintle_task_id(pintle_self())))
        code = error_inside(p, what); /* itself */
    if (code == 0) p->busy = true;
    pintle_mutex_unlock(&p->lock);
    return code;
}

static void change_end(hosted *p, hosted_state state) {
    pintle_mutex_lock(&p->lock, PINTLE_FOREVER);
    atomic_store(&p->state, state);
    p->busy = false;
    pintle_cond_broadcast(&p->changed);
    pintle_mutex_unlock(&p->lock);
}

static void set_state(hosted *p, hosted_state state) {
    pintle_mutex_lock(&p->lock, PINTLE_FOREVER);
    atomic_store(&p->state, state);
    pintle_cond_broadcast(&p->changed);
    pintle_mutex_unlock(&p->lock);
}

/* Lets nobody in and waits until nobody is inside; or it is as before. A plugin in a process of its own is ended instead. */
static int drain(hosted *p, const char *what, int64_t deadline_ns) {
    pintle_error error;
    set_state(p, HOSTED_CHANGES);
    atomic_thread_fence(memory_order_seq_cst); /* pairs with the one in call_try_enter */
    int code = pintle_group_wait(&p->inside, deadline_ns);
    if (code == 0) return 0;
    if (code != PINTLE_ECANCELED) code = error_inside(p, what);
    if (code != PINTLE_ECANCELED && p->host->backend->kill != NULL) {
        pintle_error_get(&error);
        host_log(p, PLUGIN_LOG_WARNING, "%s; its process is ended", error.text);
        p->host->backend->kill(p->version);
        code = pintle_group_wait(&p->inside, PINTLE_FOREVER);
    }
    if (code != 0) set_state(p, HOSTED_SERVES);
    return code;
}

static bool is_left(int code) { return code == PINTLE_ETIMEDOUT || code == PINTLE_ECANCELED; }

/* Unloads a version, keeping the error that there is. */
static void put_away(hosted *p, version *v, int64_t deadline_ns) {
    pintle_error error, unloading;
    pintle_error_get(&error);
    if (p->host->backend->unload(v, deadline_ns) != 0) {
        pintle_error_get(&unloading);
        host_log(p, PLUGIN_LOG_ERROR, "%s", unloading.text);
    }
    if (error.code != 0) error_again(&error);
}

/* plugin_close of the version in service, which has been drained. What is wrong with it is told, and the way goes on: the
 * version is unloaded in any case. false: it is left to itself. */
static bool end_version(hosted *p, int64_t deadline_ns) {
    pintle_error error;
    if (p->version == NULL || atomic_load(&p->faulted)) return p->version != NULL;
    int code = p->host->backend->close(p->version, deadline_ns);
    if (code == 0) return true;
    pintle_error_get(&error);
    host_log(p, PLUGIN_LOG_ERROR, "%s", error.text);
    if (is_left(code)) p->version = NULL;
    return p->version != NULL;
}

/* Between the two versions: nobody is inside. *out_old: what is to be unloaded. */
static int exchange(hosted *p, version *new, version **out_old, int64_t deadline_ns) {
    const backend *b = p->host->backend;
    bool old_is_there = end_version(p, deadline_ns);
    version *old = p->version;
    int code = b->open(new, deadline_ns);
    if (code == 0) {
        p->version = new;
        atomic_store(&p->faulted, false);
        atomic_fetch_add(&p->number, 1);
        *out_old = old_is_there ? old : NULL;
        return 0;
    }
    if (!is_left(code)) put_away(p, new, deadline_ns);
    if (!old_is_there || atomic_load(&p->faulted)) { /* there is nothing to go back to */
        atomic_store(&p->faulted, true);
        return code;
    }
    pintle_error error;
    pintle_error_get(&error);
    int back = b->open(old, deadline_ns);
    atomic_store(&p->faulted, back != 0);
    if (is_left(back)) p->version = NULL;
    return error_again(&error);
}

int hosted_reload(hosted *p, int64_t deadline_ns) {
    version *new, *old = NULL;
    int code = change_begin(p, "reloaded");
    if (code != 0) return code;
    code = p->host->backend->load(&new, p, deadline_ns);
    if (code == 0) {
        code = drain(p, "reloaded", deadline_ns);
        if (p->host->backend->kill != NULL && deadline_ns < pintle_after(RELOAD_MORE_NS)) /* it may be used up */
            deadline_ns = pintle_after(RELOAD_MORE_NS);
        if (code == 0)
            code = exchange(p, new, &old, deadline_ns);
        else
            put_away(p, new, deadline_ns);
    }
    change_end(p, HOSTED_SERVES);
    if (old != NULL) put_away(p, old, deadline_ns);
    return code;
}

int hosted_unload(hosted *p, int64_t deadline_ns) {
    int code = change_begin(p, "unloaded");
    if (code != 0) return code;
    code = drain(p, "unloaded", deadline_ns);
    if (code != 0) {
        change_end(p, HOSTED_SERVES);
        return code;
    }
    if (end_version(p, deadline_ns)) put_away(p, p->version, deadline_ns);
    p->version = NULL;
    change_end(p, HOSTED_CLOSED);
    return 0;
}

/* ---- Loading ---- */

bool host_name_of(const char *path, char out_name[HOST_NAME_BYTES]) {
    const char *name = path;
    for (const char *c = path; *c != '\0'; c++)
        if (*c == '/' || *c == '\\') name = c + 1;
    const char *dot = strrchr(name, '.');
    size_t length = dot != NULL && dot != name ? (size_t)(dot - name) : strlen(name);
    if (length == 0 || length >= HOST_NAME_BYTES || strlen(path) >= HOST_PATH_BYTES) return false;
    memcpy(out_name, name, length);
    out_name[length] = '\0';
    return true;
}

/* The plugin of that name, busy and changing: a new one, or one that is closed. */
static int claim(hosted **out, host *h, const char *name, const char *path) {
    hosted *new = calloc(1, sizeof *new);
    int code = new == NULL ? pintle_error_set(PINTLE_ENOMEM, 0, "no memory for plugin '%s'", path) : 0;
    pintle_mutex_lock(&h->lock, PINTLE_FOREVER);
    hosted *p = h->first;
    while (p != NULL && strcmp(p->name, name) != 0) p = p->next;
    if (code == 0 && p == NULL) {
        p = new;
        new = NULL;
        p->host = h;
        snprintf(p->name, sizeof p->name, "%s", name);
        if (h->last != NULL)
            h->last->next = p;
        else
            h->first = p;
        h->last = p;
    }
    if (code == 0) {
        pintle_mutex_lock(&p->lock, PINTLE_FOREVER);
        if (p->busy || atomic_load(&p->state) != HOSTED_CLOSED) {
            code = pintle_error_set(PINTLE_EINVAL, 0, "there is a plugin '%s' already, '%s'", name, p->path);
        } else {
            p->busy = true;
            atomic_store(&p->state, HOSTED_CHANGES);
            snprintf(p->path, sizeof p->path, "%s", path);
        }
        pintle_mutex_unlock(&p->lock);
    }
    pintle_mutex_unlock(&h->lock);
    free(new);
    *out = p;
    return code;
}

int hosted_load(hosted **out, host *h, const char *path, int64_t deadline_ns) {
    char name[HOST_NAME_BYTES];
    hosted *p;
    version *v = NULL;
    if (!files_is_absolute(path)) return pintle_error_set(PINTLE_EINVAL, 0, "'%s' is not an absolute path", path);
    if (!host_name_of(path, name)) return pintle_error_set(PINTLE_EINVAL, 0, "'%s' is no path of a plugin", path);
    int code = claim(&p, h, name, path);
    if (code != 0) return code;
    code = h->backend->load(&v, p, deadline_ns);
    if (code == 0) {
        code = h->backend->open(v, deadline_ns);
        if (code != 0 && !is_left(code)) put_away(p, v, deadline_ns);
    }
    if (code == 0) {
        p->version = v;
        atomic_store(&p->faulted, false);
        atomic_fetch_add(&p->number, 1);
        *out = p;
    }
    change_end(p, code == 0 ? HOSTED_SERVES : HOSTED_CLOSED);
    return code;
}
