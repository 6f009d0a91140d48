/* test_syscall.c: pintle_syscall*: words, results, last errors, threads, stacks.
 * The functions called are those of tests/dll/words.c and of the system. Loading: test_library.c. */
#include "api/api_helpers.h"

typedef uintptr_t word;

/* ---- The DLL of the tests ---- */

static void *words_module;

static void *words_proc(const char *name) {
    void *proc = NULL;
    if (words_module == NULL && pintle_load_library(test_dll_path("words"), &words_module) != 0) return NULL;
    return pintle_get_proc_address(words_module, name, &proc) == 0 ? proc : NULL;
}
static void *system_proc(const char *dll, const char *name) {
    void *module = NULL, *proc = NULL;
    if (pintle_load_system_library(dll, &module) != 0) return NULL;
    return pintle_get_proc_address(module, name, &proc) == 0 ? proc : NULL;
}
/* For cases: the procedure must be there. */
static void *need(const char *name) {
    void *proc = words_proc(name);
    ck_assert_msg(proc != NULL, "words.dll has no %s", name);
    return proc;
}
static void *need_system(const char *dll, const char *name) {
    void *proc = system_proc(dll, name);
    ck_assert_msg(proc != NULL, "no %s in %s", name, dll);
    return proc;
}

/* ---- Words ---- */

static word some_word(unsigned place) { return (word)0x9E3779B97F4A7C15u * (place + 1); }
static word weigh_all(const word *words, unsigned count) {
    word sum = 0;
    for (unsigned i = 0; i < count; i++) sum += (2 * (word)i + 1) * words[i];
    return sum;
}

typedef struct counts {
    void *take[16], *any, *record;
    unsigned wrong_take, wrong_any, wrong_record, calls;
    unsigned first_wrong;
} counts;

static void try_count(counts *c, unsigned count) {
    word words[256], seen[256];
    for (unsigned i = 0; i < 256; i++) words[i] = some_word(i);
    if (count <= 15) {
        word expected = count == 0 ? 0x1122334455667788u : weigh_all(words, count);
        if (pintle_syscalln(c->take[count], count, words).r1 != expected) c->wrong_take++;
        c->calls++;
    }
    if (count >= 1) {
        words[0] = count;
        if (pintle_syscalln(c->any, count, words).r1 != weigh_all(words, count)) {
            if (c->wrong_any++ == 0) c->first_wrong = count;
        }
        c->calls++;
    }
    if (count >= 2) {
        memset(seen, 0xA5, sizeof seen);
        words[1] = pintle_word_ptr(seen);
        if (pintle_syscalln(c->record, count, words).r1 != count || memcmp(seen, words, count * sizeof(word)) != 0 ||
            (count < 256 && seen[count] != (word)0xA5A5A5A5A5A5A5A5u))
            c->wrong_record++;
        c->calls++;
    }
}
static int counts_main(void *arg) {
    counts *c = arg;
    for (unsigned count = 0; count <= 63; count++) try_count(c, count);
    const unsigned large[] = {64, 100, 127, 128, 200, 254, 255};
    for (size_t i = 0; i < ELEMENTS(large); i++) try_count(c, large[i]);
    return 0;
}
static counts counts_new(void) {
    counts c = {.any = need("words_any"), .record = need("words_record")};
    for (unsigned i = 0; i <= 15; i++) {
        char name[16];
        snprintf(name, sizeof name, "words_%u", i);
        c.take[i] = need(name);
    }
    return c;
}
static void assert_counts(const counts *c) {
    ck_assert_uint_eq(c->calls, 16 + 63 + 62 + 7 * 2);
    ck_assert_uint_eq(c->wrong_take, 0);
    ck_assert_msg(c->wrong_any == 0, "%u counts wrong, first %u", c->wrong_any, c->first_wrong);
    ck_assert_uint_eq(c->wrong_record, 0);
}

CASE(syscalln_passes_0_to_63_and_255_words_in_order) {
    counts c = counts_new();
    ck_assert_int_eq(pintle_run(counts_main, &c, NULL), 0);
    assert_counts(&c);
}

CASE(syscalln_without_runtime_passes_all_words) {
    counts c = counts_new();
    counts_main(&c);
    assert_counts(&c);
}

static int counts_in_call_main(void *arg) { return pintle_call(counts_main, arg); }

CASE(syscalln_in_a_call_passes_all_words) {
    counts c = counts_new();
    ck_assert_int_eq(pintle_run(counts_in_call_main, &c, NULL), 0);
    assert_counts(&c);
}

static void counts_task(void *arg) { counts_main(arg); }
static int counts_tasks_main(void *arg) {
    counts *all = arg;
    pintle_task *tasks[8];
    for (int i = 0; i < 8; i++)
        if (pintle_spawn(&tasks[i], counts_task, &all[i]) != 0) return 1;
    return (int)helper_join_all(tasks, 8);
}

