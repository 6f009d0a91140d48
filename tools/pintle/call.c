/* call.c: `pintle call`: options, the DLL and its export, the calls by as many tasks as wanted.
 *
 * Options and their values are checked by getopt_long. After DLL!PROC a word is an option only if it begins with two
 * dashes, so that negative numbers are arguments. */
#include "call.h"

#include <getopt.h>
#include <stdatomic.h>

#include "platform.h"
#include "progress.h"

enum { TASKS_MOST = 1000000, CALLS_MOST = 10000000, PROCESSORS_MOST = 1024, ORDINAL_MOST = 65535 };
static const uint64_t BLOCKS_BYTES_MOST = (uint64_t)4 << 30;

const char call_help[] =
    "Calls an export of a DLL or shared object and prints what it returns.\n"
    "\n"
    "  pintle call [OPTION…] DLL!PROC [ARGUMENT…]\n"
    "  pintle call [OPTION…] DLL!#ORDINAL [ARGUMENT…]       Windows only\n"
    "\n"
    "DLL is a path if it has a slash in it; a bare name is looked for among the system's\n"
    "DLLs, then beside this program, never in the current folder.\n"
    "\n"
    "Arguments, up to 255 machine words:\n"
    "  42  -1  0x7f         an integer of up to 64 bits\n"
    "  f64:1.5  f32:1.5     a double, a float\n"
    "  null                 a null pointer\n"
    "  s:TEXT               a pointer to UTF-8 text; what looks like nothing else is text\n"
    "                       without s: too\n"
    "  w:TEXT               a pointer to UTF-16 text (Windows' W functions)\n"
    "  buf:SIZE             a pointer to SIZE zero bytes, printed after the call\n"
    "  u32*:VALUE           a pointer to a 32-bit value, printed after the call\n"
    "  u64*:VALUE           a pointer to a 64-bit value, printed after the call\n"
    "\n"
    "Options:\n"
    "  --tasks N            N tasks make the call at the same time, each with memory of its\n"
    "                       own behind its pointers (default: 1)\n"
    "  --repeat K           each task makes it K times, each time with fresh arguments (1)\n"
    "  --processors P       at most P tasks run at the same moment (the CPUs)\n"
    "  --blocking           say beforehand that the call blocks, so that others go on at once\n"
    "  --json               one line: {\"dll\",\"proc\",\"calls\",\"r1\",\"r2\",\"err\",\"ns\":{…}}\n"
    "  --help               this text\n"
    "  --                   what follows are no options\n"
    "\n"
    "Printed are r1 (the integer result), r2 (the floating-point result), err (Windows: the\n"
    "last error; elsewhere errno) and memory behind pointers, of the first task's last call,\n"
    "and how long the calls took: percentiles, and bars on a scale of 1, 2, 5, 10, … ns. The upper half of r1 is "
    "undefined if the function returns\n"
    "32 bits: look at \"int\".\n"
    "\n"
#if defined(_WIN32)
    "  pintle call user32.dll!GetSystemMetrics 0\n"
    "  pintle call kernel32.dll!GetTempPathW 64 buf:128\n"
    "  pintle call kernel32.dll!Sleep 100 --tasks 1000\n"
#else
    "  pintle call libz.so.1!crc32 0 s:123456789 9\n"
    "  pintle call libm.so.6!cos f64:0\n"
    "  pintle call libc.so.6!usleep 100000 --tasks 1000\n"
#endif
    "\n"
    "Exit status: 0 the calls were made; 1 they could not be; 2 wrong usage.\n";

/* ---- The command line ---- */

enum { OPTION_TASKS = 256, OPTION_REPEAT, OPTION_PROCESSORS, OPTION_BLOCKING, OPTION_JSON, OPTION_HELP };

static const struct option options[] = {{"tasks", required_argument, NULL, OPTION_TASKS},
                                        {"repeat", required_argument, NULL, OPTION_REPEAT},
                                        {"processors", required_argument, NULL, OPTION_PROCESSORS},
                                        {"blocking", no_argument, NULL, OPTION_BLOCKING},
                                        {"json", no_argument, NULL, OPTION_JSON},
                                        {"help", no_argument, NULL, OPTION_HELP},
                                        {NULL, 0, NULL, 0}};

/* What the command line came to, beside the request. */
struct command_line {
    struct call_request *request;
    char *target;
    char *arguments[WORDS_MOST + 1]; /* one more, to see that there are too many */
    int count;
    bool wants_help;
};

