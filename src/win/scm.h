/* scm.h: what the two halves of the manager's side share: scm.c asks and waits, scm_install.c installs and removes.
 * Threads: any, in a foreign call. Locks: none. Tests: tests/win/test_service_win.c. */
#ifndef PINTLE_SRC_WIN_SCM_H
#define PINTLE_SRC_WIN_SCM_H

#include "win.h"

#include "error.h"
#include "pintle/service.h"

/* The service with these rights (0: none, *out_service stays NULL) and the manager with those. A PINTLE_E… code, set. */
struct scm {
    SC_HANDLE manager, service;
};
int scm_open(struct scm *out, const char *name, DWORD manager_rights, DWORD service_rights);
void scm_close(struct scm *scm);
/* Sets the error for what the system said: "cannot VERB service 'NAME': …", and what to do about it. */
int scm_error(const char *verb, const char *name, DWORD error);
/* One query. */
int scm_ask(const struct scm *scm, const char *name, SERVICE_STATUS_PROCESS *out);
/* Copies a caller's struct of the size that his header had. False: the error is set. */
bool scm_options_read(const char *function, void *out, size_t out_bytes, const void *options, size_t size);

/* Text in memory_alloc'ed UTF-16; the three below too. NULL: no memory, or no UTF-8. */
wchar_t *scm_command_line(const char *program, const char *const *arguments);
/* With a NUL between and two at the end, as the manager has lists. */
wchar_t *scm_text_list(const char *const *texts);

/* The event log's source of that name, at install and at remove. 0, or the system's error. */
DWORD scm_event_source_add(const char *name, const wchar_t *program);
void scm_event_source_remove(const char *name);

#endif
