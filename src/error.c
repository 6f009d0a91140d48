/* error.c: codes, sentences, and each task's last failure. A task's is allocated at its first failure and freed with
 * it; without memory, or on a thread that is no task, the thread's own place is used.
 * Threads: any. Locks: none. Tests: tests/api/test_error.c. */
#include "error.h"

#include "os.h"
#include "scheduler.h"

static _Thread_local pintle_error thread_error;

static const struct {
    int code;
    const char *name, *sentence;
} codes[] = {
    {0, "PINTLE_OK", "success"},
    {PINTLE_EINVAL, "PINTLE_EINVAL", "an argument is not acceptable"},
    {PINTLE_ENOMEM, "PINTLE_ENOMEM", "there is no memory left"},
    {PINTLE_ELIMIT, "PINTLE_ELIMIT", "a limit is reached"},
    {PINTLE_ENOTFOUND, "PINTLE_ENOTFOUND", "it was not found"},
    {PINTLE_ENOTSUP, "PINTLE_ENOTSUP", "it is not supported here"},
    {PINTLE_EBUSY, "PINTLE_EBUSY", "it is in use"},
    {PINTLE_ECLOSED, "PINTLE_ECLOSED", "it is closed"},
    {PINTLE_ESTOPPED, "PINTLE_ESTOPPED", "the runtime is not running"},
    {PINTLE_ETIMEDOUT, "PINTLE_ETIMEDOUT", "the deadline passed"},
    {PINTLE_ECANCELED, "PINTLE_ECANCELED", "the task was cancelled"},
    {PINTLE_EAGAIN, "PINTLE_EAGAIN", "it would have to wait"},
    {PINTLE_EPANIC, "PINTLE_EPANIC", "the task ended by a panic"},
    {PINTLE_EFAULT, "PINTLE_EFAULT", "foreign code raised an exception"},
    {PINTLE_EACCES, "PINTLE_EACCES", "the system refuses access"},
    {PINTLE_EOS, "PINTLE_EOS", "the system reports an error"},
    {PINTLE_EDEADLK, "PINTLE_EDEADLK", "waiting would never end"},
    {PINTLE_ECORRUPT, "PINTLE_ECORRUPT", "the runtime's own state is damaged"},
};

const char *pintle_strerror(int code) {
    for (size_t i = 0; i < COUNT_OF(codes); i++) {
        if (codes[i].code == code) return codes[i].sentence;
    }
    return "unknown Pintle error code";
}

const char *pintle_error_name(int code) {
    for (size_t i = 0; i < COUNT_OF(codes); i++) {
        if (codes[i].code == code) return codes[i].name;
    }
    return "PINTLE_E?";
}

uint32_t pintle_version(void) { return PINTLE_VERSION; }

static pintle_error *error_place(bool create) {
    struct thread *thread = thread_self();
    struct pintle_task *task = thread != NULL ? thread->task : NULL;
    if (task == NULL) return &thread_error;
    if (task->error == NULL && create) task->error = calloc(1, sizeof *task->error);
    return task->error != NULL ? task->error : &thread_error;
}

static void store(int code, int64_t os_code, const char *format, va_list arguments) {
    pintle_error *place = error_place(true);
    char text[sizeof place->text]; /* an argument may be the old text */
    vsnprintf(text, sizeof text, format, arguments);
    memcpy(place->text, text, sizeof text);
    place->code = code;
    place->os_code = os_code;
}

int error_set(int code, int64_t os_code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    store(code, os_code, format, arguments);
    va_end(arguments);
    return code;
}

int pintle_error_set(int code, int64_t os_code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    store(code, os_code, format, arguments);
    va_end(arguments);
    return code;
}

void pintle_error_get(pintle_error *out) {
    struct thread *thread = thread_self();
    struct pintle_task *task = thread != NULL ? thread->task : NULL;
    if (task != NULL && task->error == NULL) {
        memset(out, 0, sizeof *out);
        return;
    }
    *out = *error_place(false);
}