/* One option; getopt's optind is at it. STATUS_OK or STATUS_USAGE. */
static int read_option(struct command_line *line, int argc, char **argv) {
    struct call_request *request = line->request;
    const char *typed = argv[optind];
    switch (getopt_long(argc, argv, "+:h", options, NULL)) {
    case OPTION_TASKS:
        return parse_count("call", "--tasks", optarg, TASKS_MOST, &request->tasks) ? STATUS_OK : STATUS_USAGE;
    case OPTION_REPEAT:
        return parse_count("call", "--repeat", optarg, CALLS_MOST, &request->repeat) ? STATUS_OK : STATUS_USAGE;
    case OPTION_PROCESSORS:
        return parse_count("call", "--processors", optarg, PROCESSORS_MOST, &request->processors) ? STATUS_OK
                                                                                                  : STATUS_USAGE;
    case OPTION_BLOCKING: request->blocking = true; return STATUS_OK;
    case OPTION_JSON: request->json = true; return STATUS_OK;
    case OPTION_HELP:
    case 'h': line->wants_help = true; return STATUS_OK;
    case ':': return fail_usage("call", "option '%s' wants a number", typed);
    default:
        if (line->target == NULL) return fail_usage("call", "there is no option '%s'", typed);
        return fail_usage("call", "there is no option '%s' (write s:%s to pass it as text)", typed, typed);
    }
}

static int read_command_line(struct command_line *line, int argc, char **argv) {
    bool options_ended = false;
    opterr = 0;
    optind = 1;
    while (optind < argc && !line->wants_help) {
        char *word = argv[optind];
        if (!options_ended && strcmp(word, "--") == 0) {
            options_ended = true;
            optind++;
        } else if (!options_ended && word[0] == '-' && (line->target == NULL || word[1] == '-')) {
            int status = read_option(line, argc, argv);
            if (status != STATUS_OK) return status;
        } else {
            if (line->target == NULL)
                line->target = word;
            else if (line->count <= WORDS_MOST)
                line->arguments[line->count++] = word;
            else
                return fail("more than %d arguments: a call carries no more", WORDS_MOST);
            optind++;
        }
    }
    return STATUS_OK;
}

/* Cuts DLL!PROC at the last '!': folders may have one in their names. */
static int read_target(struct call_request *request, char *target) {
    char *mark = strrchr(target, '!');
    if (mark == NULL || mark == target || mark[1] == '\0') return fail_usage("call", "'%s' is not DLL!PROC", target);
    *mark = '\0';
    request->dll = target;
    request->proc = mark + 1;
    return STATUS_OK;
}

static int read_request(struct call_request *request, int argc, char **argv, bool *out_wants_help) {
    struct command_line *line = calloc(1, sizeof *line);
    char complaint[512];
    if (line == NULL) return fail("no memory");
    line->request = request;
    *request = (struct call_request){.tasks = 1, .repeat = 1};
    int status = read_command_line(line, argc, argv);
    *out_wants_help = line->wants_help;
    if (status == STATUS_OK && !line->wants_help) {
        if (line->target == NULL)
            status = fail_usage("call", "what is to be called? DLL!PROC is missing");
        else
            status = read_target(request, line->target);
        if (status == STATUS_OK &&
            !words_parse(&request->words, line->count, line->arguments, complaint, sizeof complaint)) {
            status = fail("%s", complaint);
        }
    }
    free(line);
    return status;
}

static int check_limits(const struct call_request *request) {
    const struct words *words = &request->words;
    if (request->tasks * request->repeat > CALLS_MOST) {
        return fail("%s tasks with %s calls each: %s calls are the most", text_count(request->tasks),
                    text_count(request->repeat), text_count(CALLS_MOST));
    }
    if (words->block_bytes * request->tasks > BLOCKS_BYTES_MOST) {
        return fail("the arguments take %" PRIu64 " bytes in each of %" PRIu64 " tasks: more than 4 GB",
                    (uint64_t)words->block_bytes, request->tasks);
    }
    if (platform_needs_float_mask() && words->last_float > FLOAT_WORDS_MOST) {
        return fail("argument '%s' is number %u: only the first %d can be floating-point",
                    words->list[words->last_float - 1].argument, words->last_float, FLOAT_WORDS_MOST);
    }
    return STATUS_OK;
}

/* ---- The DLL and its export ---- */

static int open_dll(const char *name, pintle_dll **out) {
    char path[PATH_BYTES];
    if (platform_is_path(name)) {
        if (!platform_absolute_path(name, path, sizeof path)) return fail("the path '%s' is too long", name);
        return pintle_dll_open(out, path, 0) == 0 ? STATUS_OK : fail_with_error();
    }
    int code = pintle_dll_open_system(out, name);
    if (code == 0) return STATUS_OK;
    if (code != PINTLE_ENOTFOUND) return fail_with_error();
    if (!platform_beside_program(name, path, sizeof path) || !platform_file_exists(path)) {
        pintle_error error;
        pintle_error_get(&error);
        return fail("%s (nor is it beside this program)", error.text);
    }
    return pintle_dll_open(out, path, 0) == 0 ? STATUS_OK : fail_with_error();
}

static int find_proc(const struct call_request *request, pintle_dll *dll, pintle_proc **out) {
    const char *name = request->proc;
    uint64_t ordinal;
    if (name[0] != '#') {
        int code = pintle_dll_find_with(dll, name, PINTLE_FLOATS(request->words.float_mask) | PINTLE_FLOAT_RESULT, out);
        return code == 0 ? STATUS_OK : fail_with_error();
    }
    if (!word_is_integer(name + 1) || name[1] == '-' || !word_integer(name + 1, &ordinal) || ordinal == 0 ||
        ordinal > ORDINAL_MOST) {
        return fail("'%s' is not an ordinal: a number from 1 to %d", name, ORDINAL_MOST);
    }
    return pintle_dll_find_ordinal(dll, (unsigned)ordinal, out) == 0 ? STATUS_OK : fail_with_error();
}

