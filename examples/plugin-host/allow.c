/* allow.c: allow.h but for the system's part. */
#include "allow.h"

#include "host_parts.h"

#if defined(_WIN32)
#define SLASH '\\'
#else
#define SLASH '/'
#endif

enum { DIGITS = 2 * SHA256_BYTES };

struct allowed_file {
    char path[ALLOWED_PATH_BYTES];
    bool is_held;
    held held;
    struct allowed_file *next;
};

/* ---- The list ---- */

struct line {
    unsigned char digest[SHA256_BYTES];
    char name[256];
};

static int digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One line of sha256sum's, without its end. */
static bool line_read(const char *text, size_t length, struct line *out) {
    if (length < DIGITS + 3 || length - DIGITS - 2 >= sizeof out->name || text[DIGITS] != ' ' ||
        (text[DIGITS + 1] != ' ' && text[DIGITS + 1] != '*'))
        return false;
    for (int i = 0; i < SHA256_BYTES; i++) {
        int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        out->digest[i] = (unsigned char)(high << 4 | low);
    }
    length -= DIGITS + 2;
    memcpy(out->name, text + DIGITS + 2, length);
    out->name[length] = '\0';
    return strpbrk(out->name, "/\\:") == NULL; /* a name, no path */
}

/* Calls each with every line until one gives not 0. */
static int lines(const char *list, const char *text, int (*each)(void *arg, const struct line *line), void *arg) {
    struct line line;
    unsigned number = 1;
    for (int code; *text != '\0'; number++) {
        size_t length = strcspn(text, "\n"), end = length;
        if (end > 0 && text[end - 1] == '\r') end--;
        if (end > 0) {
            if (!line_read(text, end, &line))
                return pintle_error_set(
                    PINTLE_EINVAL, 0, "line %u of '%s' is not as sha256sum writes them, of a bare name", number, list);
            code = each(arg, &line);
            if (code != 0) return code;
        }
        text += length + (text[length] != '\0');
    }
    return 0;
}

/* ---- The copies ---- */

struct copying {
    allowed *a;
    const char *plugin, *list, *name; /* of the plugin: its path, its list, its file's name */
    bool found;
};

static int check(const struct copying *c, struct allowed_file *file, const struct line *line) {
    unsigned char digest[SHA256_BYTES];
    int code = allow_hold(&file->held, file->path);
    file->is_held = code == 0;
    if (code == 0) code = allow_hash(file->held, digest);
    if (code == 0 && memcmp(digest, line->digest, sizeof digest) != 0)
        code = pintle_error_set(PINTLE_EACCES, 0, "plugin '%s' is not loaded: '%s' is not what '%s' allows", c->plugin,
                                line->name, c->list);
    return code;
}

/* A listed file: the plugin, under a name that no other has, or something beside it that may be there. */
static int copy_line(void *arg, const struct line *line) {
    static atomic_uint numbers;
    struct copying *c = arg;
    bool is_plugin = allow_same_name(line->name, c->name);
    char from[HOST_PATH_BYTES], name[300];
    if (is_plugin && c->found) return 0; /* the first one counts */
    snprintf(from, sizeof from, "%.*s%s", (int)(c->name - c->plugin), c->plugin, line->name);
    snprintf(name, sizeof name, is_plugin ? "%u-%s" : "%.0u%s", is_plugin ? atomic_fetch_add(&numbers, 1) : 0,
             line->name);
    struct allowed_file *file = calloc(1, sizeof *file);
    if (file == NULL) return pintle_error_set(PINTLE_ENOMEM, 0, "no memory to check '%s'", c->plugin);
    if (snprintf(file->path, sizeof file->path, "%s%c%s", c->a->folder, SLASH, name) >= (int)sizeof file->path) {
        free(file);
        return pintle_error_set(PINTLE_EINVAL, 0, "the path of '%s' is too long", c->plugin);
    }
    int code = allow_copy(from, file->path);
    if (code != 0) {
        free(file);
        return code == PINTLE_ENOTFOUND && !is_plugin ? 0 : code;
    }
    file->next = c->a->files;
    c->a->files = file;
    if (is_plugin) {
        c->found = true;
        memcpy(c->a->path, file->path, sizeof file->path);
    }
    return check(c, file, line);
}

static int copy_all(allowed *a, const char *plugin, const char *list) {
    char *text;
    struct copying c = {.a = a, .plugin = plugin, .list = list, .name = plugin};
    for (const char *at = plugin; *at != '\0'; at++)
        if (*at == '/' || *at == '\\') c.name = at + 1;
    int code = allow_read(list, &text);
    if (code != 0) return code;
    code = lines(list, text, copy_line, &c);
    free(text);
    if (code == 0 && !c.found)
        code = pintle_error_set(PINTLE_EACCES, 0, "plugin '%s' is not loaded: '%s' does not list it", plugin, list);
    return code;
}

int allowed_open(allowed **out, const char *plugin, const char *list) {
    allowed *a = calloc(1, sizeof *a);
    if (a == NULL) return pintle_error_set(PINTLE_ENOMEM, 0, "no memory to check '%s'", plugin);
    int code = allow_make_folder(a->folder, sizeof a->folder);
    if (code != 0) {
        free(a);
        return code;
    }
    code = copy_all(a, plugin, list);
    if (code != 0) {
        pintle_error error;
        pintle_error_get(&error);
        allowed_close(a);
        return error_again(&error);
    }
    *out = a;
    return 0;
}

void allowed_loaded(allowed *a) {
    for (struct allowed_file *file = a->files; file != NULL; file = file->next) {
        if (file->is_held) allow_release(file->held);
        file->is_held = false;
    }
}

void allowed_close(allowed *a) {
    if (a == NULL) return;
    allowed_loaded(a);
    while (a->files != NULL) {
        struct allowed_file *file = a->files;
        a->files = file->next;
        allow_remove(file->path);
        free(file);
    }
    allow_remove_folder(a->folder);
    free(a);
}
