/* dll.c: DLLs and shared objects: opened, searched, called and closed safely (pintle/dll.h).
 *
 * Closing waits for the calls in flight by protocol DRAIN (drain.h): every use of the DLL's code, calls and look-ups, is
 * inside a drain slot. A close is one owner's: `changing` is taken from its start to the unload or to EBUSY, and another
 * close or reopen meanwhile gets EBUSY instead of waiting for a handle that may be gone.
 * What may block or runs foreign code (loading, searching, unloading) runs in pintle_call, so it stalls nobody.
 * A failure leaves everything as it was, *out too.
 *
 * Threads: any. Locks: dll->lock for the buckets, never held over foreign code.
 * Order: proc->code of a PINTLE_PROC: CAS release by whoever binds first, acquire at each call.
 * Invariants: a pintle_proc in a bucket never changes and never moves; it is found by its name and its flags.
 * Tests: tests/api/test_dll.c. */
#include "dll.h"

#include "call.h"
#include "clock.h"
#include "error.h"
#include "fault.h"
#include "memory.h"
#include "panic.h"
#include "pintle/call.h"
#include "scheduler.h"

enum {
    WORDS_MOST = 255,
    ORDINAL_MOST = 65535,
    PROC_ORDINAL = 0x80000000u, /* flag of a proc found by ordinal: its name "#12" is no export's */
    PROC_FLAGS = 0x01ffffff,    /* what users may give */
    OPEN_FLAGS = PINTLE_DLL_PRIVATE_COPY | PINTLE_DLL_FAULTS_PANIC,
    FAULT_TEXT_BYTES = 320,
    SENTENCE_BYTES = 512
};

/* ---- Opening ---- */

struct open_request {
    const char *path;
    bool system, private_copy, faults_panic;
    void *native, *copy;
    int64_t os_code;
    int code;
    char text[384];
};

static int open_in_call(void *arg) {
    struct open_request *r = arg;
    if (r->private_copy)
        r->os_code = os_dll_open_copy(r->path, &r->native, &r->copy, &r->code, r->text, sizeof r->text);
    else
        r->os_code = os_dll_open(r->path, r->system, &r->native, &r->code, r->text, sizeof r->text);
    return 0;
}

static int close_in_call(void *arg) {
    const struct pintle_dll *dll = arg;
    os_dll_close(dll->native);
    if (dll->copy != NULL) os_dll_copy_remove(dll->copy);
    return 0;
}

/* Loads what the request says. */
static int native_open(struct open_request *request) {
    request->code = PINTLE_EOS;
    spares_top_up();
    pintle_call(open_in_call, request);
    return request->native != NULL ? 0 : error_set(request->code, request->os_code, "%s", request->text);
}

/* The record for a path, without the library. */
static struct pintle_dll *dll_new(const char *path) {
    struct pintle_dll *dll = memory_alloc_zero(sizeof *dll);
    size_t path_bytes = strlen(path) + 1;
    if (dll == NULL) return NULL;
    lock_init(&dll->lock, RANK_DLL);
    dll->path = memory_alloc(path_bytes);
    if (dll->path == NULL || drain_init(&dll->drain) != 0) {
        memory_free(dll->path);
        memory_free(dll);
        return NULL;
    }
    memcpy(dll->path, path, path_bytes);
    return dll;
}

static void dll_free(struct pintle_dll *dll) {
    for (size_t i = 0; i < COUNT_OF(dll->buckets); i++) {
        while (dll->buckets[i] != NULL) {
            pintle_proc *proc = dll->buckets[i];
            dll->buckets[i] = proc->next;
            memory_free(proc);
        }
    }
    drain_destroy(&dll->drain);
    memory_free(dll->path);
    memory_free(dll);
}

static int dll_open(pintle_dll **out, struct open_request *request, const char *function) {
    const char *path = request->path;
    if (out == NULL) return error_set(PINTLE_EINVAL, 0, "%s: out is NULL", function);
    if (path == NULL || path[0] == '\0') return error_set(PINTLE_EINVAL, 0, "%s: no name is given", function);
    struct pintle_dll *dll = dll_new(path);
    if (dll == NULL) return error_set(PINTLE_ENOMEM, 0, "%s: no memory for DLL '%s'", function, path);
    int os_code = request->faults_panic ? faults_begin() : 0;
    int code = os_code != 0
                   ? error_set(PINTLE_ENOMEM, os_code, "%s: no memory to catch what DLL '%s' raises", function, path)
                   : native_open(request);
    if (code != 0) {
        if (os_code == 0 && request->faults_panic) faults_end();
        dll_free(dll);
        return code;
    }
    dll->faults_panic = request->faults_panic;
    dll->native = request->native;
    dll->copy = request->copy;
    *out = dll;
    return 0;
}

