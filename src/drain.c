/* drain.c: entering crowded tables, and the closer's side of DRAIN. drain.h explains.
 *
 * Threads: any. Locks: drain.grow (RANK_LEAF). Tests: tests/api/test_dll.c. */
#include "drain.h"

#include "memory.h"

enum {
    LINES_FIRST = 16,  /* 64 slots: no line is shared up to 16 threads */
    LINES_MOST = 4096, /* 16,384 slots; more callers than that are counted without a name */
    GROWTH = 4,
    NAMES_MOST = 3 /* in a report */
};

static struct drain_table *table_new(uint32_t line_count) {
    struct drain_table *table = memory_alloc_zero(sizeof *table);
    void *memory = memory_alloc_zero((line_count + 1) * sizeof(struct drain_line));
    if (table == NULL || memory == NULL) {
        memory_free(table);
        memory_free(memory);
        return NULL;
    }
    table->allocation = memory;
    table->lines = (void *)(((uintptr_t)memory + CACHE_LINE - 1) & ~(uintptr_t)(CACHE_LINE - 1));
    table->line_count = line_count;
    return table;
}

int drain_init(struct drain *drain) {
    memset(drain, 0, sizeof *drain);
    lock_init(&drain->grow, RANK_LEAF);
    struct drain_table *table = table_new(LINES_FIRST);
    if (table == NULL) return PINTLE_ENOMEM;
    atomic_init(&drain->newest, table);
    return 0;
}

void drain_destroy(struct drain *drain) {
    struct drain_table *table = atomic_load_relaxed(&drain->newest);
    while (table != NULL) {
        struct drain_table *older = table->older;
        memory_free(table->allocation);
        memory_free(table);
        table = older;
    }
}

uintptr_t drain_self(void) {
    const struct thread *thread = thread_self();
    if (thread != NULL && thread->task != NULL) return (uintptr_t)thread->task;
    return (uintptr_t)os_thread_id() << 1 | 1;
}

/* Half the table is looked at: beyond that it is crowded, and a larger one is better. */
static struct drain_slot *claim_in(struct drain_table *table, uint32_t line, uintptr_t who) {
    for (uint32_t i = 0; i < table->line_count / 2; i++) {
        struct drain_line *at = &table->lines[(line + i) & (table->line_count - 1)];
        for (size_t s = 0; s < COUNT_OF(at->slots); s++) {
            uintptr_t expected = 0;
            if (atomic_load_relaxed(&at->slots[s].who) != 0) continue;
            if (atomic_cas_seq_cst(&at->slots[s].who, &expected, who)) return &at->slots[s];
        }
    }
    return NULL;
}

/* Makes a table that is larger than the crowded one, unless somebody just did. NULL: as large as it gets, or no memory. */
static struct drain_table *grow(struct drain *drain, const struct drain_table *crowded) {
    if (crowded->line_count >= LINES_MOST) return NULL;
    struct drain_table *larger = table_new(crowded->line_count * GROWTH);
    if (larger == NULL) return NULL;
    lock_acquire(&drain->grow);
    struct drain_table *newest = atomic_load_relaxed(&drain->newest);
    bool mine = newest == crowded;
    if (mine) {
        larger->older = newest;
        /* Before the first CAS in it: the closer, who reads `newest` after its fence, then sees the table too. */
        atomic_store_seq_cst(&drain->newest, larger);
    }
    lock_release(&drain->grow);
    if (mine) return larger;
    memory_free(larger->allocation);
    memory_free(larger);
    return newest;
}

struct drain_slot *drain_claim_slow(struct drain *drain, uint32_t line, uintptr_t who) {
    struct drain_table *table = atomic_load_acquire(&drain->newest);
    while (table != NULL) {
        struct drain_slot *slot = claim_in(table, line, who);
        if (slot != NULL) return slot;
        table = grow(drain, table);
    }
    atomic_add_seq_cst(&drain->nameless, 1);
    return &drain->uncounted;
}

bool drain_hold(struct drain *drain) {
    atomic_add_seq_cst(&drain->holds, 1);
    if (atomic_load_seq_cst(&drain->closing) == 0) return true;
    atomic_sub_seq_cst(&drain->holds, 1);
    return false;
}

bool drain_unhold(struct drain *drain) {
    uint32_t holds = atomic_load_relaxed(&drain->holds);
    do {
        if (holds == 0) return false;
    } while (!atomic_cas_seq_cst(&drain->holds, &holds, holds - 1));
    return true;
}

void drain_close(struct drain *drain) {
    atomic_store_seq_cst(&drain->closing, 1);
    /* DRAIN, the closer's fence: before the slots are read. */
    atomic_fence_full();
}

