/* test_record.c: the pool of records, one by one, in lots, in small chunks and in larger ones. */
#include "api/api_helpers.h"

#include "record.h"

enum { MANY = 40000 }; /* more than fit into the small chunks */

static struct pintle_task *tasks[MANY + RECORDS_LOT];
static unsigned visited;

static void count_idle(struct pintle_task *task) { visited += atomic_load(&task->state) == TASK_IDLE; }

static unsigned visit_all(void) {
    visited = 0;
    record_each_task(count_idle);
    return visited;
}

/* Takes lots until there are `count` or a few more; how many. */
static unsigned take_lots(unsigned count) {
    unsigned taken = 0;
    while (taken < count) {
        uint32_t lot, seen = 0;
        struct pintle_task *task = records_take(&lot);
        ck_assert_ptr_nonnull(task);
        ck_assert_uint_le(lot, RECORDS_LOT);
        for (; task != NULL; task = task->next) tasks[taken + seen++] = task;
        ck_assert_uint_eq(seen, lot);
        taken += lot;
    }
    return taken;
}

/* A record has a mark while it is taken: nobody else is given it. */
static void mark(unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        ck_assert_uint_eq(tasks[i]->id, 0);
        ck_assert_ptr_null(tasks[i]->stack_base);
        tasks[i]->id = i + 1;
    }
}

static void give_lots(unsigned count) {
    for (unsigned i = 0; i < count; i += RECORDS_LOT) {
        for (unsigned k = i; k < i + RECORDS_LOT; k++) {
            tasks[k]->id = 0;
            tasks[k]->next = k + 1 < i + RECORDS_LOT ? tasks[k + 1] : NULL;
        }
        records_give(tasks[i]);
    }
}

CASE(records_given_in_lots_are_taken_again_before_memory_is) {
    unsigned count = take_lots(MANY) / RECORDS_LOT * RECORDS_LOT;
    mark(count);
    uint64_t held = record_bytes_held();
    ck_assert_uint_ge(held, (uint64_t)count * sizeof *tasks[0]);
    ck_assert_uint_lt(held, (uint64_t)count * sizeof *tasks[0] + (1 << 20));
    ck_assert_uint_ge(visit_all(), count);
    for (int round = 0; round < 3; round++) {
        give_lots(count);
        ck_assert_uint_eq(take_lots(count), count);
        mark(count);
        ck_assert_uint_eq(record_bytes_held(), held);
    }
    records_destroy();
    ck_assert_uint_eq(record_bytes_held(), 0);
    ck_assert_uint_eq(visit_all(), 0);
}

CASE(records_are_taken_one_by_one_out_of_lots) {
    unsigned count = take_lots(RECORDS_LOT) / RECORDS_LOT * RECORDS_LOT;
    mark(count);
    uint64_t held = record_bytes_held();
    give_lots(count);
    for (unsigned i = 0; i < count; i++) tasks[i] = record_take();
    mark(count);
    for (unsigned i = 0; i < count; i++) {
        tasks[i]->id = 0;
        record_give(tasks[i]);
    }
    ck_assert_uint_eq(take_lots(count), count); /* one at a time now */
    mark(count);
    ck_assert_uint_eq(record_bytes_held(), held);
    records_destroy();
}

CASE(few_records_take_few_bytes) {
    take_lots(100);
    ck_assert_uint_le(record_bytes_held(), 128 << 10);
    records_destroy();
}
