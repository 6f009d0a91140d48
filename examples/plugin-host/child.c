/* child.c: a plugin's process, from the inside: its main task reads frames and has a task for each call; the plugin is
 * loaded as in a host's own process (loaded.c). When the host is gone, so is the process. */
#include "host_parts.h"
#include "wire.h"

enum { STATUS_FAULTED = 83, STATUS_NO_HOST, STATUS_ODD, FRAME_MOST_BYTES = INT32_MAX };

/* A question that waits for its answer. */
struct question {
    uint64_t id;
    void *out;
    size_t most;
    answer_head head;
    char panic[512];
    pintle_event answered;
    struct question *next;
};

static struct {
    wire *wire;
    hosted plugin;
    host host;
    version *version;
    pintle_mutex lock; /* of what follows */
    pintle_cond changed;
    unsigned calls;
    uint64_t questions;
    struct question *first;
} self;

static void tell(frame_kind kind, uint64_t id, int code, int value, const void *data, size_t bytes) {
    pintle_error error;
    outcome o = {.code = code, .value = value};
    if (code != 0) {
        pintle_error_get(&error);
        o.os_code = error.os_code;
        data = error.text;
        bytes = strlen(error.text);
    }
    if (!wire_send(self.wire, kind, id, &o, sizeof o, data, bytes))
        host_exit(STATUS_NO_HOST); /* or no memory to tell it */
}

/* ---- What the plugin asks ---- */

static void on_log(void *user, const char *plugin, int level, const char *text) {
    uint64_t head = (uint64_t)(int64_t)level;
    (void)user;
    (void)plugin;
    wire_send(self.wire, FRAME_LOG, 0, &head, sizeof head, text, strlen(text));
}

static int64_t child_ask(const struct plugin_call *call, const void *data, size_t bytes, void *out, size_t most) {
    struct question q = {.out = out, .most = most};
    ask_head head = {.answer_most = most, .call_id = call != NULL ? call->id : 0};
    pintle_mutex_lock(&self.lock, PINTLE_FOREVER);
    q.id = ++self.questions;
    q.next = self.first;
    self.first = &q;
    pintle_mutex_unlock(&self.lock);
    if (!wire_send(self.wire, FRAME_ASK, q.id, &head, sizeof head, data, bytes)) host_exit(STATUS_NO_HOST);
    pintle_event_wait(&q.answered, PINTLE_FOREVER);
    pintle_mutex_lock(&self.lock, PINTLE_FOREVER); /* who has set the event is done with it */
    pintle_mutex_unlock(&self.lock);
    if (q.head.panicked) pintle_panic("%s", q.panic);
    return q.head.value;
}

static void on_answer(const frame *f) {
    answer_head head;
    if (f->bytes < sizeof head) host_exit(STATUS_ODD);
    memcpy(&head, f->data, sizeof head);
    size_t bytes = f->bytes - sizeof head;
    pintle_mutex_lock(&self.lock, PINTLE_FOREVER);
    struct question **link = &self.first;
    while (*link != NULL && (*link)->id != f->id) link = &(*link)->next;
    struct question *q = *link;
    if (q != NULL) {
        *link = q->next;
        q->head = head;
        if (head.panicked)
            snprintf(q->panic, sizeof q->panic, "%.*s", (int)bytes, f->data + sizeof head);
        else
            memcpy(q->out, f->data + sizeof head, bytes < q->most ? bytes : q->most);
        pintle_event_set(&q->answered);
    }
    pintle_mutex_unlock(&self.lock);
}

/* ---- What the host wants ---- */

static void load(void *arg) {
    (void)arg;
    tell(FRAME_LOADED, 0, backend_loaded.load(&self.version, &self.plugin, PINTLE_FOREVER), 0, NULL, 0);
}

