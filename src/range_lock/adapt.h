/* SPDX-License-Identifier: MIT */
/*
 * adapt - how the leaves follow the load.
 *
 * Leaves are split where threads collide although their ranges do not overlap: a leaf remembers its
 * last owner and that one's range, and keeps a score. An acquisition by another thread adds to the
 * score if its range is disjoint, as a split would keep the two apart, and takes from it if it
 * overlaps. A range that straddles a bound of the leaf and is disjoint takes a little less from it: other
 * threads' disjoint ranges decide. So leaves become as fine as the load gains by, and no finer. The
 * split is at an end of one of the two ranges.
 *
 * Hysteresis: a leaf's patience is the score that it takes to split it. It doubles with each range
 * that straddles a bound of the leaf and overlaps, and when a split is not possible.
 *
 * A leaf is too fine if most ranges that overlap it cross its lower bound. The leaf's strain counts those
 * that end in it, and those that cover it and span few leaves. The next acquisition by the slow path merges
 * the leaf into its left neighbour, if nothing is held in it. Afterwards the lock splits nothing for 1 ms,
 * and for twice as long each time, up to a second; each sweep halves that time. So the leaves do not change
 * all the time under a load that wants a split and a merge in turns, as its threads come and go.
 *
 * A sweep merges those leaves into their left neighbour that no thread has used from one sweep to the
 * next. It begins a second after the last one at the earliest, in an acquisition that splits a leaf or
 * spans several, and goes through all leaves.
 *
 * Splits and merges are bounded by time: a lock has a budget of twice the leaves that it may have, which
 * grows by 250 in a second.
 *
 * (Contention-adapting search trees: Sagonas & Winblad, ISPDC 2015.)
 */
#ifndef RANGE_LOCK_ADAPT_H
#define RANGE_LOCK_ADAPT_H

#include "forest.h"

/* Whether a memory hook may be called. */
enum range__memory { RANGE__NO_MEMORY, RANGE__MEMORY };

/*
 * After range, which is held, was acquired or changed, and another thread was the last owner of one of its
 * leaves: notes the new owner of the leaves, and splits one if that pays.
 */
void range__adapt_note(struct range__lock *lock, const struct range__hold *range,
		       enum range__memory memory);

/* With no leaf locked: merges the leaf that was last found to be too fine. */
void range__adapt_merge_too_fine(struct range__lock *lock);

#endif
