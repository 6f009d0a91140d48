/* clock.c: pintle_now and deadlines. See clock.h. */
#include "clock.h"

#include "error.h"
#include "os.h"

int64_t pintle_now(void) { return CLOCK_START + os_now_ns(); }

int64_t pintle_after(int64_t duration_ns) {
    int64_t now = pintle_now();
    if (duration_ns <= 0) return now;
    return duration_ns >= PINTLE_FOREVER - now ? PINTLE_FOREVER : now + duration_ns;
}

int deadline_refuse(int64_t deadline_ns, const char *function) {
    return error_set(PINTLE_EINVAL, 0, "%s: %lld is a duration: use pintle_after()", function, (long long)deadline_ns);
}