CASE(syscalln_from_eight_tasks_at_once_passes_all_words) {
    counts all[8];
    for (int i = 0; i < 8; i++) all[i] = counts_new();
    ck_assert_int_eq(helper_run(counts_tasks_main, all, 3), 0);
    for (int i = 0; i < 8; i++) assert_counts(&all[i]);
}

#define W(i) some_word(i)
#define W3 W(0), W(1), W(2)
#define W6 W3, W(3), W(4), W(5)
#define W9 W6, W(6), W(7), W(8)
#define W12 W9, W(9), W(10), W(11)
#define W15 W12, W(12), W(13), W(14)

typedef struct wrappers {
    counts c;
    unsigned wrong[5], calls;
} wrappers;

/* Each wrapper with every count it carries; words beyond the count must not matter. */
static int wrappers_main(void *arg) {
    wrappers *w = arg;
    word words[16];
    for (unsigned i = 0; i < 16; i++) words[i] = some_word(i);
    for (unsigned count = 0; count <= 15; count++) {
        word expected = count == 0 ? 0x1122334455667788u : weigh_all(words, count);
        void *fn = w->c.take[count];
        if (count <= 3 && pintle_syscall(fn, count, W3).r1 != expected) w->wrong[0]++;
        if (count <= 6 && pintle_syscall6(fn, count, W6).r1 != expected) w->wrong[1]++;
        if (count <= 9 && pintle_syscall9(fn, count, W9).r1 != expected) w->wrong[2]++;
        if (count <= 12 && pintle_syscall12(fn, count, W12).r1 != expected) w->wrong[3]++;
        if (pintle_syscall15(fn, count, W15).r1 != expected) w->wrong[4]++;
        w->calls++;
    }
    return 0;
}

CASE(fixed_wrappers_pass_every_count_they_carry) {
    wrappers w = {.c = counts_new()};
    ck_assert_int_eq(pintle_run(wrappers_main, &w, NULL), 0);
    ck_assert_uint_eq(w.calls, 16);
    for (int i = 0; i < 5; i++) ck_assert_uint_eq(w.wrong[i], 0);
    memset(w.wrong, 0, sizeof w.wrong);
    wrappers_main(&w); /* no runtime */
    for (int i = 0; i < 5; i++) ck_assert_uint_eq(w.wrong[i], 0);
}

/* ---- Results, floating point ---- */

typedef struct results {
    void *big, *negative, *integer, *boolean, *pointer, *rubbish_int, *rubbish_false;
    void *twice, *twice_float, *mix4, *mix8, *floats6, *truncate;
    void *printf_ansi;
    pintle_result r[24];
    char text[64];
} results;

static int results_main(void *arg) {
    results *f = arg;
    f->r[0] = pintle_syscall(f->big, 0, 0, 0, 0);
    f->r[1] = pintle_syscall(f->negative, 0, 0, 0, 0);
    f->r[2] = pintle_syscall(f->integer, 1, (word)(uint32_t)-7, 0, 0);
    f->r[3] = pintle_syscall(f->boolean, 1, 5, 0, 0);
    f->r[4] = pintle_syscall(f->boolean, 1, 0, 0, 0);
    f->r[5] = pintle_syscall(f->pointer, 1, pintle_word_ptr(f), 0, 0);
    f->r[6] = pintle_syscall(f->rubbish_int, 0, 0, 0, 0);
    f->r[7] = pintle_syscall(f->rubbish_false, 0, 0, 0, 0);
    f->r[8] = pintle_syscall(f->twice, 1, pintle_word_double(1.25), 0, 0);
    f->r[9] = pintle_syscall(f->twice_float, 1, pintle_word_float(-0.75f), 0, 0);
    f->r[10] = pintle_syscall6(f->mix4, 4, pintle_word_double(1.5), (word)-2, pintle_word_double(-3.25), 4, 0, 0);
    f->r[11] = pintle_syscall9(f->mix8, 8, 1, pintle_word_double(2), pintle_word_float(3), 4, pintle_word_double(5),
                               pintle_word_float(6), 7, pintle_word_double(8), 0);
    f->r[12] = pintle_syscall6(f->floats6, 6, pintle_word_float(1), pintle_word_float(2), pintle_word_float(3),
                               pintle_word_float(4), pintle_word_float(5), pintle_word_float(6));
    f->r[13] = pintle_syscall(f->truncate, 1, pintle_word_double(-5e12), 0, 0);
    word words[8] = {1, pintle_word_double(2), pintle_word_float(3), 4, pintle_word_double(5), pintle_word_float(6),
                     7, pintle_word_double(8)};
    f->r[14] = pintle_syscalln(f->mix8, 8, words);
    f->r[15] = pintle_syscall12(f->mix8, 8, words[0], words[1], words[2], words[3], words[4], words[5], words[6],
                                words[7], 0, 0, 0, 0);
    f->r[16] = pintle_syscall15(f->mix8, 8, words[0], words[1], words[2], words[3], words[4], words[5], words[6],
                                words[7], 0, 0, 0, 0, 0, 0, 0);
    f->r[17] = pintle_syscall6(f->printf_ansi, 6, pintle_word_ptr(f->text), pintle_word_ptr("%d-%s-%c-%I64u"),
                               (word)(uint32_t)-12, pintle_word_ptr("abc"), 'x', (word)0xFFFFFFFFFFFFFFFFu);
    return 0;
}

