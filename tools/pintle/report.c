/* report.c: the outcome of `pintle call`, for people and as JSON. */
#include <cJSON.h>
#include <ctype.h>

#include "call.h"
#include "histogram.h"
#include "platform.h"

enum { DUMP_BYTES_MOST = 1024, DUMP_ROW_BYTES = 16 };

struct percentiles {
    uint64_t min, median, p99, max;
};

static int compare_u64(const void *left, const void *right) {
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* Nearest rank. */
static struct percentiles percentiles_of(uint64_t *values, uint64_t count) {
    qsort(values, count, sizeof *values, compare_u64);
    return (struct percentiles){.min = values[0],
                                .median = values[(count - 1) / 2],
                                .p99 = values[(count * 99 + 99) / 100 - 1],
                                .max = values[count - 1]};
}

/* ---- JSON ---- */

/* A number with all its digits: cJSON's own are doubles. */
static bool add_number(cJSON *object, const char *name, uint64_t value) {
    char digits[24];
    snprintf(digits, sizeof digits, "%" PRIu64, value);
    return cJSON_AddRawToObject(object, name, digits) != NULL;
}

static int report_json(const struct call_request *request, const struct call_outcome *outcome, struct percentiles ns) {
    cJSON *object = cJSON_CreateObject();
    bool good = cJSON_AddStringToObject(object, "dll", request->dll) != NULL &&
                cJSON_AddStringToObject(object, "proc", request->proc) != NULL &&
                add_number(object, "calls", outcome->calls) && add_number(object, "r1", outcome->result.r1) &&
                add_number(object, "r2", outcome->result.r2) && add_number(object, "err", outcome->result.err);
    cJSON *times = good ? cJSON_AddObjectToObject(object, "ns") : NULL;
    good = times != NULL && add_number(times, "min", ns.min) && add_number(times, "median", ns.median) &&
           add_number(times, "p99", ns.p99) && add_number(times, "max", ns.max);
    char *line = good ? cJSON_PrintUnformatted(object) : NULL;
    if (line != NULL) puts(line);
    cJSON_free(line);
    cJSON_Delete(object);
    return line != NULL ? STATUS_OK : fail("no memory for the JSON");
}

/* ---- For people ---- */

static void print_result(pintle_result result) {
    char message[512] = "no error";
    if (result.err != 0) platform_error_text(result.err, message, sizeof message);
    printf("  r1    unsigned   %" PRIu64 "\n", (uint64_t)result.r1);
    printf("        signed     %" PRId64 "\n", pintle_result_i64(result));
    printf("        int        %d\n", pintle_result_int(result));
    printf("        hex        0x%016" PRIx64 "\n", (uint64_t)result.r1);
    printf("  r2    double     %.17g\n", pintle_result_double(result));
    printf("        float      %.9g\n", (double)pintle_result_float(result));
    printf("        hex        0x%016" PRIx64 "\n", (uint64_t)result.r2);
    printf("  err   %-10" PRIu32 " %s\n", result.err, message);
}

static void print_times(const struct call_request *request, const struct call_outcome *outcome, struct percentiles ns) {
    if (outcome->calls == 1) {
        printf("  time  %s\n", text_duration(ns.min));
        return;
    }
    printf("  time  %s calls by %s task%s%s\n", text_count(outcome->calls), text_count(request->tasks),
           request->tasks == 1 ? "" : "s", request->blocking ? ", announced as blocking" : "");
    histogram_print(outcome->durations_ns, outcome->calls);
}

static void print_dump_row(const unsigned char *bytes, size_t count, size_t offset) {
    printf("        %08" PRIx64 "  ", (uint64_t)offset);
    for (size_t i = 0; i < DUMP_ROW_BYTES; i++) {
        if (i < count)
            printf("%02x ", bytes[i]);
        else
            printf("   ");
        if (i == DUMP_ROW_BYTES / 2 - 1) putchar(' ');
    }
    printf(" |");
    for (size_t i = 0; i < count; i++) putchar(bytes[i] < 0x80 && isprint(bytes[i]) ? bytes[i] : '.');
    printf("|\n");
}

/* Bytes up to the first NUL, as they are, but for what would disturb the terminal. */
static void print_text(const unsigned char *bytes, size_t count) {
    printf("        text      \"");
    for (size_t i = 0; i < count && bytes[i] != '\0'; i++) putchar(bytes[i] < ' ' || bytes[i] == 0x7f ? '.' : bytes[i]);
    printf("\"\n");
}

static unsigned unit_at(const unsigned char *bytes, size_t unit) {
    return bytes[unit * 2] | (unsigned)bytes[unit * 2 + 1] << 8;
}

static void put_utf8(unsigned code_point) {
    if (code_point < 0x80) {
        putchar(code_point < ' ' || code_point == 0x7f ? '.' : (int)code_point);
        return;
    }
    if (code_point < 0x800) {
        putchar((int)(0xc0 | code_point >> 6));
    } else {
        if (code_point < 0x10000) {
            putchar((int)(0xe0 | code_point >> 12));
        } else {
            putchar((int)(0xf0 | code_point >> 18));
            putchar((int)(0x80 | (code_point >> 12 & 0x3f)));
        }
        putchar((int)(0x80 | (code_point >> 6 & 0x3f)));
    }
    putchar((int)(0x80 | (code_point & 0x3f)));
}

static void print_text_utf16(const unsigned char *bytes, size_t count) {
    size_t units = count / 2;
    printf("        UTF-16    \"");
    for (size_t i = 0; i < units && unit_at(bytes, i) != 0; i++) {
        unsigned unit = unit_at(bytes, i), next = i + 1 < units ? unit_at(bytes, i + 1) : 0;
        if (unit >> 10 == 0x36 && next >> 10 == 0x37) {
            put_utf8(0x10000 + ((unit & 0x3ff) << 10 | (next & 0x3ff)));
            i++;
        } else {
            put_utf8(unit >> 11 == 0x1b ? 0xfffd : unit);
        }
    }
    printf("\"\n");
}

/* Text of at least two ASCII characters in UTF-16 has a NUL as every second byte, which UTF-8 text does not. */
static bool looks_utf16(const unsigned char *bytes, size_t count) {
    return count >= 4 && bytes[0] != 0 && bytes[1] == 0 && bytes[2] != 0 && bytes[3] == 0;
}

static void print_buffer(const unsigned char *bytes, size_t count) {
    size_t used = count;
    while (used > 0 && bytes[used - 1] == 0) used--;
    if (used == 0) {
        printf("        all zero\n");
        return;
    }
    size_t rows_end = (used + DUMP_ROW_BYTES - 1) / DUMP_ROW_BYTES * DUMP_ROW_BYTES;
    size_t shown = rows_end < count ? rows_end : count;
    if (shown > DUMP_BYTES_MOST) shown = DUMP_BYTES_MOST;
    for (size_t offset = 0; offset < shown; offset += DUMP_ROW_BYTES) {
        print_dump_row(bytes + offset, shown - offset < DUMP_ROW_BYTES ? shown - offset : DUMP_ROW_BYTES, offset);
    }
    if (shown < count)
        printf("        %s more bytes%s\n", text_count(count - shown), used <= shown ? ", all zero" : "");
    if (looks_utf16(bytes, count))
        print_text_utf16(bytes, shown);
    else
        print_text(bytes, shown);
}

static void print_memory(const struct word *word, unsigned number, const unsigned char *block) {
    const unsigned char *bytes = block + word->offset;
    if (word->kind == WORD_BUFFER) {
        printf("  %s after the call (argument %u)\n", word->argument, number);
        print_buffer(bytes, word->bytes);
    } else if (word->kind == WORD_U32) {
        uint32_t value;
        memcpy(&value, bytes, sizeof value);
        printf("  %s after the call (argument %u)\n        unsigned   %" PRIu32 "\n        signed     %" PRId32
               "\n        hex        0x%08" PRIx32 "\n",
               word->argument, number, value, (int32_t)value, value);
    } else if (word->kind == WORD_U64) {
        uint64_t value;
        memcpy(&value, bytes, sizeof value);
        printf("  %s after the call (argument %u)\n        unsigned   %" PRIu64 "\n        signed     %" PRId64
               "\n        hex        0x%016" PRIx64 "\n",
               word->argument, number, value, (int64_t)value, value);
    }
}

static void report_text(const struct call_request *request, const struct call_outcome *outcome, struct percentiles ns) {
    printf("%s!%s", request->dll, request->proc);
    for (unsigned i = 0; i < request->words.count; i++) printf(" %s", request->words.list[i].argument);
    printf("\n\n");
    print_result(outcome->result);
    for (unsigned i = 0; i < request->words.count; i++) print_memory(&request->words.list[i], i + 1, outcome->block);
    print_times(request, outcome, ns);
}

int report_outcome(const struct call_request *request, struct call_outcome *outcome) {
    struct percentiles ns = percentiles_of(outcome->durations_ns, outcome->calls);
    if (request->json) return report_json(request, outcome, ns);
    report_text(request, outcome, ns);
    return STATUS_OK;
}
