/* dll.c (POSIX): shared libraries, by dlopen.
 *
 * A bare name is left to the system's search: LD_LIBRARY_PATH, the cache of ldconfig, the system's folders. None of
 * these is the current folder unless the user says so. Why a load failed is told from the file's first bytes and from
 * dlerror's text, which is the only thing that names a missing dependency.
 * Threads: any. Locks: dlopen's own; it runs the library's constructors under it. Order: none.
 * Invariants: a failure has an error number, a code and a whole sentence. Tests: tests/unit/test_os.c,
 * tests/posix/test_os_posix.c. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dll_copy.h"
#include "fail.h"
#include "os.h"

/* What os_dll_open returns, put together in one place. */
typedef struct failure {
    int *out_code;
    char *out_text;
    size_t text_bytes;
} failure;

static int64_t fail(failure f, int code, int64_t os_code, const char *format, ...) PINTLE_PRINTF(4, 5);
static int64_t fail(failure f, int code, int64_t os_code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(f.out_text, f.text_bytes, format, arguments);
    va_end(arguments);
    *f.out_code = code;
    return os_code;
}

static int64_t fail_errno(failure f, const char *path, int error) {
    char text[256];
    os_error_text(error, text, sizeof text);
    if (error == ENOENT || error == ENOTDIR)
        return fail(f, PINTLE_ENOTFOUND, error, "library '%s' was not found: %s", path, text);
    if (error == EACCES || error == EPERM)
        return fail(f, PINTLE_EACCES, error, "library '%s' cannot be opened: %s", path, text);
    return fail(f, PINTLE_EOS, error, "library '%s' cannot be opened: %s", path, text);
}

/* The file's first bytes; errno if it cannot be opened or is a folder. *out_bytes: how many there were. */
static int file_read_start(const char *path, unsigned char *out_start, size_t start_bytes, size_t *out_bytes) {
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) return errno;
    struct stat status;
    int error = fstat(file, &status) == 0 ? 0 : errno;
    if (error == 0 && S_ISDIR(status.st_mode)) error = EISDIR;
    ssize_t bytes = error == 0 ? read(file, out_start, start_bytes) : 0;
    if (bytes < 0) error = errno;
    close(file);
    *out_bytes = bytes > 0 ? (size_t)bytes : 0;
    return error;
}

enum { OWN_CLASS = sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32 };

/* What is wrong with a file of which these are the first bytes, as the end of a sentence; NULL: nothing seen here. */
static const char *elf_complaint(const unsigned char *start, size_t bytes) {
    if (bytes < SELFMAG || memcmp(start, ELFMAG, SELFMAG) != 0) return "is not a shared library";
    if (bytes < EI_NIDENT) return "is cut off: it ends within its header";
    if (start[EI_CLASS] != OWN_CLASS)
        return OWN_CLASS == ELFCLASS64 ? "is a 32-bit library; this is a 64-bit program"
                                       : "is a 64-bit library; this is a 32-bit program";
    if (bytes < sizeof(ElfW(Ehdr))) return "is cut off: it ends within its header";
    ElfW(Ehdr) header;
    memcpy(&header, start, sizeof header);
    return header.e_type == ET_DYN ? NULL : "is an ELF file, but not a shared library";
}

/* "NAME: cannot open shared object file: …" of another file than the one asked for: a dependency. */
static bool missing_dependency(const char *message, const char *path, char *out_name, size_t name_bytes) {
    const char *end = strstr(message, ": cannot open shared object file");
    if (end == NULL) return false;
    snprintf(out_name, name_bytes, "%.*s", (int)(end - message), message);
    return strcmp(out_name, path) != 0;
}

/* Why dlopen refused a file that is a shared library as far as elf_complaint can see, or a bare name. */
static int64_t explain_message(failure f, const char *path, bool system, const char *loaded, const char *message) {
    char name[256];
    if (missing_dependency(message, loaded, name, sizeof name))
        return fail(f, PINTLE_ENOTFOUND, ENOENT,
                    "library '%s' needs '%s', which was not found: install it, or put its folder "
                    "into LD_LIBRARY_PATH (%s)",
                    path, name, message);
    if (system && strstr(message, ": cannot open shared object file") != NULL)
        return fail(f, PINTLE_ENOTFOUND, ENOENT, "library '%s' was not found in the system's folders: %s", path,
                    message);
    if (strstr(message, "executable") != NULL)
        return fail(f, PINTLE_EINVAL, ENOEXEC, "'%s' is a program, not a shared library (%s)", path, message);
    return fail(f, PINTLE_EOS, ENOEXEC, "library '%s' cannot be loaded: %s", path, message);
}