CASE(results_of_all_types_come_back) {
    results f = {
        .big = need("words_big"),
        .negative = need("words_negative"),
        .integer = need("words_int"),
        .boolean = need("words_bool"),
        .pointer = need("words_pointer"),
        .rubbish_int = need("words_rubbish_int"),
        .rubbish_false = need("words_rubbish_false"),
        .twice = need("words_double"),
        .twice_float = need("words_float"),
        .mix4 = need("words_mix4"),
        .mix8 = need("words_mix8"),
        .floats6 = need("words_floats6"),
        .truncate = need("words_truncate"),
        .printf_ansi = need_system("user32.dll", "wsprintfA"),
    };
    for (int round = 0; round < 2; round++) {
        memset(f.r, 0xA5, sizeof f.r);
        if (round == 0)
            ck_assert_int_eq(pintle_run(results_main, &f, NULL), 0);
        else
            results_main(&f); /* no runtime: just calls */
        ck_assert_uint_eq(f.r[0].r1, 0x123456789ABCDEF0u);
        ck_assert_int_eq(pintle_result_i64(f.r[1]), -5000000000);
        ck_assert_int_eq(pintle_result_int(f.r[2]), -7);
        ck_assert_uint_eq((uint8_t)f.r[3].r1, 1);
        ck_assert_uint_eq((uint8_t)f.r[4].r1, 0);
        ck_assert_ptr_eq(pintle_result_ptr(f.r[5]), &f);
        ck_assert_int_eq(pintle_result_int(f.r[6]), 5);
        ck_assert_uint_eq(f.r[6].r1, 0x7766554400000005u);
        ck_assert(!pintle_result_bool(f.r[7]));
        ck_assert(pintle_result_bool(f.r[6]));
        ck_assert_double_eq(pintle_result_double(f.r[8]), 2.5);
        ck_assert_float_eq(pintle_result_float(f.r[9]), -1.5f);
        ck_assert_double_eq(pintle_result_double(f.r[10]), 1.5 - 20 - 325 + 4000);
        for (int i = 11; i <= 16; i++)
            if (i != 12 && i != 13) ck_assert_double_eq(pintle_result_double(f.r[i]), 87654321.0);
        ck_assert_float_eq(pintle_result_float(f.r[12]), 1 + 4 + 12 + 32 + 80 + 192);
        ck_assert_int_eq(pintle_result_i64(f.r[13]), -5000000000000);
        ck_assert_str_eq(f.text, "-12-abc-x-18446744073709551615");
        ck_assert_int_eq(pintle_result_int(f.r[17]), 30);
    }
}

/* ---- The stack's alignment ---- */

typedef struct alignment {
    void *none, *seven;
    unsigned wrong;
} alignment;

static void alignment_try(alignment *a) {
    word words[7] = {0};
    if (pintle_syscall(a->none, 0, 0, 0, 0).r1 != 8) a->wrong++;
    if (pintle_syscall6(a->none, 0, 0, 0, 0, 0, 0, 0).r1 != 8) a->wrong++;
    if (pintle_syscall9(a->seven, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0).r1 != 8) a->wrong++;
    if (pintle_syscall12(a->seven, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0).r1 != 8) a->wrong++;
    if (pintle_syscall15(a->seven, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0).r1 != 8) a->wrong++;
    for (unsigned count = 0; count < 32; count++) {
        word many[32] = {0};
        if (pintle_syscalln(a->none, count, many).r1 != 8) a->wrong++;
    }
    if (pintle_syscalln(a->seven, 7, words).r1 != 8) a->wrong++;
}
static int alignment_main(void *arg) {
    alignment_try(arg);
    return 0;
}

CASE(stack_of_a_call_is_aligned_for_every_count) {
    alignment a = {.none = need("words_alignment"), .seven = need("words_alignment_7")};
    ck_assert_uint_eq(((word(*)(void))a.none)(), 8);
    ck_assert_int_eq(pintle_run(alignment_main, &a, NULL), 0);
    ck_assert_uint_eq(a.wrong, 0);
    alignment_try(&a);
    ck_assert_uint_eq(a.wrong, 0);
}

