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
    COLOR_BYTES = 2 * CACHE_LINE,
    TRIM_BATCH = 32, /* stacks that are out of the pool while they are trimmed */
    TRIM_MOST = 128  /* in one stack_trim_idle */
};

struct slab {
    struct slab *next;
    char *base;
    size_t bytes;
    uint32_t count;          /* of stacks */
    uint32_t prepared;       /* of those, by os_stacks_prepare, */
    size_t limit_offset;     /* whose last batch's limits lie so far above the stacks' ends */
    _Atomic uint32_t carved; /* ever taken; release after the record is ready */
    int size_class;
};

#define POOL \
    { .lock = LOCK_INIT(RANK_POOL) }
#define POOLS_4 POOL, POOL, POOL, POOL

/* A free stack is in one of three lists, and taken from the first that has one. `free` gets what is given back; a
 * stack_trim_idle that has nothing left to trim moves it to `cold`; what the next one still finds there, it trims and moves
 * to `trimmed`. So a stack is trimmed once, after it has not been used between two of those calls. */
static struct pool {
    struct lock lock;
    struct pintle_task *free, *cold, *trimmed;
    _Atomic(struct slab *)
        slabs; /* newest first: only the first has stacks left to carve; others walk them without the lock */
} pools[CLASSES] = {POOLS_4, POOLS_4, POOLS_4, POOLS_4};
static _Atomic uint64_t held_bytes;
static _Atomic uint32_t stacks; /* prepared, of all classes; a hint for os_stacks_prepare */

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
    SANITIZE_MEMORY_FRESH(slab->base, slab->bytes);
    slab->next = atomic_load_relaxed(&pool->slabs);
    atomic_store_release(&pool->slabs, slab); /* pairs with stack_each_task */
    atomic_add_relaxed(&held_bytes, slab->bytes);
    return 0;
}

static void canary_put(struct pintle_task *task);

static int prepare_locked(struct slab *slab, size_t bytes) {
    char *base = slab->base + slab->prepared * bytes;
    uint32_t count = slab->count - slab->prepared;
    void *limit;
    int os_code = os_stacks_prepare(base, bytes, TOP_BYTES, atomic_load_relaxed(&stacks), &count, &limit);
    if (os_code != 0) {
        char message[128];
        os_error_text(os_code, message, sizeof message);
        return error_set(PINTLE_ENOMEM, os_code, "no memory for a task's stack of %zu bytes: %s", bytes, message);
    }
    slab->limit_offset = (size_t)((char *)limit - base);
    slab->prepared += count;
    atomic_add_relaxed(&stacks, count);
    return 0;
}

static int carve_locked(struct pool *pool, int size_class, struct pintle_task **out) {
    struct slab *slab = atomic_load_relaxed(&pool->slabs);
    size_t bytes = class_bytes(size_class);
    struct pintle_task *task;
    uint32_t index;
    int result;
    if (slab == NULL || atomic_load_relaxed(&slab->carved) == slab->count) {
        if ((result = slab_new_locked(pool, size_class)) != 0) return result;
        slab = atomic_load_relaxed(&pool->slabs);
    }
    index = atomic_load_relaxed(&slab->carved);
    if (index == slab->prepared && (result = prepare_locked(slab, bytes)) != 0) return result;
    task = record_at(slab, index);
    memset(task, 0, sizeof *task);
    task->stack_base = task;
    task->stack_reserve = slab->base + index * bytes;
    task->stack_limit = (char *)task->stack_reserve + slab->limit_offset;
    task->stack_guarantee = OS_STACK_GUARANTEE_BYTES;
    task->size_class = (uint8_t)size_class;
    canary_put(task);
    SANITIZE_STACK_MADE(task->stack_limit, task->stack_base, task);
    atomic_store_release(&slab->carved, index + 1); /* pairs with stack_each_task */
    *out = task;
    return 0;
}

static struct pintle_task *pop(struct pintle_task **list) {
    struct pintle_task *task = *list;
    if (task != NULL) *list = task->next;
    return task;
}

