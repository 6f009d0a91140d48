/* test_library.c: loading of DLLs for system calls: where they are looked for, where not, and what an error says.
 * The plugin is a copy of the DLL of tests/dll/words.c under other names. */
#include "api/api_helpers.h"

/* ---- What is found ---- */

static int load_result;
static pintle_error load_error;

static int load_with(int (*load)(const char *, void **), const char *name, void **out) {
    memset(&load_error, 0, sizeof load_error);
    load_result = load(name, out);
    pintle_error_get(&load_error);
    return load_result;
}

CASE(load_system_library_finds_system_dlls_only) {
    void *module = NULL, *again = NULL, *proc = NULL;
    ck_assert_int_eq(pintle_load_system_library("kernel32.dll", &module), 0);
    ck_assert_ptr_eq(module, GetModuleHandleW(L"kernel32.dll"));
    ck_assert_int_eq(pintle_load_system_library("kernel32.dll", &again), 0);
    ck_assert_ptr_eq(again, module);
    ck_assert_int_eq(pintle_get_proc_address(module, "GetCurrentProcessId", &proc), 0);
    ck_assert_uint_eq((uint32_t)pintle_syscall(proc, 0, 0, 0, 0).r1, GetCurrentProcessId());

    ck_assert_int_eq(load_with(pintle_load_system_library, "no-such-dll-here.dll", &module), PINTLE_ENOTFOUND);
    ck_assert_int_eq(load_error.code, PINTLE_ENOTFOUND);
    ck_assert_msg(strstr(load_error.text, "no-such-dll-here.dll") != NULL, "%s", load_error.text);
    ck_assert_int_ne(load_error.os_code, 0);
    const char *const paths[] = {"C:\\windows\\system32\\kernel32.dll", "sub\\kernel32.dll", "sub/kernel32.dll",
                                 "..\\kernel32.dll", ""};
    for (size_t i = 0; i < ELEMENTS(paths); i++)
        ck_assert_msg(load_with(pintle_load_system_library, paths[i], &module) == PINTLE_EINVAL, "'%s' gave %d",
                      paths[i], load_result);
}

CASE(get_proc_address_names_what_is_missing) {
    void *module = NULL, *proc = NULL;
    ck_assert_int_eq(pintle_load_system_library("kernel32.dll", &module), 0);
    memset(&load_error, 0, sizeof load_error);
    ck_assert_int_eq(pintle_get_proc_address(module, "NoSuchProcedure", &proc), PINTLE_ENOTFOUND);
    pintle_error_get(&load_error);
    ck_assert_msg(strstr(load_error.text, "NoSuchProcedure") != NULL, "%s", load_error.text);
    ck_assert_ptr_null(proc);
    ck_assert_int_eq(pintle_get_proc_address(module, "Sleep", &proc), 0);
    ck_assert_ptr_eq(proc, (void *)GetProcAddress(module, "Sleep"));
    ck_assert_int_eq(pintle_get_proc_address(NULL, "Sleep", &proc), PINTLE_EINVAL);
}

/* ---- Where DLLs are looked for ---- */

typedef struct place {
    wchar_t folder[MAX_PATH], program_folder[MAX_PATH], old_current[MAX_PATH];
} place;

static void place_enter(place *p) {
    wchar_t temp[MAX_PATH];
    ck_assert_uint_gt(GetTempPathW(MAX_PATH, temp), 0);
    ck_assert_uint_gt(GetTempFileNameW(temp, L"pin", 0, p->folder), 0);
    DeleteFileW(p->folder);
    ck_assert(CreateDirectoryW(p->folder, NULL));
    ck_assert_uint_gt(GetModuleFileNameW(NULL, p->program_folder, MAX_PATH), 0);
    *wcsrchr(p->program_folder, L'\\') = 0;
    ck_assert_uint_gt(GetCurrentDirectoryW(MAX_PATH, p->old_current), 0);
    ck_assert(SetCurrentDirectoryW(p->folder));
}
static void place_leave(place *p) {
    SetCurrentDirectoryW(p->old_current);
    RemoveDirectoryW(p->folder);
}
/* Copies words.dll to the folder under the name; the path of the copy. */
static void place_copy(const wchar_t *folder, const wchar_t *name, wchar_t *out_path) {
    wchar_t source[MAX_PATH];
    ck_assert_int_gt(MultiByteToWideChar(CP_UTF8, 0, test_dll_path("words"), -1, source, MAX_PATH), 0);
    swprintf(out_path, MAX_PATH, L"%ls\\%ls", folder, name);
    ck_assert(CopyFileW(source, out_path, FALSE));
}
static bool module_is_in_system_folder(void *module) {
    wchar_t path[MAX_PATH], system[MAX_PATH];
    UINT length = GetSystemDirectoryW(system, MAX_PATH);
    return GetModuleFileNameW(module, path, MAX_PATH) > 0 && _wcsnicmp(path, system, length) == 0;
}

