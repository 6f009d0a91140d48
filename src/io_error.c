/* io_error.c: see io_error.h. */
#include "io_error.h"

#include "error.h"
#include "os.h"

enum { MESSAGE_BYTES = 256 };

int io_error(int os_code, const char *function) {
    char message[MESSAGE_BYTES];
    os_error_text(os_code, message, sizeof message);
    return error_set(io_code_of(os_code), os_code, "%s: %s", function, message);
}

int io_path_error(int os_code, const char *path, const char *function) {
    char message[MESSAGE_BYTES];
    os_error_text(os_code, message, sizeof message);
    return error_set(io_code_of(os_code), os_code, "%s: '%s': %s", function, path, message);
}

int io_closed_error(const char *function) { return error_set(PINTLE_ECLOSED, 0, "%s: it was closed", function); }

bool io_lookup_is_ours(int result) {
    return result == PINTLE_ENOMEM || result == PINTLE_ELIMIT || result == PINTLE_ESTOPPED || result == PINTLE_EINVAL ||
           result == PINTLE_EPANIC;
}
