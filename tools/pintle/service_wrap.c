/* service_wrap.c: `pintle service wrap`: its options, read when it runs and when it is installed. The life: wrap.c. */
#include <getopt.h>

#include "platform.h"
#include "service.h"
#include "wrap.h"

const char wrap_help[] = "Runs any program as a service: starts it, starts it again when it fails, stops it in order,\n"
                         "keeps its output, and leaves nothing of its process tree behind.\n"
                         "\n"
                         "  pintle service install NAME [OPTION…] -- wrap [WRAP OPTION…] -- PROGRAM [ARGUMENT…]\n"
                         "                           installs it as the Windows service NAME\n"
                         "  pintle service wrap [WRAP OPTION…] -- PROGRAM [ARGUMENT…]\n"
                         "                           runs it in the foreground: to try it, or under systemd\n"
                         "\n"
                         "PROGRAM is a path, or a file in the current folder. The arguments of a start\n"
                         "(pintle service start NAME -- MORE) follow those given here.\n"
                         "\n"
                         "  --folder FOLDER          where it runs (default: the program's folder as a service,\n"
                         "                           else the current one)\n"
                         "  --env NAME=VALUE         a variable of its environment; may be repeated\n"
                         "  --stdout FILE            appends its output to the file (default: as a Windows service\n"
                         "  --stderr FILE            none is kept, else it goes where this command's goes); both\n"
                         "                           may be the same file\n"
                         "  --rotate-size SIZE       at the first line's end from SIZE on, FILE becomes FILE.1, that\n"
                         "                           FILE.2, …; K, M and G are units, 0: never (default: 10M)\n"
                         "  --rotate-count N         so many old files are kept, 0 to 1000 (default: 5)\n"
                         "  --restart WHEN           failure (an exit code other than 0; the default), always, never\n"
                         "  --restart-delay TIME     before the first restart; doubles with each (default: 1s)\n"
                         "  --restart-delay-most T   up to this (default: 60s)\n"
                         "  --healthy TIME           after so long a run the delay begins anew (default: 60s)\n"
                         "  --restarts N             so many in a row, then it fails with the program's exit code\n"
                         "                           (default: no limit)\n"
                         "  --stop-timeout TIME      so long it may take to stop (default: 15s)\n"
                         "  --name NAME              what it is called in the log (default: the program's name)\n"
                         "  --help                   this text\n"
                         "\n"
                         "A TIME is a number with ms, s, m or h; without, seconds. A stop sends Ctrl-C to the\n"
                         "program's console and WM_CLOSE to its windows (POSIX: the signal, to its process\n"
                         "group), and terminates what is left at the time-out. When the program is over, the rest\n"
                         "of its tree is terminated. Its exit code is the service's, but after a stop.\n";

enum {
    OPTION_FOLDER = 256,
    OPTION_ENV,
    OPTION_STDOUT,
    OPTION_STDERR,
    OPTION_ROTATE_SIZE,
    OPTION_ROTATE_COUNT,
    OPTION_RESTART,
    OPTION_RESTART_DELAY,
    OPTION_RESTART_DELAY_MOST,
    OPTION_HEALTHY,
    OPTION_RESTARTS,
    OPTION_STOP_TIMEOUT,
    OPTION_NAME,
    OPTION_HELP
};
static const struct option options[] = {{"folder", required_argument, NULL, OPTION_FOLDER},
                                        {"env", required_argument, NULL, OPTION_ENV},
                                        {"stdout", required_argument, NULL, OPTION_STDOUT},
                                        {"stderr", required_argument, NULL, OPTION_STDERR},
                                        {"rotate-size", required_argument, NULL, OPTION_ROTATE_SIZE},
                                        {"rotate-count", required_argument, NULL, OPTION_ROTATE_COUNT},
                                        {"restart", required_argument, NULL, OPTION_RESTART},
                                        {"restart-delay", required_argument, NULL, OPTION_RESTART_DELAY},
                                        {"restart-delay-most", required_argument, NULL, OPTION_RESTART_DELAY_MOST},
                                        {"healthy", required_argument, NULL, OPTION_HEALTHY},
                                        {"restarts", required_argument, NULL, OPTION_RESTARTS},
                                        {"stop-timeout", required_argument, NULL, OPTION_STOP_TIMEOUT},
                                        {"name", required_argument, NULL, OPTION_NAME},
                                        {"help", no_argument, NULL, OPTION_HELP},
                                        {NULL, 0, NULL, 0}};

enum { ROTATE_COUNT_MOST = 1000, NAME_BYTES = 256 };

struct wrap_line {
    struct wrap_settings settings;
    char program[PATH_BYTES], folder[PATH_BYTES], out_path[PATH_BYTES], err_path[PATH_BYTES], name[NAME_BYTES];
    const char *
        *words; /* the options in a form that holds from any folder, then "--", the program, its arguments, NULL */
    int word_count;
    char **environment; /* of NAME=VALUE, as typed */
    int environment_count;
    char **argv; /* the program's */
    int argc;
    bool wants_help;
};