/* ---- The last error ---- */

typedef struct last_errors {
    void *set_error, *nothing;
    unsigned not_cleared, not_captured, not_kept, disturbed;
    atomic_uint next, wrong_in_tasks;
} last_errors;

static void last_errors_try(last_errors *l, uint32_t base) {
    word words[2] = {0};
    for (uint32_t i = 1; i < 200; i++) {
        SetLastError(4711); /* rubbish from before */
        pintle_result r;
        switch (i % 6) {
        case 0: r = pintle_syscall(l->set_error, 1, base + i, 0, 0); break;
        case 1: r = pintle_syscall6(l->set_error, 1, base + i, 0, 0, 0, 0, 0); break;
        case 2: r = pintle_syscall9(l->set_error, 1, base + i, 0, 0, 0, 0, 0, 0, 0, 0); break;
        case 3: r = pintle_syscall12(l->set_error, 1, base + i, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0); break;
        case 4: r = pintle_syscall15(l->set_error, 1, base + i, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0); break;
        default:
            words[0] = base + i;
            r = pintle_syscalln(l->set_error, 1, words);
            break;
        }
        if (r.r1 != 0) l->not_cleared++;
        if (r.err != base + i) l->not_captured++;
        if (GetLastError() != base + i) l->not_kept++;
        r = pintle_syscall(l->nothing, 0, 0, 0, 0); /* leaves it at the 0 that it was cleared to */
        if (r.err != 0) l->not_captured++;
    }
}
static int last_errors_main(void *arg) {
    last_errors *l = arg;
    last_errors_try(l, 1000);
    /* The runtime's own doings between do not disturb it. */
    for (uint32_t i = 1; i < 300; i++) {
        pintle_syscall(l->set_error, 1, i, 0, 0);
        pintle_task *task = NULL;
        pintle_stats stats;
        switch (i % 6) {
        case 0: pintle_yield(); break;
        case 1: pintle_sleep(PINTLE_US(20)); break;
        case 2:
            pintle_pin();
            pintle_yield();
            pintle_unpin();
            break;
        case 3: pintle_call_blocking(helper_return_at_once, NULL); break;
        case 4:
            pintle_blocking_begin();
            pintle_blocking_end();
            break;
        default: pintle_stats_get(&stats); break;
        }
        if (GetLastError() != i) l->disturbed++;
        (void)task;
    }
    return 0;
}
static void last_error_task(void *arg) {
    last_errors *l = arg;
    uint32_t me = atomic_fetch_add(&l->next, 1) * 1000 + 1;
    for (uint32_t i = 0; i < 200; i++) {
        pintle_result r = pintle_syscall(l->set_error, 1, me + i, 0, 0);
        if (i % 10 == 0)
            pintle_sleep(PINTLE_US(20));
        else if (i % 10 == 5)
            pintle_call_blocking(helper_return_at_once, NULL);
        else
            pintle_yield();
        if (r.r1 != 0 || r.err != me + i || helper_last_error() != me + i) atomic_fetch_add(&l->wrong_in_tasks, 1);
    }
}
static int last_error_tasks_main(void *arg) {
    pintle_task *tasks[40];
    unsigned failed = helper_spawn_all(tasks, 40, last_error_task, arg);
    return (int)(failed + helper_join_all(tasks, 40));
}

CASE(last_error_is_cleared_captured_and_kept) {
    last_errors l = {.set_error = need("words_set_error"), .nothing = need("words_0")};
    ck_assert_int_eq(pintle_run(last_errors_main, &l, NULL), 0);
    ck_assert_uint_eq(l.not_cleared, 0);
    ck_assert_uint_eq(l.not_captured, 0);
    ck_assert_uint_eq(l.not_kept, 0);
    ck_assert_uint_eq(l.disturbed, 0);
    last_errors_try(&l, 2000); /* no runtime */
    ck_assert_uint_eq(l.not_cleared, 0);
    ck_assert_uint_eq(l.not_captured, 0);
    ck_assert_uint_eq(l.not_kept, 0);
}

CASE(last_error_of_calls_stays_with_its_task_across_threads) {
    for (unsigned processors = 1; processors <= 3; processors += 2) {
        last_errors l = {.set_error = need("words_set_error"), .nothing = need("words_0")};
        ck_assert_int_eq(helper_run(last_error_tasks_main, &l, processors), 0);
        ck_assert_uint_eq(l.next, 40);
        ck_assert_uint_eq(l.wrong_in_tasks, 0);
    }
}

/* ---- The thread ---- */

