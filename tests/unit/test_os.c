/* test_os.c: the seam to the system, as both platforms promise it. What only one has: tests/posix/test_os_posix.c,
 * tests/win/test_os_win.c; what ends in a crash: tests/death/test_os.c. */
#include "support/pintle_test.h"

#include <errno.h>

#include "os.h"

/* ---- Time, processors, reports ---- */

CASE(now_ns_read_often_never_goes_back) {
    int64_t last_ns = os_now_ns();
    for (int i = 0; i < 100000; i++) {
        int64_t now_ns = os_now_ns();
        ck_assert_int_ge(now_ns, last_ns);
        last_ns = now_ns;
    }
}

static void thread_read_clock(void *arg) { *(int64_t *)arg = os_now_ns(); }

CASE(now_ns_in_thread_is_the_same_clock) {
    os_thread thread;
    int64_t in_thread_ns = 0, before_ns = os_now_ns();
    ck_assert_int_eq(os_thread_start(&thread, thread_read_clock, &in_thread_ns), 0);
    os_thread_join(&thread);
    ck_assert_int_ge(in_thread_ns, before_ns);
    ck_assert_int_le(in_thread_ns, os_now_ns());
}

CASE(processor_count_is_at_least_1) {
    ck_assert_uint_ge(os_processor_count(), 1);
    ck_assert_uint_le(os_processor_count(), 65536);
}

CASE(page_bytes_is_a_power_of_two) {
    ck_assert_uint_ge(os_page_bytes(), 4096);
    ck_assert_uint_eq(os_page_bytes() & (os_page_bytes() - 1), 0);
}

CHILD(write_and_exit) {
    os_write_error("first ", 6);
    os_write_error("sécond ✓ not this", strlen("sécond ✓"));
    os_exit(7);
}

static void never_said(void) { os_write_error("a handler ran", 13); }

CHILD(exit_with_handler) {
    atexit(never_said);
    os_exit(0);
}

CASE(exit_ends_with_status_after_whole_report) {
    char text[64];
    ck_assert_int_eq(child_run("write_and_exit", text, sizeof text), 7);
    ck_assert_str_eq(text, "first sécond ✓");
}

CASE(exit_runs_no_handlers) {
    char text[64];
    ck_assert_int_eq(child_run("exit_with_handler", text, sizeof text), 0);
    ck_assert_str_eq(text, "");
}

CASE(error_text_known_is_one_line_in_a_sentence) {
    char text[256];
    os_error_text(2, text, sizeof text); /* no such file, on both */
    ck_assert_uint_gt(strlen(text), 4);
    ck_assert_ptr_null(strpbrk(text, "\r\n"));
    ck_assert_int_ne(text[strlen(text) - 1], '.');
    ck_assert_int_ne(text[strlen(text) - 1], ' ');
}

CASE(error_text_unknown_has_the_number) {
    char text[256];
    os_error_text(123456789, text, sizeof text);
    ck_assert_str_eq(text, "error 123456789");
    os_error_text(-5, text, sizeof text);
    ck_assert_str_eq(text, "error -5");
    os_error_text(INT64_MAX, text, sizeof text);
    ck_assert_str_eq(text, "error 9223372036854775807");
}

CASE(error_text_too_long_is_cut) {
    char text[8] = "xxxxxxx", rest = 'y', whole[256];
    os_error_text(2, whole, sizeof whole);
    os_error_text(2, text, 5);
    ck_assert_uint_eq(strlen(text), 4);
    ck_assert_int_eq(strncmp(text, whole, 4), 0);
    ck_assert_int_eq(text[5], 'x');
    ck_assert_int_eq(rest, 'y');
}

CASE(environment_absent_is_false) {
    char value[8];
    ck_assert(!os_environment("PINTLE_TEST_ABSENT", value, sizeof value));
}

CASE(environment_present_fills_exactly_fitting_buffer) {
    static char variable[] = "PINTLE_TEST_PRESENT=seven77";
    char value[8] = "";
    ck_assert_int_eq(putenv(variable), 0);
    ck_assert(os_environment("PINTLE_TEST_PRESENT", value, 8));
    ck_assert_str_eq(value, "seven77");
    ck_assert(!os_environment("PINTLE_TEST_PRESENT", value, 7));
}

/* ---- Waiting on a word ---- */

CASE(wait_word_other_value_returns_at_once) {
    _Atomic uint32_t word;
    atomic_init(&word, 5);
    os_wait_word(&word, 4, INT64_MAX);
    os_wait_word(&word, 4, os_now_ns() + PINTLE_S(3600));
}

