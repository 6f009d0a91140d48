/* poller.c (POSIX): the poller: epoll.
 *
 * Two instances. `own` has the descriptors of pintle_io, each registered once, for all events, by edges (posix/io.c); an
 * eventfd that ends a wait, also by edges, so that it is never read; and the second instance. `others` has descriptors
 * that belong to others, registered for one event and taken out again as soon as nobody waits: they can be closed, and
 * their numbers used again, without our knowledge. A descriptor may be in both.
 * Threads: any. Locks: none. Order: the kernel's. Invariants: the three descriptors are open from init to shutdown.
 * Tests: tests/posix/test_wait_fd.c, tests/api/test_io.c. */
#include "poller.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "fail.h"

#define TOKEN_WAKE UINT64_C(0)
#define TOKEN_OTHERS UINT64_C(1)

enum { BATCH = 128 };

static int own = -1, others = -1, wake_fd = -1;
static bool is_coarse; /* a kernel before 5.11: whole milliseconds */

const char os_watch_name[] = "descriptor";

/* ---- Init ---- */

static int add(int to, int fd, uint32_t events, uint64_t token) {
    struct epoll_event event = {.events = events, .data.u64 = token};
    if (fail_now(FAIL_MEMORY)) return ENOMEM;
    return epoll_ctl(to, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : errno;
}

static int open_all(void) {
    int error;
    if (fail_now(FAIL_MEMORY)) return EMFILE;
    if ((own = epoll_create1(EPOLL_CLOEXEC)) < 0 || (others = epoll_create1(EPOLL_CLOEXEC)) < 0 ||
        (wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0) {
        return errno;
    }
    error = add(own, wake_fd, EPOLLIN | EPOLLET, TOKEN_WAKE);
    return error != 0 ? error : add(own, others, EPOLLIN, TOKEN_OTHERS);
}

static void close_one(int *fd) {
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

void os_poller_shutdown(void) {
    close_one(&wake_fd);
    close_one(&others);
    close_one(&own);
}

static int wait_precisely(int epoll, struct epoll_event *events, int most, const struct timespec *timeout) {
#if defined(SYS_epoll_pwait2)
    return (int)syscall(SYS_epoll_pwait2, epoll, events, most, timeout, NULL, 0);
#else
    (void)epoll, (void)events, (void)most, (void)timeout;
    errno = ENOSYS;
    return -1;
#endif
}

int os_poller_init(void) {
    struct timespec none = {0};
    struct epoll_event event;
    int error = open_all();
    if (error != 0) {
        os_poller_shutdown();
        return error;
    }
    is_coarse = wait_precisely(others, &event, 1, &none) < 0;
    return 0;
}

/* ---- Waiting ---- */

bool os_poller_is_precise(void) { return !is_coarse; }

static void slack_set_once(void) {
    static __thread bool slack_is_set;
    if (slack_is_set) return;
    slack_is_set = true;
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); /* as in wait.c */
}

static int wait_on(int epoll, struct epoll_event *events, int most, int64_t deadline_ns) {
    enum { NS_PER_MS = 1000000, LONGEST_MS = 86400000 };
    int64_t left_ns;
    if (deadline_ns == INT64_MAX) return epoll_wait(epoll, events, most, -1);
    left_ns = deadline_ns <= 0 ? 0 : deadline_ns - os_now_ns();
    if (left_ns <= 0) return epoll_wait(epoll, events, most, 0);
    if (!is_coarse) {
        struct timespec left = {.tv_sec = (time_t)(left_ns / 1000000000), .tv_nsec = (long)(left_ns % 1000000000)};
        slack_set_once();
        return wait_precisely(epoll, events, most, &left);
    }
    left_ns = (left_ns + NS_PER_MS - 1) / NS_PER_MS;
    return epoll_wait(epoll, events, most, left_ns < LONGEST_MS ? (int)left_ns : LONGEST_MS);
}

/* EPOLLIN and the others have poll's values. */
static unsigned take_others(os_ready *out_ready, unsigned most) {
    struct epoll_event events[BATCH];
    int count = most == 0 ? 0 : epoll_wait(others, events, most < BATCH ? (int)most : BATCH, 0);
    for (int i = 0; i < count; i++) out_ready[i] = (os_ready){OS_READY_WATCH, events[i].events, events[i].data.u64};
    return count > 0 ? (unsigned)count : 0;
}

unsigned os_poller_wait(os_ready *out_ready, unsigned most, int64_t deadline_ns) {
    struct epoll_event events[BATCH];
    unsigned taken = 0;
    bool has_others = false;
    if (fail_now(FAIL_WAIT)) return 0;
    int count = wait_on(own, events, most < BATCH ? (int)most : BATCH, deadline_ns);
    for (int i = 0; i < count; i++) {
        if (events[i].data.u64 == TOKEN_OTHERS) {
            has_others = true;
        } else if (events[i].data.u64 != TOKEN_WAKE) {
            out_ready[taken++] = (os_ready){OS_READY_IO, events[i].events, events[i].data.u64};
        }
    }
    if (has_others) taken += take_others(out_ready + taken, most - taken); /* what does not fit is seen the next time */
    return taken;
}

void os_poller_wake(void) {
    int kept = errno;
    if (eventfd_write(wake_fd, 1) != 0 && errno != EAGAIN) os_abort();
    errno = kept;
}

int poller_add(int fd, uint64_t token) { return add(own, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, token); }

/* ---- Descriptors of others ---- */

int os_watch_block(intptr_t object, uint32_t events, int64_t deadline_ns, uint32_t *out_events) {
    struct pollfd fd = {.fd = (int)object, .events = (short)events};
    *out_events = 0;
    for (;;) {
        int64_t left_ns = deadline_ns == INT64_MAX ? 0 : deadline_ns <= 0 ? 0 : deadline_ns - os_now_ns();
        struct timespec left = {.tv_sec = (time_t)(left_ns / 1000000000), .tv_nsec = (long)(left_ns % 1000000000)};
        if (left_ns < 0) left.tv_sec = 0, left.tv_nsec = 0;
        int count = ppoll(&fd, 1, deadline_ns == INT64_MAX ? NULL : &left, NULL);
        if (count < 0 && errno != EINTR) return errno;
        if (count > 0 && (fd.revents & POLLNVAL) != 0) return EBADF;
        if (count > 0) *out_events = (uint32_t)(unsigned short)fd.revents;
        if (count >= 0) return 0;
        if (deadline_ns != INT64_MAX && left_ns <= 0) return 0;
    }
}

int os_watch_look(intptr_t object, uint32_t events, uint32_t *out_events) {
    return os_watch_block(object, events, 0, out_events);
}

int os_watch_arm(intptr_t object, uint32_t events, uint64_t token, bool again, bool *out_counts) {
    *out_counts = false;
    struct epoll_event event = {.events = events | EPOLLONESHOT, .data.u64 = token};
    if (fail_now(FAIL_MEMORY)) return ENOMEM;
    /* Closed and opened again meanwhile, it is another: unknown. */
    if (again && epoll_ctl(others, EPOLL_CTL_MOD, (int)object, &event) == 0) return 0;
    if (epoll_ctl(others, EPOLL_CTL_ADD, (int)object, &event) == 0) return 0;
    if (errno == EEXIST && epoll_ctl(others, EPOLL_CTL_MOD, (int)object, &event) == 0) return 0;
    return errno;
}

unsigned os_watch_disarm(intptr_t object, uint64_t token) {
    struct epoll_event event = {0};
    (void)token;
    epoll_ctl(others, EPOLL_CTL_DEL, (int)object, &event); /* it may be closed by now */
    return 0;
}

void os_watch_give_back(intptr_t object) { (void)object; }
bool os_watch_is_used_up(void) { return false; }
