/* test_runq.c: the ring of a processor: order, overflow, stealing; and nothing lost or doubled while thieves are at it. */
#include "api/api_helpers.h"

#include "os.h"
#include "runq.h"
#include "task.h"

/* Records with numbers; nothing but `next` and `id` of them is used here. */
static struct pintle_task *records(unsigned count) {
    struct pintle_task *tasks = NULL;
    size_t bytes = count * sizeof *tasks;
#if defined(_WIN32)
    tasks = _aligned_malloc(bytes, 64);
#else
    if (posix_memalign((void **)&tasks, 64, bytes) != 0) tasks = NULL;
#endif
    ck_assert_ptr_nonnull(tasks);
    memset(tasks, 0, bytes);
    for (unsigned i = 0; i < count; i++) tasks[i].id = i;
    return tasks;
}
static void records_free(struct pintle_task *tasks) {
#if defined(_WIN32)
    _aligned_free(tasks);
#else
    free(tasks);
#endif
}

static struct runq ring, other;

static void rings_reset_other(void) { memset(&other, 0, sizeof other); }

/* Whether the owner takes by plain stores in the case at hand; false again at its end. */
static bool fences;

static void rings_reset(uint32_t begin) {
    memset(&ring, 0, sizeof ring);
    rings_reset_other();
    runq_init(&ring, fences);
    runq_init(&other, fences);
    atomic_store(&ring.head, begin);
    atomic_store(&ring.tail, begin);
    atomic_store(&other.head, begin / 2);
    atomic_store(&other.tail, begin / 2);
}

CASE(list_is_first_in_first_out_and_counts) {
    struct pintle_task *tasks = records(6);
    struct task_list list = {0}, more = {0};
    ck_assert_ptr_null(task_list_pop(&list));
    for (unsigned i = 0; i < 3; i++) task_list_push(&list, &tasks[i]);
    for (unsigned i = 3; i < 6; i++) task_list_push(&more, &tasks[i]);
    ck_assert_uint_eq(list.count, 3);
    task_list_append(&list, &more);
    ck_assert_uint_eq(list.count, 6);
    ck_assert_uint_eq(more.count, 0);
    ck_assert_ptr_null(task_list_pop(&more));
    task_list_append(&list, &more); /* nothing */
    task_list_append(&more, &list); /* to an empty one */
    ck_assert_uint_eq(list.count, 0);
    for (unsigned i = 0; i < 6; i++) {
        ck_assert_uint_eq(more.count, 6 - i);
        ck_assert_ptr_eq(task_list_pop(&more), &tasks[i]);
    }
    ck_assert_ptr_null(task_list_pop(&more));
    task_list_push(&more, &tasks[0]); /* usable after it was empty */
    ck_assert_ptr_eq(task_list_pop(&more), &tasks[0]);
    records_free(tasks);
}

static void check_order(void) {
    const uint32_t begins[] = {0, 1, UINT32_MAX - 100, UINT32_MAX};
    struct pintle_task *tasks = records(RUNQ_SLOTS);
    for (size_t k = 0; k < ELEMENTS(begins); k++) {
        struct task_list overflow = {0};
        rings_reset(begins[k]);
        ck_assert(runq_is_empty(&ring));
        ck_assert_ptr_null(runq_pop(&ring));
        for (unsigned i = 0; i < RUNQ_SLOTS; i++) {
            ck_assert(i % 2 == 0 ? runq_push(&ring, &tasks[i], &overflow) : runq_try_push(&ring, &tasks[i]));
            ck_assert(!runq_is_empty(&ring));
        }
        ck_assert(!runq_try_push(&ring, &tasks[0])); /* full */
        for (unsigned i = 0; i < RUNQ_SLOTS; i++) ck_assert_ptr_eq(runq_pop(&ring), &tasks[i]);
        ck_assert_ptr_null(runq_pop(&ring));
        ck_assert(runq_is_empty(&ring));
        ck_assert_uint_eq(overflow.count, 0);
    }
    records_free(tasks);
}

CASE(ring_is_first_in_first_out_also_where_its_counters_wrap) { check_order(); }
CASE(ring_whose_owner_is_alone_is_so_too) {
    fences = true; /* nobody steals */
    check_order();
    fences = false;
}