CASE(wait_word_past_deadline_returns_at_once) {
    _Atomic uint32_t word;
    atomic_init(&word, 5);
    os_wait_word(&word, 5, os_now_ns() - 1);
    os_wait_word(&word, 5, 1);
    os_wait_word(&word, 5, 0);
    os_wait_word(&word, 5, -1);
    os_wait_word(&word, 5, INT64_MIN);
}

/* Nobody wakes it, so an early return would be the clock's or the conversion's fault. */
CASE(wait_word_not_woken_ends_at_deadline_not_before) {
    static const int64_t durations_ns[] = {1, 150, 10000, 100000, 999999, 1000000, 3000001};
    _Atomic uint32_t word;
    atomic_init(&word, 5);
    for (size_t i = 0; i < 10 * COUNT_OF(durations_ns); i++) {
        int64_t deadline_ns = os_now_ns() + durations_ns[i % COUNT_OF(durations_ns)];
        os_wait_word(&word, 5, deadline_ns);
        ck_assert_int_ge(os_now_ns(), deadline_ns);
    }
}

/* The best of many, so that a busy machine does not matter; the system's plain ticks would be 4 to 16 ms. */
CASE(wait_word_best_of_many_is_late_by_less_than_1_ms) {
    _Atomic uint32_t word;
    atomic_init(&word, 5);
    int64_t least_ns = INT64_MAX;
    for (int i = 0; i < 50; i++) {
        int64_t deadline_ns = os_now_ns() + PINTLE_MS(1);
        os_wait_word(&word, 5, deadline_ns);
        int64_t late_ns = os_now_ns() - deadline_ns;
        if (late_ns < least_ns) least_ns = late_ns;
    }
    ck_assert_int_lt(least_ns, PINTLE_MS(1));
}

/* Two threads take turns; each sleeps while it is not its turn. A lost wake would hang. */
typedef struct turns {
    _Atomic uint32_t word;
    uint32_t rounds;
    int64_t wait_ns; /* from now; INT64_MAX: no deadline */
} turns;

static void turn_wait(turns *t, uint32_t mine) {
    for (uint32_t now; (now = atomic_load_acquire(&t->word)) != mine;)
        os_wait_word(&t->word, now, t->wait_ns == INT64_MAX ? INT64_MAX : os_now_ns() + t->wait_ns);
}

static void turn_give(turns *t, uint32_t next) {
    atomic_store_seq_cst(&t->word, next);
    os_wake_word_one(&t->word);
}

static void thread_take_turns(void *arg) {
    turns *t = arg;
    for (uint32_t i = 0; i < t->rounds; i++) {
        turn_wait(t, 2 * i + 1);
        turn_give(t, 2 * i + 2);
    }
}

static void take_turns(uint32_t rounds, int64_t wait_ns) {
    turns t = {.rounds = rounds, .wait_ns = wait_ns};
    os_thread thread;
    ck_assert_int_eq(os_thread_start(&thread, thread_take_turns, &t), 0);
    for (uint32_t i = 0; i < rounds; i++) {
        turn_give(&t, 2 * i + 1);
        turn_wait(&t, 2 * i + 2);
    }
    os_thread_join(&thread);
}

CASE(wake_word_one_in_turns_loses_none) { take_turns(5000, INT64_MAX); }
CASE(wake_word_one_ends_wait_before_its_deadline) { take_turns(1000, PINTLE_S(3600)); }
CASE(wake_word_one_near_deadlines_loses_none) { take_turns(2000, PINTLE_US(30)); }

enum { CROWD = 6 };
typedef struct crowd {
    _Atomic uint32_t gate, present;
} crowd;

/* Half of them with a deadline, far away. */
static void thread_wait_at_gate(void *arg) {
    crowd *c = arg;
    uint32_t place = atomic_add_seq_cst(&c->present, 1);
    os_wake_word_one(&c->present);
    while (atomic_load_acquire(&c->gate) == 0)
        os_wait_word(&c->gate, 0, place % 2 == 0 ? INT64_MAX : os_now_ns() + PINTLE_S(3600));
}

static void crowd_assemble(crowd *c, os_thread threads[CROWD]) {
    for (int i = 0; i < CROWD; i++) ck_assert_int_eq(os_thread_start(&threads[i], thread_wait_at_gate, c), 0);
    for (uint32_t now; (now = atomic_load_acquire(&c->present)) != CROWD;) os_wait_word(&c->present, now, INT64_MAX);
}

