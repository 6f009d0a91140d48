/* test_os_win.c: the seam to the system, what only the Windows side promises. */
#include "support/pintle_test.h"

#include "win/dll_explain.h"
#include "win/pe.h"
#include "win/self.h"

/* ---- Time, processors, reports ---- */

CASE(processor_count_follows_affinity) {
    DWORD_PTR before, system;
    ck_assert(GetProcessAffinityMask(GetCurrentProcess(), &before, &system));
    ck_assert(SetProcessAffinityMask(GetCurrentProcess(), before & (0 - before)));
    unsigned count = os_processor_count();
    ck_assert(SetProcessAffinityMask(GetCurrentProcess(), before));
    ck_assert_uint_eq(count, 1);
    ck_assert_uint_eq(os_processor_count(), __builtin_popcountll(before));
}

CASE(environment_value_is_utf8) {
    char value[16];
    ck_assert(SetEnvironmentVariableW(L"PINTLE_TEST_\u00e9", L"\u00e9\u20ac\U0001F600"));
    ck_assert(os_environment("PINTLE_TEST_\xc3\xa9", value, sizeof value));
    ck_assert_str_eq(value, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
    ck_assert(os_environment("PINTLE_TEST_\xc3\xa9", value, 10));
    ck_assert(!os_environment("PINTLE_TEST_\xc3\xa9", value, 9));
    ck_assert(SetEnvironmentVariableW(L"PINTLE_TEST_\u00e9", L""));
    ck_assert(os_environment("PINTLE_TEST_\xc3\xa9", value, sizeof value));
    ck_assert_str_eq(value, "");
    ck_assert(!os_environment("\xff", value, sizeof value));
}

CASE(utf8_too_long_is_cut_between_characters) {
    static const char *const cut[] = {"", "a", "a", "a\xc3\xa9", "a\xc3\xa9", "a\xc3\xa9", "a\xc3\xa9\xe2\x82\xac"};
    char text[16];
    for (size_t i = 0; i < COUNT_OF(cut); i++) {
        memset(text, 'x', sizeof text);
        win_utf8(L"a\u00e9\u20ac\U0001F600", text, i + 1);
        ck_assert_str_eq(text, cut[i]);
        ck_assert_int_eq(text[i + 1], 'x');
    }
    win_utf8(L"a\u00e9\u20ac\U0001F600", text, 11);
    ck_assert_str_eq(text, "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
    win_utf8(L"\U0001F600", text, 4);
    ck_assert_str_eq(text, "");
}

CASE(utf8_lone_surrogate_becomes_a_replacement) {
    char text[16];
    win_utf8(L"a\xd83d"
             L"b",
             text, sizeof text);
    ck_assert_str_eq(text, "a\xef\xbf\xbd"
                           "b");
    win_utf8(L"\xd83d", text, sizeof text);
    ck_assert_str_eq(text, "\xef\xbf\xbd");
}

/* ---- Waits ---- */

CASE(waits_of_ntdll_and_kernelbase_exist) {
    win_waits waits;
    ck_assert(win_waits_of_ntdll(&waits));
    ck_assert(win_waits_of_kernelbase(&waits));
}

typedef struct kernelbase_turn {
    win_waits waits;
    uint32_t word;
} kernelbase_turn;

static DWORD WINAPI wake_kernelbase(void *arg) {
    kernelbase_turn *turn = arg;
    __atomic_store_n(&turn->word, 1, __ATOMIC_SEQ_CST);
    turn->waits.wake_one(&turn->word);
    return 0;
}

/* Systems have had both since Windows 8, so only a test uses the documented one. */
CASE(waits_of_kernelbase_wait_and_time_out) {
    kernelbase_turn turn = {.word = 0};
    const uint32_t zero = 0;
    LARGE_INTEGER past = {.QuadPart = -1}, short_time = {.QuadPart = -25000}, hour = {.QuadPart = -36000000000};
    ck_assert(win_waits_of_kernelbase(&turn.waits));
    int64_t start_ns = os_now_ns();
    ck_assert_int_eq(turn.waits.wait(&turn.word, &zero, 4, &past), WAIT_TIMED_OUT);
    ck_assert_int_eq(turn.waits.wait(&turn.word, &zero, 4, &short_time), WAIT_TIMED_OUT);
    ck_assert_int_ge(os_now_ns() - start_ns, 2000000);
    HANDLE thread = CreateThread(NULL, 0, wake_kernelbase, &turn, 0, NULL);
    ck_assert_ptr_nonnull(thread);
    while (__atomic_load_n(&turn.word, __ATOMIC_SEQ_CST) == 0) turn.waits.wait(&turn.word, &zero, 4, &hour);
    WaitForSingleObject(thread, INFINITE);
    CloseHandle(thread);
    ck_assert_int_eq(turn.waits.wait(&turn.word, &zero, 4, NULL), 0);
}

/* ---- Threads ---- */

static void thread_stack_record(void *arg) { os_thread_stack(arg); }

CASE(thread_stack_is_what_the_teb_says) {
    os_stack_bounds here, there;
    MEMORY_BASIC_INFORMATION memory;
    const NT_TIB *tib = teb_field(0);
    os_thread_stack(&here);
    ck_assert_ptr_eq(here.base, tib->StackBase);
    ck_assert_ptr_eq(here.limit, tib->StackLimit);
    ck_assert_uint_eq(VirtualQuery(&memory, &memory, sizeof memory), sizeof memory);
    ck_assert_ptr_eq(here.reserve, memory.AllocationBase);
    os_thread thread;
    ck_assert_int_eq(os_thread_start(&thread, thread_stack_record, &there), 0);
    os_thread_join(&thread);
    ck_assert_uint_eq(there.guarantee_bytes, OS_STACK_GUARANTEE_BYTES);
    ck_assert_uint_eq((size_t)((char *)there.base - (char *)there.reserve), 1024 * 1024);
}

CASE(thread_error_slots_reach_last_error) {
    int *error;
    uint32_t *last_error;
    os_thread_error_slots(&error, &last_error);
    SetLastError(4711);
    uint32_t seen = *last_error;
    *last_error = 4712;
    DWORD set = GetLastError();
    ck_assert_uint_eq(seen, 4711);
    ck_assert_uint_eq(set, 4712);
}

/* ---- The thread-local pointer ---- */

/* Whether the pointer can be set and read without a change of the last error. (Assertions change it.) */
static bool self_set_quietly(void *self) {
    SetLastError(4711);
    os_self_set(self);
    bool quiet = GetLastError() == 4711;
    return os_self() == self && GetLastError() == 4711 && quiet;
}

CASE(self_keeps_last_error) {
    int here = 0;
    SetLastError(4711);
    void *before = os_self();
    DWORD error = GetLastError();
    ck_assert_ptr_null(before);
    ck_assert_uint_eq(error, 4711);
    ck_assert_int_eq(os_self_init(), 0);
    ck_assert(self_set_quietly(&here));
    os_self_shutdown();
    ck_assert_uint_eq(atomic_load_relaxed(&pintle_tls_index), TLS_INDEX_NONE);
}

static void thread_self_record(void *arg) {
    void **seen = arg;
    seen[0] = os_self();
    os_self_set(&seen[1]);
    seen[1] = os_self();
}

CASE(self_beyond_64_slots_works) {
    DWORD taken[256], count = 0;
    int here = 0;
    void *seen[2] = {&here, NULL};
    do ck_assert_uint_ne(taken[count] = TlsAlloc(), TLS_OUT_OF_INDEXES);
    while (taken[count++] < 70);
    ck_assert_int_eq(os_self_init(), 0);
    ck_assert_uint_ge(atomic_load_relaxed(&pintle_tls_index), TEB_TLS_SLOT_COUNT);
    ck_assert_ptr_null(os_self());
    ck_assert(self_set_quietly(&here));
    ck_assert_ptr_eq(TlsGetValue(atomic_load_relaxed(&pintle_tls_index)), &here);
    os_thread thread;
    ck_assert_int_eq(os_thread_start(&thread, thread_self_record, seen), 0);
    os_thread_join(&thread);
    ck_assert_ptr_null(seen[0]); /* this thread never had an expansion array before */
    ck_assert_ptr_eq(seen[1], &seen[1]);
    ck_assert_ptr_eq(os_self(), &here);
    os_self_shutdown();
    while (count > 0) TlsFree(taken[--count]);
}

/* ---- Stacks that grow ---- */

enum { STACK_BYTES = 256 << 10, TOP_BYTES = 8 << 10 };

/* Calls fn(arg) with the stack pointer at top. */
void run_on_stack(void *top, void (*fn)(void *), void *arg);
__asm__(".text\n"
        ".globl run_on_stack\n"
        ".def run_on_stack; .scl 2; .type 32; .endef\n"
        ".seh_proc run_on_stack\n"
        "run_on_stack:\n"
        "    pushq %rbp\n"
        "    .seh_pushreg %rbp\n"
        "    movq %rsp, %rbp\n"
        "    .seh_setframe %rbp, 0\n"
        "    .seh_endprologue\n"
        "    leaq -32(%rcx), %rsp\n"
        "    movq %r8, %rcx\n"
        "    call *%rdx\n"
        "    movq %rbp, %rsp\n"
        "    popq %rbp\n"
        "    ret\n"
        "    .seh_endproc\n");

typedef struct stack_fields {
    void *base, *limit, *reserve;
    uint32_t guarantee_bytes;
} stack_fields;

static stack_fields fields_swap(stack_fields now) {
    os_stack_bounds before;
    os_thread_stack(&before);
    *(void **)teb_field(TEB_STACK_BASE) = now.base;
    *(void **)teb_field(TEB_STACK_LIMIT) = now.limit;
    *(void **)teb_field(TEB_DEALLOCATION_STACK) = now.reserve;
    *(uint32_t *)teb_field(TEB_GUARANTEED_STACK_BYTES) = now.guarantee_bytes;
    return (stack_fields){before.base, before.limit, before.reserve, before.guarantee_bytes};
}

/* Runs fn(arg) on a prepared stack, as a task would; the stack's limit afterwards. */
static char *run_on_prepared(char *stack, void (*fn)(void *), void *arg) {
    void *limit;
    if (os_stack_prepare(stack, STACK_BYTES, TOP_BYTES, &limit) != 0) return NULL;
    stack_fields own = fields_swap((stack_fields){stack + STACK_BYTES, limit, stack, OS_STACK_GUARANTEE_BYTES});
    run_on_stack(stack + STACK_BYTES, fn, arg);
    return fields_swap(own).limit;
}

typedef struct descent {
    size_t bytes, sum;
} descent;

/* About 1 KB each time. */
__attribute__((noinline)) static size_t descend(size_t kilobytes) {
    volatile char frame[1000];
    frame[0] = (char)kilobytes;
    frame[sizeof frame - 1] = 1;
    size_t below = kilobytes == 0 ? 0 : descend(kilobytes - 1);
    return below + (frame[0] == (char)kilobytes) * (size_t)frame[sizeof frame - 1];
}

static void descend_on_stack(void *arg) {
    descent *d = arg;
    d->sum = descend(d->bytes / 1024);
}

CASE(stack_grows_as_it_is_touched) {
    descent d = {.bytes = 150 << 10};
    char *slab = os_reserve(2 * STACK_BYTES), *stack = slab + STACK_BYTES;
    char *limit = run_on_prepared(stack, descend_on_stack, &d);
    ck_assert_uint_eq(d.sum, 151);
    ck_assert(limit >= stack + os_page_bytes());
    ck_assert(limit <= stack + STACK_BYTES - (150 << 10));
    os_release(slab, 2 * STACK_BYTES);
}

CASE(stack_small_use_commits_the_top_only) {
    descent d = {.bytes = 2 << 10};
    char *slab = os_reserve(STACK_BYTES);
    char *limit = run_on_prepared(slab, descend_on_stack, &d);
    MEMORY_BASIC_INFORMATION memory;
    ck_assert(limit == slab + STACK_BYTES - TOP_BYTES);
    ck_assert_uint_eq(VirtualQuery(limit - os_page_bytes(), &memory, sizeof memory), sizeof memory);
    ck_assert_uint_eq(memory.Protect, PAGE_READWRITE | PAGE_GUARD);
    ck_assert_uint_eq(memory.RegionSize, os_page_bytes());
    ck_assert_uint_eq(VirtualQuery(slab, &memory, sizeof memory), sizeof memory);
    ck_assert_uint_eq(memory.State, MEM_RESERVE);
    ck_assert_uint_eq(memory.RegionSize, STACK_BYTES - TOP_BYTES - os_page_bytes());
    os_release(slab, STACK_BYTES);
}

static void state_assert(char *address, DWORD state, DWORD protect) {
    MEMORY_BASIC_INFORMATION memory;
    ck_assert_uint_eq(VirtualQuery(address, &memory, sizeof memory), sizeof memory);
    ck_assert_uint_eq(memory.State, state);
    if (state == MEM_COMMIT) ck_assert_uint_eq(memory.Protect, protect);
}

CASE(stack_trimmed_is_as_it_was_when_prepared) {
    descent d = {.bytes = 150 << 10};
    char *stack = os_reserve(STACK_BYTES), *fresh = stack + STACK_BYTES - TOP_BYTES;
    void *limit = run_on_prepared(stack, descend_on_stack, &d);
    ck_assert((char *)limit < fresh);
    fresh[0] = 7;
    ck_assert_int_eq(os_stack_trim(stack, STACK_BYTES, TOP_BYTES, &limit), 0);
    ck_assert(limit == fresh);
    ck_assert_int_eq(fresh[0], 7);
    state_assert(fresh, MEM_COMMIT, PAGE_READWRITE);
    state_assert(fresh - os_page_bytes(), MEM_COMMIT, PAGE_READWRITE | PAGE_GUARD);
    for (char *page = stack; page < fresh - os_page_bytes(); page += os_page_bytes())
        state_assert(page, MEM_RESERVE, 0);
    ck_assert_int_eq(os_stack_trim(stack, STACK_BYTES, TOP_BYTES, &limit), 0); /* nothing left to do */
    ck_assert(limit == fresh);
    os_release(stack, STACK_BYTES);
}

CASE(stacks_of_a_group_have_a_guard_and_are_trimmed_by_content) {
    uint32_t count = 64;
    void *limit = NULL;
    char *slab = os_reserve((size_t)count * STACK_BYTES);
    ck_assert_int_eq(os_stacks_prepare(slab, STACK_BYTES, TOP_BYTES, 1000000, &count, &limit), 0);
    if (GetProcAddress(GetModuleHandleW(L"ntdll.dll"), "wine_get_version") == NULL) {
        ck_assert_uint_eq(count, 1); /* Windows: no need of groups, which would be committed */
    } else {
        ck_assert_uint_eq(count, (2 << 20) / STACK_BYTES);
        state_assert(slab, MEM_RESERVE, 0);
        for (size_t at = os_page_bytes(); at < (size_t)count * STACK_BYTES; at += os_page_bytes())
            state_assert(slab + at, MEM_COMMIT, PAGE_READWRITE);
        char *second = slab + STACK_BYTES, *fresh = second + STACK_BYTES - TOP_BYTES;
        void *second_limit = second + ((char *)limit - slab);
        memset(second, 7, STACK_BYTES);
        ck_assert_int_eq(os_stack_trim(second, STACK_BYTES, TOP_BYTES, &second_limit), 0);
        ck_assert_int_eq(fresh[0], 7);
        ck_assert_int_eq(fresh[-1], 0);
    }
    os_release(slab, 64 * STACK_BYTES);
}

CASE(release_gives_all_back) {
    MEMORY_BASIC_INFORMATION memory;
    void *limit;
    char *slab = os_reserve(2 * STACK_BYTES);
    ck_assert_int_eq(os_stack_prepare(slab + STACK_BYTES, STACK_BYTES, TOP_BYTES, &limit), 0);
    os_release(slab, 2 * STACK_BYTES);
    for (size_t at = 0; at < 2 * STACK_BYTES; at += os_page_bytes()) {
        ck_assert_uint_eq(VirtualQuery(slab + at, &memory, sizeof memory), sizeof memory);
        ck_assert_uint_eq(memory.State, MEM_FREE);
    }
}

/* ---- Dynamic libraries ---- */

static char bytes[1 << 20];
static size_t byte_count;

static struct {
    void *handle;
    int64_t error;
    int code;
    char text[1024];
} opened;

static void sample_read(void) {
    FILE *file = fopen(test_dll_path("os_sample"), "rb");
    ck_assert_ptr_nonnull(file);
    byte_count = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    ck_assert_uint_lt(byte_count, sizeof bytes);
}

static void sample_patch(const char *old, const char *new) {
    size_t length = strlen(old) + 1, at = 0;
    ck_assert_uint_eq(strlen(new) + 1, length);
    while (at + length < byte_count && memcmp(bytes + at, old, length) != 0) at++;
    ck_assert_uint_lt(at + length, byte_count);
    memcpy(bytes + at, new, length);
}

/* A path beside the tests' DLLs, in a folder of this file's own. Each case has its own names: Wine keeps a DLL that
 * failed to load open, so it can be neither removed nor written again before the program ends. */
static const char *file_path(const char *name) {
    static char paths[4][1024];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s", test_dll_path("os_sample"));
    for (char *c = path; *c != 0; c++)
        if (*c == '/') *c = '\\';
    strcpy(strrchr(path, '\\'), "\\os_win");
    wchar_t *folder = win_utf16(path);
    CreateDirectoryW(folder, NULL);
    memory_free(folder);
    strcat(strcat(path, "\\"), name);
    return path;
}

static void file_write(const char *name, size_t count) {
    wchar_t *path = win_utf16(file_path(name));
    FILE *file = _wfopen(path, L"wb");
    memory_free(path);
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, count, file), count);
    fclose(file);
}