CASE(ring_full_gives_its_older_half_and_the_task_away) {
    struct pintle_task *tasks = records(RUNQ_SLOTS + 1);
    struct task_list overflow = {0};
    rings_reset(UINT32_MAX - 50);
    for (unsigned i = 0; i < RUNQ_SLOTS; i++) ck_assert(runq_push(&ring, &tasks[i], &overflow));
    ck_assert(!runq_push(&ring, &tasks[RUNQ_SLOTS], &overflow));
    ck_assert_uint_eq(overflow.count, RUNQ_SLOTS / 2 + 1);
    for (unsigned i = 0; i < RUNQ_SLOTS / 2; i++) ck_assert_ptr_eq(task_list_pop(&overflow), &tasks[i]);
    ck_assert_ptr_eq(task_list_pop(&overflow), &tasks[RUNQ_SLOTS]);
    for (unsigned i = RUNQ_SLOTS / 2; i < RUNQ_SLOTS; i++) ck_assert_ptr_eq(runq_pop(&ring), &tasks[i]);
    ck_assert_ptr_null(runq_pop(&ring));
    records_free(tasks);
}

/* Hints for who walks the list. */
CASE(ring_given_away_tells_of_each_who_comes_ahead) {
    struct pintle_task *tasks = records(RUNQ_SLOTS + 1), *half = &tasks[RUNQ_SLOTS / 2];
    struct task_list overflow = {0};
    rings_reset(0);
    for (unsigned i = 0; i <= RUNQ_SLOTS; i++) runq_push(&ring, &tasks[i], &overflow);
    for (struct pintle_task *task = tasks; task < half; task++) {
        ck_assert_ptr_eq(task_ahead(task), task + AHEAD < half ? task + AHEAD : &tasks[RUNQ_SLOTS]);
    }
    ck_assert_ptr_eq(task_ahead(half), half); /* nothing is known of who stays */
    task_set_ahead(half, tasks);
    ck_assert_ptr_eq(task_ahead(half), tasks);
    task_set_ahead(half, (struct pintle_task *)((uintptr_t)half ^ (uintptr_t)1 << 45)); /* too far to be told */
    ck_assert_ptr_eq(task_ahead(half), half);
    records_free(tasks);
}

/* The push has seen a full ring; before it acts on that, thieves come, twice. */
CASE(ring_not_full_any_more_is_not_halved) {
    struct pintle_task *tasks = records(RUNQ_SLOTS + 1);
    struct task_list overflow = {0};
    uint32_t stolen = 0;
    rings_reset(7);
    for (unsigned i = 0; i < RUNQ_SLOTS; i++) ck_assert(runq_try_push(&ring, &tasks[i]));
    ck_assert(!runq_try_push(&ring, &tasks[RUNQ_SLOTS]));
    for (unsigned thief = 0; thief < 2; thief++) {
        rings_reset_other();
        ck_assert_ptr_nonnull(runq_steal(&other, &ring, &stolen));
        ck_assert(!runq_overflow(&ring, &tasks[RUNQ_SLOTS], &overflow));
        ck_assert_uint_eq(overflow.count, 0);
    }
    ck_assert_uint_eq(runq_count(&ring), RUNQ_SLOTS / 4);
    ck_assert(runq_push(&ring, &tasks[RUNQ_SLOTS], &overflow));
    for (unsigned i = RUNQ_SLOTS - RUNQ_SLOTS / 4; i <= RUNQ_SLOTS; i++) ck_assert_ptr_eq(runq_pop(&ring), &tasks[i]);
    ck_assert_ptr_null(runq_pop(&ring));
    records_free(tasks);
}

CASE(next_slot_holds_one_and_gives_back_the_one_before) {
    struct pintle_task *tasks = records(3);
    rings_reset(0);
    ck_assert_ptr_null(runq_pop_next(&ring));
    ck_assert_ptr_null(runq_push_next(&ring, &tasks[0]));
    ck_assert(!runq_is_empty(&ring));
    ck_assert_ptr_null(runq_pop(&ring)); /* it is not in the ring */
    ck_assert_ptr_eq(runq_push_next(&ring, &tasks[1]), &tasks[0]);
    ck_assert_ptr_eq(runq_pop_next(&ring), &tasks[1]);
    ck_assert_ptr_null(runq_pop_next(&ring));
    ck_assert(runq_is_empty(&ring));
    records_free(tasks);
}

