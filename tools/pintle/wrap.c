/* wrap.c: the life of a wrapped program.
 *
 *   start --it runs--> wait --it ended--> rest killed --policy--> delay --> start
 *                       |                                           |
 *                       stop: asked; after the time-out killed      stop: over
 *
 * One task takes the service's events and decides. Beside it, while the program runs, in a scope that is closed before the next
 * start: one that waits for the program's end, one for each pipe that writes what comes to its file. They are blocking calls.
 * Nothing of a program's tree survives its end, so the pipes end too; who left the tree (POSIX: by setsid) may hold one:
 * then reading it is cancelled.
 * Tests: tests/win/test_service_wrap.c, tests/posix/test_service_wrap.c. */
#include "wrap.h"

#include "platform.h"

enum { ASK_AGAIN_MS = 100, PIPES_END_S = 3, CODE_BYTES = 64 };

struct wrap {
    const struct wrap_settings *settings;
    pintle_service_context *service;
    struct wrap_command command;
    struct wrap_process process;
    struct wrap_log out, err;
    pintle_chan *ended; /* of uint32_t: the exit code */
    bool lived;         /* the main task began */
};

struct pump {
    wrap_handle from;
    struct wrap_log *to;
    struct wrap *wrap;
};

/* ---- Beside the program ---- */

static int wait_in_call(void *arg) {
    struct wrap *wrap = arg;
    return (int)wrap_process_wait(&wrap->process);
}

static int wait_for_end(void *arg) {
    struct wrap *wrap = arg;
    uint32_t code = (uint32_t)pintle_call_blocking(wait_in_call, wrap);
    return pintle_chan_send(wrap->ended, &code, PINTLE_FOREVER);
}

static int pump_in_call(void *arg) {
    const struct pump *pump = arg;
    char bytes[8192], text[256];
    int64_t length;
    while ((length = wrap_read(pump->from, bytes, sizeof bytes)) > 0) {
        bool well = pump->to->error == 0;
        wrap_log_write(pump->to, bytes, (size_t)length);
        if (!well || pump->to->error == 0) continue; /* it is told once */
        platform_error_text(pump->to->error, text, sizeof text);
        pintle_service_log(pump->wrap->service, PINTLE_SERVICE_ERROR, "output is lost or not rotated: '%s': %s",
                           pump->to->path, text);
    }
    return 0;
}

static int pump_output(void *arg) { return pintle_call_interruptible(pump_in_call, arg); }

/* ---- Starting and ending ---- */

static int start_in_call(void *arg) {
    struct wrap *wrap = arg;
    return (int)wrap_process_start(&wrap->command, &wrap->process);
}

static bool start(struct wrap *wrap) {
    char text[256];
    uint32_t error = (uint32_t)pintle_call_blocking(start_in_call, wrap);
    if (error == 0) {
        pintle_service_log(wrap->service, PINTLE_SERVICE_INFO, "'%s' runs as process %" PRIu32, wrap->settings->program,
                           wrap->process.id);
        return true;
    }
    platform_error_text(error, text, sizeof text);
    pintle_service_log(wrap->service, PINTLE_SERVICE_ERROR, "'%s' was not started: %s", wrap->settings->program, text);
    return false;
}

struct question {
    const struct wrap_process *process;
    uint32_t control;
};

static int ask_in_call(void *arg) {
    const struct question *question = arg;
    return wrap_process_ask(question->process, question->control);
}

/* The exit code of a program that is to end. */
static uint32_t stop(struct wrap *wrap, uint32_t control) {
    struct question question = {&wrap->process, control};
    int64_t deadline_ns = pintle_after(wrap->settings->stop_timeout_ns);
    uint32_t code = 0;
    bool asked = false;
    for (;;) {
        asked = asked || pintle_call_blocking(ask_in_call, &question) != 0;
        int64_t again_ns = pintle_after(PINTLE_MS(ASK_AGAIN_MS));
        int64_t until_ns = asked || again_ns > deadline_ns ? deadline_ns : again_ns;
        if (pintle_chan_recv(wrap->ended, &code, until_ns) == 0) return code;
        if (until_ns == deadline_ns) break;
    }
    pintle_service_log(wrap->service, PINTLE_SERVICE_WARNING, "'%s' did not stop within %s: it is terminated",
                       wrap->settings->program, text_duration((uint64_t)wrap->settings->stop_timeout_ns));
    wrap_process_kill(&wrap->process);
    pintle_chan_recv(wrap->ended, &code, PINTLE_FOREVER);
    return code;
}