static void open_path(const char *path, bool system) {
    opened.handle = NULL;
    opened.error = os_dll_open(path, system, &opened.handle, &opened.code, opened.text, sizeof opened.text);
}

static void check_refused(int code, const char *words) {
    ck_assert_int_ne(opened.error, 0);
    ck_assert_ptr_null(opened.handle);
    ck_assert_msg(opened.code == code, "%d, %s", opened.code, opened.text);
    ck_assert_msg(strstr(opened.text, words) != NULL, "%s", opened.text);
}

/* Opens so much of what is in bytes, as a file. */
static void sample_open(const char *name, size_t count) {
    file_write(name, count);
    open_path(file_path(name), false);
}

CASE(dll_in_folder_with_any_name_opens) {
    sample_read();
    file_write("\xc3\xa9\xe2\x82\xac \xf0\x9f\x98\x80.dll", byte_count);
    open_path(file_path("\xc3\xa9\xe2\x82\xac \xf0\x9f\x98\x80.dll"), false);
    ck_assert_msg(opened.error == 0, "%s", opened.text);
    os_dll_close(opened.handle);
}

CASE(dll_path_with_slashes_or_without_suffix_opens) {
    char path[600];
    snprintf(path, sizeof path, "%s", test_dll_path("os_sample"));
    for (char *c = path; *c != 0; c++)
        if (*c == '\\') *c = '/';
    open_path(path, false);
    ck_assert_msg(opened.error == 0, "%s", opened.text);
    os_dll_close(opened.handle);
    *strrchr(path, '.') = 0;
    open_path(path, false);
    ck_assert_msg(opened.error == 0, "%s", opened.text);
    os_dll_close(opened.handle);
}

