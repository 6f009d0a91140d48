/* decoy_helpers.h: decoys (tests/dll/decoy.c) in every place where a careless search for a DLL would look. One scene at a time,
 * and one a program, since there is one program folder: cases run at the same time. */
#ifndef PINTLE_TESTS_DECOY_HELPERS_H
#define PINTLE_TESTS_DECOY_HELPERS_H

#include "api/dll_helpers.h"

#if defined(_WIN32)
#define PATH_SEPARATOR ";"
#else
#define PATH_SEPARATOR ":"
#endif

/* Everywhere a careless search would look: the current folder, PATH, the program's folder and one in it. */
enum { DECOYS = 8 };
static struct {
    char folder[HELPER_PATH_BYTES], old_folder[HELPER_PATH_BYTES], path_folder[HELPER_PATH_BYTES],
        below_program[HELPER_PATH_BYTES], below_current[HELPER_PATH_BYTES];
    char decoys[DECOYS][HELPER_PATH_BYTES];
    int count;
} scene;

HELPER void put_decoy(const char *folder, const char *name) {
    snprintf(scene.decoys[scene.count], HELPER_PATH_BYTES, "%s", path_in(folder, name));
    ck_assert(copy_file(test_dll_path("decoy"), scene.decoys[scene.count++]));
}

HELPER bool decoy_was_loaded(void) {
#if defined(_WIN32)
    return GetEnvironmentVariableA("PINTLE_TEST_DECOY", NULL, 0) != 0;
#else
    return getenv("PINTLE_TEST_DECOY") != NULL;
#endif
}

HELPER void scene_set(const char *name) {
    char program[HELPER_PATH_BYTES], path[HELPER_PATH_BYTES * 4], below[64];
    scene.count = 0;
    temporary_folder(scene.folder); /* the current folder */
    temporary_folder(scene.path_folder);
    ck_assert_ptr_nonnull(getcwd(scene.old_folder, sizeof scene.old_folder));
    program_folder(program);
    snprintf(below, sizeof below, "below-%s", name); /* other cases run beside this one */
    snprintf(scene.below_program, HELPER_PATH_BYTES, "%s", path_in(program, below));
    snprintf(scene.below_current, HELPER_PATH_BYTES, "%s", path_in(scene.folder, "dll"));
    make_folder(scene.below_program);
    ck_assert(make_folder(scene.below_current));
    put_decoy(scene.folder, name);
    put_decoy(scene.path_folder, name);
    put_decoy(program, name);
    put_decoy(scene.below_program, name);
    put_decoy(scene.below_current, name);
    snprintf(path, sizeof path, "%s%s%s", scene.path_folder, PATH_SEPARATOR, getenv("PATH"));
    helper_set_environment("PATH", path);
    ck_assert_int_eq(chdir(scene.folder), 0);
    ck_assert(!decoy_was_loaded());
}

HELPER void scene_clear(void) {
    ck_assert_int_eq(chdir(scene.old_folder), 0);
    for (int i = 0; i < scene.count; i++) unlink(scene.decoys[i]);
    rmdir(scene.below_current);
    rmdir(scene.folder);
    rmdir(scene.path_folder);
    rmdir(scene.below_program);
}

#endif
