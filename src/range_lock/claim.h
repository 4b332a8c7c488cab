/* SPDX-License-Identifier: MIT */
/*
 * claim - how an acquisition that does not lie in one leaf becomes starving.
 *
 * Such an acquisition stands in the queue of one leaf, which blocks it; the other leaves do not
 * know it. To become starving it locks all its leaves and makes a claim: its ranges go into a list
 * of the lock, and each leaf counts how many claims overlap it. From then on no conflicting
 * newcomer passes it in any of its leaves: a thread that finds the count of a leaf above 0 looks
 * through the list.
 *
 * A claim waits for held ranges that conflict with it, and for starving waiters and claims that
 * conflict and came earlier. Acquisitions that wait for each other therefore form no cycle,
 * whatever leaves they stand in.
 *
 * From the moment it begins to wait, such an acquisition is also in the list `wide` of the leaf
 * that owns its start. A walk through the leaves finds it there, in whichever queue it stands. If
 * it has several ranges, each of them is in the list of its own first leaf.
 *
 * Invariants:
 *
 *	CLAIM-1  A range is in the list of claims if and only if each leaf that it overlaps counts
 *	         it. Both change under the locks of all these leaves. So a thread that has one of
 *	         them locked knows that the list does not gain or lose a range that overlaps that
 *	         leaf.
 *	CLAIM-2  A leaf that counts a claim is neither split nor absorbed. (All claims move from
 *	         lock->root to the first leaf of the forest.)
 *	CLAIM-3  An acquisition that claims stands in a queue, and is starving there.
 *
 * Lock order: leaves, then lock->claims_mutex.
 */
#ifndef RANGE_LOCK_CLAIM_H
#define RANGE_LOCK_CLAIM_H

#include "set.h"

/* With a leaf locked: whether a waiter in its queue does not lie in that leaf alone. */
static inline bool range__claim_needed(const struct range__hold *range)
{
	return range__is_wide(range) || range__marked(range, RANGE__SEVERAL);
}

/* With all leaves of the set locked: puts it into the lists `wide`, and takes it out. */
void range__wide_add(struct range__set *set);
void range__wide_remove(struct range__set *set);

/*
 * With both leaves locked, when leaf is split: moves the wide waiters that start at or above point.
 */
void range__wide_split(struct range__leaf *leaf, uint64_t point, struct range__leaf *right);

/* With all leaves of the set locked, which stands in no queue: makes the claim, and ends it. */
void range__claim(struct range__set *set);
void range__unclaim(struct range__set *set);

/*
 * With a leaf locked that counts claims: now, or a later time if a claim in it is not earlier than
 * now.
 */
uint64_t range__claims_arrival(struct range__lock *lock, struct range__leaf *leaf, uint64_t now);

/* With the leaf locked, for range__leaf_valid(): whether CLAIM-1 holds in it. */
bool range__claims_valid(struct range__lock *lock, struct range__leaf *leaf);

/*
 * With a leaf locked that the range overlaps: whether an earlier claim conflicts with the range in
 * this leaf. A waiter in this queue then waits until the claim ends.
 */
bool range__claims_block(struct range__lock *lock, struct range__leaf *leaf,
			 const struct range__hold *range);

/* With a leaf locked: whether a claim in it that overlaps the range is for an upgrade. */
bool range__claims_upgrade(struct range__lock *lock, const struct range__hold *range);

/* With a leaf locked that the range overlaps: whether a claim for reading overlaps the range. */
bool range__claims_read(struct range__lock *lock, struct range__leaf *leaf,
			const struct range__hold *range);

#endif
