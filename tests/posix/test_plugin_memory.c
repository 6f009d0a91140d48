/* test_plugin_memory.c: the memory of a plugin's process is limited (Wine's jobs have no limits: docs/windows.md). */
#include "api/dll_helpers.h"

#include "host.h"

static size_t limit_bytes;

static int ask_for_memory(void *arg) {
    host *h;
    hosted *p = NULL;
    hosted_reply reply;
    host_options options = {.isolated = true, .memory_most_bytes = limit_bytes, .child_program = TEST_CHILD};
    int64_t soon_ns = pintle_after(PINTLE_S(20));
    (void)arg;
    EXPECT(host_new(&h, &options) == 0);
    EXPECT(hosted_load(&p, h, TEST_PLUGINS "/dies.so", soon_ns) == 0);
    EXPECT(hosted_call(p, "memory", 6, &reply, soon_ns) == 0);
    EXPECT(strcmp(reply.data, limit_bytes != 0 ? "refused" : "given") == 0);
    hosted_reply_free(&reply);
    EXPECT(host_free(h, soon_ns) == 0);
    return 0;
}
CASE(isolated_plugin_gets_no_more_memory_than_its_host_allows) {
    limit_bytes = (size_t)768 << 20;
    run_tasks(ask_for_memory, 2);
    limit_bytes = 0;
    run_tasks(ask_for_memory, 2);
}
