/* host_parts.h: what the parts of the host share; not for its users. */
#ifndef PLUGIN_HOST_PARTS_H
#define PLUGIN_HOST_PARTS_H

#include "host.h"
#include "plugin.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST_CHILD_WORD "--plugin-host-child" /* the first argument of a process for a plugin */
enum { HOST_PATH_BYTES = 4096, HOST_NAME_BYTES = 64 };

/* One version of a plugin, loaded in whichever way. */
typedef struct version version;

/* A call of a plugin: also after its caller has given up. */
struct plugin_call {
    hosted *plugin;
    const void *request;
    size_t request_bytes;
    hosted_reply reply;
    version *version;
    uint64_t id;                /* in a process of its own: the name of the call there */
    _Atomic uint64_t runner_id; /* of the task that is in the plugin, or answers it */
    int64_t deadline_ns;
};

/* The ways: in this process (loaded.c), in one of its own (isolated.c). Each returns 0, or a code with its error set. ETIMEDOUT, ECANCELED of open and close: it
 * was left to itself and frees the version when it ends; else that is still there, and unload frees it in any case. */
typedef struct backend {
    /* Everything up to plugin_open. */
    int (*load)(version **out, hosted *p, int64_t deadline_ns);
    int (*open)(version *v, int64_t deadline_ns);
    /* Fills call->reply; EFAULT: it is not to be called any more. */
    int (*call)(version *v, struct plugin_call *call);
    /* plugin_close: no call is under way. */
    int (*close)(version *v, int64_t deadline_ns);
    /* Without close: it was not opened, or has faulted. */
    int (*unload)(version *v, int64_t deadline_ns);
    /* NULL, or the way of plugins in processes of their own: ends the process, and whatever is inside returns. Then call keeps to
     * call->deadline_ns by itself, and a fault is not for ever: the process is started again. */
    void (*kill)(version *v);
    uint64_t (*process)(version *v); /* its number, 0: none; NULL likewise */
    /* How many calls are inside, and some of them as text (" task 3 'name' …, task …"). */
    size_t (*inside)(version *v, char *out_text, size_t text_bytes);
    /* Whether this task is in one of them. */
    bool (*has)(version *v, uint64_t task_id);
} backend;
extern const backend backend_loaded, backend_isolated;

struct host {
    host_options options;
    const backend *backend;
    pintle_mutex lock; /* of what follows */
    hosted *first, *last;
    int left; /* pieces of plugins' code to itself, and questions that are being answered; below 0 for a moment */
    pintle_cond left_changed;
    /* In a process of a plugin: asks the host instead. */
    int64_t (*ask_for)(const struct plugin_call *call, const void *question, size_t bytes, void *out, size_t most);
};

typedef enum hosted_state {
    HOSTED_CLOSED,
    HOSTED_CHANGES, /* calls wait or are refused */
    HOSTED_SERVES
} hosted_state;

struct hosted {
    host *host;
    hosted *next;
    char name[HOST_NAME_BYTES], path[HOST_PATH_BYTES];
    pintle_group inside; /* calls; one that enters counts itself before it looks at the state */
    _Atomic hosted_state state;
    atomic_bool faulted; /* calls are refused until a reload */
    version *version;    /* in CHANGES it belongs to who is busy; calls read it when they have seen SERVES */
    atomic_uint number;  /* of its version */
    pintle_mutex lock;   /* of what follows, and of changes of the state */
    pintle_cond changed; /* the state */
    bool busy;           /* somebody loads, reloads or unloads it: one at a time */
};

/* Sets the error again that was got before something else failed too; its code. */
int error_again(const pintle_error *error);
void host_left_add(host *h, int n);
void host_log(hosted *p, int level, const char *format, ...) PINTLE_PRINTF(3, 4);
/* The host's answer, in the calling task; PLUGIN_REFUSED without one. call may be NULL. */
int64_t host_ask(hosted *p, const struct plugin_call *call, const void *question, size_t bytes, void *out_answer,
                 size_t answer_bytes);
/* The file's name without folder and ending; false: there is none, or it is too long. */
bool host_name_of(const char *path, char out_name[HOST_NAME_BYTES]);
/* Adds to a call's reply: 0 or an error of plugin.h. */
int host_reply_add(struct plugin_call *call, const void *data, size_t bytes);

/* Runs fn(arg) in a task of that name and waits for it until the deadline; fn's value, with its error. At the deadline
 * (ETIMEDOUT; ECANCELED) fn is left to itself, *out_left is set, and when fn has ended drop(arg) runs there. ENOMEM, ELIMIT,
 * ESTOPPED: fn was not run. With PINTLE_FOREVER, fn(arg) here. */
int run_until(pintle_main_fn *fn, void *arg, pintle_fn *drop, const char *name, int64_t deadline_ns, bool *out_left);

#endif
