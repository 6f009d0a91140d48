/* isolated.c: a plugin in a process of its own, seen from its host: frames instead of calls (wire.h), and a supervisor, a task
 * that starts the process, reads what it says, tells those who wait, and starts it again when it has ended.
 *
 * A version is shared by the supervisor and by its owner (host.c); the last of them frees it. Calls are found by their id: an
 * index into `slots` below, a serial number above, so that a late reply meets no other call. */
#include "host_parts.h"
#include "wire.h"

#include <pintle/scope.h>

static const int64_t FIRST_PAUSE_NS = PINTLE_MS(100), LONGEST_PAUSE_NS = PINTLE_S(10), STEADY_NS = PINTLE_S(10);
enum { FRAME_EXTRA_BYTES = 1 << 20, ANSWER_MOST_BYTES = 1 << 20, SLOTS_MOST = 1 << 20 };

typedef enum isolated_state { STARTING, LOADED, OPENING, SERVING, CLOSING, PAUSING, ENDED } isolated_state;

/* A call that waits for its reply. */
struct waiter {
    struct plugin_call *call;
    uint64_t task_id; /* the caller's */
    char task_name[32];
    int64_t start_ns;
    pintle_event done;
    int code;
    pintle_error error;
};

typedef struct isolated {
    hosted *plugin;
    pintle_mutex lock; /* of what follows; taken after none */
    pintle_cond changed;
    isolated_state state;
    bool opened; /* it was in service: so it is started again */
    bool ending; /* no restart */
    bool failed; /* plugin_open did, or there was no process: `why` */
    unsigned owners, restarts;
    pintle_error why; /* of the last end or failure */
    int64_t started_ns;
    process *process; /* NULL: none */
    wire *wire;
    unsigned senders; /* tasks that use the wire, beside the supervisor */
    struct waiter **slots;
    uint32_t slot_count, used, serial;
    uint32_t *free_slots;
    char path[HOST_PATH_BYTES];
} isolated;

static isolated *of(version *v) { return (isolated *)(void *)v; }

static void lock(isolated *v) { pintle_mutex_lock(&v->lock, PINTLE_FOREVER); }
static void unlock(isolated *v) { pintle_mutex_unlock(&v->lock); }

static void set_state_locked(isolated *v, isolated_state state) {
    v->state = state;
    pintle_cond_broadcast(&v->changed);
}

static void keep_error(pintle_error *out, int code, const char *format, ...) PINTLE_PRINTF(3, 4);
static void keep_error(pintle_error *out, int code, const char *format, ...) {
    va_list arguments;
    *out = (pintle_error){.code = code};
    va_start(arguments, format);
    vsnprintf(out->text, sizeof out->text, format, arguments);
    va_end(arguments);
}

static void release(isolated *v) {
    lock(v);
    bool last = --v->owners == 0;
    unlock(v);
    if (!last) return;
    free(v->slots);
    free(v->free_slots);
    free(v);
}

/* The wire, which is there until leave_wire; NULL: there is none. */
static wire *enter_wire_locked(isolated *v) {
    if (v->wire != NULL) v->senders++;
    return v->wire;
}
static void leave_wire(isolated *v) {
    lock(v);
    if (--v->senders == 0) pintle_cond_broadcast(&v->changed);
    unlock(v);
}

static bool send(isolated *v, frame_kind kind, uint64_t id, const void *head, size_t head_bytes, const void *data,
                 size_t bytes) {
    lock(v);
    wire *w = enter_wire_locked(v);
    unlock(v);
    if (w == NULL) return false;
    bool done = wire_send(w, kind, id, head, head_bytes, data, bytes);
    leave_wire(v);
    return done;
}

/* ---- Who waits ---- */

