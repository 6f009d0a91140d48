/* stack.c: see stack.h. */
#include "stack.h"

#include "error.h"
#include "memory.h"
#include "os.h"

enum {
    SMALLEST_SHIFT = 16, /* 64 KB: Windows' allocation granularity */
    CLASSES = 16,        /* to 2 GB */
    SLAB_BYTES = 16 << 20,
    TOP_BYTES = 8 << 10, /* committed at once: the record and a first frame or two */
    COLORS = 8,
    COLOR_BYTES = 2 * CACHE_LINE
};

struct slab {
    struct slab *next;
    char *base;
    size_t bytes;
    uint32_t count;          /* of stacks */
    _Atomic uint32_t carved; /* of those, ever taken; release after the record is ready */
    int size_class;
};

static struct pool {
    struct lock lock;
    struct pintle_task *free;
    struct slab *slabs; /* newest first: only the first has stacks left to carve */
} pools[CLASSES];
static _Atomic uint64_t held_bytes;

static size_t class_bytes(int size_class) { return (size_t)1 << (SMALLEST_SHIFT + size_class); }

int stack_class(size_t stack_bytes) {
    for (int size_class = 0; size_class < CLASSES; size_class++) {
        if (class_bytes(size_class) >= stack_bytes) return size_class;
    }
    return -1;
}

static struct pintle_task *record_at(const struct slab *slab, uint32_t index) {
    size_t bytes = class_bytes(slab->size_class);
    char *top = slab->base + (size_t)(index + 1) * bytes;
    return (struct pintle_task *)(void *)(top - sizeof(struct pintle_task) - index % COLORS * COLOR_BYTES);
}

static int slab_new_locked(struct pool *pool, int size_class) {
    struct slab *slab = memory_alloc_zero(sizeof *slab);
    size_t bytes = class_bytes(size_class);
    if (slab == NULL) return error_set(PINTLE_ENOMEM, 0, "no memory for a task");
    slab->bytes = bytes > SLAB_BYTES ? bytes : SLAB_BYTES;
    slab->count = (uint32_t)(slab->bytes / bytes);
    slab->size_class = size_class;
    slab->base = os_reserve(slab->bytes);
    if (slab->base == NULL) {
        memory_free(slab);
        return error_set(PINTLE_ENOMEM, 0, "no address space for a task's stack of %zu bytes", bytes);
    }
    slab->next = pool->slabs;
    pool->slabs = slab;
    atomic_add_relaxed(&held_bytes, slab->bytes);
    return 0;
}

static int carve_locked(struct pool *pool, int size_class, struct pintle_task **out) {
    struct slab *slab = pool->slabs;
    size_t bytes = class_bytes(size_class);
    struct pintle_task *task;
    uint32_t index;
    void *limit;
    int os_code;
    if (slab == NULL || atomic_load_relaxed(&slab->carved) == slab->count) {
        int result = slab_new_locked(pool, size_class);
        if (result != 0) return result;
        slab = pool->slabs;
    }
    index = atomic_load_relaxed(&slab->carved);
    os_code = os_stack_prepare(slab->base + index * bytes, bytes, TOP_BYTES, &limit);
    if (os_code != 0) {
        char message[128];
        os_error_text(os_code, message, sizeof message);
        return error_set(PINTLE_ENOMEM, os_code, "no memory for a task's stack of %zu bytes: %s", bytes, message);
    }
    task = record_at(slab, index);
    memset(task, 0, sizeof *task);
    task->stack_base = task;
    task->stack_limit = limit;
    task->stack_reserve = slab->base + index * bytes;
    task->stack_guarantee = OS_STACK_GUARANTEE_BYTES;
    task->size_class = (uint8_t)size_class;
    atomic_store_release(&slab->carved, index + 1); /* pairs with stack_each_task */
    *out = task;
    return 0;
}

int stack_take(int size_class, struct pintle_task **out) {
    struct pool *pool = &pools[size_class];
    struct pintle_task *task;
    int result = 0;
    pool->lock.rank = RANK_POOL;
    lock_acquire(&pool->lock);
    task = pool->free;
    if (task != NULL) {
        pool->free = task->next;
    } else {
        result = carve_locked(pool, size_class, &task);
    }
    lock_release(&pool->lock);
    *out = result == 0 ? task : NULL;
    return result;
}

void stack_give(int size_class, struct pintle_task *first, struct pintle_task *last) {
    struct pool *pool = &pools[size_class];
    lock_acquire(&pool->lock);
    last->next = pool->free;
    pool->free = first;
    lock_release(&pool->lock);
}

void stack_each_task(void (*visit)(struct pintle_task *task)) {
    for (int size_class = 0; size_class < CLASSES; size_class++) {
        struct pool *pool = &pools[size_class];
        struct slab *slab;
        pool->lock.rank = RANK_POOL;
        lock_acquire(&pool->lock);
        slab = pool->slabs; /* slabs are only added, in front */
        lock_release(&pool->lock);
        for (; slab != NULL; slab = slab->next) {
            uint32_t carved = atomic_load_acquire(&slab->carved);
            for (uint32_t i = 0; i < carved; i++) visit(record_at(slab, i));
        }
    }
}

uint64_t stack_bytes_held(void) { return atomic_load_relaxed(&held_bytes); }

/* A task that is in a foreign call still, after the runtime has stopped, keeps its slab. */
static bool holds_left_behind(const struct slab *slab) {
    uint32_t carved = atomic_load_relaxed(&slab->carved);
    for (uint32_t i = 0; i < carved; i++) {
        if (task_is(record_at(slab, i), TASK_LEFT_BEHIND)) return true;
    }
    return false;
}

/* Of tasks that have ended and that nobody has joined. */
static void free_errors(const struct slab *slab) {
    uint32_t carved = atomic_load_relaxed(&slab->carved);
    for (uint32_t i = 0; i < carved; i++) memory_free(record_at(slab, i)->error);
}

void stack_destroy(void) {
    for (int size_class = 0; size_class < CLASSES; size_class++) {
        struct pool *pool = &pools[size_class];
        while (pool->slabs != NULL) {
            struct slab *slab = pool->slabs;
            pool->slabs = slab->next;
            if (!holds_left_behind(slab)) {
                free_errors(slab);
                os_release(slab->base, slab->bytes);
            }
            memory_free(slab);
        }
        pool->free = NULL;
    }
    atomic_store_relaxed(&held_bytes, 0);
}
