/* os.h: the seam to the system: all that the core asks of a platform. One implementation in src/posix, one in
 * src/win; a port is a new folder. Nothing here knows tasks or processors.
 *
 * Conventions: functions that can fail return 0 or the system's error number (errno, GetLastError), which
 * os_error_text() explains. Text is UTF-8. None of these preserves errno or the last error unless it says so.
 * Threads: any, unless said. Tests: tests/unit/test_os.c. */
#ifndef PINTLE_SRC_OS_H
#define PINTLE_SRC_OS_H

#include "atomic.h"

/* ---- Time, processors, reports ---- */

/* Monotonic nanoseconds from an origin of the system's choice. */
int64_t os_now_ns(void);
/* How many processors this process may use: CPU affinity, and on Linux also the cgroup's quota (v1 and v2, rounded
 * up). At least 1. */
unsigned os_processor_count(void);
/* Writes text to standard error in one system call where possible; no lock, no allocation. */
void os_write_error(const char *text, size_t length);
/* Ends the process at once with the status, running no handlers. */
NORETURN void os_exit(int status);
/* Ends the process as a crash. */
NORETURN void os_abort(void);
/* The system's message for an error number, UTF-8, without a newline; "error N" if it has none. */
void os_error_text(int64_t os_code, char *out_text, size_t text_bytes);
/* An environment variable, UTF-8; false if absent or longer than the buffer. */
bool os_environment(const char *name, char *out_value, size_t value_bytes);

/* ---- Waiting on a word ----
 * These keep errno and the last error: switches and locks use them between a task's own calls. */

/* Sleeps while *word == expected, until a wake, until deadline_ns on os_now_ns()'s clock (INT64_MAX: none), or
 * spuriously. Precise to the system's best (Linux: the calling thread's timer slack is set to 1 ns once). */
void os_wait_word(_Atomic uint32_t *word, uint32_t expected, int64_t deadline_ns);
void os_wake_word_one(_Atomic uint32_t *word);
void os_wake_word_all(_Atomic uint32_t *word);
/* Gives the CPU to another OS thread that can run, if there is one. */
void os_yield_thread(void);

/* ---- The poller: waits for many descriptors or handles at once ----
 * One for the process, between init and shutdown. wake keeps errno and the last error. */

enum os_ready_kind { OS_READY_IO, OS_READY_WATCH };
typedef struct os_ready {
    enum os_ready_kind kind;
    uint32_t events; /* WATCH: what was seen, as the system names it. IO: of the port */
    uint64_t token;  /* WATCH: the one that os_watch_arm was given. IO: of the port */
} os_ready;

int os_poller_init(void);
void os_poller_shutdown(void);
/* Waits for at least one, at most `most`, until deadline_ns (INT64_MAX: none; past: only looks), a wake, or spuriously. How
 * many. Several threads may be in it. */
unsigned os_poller_wait(os_ready *out_ready, unsigned most, int64_t deadline_ns);
/* Ends a wait: the one going on, or the next one. */
void os_poller_wake(void);
/* Whether its deadlines are as precise as os_wait_word's. */
bool os_poller_is_precise(void);

/* An object that others own (POSIX: a descriptor, and events as poll has them; Windows: a handle that can be waited for).
 * look: *out_events is what it is ready for, 0: nothing; where waiting uses a signal up, so does looking. block: the same,
 * but the calling thread waits for it. arm: one OS_READY_WATCH with the token will come, at once if it is ready already;
 * arming again adds events and changes the token; *out_counts: one more will come than before, where that matters (signals
 * that are used up). disarm: none will come that was not under way; how many fewer of those that count. give_back: undoes
 * the using up of a signal, where the system lets us. All but these two: 0 or the system's error number. */
int os_watch_look(intptr_t object, uint32_t events, uint32_t *out_events);
int os_watch_block(intptr_t object, uint32_t events, int64_t deadline_ns, uint32_t *out_events);
int os_watch_arm(intptr_t object, uint32_t events, uint64_t token, bool again, bool *out_counts);
unsigned os_watch_disarm(intptr_t object, uint64_t token);
void os_watch_give_back(intptr_t object);
/* Whether one signal is for one waiter. */
bool os_watch_is_used_up(void);
/* What such an object is called: "descriptor", "handle". */
extern const char os_watch_name[];

/* ---- A flag that foreign loops can wait for: an event's handle, an eventfd ----
 * Ready for reading while it is set. set keeps errno and the last error, and sets what is not set only. */
int os_flag_make(intptr_t *out_flag);
void os_flag_close(intptr_t flag);
void os_flag_set(intptr_t flag, bool is_set);

/* ---- Memory ---- */

