/* select.h: what the parts of select share. Tests: tests/api/test_select.c, tests/posix/test_select_fd.c. */
#ifndef PINTLE_SRC_SELECT_H
#define PINTLE_SRC_SELECT_H

#include "pintle/chan.h"

/* Inside only: on is a struct watch, item what `seen` was when it was armed. Status 0: it has been seen ready meanwhile; else
 * what the poller told (watch.h). */
enum { CASE_WATCH = 100 };

/* select.c: pintle_select for cases that are checked, all but HANDLE and FD. */
int select_cases(pintle_case *cases, size_t n, int64_t deadline_ns);
/* Tries one, without waiting. */
bool select_try(pintle_case *c);
/* A number below limit, by chance. */
uint32_t select_chance(uint32_t limit);

/* select_watch.c: with any kinds of cases. */
int select_watched(pintle_case *cases, size_t n, int64_t deadline_ns);

#endif