CASE(wake_word_all_wakes_every_waiter) {
    for (int round = 0; round < 20; round++) {
        crowd c = {.gate = 0, .present = 0};
        os_thread threads[CROWD];
        crowd_assemble(&c, threads);
        atomic_store_seq_cst(&c.gate, 1);
        os_wake_word_all(&c.gate);
        for (int i = 0; i < CROWD; i++) os_thread_join(&threads[i]);
    }
}

CASE(wake_word_one_as_often_as_waiters_wakes_every_waiter) {
    crowd c = {.gate = 0, .present = 0};
    os_thread threads[CROWD];
    crowd_assemble(&c, threads);
    atomic_store_seq_cst(&c.gate, 1);
    for (int i = 0; i < CROWD; i++) os_wake_word_one(&c.gate);
    for (int i = 0; i < CROWD; i++) os_thread_join(&threads[i]);
}

CASE(wake_word_without_waiter_does_nothing) {
    _Atomic uint32_t word;
    atomic_init(&word, 0);
    os_wake_word_one(&word);
    os_wake_word_all(&word);
    os_yield_thread();
    ck_assert_uint_eq(atomic_load_relaxed(&word), 0);
}

/* ---- Memory ---- */

enum { SLAB_BYTES = 1 << 20, STACK_BYTES = 128 << 10 };

CASE(reserve_is_aligned) {
    char *slabs[20];
    for (size_t i = 0; i < COUNT_OF(slabs); i++) {
        slabs[i] = os_reserve((i + 1) * os_page_bytes());
        ck_assert_ptr_nonnull(slabs[i]);
        ck_assert_uint_eq((uintptr_t)slabs[i] % 65536, 0);
    }
    for (size_t i = 0; i < COUNT_OF(slabs); i++) os_release(slabs[i], (i + 1) * os_page_bytes());
}

CASE(reserve_impossible_gives_null) {
    ck_assert_ptr_null(os_reserve(SIZE_MAX - 100));
    ck_assert_ptr_null(os_reserve((size_t)1 << 60));
}

CASE(stack_prepared_top_is_zero_and_writable) {
    char *slab = os_reserve(SLAB_BYTES);
    ck_assert_ptr_nonnull(slab);
    for (char *stack = slab; stack < slab + SLAB_BYTES; stack += STACK_BYTES) {
        void *limit = NULL;
        ck_assert_int_eq(os_stack_prepare(stack, STACK_BYTES, 10000, &limit), 0);
        ck_assert((char *)limit > stack);
        ck_assert((char *)limit <= stack + STACK_BYTES - 10000);
        for (char *c = limit; c < stack + STACK_BYTES; c += 512) {
            ck_assert_int_eq(*c, 0);
            *c = 1;
        }
    }
    os_release(slab, SLAB_BYTES);
}

CASE(stack_without_room_for_guard_is_refused) {
    void *limit = NULL, *slab = os_reserve(SLAB_BYTES);
    ck_assert_int_ne(os_stack_prepare(slab, STACK_BYTES, STACK_BYTES, &limit), 0);
    ck_assert_int_ne(os_stack_prepare(slab, os_page_bytes(), 0, &limit), 0);
    ck_assert_int_eq(os_stack_prepare(slab, STACK_BYTES, 0, &limit), 0);
    os_release(slab, SLAB_BYTES);
}

/* Whether it is one of many does not matter to who uses a stack. */
CASE(stacks_prepared_together_are_zero_and_writable) {
    for (uint32_t already = 0; already <= 1000000; already += 250000) {
        char *slab = os_reserve(SLAB_BYTES);
        uint32_t done = 0, count;
        ck_assert_ptr_nonnull(slab);
        for (; done < SLAB_BYTES / STACK_BYTES; done += count) {
            char *base = slab + done * STACK_BYTES;
            void *limit = NULL;
            count = SLAB_BYTES / STACK_BYTES - done;
            ck_assert_int_eq(os_stacks_prepare(base, STACK_BYTES, 10000, already, &count, &limit), 0);
            ck_assert_uint_ge(count, 1);
            ck_assert_uint_le(done + count, SLAB_BYTES / STACK_BYTES);
            ck_assert((char *)limit > base);
            ck_assert((char *)limit <= base + STACK_BYTES - 10000);
            for (uint32_t i = 0; i < count; i++) {
                for (char *c = (char *)limit + i * STACK_BYTES; c < base + (i + 1) * STACK_BYTES; c += 512) {
                    ck_assert_int_eq(*c, 0);
                    *c = 1;
                }
            }
        }
        os_release(slab, SLAB_BYTES);
    }
}

