/* bench.h: what the rows of pintle_bench share. A row measures one thing: the time of one operation in nanoseconds (or
 * what its description says), one number for each slice of operations. */
#ifndef PINTLE_BENCH_H
#define PINTLE_BENCH_H

#include <stdbool.h>

/* How to measure; the options of the command line, the same on both sides of a comparison. */
struct plan {
    unsigned slices;     /* numbers to give */
    unsigned warmup;     /* slices before them that are not counted */
    unsigned iterations; /* rounds of the loop in a slice */
    unsigned processors;
    bool stats; /* tell more, on standard error */
    bool steps; /* mark the first slice that counts */
};

/* Runs in a task that is not the main one, which waits for it; those of rows_cost.c on the program's first thread, without a
 * runtime. Fills out_ns[plan->slices]. */
typedef void bench_row_fn(const struct plan *plan, double *out_ns);

struct bench_row {
    const char *name, *what;
    bench_row_fn *run;
};

/* Tables that end with a NULL name. */
extern const struct bench_row bench_rows_call[];     /* rows_call.c */
extern const struct bench_row bench_rows_callback[]; /* rows_callback.c */
extern const struct bench_row bench_rows_task[];     /* rows_task.c */
extern const struct bench_row bench_rows_block[];    /* rows_block.c */
extern const struct bench_row bench_rows_chan[];     /* rows_chan.c */
extern const struct bench_row bench_rows_timer[];    /* rows_timer.c */
extern const struct bench_row bench_rows_scale[];    /* rows_scale.c */
extern const struct bench_row bench_rows_cost[];     /* rows_cost.c */
extern const struct bench_row bench_rows_platform[]; /* rows_win.c, rows_posix.c */

/* A foreign call that sleeps, as a program would make it: pintle_call on POSIX, pintle_syscall of Sleep on Windows. */
void bench_block(unsigned milliseconds);
/* A foreign call that calls the code of a thunk of one word back, once. */
void bench_call_back(void *code);
/* Runs fn(arg) on a new thread of the system, and waits for its end. */
void bench_on_new_thread(void (*fn)(void *), void *arg);
/* A thread of the system's, beside the runtime; a pause of the calling one. */
void *bench_thread_start(void (*fn)(void *), void *arg);
void bench_thread_join(void *thread);
void bench_pause_thread(unsigned seconds);
/* How often the other threads of this process gave up a CPU until now: each time, something had woken them. */
double bench_wakeups(void);
/* The memory that this process has now. */
unsigned long long bench_resident_bytes(void);

/* Runs loop(context, plan->iterations) in slices; a slice counts as operations operations. */
typedef void bench_loop_fn(void *context, unsigned iterations);
void bench_measure(const struct plan *plan, double *out_ns, double operations, bench_loop_fn *loop, void *context);

/* Ends the program with the last failure's text if code is not 0. */
_Noreturn void bench_fail(int code, const char *what);
static inline void bench_must(int code, const char *what) {
    if (code != 0) bench_fail(code, what);
}
void *bench_alloc(unsigned long long bytes);

#endif
