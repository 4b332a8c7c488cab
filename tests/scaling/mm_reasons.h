/* SPDX-License-Identifier: MIT */
/*
 * mm_reasons - why pairs of calls on an address space may conflict over cache lines although they
 * commute.
 */
#ifndef SCALING_MM_REASONS_H
#define SCALING_MM_REASONS_H

#include "mm_pairs.h"

extern const struct reason reasons[];
extern const unsigned int nr_reasons;

/* The number of the pair's reason, or nr_reasons if it has none. */
unsigned int reason_of(const struct pair *pair);

#endif
