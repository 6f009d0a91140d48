/* main.c: the command `pintle`: which of its commands, help, complaints. */
#include <stdarg.h>

#include "command.h"
#include "host.h"
#include "platform.h"
#include "words.h"

static const char help[] = "Calls into DLLs and shared objects from light tasks that cannot stall each other.\n"
                           "\n"
                           "  pintle call DLL!PROC [ARGUMENT…]   calls an export and prints what it returns\n"
                           "  pintle exports DLL                 lists what a DLL exports, without loading it\n"
                           "  pintle tour                        compresses a file in 1,000 tasks while 1,000 others\n"
                           "                                     sit in blocking calls, and shows what it took\n"
                           "  pintle service VERB NAME           installs, starts, stops, … Windows services\n"
                           "  pintle host FOLDER                 loads and calls plugins, in its process or in others\n"
                           "  pintle COMMAND --help              all about a command\n"
                           "  pintle --version\n"
                           "\n"
#if defined(_WIN32)
                           "For example: pintle call user32.dll!GetSystemMetrics 0\n";
#else
                           "For example: pintle call libz.so.1!crc32 0 s:123456789 9\n";
#endif

/* ---- Complaints ---- */

static void complain(const char *format, va_list arguments) {
    fflush(stdout);
    fputs("pintle: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

int fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    complain(format, arguments);
    va_end(arguments);
    return STATUS_FAILED;
}

int fail_usage(const char *command, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    complain(format, arguments);
    va_end(arguments);
    fprintf(stderr, "Try: pintle %s%s--help\n", command, command[0] != '\0' ? " " : "");
    return STATUS_USAGE;
}

int fail_with_error(void) {
    pintle_error error;
    pintle_error_get(&error);
    return fail("%s", error.text);
}

bool parse_count(const char *command, const char *option, const char *text, uint64_t most, uint64_t *out) {
    if (word_is_integer(text) && text[0] != '-' && word_integer(text, out) && *out >= 1 && *out <= most) return true;
    fail_usage(command, "%s wants a number from 1 to %" PRIu64 ", not '%s'", option, most, text);
    return false;
}

/* ---- Numbers for people ---- */

static char *next_buffer(void) {
    static char buffers[8][32];
    static unsigned next;
    return buffers[next++ % 8];
}

const char *text_count(uint64_t value) {
    char digits[24], *out = next_buffer(), *at = out;
    size_t length = (size_t)snprintf(digits, sizeof digits, "%" PRIu64, value);
    for (size_t i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) *at++ = ',';
        *at++ = digits[i];
    }
    *at = '\0';
    return out;
}

/* Three digits that matter. */
static const char *text_scaled(double value, const char *unit) {
    char *out = next_buffer();
    snprintf(out, 32, "%.*f %s", value < 10 ? 2 : value < 100 ? 1 : 0, value, unit);
    return out;
}

const char *text_duration(uint64_t duration_ns) {
    double ns = (double)duration_ns;
    if (duration_ns < 1000) {
        char *out = next_buffer();
        snprintf(out, 32, "%" PRIu64 " ns", duration_ns);
        return out;
    }
    if (ns < 1e6) return text_scaled(ns / 1e3, "µs");
    return ns < 1e9 ? text_scaled(ns / 1e6, "ms") : text_scaled(ns / 1e9, "s");
}

const char *text_bytes(uint64_t bytes) {
    if (bytes < 1000000) return text_scaled((double)bytes / 1e3, "KB");
    return text_scaled((double)bytes / 1e6, "MB");
}

/* ---- Commands ---- */

static bool is(const char *word, const char *name) { return strcmp(word, name) == 0; }

static int show_help(const char *text) {
    fputs(text, stdout);
    return STATUS_OK;
}

int main(int argc, char **argv) {
    int child_status = host_child(argc, argv); /* a plugin's process */
    if (child_status >= 0) return child_status;
    platform_prepare_output();
    argv = platform_arguments(&argc, argv);
    if (argv == NULL) return fail("no memory");
    if (argc < 2) {
        fputs(help, stderr);
        return STATUS_USAGE;
    }
    const char *command = argv[1];
    if (is(command, "call")) return command_call(argc - 1, argv + 1);
    if (is(command, "exports")) return command_exports(argc - 1, argv + 1);
    if (is(command, "tour")) return command_tour(argc - 1, argv + 1);
    if (is(command, "service")) return command_service(argc - 1, argv + 1);
    if (is(command, "host")) return command_host(argc - 1, argv + 1);
    if (is(command, "--version")) {
        uint32_t version = pintle_version();
        printf("pintle %" PRIu32 ".%" PRIu32 ".%" PRIu32 "\n", version >> 16, version >> 8 & 0xff, version & 0xff);
        return STATUS_OK;
    }
    if (is(command, "--help") || is(command, "-h") || is(command, "help")) {
        if (argc > 2 && is(argv[2], "call")) return show_help(call_help);
        if (argc > 2 && is(argv[2], "exports")) return show_help(exports_help);
        if (argc > 2 && is(argv[2], "tour")) return show_help(tour_help);
        if (argc > 2 && is(argv[2], "service")) return show_help(service_help);
        if (argc > 2 && is(argv[2], "host")) return show_help(host_help);
        return show_help(help);
    }
    return fail_usage("", "there is no command '%s'", command);
}
