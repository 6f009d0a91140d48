/* exports.c: `pintle exports`: what a DLL or shared object exports, without loading it. image.c reads the file. */
#include <cJSON.h>

#include "command.h"
#include "image.h"
#include "platform.h"

enum { FILE_BYTES_MOST = 1 << 30, BLOCK_BYTES = 1 << 16, TEXT_BYTES = 4 * 4096 + 1 };

const char exports_help[] =
    "Lists what a DLL or shared object exports. The file is read, not loaded: nothing of it\n"
    "runs, and it may be for another system (PE and ELF are read everywhere).\n"
    "\n"
    "  pintle exports [--json] DLL\n"
    "\n"
    "DLL is a path if it has a slash in it; a bare name is looked for among the system's\n"
    "DLLs, then beside this program, then in the current folder.\n"
    "\n"
    "Each line is an export: its ordinal (PE), its address relative to the image, what it is\n"
    "(code, data, forward, tls, ifunc), its name, and for a forwarder whose it is.\n"
    "\n"
    "  --json   one line: {\"dll\",\"format\",\"machine\",\"bits\",\"name\",\"exports\":[{\"name\",\n"
    "           \"ordinal\",\"rva\",\"kind\",\"forward\"},…]}, null where there is none\n"
    "  --help   this text\n"
    "\n"
    "Exit status: 0 they were listed; 1 they could not be; 2 wrong usage.\n";

/* ---- The file ---- */

static int find_file(const char *name, char out_path[PATH_BYTES]) {
    if (!platform_is_path(name)) {
        if (platform_system_file(name, out_path, PATH_BYTES) && platform_file_exists(out_path)) return STATUS_OK;
        if (platform_beside_program(name, out_path, PATH_BYTES) && platform_file_exists(out_path)) return STATUS_OK;
    }
    if (!platform_absolute_path(name, out_path, PATH_BYTES)) return fail("the path '%s' is too long", name);
    if (platform_file_exists(out_path)) return STATUS_OK;
    return fail("there is no file '%s'%s", name,
                platform_is_path(name) ? "" : " among the system's, beside this program or in the current folder");
}

static int read_all(FILE *file, const char *name, unsigned char **out_bytes, size_t *out_count) {
    size_t room = 0, count = 0, got = 0;
    unsigned char *bytes = NULL;
    do {
        count += got;
        if (count == FILE_BYTES_MOST) {
            free(bytes);
            return fail("'%s' has more than 1 GB: too large for a DLL", name);
        }
        if (room - count < BLOCK_BYTES) {
            room = room == 0 ? 16 * BLOCK_BYTES : 2 * room;
            unsigned char *larger = realloc(bytes, room);
            if (larger == NULL) {
                free(bytes);
                return fail("no memory for '%s'", name);
            }
            bytes = larger;
        }
        got = fread(bytes + count, 1, BLOCK_BYTES, file);
    } while (got > 0);
    *out_bytes = bytes;
    *out_count = count;
    if (!ferror(file)) return STATUS_OK;
    free(bytes);
    return fail("'%s' cannot be read", name);
}

/* ---- Output ---- */

/* How many bytes a well-formed UTF-8 character has there; 0: none, or one that is no text. */
static size_t character_bytes(const unsigned char *at) {
    static const struct {
        unsigned mask, lead, least;
    } forms[] = {{0x80, 0x00, 0x20}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
    for (size_t bytes = 1; bytes <= 4; bytes++) {
        if ((at[0] & forms[bytes - 1].mask) != forms[bytes - 1].lead) continue;
        unsigned code = at[0] & ~forms[bytes - 1].mask & 0xff;
        for (size_t i = 1; i < bytes; i++) {
            if ((at[i] & 0xc0) != 0x80) return 0;
            code = code << 6 | (at[i] & 0x3f);
        }
        bool is_text = code >= forms[bytes - 1].least && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) &&
                       code != 0x7f && (code < 0x80 || code >= 0xa0);
        return is_text ? bytes : 0;
    }
    return 0;
}

/* The text with what is no text as \xNN; static. */
static const char *clean(const char *text) {
    static char out[TEXT_BYTES];
    const unsigned char *at = (const unsigned char *)text;
    size_t length = 0;
    while (*at != '\0' && length + 5 < sizeof out) {
        size_t bytes = character_bytes(at);
        if (bytes == 0) {
            length += (size_t)snprintf(out + length, 5, "\\x%02x", *at++);
        } else {
            memcpy(out + length, at, bytes);
            length += bytes;
            at += bytes;
        }
    }
    out[length] = '\0';
    return out;
}