/* The id; 0: no memory. */
static uint64_t slot_take_locked(isolated *v, struct waiter *w) {
    if (v->used == v->slot_count) {
        uint32_t count = v->slot_count == 0 ? 64 : v->slot_count * 2;
        if (count > SLOTS_MOST) return 0;
        struct waiter **slots = realloc(v->slots, count * sizeof *slots);
        if (slots != NULL) v->slots = slots;
        uint32_t *free_slots = realloc(v->free_slots, count * sizeof *free_slots);
        if (free_slots != NULL) v->free_slots = free_slots;
        if (slots == NULL || free_slots == NULL) return 0;
        for (uint32_t i = v->slot_count; i < count; i++) {
            slots[i] = NULL;
            free_slots[i] = i;
        }
        v->slot_count = count;
    }
    uint32_t index = v->free_slots[v->used++];
    v->slots[index] = w;
    if (++v->serial == 0) v->serial = 1;
    return (uint64_t)v->serial << 32 | index;
}

/* NULL: it is there no longer, or never was. */
static struct waiter *slot_give_locked(isolated *v, uint64_t id, uint32_t serial, struct waiter *expected) {
    uint32_t index = (uint32_t)id;
    if (index >= v->slot_count) return NULL;
    struct waiter *w = v->slots[index];
    if (w == NULL || (expected != NULL && w != expected)) return NULL;
    if (expected == NULL && w->call->id >> 32 != serial) return NULL;
    v->slots[index] = NULL;
    v->free_slots[--v->used] = index;
    return w;
}

static void fail_all_locked(isolated *v) {
    for (uint32_t i = 0; i < v->slot_count; i++) {
        struct waiter *w = v->slots[i];
        if (w == NULL) continue;
        slot_give_locked(v, i, 0, w);
        w->code = v->why.code;
        w->error = v->why;
        pintle_event_set(&w->done);
    }
}

/* ---- What the process says ---- */

static bool outcome_read(const frame *f, outcome *out, pintle_error *out_error) {
    if (f->bytes < sizeof *out) return false;
    memcpy(out, f->data, sizeof *out);
    if (out->code == 0) return true;
    if (out->code > 0 || out->code == PINTLE_ETIMEDOUT || out->code == PINTLE_ECANCELED)
        out->code = PINTLE_EOS; /* ours alone */
    keep_error(out_error, out->code, "%.*s", (int)(f->bytes - sizeof *out), f->data + sizeof *out);
    out_error->os_code = out->os_code;
    return true;
}

/* After a fault the process ends itself; nobody is to be let in meanwhile. */
static bool on_reply(isolated *v, const frame *f) {
    outcome o;
    pintle_error error;
    if (!outcome_read(f, &o, &error)) return false;
    lock(v);
    if (o.code == PINTLE_EFAULT) {
        if (v->state == SERVING) set_state_locked(v, STARTING);
        keep_error(&v->why, PINTLE_ECLOSED, "the process of plugin '%s' has faulted: %.400s", v->plugin->name,
                   error.text);
        v->failed = true;
    }
    struct waiter *w = slot_give_locked(v, f->id, (uint32_t)(f->id >> 32), NULL);
    if (w != NULL) {
        w->code = o.code;
        w->call->reply.value = o.value;
        if (o.code != 0)
            w->error = error;
        else if (f->bytes > sizeof o && host_reply_add(w->call, f->data + sizeof o, f->bytes - sizeof o) != 0)
            keep_error(&w->error, w->code = PINTLE_ENOMEM, "no memory for a reply of plugin '%s'", v->plugin->name);
        pintle_event_set(&w->done);
    }
    unlock(v);
    return o.code != PINTLE_EFAULT; /* one that is not waited for any more is none of ours */
}

/* A question, answered by a task of its own: the host may take its time. */
struct asked {
    isolated *v;
    uint64_t id, call_id;
    size_t answer_most, bytes;
    int64_t value;
    char *answer;
};

static void answer(void *arg) {
    struct asked *a = arg;
    a->value = host_ask(a->v->plugin, NULL, a + 1, a->bytes, a->answer, a->answer_most);
}

/* The call that the question is for is as if inside this task: it must not unload the plugin and wait for itself. */
static void set_runner(isolated *v, uint64_t call_id, uint64_t task_id) {
    lock(v);
    uint32_t index = (uint32_t)call_id;
    struct waiter *w = index < v->slot_count ? v->slots[index] : NULL;
    if (w != NULL && w->call->id == call_id) atomic_store(&w->call->runner_id, task_id);
    unlock(v);
}

