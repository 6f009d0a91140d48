/* words.c: reading arguments. words.h explains; the kinds are those of `pintle call --help`. */
#include "words.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <pintle/result.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 16 };
static const uint64_t BUFFER_BYTES_MOST = 256u << 20;

struct complaint {
    char *text;
    size_t bytes;
};

static bool complain(struct complaint complaint, const char *format, ...) PINTLE_PRINTF(2, 3);
static bool complain(struct complaint complaint, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(complaint.text, complaint.bytes, format, arguments);
    va_end(arguments);
    return false;
}

/* ---- Integers ---- */

bool word_is_integer(const char *text) {
    bool is_hex;
    if (*text == '-') text++;
    is_hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    if (is_hex) text += 2;
    if (*text == '\0') return false;
    for (; *text != '\0'; text++) {
        if (is_hex ? !isxdigit((unsigned char)*text) : !isdigit((unsigned char)*text)) return false;
    }
    return true;
}

bool word_integer(const char *text, uint64_t *out_value) {
    bool is_negative = *text == '-';
    const char *digits = text + is_negative;
    bool is_hex = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
    errno = 0;
    unsigned long long magnitude = strtoull(digits, NULL, is_hex ? 16 : 10);
    if (errno != 0 || (is_negative && magnitude > (uint64_t)INT64_MAX + 1)) return false;
    *out_value = is_negative ? 0 - (uint64_t)magnitude : magnitude;
    return true;
}

/* The number of an argument like u32*:VALUE, from least (negative ones as two's complement) to most. */
static bool number_after(struct complaint complaint, const char *argument, const char *text, int64_t least,
                         uint64_t most, uint64_t *out_value) {
    if (!word_is_integer(text)) return complain(complaint, "argument '%s': '%s' is not a number", argument, text);
    bool fits = word_integer(text, out_value);
    if (*text == '-')
        fits = fits && (*out_value == 0 || (int64_t)*out_value >= least);
    else
        fits = fits && *out_value <= most && (least <= 0 || *out_value >= (uint64_t)least);
    if (fits) return true;
    return complain(complaint, "argument '%s': the number must be from %" PRId64 " to %" PRIu64, argument, least, most);
}

/* ---- What arguments point to ---- */

