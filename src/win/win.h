/* win.h: what the files of this folder share: the system's headers, its newer functions, UTF-8.
 * Threads: any. Locks: none. Tests: through os.h, tests/unit/test_os.c and tests/win/test_os_win.c. */
#ifndef PINTLE_SRC_WIN_WIN_H
#define PINTLE_SRC_WIN_WIN_H

#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <wchar.h>
#include <windows.h>

#include "fail.h"
#include "memory.h"
#include "os.h"

/* ---- The TEB, the block that gs points to in every thread ---- */

enum {
    TEB_STACK_BASE = 0x08,  /* one past the stack's highest byte */
    TEB_STACK_LIMIT = 0x10, /* its lowest committed byte above the guard page; moves as the stack grows */
    TEB_LAST_ERROR = 0x68,
    TEB_DEALLOCATION_STACK = 0x1478, /* the lowest byte of the stack's reservation */
    TEB_TLS_SLOTS = 0x1480,          /* the first 64 slots */
    TEB_GUARANTEED_STACK_BYTES = 0x1748,
    TEB_TLS_EXPANSION_SLOTS = 0x1780 /* pointer to the slots from 64 on; NULL until the thread has set one */
};
enum { TEB_TLS_SLOT_COUNT = 64 };

/* The field of the calling thread's TEB at that offset. */
static inline void *teb_field(size_t offset) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Warray-bounds" /* gcc takes the small offset from gs for an access near NULL */
    return (char *)NtCurrentTeb() + offset;
#pragma GCC diagnostic pop
}

/* Stack kept back for what handles a stack overflow, in every thread that we start and in every task's stack. The
 * system's exception frames take up to 11.7 KB on processors with large vector states. A larger value costs memory:
 * Windows commits about that much ahead when a stack grows (Wine does not). */

/* ---- Functions that some versions of Windows, or Wine, do not have ---- */

typedef LONG(NTAPI *win_wait_fn)(const volatile void *address, const void *compare, SIZE_T bytes,
                                 const LARGE_INTEGER *timeout);
typedef void(NTAPI *win_wake_fn)(const volatile void *address);
typedef BOOL(WINAPI *win_group_affinity_fn)(HANDLE process, USHORT *group_count, USHORT *groups);
enum { WAIT_TIMED_OUT = 0x102 }; /* STATUS_TIMEOUT */

/* Waiting on an address. wait is in RtlWaitOnAddress's form: time-outs relative, negative, in units of 100 ns. */
typedef struct win_waits {
    win_wait_fn wait;
    win_wake_fn wake_one, wake_all;
} win_waits;

/* NULL or false where the system has no such thing. Found by feature, never by version: Wine says it is Windows 7. */
typedef struct win_functions {
    win_waits waits;                      /* never NULL */
    bool coarse_waits;                    /* their time-outs end at ticks of 15.6 ms, and there are better timers */
    bool mappings_are_few;                /* Wine: each change of protection takes one of 65,530 (memory.c) */
    bool dll_search_flags;                /* LOAD_LIBRARY_SEARCH_*: known where AddDllDirectory is */
    win_group_affinity_fn group_affinity; /* GetProcessGroupAffinity */
} win_functions;

/* The table; looked up at the first use. */
const win_functions *win_functions_get(void);
/* Waits by ntdll's functions, and by the documented ones of kernelbase, which are slower and have only milliseconds;
 * false if there are none. For the table, and for tests. */
bool win_waits_of_ntdll(win_waits *out);
bool win_waits_of_kernelbase(win_waits *out);
/* A timer that is precise to about 0.5 ms (Windows 10 1803); NULL where there is none. */
HANDLE win_timer_create(void);

/* ---- Waits that os_interrupt_thread ends: interrupt.c ---- */

typedef struct win_interruptible {
    struct win_interruptible *next;
    DWORD thread_id;
    HANDLE event;
} win_interruptible;

/* From now on, until end, an interrupt of the calling thread sets the event. */
void win_interruptible_begin(win_interruptible *wait, HANDLE event);
void win_interruptible_end(win_interruptible *wait);

/* ---- Console events: signals.c; the system calls it, and tests. ---- */
BOOL WINAPI win_console_handler(DWORD event);

/* ---- UTF-8 ---- */

/* A copy in UTF-16, to be given to memory_free(). NULL, and GetLastError(), if the text is not UTF-8 or memory is short. */
wchar_t *win_utf16(const char *text);
/* The text in UTF-8, cut at a character's end if it does not fit. */
void win_utf8(const wchar_t *text, char *out_text, size_t text_bytes);

#endif
