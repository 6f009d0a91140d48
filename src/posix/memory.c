/* memory.c (POSIX): address space for slabs of stacks, and their guard pages.
 *
 * A slab is mapped readable and writable without a reservation of memory: a page costs memory once it is touched.
 * Huge pages are off in it, else the first touch of a stack would take 2 MB. Guard pages are markers in the page table
 * where the kernel has them (Linux 6.13): the slab stays one mapping, and the limit of 65,530 mappings
 * (vm.max_map_count) does not bound the number of stacks. Elsewhere mprotect splits the mapping at each guard, so after
 * GUARDED_MOST stacks only the lowest of the stacks that are prepared together has one.
 * Threads: any. Locks: none. Order: guard_markers is a hint, relaxed: who misses it tries once more.
 * Invariants: a reservation starts at a multiple of 64 KB. Tests: tests/unit/test_os.c, tests/posix/test_os_posix.c. */
#include <errno.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fail.h"
#include "os.h"

#if !defined(MADV_GUARD_INSTALL)
#define MADV_GUARD_INSTALL 102 /* Linux 6.13; newer than many C libraries' headers */
#endif

enum { RESERVE_ALIGN = 64 * 1024, GUARDED_MOST = 10000 };
enum { GUARD_MARKERS_UNKNOWN, GUARD_MARKERS_KNOWN, GUARD_MARKERS_MISSING };

static _Atomic int guard_markers; /* GUARD_MARKERS_… */

size_t os_page_bytes(void) { return (size_t)sysconf(_SC_PAGESIZE); }

static char *map(size_t bytes, int flags) {
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0);
    return base == MAP_FAILED ? NULL : base;
}

/* Maps RESERVE_ALIGN more than asked for and gives the ends back. */
static char *map_aligned(size_t bytes) {
    if (bytes > SIZE_MAX - RESERVE_ALIGN) return NULL;
    char *mapped = map(bytes + RESERVE_ALIGN, 0);
    if (mapped == NULL) return NULL;
    size_t before = (0 - (uintptr_t)mapped) % RESERVE_ALIGN;
    char *base = mapped + before;
    if (before != 0) munmap(mapped, before);
    munmap(base + bytes, RESERVE_ALIGN - before);
    return base;
}

void *os_reserve(size_t bytes) {
    size_t page_bytes = os_page_bytes();
    if (bytes == 0 || bytes > SIZE_MAX - page_bytes || fail_now(FAIL_RESERVE)) return NULL;
    bytes = (bytes + page_bytes - 1) / page_bytes * page_bytes;
    char *base = map_aligned(bytes);
    if (base == NULL) return NULL;
    madvise(base, bytes, MADV_NOHUGEPAGE); /* EINVAL: a kernel without huge pages */
    return base;
}

void os_release(void *base, size_t bytes) { munmap(base, bytes); }

void *os_pages_new(size_t bytes) { return fail_now(FAIL_RESERVE) ? NULL : map(bytes, 0); }

void *os_pages_new_present(size_t bytes) { return fail_now(FAIL_RESERVE) ? NULL : map(bytes, MAP_POPULATE); }

void os_pages_free(void *pages, size_t bytes) { munmap(pages, bytes); }

/* Returns 0 or errno. EINVAL of the marker is an older kernel, or locked memory: no markers from now on. */
static int guard_install(void *page, size_t page_bytes) {
    if (atomic_load_relaxed(&guard_markers) != GUARD_MARKERS_MISSING) {
        if (madvise(page, page_bytes, MADV_GUARD_INSTALL) == 0) {
            atomic_store_relaxed(&guard_markers, GUARD_MARKERS_KNOWN);
            return 0;
        }
        if (errno != EINVAL) return errno;
        atomic_store_relaxed(&guard_markers, GUARD_MARKERS_MISSING);
    }
    return mprotect(page, page_bytes, PROT_NONE) == 0 ? 0 : errno;
}

static int prepare(void *base, size_t bytes, size_t top_bytes, bool lazily, void **out_limit) {
    size_t page_bytes = os_page_bytes();
    if (bytes < 2 * page_bytes || top_bytes > bytes - page_bytes) return EINVAL;
    if (fail_now(FAIL_RESERVE)) return ENOMEM;
    *out_limit = (char *)base + page_bytes; /* the kernel commits whatever is touched */
    return lazily ? 0 : guard_install(base, page_bytes);
}

int os_stack_prepare(void *base, size_t bytes, size_t top_bytes, void **out_limit) {
    return prepare(base, bytes, top_bytes, false, out_limit);
}

int os_stacks_prepare(void *base, size_t bytes, size_t top_bytes, uint32_t already, uint32_t *inout_count,
                      void **out_limit) {
    bool lazily = atomic_load_relaxed(&guard_markers) == GUARD_MARKERS_KNOWN;
    if (!lazily && (atomic_load_relaxed(&guard_markers) == GUARD_MARKERS_UNKNOWN || already < GUARDED_MOST)) {
        *inout_count = 1;
    }
    return prepare(base, bytes, top_bytes, lazily, out_limit);
}

void os_stack_first_use(void *base, size_t bytes) {
    (void)bytes;
    if (atomic_load_relaxed(&guard_markers) == GUARD_MARKERS_KNOWN)
        (void)madvise(base, os_page_bytes(), MADV_GUARD_INSTALL);
}

int os_stack_trim(void *base, size_t bytes, size_t top_bytes, void **inout_limit) {
    size_t page_bytes = os_page_bytes(), top_pages = (top_bytes + page_bytes - 1) / page_bytes;
    (void)inout_limit;
    if (bytes / page_bytes <= top_pages + 1) return 0;
    if (fail_now(FAIL_RESERVE)) return ENOMEM;
    /* Not the lowest page, which may be the guard. */
    return madvise((char *)base + page_bytes, bytes - (top_pages + 1) * page_bytes, MADV_DONTNEED) == 0 ? 0 : errno;
}

bool os_peek(const void *address, void *out_copy, size_t bytes) {
    struct iovec here = {out_copy, bytes}, there = {(void *)(uintptr_t)address, bytes};
    return process_vm_readv(getpid(), &here, 1, &there, 1, 0) == (ssize_t)bytes;
}
