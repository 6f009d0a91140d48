/* rows_posix.c: rows that only POSIX systems have: none yet. */
#include <stddef.h>

#include "bench.h"

const struct bench_row bench_rows_platform[] = {{NULL, NULL, NULL}};