static uint32_t header_at(void) {
    uint32_t at;
    memcpy(&at, bytes + 0x3C, sizeof at);
    return at;
}

CASE(dll_for_32_bit_is_named_so) {
    sample_read();
    memcpy(bytes + header_at() + 4, "\x4c\x01", 2); /* IMAGE_FILE_MACHINE_I386 */
    sample_open("i386.dll", byte_count);
    check_refused(PINTLE_EINVAL, "is a 32-bit DLL; this is a 64-bit program");
    ck_assert_ptr_nonnull(strstr(opened.text, file_path("i386.dll")));
    memcpy(bytes + header_at() + 4, "\x64\xaa", 2); /* IMAGE_FILE_MACHINE_ARM64 */
    sample_open("arm64.dll", byte_count);
    check_refused(PINTLE_EINVAL, "is a DLL for another kind of processor");
}

CASE(dll_cut_off_in_its_header_is_named_so) {
    sample_read();
    for (size_t count = 0; count < header_at() + 100; count++) {
        sample_open("cut.dll", count);
        check_refused(PINTLE_EINVAL, count < 2 ? "is not a DLL" : "is cut off");
    }
}

CASE(dll_that_is_a_text_is_named_so) {
    memset(bytes, 'M', 5000);
    sample_open("text.dll", 5000);
    check_refused(PINTLE_EINVAL, "is not a DLL");
    memcpy(bytes, "MZ", 2);
    sample_open("text.dll", 5000); /* its header would be at offset 4D4D4D4Dh */
    check_refused(PINTLE_EINVAL, "is cut off");
    memcpy(bytes + 0x3C, "\0\1\0\0", 4);
    sample_open("text.dll", 5000);
    check_refused(PINTLE_EINVAL, "is not a DLL");
}

