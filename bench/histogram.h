/* SPDX-License-Identifier: MIT */
/*
 * histogram - counts times in buckets whose width grows with the time, as HdrHistogram does: a time
 * is exact to a sixteenth.
 *
 * Below 2^4 each time has its bucket. Above, each power of two is cut into 2^4 buckets of equal
 * width. All times from 2^40 ns (18 minutes) on share the last bucket.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

enum {
	HISTOGRAM_PART_BITS = 4,
	HISTOGRAM_MAX_BITS = 40,
	HISTOGRAM_BUCKETS = (HISTOGRAM_MAX_BITS - HISTOGRAM_PART_BITS + 1) << HISTOGRAM_PART_BITS,
};

/** All bytes zero is an empty histogram. */
struct histogram {
	uint64_t count;
	uint64_t max;
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t value);

/** Adds all counts of other. */
void histogram_merge(struct histogram *histogram, const struct histogram *other);

/**
 * The least value that at least this many of a thousand values do not exceed, as exact as the
 * buckets and never too small; 0 if there are no values.
 */
uint64_t histogram_permille(const struct histogram *histogram, unsigned int permille);

#endif
