/* host.c: `pintle host`: a host of plugins (examples/plugin-host) that is driven by commands, from its arguments or from
 * standard input, a line each. */
#include "host.h"

#include <getopt.h>
#include <stdatomic.h>

#include "command.h"
#include "files.h"
#include "histogram.h"
#include "platform.h"

enum { SECONDS_MOST = 86400, MEGABYTES_MOST = 1 << 20, TASKS_MOST = 100000, CALLS_MOST = 10000000, LINE_BYTES = 65536 };

const char host_help[] = "Loads the plugins of a folder and calls them, here or in processes of their own.\n"
                         "\n"
                         "  pintle host [OPTION…] FOLDER [COMMAND…]\n"
                         "\n"
                         "Each COMMAND is one argument; without any they are read from standard input, a line each.\n"
                         "  list                          the plugins, their versions and processes\n"
                         "  call PLUGIN [TEXT]            calls it with the text and prints its reply\n"
                         "  start PLUGIN [TEXT]           the same in a task of its own: the next command does not\n"
                         "                                wait for it; its reply is printed when it comes\n"
                         "  wait                          waits for all that was started\n"
                         "  storm PLUGIN TASKS CALLS [TEXT]\n"
                         "                                so many tasks call it so often, and how long it took\n"
                         "  reload PLUGIN                 loads its file anew: calls that come meanwhile wait, those\n"
                         "                                that are inside end, then the new version serves\n"
                         "  unload PLUGIN  load PLUGIN    the same without a new version; loads it again\n"
                         "\n"
                         "Plugins are what plugin.h says (docs/plugins.md). They and what they need are looked for in\n"
                         "FOLDER and among the system's libraries, never in the current folder or on PATH.\n"
                         "\n"
                         "Options:\n"
                         "  --isolated          each plugin is in a process of its own, which is started again when\n"
                         "                      it ends, and ended when a reload or an unload takes too long\n"
                         "  --memory MB         the limit of each such process\n"
                         "  --allow FILE        only what FILE lists is loaded (sha256sum's format). Without it:\n"
                         "                      FOLDER's plugins.sha256, if there is one\n"
                         "  --timeout S         a call, a load, a reload or an unload may take S seconds (30)\n"
                         "  --refuse            calls that come during a reload are refused instead of waiting\n"
                         "  --help              this text\n"
                         "\n"
                         "  pintle host plugins \"call words one two three\" list\n"
                         "\n"
                         "What plugins say goes to standard error. Exit status: 0 all commands were done; 1 one was\n"
                         "not; 2 wrong usage.\n";

enum { OPTION_ISOLATED = 256, OPTION_MEMORY, OPTION_ALLOW, OPTION_TIMEOUT, OPTION_REFUSE, OPTION_HELP };
static const struct option options[] = {{"isolated", no_argument, NULL, OPTION_ISOLATED},
                                        {"memory", required_argument, NULL, OPTION_MEMORY},
                                        {"allow", required_argument, NULL, OPTION_ALLOW},
                                        {"timeout", required_argument, NULL, OPTION_TIMEOUT},
                                        {"refuse", no_argument, NULL, OPTION_REFUSE},
                                        {"help", no_argument, NULL, OPTION_HELP},
                                        {NULL, 0, NULL, 0}};

struct session {
    host_options options;
    char folder[PATH_BYTES], allow[PATH_BYTES];
    char **commands; /* ended by NULL; none: standard input */
    int64_t timeout_ns;
    bool wants_help;
    host *host;
    pintle_group started;
    atomic_bool failed;
};

static int64_t deadline(const struct session *s) { return pintle_after(s->timeout_ns); }

static void complain(struct session *s) {
    fail_with_error();
    atomic_store(&s->failed, true);
}

/* ---- What plugins want of us ---- */

