/* memory.h: the library's heap: all its allocations, on each platform, so that there is one place where they are counted
 * and made to fail (fail.h), in debug builds. Stacks are not from here: os_reserve.
 * Threads: any. Locks: the C library's. Tests: tests/unit/test_fail.c. */
#ifndef PINTLE_SRC_MEMORY_H
#define PINTLE_SRC_MEMORY_H

#include "base.h"

/* NULL: there is none left. */
void *memory_alloc(size_t bytes);
void *memory_alloc_zero(size_t bytes);
/* As realloc: the old block stays if there is no memory. */
void *memory_resize(void *block, size_t bytes);
/* NULL is fine. */
void memory_free(void *block);

/* Aligned to a cache line; memory_free_aligned takes it. */
void *memory_alloc_aligned(size_t bytes);
void memory_free_aligned(void *block);

/* Blocks that are in use. Debug builds only: 0 elsewhere. */
uint64_t memory_blocks(void);

#endif
