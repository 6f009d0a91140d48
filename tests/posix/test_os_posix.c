/* test_os_posix.c: the seam to the system, what only the POSIX side promises. */
#include <dlfcn.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/pintle_test.h"

#include "os.h"

/* ---- Time, processors ---- */

static void thread_wait_timed(void *arg) {
    _Atomic uint32_t word;
    atomic_init(&word, 0);
    os_wait_word(&word, 0, os_now_ns() + 1000);
    *(int *)arg = prctl(PR_GET_TIMERSLACK);
}

CASE(wait_word_timed_sets_timer_slack_to_1_ns) {
    int slack_ns = 0;
    os_thread thread;
    prctl(PR_SET_TIMERSLACK, 50000UL); /* which new threads inherit */
    ck_assert_int_eq(os_thread_start(&thread, thread_wait_timed, &slack_ns), 0);
    os_thread_join(&thread);
    ck_assert_int_eq(slack_ns, 1);
}

CASE(processor_count_follows_affinity) {
    cpu_set_t before, one;
    ck_assert_int_eq(sched_getaffinity(0, sizeof before, &before), 0);
    CPU_ZERO(&one);
    for (int cpu = 0; CPU_COUNT(&one) == 0; cpu++)
        if (CPU_ISSET(cpu, &before)) CPU_SET(cpu, &one);
    ck_assert_uint_le(os_processor_count(), (unsigned)CPU_COUNT(&before));
    ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
    unsigned count = os_processor_count();
    ck_assert_int_eq(sched_setaffinity(0, sizeof before, &before), 0);
    ck_assert_uint_eq(count, 1);
}

/* ---- Memory ---- */

enum { STACK_BYTES = 256 << 10, STACKS = 512 };

static size_t resident_pages(void *base, size_t bytes) {
    static unsigned char pages[STACKS * (STACK_BYTES >> 12)];
    size_t count = 0;
    ck_assert_uint_le(bytes / os_page_bytes(), sizeof pages);
    ck_assert_int_eq(mincore(base, bytes, pages), 0);
    for (size_t i = 0; i < bytes / os_page_bytes(); i++) count += pages[i] & 1;
    return count;
}

static char *slab_of_stacks(void) {
    char *slab = os_reserve((size_t)STACKS * STACK_BYTES);
    ck_assert_ptr_nonnull(slab);
    for (size_t i = 0; i < STACKS; i++) {
        void *limit;
        ck_assert_int_eq(os_stack_prepare(slab + i * STACK_BYTES, STACK_BYTES, 4096, &limit), 0);
    }
    return slab;
}

/* Also where the system gives huge pages to everybody. */
CASE(stack_tops_touched_cost_one_page_each) {
    char *slab = slab_of_stacks();
    ck_assert_uint_eq(resident_pages(slab, (size_t)STACKS * STACK_BYTES), 0);
    for (size_t i = 1; i <= STACKS; i++) slab[i * STACK_BYTES - 1] = 1;
    ck_assert_uint_eq(resident_pages(slab, (size_t)STACKS * STACK_BYTES), STACKS);
    os_release(slab, (size_t)STACKS * STACK_BYTES);
}

CASE(reserve_turns_huge_pages_off) {
    char line[512], *slab = os_reserve(1 << 22);
    unsigned long long low, high;
    bool here = false, off = false;
    FILE *maps = fopen("/proc/self/smaps", "r");
    ck_assert_ptr_nonnull(maps);
    while (fgets(line, sizeof line, maps) != NULL) {
        if (sscanf(line, "%llx-%llx ", &low, &high) == 2) here = low <= (uintptr_t)slab && (uintptr_t)slab < high;
        if (here && strncmp(line, "VmFlags:", 8) == 0) off = strstr(line, " nh") != NULL;
    }
    fclose(maps);
    ck_assert(off);
    os_release(slab, 1 << 22);
}

