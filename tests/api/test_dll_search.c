/* test_dll_search.c: where DLLs are looked for and where not, and files that are none. */
#include "api/decoy_helpers.h"

#if defined(_WIN32)
#define SYSTEM_NAME "cabinet.dll"
#else
#define SYSTEM_NAME "libresolv.so.2"
#endif
#define DEPENDENCY "dependency" DLL_SUFFIX

static int answer_of_user(const char *path, unsigned flags) {
    pintle_dll *dll = NULL;
    pintle_proc *proc = NULL;
    EXPECT(pintle_dll_open(&dll, path, flags) == 0);
    if (dll == NULL) return -1;
    EXPECT(pintle_dll_find(dll, "uses_answer", &proc) == 0);
    int answer = pintle_result_int(pintle_proc_call(proc, 0, NULL));
    EXPECT(pintle_dll_close(dll, PINTLE_FOREVER) == 0);
    return answer;
}

static int use_beside(void *arg) {
    (void)arg;
    EXPECT(answer_of_user(test_dll_path("uses_dependency"), 0) == 1);
    EXPECT(answer_of_user(test_dll_path("uses_dependency"), PINTLE_DLL_PRIVATE_COPY) == 1);
    return 0;
}
static int use_alone(void *folder) {
    pintle_dll *dll = NULL;
    const char *path = path_in(folder, "alone" DLL_SUFFIX);
    EXPECT(copy_file(test_dll_path("uses_dependency"), path));
    EXPECT(pintle_dll_open(&dll, path, 0) == PINTLE_ENOTFOUND);
    EXPECT(dll == NULL && error_has("'" DEPENDENCY "'") && error_has(path));
    EXPECT(pintle_dll_open(&dll, path, PINTLE_DLL_PRIVATE_COPY) == PINTLE_ENOTFOUND);
    EXPECT(dll == NULL && error_has("'" DEPENDENCY "'") && error_has(path));
    unlink(path);
    return 0;
}
/* One case, since there is one program folder: cases run at the same time. */
CASE(dependency_is_taken_from_beside_the_dll_only) {
    char folder[HELPER_PATH_BYTES];
    temporary_folder(folder);
    scene_set(DEPENDENCY);
    int status_alone = helper_run(use_alone, folder, 1);
    int status_beside = helper_run(use_beside, NULL, 1);
    bool loaded = decoy_was_loaded();
    scene_clear();
    rmdir(folder);
    assert_nothing_wrong();
    ck_assert_int_eq(status_alone, 0);
    ck_assert_int_eq(status_beside, 0);
    ck_assert(!loaded);
}

static int use_system(void *arg) {
    pintle_dll *dll = NULL;
    pintle_proc *proc = NULL;
    (void)arg;
    EXPECT(pintle_dll_open_system(&dll, SYSTEM_NAME) == 0);
    if (dll == NULL) return 1;
    EXPECT(pintle_dll_find(dll, "dependency_answer", &proc) == PINTLE_ENOTFOUND);
    EXPECT(strcmp(pintle_dll_path(dll), SYSTEM_NAME) == 0);
    EXPECT(pintle_dll_close(dll, PINTLE_FOREVER) == 0);
    EXPECT(pintle_dll_open_system(&dll, "no-such-thing" DLL_SUFFIX) == PINTLE_ENOTFOUND);
    return 0;
}
CASE(system_dll_is_not_taken_from_decoys) {
    scene_set(SYSTEM_NAME);
    int status = helper_run(use_system, NULL, 1);
    bool loaded = decoy_was_loaded();
    scene_clear();
    assert_nothing_wrong();
    ck_assert_int_eq(status, 0);
    ck_assert(!loaded);
}

/* ---- Files that are no DLLs for us ---- */

/* The beginning of a PE file for that machine, or of an ELF file of that class: all that is looked at before refusing. */
static size_t fake_header(unsigned char out[512], unsigned pe_machine, unsigned char elf_class) {
    memset(out, 0, 512);
#if defined(_WIN32)
    (void)elf_class;
    memcpy(out, "MZ", 2);
    out[0x3c] = 0x80;
    memcpy(out + 0x80, "PE\0\0", 4);
    out[0x84] = (unsigned char)pe_machine;
    out[0x85] = (unsigned char)(pe_machine >> 8);
    out[0x94] = pe_machine == 0x14c ? 0xe0 : 0xf0; /* SizeOfOptionalHeader */
    out[0x97] = 0x20;                              /* IMAGE_FILE_DLL */
    out[0x98] = 0x0b;
    out[0x99] = pe_machine == 0x14c ? 0x01 : 0x02;
#else
    (void)pe_machine;
    memcpy(out, "\177ELF", 4);
    out[4] = elf_class;
    out[5] = out[6] = 1;
    out[16] = 3; /* ET_DYN */
    out[18] = elf_class == 1 ? 3 : 62;
    out[20] = 1;
#endif
    return 512;
}

typedef struct wrong_file {
    const char *name, *words;
    unsigned char bytes[512];
    size_t count;
} wrong_file;

static int open_wrong_files(void *folder) {
    char untouched;
    static wrong_file files[5] = {{.name = "of-32-bits" DLL_SUFFIX, .words = "32-bit"},
                                  {.name = "cut-off" DLL_SUFFIX, .words = "cut off"},
                                  {.name = "text" DLL_SUFFIX, .words = "text" DLL_SUFFIX},
                                  {.name = "empty" DLL_SUFFIX, .words = "empty" DLL_SUFFIX},
                                  {.name = "headless" DLL_SUFFIX, .words = "headless" DLL_SUFFIX}};
    files[0].count = fake_header(files[0].bytes, 0x14c, 1);
    files[1].count = fake_header(files[1].bytes, 0x8664, 2) / 16;
    files[2].count = (size_t)snprintf((char *)files[2].bytes, 512, "a library? no.\n");
    files[4].count = fake_header(files[4].bytes, 0x8664, 2); /* the header is good, all the rest is missing */
    for (size_t i = 0; i < ELEMENTS(files); i++) {
        for (unsigned flags = 0; flags <= PINTLE_DLL_PRIVATE_COPY; flags++) {
            pintle_dll *dll = (void *)&untouched;
            char name[64];
            snprintf(name, sizeof name, "%u-%s", flags, files[i].name); /* Wine keeps a refused file open */
            const char *path = path_in(folder, name);
            EXPECT(write_file(path, files[i].bytes, files[i].count));
            int code = pintle_dll_open(&dll, path, flags);
            if (code == 0 || !error_has(files[i].words)) {
                pintle_error error;
                pintle_error_get(&error);
                printf("%s: %d %s\n", path, code, error.text);
            }
            EXPECT(i == 4 ? code != 0 : code == PINTLE_EINVAL);
            EXPECT(error_has(files[i].words) && error_has(path));
            EXPECT(dll == (void *)&untouched);
            unlink(path);
        }
    }
    return 0;
}
CASE(files_of_32_bits_or_damaged_are_named_so) {
    char folder[HELPER_PATH_BYTES];
    temporary_folder(folder);
    int status = helper_run(open_wrong_files, folder, 1);
    rmdir(folder);
    assert_nothing_wrong();
    ck_assert_int_eq(status, 0);
}