/* Names of DLLs that Windows and Wine have and that no test uses, so that they are not loaded yet. */
CASE(system_dll_is_not_hijacked_from_the_current_or_the_program_folder) {
    const wchar_t *const wide[] = {L"inseng.dll", L"hnetcfg.dll"};
    const char *const names[] = {"inseng.dll", "hnetcfg.dll"};
    int (*const loads[])(const char *, void **) = {pintle_load_system_library, pintle_load_library};
    place p;
    place_enter(&p);
    for (int i = 0; i < 2; i++) {
        wchar_t here[MAX_PATH], beside[MAX_PATH];
        void *module = NULL, *proc = NULL;
        ck_assert_ptr_null(GetModuleHandleW(wide[i]));
        place_copy(p.folder, wide[i], here);
        place_copy(p.program_folder, wide[i], beside);
        int loaded = load_with(loads[i], names[i], &module);
        DeleteFileW(here);
        DeleteFileW(beside);
        ck_assert_msg(loaded == 0, "%s: %s", names[i], load_error.text);
        ck_assert(module_is_in_system_folder(module));
        ck_assert_int_eq(pintle_get_proc_address(module, "words_0", &proc), PINTLE_ENOTFOUND);
    }
    place_leave(&p);
}

CASE(load_library_takes_paths_and_names_but_not_from_the_current_folder) {
    place p;
    wchar_t here[MAX_PATH], beside[MAX_PATH];
    char path[MAX_PATH * 3];
    void *module = NULL, *proc = NULL;
    place_enter(&p);
    place_copy(p.folder, L"pintle-only-here.dll", here);
    /* By its bare name it is not found; by its path it is. */
    ck_assert_int_eq(load_with(pintle_load_library, "pintle-only-here.dll", &module), PINTLE_ENOTFOUND);
    ck_assert_msg(strstr(load_error.text, "pintle-only-here.dll") != NULL, "%s", load_error.text);
    ck_assert_int_eq(load_with(pintle_load_library, ".\\pintle-only-here.dll", &module), PINTLE_EINVAL);
    ck_assert_int_gt(WideCharToMultiByte(CP_UTF8, 0, here, -1, path, sizeof path, NULL, NULL), 0);
    ck_assert_int_eq(load_with(pintle_load_library, path, &module), 0);
    ck_assert_int_eq(pintle_get_proc_address(module, "words_0", &proc), 0);
    ck_assert_uint_eq(pintle_syscall(proc, 0, 0, 0, 0).r1, 0x1122334455667788u);
    /* Beside the program the bare name is enough, and what was missing may come later. */
    ck_assert_int_eq(load_with(pintle_load_library, "pintle-beside.dll", &module), PINTLE_ENOTFOUND);
    place_copy(p.program_folder, L"pintle-beside.dll", beside);
    int loaded = load_with(pintle_load_library, "pintle-beside.dll", &module);
    ck_assert_msg(loaded == 0, "%s", load_error.text);
    ck_assert_int_eq(pintle_get_proc_address(module, "words_0", &proc), 0);
    /* System libraries are not looked for there. */
    wchar_t beside_too[MAX_PATH];
    place_copy(p.program_folder, L"pintle-beside-2.dll", beside_too);
    ck_assert_int_eq(load_with(pintle_load_system_library, "pintle-beside-2.dll", &module), PINTLE_ENOTFOUND);
    DeleteFileW(beside_too);
    /* Files of loaded modules cannot be deleted before they are let go. */
    FreeLibrary(GetModuleHandleW(L"pintle-beside.dll"));
    FreeLibrary(GetModuleHandleW(L"pintle-only-here.dll"));
    DeleteFileW(beside);
    DeleteFileW(here);
    place_leave(&p);
}

CASE(load_library_takes_utf8_names) {
    place p;
    wchar_t copy[MAX_PATH];
    char path[MAX_PATH * 3];
    void *module = NULL, *proc = NULL;
    place_enter(&p);
    place_copy(p.folder, L"W\u00f6rter-\u4e2d\u6587.dll", copy);
    ck_assert_int_gt(WideCharToMultiByte(CP_UTF8, 0, copy, -1, path, sizeof path, NULL, NULL), 0);
    int loaded = load_with(pintle_load_library, path, &module);
    ck_assert_msg(loaded == 0, "%s", load_error.text);
    ck_assert_int_eq(pintle_get_proc_address(module, "words_0", &proc), 0);
    FreeLibrary(module);
    DeleteFileW(copy);
    place_leave(&p);
}

/* Loading inside a task, and in a call. */
static int load_main(void *arg) {
    void **modules = arg;
    int result = pintle_load_library(test_dll_path("words"), &modules[0]);
    if (result == 0) result = pintle_load_system_library("advapi32.dll", &modules[1]);
    return result;
}
static int load_in_call_main(void *arg) { return pintle_call(load_main, arg); }

CASE(load_from_a_task_and_in_a_call) {
    void *modules[2] = {NULL, NULL}, *again[2] = {NULL, NULL};
    ck_assert_int_eq(pintle_run(load_main, modules, NULL), 0);
    ck_assert_int_eq(pintle_run(load_in_call_main, again, NULL), 0);
    ck_assert_ptr_nonnull(modules[0]);
    ck_assert_ptr_nonnull(modules[1]);
    ck_assert_ptr_eq(again[0], modules[0]);
    ck_assert_ptr_eq(again[1], modules[1]);
}
