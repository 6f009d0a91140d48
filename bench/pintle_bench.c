/* pintle_bench.c: our side of the benchmarks: pintle_bench [options] ROW
 *
 * Prints one line of JSON: {"name", "processors", "samples": [nanoseconds of one operation, a slice each]}; what another
 * unit is in, its description in --help says.
 * peers/go is the same program in Go, driver/ runs the two by turns and compares them. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "pintle.h"

static const struct bench_row *const tables[] = {bench_rows_call,  bench_rows_callback, bench_rows_task,
                                                 bench_rows_block, bench_rows_chan,     bench_rows_timer,
                                                 bench_rows_scale, bench_rows_cost,     bench_rows_platform};

struct job {
    const struct bench_row *row;
    struct plan plan;
    double *samples;
};

_Noreturn void bench_fail(int code, const char *what) {
    pintle_error error;
    pintle_error_get(&error);
    fprintf(stderr, "pintle_bench: %s: %s: %s\n", what, pintle_error_name(code), error.text);
    exit(1);
}

void *bench_alloc(unsigned long long bytes) {
    void *memory = calloc(1, (size_t)bytes);
    if (memory == NULL) {
        fprintf(stderr, "pintle_bench: no memory for %llu bytes\n", bytes);
        exit(1);
    }
    return memory;
}

static void mark(const struct plan *plan, unsigned slice) {
    if (plan->steps && slice == plan->warmup) __asm__ volatile("int3" ::: "memory");
}

void bench_measure(const struct plan *plan, double *out_ns, double operations, bench_loop_fn *loop, void *context) {
    for (unsigned slice = 0; slice < plan->warmup + plan->slices; slice++) {
        int64_t start = pintle_now();
        mark(plan, slice);
        loop(context, plan->iterations);
        mark(plan, slice);
        int64_t elapsed = pintle_now() - start;
        if (slice >= plan->warmup) out_ns[slice - plan->warmup] = (double)elapsed / operations;
    }
}

static void run_row(void *arg) {
    struct job *job = arg;
    job->row->run(&job->plan, job->samples);
}

/* Tells what else went on: a row that should be quiet and is not. */
static void print_stats(void) {
    pintle_stats stats;
    pintle_stats_get(&stats);
    fprintf(stderr,
            "spawned %llu, switches %llu, steals %llu, calls %llu, retakes %llu, slow leaves %llu, handoffs %llu, "
            "lent %llu, threads started %llu\n",
            (unsigned long long)stats.tasks_spawned, (unsigned long long)stats.switches,
            (unsigned long long)stats.steals, (unsigned long long)stats.calls, (unsigned long long)stats.retakes,
            (unsigned long long)stats.slow_leaves, (unsigned long long)stats.handoffs, (unsigned long long)stats.lent,
            (unsigned long long)stats.threads_started);
}

/* The rows run in a task of their own: the main task belongs to the program's first thread, others to none. */
static int main_task(void *arg) {
    pintle_task *task;
    bench_must(pintle_spawn(&task, run_row, arg), "pintle_spawn");
    bench_must(pintle_join(task, PINTLE_FOREVER), "pintle_join");
    if (((struct job *)arg)->plan.stats) print_stats();
    return 0;
}

static bool starts_runtime(const struct bench_row *wanted) {
    for (const struct bench_row *row = bench_rows_cost; row->name != NULL; row++) {
        if (row == wanted) return true;
    }
    return false;
}

static const struct bench_row *find_row(const char *name) {
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        for (const struct bench_row *row = tables[i]; row->name != NULL; row++) {
            if (strcmp(row->name, name) == 0) return row;
        }
    }
    return NULL;
}

static void usage(FILE *to) {
    fprintf(to, "usage: pintle_bench [options] ROW\n"
                "  --slices N      numbers to give (100)\n"
                "  --warmup N      slices before them that are not counted (10)\n"
                "  --iterations N  rounds of the loop in a slice (10000)\n"
                "  --processors N  tasks that run at the same time (1)\n"
                "  --steps         stops itself (int3) before and after the first slice that counts: for steps\n"
                "  --stats         the runtime's own figures, on standard error\n"
                "rows:\n");
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        for (const struct bench_row *row = tables[i]; row->name != NULL; row++) {
            fprintf(to, "  %-20s%s\n", row->name, row->what);
        }
    }
}

static unsigned number(const char *option, const char *text, unsigned least) {
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || value < least || value > 100000000) {
        fprintf(stderr, "pintle_bench: --%s %s: a number from %u to 100000000 is wanted\n", option, text, least);
        exit(2);
    }
    return (unsigned)value;
}

int main(int argc, char **argv) {
    static const struct option options[] = {
        {"slices", required_argument, NULL, 's'},
        {"warmup", required_argument, NULL, 'w'},
        {"iterations", required_argument, NULL, 'i'},
        {"processors", required_argument, NULL, 'p'},
        {"steps", no_argument, NULL, 'm'},
        {"stats", no_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct job job = {NULL, {.slices = 100, .warmup = 10, .iterations = 10000, .processors = 1}, NULL};
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        switch (option) {
        case 's': job.plan.slices = number("slices", optarg, 1); break;
        case 'w': job.plan.warmup = number("warmup", optarg, 0); break;
        case 'i': job.plan.iterations = number("iterations", optarg, 1); break;
        case 'p': job.plan.processors = number("processors", optarg, 1); break;
        case 't': job.plan.stats = true; break;
        case 'm': job.plan.steps = true; break;
        case 'h': usage(stdout); return 0;
        default: usage(stderr); return 2;
        }
    }
    if (optind + 1 != argc) {
        usage(stderr);
        return 2;
    }
    job.row = find_row(argv[optind]);
    if (job.row == NULL) {
        fprintf(stderr, "pintle_bench: no row '%s' on this platform; see --help\n", argv[optind]);
        return 2;
    }
    job.samples = bench_alloc(job.plan.slices * sizeof *job.samples);

    pintle_options runtime = {.size = sizeof runtime, .processors = job.plan.processors};
    if (starts_runtime(job.row))
        run_row(&job);
    else
        bench_must(pintle_run(main_task, &job, &runtime), "pintle_run");

    printf("{\"name\":\"%s\",\"processors\":%u,\"samples\":[", job.row->name, job.plan.processors);
    for (unsigned i = 0; i < job.plan.slices; i++) printf("%s%.3f", i == 0 ? "" : ",", job.samples[i]);
    printf("]}\n");
    free(job.samples);
    return fflush(stdout) == 0 ? 0 : 1;
}
