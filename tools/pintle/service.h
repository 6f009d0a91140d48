/* service.h: what the parts of `pintle service` share: service.c, service_install.c, service_wrap.c. */
#ifndef PINTLE_COMMAND_SERVICE_H
#define PINTLE_COMMAND_SERVICE_H

#include "command.h"

/* argv[0] is the verb. */
int service_install(int argc, char **argv);

int service_wrap(int argc, char **argv);

/* What `wrap` and these words are when they are installed: its options and the program's words, in a form that holds from any
 * folder, ended by NULL; *out_words is NULL if they only asked for help. They stay valid. The exit status. */
int service_wrap_words(int argc, char **argv, const char *const **out_words);

/* Seconds of an option; false, and a complaint was written, if it has none. */
bool service_seconds(const char *option, const char *text, uint64_t *out);

#endif
