/* report.c (POSIX): what goes out of the process: standard error, the end, error texts; and what comes in by name.
 *
 * Threads: any. os_write_error, os_exit and os_abort are also safe in signal handlers. Locks: none of ours. Order:
 * none.
 * Invariants: texts end in a zero byte and fit. Tests: tests/unit/test_os.c. */
#undef _GNU_SOURCE /* for the strerror_r of POSIX, which refuses a number that it does not know; glibc's own does not */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <unistd.h>

#include "os.h"

void os_write_error(const char *text, size_t length) {
    while (length > 0) {
        ssize_t written = write(STDERR_FILENO, text, length);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return; /* nobody left to tell */
        text += written;
        length -= (size_t)written;
    }
}

void os_exit(int status) { _exit(status); }

void os_abort(void) { abort(); }

void os_error_text(int64_t os_code, char *out_text, size_t text_bytes) {
    char known[256];
    if (os_code > 0 && os_code <= INT_MAX && strerror_r((int)os_code, known, sizeof known) == 0)
        snprintf(out_text, text_bytes, "%s", known);
    else
        snprintf(out_text, text_bytes, "error %lld", (long long)os_code);
}

bool os_environment(const char *name, char *out_value, size_t value_bytes) {
    const char *value = getenv(name);
    if (value == NULL || strlen(value) >= value_bytes) return false;
    strcpy(out_value, value);
    return true;
}
