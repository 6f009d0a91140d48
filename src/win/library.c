/* library.c: pintle_load_system_library, pintle_load_library, pintle_get_proc_address. Loading runs foreign code
 * (DllMain) and may block, so it happens in a foreign call; the task is pinned inside, and not any more on the way out.
 * Threads: any. Tests: tests/win/test_library.c. */
#include <windows.h>

#include "call.h"
#include "error.h"
#include "os.h"
#include "pintle/syscall.h"
#include "scheduler.h"
#include "thread.h"

struct request {
    const char *name;
    void *module;
    bool system, bare;
    void *found;
    int64_t os_code;
    int code;
    char text[512];
};

/* Counts the automatic pin; only a thread with a record has one. */
static void pin_auto(int by) {
    struct thread *thread = thread_self();
    if (thread != NULL) thread->pins_auto += (uint32_t)by;
}

static void open_beside_program(struct request *request) {
    wchar_t wide[MAX_PATH * 2];
    char path[MAX_PATH * 6];
    DWORD length = GetModuleFileNameW(NULL, wide, COUNT_OF(wide));
    while (length > 0 && wide[length - 1] != L'\\') length--;
    int bytes = WideCharToMultiByte(CP_UTF8, 0, wide, (int)length, path, (int)sizeof path, NULL, NULL);
    if (bytes <= 0 || (size_t)bytes + strlen(request->name) + 1 > sizeof path) return;
    strcpy(path + bytes, request->name);
    if (GetFileAttributesA(path) == INVALID_FILE_ATTRIBUTES && GetLastError() == ERROR_FILE_NOT_FOUND) return;
    request->os_code = os_dll_open(path, false, &request->found, &request->code, request->text, sizeof request->text);
}

static int open_in_call(void *arg) {
    struct request *request = arg;
    pin_auto(1);
    request->os_code = os_dll_open(request->name, request->system || request->bare, &request->found, &request->code,
                                   request->text, sizeof request->text);
    if (request->os_code != 0 && request->bare && request->code == PINTLE_ENOTFOUND) open_beside_program(request);
    pin_auto(-1);
    return request->os_code == 0 ? 0 : request->code;
}

static int load(struct request *request, void **out_module) {
    spares_top_up();
    int result = pintle_call(open_in_call, request);
    if (result != 0) return error_set(result, request->os_code, "%s", request->text);
    *out_module = request->found;
    return 0;
}

static bool is_bare(const char *name) { return strpbrk(name, "\\/:") == NULL; }

int pintle_load_system_library(const char *name, void **out_module) {
    struct request request = {.name = name, .system = true};
    if (name == NULL || out_module == NULL)
        return error_set(PINTLE_EINVAL, 0, "pintle_load_system_library: an argument is NULL");
    if (name[0] == '\0' || !is_bare(name)) {
        return error_set(PINTLE_EINVAL, 0, "pintle_load_system_library: '%s' is not a bare name like kernel32.dll",
                         name);
    }
    return load(&request, out_module);
}

int pintle_load_library(const char *path, void **out_module) {
    struct request request = {.name = path};
    if (path == NULL || out_module == NULL)
        return error_set(PINTLE_EINVAL, 0, "pintle_load_library: an argument is NULL");
    request.bare = path[0] != '\0' && is_bare(path);
    if (!request.bare && !os_path_absolute(path)) {
        return error_set(PINTLE_EINVAL, 0, "pintle_load_library: '%s' is neither an absolute path nor a bare name",
                         path);
    }
    return load(&request, out_module);
}

static int find_in_call(void *arg) {
    struct request *request = arg;
    pin_auto(1);
    request->os_code = os_dll_symbol(request->module, request->name, 0, &request->found);
    pin_auto(-1);
    return 0;
}

int pintle_get_proc_address(void *module, const char *name, void **out_proc) {
    struct request request = {.name = name, .module = module};
    if (module == NULL || name == NULL || out_proc == NULL) {
        return error_set(PINTLE_EINVAL, 0, "pintle_get_proc_address: an argument is NULL");
    }
    pintle_call(find_in_call, &request);
    if (request.os_code != 0) {
        char message[128];
        os_error_text(request.os_code, message, sizeof message);
        return error_set(PINTLE_ENOTFOUND, request.os_code, "the DLL exports no '%s': %s", name, message);
    }
    *out_proc = request.found;
    return 0;
}
