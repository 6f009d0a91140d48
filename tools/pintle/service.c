/* service.c: `pintle service`: the service manager's side; service_install.c has the many options of an
 * installation, service_wrap.c any program as a service. */
#include "service.h"

#include <cJSON.h>
#include <getopt.h>

#include "platform.h"

enum { SECONDS_MOST = 86400, USER_CONTROL_FIRST = 128, USER_CONTROL_LAST = 255 };

const char service_help[] =
    "Installs, drives and watches Windows services.\n"
    "\n"
    "  pintle service install NAME [OPTION…] -- PROGRAM [ARGUMENT…]\n"
    "                                          `pintle service install --help` has its options\n"
    "  pintle service start NAME [ARGUMENT…]   starts it, and waits until it runs\n"
    "  pintle service stop NAME                stops it, and waits until it has stopped\n"
    "  pintle service pause NAME               the same for pausing\n"
    "  pintle service continue NAME            and going on\n"
    "  pintle service control NAME CODE        sends one of the service's own codes, 128 to 255;\n"
    "                                          4 asks whether it answers\n"
    "  pintle service query NAME               shows its state and its configuration\n"
    "  pintle service list                     shows all services\n"
    "  pintle service remove NAME              stops it and removes it\n"
    "  pintle service wrap -- PROGRAM …        runs any program as a service: restarts, rotated\n"
    "                                          output, a stop by Ctrl-C; `pintle service wrap --help`\n"
    "\n"
    "What is so already is a success: an installed service gets the new configuration, a running\n"
    "one stays started, a missing one stays removed.\n"
    "\n"
    "  --timeout S   waits S seconds at most, 0: not at all (default: as long as the service\n"
    "                makes progress, and 30 s without)\n"
    "  --json        of query and list: JSON, a line each\n"
    "  --help        this text\n"
    "\n"
    "Most of it wants an administrator. Exit status: 0 done; 1 not; 2 wrong usage.\n";

enum { OPTION_TIMEOUT = 256, OPTION_JSON, OPTION_HELP };
static const struct option options[] = {{"timeout", required_argument, NULL, OPTION_TIMEOUT},
                                        {"json", no_argument, NULL, OPTION_JSON},
                                        {"help", no_argument, NULL, OPTION_HELP},
                                        {NULL, 0, NULL, 0}};

struct service_line {
    const char *verb, *name;
    char **words; /* after the name, ended by NULL */
    int word_count;
    int64_t deadline_ns;
    bool json, wants_help;
};

/* ---- What is shown ---- */

static void show_progress(void *user, const pintle_scm_status *status) {
    (void)user;
    if (!platform_has_terminal()) return;
    fprintf(stderr, "\r%s, checkpoint %" PRIu32 " \x1b[K", pintle_scm_state_name(status->state), status->checkpoint);
}

static void clear_progress(void) {
    if (platform_has_terminal()) fputs("\r\x1b[K", stderr);
}

static const char *start_name(uint32_t start) {
    static const char *const names[] = {"auto", "delayed", "demand", "disabled"};
    return start < 4 ? names[start] : "?";
}

enum { NEVER_STARTED = 1077, SPECIFIC_CODE = 1066 };

static void print_status(const char *name, const pintle_scm_status *status) {
    printf("%s\n\n  state       %s\n", name, pintle_scm_state_name(status->state));
    if (status->process_id != 0) printf("  process     %" PRIu32 "\n", status->process_id);
    if (status->exit_code == SPECIFIC_CODE)
        printf("  exit code   its own: %" PRIu32 "\n", status->specific_code);
    else if (status->exit_code == NEVER_STARTED)
        printf("  exit code   none: never started\n");
    else if (status->exit_code != 0) {
        char text[256];
        platform_error_text(status->exit_code, text, sizeof text);
        printf("  exit code   %" PRIu32 ": %s\n", status->exit_code, text);
    }
    if (status->wait_hint_ms != 0)
        printf("  checkpoint  %" PRIu32 ", the next within %" PRIu32 " ms\n", status->checkpoint, status->wait_hint_ms);
    printf("  start       %s\n  account     %s\n  shown as    %s\n  program     %s\n", start_name(status->start),
           status->account, status->display_name, status->command_line);
}