CASE(dll_that_needs_a_missing_one_names_it) {
    sample_read();
    sample_patch("msvcrt.dll", "missin.dll");
    sample_open("needs.dll", byte_count);
    check_refused(PINTLE_ENOTFOUND, "needs 'missin.dll', which was not found");
    ck_assert_int_eq(opened.error, ERROR_MOD_NOT_FOUND);
}

CASE(dll_that_needs_a_missing_one_at_second_hand_names_both) {
    sample_read();
    sample_patch("KERNEL32.dll", "missing2.dll");
    file_write("midway.dll", byte_count);
    sample_read();
    sample_patch("msvcrt.dll", "midway.dll");
    sample_open("needs2.dll", byte_count);
    check_refused(PINTLE_ENOTFOUND, "needs 'missing2.dll' (by way of 'midway.dll'), which was not found");
}

/* Two that need each other, and one of them a third: the search must end. */
CASE(dll_search_for_missing_ends_in_a_circle) {
    sample_read();
    sample_patch("msvcrt.dll", "roundb.dll");
    file_write("rounda.dll", byte_count);
    sample_read();
    sample_patch("msvcrt.dll", "rounda.dll");
    sample_patch("KERNEL32.dll", "missing2.dll");
    file_write("roundb.dll", byte_count);
    open_path(file_path("rounda.dll"), false);
    check_refused(PINTLE_ENOTFOUND, "needs 'missing2.dll' (by way of 'roundb.dll')");
}

