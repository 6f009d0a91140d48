/* stack.c: see stack.h. */
#include "stack.h"

#include "arch.h"
#include "error.h"
#include "memory.h"
#include "os.h"
#include "processor.h"

enum {
    SMALLEST_SHIFT = 16, /* 64 KB: Windows' allocation granularity */
    CLASSES = 16,        /* to 2 GB */
    DEFAULT_STACK_BYTES = 256 << 10,
    SLAB_BYTES = 16 << 20,
    TOP_BYTES = 8 << 10, /* committed at once: the header and a first frame or two */
    HEADER_BYTES = (sizeof(struct stack) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE,
    COLORS = 8,
    COLOR_BYTES = 2 * CACHE_LINE,
    TRIM_BATCH = 32, /* stacks that are out of the pool while they are trimmed */
    TRIM_MOST = 128  /* in one stack_trim_idle */
};

struct slab {
    struct slab *next, *newer;
    char *base;
    size_t bytes;
    uint32_t count;      /* of stacks */
    uint32_t prepared;   /* of those, by os_stacks_prepare, */
    size_t limit_offset; /* the limits lie so far above the stacks' ends */
    uint32_t carved;     /* ever taken */
    uint32_t before; /* stacks there were when it was made: all of a slab are prepared alike, with one limit_offset */
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
    struct stack *free, *cold, *trimmed;
    struct slab *slabs; /* newest first: only the first has stacks left to prepare */
    struct slab *fresh; /* the oldest that has stacks left to carve */
    uint64_t prepared, promised;
    uint64_t kept_most; /* what processors may keep for themselves */
} pools[CLASSES] = {POOLS_4, POOLS_4, POOLS_4, POOLS_4};
static _Atomic uint64_t held_bytes;
static _Atomic uint32_t stacks; /* prepared, of all classes; a hint for os_stacks_prepare */
enum { PROMISES_MOST = 2 * PROMISES_KEPT };
int stack_default_class;
_Atomic uint32_t stack_promises_most = PROMISES_MOST; /* 0: a hint, somebody was refused */

static size_t class_bytes(int size_class) { return (size_t)1 << (SMALLEST_SHIFT + size_class); }

int stack_class(size_t stack_bytes) {
    if (stack_bytes == 0) return stack_default_class;
    for (int size_class = 0; size_class < CLASSES; size_class++) {
        if (class_bytes(size_class) >= stack_bytes) return size_class;
    }
    return -1;
}

bool stack_set_default(size_t stack_bytes, uint32_t processors) {
    int size_class = stack_class(stack_bytes != 0 ? stack_bytes : DEFAULT_STACK_BYTES);
    if (size_class < 0) return false;
    stack_default_class = size_class;
    pools[size_class].kept_most = (uint64_t)processors * STACKS_KEPT;
    return true;
}

/* ---- Promises ---- */

static int slab_new_locked(struct pool *pool, int size_class) {
    struct slab *slab = memory_alloc_zero(sizeof *slab);
    size_t bytes = class_bytes(size_class);
    if (slab == NULL) return error_set(PINTLE_ENOMEM, 0, "no memory for a task");
    slab->bytes = bytes > SLAB_BYTES ? bytes : SLAB_BYTES;
    slab->count = (uint32_t)(slab->bytes / bytes);
    slab->size_class = size_class;
    slab->before = atomic_load_relaxed(&stacks);
    slab->base = os_reserve(slab->bytes);
    if (slab->base == NULL) {
        memory_free(slab);
        return error_set(PINTLE_ENOMEM, 0, "no address space for a task's stack of %zu bytes", bytes);
    }
    SANITIZE_MEMORY_FRESH(slab->base, slab->bytes);
    slab->next = pool->slabs;
    if (slab->next != NULL) slab->next->newer = slab;
    pool->slabs = slab;
    if (pool->fresh == NULL) pool->fresh = slab;
    atomic_add_relaxed(&held_bytes, slab->bytes);
    return 0;
}

static int prepare_locked(struct pool *pool, int size_class) {
    struct slab *slab = pool->slabs;
    size_t bytes = class_bytes(size_class);
    if (slab == NULL || slab->prepared == slab->count) {
        int result = slab_new_locked(pool, size_class);
        if (result != 0) return result;
        slab = pool->slabs;
    }
    char *base = slab->base + slab->prepared * bytes;
    uint32_t count = slab->count - slab->prepared;
    void *limit;
    int os_code = os_stacks_prepare(base, bytes, TOP_BYTES, slab->before, &count, &limit);
    if (os_code != 0) {
        char message[128];
        os_error_text(os_code, message, sizeof message);
        return error_set(PINTLE_ENOMEM, os_code, "no memory for a task's stack of %zu bytes: %s", bytes, message);
    }
    slab->limit_offset = (size_t)((char *)limit - base);
    slab->prepared += count;
    pool->prepared += count;
    atomic_add_relaxed(&stacks, count);
    return 0;
}

static int promise_locked(struct pool *pool, int size_class, uint32_t count) {
    int result = 0;
    while (pool->prepared < pool->promised + count + pool->kept_most && result == 0) {
        result = prepare_locked(pool, size_class);
    }
    if (result == 0) pool->promised += count;
    return result;
}

int stack_promise_slow(struct processor *processor, int size_class) {
    struct pool *pool = &pools[size_class];
    bool keeps = processor != NULL && size_class == stack_default_class &&
                 atomic_load_relaxed(&stack_promises_most) != 0;
    uint32_t count = keeps ? PROMISES_KEPT : 1;
    int result;
    lock_acquire(&pool->lock);
    result = promise_locked(pool, size_class, count);
    if (result != 0 && count > 1) result = promise_locked(pool, size_class, count = 1);
    lock_release(&pool->lock);
    if (result == 0 && count > 1) processor->promises += count - 1;
    return result;
}

void stack_unpromise_slow(struct processor *processor, int size_class) {
    struct pool *pool = &pools[size_class];
    uint32_t count = 1;
    if (processor != NULL && size_class == stack_default_class) { /* it has as many as it may keep */
        count = atomic_load_relaxed(&stack_promises_most) != 0 ? PROMISES_KEPT : processor->promises + 1;
        processor->promises -= count - 1;
    }
    lock_acquire(&pool->lock);
    pool->promised -= count;
    lock_release(&pool->lock);
}

/* ---- Taking and giving ---- */

static struct stack *stack_at(const struct slab *slab, uint32_t index) {
    char *top = slab->base + (size_t)(index + 1) * class_bytes(slab->size_class);
    return (struct stack *)(void *)(top - HEADER_BYTES - index % COLORS * COLOR_BYTES);
}

static void canary_put(struct stack *stack);

static struct stack *carve_locked(struct pool *pool, int size_class) {
    struct slab *slab = pool->fresh;
    size_t bytes = class_bytes(size_class);
    while (slab != NULL && slab->carved == slab->count) slab = slab->newer;
    pool->fresh = slab;
    CHECK(slab != NULL && slab->carved < slab->prepared); /* it was promised */
    uint32_t index = slab->carved++;
    char *reserve = slab->base + index * bytes;
    struct stack *stack = stack_at(slab, index);
    os_stack_first_use(reserve, bytes);
    memset(stack, 0, sizeof *stack);
    stack->reserve = reserve;
    stack->limit = reserve + slab->limit_offset;
    stack->guarantee = OS_STACK_GUARANTEE_BYTES;
    stack->size_class = (uint8_t)size_class;
    stack->base.sp = (char *)stack - ARCH_BASE_BELOW;
    stack->base.pc = (void *)(uintptr_t)arch_base_unwound;
    canary_put(stack);
    SANITIZE_STACK_MADE(stack->limit, (void *)stack, stack);
    return stack;
}

static struct stack *pop(struct stack **list) {
    struct stack *stack = *list;
    if (stack != NULL) *list = stack->next;
    return stack;
}

struct stack *stack_take_slow(int size_class) {
    struct pool *pool = &pools[size_class];
    struct stack *stack;
    lock_acquire(&pool->lock);
    stack = pop(&pool->free);
    if (stack == NULL) stack = pop(&pool->cold);
    if (stack == NULL) stack = pop(&pool->trimmed);
    if (stack == NULL) stack = carve_locked(pool, size_class);
    if (pool->free != NULL) { /* whoever comes next: where its first frames will be, and its header */
        PREFETCH((char *)pool->free - CACHE_LINE);
        PREFETCH(pool->free);
        PREFETCH((char *)pool->free + CACHE_LINE);
    }
    lock_release(&pool->lock);
    return stack;
}

void stack_give_slow(struct stack *stack) {
    struct pool *pool = &pools[stack->size_class];
    lock_acquire(&pool->lock);
    stack->next = pool->free;
    pool->free = stack;
    lock_release(&pool->lock);
}

/* ---- Trimming ---- */

/* Takes up to TRIM_BATCH cold stacks, trims them, and puts them into `trimmed`; how many they were. */
static uint32_t trim_batch(struct pool *pool, size_t bytes) {
    struct stack *first = NULL, *last = NULL, *stack;
    uint32_t count = 0;
    lock_acquire(&pool->lock);
    while (count < TRIM_BATCH && (stack = pop(&pool->cold)) != NULL) {
        stack->next = first;
        first = stack;
        if (last == NULL) last = stack;
        count++;
    }
    lock_release(&pool->lock);
    if (count == 0) return 0;
    /* A failure leaves the stack as it was: there is nothing to do about it. */
    for (stack = first; stack != NULL; stack = stack->next)
        (void)os_stack_trim(stack->reserve, bytes, TOP_BYTES, &stack->limit);
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

/* ---- Debug builds ---- */

#if defined(PINTLE_DEBUG_CHECKS)

#define CANARY UINT64_C(0xCAFED00DCAFED00D)
enum { CANARIES = 4096 }; /* each costs a page, and a million tasks are not to cost 4 GB */

/* Where stacks are committed as touched. Where they grow by a guard page (Windows), that page moves ahead of the stack
 * down to the low end, which cannot be written. */
static void canary_put(struct stack *stack) {
    static _Atomic uint32_t count;
    uint64_t *lowest = (uint64_t *)stack->limit;
    if ((char *)lowest != (char *)stack->reserve + os_page_bytes()) return;
    if (atomic_add_relaxed(&count, 1) >= CANARIES) return;
    stack->canary = lowest;
    *lowest = CANARY;
}

static bool canary_lives(const struct stack *stack) {
    return stack == NULL || stack->canary == NULL || *stack->canary == CANARY || *stack->canary == 0;
}

void task_check_stack(const struct pintle_task *task) {
    if (canary_lives(task_stack(task))) return;
    fatal("task %llu '%s' has used its stack to the end, or something has written there", (unsigned long long)task->id,
          task->name);
}

const char *task_record_breach(const struct pintle_task *task) {
    /* The task may end meanwhile and its record begin another: whoever sees that one's reserve (release in task_begin) sees
     * its base then too, or none. The two belong together if the base is still the same. */
    _Atomic(void *) const *base_at = (_Atomic(void *) const *)&task->stack_base;
    const void *base = atomic_load_acquire(base_at);
    const void *reserve = atomic_load_acquire((_Atomic(void *) const *)&task->stack_reserve);
    bool is_wrong = base != NULL && ((uintptr_t)base % CACHE_LINE != 0 || base < reserve);
    if (is_wrong && atomic_load_relaxed(base_at) == base) {
        return "its record or its stack's bounds are overwritten";
    }
    if (atomic_load_relaxed(&task->state) > TASK_DEAD) return "its state is none";
    if (!canary_lives(base)) return "the low end of its stack is overwritten";
    return NULL;
}

void task_poison(struct pintle_task *task) {
    if (task_is(task, TASK_POISONED)) fatal("task %llu is freed twice", (unsigned long long)task->id);
    task_check_stack(task);
    atomic_fetch_or_explicit(&task->flags, TASK_POISONED, memory_order_relaxed);
    task->fn = (pintle_fn *)TASK_POISON;
    task->spawned_at = (void *)TASK_POISON;
}

void task_unpoison(struct pintle_task *task) {
    if (!task_is(task, TASK_POISONED)) return; /* a new one */
    CHECK(task->fn == (pintle_fn *)TASK_POISON && task->spawned_at == (void *)TASK_POISON);
    CHECK(atomic_load_relaxed(&task->state) == TASK_IDLE);
    atomic_fetch_and_explicit(&task->flags, ~(uint32_t)TASK_POISONED, memory_order_relaxed);
}

#else
static void canary_put(struct stack *stack) { (void)stack; }
#endif

uint64_t stack_bytes_held(void) { return atomic_load_relaxed(&held_bytes); }

/* A task that is in a foreign call still, after the runtime has stopped, keeps its slab. */
static bool holds_left_behind(const struct slab *slab) {
    for (uint32_t i = 0; i < slab->carved; i++) {
        struct pintle_task *task = stack_at(slab, i)->task;
        if (task != NULL && task_is(task, TASK_LEFT_BEHIND)) return true;
    }
    return false;
}

void stack_destroy(void) {
    for (int size_class = 0; size_class < CLASSES; size_class++) {
        struct pool *pool = &pools[size_class];
        while (pool->slabs != NULL) {
            struct slab *slab = pool->slabs;
            pool->slabs = slab->next;
            if (!holds_left_behind(slab)) {
                for (uint32_t i = 0; i < slab->carved; i++) SANITIZE_STACK_GONE(stack_at(slab, i));
                os_release(slab->base, slab->bytes);
            }
            memory_free(slab);
        }
        pool->free = pool->cold = pool->trimmed = NULL;
        pool->fresh = NULL;
        pool->prepared = pool->promised = pool->kept_most = 0;
    }
    atomic_store_relaxed(&held_bytes, 0);
    atomic_store_relaxed(&stack_promises_most, PROMISES_MOST);
    atomic_store_relaxed(&stacks, 0);
}
