/* service_install.c: `pintle service install`. */
#include <getopt.h>

#include "platform.h"
#include "service.h"

enum { DEPENDENCIES_MOST = 32, ACTIONS_MOST = 16, PASSWORD_BYTES = 512 };

static const char install_help[] =
    "Installs a Windows service, or gives an installed one this configuration.\n"
    "\n"
    "  pintle service install NAME [OPTION…] -- PROGRAM [ARGUMENT…]\n"
    "\n"
    "PROGRAM is the path of a program that calls pintle_service_run, or of any other\n"
    "service program. It is quoted, whatever is in it. Any other program is wrapped:\n"
    "  pintle service install NAME [OPTION…] -- wrap [WRAP OPTION…] -- PROGRAM [ARGUMENT…]\n"
    "(`pintle service wrap --help`; a program of that name: ./wrap).\n"
    "\n"
    "  --display-name TEXT      how the service is shown (default: NAME)\n"
    "  --description TEXT\n"
    "  --start WHEN             auto (the default), delayed, demand or disabled\n"
    "  --depends NAME           a service that must run first; may be repeated\n"
    "  --account ACCOUNT        as whom it runs: LocalSystem (the default),\n"
    "                           \"NT AUTHORITY\\LocalService\", DOMAIN\\USER, …\n"
    "  --password-stdin         reads the account's password from standard input\n"
    "  --on-failure LIST        what happens at the first, second, … failure, for example\n"
    "                           restart:5,restart:60,none (seconds); the last one goes on.\n"
    "                           Others: reboot:S, and run:S with --failure-command\n"
    "  --failure-command LINE   the command line of run:S\n"
    "  --failure-reset S        so many seconds without a failure, and the count begins anew\n"
    "  --preshutdown S          the seconds that a preshutdown may take\n"
    "  --help                   this text\n";

enum {
    OPTION_DISPLAY_NAME = 256,
    OPTION_DESCRIPTION,
    OPTION_START,
    OPTION_DEPENDS,
    OPTION_ACCOUNT,
    OPTION_PASSWORD_STDIN,
    OPTION_ON_FAILURE,
    OPTION_FAILURE_COMMAND,
    OPTION_FAILURE_RESET,
    OPTION_PRESHUTDOWN,
    OPTION_HELP
};
static const struct option options[] = {{"display-name", required_argument, NULL, OPTION_DISPLAY_NAME},
                                        {"description", required_argument, NULL, OPTION_DESCRIPTION},
                                        {"start", required_argument, NULL, OPTION_START},
                                        {"depends", required_argument, NULL, OPTION_DEPENDS},
                                        {"account", required_argument, NULL, OPTION_ACCOUNT},
                                        {"password-stdin", no_argument, NULL, OPTION_PASSWORD_STDIN},
                                        {"on-failure", required_argument, NULL, OPTION_ON_FAILURE},
                                        {"failure-command", required_argument, NULL, OPTION_FAILURE_COMMAND},
                                        {"failure-reset", required_argument, NULL, OPTION_FAILURE_RESET},
                                        {"preshutdown", required_argument, NULL, OPTION_PRESHUTDOWN},
                                        {"help", no_argument, NULL, OPTION_HELP},
                                        {NULL, 0, NULL, 0}};

struct install_line {
    const char *name;
    pintle_scm_install_options install;
    const char *dependencies[DEPENDENCIES_MOST + 1];
    size_t dependency_count;
    pintle_scm_action actions[ACTIONS_MOST];
    char program[PATH_BYTES], password[PASSWORD_BYTES];
    bool wants_help;
};

static int read_start(const char *text, uint32_t *out) {
    static const char *const names[] = {"auto", "delayed", "demand", "disabled"};
    for (uint32_t i = 0; i < 4; i++) {
        if (strcmp(text, names[i]) != 0) continue;
        *out = i;
        return STATUS_OK;
    }
    return fail_usage("service install", "--start wants auto, delayed, demand or disabled, not '%s'", text);
}

/* One of the list: KIND or KIND:SECONDS, up to the comma. */
static bool read_action(const char *text, size_t length, pintle_scm_action *out) {
    static const struct {
        const char *name;
        uint32_t kind;
    } kinds[] = {{"none", PINTLE_SCM_ACTION_NONE},
                 {"restart", PINTLE_SCM_ACTION_RESTART},
                 {"reboot", PINTLE_SCM_ACTION_REBOOT},
                 {"run", PINTLE_SCM_ACTION_RUN}};
    char word[64], *colon, *end;
    unsigned long seconds = 0;
    if (length >= sizeof word) return false;
    memcpy(word, text, length);
    word[length] = '\0';
    colon = strchr(word, ':');
    if (colon != NULL) {
        *colon = '\0';
        seconds = strtoul(colon + 1, &end, 10);
        if (end == colon + 1 || *end != '\0' || colon[1] == '-' || seconds > 86400) return false;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(word, kinds[i].name) != 0) continue;
        *out = (pintle_scm_action){kinds[i].kind, (uint32_t)seconds * 1000};
        return true;
    }
    return false;
}