int pintle_dll_open(pintle_dll **out, const char *path, unsigned flags) {
    struct open_request request = {.path = path,
                                   .private_copy = (flags & PINTLE_DLL_PRIVATE_COPY) != 0,
                                   .faults_panic = (flags & PINTLE_DLL_FAULTS_PANIC) != 0};
    if ((flags & ~(unsigned)OPEN_FLAGS) != 0) {
        return error_set(PINTLE_ENOTSUP, 0, "pintle_dll_open: this version has no flag 0x%x (DLL '%s')", flags,
                         path == NULL ? "" : path);
    }
    if (path != NULL && path[0] != '\0' && !os_path_absolute(path)) {
        return error_set(PINTLE_EINVAL, 0,
                         "pintle_dll_open: '%s' is not an absolute path; a DLL of the system is opened by name with "
                         "pintle_dll_open_system",
                         path);
    }
    return dll_open(out, &request, "pintle_dll_open");
}

int pintle_dll_open_system(pintle_dll **out, const char *name) {
    struct open_request request = {.path = name, .system = true};
    return dll_open(out, &request, "pintle_dll_open_system");
}

void *pintle_dll_native(pintle_dll *dll) { return dll == NULL ? NULL : dll->native; }

const char *pintle_dll_path(pintle_dll *dll) { return dll == NULL ? NULL : dll->path; }

/* ---- Finding ---- */

struct symbol_request {
    void *native;
    const char *name;
    unsigned ordinal;
    void *address;
    int64_t os_code;
};

static int symbol_in_call(void *arg) {
    struct symbol_request *request = arg;
    request->os_code = os_dll_symbol(request->native, request->name, request->ordinal, &request->address);
    return 0;
}

/* By name, or by ordinal if that is not 0. dll_name is for the report. */
static int native_symbol(void *native, const char *dll_name, const char *name, unsigned ordinal, void **out_address) {
    struct symbol_request request = {.native = native, .name = ordinal != 0 ? NULL : name, .ordinal = ordinal};
    pintle_call(symbol_in_call, &request);
    /* The system's message says no more ("procedure not found"), or something else ("no such file"). */
    if (request.address == NULL && ordinal != 0) {
        return error_set(PINTLE_ENOTFOUND, request.os_code, "DLL '%s' has no export with ordinal %u", dll_name,
                         ordinal);
    }
    if (request.address == NULL) {
        return error_set(PINTLE_ENOTFOUND, request.os_code, "DLL '%s' has no export '%s' (names are case-sensitive)",
                         dll_name, name);
    }
    *out_address = request.address;
    return 0;
}

static int closing_error(const struct pintle_dll *dll, const char *name) {
    return error_set(PINTLE_ECLOSED, 0, "DLL '%s' is closing: '%s' cannot be used", dll->path, name);
}

/* The export's address, looked up inside a drain slot. */
static int dll_symbol(struct pintle_dll *dll, const char *name, unsigned ordinal, void **out_address) {
    struct drain_slot *slot = drain_enter(&dll->drain, "a look-up");
    if (slot == NULL) return closing_error(dll, name);
    int code = native_symbol(dll->native, dll->path, name, ordinal, out_address);
    drain_leave(&dll->drain, slot);
    return code;
}

/* FNV-1a. */
static size_t bucket_of(const char *name) {
    uint32_t hash = 2166136261u;
    for (; *name != '\0'; name++) hash = (hash ^ (unsigned char)*name) * 16777619u;
    return hash % DLL_BUCKETS;
}

static pintle_proc *bucket_find_locked(const pintle_proc *first, const char *name, uint32_t flags) {
    for (const pintle_proc *proc = first; proc != NULL; proc = proc->next) {
        if (proc->flags == flags && strcmp(proc->proc_name, name) == 0) return (pintle_proc *)proc;
    }
    return NULL;
}

static pintle_proc *dll_lookup(struct pintle_dll *dll, const char *name, uint32_t flags) {
    lock_acquire(&dll->lock);
    pintle_proc *proc = bucket_find_locked(dll->buckets[bucket_of(name)], name, flags);
    lock_release(&dll->lock);
    return proc;
}

