/* SPDX-License-Identifier: MIT */
/* 64 buckets of 16 ns, then four for each doubling. */
#include "hold_times.h"

/*
 * The histogram of hold times: 64 buckets of 16 ns, then four for each doubling.
 */
#define LINEAR       64u
#define LINEAR_SHIFT 4u
#define FIRST        10u /* 2^10 is where the linear part ends */

unsigned int mm__hold_time_index(uint64_t ns)
{
	unsigned int log;
	uint64_t i;

	if (ns < UINT64_C(1) << FIRST)
		return (unsigned int)(ns >> LINEAR_SHIFT);
	log = 63u - (unsigned int)__builtin_clzll(ns);
	i = LINEAR + 4 * (log - FIRST) + (ns >> (log - 2) & 3);
	return i < MM_NR_HOLD_TIMES ? (unsigned int)i : MM_NR_HOLD_TIMES - 1;
}

uint64_t mm_hold_time_end(unsigned int i)
{
	if (i < LINEAR)
		return (uint64_t)(i + 1) << LINEAR_SHIFT;
	if (i >= MM_NR_HOLD_TIMES - 1)
		return UINT64_MAX;
	return (uint64_t)(5 + i % 4) << (FIRST - 2 + (i - LINEAR) / 4);
}
