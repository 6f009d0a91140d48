/* peer.h: the frame of a program that measures another library at rows of pintle_bench: the same options, the same line of JSON.
 * C and C++. A program defines `rows`, and runs what its library needs around peer_row. */
#ifndef PINTLE_BENCH_PEER_H
#define PINTLE_BENCH_PEER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct plan {
    unsigned slices, warmup, iterations, processors;
};

struct row {
    const char *name;
    void (*run)(const struct plan *plan, double *out_ns);
};
extern const struct row rows[]; /* ends with a NULL name */

static struct plan peer_plan = {100, 10, 10000, 1};
static const struct row *peer_chosen;
static double *peer_samples;

static inline int64_t peer_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Runs loop(context, iterations) in slices; one counts as so many operations. */
static inline void peer_measure(const struct plan *plan, double *out_ns, double operations,
                                void (*loop)(void *context, unsigned iterations), void *context) {
    for (unsigned slice = 0; slice < plan->warmup + plan->slices; slice++) {
        int64_t start = peer_now();
        loop(context, plan->iterations);
        int64_t elapsed = peer_now() - start;
        if (slice >= plan->warmup) out_ns[slice - plan->warmup] = (double)elapsed / operations;
    }
}

static inline unsigned peer_number(const char *text) {
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (end == text || *end != '\0' || value > 100000000) {
        fprintf(stderr, "peer: '%s' is no number up to 100000000\n", text);
        exit(2);
    }
    return (unsigned)value;
}

/* Reads the options, and finds the row. */
static inline void peer_begin(int argc, char **argv) {
    const char *name = NULL;
    for (int i = 1; i < argc; i++) {
        unsigned *field = !strcmp(argv[i], "--slices")       ? &peer_plan.slices
                          : !strcmp(argv[i], "--warmup")     ? &peer_plan.warmup
                          : !strcmp(argv[i], "--iterations") ? &peer_plan.iterations
                          : !strcmp(argv[i], "--processors") ? &peer_plan.processors
                                                             : NULL;
        if (field != NULL && i + 1 < argc)
            *field = peer_number(argv[++i]);
        else
            name = argv[i];
    }
    for (peer_chosen = rows; peer_chosen->name != NULL; peer_chosen++) {
        if (name != NULL && strcmp(peer_chosen->name, name) == 0) break;
    }
    if (peer_chosen->name == NULL || peer_plan.slices == 0 || peer_plan.iterations == 0) {
        fprintf(stderr, "usage: peer [--slices N] [--warmup N] [--iterations N] [--processors N] ROW\nrows:");
        for (const struct row *row = rows; row->name != NULL; row++) fprintf(stderr, " %s", row->name);
        fprintf(stderr, "\n");
        exit(2);
    }
    peer_samples = (double *)calloc(peer_plan.slices, sizeof *peer_samples);
    if (peer_samples == NULL) abort();
}

/* Where the library's tasks can run. */
static inline void peer_run(void) { peer_chosen->run(&peer_plan, peer_samples); }

static inline int peer_end(void) {
    printf("{\"name\":\"%s\",\"processors\":%u,\"samples\":[", peer_chosen->name, peer_plan.processors);
    for (unsigned i = 0; i < peer_plan.slices; i++) printf("%s%.3f", i == 0 ? "" : ",", peer_samples[i]);
    printf("]}\n");
    free(peer_samples);
    return fflush(stdout) == 0 ? 0 : 1;
}

static inline void peer_must(bool ok, const char *what) {
    if (ok) return;
    fprintf(stderr, "peer: %s failed\n", what);
    exit(1);
}

#endif
