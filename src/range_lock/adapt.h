/* SPDX-License-Identifier: MIT */
/*
 * adapt - how the leaves follow the load.
 *
 * Leaves are split where threads collide although their ranges do not overlap: a leaf remembers its
 * last owner and that one's range, and counts how often it migrates to another thread whose range
 * is disjoint; migrations to ranges that overlap count against that, as a split does not help
 * there. The split is at an end of one of the two ranges, never between: other points would lie
 * inside ranges of third parties, which would merge the leaves again.
 *
 * Leaves are merged when a range spans several (R1, forest.c), and when they have gone cold: nobody
 * has used one from one sweep to the next. A sweep goes on by a few leaves with each split, and
 * starts again a second after it started last at the earliest.
 *
 * Hysteresis: a leaf's patience is how many migrations it takes to split it. It grows when leaves
 * had to be merged for a range, and shrinks with each split.
 *
 * (Contention-adapting search trees: Sagonas & Winblad, ISPDC 2015.)
 */
#ifndef RANGE_LOCK_ADAPT_H
#define RANGE_LOCK_ADAPT_H

#include "forest.h"

/*
 * After range, which is held, was acquired in leaf: notes whose the leaf is now; splits it if that
 * pays.
 */
void range__adapt_note(struct range_lock *lock, struct range__leaf *leaf,
		       const struct range *range);

/* With both leaves locked: one goes on where the other was. */
void range__adapt_inherit(struct range__leaf *to, struct range__leaf *from);

/* With the leaf locked: leaves have been merged into it for a range. */
void range__adapt_merged(struct range__leaf *leaf);

#endif
