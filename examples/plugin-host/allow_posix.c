/* allow_posix.c: allow.h on POSIX. The hash is libgcrypt's, found at run time. A file's work is done in foreign calls. */
#include "allow.h"

#include "host_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK_BYTES = 64 << 10, LIST_MOST_BYTES = 1 << 20, SHA256 = 8, INITIALIZATION_FINISHED = 38 };

static int error_of(int error, const char *path) {
    int code = error == ENOENT || error == ENOTDIR ? PINTLE_ENOTFOUND
               : error == EACCES || error == EPERM ? PINTLE_EACCES
               : error == ENOMEM                   ? PINTLE_ENOMEM
                                                   : PINTLE_EOS;
    return pintle_error_set(code, error, "'%s': %s", path, strerror(error));
}

/* What is done in a call: 0 or errno. */
struct work {
    const char *from, *to;
    char *out_path, *text;
    held file;
    ssize_t got;
    unsigned char *block;
};

static int make_folder(void *arg) {
    struct work *w = arg;
    return mkdtemp(w->out_path) != NULL ? 0 : errno;
}

int allow_make_folder(char *out_path, size_t path_bytes) {
    const char *temporary = secure_getenv("TMPDIR");
    struct work w = {.out_path = out_path};
    if (temporary == NULL || temporary[0] != '/') temporary = "/tmp";
    snprintf(out_path, path_bytes, "%s/plugin-host-XXXXXX", temporary);
    int error = pintle_call(make_folder, &w);
    return error == 0 ? 0 : error_of(error, out_path);
}

void allow_remove_folder(const char *path) { rmdir(path); }
void allow_remove(const char *path) { unlink(path); }

static int copy_bytes(int from, int to) {
    unsigned char block[BLOCK_BYTES]; /* in a call there is room */
    for (;;) {
        ssize_t got = read(from, block, sizeof block);
        if (got <= 0) return got == 0 ? 0 : errno;
        for (ssize_t done = 0, wrote; done < got; done += wrote)
            if ((wrote = write(to, block + done, (size_t)(got - done))) < 0) return errno;
    }
}

static int copy(void *arg) {
    struct work *w = arg;
    struct stat status;
    int from = open(w->from, O_RDONLY | O_CLOEXEC | O_NONBLOCK), to, error;
    if (from < 0) return errno;
    error = fstat(from, &status) != 0 ? errno : S_ISREG(status.st_mode) ? 0 : EINVAL;
    if (error == 0) {
        to = open(w->to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0500);
        error = to < 0 ? errno : copy_bytes(from, to);
        if (to >= 0 && close(to) != 0 && error == 0) error = errno;
        if (to >= 0 && error != 0) unlink(w->to);
    }
    close(from);
    return error;
}

int allow_copy(const char *from, const char *to) {
    struct work w = {.from = from, .to = to};
    int error = pintle_call(copy, &w);
    return error == 0 ? 0 : error_of(error, from);
}

static int hold(void *arg) {
    struct work *w = arg;
    w->file = open(w->from, O_RDONLY | O_CLOEXEC);
    return w->file < 0 ? errno : 0;
}

int allow_hold(held *out, const char *path) {
    struct work w = {.from = path};
    int error = pintle_call(hold, &w);
    *out = w.file;
    return error == 0 ? 0 : error_of(error, path);
}

void allow_release(held file) { close((int)file); }

bool allow_same_name(const char *a, const char *b) { return strcmp(a, b) == 0; }

static int read_text(void *arg) {
    struct work *w = arg;
    int file = open(w->from, O_RDONLY | O_CLOEXEC);
    if (file < 0) return errno;
    ssize_t length = 0, got = 0;
    do length += got = read(file, w->text + length, (size_t)(LIST_MOST_BYTES - length));
    while (got > 0 && length < LIST_MOST_BYTES);
    int error = got < 0 ? errno : length == LIST_MOST_BYTES ? EFBIG : 0;
    close(file);
    w->text[error == 0 ? length : 0] = '\0';
    return error;
}

int allow_read(const char *path, char **out_text) {
    struct work w = {.from = path, .text = malloc(LIST_MOST_BYTES + 1)};
    if (w.text == NULL) return error_of(ENOMEM, path);
    int error = pintle_call(read_text, &w);
    if (error != 0) {
        free(w.text);
        return error_of(error, path);
    }
    *out_text = w.text;
    return 0;
}

/* ---- The hash ---- */

#define GCRYPT "libgcrypt.so.20"
static pintle_proc check_version = PINTLE_PROC(GCRYPT, "gcry_check_version"),
                   control = PINTLE_PROC(GCRYPT, "gcry_control"), md_open = PINTLE_PROC(GCRYPT, "gcry_md_open"),
                   md_write = PINTLE_PROC(GCRYPT, "gcry_md_write"), md_read = PINTLE_PROC(GCRYPT, "gcry_md_read"),
                   md_close = PINTLE_PROC(GCRYPT, "gcry_md_close");
static int bound;

static void bind_gcrypt(void *arg) {
    pintle_proc *const all[] = {&check_version, &control, &md_open, &md_write, &md_read, &md_close};
    (void)arg;
    for (size_t i = 0; i < sizeof all / sizeof all[0] && bound == 0; i++) bound = pintle_proc_bind(all[i]);
    if (bound != 0) return;
    pintle_proc_call(&check_version, 1, (const uintptr_t[]){0}); /* libgcrypt wants it first */
    pintle_proc_call(&control, 2, (const uintptr_t[]){INITIALIZATION_FINISHED, 0});
}

static int read_block(void *arg) {
    struct work *w = arg;
    w->got = read((int)w->file, w->block, BLOCK_BYTES);
    return w->got < 0 ? errno : 0;
}

int allow_hash(held file, unsigned char out_digest[SHA256_BYTES]) {
    static pintle_once once = PINTLE_ONCE_INIT;
    void *md = NULL;
    pintle_once_do(&once, bind_gcrypt, NULL, PINTLE_FOREVER);
    if (bound != 0)
        return pintle_error_set(PINTLE_ENOTFOUND, 0, "an allow-list needs libgcrypt (" GCRYPT "): install it");
    struct work w = {.file = file, .block = malloc(BLOCK_BYTES)};
    if (w.block == NULL || pintle_proc_call(&md_open, 3, (const uintptr_t[]){(uintptr_t)&md, SHA256, 0}).r1 != 0) {
        free(w.block);
        return pintle_error_set(PINTLE_ENOMEM, 0, "no memory for a hash");
    }
    int error;
    while ((error = pintle_call(read_block, &w)) == 0 && w.got > 0)
        pintle_proc_call(&md_write, 3, (const uintptr_t[]){(uintptr_t)md, (uintptr_t)w.block, (uintptr_t)w.got});
    const void *digest = pintle_result_ptr(pintle_proc_call(&md_read, 2, (const uintptr_t[]){(uintptr_t)md, SHA256}));
    if (digest != NULL) memcpy(out_digest, digest, SHA256_BYTES);
    pintle_proc_call(&md_close, 1, (const uintptr_t[]){(uintptr_t)md});
    free(w.block);
    return error == 0 && digest != NULL ? 0 : error_of(error == 0 ? EIO : error, "the copy to be checked");
}