/* Adds a proc, or finds that somebody was faster; NULL: no memory. */
static pintle_proc *dll_add(struct pintle_dll *dll, const char *name, uint32_t flags, void *code) {
    size_t name_bytes = strlen(name) + 1, bucket = bucket_of(name);
    pintle_proc *proc = memory_alloc(sizeof *proc + name_bytes);
    if (proc == NULL) return NULL;
    char *copy = (char *)(proc + 1);
    memcpy(copy, name, name_bytes);
    *proc = (pintle_proc){.dll_name = dll->path, .proc_name = copy, .dll = dll, .code = code, .flags = flags};

    lock_acquire(&dll->lock);
    pintle_proc *faster = bucket_find_locked(dll->buckets[bucket], name, flags);
    if (faster == NULL) {
        proc->next = dll->buckets[bucket];
        dll->buckets[bucket] = proc;
    }
    lock_release(&dll->lock);
    if (faster == NULL) return proc;
    memory_free(proc);
    return faster;
}

static int dll_find(pintle_dll *dll, const char *name, unsigned ordinal, uint32_t flags, pintle_proc **out) {
    pintle_proc *proc = dll_lookup(dll, name, flags);
    if (proc == NULL) {
        void *code_address;
        int code = dll_symbol(dll, name, ordinal, &code_address);
        if (code != 0) return code;
        proc = dll_add(dll, name, flags, code_address);
        if (proc == NULL) return error_set(PINTLE_ENOMEM, 0, "no memory for '%s' of DLL '%s'", name, dll->path);
    } else if (atomic_load_relaxed(&dll->drain.closing) != 0) {
        return closing_error(dll, name);
    }
    *out = proc;
    return 0;
}

static int check_arguments(const pintle_dll *dll, const char *name, const void *out, const char *function) {
    if (dll == NULL) return error_set(PINTLE_EINVAL, 0, "%s: dll is NULL", function);
    if (name == NULL || name[0] == '\0') {
        return error_set(PINTLE_EINVAL, 0, "%s: no name is given (DLL '%s')", function, dll->path);
    }
    if (out == NULL)
        return error_set(PINTLE_EINVAL, 0, "%s: out is NULL ('%s' of DLL '%s')", function, name, dll->path);
    return 0;
}

int pintle_dll_find_with(pintle_dll *dll, const char *name, unsigned flags, pintle_proc **out) {
    int code = check_arguments(dll, name, out, "pintle_dll_find");
    if (code != 0) return code;
    if ((flags & ~(unsigned)PROC_FLAGS) != 0) {
        return error_set(
            PINTLE_EINVAL, 0,
            "pintle_dll_find_with: flags 0x%x for '%s': only PINTLE_FLOATS and PINTLE_FLOAT_RESULT are known", flags,
            name);
    }
    return dll_find(dll, name, 0, flags, out);
}

int pintle_dll_find(pintle_dll *dll, const char *name, pintle_proc **out) {
    return pintle_dll_find_with(dll, name, 0, out);
}

int pintle_dll_find_ordinal(pintle_dll *dll, unsigned ordinal, pintle_proc **out) {
    char name[16];
    snprintf(name, sizeof name, "#%u", ordinal);
    int code = check_arguments(dll, name, out, "pintle_dll_find_ordinal");
    if (code != 0) return code;
    if (!os_dll_has_ordinals()) {
        return error_set(PINTLE_ENOTSUP, 0, "'%s' of '%s': exports have no ordinals here; use the name", name,
                         dll->path);
    }
    if (ordinal == 0 || ordinal > ORDINAL_MOST) {
        return error_set(PINTLE_EINVAL, 0, "ordinal %u of DLL '%s': ordinals go from 1 to %d", ordinal, dll->path,
                         ORDINAL_MOST);
    }
    return dll_find(dll, name, ordinal, PROC_ORDINAL, out);
}

int pintle_dll_find_data(pintle_dll *dll, const char *name, void **out_data) {
    int code = check_arguments(dll, name, out_data, "pintle_dll_find_data");
    return code != 0 ? code : dll_symbol(dll, name, 0, out_data);
}

/* ---- Static procs ---- */

static _Atomic(void *) *code_of(pintle_proc *proc) { return (_Atomic(void *) *)&proc->code; }

/* Whoever comes first binds; the others find the same address. The DLL is never closed, so a second load of it by a
 * racing binder only raises a count. */
static COLD int proc_bind(pintle_proc *proc) {
    struct open_request request = {.path = proc->dll_name, .system = true};
    void *address, *unbound = NULL;
    if (proc->dll_name == NULL || proc->proc_name == NULL) {
        return error_set(PINTLE_EINVAL, 0, "a pintle_proc without names: make it with PINTLE_PROC or pintle_dll_find");
    }
    int code = native_open(&request);
    if (code == 0) code = native_symbol(request.native, proc->dll_name, proc->proc_name, 0, &address);
    if (code == 0) atomic_cas_acq_rel(code_of(proc), &unbound, address);
    return code;
}