CASE(release_gives_all_back) {
    unsigned char page;
    char *slab = slab_of_stacks();
    os_release(slab, (size_t)STACKS * STACK_BYTES);
    for (size_t at = 0; at < (size_t)STACKS * STACK_BYTES; at += os_page_bytes()) {
        ck_assert_int_eq(mincore(slab + at, 1, &page), -1);
        ck_assert_int_eq(errno, ENOMEM);
    }
}

static unsigned count_mappings(void) {
    unsigned count = 0;
    int c;
    FILE *maps = fopen("/proc/self/maps", "r");
    while ((c = getc(maps)) != EOF) count += c == '\n';
    fclose(maps);
    return count;
}

static bool kernel_has_guard_markers(void) {
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bool has = madvise(page, 4096, 102) == 0;
    munmap(page, 4096);
    return has;
}

CASE(stacks_with_guard_markers_need_no_mappings) {
    if (!kernel_has_guard_markers()) return; /* before Linux 6.13: two mappings a stack */
    unsigned before = count_mappings();
    char *slab = slab_of_stacks();
    ck_assert_uint_lt(count_mappings(), before + STACKS / 8);
    os_release(slab, (size_t)STACKS * STACK_BYTES);
}

static unsigned mappings_allowed(void) {
    unsigned count = 0;
    FILE *file = fopen("/proc/sys/vm/max_map_count", "r");
    if (file != NULL && fscanf(file, "%u", &count) != 1) count = 0;
    if (file != NULL) fclose(file);
    return count;
}

/* From now on the kernel answers EINVAL to madvise's guard markers, as an older one does. */
static void refuse_guard_markers(void) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 102, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = COUNT_OF(filter), .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        os_exit(98);
    if (kernel_has_guard_markers()) os_exit(97);
}

CHILD(touch_guard_of_older_kernel) {
    signal(SIGSEGV, SIG_DFL); /* no sanitizer's handler */
    refuse_guard_markers();
    void *limit = NULL;
    char *slab = os_reserve(2 * STACK_BYTES);
    for (int i = 0; i < 2; i++)
        if (slab == NULL || os_stack_prepare(slab + i * STACK_BYTES, STACK_BYTES, 4096, &limit) != 0) os_exit(99);
    *(volatile char *)limit = 1;
    slab[STACK_BYTES - 1] = 1;
    os_write_error("before", 6);
    *(volatile char *)(slab + STACK_BYTES + os_page_bytes() - 1) = 1;
}

CASE(stack_guard_on_older_kernel_is_a_fault) {
    char text[64];
    ck_assert_int_eq(child_run("touch_guard_of_older_kernel", text, sizeof text), 128 + 11);
    ck_assert_str_eq(text, "before");
}

/* 300,000 stacks would be 600,000 mappings, of 65,530 that the kernel allows. */
CHILD(prepare_many_on_older_kernel) {
    signal(SIGSEGV, SIG_DFL); /* no sanitizer's handler */
    refuse_guard_markers();
    uint32_t already = 0, count = 0;
    void *limit = NULL;
    char *lowest = NULL;
    for (int slabs = 0; slabs < 300000 / 64; slabs++) {
        char *slab = os_reserve(64 * STACK_BYTES);
        if (slab == NULL) os_exit(99);
        for (uint32_t i = 0; i < 64; i += count, already += count) {
            count = 64 - i;
            lowest = slab + i * STACK_BYTES;
            if (os_stacks_prepare(lowest, STACK_BYTES, 4096, already, &count, &limit) != 0) os_exit(98);
            for (uint32_t j = 1; j <= count; j++) lowest[j * STACK_BYTES - 1] = 1;
        }
    }
    os_write_error("before", 6);
    if (count != 64) os_exit(97);
    *(volatile char *)(lowest + os_page_bytes() - 1) = 1; /* the guard that they share */
}

CASE_TIMEOUT(stacks_on_older_kernel_may_be_many, 60) {
    char text[64];
    if (mappings_allowed() < 65530) return;
    ck_assert_int_eq(child_run("prepare_many_on_older_kernel", text, sizeof text), 128 + 11);
    ck_assert_str_eq(text, "before");
}