static int report_text(const char *name, const struct image *image) {
    printf("%s  %s, %s, %u bits", name, image->format, image->machine, image->bits);
    if (image->name != NULL) printf(", calls itself %s", clean(image->name));
    printf("\n%s export%s\n", text_count(image->count), image->count == 1 ? "" : "s");
    if (image->count > 0) printf("\n  ordinal  address     kind     name\n");
    for (size_t i = 0; i < image->count; i++) {
        const struct image_export *export = &image->exports[i];
        if (export->ordinal != 0 || image->format[0] == 'P')
            printf("  %7" PRIu32, export->ordinal);
        else
            printf("        -");
        printf("  0x%08" PRIx64 "  %-7s  %s", export->address, export->kind,
               export->name != NULL ? clean(export->name) : "(no name)");
        if (export->forward != NULL) printf(" -> %s", clean(export->forward));
        putchar('\n');
    }
    return STATUS_OK;
}

static bool add_text(cJSON *object, const char *name, const char *text) {
    return (text != NULL ? cJSON_AddStringToObject(object, name, clean(text)) : cJSON_AddNullToObject(object, name)) !=
           NULL;
}

static bool add_export(cJSON *list, const struct image_export *export, bool has_ordinals) {
    cJSON *object = cJSON_CreateObject();
    if (object == NULL) return false;
    cJSON_AddItemToArray(list, object);
    cJSON *ordinal = NULL;
    char digits[24];
    snprintf(digits, sizeof digits, "%" PRIu64, export->address);
    if (!add_text(object, "name", export->name)) return false;
    ordinal = has_ordinals ? cJSON_AddNumberToObject(object, "ordinal", export->ordinal)
                           : cJSON_AddNullToObject(object, "ordinal");
    return ordinal != NULL && cJSON_AddRawToObject(object, "rva", digits) != NULL &&
           add_text(object, "kind", export->kind) && add_text(object, "forward", export->forward);
}

static int report_json(const char *name, const struct image *image) {
    cJSON *object = cJSON_CreateObject();
    bool good = add_text(object, "dll", name) && add_text(object, "format", image->format) &&
                add_text(object, "machine", image->machine) &&
                cJSON_AddNumberToObject(object, "bits", image->bits) != NULL && add_text(object, "name", image->name);
    cJSON *list = good ? cJSON_AddArrayToObject(object, "exports") : NULL;
    good = list != NULL;
    for (size_t i = 0; good && i < image->count; i++)
        good = add_export(list, &image->exports[i], image->format[0] == 'P');
    char *line = good ? cJSON_PrintUnformatted(object) : NULL;
    if (line != NULL) puts(line);
    cJSON_free(line);
    cJSON_Delete(object);
    return line != NULL ? STATUS_OK : fail("no memory for the JSON");
}

static int list_exports(const char *name, bool json) {
    char path[PATH_BYTES], complaint[256];
    struct image image;
    unsigned char *bytes = NULL;
    size_t count = 0;
    int status = find_file(name, path);
    if (status != STATUS_OK) return status;
    FILE *file = platform_open_to_read(path);
    if (file == NULL) return fail("'%s' cannot be opened", name);
    status = read_all(file, name, &bytes, &count);
    fclose(file);
    if (status != STATUS_OK) return status;
    if (!image_read(bytes, count, &image, complaint, sizeof complaint))
        status = fail("'%s' %s", name, complaint);
    else
        status = json ? report_json(name, &image) : report_text(name, &image);
    image_free(&image);
    free(bytes);
    return status;
}

int command_exports(int argc, char **argv) {
    const char *name = NULL;
    bool json = false, options_ended = false;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (options_ended || word[0] != '-') {
            if (name != NULL) return fail_usage("exports", "one DLL at a time, not '%s' and '%s'", name, word);
            name = word;
        } else if (strcmp(word, "--") == 0) {
            options_ended = true;
        } else if (strcmp(word, "--json") == 0) {
            json = true;
        } else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            fputs(exports_help, stdout);
            return STATUS_OK;
        } else {
            return fail_usage("exports", "there is no option '%s'", word);
        }
    }
    if (name == NULL) return fail_usage("exports", "of what? DLL is missing");
    return list_exports(name, json);
}