/* Address space, readable and writable only where committed (POSIX: committed by touch). NULL: none left.
 * Aligned to 64 KB. */
void *os_reserve(size_t bytes);
void os_release(void *base, size_t bytes);
/* Makes [base, base + bytes) of a reservation a stack that grows down: guard at the bottom (access there is a fault),
 * the top top_bytes committed at once, the rest as touched (Windows: PAGE_GUARD growth, so the TEB's stack fields
 * must be base + bytes, *out_limit, base while code runs on it). *out_limit: the lowest committed address now. */
int os_stack_prepare(void *base, size_t bytes, size_t top_bytes, void **out_limit);
/* The same for neighbours: stack i is at base + i * bytes. Prepares *inout_count of them or fewer, at least one, and says
 * how many; *out_limit is the first one's, the others' lie as far above their base. Where each guard is a mapping and
 * the system bounds those (Linux before 6.13, Wine), only the lowest has a guard once `already` (the process's stacks
 * so far) has reached a few thousand: an overflow then runs into the neighbour below. Where a guard is cheap but not free
 * (a marker in the page table), a stack gets it at its first use. */
int os_stacks_prepare(void *base, size_t bytes, size_t top_bytes, uint32_t already, uint32_t *inout_count,
                      void **out_limit);
/* One of those is used for the first time. If the system has no memory left for its guard, it has none. */
void os_stack_first_use(void *base, size_t bytes);
/* Gives the memory below the top top_bytes of a prepared stack back, if it has any; what was there is lost. On failure the
 * stack is as before. *inout_limit: the lowest committed address before and after. Nobody uses the stack meanwhile. */
int os_stack_trim(void *base, size_t bytes, size_t top_bytes, void **inout_limit);
size_t os_page_bytes(void);
/* Memory straight from the system, a page or more, zeroed: for where the heap is not to be trusted. NULL: none left. */
void *os_pages_new(size_t bytes);
/* The same for what is about to be used: where the system gives memory at the first touch, it gives it now. */
void *os_pages_new_present(size_t bytes);
void os_pages_free(void *pages, size_t bytes);
/* What the system keeps of a stack for whoever handles its overflow, on threads and tasks alike, so that a switch seldom
 * has to write it. Exception dispatch alone takes up to 12 KB (AMX registers). */
enum { OS_STACK_GUARANTEE_BYTES = 16 << 10 };

/* ---- Threads ---- */

typedef struct os_thread {
    uintptr_t handle; /* pthread_t or HANDLE */
} os_thread;
typedef void os_thread_fn(void *arg);

/* Starts a thread; the error number if the system refuses. */
int os_thread_start(os_thread *out_thread, os_thread_fn *fn, void *arg);
/* Waits for the thread's end and gives its handle back. */
void os_thread_join(os_thread *thread);
/* Lets the thread end unobserved. */
void os_thread_detach(os_thread *thread);
/* The calling OS thread's number as the system's tools show it. */
uint64_t os_thread_id(void);
/* CPU time that a thread of this process has used, by its os_thread_id; 0: cannot be told. */
int64_t os_thread_cpu_ns(uint64_t id);
/* How many threads the process has; 0: cannot be told. Slow. */
unsigned os_thread_count(void);
/* Ends the calling thread, without unwinding what is on its stack. */
NORETURN void os_thread_exit(void);

/* The calling thread's TEB-like bounds: highest address of its stack, lowest committed (a hint on POSIX), lowest reserved. */
typedef struct os_stack_bounds {
    void *base, *limit, *reserve;
    uint32_t guarantee_bytes;
} os_stack_bounds;
void os_thread_stack(os_stack_bounds *out_bounds);
/* For a thread whose stack may have changed since, as by fibers: true: it has, and *inout_bounds is what it is now. Fast. */
bool os_thread_stack_again(os_stack_bounds *inout_bounds);

/* A stack on which the system tells the calling thread of a fault, where the system needs one; between begin and end, unless
 * the thread has a larger one already. The memory is kept for the next thread, until free, which may come from any. */
typedef struct os_fault_stack {
    void *memory;
    bool is_set;
    void *before; /* the thread's own; NULL: none */
    size_t before_bytes;
} os_fault_stack;
void os_fault_stack_begin(os_fault_stack *stack);
void os_fault_stack_end(os_fault_stack *stack);
void os_fault_stack_free(os_fault_stack *stack);

/* ---- Interrupting a thread's system call ---- */

