/* task_text.c: see task_text.h. Threads: any. Locks: none. */
#include "task_text.h"

#include "os.h"

void task_text_state(uint32_t state, const char *waits_for, bool is_bound, char *out_text, size_t text_bytes) {
    const char *pinned = is_bound ? " (pinned)" : "";
    switch (state) {
    case TASK_RUNNABLE: snprintf(out_text, text_bytes, "is runnable%s", pinned); break;
    case TASK_RUNNING: snprintf(out_text, text_bytes, "runs"); break;
    case TASK_WAITING:
        snprintf(out_text, text_bytes, "waits in %s%s", waits_for != NULL ? waits_for : "?", pinned);
        break;
    default: snprintf(out_text, text_bytes, "has ended"); break;
    }
}

void task_text(struct pintle_task *task, char *out_text, size_t text_bytes) {
    uint32_t state = atomic_load_relaxed(&task->state);
    char name[TASK_NAME_BYTES], does[80], symbol[128];
    task_name_of_other(task, name);
    task_text_state(state, atomic_load_relaxed(&task->waits_for), state != TASK_RUNNING && task_is_bound(task), does,
                    sizeof does);
    const void *spawned_at = *(void *volatile *)&task->spawned_at;
    if (spawned_at != NULL) os_symbol(spawned_at, true, symbol, sizeof symbol);
    const char *quote = name[0] != '\0' ? "'" : "";
    snprintf(out_text, text_bytes, "task %llu%s%s%s%s %s%s%s", (unsigned long long)task_id_of_other(task),
             name[0] != '\0' ? " " : "", quote, name, quote, does, spawned_at != NULL ? ", spawned at " : "",
             spawned_at != NULL ? symbol : "");
}
