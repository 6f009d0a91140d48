/* pintle/sync.h: waiting for each other. */
#ifndef PINTLE_SYNC_H
#define PINTLE_SYNC_H

#include "pintle/base.h"

#if defined(__cplusplus)
extern "C" {
#endif

/* A manual-reset event: set wakes all waiters and lets later ones through until it is reset. */
typedef struct pintle_event {
    uint32_t lock;
    uint32_t set;
    void *first, *last;
} pintle_event;
#if defined(__cplusplus)
#define PINTLE_EVENT_INIT \
    pintle_event { 0, 0, nullptr, nullptr }
#else
#define PINTLE_EVENT_INIT \
    { 0, 0, NULL, NULL }
#endif

/* Blocks: no. From: any. Destroying an event that has waiters is a panic. */
PINTLE_API void pintle_event_init(pintle_event *event);
PINTLE_API void pintle_event_destroy(pintle_event *event);
PINTLE_API void pintle_event_set(pintle_event *event);
PINTLE_API void pintle_event_reset(pintle_event *event);
PINTLE_API bool pintle_event_is_set(const pintle_event *event);

/* Effect: waits until the event is set. Blocks: task. From: any.
 * Errors: ETIMEDOUT, EAGAIN, ECANCELED, EINVAL (a duration for a deadline). */
PINTLE_API int pintle_event_wait(pintle_event *event, int64_t deadline_ns);

#if defined(__cplusplus)
}
#endif

#endif