/* Only who we are. */
static int64_t on_ask(void *user, const char *plugin, const void *question, size_t bytes, void *out, size_t most) {
    static const char name[] = "pintle";
    (void)user;
    (void)plugin;
    if (bytes != 4 || memcmp(question, "name", 4) != 0) return -3; /* PLUGIN_REFUSED */
    if (most < sizeof name - 1) return -2;                         /* PLUGIN_TOO_LARGE */
    memcpy(out, name, sizeof name - 1);
    return sizeof name - 1;
}

static void on_log(void *user, const char *plugin, int level, const char *text) {
    (void)user;
    fprintf(stderr, "%s, %s: %s\n", plugin, level == 1 ? "error" : level == 2 ? "warning" : "info", text);
}

/* ---- The commands ---- */

/* The first word; *rest: what follows it, from the next word on. */
static const char *next_word(char **rest) {
    char *word = *rest + strspn(*rest, " \t"), *end = word + strcspn(word, " \t");
    *rest = end + strspn(end, " \t");
    if (*end != '\0') *end = '\0';
    return word;
}

static void show_reply(struct session *s, const hosted *p, int code, hosted_reply *reply) {
    if (code != 0) {
        complain(s);
        return;
    }
    printf("%s: ", hosted_name(p));
    fwrite(reply->data, 1, reply->bytes, stdout);
    printf(reply->value != 0 ? " (value %d)\n" : "\n", reply->value);
    fflush(stdout);
    hosted_reply_free(reply);
}

static void do_call(struct session *s, hosted *p, char *text) {
    hosted_reply reply;
    int code = hosted_call(p, text, strlen(text), &reply, deadline(s));
    show_reply(s, p, code, &reply);
}

struct started {
    struct session *session;
    hosted *plugin;
    char text[];
};

static void call_started(void *arg) {
    struct started *call = arg;
    do_call(call->session, call->plugin, call->text);
    pintle_group_done(&call->session->started);
    free(call);
}

static void do_start(struct session *s, hosted *p, char *text) {
    struct started *call = malloc(sizeof *call + strlen(text) + 1);
    if (call == NULL) {
        pintle_error_set(PINTLE_ENOMEM, 0, "no memory for a call");
        complain(s);
        return;
    }
    call->session = s;
    call->plugin = p;
    strcpy(call->text, text);
    pintle_group_add(&s->started, 1);
    if (pintle_spawn(NULL, call_started, call) == 0) return;
    complain(s);
    pintle_group_done(&s->started);
    free(call);
}

/* Many calls by many tasks, each timed. */
struct storm {
    struct session *session;
    hosted *plugin;
    const char *text;
    uint64_t calls; /* of each task */
    uint64_t *times_ns;
    atomic_ullong next_task, failures;
};

static void storm_task(void *arg) {
    struct storm *storm = arg;
    uint64_t *times_ns = storm->times_ns + atomic_fetch_add(&storm->next_task, 1) * storm->calls;
    size_t bytes = strlen(storm->text);
    for (uint64_t i = 0; i < storm->calls; i++) {
        hosted_reply reply;
        int64_t start_ns = pintle_now();
        /* Without a deadline: in this process one would cost a task. */
        int code = hosted_call(storm->plugin, storm->text, bytes, &reply, PINTLE_FOREVER);
        times_ns[i] = (uint64_t)(pintle_now() - start_ns);
        if (code == 0)
            hosted_reply_free(&reply);
        else if (atomic_fetch_add(&storm->failures, 1) == 0)
            complain(storm->session);
    }
}

