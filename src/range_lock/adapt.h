/* SPDX-License-Identifier: MIT */
/*
 * adapt - how the leaves follow the load.
 *
 * A leaf is split where threads collide on it although their ranges do not overlap (history.h). An
 * acquisition by another thread than the last adds to the leaf's score if its range is disjoint
 * from the last one, because a split would keep the two apart, and takes from the score if the
 * ranges overlap. A disjoint range that straddles a bound of the leaf takes a little less: other
 * threads' disjoint ranges decide. So leaves become as fine as the load can use, and no finer.
 *
 * The split is between the two ranges, at the roundest key there. Places of threads, of which they
 * have used little so far, are likely to meet at such a key, and no range begins or ends there yet.
 * If ranges are likely to cross that key, or one does, the split is at an end of one of the two
 * ranges.
 *
 * Hysteresis: the score at which a leaf is split doubles with each range that straddles a bound of
 * the leaf and overlaps the last one, and whenever a split is not possible.
 *
 * A leaf is too fine if most ranges that overlap it cross its lower bound. The leaf's crossings
 * count ranges that end in it, and ranges that cover it and span few leaves. The next acquisition
 * by the slow path merges the leaf into its left neighbour, if no range is held in it. After such a
 * merge the lock splits nothing for 1 ms, and for twice as long each time, up to a second; each
 * sweep halves that time. So the leaves do not change all the time under a load that wants a split
 * and a merge in turns, as its threads come and go.
 *
 * A sweep goes through all leaves, and merges each leaf into its left neighbour that no thread has
 * used since the sweep before. It begins at the earliest a second after the last sweep, in an
 * acquisition that splits a leaf or spans several.
 *
 * Time bounds the number of splits and merges: a lock has a budget of twice the leaves that it may
 * have, which grows by 250 in a second.
 *
 * (Contention-adapting search trees: Sagonas & Winblad, ISPDC 2015.)
 */
#ifndef RANGE_LOCK_ADAPT_H
#define RANGE_LOCK_ADAPT_H

#include "forest.h"

/* Whether the function may call a memory hook. */
enum range__memory { RANGE__NO_MEMORY, RANGE__MEMORY };

/*
 * After a held range was acquired or changed, and another thread was the last owner of one of its
 * leaves: notes the new owner of the leaves, and splits a leaf if that pays.
 */
void range__adapt_note(struct range__lock *lock, const struct range__hold *range,
		       enum range__memory memory);

/* With no leaf locked: merges the leaf that was last found to be too fine. */
void range__adapt_merge_too_fine(struct range__lock *lock);

#endif
