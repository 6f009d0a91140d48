/* dll_helpers.h: what the tests of pintle/dll.h share: findings of tasks, the plugin, files and folders.
 *
 * Tasks note what they find wrong with EXPECT; run_tasks, on the case's own stack, asserts that nothing was. */
#ifndef PINTLE_TESTS_DLL_HELPERS_H
#define PINTLE_TESTS_DLL_HELPERS_H

#include "api/api_helpers.h"

#include <sys/stat.h>
#include <unistd.h>
#if !defined(_WIN32)
#include <dlfcn.h>
#endif

static const char *_Atomic first_wrong;
static _Atomic int first_wrong_line;

HELPER void note_wrong(const char *what, int line) {
    const char *none = NULL;
    if (atomic_compare_exchange_strong(&first_wrong, &none, what)) atomic_store(&first_wrong_line, line);
}
#define EXPECT(condition) ((condition) ? (void)0 : note_wrong(#condition, __LINE__))

HELPER void assert_nothing_wrong(void) {
    const char *what = atomic_load(&first_wrong);
    ck_assert_msg(what == NULL, "line %d: not so: %s", atomic_load(&first_wrong_line), what);
}

HELPER void run_tasks(pintle_main_fn *main_task, unsigned processors) {
    atomic_store(&first_wrong, NULL);
    int status = helper_run(main_task, NULL, processors);
    assert_nothing_wrong();
    ck_assert_int_eq(status, 0);
}

/* Whether the last error's text has the word. */
HELPER bool error_has(const char *word) {
    pintle_error error;
    pintle_error_get(&error);
    if (strstr(error.text, word) != NULL) return true;
    printf("no \"%s\" in: %s\n", word, error.text);
    return false;
}

HELPER int last_code(void) {
    pintle_error error;
    pintle_error_get(&error);
    return error.code;
}

/* ---- The plugin ---- */

typedef struct plugin {
    pintle_dll *dll;
    pintle_proc *weigh, *run;
} plugin;

HELPER bool plugin_open(plugin *p) {
    memset(p, 0, sizeof *p);
    EXPECT(pintle_dll_open(&p->dll, test_dll_path("plugin_a"), 0) == 0);
    if (p->dll == NULL) return false;
    EXPECT(pintle_dll_find(p->dll, "plugin_weigh", &p->weigh) == 0);
    EXPECT(pintle_dll_find(p->dll, "plugin_run", &p->run) == 0);
    return p->weigh != NULL && p->run != NULL;
}

__attribute__((unused)) static const uintptr_t one_two_three[] = {1, 2, 3};

HELPER bool weighs_right(const plugin *p) { return pintle_proc_call(p->weigh, 3, one_two_three).r1 == 321; }

HELPER bool is_refused(const plugin *p) {
    pintle_result result;
    return pintle_proc_try_call(p->weigh, 3, one_two_three, &result) == PINTLE_ECLOSED;
}

/* ---- Files and folders; paths as the system writes them ---- */

#if defined(_WIN32)
#define SLASH "\\"
#define DLL_SUFFIX ".dll"
#else
#define SLASH "/"
#define DLL_SUFFIX ".so"
#endif
enum { HELPER_PATH_BYTES = 2048 };

HELPER bool make_folder(const char *path) {
#if defined(_WIN32)
    return mkdir(path) == 0;
#else
    return mkdir(path, 0700) == 0;
#endif
}

/* A new empty folder in the system's temporary one. */
HELPER void temporary_folder(char out_path[HELPER_PATH_BYTES]) {
    static int number;
#if defined(_WIN32)
    char temporary[HELPER_PATH_BYTES - 64];
    GetTempPathA(sizeof temporary, temporary);
#else
    const char *temporary = "/tmp/";
#endif
    do snprintf(out_path, HELPER_PATH_BYTES, "%stest-pintle-%d-%d", temporary, (int)getpid(), number++);
    while (!make_folder(out_path) && errno == EEXIST);
}

/* Static; the last few results stay valid. */
HELPER const char *path_in(const char *folder, const char *name) {
    static char paths[8][HELPER_PATH_BYTES];
    static unsigned next;
    char *path = paths[next++ % 8];
    if (snprintf(path, HELPER_PATH_BYTES, "%s%s%s", folder, SLASH, name) >= HELPER_PATH_BYTES) abort();
    return path;
}

HELPER bool file_exists(const char *path) { return access(path, F_OK) == 0; }

HELPER bool write_file(const char *path, const void *bytes, size_t count) {
    FILE *file = fopen(path, "wb");
    if (file == NULL) return false;
    bool good = fwrite(bytes, 1, count, file) == count;
    return fclose(file) == 0 && good;
}

/* The whole file, to be given to free(). */
HELPER char *read_whole_file(const char *path, size_t *out_count) {
    enum { MOST = 8 << 20 };
    FILE *file = fopen(path, "rb");
    if (file == NULL) return NULL;
    char *bytes = malloc(MOST);
    *out_count = bytes == NULL ? 0 : fread(bytes, 1, MOST, file);
    fclose(file);
    return bytes;
}

HELPER bool copy_file(const char *from, const char *to) {
    size_t count = 0;
    char *bytes = read_whole_file(from, &count);
    bool good = bytes != NULL && count > 0 && write_file(to, bytes, count);
    free(bytes);
    return good;
}

/* The folder that this program lies in. */
HELPER void program_folder(char out_path[HELPER_PATH_BYTES]) {
#if defined(_WIN32)
    GetModuleFileNameA(NULL, out_path, HELPER_PATH_BYTES);
#else
    ssize_t length = readlink("/proc/self/exe", out_path, HELPER_PATH_BYTES - 1);
    out_path[length < 0 ? 0 : length] = '\0';
#endif
    char *slash = strrchr(out_path, SLASH[0]);
    if (slash != NULL) *slash = '\0';
}

/* The file that the code lies in, as the system tells. */
HELPER void file_of_proc(pintle_proc *proc, char out_path[HELPER_PATH_BYTES]) {
#if defined(_WIN32)
    HMODULE module = NULL;
    GetModuleHandleExA(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
                       (const char *)(uintptr_t)pintle_proc_code(proc), &module);
    GetModuleFileNameA(module, out_path, HELPER_PATH_BYTES);
#else
    Dl_info info = {0};
    dladdr((void *)(uintptr_t)pintle_proc_code(proc), &info);
    snprintf(out_path, HELPER_PATH_BYTES, "%s", info.dli_fname != NULL ? info.dli_fname : "");
#endif
}

#endif