/* The signal that is a good one for it, where signals do that; 0: none is needed, or there are none. */
int os_interrupt_default(void);
/* Takes that signal; 0: none, and os_interrupt_thread does nothing if it needs one. The system's error number if it cannot. */
int os_interrupts_init(int signal_number);
void os_interrupts_shutdown(void);
/* Interrupts the system call that the thread of this process is in, if it is in one that can be. Keeps errno. */
void os_interrupt_thread(uint64_t id);
/* By the thread itself, while nobody interrupts it: what is still pending hits nothing that comes later. Keeps errno. */
void os_interrupt_spend(void);

/* ---- A record that threads which are not ours keep between their callbacks ----
 * init and shutdown as os_self's, but not counted; `gone` is called with the record when its thread ends, where the system
 * tells us; elsewhere os_attached_has_ended says so. After shutdown no thread has a record. */
int os_attached_init(void (*gone)(void *record));
void os_attached_shutdown(void);
/* The calling thread's; NULL: none. */
void *os_attached(void);
/* Sets it, with what has_ended needs in *out_thread. The system's error number if it has no memory. */
int os_attached_set(void *record, os_thread *out_thread);
void os_attached_forget(void);
bool os_attached_has_ended(const os_thread *thread);
void os_attached_close(os_thread *thread);

/* ---- Signals and console events: kinds are PINTLE_SIGNAL_… of pintle/signal.h ----
 * start: from now on `arrived` may be called, with what watch asks for, on a thread that is none of the runtime's and holds no
 * lock. 0, or an error number. stop: with leave_nothing no thread is in it afterwards; waits for those that are. Neither may
 * be called with a lock held that `arrived` takes; watch may. */
int os_signals_start(void (*arrived)(uint32_t kind, int number));
void os_signals_stop(bool leave_nothing);
/* These kinds, no others: handlers are set, and given back. 0, or an error number (never for fewer kinds than before). */
int os_signals_watch(uint32_t kinds);
/* Where the system waits for us before it ends the process: it need not any longer. */
void os_signals_done(void);
/* How many threads of the process are there for that. */
unsigned os_signals_threads(void);

/* ---- Where code is ---- */

/* The return addresses of the calling function's callers, innermost first; how many. */
unsigned os_backtrace(void **out_frames, unsigned most);
/* What lies at the address: "module!function+0x12", or as much of it as can be told: the symbol table of the file, if it has
 * one, and what it exports. is_return: the address is where a call returns to, and the caller is meant. Reads files. */
void os_symbol(const void *address, bool is_return, char *out_text, size_t text_bytes);
/* Copies memory of this process that may not be there; false: it is not. */
bool os_peek(const void *address, void *out_copy, size_t bytes);

/* Addresses of the calling thread's errno and last error (the same for the thread's whole life). Where the system
 * has no last error, *out_last_error is NULL. */
void os_thread_error_slots(int **out_errno, uint32_t **out_last_error);

/* The thread-local pointer that the call path reads directly (src/<os>/x64). Opaque to the compiler on purpose: what
 * was read before a switch is stale after it. init takes the slot (counted: each init needs its shutdown). */
int os_self_init(void);
void os_self_shutdown(void);
void *os_self(void);
void os_self_set(void *self);

/* A full fence in every thread of the process at once, those that do not run included; so the others need none of their own.
 * init: whether the system has one; may be called again. threads: false: the system refuses it now. */
bool os_fence_init(void);
bool os_fence_threads(void);

/* ---- Dynamic libraries ---- */

/* Loads the library at an absolute path, searching its own folder and the system's for what it needs; or (system) a
 * bare name from the system's folders only. 0, or an error number, and then out_text has a sentence with the
 * system's message, what is missing if that can be told, and (32-bit, not a library) the reason; out_code one of
 * PINTLE_Eâ¦ (ENOTFOUND, EINVAL, EACCES, ENOMEM, EOS). May block for long and run foreign code: the caller is in a call. */
int64_t os_dll_open(const char *path, bool system, void **out_handle, int *out_code, char *out_text, size_t text_bytes);
void os_dll_close(void *handle);
/* The same for a copy of the library at an absolute path, under another name in a temporary folder made for it, so that
 * it has data of its own and the original can be replaced; what it needs is found in the original's folder. *out_copy:
 * to be given to os_dll_copy_remove after os_dll_close. A failure leaves no copy behind. */
int64_t os_dll_open_copy(const char *path, void **out_handle, void **out_copy, int *out_code, char *out_text,
                         size_t text_bytes);
void os_dll_copy_remove(void *copy);
/* Address of an export by name, or (name NULL) by ordinal. 0, or an error number. */
int64_t os_dll_symbol(void *handle, const char *name, unsigned ordinal, void **out_address);
/* Whether exports have ordinals here. */
bool os_dll_has_ordinals(void);
/* Whether the path is absolute in the system's sense (a drive letter or UNC on Windows). */
bool os_path_absolute(const char *path);

#endif
