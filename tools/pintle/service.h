/* service.h: what the parts of `pintle service` share: service.c, service_install.c. */
#ifndef PINTLE_COMMAND_SERVICE_H
#define PINTLE_COMMAND_SERVICE_H

#include "command.h"

/* argv[0] is the verb. */
int service_install(int argc, char **argv);

/* Seconds of an option; false, and a complaint was written, if it has none. */
bool service_seconds(const char *option, const char *text, uint64_t *out);

#endif
