/* test_host.c: a program that loads libraries which have a Pintle of their own (tests/host): loaded, started, used,
 * stopped and unloaded, again and again; and two at the same time that call into each other's tasks. */
#include "api/api_helpers.h"
#include "host/host.h"
#include "support/resources.h"

#if !defined(_WIN32)
#include <dlfcn.h>
#include <signal.h>

static struct sigaction first_action; /* before any library was loaded */
#endif

typedef struct library {
    void *module;
    const host *host;
} library;

static bool library_load(library *out, const char *name) {
    const char *path = test_dll_path(name);
    host_get_fn *get;
#if defined(_WIN32)
    out->module = LoadLibraryA(path);
    get = out->module == NULL ? NULL : (host_get_fn *)(uintptr_t)GetProcAddress(out->module, "host_get");
#else
    out->module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    get = out->module == NULL ? NULL : (host_get_fn *)(uintptr_t)dlsym(out->module, "host_get");
    if (get == NULL) printf("%s\n", dlerror());
#endif
    if (get == NULL) return false;
    out->host = get();
    return true;
}

/* False: it is still there. */
static bool library_unload(library *l, const char *name) {
    const char *path = test_dll_path(name);
#if defined(_WIN32)
    FreeLibrary(l->module);
    return GetModuleHandleA(path) == NULL;
#else
    dlclose(l->module);
    return dlopen(path, RTLD_NOW | RTLD_NOLOAD) == NULL;
#endif
}

/* A thread of the program that uses each load of the library and outlives it. */
typedef struct visitor {
    helper_thread thread;
    helper_sem asked, answered;
    const host *_Atomic host; /* NULL: the end */
    atomic_uint wrong;
} visitor;

static void visitor_task(void *arg) { atomic_fetch_add((atomic_uint *)arg, 1); }

static void visitor_main(void *arg) {
    visitor *v = arg;
    const host *h;
    atomic_uint entered = 0;
    unsigned rounds = 0;
    for (;;) {
        helper_sem_wait(&v->asked);
        if ((h = atomic_load(&v->host)) == NULL) return;
        if (h->has_error(PINTLE_EINVAL)) atomic_fetch_add(&v->wrong, 1); /* of the library that was unloaded */
        if (h->enter(visitor_task, &entered) != 0 || atomic_load(&entered) != ++rounds) atomic_fetch_add(&v->wrong, 1);
        /* Attached: its record is the library's, which is unloaded before the thread ends. */
        for (int i = 0; i < 2; i++)
            if (h->call_in(visitor_task, &entered) != 0 || atomic_load(&entered) != ++rounds)
                atomic_fetch_add(&v->wrong, 1);
        if (h->start(9999) != 0 || h->stop(INT64_MAX) != 0) atomic_fetch_add(&v->wrong, 1); /* counted: it goes on */
        h->complain(); /* leaves the thread an error of this library */
        if (!h->has_error(PINTLE_EINVAL)) atomic_fetch_add(&v->wrong, 1);
        helper_sem_post(&v->answered);
    }
}

static void round_trip(visitor *v, const char *name, bool faults) {
    library l;
    ck_assert(library_load(&l, name));
    ck_assert_int_eq(faults ? l.host->start_faulting(2) : l.host->start(2), 0);
    ck_assert_uint_eq(l.host->work(24), 0);
    if (faults) ck_assert_uint_eq(l.host->fault(5), 0);
    atomic_store(&v->host, l.host);
    helper_sem_post(&v->asked);
    helper_sem_wait(&v->answered);
    ck_assert_int_eq(l.host->stop(INT64_MAX), 0);
    ck_assert_int_eq(l.host->stop(INT64_MAX), PINTLE_ESTOPPED);
    ck_assert(l.host->has_error(PINTLE_ESTOPPED));
    ck_assert(library_unload(&l, name));
}

