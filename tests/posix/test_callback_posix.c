/* test_callback_posix.c: thunks as what the C library calls back: sorting and searching, trees, walks over files, threads,
 * and what runs at exit. */
#include "api/dll_helpers.h"

#include <ftw.h>
#include <search.h>

static pintle_thunk *make_thunk(pintle_thunk_fn *fn, void *user, unsigned nargs) {
    pintle_thunk *thunk = NULL;
    EXPECT(pintle_thunk_new(&thunk, fn, user, nargs, 0) == 0);
    return thunk;
}
static void end_thunk(pintle_thunk *thunk) { EXPECT(pintle_thunk_free(thunk) == 0); }

typedef int compare_fn(const void *, const void *);
typedef struct numbers {
    pintle_thunk *compare, *visit;
    int items[300];
    void *tree;
    unsigned compared, visited;
    int last;
    bool sorted;
} numbers;

static uintptr_t compare(void *user, const uintptr_t *args) {
    int a = *(const int *)args[0], b = *(const int *)args[1];
    if (++((numbers *)user)->compared % 50 == 0) pintle_yield();
    return (uintptr_t)(intptr_t)((a > b) - (a < b));
}
static uintptr_t visit(void *user, const uintptr_t *args) {
    numbers *n = user;
    int value = **(int *const *)args[0];
    if ((VISIT)args[1] != postorder && (VISIT)args[1] != leaf) return 0;
    if (value <= n->last) n->sorted = false;
    n->last = value;
    n->visited++;
    return 0;
}
static int use_library(void *arg) {
    numbers *n = arg;
    compare_fn *code = (compare_fn *)(uintptr_t)pintle_thunk_code(n->compare);
    int wanted = 0, missing = 1000000;
    for (size_t i = 0; i < ELEMENTS(n->items); i++) n->items[i] = (int)(i * 7919 % 100003);
    wanted = n->items[123];
    qsort(n->items, ELEMENTS(n->items), sizeof n->items[0], code);
    for (size_t i = 1; i < ELEMENTS(n->items); i++) EXPECT(n->items[i - 1] < n->items[i]);
    int *found = bsearch(&wanted, n->items, ELEMENTS(n->items), sizeof n->items[0], code);
    EXPECT(found != NULL && *found == wanted);
    EXPECT(bsearch(&missing, n->items, ELEMENTS(n->items), sizeof n->items[0], code) == NULL);
    n->tree = NULL;
    n->last = -1;
    n->visited = 0;
    n->sorted = true;
    for (size_t i = 0; i < ELEMENTS(n->items); i++) tsearch(&n->items[i * 7 % ELEMENTS(n->items)], &n->tree, code);
    twalk(n->tree, (void (*)(const void *, VISIT, int))(uintptr_t)pintle_thunk_code(n->visit));
    EXPECT(n->sorted && n->visited == ELEMENTS(n->items));
    for (size_t i = 0; i < ELEMENTS(n->items); i++) tdelete(&n->items[i], &n->tree, code);
    EXPECT(n->tree == NULL);
    return 0;
}
static int library_main(void *arg) {
    static numbers n;
    (void)arg;
    n.compare = make_thunk(compare, &n, 2);
    n.visit = make_thunk(visit, &n, 3);
    EXPECT(pintle_call(use_library, &n) == 0);
    EXPECT(pintle_call_blocking(use_library, &n) == 0);
    use_library(&n); /* in place */
    EXPECT(n.compared > 3000);
    end_thunk(n.compare);
    end_thunk(n.visit);
    return 0;
}
CASE(qsort_bsearch_tsearch_and_twalk_call_thunks) { run_tasks(library_main, 2); }

typedef struct files {
    pintle_thunk *thunk;
    unsigned seen;
    char folder[64];
} files;
static uintptr_t see_file(void *user, const uintptr_t *args) {
    files *f = user;
    EXPECT(strncmp((const char *)args[0], f->folder, strlen(f->folder)) == 0);
    pintle_yield();
    f->seen++;
    return 0;
}
static int walk_files(void *arg) {
    const files *f = arg;
    return nftw(f->folder,
                (int (*)(const char *, const struct stat *, int, struct FTW *))(uintptr_t)pintle_thunk_code(f->thunk),
                4, FTW_PHYS);
}
static int files_main(void *arg) {
    files *f = arg;
    f->thunk = make_thunk(see_file, f, 4);
    EXPECT(pintle_call(walk_files, f) == 0);
    EXPECT(walk_files(f) == 0);
    EXPECT(f->seen == 12);
    end_thunk(f->thunk);
    return 0;
}
CASE(nftw_calls_a_thunk_for_each_file) {
    files f = {.folder = "/tmp/pintle_callback_XXXXXX"};
    char name[128];
    ck_assert_ptr_nonnull(mkdtemp(f.folder));
    for (int i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "%s/%d", f.folder, i);
        ck_assert_int_eq(mkdir(name, 0700), 0);
    }
    int status = helper_run(files_main, &f, 2);
    for (int i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "%s/%d", f.folder, i);
        rmdir(name);
    }
    rmdir(f.folder);
    assert_nothing_wrong();
    ck_assert_int_eq(status, 0);
}

static uintptr_t thread_main(void *user, const uintptr_t *args) {
    ++*(unsigned *)user;
    pintle_sleep(PINTLE_US(50));
    return args[0] * 3;
}
static int start_thread(void *arg) {
    pthread_t thread;
    void *result = NULL;
    if (pthread_create(&thread, NULL, (void *(*)(void *))(uintptr_t)pintle_thunk_code(arg), (void *)14) != 0) return 1;
    pthread_join(thread, &result);
    return result == (void *)42 ? 0 : 2;
}
static int thread_start_main(void *arg) {
    unsigned ran = 0;
    pintle_thunk *thunk = make_thunk(thread_main, &ran, 1);
    (void)arg;
    for (int i = 0; i < 20; i++) EXPECT(pintle_call_blocking(start_thread, thunk) == 0);
    EXPECT(ran == 20);
    end_thunk(thunk);
    return pintle_check();
}
CASE(pthread_starts_in_a_thunk_whose_result_is_joined) { run_tasks(thread_start_main, 2); }

/* After the runtime's end a thunk answers closed_result, whoever calls: here the C library, at exit. */
static uintptr_t never(void *user, const uintptr_t *args) {
    (void)user;
    (void)args;
    printf("ran without a runtime\n");
    return 0;
}
static int nothing_main(void *arg) {
    pintle_thunk *thunk;
    (void)arg;
    if (pintle_thunk_new(&thunk, never, NULL, 0, 0) != 0) return 1;
    return atexit((void (*)(void))pintle_thunk_code(thunk));
}
CHILD(thunk_at_exit) { exit(pintle_run(nothing_main, NULL, NULL)); }
CASE(thunk_that_is_called_at_exit_answers_without_running) {
    char text[1024];
    ck_assert_int_eq(child_run("thunk_at_exit", text, sizeof text), 0);
    ck_assert_str_eq(text, "");
}
