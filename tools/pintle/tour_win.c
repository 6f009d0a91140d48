/* tour_win.c: tour.h on Windows: each call goes through the pinned wrappers, by words. */
#include "tour.h"

#include <windows.h>

#include "platform.h"

static char zlib_name[PATH_BYTES];
static struct { void *version, *bound, *compress, *uncompress; } zlib;
static struct { void *sleep, *wait, *read_file, *get_attributes; } kernel;
static HANDLE *events;
static unsigned event_count;
static HANDLE pipe_out, pipe_in;

const char *const tour_block_names[TOUR_BLOCKS] = {"Sleep", "WaitForSingleObject", "ReadFile of a pipe"};
const char tour_failing_call[] = "GetFileAttributesA(\"nowhere\")";

static uintptr_t word(const void *pointer) { return pintle_word_ptr(pointer); }

/* ---- zlib ---- */

struct export {
    const char *name;
    void **out;
};

static int find_all(void *module, const struct export *exports, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (pintle_get_proc_address(module, exports[i].name, exports[i].out) != 0) return fail_with_error();
    }
    return STATUS_OK;
}

int tour_zlib_open(const char *name) {
    const struct export exports[] = {{"zlibVersion", &zlib.version},
                                     {"compressBound", &zlib.bound},
                                     {"compress2", &zlib.compress},
                                     {"uncompress", &zlib.uncompress}};
    const struct export kernel_exports[] = {{"Sleep", &kernel.sleep},
                                            {"WaitForSingleObject", &kernel.wait},
                                            {"ReadFile", &kernel.read_file},
                                            {"GetFileAttributesA", &kernel.get_attributes}};
    void *module, *kernel32;
    if (name != NULL && platform_is_path(name)) {
        if (!platform_absolute_path(name, zlib_name, sizeof zlib_name)) return fail("the path '%s' is too long", name);
    } else if (name != NULL) {
        snprintf(zlib_name, sizeof zlib_name, "%s", name);
    } else if (!platform_beside_program("zlib1.dll", zlib_name, sizeof zlib_name) || !platform_file_exists(zlib_name)) {
        strcpy(zlib_name, "zlib1.dll"); /* the system's may be anybody's, so only if there is none beside us */
    }
    if (pintle_load_library(zlib_name, &module) != 0) return fail_with_error();
    if (pintle_load_system_library("kernel32.dll", &kernel32) != 0) return fail_with_error();
    int status = find_all(module, exports, sizeof exports / sizeof exports[0]);
    return status != STATUS_OK ? status
                               : find_all(kernel32, kernel_exports, sizeof kernel_exports / sizeof kernel_exports[0]);
}

const char *tour_zlib_name(void) { return zlib_name; }

pintle_result tour_zlib_version(void) { return pintle_syscall(zlib.version, 0, 0, 0, 0); }

pintle_result tour_compress_bound(size_t bytes) { return pintle_syscall(zlib.bound, 1, bytes, 0, 0); }

pintle_result tour_compress(void *out, size_t *inout_out_bytes, const void *data, size_t data_bytes) {
    ULONG out_bytes = (ULONG)*inout_out_bytes;
    pintle_result result = pintle_syscall6(zlib.compress, 5, word(out), word(&out_bytes), word(data), data_bytes, 6, 0);
    *inout_out_bytes = out_bytes;
    return result;
}

pintle_result tour_uncompress(void *out, size_t *inout_out_bytes, const void *data, size_t data_bytes) {
    ULONG out_bytes = (ULONG)*inout_out_bytes;
    pintle_result result = pintle_syscall6(zlib.uncompress, 4, word(out), word(&out_bytes), word(data), data_bytes, 0,
                                           0);
    *inout_out_bytes = out_bytes;
    return result;
}

pintle_result tour_fail(void) { return pintle_syscall(kernel.get_attributes, 1, word("nowhere"), 0, 0); }

/* ---- Blocking ---- */

int tour_blocks_open(unsigned waits) {
    events = calloc(waits, sizeof *events);
    if (events == NULL) return fail("no memory for %u events", waits);
    for (; event_count < waits; event_count++) {
        events[event_count] = CreateEventW(NULL, FALSE, FALSE, NULL);
        if (events[event_count] == NULL) return fail("event %u cannot be made: error %lu", event_count, GetLastError());
    }
    if (!CreatePipe(&pipe_out, &pipe_in, NULL, 0)) return fail("a pipe cannot be made: error %lu", GetLastError());
    return STATUS_OK;
}

void tour_blocks_close(void) {
    while (event_count > 0) CloseHandle(events[--event_count]);
    free(events);
    if (pipe_out != NULL) CloseHandle(pipe_out);
    if (pipe_in != NULL) CloseHandle(pipe_in);
}

pintle_result tour_sleep(unsigned duration_ms) { return pintle_syscall(kernel.sleep, 1, duration_ms, 0, 0); }

pintle_result tour_wait(unsigned number, int *out_value) {
    pintle_result result = pintle_syscall(kernel.wait, 2, word(events[number]), INFINITE, 0);
    *out_value = (uint32_t)result.r1 == WAIT_OBJECT_0 ? 0 : -1;
    return result;
}

pintle_result tour_read(int *out_value) {
    unsigned char byte = 0;
    DWORD count = 0;
    pintle_result result = pintle_syscall6(kernel.read_file, 5, word(pipe_out), word(&byte), 1, word(&count), 0, 0);
    *out_value = pintle_result_bool(result) && count == 1 ? byte : -1;
    return result;
}

bool tour_wake_wait(unsigned number) { return SetEvent(events[number]) != 0; }

bool tour_wake_read(unsigned char byte) {
    DWORD count;
    return WriteFile(pipe_in, &byte, 1, &count, NULL) && count == 1;
}