#if defined(_WIN32)
static atomic_uint raised;
static LONG CALLBACK note_exception(EXCEPTION_POINTERS *exception) {
    if (exception->ExceptionRecord->ExceptionCode != 0xE0001234) return EXCEPTION_CONTINUE_SEARCH;
    atomic_fetch_add(&raised, 1);
    return EXCEPTION_CONTINUE_EXECUTION;
}
/* A handler of an unloaded library, before ours in the list, would be called where no code is any more. */
static void exceptions_still_arrive(void) {
    void *handler = AddVectoredExceptionHandler(0, note_exception);
    RaiseException(0xE0001234, 0, 0, NULL);
    RemoveVectoredExceptionHandler(handler);
    ck_assert_uint_eq(raised, 1);
}
#else
static volatile sig_atomic_t raised;
static void note_signal(int number) { raised = number; }
/* A handler of an unloaded library would still be there, or be put back. */
static void exceptions_still_arrive(void) {
    struct sigaction now, ours = {.sa_handler = note_signal};
    sigaction(SIGSEGV, NULL, &now);
    ck_assert(now.sa_handler == first_action.sa_handler);
    sigaction(SIGSEGV, &ours, &now);
    raise(SIGSEGV);
    ck_assert_int_eq(raised, SIGSEGV);
    sigaction(SIGSEGV, &now, NULL);
}
#endif

enum { WARM_UP = 20, ROUNDS = 100 };
#if defined(_WIN32) && defined(PINTLE_DEBUG_CHECKS)
static const unsigned slots_lost_by_debug_checks =
    ROUNDS; /* lock.c has a thread-local variable: MinGW leaves its slot */
#else
static const unsigned slots_lost_by_debug_checks = 0;
#endif

CASE_TIMEOUT(host_is_loaded_started_stopped_and_unloaded_100_times, 120) {
    visitor v = {.wrong = 0};
    resources_quiet();
#if !defined(_WIN32)
    sigaction(SIGSEGV, NULL, &first_action);
#endif
    helper_sem_init(&v.asked);
    helper_sem_init(&v.answered);
    ck_assert(helper_thread_start(&v.thread, visitor_main, &v));
    unsigned threads = 0, handles = 0, slots = 0;
    size_t memory_kb = 0, space_kb = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        if (i == WARM_UP) {
            threads = helper_thread_count();
            handles = resources_handles();
            slots = resources_slots_left();
            memory_kb = resources_memory_kb();
            space_kb = resources_space_kb();
        }
        round_trip(&v, i % 2 == 0 ? "host_a" : "host_b", i % 4 >= 2);
    }
    exceptions_still_arrive();
    ck_assert(helper_threads_at_most(threads));
    ck_assert_uint_le(resources_handles(), handles);
    ck_assert_uint_ge(resources_slots_left() + slots_lost_by_debug_checks, slots);
    printf("memory %zu -> %zu KB, address space %zu -> %zu KB\n", memory_kb, resources_memory_kb(), space_kb,
           resources_space_kb());
    ck_assert_uint_le(resources_memory_kb(), memory_kb + 1024 + RESOURCES_KEPT_KB);
    ck_assert_uint_le(resources_space_kb(), space_kb + 2048 + RESOURCES_SPACE_KEPT_KB(ROUNDS));
    /* A thread that used each of them ends after all are gone: nothing of theirs is called. */
    atomic_store(&v.host, NULL);
    helper_sem_post(&v.asked);
    helper_thread_join(&v.thread);
    ck_assert_uint_eq(v.wrong, 0);
    helper_sem_destroy(&v.asked);
    helper_sem_destroy(&v.answered);
}

/* ---- Two copies ---- */

typedef struct hop {
    const host *own, *other;
    unsigned depth;
    uint64_t task, entered_from; /* of the one that entered */
    atomic_uint *hops, *wrong;
} hop;

static void hop_task(void *arg);

static int hop_over(void *arg) {
    hop *from = arg;
    hop to = {.own = from->other,
              .other = from->own,
              .depth = from->depth - 1,
              .entered_from = from->task,
              .hops = from->hops,
              .wrong = from->wrong};
    if (to.own->self() != 0) return 1; /* that copy knows nothing of this thread */
    return to.own->enter(hop_task, &to);
}

static void hop_task(void *arg) {
    hop *h = arg;
    h->task = h->own->self();
    atomic_fetch_add(h->hops, 1);
    if (h->task == 0) atomic_fetch_add(h->wrong, 1);
    h->own->yield();
    if (h->depth > 0 && h->own->call(hop_over, h) != 0) atomic_fetch_add(h->wrong, 1); /* it may block */
    h->own->yield();
    if (h->own->self() != h->task) atomic_fetch_add(h->wrong, 1);
}

