/* fuzz_exports.c FILE: reads the exports of a DLL 5,000 times, each time damaged in another way. Whatever it is, it
 * is read or refused with a sentence; the sanitizers, where they are, see the rest. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "image.h"

enum { ROUNDS = 5000, BYTES_MOST = 8 << 20 };

static uint64_t state;
static uint64_t below(uint64_t limit) {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (state * 0x2545F4914F6CDD1Du >> 16) % limit;
}

static uint32_t word_at(const unsigned char *bytes, uint64_t at) {
    uint32_t value;
    memcpy(&value, bytes + at, 4);
    return value;
}

/* Where damage does most: the headers, and the tables that they lead to (found here without care: the file is good). */
static uint64_t interesting(const unsigned char *bytes, uint64_t count) {
    uint64_t at = 0;
    if (below(4) == 0) return below(count);
    if (memcmp(bytes, "MZ", 2) == 0) {
        uint64_t header = word_at(bytes, 0x3c), sections = header + 24 + (word_at(bytes, header + 20) & 0xffff);
        uint32_t rva = word_at(bytes, header + 24 + 112);
        at = below(2) == 0 ? header : sections;
        for (uint64_t i = sections; below(3) == 0 && i + 40 < count && i < sections + 40 * 20; i += 40)
            if (rva >= word_at(bytes, i + 12) && rva < word_at(bytes, i + 12) + word_at(bytes, i + 16))
                at = word_at(bytes, i + 20) + rva - word_at(bytes, i + 12);
    } else {
        at = below(3) == 0 ? 0 : word_at(bytes, 40);
    }
    at += below(512);
    return at < count ? at : below(count);
}

static void look_at(const struct image *image) {
    static volatile size_t sum; /* so that all is read */
    (void)sum;
    for (size_t i = 0; i < image->count; i++) {
        if (image->exports[i].name != NULL) sum += strlen(image->exports[i].name);
        if (image->exports[i].forward != NULL) sum += strlen(image->exports[i].forward);
        sum += strlen(image->exports[i].kind);
    }
}

int main(int argc, char **argv) {
    static unsigned char original[BYTES_MOST];
    static const unsigned char extremes[] = {0, 1, 0x7f, 0x80, 0xff};
    FILE *file = argc > 1 ? fopen(argv[1], "rb") : NULL;
    size_t count = file != NULL ? fread(original, 1, sizeof original, file) : 0, read = 0;
    const char *wanted = getenv("PINTLE_TEST_SEED");
    uint64_t seed = wanted != NULL ? strtoull(wanted, NULL, 0) : (uint64_t)time(NULL);
    printf("seed %" PRIu64 ", %zu bytes\n", seed, count);
    if (count < 512) return 1;
    state = seed * 2 + 1;
    for (int round = 0; round <= ROUNDS; round++) {
        struct image image;
        char complaint[256] = "";
        size_t used = round % 10 == 1 ? (size_t)below(count) : count;
        unsigned char *bytes = malloc(used + 1); /* of its own, so that a byte too far is seen */
        if (bytes == NULL) return 1;
        memcpy(bytes, original, used);
        unsigned char *exact = realloc(bytes, used > 0 ? used : 1);
        for (uint64_t i = round == 0 || used < 512 ? 0 : 1 + below(12); i > 0; i--) {
            uint64_t at = interesting(original, used), length = 1 + below(4);
            for (uint64_t k = at; k < at + length && k < used; k++)
                exact[k] = below(2) == 0 ? (unsigned char)below(256) : extremes[below(sizeof extremes)];
        }
        if (image_read(exact, used, &image, complaint, sizeof complaint)) {
            read++;
            look_at(&image);
            if (round == 0 && image.count == 0) return 1;
        } else if (complaint[0] == '\0' || round == 0) {
            printf("round %d: refused with \"%s\"\n", round, complaint);
            return 1;
        }
        image_free(&image);
        free(exact);
    }
    printf("%d rounds, %zu read, the others refused\n", ROUNDS, read);
    return read > 0 && read < ROUNDS ? 0 : 1;
}