/* Rubbish in the headers: any explanation, but no crash. Not given to the system's loader. */
CASE(dll_with_rubbish_in_it_is_explained) {
    uint64_t state = test_seed();
    int code;
    char text[512];
    wchar_t *path = win_utf16(file_path("rubbish.dll"));
    dll_failure f = {
        .path = "rubbish.dll", .wide_path = path, .out_code = &code, .out_text = text, .text_bytes = sizeof text};
    for (int round = 0; round < 300; round++) {
        sample_read();
        sample_patch("msvcrt.dll", "missin.dll");
        for (int i = 0; i < round % 20; i++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            bytes[(state >> 33) % (header_at() + 0x400) % byte_count] = (char)(state >> 56);
            if (header_at() > byte_count) break; /* the next place would be unknown */
        }
        file_write("rubbish.dll", byte_count);
        code = text[0] = 0;
        ck_assert_int_eq(dll_explain(&f, ERROR_MOD_NOT_FOUND), ERROR_MOD_NOT_FOUND);
        ck_assert_int_ne(code, 0);
        ck_assert_ptr_nonnull(strstr(text, "rubbish.dll"));
        if (round % 20 == 0) ck_assert_ptr_nonnull(strstr(text, "'missin.dll'"));
    }
    memory_free(path);
}

