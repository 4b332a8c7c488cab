/* SPDX-License-Identifier: MIT */
/*
 * bounds - splitting a leaf in two, and making one of two.
 */
#ifndef RANGE_LOCK_BOUNDS_H
#define RANGE_LOCK_BOUNDS_H

#include "leaf.h"

/*
 * With the leaf locked: whether point lies inside a range that is held, waits or claims, and is
 * neither its start nor its end. It may be true without such a range.
 */
bool range__leaf_crossed(struct range__leaf *leaf, uint64_t point);

/*
 * With both leaves locked: moves everything at or above point to right, which is vacant. No range
 * crosses point; or point is lo, and everything moves.
 */
void range__leaf_split(struct range__leaf *leaf, uint64_t point, struct range__leaf *right);

/* With both leaves locked: takes the keys of right, which comes next and is vacant. */
void range__leaf_absorb(struct range__leaf *leaf, struct range__leaf *right);

#endif