int pintle_proc_bind(pintle_proc *proc) {
    if (proc == NULL) return error_set(PINTLE_EINVAL, 0, "pintle_proc_bind: proc is NULL");
    return atomic_load_acquire(code_of(proc)) != NULL ? 0 : proc_bind(proc);
}

pintle_code pintle_proc_code(pintle_proc *proc) {
    return proc == NULL ? NULL : (pintle_code)(uintptr_t)atomic_load_acquire(code_of(proc));
}

/* ---- Calling ---- */

static COLD int proc_refuse(const pintle_proc *proc, unsigned nargs) {
    if (proc == NULL) return error_set(PINTLE_EINVAL, 0, "the proc is NULL");
    const char *name = proc->proc_name == NULL ? "?" : proc->proc_name;
    if (nargs > WORDS_MOST) {
        return error_set(PINTLE_EINVAL, 0, "'%s' with %u words: a call carries %d at most", name, nargs, WORDS_MOST);
    }
    return error_set(PINTLE_EINVAL, 0, "'%s' with %u words: args is NULL", name, nargs);
}

/* True: the call has ended by a fault, which is in the catch. Calls through Pintle that the DLL had made itself are over. */
static COLD bool call_catching(const pintle_proc *proc, unsigned nargs, const uintptr_t *args, pintle_result *out,
                               struct fault_catch *catch) {
    struct pintle_task *task = pintle_self();
    const struct inside *inside = task != NULL ? task->inside : NULL;
    if (!call_words_caught(proc->code, nargs, args, proc->flags, out, catch)) return false;
    while (task != NULL && task->inside != inside) {
        drain_leave(task->inside->drain, task->inside->slot);
        task->inside = task->inside->outer;
    }
    return true;
}

/* 0 or an error, which is set; EFAULT: it is not, and the fault is in the catch. */
static inline int proc_call(pintle_proc *proc, unsigned nargs, const uintptr_t *args, pintle_result *out,
                            struct fault_catch *catch) {
    if (UNLIKELY(proc == NULL || nargs > WORDS_MOST || (args == NULL && nargs != 0))) return proc_refuse(proc, nargs);
    struct pintle_dll *dll = proc->dll;
    if (dll == NULL) {
        int code = pintle_proc_bind(proc);
        if (UNLIKELY(code != 0)) return code;
        call_words(atomic_load_relaxed(code_of(proc)), nargs, args, proc->flags, out);
        return 0;
    }
    struct drain_slot *slot = drain_enter(&dll->drain, proc->proc_name);
    if (UNLIKELY(slot == NULL)) return closing_error(dll, proc->proc_name);
    /* A panic that comes from a callback and goes further leaves the DLL too (scope.c). */
    struct thread *thread = thread_self();
    struct pintle_task *task = thread != NULL ? thread->task : NULL;
    struct inside inside = {NULL, &dll->drain, slot, NULL};
    bool has_faulted = false;
    if (LIKELY(task != NULL)) {
        inside.outer = task->inside;
        task->inside = &inside;
    }
    if (UNLIKELY(dll->faults_panic)) {
        has_faulted = call_catching(proc, nargs, args, out, catch);
    } else {
        call_words(proc->code, nargs, args, proc->flags, out);
    }
    if (LIKELY(task != NULL)) task->inside = inside.outer;
    drain_leave(&dll->drain, slot);
    return has_faulted ? PINTLE_EFAULT : 0;
}

static void fault_sentence(const pintle_proc *proc, const struct fault *fault, char *out_text, size_t text_bytes) {
    char text[FAULT_TEXT_BYTES];
    fault_text(fault, text, sizeof text);
    snprintf(out_text, text_bytes, "'%s' of DLL '%s': %s", proc->proc_name, proc->dll_name, text);
}

static COLD int fault_error(const pintle_proc *proc, const struct fault *fault) {
    char text[SENTENCE_BYTES];
    fault_sentence(proc, fault, text, sizeof text);
    return error_set(PINTLE_EFAULT, fault->os_code, "%s", text);
}

int pintle_proc_try_call(pintle_proc *proc, unsigned nargs, const uintptr_t *args, pintle_result *out) {
    pintle_result ignored;
    struct fault_catch catch;
    int code = proc_call(proc, nargs, args, out != NULL ? out : &ignored, &catch);
    return LIKELY(code != PINTLE_EFAULT) ? code : fault_error(proc, &catch.fault);
}

static NORETURN COLD void panic_with_error(const char *function) {
    pintle_error error;
    pintle_error_get(&error);
    panic("%s: %s", function, error.text);
}

