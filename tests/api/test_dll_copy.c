/* test_dll_copy.c: PINTLE_DLL_PRIVATE_COPY: data of its own, hot reload, dependencies, errors, nothing left behind. */
#include "api/dll_helpers.h"

static int call_int(pintle_dll *dll, const char *name) {
    pintle_proc *proc = NULL;
    EXPECT(pintle_dll_find(dll, name, &proc) == 0);
    return proc == NULL ? -1 : pintle_result_int(pintle_proc_call(proc, 0, NULL));
}

static pintle_dll *open_copy(const char *path) {
    pintle_dll *dll = NULL;
    EXPECT(pintle_dll_open(&dll, path, PINTLE_DLL_PRIVATE_COPY) == 0);
    if (dll == NULL) {
        pintle_error error;
        pintle_error_get(&error);
        printf("%s\n", error.text);
    }
    return dll;
}

static void place_of(pintle_dll *dll, const char *name, char out_path[HELPER_PATH_BYTES]) {
    pintle_proc *proc = NULL;
    EXPECT(pintle_dll_find(dll, name, &proc) == 0);
    file_of_proc(proc, out_path);
}

static int copies_differ(void *arg) {
    const char *path = test_dll_path("plugin_a");
    char place_one[HELPER_PATH_BYTES], place_two[HELPER_PATH_BYTES];
    pintle_dll *one = open_copy(path), *two = open_copy(path), *itself = NULL;
    void *data_one = NULL, *data_two = NULL;
    (void)arg;
    if (one == NULL || two == NULL) return 1;
    EXPECT(pintle_dll_open(&itself, path, 0) == 0);
    EXPECT(call_int(one, "plugin_count") == 1 && call_int(one, "plugin_count") == 2);
    EXPECT(call_int(two, "plugin_count") == 1);
    EXPECT(call_int(itself, "plugin_count") == 1);
    EXPECT(pintle_dll_find_data(one, "plugin_data", &data_one) == 0 && *(int *)data_one == 4711);
    EXPECT(pintle_dll_find_data(two, "plugin_data", &data_two) == 0);
    EXPECT(data_one != data_two);
    *(int *)data_one = 5;
    EXPECT(*(int *)data_two == 4711);
    EXPECT(pintle_dll_native(one) != pintle_dll_native(two) && pintle_dll_native(one) != pintle_dll_native(itself));
    EXPECT(strcmp(pintle_dll_path(one), path) == 0);

    place_of(one, "plugin_count", place_one);
    place_of(two, "plugin_count", place_two);
    EXPECT(strcmp(place_one, place_two) != 0 && strcmp(place_one, path) != 0);
    EXPECT(strcmp(strrchr(place_one, SLASH[0]), strrchr(path, SLASH[0])) != 0); /* the bare name too */
    EXPECT(file_exists(place_one) && file_exists(place_two));
    EXPECT(pintle_dll_close(one, PINTLE_FOREVER) == 0);
    EXPECT(!file_exists(place_one) && file_exists(place_two));
    EXPECT(call_int(two, "plugin_count") == 2);
    EXPECT(pintle_dll_close(two, PINTLE_FOREVER) == 0);
    *strrchr(place_one, SLASH[0]) = *strrchr(place_two, SLASH[0]) = '\0';
    EXPECT(!file_exists(place_one) && !file_exists(place_two)); /* nor their folders */
    EXPECT(call_int(itself, "plugin_count") == 2);
    EXPECT(pintle_dll_close(itself, PINTLE_FOREVER) == 0);
    EXPECT(file_exists(path));
    return 0;
}
CASE(private_copies_have_data_of_their_own_and_leave_nothing_behind) { run_tasks(copies_differ, 2); }
CASE(private_copies_open_without_runtime) {
    ck_assert_int_eq(copies_differ(NULL), 0);
    assert_nothing_wrong();
}

/* The file is written anew while what it was is in use. */
static int reload(void *arg) {
    char folder[HELPER_PATH_BYTES];
    pintle_proc *none = NULL;
    (void)arg;
    temporary_folder(folder);
    const char *path = path_in(folder, "hot" DLL_SUFFIX);
    EXPECT(copy_file(test_dll_path("plugin_a"), path));
    pintle_dll *old = open_copy(path);
    EXPECT(copy_file(test_dll_path("dependency"), path));
    pintle_dll *new = open_copy(path);
    if (old == NULL || new == NULL) return 1;
    EXPECT(call_int(old, "plugin_count") == 1);
    EXPECT(call_int(new, "dependency_answer") == 1);
    EXPECT(pintle_dll_find(new, "plugin_count", &none) == PINTLE_ENOTFOUND && error_has("hot"));
    EXPECT(unlink(path) == 0);
    EXPECT(call_int(old, "plugin_count") == 2);
    EXPECT(pintle_dll_close(old, PINTLE_FOREVER) == 0);
    EXPECT(pintle_dll_close(new, PINTLE_FOREVER) == 0);
    EXPECT(rmdir(folder) == 0);
    return 0;
}
CASE(private_copy_lets_its_file_be_replaced) { run_tasks(reload, 1); }

