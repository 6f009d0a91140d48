/* wrap.h: what the parts of `pintle service wrap` share.
 *
 *   service_wrap.c  its options, for running and for installing     wrap.c      the life: start, stop, start again
 *   wrap_log.c      a file of output, rotated                       wrap_win.c, wrap_posix.c  processes, pipes, files */
#ifndef PINTLE_COMMAND_WRAP_H
#define PINTLE_COMMAND_WRAP_H

#include "command.h"

enum wrap_restart { WRAP_RESTART_NEVER, WRAP_RESTART_FAILURE, WRAP_RESTART_ALWAYS };

struct wrap_settings {
    const char *name;
    const char *program;             /* absolute */
    const char *folder;              /* NULL: the program's as a service, else the current one */
    const char *out_path, *err_path; /* NULL: as a Windows service nowhere, else where our own goes; may be equal */
    uint64_t rotate_bytes;           /* 0: never */
    unsigned rotate_count;
    enum wrap_restart restart;
    int64_t delay_ns, delay_most_ns, healthy_ns, stop_timeout_ns;
    uint64_t restarts_most; /* in a row; 0: no limit */
};

/* ---- The life: wrap.c ---- */

/* Runs the program with these words (the first is its name) until it is over for good; the value is the exit status. */
int wrap_run(const struct wrap_settings *settings, int argc, char **argv);

/* ---- Files of output: wrap_log.c. All of them block, and run in foreign calls. One user at a time. ---- */

typedef intptr_t wrap_handle;
#define WRAP_NO_HANDLE ((wrap_handle)-1)

struct wrap_log {
    const char *path;
    uint64_t rotate_bytes;
    unsigned rotate_count;
    wrap_handle file;
    uint64_t bytes;      /* in the file */
    uint64_t rotates_at; /* at the first line's end from here on */
    uint32_t error;      /* the first since it was looked at, 0: none; what could not be written is lost */
};

/* 0, or the system's error number. */
uint32_t wrap_log_open(struct wrap_log *log);
void wrap_log_write(struct wrap_log *log, const char *bytes, size_t length);
void wrap_log_close(struct wrap_log *log);

/* ---- The system: wrap_win.c, wrap_posix.c. Errors are the system's numbers, 0: none. ---- */

/* A program that runs, with all processes that it starts. */
struct wrap_process {
    uint32_t id;
    bool as_service;
    wrap_handle out, err; /* to read its output from; WRAP_NO_HANDLE: not piped */
    void *handle, *job;   /* Windows */
};

struct wrap_command {
    const char *program, *folder; /* folder NULL: the current one */
    char **argv;
    bool pipe_out, pipe_err, err_to_out; /* what is not piped goes nowhere as a Windows service, else where ours goes */
    bool as_service;
};

/* These three block. */
uint32_t wrap_process_start(const struct wrap_command *command, struct wrap_process *out_process);
/* The exit code, as soon as the program is over, whatever of its tree still runs. On POSIX 128 + n after signal n. */
uint32_t wrap_process_wait(const struct wrap_process *process);
/* Asks it to end: Ctrl-C and WM_CLOSE; the signal. false: it cannot be asked yet. */
bool wrap_process_ask(const struct wrap_process *process, uint32_t control);

/* Begins to end the whole tree. */
void wrap_process_kill(const struct wrap_process *process);
/* For PINTLE_SERVICE_RELOAD, if that is in wrap_accepts: kinds of events that the system has beyond stops. */
void wrap_process_reload(const struct wrap_process *process);
extern const uint32_t wrap_accepts;
/* When the program is over, and nobody waits for it or reads from it any more: ends the rest of the tree, and blocks until
 * it is gone, with what it had open. */
void wrap_process_close(struct wrap_process *process);
/* "exit code 5", "signal 9". */
void wrap_code_text(uint32_t code, char *out_text, size_t text_bytes);

/* More than 0: so many bytes; 0: the end, or interrupted. */
int64_t wrap_read(wrap_handle from, char *out_bytes, size_t most);
uint32_t wrap_file_append(const char *path, wrap_handle *out_file, uint64_t *out_bytes);
uint32_t wrap_file_write(wrap_handle file, const char *bytes, size_t length);
void wrap_file_close(wrap_handle file);
/* Replaces what is there. No such file: 0. */
uint32_t wrap_file_move(const char *from, const char *to);
uint32_t wrap_file_remove(const char *path);

/* For the programs that are started later. */
bool wrap_environment_set(const char *name, const char *value);
bool wrap_folder_exists(const char *path);
/* NULL, or why this file cannot be started as it is. */
const char *wrap_program_refused(const char *path);

#endif
