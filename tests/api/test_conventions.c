/* test_conventions.c: callbacks with arguments of all widths, from code built without optimisation and with. */
#include "api_helpers.h"

#include "dll/calls_back.h"

enum { LEAST = 2, MOST = 10, SHIFTS = 4 };

typedef struct expected {
    unsigned count, shift, calls, wrong;
} expected;

/* The low bits of each word are the argument; what is above them is not defined. */
static uintptr_t check_arguments(void *user, const uintptr_t *args) {
    expected *e = user;
    bool right = true;
    for (unsigned i = 0; i < e->count; i++) {
        unsigned bits = 8u << (i + e->shift) % 4;
        uint64_t mask = bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
        right &= ((uint64_t)args[i] & mask) == ((uint64_t)call_value(i) & mask);
    }
    e->calls++;
    e->wrong += !right;
    return right ? 0xFFFFFFFF00000000u + e->count : 0xFFFFFFFFu; /* of the result too the low 32 bits count */
}

typedef struct library {
    const char *name;
    unsigned failures;
    pintle_error error;
} library;

static unsigned call_one(pintle_dll *dll, const char *convention, unsigned count, unsigned shift, unsigned flags) {
    expected e = {.count = count, .shift = shift};
    pintle_thunk *thunk;
    pintle_proc *proc;
    char name[32];
    snprintf(name, sizeof name, "%s_%u_%u", convention, count, shift);
    if (pintle_dll_find(dll, name, &proc) != 0 || pintle_thunk_new(&thunk, check_arguments, &e, count, flags) != 0)
        return 1;
    uintptr_t args[] = {(uintptr_t)pintle_thunk_pointer(thunk)};
    unsigned failures = pintle_result_int(pintle_proc_call(proc, 1, args)) != (int)count;
    int (*direct)(void *) = (int (*)(void *))pintle_proc_code(proc); /* from the task, in place */
    failures += direct(pintle_thunk_pointer(thunk)) != (int)count;
    return failures + (e.calls != 2) + e.wrong + (pintle_thunk_free(thunk) != 0);
}

static int all_main(void *arg) {
    library *l = arg;
    pintle_dll *dll;
    if (pintle_dll_open(&dll, test_dll_path(l->name), 0) != 0) {
        pintle_error_get(&l->error);
        return 1;
    }
    for (unsigned count = LEAST; count <= MOST; count++) {
        for (unsigned shift = 0; shift < SHIFTS; shift++) {
            l->failures += call_one(dll, "cdecl", count, shift, PINTLE_CDECL);
            l->failures += call_one(dll, "stdcall", count, shift, PINTLE_STDCALL);
        }
    }
    return pintle_dll_close(dll, PINTLE_FOREVER);
}

static void all_of(const char *name) {
    library l = {.name = name};
    ck_assert_msg(helper_run(all_main, &l, 1) == 0, "%s", l.error.text);
    ck_assert_uint_eq(l.failures, 0);
}

CASE(callbacks_with_2_to_10_arguments_of_all_widths_from_unoptimised_code) { all_of("calls_back_o0"); }
CASE(callbacks_with_2_to_10_arguments_of_all_widths_from_optimised_code) { all_of("calls_back_o2"); }
