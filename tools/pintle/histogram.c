/* histogram.c: how long calls took, as percentiles and as bars over a logarithmic scale. */
#include "histogram.h"

#include "command.h"

enum { BAR_MOST = 40, STEPS_MOST = 64 };

/* Nearest rank; per_mille of 1000 is the largest. */
static uint64_t percentile(const uint64_t *sorted, uint64_t count, unsigned per_mille) {
    uint64_t rank = (count * per_mille + 999) / 1000;
    return sorted[rank == 0 ? 0 : rank - 1];
}

/* 1, 2, 5, 10, 20, 50, … ns */
static uint64_t bound(unsigned step) {
    static const uint64_t of_decade[] = {1, 2, 5};
    uint64_t value = of_decade[step % 3];
    for (unsigned decade = step / 3; decade > 0 && value < UINT64_MAX / 100; decade--) value *= 10;
    return value;
}

static void print_bar(uint64_t calls, uint64_t most) {
    unsigned length = (unsigned)((double)calls / (double)most * BAR_MOST + 0.5);
    if (calls > 0 && length == 0) length = 1;
    for (unsigned i = 0; i < length; i++) putchar('#');
    printf("%s%s\n", length > 0 ? " " : "", text_count(calls));
}

/* text_duration's columns: its µ takes two bytes. */
static void print_padded(const char *text) {
    int width = 8;
    for (const char *c = text; *c != '\0'; c++) width -= (*c & 0xc0) != 0x80;
    printf("%*s%s", width > 0 ? width : 0, "", text);
}

void histogram_print(const uint64_t *sorted, uint64_t count) {
    uint64_t calls[STEPS_MOST] = {0}, most = 1;
    unsigned first = STEPS_MOST, last = 0, step = 0;
    printf("        min %s   p50 %s   p90 %s   ", text_duration(sorted[0]),
           text_duration(percentile(sorted, count, 500)), text_duration(percentile(sorted, count, 900)));
    printf("p99 %s   p99.9 %s   max %s\n", text_duration(percentile(sorted, count, 990)),
           text_duration(percentile(sorted, count, 999)), text_duration(sorted[count - 1]));
    for (uint64_t i = 0; i < count; i++) {
        while (step + 1 < STEPS_MOST && sorted[i] > bound(step)) step++;
        if (++calls[step] > most) most = calls[step];
        if (first == STEPS_MOST) first = step;
        last = step;
    }
    for (step = first; step <= last; step++) {
        printf("        to ");
        print_padded(text_duration(bound(step)));
        printf("  ");
        print_bar(calls[step], most);
    }
}
