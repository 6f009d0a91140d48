/* chan_native.c: a channel's flag for foreign loops: set while a receive would not wait.
 *
 * Whoever changes what that depends on, under the channel's guard, sets or clears it there; so it is never behind. A channel
 * without one pays a test. Threads: any. Locks: the channel's guard. Tests: tests/api/test_native.c. */
#include "chan.h"
#include "error.h"
#include "os.h"

void chan_tell_native(struct pintle_chan *c) {
    bool may_recv = chan_may_recv(c);
    if (may_recv == c->native_is_set) return;
    c->native_is_set = may_recv;
    os_flag_set(c->native, may_recv);
}

int pintle_chan_native(pintle_chan *c, intptr_t *out_handle) {
    struct guard *guard = guard_of(c);
    char message[128];
    intptr_t made = 0;
    int os_code;
    bool has;
    if (c == NULL || out_handle == NULL) return error_set(PINTLE_EINVAL, 0, "pintle_chan_native: NULL was given");
    guard_acquire(guard);
    has = c->has_native;
    guard_release(guard);
    if (!has) {
        os_code = os_flag_make(&made);
        if (os_code != 0) {
            os_error_text(os_code, message, sizeof message);
            return error_set(PINTLE_ELIMIT, os_code, "pintle_chan_native: the system makes none: %s", message);
        }
        guard_acquire(guard);
        has = c->has_native; /* another was faster */
        if (!has) {
            c->native = made;
            c->has_native = true;
            chan_tell_native(c);
        }
        guard_release(guard);
        if (has) os_flag_close(made);
    }
    *out_handle = c->native;
    return 0;
}