static int depend(void *arg) {
    char folder[HELPER_PATH_BYTES];
    (void)arg;
    temporary_folder(folder);
    const char *path = path_in(folder, "user" DLL_SUFFIX), *beside = path_in(folder, "dependency" DLL_SUFFIX);
    pintle_dll *dll = NULL;
    EXPECT(copy_file(test_dll_path("uses_dependency"), path));
    EXPECT(pintle_dll_open(&dll, path, PINTLE_DLL_PRIVATE_COPY) == PINTLE_ENOTFOUND);
    EXPECT(dll == NULL && error_has("'dependency" DLL_SUFFIX "'") && error_has(path));
    EXPECT(copy_file(test_dll_path("dependency"), beside));
    pintle_dll *one = open_copy(path), *two = open_copy(path);
    if (one == NULL || two == NULL) return 1;
    EXPECT(call_int(one, "uses_answer") == 1 && call_int(two, "uses_answer") == 1);
    EXPECT(call_int(one, "uses_count") == 1 && call_int(two, "uses_count") == 1);
    EXPECT(pintle_dll_close(one, PINTLE_FOREVER) == 0);
    EXPECT(pintle_dll_close(two, PINTLE_FOREVER) == 0);
    EXPECT(file_exists(beside)); /* links to it are gone, not it */
    unlink(beside);
    unlink(path);
    rmdir(folder);
    return 0;
}
CASE(private_copy_finds_what_it_needs_beside_the_original) { run_tasks(depend, 1); }

static int wrong_copies(void *arg) {
    char untouched, folder[HELPER_PATH_BYTES];
    pintle_dll *dll = (void *)&untouched;
    (void)arg;
    temporary_folder(folder);
    const char *text = path_in(folder, "text" DLL_SUFFIX), *below = path_in(folder, "folder" DLL_SUFFIX);
    EXPECT(make_folder(below));
    EXPECT(write_file(text, "not a library at all", 20));
    EXPECT(pintle_dll_open(&dll, test_dll_path("nowhere_at_all"), PINTLE_DLL_PRIVATE_COPY) == PINTLE_ENOTFOUND &&
           error_has("nowhere_at_all"));
    EXPECT(pintle_dll_open(&dll, text, PINTLE_DLL_PRIVATE_COPY) == PINTLE_EINVAL && error_has(text));
    EXPECT(pintle_dll_open(&dll, below, PINTLE_DLL_PRIVATE_COPY) == PINTLE_EINVAL && error_has(below));
    EXPECT(pintle_dll_open(&dll, "plugin_a", PINTLE_DLL_PRIVATE_COPY) == PINTLE_EINVAL && error_has("absolute"));
    EXPECT(pintle_dll_open(&dll, test_dll_path("plugin_a"), PINTLE_DLL_PRIVATE_COPY | 0x40) == PINTLE_ENOTSUP);
    EXPECT(dll == (void *)&untouched);
    unlink(text);
    rmdir(below);
    rmdir(folder);
    return 0;
}
CASE(private_copy_of_wrong_file_gives_error_that_names_the_original) { run_tasks(wrong_copies, 1); }

/* Windows takes another folder by itself. */
static int no_room(void *arg) {
    (void)arg;
#if !defined(_WIN32)
    pintle_dll *dll = NULL;
    helper_set_environment("TMPDIR", "/proc/no-such-folder");
    EXPECT(pintle_dll_open(&dll, test_dll_path("plugin_a"), PINTLE_DLL_PRIVATE_COPY) == PINTLE_EOS);
    EXPECT(dll == NULL && error_has("TMPDIR") && error_has("plugin_a"));
#endif
    return 0;
}
CASE(private_copy_without_temporary_folder_is_an_error) { run_tasks(no_room, 1); }

static int close_own(void *dll) { return pintle_dll_close(dll, PINTLE_FOREVER); }
static int close_inside(void *arg) {
    pintle_dll *dll = open_copy(test_dll_path("plugin_a"));
    pintle_proc *run = NULL;
    pintle_result result;
    (void)arg;
    if (dll == NULL) return 1;
    EXPECT(pintle_dll_find(dll, "plugin_run", &run) == 0);
    const uintptr_t itself[] = {(uintptr_t)(void *)close_own, (uintptr_t)dll};
    EXPECT(pintle_proc_try_call(run, 2, itself, &result) == 0 && pintle_result_int(result) == PINTLE_EBUSY);
    EXPECT(error_has("plugin_run"));
    EXPECT(pintle_proc_try_call(run, 2, itself, &result) == PINTLE_ECLOSED);
    EXPECT(pintle_dll_reopen(dll) == 0);
    EXPECT(call_int(dll, "plugin_count") == 1);
    EXPECT(pintle_dll_close(dll, PINTLE_NOWAIT) == 0);
    return 0;
}
CASE(private_copy_closed_from_inside_is_busy_and_reopens) { run_tasks(close_inside, 1); }