typedef struct threads {
    void *thread_id, *sleep;
    unsigned wrong, other_thread_before;
    atomic_bool stop;
    bool pinned_before, pinned_inside_loop, pinned_after;
} threads;

static void threads_other(void *arg) {
    while (!atomic_load(&((threads *)arg)->stop)) {
        helper_compute(PINTLE_US(20));
        pintle_yield();
    }
}
static int threads_main(void *arg) {
    threads *t = arg;
    pintle_task *others[3];
    if (helper_spawn_all(others, 3, threads_other, t) != 0) return 1;
    t->pinned_before = pintle_pinned();
    pintle_pin();
    word thread = GetCurrentThreadId();
    for (int i = 0; i < 1000; i++) {
        if ((uint32_t)pintle_syscall(t->thread_id, 0, 0, 0, 0).r1 != thread) t->wrong++;
        if (i % 10 == 0) pintle_yield();
        if (i % 100 == 0) pintle_syscall(t->sleep, 1, 1, 0, 0);
        if (GetCurrentThreadId() != thread) t->wrong++;
    }
    t->pinned_inside_loop = pintle_pinned();
    pintle_unpin();
    t->pinned_after = pintle_pinned();
    /* The wrapper's own pin is given back: the task is free again. */
    for (int i = 0; i < 1000; i++) {
        word before = GetCurrentThreadId();
        word inside = (uint32_t)pintle_syscall(t->thread_id, 0, 0, 0, 0).r1;
        if (inside != before) t->other_thread_before++;
        if (pintle_pinned()) t->wrong++;
    }
    atomic_store(&t->stop, true);
    return (int)helper_join_all(others, 3);
}

CASE(thread_of_a_pinned_task_is_the_same_inside_1000_calls) {
    for (unsigned processors = 1; processors <= 2; processors++) {
        threads t = {.thread_id = need_system("kernel32.dll", "GetCurrentThreadId"),
                     .sleep = need_system("kernel32.dll", "Sleep")};
        ck_assert_int_eq(helper_run(threads_main, &t, processors), 0);
        ck_assert_uint_eq(t.wrong, 0);
        ck_assert_uint_eq(t.other_thread_before, 0);
        ck_assert(!t.pinned_before);
        ck_assert(t.pinned_inside_loop);
        ck_assert(!t.pinned_after);
    }
}

/* ---- Calls that block ---- */

enum { BY_EVENT, BY_PIPE };

typedef struct blocked {
    int way;
    unsigned count;
    void *wait, *read, *set_error, *sleep;
    HANDLE event, read_end, write_end;
    atomic_uint entering, returned, wrong, ticks;
    unsigned early, failed;
    pintle_stats stats;
} blocked;

static void blocked_task(void *arg) {
    blocked *b = arg;
    pintle_result r;
    if (b->way == BY_EVENT) {
        atomic_fetch_add(&b->entering, 1);
        r = pintle_syscall(b->wait, 2, (word)b->event, INFINITE, 0);
        if ((uint32_t)r.r1 != WAIT_OBJECT_0 || r.err != 0) atomic_fetch_add(&b->wrong, 1);
    } else {
        char byte = 0;
        DWORD got = 0;
        atomic_fetch_add(&b->entering, 1);
        r = pintle_syscall6(b->read, 5, (word)b->read_end, pintle_word_ptr(&byte), 1, pintle_word_ptr(&got), 0, 0);
        if (!pintle_result_bool(r) || got != 1 || byte != 'p') atomic_fetch_add(&b->wrong, 1);
    }
    r = pintle_syscall(b->set_error, 1, 55, 0, 0);
    if (r.r1 != 0 || r.err != 55) atomic_fetch_add(&b->wrong, 1);
    atomic_fetch_add(&b->returned, 1);
}
static void blocked_ticker(void *arg) {
    blocked *b = arg;
    for (int i = 0; i < 100; i++) {
        pintle_yield();
        pintle_syscall(b->sleep, 1, 0, 0, 0);
        atomic_fetch_add(&b->ticks, 1);
    }
}
static int blocked_main(void *arg) {
    blocked *b = arg;
    static pintle_task *tasks[100];
    pintle_task *tickers[5];
    b->failed += helper_spawn_all(tasks, b->count, blocked_task, b);
    do {
        pintle_yield();
        pintle_stats_get(&b->stats);
    } while (atomic_load(&b->entering) < b->count || b->stats.calls_in_flight < b->count);
    b->failed += helper_spawn_all(tickers, 5, blocked_ticker, b);
    b->failed += helper_join_all(tickers, 5);
    b->early = atomic_load(&b->returned);
    if (b->way == BY_EVENT) {
        SetEvent(b->event);
    } else {
        for (unsigned i = 0; i < b->count; i++) {
            DWORD put = 0;
            if (!WriteFile(b->write_end, "p", 1, &put, NULL) || put != 1) b->failed++;
        }
    }
    b->failed += helper_join_all(tasks, b->count);
    return 0;
}
static void blocked_with(int way, unsigned count) {
    blocked b = {.way = way,
                 .count = count,
                 .wait = need_system("kernel32.dll", "WaitForSingleObject"),
                 .read = need_system("kernel32.dll", "ReadFile"),
                 .sleep = need_system("kernel32.dll", "Sleep"),
                 .set_error = need("words_set_error")};
    b.event = CreateEventW(NULL, TRUE, FALSE, NULL);
    ck_assert(CreatePipe(&b.read_end, &b.write_end, NULL, 0));
    ck_assert_int_eq(helper_run(blocked_main, &b, 1), 0);
    ck_assert_uint_eq(b.failed, 0);
    ck_assert_uint_eq(b.wrong, 0);
    ck_assert_uint_eq(b.early, 0);
    ck_assert_uint_eq(b.ticks, 500);
    ck_assert_uint_eq(b.returned, count);
    ck_assert_uint_ge(b.stats.retakes + b.stats.handoffs, count);
    CloseHandle(b.event);
    CloseHandle(b.read_end);
    CloseHandle(b.write_end);
}

