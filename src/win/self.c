/* self.c (Windows): the thread-local pointer that the call path reads: a TLS slot, read straight from the TEB.
 *
 * TlsGetValue would clear the last error, and compilers' thread-local variables are a call in MinGW. The first 64 slots
 * lie in the TEB itself; a process may have used them up, then the slot is in the thread's expansion array.
 * os_self() is a call that the compiler cannot look into or merge with an earlier one: code that switched tasks may be
 * on another thread now.
 * Threads: any; each sees its own. Locks: slot_lock guards init_count and changes of the index.
 * Order: pintle_tls_index is relaxed: who may call os_self_set has seen os_self_init return; os_self gives NULL before.
 * Invariants: the index is a slot of ours, or TLS_INDEX_NONE; NULL until set.
 * Tests: tests/unit/test_os.c, tests/win/test_os_win.c (more than 64 slots). */
#include "self.h"

#include "sleeper.h"

#if defined(__clang__)
#define UNSEEN __attribute__((noinline))
#else
#define UNSEEN __attribute__((noinline, noipa))
#endif

_Atomic uint32_t pintle_tls_index = TLS_INDEX_NONE;
static SRWLOCK slot_lock = SRWLOCK_INIT;
static unsigned init_count;

static int slot_take(void) {
    if (fail_now(FAIL_MEMORY)) return ERROR_NO_MORE_ITEMS;
    DWORD index = TlsAlloc();
    if (index == TLS_OUT_OF_INDEXES) return (int)GetLastError();
    atomic_store_relaxed(&pintle_tls_index, index);
    return 0;
}

int os_self_init(void) {
    AcquireSRWLockExclusive(&slot_lock);
    int error = init_count == 0 ? slot_take() : 0;
    if (error == 0) init_count++;
    ReleaseSRWLockExclusive(&slot_lock);
    return error;
}

void os_self_shutdown(void) {
    AcquireSRWLockExclusive(&slot_lock);
    CHECK(init_count > 0);
    if (--init_count == 0) {
        DWORD index = atomic_load_relaxed(&pintle_tls_index);
        atomic_store_relaxed(&pintle_tls_index, TLS_INDEX_NONE);
        TlsFree(index);
        sleepers_release(); /* the runtime is stopped: nothing of it may stay behind */
    }
    ReleaseSRWLockExclusive(&slot_lock);
}

/* Keeps the last error. */
UNSEEN void *os_self(void) {
    uint32_t index = atomic_load_relaxed(&pintle_tls_index);
    if (LIKELY(index < TEB_TLS_SLOT_COUNT)) return *(void **)teb_field(TEB_TLS_SLOTS + 8 * index);
    if (index == TLS_INDEX_NONE) return NULL;
    void **expansion = *(void ***)teb_field(TEB_TLS_EXPANSION_SLOTS);
    return expansion == NULL ? NULL : expansion[index - TEB_TLS_SLOT_COUNT];
}

/* Keeps the last error. TlsSetValue makes the thread's expansion array when needed; only that can fail. */
UNSEEN void os_self_set(void *self) {
    DWORD last_error = GetLastError();
    if (!TlsSetValue(atomic_load_relaxed(&pintle_tls_index), self))
        fatal("no memory for a thread's TLS slots (error %lu)", GetLastError());
    SetLastError(last_error);
}
