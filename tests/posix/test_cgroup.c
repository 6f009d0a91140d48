/* test_cgroup.c: the CPU quota of control groups, from folders made for the purpose. */
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/pintle_test.h"

#include "base.h"
#include "posix/cgroup.h"

static char root[64];

static void tree_make(void) {
    strcpy(root, "/tmp/pintle-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk) {
    (void)status, (void)kind, (void)walk;
    return remove(path);
}

static const char *in_tree(const char *name) {
    static char paths[4][256];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", root, name);
    return path;
}

/* Writes a file, with the folders above it; %s in the text is the tree's root. */
static void file_make(const char *name, const char *text) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *slash = path + strlen(root) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = 0;
        mkdir(path, 0700);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    for (const char *c = text; *c != 0; c++)
        if (*c == '@')
            fputs(root, file);
        else
            putc(*c, file);
    fclose(file);
}

/* The answer for what the tree holds; removes the tree. */
static unsigned quota(void) {
    unsigned processors = cgroup_processors(in_tree("cgroup"), in_tree("mountinfo"));
    nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return processors;
}

#define MOUNT_V2 \
    "21 20 0:19 / /sys rw,nosuid shared:7 - sysfs sysfs rw\n" \
    "30 21 0:26 / @/fs rw,nosuid,nodev shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
#define MOUNT_V1 \
    "30 21 0:26 / @/memory rw shared:9 - cgroup cgroup rw,memory\n" \
    "31 21 0:27 / @/cpu rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"

CASE(cgroup_v2_quota_is_rounded_up) {
    tree_make();
    file_make("cgroup", "0::/a/b\n");
    file_make("mountinfo", MOUNT_V2);
    file_make("fs/a/b/cpu.max", "150000 100000\n");
    ck_assert_uint_eq(quota(), 2);
}

CASE(cgroup_v2_least_quota_on_the_way_up_counts) {
    tree_make();
    file_make("cgroup", "0::/a/b/c\n");
    file_make("mountinfo", MOUNT_V2);
    file_make("fs/a/b/c/cpu.max", "800000 100000\n");
    file_make("fs/a/b/cpu.max", "max 100000\n");
    file_make("fs/a/cpu.max", "300000 100000\n");
    file_make("cpu.max", "1000 100000\n"); /* above the mount: not ours */
    ck_assert_uint_eq(quota(), 3);
}

CASE(cgroup_v2_max_or_rubbish_is_no_quota) {
    static const char *const texts[] = {"max 100000\n", "", "rubbish\n", "5\n", "-5 100\n", "5 0\n"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        tree_make();
        file_make("cgroup", "0::/a\n");
        file_make("mountinfo", MOUNT_V2);
        file_make("fs/a/cpu.max", texts[i]);
        ck_assert_uint_eq(quota(), 0);
    }
}

CASE(cgroup_v2_tiny_quota_is_1) {
    tree_make();
    file_make("cgroup", "0::/\n");
    file_make("mountinfo", MOUNT_V2);
    file_make("fs/cpu.max", "1000 100000\n");
    ck_assert_uint_eq(quota(), 1);
}

CASE(cgroup_v1_quota_of_cpu_controller) {
    tree_make();
    file_make("cgroup", "5:memory:/m\n4:cpu,cpuacct:/c\n1:name=systemd:/x\n0::/u\n");
    file_make("mountinfo", MOUNT_V1 MOUNT_V2);
    file_make("fs/u/cpu.max", "100000 100000\n");
    file_make("cpu/c/cpu.cfs_quota_us", "400001\n");
    file_make("cpu/c/cpu.cfs_period_us", "100000\n");
    file_make("memory/c/cpu.cfs_quota_us", "100000\n");
    ck_assert_uint_eq(quota(), 5);
}

CASE(cgroup_v1_minus_1_is_no_quota) {
    tree_make();
    file_make("cgroup", "4:cpuset:/s\n3:cpu:/c\n");
    file_make("mountinfo", MOUNT_V1);
    file_make("cpu/c/cpu.cfs_quota_us", "-1\n");
    file_make("cpu/c/cpu.cfs_period_us", "100000\n");
    ck_assert_uint_eq(quota(), 0);
}

/* As in a container without a namespace of its own: only its part of the hierarchy is mounted. */
CASE(cgroup_mount_of_a_part_is_followed) {
    tree_make();
    file_make("cgroup", "3:cpu:/docker/abc/in\n");
    file_make("mountinfo", "30 21 0:26 /docker/ab @/other rw - cgroup cgroup rw,cpu\n31 21 0:27 /docker/abc @/cpu rw - "
                           "cgroup cgroup rw,cpu\n");
    file_make("cpu/in/cpu.cfs_quota_us", "700000\n");
    file_make("cpu/in/cpu.cfs_period_us", "100000\n");
    file_make("cpu/cpu.cfs_quota_us", "600000\n");
    file_make("cpu/cpu.cfs_period_us", "100000\n");
    ck_assert_uint_eq(quota(), 6);
}

CASE(cgroup_files_absent_is_no_quota) {
    tree_make();
    ck_assert_uint_eq(quota(), 0);
    tree_make();
    file_make("cgroup", "0::/a\n");
    ck_assert_uint_eq(quota(), 0);
    tree_make();
    file_make("cgroup", "\n:\n0:\n::\nno colons\n");
    file_make("mountinfo", "\n - \n1 2 3 4 5 - cgroup2 x y\n1 2 - cgroup2 x y\n - cgroup2\n");
    ck_assert_uint_eq(quota(), 0);
}

CASE(cgroup_of_this_process_is_readable) {
    ck_assert_uint_le(cgroup_processors("/proc/self/cgroup", "/proc/self/mountinfo"), INT_MAX);
}
