/* wrap_posix.c: wrap.h for POSIX.
 *
 * The program gets a process group of its own, which is its tree here. Its end is noticed without reaping it: as long as it is
 * there, nobody else gets its number, and the group can be killed by it. On Linux the group's orphans become our children, so
 * their end can be waited for. Who leaves the group (setsid) is not reached. */
#define _GNU_SOURCE 1 /* posix_spawn_file_actions_addchdir_np, pipe2 */
#include "wrap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#if defined(__linux__)
#include <sys/prctl.h>
#endif
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

const uint32_t wrap_accepts = PINTLE_SERVICE_RELOAD;

/* ---- Starting ---- */

struct start {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int out[2], err[2];
};

static void close_pipe(int ends[2], int from) {
    for (int i = from; i < 2; i++) {
        if (ends[i] >= 0) close(ends[i]);
    }
}

/* What is not piped goes where ours goes, as a daemon too: its manager has given it a journal. */
static int redirect(posix_spawn_file_actions_t *actions, int ends[2], int stream, bool piped) {
    if (!piped) return 0;
    return pipe2(ends, O_CLOEXEC) != 0 ? errno : posix_spawn_file_actions_adddup2(actions, ends[1], stream);
}

static int prepare(struct start *start, const struct wrap_command *command) {
    sigset_t none, all;
    int error = posix_spawn_file_actions_addopen(&start->actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (error == 0) error = redirect(&start->actions, start->out, STDOUT_FILENO, command->pipe_out);
    if (error == 0 && command->err_to_out)
        error = posix_spawn_file_actions_adddup2(&start->actions, STDOUT_FILENO, STDERR_FILENO);
    else if (error == 0)
        error = redirect(&start->actions, start->err, STDERR_FILENO, command->pipe_err);
    if (error == 0 && command->folder != NULL)
        error = posix_spawn_file_actions_addchdir_np(&start->actions, command->folder);
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&start->attributes, &none);
    posix_spawnattr_setsigdefault(&start->attributes, &all);
    posix_spawnattr_setpgroup(&start->attributes, 0);
    posix_spawnattr_setflags(&start->attributes,
                             POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    return error;
}

uint32_t wrap_process_start(const struct wrap_command *command, struct wrap_process *out_process) {
    struct start start = {.out = {-1, -1}, .err = {-1, -1}};
    pid_t id = 0;
#if defined(__linux__)
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
#endif
    posix_spawn_file_actions_init(&start.actions);
    posix_spawnattr_init(&start.attributes);
    int error = prepare(&start, command);
    if (error == 0)
        error = posix_spawn(&id, command->program, &start.actions, &start.attributes, command->argv, environ);
    posix_spawn_file_actions_destroy(&start.actions);
    posix_spawnattr_destroy(&start.attributes);
    close_pipe(start.out, error == 0);
    close_pipe(start.err, error == 0);
    if (error != 0) return (uint32_t)error;
    *out_process = (struct wrap_process){
        .id = (uint32_t)id, .as_service = command->as_service, .out = start.out[0], .err = start.err[0]};
    return 0;
}

/* ---- Ending ---- */

uint32_t wrap_process_wait(const struct wrap_process *process) {
    siginfo_t end;
    while (waitid(P_PID, (id_t)process->id, &end, WEXITED | WNOWAIT) != 0) {
        if (errno != EINTR) return STATUS_FAILED;
    }
    return (uint32_t)end.si_status + (end.si_code == CLD_EXITED ? 0 : 128);
}

bool wrap_process_ask(const struct wrap_process *process, uint32_t control) {
    kill(-(pid_t)process->id, (int)control);
    return true;
}

void wrap_process_kill(const struct wrap_process *process) { kill(-(pid_t)process->id, SIGKILL); }

void wrap_process_reload(const struct wrap_process *process) { kill(-(pid_t)process->id, SIGHUP); }

void wrap_process_close(struct wrap_process *process) {
    if (process->out != WRAP_NO_HANDLE) close((int)process->out);
    if (process->err != WRAP_NO_HANDLE) close((int)process->err);
    wrap_process_kill(process);
    while (waitpid(-(pid_t)process->id, NULL, 0) > 0 || errno == EINTR) continue;
    while (waitpid(-1, NULL, WNOHANG) > 0) continue; /* orphans that had left the group, and have ended since */
}

void wrap_code_text(uint32_t code, char *out_text, size_t text_bytes) {
    if (code > 128)
        snprintf(out_text, text_bytes, "signal %" PRIu32 " (or exit code %" PRIu32 ")", code - 128, code);
    else
        snprintf(out_text, text_bytes, "exit code %" PRIu32, code);
}

/* ---- Pipes and files ---- */

int64_t wrap_read(wrap_handle from, char *out_bytes, size_t most) {
    ssize_t got = read((int)from, out_bytes, most);
    return got > 0 ? got : 0; /* EINTR: it is to end */
}

uint32_t wrap_file_append(const char *path, wrap_handle *out_file, uint64_t *out_bytes) {
    struct stat status;
    int file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (file < 0) return (uint32_t)errno;
    if (fstat(file, &status) != 0) {
        int error = errno;
        close(file);
        return (uint32_t)error;
    }
    *out_file = file;
    *out_bytes = (uint64_t)status.st_size;
    return 0;
}

uint32_t wrap_file_write(wrap_handle file, const char *bytes, size_t length) {
    while (length > 0) {
        ssize_t done = write((int)file, bytes, length);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return (uint32_t)errno;
        bytes += done;
        length -= (size_t)done;
    }
    return 0;
}

void wrap_file_close(wrap_handle file) { close((int)file); }

uint32_t wrap_file_move(const char *from, const char *to) {
    return rename(from, to) == 0 || errno == ENOENT ? 0 : (uint32_t)errno;
}

uint32_t wrap_file_remove(const char *path) { return unlink(path) == 0 || errno == ENOENT ? 0 : (uint32_t)errno; }

/* ---- Surroundings ---- */

bool wrap_environment_set(const char *name, const char *value) { return setenv(name, value, 1) == 0; }

bool wrap_folder_exists(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

const char *wrap_program_refused(const char *path) { return access(path, X_OK) == 0 ? NULL : "it may not be executed"; }