CASE(stack_trimmed_keeps_its_top_only) {
    char *slab = slab_of_stacks(), *stack = slab + 7 * STACK_BYTES;
    void *limit = stack + os_page_bytes();
    memset(limit, 7, STACK_BYTES - os_page_bytes());
    ck_assert_int_eq(os_stack_trim(stack, STACK_BYTES, 8192, &limit), 0);
    ck_assert(limit == stack + os_page_bytes());
    ck_assert_uint_eq(resident_pages(slab, (size_t)STACKS * STACK_BYTES), 8192 / os_page_bytes());
    for (size_t at = STACK_BYTES - 8192; at < STACK_BYTES; at++) ck_assert_int_eq(stack[at], 7);
    ck_assert_int_eq(stack[STACK_BYTES - 8193], 0);
    ck_assert_int_eq(stack[os_page_bytes()], 0);
    os_release(slab, (size_t)STACKS * STACK_BYTES);
}

CHILD(touch_guard_of_trimmed_stack) {
    signal(SIGSEGV, SIG_DFL);
    void *limit = NULL;
    char *stack = os_reserve(STACK_BYTES);
    if (stack == NULL || os_stack_prepare(stack, STACK_BYTES, 4096, &limit) != 0) os_exit(99);
    memset(limit, 7, STACK_BYTES - os_page_bytes());
    if (os_stack_trim(stack, STACK_BYTES, 4096, &limit) != 0) os_exit(98);
    os_write_error("before", 6);
    *(volatile char *)(stack + os_page_bytes() - 1) = 1;
}

CASE(stack_trimmed_still_has_its_guard) {
    char text[64];
    ck_assert_int_eq(child_run("touch_guard_of_trimmed_stack", text, sizeof text), 128 + 11);
    ck_assert_str_eq(text, "before");
}

/* ---- Threads ---- */

static pthread_key_t key;
static int key_destroyed, cleaned_up;

static void key_destroy(void *value) { key_destroyed = *(int *)value; }
static void clean_up(void *arg) { *(int *)arg = 1; }

static void thread_exit_under_cleanup(void *arg) {
    pthread_setspecific(key, arg);
    pthread_cleanup_push(clean_up, &cleaned_up);
    os_thread_exit();
    pthread_cleanup_pop(0);
}

CASE(thread_exit_runs_no_cleanups_but_key_destructors) {
    int value = 5;
    os_thread thread;
    key_destroyed = cleaned_up = 0;
    ck_assert_int_eq(pthread_key_create(&key, key_destroy), 0);
    ck_assert_int_eq(os_thread_start(&thread, thread_exit_under_cleanup, &value), 0);
    os_thread_join(&thread);
    pthread_key_delete(key);
    ck_assert_int_eq(key_destroyed, 5);
    ck_assert_int_eq(cleaned_up, 0);
}

static void *foreign_thread(void *arg) {
    *(int *)arg = 1;
    os_thread_exit();
}

CASE(thread_exit_ends_thread_of_others) {
    int ran = 0;
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, foreign_thread, &ran), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(ran, 1);
}

/* ---- Dynamic libraries ---- */

static char folder[] = "/tmp/pintle-test-XXXXXX";
static char bytes[1 << 20];
static size_t byte_count;

static struct {
    void *handle;
    int64_t error;
    int code;
    char path[256], text[512];
} opened;

static void sample_read(void) {
    FILE *file = fopen(test_dll_path("os_sample"), "rb");
    ck_assert_ptr_nonnull(file);
    byte_count = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    ck_assert_uint_lt(byte_count, sizeof bytes);
}

static void sample_patch(const char *old, const char *new) {
    char *place = memmem(bytes, byte_count, old, strlen(old) + 1);
    ck_assert_ptr_nonnull(place);
    ck_assert_uint_eq(strlen(old), strlen(new));
    memcpy(place, new, strlen(new));
}