static void answer_and_send(void *arg) {
    struct asked *a = arg;
    hosted *p = a->v->plugin;
    pintle_panic_info info = {0};
    answer_head head = {.value = PLUGIN_NO_MEMORY};
    a->answer = malloc(a->answer_most + 1);
    set_runner(a->v, a->call_id, pintle_task_id(pintle_self()));
    bool panicked = a->answer != NULL && pintle_protect(answer, a, &info) != 0;
    if (a->answer != NULL) head = (answer_head){.value = panicked ? PLUGIN_REFUSED : a->value, .panicked = panicked};
    set_runner(a->v, a->call_id, 0);
    size_t bytes = head.value > 0 && (uint64_t)head.value <= a->answer_most ? (size_t)head.value : 0;
    send(a->v, FRAME_ANSWER, a->id, &head, sizeof head, panicked ? info.text : a->answer,
         panicked ? strlen(info.text) : bytes);
    free(a->answer);
    release(a->v);
    free(a);
    host_left_add(p->host, -1);
}

static bool on_ask(isolated *v, const frame *f) {
    ask_head ask;
    pintle_task_options options = {.name = "question of a plugin", .scope = PINTLE_SCOPE_NONE};
    if (f->bytes < sizeof ask) return false;
    memcpy(&ask, f->data, sizeof ask);
    size_t bytes = f->bytes - sizeof ask,
           most = ask.answer_most < ANSWER_MOST_BYTES ? ask.answer_most : ANSWER_MOST_BYTES;
    struct asked *a = malloc(sizeof *a + bytes);
    answer_head head = {.value = PLUGIN_NO_MEMORY};
    if (a != NULL) {
        *a = (struct asked){v, f->id, ask.call_id, most, bytes, 0, NULL};
        memcpy(a + 1, f->data + sizeof ask, bytes);
        host_left_add(v->plugin->host, 1);
        lock(v);
        v->owners++;
        unlock(v);
        if (pintle_spawn_with(NULL, answer_and_send, a, &options) == 0) return true;
        host_left_add(v->plugin->host, -1);
        release(v);
        free(a);
    }
    return send(v, FRAME_ANSWER, f->id, &head, sizeof head, NULL, 0);
}

static bool on_log(isolated *v, const frame *f) {
    uint64_t level;
    if (f->bytes < sizeof level) return false;
    memcpy(&level, f->data, sizeof level);
    host_log(v->plugin, (int)level, "%.*s", (int)(f->bytes - sizeof level), f->data + sizeof level);
    return true;
}

/* The outcomes of START and OPEN. false: there is no use in going on. */
static bool on_outcome(isolated *v, const frame *f) {
    outcome o;
    pintle_error error;
    if (!outcome_read(f, &o, &error)) return false;
    lock(v);
    bool open = o.code == 0 && f->kind == FRAME_LOADED && v->opened;
    if (o.code != 0) {
        v->why = error;
        v->failed = true;
    } else {
        if (f->kind == FRAME_OPENED) v->opened = true;
        set_state_locked(v, f->kind == FRAME_OPENED ? SERVING : open ? OPENING : LOADED);
    }
    unlock(v);
    return o.code == 0 && (!open || send(v, FRAME_OPEN, 0, NULL, 0, NULL, 0));
}

static void on_closed(isolated *v, const frame *f) {
    outcome o;
    pintle_error error;
    if (outcome_read(f, &o, &error) && o.code != 0) host_log(v->plugin, PLUGIN_LOG_ERROR, "%s", error.text);
    lock(v);
    if (v->state == CLOSING) set_state_locked(v, LOADED);
    unlock(v);
}

static void read_frames(isolated *v) {
    frame f;
    bool good = true;
    while (good && wire_receive(v->wire, &f)) {
        switch (f.kind) {
        case FRAME_LOADED:
        case FRAME_OPENED: good = on_outcome(v, &f); break;
        case FRAME_REPLY: good = on_reply(v, &f); break;
        case FRAME_ASK: good = on_ask(v, &f); break;
        case FRAME_LOG: good = on_log(v, &f); break;
        case FRAME_CLOSED: on_closed(v, &f); break;
        default: good = false;
        }
    }
}