static NORETURN COLD void panic_with_fault(const pintle_proc *proc, const struct fault *fault) {
    char text[SENTENCE_BYTES];
    fault_sentence(proc, fault, text, sizeof text);
    fault_panic_now(fault, text);
}

pintle_result pintle_proc_call(pintle_proc *proc, unsigned nargs, const uintptr_t *args) {
    pintle_result result;
    struct fault_catch catch;
    int code = proc_call(proc, nargs, args, &result, &catch);
    if (LIKELY(code == 0)) return result;
    if (code != PINTLE_EFAULT) panic_with_error("pintle_proc_call");
    panic_with_fault(proc, &catch.fault);
}

int pintle_dll_acquire(pintle_dll *dll) {
    if (dll == NULL) return error_set(PINTLE_EINVAL, 0, "pintle_dll_acquire: dll is NULL");
    if (drain_hold(&dll->drain)) return 0;
    return error_set(PINTLE_ECLOSED, 0, "DLL '%s' is closing", dll->path);
}

void pintle_dll_release(pintle_dll *dll) {
    if (dll == NULL) panic("pintle_dll_release: dll is NULL");
    if (!drain_unhold(&dll->drain)) panic("pintle_dll_release: DLL '%s' was not acquired", dll->path);
}

/* ---- Closing ---- */

static int changer_begin(struct pintle_dll *dll, const char *function) {
    uint32_t idle = 0;
    if (dll == NULL) return error_set(PINTLE_EINVAL, 0, "%s: dll is NULL", function);
    if (atomic_cas_acq_rel(&dll->changing, &idle, 1)) return 0;
    return error_set(PINTLE_EBUSY, 0, "%s: DLL '%s' is being closed by somebody else", function, dll->path);
}

static int changer_end(struct pintle_dll *dll, int code) {
    atomic_store_release(&dll->changing, 0);
    return code;
}

static int busy_error(struct pintle_dll *dll, bool self_inside) {
    char who[256];
    drain_describe(&dll->drain, who, sizeof who);
    return error_set(PINTLE_EBUSY, 0, "DLL '%s' is in use%s: %s", dll->path,
                     self_inside ? " by the call that wants to close it" : "", who);
}

/* Waits until nobody is inside. Polls, since leaving callers do not look (drain.h). */
static int wait_until_left(struct pintle_dll *dll, int64_t deadline_ns) {
    int64_t pause_ns = PINTLE_MS(1);
    bool self_inside;
    while (drain_count(&dll->drain, &self_inside) != 0) {
        int64_t now_ns = pintle_now();
        if (self_inside || now_ns >= deadline_ns) return busy_error(dll, self_inside);
        if (pause_ns > deadline_ns - now_ns) pause_ns = deadline_ns - now_ns;
        int code = pintle_sleep(pause_ns);
        if (code != 0) return code;
        if (pause_ns < PINTLE_MS(10)) pause_ns *= 2;
    }
    return 0;
}

int pintle_dll_close(pintle_dll *dll, int64_t deadline_ns) {
    int code = deadline_check(deadline_ns, "pintle_dll_close");
    if (code == 0) code = changer_begin(dll, "pintle_dll_close");
    if (code != 0) return code;
    drain_close(&dll->drain);
    code = wait_until_left(dll, deadline_ns);
    if (code != 0) return changer_end(dll, code);
    spares_top_up();
    pintle_call(close_in_call, dll);
    if (dll->faults_panic) faults_end();
    dll_free(dll);
    return 0;
}

int pintle_dll_callers(pintle_dll *dll, pintle_dll_caller *out, size_t most, size_t *out_count) {
    bool self_inside;
    size_t named, all;
    if (dll == NULL || out_count == NULL || (out == NULL && most != 0))
        return error_set(PINTLE_EINVAL, 0, "pintle_dll_callers: dll, out_count, or out with most = %zu is NULL", most);
    named = most != 0 ? drain_callers(&dll->drain, out, most) : 0;
    all = drain_count(&dll->drain, &self_inside);
    *out_count = all > named ? all : named; /* some may have left between the two looks */
    return 0;
}

int pintle_dll_reopen(pintle_dll *dll) {
    int code = changer_begin(dll, "pintle_dll_reopen");
    if (code != 0) return code;
    if (atomic_load_relaxed(&dll->drain.closing) == 0) {
        code = error_set(PINTLE_EINVAL, 0, "pintle_dll_reopen: DLL '%s' is not closing", dll->path);
    }
    drain_reopen(&dll->drain);
    return changer_end(dll, code);
}