CASE(dll_without_its_function_says_so) {
    sample_read();
    sample_patch("strlen", "strxyz");
    sample_open("function.dll", byte_count);
    if (opened.error == 0)
        os_dll_close(opened.handle); /* Wine puts a stub in its place */
    else
        check_refused(PINTLE_EOS, "needs a function that another DLL does not have");
}

CASE(dll_that_is_a_folder_is_named_so) {
    open_path(file_path("folder.x"), false);
    check_refused(PINTLE_ENOTFOUND, "was not found");
    wchar_t *wide = win_utf16(file_path("folder.x"));
    ck_assert(CreateDirectoryW(wide, NULL));
    open_path(file_path("folder.x"), false);
    check_refused(PINTLE_EINVAL, "is a folder, not a DLL");
    ck_assert(RemoveDirectoryW(wide));
    memory_free(wide);
}

CASE(dll_path_that_is_not_utf8_is_refused) {
    open_path("C:\\\xff\xfe.dll", false);
    check_refused(PINTLE_EINVAL, "is not UTF-8");
}

CASE(dll_by_system_name_opens) {
    void *address = NULL;
    open_path("kernel32.dll", true);
    ck_assert_msg(opened.error == 0, "%s", opened.text);
    ck_assert_int_eq(os_dll_symbol(opened.handle, "Sleep", 0, &address), 0);
    ck_assert_int_eq(os_dll_symbol(opened.handle, "NoSuchFunction", 0, &address), ERROR_PROC_NOT_FOUND);
    os_dll_close(opened.handle);
    open_path("version", true);
    ck_assert_msg(opened.error == 0, "%s", opened.text);
    os_dll_close(opened.handle);
}