CASE(waits_for_an_event_in_100_tasks_let_others_go_on_with_one_processor) { blocked_with(BY_EVENT, 100); }
CASE(reads_of_a_pipe_in_20_tasks_let_others_go_on_with_one_processor) { blocked_with(BY_PIPE, 20); }

typedef struct sleeps {
    void *sleep;
    atomic_uint done;
    int64_t took;
} sleeps;

static void sleeps_task(void *arg) {
    sleeps *s = arg;
    pintle_syscall(s->sleep, 1, 200, 0, 0);
    atomic_fetch_add(&s->done, 1);
}
static int sleeps_main(void *arg) {
    sleeps *s = arg;
    pintle_task *tasks[100];
    int64_t begin = pintle_now();
    unsigned failed = helper_spawn_all(tasks, 100, sleeps_task, s);
    failed += helper_join_all(tasks, 100);
    s->took = pintle_now() - begin;
    return (int)failed;
}

CASE(sleep_calls_in_100_tasks_pass_side_by_side_with_one_processor) {
    sleeps s = {.sleep = need_system("kernel32.dll", "Sleep")};
    ck_assert_int_eq(helper_run(sleeps_main, &s, 1), 0);
    ck_assert_uint_eq(s.done, 100);
    ck_assert_int_ge(s.took, PINTLE_MS(190));
    ck_assert_int_lt(s.took, PINTLE_S(10)); /* one after the other: 20 s */
}

typedef struct loop {
    void *fn;
    atomic_bool stop;
    atomic_uint started;
} loop;

static void loop_task(void *arg) {
    loop *l = arg;
    atomic_fetch_add(&l->started, 1);
    while (!atomic_load(&l->stop)) pintle_syscall(l->fn, 0, 0, 0, 0);
}
static void loop_stopper(void *arg) { atomic_store(&((loop *)arg)->stop, true); }
static int loop_main(void *arg) {
    loop *l = arg;
    pintle_task *tasks[3];
    unsigned failed = helper_spawn_all(tasks, 2, loop_task, l);
    while (atomic_load(&l->started) < 2) pintle_yield();
    failed += helper_spawn_all(&tasks[2], 1, loop_stopper, l);
    return (int)(failed + helper_join_all(tasks, 3));
}

CASE(syscalls_in_a_loop_do_not_starve_a_third) {
    loop l = {.fn = need("words_0")};
    ck_assert_int_eq(helper_run_strict(loop_main, &l), 0);
    ck_assert(l.stop);
}

/* ---- Stacks ---- */

typedef struct stacks {
    void *recurse, *local, *bounds, *raise, *clobber;
    unsigned wrong, wrong_stack;
    word main_bounds[3];
    uint64_t main_thread;
} stacks;

/* Grows the thread's own stack inside a call, then the task's, then switches, several times. */
__attribute__((noinline)) static unsigned burn_stack(unsigned kilobytes) {
    volatile unsigned char frame[1024 - 64];
    frame[0] = (unsigned char)kilobytes;
    unsigned below = kilobytes <= 1 ? 0 : burn_stack(kilobytes - 1);
    return below + (frame[0] == (unsigned char)kilobytes);
}
static void stacks_task(void *arg) {
    stacks *s = arg;
    for (word kilobytes = 100; kilobytes <= 500; kilobytes += 100) {
        if (pintle_syscall(s->recurse, 1, kilobytes, 0, 0).r1 != kilobytes) s->wrong++;
        pintle_yield();
        unsigned own = (unsigned)kilobytes * 2 / 5;
        if (burn_stack(own) != own) s->wrong++;
        if (pintle_syscall(s->raise, 1, 3, 0, 0).r1 != 3) s->wrong++;
        pintle_sleep(PINTLE_US(10));
    }
}
static int stacks_main(void *arg) {
    stacks *s = arg;
    pintle_task *tasks[10];
    unsigned failed = helper_spawn_all(tasks, 10, stacks_task, s);
    return (int)(failed + helper_join_all(tasks, 10));
}

