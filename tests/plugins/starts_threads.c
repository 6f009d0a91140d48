/* starts_threads.c: a plugin with threads of its own that ask its host: four from its start to its end, 100 times each, and
 * one in each call, which asks the request in the call's name. The reply: how the host answered. */
#define TINY_OPEN
#define TINY_CLOSE
#include "tiny.h"

enum { THREADS = 4, QUESTIONS = 100 };

typedef struct question {
    plugin_call *call;
    const void *text;
    size_t bytes;
    int64_t answer;
    char said[32];
} question;

#if defined(_WIN32)
typedef HANDLE thread;
#define THREAD_FUNCTION static DWORD WINAPI
#define THREAD_RESULT 0
static thread thread_start(LPTHREAD_START_ROUTINE fn, void *arg) { return CreateThread(NULL, 0, fn, arg, 0, NULL); }
static void thread_join(thread t) {
    WaitForSingleObject(t, INFINITE);
    CloseHandle(t);
}
#else
typedef pthread_t thread;
#define THREAD_FUNCTION static void *
#define THREAD_RESULT NULL
static thread thread_start(void *(*fn)(void *), void *arg) {
    thread t;
    if (pthread_create(&t, NULL, fn, arg) != 0) abort();
    return t;
}
static void thread_join(thread t) { pthread_join(t, NULL); }
#endif

static thread threads[THREADS];

THREAD_FUNCTION ask_often(void *arg) {
    char nothing;
    (void)arg;
    for (int i = 0; i < QUESTIONS; i++) host->ask(NULL, "thread", 6, &nothing, 0);
    return THREAD_RESULT;
}

THREAD_FUNCTION ask_once(void *arg) {
    question *q = arg;
    q->answer = host->ask(q->call, q->text, q->bytes, q->said, sizeof q->said);
    return THREAD_RESULT;
}

int plugin_open(const plugin_host *with, void **out_state) {
    host = with;
    *out_state = threads;
    for (int i = 0; i < THREADS; i++) threads[i] = thread_start(ask_often, NULL);
    return 0;
}

int plugin_run(void *state, plugin_call *call, const void *request, size_t bytes) {
    question q = {.call = call, .text = request, .bytes = bytes};
    char text[64];
    (void)state;
    thread_join(thread_start(ask_once, &q));
    snprintf(text, sizeof text, "%d %.*s", (int)q.answer, q.answer > 0 ? (int)q.answer : 0, q.said);
    return reply(call, text);
}

void plugin_close(void *state) {
    for (int i = 0; i < THREADS; i++) thread_join(((thread *)state)[i]);
}
