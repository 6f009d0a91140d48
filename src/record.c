/* record.c: see record.h. */
#include "record.h"

#include "lock.h"
#include "memory.h"

enum { CHUNK_BYTES = 64 << 10, CHUNK_RECORDS = (CHUNK_BYTES - CACHE_LINE) / sizeof(struct pintle_task) };

struct chunk {
    struct chunk *next;
    _Atomic uint32_t made; /* release, once the record is ready; pairs with the walkers */
    alignas(CACHE_LINE) struct pintle_task records[CHUNK_RECORDS];
};

static struct lock pool_lock = LOCK_INIT(RANK_POOL);
static struct pintle_task *pool;
static _Atomic(struct chunk *) chunks; /* newest first: only the first has records left to make */
static _Atomic uint64_t held_bytes;

static struct pintle_task *make_locked(void) {
    struct chunk *chunk = atomic_load_relaxed(&chunks);
    uint32_t made = chunk != NULL ? atomic_load_relaxed(&chunk->made) : CHUNK_RECORDS;
    if (made == CHUNK_RECORDS) {
        struct chunk *fresh = memory_alloc_aligned(sizeof *fresh);
        if (fresh == NULL) return NULL;
        made = 0;
        atomic_store_relaxed(&fresh->made, 0);
        fresh->next = chunk;
        atomic_store_release(&chunks, fresh);
        atomic_add_relaxed(&held_bytes, sizeof *fresh);
        chunk = fresh;
    }
    struct pintle_task *task = &chunk->records[made];
    memset(task, 0, sizeof *task);
    atomic_store_release(&chunk->made, made + 1);
    return task;
}

struct pintle_task *record_take(void) {
    struct pintle_task *task;
    lock_acquire(&pool_lock);
    task = pool;
    if (task != NULL) {
        pool = task->next;
    } else {
        task = make_locked();
    }
    lock_release(&pool_lock);
    return task;
}

void records_give(struct pintle_task *first, struct pintle_task *last) {
    lock_acquire(&pool_lock);
    last->next = pool;
    pool = first;
    lock_release(&pool_lock);
}

void record_each(void (*visit)(struct pintle_task *task, void *context), void *context) {
    for (struct chunk *chunk = atomic_load_acquire(&chunks); chunk != NULL; chunk = chunk->next) {
        uint32_t made = atomic_load_acquire(&chunk->made);
        for (uint32_t i = 0; i < made; i++) visit(&chunk->records[i], context);
    }
}

static void visit_without(struct pintle_task *task, void *context) {
    (*(void (**)(struct pintle_task *))context)(task);
}

void record_each_task(void (*visit)(struct pintle_task *task)) { record_each(visit_without, &visit); }

uint64_t record_bytes_held(void) { return atomic_load_relaxed(&held_bytes); }

static bool holds_left_behind(const struct chunk *chunk) {
    uint32_t made = atomic_load_relaxed(&chunk->made);
    for (uint32_t i = 0; i < made; i++) {
        if (task_is((struct pintle_task *)&chunk->records[i], TASK_LEFT_BEHIND)) return true;
    }
    return false;
}

void records_destroy(void) {
    struct chunk *chunk = atomic_load_relaxed(&chunks), *next;
    atomic_store_relaxed(&chunks, NULL);
    pool = NULL;
    for (; chunk != NULL; chunk = next) {
        next = chunk->next;
        if (holds_left_behind(chunk)) continue;
        /* Of tasks that have ended and that nobody has joined. */
        for (uint32_t i = 0; i < atomic_load_relaxed(&chunk->made); i++) memory_free(chunk->records[i].error);
        memory_free_aligned(chunk);
    }
    atomic_store_relaxed(&held_bytes, 0);
}
