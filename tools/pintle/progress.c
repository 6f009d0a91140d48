/* progress.c: a task that rewrites a line of the terminal until the work is over. */
#include "progress.h"

#include "command.h"
#include "platform.h"

static const int64_t FIRST_NS = PINTLE_MS(500), PERIOD_NS = PINTLE_MS(100);

static void show(void *arg) {
    struct progress *progress = arg;
    bool shown = false;
    while (pintle_event_wait(&progress->over, pintle_after(shown ? PERIOD_NS : FIRST_NS)) == PINTLE_ETIMEDOUT) {
        fprintf(stderr, "\r  %" PRIu64 " of %" PRIu64 " %s ", progress->done(progress->arg), progress->total,
                progress->what);
        fflush(stderr);
        shown = true;
    }
    if (shown) fputs("\r\033[K", stderr);
}

void progress_start(struct progress *progress, const char *what, uint64_t total, uint64_t (*done)(void *arg),
                    void *arg) {
    *progress = (struct progress){.what = what, .total = total, .done = done, .arg = arg};
    pintle_event_init(&progress->over);
    if (!platform_has_terminal()) return;
    if (pintle_spawn(&progress->task, show, progress) != 0) progress->task = NULL; /* the work itself matters more */
}

void progress_stop(struct progress *progress) {
    pintle_event_set(&progress->over);
    if (progress->task != NULL) pintle_join(progress->task, PINTLE_FOREVER);
    pintle_event_destroy(&progress->over);
}
