/* process_posix.c: process.h on POSIX. The thread that starts the child waits for its end, in one foreign call: the child asks
 * to be killed when its parent dies, and to Linux the parent is that thread. */
#include "process.h"

#include "host_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { CHILD_FD = 3 };

struct process {
    const char *program, *word;
    int child_fd;
    pid_t id;
    int error, status;
    pintle_event started, ended;
    pintle_mutex lock; /* of `over`: the id is its own no longer */
    bool over;
};

/* ---- The channel ---- */

static pintle_io *io_of(channel *c) { return (pintle_io *)(void *)c; }

size_t channel_read(channel *c, void *out, size_t bytes) {
    int64_t got = pintle_io_read(io_of(c), out, bytes, PINTLE_FOREVER);
    return got > 0 ? (size_t)got : 0;
}

bool channel_write(channel *c, const void *data, size_t bytes) {
    return pintle_io_write(io_of(c), data, bytes, PINTLE_FOREVER) == (int64_t)bytes;
}

void channel_close(channel *c) { pintle_io_close(io_of(c)); }

channel *channel_inherited(const char *argument) {
    pintle_io *io = NULL;
    int fd = atoi(argument);
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 || pintle_io_wrap(&io, fd) != 0) return NULL;
    return (channel *)(void *)io;
}

/* ---- The process ---- */

static int spawn(struct process *p) {
    char number[16], path[HOST_PATH_BYTES];
    char *const argv[] = {(char *)p->program, (char *)p->word, number, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    snprintf(number, sizeof number, "%d", CHILD_FD);
    if (p->program == NULL) {
        ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
        if (length < 0) return errno;
        path[length] = '\0';
    } else {
        snprintf(path, sizeof path, "%s", p->program);
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO,
                                     STDOUT_FILENO); /* the host's own output is not a plugin's */
    posix_spawn_file_actions_adddup2(&actions, p->child_fd, CHILD_FD);
    char *const named[] = {path, argv[1], argv[2], NULL};
    int error = posix_spawn(&p->id, path, &actions, &attributes, named, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return error;
}

static int spawn_and_wait(void *arg) {
    struct process *p = arg;
    siginfo_t info;
    p->error = spawn(p);
    close(p->child_fd);
    int error = p->error;
    pintle_event_set(&p->started);
    if (error != 0) return 0;
    while (waitid(P_PID, (id_t)p->id, &info, WEXITED | WNOWAIT) != 0 && errno == EINTR) {}
    pintle_mutex_lock(&p->lock, PINTLE_FOREVER);
    p->over = true;
    kill(-p->id, SIGKILL); /* what it has started; the id is still taken */
    waitpid(p->id, &p->status, 0);
    pintle_mutex_unlock(&p->lock);
    return 1;
}

static void keep(void *arg) {
    struct process *p = arg;
    pintle_call_blocking(spawn_and_wait, p);
    pintle_event_set(&p->ended);
}

int process_start(process **out, channel **out_channel, const char *program, const char *word,
                  size_t memory_most_bytes) {
    int ends[2];
    pintle_io *io = NULL;
    pintle_task_options options = {.name = "process of a plugin", .scope = PINTLE_SCOPE_NONE};
    (void)memory_most_bytes;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return pintle_error_set(PINTLE_EOS, errno, "no socket pair for a process: %s", strerror(errno));
    struct process *p = calloc(1, sizeof *p);
    int code = p == NULL ? pintle_error_set(PINTLE_ENOMEM, 0, "no memory for a process") : pintle_io_wrap(&io, ends[0]);
    if (code == 0) {
        p->program = program;
        p->word = word;
        p->child_fd = ends[1];
        code = pintle_spawn_with(NULL, keep, p, &options);
    }
    if (code != 0) {
        if (io != NULL)
            pintle_io_close(io);
        else
            close(ends[0]);
        close(ends[1]);
        free(p);
        return code;
    }
    pintle_event_wait(&p->started, PINTLE_FOREVER);
    if (p->error != 0) {
        int error = p->error;
        pintle_event_wait(&p->ended, PINTLE_FOREVER);
        pintle_io_close(io);
        free(p);
        return pintle_error_set(PINTLE_EOS, error, "the program for a plugin's process cannot be started: %s",
                                strerror(error));
    }
    *out = p;
    *out_channel = (channel *)(void *)io;
    return 0;
}

uint64_t process_id(const process *p) { return (uint64_t)p->id; }

void process_kill(process *p) {
    pintle_mutex_lock(&p->lock, PINTLE_FOREVER);
    if (!p->over) {
        kill(-p->id, SIGKILL);
        kill(p->id, SIGKILL);
    }
    pintle_mutex_unlock(&p->lock);
}

void process_end(process *p, char *out_text, size_t text_bytes) {
    pintle_cancel_mask();
    pintle_event_wait(&p->ended, PINTLE_FOREVER);
    pintle_cancel_unmask();
    if (WIFSIGNALED(p->status))
        snprintf(out_text, text_bytes, "was ended by signal %d (%s)", WTERMSIG(p->status),
                 strsignal(WTERMSIG(p->status)));
    else
        snprintf(out_text, text_bytes, "ended with status %d", WEXITSTATUS(p->status));
    free(p);
}

void process_limit(size_t memory_most_bytes) {
    struct rlimit none = {0, 0}, memory = {memory_most_bytes, memory_most_bytes};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_CORE, &none);
    if (memory_most_bytes != 0) setrlimit(RLIMIT_DATA, &memory);
}