static void print_json(const char *name, const pintle_scm_status *status, bool configuration) {
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "name", name);
    cJSON_AddStringToObject(object, "state", pintle_scm_state_name(status->state));
    cJSON_AddNumberToObject(object, "process", status->process_id);
    cJSON_AddNumberToObject(object, "exit_code", status->exit_code);
    cJSON_AddNumberToObject(object, "specific_code", status->specific_code);
    cJSON_AddNumberToObject(object, "checkpoint", status->checkpoint);
    cJSON_AddNumberToObject(object, "wait_hint_ms", status->wait_hint_ms);
    cJSON_AddStringToObject(object, "display_name", status->display_name);
    if (configuration) {
        cJSON_AddStringToObject(object, "start", start_name(status->start));
        cJSON_AddStringToObject(object, "account", status->account);
        cJSON_AddStringToObject(object, "command_line", status->command_line);
    }
    char *text = cJSON_PrintUnformatted(object);
    if (text != NULL) puts(text);
    cJSON_free(text);
    cJSON_Delete(object);
}

static void print_listed(void *user, const char *name, const pintle_scm_status *status) {
    if (*(bool *)user)
        print_json(name, status, false);
    else
        printf("%-15s  %-24s  %s\n", pintle_scm_state_name(status->state), name, status->display_name);
}

/* ---- The verbs ---- */

static pintle_scm_wait_options wait_options(const struct service_line *line) {
    return (pintle_scm_wait_options){.deadline_ns = line->deadline_ns, .on_progress = show_progress};
}

static int finish(const struct service_line *line, int code) {
    pintle_scm_status status;
    clear_progress();
    if (code != 0) return fail_with_error();
    if (strcmp(line->verb, "remove") == 0) {
        printf("%s: removed\n", line->name);
    } else if (pintle_scm_query(line->name, &status) == 0) {
        printf("%s: %s\n", line->name, pintle_scm_state_name(status.state));
    } else {
        return fail_with_error();
    }
    return STATUS_OK;
}

static int do_start(const struct service_line *line) {
    pintle_scm_wait_options wait = wait_options(line);
    wait.arguments = (const char *const *)line->words;
    return finish(line, pintle_scm_start(line->name, &wait));
}

static int do_stop(const struct service_line *line) {
    pintle_scm_wait_options wait = wait_options(line);
    return finish(line, pintle_scm_stop(line->name, &wait));
}

static int do_remove(const struct service_line *line) {
    pintle_scm_wait_options wait = wait_options(line);
    return finish(line, pintle_scm_remove(line->name, &wait));
}

static int control(const struct service_line *line, uint32_t code) {
    pintle_scm_wait_options wait = wait_options(line);
    return finish(line, pintle_scm_control(line->name, code, &wait));
}

enum { CONTROL_PAUSE = 2, CONTROL_CONTINUE = 3, CONTROL_INTERROGATE = 4 };
static int do_pause(const struct service_line *line) { return control(line, CONTROL_PAUSE); }
static int do_continue(const struct service_line *line) { return control(line, CONTROL_CONTINUE); }

static int do_control(const struct service_line *line) {
    char *end;
    unsigned long code = line->word_count == 1 ? strtoul(line->words[0], &end, 10) : 0;
    if (line->word_count != 1 || *end != '\0' ||
        (code != CONTROL_INTERROGATE && (code < USER_CONTROL_FIRST || code > USER_CONTROL_LAST)))
        return fail_usage("service", "control wants a code from %d to %d, or %d", USER_CONTROL_FIRST, USER_CONTROL_LAST,
                          CONTROL_INTERROGATE);
    return control(line, (uint32_t)code);
}

