/* SPDX-License-Identifier: MIT */
/*
 * reasons - why some pairs of calls that commute may conflict over cache lines.
 */
#ifndef SCALING_REASONS_H
#define SCALING_REASONS_H

#include "pairs.h"

enum { NR_REASONS = 5 };

extern const struct reason reasons[NR_REASONS];

/* The number of the pair's reason, or NR_REASONS if it has none. */
unsigned int reason_of(const struct pair *pair);

#endif
