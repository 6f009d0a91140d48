/* command.h: what the parts of the command share.
 *
 *   main.c       the commands, their help                 words.c      arguments of a call, from text to machine words
 *   call.c       pintle call: options, the calls          report.c     its results, for people and as JSON
 *   tour.c       pintle tour; its blocking calls and zlib in tour_win.c, tour_posix.c
 *   exports.c    pintle exports                           image.c      reads PE and ELF files
 *   service.c    pintle service; service_install.c its longest verb; service_wrap.c, wrap*.c programs as services (wrap.h)
 *   host.c       pintle host; what it is made of is in examples/plugin-host
 *   histogram.c  how long calls took
 *   progress.c   a line on a terminal while work is long  platform.h   the rest of what differs between systems
 *
 * Only Pintle's public headers are used. */
#ifndef PINTLE_COMMAND_H
#define PINTLE_COMMAND_H

#include <inttypes.h>
#include <pintle.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STATUS_OK = 0, STATUS_FAILED = 1, STATUS_USAGE = 2 };

/* The commands: argv[0] is the command's own name; the value is the exit status. */
int command_call(int argc, char **argv);
int command_exports(int argc, char **argv);
int command_tour(int argc, char **argv);
int command_service(int argc, char **argv);
int command_host(int argc, char **argv);

extern const char call_help[], exports_help[], tour_help[], service_help[], host_help[];

/* Writes "pintle: SENTENCE" to standard error; returns STATUS_FAILED. */
int fail(const char *format, ...) PINTLE_PRINTF(1, 2);
/* The same with a hint at the command's help; returns STATUS_USAGE. */
int fail_usage(const char *command, const char *format, ...) PINTLE_PRINTF(2, 3);
/* fail() with the text of the calling task's last Pintle error. */
int fail_with_error(void);

/* A number of an option, from 1 to most. false, and a complaint was written, if it is none. */
bool parse_count(const char *command, const char *option, const char *text, uint64_t most, uint64_t *out);

/* "1,234,567" and "1.23 ms". Static buffers, the last eight results stay valid. Main thread only. */
const char *text_count(uint64_t value);
const char *text_duration(uint64_t duration_ns);
const char *text_bytes(uint64_t bytes);

#endif