/* ---- Threads ---- */

typedef struct thread_facts {
    uint64_t id, id_again;
    int *error_slot;
    uint32_t *last_error_slot;
    os_stack_bounds bounds;
    uintptr_t local;
    int went_on;
} thread_facts;

static void facts_record(void *arg) {
    thread_facts *facts = arg;
    volatile char local = 0;
    volatile char *address = &local;
    facts->local = (uintptr_t)address;
    facts->id = os_thread_id();
    facts->id_again = os_thread_id();
    os_thread_error_slots(&facts->error_slot, &facts->last_error_slot);
    os_thread_stack(&facts->bounds);
}

static thread_facts facts_of_thread(void) {
    thread_facts facts = {.id = 0};
    os_thread thread;
    ck_assert_int_eq(os_thread_start(&thread, facts_record, &facts), 0);
    os_thread_join(&thread);
    return facts;
}

CASE(thread_ids_differ) {
    thread_facts here, there = facts_of_thread();
    facts_record(&here);
    ck_assert_uint_ne(there.id, 0);
    ck_assert_uint_eq(there.id, there.id_again);
    ck_assert_uint_ne(there.id, here.id);
}

static void bounds_check(const thread_facts *facts) {
    ck_assert_uint_gt((uintptr_t)facts->bounds.base, facts->local);
    ck_assert_uint_lt((uintptr_t)facts->bounds.reserve, facts->local);
    ck_assert((char *)facts->bounds.reserve <= (char *)facts->bounds.limit);
    ck_assert_uint_le((uintptr_t)facts->bounds.limit, facts->local);
}

CASE(thread_stack_holds_locals) {
    thread_facts here, there = facts_of_thread();
    facts_record(&here);
    bounds_check(&here);
    bounds_check(&there);
    ck_assert_uint_ge((size_t)((char *)there.bounds.base - (char *)there.bounds.reserve), 512 * 1024);
}

CASE(thread_error_slots_are_errno_of_the_thread) {
    thread_facts here, there = facts_of_thread();
    facts_record(&here);
    ck_assert_ptr_ne(here.error_slot, there.error_slot);
    *here.error_slot = 34;
    ck_assert_int_eq(errno, 34);
    errno = 33;
    ck_assert_int_eq(*here.error_slot, 33);
}

static void exit_deep(void *arg) {
    os_thread_exit();
    ((thread_facts *)arg)->went_on = 1;
}

static void (*volatile exit_deep_unseen)(void *arg) = exit_deep;

static void thread_exit_early(void *arg) {
    thread_facts *facts = arg;
    facts->id = 1;
    exit_deep_unseen(facts);
    facts->went_on = 2;
}

CASE(thread_exit_ends_thread_from_inner_function) {
    for (int i = 0; i < 50; i++) {
        thread_facts facts = {.id = 0};
        os_thread thread;
        ck_assert_int_eq(os_thread_start(&thread, thread_exit_early, &facts), 0);
        os_thread_join(&thread);
        ck_assert_uint_eq(facts.id, 1);
        ck_assert_int_eq(facts.went_on, 0);
    }
}

static void thread_signal(void *arg) {
    atomic_store_seq_cst((_Atomic uint32_t *)arg, 1);
    os_wake_word_one(arg);
}

CASE(thread_detached_runs) {
    static _Atomic uint32_t done; /* static: the thread may touch it after the wait has ended */
    os_thread thread;
    ck_assert_int_eq(os_thread_start(&thread, thread_signal, &done), 0);
    os_thread_detach(&thread);
    while (atomic_load_acquire(&done) == 0) os_wait_word(&done, 0, INT64_MAX);
}

/* ---- The thread-local pointer ---- */

typedef struct self_facts {
    void *first, *set;
} self_facts;

static void self_record(void *arg) {
    self_facts *facts = arg;
    facts->first = os_self();
    os_self_set(facts);
    facts->set = os_self();
}

CASE(self_is_each_threads_own) {
    self_facts facts;
    int here = 0;
    os_thread thread;
    ck_assert_int_eq(os_self_init(), 0);
    ck_assert_ptr_null(os_self());
    os_self_set(&here);
    ck_assert_int_eq(os_thread_start(&thread, self_record, &facts), 0);
    os_thread_join(&thread);
    ck_assert_ptr_null(facts.first);
    ck_assert_ptr_eq(facts.set, &facts);
    ck_assert_ptr_eq(os_self(), &here);
    os_self_set(NULL);
    ck_assert_ptr_null(os_self());
    os_self_shutdown();
}

