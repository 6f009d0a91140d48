/* owner.c: see owner.h. */
#include "owner.h"

#include "record.h"

uint64_t owner_thread(void) { return os_thread_id() | OWNER_IS_THREAD; }

struct search {
    uint64_t id;
    char name[sizeof((struct pintle_task *)0)->name];
};

static void look(struct pintle_task *task, void *context) {
    struct search *search = context;
    if (task_id_of_other(task) == search->id && atomic_load_relaxed(&task->state) != TASK_IDLE) {
        task_name_of_other(task, search->name);
    }
}

void owner_describe(uint64_t owner, char *out_text, size_t text_bytes) {
    struct search search = {owner, ""};
    if (owner == 0) {
        snprintf(out_text, text_bytes, "nobody");
    } else if (owner & OWNER_IS_THREAD) {
        snprintf(out_text, text_bytes, "thread %llu", (unsigned long long)(owner & ~OWNER_IS_THREAD));
    } else {
        record_each(look, &search);
        snprintf(out_text, text_bytes, "task %llu%s%s%s", (unsigned long long)owner, search.name[0] != '\0' ? " '" : "",
                 search.name, search.name[0] != '\0' ? "'" : "");
    }
}
