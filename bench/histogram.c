/* SPDX-License-Identifier: MIT */
#include "histogram.h"

#include <limits.h>

enum { PARTS = 1 << HISTOGRAM_PART_BITS };

static unsigned int bits(uint64_t value)
{
	return (unsigned int)(sizeof(unsigned long long) * CHAR_BIT) -
	       (unsigned int)__builtin_clzll(value);
}

/*
 * The bits above the first PART_BITS + 1 are the row; the bits below the highest are the place in
 * it.
 */
static unsigned int bucket_of(uint64_t value)
{
	unsigned int row;

	if (value < PARTS)
		return (unsigned int)value;
	if (value >> HISTOGRAM_MAX_BITS)
		return HISTOGRAM_BUCKETS - 1;
	row = bits(value) - HISTOGRAM_PART_BITS;
	return (row << HISTOGRAM_PART_BITS) + (unsigned int)(value >> (row - 1)) - PARTS;
}

/* The greatest value in a bucket. */
static uint64_t top_of(unsigned int bucket)
{
	unsigned int row = bucket >> HISTOGRAM_PART_BITS;

	if (!row)
		return bucket;
	return ((uint64_t)(bucket % PARTS + PARTS + 1) << (row - 1)) - 1;
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
	histogram->count++;
	if (value > histogram->max)
		histogram->max = value;
	histogram->buckets[bucket_of(value)]++;
}

void histogram_merge(struct histogram *histogram, const struct histogram *other)
{
	unsigned int i;

	histogram->count += other->count;
	if (other->max > histogram->max)
		histogram->max = other->max;
	for (i = 0; i < HISTOGRAM_BUCKETS; i++)
		histogram->buckets[i] += other->buckets[i];
}

uint64_t histogram_permille(const struct histogram *histogram, unsigned int permille)
{
	/* Rounded up, without overflow. */
	uint64_t thousands = histogram->count / 1000;
	uint64_t rest = histogram->count % 1000;
	uint64_t wanted = thousands * permille + (rest * permille + 999) / 1000;
	uint64_t seen = 0;
	unsigned int i;

	for (i = 0; i < HISTOGRAM_BUCKETS - 1; i++) {
		seen += histogram->buckets[i];
		if (seen >= wanted)
			break;
	}
	return i == HISTOGRAM_BUCKETS - 1 || top_of(i) > histogram->max ? histogram->max
									: top_of(i);
}