CASE(self_survives_inner_init_and_shutdown) {
    int here = 0;
    ck_assert_int_eq(os_self_init(), 0);
    os_self_set(&here);
    ck_assert_int_eq(os_self_init(), 0);
    os_self_shutdown();
    ck_assert_ptr_eq(os_self(), &here);
    os_self_set(NULL);
    os_self_shutdown();
    ck_assert_ptr_null(os_self());
}

/* ---- Dynamic libraries ---- */

static struct {
    void *handle;
    int64_t error;
    int code;
    char text[512];
} opened;

static void open_library(const char *path, bool system) {
    opened.handle = NULL;
    opened.code = 0;
    opened.text[0] = 0;
    opened.error = os_dll_open(path, system, &opened.handle, &opened.code, opened.text, sizeof opened.text);
}

static void check_refused(int code, const char *path) {
    ck_assert_int_ne(opened.error, 0);
    ck_assert_ptr_null(opened.handle);
    ck_assert_int_eq(opened.code, code);
    ck_assert_ptr_nonnull(strstr(opened.text, path));
}

CASE(dll_by_absolute_path_opens_and_has_symbols) {
    void *address = NULL;
    open_library(test_dll_path("os_sample"), false);
    ck_assert_msg(opened.error == 0, "%s", opened.text);
    ck_assert_int_eq(os_dll_symbol(opened.handle, "os_sample_answer", 0, &address), 0);
    ck_assert_int_eq(((int (*)(void))(uintptr_t)address)(), 42);
    ck_assert_int_ne(os_dll_symbol(opened.handle, "os_sample_missing", 0, &address), 0);
    ck_assert_ptr_null(address);
    os_dll_close(opened.handle);
}

CASE(dll_by_ordinal_where_there_are_ordinals) {
    void *address = NULL;
    open_library(test_dll_path("os_sample"), false);
    ck_assert_int_eq(opened.error, 0);
    ck_assert_int_eq(os_dll_symbol(opened.handle, NULL, 8, &address) == 0, os_dll_has_ordinals());
    if (os_dll_has_ordinals()) ck_assert_int_eq(((int (*)(void))(uintptr_t)address)(), 43);
    ck_assert_int_ne(os_dll_symbol(opened.handle, NULL, 0, &address), 0);
    ck_assert_int_ne(os_dll_symbol(opened.handle, NULL, 999, &address), 0);
    ck_assert_int_ne(os_dll_symbol(opened.handle, NULL, 65536 + 8, &address), 0);
    os_dll_close(opened.handle);
}

CASE(dll_absent_is_not_found) {
    char path[1024];
    snprintf(path, sizeof path, "%s.gone.dll", test_dll_path("os_sample"));
    open_library(path, false);
    check_refused(PINTLE_ENOTFOUND, path);
    ck_assert_ptr_nonnull(strstr(opened.text, "was not found"));
}

CASE(dll_absent_from_system_is_not_found) {
    open_library("pintle-no-such-library.dll", true);
    check_refused(PINTLE_ENOTFOUND, "pintle-no-such-library.dll");
    ck_assert_ptr_nonnull(strstr(opened.text, "was not found"));
}

CASE(dll_path_not_absolute_is_refused) {
    static const char *const paths[] = {"os_sample.dll", "./os_sample.dll", "", "folder/os_sample.dll"};
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        open_library(paths[i], false);
        check_refused(PINTLE_EINVAL, paths[i]);
        ck_assert_ptr_nonnull(strstr(opened.text, "absolute"));
    }
}

CASE(dll_system_name_with_folder_is_refused) {
    static const char *const names[] = {"/lib/libm.so.6", "sub/library", "./library", ""};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        open_library(names[i], true);
        check_refused(PINTLE_EINVAL, names[i]);
        ck_assert_ptr_nonnull(strstr(opened.text, "bare"));
    }
}

CASE(dll_text_in_small_buffer_is_cut) {
    char text[16];
    memset(text, 'x', sizeof text);
    void *handle = NULL;
    int code = 0;
    ck_assert_int_ne(os_dll_open("relative", false, &handle, &code, text, 8), 0);
    ck_assert_uint_eq(strlen(text), 7);
    ck_assert_int_eq(text[8], 'x');
}

CASE(path_empty_or_bare_is_not_absolute) {
    ck_assert(!os_path_absolute(""));
    ck_assert(!os_path_absolute("name"));
    ck_assert(!os_path_absolute("./name"));
    ck_assert(!os_path_absolute("../name"));
}
