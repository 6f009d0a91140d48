/* errno.c: errno and the last error by an address that is asked for each time (pintle/errno.h). That these functions are
 * compiled apart is what makes them safe: nobody can keep what they return across a switch without being told to.
 * Threads: any. Locks: none. Tests: tests/api/test_errno.c. */
#include "pintle/errno.h"

#include "os.h"

int *pintle_errno_address(void) {
    int *address;
    uint32_t *last_error;
    os_thread_error_slots(&address, &last_error);
    return address;
}

static uint32_t *last_error_address(void) {
    int *address;
    uint32_t *last_error;
    os_thread_error_slots(&address, &last_error);
    return last_error != NULL ? last_error : (uint32_t *)address;
}

uint32_t pintle_last_error(void) { return *last_error_address(); }

void pintle_last_error_set(uint32_t error) { *last_error_address() = error; }
