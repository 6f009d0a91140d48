/* tour_posix.c: tour.h on POSIX: zlib by words through pintle/dll.h, the calls that block through pintle_call. */
#include "tour.h"

#include <errno.h>
#include <semaphore.h>
#include <time.h>
#include <unistd.h>

#include "platform.h"

static pintle_dll *zlib_dll;
static struct { pintle_proc *version, *bound, *compress, *uncompress; } zlib;
static sem_t *events;
static unsigned event_count;
static int pipe_ends[2] = {-1, -1};

const char *const tour_block_names[TOUR_BLOCKS] = {"nanosleep", "sem_wait", "read of a pipe"};
const char tour_failing_call[] = "access(\"nowhere\", F_OK)";

/* ---- zlib ---- */

int tour_zlib_open(const char *name) {
    char path[PATH_BYTES];
    if (name == NULL) name = "libz.so.1";
    if (!platform_is_path(name)) {
        if (pintle_dll_open_system(&zlib_dll, name) != 0) return fail_with_error();
    } else {
        if (!platform_absolute_path(name, path, sizeof path)) return fail("the path '%s' is too long", name);
        if (pintle_dll_open(&zlib_dll, path, 0) != 0) return fail_with_error();
    }
    if (pintle_dll_find(zlib_dll, "zlibVersion", &zlib.version) != 0 ||
        pintle_dll_find(zlib_dll, "compressBound", &zlib.bound) != 0 ||
        pintle_dll_find(zlib_dll, "compress2", &zlib.compress) != 0 ||
        pintle_dll_find(zlib_dll, "uncompress", &zlib.uncompress) != 0) {
        return fail_with_error();
    }
    return STATUS_OK;
}

const char *tour_zlib_name(void) { return pintle_dll_path(zlib_dll); }

pintle_result tour_zlib_version(void) { return pintle_proc_call(zlib.version, 0, NULL); }

pintle_result tour_compress_bound(size_t bytes) { return pintle_proc_call(zlib.bound, 1, (const uintptr_t[]){bytes}); }

pintle_result tour_compress(void *out, size_t *inout_out_bytes, const void *data, size_t data_bytes) {
    unsigned long out_bytes = *inout_out_bytes;
    const uintptr_t args[] = {(uintptr_t)out, (uintptr_t)&out_bytes, (uintptr_t)data, data_bytes, 6};
    pintle_result result = pintle_proc_call(zlib.compress, 5, args);
    *inout_out_bytes = out_bytes;
    return result;
}

pintle_result tour_uncompress(void *out, size_t *inout_out_bytes, const void *data, size_t data_bytes) {
    unsigned long out_bytes = *inout_out_bytes;
    const uintptr_t args[] = {(uintptr_t)out, (uintptr_t)&out_bytes, (uintptr_t)data, data_bytes};
    pintle_result result = pintle_proc_call(zlib.uncompress, 4, args);
    *inout_out_bytes = out_bytes;
    return result;
}

/* ---- Calls through pintle_call: the value in r1, errno in err ---- */

struct native_call {
    long (*fn)(struct native_call *call);
    union {
        unsigned duration_ms;
        sem_t *event;
        unsigned char byte;
    };
    pintle_result result;
};

static int native_call_run(void *arg) {
    struct native_call *call = arg;
    errno = 0;
    call->result.r1 = (uintptr_t)call->fn(call);
    call->result.err = (uint32_t)errno;
    return 0;
}

static pintle_result native_call_make(struct native_call *call) {
    pintle_call(native_call_run, call);
    return call->result;
}

static long call_access(struct native_call *call) {
    (void)call;
    return access("nowhere", F_OK);
}

pintle_result tour_fail(void) {
    struct native_call call = {.fn = call_access};
    return native_call_make(&call);
}

/* ---- Blocking ---- */

static long call_sleep(struct native_call *call) {
    struct timespec left = {.tv_sec = call->duration_ms / 1000, .tv_nsec = (long)(call->duration_ms % 1000) * 1000000};
    int error;
    do error = nanosleep(&left, &left);
    while (error != 0 && errno == EINTR);
    return error;
}

static long call_wait(struct native_call *call) {
    int error;
    do error = sem_wait(call->event);
    while (error != 0 && errno == EINTR);
    return error;
}

static long call_read(struct native_call *call) {
    ssize_t count;
    do count = read(pipe_ends[0], &call->byte, 1);
    while (count < 0 && errno == EINTR);
    return (long)count;
}

int tour_blocks_open(unsigned waits) {
    events = calloc(waits, sizeof *events);
    if (events == NULL) return fail("no memory for %u semaphores", waits);
    for (; event_count < waits; event_count++) sem_init(&events[event_count], 0, 0);
    return pipe(pipe_ends) == 0 ? STATUS_OK : fail("a pipe cannot be made: %s", strerror(errno));
}

void tour_blocks_close(void) {
    while (event_count > 0) sem_destroy(&events[--event_count]);
    free(events);
    if (pipe_ends[0] >= 0) close(pipe_ends[0]);
    if (pipe_ends[1] >= 0) close(pipe_ends[1]);
}

pintle_result tour_sleep(unsigned duration_ms) {
    struct native_call call = {.fn = call_sleep, .duration_ms = duration_ms};
    return native_call_make(&call);
}

pintle_result tour_wait(unsigned number, int *out_value) {
    struct native_call call = {.fn = call_wait, .event = &events[number]};
    native_call_make(&call);
    *out_value = (int)call.result.r1;
    return call.result;
}

pintle_result tour_read(int *out_value) {
    struct native_call call = {.fn = call_read};
    native_call_make(&call);
    *out_value = call.result.r1 == 1 ? call.byte : -1;
    return call.result;
}

bool tour_wake_wait(unsigned number) { return sem_post(&events[number]) == 0; }

bool tour_wake_read(unsigned char byte) { return write(pipe_ends[1], &byte, 1) == 1; }
