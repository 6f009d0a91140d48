/* test_surface.c: the names, types and shapes that programs compile against. It is the compiler that tests: a function whose
 * type changes, a field that is gone, is an error here. */
#include "pintle.h"
#include "support/pintle_test.h"

/* The function has exactly this type. */
#define IS(function, ...) _Static_assert(_Generic(&function, __VA_ARGS__ : 1, default : 0), #function)

IS(pintle_version, uint32_t (*)(void));
IS(pintle_strerror, const char *(*)(int));
IS(pintle_error_name, const char *(*)(int));
IS(pintle_error_get, void (*)(pintle_error *));
IS(pintle_error_set, int (*)(int, int64_t, const char *, ...));
IS(pintle_now, int64_t (*)(void));
IS(pintle_after, int64_t (*)(int64_t));

IS(pintle_run, int (*)(pintle_main_fn *, void *, const pintle_options *));
IS(pintle_start, int (*)(const pintle_options *));
IS(pintle_stop, int (*)(int64_t));
IS(pintle_enter, int (*)(pintle_fn *, void *));
IS(pintle_stats_get, void (*)(pintle_stats *));
IS(pintle_hold, void (*)(void));
IS(pintle_unhold, void (*)(void));

IS(pintle_spawn, int (*)(pintle_task **, pintle_fn *, void *));
IS(pintle_spawn_with, int (*)(pintle_task **, pintle_fn *, void *, const pintle_task_options *));
IS(pintle_join, int (*)(pintle_task *, int64_t));
IS(pintle_join_info, int (*)(pintle_task *, int64_t, pintle_panic_info *));
IS(pintle_task_detach, void (*)(pintle_task *));
IS(pintle_self, pintle_task *(*)(void));
IS(pintle_task_id, uint64_t (*)(const pintle_task *));
IS(pintle_task_name, const char *(*)(const pintle_task *));
IS(pintle_yield, void (*)(void));
IS(pintle_task_exit, void (*)(void));
IS(pintle_pin, void (*)(void));
IS(pintle_unpin, void (*)(void));
IS(pintle_pinned, bool (*)(void));
IS(pintle_sleep, int (*)(int64_t));
IS(pintle_sleep_until, int (*)(int64_t));
IS(pintle_local_new, int (*)(pintle_local **, pintle_fn *));
IS(pintle_local_get, void *(*)(pintle_local *));
IS(pintle_local_set, int (*)(pintle_local *, void *));

IS(pintle_call, int (*)(int (*)(void *), void *));
IS(pintle_call_blocking, int (*)(int (*)(void *), void *));
IS(pintle_blocking_begin, void (*)(void));
IS(pintle_blocking_end, void (*)(void));
IS(pintle_call_until, int (*)(int (*)(void *), void *, pintle_fn *, int64_t, int *));
IS(pintle_callback, int (*)(pintle_fn *, void *));
IS(pintle_thread_attach, int (*)(void));
IS(pintle_thread_detach, void (*)(void));

#if defined(_WIN32)
#define A3 uintptr_t, uintptr_t, uintptr_t
IS(pintle_syscall, pintle_result (*)(void *, unsigned, A3));
IS(pintle_syscall6, pintle_result (*)(void *, unsigned, A3, A3));
IS(pintle_syscall9, pintle_result (*)(void *, unsigned, A3, A3, A3));
IS(pintle_syscall12, pintle_result (*)(void *, unsigned, A3, A3, A3, A3));
IS(pintle_syscall15, pintle_result (*)(void *, unsigned, A3, A3, A3, A3, A3));
IS(pintle_syscalln, pintle_result (*)(void *, unsigned, const uintptr_t *));
IS(pintle_load_system_library, int (*)(const char *, void **));
IS(pintle_load_library, int (*)(const char *, void **));
IS(pintle_get_proc_address, int (*)(void *, const char *, void **));
#endif

IS(pintle_dll_open, int (*)(pintle_dll **, const char *, unsigned));
IS(pintle_dll_open_system, int (*)(pintle_dll **, const char *));
IS(pintle_dll_find, int (*)(pintle_dll *, const char *, pintle_proc **));
IS(pintle_dll_find_with, int (*)(pintle_dll *, const char *, unsigned, pintle_proc **));
IS(pintle_dll_find_ordinal, int (*)(pintle_dll *, unsigned, pintle_proc **));
IS(pintle_dll_find_data, int (*)(pintle_dll *, const char *, void **));
IS(pintle_dll_close, int (*)(pintle_dll *, int64_t));
IS(pintle_dll_reopen, int (*)(pintle_dll *));
IS(pintle_dll_acquire, int (*)(pintle_dll *));
IS(pintle_dll_release, void (*)(pintle_dll *));
IS(pintle_proc_call, pintle_result (*)(pintle_proc *, unsigned, const uintptr_t *));
IS(pintle_proc_try_call, int (*)(pintle_proc *, unsigned, const uintptr_t *, pintle_result *));
IS(pintle_proc_code, pintle_code (*)(pintle_proc *));
IS(pintle_proc_bind, int (*)(pintle_proc *));
IS(pintle_dll_native, void *(*)(pintle_dll *));
IS(pintle_dll_path, const char *(*)(pintle_dll *));

IS(pintle_thunk_new, int (*)(pintle_thunk **, pintle_thunk_fn *, void *, unsigned, unsigned));
IS(pintle_thunk_new_with, int (*)(pintle_thunk **, pintle_thunk_fn *, void *, const pintle_thunk_options *));
IS(pintle_thunk_pointer, void *(*)(pintle_thunk *));
IS(pintle_thunk_code, pintle_code (*)(pintle_thunk *));
IS(pintle_thunk_free, int (*)(pintle_thunk *));
IS(pintle_thunk_retire, int (*)(pintle_thunk *));