/* Adds bytes, zeros if data is NULL, to the block, which stays a multiple of ALIGNMENT long. */
static bool block_add(struct words *words, struct complaint complaint, struct word *word, const void *data,
                      size_t bytes) {
    size_t needed = words->block_bytes + (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (needed > words->block_capacity) {
        unsigned char *block = realloc(words->block, needed * 2);
        if (block == NULL)
            return complain(complaint, "argument '%s': no memory for %" PRIu64 " bytes", word->argument,
                            (uint64_t)bytes);
        words->block = block;
        words->block_capacity = needed * 2;
    }
    memset(words->block + words->block_bytes, 0, needed - words->block_bytes);
    if (data != NULL) memcpy(words->block + words->block_bytes, data, bytes);
    word->offset = words->block_bytes;
    word->bytes = bytes;
    words->block_bytes = needed;
    return true;
}

/* The next code point of UTF-8 text, strictly; false where it is malformed. */
static bool decode_utf8(const unsigned char **text, uint32_t *out_code_point) {
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    const unsigned char *at = *text;
    unsigned more = *at < 0x80 ? 0 : *at >> 5 == 6 ? 1 : *at >> 4 == 14 ? 2 : *at >> 3 == 30 ? 3 : 4;
    if (more == 4) return false;
    uint32_t code_point = more == 0 ? *at : *at & (0x3fu >> more);
    for (unsigned i = 1; i <= more; i++) {
        if (at[i] >> 6 != 2) return false; /* the terminating NUL too */
        code_point = code_point << 6 | (at[i] & 0x3fu);
    }
    if (code_point < least[more] || code_point > 0x10ffff || code_point >> 11 == 0x1b) return false;
    *text = at + more + 1;
    *out_code_point = code_point;
    return true;
}

static bool add_utf16(struct words *words, struct complaint complaint, struct word *word, const char *text) {
    uint16_t *units = malloc((strlen(text) + 1) * sizeof *units); /* never more units than bytes */
    if (units == NULL) return complain(complaint, "argument '%s': no memory", word->argument);
    size_t count = 0;
    bool is_good = true;
    for (const unsigned char *at = (const unsigned char *)text; is_good && *at != '\0';) {
        uint32_t code_point = 0;
        is_good = decode_utf8(&at, &code_point);
        if (code_point < 0x10000) {
            units[count++] = (uint16_t)code_point;
        } else {
            units[count++] = (uint16_t)(0xd7c0 + (code_point >> 10));
            units[count++] = (uint16_t)(0xdc00 | (code_point & 0x3ff));
        }
    }
    units[count++] = 0;
    if (is_good)
        is_good = block_add(words, complaint, word, units, count * sizeof *units);
    else
        complain(complaint, "argument '%s' is not valid UTF-8", word->argument);
    free(units);
    return is_good;
}

/* ---- Kinds ---- */

static bool parse_float(struct words *words, struct complaint complaint, struct word *word, const char *text) {
    bool is_double = word->kind == WORD_DOUBLE;
    char *end;
    double value = strtod(text, &end);
    bool is_infinite = isinf(value) || (!is_double && isinf((float)value));
    bool says_infinite = strpbrk(text, "iI") != NULL; /* "inf"; digits have no i */
    unsigned number = (unsigned)(word - words->list) + 1;
    if (*text == '\0' || isspace((unsigned char)*text) || *end != '\0') {
        return complain(complaint, "argument '%s': '%s' is not a floating-point number", word->argument, text);
    }
    if (is_infinite && !says_infinite) {
        return complain(complaint, "argument '%s': the number does not fit a %s", word->argument,
                        is_double ? "double" : "float");
    }
    word->value = is_double ? pintle_word_double(value) : pintle_word_float((float)value);
    if (number <= FLOAT_WORDS_MOST) words->float_mask |= 1u << (number - 1);
    words->last_float = number;
    return true;
}

static bool parse_u32(struct words *words, struct complaint complaint, struct word *word, const char *text) {
    uint64_t value;
    if (!number_after(complaint, word->argument, text, INT32_MIN, UINT32_MAX, &value)) return false;
    uint32_t value32 = (uint32_t)value;
    return block_add(words, complaint, word, &value32, sizeof value32);
}

static bool parse_u64(struct words *words, struct complaint complaint, struct word *word, const char *text) {
    uint64_t value;
    if (!number_after(complaint, word->argument, text, INT64_MIN, UINT64_MAX, &value)) return false;
    return block_add(words, complaint, word, &value, sizeof value);
}

static bool parse_buffer(struct words *words, struct complaint complaint, struct word *word, const char *text) {
    uint64_t bytes;
    if (!number_after(complaint, word->argument, text, 1, BUFFER_BYTES_MOST, &bytes)) return false;
    return block_add(words, complaint, word, NULL, (size_t)bytes);
}

static bool parse_word(struct words *words, struct complaint complaint, struct word *word) {
    static const struct {
        const char *prefix;
        enum word_kind kind;
    } prefixes[] = {{"s:", WORD_TEXT},   {"w:", WORD_TEXT_UTF16}, {"buf:", WORD_BUFFER}, {"u32*:", WORD_U32},
                    {"u64*:", WORD_U64}, {"f64:", WORD_DOUBLE},   {"f32:", WORD_FLOAT}};
    const char *text = word->argument;
    size_t kind = 0, kinds = sizeof prefixes / sizeof prefixes[0];
    while (kind < kinds && strncmp(text, prefixes[kind].prefix, strlen(prefixes[kind].prefix)) != 0) kind++;

    if (kind < kinds) {
        text += strlen(prefixes[kind].prefix);
        word->kind = prefixes[kind].kind;
        switch (word->kind) {
        case WORD_TEXT: return block_add(words, complaint, word, text, strlen(text) + 1);
        case WORD_TEXT_UTF16: return add_utf16(words, complaint, word, text);
        case WORD_BUFFER: return parse_buffer(words, complaint, word, text);
        case WORD_U32: return parse_u32(words, complaint, word, text);
        case WORD_U64: return parse_u64(words, complaint, word, text);
        case WORD_DOUBLE:
        case WORD_FLOAT: return parse_float(words, complaint, word, text);
        case WORD_INTEGER: break; /* has no prefix */
        }
    }
    if (strcmp(text, "null") == 0) return true;
    if (word_is_integer(text)) {
        uint64_t value;
        if (!word_integer(text, &value)) {
            return complain(complaint, "argument '%s' does not fit 64 bits (write s:%s to pass it as text)", text,
                            text);
        }
        word->value = (uintptr_t)value;
        return true;
    }
    word->kind = WORD_TEXT;
    return block_add(words, complaint, word, text, strlen(text) + 1);
}

bool words_parse(struct words *words, int count, char **arguments, char *out_complaint, size_t complaint_bytes) {
    struct complaint complaint = {out_complaint, complaint_bytes};
    memset(words, 0, sizeof *words);
    if (count > WORDS_MOST) return complain(complaint, "%d arguments: a call carries %d at most", count, WORDS_MOST);
    for (; (int)words->count < count; words->count++) {
        struct word *word = &words->list[words->count];
        word->argument = arguments[words->count];
        if (!parse_word(words, complaint, word)) return false;
    }
    return true;
}

void words_free(struct words *words) { free(words->block); }

void words_prepare(const struct words *words, unsigned char *block, uintptr_t *out_args) {
    if (words->block_bytes > 0) memcpy(block, words->block, words->block_bytes);
    for (unsigned i = 0; i < words->count; i++) {
        const struct word *word = &words->list[i];
        out_args[i] = word->bytes == 0 ? word->value : (uintptr_t)(block + word->offset);
    }
}