typedef struct crowd {
    const host *own, *other;
    atomic_uint hops, wrong;
} crowd;

static void crowd_main(void *arg) {
    crowd *c = arg;
    for (int i = 0; i < 20; i++) {
        hop first = {.own = c->own, .other = c->other, .depth = 4, .hops = &c->hops, .wrong = &c->wrong};
        if (c->own->enter(hop_task, &first) != 0) atomic_fetch_add(&c->wrong, 1);
        if (i % 5 == 0 && c->own->work(2) != 0) atomic_fetch_add(&c->wrong, 1);
    }
}

enum { CROWD = 6 };

CASE_TIMEOUT(two_copies_run_at_the_same_time_and_call_each_other, 60) {
    unsigned threads = helper_thread_count();
    library a, b;
    ck_assert(library_load(&a, "host_a"));
    ck_assert(library_load(&b, "host_b"));
    ck_assert_ptr_ne(a.host, b.host);
    ck_assert_int_eq(a.host->start(2), 0);
    ck_assert_uint_eq(b.host->threads(), 0); /* it is not the same one */
    ck_assert_int_eq(b.host->enter(visitor_task, NULL), PINTLE_ESTOPPED);
    ck_assert(b.host->has_error(PINTLE_ESTOPPED) && !a.host->has_error(PINTLE_ESTOPPED));
    ck_assert_int_eq(b.host->start(2), 0);

    crowd crowds[CROWD];
    helper_thread runners[CROWD];
    for (int i = 0; i < CROWD; i++) {
        crowds[i] = (crowd){.own = i % 2 == 0 ? a.host : b.host, .other = i % 2 == 0 ? b.host : a.host};
        ck_assert(helper_thread_start(&runners[i], crowd_main, &crowds[i]));
    }
    ck_assert_uint_eq(a.host->work(24), 0);
    ck_assert_uint_eq(b.host->work(24), 0);
    for (int i = 0; i < CROWD; i++) helper_thread_join(&runners[i]);
    for (int i = 0; i < CROWD; i++) {
        ck_assert_uint_eq(crowds[i].wrong, 0);
        ck_assert_uint_eq(crowds[i].hops, 20 * 5);
    }

    /* The one goes, the other goes on. */
    ck_assert_int_eq(a.host->stop(INT64_MAX), 0);
    ck_assert(library_unload(&a, "host_a"));
    ck_assert_uint_eq(b.host->work(24), 0);
    ck_assert_int_eq(b.host->stop(INT64_MAX), 0);
    ck_assert(library_unload(&b, "host_b"));
    ck_assert(helper_threads_at_most(threads));
}

/* The one that began first ends first: its handlers are below the other's, which go on to them, and stay with its code. */
static void two_copies_end_in_either_order(void) {
    for (int i = 0; i < 4; i++) {
        library a, b;
        ck_assert(library_load(&a, "host_a"));
        ck_assert(library_load(&b, "host_b"));
        ck_assert_int_eq(a.host->start_faulting(1), 0);
        ck_assert_int_eq(b.host->start_faulting(1), 0);
        ck_assert_uint_eq(a.host->fault(5), 0);
        ck_assert_uint_eq(b.host->fault(5), 0);
        ck_assert_int_eq((i % 2 == 0 ? a : b).host->stop(INT64_MAX), 0);
        library_unload(i % 2 == 0 ? &a : &b, i % 2 == 0 ? "host_a" : "host_b");
        ck_assert_uint_eq((i % 2 == 0 ? b : a).host->fault(5), 0);
        ck_assert_int_eq((i % 2 == 0 ? b : a).host->stop(INT64_MAX), 0);
        library_unload(i % 2 == 0 ? &b : &a, i % 2 == 0 ? "host_b" : "host_a");
    }
}

CASE(two_copies_whose_faults_are_panics_end_in_either_order) {
    two_copies_end_in_either_order();
#if !defined(_WIN32)
    /* And above a handler of the program's. */
    struct sigaction ours = {.sa_handler = note_signal}, before;
    sigaction(SIGSEGV, &ours, &before);
    two_copies_end_in_either_order();
    sigaction(SIGSEGV, &before, NULL);
#endif
}
