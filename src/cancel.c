/* cancel.c: see cancel.h. A task is cancelled once and for all; the first reason stays. What masks it is the task's own count:
 * a wait that begins while it is not 0 shows itself as MASKED, and cancellers leave it alone (wait.h).
 * Threads: any; masks: the task's own. Locks: guards. Order: as in cancel.h. Tests: tests/api/test_cancel.c. */
#include "cancel.h"

#include "kick.h"
#include "panic.h"
#include "pintle/scope.h"
#include "scheduler.h"
#include "record.h"
#include "wait.h"

bool task_cancel_begin(struct pintle_task *task, int reason) {
    int none = 0;
    atomic_cas_acq_rel(&task->cancel_reason, &none, reason);
    bool may_be_about_to_wait = wait_cancel_begin(task);
    if (UNLIKELY(task_is(task, TASK_INTERRUPTIBLE))) kick_ask();
    return may_be_about_to_wait;
}

void task_cancel_fence(void) { guards_fence(); }

void task_cancel_end(struct pintle_task *task) { wait_cancel_end(task); }

void task_cancel(struct pintle_task *task, int reason) {
    if (!task_cancel_begin(task, reason)) return;
    task_cancel_fence();
    task_cancel_end(task);
}

static void stop_begin(struct pintle_task *task) { (void)task_cancel_begin(task, PINTLE_ESTOPPED); }
static void stop_end(struct pintle_task *task) {
    if (task_is(task, TASK_CANCELED)) task_cancel_end(task);
}

void cancel_all(void) {
    record_each_task(stop_begin);
    task_cancel_fence();
    record_each_task(stop_end);
}

/* ---- Public ---- */

void pintle_task_cancel(pintle_task *task) {
    if (task == NULL) panic("pintle_task_cancel was given a NULL task");
    task_cancel(task, PINTLE_ECANCELED);
}

bool pintle_canceled(void) { return pintle_cancel_reason() != 0; }

int pintle_cancel_reason(void) {
    struct pintle_task *task = pintle_self();
    return task != NULL ? task_cancel_reason(task) : 0;
}

void pintle_cancel_mask(void) {
    struct pintle_task *task = task_only("pintle_cancel_mask")->task;
    if (++task->cancel_masks == 0) panic("pintle_cancel_mask: nested 65,536 deep");
}

void pintle_cancel_unmask(void) {
    struct pintle_task *task = task_only("pintle_cancel_unmask")->task;
    if (task->cancel_masks == 0) panic("pintle_cancel_unmask without a pintle_cancel_mask before it");
    task->cancel_masks--;
}
