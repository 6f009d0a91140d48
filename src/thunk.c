/* thunk.c: making, freeing and retiring thunks. thunk.h explains. */
#include "thunk.h"

#include "callback.h"
#include "error.h"
#include "lock.h"
#include "take.h"
#include "thread.h"

enum { WORDS_WITH_FLOATS = 24 };
static_assert((int)PINTLE_THUNKS_MOST == THUNKS_MOST, "the public number of thunks is the table's");

struct pintle_thunk thunk_table[THUNKS_MOST];
extern const char thunk_entries[];

static struct {
    struct lock lock;
    struct pintle_thunk *first, *last; /* free again, oldest first */
    uint32_t fresh;                    /* below: have been in use */
    uint32_t live, retired;
} thunks = {.lock = LOCK_INIT(RANK_POOL)};

static const char *entry_of(const struct pintle_thunk *thunk) {
    return thunk_entries + (size_t)(thunk - thunk_table) * THUNK_ENTRY_BYTES;
}

static bool is_of_table(const struct pintle_thunk *thunk) {
    uintptr_t offset = (uintptr_t)thunk - (uintptr_t)thunk_table; /* as a number: it may point anywhere */
    return offset < THUNKS_MOST * sizeof *thunk && offset % sizeof *thunk == 0;
}

static bool has_inside(struct thread *thread, void *thunk) {
    for (size_t i = 0; i < THREAD_THUNK_SLOTS; i++) {
        if (atomic_load_acquire(&thread->thunks_inside[i]) == thunk) return true;
    }
    return false;
}

/* After its state was set, and a fence. */
static bool is_inside(struct pintle_thunk *thunk) {
    return atomic_load_acquire(&thunk->deep) != 0 || threads_any(has_inside, thunk);
}

static void set_state_locked(struct pintle_thunk *thunk, enum thunk_state from, enum thunk_state to) {
    DCHECK(atomic_load_relaxed(&thunk->state) == (uint32_t)from);
    (void)from;
    atomic_store_seq_cst(&thunk->state, (uint32_t)to);
}

static void give_locked(struct pintle_thunk *thunk) {
    thunk->next = NULL;
    if (thunks.first == NULL)
        thunks.first = thunk;
    else
        thunks.last->next = thunk;
    thunks.last = thunk;
    thunks.live--;
}

static void sweep_retired_locked(void) {
    if (thunks.retired == 0 || !take_fence()) return; /* as in pintle_thunk_free, for all of them */
    for (uint32_t i = 0; i < thunks.fresh; i++) {
        struct pintle_thunk *thunk = &thunk_table[i];
        if (atomic_load_relaxed(&thunk->state) != THUNK_RETIRED || is_inside(thunk)) continue;
        set_state_locked(thunk, THUNK_RETIRED, THUNK_FREE);
        thunks.retired--;
        give_locked(thunk);
    }
}

static struct pintle_thunk *take_locked(void) {
    struct pintle_thunk *thunk;
    if (thunks.fresh < THUNKS_MOST) {
        thunk = &thunk_table[thunks.fresh++];
    } else {
        if (thunks.first == NULL) sweep_retired_locked();
        thunk = thunks.first;
        if (thunk == NULL) return NULL;
        thunks.first = thunk->next;
    }
    thunks.live++;
    return thunk;
}

/* Whether some of its words are not where the first six are. */
static bool has_to_gather(unsigned nargs, unsigned flags) {
    return nargs > ARCH_THUNK_WORDS || PINTLE_FLOATS(flags) != 0;
}