IS(pintle_defer, void (*)(pintle_fn *, void *));
IS(pintle_defer_here, pintle_defer_mark (*)(void));
IS(pintle_defer_run, void (*)(pintle_defer_mark));
IS(pintle_defer_cancel, void (*)(pintle_fn *, void *));
IS(pintle_protect, int (*)(pintle_fn *, void *, pintle_panic_info *));
IS(pintle_panic, void (*)(const char *, ...));
IS(pintle_panic_value, void (*)(void *));
IS(pintle_recover, bool (*)(pintle_panic_info *));

IS(pintle_chan_new, int (*)(pintle_chan **, size_t, size_t));
IS(pintle_chan_retain, void (*)(pintle_chan *));
IS(pintle_chan_free, void (*)(pintle_chan *));
IS(pintle_chan_send, int (*)(pintle_chan *, const void *, int64_t));
IS(pintle_chan_recv, int (*)(pintle_chan *, void *, int64_t));
IS(pintle_chan_close, int (*)(pintle_chan *));
IS(pintle_select, int (*)(pintle_case *, size_t, int64_t));
IS(pintle_mutex_init, void (*)(pintle_mutex *));
IS(pintle_mutex_lock, int (*)(pintle_mutex *, int64_t));
IS(pintle_mutex_unlock, void (*)(pintle_mutex *));

IS(pintle_task_cancel, void (*)(pintle_task *));
IS(pintle_call_interruptible, int (*)(int (*)(void *), void *));
IS(pintle_scope_open, int (*)(pintle_scope **, int64_t));
IS(pintle_scope_spawn, int (*)(pintle_scope *, pintle_fn *, void *));
IS(pintle_scope_go, int (*)(pintle_scope *, pintle_main_fn *, void *, const pintle_task_options *));
IS(pintle_scope_cancel, void (*)(pintle_scope *));
IS(pintle_scope_wait, int (*)(pintle_scope *, int64_t));
IS(pintle_scope_close, int (*)(pintle_scope *));
IS(pintle_canceled, bool (*)(void));
IS(pintle_cancel_reason, int (*)(void));
IS(pintle_cancel_mask, void (*)(void));
IS(pintle_cancel_unmask, void (*)(void));

IS(pintle_timer_new, int (*)(pintle_timer **, pintle_fn *, void *));
IS(pintle_timer_set, int (*)(pintle_timer *, int64_t, int64_t));
IS(pintle_timer_stop, bool (*)(pintle_timer *));
IS(pintle_timer_free, void (*)(pintle_timer *));
IS(pintle_signal_open, int (*)(pintle_chan **, unsigned));
IS(pintle_chan_native, int (*)(pintle_chan *, intptr_t *));
IS(pintle_wait_fd, int (*)(int, unsigned, int64_t));
IS(pintle_wait_handle, int (*)(void *, int64_t));
#if defined(_WIN32)
IS(pintle_select_messages, int (*)(pintle_case *, size_t, int64_t, unsigned));
#endif

IS(pintle_service_run, int (*)(const pintle_service *, int, int, char **));
IS(pintle_service_ready, int (*)(pintle_service_context *));
IS(pintle_service_next, int (*)(pintle_service_context *, pintle_service_event *, int64_t));
IS(pintle_service_events, pintle_chan *(*)(pintle_service_context *));
IS(pintle_service_scope, pintle_scope *(*)(pintle_service_context *));
IS(pintle_service_fail, void (*)(pintle_service_context *, uint32_t));
IS(pintle_service_log, int (*)(pintle_service_context *, int, const char *, ...));

static pintle_proc lazily = PINTLE_PROC("kernel32.dll", "Sleep");

CASE(surface_zero_is_a_valid_value_of_every_field) {
    pintle_options options = {.size = sizeof options};
    pintle_task_options task = {.size = sizeof task};
    pintle_thunk_options thunk = {.size = sizeof thunk};
    pintle_case one = {0};
    ck_assert_uint_eq(options.processors + options.max_threads + options.max_tasks + options.flags, 0);
    ck_assert_ptr_null(options.on_report);
    ck_assert_int_eq(options.cancel_signal, 0);
    ck_assert_ptr_null(task.name);
    ck_assert_uint_eq(thunk.closed_result + thunk.panic_result + (unsigned)thunk.on_panic, 0);
    ck_assert_ptr_null(one.on);
    ck_assert_int_eq(one.status, 0);
    (void)lazily;
}

CASE(surface_codes_stay_clear_of_others) {
    static const int codes[] = {PINTLE_EINVAL,    PINTLE_ENOMEM,    PINTLE_ELIMIT,  PINTLE_ENOTFOUND,
                                PINTLE_ENOTSUP,   PINTLE_EBUSY,     PINTLE_ECLOSED, PINTLE_ESTOPPED,
                                PINTLE_ETIMEDOUT, PINTLE_ECANCELED, PINTLE_EAGAIN,  PINTLE_EPANIC,
                                PINTLE_EFAULT,    PINTLE_EACCES,    PINTLE_EOS,     PINTLE_EDEADLK};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        ck_assert_int_le(codes[i], -20001);
        for (size_t j = 0; j < i; j++) ck_assert_int_ne(codes[i], codes[j]);
        ck_assert_msg(strncmp(pintle_error_name(codes[i]), "PINTLE_E", 8) == 0, "%d", codes[i]);
    }
}
