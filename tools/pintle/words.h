/* words.h: the arguments of `pintle call`, from text to machine words.
 *
 * What arguments point to (text, buffers, values) is laid out once in one block of bytes. Each task has a copy of the
 * block, and each call starts from the original bytes, so a function that writes to its arguments gets the same ones
 * again at its next call. */
#ifndef PINTLE_COMMAND_WORDS_H
#define PINTLE_COMMAND_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WORDS_MOST = 255, FLOAT_WORDS_MOST = 24 };

enum word_kind { WORD_INTEGER, WORD_DOUBLE, WORD_FLOAT, WORD_TEXT, WORD_TEXT_UTF16, WORD_BUFFER, WORD_U32, WORD_U64 };

struct word {
    enum word_kind kind;
    const char *argument; /* as it was typed */
    uintptr_t value;      /* the word itself, if bytes is 0 */
    size_t offset, bytes; /* else it points to that part of the block */
};

struct words {
    unsigned count;
    struct word list[WORDS_MOST];
    uint32_t float_mask;  /* bit i: word i is floating point */
    unsigned last_float;  /* number of the last word that is floating point, from 1; 0: none */
    unsigned char *block; /* the original bytes */
    size_t block_bytes, block_capacity;
};

/* Reads the arguments. false: out_complaint has the sentence. */
bool words_parse(struct words *words, int count, char **arguments, char *out_complaint, size_t complaint_bytes);
void words_free(struct words *words);

/* Puts the original bytes into a task's block and the words for them into out_args. */
void words_prepare(const struct words *words, unsigned char *block, uintptr_t *out_args);

/* Whether the text is an integer as `pintle call` understands it: decimal or 0x…, perhaps negative. */
bool word_is_integer(const char *text);
/* Its value, modulo 2^64; false if 64 bits do not hold it. */
bool word_integer(const char *text, uint64_t *out_value);

#endif
