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
 * Leaves are merged when a range spans several (R1, seams.h), and when they have gone cold: nobody
 * has used one from one sweep to the next. A sweep goes on by a few leaves with each split, and
 * starts again a second after it started last at the earliest.
 *
 * Hysteresis: a leaf's patience is how many migrations it takes to split it. It shrinks with each
 * split, and when leaves are merged for a range, it shrinks for those that were used beside others
 * since they came about: to have them apart was worth it. It grows for those that were not, and
 * from a certain patience on they do not come apart again with the range.
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
		       const struct range_hold *range);

/* With both leaves locked: one goes on where the other was. */
void range__adapt_inherit(struct range__leaf *to, struct range__leaf *from);

/* Whether the leaf has been used since it came about. */
bool range__adapt_used(struct range__leaf *leaf);

/*
 * With the leaf locked: it is merged with others for a range; used is how many of all of these have
 * been used. Says whether it shall come back.
 */
bool range__adapt_merged(struct range__leaf *leaf, uint32_t used);

/* With the leaf locked: it has come about, or come back. */
void range__adapt_restored(struct range__leaf *leaf);

/* With the leaf locked: [start, end) is about to be held there. */
void range__adapt_visited(struct range__leaf *leaf, uint64_t start, uint64_t end);

#endif