/* ---- The supervisor ---- */

static bool start(isolated *v) {
    const host_options *options = &v->plugin->host->options;
    const char *list = options->allow_list == NULL ? "" : options->allow_list;
    start_plan plan = {options->memory_most_bytes, options->reply_most_bytes};
    char paths[2 * HOST_PATH_BYTES];
    process *p = NULL;
    channel *c;
    size_t path_bytes = strlen(v->path) + 1, list_bytes = strlen(list) + 1;
    if (list_bytes > HOST_PATH_BYTES) list_bytes = HOST_PATH_BYTES;
    memcpy(paths, v->path, path_bytes);
    memcpy(paths + path_bytes, list, list_bytes);
    int code = process_start(&p, &c, options->child_program, HOST_CHILD_WORD, options->memory_most_bytes);
    wire *w = code == 0 ? wire_new(c, options->reply_most_bytes + FRAME_EXTRA_BYTES) : NULL;
    lock(v);
    v->process = p;
    v->wire = w;
    v->started_ns = pintle_now();
    if (w == NULL) {
        v->failed = true;
        if (code != 0)
            pintle_error_get(&v->why);
        else
            keep_error(&v->why, PINTLE_ENOMEM, "no memory for the process of plugin '%s'", v->plugin->name);
    } else if (v->ending) {
        process_kill(p); /* who wanted that came too early */
    }
    unlock(v);
    return w != NULL && wire_send(w, FRAME_START, 0, &plan, sizeof plan, paths, path_bytes + list_bytes);
}

/* It has ended, or is to: takes it away and tells all. */
static void stop(isolated *v) {
    char how[128] = "was not started";
    pintle_cancel_mask();
    lock(v);
    process *p = v->process;
    wire *w = v->wire;
    v->wire = NULL;
    if (v->state == SERVING) set_state_locked(v, STARTING); /* who comes now waits for what follows */
    unlock(v);
    if (p != NULL) process_kill(p);
    lock(v);
    while (v->senders > 0) pintle_cond_wait(&v->changed, &v->lock, PINTLE_FOREVER);
    v->process = NULL;
    unlock(v);
    if (w != NULL) wire_free(w);
    if (p != NULL) process_end(p, how, sizeof how);
    lock(v);
    if (!v->failed) keep_error(&v->why, PINTLE_ECLOSED, "the process of plugin '%s' %s", v->plugin->name, how);
    fail_all_locked(v);
    unlock(v);
    pintle_cancel_unmask();
}

/* Whether to start it again; after a pause. */
static bool pause_before_restart(isolated *v) {
    pintle_error why;
    lock(v);
    if (pintle_now() - v->started_ns > STEADY_NS) v->restarts = 0;
    int64_t pause_ns = v->restarts == 0 ? 0 : FIRST_PAUSE_NS;
    for (unsigned i = 1; i < v->restarts && pause_ns < LONGEST_PAUSE_NS; i++) pause_ns *= 2;
    if (pause_ns > LONGEST_PAUSE_NS) pause_ns = LONGEST_PAUSE_NS;
    bool again = v->opened && !v->ending;
    why = v->why;
    if (again) {
        v->restarts++;
        set_state_locked(v, pause_ns == 0 ? STARTING : PAUSING);
    }
    unlock(v);
    if (!again) return false;
    host_log(v->plugin, PLUGIN_LOG_ERROR, "%s; it is started again in %.1f s", why.text, (double)pause_ns / 1e9);
    int64_t deadline_ns = pintle_after(pause_ns);
    int code = pause_ns == 0 ? PINTLE_ETIMEDOUT : 0;
    lock(v);
    while (!v->ending && code == 0) code = pintle_cond_wait(&v->changed, &v->lock, deadline_ns);
    again = !v->ending && code == PINTLE_ETIMEDOUT;
    v->failed = false;
    if (again) set_state_locked(v, STARTING);
    unlock(v);
    return again;
}

static void supervise(void *arg) {
    isolated *v = arg;
    do {
        if (start(v)) read_frames(v);
        stop(v);
    } while (pause_before_restart(v));
    lock(v);
    set_state_locked(v, ENDED);
    unlock(v);
    release(v);
}