/* Waits for the program's end, or a stop. */
static uint32_t accompany(struct wrap *wrap, bool *out_stopped) {
    pintle_service_event event;
    uint32_t code = 0;
    pintle_case cases[] = {pintle_case_recv(wrap->ended, &code),
                           pintle_case_recv(pintle_service_events(wrap->service), &event)};
    for (;;) {
        if (pintle_select(cases, 2, PINTLE_FOREVER) != 1) return code;
        if (event.kind != PINTLE_SERVICE_RELOAD) break;
        wrap_process_reload(&wrap->process);
        pintle_service_done(wrap->service);
    }
    *out_stopped = true;
    return stop(wrap, event.control);
}

static int run_beside(struct wrap *wrap, pintle_scope *scope, struct pump pumps[2]) {
    int result = 0;
    for (int i = 0; i < 2 && result == 0; i++) {
        if (pumps[i].from != WRAP_NO_HANDLE) result = pintle_scope_go(scope, pump_output, &pumps[i], NULL);
    }
    return result != 0 ? result : pintle_scope_go(scope, wait_for_end, wrap, NULL);
}

static int close_in_call(void *arg) {
    wrap_process_close(arg);
    return 0;
}

/* From the start to when nothing is left. 0, or an error of Pintle's. */
static int live_once(struct wrap *wrap, uint32_t *out_code, bool *out_stopped) {
    struct pump pumps[2] = {{wrap->process.out, &wrap->out, wrap}, {wrap->process.err, &wrap->err, wrap}};
    pintle_scope *scope = NULL;
    int result = pintle_scope_open(&scope, PINTLE_FOREVER);
    if (result == 0) result = run_beside(wrap, scope, pumps);
    if (result == 0) *out_code = accompany(wrap, out_stopped);
    wrap_process_kill(&wrap->process); /* the rest of the tree; all, if it could not be accompanied */
    if (scope != NULL) {
        if (pintle_scope_wait(scope, pintle_after(PINTLE_S(PIPES_END_S))) != 0) {
            pintle_service_log(wrap->service, PINTLE_SERVICE_WARNING,
                               "a process that left the tree of '%s' holds its output: it is read no further",
                               wrap->settings->program);
            pintle_scope_cancel(scope);
        }
        pintle_scope_close(scope);
    }
    pintle_call_blocking(close_in_call, &wrap->process);
    return result;
}

/* ---- The policy ---- */

static bool starts_again(const struct wrap_settings *settings, uint32_t code) {
    return settings->restart == WRAP_RESTART_ALWAYS || (settings->restart == WRAP_RESTART_FAILURE && code != 0);
}

/* true: a stop came. */
static bool wait_to_restart(struct wrap *wrap, int64_t delay_ns) {
    pintle_service_event event;
    int64_t deadline_ns = pintle_after(delay_ns);
    while (pintle_chan_recv(pintle_service_events(wrap->service), &event, deadline_ns) == 0) {
        if (event.kind != PINTLE_SERVICE_RELOAD) return true;
        pintle_service_done(wrap->service); /* it reads its configuration when it starts */
    }
    return false;
}

static void tell_end(struct wrap *wrap, uint32_t code, int64_t ran_ns, const char *then, const char *delay) {
    char text[CODE_BYTES];
    wrap_code_text(code, text, sizeof text);
    pintle_service_log(wrap->service, code == 0 ? PINTLE_SERVICE_INFO : PINTLE_SERVICE_WARNING,
                       "'%s' ended with %s after %s%s%s", wrap->settings->program, text,
                       text_duration((uint64_t)ran_ns), then, delay);
}

/* The program's exit code is the service's, but for a stop, which is a success for the manager however it went: failure actions
 * must not start what somebody stopped. */
