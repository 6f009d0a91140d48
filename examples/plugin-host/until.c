/* until.c: running code that may never end, with a deadline: in a task that is left to itself then. */
#include "host_parts.h"

#include <pintle/scope.h>

/* A run: of its task, and of who waits for it until one of the two has gone. */
struct run {
    pintle_main_fn *fn;
    pintle_fn *drop;
    void *arg;
    pintle_mutex lock; /* of what follows */
    pintle_event ended;
    bool left, done;
    int value;
    pintle_error error;
};

static void run(void *arg) {
    struct run *r = arg;
    r->value = r->fn(r->arg);
    if (r->value != 0) pintle_error_get(&r->error);
    pintle_mutex_lock(&r->lock, PINTLE_FOREVER);
    bool left = r->left;
    r->done = true;
    pintle_event_set(&r->ended);
    pintle_mutex_unlock(&r->lock);
    if (!left) return;
    r->drop(r->arg);
    free(r);
}

int error_again(const pintle_error *error) { return pintle_error_set(error->code, error->os_code, "%s", error->text); }

int run_until(pintle_main_fn *fn, void *arg, pintle_fn *drop, const char *name, int64_t deadline_ns, bool *out_left) {
    *out_left = false;
    if (deadline_ns == PINTLE_FOREVER) return fn(arg);
    pintle_task_options options = {.name = name, .scope = PINTLE_SCOPE_NONE};
    struct run *r = calloc(1, sizeof *r);
    if (r == NULL) return pintle_error_set(PINTLE_ENOMEM, 0, "no memory for %s", name);
    r->fn = fn;
    r->drop = drop;
    r->arg = arg;
    int code = pintle_spawn_with(NULL, run, r, &options);
    if (code != 0) {
        free(r);
        return code;
    }
    code = pintle_event_wait(&r->ended, deadline_ns);
    pintle_mutex_lock(&r->lock, PINTLE_FOREVER); /* also: the task has unlocked it for the last time */
    *out_left = r->left = !r->done;
    pintle_mutex_unlock(&r->lock);
    if (*out_left) return code == PINTLE_ECANCELED ? code : PINTLE_ETIMEDOUT;
    code = r->value != 0 && r->error.code != 0 ? error_again(&r->error) : r->value;
    free(r);
    return code;
}