void drain_reopen(struct drain *drain) { atomic_store_seq_cst(&drain->closing, 0); }

uint32_t drain_count(struct drain *drain, bool *out_self) {
    uintptr_t self = drain_self();
    uint32_t count = 0;
    *out_self = false;
    for (struct drain_table *table = atomic_load_seq_cst(&drain->newest); table != NULL; table = table->older) {
        for (uint32_t i = 0; i < table->line_count; i++) {
            for (size_t s = 0; s < COUNT_OF(table->lines[i].slots); s++) {
                uintptr_t who = atomic_load_acquire(&table->lines[i].slots[s].who);
                if (who == self) *out_self = true;
                if (who != 0) count++;
            }
        }
    }
    return count + atomic_load_seq_cst(&drain->nameless) + atomic_load_seq_cst(&drain->holds);
}

/* One caller; false if it left meanwhile. Its record is looked at while it may end: what was read counts only if the slot is
 * still its own afterwards (records are type-stable). */
static bool read_slot(struct drain_slot *slot, pintle_dll_caller *out) {
    uintptr_t who = atomic_load_acquire(&slot->who);
    const char *what = atomic_load_relaxed(&slot->what);
    if (who == 0) return false;
    memset(out, 0, sizeof *out);
    snprintf(out->function, sizeof out->function, "%s", what != NULL ? what : "a call");
    if (who & 1) {
        out->thread_id = who >> 1;
    } else {
        const struct pintle_task *task = (const void *)who;
        static_assert(sizeof out->task_name == TASK_NAME_BYTES, "names of tasks fit");
        task_name_of_other(task, out->task_name);
        out->task_id = task_id_of_other(task);
    }
    atomic_fence_full();
    return atomic_load_relaxed(&slot->who) == who;
}

/* The first `most` callers; what is beyond them is counted only. */
static size_t read_callers(struct drain *drain, pintle_dll_caller *out, size_t most, uint32_t *out_more) {
    pintle_dll_caller spare;
    size_t count = 0;
    *out_more = 0;
    for (struct drain_table *table = atomic_load_seq_cst(&drain->newest); table != NULL; table = table->older) {
        for (uint32_t i = 0; i < table->line_count; i++) {
            for (size_t s = 0; s < COUNT_OF(table->lines[i].slots); s++) {
                if (!read_slot(&table->lines[i].slots[s], count < most ? &out[count] : &spare)) continue;
                if (count < most) {
                    count++;
                } else {
                    ++*out_more;
                }
            }
        }
    }
    return count;
}

size_t drain_callers(struct drain *drain, pintle_dll_caller *out, size_t most) {
    uint32_t more;
    size_t count = read_callers(drain, out, most, &more);
    memset(out + count, 0, (most - count) * sizeof *out);
    return count;
}

static size_t append(char *out_text, size_t text_bytes, size_t length, const char *separator, const char *text) {
    int written = snprintf(out_text + length, text_bytes - length, "%s%s", length > 0 ? separator : "", text);
    if (written < 0) return length;
    return (size_t)written < text_bytes - length ? length + (size_t)written : text_bytes - 1;
}

void drain_describe(struct drain *drain, char *out_text, size_t text_bytes) {
    pintle_dll_caller callers[NAMES_MOST];
    char text[160];
    size_t length = 0, named;
    uint32_t more, holds = atomic_load_seq_cst(&drain->holds);

    out_text[0] = '\0';
    named = read_callers(drain, callers, NAMES_MOST, &more);
    for (size_t i = 0; i < named; i++) {
        const pintle_dll_caller *caller = &callers[i];
        if (caller->task_id == 0) {
            snprintf(text, sizeof text, "thread %llu in %s", (unsigned long long)caller->thread_id, caller->function);
        } else {
            const char *quote = caller->task_name[0] ? "'" : "";
            snprintf(text, sizeof text, "task %llu%s%s%s%s in %s", (unsigned long long)caller->task_id,
                     caller->task_name[0] ? " " : "", quote, caller->task_name, quote, caller->function);
        }
        length = append(out_text, text_bytes, length, ", ", text);
    }
    more += atomic_load_seq_cst(&drain->nameless);
    if (more > 0) {
        snprintf(text, sizeof text, "%u more", more);
        length = append(out_text, text_bytes, length, " and ", text);
    }
    if (holds > 0) {
        snprintf(text, sizeof text, "%u not yet released after pintle_dll_acquire", holds);
        length = append(out_text, text_bytes, length, " and ", text);
    }
    if (length == 0) append(out_text, text_bytes, 0, "", "nobody any more");
}