static int compare_times(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void do_storm(struct session *s, hosted *p, char *text) {
    uint64_t tasks, calls, count = 0;
    const char *tasks_word = next_word(&text), *calls_word = next_word(&text);
    if (!parse_count("host", "storm's number of tasks", tasks_word, TASKS_MOST, &tasks) ||
        !parse_count("host", "storm's number of calls", calls_word, CALLS_MOST / tasks, &calls)) {
        atomic_store(&s->failed, true);
        return;
    }
    struct storm storm = {.session = s, .plugin = p, .text = text, .calls = calls};
    storm.times_ns = calloc(tasks * calls, sizeof *storm.times_ns);
    pintle_task **handles = calloc(tasks, sizeof *handles);
    int code = storm.times_ns == NULL || handles == NULL ? pintle_error_set(PINTLE_ENOMEM, 0, "no memory for a storm")
                                                         : 0;
    int64_t start_ns = pintle_now();
    while (code == 0 && count < tasks && (code = pintle_spawn(&handles[count], storm_task, &storm)) == 0) count++;
    for (uint64_t i = 0; i < count; i++) pintle_join(handles[i], PINTLE_FOREVER);
    uint64_t duration_ns = (uint64_t)(pintle_now() - start_ns), failures = atomic_load(&storm.failures);
    if (code != 0) {
        complain(s);
    } else {
        printf("%s: %s calls by %s tasks in %s: %s a second; %s failed\n", hosted_name(p), text_count(tasks * calls),
               text_count(tasks), text_duration(duration_ns),
               text_count((uint64_t)((double)(tasks * calls) * 1e9 / (double)duration_ns)), text_count(failures));
        qsort(storm.times_ns, tasks * calls, sizeof *storm.times_ns, compare_times);
        histogram_print(storm.times_ns, tasks * calls);
        fflush(stdout);
    }
    free(handles);
    free(storm.times_ns);
}

static void changed(struct session *s, hosted *p, int code, const char *what) {
    if (code != 0)
        complain(s);
    else
        printf("%s: %s, version %u\n", hosted_name(p), what, hosted_version(p));
    fflush(stdout);
}

static void do_reload(struct session *s, hosted *p, char *text) {
    (void)text;
    changed(s, p, hosted_reload(p, deadline(s)), "reloaded");
}

static void do_unload(struct session *s, hosted *p, char *text) {
    (void)text;
    changed(s, p, hosted_unload(p, deadline(s)), "unloaded");
}

static void load_path(struct session *s, const char *path) {
    hosted *p = NULL;
    int code = hosted_load(&p, s->host, path, deadline(s));
    changed(s, p, code, "loaded");
}

static int load_each(void *arg, const char *path) {
    load_path(arg, path);
    return 0; /* the others may be good */
}

static void do_list(struct session *s) {
    for (hosted *p = hosted_next(s->host, NULL); p != NULL; p = hosted_next(s->host, p)) {
        uint64_t process = hosted_process(p);
        printf("%s: version %u", hosted_name(p), hosted_version(p));
        if (process != 0) printf(", process %" PRIu64, process);
        printf("\n");
    }
    fflush(stdout);
}

static const struct action {
    const char *name;
    void (*act)(struct session *s, hosted *p, char *text);
} actions[] = {{"call", do_call},     {"start", do_start},   {"storm", do_storm},
               {"reload", do_reload}, {"unload", do_unload}, {NULL, NULL}};

static void refuse(struct session *s, const char *format, const char *word) {
    pintle_error_set(PINTLE_EINVAL, 0, format, word);
    complain(s);
}

static void run_command(struct session *s, char *line) {
    char path[PATH_BYTES];
    line[strcspn(line, "\r\n")] = '\0';
    const char *name = next_word(&line);
    if (name[0] == '\0') return;
    if (strcmp(name, "list") == 0) {
        do_list(s);
        return;
    }
    if (strcmp(name, "wait") == 0) {
        pintle_group_wait(&s->started, PINTLE_FOREVER);
        return;
    }
    const struct action *action = actions;
    while (action->name != NULL && strcmp(action->name, name) != 0) action++;
    if (action->name == NULL && strcmp(name, "load") != 0) {
        refuse(s, "there is no command '%s': see `pintle host --help`", name);
        return;
    }
    const char *plugin = next_word(&line);
    if (action->name == NULL) {
        if (platform_is_path(plugin) || plugin[0] == '\0')
            refuse(s, "'%s' is no name of a plugin in the folder", plugin);
        else if (snprintf(path, sizeof path, "%s/%s%s", s->folder, plugin, files_ending) < (int)sizeof path)
            load_path(s, path);
        return;
    }
    hosted *p = hosted_find(s->host, plugin);
    if (p == NULL)
        refuse(s, "there is no plugin '%s'", plugin);
    else
        action->act(s, p, line);
}

/* A line of standard input, read in a foreign call, so that what was started goes on. */
static int read_line(void *line) { return fgets(line, LINE_BYTES, stdin) != NULL; }

static int session_main(void *arg) {
    struct session *s = arg;
    if (host_new(&s->host, &s->options) != 0) return fail_with_error();
    if (files_each_plugin(s->folder, load_each, s) != 0) return fail_with_error();
    for (char **command = s->commands; *command != NULL; command++) run_command(s, *command);
    if (s->commands[0] == NULL) {
        char *line = malloc(LINE_BYTES);
        while (line != NULL && pintle_call_blocking(read_line, line)) run_command(s, line);
        free(line);
    }
    if (pintle_group_wait(&s->started, deadline(s)) != 0) {
        pintle_error_set(PINTLE_EBUSY, 0, "calls that were started have not ended");
        complain(s);
    }
    bool is_freed = host_free(s->host, deadline(s)) == 0; /* which waits for what is left, answers on their way too */
    if (!is_freed) complain(s);
    fflush(stdout);
    if (!is_freed && host_left(s->host) > 0) host_exit(STATUS_FAILED); /* a plugin's start may hold the loader */
    return atomic_load(&s->failed) ? STATUS_FAILED : STATUS_OK;
}

/* ---- The command line ---- */

static int read_options(struct session *s, int argc, char **argv) {
    uint64_t number;
    opterr = 0;
    optind = 1;
    for (;;) {
        const char *typed = optind < argc ? argv[optind] : "";
        int option = getopt_long(argc, argv, "+:h", options, NULL);
        if (option == -1) break;
        switch (option) {
        case OPTION_ISOLATED: s->options.isolated = true; break;
        case OPTION_REFUSE: s->options.refuse_while_changing = true; break;
        case OPTION_ALLOW:
            if (!platform_absolute_path(optarg, s->allow, sizeof s->allow))
                return fail("the path '%s' is too long", optarg);
            s->options.allow_list = s->allow;
            break;
        case OPTION_MEMORY:
            if (!parse_count("host", "--memory", optarg, MEGABYTES_MOST, &number)) return STATUS_USAGE;
            s->options.memory_most_bytes = (size_t)number << 20;
            break;
        case OPTION_TIMEOUT:
            if (!parse_count("host", "--timeout", optarg, SECONDS_MOST, &number)) return STATUS_USAGE;
            s->timeout_ns = PINTLE_S((int64_t)number);
            break;
        case OPTION_HELP:
        case 'h': s->wants_help = true; return STATUS_OK;
        case ':': return fail_usage("host", "option '%s' wants a value", typed);
        default: return fail_usage("host", "there is no option '%s'", typed);
        }
    }
    if (optind == argc) return fail_usage("host", "host wants a folder of plugins");
    if (!platform_absolute_path(argv[optind], s->folder, sizeof s->folder))
        return fail("the path '%s' is too long", argv[optind]);
    s->commands = argv + optind + 1;
    return STATUS_OK;
}

int command_host(int argc, char **argv) {
    static struct session s = {.options = {.ask = on_ask, .log = on_log}};
    s.timeout_ns = PINTLE_S(30);
    int status = read_options(&s, argc, argv);
    if (status != STATUS_OK) return status;
    if (s.wants_help) {
        fputs(host_help, stdout);
        return STATUS_OK;
    }
    if (s.options.memory_most_bytes != 0 && !s.options.isolated)
        return fail_usage("host", "--memory is for plugins in processes of their own: --isolated");
    if (s.options.allow_list == NULL &&
        snprintf(s.allow, sizeof s.allow, "%s/plugins.sha256", s.folder) < (int)sizeof s.allow &&
        platform_file_exists(s.allow))
        s.options.allow_list = s.allow;
    return pintle_run(session_main, &s, NULL);
}
