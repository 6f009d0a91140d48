/* wrap_log.c: a file of output that is rotated: FILE is written, FILE.1 is the one before, up to FILE.COUNT.
 *
 * It is rotated at the first end of a line at or past its size, so lines stay whole; a line that goes on for LINE_MOST beyond is
 * cut. What cannot be written is lost, and noted: the program whose output it is must not wait for a disk that is full. */
#include "wrap.h"

enum { LINE_MOST = 65536 };

/* Room for the path, a dot and a number. false: no memory. */
static bool numbered(const struct wrap_log *log, unsigned number, char **out_path) {
    size_t bytes = strlen(log->path) + 16;
    *out_path = malloc(bytes);
    if (*out_path == NULL) return false;
    if (number == 0)
        snprintf(*out_path, bytes, "%s", log->path);
    else
        snprintf(*out_path, bytes, "%s.%u", log->path, number);
    return true;
}

static uint32_t move_up(const struct wrap_log *log, unsigned number) {
    char *from, *to = NULL;
    uint32_t error = 1;
    if (numbered(log, number, &from) && numbered(log, number + 1, &to)) error = wrap_file_move(from, to);
    free(to);
    free(from);
    return error;
}

uint32_t wrap_log_open(struct wrap_log *log) {
    uint32_t error = wrap_file_append(log->path, &log->file, &log->bytes);
    if (error != 0) log->file = WRAP_NO_HANDLE;
    log->rotates_at = log->rotate_bytes != 0 ? log->rotate_bytes : UINT64_MAX;
    return error;
}

static void note(struct wrap_log *log, uint32_t error) {
    if (log->error == 0) log->error = error;
}

static void rotate(struct wrap_log *log) {
    uint32_t error = 0;
    wrap_log_close(log);
    if (log->rotate_count == 0) error = wrap_file_remove(log->path);
    for (unsigned number = log->rotate_count; number > 0 && error == 0; number--) error = move_up(log, number - 1);
    note(log, error);
    note(log, wrap_log_open(log));
    /* Somebody holds a file: the next try is one size further on. */
    if (error != 0) log->rotates_at = log->bytes + log->rotate_bytes;
}

static void write_part(struct wrap_log *log, const char *bytes, size_t length) {
    if (log->file == WRAP_NO_HANDLE && wrap_log_open(log) != 0) return; /* noted already */
    uint32_t error = wrap_file_write(log->file, bytes, length);
    note(log, error);
    if (error == 0) log->bytes += length;
}

void wrap_log_write(struct wrap_log *log, const char *bytes, size_t length) {
    while (length > 0) {
        size_t part = length;
        bool full = false;
        if (log->bytes + length >= log->rotates_at) {
            size_t before = log->bytes < log->rotates_at ? (size_t)(log->rotates_at - log->bytes) - 1 : 0;
            const char *end = memchr(bytes + before, '\n', length - before);
            if (end != NULL) part = (size_t)(end - bytes) + 1;
            full = end != NULL || log->bytes + length >= log->rotates_at + LINE_MOST;
        }
        write_part(log, bytes, part);
        if (full) rotate(log);
        bytes += part;
        length -= part;
    }
}

void wrap_log_close(struct wrap_log *log) {
    if (log->file != WRAP_NO_HANDLE) wrap_file_close(log->file);
    log->file = WRAP_NO_HANDLE;
}
