/* histogram.h: how long calls took, for people. */
#ifndef PINTLE_COMMAND_HISTOGRAM_H
#define PINTLE_COMMAND_HISTOGRAM_H

#include <stdint.h>

/* Percentiles, and a bar for each step of a logarithmic scale. Sorted, at least one. */
void histogram_print(const uint64_t *sorted_ns, uint64_t count);

#endif
