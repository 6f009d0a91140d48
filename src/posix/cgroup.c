/* cgroup.c (POSIX): the CPU quota of the process's control group, v2 (cpu.max) or v1 (cpu.cfs_quota_us).
 *
 * /proc/self/cgroup names the group as a path within a hierarchy; /proc/self/mountinfo says where which part of that
 * hierarchy is mounted. Every group up to the mount's root may have a quota; the least one counts.
 * Threads: any. Locks: none. Order: none. Invariants: what cannot be read or understood is no quota.
 * Tests: tests/posix/test_cgroup.c. */
#include "cgroup.h"

#include "base.h"

enum { PATH_BYTES = 4096, LINE_BYTES = PATH_BYTES + 512 };

/* A control group: the folder of its hierarchy's root, and the whole path of the group's own folder. */
typedef struct group {
    bool v2;
    char name[PATH_BYTES];
    char root[PATH_BYTES];
    char folder[PATH_BYTES];
} group;

static bool copy_text(char *out, size_t out_bytes, const char *text) {
    size_t length = strlen(text);
    if (length >= out_bytes) return false;
    memcpy(out, text, length + 1);
    return true;
}

/* Whether a list "a,b,c" has the word. */
static bool list_has(const char *list, const char *word) {
    size_t length = strlen(word);
    for (const char *item = list; item != NULL; item = strchr(item, ',')) {
        if (*item == ',') item++;
        if (strncmp(item, word, length) == 0 && (item[length] == ',' || item[length] == 0)) return true;
    }
    return false;
}

/* Lines are "5:cpu,cpuacct:/path" (v1) and "0::/path" (v2). The cpu controller is in one of the two; v1 wins. */
static bool group_read_name(group *out, const char *cgroup_file) {
    FILE *file = fopen(cgroup_file, "re");
    if (file == NULL) return false;
    bool found = false;
    char line[LINE_BYTES];
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = 0;
        char *controllers = strchr(line, ':');
        char *path = controllers == NULL ? NULL : strchr(controllers + 1, ':');
        if (path == NULL) continue;
        *path++ = 0;
        controllers++;
        bool v1 = list_has(controllers, "cpu");
        if (!v1 && (*controllers != 0 || found)) continue;
        out->v2 = !v1;
        found = copy_text(out->name, sizeof out->name, path);
        if (v1) break;
    }
    fclose(file);
    return found;
}

/* mountinfo: "36 35 98:0 /part /folder options optional… - type source options". Cuts the line; false if it is another
 * kind of mount. */
static bool mount_parse(char *line, bool v2, char **out_part, char **out_folder) {
    char *tail = strstr(line, " - ");
    if (tail == NULL) return false;
    *tail = 0;
    char *state;
    const char *type = strtok_r(tail + 3, " ", &state);
    const char *source = type == NULL ? NULL : strtok_r(NULL, " ", &state);
    const char *options = source == NULL ? NULL : strtok_r(NULL, " \n", &state);
    if (options == NULL || strcmp(type, v2 ? "cgroup2" : "cgroup") != 0) return false;
    if (!v2 && !list_has(options, "cpu")) return false;
    *out_part = NULL;
    *out_folder = NULL;
    char *word = strtok_r(line, " ", &state);
    for (int i = 0; word != NULL && i < 5; i++) {
        if (i == 3) *out_part = word;
        if (i == 4) *out_folder = word;
        word = strtok_r(NULL, " ", &state);
    }
    return *out_folder != NULL;
}

/* The group's name below the part of the hierarchy that is mounted; NULL if the group is outside it. */
static const char *name_below(const char *name, const char *part) {
    if (strcmp(part, "/") == 0) return strcmp(name, "/") == 0 ? "" : name;
    size_t length = strlen(part);
    if (strncmp(name, part, length) != 0) return NULL;
    return name[length] == '/' || name[length] == 0 ? name + length : NULL;
}

static bool group_find_folder(group *g, const char *mountinfo_file) {
    FILE *file = fopen(mountinfo_file, "re");
    if (file == NULL) return false;
    bool found = false;
    char line[LINE_BYTES], *part, *folder;
    while (!found && fgets(line, sizeof line, file) != NULL) {
        if (!mount_parse(line, g->v2, &part, &folder)) continue;
        const char *below = name_below(g->name, part);
        if (below == NULL || !copy_text(g->root, sizeof g->root, folder)) continue;
        int length = snprintf(g->folder, sizeof g->folder, "%s%s", folder, below);
        found = length > 0 && (size_t)length < sizeof g->folder;
    }
    fclose(file);
    return found;
}

/* Reads the first line of folder/name. */
static bool file_read_line(const char *folder, const char *name, char *out_line, int line_bytes) {
    char path[PATH_BYTES + 32];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "re");
    if (file == NULL) return false;
    bool read = fgets(out_line, line_bytes, file) != NULL;
    fclose(file);
    return read;
}

/* The quota and the period of one group; false if it has none ("max" in v2, -1 in v1). */
static bool quota_read(const group *g, long long *out_quota_us, long long *out_period_us) {
    char line[64];
    if (g->v2)
        return file_read_line(g->folder, "cpu.max", line, sizeof line) &&
               sscanf(line, "%lld %lld", out_quota_us, out_period_us) == 2;
    return file_read_line(g->folder, "cpu.cfs_quota_us", line, sizeof line) &&
           sscanf(line, "%lld", out_quota_us) == 1 &&
           file_read_line(g->folder, "cpu.cfs_period_us", line, sizeof line) &&
           sscanf(line, "%lld", out_period_us) == 1;
}

static unsigned group_processors(const group *g) {
    long long quota_us, period_us;
    if (!quota_read(g, &quota_us, &period_us) || quota_us <= 0 || period_us <= 0) return 0;
    long long processors = (quota_us - 1) / period_us + 1;
    return processors > INT_MAX ? INT_MAX : (unsigned)processors;
}

/* To the group above; false at the root of what is mounted. */
static bool group_go_up(group *g) {
    char *slash = strrchr(g->folder, '/');
    if (slash == NULL || strlen(g->folder) <= strlen(g->root)) return false;
    *slash = 0;
    return true;
}

unsigned cgroup_processors(const char *cgroup_file, const char *mountinfo_file) {
    group g;
    if (!group_read_name(&g, cgroup_file) || !group_find_folder(&g, mountinfo_file)) return 0;
    unsigned least = 0;
    do {
        unsigned processors = group_processors(&g);
        if (processors != 0 && (least == 0 || processors < least)) least = processors;
    } while (group_go_up(&g));
    return least;
}
