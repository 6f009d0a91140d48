/* record.c: see record.h. */
#include "record.h"

#include "lock.h"
#include "memory.h"
#include "os.h"

/* From the system, which zeroes it: what nobody has taken is not touched. Where there are many already, its pages come
 * together, which takes half the time of one by one. */
enum {
    CHUNK_BYTES = 64 << 10,
    PRESENT_CHUNK_BYTES = 128 << 10,
    PRESENT_FROM_BYTES = 1 << 20,
    FRESH_LOT = 16 /* records made at a time */
};

struct chunk {
    struct chunk *next;
    size_t bytes;
    uint32_t count;
    _Atomic uint32_t made; /* release, once the records are ready; pairs with the walkers */
    alignas(CACHE_LINE) struct pintle_task records[];
};

static struct lock pool_lock = LOCK_INIT(RANK_POOL);
static struct pintle_task *lots;       /* chains of RECORDS_LOT, through next_lot */
static struct pintle_task *singles;    /* through next */
static _Atomic(struct chunk *) chunks; /* newest first: only the first has records left to make */
static _Atomic uint64_t held_bytes;
_Atomic uint32_t records_kept_most = 2 * RECORDS_LOT;

static struct chunk *chunk_new_locked(void) {
    bool many = atomic_load_relaxed(&held_bytes) >= PRESENT_FROM_BYTES;
    size_t bytes = many ? PRESENT_CHUNK_BYTES : CHUNK_BYTES;
    struct chunk *chunk = many ? os_pages_new_present(bytes) : os_pages_new(bytes);
    if (chunk == NULL) return NULL;
    SANITIZE_ROOT_MADE(chunk, bytes);
    chunk->bytes = bytes;
    chunk->count = (uint32_t)((bytes - offsetof(struct chunk, records)) / sizeof chunk->records[0]);
    chunk->next = atomic_load_relaxed(&chunks);
    atomic_store_release(&chunks, chunk);
    atomic_add_relaxed(&held_bytes, bytes);
    return chunk;
}

/* A chain of records never used before; none: no memory. */
static struct pintle_task *make_locked(uint32_t most, uint32_t *out_count) {
    struct chunk *chunk = atomic_load_relaxed(&chunks);
    uint32_t made = chunk != NULL ? atomic_load_relaxed(&chunk->made) : 0, count = most;
    *out_count = 0;
    if (chunk == NULL || made == chunk->count) {
        if ((chunk = chunk_new_locked()) == NULL) return NULL;
        made = 0;
    }
    if (count > chunk->count - made) count = chunk->count - made;
    struct pintle_task *first = &chunk->records[made];
    for (uint32_t i = 0; i + 1 < count; i++) first[i].next = &first[i + 1];
    first[count - 1].next = NULL;
    atomic_store_release(&chunk->made, made + count);
    *out_count = count;
    return first;
}

struct pintle_task *records_take(uint32_t *out_count) {
    struct pintle_task *first;
    lock_acquire(&pool_lock);
    if ((first = lots) != NULL) {
        lots = first->next_lot;
        *out_count = RECORDS_LOT;
    } else if ((first = singles) != NULL) {
        singles = first->next;
        first->next = NULL;
        *out_count = 1;
    } else {
        first = make_locked(FRESH_LOT, out_count);
    }
    lock_release(&pool_lock);
    return first;
}

struct pintle_task *record_take(void) {
    struct pintle_task *task;
    uint32_t count;
    lock_acquire(&pool_lock);
    if ((task = singles) != NULL) {
        singles = task->next;
    } else if ((task = lots) != NULL) { /* the others are single from now on */
        lots = task->next_lot;
        singles = task->next;
    } else {
        task = make_locked(1, &count);
    }
    lock_release(&pool_lock);
    return task;
}

void record_give(struct pintle_task *task) {
    lock_acquire(&pool_lock);
    task->next = singles;
    singles = task;
    lock_release(&pool_lock);
}

void records_give(struct pintle_task *first) {
    lock_acquire(&pool_lock);
    first->next_lot = lots;
    lots = first;
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
    lots = singles = NULL;
    for (; chunk != NULL; chunk = next) {
        next = chunk->next;
        if (holds_left_behind(chunk)) continue;
        /* Of tasks that have ended and that nobody has joined. */
        for (uint32_t i = 0; i < atomic_load_relaxed(&chunk->made); i++) memory_free(chunk->records[i].error);
        SANITIZE_ROOT_GONE(chunk, chunk->bytes);
        os_pages_free(chunk, chunk->bytes);
    }
    atomic_store_relaxed(&held_bytes, 0);
    atomic_store_relaxed(&records_kept_most, 2 * RECORDS_LOT);
}