/* ---- The host's side ---- */

static void end_process_locked(isolated *v) {
    v->ending = true;
    if (v->process != NULL) process_kill(v->process);
    pintle_cond_broadcast(&v->changed);
}

static int isolated_load(version **out, hosted *p, int64_t deadline_ns) {
    pintle_task_options options = {.name = "supervisor of a plugin", .scope = PINTLE_SCOPE_NONE};
    isolated *v = calloc(1, sizeof *v);
    if (v == NULL) return pintle_error_set(PINTLE_ENOMEM, 0, "no memory for plugin '%s'", p->path);
    v->plugin = p;
    v->owners = 2;
    snprintf(v->path, sizeof v->path, "%s", p->path);
    int code = pintle_spawn_with(NULL, supervise, v, &options);
    if (code != 0) {
        free(v);
        return code;
    }
    lock(v);
    while (code == 0 && v->state == STARTING) code = pintle_cond_wait(&v->changed, &v->lock, deadline_ns);
    bool loaded = v->state == LOADED;
    pintle_error why = v->why;
    if (!loaded) end_process_locked(v);
    while (!loaded && v->state != ENDED) /* the plugin's name is the supervisor's too */
        if (pintle_cond_wait(&v->changed, &v->lock, PINTLE_FOREVER) == PINTLE_ECANCELED) pintle_yield();
    unlock(v);
    if (loaded) {
        *out = (version *)v;
        return 0;
    }
    release(v);
    if (code != 0)
        return pintle_error_set(code, 0, "plugin '%s': its start has not ended; its process was ended", p->name);
    return error_again(&why);
}

static int isolated_open(version *which, int64_t deadline_ns) {
    isolated *v = of(which);
    int code = 0;
    lock(v);
    bool there = v->state == LOADED;
    if (there) set_state_locked(v, OPENING);
    unlock(v);
    if (!there) return pintle_error_set(PINTLE_ECLOSED, 0, "plugin '%s': its process has ended", v->plugin->name);
    send(v, FRAME_OPEN, 0, NULL, 0, NULL, 0);
    lock(v);
    while (code == 0 && v->state == OPENING) code = pintle_cond_wait(&v->changed, &v->lock, deadline_ns);
    bool serving = v->state == SERVING;
    pintle_error why = v->why;
    if (!serving) end_process_locked(v);
    unlock(v);
    if (serving) return 0;
    /* Not the codes that say the version is gone: it is there, to be unloaded. */
    if (code != 0)
        return pintle_error_set(PINTLE_EOS, 0, "plugin '%s': plugin_open has not ended in time", v->plugin->name);
    return error_again(&why);
}

static int isolated_call(version *which, struct plugin_call *call) {
    isolated *v = of(which);
    struct waiter w = {.call = call, .task_id = pintle_task_id(pintle_self()), .start_ns = pintle_now()};
    int code = 0;
    snprintf(w.task_name, sizeof w.task_name, "%s", pintle_task_name(pintle_self()));
    if (call->request_bytes > UINT32_MAX / 2)
        return pintle_error_set(PINTLE_EINVAL, 0, "a request of %zu bytes is too large", call->request_bytes);
    lock(v);
    while (code == 0 && (v->state == STARTING || v->state == OPENING))
        code = pintle_cond_wait(&v->changed, &v->lock, call->deadline_ns);
    wire *to = NULL;
    if (code == 0 && v->state == SERVING) to = enter_wire_locked(v);
    if (code == 0 && to == NULL)
        code = pintle_error_set(PINTLE_ECLOSED, 0, "plugin '%s' is down: %.400s", v->plugin->name, v->why.text);
    if (to != NULL && (call->id = slot_take_locked(v, &w)) == 0) {
        code = pintle_error_set(PINTLE_ENOMEM, 0, "no memory for a call of plugin '%s'", v->plugin->name);
    }
    unlock(v);
    if (to == NULL) return code;
    bool sent = code == 0 && wire_send(to, FRAME_CALL, call->id, NULL, 0, call->request, call->request_bytes);
    leave_wire(v);
    if (code != 0) return code;
    if (!sent) {
        lock(v);
        bool is_ours = slot_give_locked(v, call->id, 0, &w) != NULL; /* else the supervisor has told already */
        unlock(v);
        if (is_ours)
            return pintle_error_set(
                PINTLE_ECLOSED, 0,
                "plugin '%s' could not be sent the request: its process has ended, or there is no memory",
                v->plugin->name);
    }
    code = pintle_event_wait(&w.done, call->deadline_ns);
    lock(v); /* also: whoever set the event is done with it */
    if (code != 0 && slot_give_locked(v, call->id, 0, &w) == NULL) code = 0; /* it came all the same */
    unlock(v);
    if (code != 0)
        return pintle_error_set(code, 0, "plugin '%s' has not answered; the call goes on in its process",
                                v->plugin->name);
    return w.code == 0 ? 0 : error_again(&w.error);
}