/* RING, T3 and O2: who comes second sees that the other is at it. */
CASE(steal_gives_up_while_the_owner_takes) {
    struct pintle_task *tasks = records(2);
    uint32_t count;
    fences = os_fence_init();
    rings_reset(0);
    for (int i = 0; i < 2; i++) ck_assert(runq_try_push(&ring, &tasks[i]));
    ck_assert(runq_take_begin(&ring) == fences);
    if (fences) ck_assert_ptr_null(runq_steal(&other, &ring, &count));
    runq_take_end(&ring);
    ck_assert_ptr_eq(runq_steal(&other, &ring, &count), &tasks[0]);
    ck_assert_uint_eq(atomic_load(&ring.alone), fences);
    fences = false;
    records_free(tasks);
}
CASE(pops_while_a_thief_is_at_it_take_the_same) {
    struct pintle_task *tasks = records(4);
    uint32_t count = 0;
    fences = os_fence_init();
    rings_reset(0);
    for (int i = 0; i < 2; i++) ck_assert(runq_try_push(&ring, &tasks[i]));
    ck_assert_ptr_null(runq_push_next(&ring, &tasks[2]));
    atomic_store(&ring.alone, 0);
    ck_assert_ptr_eq(runq_push_next(&ring, &tasks[3]), &tasks[2]);
    ck_assert_ptr_eq(runq_pop_next(&ring), &tasks[3]);
    ck_assert_ptr_eq(runq_pop(&ring), &tasks[0]);
    if (fences) ck_assert_ptr_null(runq_steal(&other, &ring, &count)); /* one at a time */
    ck_assert_ptr_eq(runq_pop(&ring), &tasks[1]);
    ck_assert_ptr_null(runq_pop(&ring));
    ck_assert_ptr_null(runq_pop_next(&ring));
    ck_assert_uint_eq(atomic_load(&ring.alone), 0);
    fences = false;
    records_free(tasks);
}

CASE(steal_takes_the_older_half_rounded_up_and_at_last_the_next_slot) {
    struct pintle_task *tasks = records(RUNQ_SLOTS + 1);
    for (unsigned filled = 0; filled <= RUNQ_SLOTS; filled++) {
        uint32_t count = 99;
        rings_reset(UINT32_MAX - 3);
        for (unsigned i = 0; i < filled; i++) ck_assert(runq_try_push(&ring, &tasks[i]));
        unsigned taken = filled - filled / 2;
        struct pintle_task *first = runq_steal(&other, &ring, &count);
        if (filled == 0) {
            ck_assert_ptr_null(first);
            ck_assert_ptr_null(runq_push_next(&ring, &tasks[RUNQ_SLOTS]));
            ck_assert_ptr_eq(runq_steal(&other, &ring, &count), &tasks[RUNQ_SLOTS]);
            ck_assert_uint_eq(count, 1);
            ck_assert(runq_is_empty(&ring));
            ck_assert(runq_is_empty(&other));
            continue;
        }
        ck_assert_uint_eq(count, taken);
        /* One of them is to be run at once, the others are in the thief's ring, in order. */
        bool seen[RUNQ_SLOTS] = {false};
        ck_assert_uint_lt(first->id, taken);
        seen[first->id] = true;
        uint64_t last = 0;
        for (unsigned i = 1; i < taken; i++) {
            struct pintle_task *task = runq_pop(&other);
            ck_assert_ptr_nonnull(task);
            ck_assert_uint_lt(task->id, taken);
            ck_assert(!seen[task->id]);
            seen[task->id] = true;
            ck_assert(i == 1 || task->id > last);
            last = task->id;
        }
        ck_assert_ptr_null(runq_pop(&other));
        for (unsigned i = taken; i < filled; i++) ck_assert_ptr_eq(runq_pop(&ring), &tasks[i]);
        ck_assert_ptr_null(runq_pop(&ring));
    }
    records_free(tasks);
}

