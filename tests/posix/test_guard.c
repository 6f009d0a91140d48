/* test_guard.c (POSIX): guards where a sandbox that comes later refuses the fence that biases rest on. As in tests/unit/test_guard.c, no
 * runtime is started. */
#include "api/api_helpers.h"
#include "posix/seccomp.h"

#include "guard.h"
#include "take.h"

enum { MANY = 1 << 16, OWN_TURNS = 2000000, OTHER_TURNS = 20000 };

/* From now on, for all threads. */
static void refuse_fences(void) {
    static const unsigned calls[] = {SYS_membarrier};
    refuse_calls(calls, ELEMENTS(calls), EPERM);
}

#define EXPECT(condition) \
    do { \
        if (!(condition)) { \
            printf("line %d: not so: %s\n", __LINE__, #condition); \
            exit(1); \
        } \
    } while (0)

static struct processor processors[2];
static struct thread records[2];
static struct guard *const guard = &guard_table[7];
static volatile unsigned long long count; /* under the guard: plain */

static void play(int record) {
    atomic_store(&records[record].processor, &processors[record]);
    os_self_set(&records[record]);
}
static void take_until_biased(void) {
    for (unsigned n = 0; n < MANY && atomic_load(&guard->bias) == NULL; n++) {
        guard_acquire(guard);
        guard_release(guard);
    }
}
static void others_turns(void *arg) {
    (void)arg;
    play(1);
    for (unsigned i = 0; i < OTHER_TURNS; i++) {
        guard_acquire(guard);
        count++;
        guard_release(guard);
    }
    os_self_set(NULL);
}

CHILD(fence_refused_later) {
    helper_thread thread;
    EXPECT(os_self_init() == 0);
    take_init(true);
    if (!take_by_fence) exit(0);
    guards_begin(true);
    play(0);
    take_until_biased();
    EXPECT(atomic_load(&guard->bias) == &processors[0]);
    refuse_fences();
    EXPECT(!os_fence_threads());
    guard_acquire(guard); /* by its bias */
    EXPECT(atomic_load(&guard->word) == 0);
    EXPECT(helper_thread_start(&thread, others_turns, NULL));
    while (atomic_load(&guard->bias) != NULL) sched_yield();
    for (int i = 0; i < 1000; i++) {
        sched_yield();
        EXPECT(count == 0); /* it waits */
    }
    guard_release(guard);
    for (unsigned i = 0; i < OWN_TURNS / TEST_SLOWNESS; i++) {
        guard_acquire(guard);
        count++;
        guard_release(guard);
    }
    helper_thread_join(&thread);
    EXPECT(count == OWN_TURNS / TEST_SLOWNESS + OTHER_TURNS);
    take_until_biased();
    EXPECT(atomic_load(&guard->bias) == NULL); /* not again */
    guards_fence();
    guards_end();
    fflush(NULL);
    _exit(0);
}

CASE_TIMEOUT(guards_stay_exclusive_when_the_fence_is_refused_later, 60) {
    char text[4096];
    int status = child_run("fence_refused_later", text, sizeof text);
    if (status == STATUS_NO_FILTER) {
        printf("no seccomp filters here\n");
        return;
    }
    ck_assert_msg(status == 0, "status %d: %s", status, text);
}
