/* memory.c: see memory.h. */
#include "memory.h"

#include "atomic.h"
#include "fail.h"

#if defined(PINTLE_DEBUG_CHECKS)
static _Atomic uint64_t blocks;

static void *counted(void *block) {
    if (block != NULL) atomic_add_relaxed(&blocks, 1);
    return block;
}
static void uncount(const void *block) {
    if (block != NULL) CHECK(atomic_sub_relaxed(&blocks, 1) != 0);
}
uint64_t memory_blocks(void) { return atomic_load_relaxed(&blocks); }
#else
static inline void *counted(void *block) { return block; }
static inline void uncount(const void *block) { (void)block; }
uint64_t memory_blocks(void) { return 0; }
#endif

void *memory_alloc(size_t bytes) { return fail_now(FAIL_MEMORY) ? NULL : counted(malloc(bytes)); }

void *memory_alloc_zero(size_t bytes) { return fail_now(FAIL_MEMORY) ? NULL : counted(calloc(1, bytes)); }

void *memory_resize(void *block, size_t bytes) {
    void *resized = fail_now(FAIL_MEMORY) ? NULL : realloc(block, bytes);
    return block == NULL ? counted(resized) : resized;
}

void memory_free(void *block) {
    uncount(block);
    free(block);
}

/* C11's aligned_alloc is missing on Windows. The word before the block remembers what malloc gave. */
void *memory_alloc_aligned(size_t bytes) {
    char *raw = memory_alloc(bytes + CACHE_LINE + sizeof(void *));
    uintptr_t aligned;
    if (raw == NULL) return NULL;
    aligned = ((uintptr_t)raw + sizeof(void *) + CACHE_LINE - 1) & ~(uintptr_t)(CACHE_LINE - 1);
    ((void **)aligned)[-1] = raw;
    return (void *)aligned;
}

void memory_free_aligned(void *block) {
    if (block != NULL) memory_free(((void **)block)[-1]);
}
