/* SPDX-License-Identifier: MIT */
/*
 * histogram - counts times in buckets whose width grows with the time, as HdrHistogram does: a time
 * is known to a sixteenth.
 *
 * Below 2^4 each time has its bucket; above, each power of two is cut into 2^4 of equal width. What
 * is at or above 2^40 ns, 18 minutes, shares the last.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

enum {
	HISTOGRAM_PART_BITS = 4,
	HISTOGRAM_MAX_BITS = 40,
	HISTOGRAM_BUCKETS = (HISTOGRAM_MAX_BITS - HISTOGRAM_PART_BITS + 1) << HISTOGRAM_PART_BITS,
};

/** All zero is an empty one. */
struct histogram {
	uint64_t count;
	uint64_t max;
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t value);

/** Adds all that is in other. */
void histogram_merge(struct histogram *histogram, const struct histogram *other);

/** The least value, as far as the buckets know and never below the truth, that at least so many of a
 * thousand values do not exceed; 0 if there are none. */
uint64_t histogram_permille(const struct histogram *histogram, unsigned int permille);

#endif