static void prepare(const frame *f) {
    start_plan plan;
    const char *path = f->data + sizeof plan, *list;
    if (f->bytes < sizeof plan + 2 || f->data[f->bytes - 1] != '\0') host_exit(STATUS_ODD);
    memcpy(&plan, f->data, sizeof plan);
    list = path + strlen(path) + 1;
    if (list >= f->data + f->bytes) host_exit(STATUS_ODD);
    process_limit((size_t)plan.memory_most_bytes);
    self.host.options = (host_options){.log = on_log,
                                       .reply_most_bytes = (size_t)plan.reply_most_bytes,
                                       .allow_list = list[0] != '\0' ? strdup(list) : NULL};
    self.host.ask_for = child_ask;
    self.plugin.host = &self.host;
    snprintf(self.plugin.path, sizeof self.plugin.path, "%s", path);
    host_name_of(path, self.plugin.name);
    pintle_spawn(NULL, load, NULL); /* it may block */
}

static void open_plugin(void *arg) {
    (void)arg;
    tell(FRAME_OPENED, 0, backend_loaded.open(self.version, PINTLE_FOREVER), 0, NULL, 0);
}

static void close_plugin(void *arg) {
    (void)arg;
    pintle_mutex_lock(&self.lock, PINTLE_FOREVER);
    while (self.calls > 0) pintle_cond_wait(&self.changed, &self.lock, PINTLE_FOREVER);
    pintle_mutex_unlock(&self.lock);
    tell(FRAME_CLOSED, 0, backend_loaded.close(self.version, PINTLE_FOREVER), 0, NULL, 0);
}

static void end(void *arg) {
    (void)arg;
    backend_loaded.unload(self.version, PINTLE_FOREVER);
    wire_flush(self.wire);
    host_exit(0);
}

/* A call, with its request behind it. After a fault there is nothing to be trusted here: who comes next gets a new process. */
static void run(void *arg) {
    struct plugin_call *call = arg;
    int code = backend_loaded.call(self.version, call);
    tell(FRAME_REPLY, call->id, code, call->reply.value, call->reply.data, call->reply.bytes);
    if (code == PINTLE_EFAULT) {
        wire_flush(self.wire);
        host_exit(STATUS_FAULTED);
    }
    free(call->reply.data);
    free(call);
    pintle_mutex_lock(&self.lock, PINTLE_FOREVER);
    if (--self.calls == 0) pintle_cond_broadcast(&self.changed);
    pintle_mutex_unlock(&self.lock);
}

static void begin_call(const frame *f) {
    struct plugin_call *call = malloc(sizeof *call + f->bytes);
    int code = call == NULL ? pintle_error_set(PINTLE_ENOMEM, 0, "no memory for a call in the plugin's process") : 0;
    if (code == 0) {
        *call = (struct plugin_call){.plugin = &self.plugin,
                                     .request = call + 1,
                                     .request_bytes = f->bytes,
                                     .id = f->id,
                                     .version = self.version};
        memcpy(call + 1, f->data, f->bytes);
        pintle_mutex_lock(&self.lock, PINTLE_FOREVER);
        self.calls++;
        pintle_mutex_unlock(&self.lock);
        code = pintle_spawn(NULL, run, call);
    }
    if (code == 0) return;
    tell(FRAME_REPLY, f->id, code, 0, NULL, 0);
    if (call == NULL) return;
    free(call);
    pintle_mutex_lock(&self.lock, PINTLE_FOREVER);
    self.calls--;
    pintle_mutex_unlock(&self.lock);
}

static int serve(void *argument) {
    channel *c = channel_inherited(argument);
    frame f;
    if (c == NULL || (self.wire = wire_new(c, FRAME_MOST_BYTES)) == NULL) return STATUS_NO_HOST;
    while (wire_receive(self.wire, &f)) {
        switch (f.kind) {
        case FRAME_START: prepare(&f); break;
        case FRAME_OPEN: pintle_spawn(NULL, open_plugin, NULL); break;
        case FRAME_CALL: begin_call(&f); break;
        case FRAME_ANSWER: on_answer(&f); break;
        case FRAME_CLOSE: pintle_spawn(NULL, close_plugin, NULL); break;
        case FRAME_END: pintle_spawn(NULL, end, NULL); break;
        default: host_exit(STATUS_ODD);
        }
    }
    host_exit(STATUS_NO_HOST); /* whatever the plugin does */
}

int host_child(int argc, char **argv) {
    if (argc != 3 || strcmp(argv[1], HOST_CHILD_WORD) != 0) return -1;
    return pintle_run(serve, argv[2], NULL);
}
