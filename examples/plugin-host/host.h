/* host.h: a host of plugins (plugin.h), for programs that use Pintle: loads them by path, calls them from any number of
 * tasks, reloads and unloads them while calls are under way.
 *
 *   plugin.h    the interface, for plugins      host.c       states of a plugin, calls, reload, unload: both ways
 *   loaded.c    in this process: DLL, thunks    until.c      code that may block for ever, with a deadline
 *   files.h     the plugins of a folder             allow.h      a list of what may be loaded, by SHA-256
 * What differs between systems is in files that end in _win.c and _posix.c.
 *
 * Text is UTF-8, deadlines are pintle_now()'s, errors are Pintle's codes with a text for pintle_error_get. All functions
 * are for tasks. */
#ifndef PLUGIN_HOST_H
#define PLUGIN_HOST_H

#include <pintle.h>

typedef struct host host;     /* options, and plugins */
typedef struct hosted hosted; /* a plugin: a name, and the version of it that is loaded now */

typedef struct host_options {
    /* Plugins ask: the bytes of the answer, or one of plugin.h's errors. In any number of tasks at a time; it may wait, call
     * plugins and panic. A panic ends the call that it is for (EPANIC); on a plugin's own thread it is
     * PLUGIN_REFUSED. NULL: each question is refused. */
    int64_t (*ask)(void *user, const char *plugin, const void *question, size_t bytes, void *out_answer,
                   size_t answer_bytes);
    /* Plugins and the host itself tell. NULL: nobody hears it. */
    void (*log)(void *user, const char *plugin, int level, const char *text);
    void *user;
    /* The absolute path of a list in sha256sum's format: only what it lists is loaded, plugins and what is beside them. NULL:
     * everything may be. Kept as it is until host_free. */
    const char *allow_list;
    size_t reply_most_bytes;  /* of one call; 0: 16 MB */
    bool isolated;            /* each plugin in a process of its own: see below */
    size_t memory_most_bytes; /* of such a process; 0: 2 GB */
    const char
        *child_program; /* a program that calls host_child, by absolute path, kept until host_free; NULL: this one */
    bool refuse_while_changing; /* calls that come during a reload get EBUSY; otherwise they wait for its end */
} host_options;

/* With `isolated` all else is the same, but:
 * - A plugin that faults, ends its process or is killed ends the calls that are inside with ECLOSED (the one that faulted with
 *   EFAULT), and its process is started again: at once, then after 0.1, 0.2, … 10 s while it keeps ending. Calls wait for a start
 *   that is under way; in the pauses they get ECLOSED with the reason.
 * - Reload and unload end the process at their deadline, whoever is inside: they do not fail by EBUSY then. (A reload then has
 *   10 s more for the new version.)
 * - The process has the limit of memory_most_bytes and ends with its host. Windows: what it commits is limited; it may start no
 *   others, and not touch the desktop or the clipboard. POSIX: its private address space is limited (RLIMIT_DATA: a thread
 *   takes 8 MB of it, 60 calls at a time 16 MB), it leaves no core file, and what it starts ends with it, unless it leaves
 *   its group.
 * It is not a sandbox: the process has the rights of its user.
 *
 * Such a host's program begins with `int status = host_child(argc, argv); if (status >= 0) return status;`: the processes are this
 * program again (or child_program). */
int host_child(int argc, char **argv);

int host_new(host **out, const host_options *options /* NULL: the defaults */);
/* Unloads all that can be unloaded by the deadline, and frees the host. EBUSY: not all could, or code of a plugin was left to
 * itself and has not ended: then nothing is freed. */
int host_free(host *h, int64_t deadline_ns);
/* How many starts and ends of plugins were left to themselves at a deadline and go on. A start (DllMain) that does not end
 * holds the system's loader: on Windows no other library can be loaded, no thread begins, and the process cannot end in
 * order: host_exit ends it. */
unsigned host_left(host *h);
/* Ends the process at once, running nobody's code. */
PINTLE_NORETURN void host_exit(int status);

/* Loads the plugin at an absolute path, as a private copy: its file can be replaced at once. Its name is the file's without
 * folder and ending. What it needs is looked for beside it and in the system's folders only. A plugin whose start blocks
 * is left to itself at the deadline, and unloaded when it has ended: but see host_left. After an error *out is left alone.
 * Errors: those of pintle_dll_open, naming the plugin; EACCES (the allow-list); ENOTSUP (another interface, or an export is missing); EINVAL (a plugin of
 * that name is there); EOS (plugin_open failed: os_code has its value), ETIMEDOUT, ECANCELED, EFAULT, EPANIC. */
int hosted_load(hosted **out, host *h, const char *path, int64_t deadline_ns);
/* The plugin of that name, also an unloaded one; NULL. */
hosted *hosted_find(host *h, const char *name);
/* Walks the host's plugins: NULL: the first; NULL at the end. */
hosted *hosted_next(host *h, hosted *previous);
const char *hosted_name(const hosted *p);
/* How often it was loaded: 1, and one more for each reload. */
unsigned hosted_version(hosted *p);
/* The number of its process; 0: it is in this one, or is not running. */
uint64_t hosted_process(hosted *p);

typedef struct hosted_reply {
    int value; /* plugin_run's */
    void *data;
    size_t bytes;
} hosted_reply;
void hosted_reply_free(hosted_reply *reply);

/* Calls the plugin and waits for its reply. With PINTLE_FOREVER plugin_run is called by this task; with a deadline by a task
 * of its own, which is left to itself at the deadline: the plugin goes on, and cannot be unloaded before it ends.
 * After an error *out is empty. Errors: ETIMEDOUT; ECANCELED; ECLOSED (unloaded); EBUSY (it changes, and calls are to be
 * refused); EFAULT (it has faulted, now or before: it is out of service until it is reloaded); EPANIC (what it asked the
 * host ended in a panic); ENOMEM, ELIMIT. */
int hosted_call(hosted *p, const void *request, size_t bytes, hosted_reply *out, int64_t deadline_ns);

/* DRAIN: loads the file at its path anew, beside the old version; lets new calls wait (or refuses them); waits for the old
 * calls; plugin_close of the old, plugin_open of the new; goes on with the new, unloads the old. A version that has faulted
 * is not closed, only unloaded. After any error the old version is in service as before; if plugin_open of the new failed,
 * after another plugin_open of the old. A plugin_close that does not end by the deadline is left to itself.
 * Errors: as hosted_load; EBUSY (calls were inside at the deadline: the text names them; or it changes already). */
int hosted_reload(hosted *p, int64_t deadline_ns);
/* The same without a new version: afterwards calls get ECLOSED. */
int hosted_unload(hosted *p, int64_t deadline_ns);

#endif