static int live(struct wrap *wrap) {
    const struct wrap_settings *settings = wrap->settings;
    int64_t delay_ns = settings->delay_ns;
    uint64_t restarts = 0;
    bool ever_ran = false;
    for (;;) {
        bool stopped = false;
        uint32_t code = STATUS_FAILED;
        int64_t began_ns = pintle_now();
        if (start(wrap)) {
            ever_ran = true;
            pintle_service_ready(wrap->service); /* ESTOPPED: the event tells it */
            int result = live_once(wrap, &code, &stopped);
            if (result != 0) return result;
        } else if (!ever_ran) {
            return STATUS_FAILED; /* whoever starts it is to see that */
        }
        int64_t ran_ns = pintle_now() - began_ns;
        if (stopped) {
            tell_end(wrap, code, ran_ns, ", stopped", "");
            return pintle_service_mode(wrap->service) == PINTLE_SERVICE_MODE_SERVICE ? 0 : (int)code;
        }
        if (!starts_again(settings, code)) {
            tell_end(wrap, code, ran_ns, "", "");
            return (int)code;
        }
        if (ran_ns >= settings->healthy_ns) {
            delay_ns = settings->delay_ns;
            restarts = 0;
        }
        if (settings->restarts_most != 0 && restarts == settings->restarts_most) {
            tell_end(wrap, code, ran_ns, ", and is not started again: too often in a row", "");
            return code != 0 ? (int)code : STATUS_FAILED;
        }
        restarts++;
        tell_end(wrap, code, ran_ns, ", and starts again in ", text_duration((uint64_t)delay_ns));
        if (wait_to_restart(wrap, delay_ns)) return 0;
        delay_ns = delay_ns < settings->delay_most_ns / 2 ? delay_ns * 2 : settings->delay_most_ns;
    }
}

/* ---- The files, the service ---- */

static int open_in_call(void *arg) { return (int)wrap_log_open(arg); }

static bool open_log(struct wrap *wrap, struct wrap_log *log, const char *path) {
    char text[256];
    if (path == NULL) return true;
    *log = (struct wrap_log){
        .path = path, .rotate_bytes = wrap->settings->rotate_bytes, .rotate_count = wrap->settings->rotate_count};
    uint32_t error = (uint32_t)pintle_call_blocking(open_in_call, log);
    if (error == 0) return true;
    platform_error_text(error, text, sizeof text);
    pintle_service_log(wrap->service, PINTLE_SERVICE_ERROR, "'%s' cannot be opened for output: %s", path, text);
    return false;
}

/* As a service the program's own folder is a better place than the system's, which services are started in. */
static const char *folder_of_program(const char *program) {
    static char folder[PATH_BYTES];
    snprintf(folder, sizeof folder, "%s", program);
    char *slash = folder + strlen(folder);
    while (slash > folder && *slash != '/' && *slash != '\\') slash--;
    if (slash == folder) return NULL;
    slash[slash[-1] == ':' ? 1 : 0] = '\0'; /* C:\ */
    return folder;
}

static int wrap_task(pintle_service_context *service, int argc, char **argv) {
    struct wrap *wrap = pintle_service_user(service);
    const struct wrap_settings *settings = wrap->settings;
    bool as_service = pintle_service_mode(service) == PINTLE_SERVICE_MODE_SERVICE, same;
    int result = STATUS_FAILED;
    (void)argc;
    wrap->lived = true;
    wrap->service = service;
    same = settings->out_path != NULL && settings->err_path != NULL &&
           strcmp(settings->out_path, settings->err_path) == 0;
    wrap->command = (struct wrap_command){.program = settings->program,
                                          .folder = settings->folder,
                                          .argv = argv,
                                          .pipe_out = settings->out_path != NULL,
                                          .pipe_err = settings->err_path != NULL && !same,
                                          .err_to_out = same,
                                          .as_service = as_service};
    if (as_service && settings->folder == NULL) wrap->command.folder = folder_of_program(settings->program);
    if (open_log(wrap, &wrap->out, settings->out_path) && (same || open_log(wrap, &wrap->err, settings->err_path)))
        result = live(wrap);
    wrap_log_close(&wrap->out);
    wrap_log_close(&wrap->err);
    return result;
}

int wrap_run(const struct wrap_settings *settings, int argc, char **argv) {
    struct wrap wrap = {.settings = settings, .out.file = WRAP_NO_HANDLE, .err.file = WRAP_NO_HANDLE};
    pintle_service service = {.name = settings->name,
                              .main_task = wrap_task,
                              .user = &wrap,
                              .accepts = PINTLE_SERVICE_STOP | PINTLE_SERVICE_SHUTDOWN | wrap_accepts};
    if (pintle_chan_new(&wrap.ended, sizeof(uint32_t), 1) != 0) return fail_with_error();
    int result = pintle_service_run(&service, PINTLE_SERVICE_MODE_AUTO, argc, argv);
    pintle_chan_free(wrap.ended);
    return wrap.lived ? result : fail_with_error();
}
