/* pintle/timer.h: timers: a function at a time, once or again and again; or something to select on. Source: Go's time.Timer and
 * time.Ticker, with one difference: a timer's function never runs twice at once. */
#ifndef PINTLE_TIMER_H
#define PINTLE_TIMER_H

#include "pintle/base.h"

#if defined(__cplusplus)
extern "C" {
#endif

typedef struct pintle_timer pintle_timer;

/* Effect: makes a timer, which is not set. When its time comes, fn(arg) runs in a task of its own, named "timer": it may do all
 * that task code may, and block for as long as it wants, without delaying other timers; a panic that nobody stops there is that
 * task's. fn NULL: only for pintle_select (PINTLE_CASE_TIMER). Blocks: no. From: any. The caller frees it.
 * Errors: ENOMEM; EINVAL (out is NULL). */
PINTLE_API int pintle_timer_new(pintle_timer **out, pintle_fn *fn, void *arg);

/* Effect: the timer expires at deadline_ns (NOWAIT: at once; FOREVER: never), and, if period_ns is not 0, then every period_ns
 * from there, without drift. What it was set to before is forgotten, with expiries that nobody received and a function that
 * has not begun. Expiries that come while the function still runs count as one: it runs again when it has ended. Where the
 * runtime is late by whole periods, they are one expiry too. If there is no memory for the function's task when its time comes,
 * or max_tasks is reached, it is tried again every millisecond. Timers expire while the runtime runs; its stop forgets them.
 * Blocks: no. From: any.
 * Errors: EINVAL (a duration for a deadline, a negative period), ESTOPPED, ENOMEM; then all is as before. */
PINTLE_API int pintle_timer_set(pintle_timer *timer, int64_t deadline_ns, int64_t period_ns);

/* Effect: the timer does not expire any more. True: that prevented an expiry: the function will not begin again, and no select
 * will have it. False: it was not set, or the one expiry is over: the function has begun, maybe not ended. A periodic timer is
 * set until it is stopped: true. Blocks: no; the function may still run. From: any. */
PINTLE_API bool pintle_timer_stop(pintle_timer *timer);

/* Effect: stops the timer and frees it. The function will not begin any more; if it is running it ends in peace, so what
 * arg points to must last until then; it may itself free its timer. NULL is fine. Blocks: no. From: any. Freeing a timer that
 * somebody selects on is a panic. */
PINTLE_API void pintle_timer_free(pintle_timer *timer);

#if defined(__cplusplus)
}
#endif

#endif
