/* scm.c (POSIX): there is no service manager that is asked by function calls: a unit file says what these say elsewhere.
 * Threads: any. Locks: none. Order: none. Tests: tests/posix/test_service_posix.c. */
#include "error.h"
#include "pintle/service.h"

static int not_here(const char *function, const char *name) {
    return error_set(PINTLE_ENOTSUP, 0,
                     "%s: service '%s': only Windows has this service manager; docs/services.md has a unit "
                     "file for systemd",
                     function, name != NULL ? name : "");
}

int pintle_scm_install_sized(const char *name, const pintle_scm_install_options *options, size_t size) {
    (void)options, (void)size;
    return not_here("pintle_scm_install", name);
}
int pintle_scm_query_sized(const char *name, pintle_scm_status *out, size_t size) {
    (void)out, (void)size;
    return not_here("pintle_scm_query", name);
}
int pintle_scm_start_sized(const char *name, const pintle_scm_wait_options *options, size_t size) {
    (void)options, (void)size;
    return not_here("pintle_scm_start", name);
}
int pintle_scm_stop_sized(const char *name, const pintle_scm_wait_options *options, size_t size) {
    (void)options, (void)size;
    return not_here("pintle_scm_stop", name);
}
int pintle_scm_remove_sized(const char *name, const pintle_scm_wait_options *options, size_t size) {
    (void)options, (void)size;
    return not_here("pintle_scm_remove", name);
}
int pintle_scm_control_sized(const char *name, uint32_t control, const pintle_scm_wait_options *options, size_t size) {
    (void)control, (void)options, (void)size;
    return not_here("pintle_scm_control", name);
}
int pintle_scm_list(void (*each)(void *user, const char *name, const pintle_scm_status *status), void *user) {
    (void)each, (void)user;
    return not_here("pintle_scm_list", "*");
}
const char *pintle_scm_state_name(uint32_t state) {
    (void)state;
    return "unknown";
}