/* loaded: path, or the copy that was loaded in its place. */
static int64_t explain(failure f, const char *path, bool system, const char *loaded, const char *message) {
    if (system) return explain_message(f, path, system, loaded, message);
    unsigned char start[sizeof(ElfW(Ehdr))];
    size_t bytes;
    int error = file_read_start(path, start, sizeof start, &bytes);
    if (error == EISDIR) return fail(f, PINTLE_EINVAL, error, "'%s' is a folder, not a shared library", path);
    if (error != 0) return fail_errno(f, path, error);
    const char *complaint = elf_complaint(start, bytes);
    if (complaint != NULL) return fail(f, PINTLE_EINVAL, ENOEXEC, "'%s' %s (%s)", path, complaint, message);
    return explain_message(f, path, system, loaded, message);
}

int64_t os_dll_open(const char *path, bool system, void **out_handle, int *out_code, char *out_text,
                    size_t text_bytes) {
    failure f = {.out_code = out_code, .out_text = out_text, .text_bytes = text_bytes};
    if (system && (path[0] == 0 || strchr(path, '/') != NULL))
        return fail(f, PINTLE_EINVAL, EINVAL,
                    "'%s' is not a bare library name: give a name without a folder, "
                    "or open it by its absolute path",
                    path);
    if (!system && !os_path_absolute(path)) return fail(f, PINTLE_EINVAL, EINVAL, "'%s' is not an absolute path", path);
    if (fail_now(FAIL_LIBRARY)) return fail(f, PINTLE_EOS, ENOMEM, "library '%s' cannot be loaded: refused", path);
    *out_handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (*out_handle != NULL) return 0;
    const char *message = dlerror();
    return explain(f, path, system, path, message == NULL ? "no reason given" : message);
}

static int64_t fail_copy(failure f, const char *path, bool of_original, int error) {
    char text[256];
    if (error == EISDIR) return fail(f, PINTLE_EINVAL, error, "'%s' is a folder, not a shared library", path);
    if (of_original) return fail_errno(f, path, error);
    os_error_text(error, text, sizeof text);
    return fail(f,
                error == ENOMEM   ? PINTLE_ENOMEM
                : error == EACCES ? PINTLE_EACCES
                                  : PINTLE_EOS,
                error, "library '%s' cannot be copied into the temporary folder: %s (TMPDIR can name another one)",
                path, text);
}

int64_t os_dll_open_copy(const char *path, void **out_handle, void **out_copy, int *out_code, char *out_text,
                         size_t text_bytes) {
    failure f = {.out_code = out_code, .out_text = out_text, .text_bytes = text_bytes};
    char *copy;
    bool of_original;
    *out_handle = *out_copy = NULL;
    if (!os_path_absolute(path)) return fail(f, PINTLE_EINVAL, EINVAL, "'%s' is not an absolute path", path);
    int error = dll_copy_make(path, &copy, &of_original);
    if (error != 0) return fail_copy(f, path, of_original, error);
    bool refused = fail_now(FAIL_LIBRARY);
    *out_handle = refused ? NULL : dlopen(copy, RTLD_NOW | RTLD_LOCAL);
    if (*out_handle != NULL) {
        *out_copy = copy;
        return 0;
    }
    const char *message = refused ? "refused" : dlerror();
    int64_t os_code = explain(f, path, false, copy, message == NULL ? "no reason given" : message);
    dll_copy_remove(copy);
    return os_code;
}

void os_dll_copy_remove(void *copy) { dll_copy_remove(copy); }

void os_dll_close(void *handle) { dlclose(handle); }

/* A symbol whose value is NULL cannot be called: it counts as missing. */
int64_t os_dll_symbol(void *handle, const char *name, unsigned ordinal, void **out_address) {
    (void)ordinal;
    if (name == NULL) return ENOSYS;
    if (fail_now(FAIL_LIBRARY)) return ENOENT;
    *out_address = dlsym(handle, name);
    return *out_address == NULL ? ENOENT : 0;
}

bool os_dll_has_ordinals(void) { return false; }

bool os_path_absolute(const char *path) { return path[0] == '/'; }