/* The program's own folder and the current one would be next in the ordinary search. */
CASE(dll_by_system_name_is_not_from_current_folder) {
    static const char name[] = "pintle-here.dll";
    wchar_t before[300], *path, *slash;
    sample_read();
    file_write(name, byte_count);
    GetCurrentDirectoryW(COUNT_OF(before), before);
    path = win_utf16(file_path(name));
    slash = wcsrchr(path, L'\\');
    *slash = 0;
    ck_assert(SetCurrentDirectoryW(path));
    HMODULE ordinary = LoadLibraryW(L"pintle-here.dll");
    ck_assert_ptr_nonnull(ordinary);
    FreeLibrary(ordinary);
    open_path(name, true);
    ck_assert(SetCurrentDirectoryW(before));
    memory_free(path);
    check_refused(PINTLE_ENOTFOUND, "was not found in the system's folder");
}

CASE(dll_system_name_with_drive_or_backslash_is_refused) {
    static const char *const names[] = {"C:kernel32.dll", "\\kernel32.dll", "sub\\kernel32.dll", "..\\x.dll"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        open_path(names[i], true);
        check_refused(PINTLE_EINVAL, "is not a bare DLL name");
    }
}

CASE(dll_load_leaves_error_mode_as_it_was) {
    DWORD before;
    ck_assert(SetThreadErrorMode(SEM_NOGPFAULTERRORBOX, &before));
    open_path(file_path("absent.dll"), false);
    DWORD after = GetThreadErrorMode();
    ck_assert(SetThreadErrorMode(before, NULL));
    ck_assert_uint_eq(after, SEM_NOGPFAULTERRORBOX);
}

/* libgcrypt needs libgpg-error, which lies beside it and nowhere else. Debian's package libgcrypt-mingw-w64-dev. */
CASE(dll_with_its_needs_beside_it_opens) {
    static const char path[] = "Z:\\usr\\x86_64-w64-mingw32\\bin\\libgcrypt-20.dll";
    if (GetFileAttributesA(path) == INVALID_FILE_ATTRIBUTES) return;
    void *address = NULL;
    open_path(path, false);
    ck_assert_msg(opened.error == 0, "%s", opened.text);
    ck_assert_int_eq(os_dll_symbol(opened.handle, "gcry_check_version", 0, &address), 0);
    ck_assert_ptr_nonnull(((const char *(*)(const char *))(uintptr_t)address)(NULL));
}

CASE(path_with_drive_or_server_is_absolute) {
    static const char *const absolute[] = {"C:\\x",          "c:/x",        "Z:\\", "\\\\server\\share\\x",
                                           "//server/share", "\\\\?\\C:\\x"};
    static const char *const relative[] = {"\\x", "/x", "C:x", "C:", "\\\\", "x\\y", "1:\\x", "\xc3\xa9:\\x"};
    for (size_t i = 0; i < COUNT_OF(absolute); i++) ck_assert_msg(os_path_absolute(absolute[i]), "%s", absolute[i]);
    for (size_t i = 0; i < COUNT_OF(relative); i++) ck_assert_msg(!os_path_absolute(relative[i]), "%s", relative[i]);
}