CASE(drain_takes_next_first_and_all_in_order) {
    struct pintle_task *tasks = records(10);
    struct task_list list = {0};
    rings_reset(0);
    for (unsigned i = 1; i < 10; i++) ck_assert(runq_try_push(&ring, &tasks[i]));
    ck_assert_ptr_null(runq_push_next(&ring, &tasks[0]));
    runq_drain(&ring, &list);
    ck_assert(runq_is_empty(&ring));
    ck_assert_uint_eq(list.count, 10);
    for (unsigned i = 0; i < 10; i++) ck_assert_ptr_eq(task_list_pop(&list), &tasks[i]);
    records_free(tasks);
}

/* ---- An owner who pushes and pops, and thieves: each task comes out exactly once ---- */

#define STORM_TASKS 200000
#define THIEVES 3

typedef struct storm {
    struct pintle_task *tasks;
    atomic_uchar *out;
    atomic_bool owner_done;
    atomic_uint taken, doubled;
    atomic_uint next_thief;
    uint64_t seed;
    struct runq *thief_rings;
} storm;

static void storm_take(storm *s, struct pintle_task *task) {
    if (atomic_fetch_add(&s->out[task->id], 1) != 0) atomic_fetch_add(&s->doubled, 1);
    atomic_fetch_add(&s->taken, 1);
}
static void storm_thief(void *arg) {
    storm *s = arg;
    struct runq *own = &s->thief_rings[atomic_fetch_add(&s->next_thief, 1)];
    for (;;) {
        bool done = atomic_load(&s->owner_done); /* before the last look */
        uint32_t count;
        struct pintle_task *task = runq_steal(own, &ring, &count);
        if (task != NULL) storm_take(s, task);
        while ((task = runq_pop(own)) != NULL) storm_take(s, task);
        if (done && runq_is_empty(&ring)) return;
    }
}

static void storm_run(void) {
    storm s = {.tasks = records(STORM_TASKS), .seed = test_seed()};
    helper_thread threads[THIEVES];
    helper_random random = helper_random_from(s.seed);
    s.out = calloc(STORM_TASKS, sizeof *s.out);
#if defined(_WIN32)
    s.thief_rings = _aligned_malloc(THIEVES * sizeof *s.thief_rings, 64);
#else
    ck_assert_int_eq(posix_memalign((void **)&s.thief_rings, 64, THIEVES * sizeof *s.thief_rings), 0);
#endif
    ck_assert(s.out != NULL && s.thief_rings != NULL);
    memset(s.thief_rings, 0, THIEVES * sizeof *s.thief_rings);
    for (int i = 0; i < THIEVES; i++) runq_init(&s.thief_rings[i], fences);
    rings_reset(UINT32_MAX - STORM_TASKS / 2); /* the counters wrap in the middle */
    for (int i = 0; i < THIEVES; i++) ck_assert(helper_thread_start(&threads[i], storm_thief, &s));
    for (unsigned i = 0; i < STORM_TASKS; i++) {
        struct task_list overflow = {0};
        struct pintle_task *task;
        if (helper_random_below(&random, 4) == 0) {
            if ((task = runq_push_next(&ring, &s.tasks[i])) != NULL) runq_push(&ring, task, &overflow);
        } else {
            runq_push(&ring, &s.tasks[i], &overflow);
        }
        while ((task = task_list_pop(&overflow)) != NULL) storm_take(&s, task);
        for (unsigned pops = helper_random_below(&random, 3); pops > 0; pops--) {
            task = helper_random_below(&random, 3) == 0 ? runq_pop_next(&ring) : runq_pop(&ring);
            if (task != NULL) storm_take(&s, task);
        }
    }
    atomic_store(&s.owner_done, true);
    for (int i = 0; i < THIEVES; i++) helper_thread_join(&threads[i]);
    ck_assert_uint_eq(s.doubled, 0);
    ck_assert_uint_eq(s.taken, STORM_TASKS);
    ck_assert(runq_is_empty(&ring));
    records_free(s.tasks);
    free(s.out);
#if defined(_WIN32)
    _aligned_free(s.thief_rings);
#else
    free(s.thief_rings);
#endif
}
CASE_TIMEOUT(ring_with_thieves_gives_each_task_once, 60) { storm_run(); }
/* Where the system has no such fence, the same once more. */
CASE_TIMEOUT(ring_whose_owner_is_mostly_alone_gives_each_task_once, 120) {
    fences = os_fence_init();
    storm_run();
    fences = false;
}