CASE(stacks_of_thread_and_task_grow_and_switch) {
    stacks s = {.recurse = need("words_recurse"), .raise = need("words_raise_and_handle")};
    ck_assert_int_eq(helper_run(stacks_main, &s, 2), 0);
    ck_assert_uint_eq(s.wrong, 0);
    ck_assert_int_eq(helper_run(stacks_main, &s, 1), 0);
    ck_assert_uint_eq(s.wrong, 0);
}

/* What foreign code finds in the TEB is the thread's own stack; what task code finds is the task's. */
static void note_bounds(word *bounds) {
    bounds[0] = __readgsqword(0x08);
    bounds[1] = __readgsqword(0x10);
    bounds[2] = __readgsqword(0x1478);
}
static int bounds_main(void *arg) {
    stacks *s = arg;
    pintle_pin();
    if (GetCurrentThreadId() != s->main_thread) return 1;
    for (int i = 0; i < 100; i++) {
        word inside[3] = {0}, outside[3];
        volatile char local = 0;
        word here = (word)&local;
        if (pintle_syscall(s->bounds, 1, pintle_word_ptr(inside), 0, 0).r1 != 3) s->wrong++;
        if (inside[0] != s->main_bounds[0] || inside[2] != s->main_bounds[2]) s->wrong++;
        word in_call = pintle_syscall(s->local, 0, 0, 0, 0).r1;
        if (in_call >= inside[0] || in_call < inside[1]) s->wrong_stack++;
        note_bounds(outside);
        if (here >= outside[0] || here < outside[1] || outside[1] <= outside[2]) s->wrong_stack++;
        if (outside[0] == inside[0] || outside[2] == inside[2]) s->wrong_stack++;
        if (i % 10 == 0) pintle_yield();
        if (i % 25 == 0) burn_stack(20 + (unsigned)i);
    }
    pintle_unpin();
    return 0;
}

CASE(stack_bounds_of_the_teb_are_the_threads_in_a_call_and_the_tasks_outside) {
    stacks s = {.local = need("words_local_address"), .bounds = need("words_stack_bounds")};
    note_bounds(s.main_bounds);
    s.main_thread = GetCurrentThreadId();
    ck_assert_int_eq(helper_run(bounds_main, &s, 1), 0);
    ck_assert_uint_eq(s.wrong, 0);
    ck_assert_uint_eq(s.wrong_stack, 0);
    word after[3];
    note_bounds(after);
    ck_assert_uint_eq(after[0], s.main_bounds[0]);
    ck_assert_uint_eq(after[2], s.main_bounds[2]);
}

enum { BY_3, BY_15, BY_N, WALKS };

typedef struct backtrace {
    void *walk;
    void *frames[WALKS][62];
    word count[WALKS];
    void *own_frames[62];
    word own_count;
} backtrace;

__attribute__((noinline)) static void backtrace_of_task(backtrace *b) {
    word words[20] = {pintle_word_ptr(b->frames[BY_N]), 62};
    b->count[BY_3] = pintle_syscall(b->walk, 2, pintle_word_ptr(b->frames[BY_3]), 62, 0).r1;
    b->count[BY_15] =
        pintle_syscall15(b->walk, 2, pintle_word_ptr(b->frames[BY_15]), 62, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0).r1;
    b->count[BY_N] = pintle_syscalln(b->walk, 20, words).r1;
    b->own_count = RtlCaptureStackBackTrace(0, 62, b->own_frames, NULL);
    __asm__ volatile("" ::: "memory"); /* no tail call */
}
__attribute__((noinline)) static int backtrace_main(void *arg) {
    backtrace_of_task(arg);
    return 0;
}
/* Does a frame lie in the function that begins where fn points? */
static bool frames_hold(void *const *frames, word count, void *fn) {
    DWORD64 image = 0;
    RUNTIME_FUNCTION *function = RtlLookupFunctionEntry((DWORD64)fn, &image, NULL);
    if (function == NULL) return false;
    for (word i = 0; i < count; i++) {
        DWORD64 frame = (DWORD64)frames[i];
        if (frame > image + function->BeginAddress && frame <= image + function->EndAddress) return true;
    }
    return false;
}
static void assert_frames(void *const *frames, word count, void *fn, const char *name, int walk) {
    ck_assert_uint_ge(count, 2);
    ck_assert_uint_lt(count, 30); /* it ends at the task's first frame */
    for (word k = 0; k < count; k++) ck_assert_ptr_nonnull(frames[k]);
    ck_assert_msg(frames_hold(frames, count, fn), "walk %d: no frame of %s", walk, name);
}