static int do_query(const struct service_line *line) {
    pintle_scm_status status;
    if (pintle_scm_query(line->name, &status) != 0) return fail_with_error();
    if (line->json)
        print_json(line->name, &status, true);
    else
        print_status(line->name, &status);
    return STATUS_OK;
}

static int do_list(const struct service_line *line) {
    bool json = line->json;
    return pintle_scm_list(print_listed, &json) == 0 ? STATUS_OK : fail_with_error();
}

static const struct verb {
    const char *name;
    int (*act)(const struct service_line *line);
    bool with_name, with_words;
} verbs[] = {
    {"start", do_start, true, true},        {"stop", do_stop, true, false},      {"pause", do_pause, true, false},
    {"continue", do_continue, true, false}, {"control", do_control, true, true}, {"query", do_query, true, false},
    {"list", do_list, false, false},        {"remove", do_remove, true, false},
};

/* ---- The command line ---- */

bool service_seconds(const char *option, const char *text, uint64_t *out) {
    char *end;
    *out = strtoull(text, &end, 10);
    if (end != text && *end == '\0' && text[0] != '-' && *out <= SECONDS_MOST) return true;
    fail_usage("service", "%s wants seconds, from 0 to %d, not '%s'", option, SECONDS_MOST, text);
    return false;
}

static int read_line(struct service_line *line, int argc, char **argv) {
    uint64_t seconds;
    opterr = 0;
    optind = 1;
    for (;;) {
        const char *typed = optind < argc ? argv[optind] : "";
        int option = getopt_long(argc, argv, "+:h", options, NULL);
        if (option == -1) {
            /* The name may come before the options; what follows it then is the start's, unless it looks like an option. */
            if (line->name == NULL && optind < argc && strcmp(typed, "--") != 0) {
                line->name = argv[optind++];
                continue;
            }
            break;
        }
        switch (option) {
        case OPTION_TIMEOUT:
            if (!service_seconds("--timeout", optarg, &seconds)) return STATUS_USAGE;
            line->deadline_ns = seconds == 0 ? PINTLE_NOWAIT : pintle_after(PINTLE_S((int64_t)seconds));
            break;
        case OPTION_JSON: line->json = true; break;
        case OPTION_HELP:
        case 'h': line->wants_help = true; return STATUS_OK;
        case ':': return fail_usage("service", "option '%s' wants a value", typed);
        default: return fail_usage("service", "there is no option '%s'", typed);
        }
    }
    line->words = argv + optind;
    line->word_count = argc - optind;
    return STATUS_OK;
}

int command_service(int argc, char **argv) {
    struct service_line line = {.verb = argc > 1 ? argv[1] : ""};
    if (strcmp(line.verb, "install") == 0) return service_install(argc - 1, argv + 1);
    if (strcmp(line.verb, "wrap") == 0) return service_wrap(argc - 1, argv + 1);
    if (strcmp(line.verb, "--help") == 0 || strcmp(line.verb, "-h") == 0) {
        fputs(service_help, stdout);
        return STATUS_OK;
    }
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        const struct verb *verb = &verbs[i];
        if (strcmp(line.verb, verb->name) != 0) continue;
        int status = read_line(&line, argc - 1, argv + 1);
        if (status != STATUS_OK) return status;
        if (line.wants_help) {
            fputs(service_help, stdout);
            return STATUS_OK;
        }
        if (verb->with_name && line.name == NULL) return fail_usage("service", "%s wants a service's name", verb->name);
        if (!verb->with_name && line.name != NULL) return fail_usage("service", "%s wants no name", verb->name);
        if (!verb->with_words && line.word_count > 0)
            return fail_usage("service", "%s does not know what to do with '%s'", verb->name, line.words[0]);
        return verb->act(&line);
    }
    return line.verb[0] == '\0' ? fail_usage("service", "service wants a verb: install, start, stop, query, …")
                                : fail_usage("service", "there is no '%s' for services", line.verb);
}