/* ---- The calls ---- */

struct run {
    const struct call_request *request;
    struct call_outcome *outcome;
    pintle_proc *proc;
    unsigned char *blocks;
    _Atomic uint32_t *made; /* calls made by each task, for the progress */
    struct caller *callers;
};

struct caller {
    struct run *run;
    pintle_task *task;
    uint64_t number;
    pintle_result result;
};

struct one_call {
    pintle_proc *proc;
    unsigned nargs;
    uintptr_t args[WORDS_MOST];
    pintle_result result;
};

static int call_here(void *arg) {
    struct one_call *call = arg;
    call->result = pintle_proc_call(call->proc, call->nargs, call->args);
    return 0;
}

static void make_calls(void *arg) {
    struct caller *caller = arg;
    const struct run *run = caller->run;
    const struct call_request *request = run->request;
    unsigned char *block = run->blocks + caller->number * request->words.block_bytes;
    uint64_t *durations_ns = run->outcome->durations_ns + caller->number * request->repeat;
    struct one_call call = {.proc = run->proc, .nargs = request->words.count};

    for (uint64_t i = 0; i < request->repeat; i++) {
        words_prepare(&request->words, block, call.args);
        int64_t start_ns = pintle_now();
        if (request->blocking)
            pintle_call_blocking(call_here, &call);
        else
            call_here(&call);
        durations_ns[i] = (uint64_t)(pintle_now() - start_ns);
        atomic_store_explicit(&run->made[caller->number], (uint32_t)(i + 1), memory_order_relaxed);
    }
    caller->result = call.result;
}

static uint64_t calls_made(void *arg) {
    const struct run *run = arg;
    uint64_t sum = 0;
    for (uint64_t i = 0; i < run->request->tasks; i++) sum += atomic_load_explicit(&run->made[i], memory_order_relaxed);
    return sum;
}

/* Spawns all, joins all that could be spawned. */
static int run_callers(struct run *run) {
    uint64_t spawned = 0;
    int status = STATUS_OK;
    for (; status == STATUS_OK && spawned < run->request->tasks; spawned++) {
        struct caller *caller = &run->callers[spawned];
        *caller = (struct caller){.run = run, .number = spawned};
        if (pintle_spawn(&caller->task, make_calls, caller) == 0) continue;
        status = fail_with_error();
        break;
    }
    for (uint64_t i = 0; i < spawned; i++) pintle_join(run->callers[i].task, PINTLE_FOREVER);
    return status;
}

static int call_task(void *arg) {
    struct run *run = arg;
    struct progress progress;
    static pintle_dll *dll; /* static: see the end */
    int status = open_dll(run->request->dll, &dll);
    if (status == STATUS_OK) status = find_proc(run->request, dll, &run->proc);
    if (status != STATUS_OK) return status;
    progress_start(&progress, "calls", run->outcome->calls, calls_made, run);
    status = run_callers(run);
    progress_stop(&progress);
    run->outcome->result = run->callers[0].result;
    /* The DLL stays open: it may have made threads of its own, and the process ends soon. Leak checkers find it. */
    return status;
}

static int run_request(const struct call_request *request, struct call_outcome *outcome) {
    pintle_options runtime = {.processors = (unsigned)request->processors};
    outcome->calls = request->tasks * request->repeat;
    struct run run = {.request = request, .outcome = outcome};
    run.callers = calloc(request->tasks, sizeof *run.callers);
    run.made = calloc(request->tasks, sizeof *run.made);
    run.blocks = outcome->block = calloc(request->tasks, request->words.block_bytes + 1);
    outcome->durations_ns = calloc(outcome->calls, sizeof *outcome->durations_ns);
    int status = STATUS_OK;
    if (run.callers == NULL || run.made == NULL || run.blocks == NULL || outcome->durations_ns == NULL) {
        status = fail("no memory for %" PRIu64 " calls by %" PRIu64 " tasks", outcome->calls, request->tasks);
    } else {
        status = pintle_run(call_task, &run, &runtime);
        if (status < 0) status = fail_with_error();
    }
    free(run.made);
    free(run.callers);
    return status;
}

int command_call(int argc, char **argv) {
    struct call_outcome outcome = {.block = NULL};
    struct call_request *request = malloc(sizeof *request);
    bool wants_help = false;
    if (request == NULL) return fail("no memory");
    int status = read_request(request, argc, argv, &wants_help);
    if (wants_help) {
        fputs(call_help, stdout);
    } else {
        if (status == STATUS_OK) status = check_limits(request);
        if (status == STATUS_OK) status = run_request(request, &outcome);
        if (status == STATUS_OK) status = report_outcome(request, &outcome);
        words_free(&request->words);
    }
    free(outcome.durations_ns);
    free(outcome.block);
    free(request);
    return status;
}
