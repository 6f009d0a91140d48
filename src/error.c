/* error.c: codes, sentences, and each task's last failure. A task's is allocated at its first failure and freed with
 * it. Threads that are no tasks, and tasks without memory, share a table of PLACES, from which the one that was not used
 * for longest makes room. It is no thread-local variable: those of a library that a host unloads stay behind (MinGW never
 * gives their slot back), or take from the little room that glibc keeps for libraries loaded late.
 * Threads: any. Locks: places_lock (leaf). Tests: tests/api/test_error.c. */
#include "error.h"

#include "lock.h"
#include "memory.h"
#include "os.h"
#include "scheduler.h"

enum { PLACES = 64 };
#define OWNER_IS_TASK ((uint64_t)1 << 63) /* an owner is a task's id with this bit, or an OS thread's number */

static struct lock places_lock = LOCK_INIT(RANK_LEAF);
static uint64_t places_clock;
static struct place {
    uint64_t owner, used; /* used: by places_clock; 0: never */
    pintle_error error;
} places[PLACES];

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

static struct pintle_task *own_task(void) {
    struct thread *thread = thread_self();
    return thread != NULL ? thread->task : NULL;
}

static uint64_t owner_id(const struct pintle_task *task) {
    return task != NULL ? task->id | OWNER_IS_TASK : os_thread_id();
}

/* The owner's place, or (make) the one that was not used for longest. */
static struct place *place_locked(uint64_t owner, bool make) {
    struct place *oldest = &places[0];
    for (size_t i = 0; i < PLACES; i++) {
        if (places[i].used != 0 && places[i].owner == owner) return &places[i];
        if (places[i].used < oldest->used) oldest = &places[i];
    }
    return make ? oldest : NULL;
}

static void place_store(const pintle_error *error, uint64_t owner) {
    struct place *place;
    lock_acquire(&places_lock);
    place = place_locked(owner, true);
    place->owner = owner;
    place->used = ++places_clock;
    place->error = *error;
    lock_release(&places_lock);
}

void error_forget_tasks(void) {
    lock_acquire(&places_lock);
    for (size_t i = 0; i < PLACES; i++) {
        if (places[i].owner & OWNER_IS_TASK) memset(&places[i], 0, sizeof places[i]);
    }
    lock_release(&places_lock);
}

static void store(int code, int64_t os_code, const char *format, va_list arguments) {
    struct pintle_task *task = own_task();
    pintle_error error; /* not in place: an argument may be the old text */
    error.code = code;
    error.os_code = os_code;
    vsnprintf(error.text, sizeof error.text, format, arguments);
    if (task != NULL && task->error == NULL && (task->error = memory_alloc(sizeof *task->error)) != NULL)
        atomic_fetch_or_explicit(&task->flags, TASK_FAILED, memory_order_relaxed);
    if (task != NULL && task->error != NULL) {
        *task->error = error;
    } else {
        place_store(&error, owner_id(task));
    }
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
    struct pintle_task *task = own_task();
    struct place *place;
    memset(out, 0, sizeof *out);
    if (task != NULL && task->error != NULL) {
        *out = *task->error;
        return;
    }
    lock_acquire(&places_lock);
    place = place_locked(owner_id(task), false);
    if (place != NULL) *out = place->error;
    lock_release(&places_lock);
}