/* ---- Values ---- */

struct unit {
    const char *name;
    uint64_t factor;
};

/* A number with one of the units. */
static bool read_amount(const char *text, const struct unit *units, uint64_t most, uint64_t *out) {
    char *end;
    if (text[0] < '0' || text[0] > '9') return false;
    uint64_t number = strtoull(text, &end, 10);
    for (; units->name != NULL; units++) {
        if (strcmp(end, units->name) != 0) continue;
        if (number > most / units->factor) return false;
        *out = number * units->factor;
        return true;
    }
    return false;
}

static int read_time(const char *option, int64_t *out_ns) {
    static const struct unit units[] = {{"ms", 1000000},    {"", 1000000000},     {"s", 1000000000},
                                        {"m", 60000000000}, {"h", 3600000000000}, {NULL, 0}};
    uint64_t ns;
    if (!read_amount(optarg, units, 86400 * UINT64_C(1000000000), &ns))
        return fail_usage("service wrap", "%s wants a time of up to a day, such as 500ms, 10s or 2m, not '%s'", option,
                          optarg);
    *out_ns = (int64_t)ns;
    return STATUS_OK;
}

static int read_size(uint64_t *out_bytes) {
    static const struct unit units[] = {{"", 1}, {"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}, {NULL, 0}};
    if (read_amount(optarg, units, INT64_MAX, out_bytes)) return STATUS_OK;
    return fail_usage("service wrap", "--rotate-size wants a size such as 64K or 10M, not '%s'", optarg);
}

static int read_number(const char *option, uint64_t most, uint64_t *out) {
    static const struct unit units[] = {{"", 1}, {NULL, 0}};
    if (read_amount(optarg, units, most, out)) return STATUS_OK;
    return fail_usage("service wrap", "%s wants a number from 0 to %" PRIu64 ", not '%s'", option, most, optarg);
}

static int read_restart(enum wrap_restart *out) {
    static const char *const names[] = {"never", "failure", "always"};
    for (int i = 0; i < 3; i++) {
        if (strcmp(optarg, names[i]) != 0) continue;
        *out = (enum wrap_restart)i;
        return STATUS_OK;
    }
    return fail_usage("service wrap", "--restart wants failure, always or never, not '%s'", optarg);
}

static int read_path(char out_path[PATH_BYTES], const char **out) {
    if (!platform_absolute_path(optarg, out_path, PATH_BYTES)) return fail("'%s' is too long for a path", optarg);
    *out = out_path;
    return STATUS_OK;
}

static int read_folder(struct wrap_line *line) {
    int status = read_path(line->folder, &line->settings.folder);
    if (status == STATUS_OK && !wrap_folder_exists(line->folder)) return fail("there is no folder '%s'", optarg);
    return status;
}

static int read_environment(struct wrap_line *line) {
    const char *equals = strchr(optarg, '=');
    if (equals == NULL || equals == optarg)
        return fail_usage("service wrap", "--env wants NAME=VALUE, not '%s'", optarg);
    line->environment[line->environment_count++] = optarg;
    return STATUS_OK;
}

/* ---- The command line ---- */

/* Only remembered as read: --name=value, with the path from the root. */
static int remember(struct wrap_line *line, int option, const char *value) {
    const struct option *at = options;
    while (at->val != option) at++;
    size_t bytes = strlen(at->name) + strlen(value) + 4;
    char *word = malloc(bytes);
    if (word == NULL) return fail("no memory");
    snprintf(word, bytes, "--%s=%s", at->name, value);
    line->words[line->word_count++] = word;
    return STATUS_OK;
}

static int read_option(struct wrap_line *line, int option, const char *typed) {
    struct wrap_settings *settings = &line->settings;
    const char *value = optarg;
    uint64_t number = 0;
    int status;
    switch (option) {
    case OPTION_FOLDER: status = read_folder(line), value = line->folder; break;
    case OPTION_ENV: status = read_environment(line); break;
    case OPTION_STDOUT: status = read_path(line->out_path, &settings->out_path), value = line->out_path; break;
    case OPTION_STDERR: status = read_path(line->err_path, &settings->err_path), value = line->err_path; break;
    case OPTION_ROTATE_SIZE: status = read_size(&settings->rotate_bytes); break;
    case OPTION_ROTATE_COUNT:
        status = read_number("--rotate-count", ROTATE_COUNT_MOST, &number);
        settings->rotate_count = (unsigned)number;
        break;
    case OPTION_RESTART: status = read_restart(&settings->restart); break;
    case OPTION_RESTART_DELAY: status = read_time("--restart-delay", &settings->delay_ns); break;
    case OPTION_RESTART_DELAY_MOST: status = read_time("--restart-delay-most", &settings->delay_most_ns); break;
    case OPTION_HEALTHY: status = read_time("--healthy", &settings->healthy_ns); break;
    case OPTION_RESTARTS: status = read_number("--restarts", UINT32_MAX, &settings->restarts_most); break;
    case OPTION_STOP_TIMEOUT: status = read_time("--stop-timeout", &settings->stop_timeout_ns); break;
    case OPTION_NAME:
        snprintf(line->name, sizeof line->name, "%s", optarg);
        status = optarg[0] != '\0' ? STATUS_OK : fail_usage("service wrap", "--name wants a name");
        break;
    case OPTION_HELP:
    case 'h': line->wants_help = true; return STATUS_OK;
    case ':': return fail_usage("service wrap", "option '%s' wants a value", typed);
    default: return fail_usage("service wrap", "there is no option '%s'", typed);
    }
    return status == STATUS_OK ? remember(line, option, value) : status;
}

/* The last part of the path without its ending. */
static void name_of_program(const char *program, char out_name[NAME_BYTES]) {
    const char *base = program;
    for (const char *at = program; *at != '\0'; at++) base = *at == '/' || *at == '\\' ? at + 1 : base;
    snprintf(out_name, NAME_BYTES, "%.*s", NAME_BYTES - 1, base);
    char *dot = strrchr(out_name, '.');
    if (dot != NULL && dot != out_name) *dot = '\0';
}

static int read_program(struct wrap_line *line, char *typed) {
    if (!platform_absolute_path(typed, line->program, sizeof line->program) || !platform_file_exists(line->program))
        return fail("there is no program '%s'", typed);
    const char *refused = wrap_program_refused(line->program);
    if (refused != NULL) return fail("'%s' cannot be wrapped: %s", typed, refused);
    line->settings.program = line->program;
    if (line->name[0] == '\0') name_of_program(line->program, line->name);
    line->settings.name = line->name;
    line->words[line->word_count++] = "--";
    line->words[line->word_count++] = line->program;
    for (int i = 1; i < line->argc; i++) line->words[line->word_count++] = line->argv[i];
    return STATUS_OK;
}

/* argv[0] is "wrap". */
static int read_line(struct wrap_line *line, int argc, char **argv) {
    line->settings = (struct wrap_settings){.rotate_bytes = 10 << 20,
                                            .rotate_count = 5,
                                            .restart = WRAP_RESTART_FAILURE,
                                            .delay_ns = PINTLE_S(1),
                                            .delay_most_ns = PINTLE_S(60),
                                            .healthy_ns = PINTLE_S(60),
                                            .stop_timeout_ns = PINTLE_S(15)};
    line->words = calloc((size_t)argc + 2, sizeof *line->words);
    line->environment = calloc((size_t)argc + 1, sizeof *line->environment);
    if (line->words == NULL || line->environment == NULL) return fail("no memory");
    opterr = 0;
    optind = 1;
    while (optind < argc && !line->wants_help) {
        char *typed = argv[optind];
        if (strcmp(typed, "--") == 0) break;
        if (typed[0] != '-')
            return fail_usage("service wrap", "before '%s' there must be '--': then comes the program", typed);
        int status = read_option(line, getopt_long(argc, argv, "+:h", options, NULL), typed);
        if (status != STATUS_OK) return status;
    }
    if (line->wants_help) return STATUS_OK;
    if (optind + 1 >= argc) return fail_usage("service wrap", "wrap wants -- PROGRAM");
    if (line->settings.delay_most_ns < line->settings.delay_ns) line->settings.delay_most_ns = line->settings.delay_ns;
    line->argv = argv + optind + 1;
    line->argc = argc - optind - 1;
    return read_program(line, line->argv[0]);
}

/* Before the runtime starts: nothing in this process reads the environment meanwhile. */
static int set_environment(const struct wrap_line *line) {
    for (int i = 0; i < line->environment_count; i++) {
        char *equals = strchr(line->environment[i], '=');
        *equals = '\0';
        bool done = wrap_environment_set(line->environment[i], equals + 1);
        *equals = '=';
        if (!done) return fail("the variable '%s' cannot be set", line->environment[i]);
    }
    return STATUS_OK;
}

int service_wrap(int argc, char **argv) {
    static struct wrap_line line; /* large */
    int status = read_line(&line, argc, argv);
    if (line.wants_help) fputs(wrap_help, stdout);
    if (status != STATUS_OK || line.wants_help) return status;
    status = set_environment(&line);
    return status == STATUS_OK ? wrap_run(&line.settings, line.argc, line.argv) : status;
}

int service_wrap_words(int argc, char **argv, const char *const **out_words) {
    static struct wrap_line line;
    int status = read_line(&line, argc, argv);
    if (status == STATUS_OK && line.wants_help) {
        fputs(wrap_help, stdout);
        *out_words = NULL;
    } else {
        *out_words = line.words;
    }
    return status;
}