int stack_take(int size_class, struct pintle_task **out) {
    struct pool *pool = &pools[size_class];
    struct pintle_task *task;
    int result = 0;
    lock_acquire(&pool->lock);
    task = pop(&pool->free);
    if (task == NULL) task = pop(&pool->cold);
    if (task == NULL) task = pop(&pool->trimmed);
    if (task == NULL) result = carve_locked(pool, size_class, &task);
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

/* Takes up to TRIM_BATCH cold stacks, trims them, and puts them into `trimmed`; how many they were. */
static uint32_t trim_batch(struct pool *pool, size_t bytes) {
    struct pintle_task *first = NULL, *last = NULL, *task;
    uint32_t count = 0;
    lock_acquire(&pool->lock);
    while (count < TRIM_BATCH && (task = pop(&pool->cold)) != NULL) {
        task->next = first;
        first = task;
        if (last == NULL) last = task;
        count++;
    }
    lock_release(&pool->lock);
    if (count == 0) return 0;
    /* A failure leaves the stack as it was: there is nothing to do about it. */
    for (task = first; task != NULL; task = task->next)
        (void)os_stack_trim(task->stack_reserve, bytes, TOP_BYTES, &task->stack_limit);
    lock_acquire(&pool->lock);
    last->next = pool->trimmed;
    pool->trimmed = first;
    lock_release(&pool->lock);
    return count;
}

bool stack_trim_idle(void) {
    uint32_t trimmed, left = TRIM_MOST;
    for (int size_class = 0; size_class < CLASSES; size_class++) {
        struct pool *pool = &pools[size_class];
        while ((trimmed = trim_batch(pool, class_bytes(size_class))) != 0) {
            left -= trimmed;
            if (left < TRIM_BATCH) return true;
        }
    }
    for (int size_class = 0; size_class < CLASSES; size_class++) {
        struct pool *pool = &pools[size_class];
        lock_acquire(&pool->lock);
        if (pool->cold == NULL) {
            pool->cold = pool->free;
            pool->free = NULL;
        }
        lock_release(&pool->lock);
    }
    return false;
}

bool stack_trim_wanted(void) {
    bool wanted = false;
    for (int size_class = 0; size_class < CLASSES && !wanted; size_class++) {
        struct pool *pool = &pools[size_class];
        lock_acquire(&pool->lock);
        wanted = pool->free != NULL || pool->cold != NULL;
        lock_release(&pool->lock);
    }
    return wanted;
}

void stack_each_task(void (*visit)(struct pintle_task *task)) {
    for (int size_class = 0; size_class < CLASSES; size_class++) {
        /* Slabs are only added, in front. */
        struct slab *slab = atomic_load_acquire(&pools[size_class].slabs);
        for (; slab != NULL; slab = slab->next) {
            uint32_t carved = atomic_load_acquire(&slab->carved);
            for (uint32_t i = 0; i < carved; i++) visit(record_at(slab, i));
        }
    }
}

void stack_check_records(void (*visit)(struct pintle_task *task, void *context), void *context) {
    for (int size_class = 0; size_class < CLASSES; size_class++) {
        struct slab *slab = atomic_load_acquire(&pools[size_class].slabs);
        for (; slab != NULL; slab = slab->next) {
            uint32_t carved = atomic_load_acquire(&slab->carved);
            for (uint32_t i = 0; i < carved; i++) visit(record_at(slab, i), context);
        }
    }
}

/* ---- Debug builds ---- */

#if defined(PINTLE_DEBUG_CHECKS)

#define CANARY UINT64_C(0xCAFED00DCAFED00D)
enum { CANARIES = 4096 }; /* each costs a page, and a million tasks are not to cost 4 GB */

/* Where stacks are committed as touched. Where they grow by a guard page (Windows), that page moves ahead of the stack
 * down to the low end, which cannot be written. */
static void canary_put(struct pintle_task *task) {
    static _Atomic uint32_t count;
    uint64_t *lowest = (uint64_t *)task->stack_limit;
    if ((char *)lowest != (char *)task->stack_reserve + os_page_bytes()) return;
    if (atomic_add_relaxed(&count, 1) >= CANARIES) return;
    task->canary = lowest;
    *lowest = CANARY;
}

static bool canary_lives(const struct pintle_task *task) {
    return task->canary == NULL || *task->canary == CANARY || *task->canary == 0;
}

void task_check_stack(const struct pintle_task *task) {
    if (canary_lives(task)) return;
    fatal("task %llu '%s' has used its stack to the end, or something has written there", (unsigned long long)task->id,
          task->name);
}

const char *task_record_breach(const struct pintle_task *task) {
    if (task->stack_base != task) return "its record or its stack's bounds are overwritten";
    if (atomic_load_relaxed(&task->state) > TASK_DEAD) return "its state is none";
    if (!canary_lives(task)) return "the low end of its stack is overwritten";
    return NULL;
}

void task_poison(struct pintle_task *task) {
    if (task->is_poisoned) fatal("task %llu is freed twice", (unsigned long long)task->id);
    task_check_stack(task);
    task->is_poisoned = true;
    task->fn = (pintle_fn *)TASK_POISON;
    task->arg = task->spawned_at = (void *)TASK_POISON;
}

void task_unpoison(struct pintle_task *task) {
    if (!task->is_poisoned) return; /* a new one */
    CHECK(task->fn == (pintle_fn *)TASK_POISON && task->arg == (void *)TASK_POISON &&
          task->spawned_at == (void *)TASK_POISON);
    CHECK(atomic_load_relaxed(&task->state) == TASK_IDLE);
    task->is_poisoned = false;
}

#else
static void canary_put(struct pintle_task *task) { (void)task; }
#endif

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
            struct slab *slab = atomic_load_relaxed(&pool->slabs);
            pool->slabs = slab->next;
            if (!holds_left_behind(slab)) {
                free_errors(slab);
                for (uint32_t i = 0; i < atomic_load_relaxed(&slab->carved); i++)
                    SANITIZE_STACK_GONE(record_at(slab, i));
                os_release(slab->base, slab->bytes);
            }
            memory_free(slab);
        }
        pool->free = pool->cold = pool->trimmed = NULL;
    }
    atomic_store_relaxed(&held_bytes, 0);
    atomic_store_relaxed(&stacks, 0);
}
