/* SPDX-License-Identifier: MIT */
/*
 * reasons - why pairs of calls that commute are allowed to conflict over cache lines.
 */
#ifndef SCALING_REASONS_H
#define SCALING_REASONS_H

#include "pairs.h"

enum { NR_REASONS = 5 };

extern const struct reason reasons[NR_REASONS];

/* The number of the pair's reason; NR_REASONS: it has none. */
unsigned int reason_of(const struct pair *pair);

#endif
