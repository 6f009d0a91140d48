/* drain.h: who is inside foreign code that somebody wants to unload (protocol DRAIN).
 *
 * A caller writes itself into a slot, then reads `closing`; the closer sets `closing`, then reads the slots. Both have a
 * full fence between, so either the caller sees that it is refused, or the closer sees the caller.
 *   - A slot belongs to the call, not to the thread: the task may leave the call on another thread than it entered on.
 *   - Slots lie four to a cache line, and a thread starts at the line of its own number, so callers do not share lines
 *     until there are more threads inside than lines. Entering is one locked instruction, leaving a plain store.
 *   - A table that is crowded (1,000 blocked calls, deep nesting) gets a larger one before it. Tables are never freed
 *     before the end; callers in the older ones just leave.
 * Leaving does not look for a waiting closer: that would need a fence in every call. The closer polls.
 *
 * Threads: any. Locks: `grow`, when a table is added.
 * Order: slot.who CAS seq_cst, then closing seq_cst / closing seq_cst, fence, then slot.who acquire. slot.who release 0 on
 * leaving carries all that the call did to whoever unloads. Tests: tests/api/test_dll.c, tests/stress. */
#ifndef PINTLE_SRC_DRAIN_H
#define PINTLE_SRC_DRAIN_H

#include "lock.h"
#include "pintle/dll.h"
#include "task.h"
#include "thread.h"

struct drain_slot {
    _Atomic uintptr_t who;      /* 0: free; a task's record; or an OS thread's number << 1 | 1 */
    _Atomic(const char *) what; /* the function's name, for reports; may be an older one for an instant */
};

struct drain_line {
    struct drain_slot slots[CACHE_LINE / sizeof(struct drain_slot)];
};

struct drain_table {
    struct drain_table *older;
    void *allocation;
    uint32_t line_count; /* a power of two */
    struct drain_line *lines;
};

struct drain {
    /* Read by every caller, written rarely. */
    _Atomic uint32_t closing;
    struct lock grow;
    _Atomic(struct drain_table *) newest;
    struct drain_slot uncounted; /* stands for a slot when none could be had; never written */
    /* Written by bursts and nameless callers: on a line of their own. */
    char padding[CACHE_LINE];
    _Atomic uint32_t holds, nameless;
};

/* 0 or PINTLE_ENOMEM (no error is set). */
int drain_init(struct drain *drain);
/* Nobody may be inside. */
void drain_destroy(struct drain *drain);

/* Whoever calls this, as slot.who: the task, else the OS thread. */
uintptr_t drain_self(void);

/* The first slot that can be had beyond the caller's own line; never NULL. */
struct drain_slot *drain_claim_slow(struct drain *drain, uint32_t line, uintptr_t who);

/* Leaves what drain_enter entered. */
static inline void drain_leave(struct drain *drain, struct drain_slot *slot) {
    if (UNLIKELY(slot == &drain->uncounted))
        atomic_sub_seq_cst(&drain->nameless, 1);
    else
        atomic_store_release(&slot->who, 0);
}

/* The caller's slot until drain_leave; NULL: closing. `what` must outlive the drain. */
static inline struct drain_slot *drain_enter(struct drain *drain, const char *what) {
    const struct thread *thread = thread_self();
    bool is_task = thread != NULL && thread->task != NULL;
    uintptr_t who = is_task ? (uintptr_t)thread->task : drain_self();
    uint32_t line = is_task ? thread->id : (uint32_t)(who >> 3);

    struct drain_table *table = atomic_load_acquire(&drain->newest);
    struct drain_slot *slot = &table->lines[line & (table->line_count - 1)].slots[0];
    uintptr_t expected = 0;
    /* DRAIN, the caller's fence: the locked CAS, before `closing` is read. */
    if (UNLIKELY(!atomic_cas_seq_cst(&slot->who, &expected, who))) slot = drain_claim_slow(drain, line, who);
    if (UNLIKELY(atomic_load_seq_cst(&drain->closing) != 0)) {
        drain_leave(drain, slot);
        return NULL;
    }
    atomic_store_relaxed(&slot->what, what);
    return slot;
}

/* Bursts: counted without a name, entered and left by whomever. false: closing. */
bool drain_hold(struct drain *drain);
/* false: there was no hold to give back. */
bool drain_unhold(struct drain *drain);

/* From now on nobody enters / everybody may again. */
void drain_close(struct drain *drain);
void drain_reopen(struct drain *drain);

/* After drain_close: how many are inside, nameless ones and bursts too; *out_self: the caller is one of them. */
uint32_t drain_count(struct drain *drain, bool *out_self);
/* "task 12 'worker' in inflate, task 13 in inflate and 4 more": who is inside now. */
void drain_describe(struct drain *drain, char *out_text, size_t text_bytes);
/* The same as data: up to `most` of them; how many were filled. */
size_t drain_callers(struct drain *drain, pintle_dll_caller *out, size_t most);

#endif
