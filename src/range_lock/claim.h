/* SPDX-License-Identifier: MIT */
/*
 * claim - how an acquisition that does not lie in one leaf becomes starving.
 *
 * Such an acquisition stands in the queue of one leaf, which blocks it, and is not seen in the others.
 * Becoming starving, it locks all its leaves and makes a claim: its ranges go into a list of the lock,
 * and each leaf counts how many of the list overlap it. From then on no conflicting newcomer passes it
 * in any of them. A thread that finds the count of a leaf above 0 looks through the list.
 *
 * A claim waits for the held ranges that conflict with it, and for starving waiters and claims that
 * conflict and came before it, by their arrival. So those that wait for each other do not form a
 * cycle, whatever leaves they stand in.
 *
 * In the same way it is in the list `wide` of the leaf that has its start, from the moment on in which
 * it begins to wait: a walk through the leaves finds it there, in whichever queue it stands. If there are
 * several ranges, each is in the list of its own first leaf.
 *
 * Invariants:
 *
 *	CLAIM-1  a range is in the list of claims if and only if each leaf that it overlaps counts it.
 *	         Both change under the locks of all these leaves: with one of them locked, whether a
 *	         range that overlaps it is in the list does not change
 *	CLAIM-2  a leaf that counts a claim is not split, and not absorbed. But all claims move from
 *	         lock->root to the first leaf of the forest
 *	CLAIM-3  an acquisition that claims stands in a queue, and is starving there
 *
 * Lock order: leaves, then lock->claims_mutex.
 */
#ifndef RANGE_LOCK_CLAIM_H
#define RANGE_LOCK_CLAIM_H

#include "set.h"

/* Whether a waiter, of a queue that is locked, does not lie in that leaf alone. */
static inline bool range__claim_needed(const struct range__hold *range)
{
	return range__is_wide(range) || range->set->n > 1;
}

/* With all leaves of the set locked: begins, and ends, to be in the lists of waiters. */
void range__wide_add(struct range__set *set);
void range__wide_remove(struct range__set *set);

/* With both leaves locked, when leaf is split: moves the waiters that start at or above point. */
void range__wide_split(struct range__leaf *leaf, uint64_t point, struct range__leaf *right);

/* With all leaves of the set locked, which stands in no queue: claims, and lets go of the claim. */
void range__claim(struct range__set *set);
void range__unclaim(struct range__set *set);

/* With a leaf locked that counts claims: now, or if a claim in it is not earlier, what is later. */
uint64_t range__claims_arrival(struct range__lock *lock, struct range__leaf *leaf, uint64_t now);

/* With the leaf locked, for range__leaf_valid(): whether it counts what is in the list: CLAIM-1. */
bool range__claims_valid(struct range__lock *lock, struct range__leaf *leaf);

/*
 * With a leaf locked that range overlaps: whether an earlier claim conflicts with range, in this leaf:
 * what ends a wait in its queue is that the claim ends.
 */
bool range__claims_block(struct range__lock *lock, struct range__leaf *leaf,
			 const struct range__hold *range);

/* In the same way: whether a claim for reading overlaps it. */
bool range__claims_read(struct range__lock *lock, struct range__leaf *leaf,
			const struct range__hold *range);

#endif