/* The process stays, so it can be opened again; it may still be in calls whose callers gave up. Where it is down, it is not
 * started any more. */
static int isolated_close(version *which, int64_t deadline_ns) {
    isolated *v = of(which);
    int code = 0;
    lock(v);
    bool serving = v->state == SERVING;
    v->opened = false;
    if (serving)
        set_state_locked(v, CLOSING);
    else
        end_process_locked(v);
    unlock(v);
    if (serving) send(v, FRAME_CLOSE, 0, NULL, 0, NULL, 0);
    lock(v);
    while (code == 0 && v->state != ENDED && !(serving && v->state == LOADED))
        code = pintle_cond_wait(&v->changed, &v->lock, deadline_ns);
    if (code != 0) end_process_locked(v);
    unlock(v);
    if (code == 0) return 0;
    return pintle_error_set(PINTLE_EOS, 0, "plugin '%s': plugin_close has not ended; its process is ended",
                            v->plugin->name);
}

static int isolated_unload(version *which, int64_t deadline_ns) {
    isolated *v = of(which);
    int code = 0;
    lock(v);
    bool loaded = v->state == LOADED;
    v->ending = true;
    unlock(v);
    if (loaded) send(v, FRAME_END, 0, NULL, 0, NULL, 0);
    lock(v);
    while (loaded && code == 0 && v->state != ENDED) code = pintle_cond_wait(&v->changed, &v->lock, deadline_ns);
    if (v->state != ENDED) end_process_locked(v);
    pintle_cancel_mask();
    while (v->state != ENDED) pintle_cond_wait(&v->changed, &v->lock, PINTLE_FOREVER);
    pintle_cancel_unmask();
    unlock(v);
    release(v);
    return 0;
}

static void isolated_kill(version *which) {
    isolated *v = of(which);
    lock(v);
    end_process_locked(v);
    unlock(v);
}

static uint64_t isolated_process(version *which) {
    isolated *v = of(which);
    lock(v);
    uint64_t id = v->process != NULL ? process_id(v->process) : 0;
    unlock(v);
    return id;
}

static size_t isolated_inside(version *which, char *out_text, size_t text_bytes) {
    isolated *v = of(which);
    size_t count = 0, length = 0;
    int64_t now_ns = pintle_now();
    lock(v);
    for (uint32_t i = 0; i < v->slot_count; i++) {
        const struct waiter *w = v->slots[i];
        if (w == NULL) continue;
        if (length < text_bytes)
            length += (size_t)snprintf(out_text + length, text_bytes - length, "%s task %llu '%s' for %.1f s",
                                       count > 0 ? "," : "", (unsigned long long)w->task_id, w->task_name,
                                       (double)(now_ns - w->start_ns) / 1e9);
        count++;
    }
    unlock(v);
    return count;
}

static bool isolated_has(version *which, uint64_t task_id) {
    isolated *v = of(which);
    bool found = false;
    lock(v);
    for (uint32_t i = 0; i < v->slot_count; i++)
        found |= v->slots[i] != NULL && atomic_load(&v->slots[i]->call->runner_id) == task_id;
    unlock(v);
    return found;
}

const backend backend_isolated = {isolated_load, isolated_open,    isolated_call,   isolated_close, isolated_unload,
                                  isolated_kill, isolated_process, isolated_inside, isolated_has};
