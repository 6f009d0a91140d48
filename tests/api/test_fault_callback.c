/* test_fault_callback.c: faults whose panic ends in the callback that they were in: stopped by a deferred function there, or waiting
 * for the foreign code to return (PINTLE_PANIC_RETURN). */
#include "api/fault_helpers.h"

enum { ROUNDS = 50, ANSWER = 77 };

static unsigned recovered, went_on, pending;

static void recover(void *arg) {
    pintle_panic_info info;
    (void)arg;
    if (pintle_recover(&info) && info.os_code == (uint32_t)CODE_ACCESS) recovered++;
}
static uintptr_t faults_and_recovers(void *user, const uintptr_t *args) {
    (void)args;
    pintle_defer(recover, NULL);
    writes(user);
    return 1;
}
static uintptr_t faults(void *user, const uintptr_t *args) {
    (void)args;
    writes(user);
    return 1;
}

static int calls_thunk(void *arg) {
    int value = ((int (*)(int))pintle_thunk_code(arg))(3);
    went_on++; /* the foreign code goes on */
    return value;
}

static int recover_main(void *arg) {
    pintle_thunk *thunk;
    (void)arg;
    EXPECT(pintle_thunk_new(&thunk, faults_and_recovers, NULL, 1, 0) == 0);
    for (int i = 0; i < ROUNDS; i++) EXPECT(pintle_call(calls_thunk, thunk) == 0);
    EXPECT(recovered == ROUNDS && went_on == ROUNDS);
    EXPECT(!pintle_pinned());
    EXPECT(pintle_thunk_free(thunk) == 0);
    return 0;
}
CASE(fault_in_a_callback_is_stopped_by_a_deferred_function_there) { run_faulting(recover_main, 1); }

static void calls(void *thunk) {
    pintle_call(calls_thunk, thunk);
    pending++; /* never: the panic goes on when the call has ended */
}

static int return_main(void *arg) {
    pintle_thunk_options options = {
        .size = sizeof options, .nargs = 1, .on_panic = PINTLE_PANIC_RETURN, .panic_result = ANSWER};
    pintle_thunk *thunk;
    (void)arg;
    EXPECT(pintle_thunk_new_with(&thunk, faults, NULL, &options) == 0);
    for (int i = 0; i < ROUNDS; i++) {
        pintle_panic_info info;
        EXPECT(pintle_protect(calls, thunk, &info) == PINTLE_EPANIC);
        EXPECT(info.os_code == (uint32_t)CODE_ACCESS);
    }
    EXPECT(went_on == ROUNDS && pending == 0);
    EXPECT(!pintle_pinned());
    EXPECT(pintle_thunk_free(thunk) == 0);
    return 0;
}
CASE(fault_in_a_callback_waits_for_the_foreign_code_to_return) { run_faulting(return_main, 1); }