/* Writes so much of it to a file, and opens that. */
static void sample_open(size_t count) {
    if (strstr(folder, "XXXXXX") != NULL) ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(opened.path, sizeof opened.path, "%s/patched.so", folder);
    FILE *file = fopen(opened.path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, count, file), count);
    fclose(file);
    opened.error = os_dll_open(opened.path, false, &opened.handle, &opened.code, opened.text, sizeof opened.text);
    unlink(opened.path);
    rmdir(folder);
    strcpy(strrchr(folder, '-'), "-XXXXXX");
}

static void check_refused(int code, const char *words) {
    ck_assert_int_ne(opened.error, 0);
    ck_assert_ptr_null(opened.handle);
    ck_assert_int_eq(opened.code, code);
    ck_assert_msg(strstr(opened.text, words) != NULL, "%s", opened.text);
}

CASE(dll_copied_opens) {
    sample_read();
    sample_open(byte_count);
    ck_assert_msg(opened.error == 0, "%s", opened.text);
    os_dll_close(opened.handle);
}

CASE(dll_of_other_class_is_named_32_bit) {
    sample_read();
    bytes[4] = 1; /* ELFCLASS32 */
    sample_open(byte_count);
    check_refused(PINTLE_EINVAL, "is a 32-bit library; this is a 64-bit program");
    ck_assert_ptr_nonnull(strstr(opened.text, opened.path));
}

/* Cut off behind its header, it would crash the dynamic linker itself. */
CASE(dll_cut_off_in_its_header_is_named_so) {
    sample_read();
    for (size_t count = 0; count < 64; count++) {
        sample_open(count);
        check_refused(PINTLE_EINVAL, count < 4 ? "is not a shared library" : "is cut off");
    }
}

CASE(dll_that_is_a_text_is_named_so) {
    byte_count = (size_t)snprintf(bytes, sizeof bytes, "%0100d", 5);
    sample_open(byte_count);
    check_refused(PINTLE_EINVAL, "is not a shared library");
}

CASE(dll_that_needs_a_missing_one_names_it) {
    sample_read();
    sample_patch("libc.so.6", "libP.so.6");
    sample_open(byte_count);
    check_refused(PINTLE_ENOTFOUND, "needs 'libP.so.6', which was not found");
    ck_assert_ptr_nonnull(strstr(opened.text, opened.path));
}

static void open_path(const char *path, bool system) {
    opened.error = os_dll_open(path, system, &opened.handle, &opened.code, opened.text, sizeof opened.text);
}

CASE(dll_that_is_a_folder_or_program_is_named_so) {
    open_path("/tmp", false);
    check_refused(PINTLE_EINVAL, "is a folder");
    open_path("/proc/self/exe", false);
    check_refused(PINTLE_EINVAL, "is a program");
}

CASE(dll_by_system_name_opens) {
    open_path("libm.so.6", true);
    ck_assert_msg(opened.error == 0, "%s", opened.text);
    void *address = NULL;
    ck_assert_int_eq(os_dll_symbol(opened.handle, "cos", 0, &address), 0);
    ck_assert_ptr_nonnull(address);
    os_dll_close(opened.handle);
}

CASE(dll_by_system_name_is_not_from_current_folder) {
    char name[64];
    sample_read();
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chdir(folder), 0);
    snprintf(name, sizeof name, "libpintle-here.so");
    FILE *file = fopen(name, "wb");
    ck_assert_uint_eq(fwrite(bytes, 1, byte_count, file), byte_count);
    fclose(file);
    open_path(name, true);
    unlink(name);
    ck_assert_int_eq(chdir("/"), 0);
    rmdir(folder);
    strcpy(strrchr(folder, '-'), "-XXXXXX");
    check_refused(PINTLE_ENOTFOUND, "was not found");
}

CASE(path_from_root_is_absolute) {
    ck_assert(os_path_absolute("/"));
    ck_assert(os_path_absolute("/usr/lib/x.so"));
    ck_assert(!os_path_absolute("C:\\x.dll"));
}