static int read_actions(struct install_line *line, const char *text) {
    line->install.actions = line->actions;
    line->install.action_count = 0;
    for (;;) {
        size_t length = strcspn(text, ",");
        if (line->install.action_count == ACTIONS_MOST ||
            !read_action(text, length, &line->actions[line->install.action_count]))
            return fail_usage("service install",
                              "--on-failure wants a list such as restart:5,restart:60,none, not '%s'", text);
        line->install.action_count++;
        if (text[length] == '\0') return STATUS_OK;
        text += length + 1;
    }
}

static int read_password(struct install_line *line) {
    if (fgets(line->password, sizeof line->password, stdin) == NULL)
        return fail("there is no password on standard input");
    line->password[strcspn(line->password, "\r\n")] = '\0';
    line->install.password = line->password;
    return STATUS_OK;
}

static int read_option(struct install_line *line, int option, const char *typed) {
    uint64_t seconds;
    switch (option) {
    case OPTION_DISPLAY_NAME: line->install.display_name = optarg; return STATUS_OK;
    case OPTION_DESCRIPTION: line->install.description = optarg; return STATUS_OK;
    case OPTION_START: return read_start(optarg, &line->install.start);
    case OPTION_DEPENDS:
        if (line->dependency_count == DEPENDENCIES_MOST) return fail("more than %d dependencies", DEPENDENCIES_MOST);
        line->dependencies[line->dependency_count++] = optarg;
        return STATUS_OK;
    case OPTION_ACCOUNT: line->install.account = optarg; return STATUS_OK;
    case OPTION_PASSWORD_STDIN: return read_password(line);
    case OPTION_ON_FAILURE: return read_actions(line, optarg);
    case OPTION_FAILURE_COMMAND: line->install.action_run = optarg; return STATUS_OK;
    case OPTION_FAILURE_RESET:
        if (!service_seconds("--failure-reset", optarg, &seconds)) return STATUS_USAGE;
        line->install.reset_s = (uint32_t)seconds;
        return STATUS_OK;
    case OPTION_PRESHUTDOWN:
        if (!service_seconds("--preshutdown", optarg, &seconds)) return STATUS_USAGE;
        line->install.preshutdown_ms = (uint32_t)seconds * 1000;
        return STATUS_OK;
    case OPTION_HELP:
    case 'h': line->wants_help = true; return STATUS_OK;
    case ':': return fail_usage("service install", "option '%s' wants a value", typed);
    default: return fail_usage("service install", "there is no option '%s'", typed);
    }
}

/* `-- wrap …`: the program is this command. */
static int read_wrapped(struct install_line *line, int argc, char **argv) {
    const char *const *words, **arguments;
    size_t count = 0;
    int status = service_wrap_words(argc, argv, &words);
    line->wants_help = status == STATUS_OK && words == NULL; /* which was shown */
    if (status != STATUS_OK || line->wants_help) return status;
    if (!platform_own_program(line->program, sizeof line->program))
        return fail("the path of this command is not known");
    while (words[count] != NULL) count++;
    arguments = calloc(count + 5, sizeof *arguments);
    if (arguments == NULL) return fail("no memory");
    arguments[0] = "service";
    arguments[1] = "wrap";
    arguments[2] = "--name";
    arguments[3] = line->name;
    memcpy(arguments + 4, words, count * sizeof *arguments);
    line->install.program = line->program;
    line->install.arguments = arguments; /* to the end of the process */
    return STATUS_OK;
}

static int read_line(struct install_line *line, int argc, char **argv) {
    opterr = 0;
    optind = 1;
    while (optind < argc && !line->wants_help) {
        const char *typed = argv[optind];
        if (strcmp(typed, "--") == 0) break;
        if (typed[0] != '-') {
            if (line->name != NULL)
                return fail_usage("service install", "before '%s' there must be '--': then comes the program", typed);
            line->name = typed;
            optind++;
            continue;
        }
        int status = read_option(line, getopt_long(argc, argv, "+:h", options, NULL), typed);
        if (status != STATUS_OK) return status;
    }
    if (line->wants_help) return STATUS_OK;
    if (line->name == NULL) return fail_usage("service install", "install wants a name");
    if (optind + 1 >= argc) return fail_usage("service install", "install wants -- PROGRAM");
    line->install.dependencies = line->dependencies;
    if (strcmp(argv[optind + 1], "wrap") == 0) return read_wrapped(line, argc - optind - 1, argv + optind + 1);
    if (!platform_absolute_path(argv[optind + 1], line->program, sizeof line->program) ||
        !platform_file_exists(line->program))
        return fail("there is no program '%s'", argv[optind + 1]);
    line->install.program = line->program;
    line->install.arguments = (const char *const *)argv + optind + 2;
    return STATUS_OK;
}

int service_install(int argc, char **argv) {
    static struct install_line line; /* large */
    int status = read_line(&line, argc, argv);
    if (line.wants_help && line.install.dependencies == NULL) fputs(install_help, stdout); /* else wrap's was shown */
    if (status == STATUS_OK && !line.wants_help) {
        status = pintle_scm_install(line.name, &line.install) == 0 ? STATUS_OK : fail_with_error();
        if (status == STATUS_OK) printf("%s: installed\n", line.name);
    }
    memset(line.password, 0, sizeof line.password);
    return status;
}