int pintle_thunk_new_with_sized(pintle_thunk **out, pintle_thunk_fn *fn, void *user, const pintle_thunk_options *given,
                                size_t size) {
    pintle_thunk_options options = {.size = sizeof options};
    unsigned known = PINTLE_FLOATS(~0u) | PINTLE_FLOAT_RESULT | PINTLE_THUNK_URGENT;
    if (out == NULL || fn == NULL)
        return error_set(PINTLE_EINVAL, 0, "pintle_thunk_new: %s is NULL", out == NULL ? "out" : "fn");
    if (given != NULL) {
        if (given->size != size || size > sizeof options)
            return error_set(PINTLE_EINVAL, 0, "pintle_thunk_new_with: options.size is %zu: set it to sizeof options",
                             given->size);
        memcpy(&options, given, size);
    }
    if (options.nargs > PINTLE_THUNK_WORDS_MOST)
        return error_set(PINTLE_EINVAL, 0, "pintle_thunk_new: %u words: a thunk takes %d at most", options.nargs,
                         PINTLE_THUNK_WORDS_MOST);
    if ((options.flags & ~known) != 0)
        return error_set(PINTLE_EINVAL, 0, "pintle_thunk_new: flags 0x%x are not known", options.flags & ~known);
    if (options.nargs < 32 && PINTLE_FLOATS(options.flags) >> options.nargs != 0)
        return error_set(PINTLE_EINVAL, 0,
                         "pintle_thunk_new: PINTLE_FLOATS(0x%x) names a word beyond the %u that there are",
                         PINTLE_FLOATS(options.flags), options.nargs);
    if (options.on_panic != PINTLE_PANIC_CROSS && options.on_panic != PINTLE_PANIC_RETURN)
        return error_set(PINTLE_EINVAL, 0,
                         "pintle_thunk_new: on_panic is %d: use PINTLE_PANIC_CROSS or PINTLE_PANIC_RETURN",
                         options.on_panic);
    lock_acquire(&thunks.lock);
    struct pintle_thunk *thunk = take_locked();
    if (thunk != NULL) {
        thunk->fn = fn;
        thunk->user = user;
        thunk->flags = options.flags;
        thunk->nargs = (uint8_t)options.nargs;
        thunk->on_panic = (uint8_t)options.on_panic;
        thunk->gathers = has_to_gather(options.nargs, options.flags);
        thunk->panic_result = options.panic_result;
        thunk->closed_result = options.closed_result;
        set_state_locked(thunk, THUNK_FREE, THUNK_OPEN);
    }
    lock_release(&thunks.lock);
    *out = thunk;
    if (thunk != NULL) return 0;
    return error_set(PINTLE_ELIMIT, 0, "pintle_thunk_new: all %d thunks are in use: free those that are done with",
                     THUNKS_MOST);
}

int pintle_thunk_new(pintle_thunk **out, pintle_thunk_fn *fn, void *user, unsigned nargs, unsigned flags) {
    pintle_thunk_options options = {.size = sizeof options, .nargs = nargs, .flags = flags};
    return pintle_thunk_new_with(out, fn, user, &options);
}

pintle_code pintle_thunk_code(pintle_thunk *thunk) {
    return thunk != NULL ? (pintle_code)(uintptr_t)entry_of(thunk) : NULL;
}

void *pintle_thunk_pointer(pintle_thunk *thunk) { return (void *)(uintptr_t)pintle_thunk_code(thunk); }

static int not_open(const char *function, const struct pintle_thunk *thunk) {
    return error_set(PINTLE_EINVAL, 0, "%s: %p is no thunk, or is freed or retired already", function,
                     (const void *)thunk);
}

int pintle_thunk_free(pintle_thunk *thunk) {
    int result = 0;
    if (thunk == NULL) return 0;
    if (!is_of_table(thunk)) return not_open("pintle_thunk_free", thunk);
    lock_acquire(&thunks.lock);
    if (atomic_load_relaxed(&thunk->state) != THUNK_OPEN) {
        result = PINTLE_EINVAL;
    } else {
        set_state_locked(thunk, THUNK_OPEN, THUNK_CLOSING);
        if (!take_fence() || is_inside(thunk)) { /* who enters has left a slot to see, or sees CLOSING */
            set_state_locked(thunk, THUNK_CLOSING, THUNK_OPEN);
            result = PINTLE_EBUSY;
        } else {
            set_state_locked(thunk, THUNK_CLOSING, THUNK_FREE);
            give_locked(thunk);
        }
    }
    lock_release(&thunks.lock);
    if (result == PINTLE_EINVAL) return not_open("pintle_thunk_free", thunk);
    if (result == PINTLE_EBUSY) {
        return error_set(PINTLE_EBUSY, 0,
                         "pintle_thunk_free: somebody is inside the thunk: pintle_thunk_retire does not wait for them");
    }
    return 0;
}

int pintle_thunk_retire(pintle_thunk *thunk) {
    bool was_open;
    if (thunk == NULL || !is_of_table(thunk)) return not_open("pintle_thunk_retire", thunk);
    lock_acquire(&thunks.lock);
    was_open = atomic_load_relaxed(&thunk->state) == THUNK_OPEN;
    if (was_open) {
        set_state_locked(thunk, THUNK_OPEN, THUNK_RETIRED);
        thunks.retired++;
    }
    lock_release(&thunks.lock);
    return was_open ? 0 : not_open("pintle_thunk_retire", thunk);
}

uint32_t thunks_live(void) {
    uint32_t live;
    lock_acquire(&thunks.lock);
    sweep_retired_locked();
    live = thunks.live;
    lock_release(&thunks.lock);
    return live;
}
