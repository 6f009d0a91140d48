/* main.c: a user's program. Its function has the name of one of Pintle's internal ones (src/base.h), which must not
 * meet it, in a static library either. */
#include <pintle.h>

#include <stdio.h>

const char *fatal(void);
const char *fatal(void) { return "the program's own"; }

static int program_main(void *arg) {
    int *ran = arg;
    *ran = 1;
    return 0;
}

int main(void) {
    int ran = 0, status = pintle_run(program_main, &ran, NULL);
    printf("pintle %u.%u, fatal() is %s\n", pintle_version() >> 16, pintle_version() >> 8 & 255, fatal());
    return status == 0 && ran == 1 && pintle_version() == PINTLE_VERSION ? 0 : 1;
}
