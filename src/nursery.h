/* nursery.h: scopes of tasks, pintle_scope_*. Inside the library they are called nurseries, Trio's word: a scope is where panics come
 * by (scope.h). The protocol is explained in nursery.c.
 * Threads: any. Locks: the nursery's (RANK_NURSERY). Tests: tests/api/test_cancel_scope.c, tests/stress/test_scope.c. */
#ifndef PINTLE_SRC_NURSERY_H
#define PINTLE_SRC_NURSERY_H

#include "pintle/scope.h"
#include "stack.h"
#include "wait.h"

struct pintle_scope {
    struct lock lock;
    _Atomic uint32_t is_open;
    _Atomic uint32_t live; /* tasks; written under the lock */
    _Atomic int reason;    /* why it is cancelled; 0: it is not */
    _Atomic uint32_t references;
    /* Under the lock. */
    struct pintle_task *members, *cursor; /* cursor: whom the canceller comes to next */
    struct pintle_scope *children;
    uint64_t opening; /* counts this record's lives */
    pintle_error failure;
    /* Under the parent's lock. */
    struct pintle_scope *sibling, *previous_sibling;
    /* The opener's; constant while open. */
    struct pintle_scope *parent;
    uint64_t opener;               /* owner.h */
    const struct scope *opened_in; /* the innermost scope of panics then */
    struct pintle_scope *opened_before;
    int64_t os_deadline_ns; /* its own or its parent's, whatever comes first */
    struct timer timer;     /* if it is its own */
    /* The guard's. */
    struct waiters waiters;
    /* The canceller's; then the pool's. */
    struct pintle_scope *next;
    struct pintle_scope *all_next; /* all records: they are not freed while the runtime runs */
};

/* The new task becomes a member, and is cancelled if the nursery is. False: it is closed, the error is set. */
bool nursery_enter(struct pintle_scope *nursery, struct pintle_task *task);
/* The task is over, and off its stack: its last step in the nursery. */
void nursery_leave(struct pintle_task *task);
/* A detached member has ended by a panic. */
void nursery_panicked(struct pintle_task *task);
/* Whether the calling task, which is `task`, has opened a nursery in that scope of panics, and not closed it. */
static inline bool nurseries_opened_in(const struct pintle_task *task, const struct scope *scope) {
    return task_stack(task)->nurseries != NULL && task_stack(task)->nurseries->opened_in == scope;
}
/* A panic, or an exit, came by that scope: cancels and closes what was opened in it. */
void nurseries_discard(struct pintle_task *task, const struct scope *scope);
/* The scope ends in peace: what was opened in it goes to the next outwards. */
void nurseries_keep(struct pintle_task *task, const struct scope *scope);
/* The task's function has returned with nurseries open: discards them, and panics. */
NORETURN void nurseries_left_open(void *task);
/* Frees the records: no task is left. */
void nurseries_destroy(void);

#endif