/* The system's own walk goes as far as the TEB's bounds allow, which are the thread's inside a call: to the task's
 * youngest frame. */
CASE(backtrace_in_a_dll_crosses_into_the_task_and_ends) {
    backtrace b = {.walk = need("words_backtrace")};
    ck_assert_int_eq(pintle_run(backtrace_main, &b, NULL), 0);
    for (int i = 0; i < WALKS; i++) assert_frames(b.frames[i], b.count[i], (void *)backtrace_of_task, "the task", i);
    assert_frames(b.own_frames, b.own_count, (void *)backtrace_of_task, "the task", WALKS);
    assert_frames(b.own_frames, b.own_count, (void *)backtrace_main, "main", WALKS);
}

CASE(unwinding_from_a_dll_reaches_the_tasks_first_frame_and_ends) {
    backtrace b = {.walk = need("words_unwind")};
    ck_assert_int_eq(pintle_run(backtrace_main, &b, NULL), 0);
    for (int i = 0; i < WALKS; i++) {
        assert_frames(b.frames[i], b.count[i], b.walk, "the DLL", i);
        assert_frames(b.frames[i], b.count[i], (void *)backtrace_of_task, "the task", i);
        assert_frames(b.frames[i], b.count[i], (void *)backtrace_main, "main", i);
    }
}

/* ---- Broken contracts ---- */

enum { NULL_3, NULL_6, NULL_N, NULL_NO_RUNTIME, MANY_3, MANY_6, MANY_9, MANY_12, MANY_15, MANY_N };

static int broken_main(void *arg) {
    static const word words[300];
    void *fn = words_proc("words_0");
    switch (*(int *)arg) {
    case NULL_3: pintle_syscall(NULL, 0, 0, 0, 0); break;
    case NULL_6: pintle_syscall6(NULL, 0, 0, 0, 0, 0, 0, 0); break;
    case NULL_N: pintle_syscalln(NULL, 1, words); break;
    case MANY_3: pintle_syscall(fn, 4, 0, 0, 0); break;
    case MANY_6: pintle_syscall6(fn, 7, 0, 0, 0, 0, 0, 0); break;
    case MANY_9: pintle_syscall9(fn, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0); break;
    case MANY_12: pintle_syscall12(fn, 13, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0); break;
    case MANY_15: pintle_syscall15(fn, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0); break;
    case MANY_N: pintle_syscalln(fn, 256, words); break;
    default: break;
    }
    printf("survived\n");
    return 90;
}
static void broken(int which) { exit(pintle_run(broken_main, &which, NULL)); }

CHILD(null_3) { broken(NULL_3); }
CHILD(null_6) { broken(NULL_6); }
CHILD(null_n) { broken(NULL_N); }
CHILD(null_no_runtime) { pintle_syscall(NULL, 0, 0, 0, 0); }
CHILD(many_3) { broken(MANY_3); }
CHILD(many_6) { broken(MANY_6); }
CHILD(many_9) { broken(MANY_9); }
CHILD(many_12) { broken(MANY_12); }
CHILD(many_15) { broken(MANY_15); }
CHILD(many_n) { broken(MANY_N); }

static void assert_panics(const char *child, const char *call, const char *reason) {
    static char text[65536];
    int status = child_run(child, text, sizeof text);
    ck_assert_msg(status == 2, "%s ended with %d, not 2:\n%s", child, status, text);
    ck_assert_msg(strstr(text, call) != NULL, "%s: no \"%s\" in:\n%s", child, call, text);
    ck_assert_msg(strstr(text, reason) != NULL, "%s: no \"%s\" in:\n%s", child, reason, text);
    ck_assert_ptr_null(strstr(text, "survived"));
}

CASE(syscall_of_null_panics) {
    assert_panics("null_3", "pintle_syscall", "NULL");
    assert_panics("null_6", "pintle_syscall6", "NULL");
    assert_panics("null_n", "pintle_syscalln", "NULL");
    assert_panics("null_no_runtime", "pintle_syscall", "NULL");
}

CASE(syscall_with_more_words_than_it_carries_panics) {
    assert_panics("many_3", "pintle_syscall", "4");
    assert_panics("many_6", "pintle_syscall6", "7");
    assert_panics("many_9", "pintle_syscall9", "10");
    assert_panics("many_12", "pintle_syscall12", "13");
    assert_panics("many_15", "pintle_syscall15", "16");
    assert_panics("many_n", "pintle_syscalln", "256");
}
